// Package reconcile compares the counters of quotas with what the ledger has charged, and debits what they lack.
//
//	counters ─ Peek ───────────┐
//	                           ├─► drift, once two rounds agree ─► Told, and a direct debit of what counters lack
//	records ─ their sums ──────┘
//
// Records come a moment after what they are of, while exchanges go on. A counter is as it should be where it lies between
// what the ledger had before it was read and what it has a while later; at rest both are the same. What was admitted so
// near to a window's begin that the store's clock may have taken it for the other window's counts as either.
//
// It decides nothing about an exchange, and waits for nobody on the request's path.
package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// Ledger is the truth.
type Ledger interface {
	ChargedOf(ctx context.Context, organization string, budgets []string, since time.Time) ([]book.Charged, error)
	Records(ctx context.Context, q book.Filter, f func(*ledger.Record) error) error
}

// Store counts.
type Store interface {
	Peek(ctx context.Context, organization string, budgets []*quota.Budget) ([]quota.Counter, error)
	Settle(ctx context.Context, s *quota.Settlement) (quota.Outcome, error)
}

// Params of a Reconciler. Zero times get what a running service uses.
type Params struct {
	Store  Store
	Ledger Ledger
	// Epoch says whether an organization's counters are known, and since which rebuild: a round in which that changes
	// says nothing.
	Epoch  func(ctx context.Context, organization string) (string, error)
	Behind func() bool // whether records of this process wait to be written: then the ledger has less than it will
	Settle time.Duration
	Now    func() time.Time
}

// settle is how long records may be on their way to the ledger.
const settle = 5 * time.Second

// shortest is the length of the shortest windows that are compared: of shorter ones the counter is gone before the ledger
// has all records.
const shortest = 5 * time.Minute

// most is how many budgets a round compares. Of more, the next round goes on behind them.
const most = 10_000

// atOnce is how many budgets are asked for at once.
const atOnce = 500

// Before and after the begin of a window, how far an exchange's time may be from that at which the store took it: a request
// is reserved once its body is there, and by the store's clock.
const before, after = time.Minute, 2 * time.Second

// Drift is a counter that is not as the ledger has it, which two rounds found.
type Drift struct {
	Organization string
	Budget       *quota.Budget
	By           int64 // the counter less the ledger
	Debited      bool  // it was less, and the counter has been put right
}

// Reconciler compares. It is not safe for concurrent use.
type Reconciler struct {
	p    Params
	next int                  // budget at which the next round begins
	last map[string]suspicion // by organization and budget
}

// suspicion is what one round found.
type suspicion struct{ start, by int64 }

// New makes a Reconciler.
func New(p Params) *Reconciler {
	if p.Settle <= 0 {
		p.Settle = settle
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Reconciler{p: p, last: map[string]suspicion{}}
}

// Owned is a budget with the organization whose counter it is.
type Owned struct {
	Organization string
	Budget       *quota.Budget
}

// checked is a budget in a round.
type checked struct {
	Owned
	start        int64 // of the counter's window, Unix milliseconds
	low          int64 // what the ledger had before
	counter, top int64
}

func (c *checked) key() string { return c.Organization + "/" + c.Budget.ID }

// off is how far a counter lies outside of what the ledger had.
func (c *checked) off() int64 {
	switch {
	case c.counter < c.low:
		return c.counter - c.low
	case c.counter > c.top:
		return c.counter - c.top
	}
	return 0
}

// Round compares once, and returns what this and an earlier round found. Units are those of the budgets that it compared. All
// budgets come in the same order each time.
func (r *Reconciler) Round(ctx context.Context, all iter.Seq[Owned]) (found []Drift, units []quota.Unit, err error) {
	if len(r.last) > 2*most { // of budgets that are no more
		clear(r.last)
	}
	chosen := r.choose(all)
	by := map[string][]*checked{}
	for _, c := range chosen {
		by[c.Organization] = append(by[c.Organization], c)
		if !slices.Contains(units, c.Budget.Unit) {
			units = append(units, c.Budget.Unit)
		}
	}
	epochs := map[string]string{}
	var errs error
	for organization, list := range by {
		if epochs[organization], err = r.read(ctx, organization, list); err != nil {
			errs = errors.Join(errs, fmt.Errorf("organization %s: %w", organization, err))
			delete(by, organization)
		}
	}
	if err := r.await(ctx, by); err != nil {
		return nil, units, err
	}
	for organization, list := range by {
		some, err := r.judge(ctx, organization, epochs[organization], list)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("organization %s: %w", organization, err))
			continue
		}
		found = append(found, some...)
	}
	return found, units, errs
}

