// Package health remembers which credentials and targets must rest. For now that is the cool-down of a
// provider's key for a model, after the provider refused the key or asked to wait; it outlives reloads.
//
// It decides nothing: routing asks it and chooses.
package health

import (
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
	until map[Subject]time.Time
}

// NewCooldowns makes an empty table.
func NewCooldowns() *Cooldowns { return &Cooldowns{until: map[Subject]time.Time{}} }

// Cool lets s rest for d from now. A later, shorter hint never shortens a rest.
func (c *Cooldowns) Cool(s Subject, now time.Time, d time.Duration) {
	d = min(max(d, 0), Longest)
	if d == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := now.Add(d); t.After(c.until[s]) {
		c.until[s] = t
	}
	if len(c.until) > sweepAt {
		for s, t := range c.until {
			if !t.After(now) {
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
	until = c.until[s]
	if t := c.until[Subject{Provider: s.Provider, Key: s.Key}]; t.After(until) {
		until = t
	}
	return until, until.After(now)
}
