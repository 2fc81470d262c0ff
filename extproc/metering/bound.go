package metering

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Bounds of what no model states.
const (
	anyPrompt             = 2 << 20 // tokens: no window is longer
	anyAnswer             = 4096    // tokens: what every model can answer
	perToken              = 3       // bytes of a request for each token, usually: English text has four
	perDocument, perQuery = 3, 100  // bytes of a document at least, and documents of a query (docs.cohere.com/docs/rerank)
	perPiece              = 510     // tokens of a document beyond which it counts twice
)

// card returns the price card of a step's model, nil where there is none.
func card(s *Step) *price.Card {
	m, _ := s.Provider.Models.Find(s.Model)
	return m.Card
}

// states reports whether a card has a rate for an item, at any time.
func states(c *price.Card, i price.Item) bool {
	if c == nil {
		return false
	}
	_, ok := c.Rates.Get(i)
	for k := range c.Changes {
		_, later := c.Changes[k].Rates.Get(i)
		ok = ok || later
	}
	return ok
}

// answers reports whether an operation's answer has tokens that are billed.
func answers(o llm.Op) bool { return o == llm.OpChat || o == llm.OpComplete }

// measure says how far what an operation uses is known before.
type measure uint8

const (
	unbounded measure = iota // any amount: it is refused where a hard limit of money or tokens holds
	bounded                  // by its prompt, and the bound of its answer
	priced                   // not in tokens, but in what its model charges for, or it is refused
	unbilled                 // nothing
)

// measureOf returns the measure of an operation. One that is not named here is unbounded: files and batches hold requests
// where nobody looks, and a session goes on.
func measureOf(o llm.Op) measure {
	switch o {
	case llm.OpChat, llm.OpComplete, llm.OpEmbed, llm.OpRerank, llm.OpModerate:
		return bounded
	case llm.OpImage, llm.OpImageEdit, llm.OpImageVary, llm.OpSpeech, llm.OpTranscribe, llm.OpTranslate:
		return priced
	case llm.OpCount, llm.OpModels, llm.OpStored:
		return unbilled
	}
	return unbounded
}

// Cap is the bound to write into a request whose client said none, or a higher one than the models have: the least
// that any of the steps' models can answer.
func Cap(steps []Step) int64 {
	var least int64
	for i := range steps {
		s := &steps[i]
		if f := s.Provider.Facts(s.Model, s.Like); f.MaxOutput > 0 && (least == 0 || f.MaxOutput < least) {
			least = f.MaxOutput
		}
	}
	if least == 0 {
		return anyAnswer
	}
	return least
}

// ask is what an exchange can use at one of its steps: at most, for limits that must hold whatever comes, and as
// such exchanges usually do, for the others, which are charged the truth in the end.
type ask struct {
	most              cost.Ask
	usualIn, usualOut int64
}

// prompt returns the tokens that a prompt can have at a step, at most and usually.
func (w *Want) prompt(s *Step, count bool) (most, usual int64) {
	window := s.Provider.Facts(s.Model, s.Like).Context
	if window == 0 {
		window = anyPrompt
	}
	most = min(w.Prompt.Bytes, window)
	usual = min(w.Prompt.Bytes/perToken+1, window)
	if count && w.Prompt.Count != nil {
		if n, ok := w.Prompt.Count(s); ok {
			most, usual = min(n, most), min(n, most)
		}
	}
	if w.Prompt.Refers || w.Wish.Turns > 0 { // nobody has counted what is elsewhere, or what tools will find
		most = window
	}
	if w.Wish.Turns > 0 { // each begins with all that was there before
		most = min(most, cost.Max/(w.Wish.Turns+1)) * (w.Wish.Turns + 1)
	}
	return most, usual
}

// ask returns what the exchange can use at a step whose model has a price card, or none.
func (m *Meter) ask(w *Want, s *Step, card *price.Card, count bool) (a ask) {
	switch measureOf(w.Op) {
	case priced: // under limits of rates the truth is charged, and the bytes of a picture say nothing of it
		a.most, _ = media(w, s, card)
		return a
	case bounded:
	default:
		return ask{}
	}
	n := int64(max(w.N, 1))
	a.most = cost.Ask{Writes: w.Op == llm.OpChat, WritesHour: w.Op == llm.OpChat, AudioIn: states(card, price.AudioInput), AudioOut: states(card, price.AudioOutput),
		ImageIn: states(card, price.ImageInput), ImageOut: states(card, price.ImageOutput), Fees: w.Wish.Fees}
	a.most.Input, a.usualIn = w.prompt(s, count)
	if answers(w.Op) {
		one := w.Output
		if most := s.Provider.Facts(s.Model, s.Like).MaxOutput; one == 0 || most > 0 && most < one {
			one = most
		}
		if one == 0 {
			one = anyAnswer
		}
		a.most.Output = min(one, quota.Max/n) * n
		a.usualOut = min(max(2*m.outputs.of(s), 16)*n, a.most.Output) // few answers are twice as long as the mean
	}
	if w.Op == llm.OpRerank {
		a.most.Fees[price.PerQuery] = 1 + (w.Prompt.Bytes/perDocument+w.Prompt.Bytes/perPiece)/perQuery
	}
	return a
}

