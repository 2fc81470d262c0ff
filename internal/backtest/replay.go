package backtest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// outcome is what came of an exchange.
type outcome struct {
	target      int32 // that answered last; -1: none was found
	attempts    int32
	cost        int64
	took, first int32 // milliseconds; 0: not known
	drawn       int32 // 1 + the attempt that what came of it was drawn from; 0: it is the exchange's own
	failed      bool
	blind       bool // a target was asked of which the ledger knows nothing
	far         bool // a target was asked of which the ledger knows nothing at about the time
	unpriced    bool
}

// old are the outcomes as they were.
func (p *past) old() []outcome {
	out := make([]outcome, len(p.exchanges))
	for i := range p.exchanges {
		x := &p.exchanges[i]
		o := outcome{cost: x.cost, attempts: x.until - x.from}
		for n := x.from; n < x.until; n++ {
			a := &p.attempts[n]
			o.add(a.target, a.code, a.took, a.first)
		}
		out[i] = o
	}
	return out
}

// add puts an attempt behind those before.
func (o *outcome) add(target int32, code llm.Code, took, first int32) {
	o.target, o.failed = target, code != llm.CodeNone
	o.first = 0
	if first > 0 {
		o.first = o.took + first
	}
	o.took += took
}

// luck is what one run has, and another has not.
type luck struct {
	seed      uint64
	resamples bool // what is drawn from is itself a sample: each run has another one
	fresh     bool // what came of an exchange was luck, too: it is drawn even where it is known
}

// sees is which of the views of when targets changed the run has.
func (l luck) sees() int {
	if !l.resamples {
		return usualView
	}
	return int(routing.Mix(l.seed) % views)
}

// replay is one run over the past.
type replay struct {
	*past
	luck
	ways      *Ways
	outcomes  []outcome
	figures   points
	vain      map[string]int  // what decisions asked that a record does not tell, and of how many exchanges
	lost      map[string]int  // why exchanges found no target
	strangers map[named]int32 // targets that the past does not know, by the numbers that they have in this run
	ends      ends
	decision  routing.Decision
	view      routing.View
	x         *exchange
	asked     []string // in vain, of this exchange
	draws     uint64   // for this exchange
}

func newReplay(p *past, w *Ways, l luck) *replay {
	r := &replay{past: p, luck: l, ways: w, outcomes: make([]outcome, len(p.exchanges)), vain: map[string]int{}, lost: map[string]int{}}
	r.view = routing.View{About: w.About, Keys: r.keys, Usable: r.usable}
	return r
}

// key is the one that all providers have here: the ledger does not tell keys apart.
const key = "key"

func (r *replay) keys(dst []string, provider, model string) ([]string, bool) {
	k := r.ways.About(provider, model, "")
	if k == nil {
		return dst, false
	}
	_, rests := k.Health.Rests(key, r.view.Seed, r.view.Now)
	return append(dst, key), !rests
}

func (r *replay) usable(t *routing.Target) (bool, string) {
	if r.ways.Speaks != nil && !r.ways.Speaks(t, r.x.op, r.texts.all[r.x.dialect]) {
		return false, "the target has no endpoint for " + r.x.op.String()
	}
	return true, ""
}

// warmUp is how many attempts at a target its health knows at the beginning.
const warmUp = 30

// warm lets the health of targets know what they were like at the beginning: a service that gets another configuration does
// not forget what it has learnt.
func (r *replay) warm() {
	for i := range r.targets {
		t := &r.targets[i]
		k := r.ways.About(t.provider, t.model, "")
		if k == nil {
			continue
		}
		first := t.attempts[:min(len(t.attempts), warmUp)]
		for j, n := range first {
			at := r.exchanges[0].at - int64(len(first)-j)*1000
			k.Health.Begin(key, time.UnixMilli(at))
			learn(end{at, k.Health, r.attempts[n]})
		}
	}
}

// all replays every exchange.
func (r *replay) all(ctx context.Context) error {
	r.warm()
	for i := range r.exchanges {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r.x = &r.exchanges[i]
		r.ends.until(r.x.at)
		r.outcomes[i] = r.one()
		for _, what := range r.asked {
			r.vain[what]++
		}
	}
	return nil
}

