package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// open starts a streamed request and returns its answer unread.
func open(ctx context.Context, url, body string) (*http.Response, error) {
	return openBy(ctx, client(), url, body)
}

// openBy does so with a client.
func openBy(ctx context.Context, c *http.Client, url, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("content-type", "application/json")
	return c.Do(req)
}

// asked makes a request whose stream takes the direct path: its client asks for usage itself.
func asked(model string) string {
	return strings.Replace(chat(model, true), `"stream"`, `"stream_options":{"include_usage":true},"stream"`, 1)
}

func TestABrokenStreamNeverLooksComplete(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: claude, kind: mock, base_url: %s, params: { speaks: [anthropic-messages] } }
routes:
  - { name: cut, match: { models: [cut] }, targets: ["a/pace:150ms+cut:3", a/echo] }
  - { name: truncate, match: { models: [truncate] }, targets: ["a/pace:150ms+truncate:3", a/echo] }
  - { name: error, match: { models: [error] }, targets: ["a/pace:150ms+error-after:3", a/echo] }
  - { name: xcut, match: { models: [xcut] }, targets: ["claude/pace:150ms+cut:3", a/echo] }
  - { name: xtruncate, match: { models: [xtruncate] }, targets: ["claude/pace:150ms+truncate:3", a/echo] }
  - { name: xerror, match: { models: [xerror] }, targets: ["claude/pace:150ms+error-after:3", a/echo] }
`, a.url, a.url))
	for _, c := range []struct {
		model, body string
		reset       bool // the connection breaks; else an error stands in the stream
	}{
		{"cut", chat("cut", true), true},
		{"cut", asked("cut"), true},
		{"error", chat("error", true), false},
		{"xcut", chat("xcut", true), true},
		{"xtruncate", chat("xtruncate", true), false},
		{"xerror", chat("xerror", true), false},
	} {
		got, err := send(context.Background(), s.Base+chatPath, c.body)
		if err != nil {
			t.Fatalf("%s: %v", c.model, err)
		}
		if strings.Contains(got.body, "[DONE]") || strings.Contains(got.body, `"finish_reason":"stop"`) {
			t.Errorf("%s: a broken stream ends as if it were whole: %s", c.model, got.body)
		}
		if c.reset && got.err == nil {
			t.Errorf("%s: the stream ended cleanly: %s", c.model, got.body)
		}
		if !c.reset && !strings.Contains(got.body, `"error"`) {
			t.Errorf("%s: no error in the stream: %s", c.model, got.body)
		}
	}
	got, err := send(context.Background(), s.Base+chatPath, asked("truncate"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got.body, "[DONE]") {
		t.Errorf("truncate: the stream got an ending that its provider did not send: %s", got.body)
	}
}

func TestAClientThatLeavesIsNoticedUpstream(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: claude, kind: mock, base_url: %s, params: { speaks: [anthropic-messages] } }
routes:
  - { name: a, match: { models: ["a/*"] }, targets: ["a/*"] }
  - { name: claude, match: { models: ["claude/*"] }, targets: ["claude/*"] }
`, a.url, a.url))
	over2 := &http.Transport{Protocols: new(http.Protocols)}
	over2.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(over2.CloseIdleConnections)
	for name, body := range map[string]string{
		"HTTP/2, before the answer": chat("a/hang", false),
		"HTTP/2, during the answer": asked("a/pace:20ms+tokens:500"),
		"HTTP/2, worked":            chat("claude/pace:20ms+tokens:500", true),
		"before the answer, direct": chat("a/hang", false),
		"before the answer, worked": chat("claude/hang", false),
		"during the answer, direct": asked("a/pace:20ms+tokens:500"),
		"during the answer, worked": chat("claude/pace:20ms+tokens:500", true),
		"during the answer, strip":  chat("a/pace:20ms+tokens:500", true),
		"before the first token":    chat("a/slow-first:30s", true),
	} {
		t.Run(name, func(t *testing.T) {
			a.Clear()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			by := client()
			if strings.HasPrefix(name, "HTTP/2") { // where only the stream ends
				by = &http.Client{Transport: over2}
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				res, err := openBy(ctx, by, s.Base+chatPath, body)
				if err != nil {
					return
				}
				defer res.Body.Close()
				for lines := bufio.NewScanner(res.Body); lines.Scan(); {
				}
			}()
			stack.Eventually(t, 30*time.Second, "the provider gets the request", func() error {
				if len(a.Journal()) == 0 {
					return fmt.Errorf("none yet")
				}
				return nil
			})
			time.Sleep(200 * time.Millisecond)
			cancel()
			<-done
			stack.Eventually(t, 30*time.Second, "the provider sees the client go", func() error {
				if j := a.Journal(); !j[len(j)-1].Aborted {
					return fmt.Errorf("not aborted")
				}
				return nil
			})
		})
	}
	stack.Eventually(t, 30*time.Second, "the exchanges are closed as aborted", func() error {
		n := 0
		for line := range strings.Lines(s.Log()) {
			if strings.Contains(line, "exchange ended") && strings.Contains(line, "ending=client_abort") {
				n++
			}
		}
		if n != 9 {
			return fmt.Errorf("%d of 9", n)
		}
		return nil
	})
}

