package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// patient is a provider that is well or down, of which some keys may be refused, and that tells probes from what clients ask.
type patient struct {
	url string

	mu      sync.Mutex
	down    bool
	ill     string // a key that it answers with 503
	clients int    // requests of clients that came
	harmed  int    // of these, that were not answered
	probes  int
	slow    time.Duration  // before a probe is answered
	asked   []string       // by probes
	keys    map[string]int // probes, by key
	headers []string       // that it should not see
}

func newPatient(t *testing.T) *patient {
	p := &patient{keys: map[string]int{}}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func (p *patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	key := strings.TrimPrefix(r.Header.Get("authorization"), "Bearer ")
	p.mu.Lock()
	down := p.down || p.ill != "" && key == p.ill
	for name := range r.Header {
		if strings.HasPrefix(strings.ToLower(name), "x-signalbox") {
			p.headers = append(p.headers, name)
		}
	}
	switch {
	case strings.Contains(string(body), `"ping"`), r.Method == http.MethodGet:
		p.asked = append(p.asked, r.Method+" "+r.URL.Path)
		p.probes++
		p.keys[key]++
	default:
		p.clients++
		if down {
			p.harmed++
		}
	}
	slow := p.slow
	p.mu.Unlock()
	if strings.Contains(string(body), `"ping"`) {
		time.Sleep(slow)
	}
	w.Header().Set("content-type", "application/json")
	if down {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":{"message":"down","type":"server_error"}}`)
		return
	}
	_, _ = io.WriteString(w, `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}`)
}

// turns the provider down or up again.
func (p *patient) turn(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// seen is what came until now.
func (p *patient) seen() (clients, harmed, probes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients, p.harmed, p.probes
}

// probing is the configuration of two such providers; more is of the first, and health what stands in its section.
func probing(first, second *patient, health, more string) string {
	return fmt.Sprintf(`
ledger: { store: "sqlite:run/ledger.db" }
providers:
  - { name: first, kind: openai-compatible, base_url: %s/v1, models: [ { name: m, price: { input: 1, output: 2 } } ]%s }
  - { name: second, kind: openai-compatible, base_url: %s/v1, models: [ { name: m, price: { input: 1, output: 2 } } ] }
routes:
  - { name: r, match: { models: [r] }, targets: [first/m, second/m], answer_headers: true }
health: { state: none, %s }
`, first.url, more, second.url, health)
}

// ask asks the route r, and returns the target that answered and the number of attempts.
func askR(t *testing.T, s *stack.Stack) string {
	t.Helper()
	got := post(t, s.Base+chatPath, chat("r", false))
	got.want(t, 200, "Hello")
	return got.header.Get("x-signalbox-target") + " " + got.header.Get("x-signalbox-attempts")
}

// asking asks the route r until it is stopped, and returns how many answers took more than one attempt.
func asking(t *testing.T, s *stack.Stack) (stop func() int) {
	t.Helper()
	done, again := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-done:
				again <- n
				return
			case <-time.After(20 * time.Millisecond):
				if got := post(t, s.Base+chatPath, chat("r", false)); got.header.Get("x-signalbox-attempts") != "1" {
					n++
				}
			}
		}
	}()
	return func() int { close(done); return <-again }
}

// breakDown lets a provider fail until its breaker is open.
func breakDown(t *testing.T, s *stack.Stack, p *patient) {
	t.Helper()
	p.turn(true)
	stack.Eventually(t, 10*time.Second, "the breaker opens", func() error {
		if got := askR(t, s); got != "second/m 1" {
			return fmt.Errorf("it goes to %s", got)
		}
		return nil
	})
}

func comesBack(t *testing.T, s *stack.Stack) {
	t.Helper()
	stack.Eventually(t, 60*time.Second, "everything goes to it again", func() error {
		for range 20 {
			if got := askR(t, s); got != "first/m 1" {
				return fmt.Errorf("it goes to %s", got)
			}
		}
		return nil
	})
}

