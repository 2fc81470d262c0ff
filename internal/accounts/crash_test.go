package accounts

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
)

// facts knows that a model answers with up to 1,000 tokens.
type facts struct{ providers.Adapter }

func (facts) Facts(string) catalog.Facts { return catalog.Facts{MaxOutput: 1000} }

// life is a process from its start to its crash, with a store of counters of its own.
type life struct {
	*Accounts
	t     *testing.T
	table *budgets.Table
	store *memory.Store
	step  metering.Step
}

// begin starts a process with the journal and the ledger of a folder.
func begin(t *testing.T, dir, journal string) *life {
	t.Helper()
	return beginWith(t, dir, fmt.Sprintf("{ journal: %q }", filepath.Join(dir, journal)), Options{})
}

// beginWith starts it with a section quota of its own.
func beginWith(t *testing.T, dir, section string, o Options) *life {
	t.Helper()
	cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, `
providers: [{ name: p, kind: mock }]
teams: [{ name: core, budget: { total: 1 USD } }]
keys: [{ name: k, team: core, hash: "sha256:%064d" }]
quota: %s
ledger: { store: "sqlite:%s/ledger.db", spool: none }
`, 0, section, dir), all.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t: t}
	if l.table, err = cfg.Budgets(); err != nil {
		t.Fatal(err)
	}
	o.Log, o.Budget, o.Limits = slog.New(slog.DiscardHandler), l.table.Budget, func() *budgets.Table { return l.table }
	if l.Accounts, err = Open(context.Background(), cfg, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	l.store = l.local
	million := func(s string) price.Rate {
		r, err := price.ParseMillion(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	card := &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: million("1"), price.CacheWrite: million("1"), price.CacheWrite1h: million("1"), price.Output: million("10")})}
	l.step = metering.Step{Model: "m", Provider: &providers.Provider{Name: "p", Kind: "mock", Base: &url.URL{}, Adapter: facts{}, Models: catalog.NewDeployment("mock", []catalog.Declared{{Name: "m", Card: card}})}}
	return l
}

// know takes up what the process before left, and runs.
func (l *life) know() {
	l.t.Helper()
	if err := l.Missing(context.Background(), l.table.Organizations()); err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx, l.table.Organizations)
	}()
	l.t.Cleanup(func() {
		cancel()
		<-done
	})
}

func party() metering.Party {
	return metering.Party{Organization: "default", Team: "core", Key: "k"}
}

// reserve admits an exchange of 4,000 bytes and up to 500 tokens: 4,000,000 and 5,000,000 nano-USD.
func (l *life) reserve() string {
	l.t.Helper()
	p := party()
	w := &metering.Want{Party: p, Limits: l.table, Model: "m", Op: llm.OpChat, Steps: []metering.Step{l.step}, Prompt: metering.Prompt{Bytes: 4000}, Output: 500, N: 1, Began: time.Now(), Hold: time.Minute}
	g, err := l.Reserve(context.Background(), w, l.Terms(l.table, &p, "m", "route", []string{"p"}))
	if err != nil {
		l.t.Fatal(err)
	}
	return g.Hold
}

// settle tells the end of an exchange that used 100 tokens of prompt and 10 of answer: 200,000 nano-USD.
func (l *life) settle(hold string) {
	l.Settle(&metering.Ended{
		ID: "x", Party: party(), KeyName: "k", Began: time.Now(), Hold: hold, Limits: l.table,
		Asked:    metering.Asked{Model: "m", Op: llm.OpChat},
		Attempts: []metering.Attempt{{Step: l.step, Ended: billing.Completed, Status: 200}},
		Told:     metering.Told{Usage: llm.Usage{Input: llm.Tokens(100), Output: llm.Tokens(10)}, Whole: true},
		Outcome:  metering.Outcome{Status: 200, Ending: "ok", Sent: 100},
	})
}

// want waits until the ledger has records, by sequence, cause, status and cost, and the budget counts so much.
func (l *life) want(records []string, used, reserved int64) {
	l.t.Helper()
	p := party()
	var got []string
	var c []quota.Counter
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got = nil
		from := book.Filter{From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
		err := l.ledger.Records(context.Background(), from, func(r *ledger.Record) error {
			var charged int64
			for _, c := range r.Money.Charges {
				charged += c.Amount
			}
			got = append(got, fmt.Sprintf("%d %s %s cost %s charged %d", r.Sequence, r.Cause, r.Result.Status, r.Money.Cost, charged))
			return nil
		})
		if err != nil {
			l.t.Fatal(err)
		}
		if c, err = l.store.Peek(context.Background(), "default", l.table.Find(nil, &p, "m", "route", []string{"p"})); err != nil {
			l.t.Fatal(err)
		}
		if diff := cmp.Diff(records, got); diff == "" && c[0].Used == used && c[0].Reserved == reserved {
			return
		} else if time.Now().After(end) {
			l.t.Fatalf("used %d, reserved %d; records -want +got\n%s", c[0].Used, c[0].Reserved, diff)
		}
	}
}

