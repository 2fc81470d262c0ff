package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/decided"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/providers"
)

const ways = `
providers:
  - { name: openai, kind: openai, key: env:SIGNALBOX_NOT_SET }
  - { name: claude, kind: anthropic, key: env:SIGNALBOX_NOT_SET }
  - { name: mock, kind: mock }
routes:
  - { name: tagged, match: { models: [a, b], headers: { x-kind: fine } }, targets: [ claude/claude-sonnet-4-5, openai/gpt-5.1 ], failover: { error_bodies: true } }
  - { name: long, match: { models: [a], tokens: { min: 50 } }, targets: [ openai/gpt-5.1 ], usage: estimate }
  - { name: a, match: { models: [a] }, targets: [ { target: openai/gpt-5.1, weight: 1 }, { target: claude/claude-sonnet-4-5, weight: 2 }, { target: mock/echo, weight: 3 } ], usage: pass }
  - { name: c, match: { models: [c] }, targets: [ claude/claude-sonnet-4-5, openai/gpt-5.1 ], lossy: refuse }
`

// TestWhatIsExplainedIsWhatIsDone plans requests in both ways, and compares routes, targets, keys and paths.
func TestWhatIsExplainedIsWhatIsDone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "signalbox.yaml")
	if err := os.WriteFile(file, []byte(ways), 0o600); err != nil {
		t.Fatal(err)
	}
	long := `"` + strings.Repeat("a word ", 100) + `"`
	bodies := []string{
		`{"model":"a","messages":[{"role":"user","content":"Hi"}]}`,
		`{"model":"a","stream":true,"messages":[{"role":"user","content":"Hi"}]}`,
		`{"model":"a","messages":[{"role":"user","content":` + long + `}]}`,
		`{"model":"b","stream":true,"messages":[{"role":"user","content":"Hi"}]}`,
		`{"model":"c","seed":1,"messages":[{"role":"user","content":"Hi"}]}`,
		`{"model":"d","messages":[{"role":"user","content":"Hi"}]}`,
		`{"model":"c","messages":3}`,
		`{"model":"c"`,
	}
	seen := map[string]bool{}
	for seed := range uint64(6) {
		core, err := Deciding(t.Context(), file, time.Unix(1_800_000_000, 0), seed, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range bodies {
			for _, kind := range []string{"", "fine"} {
				head := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}}
				if kind != "" {
					head = append(head, providers.Header{Name: "x-kind", Value: kind})
				}
				e := core.Explain(t.Context(), head, []byte(body), auth.Identity{})
				got, want := explained(e), planned(t, core, head, body)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("seed %d, %s %s: -done +explained\n%s", seed, kind, body, diff)
				}
				seen[fmt.Sprint(got)] = true
			}
		}
	}
	if len(seen) < 9 {
		t.Errorf("only %d outcomes are compared", len(seen))
	}
}

func explained(e *decided.Decided) (out []string) {
	if e.Refused != nil {
		return []string{e.Refused.Code.String() + ": " + e.Refused.Message}
	}
	out = append(out, e.Route.Name)
	for _, l := range e.Legs {
		out = append(out, l.Target()+" "+l.Key+" "+l.Path.String())
	}
	return out
}

func planned(t *testing.T, core *exchange.Core, head exchange.Header, body string) (out []string) {
	t.Helper()
	x := core.Begin()
	reply := x.Head(t.Context(), head, false)
	if reply.Answer == nil {
		reply = x.Body(t.Context(), []byte(body))
	}
	if reply.Answer != nil {
		return []string{reply.Answer.Err.Code.String() + ": " + reply.Answer.Err.Message}
	}
	k, err := ticket.Read(reply.Plan.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, k.Route)
	for _, l := range k.Steps {
		out = append(out, l.Target()+" "+l.Key+" "+l.Path.String())
	}
	return out
}