// TestADeadTargetComesBackByProbes follows a provider through an outage that outlasts its first trials: once its breaker is
// open no client's request is tried there until it answers again, though clients ask all the time.
func TestADeadTargetComesBackByProbes(t *testing.T) {
	t.Parallel()
	first, second := newPatient(t), newPatient(t)
	s := stack.Up(t, probing(first, second, "probe: { when: resting, timeout: 2s }", ""))
	if got := askR(t, s); got != "first/m 1" {
		t.Fatalf("while all is well: %s", got)
	}
	breakDown(t, s, first)
	stop := asking(t, s)
	_, harmed, _ := first.seen()
	stack.Eventually(t, 30*time.Second, "a probe fails, and the breaker is open again", func() error {
		if m := s.Metrics(); !strings.Contains(m, `signalbox_probes_total{gen_ai_request_model="m",provider="first",result="failed"} 1`) || !strings.Contains(m, `state="open"} 2`) {
			return fmt.Errorf("%s", linesWith(m, "signalbox_probes", "signalbox_breaker"))
		}
		return nil
	})
	if clients, now, probes := first.seen(); now != harmed || probes != 1 {
		t.Errorf("of clients' requests %d came, and %d were harmed after the breaker opened; of probes there was %d", clients, now-harmed, probes)
	}
	if table := stack.Output(t, stack.Binary(t), "health", "--config", s.Config); !strings.Contains(table, "overloaded ") {
		t.Errorf("signalbox health says %s", table)
	}
	first.turn(false)
	comesBack(t, s)
	if again := stop(); again > 0 {
		t.Errorf("%d requests took more than one attempt", again)
	}
	if _, now, probes := first.seen(); now != harmed || probes != 4 {
		t.Errorf("%d requests of clients were harmed after the breaker opened, and of probes there were %d", now-harmed, probes)
	}
	if table := stack.Output(t, stack.Binary(t), "health", "--config", s.Config); !strings.Contains(table, "ok ") {
		t.Errorf("signalbox health says %s", table)
	}
}

// TestWhatNobodyAsksIsProbed has a target with traffic, and one without.
func TestWhatNobodyAsksIsProbed(t *testing.T) {
	t.Parallel()
	first, second := newPatient(t), newPatient(t)
	yaml := probing(first, second, "probe: { every: 2s }", "")
	free := strings.LastIndex(yaml, "{ input: 1, output: 2 }") // of the second: what costs nothing has a price, too
	s := stack.Up(t, yaml[:free]+"{ input: 0, output: 0 }"+yaml[free+len("{ input: 1, output: 2 }"):])
	stop := asking(t, s)
	time.Sleep(time.Second) // until there was traffic, nobody had asked the first either
	_, _, before := first.seen()
	time.Sleep(8 * time.Second)
	stop()
	if _, _, probes := first.seen(); probes != before {
		t.Errorf("a target with traffic was probed %d times", probes-before)
	}
	clients, _, probes := second.seen()
	if clients != 0 || probes < 2 || probes > 6 {
		t.Errorf("a target without traffic got %d requests of clients, and was probed %d times", clients, probes)
	}
	if len(second.headers) > 0 {
		t.Errorf("the provider got %q", second.headers)
	}
	m := s.Metrics()
	if !strings.Contains(m, `signalbox_probes_total{gen_ai_request_model="m",provider="second",result="answered"}`) || strings.Contains(m, `signalbox_exchanges_total{dialect="openai-chat",outcome="ok",route="signalbox.probe"}`) {
		t.Errorf("the metrics:\n%s", linesWith(m, "signalbox_probes", "signalbox_exchanges"))
	}
	report := func(args ...string) string {
		return stack.Output(t, stack.Binary(t), append([]string{"usage", "--ledger", "sqlite:" + s.Dir + "/run/ledger.db", "--by", "route"}, args...)...)
	}
	stack.Eventually(t, 10*time.Second, "the ledger has them", func() error {
		if out := report("--where", "organization=signalbox.own"); !strings.Contains(out, "signalbox.probe") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if out := report(); strings.Contains(out, "signalbox.probe") {
		t.Errorf("the report of clients:\n%s", out)
	}
	table := stack.Output(t, stack.Binary(t), "health", "--config", s.Config)
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "second/m ") && !strings.Contains(line, "ok ") || before == 0 && strings.HasPrefix(line, "first/m ") && !strings.HasSuffix(strings.TrimSpace(line), "-") {
			t.Errorf("signalbox health says %s", table)
		}
	}
}

