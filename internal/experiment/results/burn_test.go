package results_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/results"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/slo"
)

var looked = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// burned are n exchanges of an arm, each of a user of its own, which ended some time ago; change makes them what they are.
func burned(arm string, n int, ago time.Duration, change func(i int, r *ledger.Record)) (all []*ledger.Record) {
	for i := range n {
		r := &ledger.Record{
			Key: ledger.Key{Organization: "default", ID: fmt.Sprint(arm, ago, i)}, At: looked.Add(-ago - time.Second), Who: ledger.Who{User: fmt.Sprint(arm, i), KeyID: "k"},
			Asked: ledger.Asked{Arm: "smaller/" + arm, Route: "chat", Stream: true}, Result: ledger.Result{Status: ledger.OK, HTTP: 200, Took: 1000, First: 200},
			Money:    ledger.Money{Cost: 1_000_000},
			Attempts: []ledger.Attempt{{Units: ledger.Units{price.Input: 100, price.Output: 50}}},
		}
		if change != nil {
			change(i, r)
		}
		all = append(all, r)
	}
	return all
}

// every makes each k-th exchange what f says.
func every(k int, f func(*ledger.Record)) func(int, *ledger.Record) {
	return func(i int, r *ledger.Record) {
		if i%k == 0 {
			f(r)
		}
	}
}

func fails(r *ledger.Record)   { r.Result.Status, r.Result.HTTP = ledger.UpstreamError, 502 }
func slow(r *ledger.Record)    { r.Result.First = 900 }
func dear(r *ledger.Record)    { r.Money.Cost = 5_000_000 }
func invalid(r *ledger.Record) { r.Result.Status, r.Result.HTTP = ledger.UpstreamError, 400 }
func leaves(r *ledger.Record)  { r.Result.Status = ledger.ClientAbort }
func noRoom(r *ledger.Record)  { r.Result.Status, r.Result.HTTP = ledger.Refused, 503 }
func noMoney(r *ledger.Record) { r.Result.Status, r.Result.HTTP = ledger.Refused, 429 }
func promises() []slo.Objective {
	const days = 30 * 24 * time.Hour
	at := slo.Scope{Routes: []string{"chat"}}
	return []slo.Objective{
		{Name: "chat", Kind: slo.Success, Allow: .005, Window: days, Scope: at},
		{Name: "chat", Kind: slo.FirstToken, Within: 800 * time.Millisecond, Allow: .05, Window: days, Scope: at},
		{Name: "search", Kind: slo.Total, Within: 3 * time.Second, Allow: .05, Window: days, Scope: slo.Scope{Tags: map[string][]string{"feature": {"search"}}}},
		{Name: "chat", Kind: slo.Cost, Allow: 10_000, Window: days, Scope: at},
	}
}

// seen is what a ramp is told of.
func seen(parts ...[]*ledger.Record) experiment.Seen {
	t := results.New(smaller)
	t.Promise(promises(), looked)
	for _, p := range parts {
		for _, r := range p {
			t.Add(r)
		}
	}
	return t.Ramp(time.Hour)
}