func TestTwoHundredStreamsAtOnce(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: claude, kind: mock, base_url: %s, params: { speaks: [anthropic-messages] } }
`, a.url, a.url))
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			body := []string{asked("a/pace:10ms+tokens:100"), chat("a/pace:10ms+tokens:100", true), chat("claude/pace:10ms+tokens:100", true)}[i%3]
			got, err := send(context.Background(), s.Base+chatPath, body)
			if err != nil {
				t.Error(err)
				return
			}
			if got.status != 200 || got.err != nil || !strings.Contains(got.body, "[DONE]") || strings.Count(got.body, `"delta":{"content"`) < 100 {
				t.Errorf("stream %d: status %d, error %v, %d bytes", i, got.status, got.err, len(got.body))
			}
		})
	}
	wg.Wait()
}

// endless serves streams of openai-chat that go on until they are released, and then end whole, with usage.
func endless(t *testing.T) (url string, release func()) {
	t.Helper()
	ended := make(chan struct{})
	release = sync.OnceFunc(func() { close(ended) })
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const chunk = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[%s]%s}` + "\n\n"
		w.Header().Set("content-type", "text/event-stream")
		out := http.NewResponseController(w)
		for {
			fmt.Fprintf(w, chunk, `{"index":0,"delta":{"role":"assistant","content":"on "},"finish_reason":null}`, "")
			_ = out.Flush()
			select {
			case <-time.After(20 * time.Millisecond):
				continue
			case <-r.Context().Done():
				return
			case <-ended:
			}
			break
		}
		fmt.Fprintf(w, chunk, `{"index":0,"delta":{},"finish_reason":"stop"}`, "")
		fmt.Fprintf(w, chunk, "", `,"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`)
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}))
	t.Cleanup(func() {
		release()
		p.CloseClientConnections()
		p.Close()
	})
	return p.URL, release
}

// isAsked waits until Envoy asks the new process of the service.
func isAsked(t *testing.T, s *stack.Stack) {
	t.Helper()
	stack.Eventually(t, 30*time.Second, "Envoy asks the new process", func() error {
		if got, err := send(context.Background(), s.Base+chatPath, chat("none/such", false)); err != nil || got.status != http.StatusNotFound {
			return fmt.Errorf("status %d, %v", got.status, err)
		}
		return nil
	})
}