// claims says what the exchange claims of each budget. Its error is that of a step without a price, where a limit of money
// holds.
func (m *Meter) claims(w *Want, budgets []*quota.Budget, count bool) (claims []quota.Claim, all ask, unpriced *llm.Error) {
	var most [quota.Money + 1]int64 // by unit
	if tokens, sure, priced := needs(budgets); tokens || priced {
		all, unpriced = m.steps(w, sure, priced, count, &most)
	}
	claims = make([]quota.Claim, 0, len(budgets))
	for _, b := range budgets {
		n := int64(1)
		switch sure := strict(b); b.Unit {
		case quota.TokensIn, quota.TokensOut, quota.Tokens:
			if n = most[b.Unit]; !sure {
				n = all.usual(b.Unit)
			}
		case quota.Money:
			n = most[quota.Money]
		}
		claims = append(claims, quota.Claim{Budget: b, Amount: min(n, quota.Max)})
	}
	return claims, all, unpriced
}

// usual is what an exchange usually uses of a unit.
func (a *ask) usual(of quota.Unit) int64 {
	switch of {
	case quota.TokensIn:
		return a.usualIn
	case quota.TokensOut:
		return a.usualOut
	}
	return a.usualIn + a.usualOut
}

// needs reports whether any of the budgets counts tokens, whether one of these must hold whatever comes, and whether any counts
// money.
func needs(budgets []*quota.Budget) (tokens, sure, money bool) {
	for _, b := range budgets {
		switch b.Unit {
		case quota.TokensIn, quota.TokensOut, quota.Tokens:
			tokens, sure = true, sure || strict(b)
		case quota.Money:
			money = true
		}
	}
	return tokens, sure, money
}

// steps returns the largest of what the steps of the plan can use and, by unit, the most that all attempts can use together: of
// tokens and of money where that is wanted.
func (m *Meter) steps(w *Want, sure, priced, count bool, most *[quota.Money + 1]int64) (all ask, none *llm.Error) {
	var shares [quota.Money + 1][]share
	for i := range w.Steps {
		s := &w.Steps[i]
		var c *price.Card
		if priced {
			c = card(s)
		}
		a := m.ask(w, s, c, count)
		all.most.Input, all.most.Output = max(all.most.Input, a.most.Input), max(all.most.Output, a.most.Output)
		for k, n := range a.most.Fees {
			all.most.Fees[k] = max(all.most.Fees[k], n)
		}
		all.usualIn, all.usualOut = max(all.usualIn, a.usualIn), max(all.usualOut, a.usualOut)
		var repair *ask
		if w.Tries.Repairs {
			r := a.repaired(w, s)
			repair = &r
		}
		rules := ruleOf(s.Provider.Contract)
		if sure {
			for u := quota.TokensIn; u <= quota.Tokens; u++ {
				shares[u] = append(shares[u], tokens(rules, a.most.Input, a.most.Output, repair, u))
			}
		}
		if !priced {
			continue
		}
		t := terms(s.Provider.Contract.Terms(s.Model, w.Began), &w.Wish, nil, s.Provider)
		l := cost.Bound(c, a.most, t)
		if s.Provider.Contract.Denies(l.Flags) && none == nil {
			if none = m.Priced(w.Op, s, w.Began); none == nil {
				none = unpriced("no price is known for all that the request may use of " + s.Model + " at " + s.Provider.Name)
			}
		}
		p := share{Step: cost.Step{Full: l.Full, Cut: rules.Cut(l)}}
		if repair != nil {
			p.repair = cost.Bound(c, repair.most, t).Full
		}
		shares[quota.Money] = append(shares[quota.Money], p)
	}
	for u := range shares {
		most[u] = w.Tries.together(shares[u])
	}
	return all, none
}

// means are learnt numbers by target, each a mean of about the last hundred.
type means struct {
	first int64 // until one was seen
	n     atomic.Int64
	m     sync.Map
}

type target struct{ provider, model string }

// mostTargets bounds the table: names of models may be the clients'.
const mostTargets = 10_000

func (o *means) of(s *Step) int64 {
	if v, ok := o.m.Load(target{s.Provider.Name, s.Model}); ok {
		return v.(*mean).get()
	}
	return o.first
}

func (o *means) saw(provider, model string, n int64) {
	v, ok := o.m.Load(target{provider, model})
	if !ok {
		if o.n.Load() >= mostTargets {
			return
		}
		if v, ok = o.m.LoadOrStore(target{strings.Clone(provider), strings.Clone(model)}, &mean{}); !ok {
			o.n.Add(1)
		}
	}
	v.(*mean).add(n)
}

// mean is a sum in 64ths of what it stands for.
type mean struct {
	mu sync.Mutex
	n  int64
	v  int64
}

func (m *mean) add(x int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n = min(m.n+1, 64)
	m.v += (x*64 - m.v) / m.n
}

func (m *mean) get() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(m.v/64, 1)
}

// hold is for how long a reservation lives without a touch.
const hold = time.Minute