// see makes the view of the exchange at hand.
func (r *replay) see() {
	x := r.x
	model := r.texts.all[x.model]
	r.asked, r.draws = r.asked[:0], 0
	var tags map[string]string
	if x.tags >= 0 {
		tags = r.tagged[x.tags]
	}
	r.view.Request = match.Request{
		Asked: model, Model: r.ways.Table.Resolve(model), Op: x.op, Dialect: r.texts.all[x.dialect], Stream: x.stream, Bytes: int64(x.prompt) * bytesPerToken,
		Owner: r.owners.all[x.owner], Tags: tags, More: r,
	}
	r.view.Now, r.view.Seed = time.UnixMilli(x.at).UTC(), routing.Mix(r.seed^x.id)
}

// bytesPerToken is what a request is taken to have: the ledger does not tell its bytes.
const bytesPerToken = 4

// Header implements match.Inquiry.
func (r *replay) Header(name string) string { return r.unknown("the header " + name) }

// Needs implements match.Inquiry.
func (r *replay) Needs() ability.Set { r.unknown("abilities that it needs"); return 0 }

// Session implements match.Inquiry.
func (r *replay) Session(by string) string { return r.unknown("its " + by) }

// Tokens implements match.Inquiry.
func (r *replay) Tokens(_, _, _ string) int64 { return int64(r.x.prompt) }

func (r *replay) unknown(what string) string {
	if !slices.Contains(r.asked, what) {
		r.asked = append(r.asked, what)
	}
	return ""
}

// moves reports whether an exchange went elsewhere than it did.
func (r *replay) moves() bool {
	for i := range r.outcomes {
		if o := &r.outcomes[i]; o.drawn > 0 || o.blind || o.target < 0 {
			return true
		}
	}
	return false
}

// route returns the route that takes the exchange at hand, or why none does.
func (r *replay) route() (found *routing.Route, lacks string) {
	if r.ways.Pinned != nil {
		if name := r.ways.Pinned(r.view.Tags); name != "" {
			return r.ways.Table.Route(name), "there is no route " + name + ", which a template names"
		}
	}
	found, lacks = r.ways.Table.Find(&r.view, nil)
	if lacks == "" {
		return found, "no route takes the model " + r.view.Asked
	}
	return found, "no route takes the request: the last asks for other " + lacks
}

// one decides an exchange, and finds what came of it.
func (r *replay) one() outcome {
	r.see()
	route, lacks := r.route()
	if route == nil {
		return r.none(lacks)
	}
	route, _ = route.Assigned(&r.view, nil)
	plan, err := r.decision.Plan(route, &r.view, nil)
	if err != nil {
		why := "no target"
		if e, ok := errors.AsType[*routing.NoTarget](err); ok {
			why = "route " + e.Route + " has no usable target"
		}
		return r.none(why)
	}
	o, after := outcome{}, failure.Usual
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if i > 0 && s.Provider == plan.Steps[i-1].Provider && s.Model == plan.Steps[i-1].Model {
			continue // another key of the same target
		}
		if i > 0 && !r.follows(after, &plan.Steps[i-1], s) {
			continue
		}
		o.attempts++
		class, again := failure.Of(&llm.Error{Code: r.try(&o, s)})
		if after = plan.Route.Failover.On.On(class); !again || after == failure.Stop {
			break
		}
	}
	return o
}

// follows reports whether a step may follow a failed one, by the rule of its route.
func (r *replay) follows(rule failure.Action, failed, s *routing.Step) bool {
	a, b := r.ways.About(failed.Provider, failed.Model, failed.Like), r.ways.About(s.Provider, s.Model, s.Like)
	switch {
	case a == nil || b == nil:
		return true
	case rule == failure.Other:
		return a.Kind != b.Kind
	case rule == failure.Bigger:
		return a.Facts.Context == 0 || b.Facts.Context == 0 || b.Facts.Context > a.Facts.Context
	}
	return true
}

func (r *replay) none(why string) outcome {
	r.lost[why]++
	return outcome{target: -1, failed: true}
}

