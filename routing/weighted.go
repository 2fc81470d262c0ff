package routing

// Weights is the policy that begins with a target drawn by weight, and goes on with what is drawn of the others. Targets of
// weight 0 keep the order that they have, after the others.
type Weights struct{}

// Apply orders what is equal so far.
func (Weights) Apply(v *View, c *Candidates) {
	for left := 0; left < c.Len(); {
		// One tier after the other: what others ordered stays.
		end := left + 1
		for end < c.Len() && c.At(end).tier == c.At(left).tier {
			end++
		}
		c.draw(v, left, end)
		left = end
	}
	var n int64
	order := func(*Candidate) int64 { n++; return n }
	c.Sort(order, nil)
}

// draw orders the candidates [from, to) by draws without putting back.
func (c *Candidates) draw(v *View, from, to int) {
	sum := 0
	for i := from; i < to; i++ {
		sum += c.At(i).Weight
	}
	for ; from < to && sum > 0; from++ {
		n, i := int(v.Draw()*float64(sum)), from
		for n >= c.At(i).Weight {
			n -= c.At(i).Weight
			i++
		}
		sum -= c.At(i).Weight
		drawn := c.at[i]
		copy(c.at[from+1:i+1], c.at[from:i])
		c.at[from] = drawn
	}
}
