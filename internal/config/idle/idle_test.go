package idle_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/config/idle"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
)

// found are the warnings about routes and experiments, as PATH: MESSAGE. Providers are in a region of their name, and mute has no
// endpoint for anything but chats.
func found(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signalbox.yaml")
	providers := "providers: [ { name: eu, kind: mock }, { name: us, kind: mock }, { name: mute, kind: mock } ]\n"
	if err := os.WriteFile(path, []byte(providers+text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, all.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, w := range idle.Find(c, idle.Facts{
		About:  func(provider, _, _ string) *routing.About { return &routing.About{Kind: "mock", Region: provider} },
		Speaks: func(t *routing.Target, op llm.Op) bool { return t.Provider != "mute" || op == llm.OpChat },
	}) {
		out = append(out, w.Path+": "+w.Message)
	}
	return strings.Join(out, "\n")
}

func TestWhatNothingCanMeetIsFound(t *testing.T) {
	const route = "routes: [ { name: r, match: { models: [ m ] }, targets: [ eu/a ] } ]\n"
	embeds := strings.Replace(route, "[ m ]", "[ m ], operations: [ embed, rerank ]", 1)
	local := strings.Replace(route, "] } ]\n", "], policy: [ { region: eu } ] } ]\n", 1)
	arms := func(second string) string {
		return "experiments: [ { name: x, route: r, arms: [ { name: control }, { name: other" + second + " } ] } ]\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing is wrong":                            {route + arms(", targets: [ us/a ]"), ""},
		"an arm beyond the route's regions":           {local + arms(", targets: [ us/a ]"), `experiments[0].arms[1].targets: the arm "x/other" has no target for any request of the route "r": region leaves out us/a (its region is us)`},
		"an arm with one target within":               {local + arms(", targets: [ us/a, eu/b ]"), ""},
		"an arm with a policy of its own":             {route + arms(", policy: [ cheapest, { region: us } ]"), `experiments[0].arms[1].policy[1]: the arm "x/other" has no target for any request of the route "r": region leaves out eu/a (its region is eu)`},
		"an arm that frees itself of the policy":      {local + arms(", targets: [ us/a ], policy: [ cheapest ]"), ""},
		"an arm that changes parameters alone":        {local + arms(", parameters: { temperature: 1 }"), ""},
		"an arm without an endpoint":                  {embeds + arms(", targets: [ mute/a ]"), `experiments[0].arms[1].targets: the arm "x/other" has no target for any request of the route "r": mute has no endpoint for embed, rerank`},
		"an arm with one target that has an endpoint": {embeds + arms(", targets: [ mute/a, us/a ]"), ""},
		"an arm at a model that clients name":         {embeds + arms(`, targets: [ "mute/*" ]`), ""},
		"a route without an endpoint":                 {strings.Replace(embeds, "eu/a", "mute/a", 1), `routes[0].targets: the route "r" has no target for any request: mute has no endpoint for embed, rerank`},
		"a route that takes all operations":           {strings.Replace(route, "eu/a", "mute/a", 1), ""},
		"a shadow that can answer nothing":            {"ledger: { store: \"sqlite:l.db\" }\n" + local + strings.Replace(arms(", targets: [ us/a ]"), "route: r", "kind: shadow, budget: 1 USD, route: r", 1), `experiments[0].arms[1].targets: the arm "x/other" has no target for any request of the route "r": region leaves out us/a (its region is us)`},
		"a route that another hides": {
			"routes: [ { name: a, match: { models: [ \"*\" ] }, targets: [ eu/a ] }, { name: b, match: { models: [ \"m-*\" ], teams: [ t ] }, targets: [ eu/a ] } ]\nteams: [ { name: t } ]\n",
			`routes[1].match: no request takes the route "b": all that it could take go to "a" before it`,
		},
		"a route that another hides but for one of its names": {
			"routes: [ { name: a, match: { models: [ m ], tags: { f: \"a|b\" } }, targets: [ eu/a ] }, { name: b, match: { models: [ m, n ], tags: { f: a } }, targets: [ eu/a ] } ]\n", "",
		},
		"a route whose end user is just what a pattern begins with": {
			"routes: [ { name: a, match: { models: [ m ], end_users: [ \"x*\" ] }, targets: [ eu/a ] }, { name: b, match: { models: [ m ], end_users: [ x ] }, targets: [ eu/a ] } ]\n",
			`routes[1].match: no request takes the route "b": all that it could take go to "a" before it`,
		},
		"a route with the name of a header in other letters": {
			"routes: [ { name: a, match: { models: [ m ], headers: { X-Tier: v } }, targets: [ eu/a ] }, { name: b, match: { models: [ m ], headers: { x-tier: v } }, targets: [ eu/a ] } ]\n",
			`routes[1].match: no request takes the route "b": all that it could take go to "a" before it`,
		},
		"a route with another condition": {
			"routes: [ { name: a, match: { models: [ m ], stream: true }, targets: [ eu/a ] }, { name: b, match: { models: [ m ], tokens: { max: 7 } }, targets: [ eu/a ] } ]\n", "",
		},
	} {
		if got := found(t, c.text); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}