// choose takes the budgets of a round: those with windows that are long enough, from the next one on. It holds on to no more than
// may be chosen.
func (r *Reconciler) choose(all iter.Seq[Owned]) (out []*checked) {
	var first, behind []*checked // of all, and of those from the next one on
	n := 0
	for o := range all {
		if !compared(o.Budget.Window) {
			continue
		}
		c := &checked{Owned: o}
		switch n++; {
		case n > r.next && len(behind) < most:
			behind = append(behind, c)
		case n <= r.next && len(first) < most:
			first = append(first, c)
		}
	}
	if n <= most {
		r.next = 0
		return append(first, behind...)
	}
	if len(behind) == 0 { // there are fewer than there were
		r.next = 0
	}
	out = slices.Concat(behind, first[:min(len(first), most-len(behind))])
	r.next = (r.next + most) % n
	return out
}

// compared reports whether the counters of a window are compared.
func compared(w window.Window) bool {
	switch {
	case w.Kind == window.Gauge || w.Kind == window.Pace:
		return false
	case w.Length > 0:
		return w.Length >= shortest
	}
	return true
}

// read fills in what the ledger had, and then what the counters have.
func (r *Reconciler) read(ctx context.Context, organization string, list []*checked) (epoch string, err error) {
	if epoch, err = r.p.Epoch(ctx, organization); err != nil {
		return "", err
	}
	for part := range slices.Chunk(list, atOnce) {
		counters, err := r.peek(ctx, organization, part)
		if err != nil {
			return "", err
		}
		now := r.p.Now()
		for i, c := range part {
			if c.start = counters[i].Start; !counters[i].Known {
				c.start, _ = c.Budget.Window.Span(now)
			}
		}
		if err := r.charged(ctx, organization, part, func(c *checked, n int64) { c.low = n }); err != nil {
			return "", err
		}
		if counters, err = r.peek(ctx, organization, part); err != nil {
			return "", err
		}
		for i, c := range part {
			if c.counter = counters[i].Used; counters[i].Known && counters[i].Start != c.start { // a window began meanwhile
				c.start = -1
			}
		}
	}
	return epoch, nil
}

func (r *Reconciler) peek(ctx context.Context, organization string, part []*checked) ([]quota.Counter, error) {
	budgets := make([]*quota.Budget, len(part))
	for i, c := range part {
		budgets[i] = c.Budget
	}
	return r.p.Store.Peek(ctx, organization, budgets)
}

// charged asks for what the ledger charged in the windows of budgets.
func (r *Reconciler) charged(ctx context.Context, organization string, part []*checked, set func(*checked, int64)) error {
	type at struct {
		budget string
		window int64
	}
	groups := map[int64][]*checked{} // of one begin each: windows differ in how many of them there are
	for _, c := range part {
		groups[c.start] = append(groups[c.start], c)
	}
	for start, group := range groups {
		ids := make([]string, len(group))
		for i, c := range group {
			ids[i] = c.Budget.ID
		}
		rows, err := r.p.Ledger.ChargedOf(ctx, organization, ids, time.UnixMilli(start))
		if err != nil {
			return err
		}
		sums := make(map[at]int64, len(rows))
		for _, row := range rows {
			sums[at{row.Budget, row.Window}] = row.Amount
		}
		for _, c := range group {
			set(c, max(0, sums[at{c.Budget.ID, c.start / 1000}]))
		}
	}
	return nil
}

