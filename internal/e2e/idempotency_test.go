package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// onceYAML has routes that heed idempotency keys, and one that does not.
func onceYAML(url, settings string) string {
	return fmt.Sprintf(`
providers:
  - name: a
    kind: mock
    base_url: %s
    models: [{ name: "tokens:20", like: gpt-4o, max_output: 100, price: { input: 1, output: 10 } }]
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
routes:
  - { name: text, match: { models: [text] }, targets: ["a/tokens:20"] }
  - { name: any, match: { models: [any/*] }, targets: ["a/tokens:20"] }
  - { name: two, match: { models: [two] }, targets: ["a/503", "a/tokens:20"] }
  - { name: slow, match: { models: [slow] }, targets: ["a/slow:1s+tokens:20"] }
  - { name: paced, match: { models: [paced] }, targets: ["a/pace:50ms+tokens:40"] }
  - { name: brief, match: { models: [brief] }, targets: ["a/slow:10s+tokens:20"], deadlines: { total: 15s }, client_headers: { timeout: true } }
  - { name: patient, match: { models: [patient] }, targets: ["a/slow:3s+tokens:20"] }
  - { name: claude, match: { models: [claude] }, targets: ["claude/tokens:20"] }
  - { name: big, match: { models: [big] }, targets: ["a/big:900"] }
  - { name: bigger, match: { models: [bigger] }, targets: ["a/big:1100"] }
  - { name: cut, match: { models: [cut] }, targets: ["a/cut:3"] }
  - { name: truncate, match: { models: [truncate] }, targets: ["a/truncate:3"] }
  - { name: broken, match: { models: [broken] }, targets: ["a/error-after:3"] }
  - { name: overloaded, match: { models: [overloaded] }, targets: ["a/503"] }
  - { name: limited, match: { models: [limited] }, targets: ["a/429"] }
  - { name: fault, match: { models: [fault] }, targets: ["a/400"] }
  - { name: deaf, match: { models: [deaf] }, targets: ["a/tokens:20"], idempotency: false }
teams: [{ name: core, limits: { requests_per_day: 100000 } }]
keys:
  - { name: one, hash: "%s", team: core }
  - { name: two, hash: "%s", team: core }
  - { name: few, hash: "%s", limits: { requests_per_day: 2 } }
idempotency: %s
`, url, auth.HashKey("sk-one-1"), auth.HashKey("sk-two-1"), auth.HashKey("sk-few-1"), settings)
}

const asOne = "authorization: Bearer sk-one-1"

// counted returns how many requests the provider has had since it was last asked.
func (p *provider) counted() int {
	n := len(p.Journal())
	p.Clear()
	return n
}

// sameAgain says where an answer is not the replay of another.
func sameAgain(t *testing.T, first, again answer) {
	t.Helper()
	if again.status != first.status || again.body != first.body || again.err != nil {
		t.Errorf("the answer was\n%d %s\nand again, %v,\n%d %s", first.status, first.body, again.err, again.status, again.body)
	}
	if a, b := first.header.Get("content-type"), again.header.Get("content-type"); a != b {
		t.Errorf("content-type %q, and again %q", a, b)
	}
	if again.header.Get("idempotent-replayed") != "true" || again.header.Get("x-signalbox-replay-of") == "" {
		t.Errorf("it does not say that it is a replay: %v", again.header)
	}
	if first.header.Get("idempotent-replayed") != "" {
		t.Errorf("the first says that it is a replay: %v", first.header)
	}
}

