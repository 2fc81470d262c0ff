package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// evenLedger makes a ledger in which team core spent a dollar every hour of the four weeks before a time, and team web has
// just begun.
func evenLedger(t *testing.T, noon time.Time) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	make1 := func(team string, at time.Time) *ledger.Record {
		return ledgertest.Make(fmt.Sprint(strings.ToLower(team), at.Unix()), at, func(r *ledger.Record) {
			r.Who.Team = team
			r.Attempts[0].Bill = ledger.Bill{Cost: 1e9, List: 1e9}
		})
	}
	for week := range 4 {
		var batch []*ledger.Record
		for h := range 7 * 24 {
			batch = append(batch, make1("core", noon.Add(time.Duration(h-(week+1)*7*24)*time.Hour)))
		}
		ledgertest.Write(t, s, batch...)
	}
	ledgertest.Write(t, s, make1("web", noon.Add(-time.Hour)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

func TestUsageIsForecast(t *testing.T) {
	at := evenLedger(t, ledgertest.Noon())
	// noon of the 20th: 19.5 days are over, 276 hours are left
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"by team", []string{"--by", "team", "--limit", "600 USD"}, `TEAM  USED    P10     P50     P90     REACHED            EARLIEST           BY
core  468.00  744.00  744.00  744.00  2026-08-26T00:00Z  2026-08-26T00:00Z  weeks
web   1.00    79.86   277.00  967.00  -                  2026-08-27T`},
		{"of one", []string{"--where", "team=core", "--per", "day"}, "USED   P10    P50    P90    BY\n12.00  24.00  24.00  24.00  weeks\n"},
		{"requests", []string{"--where", "team=core", "--per", "week", "--unit", "requests", "--limit", "100"}, "USED  P10  P50  P90  REACHED            EARLIEST           BY\n84    168  168  168  2026-08-21T04:00Z  2026-08-21T04:00Z  weeks\n"},
		{"JSON", []string{"--where", "team=core", "--by", "team", "--limit", "600 USD", "--json"}, `{"team":"core","used":"468","p10":"744","p50":"744","p90":"744","reached":"2026-08-26T00:00:00Z","earliest":"2026-08-26T00:00:00Z","by":"weeks"}` + "\n"},
		{"a zone", []string{"--where", "team=core", "--per", "day", "--zone", "Asia/Tokyo"}, "USED   P10    P50    P90    BY\n21.00  24.00  24.00  24.00  weeks\n"},
		{"nobody", []string{"--where", "team=nobody"}, "USED  P10  P50  P90  BY\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _ := usage(t, 0, append([]string{"forecast", "--ledger", at, "--at", "2026-08-20T12:00:00Z"}, c.args...)...)
			if !strings.HasPrefix(out, c.want) {
				t.Errorf("got\n%s\nwant\n%s", out, c.want)
			}
		})
	}
	for _, bad := range [][]string{{"--limit", "600"}, {"--limit", "0", "--unit", "tokens"}, {"--zone", "Mars"}, {"--at", "soon"}, {"--by", "color"}, {"--where", "team"}} {
		if out, errs := usage(t, 1, append([]string{"forecast", "--ledger", at}, bad...)...); out != "" || errs == "" {
			t.Errorf("%v: %q, %q", bad, out, errs)
		}
	}
}

// forecasts runs the block over a ledger of four weeks.
func forecasts(t *testing.T, p *place, b block) {
	must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(p.ports(mockOnly)+"ledger: { store: \""+evenLedger(t, time.Now())+"\" }\n"), 0o600))
	if out := p.shell(t, b, ""); !strings.HasPrefix(out, "TEAM") || !strings.Contains(out, "\ncore ") || !strings.Contains(out, "REACHED") {
		t.Errorf("it prints %s", out)
	}
}
