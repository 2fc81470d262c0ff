// Package rerate prices the past anew: what exchanges used stays, what it cost is computed with other price cards, and
// the difference is written as corrections. It edits nothing, and knows no prices: they are given to it.
package rerate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Cause is that of the corrections.
const Cause = "rerate"

// Price is the new price of an attempt.
type Price struct {
	Bill    cost.Bill
	Card    string // hash of the card
	Version string
}

// Pricer prices what an attempt used, for an exchange that was admitted at a time. ok is false where it knows no price:
// the attempt stays as it is.
type Pricer func(at time.Time, a *ledger.Attempt, units cost.Units) (p Price, ok bool)

// Report says what was found.
type Report struct {
	Exchanges int // with attempts, that were looked at
	Corrected int // that cost otherwise, or whose price is known now
	Unpriced  int // attempts that the pricer knows no price of
	Was, Is   ledger.Nano
}

// ErrRaced is that somebody else wrote corrections of the same exchanges meanwhile. What was written is whole; another
// run does the rest.
var ErrRaced = errors.New("others correct the same exchanges at the same time: run it again")

// Run prices the exchanges that fit; of conditions on provider, model or region, the attempts that fit. Corrections are written to the store, unless dry is set, and given to each, which
// may be nil. A second run with the same prices finds nothing to correct.
func Run(ctx context.Context, s book.Store, q book.Filter, price Pricer, dry bool, each func(*ledger.Record) error) (Report, error) {
	var rep Report
	var batch, whole []*ledger.Record
	fits := ofAttempts(&q)
	flush := func() error {
		if dry || len(batch) == 0 {
			batch = batch[:0]
			return nil
		}
		n, err := s.Write(ctx, batch)
		if err == nil && n < len(batch) {
			err = ErrRaced
		}
		batch = batch[:0]
		return err
	}
	end := func() error {
		if len(whole) == 0 {
			return nil
		}
		r := rep.correct(whole, price, fits)
		whole = whole[:0]
		if r == nil {
			return nil
		}
		if each != nil {
			if err := each(r); err != nil {
				return err
			}
		}
		if batch = append(batch, r); len(batch) < 500 {
			return nil
		}
		return flush()
	}
	err := s.Records(ctx, q, func(r *ledger.Record) error {
		if n := len(whole); n > 0 && (whole[n-1].ID != r.ID || whole[n-1].Organization != r.Organization || !whole[n-1].At.Equal(r.At)) {
			if err := end(); err != nil {
				return err
			}
		}
		whole = append(whole, r)
		return nil
	})
	if err == nil {
		err = end()
	}
	if err == nil {
		err = flush()
	}
	if err != nil {
		return rep, fmt.Errorf("pricing the ledger anew: %w", err)
	}
	return rep, nil
}

// ofAttempts takes the conditions on attempts out of a filter and returns them. A store keeps a record by its last
// attempt, which in a correction may be another than in its exchange: all records of an exchange must be read.
func ofAttempts(q *book.Filter) func(*ledger.Attempt) bool {
	var own, rest []book.Where
	for _, w := range q.Where {
		switch w.Dimension {
		case "provider", "model", "region":
			own = append(own, w)
		default:
			rest = append(rest, w)
		}
	}
	q.Where = rest
	return func(a *ledger.Attempt) bool {
		for _, w := range own {
			v := a.Provider
			switch w.Dimension {
			case "model":
				v = a.Model
			case "region":
				v = a.Region
			}
			if !slices.Contains(w.Values, v) {
				return false
			}
		}
		return true
	}
}

// net is what all records of an exchange say of one attempt.
type net struct {
	ledger.Attempt
	cost, list, saved ledger.Nano
	lines             map[string]ledger.Nano
	unpriced          bool
}

