package metering

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
)

// Ended is an exchange that came to its end.
type Ended struct {
	ID      string // the client's id of the request
	Party   Party
	KeyName string // of the key that Party has the id of
	Tags    map[string]string
	Trace   string // id of its trace; "": it has none
	Began   time.Time
	Hold    string // of the ticket
	Limits  Limits
	Asked
	Attempts []Attempt // in order; the last gave the answer
	Told
	Outcome
}

// Own reports whether the gateway sent it by itself.
func (e *Ended) Own() bool { return e.Party.Organization == owner.OwnTraffic }

// Asked is what the client asked for, and who was to answer.
type Asked struct {
	Route   string
	Model   string // as the client named it
	Dialect string
	Op      llm.Op
	Stream  bool
	Arm     string // of an experiment, as EXPERIMENT/ARM; "": of none
	Shadows string // the exchange that it is a copy of, as ORGANIZATION/ID; "": it is none
	Config  string // version of the configuration that planned it
	Least   bool   // no target was well: the least bad was tried
}

// ConfigOf is a version of a configuration without the number of times that a process has built one: every replica calls the
// same configuration the same.
func ConfigOf(version string) string {
	text, _, _ := strings.Cut(version, "-")
	return text
}

// Told is what the last answer said of what it used.
type Told struct {
	Usage   llm.Usage
	Source  string // who read it
	Whole   bool   // it is the provider's final word
	Service string // service tier, as the provider says; "": standard
}

// Outcome is what became of it.
type Outcome struct {
	Status int    // that the client got; 0: none
	Ending string // one word
	Took   time.Duration
	First  time.Duration // to the first byte of the answer
	Waited time.Duration // of Took: in the queue, for room at a provider
	Sent   uint64        // bytes of the answer
}

// Attempt is one try at a target.
type Attempt struct {
	Step
	Credential string // the name of the provider's key
	Path       string
	Ended      billing.Ended
	Status     int
	Code       string // why it failed; "": it did not
	Took       time.Duration
	First      time.Duration
	RequestID  string    // the provider's own
	Used       llm.Usage // of one that was abandoned, by its answer
	Flags      []ledger.Flag
}

// Charge is what an exchange is charged.
type Charge struct {
	Lines    []Line
	Nano     int64 // of all attempts
	Prompt   int64 // tokens, of all attempts
	Answer   int64
	Reserved []quota.Claim // as they were reserved; nil: nothing was
	Charged  []quota.Claim
	Outcome  quota.Outcome
	Exact    bool // every number is the provider's own
	Lost     bool // the counters were not told, and charge what was reserved when that expires
}

// Line is the charge of one attempt.
type Line struct {
	Units    cost.Units
	Bill     cost.Bill
	Card     string // hash of the price card; "": there is none
	Version  string // of what the card is from
	Reserved bool   // charged by what was reserved, in part
	Terms    cost.Terms
}

// due is an exchange that waits to be settled.
type due struct {
	s quota.Settlement
	r *ledger.Record // nil: nobody keeps books
	c *Charge
}

// Settle charges an exchange, once: what it used in place of what it reserved. It does not wait.
func (m *Meter) Settle(e *Ended) {
	if measureOf(e.Op) == unbilled {
		e.Usage = llm.Usage{} // what was counted was not used, and what is looked at again was billed before
	}
	h, known := decode(e.Hold)
	o := m.open.take(h.id)
	c := m.charge(e, &h)
	if n := len(e.Attempts); e.Whole && n > 0 && e.Usage.Output.Known {
		last := &e.Attempts[n-1]
		m.outputs.saw(last.Provider.Name, last.Model, e.Usage.Output.N)
		if e.Stream && e.Usage.Output.N > 0 {
			m.sizes.saw(last.Provider.Name, last.Model, int64(e.Sent)/e.Usage.Output.N)
		}
	}
	claims, ok := []quota.Claim(nil), false
	if o != nil {
		claims, ok = o.claims(&h)
	}
	if !ok && known && len(h.parts) > 0 {
		if claims, ok = h.claims(e.Limits); !ok {
			m.log.Warn("a limit is not known any more: what was reserved is charged when it expires", "exchange", e.ID)
			c.Lost = true
		}
	}
	if len(claims) > 0 {
		c.Reserved, c.Charged = claims, used(claims, e, c)
	}
	d := &due{s: quota.Settlement{Organization: e.Party.Organization, ID: h.id, Born: e.Began, Claims: c.Charged, Void: unsent(e)}, c: c}
	if m.books != nil {
		d.r = m.books.Write(e, c)
	}
	if m.queue == nil || !m.remote && !slices.ContainsFunc(d.s.Claims, func(c quota.Claim) bool { return strict(c.Budget) }) {
		m.settle(context.Background(), d)
		return
	}
	select {
	case m.queue <- d:
	default:
		m.log.Warn("too many exchanges wait to be settled: this one is charged when its reservation expires", "charge", h.id)
		c.Lost = true
		m.keep(d)
	}
}

