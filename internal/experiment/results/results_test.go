package results_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/results"
	"github.com/signalbox-ai/signalbox/internal/ledger"
)

var smaller = &experiment.Experiment{Name: "smaller", By: experiment.ByUser, Arms: []experiment.Arm{{Name: "control", Weight: 1}, {Name: "small", Weight: 1}}}

// arm is how an arm behaves.
type arm struct{ failing, price, seconds float64 }

// exchanges makes records of users of the experiment, four of each.
func exchanges(seed uint64, users int, arms [2]arm) (all []*ledger.Record) {
	rnd := rand.New(rand.NewPCG(seed, seed))
	for u := range users {
		user := fmt.Sprint("user-", u)
		i := smaller.Assign("default\nuser\n"+user, nil)
		a := arms[i]
		for n := range 4 {
			r := &ledger.Record{
				Key: ledger.Key{Organization: "default", ID: fmt.Sprint(u, "-", n)}, Who: ledger.Who{User: user, KeyID: "k"},
				Asked:    ledger.Asked{Arm: "smaller/" + smaller.Arms[i].Name, Stream: true},
				Result:   ledger.Result{Status: ledger.OK, Took: ledger.Millis(1000 * a.seconds * (0.8 + 0.4*rnd.Float64())), First: 200},
				Money:    ledger.Money{Cost: ledger.Nano(1e6 * a.price * (0.7 + 0.6*rnd.Float64()))},
				Attempts: []ledger.Attempt{{Units: ledger.Units{price.Input: 100, price.Output: 50}}},
			}
			if rnd.Float64() < a.failing {
				r.Result.Status = ledger.UpstreamError
			}
			all = append(all, r)
		}
	}
	return all
}

func tally(all []*ledger.Record) *results.Result {
	t := results.New(smaller)
	for _, r := range all {
		t.Add(r)
	}
	return t.Result()
}

func TestConclusions(t *testing.T) {
	usual := arm{failing: 0.01, price: 1, seconds: 2}
	for name, c := range map[string]struct {
		users  int
		arms   [2]arm
		holds  []string
		enough bool
	}{
		"cheaper and as good":   {4000, [2]arm{usual, {0.01, 0.85, 2}}, []string{"is cheaper by 14.2–15.7 %", "is no worse in success", "takes about as long", "; enough data"}, true},
		"cheaper and failing":   {4000, [2]arm{usual, {0.05, 0.5, 2}}, []string{"is cheaper by 49.", "–50.", "fails more often (-5", "; enough data"}, true},
		"dearer and faster":     {4000, [2]arm{usual, {0.01, 1.3, 1}}, []string{"is dearer by ", "is faster by ", "; enough data"}, true},
		"the same":              {4000, [2]arm{usual, usual}, []string{"costs about the same", "is no worse in success", "; enough data"}, true},
		"too early":             {40, [2]arm{usual, {0.01, 0.5, 2}}, []string{"not decided: ", "units are too few"}, false},
		"success not yet known": {300, [2]arm{usual, {0.01, 0.85, 2}}, []string{"not decided: is cheaper by ", "may be worse in success", "; needs about "}, false},
	} {
		r := tally(exchanges(1, c.users, c.arms))
		for _, want := range c.holds {
			if !strings.Contains(r.Conclusion, want) {
				t.Errorf("%s: %q lacks %q", name, r.Conclusion, want)
			}
		}
		if r.Comparisons[0].Enough != c.enough {
			t.Errorf("%s: enough is %v", name, r.Comparisons[0].Enough)
		}
	}
}

// TestWhatIsStillNeededIsAboutRight: with as many exchanges more as were asked for, most experiments are decided.
func TestWhatIsStillNeededIsAboutRight(t *testing.T) {
	arms := [2]arm{{0.01, 1, 2}, {0.01, 0.85, 2}}
	decided, asked := 0, 0
	for seed := range uint64(20) {
		before := tally(exchanges(seed, 400, arms)).Comparisons[0]
		if before.Enough || before.Success.Needs == 0 {
			continue
		}
		asked++
		if tally(exchanges(seed+100, 400+before.Success.Needs*13/10/4, arms)).Comparisons[0].Success.Verdict != results.Undecided {
			decided++
		}
	}
	if asked < 10 || decided < asked/2 {
		t.Errorf("%d of %d are decided", decided, asked)
	}
}

