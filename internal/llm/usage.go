package llm

// Count is a number of tokens that may be unknown. The zero value is unknown.
type Count struct {
	N     int64
	Known bool
}

// Tokens returns a known count.
func Tokens(n int64) Count { return Count{N: n, Known: true} }

// Max returns the larger of two counts; a known one beats an unknown one.
func (c Count) Max(d Count) Count {
	if !c.Known || d.Known && d.N > c.N {
		return d
	}
	return c
}

// Usage is what an answer used so far. Input includes Cached and CacheWrite; Output includes Reasoning.
type Usage struct {
	Input        Count
	Cached       Count // read from a prompt cache
	CacheWrite   Count // written to a prompt cache, all lifetimes
	CacheWrite1h Count // of CacheWrite, those kept for an hour
	Output       Count
	Reasoning    Count
	AudioIn      Count
	AudioOut     Count
	WebSearches  Count
	Queries      Count // of a ranking, as the provider bills them
	BilledIn     Count // of Input, those that the provider bills, where it says so apart: all of them at one price
	BilledOut    Count // of Output, likewise
}

// Merge takes the larger of each count: providers repeat cumulative numbers, so they are never added.
func (u *Usage) Merge(v Usage) {
	u.Input = u.Input.Max(v.Input)
	u.Cached = u.Cached.Max(v.Cached)
	u.CacheWrite = u.CacheWrite.Max(v.CacheWrite)
	u.CacheWrite1h = u.CacheWrite1h.Max(v.CacheWrite1h)
	u.Output = u.Output.Max(v.Output)
	u.Reasoning = u.Reasoning.Max(v.Reasoning)
	u.AudioIn = u.AudioIn.Max(v.AudioIn)
	u.AudioOut = u.AudioOut.Max(v.AudioOut)
	u.WebSearches = u.WebSearches.Max(v.WebSearches)
	u.Queries = u.Queries.Max(v.Queries)
	u.BilledIn = u.BilledIn.Max(v.BilledIn)
	u.BilledOut = u.BilledOut.Max(v.BilledOut)
}

// Known reports whether anything is known.
func (u *Usage) Known() bool { return u.Input.Known || u.Output.Known || u.Queries.Known }
