package backtest

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/signalbox-ai/signalbox/routing"
)

// keeps says how many of the runs keep what is known: each of so many.
const keeps = 3

// runs replays the past, as many runs at a time as there are processors. What a run comes to hangs on its seed alone, so that the same
// seed says the same on any machine. One of three keeps what came of an exchange where it goes where it went, and draws from all evidence
// alike (kept). The others draw from other evidence each, and what came of each exchange anew (drawn), unless nothing goes
// elsewhere than it did.
func (p *past) runs(ctx context.Context, ways *Ways, o Options) (first *replay, kept, drawn []points, err error) {
	if first, err = p.run(ctx, ways, o, 0, false); err != nil {
		return nil, nil, nil, err
	}
	moves := first.moves()
	all := make([]*replay, o.Runs)
	all[0] = first
	var (
		opening sync.Mutex
		failed  atomic.Bool
		errs    = make([]error, o.Runs)
	)
	each(o.Runs-1, func(n int) {
		if n++; failed.Load() {
			return
		}
		opening.Lock()
		w, err := o.Open()
		opening.Unlock()
		if err == nil {
			all[n], err = p.run(ctx, w, o, n, moves && n%keeps != 0)
		}
		if errs[n] = err; err != nil {
			failed.Store(true)
		}
	})
	for _, err := range errs {
		if err != nil {
			return nil, nil, nil, err
		}
	}
	p.meet(all)
	for n, r := range all {
		if n%keeps == 0 {
			kept = append(kept, r.figures)
		} else {
			drawn = append(drawn, r.figures)
		}
	}
	return first, kept, drawn, nil
}

// run is the n-th run.
func (p *past) run(ctx context.Context, w *Ways, o Options, n int, fresh bool) (*replay, error) {
	r := newReplay(p, w, luck{seed: routing.Mix(o.Seed + uint64(n)*0x9e3779b97f4a7c15), resamples: n%keeps != 0, fresh: fresh})
	if err := r.all(ctx); err != nil {
		return nil, err
	}
	r.figures = p.figuresOf(r.outcomes, len(p.targets)+len(r.strangers))
	if n > 0 {
		r.outcomes = nil // of a million exchanges they take a lot of memory
	}
	return r, nil
}

// meet gives the targets that the past does not know, which each run numbers as it meets them, the same numbers in all.
func (p *past) meet(all []*replay) {
	known := len(p.targets)
	for _, r := range all {
		own := r.figures[figures+known:]
		r.figures = slices.Clone(r.figures[:figures+known])
		for _, name := range slices.SortedFunc(maps.Keys(r.strangers), named.compare) {
			n := p.target(name)
			r.figures = append(r.figures, make(points, max(0, figures+int(n)+1-len(r.figures)))...)
			r.figures[figures+n] = own[int(r.strangers[name])-known]
		}
	}
}

// each does something for each of n numbers from 0, for as many at a time as there are processors.
func each(n int, do func(int)) {
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}