func TestABudgetThatTheSecondArmBurnsByItself(t *testing.T) {
	const now = time.Minute
	well := burned("control", 1000, now, nil)
	search := func(took ledger.Millis) func(int, *ledger.Record) {
		return func(_ int, r *ledger.Record) {
			r.Tags, r.Result.Took = map[string]string{"feature": "search"}, took
		}
	}
	for name, c := range map[string]struct {
		parts [][]*ledger.Record
		want  string // part of the reason that is urgent, and of the other; "": none
		later string
	}{
		"all is well":                                  {[][]*ledger.Record{well, burned("small", 1000, now, nil)}, "", ""},
		"half of the second arm fails":                 {[][]*ledger.Record{well, burned("small", 40, now, every(2, fails))}, "budget of chat (success) at 100.0 times the even pace in the last 1h, where 14.4 is too much, and the control burns it at 0.0 times", "in the last 3d"},
		"first tokens come late":                       {[][]*ledger.Record{well, burned("small", 60, now, every(1, slow))}, "chat (first_token) at 20.0 times", "in the last 3d"},
		"only some come late, and the budget burns on": {[][]*ledger.Record{well, burned("small", 400, now, every(2, slow))}, "chat (first_token) at 10.0 times the even pace in the last 6h, where 6.0 is too much", "in the last 3d"},
		"it is dearer":                                 {[][]*ledger.Record{well, burned("small", 60, now, every(1, dear))}, "", "chat (cost) at 3.3 times the even pace in the last 3d, where 1.0 is too much"},
		"what its searches take":                       {[][]*ledger.Record{well, burned("small", 60, now, search(4000))}, "search (total)", "in the last 3d"},
		"searches in time":                             {[][]*ledger.Record{well, burned("small", 60, now, search(2000))}, "", ""},
		"the control burns alone":                      {[][]*ledger.Record{burned("control", 1000, now, every(2, fails)), burned("small", 1000, now, nil)}, "", ""},
		"both burn alike":                              {[][]*ledger.Record{burned("control", 1000, now, every(2, fails)), burned("small", 1000, now, every(2, fails))}, "", ""},
		"the second burns less than the control does":  {[][]*ledger.Record{burned("control", 1000, now, every(2, fails)), burned("small", 1000, now, every(4, fails))}, "", ""},
		"the second burns more than the control does":  {[][]*ledger.Record{burned("control", 1000, now, every(4, fails)), burned("small", 1000, now, every(2, fails))}, "and the control burns it at 50.0 times", "in the last 3d"},
		"few say nothing":                              {[][]*ledger.Record{well, burned("small", 9, now, every(1, fails))}, "", ""},
		"one of ten says little":                       {[][]*ledger.Record{well, burned("small", 10, now, every(10, fails))}, "", "in the last 3d"},
		"it failed, and does not any more":             {[][]*ledger.Record{well, burned("small", 40, 50*time.Minute, every(2, fails)), burned("small", 400, now, nil)}, "", "chat (success) at 9.1 times"},
		"there is no control any more":                 {[][]*ledger.Record{burned("small", 40, now, every(2, fails))}, "14.4 is too much", "in the last 3d"},
		"requests that are invalid":                    {[][]*ledger.Record{well, burned("small", 100, now, every(1, invalid))}, "", ""},
		"clients that leave in time":                   {[][]*ledger.Record{well, burned("small", 100, now, every(1, leaves))}, "", ""},
		"no target of the arm can be asked":            {[][]*ledger.Record{well, burned("small", 40, now, every(2, noRoom))}, "chat (success)", "in the last 3d"},
		"limits of clients":                            {[][]*ledger.Record{well, burned("small", 100, now, every(1, noMoney))}, "", ""},
		"another route's":                              {[][]*ledger.Record{well, burned("small", 100, now, every(1, func(r *ledger.Record) { fails(r); r.Asked.Route = "other" }))}, "", ""},
		"another experiment's":                         {[][]*ledger.Record{well, burned("small", 100, now, every(1, func(r *ledger.Record) { fails(r); r.Asked.Arm = "other/small" }))}, "", ""},
	} {
		got := seen(c.parts...)
		for _, is := range [][2]string{{got.Burns, c.want}, {got.Spends, c.later}} {
			if said, want := is[0], is[1]; want == "" && said != "" || !strings.Contains(said, want) {
				t.Errorf("%s: %q, want %q", name, said, want)
			}
		}
	}
}

// TestCorrectionsCountForCosts: what was charged too high at first burns nothing in the end.
func TestCorrectionsCountForCosts(t *testing.T) {
	dearly := burned("small", 60, time.Minute, every(1, dear))
	var back []*ledger.Record
	for _, r := range dearly {
		c := *r
		c.Sequence, c.Cause, c.Attempts, c.Money = 1, "rerate", nil, ledger.Money{Cost: -4_500_000}
		back = append(back, &c)
	}
	if got := seen(dearly).Spends; !strings.Contains(got, "(cost)") {
		t.Errorf("before it is corrected: %q", got)
	}
	if got := seen(dearly, back).Spends; got != "" {
		t.Errorf("when it is corrected: %q", got)
	}
}

