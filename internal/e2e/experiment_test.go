package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

const tried = `
store: sqlite:%[3]s/s.db
ledger: { store: "sqlite:run/ledger.db" }
end_user: { body: [ user ] }
providers:
  - { name: a, kind: mock, base_url: %[1]s/v1 }
  - { name: b, kind: mock, base_url: %[2]s/v1 }
defaults: { answer_headers: true }
routes: [ { name: all, match: { models: [ smart ] }, targets: [ a/echo ] } ]
experiments:
  - { name: other, route: all, arms: [ { name: control }, { name: there, targets: [ b/echo ] } ] }
`

// administer opens the admin API at its local socket, and has a key made.
func administer(t *testing.T, s *stack.Stack) (adminv1connect.ExperimentServiceClient, string) {
	t.Helper()
	h := s.Local()
	made, err := adminv1connect.NewKeyServiceClient(h, "http://local").CreateKey(t.Context(), &v1.CreateKeyRequest{Name: "app", Organization: "default"})
	if err != nil {
		t.Fatal(err)
	}
	return adminv1connect.NewExperimentServiceClient(h, "http://local"), made.Secret
}

// askAs asks on behalf of a user and returns the provider that answered.
func askAs(t *testing.T, base, key, user string) string {
	t.Helper()
	got := post(t, base+chatPath, strings.Replace(chat("smart", false), "{", fmt.Sprintf("{%q:%q,", "user", user), 1), "authorization: Bearer "+key)
	got.want(t, 200, "Hello")
	provider, _, _ := strings.Cut(got.header.Get("x-signalbox-target"), "/")
	say := post(t, base+"/v1/feedback", fmt.Sprintf(`{"request_id":%q,"score":%s}`, got.header.Get("x-request-id"), map[string]string{"a": "0.25", "b": "1"}[provider]), "authorization: Bearer "+key)
	say.want(t, 202, `"object":"feedback"`)
	return provider
}

// TestAnExperimentOnARealEnvoy: users keep their arms, what came of them is told, and what the administrator decides holds.
func TestAnExperimentOnARealEnvoy(t *testing.T) {
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(tried, a.url, b.url, t.TempDir()))
	ctx := context.Background()
	api, key := administer(t, s)
	stack.Eventually(t, 5*time.Second, "the key", func() error {
		if got := get(t, s.Base+"/v1/models", "authorization: Bearer "+key); got.status != 200 {
			return fmt.Errorf("%d", got.status)
		}
		return nil
	})
	const users = 40
	arms, n := map[string]string{}, map[string]int{}
	for round := range 2 {
		for u := range users {
			user := fmt.Sprint("user-", u)
			at := askAs(t, s.Base, key, user)
			if n[at]++; round > 0 && at != arms[user] {
				t.Errorf("%s was at %s and is at %s", user, arms[user], at)
			}
			arms[user] = at
		}
	}
	if n["a"] < users/2 || n["b"] < users/2 {
		t.Errorf("the arms have %v", n)
	}
	stack.Eventually(t, 10*time.Second, "the results", func() error {
		r, err := api.GetExperiment(ctx, &v1.GetExperimentRequest{Name: "other"})
		if err != nil {
			return err
		}
		for i, p := range []string{"a", "b"} {
			if got := r.Arms[i]; got.Scored != got.Exchanges || got.Score.Value != []float64{0.25, 1}[i] || int(got.Exchanges) != n[p] || int(got.Units) != n[p]/2 || got.Success.Value != 1 {
				return fmt.Errorf("%d: %v", n[p], got)
			}
		}
		return nil
	})
	post(t, s.Base+"/v1/feedback", `{"request_id":"12345678","score":2}`, "authorization: Bearer "+key).want(t, 400, "score")
	post(t, s.Base+"/v1/feedback", `{"request_id":"12345678","score":1}`).want(t, 401)
	if got := get(t, s.Base+"/v1/feedback", "authorization: Bearer "+key); got.status != 404 {
		t.Errorf("feedback is read: %d", got.status)
	}
	if got := get(t, s.Admin+"/metrics"); !strings.Contains(got.body, fmt.Sprintf(`signalbox_experiment_exchanges_total{arm="other/there",outcome="ok"} %d`, n["b"])) {
		t.Errorf("the metrics lack the arm")
	}
	everybody := func(where string) {
		t.Helper()
		stack.Eventually(t, 5*time.Second, "everybody is at "+where, func() error {
			for u := range users {
				if got := askAs(t, s.Base, key, fmt.Sprint("user-", u)); got != where {
					return fmt.Errorf("a user is at %s", got)
				}
			}
			return nil
		})
	}
	if _, err := api.StopExperiment(ctx, &v1.ChangeExperimentRequest{Name: "other"}); err != nil {
		t.Fatal(err)
	}
	everybody("a")
	if _, err := api.PromoteExperiment(ctx, &v1.PromoteExperimentRequest{Name: "other", Arm: "there"}); err != nil {
		t.Fatal(err)
	}
	everybody("b")
	if _, err := api.StartExperiment(ctx, &v1.ChangeExperimentRequest{Name: "other"}); err != nil {
		t.Fatal(err)
	}
	stack.Eventually(t, 5*time.Second, "users are where they were", func() error {
		for user, at := range arms {
			if got := askAs(t, s.Base, key, user); got != at {
				return fmt.Errorf("%s is at %s", user, got)
			}
		}
		return nil
	})
}

