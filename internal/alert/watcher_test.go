package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// hook takes webhooks, and fails where it is told to.
type hook struct {
	*httptest.Server
	mu   sync.Mutex
	got  []string // kind severity: title
	ids  []string
	fail int
}

func serve(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.fail > 0 {
			h.fail--
			w.WriteHeader(http.StatusNotFound)
			return
		}
		b, _ := io.ReadAll(r.Body)
		text := func(name string) string { s, _ := jsonx.String(jsonx.Get(b, name)); return s }
		h.got = append(h.got, text("kind")+" "+text("severity")+": "+text("title"))
		h.ids = append(h.ids, text("id"))
	}))
	t.Cleanup(h.Close)
	return h
}

// took returns what came since it was last asked, sorted.
func (h *hook) took() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.got
	h.got = nil
	slices.Sort(out)
	return out
}

// scene is a ledger with a watcher.
type scene struct {
	t     *testing.T
	store *sqlite.Store
	hook  *hook
	state State
	n     int
}

func open(t *testing.T, s budgets.Settings) *scene {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	c := &scene{t: t, store: store, hook: serve(t)}
	set := Preset()
	set.Channels = []channel.Settings{{Name: "hook", Webhook: channel.Webhook{URL: c.hook.URL}}}
	c.state.Settings = &set
	c.limit(s)
	return c
}