func TestWhatIsRepeatedIsDoneOnce(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, onceYAML(a.url, "{ store: memory }"))
	n := 0
	key := func() string { n++; return fmt.Sprintf("idempotency-key: key-%d", n) }

	t.Run("answers are given again byte for byte", func(t *testing.T) {
		for _, c := range []struct{ name, path, body string }{
			{"a whole answer in the provider's dialect", chatPath, chat("text", false)},
			{"a stream in it", chatPath, chat("text", true)},
			{"a stream from which the usage is taken out", chatPath, chat("text", true)},
			{"a whole answer after a failover", chatPath, chat("two", false)},
			{"a stream after a failover", chatPath, chat("two", true)},
			{"a whole answer, translated", chatPath, chat("claude", false)},
			{"a stream, translated", chatPath, chat("claude", true)},
			{"a whole answer, translated back", messagePath, message("text", false)},
			{"a stream, translated back", messagePath, message("text", true)},
			{"a stream in Anthropic's dialect", messagePath, message("claude", true)},
			{"a large one", chatPath, chat("big", false)},
			{"a large stream", chatPath, strings.Replace(chat("big", true), `"stream":true`, `"stream":true,"max_tokens":100`, 1)},
			{"an error that is the request's fault", chatPath, chat("fault", false)},
		} {
			k := key()
			a.counted()
			first := post(t, s.Base+c.path, c.body, asOne, k)
			sent := a.counted()
			again := post(t, s.Base+c.path, c.body, asOne, k, "x-stainless-retry-count: 1")
			if len(first.body) > 1<<20 { // a stream has more bytes than its text
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				sameAgain(t, first, again)
				if more := a.counted(); sent == 0 || more != 0 {
					t.Errorf("the provider was asked %d times, and %d times again", sent, more)
				}
			})
		}
	})

	t.Run("what may be better the next time runs again", func(t *testing.T) {
		for _, c := range []struct{ name, body string }{
			{"an overloaded provider", chat("overloaded", false)},
			{"a rate limit", chat("limited", false)},
			{"a stream that broke", chat("cut", true)},
			{"a stream that was cut", chat("truncate", true)},
			{"a stream that ended with an error", chat("broken", true)},
			{"a whole answer that broke", chat("cut", false)},
			{"a whole answer that was cut", chat("truncate", false)},
			{"an error under 200", chat("broken", false)},
			{"an answer over the limit", chat("bigger", false)},
		} {
			k := key()
			for i := range 2 {
				a.counted()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				got, _ := send(ctx, s.Base+chatPath, c.body, asOne, k)
				cancel()
				if sent := a.counted(); sent == 0 || got.header.Get("idempotent-replayed") != "" {
					t.Errorf("%s: time %d the provider was asked %d times: %d %.300s", c.name, i+1, sent, got.status, got.body)
				}
			}
		}
	})

	t.Run("a key names one request of one client", func(t *testing.T) {
		k := key()
		post(t, s.Base+chatPath, chat("text", false), asOne, k).want(t, 200, "")
		for _, c := range []struct{ name, path, body string }{
			{"another model", chatPath, chat("any/text", false)},
			{"a stream", chatPath, chat("text", true)},
		} {
			got := post(t, s.Base+c.path, c.body, asOne, k)
			got.want(t, 409, `"code":"idempotency_key_reused"`, `"param":"idempotency-key"`)
			if got.header.Get("x-should-retry") != "false" {
				t.Errorf("%s: SDKs would try again", c.name)
			}
		}
		post(t, s.Base+messagePath, message("text", false), "x-api-key: sk-one-1", k).want(t, 409, `"type":"error"`, "idempotency key was used for another request")
		a.counted()
		other := post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-two-1", k)
		if other.want(t, 200, ""); a.counted() != 1 || other.header.Get("idempotent-replayed") != "" {
			t.Error("another client's key met it")
		}
		post(t, s.Base+chatPath, chat("text", false), asOne, "idempotency-key: "+strings.Repeat("x", 256)).want(t, 400, "longer than 255")
	})

	t.Run("without a key, or where routes do not heed it, nothing changes", func(t *testing.T) {
		before := metric(t, s, `signalbox_paths_total{path="worked"}`)
		for range 2 {
			a.counted()
			post(t, s.Base+chatPath, chat("deaf", false), asOne, "idempotency-key: deaf").want(t, 200, "")
			post(t, s.Base+chatPath, chat("text", false), asOne).want(t, 200, "")
			if a.counted() != 2 {
				t.Error("not both were sent")
			}
		}
		if now := metric(t, s, `signalbox_paths_total{path="worked"}`); now != before {
			t.Errorf("%v exchanges were worked", now-before)
		}
	})

	t.Run("a provider does not see the key", func(t *testing.T) {
		a.Clear()
		post(t, s.Base+chatPath, chat("text", false), asOne, key()).want(t, 200, "")
		for _, r := range a.Journal() {
			if v := r.Header.Get("idempotency-key"); v != "" {
				t.Errorf("it sees %q", v)
			}
		}
	})

	t.Run("replays count for no limit", func(t *testing.T) {
		for range 4 {
			post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-few-1", "idempotency-key: few").want(t, 200, "")
		}
		post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-few-1").want(t, 200, "")
		post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-few-1").want(t, 429, "")
	})

	for _, line := range []string{
		`signalbox_idempotency_requests_total{result="first"}`, `signalbox_idempotency_requests_total{result="replayed"}`, `signalbox_idempotency_requests_total{result="mismatch"}`,
		`signalbox_idempotency_answers_total{result="stored"}`, `signalbox_idempotency_answers_total{result="too_large"}`, "signalbox_idempotency_answer_bytes_total",
		`signalbox_exchanges_total{dialect="openai-chat",outcome="replayed",route="text"}`,
	} {
		if metric(t, s, line) == 0 {
			t.Errorf("%s is 0", line)
		}
	}
}

