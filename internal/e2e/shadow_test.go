package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
)

const shadowed = `
store: sqlite:%[3]s/s.db
ledger: { store: "sqlite:run/ledger.db" }
end_user: { body: [ user ] }
organizations: [ { name: default, limits: { requests_per_minute: 24 } } ]
providers:
  - { name: a, kind: mock, region: eu, base_url: %[1]s/v1, models: [ { name: echo, price: { input: 1, output: 2 } } ] }
  - { name: b, kind: mock, region: eu, base_url: %[2]s/v1, models: [ { name: echo, price: { input: 1, output: 2 } }, { name: hang, price: { input: 1, output: 2 } } ] }
defaults: { answer_headers: true }
routes:
  - { name: all, match: { models: [ smart ] }, targets: [ a/echo ] }
experiments:
  - { name: copy, kind: shadow, route: all, sample: 100%%, budget: %[4]s, arms: [ { name: live }, { name: next, targets: [ b/echo ] } ] }
`

// TestShadowsOnARealEnvoy: copies reach the shadow's target and never the caller, who is not charged for them.
func TestShadowsOnARealEnvoy(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(shadowed, a.url, b.url, t.TempDir(), "20 USD"))
	api, key := administer(t, s)
	awaitKey(t, s.Base, key)
	const n = 24 // all that the organization may ask for in a minute
	for i := range n {
		stream := i%2 == 1
		got := post(t, s.Base+chatPath, chat("smart", stream), "authorization: Bearer "+key, "x-secret-of-mine: 1")
		got.want(t, 200, "Hello")
		if at := got.header.Get("x-signalbox-target"); at != "a/echo" {
			t.Errorf("the caller's answer is from %s", at)
		}
	}
	post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key).want(t, 429, "requests")
	stack.Eventually(t, 20*time.Second, "the results", func() error {
		r, err := api.GetExperiment(context.Background(), &v1.GetExperimentRequest{Name: "copy"})
		if err != nil {
			return err
		}
		for _, arm := range r.Arms {
			if arm.Exchanges != n || arm.Success.Value != 1 || arm.Output == 0 || arm.CostUsd.Value == 0 {
				return fmt.Errorf("%v", arm)
			}
		}
		return nil
	})
	calls := b.Journal()
	if len(calls) != n {
		t.Errorf("the shadow's target got %d requests, want %d", len(calls), n)
	}
	for _, c := range calls {
		for name := range c.Header {
			if strings.HasPrefix(strings.ToLower(name), "x-signalbox") {
				t.Errorf("the provider got %s", name)
			}
		}
		if got := c.Header.Get("authorization"); strings.Contains(got, key) {
			t.Error("the provider got the client's key")
		}
	}
	if got := get(t, s.Admin+"/metrics"); !strings.Contains(got.body, fmt.Sprintf(`signalbox_shadow_copies_total{arm="copy/next",result="answered"} %d`, n)) ||
		!strings.Contains(got.body, fmt.Sprintf(`signalbox_exchanges_total{dialect="openai-chat",outcome="ok",route="all"} %d`, n)) {
		t.Errorf("the metrics:\n%s", linesWith(got.body, "shadow", "exchanges_total"))
	}
	report := func(args ...string) string {
		return stack.Output(t, stack.Binary(t), append([]string{"usage", "--ledger", "sqlite:" + s.Dir + "/run/ledger.db", "--by", "organization"}, args...)...)
	}
	if out := report(); !strings.Contains(out, "default") || strings.Contains(out, "signalbox.own") {
		t.Errorf("the report:\n%s", out)
	}
	if out := report("--where", "organization=signalbox.own"); !strings.Contains(out, "signalbox.own") || strings.Contains(out, "default") {
		t.Errorf("the report of shadows:\n%s", out)
	}
	for _, mark := range []string{"1", "e30.e30", strings.Repeat("x", 300)} {
		post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key, "x-signalbox-own: "+mark).want(t, 403, "x-signalbox-own")
	}
	if len(b.Journal()) != n {
		t.Error("a forged mark reached the shadow's target")
	}
}