// settle tells the store. Where that is away, what the exchange is charged is known when it is back.
func (m *Meter) settle(ctx context.Context, d *due) {
	if len(d.s.Claims) == 0 {
		m.note(d)
		m.keep(d)
		return
	}
	if !m.remote {
		out, err := m.tell(ctx, d)
		m.told(d, out, err)
		return
	}
	m.later.Store(d.s.ID, d)
	out, err := m.tell(ctx, d)
	if err == nil && out.Wait {
		return
	}
	m.Settled(&d.s, out, err)
}

// tell settles, with the record of the ledger in the journal until the ledger has it.
func (m *Meter) tell(ctx context.Context, d *due) (quota.Outcome, error) {
	if s, ok := m.store.(*journal.Store); ok && d.r != nil {
		room := m.room()
		defer m.rooms.Put(room) // the journal copies it
		d.r.Seal(room)
		return s.Use(ctx, &d.s, *room)
	}
	return m.store.Settle(ctx, &d.s)
}

func (m *Meter) room() *[]byte {
	if room, ok := m.rooms.Get().(*[]byte); ok {
		return room
	}
	return new([]byte)
}

// note puts the record of an exchange without limits into the journal.
func (m *Meter) note(d *due) {
	if m.journal == nil || d.r == nil {
		return
	}
	room := m.room()
	defer m.rooms.Put(room) // the journal copies it
	d.r.Seal(room)
	err := m.journal.Noted(&d.s, *room)
	if err == nil {
		err = m.journal.Settled(d.s.Organization, d.s.ID)
	}
	if err != nil {
		m.log.Error("a record is not in the journal", "charge", d.s.ID, "error", err)
	}
}

// Settled takes what became of a settlement that waited for its store. One that the store never took is charged when
// its reservation expires.
func (m *Meter) Settled(s *quota.Settlement, out quota.Outcome, err error) {
	v, ok := m.later.LoadAndDelete(s.ID)
	if !ok { // of the process before this one, or what nobody ended and the store had not known
		m.done(s, err)
		return
	}
	m.told(v.(*due), out, err)
}

// told takes what became of a settlement.
func (m *Meter) told(d *due, out quota.Outcome, err error) {
	d.c.Outcome = out
	if err != nil {
		d.c.Lost = true
		m.log.Warn("an exchange is charged when its reservation expires", "charge", d.s.ID, "error", err)
	}
	m.done(&d.s, err)
	m.keep(d)
}

// done notes in the journal that a store knows how an exchange ended, or will never take it. Once is enough, and twice does no harm.
func (m *Meter) done(s *quota.Settlement, err error) {
	if m.journal != nil && (err == nil || errors.Is(err, quota.ErrMisuse)) {
		_ = m.journal.Settled(s.Organization, s.ID)
	}
}

func (m *Meter) keep(d *due) {
	if d.r != nil {
		m.books.Keep(d.r, d.c)
	}
}

// unsent reports whether nothing of an exchange went to a provider.
func unsent(e *Ended) bool {
	for i := range e.Attempts {
		if e.Attempts[i].Ended != billing.Unsent {
			return false
		}
	}
	return true
}

// used is what an exchange takes of each of its budgets: of one for a provider, what was used there.
func used(claims []quota.Claim, e *Ended, c *Charge) []quota.Claim {
	out := make([]quota.Claim, len(claims))
	for i := range claims {
		b := claims[i].Budget
		out[i].Budget = b
		tried, prompt, answer, nano := int64(1), c.Prompt, c.Answer, c.Nano
		if name, ok := strings.CutPrefix(b.Target, "provider:"); ok {
			tried, prompt, answer, nano = 0, 0, 0, 0
			for k := range c.Lines {
				if e.Attempts[k].Provider.Name == name {
					tried, prompt, answer, nano = 1, prompt+c.Lines[k].Units.Prompt(), answer+c.Lines[k].Units.Answer(), nano+c.Lines[k].Bill.Nano
				}
			}
		}
		n := tried
		switch b.Unit {
		case quota.TokensIn:
			n = prompt
		case quota.TokensOut:
			n = answer
		case quota.Tokens:
			n = prompt + answer
		case quota.Money:
			n = nano
		}
		out[i].Amount = min(n, quota.Max)
	}
	return out
}