func TestAServiceThatDiesBreaksNoDirectStream(t *testing.T) {
	url, release := endless(t)
	s := stack.Apart(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\n", url))
	const streams = 50
	var wg sync.WaitGroup
	begun := make(chan struct{}, streams)
	for i := range streams {
		wg.Go(func() {
			res, err := open(context.Background(), s.Base+chatPath, asked("a/any"))
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
				begun <- struct{}{}
				return
			}
			defer res.Body.Close()
			lines := bufio.NewScanner(res.Body)
			n, whole := 0, false
			for lines.Scan() {
				if n++; n == 3 {
					begun <- struct{}{}
				}
				whole = whole || lines.Text() == "data: [DONE]"
			}
			if n < 3 {
				begun <- struct{}{}
			}
			if !whole || lines.Err() != nil {
				t.Errorf("stream %d ended after %d lines: %v", i, n, lines.Err())
			}
		})
	}
	for range streams {
		<-begun
	}
	s.Service().Kill()
	time.Sleep(200 * time.Millisecond) // of which the streams take no notice
	s.Serve()
	isAsked(t, s)
	release()
	wg.Wait()
	stack.Eventually(t, 30*time.Second, "the new process closes the streams of the old one", func() error {
		if n := strings.Count(s.Log(), "exchange ended"); n < streams {
			return fmt.Errorf("%d of %d", n, streams)
		}
		return nil
	})
	if n := strings.Count(s.Log(), "usage_from=envoy"); n < streams {
		t.Errorf("got the usage of %d streams, want %d", n, streams)
	}
}

func TestWhileTheServiceIsAwayRequestsFailClosed(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Apart(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\n", a.url))
	stop := make(chan struct{})
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
				got, err := send(context.Background(), s.Base+chatPath, chat("a/echo", false), "authorization: Bearer client-secret")
				if err != nil {
					continue // the connection was refused for another reason; counted as nothing
				}
				mu.Lock()
				statuses[got.status]++
				mu.Unlock()
				if got.status != 200 && (got.status != 503 || field(t, got.body, "error", "type") == "") {
					t.Errorf("got status %d while the service was away: %s", got.status, got.body)
				}
			}
		})
	}
	seen := func(status, least int) {
		stack.Eventually(t, 30*time.Second, fmt.Sprintf("%d requests are answered %d", least, status), func() error {
			mu.Lock()
			defer mu.Unlock()
			if n := statuses[status]; n < least {
				return fmt.Errorf("%d of %d: %v", n, least, statuses)
			}
			return nil
		})
	}
	seen(200, 10)
	s.Service().Kill()
	seen(503, 20)
	s.Serve()
	stack.Eventually(t, 30*time.Second, "requests are served again", func() error {
		got, err := send(context.Background(), s.Base+chatPath, chat("a/echo", false))
		if err != nil || got.status != 200 {
			return fmt.Errorf("status %d, %v", got.status, err)
		}
		return nil
	})
	mu.Lock()
	before := statuses[200]
	mu.Unlock()
	seen(200, before+20)
	close(stop)
	wg.Wait()
	for _, r := range a.Journal() {
		if strings.Contains(r.Header.Get("Authorization"), "client-secret") {
			t.Fatal("a client's credential reached the provider")
		}
	}
}

func TestAnAttemptOfAnEarlierProcessIsServedFromItsTicket(t *testing.T) {
	b := newProvider(t, "b")
	asks, fails := make(chan struct{}), make(chan struct{})
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asks)
		<-fails
		w.WriteHeader(http.StatusInternalServerError)
	}))
	fail := sync.OnceFunc(func() { close(fails) })
	t.Cleanup(func() { fail(); a.Close() })
	s := stack.Apart(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: b, kind: mock, base_url: %s, params: { speaks: [anthropic-messages] } }
routes:
  - { name: r, match: { models: [r] }, targets: [a/any, b/echo] }
`, a.URL, b.url))
	got := make(chan answer, 1)
	go func() {
		r, err := send(context.Background(), s.Base+chatPath, chat("r", false))
		if err != nil {
			t.Error(err)
		}
		got <- r
	}()
	<-asks
	s.Service().Kill()
	s.Serve()
	isAsked(t, s)
	fail()
	r := <-got
	r.want(t, 200, "Hello")
	if n := len(b.Journal()); n != 1 {
		t.Errorf("the second provider got %d requests, want 1", n)
	}
}
