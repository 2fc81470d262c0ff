// Package quota holds what limits are made of, and the contract of the stores that count them.
//
//	        ┌─ Reserve ─► Pending ─┬─ Settle ──► Settled   the truth, more or less than was reserved
//	None ───┤                      ├─ Void ────► Voided    nothing was used
//	        └─ Refusal             └─ (expiry) ► Expired   charged as reserved ── Settle ──► Settled
//
// An exchange claims something of several budgets at once; a store reserves all of it or nothing, in one step.
// Every reservation ends, by the truth, by nothing, or by its time running out, and each end counts once
// however often it is told. Counters are a fast view of the ledger that can be rebuilt from it: what a store
// has forgotten is unknown, never zero.
//
// The package counts nothing itself and knows neither prices nor keys: internal/quota/memory and
// internal/quota/redis are the stores, internal/quota/lease reserves ahead, internal/quota/guard says what holds while one is away,
// internal/quota/budgets makes budgets of limits, internal/quota/journal survives crashes.
package quota

import (
	"context"
	"errors"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// Max is the largest amount and the largest limit, 2^53-1: scripts of Redis count in doubles. In nano-USD it is
// 9.007 million dollars.
const Max = 1<<53 - 1

// Unit is what a budget counts.
type Unit uint8

// Units. Money is in nano-USD.
const (
	Requests Unit = iota + 1
	TokensIn
	TokensOut
	Tokens
	Money
	Parallel
)

var units = [...]string{Requests: "requests", TokensIn: "input_tokens", TokensOut: "output_tokens", Tokens: "tokens", Money: "money", Parallel: "parallel"}

// String returns the unit's word in configuration and metrics.
func (u Unit) String() string {
	if u == 0 || int(u) >= len(units) {
		return "unknown"
	}
	return units[u]
}

// Away is what holds for a budget while its store cannot be asked.
type Away uint8

// Policies. Default is Deny for money and Local for the rest.
const (
	Default Away = iota
	Deny         // refuse: nothing is used beyond the limit
	Local        // admit up to an allowance of this process's own
	Allow        // admit, and debit later
)

// Owner is whose limit a budget is.
type Owner struct {
	Level string // organization, team, project, key or end_user
	Name  string
}

// Budget is a limit on one unit, for one owner, in one window. It is shared and does not change.
type Budget struct {
	ID     string // [a-z0-9_]{1,80}; the same in every process, another one where the window differs
	Owner  Owner
	Unit   Unit
	Limit  int64 // 0 ≤ Limit ≤ Max; of Pace, units per window
	Window window.Window
	Model  string // "": of all models
	Target string // provider or route as "provider:NAME", "route:NAME"; "": of all
	Soft   bool   // refuses like any other, but admits while its use is unknown
	Shadow bool   // counts and reports, and never refuses
	Away   Away
	Alert  []int // permille of the limit at which to warn, ascending
}

// Claim is what one exchange wants, or used, of one budget.
type Claim struct {
	Budget *Budget
	Amount int64 // 0 ≤ Amount ≤ Max
}

// Request asks for all claims of one exchange.
type Request struct {
	Organization string        // whose counters: [a-z0-9][a-z0-9._-]{0,63}
	ID           string        // the exchange's: [a-z0-9][a-z0-9._:#-]{0,63}
	Claims       []Claim       // of different budgets
	Hold         time.Duration // until it expires unless Touch extends it
	Force        bool          // whatever the limits: it was admitted before, and puts back what a store forgot
	Levels       []Level       // room for Grant.Levels, to save the allocation
}

// Level is how a budget stands.
type Level struct {
	Used    int64         // charged in the current window, with what a sliding window still counts of the one before, and reserved; at most Max
	Left    int64         // of the limit, at least 0
	Reset   time.Duration // until the window ends; 0: it does not
	Refused bool          // a shadow budget would have refused
}

// State is how far a reservation is.
type State byte

// States.
const (
	None    State = 'N'
	Pending State = 'P'
	Settled State = 'S'
	Voided  State = 'V'
	Expired State = 'X'
)

// Grant answers a Request that was not refused.
type Grant struct {
	State  State   // Pending: admitted. Anything else: Again is set, and the exchange of that id is over
	Again  bool    // the id was known already, and nothing was reserved by this call
	Seq    int64   // the store's count of operations for the organization, which only rises
	Away   bool    // the store could not say, and the budgets' policies admitted it
	Levels []Level // by claim, after this reservation; empty when Again or Away is set
}

// Refusal says why a request was not admitted. Nothing was reserved.
type Refusal struct {
	Index  int // of the claim
	Budget *Budget
	Amount int64         // that was claimed
	Left   int64         // that could have been had
	Wait   time.Duration // until more may be left; 0: time does not help
}

// Settlement ends a reservation.
type Settlement struct {
	Organization string
	ID           string
	Born         time.Time // when the exchange was admitted
	Void         bool      // nothing was used; amounts do not count
	Claims       []Claim   // the budgets of the reservation in its order, with what was used
	Draws        []Draw    // not nil: the reservation is a lease, from which these took theirs; amounts of Claims do not count
}

// Draw is an exchange that reserved of a lease, which a process holds for many. The store tells each once, whoever told it
// before: what it used takes the place of the lease, and what still runs becomes a reservation of its own.
type Draw struct {
	ID      string
	State   State         // Settled, Voided, or Pending: it still runs
	Hold    time.Duration // of one that runs: until it expires; below 0 where it is overdue by so much
	Amounts []int64       // by claim: used, or of one that runs reserved
	Over    []int64       // of these what was over the reservation; nil: nothing
}

// Outcome is what a settlement did.
type Outcome struct {
	From State // before. None: there was no reservation, and a truth is debited directly
	To   State // after. Equal to From where nothing was changed
	Over bool  // more was used than had been reserved
	Old  bool  // nothing was changed: it is too long ago for the store to know whether it was settled before
	Wait bool  // nothing was changed yet: the store could not be asked, and will be
	Seq  int64

	Draws []State // of a lease that was ended by this call, by draw: None, or as what the store knew it, and nothing was changed
}

// Changed reports whether the settlement did something.
func (o Outcome) Changed() bool { return o.From != o.To }

// Lapse is a reservation that expired and was charged.
type Lapse struct {
	ID    string
	Parts []Part
}

// Part is one budget's part of a reservation, as the store recorded it.
type Part struct {
	Budget string
	Kind   byte  // window.Kind.Letter
	Amount int64 // charged
	Start  int64 // of the window it is charged to, Unix milliseconds
}

// Balance is what a budget has used by the ledger, for rebuilding its counter.
type Balance struct {
	Budget   string
	Kind     byte  // window.Kind.Letter
	Start    int64 // of the current window, Unix milliseconds; 0 for Life
	Used     int64
	Previous int64 // used in the window before, for Sliding
}

// Counter is a budget's raw counter, for reconciliation and tests.
type Counter struct {
	Known    bool
	Start    int64 // of the window last used, Unix milliseconds; of Pace, the theoretical arrival time in microseconds
	Used     int64
	Previous int64
	Reserved int64
	Late     int64 // charged to windows that were over by then: only the ledger has them
	Over     int64 // used beyond reservations
}

// Store counts. Its methods may be called at the same time. Their errors are ErrUnavailable, ErrUnknown, ErrBehind or
// ErrMisuse, or wrap one; after an error other than ErrMisuse a reservation may or may not exist: repeating the call
// with the same id is safe, and so is settling it.
type Store interface {
	// Reserve admits all claims or none. Of a refusal, or an error, the Grant does not count.
	Reserve(ctx context.Context, r *Request) (Grant, *Refusal, error)
	// Settle ends a reservation, once. It is safe to repeat.
	Settle(ctx context.Context, s *Settlement) (Outcome, error)
	// Touch lets open reservations live for hold from now, and returns the ids that are not open.
	Touch(ctx context.Context, organization string, ids []string, hold time.Duration) ([]string, error)
	// Reap charges what has expired, no more than most reservations, and drops the memory of what ended long ago.
	Reap(ctx context.Context, organization string, most int) ([]Lapse, error)
	// Peek returns the counters of budgets.
	Peek(ctx context.Context, organization string, budgets []*Budget) ([]Counter, error)
}

// Rebuilder is a store whose counters can be put back.
type Rebuilder interface {
	// Rebuild drops an organization's open reservations and sets its counters; what is not among the balances
	// is zero from then on. The memory of what ended is kept.
	Rebuild(ctx context.Context, organization string, balances []Balance) error
}

// Errors of stores.
var (
	ErrUnavailable = errors.New("quota: the store does not answer")
	ErrUnknown     = errors.New("quota: the counters are not known; they must be rebuilt")
	ErrBehind      = errors.New("quota: this process's clock is a whole window behind the store's")
	ErrMisuse      = errors.New("quota: the call is not well-formed")
)
