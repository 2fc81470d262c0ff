package spend

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Ask is what a forecast is asked for.
type Ask struct {
	Now   time.Time
	Until time.Time // the end of the window
	Used  int64     // in the window until now
	Limit int64     // 0: there is none
}

// Forecast is what will have been used at the end of a window. In four of five windows it is between P10 and P90.
type Forecast struct {
	P10, P50, P90 int64
	Reached       time.Time // when P50 passes the limit; zero: not within the window
	Earliest      time.Time // when P90 does
	Linear        bool      // there are not two weeks of the past: an even pace, and a wide interval
}

// draws is how many futures are drawn.
const draws = 400

// Forecast looks to the end of a window. Of two weeks or more the use of each hour of the week counts, with the growth
// of the weeks; the interval comes from how far single days, and whole weeks, were off from that. It holds no random
// number of its own: the draws are the same each time.
func (s *Series) Forecast(a Ask) Forecast {
	f := Forecast{P10: a.Used, P50: a.Used, P90: a.Used}
	if !a.Now.Before(a.Until) {
		return f
	}
	used, end := s.known(a.Now)
	if len(used) < 2*week {
		s.linear(&f, &a, used)
		return f
	}
	p := profileOf(used, end)
	parts := p.left(&a)
	totals := p.draw(parts)
	f.P10, f.P50, f.P90 = whole(quantile(totals, .1)), whole(quantile(totals, .5)), whole(quantile(totals, .9))
	f.P50 = max(f.P50, f.P10)
	f.Reached, f.Earliest = reached(&a, parts, f.P50), reached(&a, parts, f.P90)
	f.P10, f.P50, f.P90 = add(a.Used, f.P10), add(a.Used, f.P50), add(a.Used, f.P90)
	return f
}

func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// left returns what is expected of each hour that is left, the first and the last in part.
func (p *profile) left(a *Ask) []float64 {
	return hours(a, p.hour)
}

func hours(a *Ask, of func(h int64) float64) (out []float64) {
	from, until := float64(a.Now.UnixMilli())/3.6e6, float64(a.Until.UnixMilli())/3.6e6
	for h := math.Floor(from); h < until; h++ {
		share := math.Min(until, h+1) - math.Max(from, h)
		out = append(out, share*of(int64(h)))
	}
	return out
}

// block is hours of one day that are expected to bring something, and how far such hours were off.
type block struct {
	expected, slack float64
	off             []float64
}

// blocks parts what is left into days, counted from now.
func (p *profile) blocks(parts []float64) (out []block) {
	var whole block
	for i := 0; i < len(parts); i += day {
		n := min(day, len(parts)-i)
		b := block{expected: sum(parts[i : i+n])}
		switch {
		case n < day:
			b.off, b.slack = p.errors(n)
		case whole.off == nil:
			whole.off, whole.slack = p.errors(n)
			fallthrough
		default:
			b.off, b.slack = whole.off, whole.slack
		}
		out = append(out, b)
	}
	return out
}

// draw returns what the hours that are left may bring together, sorted.
func (p *profile) draw(parts []float64) []float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	spread := p.uncertain(len(parts))
	blocks := p.blocks(parts)
	totals := make([]float64, draws)
	for i := range totals {
		level := math.Exp(rng.NormFloat64() * spread)
		for _, b := range blocks {
			off := b.off[rng.IntN(len(b.off))]
			totals[i] += math.Max(0, level*(b.expected+off*(b.expected+b.slack)))
		}
	}
	slices.Sort(totals)
	return totals
}

// linear is the forecast of an owner whose past is short: the pace since its first hour with any use.
func (s *Series) linear(f *Forecast, a *Ask, used []float64) {
	f.Linear = true
	rate := float64(a.Used) // of a first hour that is not over
	if n := len(used); n > 0 {
		rate = sum(used) / float64(n)
	}
	parts := hours(a, func(int64) float64 { return rate })
	rest := sum(parts)
	wide := 1 + 2.5/math.Sqrt(math.Max(1, float64(len(used))/day))
	low, high := whole(rest/wide), whole(rest*wide)
	f.Reached, f.Earliest = reached(a, parts, whole(rest)), reached(a, parts, high)
	f.P10, f.P50, f.P90 = add(a.Used, low), add(a.Used, whole(rest)), add(a.Used, high)
}

// reached returns when the limit is passed, if the hours together bring total.
func reached(a *Ask, parts []float64, total int64) time.Time {
	if a.Limit <= 0 {
		return time.Time{}
	}
	room := float64(a.Limit - a.Used)
	if room <= 0 {
		return a.Now
	}
	all := sum(parts)
	if float64(total) < room || all == 0 {
		return time.Time{}
	}
	scale := float64(total) / all
	at := a.Now
	for _, e := range parts {
		next := at.Truncate(time.Hour).Add(time.Hour)
		if next.After(a.Until) {
			next = a.Until
		}
		if e *= scale; e >= room {
			return at.Add(time.Duration(room / e * float64(next.Sub(at)))).Truncate(time.Second)
		}
		room -= e
		at = next
	}
	return a.Until
}