func TestArmsAreAddedUp(t *testing.T) {
	all := exchanges(1, 1000, [2]arm{{0, 1, 2}, {0, 2, 4}})
	all = append(all,
		&ledger.Record{Key: ledger.Key{Organization: "default", ID: "other"}, Asked: ledger.Asked{Arm: "other/small"}, Result: ledger.Result{Status: ledger.OK}},
		&ledger.Record{Key: ledger.Key{Organization: "default", ID: "none"}, Result: ledger.Result{Status: ledger.OK}},
		&ledger.Record{Key: ledger.Key{Organization: "default", ID: "refused"}, Asked: ledger.Asked{Arm: "smaller/small"}, Result: ledger.Result{Status: ledger.Refused}},
	)
	r := tally(all)
	if n := r.Arms[0].Exchanges + r.Arms[1].Exchanges; n != 4000 {
		t.Errorf("%d exchanges", n)
	}
	b := r.Arms[1]
	if b.Input != 100 || b.Output != 50 || b.Success.Mid != 1 || b.Success.High != 1 || b.Success.Low < 0.9 || b.Cost.Mid < 0.0019 || b.Cost.Mid > 0.0021 || b.Median < 3.8 || b.P95 < b.Median {
		t.Errorf("%+v", b)
	}
}

func TestCorrectionsCorrect(t *testing.T) {
	all := exchanges(1, 1000, [2]arm{{0, 1, 2}, {0, 1, 2}})
	before := tally(all).Arms[1]
	for _, r := range slices.Clip(all) {
		all = append(all, &ledger.Record{Key: ledger.Key{Organization: r.Organization, ID: r.ID, Sequence: 1}, Cause: "rerate", Who: r.Who, Asked: r.Asked, Result: ledger.Result{Status: ledger.OK}, Money: ledger.Money{Cost: r.Money.Cost}})
	}
	after := tally(all).Arms[1]
	if after.Exchanges != before.Exchanges || after.Cost.Mid < 1.999*before.Cost.Mid || after.Cost.Mid > 2.001*before.Cost.Mid {
		t.Errorf("%+v, before %+v", after, before)
	}
}

// TestWhatClientsSayCounts: of their own answers, the last of each label, in whatever order it comes.
func TestWhatClientsSayCounts(t *testing.T) {
	all := exchanges(1, 1000, [2]arm{{0, 1, 2}, {0, 1, 2}})
	var says []*ledger.Record
	for i, r := range all {
		r.Asked.Request = "request-" + r.ID
		good := 0.6
		if r.Asked.Arm == "smaller/small" {
			good = 0.8
		}
		if i%3 == 0 {
			good -= 0.1
		}
		say := func(after time.Duration, key string, v float64) {
			says = append(says, &ledger.Record{Key: ledger.Key{Organization: r.Organization, ID: "f", Sequence: 1}, At: r.At.Add(after), Cause: "feedback", Who: ledger.Who{KeyID: key}, Asked: ledger.Asked{Request: r.Asked.Request}})
			says[len(says)-1].Said.Score = v
		}
		say(2*time.Hour, "k", good)
		say(time.Hour, "k", 0)         // said before, and taken back
		say(3*time.Hour, "another", 0) // who never got it
	}
	r := tally(append(says[:len(says)/2:len(says)/2], append(all, says[len(says)/2:]...)...))
	for i, want := range []float64{0.567, 0.767} {
		if a := r.Arms[i]; math.Abs(a.Score.Mid-want) > 0.01 || a.Scored != a.Exchanges {
			t.Errorf("%s: %+v of %d", a.Name, a.Score, a.Scored)
		}
	}
	if c := r.Comparisons[0]; c.Score.Verdict != results.Better || !strings.Contains(c.Text, "is rated better (+") {
		t.Errorf("%+v", c)
	}
}