// try finds what comes of an attempt, and lets the target's health learn it.
func (r *replay) try(o *outcome, s *routing.Step) llm.Code {
	n := r.number(named{s.Provider, s.Model})
	about := r.ways.About(s.Provider, s.Model, s.Like)
	a, own := r.own(n)
	own = own && !r.fresh
	if !own {
		from, of, far := r.draw(n)
		if from < 0 {
			o.blind = true
			o.add(n, llm.CodeNone, 0, 0)
			c, priced := r.price(about, s, r.x.cached, r.x.answer)
			o.cost += c
			o.unpriced = o.unpriced || !priced
			return llm.CodeNone
		}
		o.drawn, o.far = from+1, o.far || far
		a = r.attempts[from]
		if r.resamples && r.mayFail(n, of) {
			a.code, a.took, a.first, a.cost = llm.CodeUpstream, max(a.first, 1), 0, 0
		}
		a = r.transfer(&a, about, s, o)
	}
	began := time.UnixMilli(r.x.at).Add(time.Duration(o.took) * time.Millisecond)
	o.cost += a.cost
	o.add(n, a.code, a.took, a.first)
	if about != nil {
		about.Health.Begin(key, began)
		r.ends.push(end{at: r.x.at + int64(o.took), health: about.Health, a: a})
	}
	return a.code
}

// number returns the number of a target.
func (r *replay) number(of named) int32 {
	if n, ok := r.byName[of]; ok {
		return n
	}
	n, ok := r.strangers[of]
	if !ok {
		if r.strangers == nil {
			r.strangers = map[named]int32{}
		}
		n = size(r.targets) + int32(len(r.strangers))
		r.strangers[of] = n
	}
	return n
}

// own returns what came of the exchange's own attempt at a target.
func (r *replay) own(target int32) (attempt, bool) {
	for n := r.x.from; n < r.x.until; n++ {
		if r.attempts[n].target == target {
			return r.attempts[n], true
		}
	}
	return attempt{}, false
}

// transfer is what would have come of the exchange at hand, had it met what another met: with its own prompt and answer.
func (r *replay) transfer(of *attempt, about *routing.About, s *routing.Step, o *outcome) attempt {
	a := *of
	if a.code != llm.CodeNone {
		return a
	}
	x := r.x
	if x.answer > 0 && of.answer > 0 && of.first > 0 {
		a.took = of.first + short(int64(of.took-of.first)*int64(x.answer)/int64(of.answer))
	}
	if x.answer > 0 {
		a.answer = x.answer
	}
	a.prompt, a.cached = x.prompt, 0
	if of.prompt > 0 {
		a.cached = short(int64(x.prompt) * int64(min(of.cached, of.prompt)) / int64(of.prompt))
	}
	c, priced := r.price(about, s, a.cached, a.answer)
	if !priced && of.prompt+of.answer > 0 { // as it was charged there, by the token
		c = of.cost * int64(a.prompt+a.answer) / int64(of.prompt+of.answer)
		priced = of.cost > 0
	}
	a.cost = c
	o.unpriced = o.unpriced || !priced
	return a
}

// price is what the exchange's prompt, and an answer, cost at a target.
func (r *replay) price(about *routing.About, s *routing.Step, cached, answer int32) (int64, bool) {
	if about == nil {
		return 0, false
	}
	var u cost.Units
	u[price.Input], u[price.CacheRead], u[price.Output], u[price.PerRequest] = int64(max(r.x.prompt-cached, 0)), int64(cached), int64(answer), 1
	terms := about.Contract.Terms(s.Model, r.view.Now)
	n, flags := cost.Total(about.Card, u, &terms)
	return n, flags&cost.Unpriced == 0
}

// end is the end of an attempt that is still to come.
type end struct {
	at     int64
	health *health.Target
	a      attempt
}

// ends are those to come, the earliest first: a heap.
type ends []end

func (h *ends) push(e end) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].at <= s[i].at {
			break
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (h *ends) pop() end {
	s := *h
	first, n := s[0], len(s)-1
	s[0] = s[n]
	s = s[:n]
	for i := 0; ; {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && s[down+1].at < s[down].at {
			down++
		}
		if s[i].at <= s[down].at {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	*h = s
	return first
}

// until lets the health of targets learn what has ended by a time.
func (h *ends) until(at int64) {
	for len(*h) > 0 && (*h)[0].at <= at {
		learn(h.pop())
	}
}

func learn(e end) {
	now := time.UnixMilli(e.at)
	took, first := time.Duration(e.a.took)*time.Millisecond, time.Duration(e.a.first)*time.Millisecond
	e.health.End(health.Attempt{Key: key, Code: e.a.code, First: first, Took: took}, now)
	if e.a.code != llm.CodeNone {
		return
	}
	u := health.Used{Prompt: int64(e.a.prompt), Cached: int64(e.a.cached), Output: int64(e.a.answer)}
	if first > 0 {
		u.Streaming = took - first
	}
	e.health.Learn(u, now)
}
