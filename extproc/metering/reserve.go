package metering

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Terms says what holds for an exchange before it is planned.
type Terms struct {
	Budgets []*quota.Budget
	Strict  bool // a hard limit of tokens or money holds: what is reserved must be the most that can be
	Caps    bool // of an answer's tokens or money: it must have a bound
	Money   bool // a hard limit of money holds: what has no price is refused
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
			t.Strict, t.Caps = true, true
		case quota.TokensIn:
			t.Strict = true
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
	id := NewID()
	if len(t.Budgets) == 0 {
		return Granted{Hold: encode(id, w.Party.Organization, &ask{}, nil, false)}, nil
	}
	if m.unknown.Load() {
		return Granted{}, away(quota.ErrUnknown)
	}
	switch {
	case measureOf(w.Op) == unbounded && t.Strict:
		return Granted{}, unmetered("what a request of the operation " + w.Op.String() + " uses cannot be bounded, and a limit of money or tokens holds")
	case w.Prompt.Searches < 0 && t.Money:
		return Granted{}, unmetered("how often the provider searches the web cannot be bounded, and a limit of money holds; max_uses bounds it where the tool has that")
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
	m.open.add(id, &opened{organization: w.Party.Organization, claims: claims, began: m.now(), until: until(w)})
	return Granted{Hold: encode(id, w.Party.Organization, &all, claims, t.Strict), Claims: claims, Levels: g.Levels}, nil
}

// until is when an exchange whose end is never told is given up.
func until(w *Want) time.Time {
	d := w.Hold
	if d == 0 {
		d = 24 * time.Hour
	}
	return w.Began.Add(d + 30*time.Second)
}

func unmetered(message string) *llm.Error {
	return &llm.Error{Code: llm.CodeOverQuota, Reason: "unmetered", Op: op, Message: message}
}

func internal(err error) *llm.Error {
	return &llm.Error{Code: llm.CodeInternal, Op: op, Message: "internal error", Cause: err}
}

// NewID mints the id of a charge. The client's own id of a request will not do: it may stand for many.
func NewID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// ID returns the id of the charge that a ticket's hold is of: it is unique, which the client's id of a request need not be.
func ID(hold string) string {
	h, _ := decode(hold)
	return h.id
}

// Void gives back what was reserved for an exchange that was not sent.
func (m *Meter) Void(ctx context.Context, g Granted) {
	id := ID(g.Hold)
	o := m.open.take(id)
	if o == nil {
		return
	}
	_, err := m.store.Settle(ctx, &quota.Settlement{Organization: o.organization, ID: id, Born: m.now(), Void: true, Claims: o.claims})
	if err != nil {
		m.log.Warn("what was reserved is charged when it expires", "charge", id, "error", err)
	}
}

// held is what a ticket knows of a reservation.
type held struct {
	id, organization       string
	input, output, queries int64
	parts                  []part
}

type part struct {
	budget string
	amount int64
}

const holdVersion = "1"

// encode writes a reservation for the ticket: version, id, organization, tokens of prompt and answer, queries, then each
// budget with what was claimed of it.
func encode(id, organization string, a *ask, claims []quota.Claim, whole bool) string {
	in, out := a.usualIn, a.usualOut
	if whole {
		in, out = a.most.Input, a.most.Output
	}
	b := make([]byte, 0, 64+32*len(claims))
	b = append(append(append(b, holdVersion...), '|'), id...)
	b = append(append(b, '|'), organization...)
	for _, n := range [...]int64{in, out, a.most.Fees[price.PerQuery]} {
		b = strconv.AppendInt(append(b, '|'), n, 10)
	}
	for i := range claims {
		b = append(append(append(b, '|'), claims[i].Budget.ID...), '=')
		b = strconv.AppendInt(b, claims[i].Amount, 10)
	}
	return string(b)
}

// decode reads what encode wrote; ok is false for anything else.
func decode(s string) (h held, ok bool) {
	fields := strings.Split(s, "|")
	const fixed = 6
	if len(fields) < fixed || fields[0] != holdVersion {
		return held{}, false
	}
	h.id, h.organization = fields[1], fields[2]
	for i, to := range [...]*int64{&h.input, &h.output, &h.queries} {
		n, err := strconv.ParseInt(fields[3+i], 10, 64)
		if err != nil || n < 0 || n > quota.Max {
			return held{}, false
		}
		*to = n
	}
	for _, f := range fields[fixed:] {
		id, amount, found := strings.Cut(f, "=")
		n, err := strconv.ParseInt(amount, 10, 64)
		if !found || err != nil || n < 0 || n > quota.Max {
			return held{}, false
		}
		h.parts = append(h.parts, part{id, n})
	}
	return h, true
}

// most is what was reserved, in units.
func (h *held) most() (u cost.Units) {
	u[price.Input], u[price.Output], u[price.PerQuery], u[price.PerRequest] = h.input, h.output, h.queries, 1
	return u
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
