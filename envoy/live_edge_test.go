package envoy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/signalbox-ai/signalbox/envoy"
)

// raw sends bytes and returns the head and body of the answer.
func (r *rig) raw(request string) string {
	r.t.Helper()
	c, err := net.DialTimeout("tcp", r.spec.Listen, patience)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		r.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "closed: " + err.Error()
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return fmt.Sprintf("%d %s %s", res.StatusCode, res.Header.Get("location"), b)
}

func TestBadRequestsAreRefusedAtTheEdge(t *testing.T) {
	t.Parallel()
	r, _, good := two(t, nil)
	const end = "\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
	line := "POST /v1/messages HTTP/1.1\r\nhost: h"
	for _, tt := range []struct {
		name, request, want string
	}{
		{"a header with an underscore", line + "\r\nx_signalbox_watch: 0" + end, `400 `},
		{"too many headers", line + strings.Repeat("\r\nx-a: b", 140) + end, `431 `},
		{"a head of 61 KiB", line + "\r\nx-a: " + strings.Repeat("a", 61<<10) + end, `431 `},
		{"content-length and transfer-encoding", line + "\r\ntransfer-encoding: chunked" + end, `400 `},
		{"an upgrade", line + "\r\nupgrade: websocket\r\nconnection: upgrade" + "\r\ncontent-length: 2\r\n\r\n{}", `403 `},
		{"no HTTP", "\x16\x03\x01\x00\r\n\r\n", `400 `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := r.raw(tt.request)
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %s, want %s…", got, tt.want)
			}
			if strings.HasPrefix(got, "4") && !strings.Contains(got, `{"error":{`) {
				t.Errorf("the body is no error document: %s", got)
			}
		})
	}
	if n := len(good.requests()); n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
}

func TestEscapesWithinAPathStayAsTheyAre(t *testing.T) {
	t.Parallel()
	r, _, _ := two(t, nil)
	const plan = `{"plan":["good"],"watch":"0"}`
	for _, path := range []string{
		"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-v1%3a0/converse",
		"/v1%2Fmessages",
	} {
		got := r.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s", path, len(plan), plan))
		if !strings.HasPrefix(got, "200  ") {
			t.Errorf("%s: got %s, want no redirection", path, got)
		}
	}
}

