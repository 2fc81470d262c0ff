package shadow_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/experiment/shadow"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// rig is a sender with an Envoy in its place.
type rig struct {
	*shadow.Sender
	t      *testing.T
	passes *pass.Issuer
	who    auth.Identity

	mu      sync.Mutex
	results map[string]int
	held    int64
	now     time.Time
}

func newRig(t *testing.T, h http.HandlerFunc) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &rig{t: t, passes: pass.New(secret.Value{}), results: map[string]int{}, now: time.Unix(1_800_000_000, 0)}
	r.who, _ = auth.Open(auth.Options{}).Assume("")
	socket := filepath.Join(dir, "own.sock")
	if h != nil {
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close() })
	}
	r.Sender = shadow.New(shadow.Params{
		Socket: socket, Passes: r.passes,
		Count: func(arm string, res shadow.Result) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.results[arm+" "+string(res)]++
		},
		Held: func(n int64) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.held = n
		},
		Now: func() time.Time {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.now
		},
	})
	return r
}

// run sends until the test ends.
func (r *rig) run() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	r.t.Cleanup(func() {
		stop()
		<-done
	})
}

// want waits for results.
func (r *rig) want(want map[string]int) {
	r.t.Helper()
	var d string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		d = cmp.Diff(want, r.results)
		r.mu.Unlock()
		if d == "" {
			return
		}
	}
	r.t.Fatalf("-want +got\n%s", d)
}

func (r *rig) copyOf(arm, body string) *shadow.Copy {
	return &shadow.Copy{Arm: arm, Exchange: "acme/1", Method: "POST", Path: "/v1/chat/completions?a=b", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Who: r.who}
}

func TestACopyIsSentAsItWas(t *testing.T) {
	var r *rig
	got := make(chan string, 1)
	r = newRig(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		who, about, err := r.passes.Check(req.Header.Get(pass.Header), r.now)
		a, ok := shadow.ReadAbout(about)
		got <- fmt.Sprintln(req.Method, req.RequestURI, req.Header.Get("content-type"), string(body), who.Name(), a, ok, err)
	})
	r.run()
	r.Offer(r.copyOf("x/b", "hello"))
	r.want(map[string]int{"x/b answered": 1})
	if got, want := <-got, "POST /v1/chat/completions?a=b application/json hello anonymous x/b\nacme/1 true <nil>\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if r.held != 0 {
		t.Errorf("%d bytes are still held", r.held)
	}
}

func TestWhatIsSpentRests(t *testing.T) {
	asked := 0
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		asked++
		w.Header().Set("x-should-retry", "false")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	r.run()
	r.Offer(r.copyOf("x/b", "1"))
	r.want(map[string]int{"x/b spent": 1})
	r.Offer(r.copyOf("x/b", "2"))
	r.want(map[string]int{"x/b spent": 2})
	if r.Admit("x/b", 1) {
		t.Error("a copy is made of what cannot be sent")
	}
	if asked != 1 {
		t.Errorf("it was asked for %d times", asked)
	}
	for _, c := range []struct{ arms, want []string }{{[]string{"x/b", "x/c", "x/d"}, []string{"x/c", "x/d"}}, {[]string{"x/c", "x/b"}, []string{"x/c"}}, {[]string{"x/b"}, nil}} {
		if d := cmp.Diff(c.want, r.Admitted(c.arms, 1, true)); d != "" {
			t.Errorf("of %v -want +got\n%s", c.arms, d)
		}
	}
	r.want(map[string]int{"x/b spent": 6})
	if got := r.Admitted([]string{"x/b", "x/c"}, 1, false); got != nil {
		t.Errorf("what cannot be repeated is sent to %v", got)
	}
	r.want(map[string]int{"x/b spent": 6, "x/b stateful": 1, "x/c stateful": 1})
	r.mu.Lock()
	r.now = r.now.Add(30 * time.Second)
	r.mu.Unlock()
	if !r.Admit("x/b", 1) {
		t.Error("it rests for ever")
	}
}

func TestWhatHasNoAnswerFailed(t *testing.T) {
	r := newRig(t, nil) // no Envoy listens
	r.run()
	r.Offer(r.copyOf("x/b", "1"))
	r.want(map[string]int{"x/b failed": 1})
	slow := newRig(t, func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	slow.run()
	c := slow.copyOf("x/b", "1")
	c.Timeout = 20 * time.Millisecond
	slow.Offer(c)
	slow.want(map[string]int{"x/b failed": 1})
}

func TestMemoryIsBounded(t *testing.T) {
	r := newRig(t, nil) // nothing is sent
	big := make([]byte, shadow.MostBody)
	if r.Admit("x/b", len(big)+1) || !r.Admit("x/b", len(big)) {
		t.Error("the bound of a body")
	}
	const fit = 16
	for range fit + 3 {
		c := r.copyOf("x/b", "")
		c.Body = big
		r.Offer(c)
	}
	r.want(map[string]int{"x/b too_large": 1, "x/b full": 3})
	if r.held != fit*shadow.MostBody || r.Admit("x/b", 1) {
		t.Errorf("%d bytes are held", r.held)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	r := newRig(t, nil)
	for range 1100 {
		r.Offer(r.copyOf("x/b", "1"))
	}
	r.want(map[string]int{"x/b full": 1100 - 1024})
	if r.Admit("x/b", 1) {
		t.Error("a full queue admits")
	}
}

func TestNoSenderAdmitsNothing(t *testing.T) {
	var s *shadow.Sender
	if s.Admit("x/b", 1) {
		t.Error("nobody admits")
	}
	s.Run(context.Background())
	s.Admitted([]string{"x/b"}, 1, true)
}
