package backtest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Report is what a configuration would have done.
type Report struct {
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	Seed      uint64    `json:"seed,string"`
	Exchanges int       `json:"exchanges"`
	Skipped   int       `json:"skipped"` // records without an attempt, or of operations that no route is chosen for

	Cost     Money    `json:"cost"`           // of all exchanges, in dollars
	Failed   Interval `json:"failed"`         // share of exchanges
	Attempts Interval `json:"attempts"`       // an exchange
	Took     Times    `json:"took_ms"`        // of exchanges that went well, at providers
	First    Times    `json:"first_token_ms"` // of their streams
	Targets  []Target `json:"targets"`        // by their new share

	Lost  []Count `json:"lost,omitempty"`    // exchanges that find no target, by why
	Vain  []Count `json:"unknown,omitempty"` // exchanges whose decisions ask what the ledger does not tell
	Blind Blind   `json:"blind"`
}

// Interval is a figure as it was, as it is estimated, and between what it lies in nineteen of twenty cases.
type Interval struct {
	Old  float64 `json:"old"`
	New  float64 `json:"new"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Money is an Interval in dollars.
type Money struct {
	Old  ledger.Nano `json:"old"`
	New  ledger.Nano `json:"new"`
	Low  ledger.Nano `json:"low"`
	High ledger.Nano `json:"high"`
}

// Times are quantiles of a duration.
type Times struct {
	P50 Interval `json:"p50"`
	P95 Interval `json:"p95"`
}

// Target is where exchanges ended.
type Target struct {
	Name     string   `json:"target"`
	Share    Interval `json:"share"`
	Evidence int      `json:"evidence"` // attempts at it that the ledger has
}

// Count is a number of exchanges.
type Count struct {
	What      string `json:"what"`
	Exchanges int    `json:"exchanges"`
}

// Blind is what the estimate is blind to.
type Blind struct {
	Unseen   int `json:"unseen"`   // exchanges that ask a target of which the ledger has no attempt: they are taken to go well, in no known time
	Unpriced int `json:"unpriced"` // exchanges that ask a target without a known price: they are taken to cost nothing there
	Far      int `json:"far"`      // exchanges that ask a target at a time when it was not asked for a while: it is taken to have been as before and after, or as at other times
	Drawn    int `json:"drawn"`    // exchanges whose outcome is another's; that of the rest is their own
}

// fill writes down what was found.
func (r *Report) fill(p *past, all []Interval, plain *replay) {
	n := float64(r.Exchanges)
	c := all[costOf]
	r.Cost = Money{ledger.Nano(c.Old * n), ledger.Nano(c.New * n), ledger.Nano(c.Low * n), ledger.Nano(c.High * n)}
	r.Failed, r.Attempts = all[failedOf], all[attemptsOf]
	r.Failed.High = min(r.Failed.High, 1)
	r.Took, r.First = Times{all[tookMedian], all[tookHigh]}, Times{all[firstMedian], all[firstHigh]}
	for i := range p.targets {
		t := Target{p.targets[i].String(), all[figures+i], len(p.targets[i].attempts)}
		t.Share.High = min(t.Share.High, 1)
		if t.Share.Old > 0 || t.Share.New > 0 {
			r.Targets = append(r.Targets, t)
		}
	}
	slices.SortFunc(r.Targets, func(a, b Target) int {
		return cmp.Or(cmp.Compare(b.Share.New, a.Share.New), cmp.Compare(a.Name, b.Name))
	})
	r.Lost, r.Vain = counts(plain.lost), counts(plain.vain)
	for i := range plain.outcomes {
		o := &plain.outcomes[i]
		if o.blind {
			r.Blind.Unseen++
		}
		if o.far {
			r.Blind.Far++
		}
		if o.unpriced {
			r.Blind.Unpriced++
		}
		if o.drawn > 0 {
			r.Blind.Drawn++
		}
	}
}

// mostCounts bounds a list of reasons.
const mostCounts = 20

func counts(m map[string]int) (out []Count) {
	for _, what := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Count{what, m[what]})
	}
	slices.SortStableFunc(out, func(a, b Count) int { return b.Exchanges - a.Exchanges })
	return out[:min(len(out), mostCounts)]
}

// thin is how many attempts say too little of a target.
const thin = 30

// Write writes the report for people.
func (r *Report) Write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%d exchanges from %s until %s; %d more have nothing to decide\n\n", r.Exchanges, r.From.UTC().Format(time.RFC3339), r.Until.UTC().Format(time.RFC3339), r.Skipped)
	if r.Exchanges == 0 {
		return w.Flush()
	}
	fmt.Fprintln(w, "\tWAS\tWOULD BE\tBETWEEN\tAND\tCHANGE")
	line := func(name string, i Interval, show func(float64) string) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, show(i.Old), show(i.New), show(i.Low), show(i.High), change(i))
	}
	line("cost $", Interval{float64(r.Cost.Old), float64(r.Cost.New), float64(r.Cost.Low), float64(r.Cost.High)}, dollars)
	line("failed", r.Failed, percent)
	line("attempts an exchange", r.Attempts, func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) })
	line("took, median", r.Took.P50, millis)
	line("took, 95th percentile", r.Took.P95, millis)
	line("first token, median", r.First.P50, millis)
	line("first token, 95th percentile", r.First.P95, millis)
	fmt.Fprintln(w, "\nTARGET\tWAS\tWOULD BE\tBETWEEN\tAND\tEVIDENCE")
	for _, t := range r.Targets {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, percent(t.Share.Old), percent(t.Share.New), percent(t.Share.Low), percent(t.Share.High), evidence(t.Evidence))
	}
	r.blindness(w)
	return w.Flush()
}

// blindness writes what the figures do not know.
func (r *Report) blindness(w io.Writer) {
	for _, c := range r.Lost {
		fmt.Fprintf(w, "\n%d exchanges find no target: %s", c.Exchanges, c.What)
	}
	for _, c := range r.Vain {
		fmt.Fprintf(w, "\nof %d exchanges the configuration asks what the ledger does not tell: %s", c.Exchanges, c.What)
	}
	if n := r.Blind.Unseen; n > 0 {
		fmt.Fprintf(w, "\n%d exchanges go to a target without evidence: they count as going well, in no known time, at the listed price", n)
	}
	if n := r.Blind.Far; n > 0 {
		fmt.Fprintf(w, "\n%d exchanges go to a target that was not asked for a while then: it is taken to have been as at other times", n)
	}
	if n := r.Blind.Unpriced; n > 0 {
		fmt.Fprintf(w, "\n%d exchanges go to a target without a known price: they count as free there", n)
	}
	if len(r.Lost)+len(r.Vain)+r.Blind.Unseen+r.Blind.Far+r.Blind.Unpriced > 0 {
		fmt.Fprintln(w)
	}
}

func evidence(n int) string {
	switch {
	case n == 0:
		return "none"
	case n < thin:
		return strconv.Itoa(n) + " attempts, thin"
	}
	return strconv.Itoa(n) + " attempts"
}

// change is the difference in words; "-" where there is nothing to compare with.
func change(i Interval) string {
	if i.Old == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.1f %%", (i.New/i.Old-1)*100)
}

func dollars(nano float64) string { return strconv.FormatFloat(nano/1e9, 'f', 4, 64) }

func percent(v float64) string { return strconv.FormatFloat(v*100, 'f', 2, 64) + " %" }

func millis(v float64) string {
	if v == 0 {
		return "-"
	}
	return time.Duration(v * float64(time.Millisecond)).Round(time.Millisecond).String()
}