func TestTheEdgeSpeaksHTTP2(t *testing.T) {
	t.Parallel()
	r, _, _ := two(t, nil)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr, Timeout: patience}).Post(r.url("/v1/messages"), "application/json", strings.NewReader(`{"plan":["good"],"watch":"0"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 || res.StatusCode != 200 {
		t.Errorf("got %s %s", res.Proto, res.Status)
	}
}

func TestTheAdminPageIsOnItsSocketOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	r, _, _ := two(t, nil)
	if err := r.child.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	st, err := os.Stat(strings.TrimPrefix(r.spec.Admin, "unix:"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v (%v), want 0600", st.Mode(), err)
	}
	got := listening(t, r.child.Pid())
	_, port, _ := net.SplitHostPort(r.spec.Listen)
	var p int
	_, _ = fmt.Sscan(port, &p)
	if want := fmt.Sprintf("0100007F:%04X", p); len(got) != 1 || !got[want] {
		t.Errorf("Envoy listens on %v, want %s alone", got, want)
	}
}

// listening returns the TCP addresses on which a process listens, as /proc writes them.
func listening(t *testing.T, pid int) map[string]bool {
	t.Helper()
	inodes := map[string]bool{}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if l, err := os.Readlink(fd); err == nil && strings.HasPrefix(l, "socket:[") {
			inodes[strings.Trim(l, "socket:[]")] = true
		}
	}
	addresses := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && inodes[f[9]] {
				addresses[f[1]] = true
			}
		}
	}
	return addresses
}

func TestTheIdleTimerIsTheOneThatThePlanNames(t *testing.T) {
	t.Parallel()
	stall := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "last")
	})
	u, _ := upstream(t, "slow", stall)
	r := start(t, func(s *envoy.Spec) {
		s.Providers = []envoy.Upstream{u}
		s.Deadlines.Idle = []time.Duration{100 * time.Millisecond, 20 * time.Second}
	})
	for idle, whole := range map[string]bool{"100": false, "20000": true, "": true} {
		a, err := r.try("/v1/messages", strings.NewReader(fmt.Sprintf(`{"plan":["slow"],"watch":"0","idle":%q}`, idle)))
		if got := err == nil && a.body == "first last"; got != whole {
			t.Errorf("idle %q: got %q, %v; want whole: %v", idle, a.body, err, whole)
		}
	}
}

func TestDeadlinesOfThePlanHold(t *testing.T) {
	t.Parallel()
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	h, _ := upstream(t, "hang", hang)
	s, _ := upstream(t, "slow", slow("a", 300*time.Millisecond))
	r := start(t, func(spec *envoy.Spec) { spec.Providers = []envoy.Upstream{h, s} })
	for order, want := range map[string]string{
		`{"plan":["hang"],"watch":"0","total":"200"}`:                              `504 {"error":{"code":"timeout","message":"The model's provider did not answer in time.","param":null,"type":"server_error"}}`,
		`{"plan":["hang"],"watch":"0","try":"100","dialect":"anthropic-messages"}`: `504 {"error":{"message":"The model's provider did not answer in time.","type":"timeout_error"},"request_id":"exchange-1","type":"error"}`,
		`{"plan":["hang","slow"],"watch":"0","try":"200"}`:                         `200 a0 a1 a2 `,
		`{"plan":["hang","slow"],"watch":"1","try":"200","total":"10000"}`:         `200 a0 a1 a2 `,
	} {
		if a := r.post("/v1/chat", order); fmt.Sprintf("%d %s", a.status, strings.TrimSuffix(a.body, "\n")) != want {
			t.Errorf("%s: got %d %s, want %s", order, a.status, a.body, want)
		}
	}
	if a, err := r.try("/v1/chat", strings.NewReader(`{"plan":["slow"],"watch":"0","total":"450"}`)); err == nil || a.body == "a0 a1 a2 " {
		t.Errorf("an answer beyond its total deadline came whole: %d %q, %v", a.status, a.body, err)
	}
}

func TestConnectionsHaveALimit(t *testing.T) {
	t.Parallel()
	p, _ := upstream(t, "one", &recorder{})
	r := start(t, func(s *envoy.Spec) {
		s.Providers = []envoy.Upstream{p}
		s.Limits.Connections = 2
	})
	open := func() net.Conn {
		c, err := net.DialTimeout("tcp", r.spec.Listen, patience)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	served := func(c net.Conn) bool {
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, "POST /v1/messages HTTP/1.1\r\nhost: h\r\ncontent-length: 29\r\n\r\n"+`{"plan":["one"],"watch":"0"} `); err != nil {
			return false
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err == nil && res.Body.Close() == nil && res.StatusCode == 200
	}
	a, b := open(), open()
	defer a.Close()
	if !served(a) || !served(b) {
		t.Fatal("the first two are not served")
	}
	if c := open(); served(c) {
		t.Error("a third connection was served")
	}
	_ = b.Close()
	eventually(t, "there is room again", func() error {
		c := open()
		defer c.Close()
		if !served(c) {
			return errors.New("not served")
		}
		return nil
	})
}

func TestSlowRequestsAreEnded(t *testing.T) {
	t.Parallel()
	p, _ := upstream(t, "slow", slow("a", 300*time.Millisecond))
	r := start(t, func(s *envoy.Spec) {
		s.Providers = []envoy.Upstream{p}
		s.Deadlines.Request = 400 * time.Millisecond
	})
	for request, want := range map[string]string{
		"POST /v1/messages HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{":         `408  {"error":{"message":"The request did not arrive in time.","type":"timeout_error"},"request_id":`,
		"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{": `408  {"error":{"code":"request_timeout","message":"The request did not arrive in time.","param":null,"type":"timeout_error"}}`,
		"POST /v1/messages HTTP/1.1\r\nhost":                                          `408  `,
	} {
		if got := r.raw(request); !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", request, got, want)
		}
	}
	if a := r.post("/v1/messages", `{"plan":["slow"],"watch":"0"}`); a.body != "a0 a1 a2 " {
		t.Errorf("an answer that takes longer: got %d %s", a.status, a.body)
	}
}

func TestAServiceThatDrainsKeepsItsStreams(t *testing.T) {
	t.Parallel()
	r, _, _ := two(t, nil)
	hold := make(chan struct{})
	r.service.mu.Lock()
	r.service.hold = hold
	r.service.mu.Unlock()
	type result struct {
		a   answer
		err error
	}
	done := make(chan result, 1)
	go func() {
		a, err := r.try("/v1/messages", strings.NewReader(`{"plan":["good"],"watch":"1"}`))
		done <- result{a, err}
	}()
	eventually(t, "the answer is held", func() error {
		r.service.mu.Lock()
		defer r.service.mu.Unlock()
		if len(r.service.attempts) == 0 {
			return errors.New("no attempt yet")
		}
		return nil
	})
	r.health.Shutdown()
	eventually(t, "new requests are refused", func() error {
		if a := r.post("/v1/messages", `{"plan":["good"],"watch":"0"}`); a.status != 503 {
			return fmt.Errorf("got %d", a.status)
		}
		return nil
	})
	close(hold)
	if got := <-done; got.err != nil || got.a.status != 200 {
		t.Errorf("the held answer: got %d %s, %v", got.a.status, got.a.body, got.err)
	}
	eventually(t, "its log entry still comes", func() error {
		_, es := r.service.take()
		for _, e := range es {
			if e.log == "request" && e.GetResponse().GetResponseCode().GetValue() == 200 {
				return nil
			}
		}
		return errors.New("not yet")
	})
	r.health.Resume()
	r.health.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	eventually(t, "the service is back", func() error {
		if a := r.post("/v1/messages", `{"plan":["good"],"watch":"0"}`); a.status != 200 {
			return fmt.Errorf("got %d", a.status)
		}
		return nil
	})
}

func TestDrainTellsClientsToGo(t *testing.T) {
	t.Parallel()
	r, _, _ := two(t, nil)
	if err := r.child.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "answers close their connection", func() error {
		res, err := http.Post(r.url("/v1/messages"), "application/json", strings.NewReader(`{"plan":["good"],"watch":"0"}`))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != 200 || !res.Close {
			return fmt.Errorf("got %s, close %v", res.Status, res.Close)
		}
		return nil
	})
}
