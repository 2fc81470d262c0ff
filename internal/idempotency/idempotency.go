// Package idempotency lets a request that a client repeats be done once: the first that comes with an idempotency key
// runs, those that come meanwhile wait for it, and those that come later get its answer.
//
//	Call ─ Begin ─┬─► Found.Lease    the request runs; the lease is kept alive until its end
//	              ├─► Found.Answer   a stored answer, at once or after a wait
//	              └─► *llm.Error     another request had the key; no answer in time; the store is away
//	the end  ─────┬─ Keep ─► Store   a whole answer that may be given again
//	              └─ Drop ─► Store   anything else: the next one runs
//
// A tenant's keys are its own: addresses and the keys that answers are sealed with are derived from the tenant and its
// idempotency key, so that there is no name under which another tenant's answer could be asked for. The package knows
// no HTTP, and does not decide which answers may be given again beyond their status.
package idempotency

import (
	"context"
	"errors"
	"time"
)

// MaxKey is the longest idempotency key, in bytes.
const MaxKey = 255

// ErrUnavailable says that a store could not tell, or was not told.
var ErrUnavailable = errors.New("the store of idempotent answers is not available")

// Store keeps who runs a request, and then its answer. It is shared by the processes that serve the same clients, and
// safe for concurrent use. Errors are ErrUnavailable, or that of the context.
type Store interface {
	// Take lets the claim have an address for the time of a lease, where nobody has it, and says what is there.
	Take(ctx context.Context, address string, c Claim, lease time.Duration) (Entry, error)
	// Renew begins the lease of a holder anew, and reports whether the address was still its own and without an answer.
	Renew(ctx context.Context, address, holder string, lease time.Duration) (bool, error)
	// Finish puts an answer in place of the claim, and reports whether it did: not where another claim took its place
	// after the lease had ended.
	Finish(ctx context.Context, address string, c Claim, answer []byte, keep time.Duration) (bool, error)
	// Release ends the claim of a holder that has no answer; others may take the address.
	Release(ctx context.Context, address, holder string) error
	// Wait returns when an address that was taken may have changed, for the n-th time from 0 on. It may return early.
	Wait(ctx context.Context, address string, n int) error
}

// Claim is who runs what.
type Claim struct {
	Holder string // unique
	Print  string // of the request
}

// Entry is what is at an address.
type Entry struct {
	Taken  bool   // by this call
	Print  string // of the request that has it; "" where Taken
	Answer []byte // nil: it runs
}

// Answer is an answer as its client got it.
type Answer struct {
	Status   int
	Header   []Field
	Body     []byte
	Exchange string    // id of the exchange that it is from
	Record   string    // id of that exchange's record in the ledger; "": it has none
	At       time.Time // when it was complete, to the second
}

// Field is a field of an answer's header.
type Field struct{ Name, Value string }

// Repeatable reports whether an answer may be given again by its status: it was given, or the request itself was at
// fault. Of all else the next one may have a better one.
func Repeatable(status int) bool {
	switch {
	case status >= 200 && status < 300:
		return true
	case status == 400, status == 413, status == 422:
		return true
	}
	return false
}

// Tape records an answer while it goes to its client. Beyond its limit it keeps nothing more.
type Tape struct {
	answer Answer
	limit  int64
	over   bool
}

// NewTape makes a tape for bodies of so many bytes at most.
func NewTape(limit int64) *Tape { return &Tape{limit: limit} }

// Head records the head of the answer. What came before is forgotten.
func (t *Tape) Head(status int, header []Field) {
	t.answer, t.over = Answer{Status: status, Header: header, Body: t.answer.Body[:0]}, false
}

// Add records bytes of the body. It copies them.
func (t *Tape) Add(b []byte) {
	if t.over = t.over || int64(len(t.answer.Body)+len(b)) > t.limit; t.over {
		t.answer.Body = nil
		return
	}
	t.answer.Body = append(t.answer.Body, b...)
}

// Answer returns what was recorded; nil: nothing was, or it was too much.
func (t *Tape) Answer() *Answer {
	if t.over || t.answer.Status == 0 {
		return nil
	}
	return &t.answer
}

// Over reports whether the answer was over the limit.
func (t *Tape) Over() bool { return t.over }