const letIn = `
store: sqlite:%[3]s/s.db
ledger: { store: "sqlite:run/ledger.db" }
end_user: { body: [ user ] }
providers:
  - { name: a, kind: mock, base_url: %[1]s/v1 }
  - { name: b, kind: mock, base_url: %[2]s/v1 }
defaults: { answer_headers: true }
routes:
  - { name: good, match: { models: [ smart ] }, targets: [ a/echo ] }
  - { name: bad, match: { models: [ broken ] }, targets: [ a/echo ] }
experiments:
  - { name: well, route: good, arms: [ { name: stable }, { name: new, targets: [ b/echo ] } ], ramp: { steps: [ 20, 60 ], hold: 1s, exchanges: 10, floor: 50, promote: true } }
  - { name: ill, route: bad, arms: [ { name: stable }, { name: new, targets: [ b/500 ] } ], ramp: { steps: [ 50 ], hold: 1h, floor: 90 } }
`

// TestACanaryOnARealEnvoy: one that does well is let in step by step, one that fails is stopped.
func TestACanaryOnARealEnvoy(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(letIn, a.url, b.url, t.TempDir()))
	ctx := context.Background()
	api, key := administer(t, s)
	seen, n := map[string]bool{}, 0
	stack.Eventually(t, 60*time.Second, "the good one is in, and the bad one out", func() error {
		for range 10 {
			n++
			for _, model := range []string{"smart", "broken"} {
				body := strings.Replace(chat(model, false), "{", fmt.Sprintf("{%q:%q,", "user", fmt.Sprint("user-", n)), 1)
				if _, err := send(ctx, s.Base+chatPath, body, "authorization: Bearer "+key); err != nil {
					return err
				}
			}
		}
		all, err := api.ListExperiments(ctx, &v1.ListExperimentsRequest{})
		if err != nil {
			return err
		}
		states := map[string]string{}
		for _, e := range all.Experiments {
			seen[fmt.Sprintf("%s %s %d", e.Name, e.State, e.Arms[1].Weight)] = true
			states[e.Name] = e.State + " " + e.Arm
		}
		if states["well"] != "promoted new" || states["ill"] != "stopped " {
			return fmt.Errorf("%v", states)
		}
		return nil
	})
	for _, want := range []string{"well running 20", "well running 60", "ill running 50"} {
		if !seen[want] {
			t.Errorf("%q was not seen: %v", want, seen)
		}
	}
	stack.Eventually(t, 5*time.Second, "the good one answers", func() error {
		got := post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key)
		if !strings.HasPrefix(got.header.Get("x-signalbox-target"), "b/") {
			return fmt.Errorf("%s does", got.header.Get("x-signalbox-target"))
		}
		return nil
	})
	stack.Eventually(t, 5*time.Second, "the bad one answers nobody", func() error { // the store says it first, then the service knows
		for range 10 {
			if got := post(t, s.Base+chatPath, chat("broken", false), "authorization: Bearer "+key); got.status != 200 {
				return fmt.Errorf("got %d", got.status)
			}
		}
		return nil
	})
}
