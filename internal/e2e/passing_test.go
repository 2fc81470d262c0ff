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
		{"GET", "/v1/files?after=file-0~media&limit=1", "", "GET /v1/files?after=file-0&limit=1 ", `{"id":"file-1~media","object":"file"}`},
		{"GET", "/v1/responses/file-1?include[]=x", "", "GET /v1/responses/file-1?include[]=x ", `{"id":"file-1","object":"file"}`},
		{"GET", "/v1/responses/file-1~media/input_items", "", "GET /v1/responses/file-1/input_items ", `{"id":"file-1","object":"file"}`},
		{"POST", "/v1/responses/file-1/cancel", "", "POST /v1/responses/file-1/cancel ", `{"id":"file-1","object":"file"}`},
		{"DELETE", "/v1/responses/file-1", "", "DELETE /v1/responses/file-1 ", `{"id":"file-1","object":"file"}`},
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

// TestMessageBatchesPass proves Anthropic's batches and files, with a body, a form and without either.
func TestMessageBatchesPass(t *testing.T) {
	seen := make(chan string, 16)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-api-key") != "sk-media" || r.Header.Get("anthropic-version") == "" || r.Header.Get("authorization") != "" {
			t.Errorf("%s %s: %v", r.Method, r.URL, r.Header)
		}
		body, _ := io.ReadAll(r.Body)
		seen <- r.Method + " " + r.URL.String() + " " + string(body)
		switch {
		case strings.HasSuffix(r.URL.Path, "/results"):
			w.Header().Set("content-type", "application/x-jsonl")
			_, _ = io.WriteString(w, "{\"custom_id\":\"a\",\"result\":{\"type\":\"expired\"}}\n")
		case strings.HasPrefix(r.URL.Path, "/v1/messages/batches"):
			w.Header().Set("content-type", "application/json")
			_, _ = io.WriteString(w, `{"id":"msgbatch_1","type":"message_batch","results_url":"https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"}`)
		case r.URL.Path == "/v1/files/gone":
			w.Header().Set("content-type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"type":"error","error":{"type":"not_found_error","message":"gone"}}`)
		default:
			w.Header().Set("content-type", "application/json")
			_, _ = io.WriteString(w, `{"id":"file_1","type":"file"}`)
		}
	}))
	defer up.Close()
	t.Setenv("MEDIA_KEY", "sk-media")
	gw := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: oai, kind: openai, base_url: "http://127.0.0.1:9/v1", key: env:MEDIA_KEY }
  - { name: claude, kind: anthropic, base_url: "%s", key: env:MEDIA_KEY }
routes:
  - { name: all, match: { models: [x] }, targets: [oai/x, claude/x] }
`, up.URL))
	const (
		batch = `{"id":"msgbatch_1~claude","type":"message_batch","results_url":"/v1/messages/batches/msgbatch_1~claude/results"}`
		file  = `{"id":"file_1~claude","type":"file"}`
		form  = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\ntext\r\n--b--\r\n"
	)
	for _, c := range []struct {
		method, path, body, sent string
		status                   int
		want                     string
	}{
		{"POST", "/v1/messages/batches", `{"requests":[]}`, `POST /v1/messages/batches {"requests":[]}`, 200, batch},
		{"GET", "/v1/messages/batches/msgbatch_1~claude", "", "GET /v1/messages/batches/msgbatch_1 ", 200, batch},
		{"POST", "/v1/messages/batches/msgbatch_1~claude/cancel", "", "POST /v1/messages/batches/msgbatch_1/cancel ", 200, batch},
		{"GET", "/v1/messages/batches/msgbatch_1~claude/results", "", "GET /v1/messages/batches/msgbatch_1/results ", 200, "{\"custom_id\":\"a\",\"result\":{\"type\":\"expired\"}}\n"},
		{"POST", "/v1/files", form, "POST /v1/files " + form, 200, file},
		{"DELETE", "/v1/files/file_1~claude", "", "DELETE /v1/files/file_1 ", 200, file},
		{"GET", "/v1/files/gone", "", "GET /v1/files/gone ", 404, `{"type":"error","error":{"type":"not_found_error","message":"gone"}}`},
		{"GET", "/v1/files/file_1~oai", "", "", 404, `"type":"not_found_error"`},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), c.method, gw.Base+c.path, strings.NewReader(c.body))
		req.Header.Set("anthropic-version", "2023-06-01")
		if c.body == form {
			req.Header.Set("content-type", "multipart/form-data; boundary=b")
		} else if c.body != "" {
			req.Header.Set("content-type", "application/json")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.path, resp.StatusCode, body, c.status, c.want)
			continue
		}
		if c.sent == "" {
			continue
		}
		if got := <-seen; got != c.sent {
			t.Errorf("%s %s: the provider got %q, want %q", c.method, c.path, got, c.sent)
		}
	}
}
