package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// filledLedger makes a ledger of three exchanges and one refusal, and returns its address.
func filledLedger(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	noon := ledgertest.Noon()
	ledgertest.Write(t, s,
		ledgertest.Make("a", noon),
		ledgertest.Make("b", noon.Add(time.Hour), func(r *ledger.Record) {
			r.Who.Team, r.Tags = "web", map[string]string{"feature": "chat"}
			a := &r.Attempts[0]
			a.Provider, a.Kind, a.Model = "claude", "anthropic", "claude-sonnet-4-5"
			a.Units = ledger.Units{price.Input: 1000, price.Output: 100}
			a.Bill = ledger.Bill{Cost: 4_000_000, List: 4_000_000, Card: "0000000000000000", Version: "2026-01-01"}
		}),
		ledgertest.Make("c", noon.Add(25*time.Hour), func(r *ledger.Record) { r.Attempts[0].Model = "nobody-knows" }),
		ledgertest.Make("d", noon.Add(25*time.Hour), func(r *ledger.Record) {
			r.Attempts, r.Result = nil, ledger.Result{Status: ledger.Refused, HTTP: 429}
		}),
	)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// usage runs the command and returns what it writes.
func usage(t *testing.T, status int, args ...string) (out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	if got := run(append([]string{"usage"}, args...), streams{strings.NewReader(""), &o, &e}); got != status {
		t.Errorf("%v: status %d, want %d; %s", args, got, status, e.String())
	}
	return o.String(), e.String()
}

func TestUsageReports(t *testing.T) {
	at := filledLedger(t)
	august := []string{"--ledger", at, "--from", "2026-08-01", "--until", "2026-09-01"}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"of everything", nil, `
EXCHANGES  FAILED  INPUT  CACHED  OUTPUT  COST $  SAVED $  $/1K TOKENS  $/EXCHANGE  UNPRICED
4          1       4000   1000    1100    0.029   0.0018   0.005686275  0.00725     0
`},
		{"by team and tag", []string{"report", "--by", "team,tag:feature"}, `
TEAM   TAG:FEATURE  EXCHANGES  FAILED  INPUT  CACHED  OUTPUT  COST $  SAVED $  $/1K TOKENS  $/EXCHANGE   UNPRICED
core   search       3          1       3000   1000    1000    0.025   0.0018   0.00625      0.008333333  0
web    chat         1          0       1000   0       100     0.004   0        0.003636364  0.004        0
total               4          1       4000   1000    1100    0.029   0.0018   0.005686275  0.00725      0
`},
		{"by day, of one provider", []string{"--every", "day", "--where", "provider=openai"}, `
TIME               EXCHANGES  FAILED  INPUT  CACHED  OUTPUT  COST $  SAVED $  $/1K TOKENS  $/EXCHANGE  UNPRICED
2026-08-20T00:00Z  1          0       1500   500     500     0.0125  0.0009   0.00625      0.0125      0
2026-08-21T00:00Z  1          0       1500   500     500     0.0125  0.0009   0.00625      0.0125      0
total              2          0       3000   1000    1000    0.025   0.0018   0.00625      0.0125      0
`},
		{"of nothing", []string{"--where", "model=x"}, `
EXCHANGES  FAILED  INPUT  CACHED  OUTPUT  COST $  SAVED $  $/1K TOKENS  $/EXCHANGE  UNPRICED
0          0       0      0       0       0       0        -            -           0
`},
		{"as JSON", []string{"--json", "--by", "model", "--where", "team=web"}, `
{"model":"claude-sonnet-4-5","exchanges":1,"failed":0,"attempts":1,"input":1000,"cached":0,"written":0,"output":100,"reasoning":0,"searches":0,"cost":"0.004","list":"0.004","saved":"0","unpriced":0,"estimated":0,"took_ms":1500,"cost_per_1k_tokens":"0.003636364","cost_per_exchange":"0.004"}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := usage(t, 0, append(c.args, august...)...); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("got\n%swant%s", got, c.want)
			}
		})
	}
}

func TestUsageFlagsThatMakeNoSense(t *testing.T) {
	at := filledLedger(t)
	for _, c := range []struct{ args, say string }{
		{"--ledger " + at + " --from yesterday", "--from: not a time"},
		{"--ledger " + at + " --from 2026-08-02 --until 2026-08-01", "begins at or after its end"},
		{"--ledger " + at + " --where colour=red", "unknown dimension"},
		{"--ledger " + at + " --where red", "write NAME=VALUE"},
		{"--ledger " + at + " --by team --by team", "named twice"},
		{"--ledger sqlite:/nowhere/ledger.db", "no such file"},
		{"--ledger postgres://u:hunter2@h/d", "by reference"},
		{"export --ledger " + at + " --shape records --format csv", "no form as csv"},
		{"", "no such file"}, // that of the default,
	} {
		_, errs := usage(t, 1, strings.Fields(c.args)...)
		if !strings.Contains(errs, c.say) || strings.Contains(errs, "hunter2") {
			t.Errorf("%s: %s", c.args, errs)
		}
	}
	usage(t, 2, "export", "--shape", "circle")
}

func TestUsageExports(t *testing.T) {
	at := filledLedger(t)
	all := []string{"export", "--ledger", at, "--from", "2026-08-01", "--until", "2026-09-01"}
	out, _ := usage(t, 0, append(all, "--shape", "records")...)
	if n := strings.Count(out, "\n"); n != 4 || !strings.HasPrefix(out, `{"organization":"acme","id":"a"`) {
		t.Errorf("%d lines: %.80s", n, out)
	}
	file := filepath.Join(t.TempDir(), "costs.parquet")
	usage(t, 0, append(all, "--shape", "focus", "--format", "parquet", "-o", file)...)
	data, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(data, []byte("PAR1")) || !bytes.HasSuffix(data, []byte("PAR1")) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestUsageIsPricedAnew(t *testing.T) {
	at := filledLedger(t)
	all := []string{"rerate", "--ledger", at, "--from", "2026-08-01", "--until", "2026-09-01", "--where", "provider=claude"}
	// 1,000 × 3 + 100 × 15 µ$, where 4 m$ are recorded
	dry := "1 exchanges: 1 would be corrected; --apply writes the corrections\nrecorded 0.004 $, now 0.0045 $, difference 0.0005 $\n"
	for range 2 {
		if got, _ := usage(t, 0, all...); got != dry {
			t.Errorf("got %swant %s", got, dry)
		}
	}
	if got, _ := usage(t, 0, append(all, "--apply", "--json")...); !strings.Contains(got, `"sequence":1`) || !strings.Contains(got, `"cause":"rerate"`) {
		t.Errorf("got %s", got)
	}
	if got, _ := usage(t, 0, append(all, "--apply")...); !strings.HasPrefix(got, "1 exchanges: 0 corrected\n") {
		t.Errorf("again: %s", got)
	}
	if got, _ := usage(t, 0, "--ledger", at, "--from", "2026-08-01", "--until", "2026-09-01", "--where", "provider=claude", "--json"); !strings.Contains(got, `"cost":"0.0045"`) {
		t.Errorf("the report says %s", got)
	}
	if got, _ := usage(t, 0, "rerate", "--ledger", at, "--from", "2026-08-01", "--until", "2026-09-01"); !strings.Contains(got, "1 attempts keep their cost") {
		t.Errorf("of all: %s", got)
	}
}