// metric returns the value of a line of the metrics page; 0: it is not there.
func metric(t *testing.T, s *stack.Stack, name string) (v float64) {
	t.Helper()
	for line := range strings.Lines(s.Metrics()) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(rest, &v); err != nil {
				t.Fatal(err)
			}
		}
	}
	return v
}

// together sends the same request several times at once, by turns to stacks.
func together(t *testing.T, n int, body, key string, to ...*stack.Stack) []answer {
	t.Helper()
	out := make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var err error
			if out[i], err = send(ctx, to[i%len(to)].Base+chatPath, body, asOne, key); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return out
}

// oneRan says where not exactly one of the answers is that of a provider and all others its replays.
func oneRan(t *testing.T, a *provider, all []answer) {
	t.Helper()
	ran := 0
	for _, got := range all {
		if got.status != 200 || got.body != all[0].body || got.err != nil {
			t.Errorf("%d %v\n%s\nfirst:\n%s", got.status, got.err, got.body, all[0].body)
		}
		if got.header.Get("idempotent-replayed") == "" {
			ran++
		}
	}
	if n := a.counted(); n != 1 || ran != 1 {
		t.Errorf("the provider was asked %d times, %d of %d ran", n, ran, len(all))
	}
}

func TestRepetitionsWaitForTheFirst(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	s := stack.Up(t, onceYAML(a.url, "{ store: memory, max_answer: 64KiB, max_total: 256KiB }"))
	for _, stream := range []bool{false, true} {
		a.counted()
		oneRan(t, a, together(t, 8, chat("slow", stream), fmt.Sprintf("idempotency-key: slow-%v", stream), s))
	}
	oneRan(t, a, together(t, 8, chat("paced", true), "idempotency-key: paced", s))

	t.Run("and one runs in its place when its client leaves", func(t *testing.T) {
		a.counted()
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() { // ends with its context
			defer close(gone)
			_, _ = send(ctx, s.Base+chatPath, chat("slow", false), asOne, "idempotency-key: left")
		}()
		stack.Eventually(t, 10*time.Second, "the first is at the provider", func() error {
			if len(a.Journal()) == 0 {
				return fmt.Errorf("it is not")
			}
			return nil
		})
		time.AfterFunc(300*time.Millisecond, leave)
		all := together(t, 3, chat("slow", false), "idempotency-key: left", s)
		<-gone
		ran := 0
		for _, got := range all {
			if got.status != 200 || got.body != all[0].body {
				t.Errorf("%d %s", got.status, got.body)
			}
			if got.header.Get("idempotent-replayed") == "" {
				ran++
			}
		}
		if n := a.counted(); n != 2 || ran != 1 {
			t.Errorf("the provider was asked %d times, %d ran", n, ran)
		}
	})

	t.Run("no longer than the route's deadline, or the client's", func(t *testing.T) {
		var wg sync.WaitGroup
		wg.Go(func() {
			post(t, s.Base+chatPath, chat("brief", false), asOne, "idempotency-key: brief").want(t, 200, "")
		})
		time.Sleep(time.Second)
		got := post(t, s.Base+chatPath, chat("brief", false), asOne, "idempotency-key: brief", "x-signalbox-timeout-ms: 1500")
		if got.want(t, 504, `"code":"idempotency_timeout"`); got.took > 5*time.Second {
			t.Errorf("after %s", got.took)
		}
		again := post(t, s.Base+chatPath, chat("brief", false), asOne, "idempotency-key: brief") // longer than Envoy waits for a plan
		if again.want(t, 200, ""); again.header.Get("idempotent-replayed") != "true" {
			t.Error("it ran")
		}
		wg.Wait()
	})

	t.Run("and answers go when there are too many", func(t *testing.T) {
		again := func(i int) bool {
			got := post(t, s.Base+chatPath, chat("text", true), asOne, fmt.Sprintf("idempotency-key: many-%d", i))
			got.want(t, 200, "")
			return got.header.Get("idempotent-replayed") != ""
		}
		before := metric(t, s, "signalbox_idempotency_answer_bytes_total")
		const n = 120
		for i := range n {
			if again(i) {
				t.Fatal("it was there")
			}
		}
		if size := metric(t, s, "signalbox_idempotency_answer_bytes_total") - before; size < 300<<10 {
			t.Fatalf("%v bytes are too few to show anything", size)
		}
		if !again(n-1) || again(0) {
			t.Error("the oldest stayed, or the latest went")
		}
	})
}

