package e2e

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// threePaths routes one model over each path. Behaviours are the mock's.
func threePaths(url, behaviour string) string {
	return fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
routes:
  - { name: direct, match: { models: [direct] }, targets: [%[2]q] }
  - { name: watched, match: { models: [watched] }, targets: [%[2]q, a/404], failover: { error_bodies: true } }
  - { name: worked, match: { models: [worked] }, targets: [%[3]q] }
limits: { answer: 4MiB }
`, url, "a/"+behaviour, "claude/"+behaviour)
}

var pathModels = []string{"direct", "watched", "worked"}

func TestHTTP2ByPriorKnowledge(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, threePaths(a.url, "echo"))
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &p, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr, Timeout: time.Minute}
	for _, model := range pathModels {
		for _, stream := range []bool{false, true} {
			for _, trailer := range []http.Header{nil, {"X-Envoy-Max-Retries": {"smuggled"}, "X-Signalbox-Watch": {"smuggled"}}} {
				a.Clear()
				var body io.Reader = strings.NewReader(chat(model, stream))
				if trailer != nil {
					body = io.MultiReader(body) // of unknown length: trailers need it
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Base+chatPath, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("content-type", "application/json")
				req.Trailer = trailer
				res, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.ProtoMajor != 2 || res.StatusCode != 200 || !strings.Contains(string(b), "Hello") {
					t.Errorf("%s, stream %v: %s %s, %v: %s", model, stream, res.Proto, res.Status, err, b)
				}
				checkSeen(t, model, a, "1")
			}
		}
	}
}

func TestBodiesOfUnknownLengthAndContinue(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, threePaths(a.url, "echo"))
	for _, model := range pathModels {
		a.Clear()
		body := chat(model, false)
		chunks := ""
		for i := 0; i < len(body); i += 7 {
			piece := body[i:min(len(body), i+7)]
			chunks += fmt.Sprintf("%x;extension=1\r\n%s\r\n", len(piece), piece)
		}
		got := exchangeRaw(t, s.Base, "POST "+chatPath+" HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n"+jsonType+"\r\n"+chunks+"0\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "Hello") {
			t.Errorf("%s, chunked: got %s", model, got)
		}
		expectContinue(t, s, model, body)
		for i, r := range a.Journal() {
			if cl := r.Header.Get("Content-Length"); cl != fmt.Sprint(len(r.Body)) || r.Header.Get("Expect") != "" || field(t, string(r.Body), "model") != "echo" {
				t.Errorf("%s: request %d came with content-length %q, expect %q: %s", model, i, cl, r.Header.Get("Expect"), r.Body)
			}
		}
		if n := len(a.Journal()); n != 2 {
			t.Errorf("%s: the provider got %d requests, want 2", model, n)
		}
	}
}

// expectContinue sends the body only after the interim answer.
func expectContinue(t *testing.T, s *stack.Stack, model, body string) {
	t.Helper()
	c, in := dial(t, s)
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: %d\r\n%s\r\n", chatPath, len(body), jsonType)
	line, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%s: got %q, %v, want 100 Continue", model, line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, body)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || !strings.Contains(string(b), "Hello") {
		t.Errorf("%s: got %s, %v: %s", model, res.Status, err, b)
	}
}

func dial(t *testing.T, s *stack.Stack) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(s.Base, "http://"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c, bufio.NewReader(c)
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, threePaths(a.url, "echo"))
	c, in := dial(t, s)
	const n = 30
	var all strings.Builder
	for i := range n {
		body := strings.Replace(chat(pathModels[i%3], i%2 == 0), "Hello", fmt.Sprintf("number-%d.", i), 1)
		if i%5 == 4 { // a bad request must not end or shift the others
			body = `{"model":"nope","messages":[{"role":"user","content":"x"}]}`
		}
		fmt.Fprintf(&all, "POST %s HTTP/1.1\r\nhost: x\r\n%scontent-length: %d\r\n\r\n%s", chatPath, jsonType, len(body), body)
	}
	if _, err := io.WriteString(c, all.String()); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		want, text := 200, fmt.Sprintf("number-%d.", i)
		if i%5 == 4 {
			want, text = 404, "nope"
		}
		if err != nil || res.StatusCode != want || !strings.Contains(string(b), text) {
			t.Errorf("answer %d: got %s, %v: %s", i, res.Status, err, b)
		}
	}
}

func TestHeadersOverTheLimitsAreRefusedInTheDialect(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\n", a.url))
	for name, headers := range map[string]string{
		"one header of 61 KiB":  "x-big: " + strings.Repeat("x", 61<<10) + "\r\n",
		"many that make 61 KiB": strings.Repeat("x-part: "+strings.Repeat("x", 1000)+"\r\n", 61),
		"more than 100":         strings.Repeat("x-many: 1\r\n", 101),
	} {
		for path, body := range map[string]string{chatPath: chat("a/echo", false), messagePath: message("a/echo", false)} {
			got := exchangeRaw(t, s.Base, raw("POST", path, jsonType+headers, body))
			_, doc, _ := strings.Cut(got, "\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 431 ") || field(t, doc, "error", "message") == "" {
				t.Errorf("%s, %s: got %.600s", name, path, got)
			}
			// Envoy may refuse before it has read the path; then it cannot know that the dialect is messages.
		}
	}
	for name, headers := range map[string]string{
		"59 KiB":     "x-big: " + strings.Repeat("x", 58<<10) + "\r\n",
		"80 headers": strings.Repeat("x-many: 1\r\n", 80), // what Envoy and the service add must fit below 100 too
	} {
		if got := exchangeRaw(t, s.Base, raw("POST", chatPath, jsonType+headers, chat("a/echo", false))); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%s: got %.600s", name, got)
		}
	}
	if n := len(a.Journal()); n != 2 {
		t.Errorf("the provider got %d requests, want 2", n)
	}
}

func TestAnAuthorizationSentTwiceIsNotGuessedAt(t *testing.T) {
	a := newProvider(t, "a")
	const key, other = "client-key-one-5511", "client-key-two-7722"
	hash := strings.TrimSpace(stack.OutputOf(t, key, stack.Binary(t), "keys", "hash"))
	s := stack.Up(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\nkeys: [ { name: app, hash: \"%s\" } ]\n", a.url, hash))
	for _, pair := range [][2]string{{key, other}, {other, key}} {
		headers := fmt.Sprintf("authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n", pair[0], pair[1])
		got := exchangeRaw(t, s.Base, raw("POST", chatPath, jsonType+headers, chat("a/echo", false)))
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") && !strings.HasPrefix(got, "HTTP/1.1 401 ") || !strings.Contains(got, `"error"`) {
			t.Errorf("got %s", got)
		}
	}
	if n := len(a.Journal()); n != 0 {
		t.Errorf("the provider got %d requests", n)
	}
	for _, secret := range []string{key, other} {
		if strings.Contains(s.Log(), secret) {
			t.Error("a key is in the log")
		}
	}
}

func TestCompressedAnswers(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, threePaths(a.url, "gzip+echo"))
	for _, model := range pathModels {
		for _, body := range []string{chat(model, false), chat(model, true), asked(model)} {
			got := post(t, s.Base+chatPath, body, "accept-encoding: gzip, br, zstd")
			text, err := inflated(got)
			if err != nil || got.status != 200 || !strings.Contains(text, "Hello") {
				t.Errorf("%s: status %d, content-encoding %q, %v, %v: %.300q", model, got.status, got.header.Get("content-encoding"), err, got.err, got.body)
			}
			if strings.Contains(body, `"stream":true`) && !strings.Contains(text, "[DONE]") {
				t.Errorf("%s: the stream is not whole: %.300q", model, text)
			}
		}
		for _, r := range a.Journal() {
			if e := r.Header.Get("Accept-Encoding"); e != "" && e != "identity" {
				t.Errorf("%s: the provider was offered %q", model, e)
			}
		}
	}
}

// A small answer that inflates to 64 MiB is refused where the service reads it, and passes unread where not.
func TestACompressedAnswerCannotFillTheService(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, threePaths(a.url, "bomb"))
	for _, stream := range []bool{false, true} {
		for _, model := range pathModels {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			got, err := send(ctx, s.Base+chatPath, chat(model, stream))
			cancel()
			if err != nil {
				t.Fatalf("%s: %v", model, err)
			}
			if len(got.body) > 8<<20 {
				t.Errorf("%s, stream %v: %d bytes reached the client", model, stream, len(got.body))
			}
			if model == "worked" && !stream && (got.status < 500 || field(t, got.body, "error", "message") == "") {
				t.Errorf("worked: got status %d: %.300q", got.status, got.body)
			}
		}
	}
	post(t, s.Base+chatPath, chat("nope", false)).want(t, 404, "nope")
}

// inflated returns the text of an answer, compressed or not.
func inflated(a answer) (string, error) {
	switch a.header.Get("content-encoding") {
	case "", "identity":
		return a.body, nil
	case "gzip":
		z, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(z)
		return string(b), err
	default:
		return "", fmt.Errorf("content-encoding %q", a.header.Get("content-encoding"))
	}
}