// TestAShadowIsNotWaitedFor has a shadow's target that never answers.
func TestAShadowIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, strings.Replace(fmt.Sprintf(shadowed, a.url, b.url, t.TempDir(), "20 USD"), "b/echo ]", "b/hang ]", 1))
	_, key := administer(t, s)
	awaitKey(t, s.Base, key)
	for range 10 {
		if got := post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key); got.status != 200 || got.took > 5*time.Second {
			t.Errorf("got %d after %s", got.status, got.took)
		}
	}
	stack.Eventually(t, 10*time.Second, "all copies are under way", func() error {
		if n := len(b.Journal()); n != 10 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	if held := s.Metrics(); strings.Contains(held, "signalbox_shadow_held_bytes 0\n") {
		t.Errorf("nothing is held of what is under way: %s", linesWith(held, "shadow"))
	}
}

// TestCopiesGoOnWhenEnvoyIsStartedAgain kills Envoy while copies are under way: they fail, and those that follow reach the next
// one by the same socket.
func TestCopiesGoOnWhenEnvoyIsStartedAgain(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	yaml := fmt.Sprintf(shadowed, a.url, b.url, t.TempDir(), "20 USD")
	s := stack.Up(t, strings.Replace(yaml, "targets: [ b/echo ]", "targets: [ b/hang ]", 1))
	_, key := administer(t, s)
	awaitKey(t, s.Base, key)
	for range 3 {
		post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key).want(t, 200, "Hello")
	}
	stack.Eventually(t, 10*time.Second, "all copies are under way", func() error {
		if n := len(b.Journal()); n != 3 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	kill(t, s)
	stack.Eventually(t, 30*time.Second, "those that were under way have failed, and hold nothing", func() error {
		if m := s.Metrics(); !strings.Contains(m, `signalbox_shadow_copies_total{arm="copy/next",result="failed"} 3`) || !strings.Contains(m, "signalbox_shadow_held_bytes 0\n") {
			return fmt.Errorf("%s", linesWith(m, "shadow"))
		}
		return nil
	})
	s.Rewrite(yaml)
	stack.Eventually(t, 30*time.Second, "a copy is answered", func() error {
		if got, err := send(t.Context(), s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key); err != nil || got.status != 200 {
			return fmt.Errorf("%d, %v", got.status, err)
		}
		if m := s.Metrics(); !strings.Contains(m, `signalbox_shadow_copies_total{arm="copy/next",result="answered"}`) {
			return fmt.Errorf("%s", linesWith(m, "shadow"))
		}
		return nil
	})
	s.Service().Signal(syscall.SIGTERM)
	stack.Eventually(t, 10*time.Second, "the service ends, and waits for nothing of the Envoy that was killed", func() error {
		if s.Service().Alive() == nil {
			return fmt.Errorf("it waits")
		}
		return nil
	})
	swept := 0
	for line := range strings.Lines(s.Log()) {
		if strings.Contains(line, "target=b/hang") && strings.Contains(line, "ending=swept") { // so is a client's whose entry Envoy had not sent yet
			swept++
		}
	}
	if swept != 3 || strings.Contains(s.Log(), "drain time is over") {
		t.Errorf("%d of the copies that were under way are given up, want 3:\n%s", swept, s.Log())
	}
}

// TestShadowsHoldTheirBudget: what may cost more than is left is not sent, and its callers learn nothing of that.
func TestShadowsHoldTheirBudget(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(shadowed, a.url, b.url, t.TempDir(), "0.000001 USD"))
	_, key := administer(t, s)
	awaitKey(t, s.Base, key)
	stack.Eventually(t, 10*time.Second, "it is refused", func() error {
		post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key).want(t, 200, "Hello")
		if m := s.Metrics(); !strings.Contains(m, `signalbox_shadow_copies_total{arm="copy/next",result="spent"}`) {
			return fmt.Errorf("%s", linesWith(m, "shadow"))
		}
		return nil
	})
	if n := len(b.Journal()); n != 0 {
		t.Errorf("%d copies were sent over the budget", n)
	}
}

// awaitKey waits until a key that was issued is known.
func awaitKey(t *testing.T, base, key string) {
	t.Helper()
	stack.Eventually(t, 5*time.Second, "the key", func() error {
		if got := get(t, base+"/v1/models", "authorization: Bearer "+key); got.status != 200 {
			return fmt.Errorf("%d", got.status)
		}
		return nil
	})
}

// linesWith are the lines of a page with any of some words.
func linesWith(page string, words ...string) string {
	var out []string
	for line := range strings.Lines(page) {
		for _, w := range words {
			if strings.Contains(line, w) && !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "")
}
