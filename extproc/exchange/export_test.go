package exchange

// RestAll has all exchanges rest that may, as if they were old enough, and returns how many newly do.
func (c *Core) RestAll() int {
	before := c.live.Resting()
	c.live.Rest(func(x *Exchange) (string, resting, bool) { return x.rests(c.now().Add(restAfter)) })
	return c.live.Resting() - before
}

// Resting returns how many exchanges rest.
func (c *Core) Resting() int { return c.live.Resting() }
