package e2e

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// media stands in for OpenAI's audio and files.
type media struct {
	t    *testing.T
	seen chan string // what each request was
}

func (m *media) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("authorization") != "Bearer sk-media" {
		m.t.Errorf("%s %s: authorization %q", r.Method, r.URL, r.Header.Get("authorization"))
	}
	switch {
	case r.URL.Path == "/v1/audio/transcriptions":
		file, _, err := r.FormFile("file")
		if err != nil {
			m.t.Error(err)
			return
		}
		n, _ := io.Copy(io.Discard, file)
		m.seen <- fmt.Sprintf("transcribe %s %d bytes, length known: %v", r.FormValue("model"), n, r.ContentLength > 0)
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, `{"text":"hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":1}}`)
	case strings.HasSuffix(r.URL.Path, "/content"):
		m.seen <- r.Method + " " + r.URL.String()
		w.Header().Set("content-type", "application/octet-stream")
		_, _ = io.WriteString(w, `{"id":"file-1"}`)
	default:
		body, _ := io.ReadAll(r.Body)
		m.seen <- r.Method + " " + r.URL.String() + " " + string(body)
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, `{"id":"file-1","object":"file"}`)
	}
}

// TestAudioAndFilesPass proves requests that are no JSON, and requests without a body.
func TestAudioAndFilesPass(t *testing.T) {
	up := &media{t, make(chan string, 16)}
	s := httptest.NewServer(up)
	defer s.Close()
	t.Setenv("MEDIA_KEY", "sk-media")
	gw := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: dead, kind: openai, base_url: "http://127.0.0.1:9/v1", key: env:MEDIA_KEY }
  - { name: media, kind: openai, base_url: "%s/v1", key: env:MEDIA_KEY }
routes:
  - { name: audio, match: { models: [whisper] }, targets: [dead/whisper-1, media/whisper-large] }
  - { name: rest, match: { models: [x] }, targets: [media/x] }
`, s.URL))

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, _ := w.CreateFormFile("file", "a.wav")
	_, _ = part.Write(bytes.Repeat([]byte("RIFF\r\n--"), 100_000))
	_ = w.WriteField("model", "whisper")
	_ = w.Close()
	resp, err := http.Post(gw.Base+"/v1/audio/transcriptions", w.FormDataContentType(), &form)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || !strings.Contains(string(body), `"text":"hello"`) {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	if got, want := <-up.seen, "transcribe whisper-large 800000 bytes, length known: true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	for _, c := range []struct{ method, path, body, sent, want string }{
		{"GET", "/v1/files?limit=1", "", "GET /v1/files?limit=1 ", `{"id":"file-1~media","object":"file"}`},
		{"DELETE", "/v1/files/file-1~media", "", "DELETE /v1/files/file-1 ", `{"id":"file-1~media","object":"file"}`},
		{"GET", "/v1/files/file-1~media/content", "", "GET /v1/files/file-1/content", `{"id":"file-1"}`},
		{"POST", "/v1/batches", `{"input_file_id":"file-1~media"}`, `POST /v1/batches {"input_file_id":"file-1"}`, `{"id":"file-1~media","object":"file"}`},
		{"POST", "/v1/batches/batch_1~media/cancel", "", "POST /v1/batches/batch_1/cancel ", `{"id":"file-1~media","object":"file"}`},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), c.method, gw.Base+c.path, strings.NewReader(c.body))
		if c.body != "" {
			req.Header.Set("content-type", "application/json")
		}
		req.Header.Set("x-signalbox-provider", "media")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || string(body) != c.want {
			t.Errorf("%s %s: got %d %s, want %s", c.method, c.path, resp.StatusCode, body, c.want)
			continue
		}
		if got := <-up.seen; got != c.sent {
			t.Errorf("%s %s: the provider got %q, want %q", c.method, c.path, got, c.sent)
		}
	}
}
