package cost

import "github.com/signalbox-ai/signalbox/internal/catalog/price"

// Total is what Of charges, in nano-USD, without its lines: for decisions that compare many targets. It allocates
// nothing, unless a contract has more than four factors.
func Total(c *price.Card, u Units, t *Terms) (nanos int64, f Flags) {
	for i := range u {
		if n := min(max(u[i], 0), Max); n != u[i] {
			u[i] = n
			f |= Inconsistent
		}
	}
	q := at(c, u.Prompt(), t)
	var buf [most + 2]uint64
	by, flags := factors(buf[:0], c, t)
	if c != nil {
		f |= flags
	}
	if t.Paid > 0 {
		by = append(by, uint64(t.Paid))
	}
	var sum wide
	for i := range price.Item(price.Items) {
		if u[i] == 0 {
			continue
		}
		r, flags := q.rate(i)
		f |= flags
		sum = sum.plus(product(uint64(u[i]), uint64(r)))
	}
	nanos, capped := nano(sum, by)
	if capped {
		f |= Capped
	}
	return nanos, f
}
