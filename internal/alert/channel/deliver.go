package channel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// once is how long one try may take.
const once = 15 * time.Second

// waits are the pauses between tries. What they do not get through is tried again by internal/alert, minutes later.
func waits() []time.Duration {
	return []time.Duration{time.Second, 4 * time.Second, 15 * time.Second, 30 * time.Second}
}

// longest is the longest pause that a receiver may ask for.
const longest = time.Minute

// Failure is a message that was not taken.
type Failure struct {
	err    error
	Again  bool          // another try may help
	After  time.Duration // that the receiver asked for
	Status int           // of HTTP that it answered; 0: it did not
}

// Error says what went wrong, without addresses and secrets.
func (f *Failure) Error() string { return f.err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.err }

func passing(format string, args ...any) *Failure {
	return &Failure{err: fmt.Errorf(format, args...), Again: true}
}

func final(format string, args ...any) *Failure { return &Failure{err: fmt.Errorf(format, args...)} }

// Sender sends messages.
type Sender struct {
	// Pause waits; nil: it does.
	Pause func(ctx context.Context, d time.Duration) error
}

// Deliver sends a message to a channel, several times where that may help. Its errors name neither secrets nor addresses
// that are.
func (s *Sender) Deliver(ctx context.Context, to *Settings, m *Message) error {
	for _, wait := range waits() {
		f := s.try(ctx, to, m)
		if f == nil {
			return nil
		}
		if !f.Again {
			return f
		}
		wait += time.Duration(rand.Int64N(int64(wait)))
		if err := s.pause(ctx, max(wait, min(f.After, longest))); err != nil {
			return errors.Join(f, err)
		}
	}
	if f := s.try(ctx, to, m); f != nil {
		return f
	}
	return nil
}

func (s *Sender) pause(ctx context.Context, d time.Duration) error {
	if s.Pause != nil {
		return s.Pause(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (s *Sender) try(ctx context.Context, to *Settings, m *Message) *Failure {
	ctx, cancel := context.WithTimeout(ctx, once)
	defer cancel()
	switch to.Kind() {
	case "webhook":
		return to.webhook(ctx, m)
	case "slack":
		return to.slack(ctx, m)
	case "email":
		return to.Email.send(ctx, m)
	}
	return final("the channel has no kind")
}

// trust returns what certificates are verified with.
func trust(ca, host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", ca)
		}
	}
	return c, nil
}
