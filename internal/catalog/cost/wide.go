package cost

import "math/bits"

// wide is an unsigned 128-bit number. over is set once a result did not fit, and stays.
type wide struct {
	hi, lo uint64
	over   bool
}

// product returns a·b.
func product(a, b uint64) wide {
	hi, lo := bits.Mul64(a, b)
	return wide{hi: hi, lo: lo}
}

// plus returns w+v.
func (w wide) plus(v wide) wide {
	lo, carry := bits.Add64(w.lo, v.lo, 0)
	hi, carry := bits.Add64(w.hi, v.hi, carry)
	return wide{hi, lo, w.over || v.over || carry != 0}
}

// times returns w·n.
func (w wide) times(n uint64) wide {
	top, hi := bits.Mul64(w.hi, n)
	mid, lo := bits.Mul64(w.lo, n)
	hi, carry := bits.Add64(hi, mid, 0)
	return wide{hi, lo, w.over || top != 0 || carry != 0}
}

// per returns ⌈w/d⌉, at most Max; capped says that it would be more. d is not 0.
func (w wide) per(d uint64) (n int64, capped bool) {
	if w.over || w.hi >= d {
		return Max, true
	}
	q, r := bits.Div64(w.hi, w.lo, d)
	if r > 0 {
		q++
	}
	if q > Max || q == 0 && r > 0 {
		return Max, true
	}
	return int64(q), false
}

// ceil returns ⌈w/d⌉. d is not 0.
func (w wide) ceil(d uint64) wide {
	hi, r := w.hi/d, w.hi%d
	lo, r := bits.Div64(r, w.lo, d)
	out := wide{hi, lo, w.over}
	if r > 0 {
		out = out.plus(wide{lo: 1})
	}
	return out
}
