// Package metering holds exchanges to the limits of their owners, and says what they used and cost.
//
//	plan stage   Want ─ bounds ─► claims ─ quota.Store.Reserve ─► Hold (into the ticket), or a refusal
//	log entry    Ended ─ usage, cards, rules ─► Charge ─ quota.Store.Settle ─► counters, books
//	Run          keeps open reservations alive, charges those that expired, settles what waits
//
// What is reserved is what an exchange can use at most, as its provider enforces it: a prompt has no more tokens than
// bytes, an answer no more than its bound. It is counted only where that is too much for what is left. The package
// knows no wire format, no Envoy and no database: internal/quota counts, internal/catalog/cost computes.
package metering

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
	"github.com/signalbox-ai/signalbox/providers"
)

// Party is whom an exchange is charged to. Every member but Organization may be "".
type Party = budgets.Party

// Limits knows the budgets of one version of the configuration. It does not change, and is safe for concurrent use.
type Limits interface {
	// Find appends the budgets that hold for an exchange of a party: of a model, on a route, at any of the providers.
	Find(dst []*quota.Budget, p *Party, model, route string, at []string) []*quota.Budget
	// Budget returns a budget by its id, or nil.
	Budget(id string) *quota.Budget
}

// Want is what the plan stage knows of an exchange that is about to be sent.
type Want struct {
	ID     string
	Charge string // id of the charge, of NewID; "": a new one
	Party  Party
	Limits Limits
	Route  string
	Model  string // as the client named it
	Op     llm.Op
	Steps  []Step // of the plan, in order
	Tries  Tries
	Prompt Prompt
	Wish   billing.Wish
	Output int64 // tokens that the client's bound, or ours, leaves for one answer; 0: no bound
	N      int   // answers asked for; at least 1
	Began  time.Time
	Hold   time.Duration // after which the exchange is over for sure; 0: not known
}

// Step is a target of the plan.
type Step struct {
	Provider    *providers.Provider
	Model, Like string
}

// Prompt is what is known of a prompt's length.
type Prompt struct {
	Bytes  int64 // of the body: its text has no more tokens
	Refers bool  // it names what is not in the body: a URL of an image, a file, an earlier answer
	// Count counts it for a step: the most tokens that it can have there, as far as can be told. ok is false where
	// nobody can tell. nil: nobody counts.
	Count func(s *Step) (most int64, ok bool)
}

// Params of a Meter. Store is needed; zero fields get what a running service uses.
type Params struct {
	Store   quota.Store
	Journal *journal.Journal // lets what was used survive the process; nil: what was reserved is charged after a crash
	Books   Books
	Log     *slog.Logger
	Now     func() time.Time
	Remote  bool // the store is not in this process
	Unknown bool // the counters are not known until Known is called: whoever has a limit is refused until then
}

// Books keeps what exchanges used and cost. Its methods must not wait.
type Books interface {
	// Write makes the record of an exchange, and Keep keeps it once the counters were told.
	Write(e *Ended, c *Charge) *ledger.Record
	Keep(r *ledger.Record, c *Charge)
	// Lapsed makes the record of what was charged because no end was told.
	Lapsed(organization string, l quota.Lapse) *ledger.Record
}

// Meter is safe for concurrent use.
type Meter struct {
	journal *journal.Journal
	store   quota.Store
	books   Books
	log     *slog.Logger
	now     func() time.Time
	open    table
	lefts   lefts
	outputs means // tokens of answers
	sizes   means // bytes of a stream for each of its tokens
	cards   hashes
	remote  bool
	unknown atomic.Bool
	queue   chan *due // nil: settled at once
	later   sync.Map  // by id: *due whose store is away
	rooms   sync.Pool // *[]byte, for records on their way to the journal
}

// waiting bounds the exchanges that wait to be settled. Beyond it their reservations expire, which charges them.
const waiting = 1 << 16

// New makes a Meter.
func New(p Params) *Meter {
	m := &Meter{remote: p.Remote, journal: p.Journal, store: p.Store, books: p.Books, log: p.Log, now: p.Now}
	if p.Journal != nil {
		m.store = journal.Wrap(p.Store, p.Journal, !p.Remote)
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.now == nil {
		m.now = time.Now
	}
	if p.Remote || p.Journal != nil {
		m.queue = make(chan *due, waiting)
	}
	m.outputs.first, m.sizes.first = 512, 20
	m.open.init()
	m.unknown.Store(p.Unknown)
	return m
}

// Known says that the counters are known from now on.
func (m *Meter) Known() { m.unknown.Store(false) }

// Priced says why a step's cost cannot be bounded, or nil: such a step is refused where a limit of money holds.
func (m *Meter) Priced(o llm.Op, s *Step, at time.Time) *llm.Error {
	if measureOf(o) == unbilled {
		return nil
	}
	c := s.Provider.Contract
	var a cost.Ask
	switch { // what such a model charges for, or its tokens
	case o.Draws():
		a.Fees[price.PerImageOutput] = 1
	case o == llm.OpSpeech:
		a.Fees[price.PerCharacter] = 1
	case measureOf(o) == priced:
		a.Fees[price.PerAudioSecond] = 1
	default:
		a.Input, a.Output = 1, 1
	}
	l := cost.Bound(card(s), a, c.Terms(s.Model, at))
	if !c.Denies(l.Flags) {
		return nil
	}
	return unpriced("no price is known for " + s.Model + " at " + s.Provider.Name)
}

func unpriced(why string) *llm.Error {
	return &llm.Error{Code: llm.CodeOverQuota, Reason: "unknown_price", Op: op, Param: "model", Message: why + ", and a limit of money holds"}
}

const op = "metering"

// Away is the answer where the store of quotas cannot say.
func away(err error) *llm.Error {
	return &llm.Error{Code: llm.CodeOverloaded, Reason: "quota_unavailable", Op: op, After: time.Second, Cause: err,
		Message: "limits cannot be checked at the moment"}
}
