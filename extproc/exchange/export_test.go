package exchange

// RestAll has all exchanges rest that may, as if they were old enough, and returns how many newly do.
func (c *Core) RestAll() int {
	_, before := c.live.Len()
	c.rest(c.now().Add(restAfter))
	return c.Resting() - before
}

// Resting returns how many exchanges rest.
func (c *Core) Resting() int {
	_, n := c.live.Len()
	return n
}
