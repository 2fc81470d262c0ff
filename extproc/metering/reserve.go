package metering

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Terms says what holds for an exchange before it is planned.
type Terms struct {
	Budgets []*quota.Budget
	Strict  bool // a hard limit of tokens or money holds: what is reserved must be the most that can be
	Caps    bool // of an answer's tokens or money: it must have a bound
	Money   bool // a hard limit of money holds: what has no price is refused
	Tokens  bool // one of tokens does
}

// Terms finds the limits of an exchange. Without any the zero value is returned.
func (m *Meter) Terms(l Limits, p *Party, model, route string, at []string) Terms {
	t := Terms{Budgets: l.Find(nil, p, model, route, at)}
	for _, b := range t.Budgets {
		if !strict(b) {
			continue
		}
		switch b.Unit {
		case quota.Money:
			t.Strict, t.Caps, t.Money = true, true, true
		case quota.Tokens, quota.TokensOut:
			t.Strict, t.Caps, t.Tokens = true, true, true
		case quota.TokensIn:
			t.Strict, t.Tokens = true, true
		}
	}
	return t
}

// strict reports whether a limit must hold whatever an answer turns out to be: then what is reserved is the most that it
// can be. So it is of money, whatever holds while its store is away. Of the others, which are rates, it is what such
// answers usually are, and the truth is charged.
func strict(b *quota.Budget) bool {
	return b.Hard() || b.Unit == quota.Money && !b.Soft && !b.Shadow
}

// Granted is what a reservation gave.
type Granted struct {
	Hold   string // for the ticket; "": nothing is held
	Claims []quota.Claim
	Levels []quota.Level  // by claim
	No     *quota.Refusal // why nothing was reserved
}

// Reserve takes what an exchange can use at most from all of its budgets, or refuses it. Its error is an *llm.Error
// for the client. What was reserved is given back by Settle, or charged when it expires.
func (m *Meter) Reserve(ctx context.Context, w *Want, t Terms) (Granted, error) {
	id := w.Charge
	if id == "" {
		id = NewID()
	}
	if len(t.Budgets) == 0 {
		return Granted{Hold: encode(id, w.Party.Organization, &ask{most: cost.Ask{Fees: w.Wish.Fees}}, &w.Wish, nil, false)}, nil
	}
	if m.unknown.Load() {
		return Granted{}, away(quota.ErrUnknown)
	}
	if t.Strict {
		if err := m.endless(w, &t); err != nil {
			return Granted{}, err
		}
	}
	claims, all, unpriced := m.claims(w, t.Budgets, false)
	if unpriced != nil && t.Money {
		return Granted{}, unpriced
	}
	r := quota.Request{Organization: w.Party.Organization, ID: id, Claims: claims, Hold: hold}
	g, no, err := m.store.Reserve(ctx, &r)
	if err == nil && no != nil && w.Prompt.Count != nil && no.Budget.Unit != quota.Requests && no.Budget.Unit != quota.Parallel {
		r.Claims, all, _ = m.claims(w, t.Budgets, true)
		claims = r.Claims
		g, no, err = m.store.Reserve(ctx, &r)
	}
	switch {
	case errors.Is(err, quota.ErrMisuse):
		return Granted{}, internal(err)
	case err != nil:
		return Granted{}, away(err)
	case no != nil:
		return Granted{No: no}, no.Err()
	case g.State != quota.Pending:
		return Granted{}, internal(errors.New("the id of a new reservation is known"))
	}
	m.open.add(id, &opened{organization: w.Party.Organization, budgets: t.Budgets, began: m.now().UnixMilli(), until: until(w).UnixMilli()})
	return Granted{Hold: encode(id, w.Party.Organization, &all, &w.Wish, claims, t.Strict), Claims: claims, Levels: g.Levels}, nil
}

// until is when an exchange whose end is never told is given up.
func until(w *Want) time.Time {
	d := w.Hold
	if d == 0 {
		d = 24 * time.Hour
	}
	return w.Began.Add(d + 30*time.Second)
}

func unmetered(param, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeOverQuota, Reason: "unmetered", Op: op, Param: param, Message: message}
}

func internal(err error) *llm.Error {
	return &llm.Error{Code: llm.CodeInternal, Op: op, Message: "internal error", Cause: err}
}

// NewID mints the id of a charge. The client's own id of a request will not do: it may stand for many. Ids are in the order
// of time, to the millisecond: a database puts those of now beside each other, in place of each on a page of its own.
func NewID() string {
	var b [15]byte
	binary.BigEndian.PutUint64(b[:8], uint64(time.Now().UnixMilli())<<16)
	_, _ = rand.Read(b[6:]) // never fails (crypto/rand)
	var out [24]byte
	base32.HexEncoding.Encode(out[:], b[:])
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out[:])
}

// Minted returns when an id of NewID was minted, to the millisecond. ok is false for any other text, as the id of a lease.
func Minted(id string) (at time.Time, ok bool) {
	b, err := base32.HexEncoding.DecodeString(strings.ToUpper(id))
	if err != nil || len(b) != 15 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:8]) >> 16)), true
}

// Void gives back what was reserved for an exchange that was not sent, also where that is because the context has ended.
func (m *Meter) Void(ctx context.Context, g Granted) {
	id := ID(g.Hold)
	o := m.open.take(id)
	if o == nil {
		return
	}
	_, err := m.store.Settle(context.WithoutCancel(ctx), &quota.Settlement{Organization: o.organization, ID: id, Born: m.now(), Void: true, Claims: g.Claims})
	if err != nil {
		m.log.Warn("what was reserved is charged when it expires", "charge", id, "error", err)
	}
}

// claims gives the budgets of a reservation that another process made; ok is false where one of them is not known here.
func (h *held) claims(l Limits) (out []quota.Claim, ok bool) {
	if l == nil {
		return nil, false
	}
	for _, p := range h.parts {
		b := l.Budget(p.budget)
		if b == nil {
			return nil, false
		}
		out = append(out, quota.Claim{Budget: b, Amount: p.amount})
	}
	return out, true
}

func ruleOf(c *billing.Contract) billing.Rules {
	if c == nil {
		return billing.Rules{}
	}
	return c.Rules
}
