package cost

import (
	"slices"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Bill is what one attempt costs, in nano-USD. The zero Bill costs nothing.
type Bill struct {
	Nano  int64 // what is charged: ⌈exact⌉, rounded once, over the whole sum
	List  int64 // the same before the contract's discount
	Saved int64 // what the same tokens would have cost without a prompt cache, less Nano; below 0 where writing cost more
	Lines []Line
	Flags Flags
}

// Line is the part of one item. The lines of a bill add up to its Nano exactly, and each is within one
// nano-USD of its own exact value.
type Line struct {
	Item  price.Item
	Units int64
	Rate  price.Rate // list price of a unit, before factors and discount
	Nano  int64
	Flags Flags // what was assumed for its rate
}

// femto is how many of a Rate's units are one nano-USD.
const femto = 1_000_000

// most is how many factors fit beside femto in 64 bits, so that the division at the end is exact.
const most = 4

// Of computes the bill of units under a card. A nil card has no price at all. Units must not be negative:
// those below 0 count as 0, and the bill is flagged. Nothing overflows: what is over Max becomes Max, flagged.
func Of(c *price.Card, u Units, t Terms) Bill {
	var b Bill
	for i := range u {
		if n := min(max(u[i], 0), Max); n != u[i] {
			u[i] = n
			b.Flags |= Inconsistent
		}
	}
	q := at(c, u.Prompt(), &t)
	by, flags := factors(make([]uint64, 0, most+1), c, &t)
	if c != nil {
		b.Flags |= flags
	}
	paid := by
	if t.Paid > 0 {
		paid = slices.Concat(by, []uint64{uint64(t.Paid)})
	}
	var sum, uncached wide
	var done int64
	for i := range price.Item(price.Items) {
		if u[i] == 0 {
			continue
		}
		r, flags := q.rate(i)
		b.Flags |= flags
		part := product(uint64(u[i]), uint64(r))
		sum = sum.plus(part)
		if fresh, ok := freshOf(i); ok {
			f, flags := q.rate(fresh)
			if flags&Unpriced != 0 {
				f = r
			}
			part = product(uint64(u[i]), uint64(f))
		}
		uncached = uncached.plus(part)
		total, capped := nano(sum, paid)
		if capped {
			b.Flags |= Capped
		}
		if i == price.PerRequest && r == 0 {
			continue
		}
		b.Lines = append(b.Lines, Line{Item: i, Units: u[i], Rate: r, Nano: total - done, Flags: flags})
		done = total
	}
	b.Nano = done
	b.List, _ = nano(sum, by)
	full, _ := nano(uncached, paid)
	b.Saved = full - b.Nano
	return b
}

// freshOf returns the item that a cached one would have been without a cache.
func freshOf(i price.Item) (price.Item, bool) {
	switch i {
	case price.CacheRead, price.CacheWrite, price.CacheWrite1h:
		return price.Input, true
	case price.AudioCacheRead:
		return price.AudioInput, true
	case price.ImageCacheRead:
		return price.ImageInput, true
	}
	return i, false
}

// nano returns ⌈sum·Π(by/1000)⌉ in nano-USD. It is exact for up to four factors; of more, each is rounded up
// to the femto-dollar.
func nano(sum wide, by []uint64) (int64, bool) {
	d := uint64(femto)
	for i, f := range by {
		sum = sum.times(f)
		if i < most {
			d *= 1000
		} else {
			sum = sum.ceil(1000)
		}
	}
	return sum.per(d)
}

// add returns a+b where both are amounts, at most Max.
func add(a, b int64) int64 { return min(max(a, 0)+max(b, 0), Max) }
