package backtest

import (
	"cmp"
	"context"
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// past is what the ledger tells, as small as it can be kept.
type past struct {
	exchanges []exchange
	attempts  []attempt
	targets   []target
	skipped   int // records of exchanges that went to no provider, or that no route is chosen for

	byName map[named]int32
	texts  interned[string]
	owners interned[match.Owner]
	tags   map[string]int32
	tagged []map[string]string
	ways   *Ways
}

// exchange is one exchange of the past.
type exchange struct {
	at                     int64 // Unix milliseconds
	id                     uint64
	model, dialect, owner  int32
	tags                   int32 // -1: none
	from, until            int32 // its attempts
	prompt, answer, cached int32 // tokens
	cost                   int64 // as recorded, with corrections
	op                     llm.Op
	stream                 bool
}

// attempt is what came of an attempt.
type attempt struct {
	began                  int64 // Unix milliseconds
	target                 int32
	took, first            int32 // milliseconds
	prompt, cached, answer int32
	cost                   int64 // by the new configuration, or as recorded where that knows no price
	code                   llm.Code
}

// named is the name of a target.
type named struct{ provider, model string }

// String returns PROVIDER/MODEL.
func (n named) String() string { return n.provider + "/" + n.model }

func (n named) compare(o named) int {
	return cmp.Or(cmp.Compare(n.provider, o.provider), cmp.Compare(n.model, o.model))
}

// target is a model at a provider, and the attempts at it in the order of time.
type target struct {
	named
	attempts []int32
	piece    int            // attempts that are weighed together
	pause    int64          // milliseconds without an attempt that are long for it
	cuts     [views][]int32 // those of attempts that begin a stretch in which it was another than before
}

// interned gives small numbers to what repeats.
type interned[T comparable] struct {
	of  map[T]int32
	all []T
}

func (t *interned[T]) number(v T) int32 {
	n, ok := t.of[v]
	if !ok {
		if t.of == nil {
			t.of = map[T]int32{}
		}
		n = int32(len(t.all))
		t.of[v], t.all = n, append(t.all, v)
	}
	return n
}

// load reads exchanges. What they would be charged is found by the new configuration.
func load(ctx context.Context, s Reader, q book.Filter, ways *Ways, most int) (*past, error) {
	p := &past{byName: map[named]int32{}, tags: map[string]int32{}, ways: ways}
	var last ledger.Key
	err := s.Records(ctx, q, func(r *ledger.Record) error {
		if r.Sequence > 0 { // a correction follows its exchange
			if n := len(p.exchanges); n > 0 && last.ID == r.ID && last.Organization == r.Organization {
				p.exchanges[n-1].cost += int64(r.Money.Cost)
			}
			return nil
		}
		if len(p.exchanges) >= most {
			return fmt.Errorf("there are more than %d exchanges: choose a shorter time", most)
		}
		last = ledger.Key{}
		if p.add(r) {
			last = r.Key
		} else {
			p.skipped++
		}
		return nil
	})
	p.settle()
	return p, err
}

// Evidence is weighed in pieces: attempts at a target that follow each other, as what goes wrong may hit them together. There are many pieces in
// what is drawn from for one exchange: of few weights nobody learns how far others would be apart.
const (
	longestPiece = 8  // attempts
	leastPieces  = 48 // of all attempts at a target
)

// A target was not asked for a while if the last attempt and the next are farther away than that, and than its attempts usually are.
const (
	longestPause = 5 * 60 * 1000 // milliseconds
	leastPauses  = 48            // that the whole time holds
	longPause    = 10            // times the usual
)

// settle works out what holds for all runs.
func (p *past) settle() {
	all := int64(0)
	if n := len(p.exchanges); n > 0 {
		all = p.exchanges[n-1].at - p.exchanges[0].at
	}
	each(len(p.targets), func(i int) {
		t := &p.targets[i]
		t.pause = max(min(all/leastPauses, longestPause), longPause*all/int64(max(len(t.attempts), 1)))
		t.piece = min(max(len(t.attempts)/leastPieces, 1), longestPiece)
		for v := range t.cuts {
			t.cuts[v] = p.changes(t.attempts, changeCosts[v])
		}
	})
}

// add takes a record up, if its exchange went to a provider by a choice.
func (p *past) add(r *ledger.Record) bool {
	op, known := auth.ParseOperation(r.Asked.Op)
	if !known || op.Objects() || len(r.Attempts) == 0 {
		return false
	}
	switch r.Result.Status {
	case ledger.Refused, ledger.Expired, ledger.Cached, ledger.Replayed:
		return false
	}
	x := exchange{
		at: r.At.UnixMilli(), id: routing.Hash(r.ID), op: op, stream: r.Asked.Stream, cost: int64(r.Money.Cost), tags: -1, from: size(p.attempts),
		model: p.texts.number(r.Asked.Model), dialect: p.texts.number(r.Asked.Dialect),
		owner: p.owners.number(match.Owner{Organization: r.Organization, Team: r.Who.Team, Project: r.Who.Project, Key: r.Who.KeyID, EndUser: r.Who.User}),
	}
	if len(r.Tags) > 0 {
		c := ledger.Canonical(r.Tags)
		n, ok := p.tags[c]
		if !ok {
			n = size(p.tagged)
			p.tags[c], p.tagged = n, append(p.tagged, r.Tags)
		}
		x.tags = n
	}
	for i := range r.Attempts {
		a := p.attempt(r, &r.Attempts[i])
		if i == len(r.Attempts)-1 {
			a.code = ending(r, a.code)
		}
		if a.prompt > 0 {
			x.prompt, x.cached = a.prompt, a.cached
		}
		if a.answer > 0 {
			x.answer = a.answer
		}
		t := &p.targets[a.target]
		t.attempts = append(t.attempts, size(p.attempts))
		p.attempts = append(p.attempts, a)
	}
	x.until = size(p.attempts)
	p.exchanges = append(p.exchanges, x)
	return true
}

// ending is what the last attempt of an exchange came to: a client that leaves is nobody's fault, and one that got an
// error got one.
func ending(r *ledger.Record, code llm.Code) llm.Code {
	switch {
	case r.Result.Status == ledger.ClientAbort || r.Result.Status == ledger.OK:
		return llm.CodeNone
	case code == llm.CodeNone && r.Result.Status == ledger.Timeout:
		return llm.CodeTimeout
	case code == llm.CodeNone:
		return llm.CodeUpstream
	}
	return code
}

func (p *past) attempt(r *ledger.Record, a *ledger.Attempt) attempt {
	out := attempt{
		began: r.At.UnixMilli() + int64(a.Began), target: p.target(named{a.Provider, a.Model}), took: short(int64(a.Took)), first: short(int64(a.First)),
		prompt: short(a.Units.Prompt()), cached: short(a.Units[price.CacheRead]), answer: short(a.Units.Answer()), cost: int64(a.Bill.Cost), code: codeOf(a.Code),
	}
	k := p.ways.About(a.Provider, a.Model, "")
	if k == nil || k.Card == nil || out.cost == 0 {
		return out // nothing was charged
	}
	t := k.Contract.Terms(a.Model, r.At)
	t.Service = cmp.Or(a.Service, t.Service) // where nobody said it, it is the account's
	t.Region, t.Switches, t.Search = a.Priced.Region, a.Priced.Switches, a.Priced.Search
	t.Look = price.Look{Size: a.Priced.Size, Quality: a.Priced.Quality}
	if n, flags := cost.Total(k.Card, cost.Units(a.Units), &t); flags&cost.Unpriced == 0 {
		out.cost = n
	}
	return out
}

// target returns the number of a target.
func (p *past) target(of named) int32 {
	n, ok := p.byName[of]
	if !ok {
		n = size(p.targets)
		p.byName[of], p.targets = n, append(p.targets, target{named: of})
	}
	return n
}

func size[T any](s []T) int32 { return int32(len(s)) }

// short bounds a number to what is kept of it.
func short(n int64) int32 { return int32(min(max(n, 0), 1<<31-1)) }

// codeOf reads an error's word; an unknown one is the provider's fault.
func codeOf(word string) llm.Code {
	if word == "" || word == llm.CodeNone.String() {
		return llm.CodeNone
	}
	for c := llm.CodeNone + 1; c <= llm.CodeInternal; c++ {
		if c.String() == word {
			return c
		}
	}
	return llm.CodeUpstream
}
