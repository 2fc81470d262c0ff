// Package backtest replays the ledger's exchanges under another configuration, and estimates what they would have cost, how
// long they would have taken, and how many would have failed.
//
//	ledger ─ load ─► past ─ replay, often: decide as routing does, draw what came of it ─► figures of each run ─► Report
//	                  └─ what attempts at each target came to, by time ─┘
//
// An exchange is decided anew from what its record tells, in the order of time. Where it goes to a target that it went to,
// what came of it is what came of it then; at another target, it is what came of an attempt there at about the same time.
// The health of targets is learnt from that as the running service learns it. Each run has luck of its own, and the runs together say
// how far the figures can be trusted. Nothing is known of a target that the ledger
// has never seen, and nothing is said of it but its price.
//
// It sends nothing, and writes nothing.
package backtest

import (
	"context"
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
)

// Ways is a configuration to decide by. Its targets have a health of their own, of which nothing is known yet.
type Ways struct {
	Table  *routing.Table
	About  func(provider, model, like string) *routing.About
	Speaks func(t *routing.Target, op llm.Op, dialect string) bool // whether the target can do such a request at all
	Pinned func(tags map[string]string) string                     // the route that the template of an exchange takes, by its tags; "" or a nil Pinned: the one that it matches
}

// Options of a backtest. Zero fields get what is usual.
type Options struct {
	Open func() (*Ways, error) // the configuration, anew for each run; it is not called twice at a time
	Seed uint64                // of everything that is drawn
	Runs int                   // how often all is replayed
	Most int                   // exchanges that are read at most; beyond it Run is an error
}

// What is usual.
const (
	usualRuns = 24
	fewRuns   = 12      // of many exchanges, of which each run tells more
	many      = 100_000 // exchanges
	usualMost = 5_000_000
)

// Reader is the part of a ledger that is read.
type Reader interface {
	Records(ctx context.Context, q book.Filter, f func(*ledger.Record) error) error
}

// Run replays the exchanges that fit a filter.
func Run(ctx context.Context, s Reader, q book.Filter, o Options) (*Report, error) {
	if o.Most <= 0 {
		o.Most = usualMost
	}
	ways, err := o.Open()
	if err != nil {
		return nil, err
	}
	p, err := load(ctx, s, q, ways, o.Most)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	rep := &Report{From: q.From, Until: q.Until, Exchanges: len(p.exchanges), Skipped: p.skipped, Seed: o.Seed}
	switch {
	case len(p.exchanges) == 0:
		return rep, nil
	case o.Runs > 0:
	case len(p.exchanges) > many:
		o.Runs = fewRuns
	default:
		o.Runs = usualRuns
	}
	first, kept, drawn, err := p.runs(ctx, ways, o)
	if err != nil {
		return nil, err
	}
	rep.fill(p, combine(kept, drawn, p.figuresOf(p.old(), len(p.targets))), first)
	return rep, nil
}
