package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
)

const promised = `
store: sqlite:%[3]s/s.db
ledger: { store: "sqlite:run/ledger.db" }
end_user: { body: [ user ] }
providers:
  - { name: a, kind: mock, base_url: %[1]s/v1 }
  - { name: b, kind: mock, base_url: %[2]s/v1 }
routes:
  - { name: failing, match: { models: [ failing ] }, targets: [ a/echo ], slo: { success: 99%% } }
  - { name: slow, match: { models: [ slow ] }, targets: [ "a/slow:300ms+echo" ], slo: { p95_first_token: 800ms } }
  - { name: burning, match: { models: [ burning ] }, targets: [ a/500 ], slo: { success: 99%% } }
experiments:
  - { name: fails, route: failing, arms: [ { name: stable }, { name: new, targets: [ b/500 ] } ], ramp: { steps: [ 50 ], hold: 2s, exchanges: 100000, worse: 100, slower: 1000 } }
  - { name: dawdles, route: slow, arms: [ { name: stable }, { name: new, targets: [ "b/slow:1200ms+echo" ] } ], ramp: { steps: [ 50 ], hold: 2s, exchanges: 100000, worse: 100, slower: 1000 } }
  - { name: mends, route: burning, arms: [ { name: stable }, { name: new, targets: [ b/echo ] } ], ramp: { steps: [ 50 ], hold: 2s, exchanges: 40, worse: 100, slower: 1000, promote: true } }
alerts: { every: 10s, channels: [ { name: hook, webhook: { url: "%[4]s" } } ], rules: [ { on: [ experiment ] } ] }
`

// TestACanaryThatBreaksAPromiseOnARealEnvoy: one whose own exchanges burn an error budget is stopped, which is said with the budget's
// name; one beside a control that burns is not.
func TestACanaryThatBreaksAPromiseOnARealEnvoy(t *testing.T) {
	t.Parallel()
	hook, told := newHook(t)
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(promised, a.url, b.url, t.TempDir(), hook))
	ctx := context.Background()
	api, key := administer(t, s)
	n := 0
	why := map[string]string{}
	stack.Eventually(t, 120*time.Second, "two are stopped, and one is in", func() error {
		var all sync.WaitGroup
		for range 20 {
			n++
			for _, model := range []string{"failing", "slow", "burning"} {
				body := strings.Replace(chat(model, model == "slow"), "{", fmt.Sprintf("{%q:%q,", "user", fmt.Sprint("user-", n)), 1)
				all.Go(func() { _, _ = send(ctx, s.Base+chatPath, body, "authorization: Bearer "+key) })
			}
		}
		all.Wait()
		list, err := api.ListExperiments(ctx, &v1.ListExperimentsRequest{})
		if err != nil {
			return err
		}
		states := map[string]string{}
		for _, e := range list.Experiments {
			states[e.Name], why[e.Name] = e.State, e.Why
		}
		if states["fails"] != "stopped" || states["dawdles"] != "stopped" || states["mends"] != "promoted" {
			return fmt.Errorf("%v %v", states, why)
		}
		return nil
	})
	for name, want := range map[string]string{"fails": "burn the error budget of failing (success)", "dawdles": "burn the error budget of slow (first_token)", "mends": "all steps went well"} {
		if !strings.Contains(why[name], want) {
			t.Errorf("%s: %q, want %q", name, why[name], want)
		}
	}
	stack.Eventually(t, 30*time.Second, "it is told", func() error {
		all := strings.Join(told(), "\n")
		for _, want := range []string{`"kind":"experiment","severity":"warning"`, "the canary fails was stopped: its own exchanges burn the error budget of failing (success)", "the canary dawdles was stopped", "the canary mends is over: every request gets the arm new"} {
			if !strings.Contains(all, want) {
				return fmt.Errorf("%q is not in %s", want, all)
			}
		}
		return nil
	})
}
