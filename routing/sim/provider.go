package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Phase is how a provider behaves for a while.
type Phase struct {
	From  time.Duration // since the beginning; the phase ends where the next begins
	First time.Duration // median time to the first token
	Each  time.Duration // time for each token
	Wide  float64       // sigma of the logarithm of First
	Fails float64       // share of attempts that fail
	Code  llm.Code      // how these fail; none: overloaded
	After time.Duration // how long a failure takes
	Rate  float64       // attempts a second that its rate limit allows; 0: any
}

// Provider is a model at a provider, as it is modelled.
type Provider struct {
	Name   string
	Region string
	Card   *price.Card
	Phases []Phase

	tokens float64 // that its rate limit has left, in attempts
	filled time.Time
	seen   int // attempts
}

// at returns the phase of a time.
func (p *Provider) at(since time.Duration) *Phase {
	now := &p.Phases[0]
	for i := range p.Phases {
		if p.Phases[i].From <= since {
			now = &p.Phases[i]
		}
	}
	return now
}

// End is what became of an attempt.
type End struct {
	Code        llm.Code
	First, Took time.Duration
	Retry       time.Duration // what the provider asks to wait; 0: nothing
}

// answer plays an attempt.
func (p *Provider) answer(start, now time.Time, tokens int64, r *rand.Rand) End {
	p.seen++
	f := p.at(now.Sub(start))
	if f.Rate > 0 {
		if p.filled.IsZero() {
			p.tokens, p.filled = f.Rate, now
		}
		p.tokens = min(f.Rate, p.tokens+f.Rate*now.Sub(p.filled).Seconds())
		p.filled = now
		if p.tokens < 1 {
			return End{Code: llm.CodeRateLimited, Took: 20 * time.Millisecond, Retry: time.Second}
		}
		p.tokens--
	}
	if r.Float64() < f.Fails {
		code := f.Code
		if code == llm.CodeNone {
			code = llm.CodeOverloaded
		}
		return End{Code: code, Took: max(f.After, time.Millisecond)}
	}
	first := time.Duration(float64(f.First) * math.Exp(f.Wide*r.NormFloat64()))
	return End{First: first, Took: first + time.Duration(tokens)*f.Each}
}

// cost is that of an answer at a time, in USD.
func (p *Provider) cost(now time.Time) float64 {
	if p.Card == nil {
		return 0
	}
	var u cost.Units
	u[price.Input], u[price.Output] = 1000, answerTokens
	return float64(cost.Of(p.Card, u, cost.Terms{At: now}).Nano) / 1e9
}

// Priced makes a card from USD for a million tokens, the same for prompt and answer; later ones hold from then on.
func Priced(dollars float64, later ...Later) *price.Card {
	c := &price.Card{Rates: rates(dollars)}
	for _, l := range later {
		c.Changes = append(c.Changes, price.Change{From: origin.Add(l.At), Rates: rates(l.Dollars)})
	}
	return c
}

// Later is a price that holds from a time on.
type Later struct {
	At      time.Duration
	Dollars float64
}

func rates(dollars float64) price.Rates {
	const perToken = 1e9 // of a Rate's units, in a dollar for a million
	r := price.Rate(dollars * perToken)
	return price.RatesOf(map[price.Item]price.Rate{price.Input: r, price.Output: r})
}
