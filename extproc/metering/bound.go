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
	unbilled                 // nothing
)

// measureOf returns the measure of an operation. One that is not named here is unbounded: pictures and sounds have
// tokens and fees that their requests do not tell, files and batches hold requests where nobody looks.
func measureOf(o llm.Op) measure {
	switch o {
	case llm.OpChat, llm.OpComplete, llm.OpEmbed, llm.OpRerank, llm.OpModerate:
		return bounded
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

// ask is what an exchange can use at most at one of its steps.
type ask struct {
	cost.Ask
	typical int64 // tokens of an answer, as such answers have been
}

// prompt is the most tokens that a prompt can have at a step.
func (w *Want) prompt(s *Step, count bool) int64 {
	window := s.Provider.Facts(s.Model, s.Like).Context
	if window == 0 {
		window = anyPrompt
	}
	if count && w.Prompt.Count != nil {
		if n, ok := w.Prompt.Count(s); ok {
			if w.Prompt.Refers {
				return max(min(n, window), 0)
			}
			return min(n, w.Prompt.Bytes, window)
		}
	}
	if w.Prompt.Refers {
		return window
	}
	return min(w.Prompt.Bytes, window)
}

// ask returns what the exchange can use at a step.
func (m *Meter) ask(w *Want, s *Step, count bool) ask {
	if measureOf(w.Op) != bounded {
		return ask{} // under limits of rates the truth is charged, and the bytes of a picture say nothing of it
	}
	n := int64(max(w.N, 1))
	a := ask{Ask: cost.Ask{
		Input: w.prompt(s, count), Writes: w.Op == llm.OpChat, WritesHour: w.Op == llm.OpChat,
		AudioIn: states(card(s), price.AudioInput), AudioOut: states(card(s), price.AudioOutput), Searches: max(w.Prompt.Searches, 0),
	}}
	if answers(w.Op) {
		one := w.Output
		if most := s.Provider.Facts(s.Model, s.Like).MaxOutput; one == 0 || most > 0 && most < one {
			one = most
		}
		if one == 0 {
			one = anyAnswer
		}
		a.Output = min(one, quota.Max/n) * n
		a.typical = min(max(2*m.outputs.of(s), 16)*n, a.Output) // few answers are twice as long as the mean
	}
	if w.Op == llm.OpRerank {
		a.Queries = 1 + (w.Prompt.Bytes/perDocument+w.Prompt.Bytes/perPiece)/perQuery
	}
	return a
}

// claims says what the exchange claims of each budget. short lists what has no price.
func (m *Meter) claims(w *Want, budgets []*quota.Budget, count bool) (claims []quota.Claim, most ask, short *llm.Error) {
	var money int64
	steps := make([]cost.Step, 0, len(w.Steps))
	for i := range w.Steps {
		s := &w.Steps[i]
		a := m.ask(w, s, count)
		most.Input, most.Output, most.typical = max(most.Input, a.Input), max(most.Output, a.Output), max(most.typical, a.typical)
		most.Queries = max(most.Queries, a.Queries)
		c := s.Provider.Contract
		l := cost.Bound(card(s), a.Ask, c.Terms(s.Model, w.Began))
		if c.Denies(l.Flags) && short == nil {
			short = m.Priced(w.Op, s, w.Began)
		}
		steps = append(steps, cost.Step{Full: l.Full, Cut: ruleOf(c).Cut(l)})
	}
	money = cost.Claim(steps)
	claims = make([]quota.Claim, 0, len(budgets))
	priced := false
	for _, b := range budgets {
		c := quota.Claim{Budget: b}
		out := most.Output
		if !strict(b) {
			out = most.typical
		}
		switch b.Unit {
		case quota.Requests, quota.Parallel:
			c.Amount = 1
		case quota.TokensIn:
			c.Amount = most.Input
		case quota.TokensOut:
			c.Amount = out
		case quota.Tokens:
			c.Amount = most.Input + out
		case quota.Money:
			c.Amount, priced = money, true
		}
		c.Amount = min(c.Amount, quota.Max)
		claims = append(claims, c)
	}
	if !priced {
		short = nil
	}
	return claims, most, short
}

// counts reports whether counting the prompt could make any of the claims smaller.
func counts(claims []quota.Claim) bool {
	for i := range claims {
		switch claims[i].Budget.Unit {
		case quota.TokensIn, quota.Tokens, quota.Money:
			return true
		}
	}
	return false
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
