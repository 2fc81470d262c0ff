// Package results says what came of an experiment, from the ledger's records of its exchanges: what each arm did, how the others
// differ from the control, and what follows from it in a sentence.
//
//	ledger.Record ─ Tally.Add ─► sums of each unit of each arm ─ Result ─► arms, comparisons, conclusion
//
// It reads no ledger itself.
package results

import (
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/stats"
	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// measure is what is measured of exchanges.
type measure int

const (
	success measure = iota // of those that came to an end at a provider, and were not left by the client
	cost                   // in dollars, of all
	took                   // in seconds, of those that went well
	first                  // in seconds to the first byte, of streams that went well
	input                  // tokens, of all
	output
	score // that clients gave, from 0 to 1; of those that have any
	measures
)

// sums are of one unit in one arm.
type sums [measures]struct {
	n int
	y float64
}

// Tally collects records of one experiment.
type Tally struct {
	experiment *experiment.Experiment
	arms       []armTally
	asked      map[answer]place
	said       map[answer]map[string]said // by label
	promised   []promised
	now        time.Time // of what was promised
}

// answer is what a client got, as it names it.
type answer struct{ organization, key, request string }

// place is where an answer is counted.
type place struct {
	arm  int
	unit string
}

// said is what was said last.
type said struct {
	at    time.Time
	score float64
}

type armTally struct {
	units     map[string]*sums
	exchanges int
	took      []float64
}

// New makes a Tally.
func New(e *experiment.Experiment) *Tally {
	t := &Tally{experiment: e, arms: make([]armTally, len(e.Arms)), asked: map[answer]place{}, said: map[answer]map[string]said{}}
	for i := range t.arms {
		t.arms[i].units = map[string]*sums{}
	}
	return t
}

// Add counts a record, or adds a correction to what it corrects. Records of other experiments are passed over. What clients say
// may come before or after what it is about; what is said of others' answers does not count.
func (t *Tally) Add(r *ledger.Record) {
	of := answer{r.Organization, r.Who.KeyID, r.Asked.Request}
	if r.Cause == "feedback" {
		all := t.said[of]
		if all == nil {
			all = map[string]said{}
			t.said[of] = all
		}
		if was, ok := all[r.Said.Label]; !ok || r.At.After(was.at) {
			all[r.Said.Label] = said{r.At, r.Said.Score}
		}
		return
	}
	name, arm, _ := strings.Cut(r.Asked.Arm, "/")
	i := slices.IndexFunc(t.experiment.Arms, func(a experiment.Arm) bool { return a.Name == arm })
	if name != t.experiment.Name || i < 0 {
		return
	}
	a := &t.arms[i]
	u := a.units[t.unit(r)]
	if u == nil {
		u = new(sums)
		a.units[t.unit(r)] = u
	}
	t.burn(i, t.unit(r), r)
	if r.Sequence > 0 && !r.ToldLate() { // which stands for an exchange whose arm nobody knew
		u.spent(r, paid(r), 0)
		return
	}
	switch r.Result.Status {
	case ledger.OK:
		u.add(success, 1)
		u.add(took, float64(r.Result.Took)/1e3)
		a.took = append(a.took, float64(r.Result.Took)/1e3)
		if r.Asked.Stream && r.Result.First > 0 {
			u.add(first, float64(r.Result.First)/1e3)
		}
	case ledger.UpstreamError, ledger.Timeout:
		u.add(success, 0)
	case ledger.ClientAbort:
	default: // nothing that an arm did
		return
	}
	a.exchanges++
	u.spent(r, paid(r), 1)
	if of.request != "" {
		t.asked[of] = place{i, t.unit(r)}
	}
}

// Bounds of what results are made of.
const (
	Page        = 1000    // records that are read at once
	mostRecords = 200_000 // of all
)

// Read adds records, the newest first, page for page, and reports whether there are more than it reads. page returns those behind a
// record, Page of them where there are as many.
func (t *Tally) Read(page func(last *ledger.Record) ([]*ledger.Record, error)) (truncated bool, err error) {
	var last *ledger.Record
	for n := 0; n < mostRecords; {
		all, err := page(last)
		if err != nil {
			return false, err
		}
		for _, r := range all {
			t.Add(r)
		}
		if len(all) < Page {
			return false, nil
		}
		n, last = n+len(all), all[len(all)-1]
	}
	return true, nil
}

// Ramp returns what has been seen of the second arm, for its ramp.
func (t *Tally) Ramp(since time.Duration) experiment.Seen {
	a, b := &t.arms[0], &t.arms[1]
	share := b.mean(success)
	out := experiment.Seen{For: since, Exchanges: share.N(), Most: stats.Wilson(share.Value(), float64(share.N()), sure).High, Burns: t.burns("critical"), Spends: t.burns("warning")}
	c := compare(a, b, level)
	if c.Success.Verdict == Worse {
		out.Worse = -c.Success.Interval.Mid
	}
	if c.Took.Verdict == Worse {
		out.Slower = c.Took.Interval.Mid
	}
	return out
}

// unit is what was assigned, as far as a record tells.
func (t *Tally) unit(r *ledger.Record) string {
	id, organization := "", r.Organization
	if of, _, shadow := strings.Cut(r.Asked.Shadows, "/"); shadow { // on whose behalf it was sent
		organization = of
	}
	switch t.experiment.By {
	case experiment.ByUser:
		if r.Who.User != "" {
			id = "user\n" + r.Who.User
		} else {
			id = r.Who.KeyID
		}
	case experiment.ByKey:
		id = r.Who.KeyID
	}
	if id == "" {
		return organization + "\n" + r.ID
	}
	return organization + "\n" + id
}

func (u *sums) add(m measure, y float64) {
	u[m].n++
	u[m].y += y
}

// spent adds what n exchanges, or a correction of one, used and cost.
func (u *sums) spent(r *ledger.Record, paid ledger.Nano, n int) {
	var prompt, answer int64
	for i := range r.Attempts {
		prompt += r.Attempts[i].Units.Prompt()
		answer += r.Attempts[i].Units.Answer()
	}
	for m, y := range map[measure]float64{cost: float64(paid) / 1e9, input: float64(prompt), output: float64(answer)} {
		u[m].n += n
		u[m].y += y
	}
}

// rate gives the units of all arms the scores of their answers: of each the mean over its labels.
func (t *Tally) rate() {
	for i := range t.arms {
		for _, u := range t.arms[i].units {
			u[score].n, u[score].y = 0, 0
		}
	}
	for of, labels := range t.said {
		at, ok := t.asked[of]
		if !ok {
			continue
		}
		sum := 0.0
		for _, s := range labels {
			sum += s.score
		}
		t.arms[at.arm].units[at.unit].add(score, sum/float64(len(labels)))
	}
}

// mean is the mean of a measure over the units of an arm.
func (a *armTally) mean(m measure) *stats.Mean {
	out := &stats.Mean{}
	for _, u := range a.units {
		out.Add(u[m].n, u[m].y)
	}
	return out
}

// Arm is what an arm did. Intervals are for one look, at 95 %.
type Arm struct {
	Name             string
	Exchanges, Units int
	Success          stats.Interval // share, from 0 to 1
	Cost             stats.Interval // dollars for each exchange
	Took             stats.Interval // seconds
	First            stats.Interval // seconds to the first byte of streams
	Score            stats.Interval // that clients gave, from 0 to 1
	Scored           int            // exchanges that have any
	Input, Output    float64        // tokens for each exchange
	Median, P95      float64        // of Took
}

// Result is what came of an experiment.
type Result struct {
	Name, By    string
	Arms        []Arm        // the control first
	Comparisons []Comparison // of the others with the control, in their order
	Conclusion  string
}

// level is the chance of a wrong statement of each kind about an experiment, over all looks.
const level = 0.05

// Result returns what came of the experiment so far.
func (t *Tally) Result() *Result {
	t.rate()
	r := &Result{Name: t.experiment.Name, By: t.experiment.By}
	for i := range t.arms {
		r.Arms = append(r.Arms, t.arms[i].arm(t.experiment.Arms[i].Name))
	}
	alpha := level / float64(max(1, len(t.arms)-1)) // Bonferroni
	for i := 1; i < len(t.arms); i++ {
		c := compare(&t.arms[0], &t.arms[i], alpha)
		c.Arm = t.experiment.Arms[i].Name
		c.conclude()
		r.Comparisons = append(r.Comparisons, c)
	}
	r.conclude()
	return r
}

func (a *armTally) arm(name string) Arm {
	out := Arm{
		Name: name, Exchanges: a.exchanges, Units: a.mean(cost).Units(), Success: a.mean(success).Share(level),
		Cost: a.mean(cost).Interval(level), Took: a.mean(took).Interval(level), First: a.mean(first).Interval(level),
		Score: a.mean(score).Interval(level), Scored: a.mean(score).N(),
		Input: a.mean(input).Value(), Output: a.mean(output).Value(),
	}
	if n := len(a.took); n > 0 {
		slices.Sort(a.took)
		out.Median, out.P95 = a.took[n/2], a.took[min(n-1, n*95/100)]
	}
	return out
}
