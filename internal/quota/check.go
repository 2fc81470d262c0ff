package quota

import (
	"fmt"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// op names the place in errors.
const op = "quota.reserve"

// maxHold bounds how long a reservation may live without a touch.
const maxHold = 7 * 24 * time.Hour

// word reports whether a name has only lower-case letters, digits and what extra has, begins with a letter or
// digit, and has no more than most bytes.
func word(s, extra string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
next:
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if i > 0 {
			for j := range len(extra) {
				if c == extra[j] {
					continue next
				}
			}
		}
		return false
	}
	return true
}

// CheckNames says whether a request's organization and id can stand in keys of a store.
func (r *Request) CheckNames() error { return checkNames(r.Organization, r.ID) }

func checkNames(organization, id string) error {
	if !word(organization, "._-", 64) {
		return fmt.Errorf("%w: the organization's name", ErrMisuse)
	}
	if !word(id, "._:#-", 64) {
		return fmt.Errorf("%w: the exchange's id", ErrMisuse)
	}
	return nil
}

// Check says what is wrong with a budget.
func (b *Budget) Check() error {
	switch {
	case b == nil:
		return fmt.Errorf("%w: no budget", ErrMisuse)
	case !word(b.ID, "_", 80):
		return fmt.Errorf("%w: a budget's id has lower-case letters, digits and underscores", ErrMisuse)
	case b.Unit.String() == "unknown":
		return fmt.Errorf("%w: budget %s has no unit", ErrMisuse, b.ID)
	case b.Limit < 0 || b.Limit > Max:
		return fmt.Errorf("%w: the limit of budget %s is out of range", ErrMisuse, b.ID)
	}
	if err := b.Window.Check(); err != nil {
		return fmt.Errorf("%w: budget %s: %w", ErrMisuse, b.ID, err)
	}
	return nil
}

// Check says what is wrong with a request. That its budgets pass their own Check was seen to where they were
// made.
func (r *Request) Check() error {
	if err := r.CheckForm(); err != nil {
		return err
	}
	return checkClaims(r.Claims)
}

// CheckForm is Check for whoever sees by itself that two claims are of one budget, without a look at the budgets.
func (r *Request) CheckForm() error {
	if err := checkNames(r.Organization, r.ID); err != nil {
		return err
	}
	if r.Hold < time.Millisecond || r.Hold > maxHold {
		return fmt.Errorf("%w: the time to hold is out of range", ErrMisuse)
	}
	return checkAmounts(r.Claims)
}

// Check says what is wrong with a settlement.
func (s *Settlement) Check() error {
	if err := s.CheckForm(); err != nil {
		return err
	}
	return checkClaims(s.Claims)
}

// CheckForm is Check for whoever sees by itself that two claims are of one budget, without a look at the budgets.
func (s *Settlement) CheckForm() error {
	if err := checkNames(s.Organization, s.ID); err != nil {
		return err
	}
	if err := checkAmounts(s.Claims); err != nil {
		return err
	}
	return s.checkDraws()
}

// maxDraws bounds the exchanges of one lease: a store serves nobody else while it tells them.
const maxDraws = 500

func (s *Settlement) checkDraws() error {
	if len(s.Draws) > maxDraws {
		return fmt.Errorf("%w: over %d exchanges of one lease", ErrMisuse, maxDraws)
	}
	for i := range s.Draws {
		d := &s.Draws[i]
		if !word(d.ID, "._:#-", 64) || d.ID == s.ID {
			return fmt.Errorf("%w: the id of an exchange of a lease", ErrMisuse)
		}
		if len(d.Amounts) != len(s.Claims) || d.Over != nil && len(d.Over) != len(s.Claims) || d.Hold > maxHold {
			return fmt.Errorf("%w: exchange %s of a lease", ErrMisuse, d.ID)
		}
		for k, n := range d.Amounts {
			if n < 0 || n > Max || d.Over != nil && (d.Over[k] < 0 || d.Over[k] > n) {
				return fmt.Errorf("%w: an amount of exchange %s of a lease is out of range", ErrMisuse, d.ID)
			}
		}
	}
	return nil
}

// maxClaims bounds the budgets of one exchange.
const maxClaims = 64

func checkAmounts(claims []Claim) error {
	if len(claims) > maxClaims {
		return fmt.Errorf("%w: over %d budgets in one call", ErrMisuse, maxClaims)
	}
	for i := range claims {
		if c := &claims[i]; c.Budget == nil || c.Amount < 0 || c.Amount > Max {
			return fmt.Errorf("%w: the amount of claim %d is out of range", ErrMisuse, i)
		}
	}
	return nil
}

func checkClaims(claims []Claim) error {
	for i := range claims {
		c := &claims[i]
		for j := range i {
			if claims[j].Budget == c.Budget || claims[j].Budget.ID == c.Budget.ID {
				return c.Budget.Twice()
			}
		}
	}
	return nil
}

// Twice is the error of two claims of the budget.
func (b *Budget) Twice() error { return fmt.Errorf("%w: two claims of budget %s", ErrMisuse, b.ID) }

// Ceiling is the limit that a store compares with: a shadow budget has none.
func (b *Budget) Ceiling() int64 {
	if b.Shadow {
		return Max
	}
	return b.Limit
}

// Policy is what holds for the budget while its store is away: Deny, Local or Allow.
func (b *Budget) Policy() Away {
	switch {
	case b.Away != Default:
		return b.Away
	case b.Unit == Money && !b.Soft:
		return Deny
	}
	return Local
}

// Hard reports whether the limit must hold whatever happens, and refuses while its use is not known.
func (b *Budget) Hard() bool { return !b.Soft && !b.Shadow && b.Policy() == Deny }

// Hopeless reports whether waiting cannot help: the claim is larger than the whole limit.
func (r *Refusal) Hopeless() bool {
	most := r.Budget.Limit
	if r.Budget.Window.Kind.Letter() == 'P' {
		most = r.Budget.Window.Burst
	}
	return r.Amount > most
}

// Err makes the error for the client. It names the limit and when it resets, and no other owner.
func (r *Refusal) Err() *llm.Error {
	e := &llm.Error{Code: llm.CodeRateLimited, Op: op, Message: r.message(), Reason: "rate_limit_exceeded"}
	if r.Budget.Unit == Money {
		e.Code, e.Reason = llm.CodeOverQuota, "insufficient_quota"
	}
	switch {
	case r.Hopeless():
	case r.Budget.Window.Kind == window.Gauge:
		e.After = time.Second // nobody knows when another ends
	default:
		e.After = r.Wait
	}
	return e
}
