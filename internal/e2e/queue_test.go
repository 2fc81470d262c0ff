package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/mock"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// queueYAML has routes of each class to a provider, and one whose clients may lower theirs.
func queueYAML(url, limits, queue string) string {
	return fmt.Sprintf(`
providers: [{ name: a, kind: mock, base_url: %s, limits: { %s } }]
queue: { %s }
defaults: { answer_headers: true }
routes:
  - { name: critical, match: { models: [critical] }, targets: ["a/slow:150ms+echo"], priority: critical }
  - { name: normal, match: { models: [normal] }, targets: ["a/slow:150ms+echo"], client_headers: { priority: true } }
  - { name: batch, match: { models: [batch] }, targets: ["a/slow:150ms+echo"], priority: batch }
  - { name: fast, match: { models: [fast] }, targets: [a/echo] }
`, url, limits, queue)
}

// many sends n requests at once.
func many(t *testing.T, n int, url, body string, headers ...string) []answer {
	t.Helper()
	out := make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			if out[i], err = send(context.Background(), url, body, headers...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return out
}

func TestWhatIsOverALimitWaits(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	s := stack.Up(t, queueYAML(a.url, "requests_per_minute: 600", "wait: 30s"))
	begin, waited := time.Now(), 0
	for _, got := range many(t, 64, s.Base+chatPath, chat("fast", false)) {
		got.want(t, 200)
		if ms, err := strconv.Atoi(got.header.Get("x-signalbox-waited-ms")); err == nil && ms > 0 {
			waited++
		}
	}
	if d := time.Since(begin); d < 3*time.Second || waited < 30 {
		t.Errorf("64 requests took %v, %d were said to have waited: 30 may go at once, and 9.5 in each second", d, waited)
	}
	page := get(t, "http://"+strings.TrimPrefix(s.Admin, "http://")+"/metrics").body
	if !strings.Contains(page, `signalbox_queue_wait_seconds_count{class="normal",result="admitted"} `+strconv.Itoa(waited)) || !strings.Contains(page, "signalbox_queue_waiting 0") {
		t.Errorf("%d waited, and the metrics do not say so", waited)
	}
}

func TestTheMoreImportantGoFirst(t *testing.T) {
	t.Parallel()
	a, open := mock.New(mock.Options{Name: "a", Seed: 7}), make(chan struct{})
	var asked atomic.Int64
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 { // until the others wait
			<-open
		}
		a.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	s := stack.Up(t, queueYAML(h.URL, "parallel: 1", "wait: 30s"))
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	defer wg.Wait()
	release := sync.OnceFunc(func() { close(open) })
	defer release()
	waiting := -1 // the first does not
	ask := func(model, name string, headers ...string) {
		wg.Go(func() {
			got, err := send(context.Background(), s.Base+chatPath, chat(model, false), headers...)
			if err != nil || got.status != 200 {
				t.Errorf("%s: %d %v: %s", name, got.status, err, got.body)
			}
			mu.Lock()
			order = append(order, name)
			mu.Unlock()
		})
		waiting++
		stack.Eventually(t, 10*time.Second, name+" waits", func() error {
			if n := metric(t, s, "signalbox_queue_waiting"); asked.Load() != 1 || n != float64(waiting) {
				return fmt.Errorf("%d are at the provider, and %v wait", asked.Load(), n)
			}
			return nil
		})
	}
	ask("normal", "first")
	ask("batch", "batch")
	ask("normal", "lowered", "x-signalbox-priority: best_effort")
	ask("normal", "normal")
	ask("critical", "critical")
	release()
	wg.Wait()
	if want := []string{"first", "critical", "normal", "lowered", "batch"}; !slices.Equal(order, want) {
		t.Errorf("served %v, want %v", order, want)
	}
	post(t, s.Base+chatPath, chat("normal", false), "x-signalbox-priority: critical").want(t, 400, "x-signalbox-priority", "normal, best_effort, batch")
}

// TestARefusalIsWaitedFor has a provider refuse with retry-after: whoever comes meanwhile waits, and none is refused.
func TestARefusalIsWaitedFor(t *testing.T) {
	t.Parallel()
	m := mock.New(mock.Options{Name: "a", Seed: 7})
	var mu sync.Mutex
	var until time.Time
	early := 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if until.IsZero() {
			until = time.Now().Add(2 * time.Second)
		}
		left := time.Until(until)
		if left > 0 {
			early++
		}
		mu.Unlock()
		if left > 0 {
			w.Header().Set("content-type", "application/json")
			w.Header().Set("retry-after", "2")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"error":{"message":"Rate limit reached.","type":"rate_limit_exceeded","code":"rate_limit_exceeded"}}`))
			return
		}
		m.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	s := stack.Up(t, queueYAML(h.URL, "", "wait: 30s"))
	post(t, s.Base+chatPath, chat("fast", false)).want(t, 429)
	stack.Eventually(t, time.Second, "the refusal is known", func() error { time.Sleep(200 * time.Millisecond); return nil })
	for _, got := range many(t, 20, s.Base+chatPath, chat("fast", false)) {
		got.want(t, 200)
	}
	if early != 1 {
		t.Errorf("%d requests came to the provider before it wanted", early)
	}
}

// TestWhatAnswersSayOfLimitsSetsThePace has a provider whose answers say that its limit is used up, on the direct path, where they
// do not visit the service. The ledger says who waited, and for how long.
func TestWhatAnswersSayOfLimitsSetsThePace(t *testing.T) {
	t.Parallel()
	m := mock.New(mock.Options{Name: "a", Seed: 7})
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "10s"} {
			w.Header().Set(name, value)
		}
		m.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	s := stack.Up(t, queueYAML(h.URL, "", "wait: 30s")+"ledger: { store: sqlite:run/ledger.db }\n")
	told, waited := map[ledger.Millis]int{}, 0
	ask := func() bool {
		got := post(t, s.Base+chatPath, chat("fast", false))
		got.want(t, 200)
		ms, _ := strconv.Atoi(got.header.Get("x-signalbox-waited-ms"))
		told[ledger.Millis(ms)]++
		return ms > 0
	}
	// Envoy's log tells of a sample of the answers, a moment after them: forty requests may be over by then.
	for end := time.Now().Add(10 * time.Second); !ask(); {
		if time.Now().After(end) {
			t.Fatal("nobody waits, though answers say that nothing is left")
		}
	}
	for range 20 {
		if ask() {
			waited++
		}
	}
	if waited < 10 {
		t.Errorf("%d of 20 waited: ten may go in a second", waited)
	}
	stack.Eventually(t, 10*time.Second, "the ledger says the same", func() error {
		written := map[ledger.Millis]int{}
		for _, r := range records(t, filepath.Join(s.Dir, "run/ledger.db")) {
			written[r.Result.Waited]++
		}
		if diff := cmp.Diff(told, written); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

func TestWhoIsShedIsToldWhenToComeAgain(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	s := stack.Up(t, queueYAML(a.url, "requests_per_minute: 60", "wait: 1500ms, max: 100"))
	served, longest := 0, 0
	for _, got := range many(t, 10, s.Base+chatPath, chat("fast", false)) {
		if got.status == 200 {
			served++
			continue
		}
		got.want(t, 429, "at its limit", "queue_")
		after, err := strconv.Atoi(got.header.Get("retry-after"))
		if err != nil || after < 1 || after > 10 {
			t.Errorf("retry-after %q", got.header.Get("retry-after"))
		}
		longest = max(longest, after)
	}
	if served < 3 || served > 5 {
		t.Errorf("%d of 10 were served", served)
	}
	time.Sleep(time.Duration(longest) * time.Second)
	post(t, s.Base+chatPath, chat("fast", false)).want(t, 200)
	if n := len(a.Journal()); n != served+1 {
		t.Errorf("%d requests came to the provider, %d were served", n, served+1)
	}
}

func TestWhoLeavesMakesRoom(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	s := stack.Up(t, queueYAML(a.url, "requests_per_minute: 20", "wait: 30s, max: 1"))
	post(t, s.Base+chatPath, chat("fast", false)).want(t, 200)
	ctx, leave := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer leave()
	if got, err := send(ctx, s.Base+chatPath, chat("fast", false)); err == nil {
		t.Fatalf("got %d: %s", got.status, got.body)
	}
	stack.Eventually(t, 20*time.Second, "its place is another's", func() error {
		got := post(t, s.Base+chatPath, chat("fast", false))
		if got.status != 200 {
			return fmt.Errorf("%d: %s", got.status, got.body)
		}
		return nil
	})
	if n := len(a.Journal()); n != 2 {
		t.Errorf("%d requests came to the provider: one left before it was its turn", n)
	}
}