// charge computes what every attempt is charged.
func (m *Meter) charge(e *Ended, h *held) *Charge {
	c := &Charge{Exact: true}
	for i := range e.Attempts {
		a := &e.Attempts[i]
		l := m.line(e, a, h, i == len(e.Attempts)-1)
		c.Lines = append(c.Lines, l)
		c.Nano = min(c.Nano+l.Bill.Nano, quota.Max)
		c.Prompt = min(c.Prompt+l.Units.Prompt(), quota.Max)
		c.Answer = min(c.Answer+l.Units.Answer(), quota.Max)
		c.Exact = c.Exact && !l.Reserved && l.Bill.Flags&(cost.Unmeasured|cost.Inconsistent) == 0
	}
	return c
}

func (m *Meter) line(e *Ended, a *Attempt, h *held, last bool) Line {
	contract := a.Provider.Contract
	card := card(&a.Step)
	t := billing.Attempt{Ended: a.Ended, Most: dearest(e.Op, card, h.most())}
	var flags cost.Flags
	if !last && a.Used.Known() {
		t.Seen, _ = cost.Split(e.Op, a.Used)
		t.Told = a.Ended == billing.Completed
	}
	if last {
		if a.Ended == billing.Completed {
			known(e.Op, &e.Usage, &h.wish, cmp.Or(a.Like, a.Model))
		}
		t.Seen, flags = cost.Split(e.Op, e.Usage)
		// The parts of a session state each what they used, however the session ends.
		t.Told = e.Usage.Known() && (e.Whole || e.Op == llm.OpRealtime) || measureOf(e.Op) == priced && a.Ended == billing.Completed && flags&cost.Unmeasured == 0
		if t.Ended == billing.CutEarly && t.Seen.Answer() > 0 {
			t.Ended = billing.Aborted
		}
		m.guess(e, a, &t)
	}
	units, reserved := ruleOf(contract).Charge(t)
	var said *llm.Details
	if last {
		said = e.Usage.Details
	}
	at := terms(contract.Terms(a.Model, e.Began), &h.wish, said, a.Provider)
	if last {
		at.Service = cmp.Or(e.Service, at.Service)
	}
	if units[price.WebSearch] > 0 && at.Search == "" && searches(cmp.Or(a.Like, a.Model)) {
		at.Search = "medium" // what OpenAI takes where nothing is said
	}
	bill := cost.Of(card, units, at)
	if last && a.Ended == billing.Completed && bill.Nano == 0 && measureOf(e.Op) == priced && charges(card) {
		t.Ended, t.Told = billing.Aborted, false // nobody says what it used, and nothing is no answer
		units, reserved = billing.Rules{}.Charge(t)
		bill = cost.Of(card, units, at)
	}
	if reserved || last && !t.Told {
		flags |= cost.Unmeasured
	} else {
		flags &^= cost.Unmeasured
	}
	if a.Ended != billing.Completed && !last && !reserved {
		flags = 0
	}
	bill.Flags |= flags
	l := Line{Units: units, Bill: bill, Reserved: reserved, Terms: at}
	if card != nil {
		l.Card, l.Version = m.cards.get(card), a.Provider.Models.Version(a.Model)
	}
	return l
}

// guess fills in what the last attempt's answer did not say: its tokens by its bytes, and nothing over what it could
// have had.
func (m *Meter) guess(e *Ended, a *Attempt, t *billing.Attempt) {
	if t.Told || !answers(e.Op) || e.Sent == 0 || a.Ended != billing.Completed && a.Ended != billing.Aborted {
		return
	}
	if t.Seen.Answer() == 0 {
		size := max(m.sizes.of(&a.Step), 1)
		n := (int64(e.Sent) + size - 1) / size
		if most := t.Most.Answer(); most > 0 {
			n = min(n, most)
		}
		t.Seen[price.Output] = n
	}
	if a.Ended == billing.Completed && t.Seen.Prompt() == 0 {
		t.Seen[price.Input] = t.Most[price.Input]
	}
}
