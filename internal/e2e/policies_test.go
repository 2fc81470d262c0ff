package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// named starts upstreams that answer with their names, and returns the configuration of their providers.
func named(t *testing.T, options map[string]string) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("providers:\n")
	for _, name := range []string{"paris", "london", "texas"} {
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("content-type", "application/json")
			fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"I am %s"},"finish_reason":"stop"}]}`, name)
		}))
		t.Cleanup(up.Close)
		fmt.Fprintf(&out, "  - { name: %s, kind: openai-compatible, base_url: %s/v1, %s }\n", name, up.URL, options[name])
	}
	return out.String()
}

func TestPoliciesChooseAmongTargets(t *testing.T) {
	s := stack.Up(t, named(t, map[string]string{
		"paris":  "region: eu-west-3, models: [ { name: m, price: { input: 9, output: 9 } } ], traits: [ soc2 ]",
		"london": "region: eu-west-2, models: [ { name: m, price: { input: 5, output: 5 } } ]",
		"texas":  "region: us-east-1, models: [ { name: m, price: { input: 1, output: 1 } } ]",
	})+`
routes:
  - { name: hard, match: { models: [ hard ] }, targets: [ texas/m, london/m, paris/m ], policy: [ { region: eu }, cheapest ] }
  - { name: nowhere, match: { models: [ nowhere ] }, targets: [ texas/m, london/m ], policy: [ { region: eu } ] }
  - { name: cheap, match: { models: [ cheap ] }, targets: [ paris/m, london/m, texas/m ], policy: [ capable, healthy, cheapest ] }
  - { name: proper, match: { models: [ proper ] }, targets: [ texas/m, paris/m ], policy: [ { compliance: { certifications: [ soc2 ] } } ] }
  - { name: steady, match: { models: [ steady ] }, targets: [ paris/m, london/m, texas/m ], policy: [ { sticky: "header:x-chat" }, cheapest ] }
  - { name: scored, match: { models: [ scored ] }, targets: [ paris/m, london/m, texas/m ], policy: [ { cel: { keep: "target.cost < 0.003 || request.stream", order: "-target.cost" } } ] }
  - { name: past, match: { models: [ timed ], when: "request.time < timestamp('2001-01-01T00:00:00Z')" }, targets: [ texas/m ] }
  - { name: failing, match: { models: [ failing ], when: "request.bytes / request.max_tokens > 0" }, targets: [ texas/m ] }
  - { name: gold, match: { models: [ timed ], when: "request.headers['x-tier'] == 'gold' && request.time.getFullYear('Europe/Paris') > 2000" }, targets: [ london/m ] }
`)
	ask := func(model string, headers ...string) answer {
		return post(t, s.Base+chatPath, chat(model, false), headers...)
	}
	for range 3 {
		ask("hard").want(t, 200, "I am paris")
		ask("cheap").want(t, 200, "I am texas")
		ask("proper").want(t, 200, "I am paris")
		ask("timed", "x-tier: gold").want(t, 200, "I am london")
	}
	ask("scored").want(t, 200, "I am london")
	ask("nowhere").want(t, 400, "texas/m: its region is us-east-1", "london/m: its region is eu-west-2")
	ask("timed").want(t, 404, "no route takes this request", "the condition when of the route gold")
	ask("chep").want(t, 404, "cheap")

	ask("failing").want(t, 404, "the condition when of the route failing")
	stack.Eventually(t, 10*time.Second, "the failure is counted", func() error {
		if m := s.Metrics(); !strings.Contains(m, `signalbox_expression_failures_total{route="failing"} 1`) {
			return fmt.Errorf("not yet")
		}
		return nil
	})

	seen := map[string]bool{}
	for chatID := range 12 {
		first := ask("steady", fmt.Sprint("x-chat: c", chatID))
		for range 2 {
			if again := ask("steady", fmt.Sprint("x-chat: c", chatID)); again.body != first.body {
				t.Errorf("one conversation went to two: %s, %s", first.body, again.body)
			}
		}
		seen[first.body] = true
	}
	if len(seen) < 2 {
		t.Errorf("all conversations went to one: %v", seen)
	}
	ask("steady").want(t, 200, "I am texas")
}

func TestMoneyThatRunsLowMovesRequestsToACheaperTier(t *testing.T) {
	s := stack.Up(t, named(t, map[string]string{
		"paris":  "models: [ { name: m, max_output: 100, price: { input: 1000, output: 1000 } } ]",
		"london": "region: eu-west-2",
		"texas":  "models: [ { name: m, max_output: 100, price: { input: 1, output: 1 } } ]",
	})+fmt.Sprintf(`
routes:
  - { name: a, match: { models: [ a ] }, targets: [ paris/m, texas/m ], policy: [ { budget: { below: 90, use: [ texas/* ] } } ] }
teams: [ { name: core, budget: { total: 1 USD } } ]
keys: [ { name: k, hash: "%s", team: core } ]
`, auth.HashKey("sk-low-1")))
	ask := func() answer { return post(t, s.Base+chatPath, chat("a", false), "authorization: Bearer sk-low-1") }
	ask().want(t, 200, "I am paris") // nobody knows yet; what it may cost is a fifth of the money
	ask().want(t, 200, "I am texas")
}