// TestProbesHoldTheirBudget: what may cost more than is left is not sent, and then clients' requests are the trials.
func TestProbesHoldTheirBudget(t *testing.T) {
	t.Parallel()
	first, second := newPatient(t), newPatient(t)
	s := stack.Up(t, probing(first, second, "probe: { every: 1s, budget: 0.000001 USD }", ""))
	stack.Eventually(t, 20*time.Second, "they are refused", func() error {
		if m := s.Metrics(); !strings.Contains(m, `signalbox_probes_total{gen_ai_request_model="m",provider="second",result="spent"}`) {
			return fmt.Errorf("%s", linesWith(m, "signalbox_probes"))
		}
		return nil
	})
	breakDown(t, s, first)
	first.turn(false)
	comesBack(t, s)
	for _, p := range []*patient{first, second} {
		if _, _, probes := p.seen(); probes != 0 {
			t.Errorf("%d probes were sent over the budget", probes)
		}
	}
}

// TestTheKeyThatRestsIsProbed has a provider that fails with one of two keys.
func TestTheKeyThatRestsIsProbed(t *testing.T) {
	t.Parallel()
	first, second := newPatient(t), newPatient(t)
	dir := t.TempDir()
	for _, k := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(dir, k), []byte("sk-"+k), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := stack.Up(t, probing(first, second, "probe: { when: resting }", fmt.Sprintf(", keys: [ \"file:%s/one\", \"file:%s/two\" ]", dir, dir)))
	first.mu.Lock()
	first.ill = "sk-two"
	first.mu.Unlock()
	stack.Eventually(t, 20*time.Second, "a probe", func() error {
		askR(t, s)
		if _, _, probes := first.seen(); probes == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
	first.mu.Lock()
	first.ill = ""
	first.mu.Unlock()
	stack.Eventually(t, 30*time.Second, "the breaker closes", func() error {
		if m := s.Metrics(); !strings.Contains(m, `state="closing"} 1`) {
			return fmt.Errorf("%s", linesWith(m, "signalbox_breaker"))
		}
		return nil
	})
	first.mu.Lock()
	defer first.mu.Unlock()
	if first.keys["sk-two"] < 4 || len(first.keys) != 1 {
		t.Errorf("probes by key: %v", first.keys)
	}
}

// TestAListOfModelsIsAsked needs no ledger, and no prices.
func TestAListOfModelsIsAsked(t *testing.T) {
	t.Parallel()
	first, second := newPatient(t), newPatient(t)
	yaml := strings.ReplaceAll(probing(first, second, "probe: { every: 1s, ask: models, providers: [ first ] }", ""), ", models: [ { name: m, price: { input: 1, output: 2 } } ]", "")
	s := stack.Up(t, strings.Replace(yaml, "ledger:", "#", 1))
	stack.Eventually(t, 20*time.Second, "a probe", func() error {
		if m := s.Metrics(); !strings.Contains(m, `signalbox_probes_total{gen_ai_request_model="m",provider="first",result="answered"}`) {
			return fmt.Errorf("%s", linesWith(m, "signalbox_probes"))
		}
		return nil
	})
	breakDown(t, s, first)
	_, harmed, _ := first.seen()
	first.turn(false)
	comesBack(t, s)
	_, now, probes := first.seen()
	if _, _, n := second.seen(); now != harmed || probes < 4 || n != 0 {
		t.Errorf("%d requests of clients were harmed after the breaker opened; there were %d probes, and %d of a provider that is not probed", now-harmed, probes, n)
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	for _, a := range first.asked {
		if a != "GET /v1/models" {
			t.Errorf("a probe asks %s", a)
		}
	}
}

// TestProbesAreSwitchedByAReload switches them on, which takes a listener that Envoy has not had, and off again. In between
// Envoy is killed while a probe is under way: the next has the same socket.
func TestProbesAreSwitchedByAReload(t *testing.T) {
	t.Parallel()
	first, second := newPatient(t), newPatient(t)
	first.slow = 500 * time.Millisecond
	s := stack.Up(t, probing(first, second, "", ""))
	probed := func(more int) func() error {
		_, _, before := first.seen()
		return func() error {
			if _, _, n := first.seen(); n < before+more {
				return fmt.Errorf("%d probes", n-before)
			}
			return nil
		}
	}
	s.Rewrite(probing(first, second, "probe: { every: 1s }", ""))
	stack.Eventually(t, 20*time.Second, "probes", probed(2))
	kill(t, s)
	stack.Eventually(t, 30*time.Second, "probes by another Envoy", probed(2))
	if _, err := os.Stat(s.Dir + "/run/own.sock"); err != nil {
		t.Error(err)
	}
	s.Rewrite(probing(first, second, "probe: none", ""))
	stack.Eventually(t, 20*time.Second, "they end", func() error {
		more := probed(1)
		if time.Sleep(2500 * time.Millisecond); more() == nil {
			return fmt.Errorf("they go on")
		}
		return nil
	})
	if got := askR(t, s); got != "first/m 1" {
		t.Errorf("a client's request: %s", got)
	}
}

// kill ends the Envoy that a service runs.
func kill(t *testing.T, s *stack.Stack) {
	t.Helper()
	pid := 0
	for line := range strings.Lines(s.Log()) {
		if _, after, ok := strings.Cut(line, "msg=\"envoy runs\""); ok {
			_, after, _ = strings.Cut(after, "pid=")
			pid, _ = strconv.Atoi(strings.TrimSpace(after))
		}
	}
	if pid == 0 {
		t.Fatal("the log names no Envoy")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestOneReplicaProbes has two services, each with an Envoy of its own, that tell each other what they know by a Redis: one of
// them probes what nobody asks, and what a probe finds out both of them know.
func TestOneReplicaProbes(t *testing.T) {
	r := servers.StartRedis(t)
	first, second := newPatient(t), newPatient(t)
	yaml := probing(first, second, "share: \"redis://"+r.Addr+"\", probe: { every: 2s, timeout: 2s }", "")
	one, two := stack.Up(t, yaml), stack.Up(t, yaml)
	stop1, stop2 := asking(t, one), asking(t, two)
	time.Sleep(time.Second) // until then nobody asked for the first, which is probed, too, while the second service starts
	_, _, before := second.seen()
	_, _, idle := first.seen()
	time.Sleep(8500 * time.Millisecond)
	_, _, probes := second.seen()
	if n := probes - before; n < 2 || n > 5 {
		t.Errorf("in 8.5 s a target that nobody asks was probed %d times", n)
	}
	if _, _, n := first.seen(); n != idle {
		t.Errorf("a target with traffic was probed %d times", n-idle)
	}

	first.turn(true)
	for _, s := range []*stack.Stack{one, two} {
		stack.Eventually(t, 10*time.Second, "the breaker opens", func() error {
			if got := askR(t, s); got != "second/m 1" {
				return fmt.Errorf("it goes to %s", got)
			}
			return nil
		})
	}
	first.turn(false)
	_, harmed, _ := first.seen()
	comesBack(t, one)
	comesBack(t, two)
	stop1()
	stop2()
	if _, now, n := first.seen(); now != harmed || n-idle < 3 || n-idle > 4 {
		t.Errorf("it came back by %d probes, and %d requests of clients were harmed", n-idle, now-harmed)
	}
}
