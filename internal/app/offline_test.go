package app

import (
	"fmt"
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
		core, err := Deciding(t.Context(), file, time.Unix(1_800_000_000, 0), seed)
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
		core, err := Deciding(t.Context(), file, time.Unix(0, 0), 1)
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
