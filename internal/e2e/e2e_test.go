package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/mock"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// TestMain lets many tests wait at once: those that run in parallel wait for deadlines, and hardly work.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	code := m.Run()
	stack.Clean()
	os.Exit(code)
}

// provider is a mock that listens, with its journal.
type provider struct {
	*mock.Server
	url string
}

// newProvider serves a mock on loopback. What hangs in it ends with the test.
func newProvider(t testing.TB, name string) *provider {
	t.Helper()
	m := mock.New(mock.Options{Name: name, Seed: 7, KeepAlive: 50 * time.Millisecond, Journal: 4096})
	s := httptest.NewUnstartedServer(m)
	ctx, stop := context.WithCancel(context.Background())
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Start()
	t.Cleanup(func() {
		stop()
		s.CloseClientConnections()
		s.Close()
	})
	return &provider{m, s.URL}
}

// chat returns the body of an openai-chat request.
func chat(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"Hello"}]}`, model, stream)
}

// message returns the body of an anthropic-messages request.
func message(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}`, model, stream)
}

const (
	chatPath    = "/v1/chat/completions"
	messagePath = "/v1/messages"
)

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // reading the body
	took   time.Duration
}

// post sends a JSON body. Header lines are "name: value".
func post(t testing.TB, url, body string, headers ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := send(ctx, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// client makes a connection for each request, so that tests do not wait for each other's.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
}

func send(ctx context.Context, url, body string, headers ...string) (answer, error) {
	return sendTyped(ctx, url, "application/json", body, headers...)
}

func sendTyped(ctx context.Context, url, contentType, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("content-type", contentType)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	begin := time.Now()
	res, err := client().Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = io.Copy(&b, res.Body)
	return answer{res.StatusCode, res.Header, b.String(), err, time.Since(begin)}, nil
}

// field returns a member of a JSON body by its path.
func field(t testing.TB, body string, path ...string) string {
	t.Helper()
	raw := jsonx.At([]byte(body), path...)
	if s, ok := jsonx.String(raw); ok {
		return s
	}
	return string(raw)
}

func (a answer) want(t testing.TB, status int, parts ...string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("got status %d, want %d: %s", a.status, status, a.body)
	}
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			t.Errorf("the body lacks %q: %s", p, a.body)
		}
	}
}

// get sends a request without a body.
func get(t testing.TB, url string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	res, err := client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, header: res.Header, body: string(b), err: err}
}