// crash copies what is on disk of a journal, as another process would find it.
func crash(t *testing.T, dir, from, to string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(dir, to), os.DirFS(filepath.Join(dir, from))); err != nil {
		t.Fatal(err)
	}
}

// TestACrashBeforeTheEndIsChargedWholeUntilTheTruthComes has a process that admitted an exchange and died before it heard
// how it ended. The next one finds the reservation in the journal, charges it when its time is over, and puts that right
// when the end is told after all, also where a third process hears it.
func TestACrashBeforeTheEndIsChargedWholeUntilTheTruthComes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := begin(t, dir, "one")
	one.know()
	hold := one.reserve()
	one.want(nil, 0, 9_000_000)
	crash(t, dir, "one", "two")

	two := begin(t, dir, "two")
	if n := len(two.left.Open); n != 1 {
		t.Fatalf("%d reservations are in the journal", n)
	}
	two.left.Open[0].Request.Hold = 300 * time.Millisecond // its time is soon over
	two.know()
	two.want(nil, 0, 9_000_000)
	expired := "0  expired cost 0.009 charged 9000000"
	two.want([]string{expired}, 9_000_000, 0)
	two.settle(hold)
	both := []string{expired, "1 late ok cost -0.0088 charged -8800000"}
	two.want(both, 200_000, 0)
	two.settle(hold) // Envoy tells it once more
	time.Sleep(300 * time.Millisecond)
	two.want(both, 200_000, 0)
	crash(t, dir, "two", "three")
	three := begin(t, dir, "three")
	three.know()
	three.want(both, 200_000, 0)

	crash(t, dir, "one", "four") // of which nobody ever told the first
	four := begin(t, dir, "four")
	four.know()
	four.want(both, 200_000, 0)
}

// TestARecordThatTheLedgerRefusesHoldsUpNoStart: else a service with such a record in its journal would never serve again.
func TestARecordThatTheLedgerRefusesHoldsUpNoStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := begin(t, dir, "one")
	one.know()
	db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	first, second := one.reserve(), one.reserve()
	refused := metering.ID(first)
	if _, err := db.ExecContext(t.Context(), "CREATE TRIGGER refuse BEFORE INSERT ON ledger_records WHEN NEW.id='"+refused+"' BEGIN SELECT RAISE(ABORT,'no'); END"); err != nil {
		t.Fatal(err)
	}
	unlock := lock(t, db)
	one.settle(first)
	one.settle(second)
	one.want(nil, 400_000, 0) // the ledger does not have them before the lock is gone
	crash(t, dir, "one", "two")
	unlock()
	two := begin(t, dir, "two")
	if n := len(two.left.Unwritten); n != 2 {
		t.Fatalf("%d records are in the journal", n)
	}
	two.know()
	got, err := two.ledger.Known(t.Context(), "default", []string{refused, metering.ID(second)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{metering.ID(second)}, got); diff != "" {
		t.Errorf("records -want +got\n%s", diff)
	}
	if n := two.journal.Waiting(); n > 0 {
		t.Errorf("%d records wait in the journal still", n)
	}
}

// TestATruthThatCameLateSurvivesACrash of the process that heard it, before the ledger had it: the journal has the record as that
// of an exchange, of which the ledger has another.
func TestATruthThatCameLateSurvivesACrash(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	one := begin(t, dir, "one")
	one.know()
	hold := one.reserve()
	one.want(nil, 0, 9_000_000)
	crash(t, dir, "one", "two")
	two := begin(t, dir, "two")
	two.left.Open[0].Request.Hold = 300 * time.Millisecond
	two.know()
	expired := "0  expired cost 0.009 charged 9000000"
	two.want([]string{expired}, 9_000_000, 0)

	db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	unlock := lock(t, db)
	two.settle(hold)
	two.want([]string{expired}, 200_000, 0) // the ledger does not have it before the lock is gone
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	unlock()
	both := []string{expired, "1 late ok cost -0.0088 charged -8800000"}
	three := begin(t, copied, "two")
	three.know()
	three.want(both, 200_000, 0)
	crash(t, copied, "two", "four") // once is enough
	four := begin(t, copied, "four")
	four.know()
	four.want(both, 200_000, 0)
}

// lock keeps others from writing to a database until the function that it returns is called, or the test ends.
func lock(t *testing.T, db *sql.DB) (unlock func()) {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run := func(statement string) {
		if _, err := c.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	run("BEGIN IMMEDIATE")
	t.Cleanup(func() { _ = c.Close() })
	return func() { run("ROLLBACK") }
}
