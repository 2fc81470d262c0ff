package envoy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/envoy"
)

// slow answers in three parts.
func slow(name string, gap time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "%s%d ", name, i)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(gap)
		}
	})
}

// load sends requests for one plan until stop, and counts answers by their text.
func (r *rig) load(ctx context.Context, wg *sync.WaitGroup, order string, note func(string)) {
	wg.Go(func() {
		for ctx.Err() == nil {
			a, err := r.try("/v1/messages", strings.NewReader(order))
			if err != nil {
				note("error: " + err.Error())
				continue
			}
			note(fmt.Sprintf("%d %s", a.status, a.body))
		}
	})
}

// tally counts answers by their text.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *tally) note(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[s]++
}

func (c *tally) of(s string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[s]
}

// more waits for ten more answers.
func (c *tally) more(t *testing.T, s string) {
	t.Helper()
	before := c.of(s)
	eventually(t, "answers "+s, func() error {
		if n := c.of(s) - before; n < 10 {
			return fmt.Errorf("%d of them", n)
		}
		return nil
	})
}

func TestProvidersComeChangeAndGoUnderLoad(t *testing.T) {
	t.Parallel()
	one, _ := upstream(t, "one", slow("one", 30*time.Millisecond))
	two, _ := upstream(t, "two", slow("two", 30*time.Millisecond))
	moved, _ := upstream(t, "one", slow("moved", 30*time.Millisecond))
	r := start(t, func(s *envoy.Spec) { s.Providers = []envoy.Upstream{one} })
	apply := func(version string, ps ...envoy.Upstream) {
		r.spec.Providers = ps
		r.set(version)
		r.acked(version)
	}
	const fromOne, fromTwo, fromMoved = "200 one0 one1 one2 ", "200 two0 two1 two2 ", "200 moved0 moved1 moved2 "
	got := &tally{counts: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	ctx2, stop2 := context.WithCancel(ctx)
	var wg, wg2 sync.WaitGroup
	defer func() { stop(); stop2(); wg.Wait(); wg2.Wait() }()

	for range 6 {
		r.load(ctx, &wg, `{"plan":["one"],"watch":"0"}`, got.note)
	}
	got.more(t, fromOne)
	apply("2", one, two) // one comes
	for range 3 {
		r.load(ctx2, &wg2, `{"plan":["two"],"watch":"0"}`, got.note)
	}
	got.more(t, fromTwo)
	apply("3", moved, two) // one changes
	got.more(t, fromMoved)
	r.spec.Deadlines.Idle = []time.Duration{time.Second} // the routes change
	r.spec.Limits.Streams = 50                           // and the listener
	apply("4", moved, two)
	got.more(t, fromMoved)
	apply("5", moved) // one goes: plans may go on with it for a while
	got.more(t, fromTwo)
	stop2()
	wg2.Wait()
	if err := r.xds.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.acked("5")
	r.gone("two.dns")
	got.more(t, fromMoved)
	stop()
	wg.Wait()
	for s, n := range got.counts {
		if s != fromOne && s != fromTwo && s != fromMoved {
			t.Errorf("%d × %s", n, s)
		}
	}
}

// gone waits until Envoy has a cluster no more.
func (r *rig) gone(cluster string) {
	r.t.Helper()
	eventually(r.t, "the cluster is gone", func() error {
		if cold, err := r.child.Cold(r.t.Context(), []string{cluster}); err != nil || len(cold) != 1 {
			return fmt.Errorf("%v %w", cold, err)
		}
		return nil
	})
}

func TestANewProviderMayBeNamedOnceItIsAcknowledged(t *testing.T) {
	t.Parallel()
	one, _ := upstream(t, "one", &recorder{})
	r := start(t, func(s *envoy.Spec) { s.Providers = []envoy.Upstream{one} })
	for i := range 10 { // before Envoy has asked for its address: the attempt moves on, the request goes on
		version := fmt.Sprintf("v%d", i)
		u := envoy.Upstream{Name: version, Host: version + ".invalid", Port: 80}
		r.spec.Providers = append(r.spec.Providers, u)
		r.set(version)
		r.acked(version)
		if a := r.post("/v1/messages", fmt.Sprintf(`{"plan":[%q,"one"],"watch":"0"}`, version)); a.status != 200 {
			t.Errorf("%s: got %d %s", version, a.status, a.body)
		}
	}
}

func TestDepartedProvidersLinger(t *testing.T) {
	t.Parallel()
	p, _ := upstream(t, "one", &recorder{})
	q, _ := upstream(t, "two", &recorder{})
	r := start(t, func(s *envoy.Spec) { s.Providers = []envoy.Upstream{p, q} })
	r.spec.Providers, r.spec.Deadlines.Linger = []envoy.Upstream{q}, time.Second
	began := time.Now()
	r.set("2")
	r.acked("2")
	if cold, err := r.child.Cold(t.Context(), []string{"one.dns", "two.dns"}); (err != nil || len(cold) > 0) && time.Since(began) < time.Second {
		t.Errorf("too early: %v, %v", cold, err)
	}
	r.gone("one.dns")
	if a := r.post("/v1/messages", `{"plan":["two"],"watch":"0"}`); a.status != 200 {
		t.Errorf("the provider that stays: got %d %s", a.status, a.body)
	}
}

func TestWhatEnvoyRefusesIsSaid(t *testing.T) {
	t.Parallel()
	p, _ := upstream(t, "one", &recorder{})
	r := start(t, func(s *envoy.Spec) { s.Providers = []envoy.Upstream{p} })
	bad := r.spec
	bad.Providers = []envoy.Upstream{p, {Name: "two", Host: "h.invalid", Port: 443, TLS: true, CAFile: "/nowhere/ca.pem"}}
	if err := r.xds.Set(t.Context(), bad, "2"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.xds.Acked(ctx, "2"); err == nil || !strings.Contains(err.Error(), "/nowhere/ca.pem") {
		t.Errorf("got %v, want Envoy's words about /nowhere/ca.pem", err)
	}
	time.Sleep(100 * time.Millisecond)
	if n := strings.Count(r.logs.String(), "config rejected"); n != 1 {
		t.Errorf("the refused configuration was sent %d times", n)
	}
	if err := r.xds.Acked(ctx, "1"); err == nil || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("got %v, want that version 1 was replaced", err)
	}
	r.set("3")
	r.acked("3")
	if a := r.post("/v1/messages", `{"plan":["one"],"watch":"0"}`); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// TestAListenerThatCannotBeIsRefusedOnce has another program on the address. Envoy then has no listener, and asks for no
// routes; it must not be told of them over and over. When the address changes it gets all of it.
func TestAListenerThatCannotBeIsRefusedOnce(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	one, _ := upstream(t, "one", &recorder{})
	r := run(t, func(s *envoy.Spec) {
		s.Listen = taken.Addr().String()
		s.Providers = []envoy.Upstream{one}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.xds.Acked(ctx, "1"); err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Fatalf("got %v", err)
	}
	time.Sleep(time.Second) // for what would come again and again: thousands
	if n := strings.Count(r.logs.String(), "Ignoring unwatched"); n > 2 {
		t.Errorf("Envoy was told of routes %d times", n)
	}
	r.spec.Listen = "127.0.0.1:" + strconv.Itoa(freePort(t))
	r.set("2")
	r.acked("2")
	if a := r.post("/v1/messages", `{"plan":["one"],"watch":"0"}`); a.status != 200 {
		t.Errorf("got %+v", a)
	}
}

func TestARestartOfTheServiceBreaksNoStream(t *testing.T) {
	t.Parallel()
	p, _ := upstream(t, "one", slow("one", 300*time.Millisecond))
	r := start(t, func(s *envoy.Spec) { s.Providers = []envoy.Upstream{p} })
	var whole atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, err := r.try("/v1/messages", strings.NewReader(`{"plan":["one"],"watch":"0"}`))
			if err == nil && a.body == "one0 one1 one2 " {
				whole.Add(1)
			} else {
				t.Errorf("got %d %s, %v", a.status, a.body, err)
			}
		})
	}
	eventually(t, "all are planned", func() error {
		r.service.mu.Lock()
		defer r.service.mu.Unlock()
		if len(r.service.plans) < 20 {
			return errors.New("not yet")
		}
		return nil
	})
	time.Sleep(100 * time.Millisecond) // the plans' answers are on their way
	r.rpc.Stop()
	r.xds.Close()
	r.xds = envoy.NewServer("signalbox") // as a new process has it
	t.Cleanup(r.xds.Close)
	r.serve()
	r.set("1")
	wg.Wait()
	r.acked("1")
	if whole.Load() != 20 {
		t.Errorf("%d of 20 streams came whole", whole.Load())
	}
	eventually(t, "requests pass again", func() error {
		if a := r.post("/v1/messages", `{"plan":["one"],"watch":"0"}`); a.status != 200 {
			return errors.New(a.body)
		}
		return nil
	})
	eventually(t, "the log entries reach the new process", func() error {
		r.service.mu.Lock()
		defer r.service.mu.Unlock()
		n := 0
		for _, e := range r.service.entries {
			if e.log == "request" && e.GetResponse().GetResponseCode().GetValue() == 200 {
				n++
			}
		}
		if n < 20 {
			return fmt.Errorf("%d entries", n)
		}
		return nil
	})
}