// await waits for records that are on their way, where counters have more than the ledger had.
func (r *Reconciler) await(ctx context.Context, by map[string][]*checked) error {
	more := false
	for _, list := range by {
		for _, c := range list {
			c.top = c.low
			more = more || c.counter > c.low
		}
	}
	if !more {
		return nil
	}
	select {
	case <-time.After(r.p.Settle):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// judge compares, and returns what an earlier round found too.
func (r *Reconciler) judge(ctx context.Context, organization, epoch string, list []*checked) (found []Drift, err error) {
	more := slices.DeleteFunc(slices.Clone(list), func(c *checked) bool { return c.start < 0 || c.counter <= c.low })
	for part := range slices.Chunk(more, atOnce) {
		if err := r.charged(ctx, organization, part, func(c *checked, n int64) { c.top = max(n, c.low) }); err != nil {
			return nil, err
		}
	}
	var off []*checked
	for _, c := range list {
		switch {
		case c.start >= 0 && c.off() != 0:
			off = append(off, c)
		default:
			delete(r.last, c.key())
		}
	}
	if len(off) == 0 {
		return nil, nil
	}
	if now, err := r.p.Epoch(ctx, organization); err != nil || now != epoch {
		return nil, err
	}
	slack, err := r.slack(ctx, organization, off)
	if err != nil {
		return nil, err
	}
	for _, c := range off {
		if by := r.confirm(c, slack[c]); by != 0 {
			found = append(found, Drift{Organization: organization, Budget: c.Budget, By: by, Debited: by < 0 && r.debit(ctx, c, -by)})
		}
	}
	return found, nil
}

// confirm returns what this round and an earlier one found of a counter, 0 where they do not agree.
func (r *Reconciler) confirm(c *checked, slack int64) int64 {
	by := c.off()
	if by > 0 {
		if by = max(0, by-slack); r.p.Behind() {
			return 0 // nothing is known, and nothing forgotten
		}
	} else {
		by = min(0, by+slack)
	}
	was, there := r.last[c.key()]
	if by == 0 {
		delete(r.last, c.key())
		return 0
	}
	r.last[c.key()] = suspicion{c.start, by}
	switch {
	case !there || was.start != c.start:
		return 0
	case by > 0 && was.by > 0:
		return min(by, was.by)
	case by < 0 && was.by < 0:
		return max(by, was.by)
	}
	return 0
}

// slack is what may as well be the other window's, of those that began not long before the exchange: by the ledger's
// records around their begin.
func (r *Reconciler) slack(ctx context.Context, organization string, off []*checked) (map[*checked]int64, error) {
	begins := map[int64][]*checked{}
	for _, c := range off {
		if c.start > 0 {
			begins[c.start] = append(begins[c.start], c)
		}
	}
	out := map[*checked]int64{}
	for start, group := range begins {
		ids := map[string]*checked{}
		for _, c := range group {
			ids[c.Budget.ID] = c
		}
		at := time.UnixMilli(start)
		f := book.Filter{From: at.Add(-before), Until: at.Add(after), Where: []book.Where{{Dimension: "organization", Values: []string{organization}}}}
		err := r.p.Ledger.Records(ctx, f, func(rec *ledger.Record) error {
			for i := range rec.Money.Charges {
				if c := ids[rec.Money.Charges[i].Budget]; c != nil {
					out[c] += max(rec.Money.Charges[i].Amount, -rec.Money.Charges[i].Amount)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// apart is the least time between two debits of a counter, by whichever replica.
const apart = 10 * time.Minute

// debit charges a counter what the ledger has beyond it, and reports whether it did: the window must be the current one,
// which is what the store charges, and the counter still lack it. Replicas that find the same use the same id, by which it
// counts once.
func (r *Reconciler) debit(ctx context.Context, c *checked, amount int64) bool {
	now := r.p.Now()
	if start, _ := c.Budget.Window.Span(now); start != c.start || amount > quota.Max {
		return false
	}
	if still, err := r.peek(ctx, c.Organization, []*checked{c}); err != nil || still[0].Known && (still[0].Start != c.start || still[0].Used > c.low-amount) {
		return false
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", c.Budget.ID, c.start, now.Truncate(apart).Unix()))
	out, err := r.p.Store.Settle(ctx, &quota.Settlement{
		Organization: c.Organization, ID: "drift:" + hex.EncodeToString(sum[:16]), Born: now, Claims: []quota.Claim{{Budget: c.Budget, Amount: amount}},
	})
	if err != nil {
		return false
	}
	delete(r.last, c.key())
	return out.To == quota.Settled
}
