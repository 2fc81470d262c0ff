package results

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/experiment/stats"
)

// Verdict is what is known of a difference.
type Verdict string

// Verdicts.
const (
	Undecided Verdict = "undecided"
	Better    Verdict = "better"
	Worse     Verdict = "worse"
	Same      Verdict = "same" // not worse, or not different, by more than matters
)

// Finding is the difference of an arm from the control, in one measure.
type Finding struct {
	Verdict Verdict
	// Interval holds the truth with 95 % over all looks together: of shares in points from -1 to 1, else the control's
	// times, less 1.
	Interval stats.Interval
	Needs    int // exchanges that are still needed, about; 0: none, or not known
}

// Comparison is an arm beside the control.
type Comparison struct {
	Arm                 string
	Success, Cost, Took Finding
	Score               Finding // of what clients say; in points of their scale from 0 to 1
	Enough              bool    // success and cost are decided
	Text                string

	few   bool // too few units to say anything
	units [2]int
}

// What matters, and from when on something is said.
const (
	margin   = 0.01 // a share of success that is lower by less is no worse
	similar  = 0.05 // costs and times that differ by less are the same
	least    = 30   // units in each arm
	hopeless = 1000 // times the data: no number is given
)

func compare(control, arm *armTally, alpha float64) (c Comparison) {
	a, b := control.mean(cost), arm.mean(cost)
	all := float64(control.exchanges + arm.exchanges)
	c.units = [2]int{a.Units(), b.Units()}
	c.few = a.Units() < least || b.Units() < least
	c.Success = share(control.mean(success), arm.mean(success), alpha, all)
	c.Cost = ratio(a, b, alpha, all)
	c.Took = ratio(control.mean(took), arm.mean(took), alpha, all)
	c.Score = rated(control.mean(score), arm.mean(score), alpha, all)
	c.Enough = c.Success.Verdict != Undecided && c.Cost.Verdict != Undecided
	return c
}

// share judges shares of success.
func share(a, b *stats.Mean, alpha, all float64) Finding {
	f := Finding{Verdict: Undecided, Interval: stats.Points(a, b, alpha)}
	i := f.Interval
	switch {
	case a.Units() < least || b.Units() < least:
		return f
	case i.Low > 0:
		f.Verdict = Better
	case i.High < 0:
		f.Verdict = Worse
	case i.Low > -margin:
		f.Verdict = Same
	default:
		f.Needs = needs(i.High-i.Mid, max(i.Mid+margin, -i.Mid), all)
	}
	return f
}

// ratio judges costs and times, of which less is better.
func ratio(a, b *stats.Mean, alpha, all float64) Finding {
	i, ok := stats.Ratio(a, b, alpha)
	if !ok {
		i = stats.Interval{Low: math.Inf(-1), High: math.Inf(1)}
	}
	f := Finding{Verdict: Undecided, Interval: i}
	switch {
	case a.Units() < least || b.Units() < least:
		return f
	case !ok && a.Value() == b.Value(): // neither costs anything
		f.Verdict = Same
	case !ok:
	case i.High < 0:
		f.Verdict = Better
	case i.Low > 0:
		f.Verdict = Worse
	case i.Low > -similar && i.High < similar:
		f.Verdict = Same
	default:
		d := math.Abs(math.Log1p(i.Mid))
		f.Needs = needs(math.Log1p(i.High)-math.Log1p(i.Mid), max(d, similar-d), all)
	}
	return f
}

// rated judges what clients say.
func rated(a, b *stats.Mean, alpha, all float64) Finding {
	f := Finding{Verdict: Undecided, Interval: stats.Difference(a, b, alpha)}
	i := f.Interval
	switch {
	case a.Units() < least || b.Units() < least:
	case i.Low > 0:
		f.Verdict = Better
	case i.High < 0:
		f.Verdict = Worse
	case i.Low > -similar && i.High < similar:
		f.Verdict = Same
	default:
		f.Needs = needs(i.High-i.Mid, max(math.Abs(i.Mid), similar-math.Abs(i.Mid)), all)
	}
	return f
}

// needs is how many exchanges more make an interval as narrow as it must be, to two digits.
func needs(width, target, all float64) int {
	times := width / target
	times *= times
	if math.IsNaN(times) || target <= 0 || times > hopeless {
		return 0
	}
	n := all * max(times-1, 0.1)
	digits := math.Pow(10, max(0, math.Floor(math.Log10(n))-1))
	return int(math.Ceil(n/digits) * digits)
}

// conclude puts a comparison into words.
func (c *Comparison) conclude() {
	if c.few {
		c.Enough = false
		c.Text = fmt.Sprintf("not decided: %d and %d units are too few; from %d in each arm on something can be said", c.units[0], c.units[1], least)
		return
	}
	points := "(" + span(c.Success.Interval, true) + " points)"
	said := []string{
		worded(c.Cost, "is cheaper by ", "is dearer by ", "costs about the same", "may cost more or less"),
		map[Verdict]string{
			Better: "succeeds more often " + points, Worse: "fails more often " + points, Same: "is no worse in success " + points, Undecided: "may be worse in success " + points,
		}[c.Success.Verdict],
		worded(c.Took, "is faster by ", "is slower by ", "takes about as long", "may be faster or slower"),
	}
	if i := c.Score.Interval; !math.IsInf(i.Low, 0) {
		said = append(said, map[Verdict]string{Better: "is rated better", Worse: "is rated worse", Same: "is rated alike", Undecided: "may be rated better or worse"}[c.Score.Verdict]+" ("+span(i, true)+" points)")
	}
	c.Text = strings.Join(said, ", ")
	if c.Enough {
		c.Text += "; enough data"
		return
	}
	n := 0
	for _, f := range []Finding{c.Success, c.Cost} {
		if f.Verdict == Undecided && f.Needs == 0 {
			c.Text = "not decided: " + c.Text + "; much more data would be needed"
			return
		}
		if f.Verdict == Undecided {
			n = max(n, f.Needs)
		}
	}
	c.Text = "not decided: " + c.Text + "; needs about " + strconv.Itoa(n) + " more exchanges"
}

// worded puts a ratio into words.
func worded(f Finding, less, more, same, open string) string {
	i := f.Interval
	switch f.Verdict {
	case Better:
		return less + span(stats.Interval{Low: -i.High, High: -i.Low}, false) + " %"
	case Worse:
		return more + span(i, false) + " %"
	case Same:
		return same
	}
	return open + " (" + span(i, true) + " %)"
}

// span writes an interval of shares in hundredths.
func span(i stats.Interval, signed bool) string {
	more := 0
	if math.Abs(i.High-i.Low) < 0.02 { // or both ends look alike
		more = 1
	}
	one := func(v float64) string {
		if math.IsInf(v, 0) || math.Abs(v) >= 10 {
			return map[bool]string{true: "-∞", false: "∞"}[v < 0]
		}
		digits := 1
		if math.Abs(v) >= 0.1 {
			digits = more
		}
		s := strconv.FormatFloat(v*100, 'f', digits, 64)
		if signed && v > 0 {
			s = "+" + s
		}
		return s
	}
	if signed {
		return one(i.Low) + " to " + one(i.High)
	}
	return one(i.Low) + "–" + one(i.High)
}

// conclude says in one text what is known of all arms.
func (r *Result) conclude() {
	var all []string
	for i := range r.Comparisons {
		all = append(all, r.Comparisons[i].Arm+": "+r.Comparisons[i].Text)
	}
	r.Conclusion = strings.Join(all, "\n")
}