// attemptsOf adds up the records of an exchange, by attempt.
func attemptsOf(records []*ledger.Record) (out []*net) {
	for _, r := range records {
		for _, a := range r.Attempts {
			i := slices.IndexFunc(out, func(n *net) bool { return n.Number == a.Number })
			if i < 0 {
				out = append(out, &net{Attempt: ledger.Attempt{Number: a.Number, Target: a.Target, Source: a.Source, Exact: a.Exact}, lines: map[string]ledger.Nano{}})
				i = len(out) - 1
			}
			n := out[i]
			for j, u := range a.Units {
				n.Units[j] += u
			}
			if d := a.Unpriced(); d != 0 {
				n.unpriced = d > 0
			}
			n.cost, n.list, n.saved = n.cost+a.Bill.Cost, n.list+a.Bill.List, n.saved+a.Bill.Saved
			for _, l := range a.Bill.Lines {
				n.lines[l.Item] += l.Cost
			}
		}
	}
	return out
}

// correct returns the correction that the records of one exchange need, or nil.
func (rep *Report) correct(records []*ledger.Record, price Pricer, fits func(*ledger.Attempt) bool) *ledger.Record {
	attempts := slices.DeleteFunc(attemptsOf(records), func(n *net) bool { return !fits(&n.Attempt) })
	if len(attempts) == 0 {
		return nil
	}
	rep.Exchanges++
	first, last := records[slices.IndexFunc(records, func(r *ledger.Record) bool { return len(r.Attempts) > 0 })], 0
	for _, r := range records {
		last = max(last, r.Sequence)
	}
	out := &ledger.Record{
		Key: ledger.Key{Organization: first.Organization, ID: first.ID, Sequence: last + 1}, At: first.At, Cause: Cause,
		Who: first.Who, Tags: first.Tags, Asked: first.Asked, Result: ledger.Result{Status: first.Result.Status},
	}
	for _, n := range attempts {
		rep.Was += n.cost
		u := cost.Units(n.Units)
		p, ok := Price{}, !slices.ContainsFunc(u[:], func(v int64) bool { return v < 0 })
		if u == (cost.Units{}) { // nothing was charged
			rep.Is += n.cost
			continue
		}
		if ok {
			p, ok = price(first.At, &n.Attempt, u)
		}
		if !ok {
			rep.Unpriced++
			rep.Is += n.cost
			continue
		}
		rep.Is += ledger.Nano(p.Bill.Nano)
		if a, changed := n.difference(&p); changed {
			out.Attempts = append(out.Attempts, a)
		}
	}
	if len(out.Attempts) == 0 {
		return nil
	}
	rep.Corrected++
	out.Total()
	return out
}

// difference returns the attempt of a correction: the new bill less what is recorded.
func (n *net) difference(p *Price) (ledger.Attempt, bool) {
	bill := ledger.BillOf(&p.Bill, p.Card, p.Version)
	bill.Cost, bill.List, bill.Saved = bill.Cost-n.cost, bill.List-n.list, bill.Saved-n.saved
	var lines []ledger.Line
	for _, l := range bill.Lines {
		if l.Cost -= n.lines[l.Item]; l.Cost != 0 {
			lines = append(lines, ledger.Line{Item: l.Item, Rate: l.Rate, Cost: l.Cost})
		}
		delete(n.lines, l.Item)
	}
	for _, item := range sorted(n.lines) { // no longer charged
		if was := n.lines[item]; was != 0 {
			lines = append(lines, ledger.Line{Item: item, Rate: "0", Cost: -was})
		}
	}
	bill.Lines = lines
	a := n.Attempt
	a.Units, a.Bill, a.Flags = ledger.Units{}, bill, ledger.FlagsOf(p.Bill.Flags)
	unknown := p.Bill.Flags&cost.Unpriced != 0
	if n.unpriced { // as its amounts, it says what is different
		a.WasUnpriced()
	}
	return a, bill.Cost != 0 || bill.List != 0 || bill.Saved != 0 || len(lines) > 0 || n.unpriced != unknown
}

func sorted(m map[string]ledger.Nano) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