// limit sets what team core of acme may use.
func (c *scene) limit(s budgets.Settings) {
	c.t.Helper()
	table, err := budgets.New([]budgets.Owned{{Level: "team", Party: budgets.Party{Organization: "acme", Team: "core"}, Settings: s}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.state.Table = table
}

func spending(month string, at ...string) budgets.Settings {
	return budgets.Settings{Budget: budgets.Spending{Month: month, Manner: budgets.Manner{AlertAt: at}}}
}

// spend writes what is spent at a time, in dollars, and charges it to every budget of the table.
func (c *scene) spend(at time.Time, dollars []float64) {
	c.t.Helper()
	var batch []*ledger.Record
	for i, d := range dollars {
		c.n++
		n := ledger.Nano(d * 1e9)
		batch = append(batch, ledgertest.Make(fmt.Sprintf("r%06d", c.n), at.Add(time.Duration(i)*time.Hour), func(r *ledger.Record) {
			r.Attempts[0].Bill = ledger.Bill{Cost: n, List: n}
			r.Money.Charges = nil
			for l := range c.state.Table.All() {
				from, _ := (&limit{Listed: &l}).span(r.At)
				r.Money.Charges = append(r.Money.Charges, ledger.Charge{Budget: l.Budget.ID, Window: from.Unix(), Unit: "money", Amount: int64(n)})
			}
		}))
	}
	for part := range slices.Chunk(batch, 500) {
		ledgertest.Write(c.t, c.store, part...)
	}
}

func (c *scene) watcher() *Watcher {
	sender := &channel.Sender{Pause: func(context.Context, time.Duration) error { return nil }}
	return New(Params{Ledger: c.store, Sender: sender, Log: slog.New(slog.DiscardHandler)})
}

func (c *scene) look(w *Watcher, now time.Time, want ...string) {
	c.t.Helper()
	w.Look(c.t.Context(), &c.state, now)
	w.Wait()
	if got := c.hook.took(); !slices.Equal(got, want) {
		c.t.Errorf("at %s got\n\t%s\nwant\n\t%s", now.Format(time.DateTime), strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// noon is a Thursday's, in the middle of a month.
func noon() time.Time { return ledgertest.Noon() }

func TestAThresholdIsSaidOnce(t *testing.T) {
	c := open(t, spending("500 USD", "50%", "80%", "100%"))
	w := c.watcher()
	c.spend(noon(), []float64{249})
	c.look(w, noon())
	c.spend(noon(), []float64{1})
	c.look(w, noon(), `threshold info: team "core" has used 50% of its limit of 500.00 USD per month`)
	c.look(w, noon())
	c.look(c.watcher(), noon())     // another replica, or a restart
	c.spend(noon(), []float64{251}) // passes two at once, of which the higher is said
	c.look(w, noon(), `threshold critical: team "core" has used 100.2% of its limit of 500.00 USD per month`)
	c.look(c.watcher(), noon())

	c.limit(spending("600 USD", "50%", "80%", "100%"))
	c.look(w, noon(), `threshold warning: team "core" has used 83.5% of its limit of 600.00 USD per month`)
	c.look(c.watcher(), noon())
	c.spend(noon(), []float64{100})
	c.look(c.watcher(), noon(), `threshold critical: team "core" has used 100.1% of its limit of 600.00 USD per month`) // armed again
	c.limit(spending("550 USD", "50%", "80%", "100%"))
	c.look(c.watcher(), noon()) // lowered: what was said holds all the more

	next := noon().AddDate(0, 1, 0)
	c.look(w, next)
	c.spend(next, []float64{300})
	c.look(w, next, `threshold info: team "core" has used 54.5% of its limit of 550.00 USD per month`)
}

func TestTheLastMomentOfAWindowCounts(t *testing.T) {
	c := open(t, spending("100 USD", "100%"))
	end := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	c.spend(end.Add(-5*time.Second), []float64{100})
	c.look(c.watcher(), end.Add(3*time.Minute)) // too late
	c.look(c.watcher(), end.Add(40*time.Second), `threshold critical: team "core" has used 100% of its limit of 100.00 USD per month`)
}

func TestWhatCannotBeDeliveredIsTriedAgain(t *testing.T) {
	c := open(t, spending("100 USD", "50%"))
	c.spend(noon(), []float64{60})
	c.hook.fail = 1
	w := c.watcher()
	c.look(w, noon())
	c.look(w, noon()) // the one who tried may still be at it
	if _, err := c.store.Claim(t.Context(), book.Notice{Organization: "acme", ID: "x", Height: 1, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	// The lease is by the real clock: put the claim into the past, as if a process had died on it.
	l := slices.Collect(c.state.Table.All())[0]
	n := book.Notice{Organization: "acme", ID: fmt.Sprintf("%s/%d/500/hook", l.Budget.ID, time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC).Unix()), Height: 100e9, At: time.Now().Add(book.Lease)}
	if ok, err := c.store.Claim(t.Context(), n); !ok || err != nil {
		t.Fatalf("the claim of the failed try is not there: %v, %v", ok, err)
	}
	n.At = time.Now().Add(-2 * book.Lease)
	n.Height++
	if ok, err := c.store.Claim(t.Context(), n); !ok || err != nil {
		t.Fatal(ok, err)
	}
	c.look(c.watcher(), noon(), `threshold info: team "core" has used 60% of its limit of 100.00 USD per month`)
	c.look(c.watcher(), noon())
}

// A receiver may ask for pauses that together are longer than a claim holds.
func TestNobodyIsAtItLongerThanTheClaimHolds(t *testing.T) {
	c := open(t, spending("100 USD", "50%"))
	c.hook.Close() // nobody answers, which may pass
	c.spend(noon(), []float64{60})
	w := c.watcher()
	began := time.Now()
	asked := false
	w.Sender.Pause = func(ctx context.Context, _ time.Duration) error {
		end, ok := ctx.Deadline()
		if asked = true; !ok || end.After(began.Add(book.Lease+time.Minute)) {
			t.Errorf("it may go on until %v, and began at %v", end, began)
		}
		return nil
	}
	c.look(w, noon())
	if !asked {
		t.Error("it was not tried again")
	}
}

func TestRulesSayWhoGetsWhat(t *testing.T) {
	c := open(t, spending("100 USD", "50%", "100%"))
	other := serve(t)
	c.state.Settings.Channels = append(c.state.Settings.Channels, channel.Settings{Name: "other", Webhook: channel.Webhook{URL: other.URL}})
	c.state.Settings.Rules = []Rule{
		{Channels: []string{"hook"}},
		{From: "critical", Teams: []string{"core"}, Channels: []string{"other"}},
		{On: []string{"anomaly"}}, {Organizations: []string{"else"}}, {Projects: []string{"chat"}},
	}
	c.spend(noon(), []float64{60})
	c.look(c.watcher(), noon(), `threshold info: team "core" has used 60% of its limit of 100.00 USD per month`)
	if got := other.took(); len(got) > 0 {
		t.Errorf("the other got %v", got)
	}
	c.spend(noon(), []float64{60})
	c.look(c.watcher(), noon(), `threshold critical: team "core" has used 120% of its limit of 100.00 USD per month`)
	if got := other.took(); len(got) != 1 {
		t.Errorf("the other got %v", got)
	}
	if c.hook.ids[1] != other.ids[0] || c.hook.ids[0] == c.hook.ids[1] || len(other.ids[0]) != 32 {
		t.Errorf("ids %v and %v", c.hook.ids, other.ids)
	}
}

// weeks is what four weeks of office hours cost.
func weeks(to time.Time, each float64) (from time.Time, hours []float64) {
	from = to.Add(-29 * 24 * time.Hour)
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		d := 0.01
		if h := at.Hour(); h >= 8 && h < 18 && at.Weekday() != time.Saturday && at.Weekday() != time.Sunday {
			d = each
		}
		hours = append(hours, d)
	}
	return from, hours
}

func TestForecasts(t *testing.T) {
	for _, c := range []struct {
		limit string
		want  string
	}{
		// 20 working days until the 28th: of 21 in August 200 hours, about 212 USD
		{"150 USD", `forecast warning: team "core" will probably pass its limit of 150.00 USD per month, at 2026-08-2`},
		{"1000 USD", ""},
	} {
		s := open(t, spending(c.limit))
		s.spend(weeks(noon(), 1))
		w := s.watcher()
		w.Look(t.Context(), &s.state, noon().Add(5*time.Minute))
		w.Wait()
		got := strings.Join(s.hook.took(), "\n")
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: got %q", c.limit, got)
		}
		s.look(s.watcher(), noon().Add(10*time.Minute)) // not again
	}
}

// TestWhatIsRefusedUsesNoLimit: the ledger has refused requests, which no limit counts. Somebody who tries again and again is no
// reason to say that a limit of requests will be passed.
func TestWhatIsRefusedUsesNoLimit(t *testing.T) {
	c := open(t, budgets.Settings{Limits: budgets.Limits{Requests: budgets.Requests{RequestsPerMonth: 2000}}})
	var id string
	for l := range c.state.Table.All() {
		id = l.Budget.ID
	}
	month := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	var batch []*ledger.Record
	for at := noon().Add(-29 * 24 * time.Hour); at.Before(noon()); at = at.Add(time.Hour) {
		for n := range 11 {
			batch = append(batch, ledgertest.Make(fmt.Sprintf("%s-%d", at.Format("0102T15"), n), at, func(r *ledger.Record) {
				r.Money = ledger.Money{}
				switch {
				case n > 0:
					r.Attempts, r.Result = nil, ledger.Result{Status: ledger.Refused, HTTP: 429}
				case !at.Before(month):
					r.Money.Charges = []ledger.Charge{{Budget: id, Window: month.Unix(), Unit: "requests", Amount: 1}}
				}
			}))
		}
	}
	for part := range slices.Chunk(batch, 500) {
		ledgertest.Write(t, c.store, part...)
	}
	c.look(c.watcher(), noon().Add(5*time.Minute)) // 744 at the end of the month
}

func TestAnomalies(t *testing.T) {
	c := open(t, spending("9000 USD"))
	c.spend(weeks(noon(), 1))
	w := c.watcher()
	c.look(w, noon().Add(5*time.Minute))
	c.spend(noon().Add(10*time.Minute), []float64{80})
	c.look(w, noon().Add(20*time.Minute)) // the hour is not over
	c.look(w, noon().Add(65*time.Minute), `anomaly warning: key "ci" spent 80.00 USD at gpt-5.1 in an hour, usual are 1.00 USD`)
	c.look(w, noon().Add(66*time.Minute))
	c.look(c.watcher(), noon().Add(67*time.Minute))
	c.state.Settings.Anomalies = "100 USD"
	c.spend(noon().Add(70*time.Minute), []float64{90})
	c.look(w, noon().Add(125*time.Minute))
}

func TestBurn(t *testing.T) {
	c := open(t, spending("1000 USD"))
	c.spend(weeks(noon(), 1))
	w := c.watcher()
	c.look(w, noon().Add(5*time.Minute))
	c.spend(noon().Add(10*time.Minute), []float64{80}) // the even pace is 1.34 USD in an hour: 84.0 in six are 10.4 times that
	want := `burn critical: team "core" burns its limit of 1000.00 USD per month at 10.4 times the even pace`
	c.look(w, noon().Add(20*time.Minute), want)
	c.look(c.watcher(), noon().Add(21*time.Minute)) // once a day
	c.look(w, noon().Add(100*time.Minute), `anomaly warning: key "ci" spent 80.00 USD at gpt-5.1 in an hour, usual are 1.00 USD`)
}

func TestKeys(t *testing.T) {
	c := open(t, budgets.Settings{})
	key := func(name string, hash byte, ends time.Time) *auth.Key {
		return &auth.Key{ID: name, Name: name, Hash: [32]byte{hash}, Expires: ends, Owner: auth.Owner{Organization: "acme", Team: "core"}}
	}
	c.state.Keys = []*auth.Key{
		key("a", 1, time.Time{}), key("soon", 2, noon().Add(3*24*time.Hour)), key("later", 3, noon().Add(30*24*time.Hour)),
		key("over", 4, noon().Add(-time.Hour)), key("long over", 5, noon().Add(-30*24*time.Hour)),
	}
	c.state.Issued = []*auth.Key{c.state.Keys[3]}
	c.state.Keys = slices.Delete(c.state.Keys, 3, 4)
	w := c.watcher()
	c.look(w, noon(), `key info: key "soon" expires at 2026-08-23 12:00 UTC`, `key warning: key "over" has expired`)
	c.look(w, noon().Add(time.Minute))
	c.look(c.watcher(), noon())
	c.state.Issued = nil
	c.state.Keys = []*auth.Key{key("a", 9, time.Time{}), key("new", 6, time.Time{}), c.state.Keys[2]}
	c.look(w, noon(), `key info: key "a" was replaced`, `key info: key "long over" was removed`, `key info: key "new" was added`, `key info: key "soon" was removed`)
	c.look(w, noon().Add(time.Minute))
}

func TestWithoutTheLedgerKeysStillCount(t *testing.T) {
	c := open(t, spending("100 USD", "50%"))
	c.spend(noon(), []float64{60})
	w := c.watcher()
	var log strings.Builder
	w.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.Ledger = broken{c.store}
	c.state.Keys = []*auth.Key{{Name: "over", Owner: auth.Owner{Organization: "acme"}, Expires: noon().Add(-time.Hour)}}
	c.look(w, noon(), `key warning: key "over" has expired`)
	c.look(w, noon())
	if n := strings.Count(log.String(), "does not say"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	w.Ledger = c.store
	c.look(w, noon(), `threshold info: team "core" has used 60% of its limit of 100.00 USD per month`)
	if !strings.Contains(log.String(), "says again") {
		t.Error(log.String())
	}
}

type broken struct{ *sqlite.Store }

func (broken) ChargedOf(context.Context, string, []string, time.Time) ([]book.Charged, error) {
	return nil, errors.New("gone")
}

func TestAChannelThatHangsKeepsNoOtherWaiting(t *testing.T) {
	c := open(t, spending("100 USD", "50%"))
	c.spend(noon(), []float64{60})
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(slow.Close)
	defer close(release)
	c.state.Settings.Channels = append([]channel.Settings{{Name: "slow", Webhook: channel.Webhook{URL: slow.URL}}}, c.state.Settings.Channels...)
	w := c.watcher()
	w.Look(t.Context(), &c.state, noon())
	w.Look(t.Context(), &c.state, noon())
	for range 100 {
		if c.hook.took() != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("nothing came")
}
