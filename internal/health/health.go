// Package health learns what targets, models at providers, are like from every attempt, and remembers which of their keys
// must rest. It outlives reloads of the configuration, and restarts by its summary.
//
//	attempts ─ Begin, End, Learn, Limits ─► Target ─ Signals, Rests ─► routing
//	refusals ─ Cool ─► Cooldowns ─ Cooling ─► routing
//	Known ─ Summary ─► a file, other replicas ─ Restore, Hear ─► Known
//
// It decides nothing: routing asks it and chooses. It reads no clock and starts no goroutine.
package health

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Bounds of a cool-down.
const (
	Longest    = 10 * time.Minute // no hint of a provider is believed beyond this
	ForRefused = 5 * time.Minute  // a key that the provider does not accept
	ForQuota   = 10 * time.Minute // a key whose account has no money left
	ForLimit   = 2 * time.Second  // a rate limit without a hint
)

// Subject is what rests: a key of a provider, for one model or (with Model "") for all.
type Subject struct{ Provider, Key, Model string }

// Cooldowns is a table of subjects at rest. It is safe for concurrent use.
type Cooldowns struct {
	mu    sync.RWMutex
	until map[Subject]rest
}

type rest struct {
	until time.Time
	heard bool // of another replica
}

// NewCooldowns makes an empty table.
func NewCooldowns() *Cooldowns { return &Cooldowns{until: map[Subject]rest{}} }

// Cool lets s rest for d from now. A later, shorter hint never shortens a rest.
func (c *Cooldowns) Cool(s Subject, now time.Time, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cool(s, now, d, false)
}

func (c *Cooldowns) cool(s Subject, now time.Time, d time.Duration, heard bool) {
	d = min(max(d, 0), Longest)
	if d == 0 {
		return
	}
	if t := now.Add(d); t.After(c.until[s].until) {
		c.until[s] = rest{t, heard}
	}
	if len(c.until) > sweepAt {
		for s, r := range c.until {
			if !r.until.After(now) {
				delete(c.until, s)
			}
		}
	}
}

// sweepAt is the size from which the table drops what has rested enough.
const sweepAt = 1024

// Cooling reports whether the key rests, for all models or for this one, and until when.
func (c *Cooldowns) Cooling(s Subject, now time.Time) (until time.Time, cooling bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.until) == 0 {
		return time.Time{}, false
	}
	until = c.until[s].until
	if t := c.until[Subject{Provider: s.Provider, Key: s.Key}].until; t.After(until) {
		until = t
	}
	return until, until.After(now)
}

// Rest is a subject that rests.
type Rest struct {
	Subject
	Until time.Time
}

// All returns what rests at a time, in order of names.
func (c *Cooldowns) All(now time.Time) []Rest {
	return c.all(now, true)
}

func (c *Cooldowns) all(now time.Time, heard bool) (out []Rest) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for s, r := range c.until {
		if r.until.After(now) && (heard || !r.heard) {
			out = append(out, Rest{s, r.until})
		}
	}
	slices.SortFunc(out, func(a, b Rest) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Key, b.Key))
	})
	return out
}

// told are the rests that this process found out of itself.
func (c *Cooldowns) told(now time.Time) (out []toldRest) {
	for _, r := range c.all(now, false) {
		if out = append(out, toldRest{r.Provider, r.Key, r.Model, r.Until.Sub(now).Milliseconds()}); len(out) == mostTold {
			break
		}
	}
	return out
}

// hear takes over rests that were told some time ago.
func (c *Cooldowns) hear(rests []toldRest, age time.Duration, now time.Time, heard bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range rests[:min(len(rests), mostTold)] {
		left := min(time.Duration(min(r.Left, Longest.Milliseconds()))*time.Millisecond, Longest)
		c.cool(Subject{r.Provider, r.Key, r.Model}, now, left-age, heard)
	}
}
