// Package stats compares means and shares of what was assigned by chance, with intervals that hold however often they are looked
// at.
//
// What is assigned is a unit, a user mostly, and what is measured are its exchanges. Those of one unit resemble each other, so
// that a mean over exchanges is the ratio of two sums over units, and its variance that of units (Cochran, Sampling Techniques,
// ch. 6, 9A). Differences have confidence sequences (Robbins' normal mixture; Waudby-Smith et al., "Time-uniform central limit
// theory and asymptotic confidence sequences", 2021): the chance that the truth is ever outside is at most alpha, over all looks
// together. Like all that rests on the central limit theorem they want some tens of units first.
package stats

import "math"

// Interval is from Low to High, around Mid.
type Interval struct{ Low, Mid, High float64 }

// Mean adds up a value over units. The zero Mean is empty.
type Mean struct {
	units               int
	n, y, nn, yy, cross float64
}

// Add takes a unit: n exchanges that came to y in sum. A unit without exchanges adds nothing.
func (m *Mean) Add(n int, y float64) {
	if n <= 0 {
		return
	}
	f := float64(n)
	m.units++
	m.n += f
	m.y += y
	m.nn += f * f
	m.yy += y * y
	m.cross += f * y
}

// Units returns how many units there are, and N how many exchanges.
func (m *Mean) Units() int { return m.units }

// N returns the number of exchanges.
func (m *Mean) N() int { return int(m.n) }

// Value returns the mean over exchanges; 0: there are none.
func (m *Mean) Value() float64 {
	if m.n == 0 {
		return 0
	}
	return m.y / m.n
}

// Variance returns the square of the mean's standard error; infinite where there are less than two units.
func (m *Mean) Variance() float64 {
	if m.units < 2 {
		return math.Inf(1)
	}
	r, k := m.Value(), float64(m.units)
	ss := m.yy - 2*r*m.cross + r*r*m.nn
	return max(ss, 0) * k / (k - 1) / (m.n * m.n)
}

// Interval returns the mean with its confidence interval at one look, by Student's t.
func (m *Mean) Interval(alpha float64) Interval {
	v := m.Value()
	if m.units < 2 {
		return Interval{math.Inf(-1), v, math.Inf(1)}
	}
	w := Student(1-alpha/2, float64(m.units-1)) * math.Sqrt(m.Variance())
	return Interval{v - w, v, v + w}
}

// Wilson returns the interval of a share of successes (Wilson 1927), at one look. n need not be whole: where exchanges of a unit
// resemble each other, it is the number of independent ones that would tell as much.
func Wilson(share, n, alpha float64) Interval {
	if n <= 0 {
		return Interval{0, share, 1}
	}
	z := Normal(1 - alpha/2)
	d := 1 + z*z/n
	mid := (share + z*z/(2*n)) / d
	w := z / d * math.Sqrt(share*(1-share)/n+z*z/(4*n*n))
	i := Interval{max(0, mid-w), share, min(1, mid+w)}
	if share == 0 { // not nearly
		i.Low = 0
	}
	if share == 1 {
		i.High = 1
	}
	return i
}

// Share returns the interval of a mean of zeros and ones by Wilson, of as many exchanges as the units are worth.
func (m *Mean) Share(alpha float64) Interval {
	p, n := m.Value(), m.n
	if v := m.Variance(); v > 0 && !math.IsInf(v, 1) && p > 0 && p < 1 {
		n = min(n, p*(1-p)/v)
	}
	return Wilson(p, n, alpha)
}

// planned is the number of units at which sequences are tightest.
const planned = 1000

// Sequence returns by how many standard errors the interval of a mean over n units reaches to either side, where it is looked at
// after any number of them.
func Sequence(n, alpha float64) float64 {
	a := -2 * math.Log(alpha)
	rho := (a + math.Log(a) + 1) / planned
	return math.Sqrt((n*rho + 1) / (n * rho) * (math.Log(n*rho+1) + a))
}

// Difference returns how much b is over a, with a confidence sequence.
func Difference(a, b *Mean, alpha float64) Interval {
	d := b.Value() - a.Value()
	w := Sequence(float64(a.units+b.units), alpha) * math.Sqrt(a.Variance()+b.Variance())
	return around(d, w)
}

// Points returns how much a share of b is over that of a, with a confidence sequence. A success and a failure are added to either
// side (Agresti and Caffo 2000), since of shares near 0 and 1 the variance is guessed too small.
func Points(a, b *Mean, alpha float64) Interval {
	d := b.Value() - a.Value()
	w := Sequence(float64(a.units+b.units), alpha) * math.Sqrt(a.shareVariance()+b.shareVariance())
	return around(d, w)
}

func (m *Mean) shareVariance() float64 {
	if m.units < 2 {
		return math.Inf(1)
	}
	n := m.n + 2
	p := (m.y + 1) / n
	return max(m.Variance(), p*(1-p)/n)
}

// Ratio returns b over a, less 1, with a confidence sequence by the delta method on the logarithm. ok is false where a mean is not
// above 0.
func Ratio(a, b *Mean, alpha float64) (r Interval, ok bool) {
	x, y := a.Value(), b.Value()
	if x <= 0 || y <= 0 {
		return r, false
	}
	d := math.Log(y / x)
	w := Sequence(float64(a.units+b.units), alpha) * math.Sqrt(a.Variance()/(x*x)+b.Variance()/(y*y))
	l := around(d, w)
	return Interval{math.Expm1(l.Low), math.Expm1(l.Mid), math.Expm1(l.High)}, true
}

func around(mid, w float64) Interval {
	if math.IsNaN(w) {
		w = math.Inf(1)
	}
	return Interval{mid - w, mid, mid + w}
}