// TestOnlyTheArmsOwnExchangesAreToBlame: whatever the control does, an arm that keeps every promise is not stopped.
func TestOnlyTheArmsOwnExchangesAreToBlame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bad := []func(*ledger.Record){fails, slow, dear, noRoom}
		var control []*ledger.Record
		for i := range rapid.IntRange(0, 6).Draw(t, "spells") {
			f := rapid.SampledFrom(bad).Draw(t, fmt.Sprint("what", i))
			ago := time.Duration(rapid.IntRange(1, 400).Draw(t, fmt.Sprint("ago", i))) * time.Minute
			control = append(control, burned("control", rapid.IntRange(1, 80).Draw(t, fmt.Sprint("n", i)), ago, every(rapid.IntRange(1, 5).Draw(t, fmt.Sprint("each", i)), f))...)
		}
		own := burned("small", rapid.IntRange(0, 200).Draw(t, "own"), time.Minute, nil)
		if got := seen(control, own); got.Burns != "" || got.Spends != "" {
			t.Fatalf("an arm that does well is blamed: %+v", got)
		}
	})
}

// TestAnArmThatAlwaysFailsIsStoppedSoon: from as many exchanges on as make it certain, in whatever of the windows they are.
func TestAnArmThatAlwaysFailsIsStoppedSoon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(slo.Enough, 100).Draw(t, "n")
		control := burned("control", rapid.IntRange(0, 100).Draw(t, "control"), time.Minute, nil)
		if got := seen(control, burned("small", n, time.Minute, every(1, fails))).Burns; !strings.Contains(got, "chat (success)") {
			t.Fatalf("%d failures of %d: %q", n, n, got)
		}
	})
}

// TestLooksTakenOftenStopHardlyAny plays canaries that are looked at twenty times: of those that keep the promise nearly as closely as
// it allows hardly any is stopped, and of those that break it nearly all are.
func TestLooksTakenOftenStopHardlyAny(t *testing.T) {
	const canaries, exchanges, every = 60, 1000, 50
	for name, c := range map[string]struct {
		failing             float64 // of the second arm; 0.5 % may
		burns, spends       int     // canaries that are stopped at once, or when their step is over, at most
		burnsLow, spendsLow int     // and at least
	}{
		"as well as is promised": {0.004, 0, 1, 0, 0},
		"just worse":             {0.006, 0, 4, 0, 0},
		"16 times as bad":        {0.08, canaries, canaries, canaries * 9 / 10, canaries * 99 / 100},
	} {
		burns, spends := 0, 0
		for i := range canaries {
			rnd := rand.New(rand.NewPCG(7, uint64(i)))
			tally := results.New(smaller)
			tally.Promise(promises(), looked)
			draw := func(arm string, failing float64) func(int, *ledger.Record) {
				return func(n int, r *ledger.Record) {
					r.Who.User = fmt.Sprint(arm, n)
					if rnd.Float64() < failing {
						fails(r)
					}
				}
			}
			own, control := burned("small", exchanges, time.Minute, draw("small", c.failing)), burned("control", exchanges, time.Minute, draw("control", 0.004))
			stopped := false
			for n := range exchanges {
				tally.Add(own[n])
				tally.Add(control[n])
				stopped = stopped || (n+1)%every == 0 && tally.Ramp(time.Hour).Burns != ""
			}
			if stopped {
				burns++
			}
			if tally.Ramp(time.Hour).Spends != "" {
				spends++
			}
		}
		if burns > c.burns || spends > c.spends || burns < c.burnsLow || spends < c.spendsLow {
			t.Errorf("%s: of %d canaries %d are stopped at once, and %d when their step is over", name, canaries, burns, spends)
		}
	}
}