// TestReplicasShareAnswersInRedis has two services, each with its Envoy; one is killed, and Redis goes away.
func TestReplicasShareAnswersInRedis(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	a := newProvider(t, "a")
	yaml := onceYAML(a.url, fmt.Sprintf("{ store: \"redis://%s\" }", r.Addr))
	one, two := stack.Apart(t, yaml), stack.Up(t, yaml)

	first := post(t, one.Base+chatPath, chat("text", true), asOne, "idempotency-key: shared")
	stack.Eventually(t, 5*time.Second, "the other has it", func() error {
		again := post(t, two.Base+chatPath, chat("text", true), asOne, "idempotency-key: shared")
		if again.body != first.body || again.header.Get("idempotent-replayed") == "" {
			return fmt.Errorf("%d %s", again.status, again.body)
		}
		return nil
	})
	post(t, two.Base+chatPath, chat("text", false), asOne, "idempotency-key: shared").want(t, 409, "idempotency_key_reused")
	a.counted()
	oneRan(t, a, together(t, 8, chat("slow", true), "idempotency-key: both", one, two))

	t.Run("nothing of it can be read there", func(t *testing.T) {
		keys, err := r.Do("KEYS", "*")
		if err != nil || !strings.Contains(keys, "i:{") {
			t.Fatal(keys, err)
		}
		for line := range strings.Lines(keys) {
			name := strings.TrimSpace(line)
			if strings.HasPrefix(name, "i:{") && !strings.HasPrefix(name, "i:{order}") {
				got, err := r.Do("HGET", name, "v")
				if err != nil || len(got) < 100 || strings.Contains(got, "chat.completion") || strings.Contains(name, "shared") {
					t.Errorf("%s: %.200q %v", name, got, err)
				}
			}
		}
	})

	t.Run("one runs in the place of a service that died", func(t *testing.T) {
		a.counted()
		died := make(chan answer, 1)
		go func() { // ends with the service
			got, _ := send(t.Context(), one.Base+chatPath, chat("patient", true), asOne, "idempotency-key: died")
			died <- got
		}()
		stack.Eventually(t, 10*time.Second, "the first is at the provider", func() error {
			if len(a.Journal()) == 0 {
				return fmt.Errorf("it is not")
			}
			return nil
		})
		begin := time.Now()
		one.Service().Kill()
		if got := <-died; got.status == 200 && got.err == nil {
			t.Errorf("the first got an answer: %s", got.body)
		}
		all := together(t, 4, chat("patient", true), "idempotency-key: died", two) // longer than Envoy waits for a plan that does not ask for more
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("after %s", took)
		}
		ran := 0
		for _, got := range all {
			if got.status != 200 || got.body != all[0].body {
				t.Errorf("%d %s", got.status, got.body)
			}
			if got.header.Get("idempotent-replayed") == "" {
				ran++
			}
		}
		if n := a.counted(); n != 2 || ran != 1 {
			t.Errorf("the provider was asked %d times, %d ran", n, ran)
		}
	})

	t.Run("a key is refused while Redis is away, and nothing else", func(t *testing.T) {
		r.Pause()
		got := post(t, two.Base+chatPath, chat("text", false), asOne, "idempotency-key: away")
		if got.want(t, 503, `"code":"idempotency_unavailable"`); got.took > 5*time.Second || got.header.Get("retry-after") == "" {
			t.Errorf("after %s, %v", got.took, got.header)
		}
		post(t, two.Base+chatPath, chat("text", false), asOne).want(t, 200, "")
		r.Resume()
		stack.Eventually(t, 10*time.Second, "keys are heeded again", func() error {
			if got := post(t, two.Base+chatPath, chat("text", false), asOne, "idempotency-key: away"); got.status != 200 {
				return fmt.Errorf("%d: %s", got.status, got.body)
			}
			return nil
		})
	})
}
