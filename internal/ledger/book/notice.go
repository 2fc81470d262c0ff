package book

import (
	"context"
	"time"
)

// Notice is something that is said once: an alert in a channel.
type Notice struct {
	Organization string
	ID           string
	Height       int64     // what was notable may be said again once this is higher than it was: a raised limit
	At           time.Time // now
}

// Lease is how long a notice that somebody began to say is left to them. After it, another may say it.
const Lease = 5 * time.Minute

// Noticer is a store that knows what was said, so that restarts and replicas do not repeat it.
type Noticer interface {
	// Claim reports whether the caller is to say it: nobody has at this height, and nobody is about to.
	Claim(ctx context.Context, n Notice) (bool, error)
	// Said ends the claim: it was said, and is not again at this height.
	Said(ctx context.Context, n Notice) error
}

// Claim implements Noticer.
func (l *Lazy) Claim(ctx context.Context, n Notice) (bool, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return false, err
	}
	return s.(Noticer).Claim(ctx, n)
}

// Said implements Noticer.
func (l *Lazy) Said(ctx context.Context, n Notice) error {
	s, err := l.Get(ctx)
	if err != nil {
		return err
	}
	return s.(Noticer).Said(ctx, n)
}