// TestReplicasNameTheirConfigurationAlike: what a configuration is called depends on its text, and on nothing of the process.
func TestReplicasNameTheirConfigurationAlike(t *testing.T) {
	version := func(text string) string {
		file := filepath.Join(t.TempDir(), "signalbox.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		core, err := Deciding(t.Context(), file, time.Unix(0, 0), 1, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return core.Snapshot().Version
	}
	const text = "providers: [ { name: mock, kind: mock } ]\nroutes: [ { name: r, match: { models: [ a ] }, policy: [ { cheapest: { within: 5 } } ], targets: [ mock/echo ] } ]\n"
	if a, b := version(text), version(text); a != b {
		t.Errorf("%s and %s", a, b)
	}
	if a, b := version(text), version(strings.Replace(text, "5", "6", 1)); a == b {
		t.Errorf("an option of a policy changes nothing: %s", a)
	}
}

// fillStore makes a store that has a template that names a route, one with the name of an alias, a key bounded to that
// route and one that is not, and a promoted experiment.
func fillStore(t *testing.T, address string) {
	t.Helper()
	s, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var secrets [2]string
	for i := range secrets {
		if secrets[i], err = auth.Generate("test"); err != nil {
			t.Fatal(err)
		}
	}
	sealed := auth.NewDirectory()
	const body = "messages: [ { role: user, content: Hi } ]\n"
	if err := s.Change(t.Context(), store.Actor{Name: "test"}, func(tx *store.Tx) error {
		_, one := tx.CreateTemplateVersion(&store.TemplateVersion{Name: "reply", Body: "route: aside\n" + body})
		_, two := tx.CreateTemplateVersion(&store.TemplateVersion{Name: "smart", Body: "model: a\n" + body})
		return errors.Join(one, two,
			tx.CreateOrganization(&store.Organization{Name: "acme"}),
			tx.CreateKey(&store.Key{Name: "issued", Organization: "acme", Scope: store.Scope{Routes: []string{"aside"}}}, secrets[0], sealed.Digest(secrets[0])),
			tx.CreateKey(&store.Key{Name: "wide", Organization: "acme"}, secrets[1], sealed.Digest(secrets[1])),
			tx.BeginExperiment(&store.Experiment{Name: "try", State: "promoted", Arm: "other"}),
		)
	}); err != nil {
		t.Fatal(err)
	}
}

const beside = `
providers: [ { name: mock, kind: mock } ]
aliases: { smart: a }
routes:
  - { name: all, match: { models: [ a ] }, targets: [ mock/echo ] }
  - { name: aside, match: { models: [ a ], headers: { x-kind: fine } }, targets: [ mock/text ] }
experiments: [ { name: try, route: all, arms: [ { name: now, weight: 1 }, { name: other, weight: 1, targets: [ mock/json ] } ] }, { name: words, route: aside, arms: [ { name: now }, { name: one, template: reply@1 }, { name: two, template: reply@2 } ] } ]
store: `

// TestWhatTheStoreHasCounts decides without the service by what its store has, on both engines; nothing is written there.
func TestWhatTheStoreHasCounts(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			dir := t.TempDir()
			address := "sqlite:" + filepath.Join(dir, "s.db")
			if engine == "postgres" {
				address = servers.StartPostgres(t).Database()
			}
			file := filepath.Join(dir, "signalbox.yaml")
			if err := os.WriteFile(file, []byte(beside+address+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			decide := func(body, key string) (routed, said string) {
				t.Helper()
				var w bytes.Buffer
				core, err := Deciding(t.Context(), file, time.Unix(1_800_000_000, 0), 1, &w)
				if err != nil {
					t.Fatal(err)
				}
				who, _ := core.Snapshot().Keys.Assume(key)
				head := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}}
				return fmt.Sprint(explained(core.Explain(t.Context(), head, []byte(body), who))), w.String()
			}
			const named, plain = `{"model":"reply"}`, `{"model":"a","messages":[{"role":"user","content":"Hi"}]}`
			if _, said := decide(plain, ""); !strings.Contains(said, "the store cannot be read here, and counts as empty") {
				t.Errorf("of a store that is not there it says %q", said)
			}
			if _, warned, err := Check(t.Context(), file, io.Discard); err != nil || strings.Contains(warned.Report(), "the store cannot be read") != (engine == "postgres") || !strings.Contains(warned.Report(), "no request takes the route") {
				t.Errorf("of a store that is not there it warns: %s, %v", warned.Report(), err)
			}
			fillStore(t, address)
			routed, said := decide(named, "issued")
			if !strings.HasPrefix(routed, "[aside mock/text ") || strings.Contains(said, "cannot be read") {
				t.Errorf("it takes %s, and says %s", routed, said)
			}
			if !strings.Contains(said, "a template of the store is not used: the configuration has its name") {
				t.Errorf("of a hidden template it says %q", said)
			}
			if routed, _ = decide(plain, "issued"); strings.HasPrefix(routed, "[all") {
				t.Errorf("a key of the store takes a route beyond its scope: %s", routed)
			}
			if routed, _ = decide(plain, "wide"); !strings.HasPrefix(routed, "[all mock/json ") {
				t.Errorf("the arm that is promoted does not count: %s", routed)
			}
			if routed, _ = decide(plain, ""); !strings.HasPrefix(routed, "[unauthenticated") {
				t.Errorf("without a key: %s", routed)
			}
			if _, warned, err := Check(t.Context(), file, io.Discard); err != nil || len(warned) != 1 || !strings.Contains(warned[0].Message, `the arm "words/two" has reply@2, which neither files nor the store have`) {
				t.Errorf("it warns of other than the arm of a version that is not there: %s, %v", warned.Report(), err)
			}
			open, err := Ways(t.Context(), file, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if w, err := open(); err != nil || w.Pinned(map[string]string{"template": "reply@1"}) != "aside" || w.Pinned(map[string]string{"template": "reply@2"})+w.Pinned(nil) != "" {
				t.Errorf("a backtest does not know the template's route: %v", err)
			}
		})
	}
}

// TestThePastIsPricedByWhatTheConfigurationSaysOfItsProviders: of the account's service tier, too, where neither the request nor
// the answer named one.
func TestThePastIsPricedByWhatTheConfigurationSaysOfItsProviders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(`
providers:
  - name: p
    kind: mock
    models: [ { name: m, price: { input: 2, services: [ { name: flex, input: 1 } ] } } ]
    billing: { service_tier: flex }
`), 0o600); err != nil {
		t.Fatal(err)
	}
	pricer, err := Pricer(path)
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]int64{"": 1_000, "default": 2_000, "flex": 1_000} {
		p, ok := pricer(time.Now(), &ledger.Attempt{Target: ledger.Target{Provider: "p", Kind: "mock", Model: "m", Service: service}}, cost.Units{price.Input: 1})
		if !ok || p.Bill.Nano != want || p.Version != "config" {
			t.Errorf("at the service tier %q: %d by the card of %q, %v; want %d", service, p.Bill.Nano, p.Version, ok, want)
		}
	}
}
