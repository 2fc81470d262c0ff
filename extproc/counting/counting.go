// Package counting counts the prompts of exchanges: to answer a client that asks for a count, and to leave out a
// target whose context window a prompt does not fit. It knows how requests are read and counts written, and nothing of
// plans or Envoy.
//
//	dialect.Inbound ─► llm.Request ─ tokenizer.Set ─► Estimate ─► a count in the client's dialect
//	                                                     └──────► Fits
//	Sample, usage ─ queue ─► Run ─► calibrate.Book ─► better estimates
package counting

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/tokenizer"
	"github.com/signalbox-ai/signalbox/tokenizer/calibrate"
)

// Counter counts for all providers, and learns how far it was off. It is safe for concurrent use.
type Counter struct {
	set   *tokenizer.Set
	book  *calibrate.Book
	queue chan *Sample
	asked sync.Map // provider and model to how often it was asked for a sample
	known atomic.Int64
}

// New makes a Counter.
func New(set *tokenizer.Set) *Counter {
	return &Counter{set: set, book: calibrate.New(), queue: make(chan *Sample, waiting)}
}

// Book is what was learnt.
func (c *Counter) Book() *calibrate.Book { return c.book }

// Prompt counts a request for a model at a provider, by the vendor's rules and what was learnt of it; like is the model
// that it is said to be like, or "".
func (c *Counter) Prompt(req *llm.Request, p *providers.Provider, model, like string) tokenizer.Estimate {
	e := c.own(req, p, model, like)
	a, ok := c.book.Adjust(keyOf(req, p.Name, model), e.Input)
	switch {
	case !ok, a.Same && e.Class < tokenizer.Calibrated, !a.Exact && e.Class < tokenizer.Calibrated:
		return e
	}
	e.Frame += a.Tokens - e.Input
	e.Input, e.Error, e.Class = a.Tokens, a.Error, tokenizer.Calibrated
	e.Upper = max(e.Upper, e.Input+e.Error)
	return e
}

// Warm reads the vocabularies of the models that routes name, so that no request waits for them; it takes a fraction of
// a second for each. For a route that passes names on it reads those of its providers' usual models.
func (c *Counter) Warm(routes []*routing.Route, ps map[string]*providers.Provider) {
	for _, r := range routes {
		for _, t := range r.Targets {
			p := ps[t.Provider]
			switch {
			case p == nil:
			case t.Model != "*":
				c.counter(p, t.Model, t.Like)
			case p.Kind == "anthropic":
				c.counter(p, "claude-sonnet-4-5", "")
				c.counter(p, "claude-opus-4-8", "")
			default:
				c.counter(p, "gpt-5", "")
			}
		}
	}
}

// own counts without what was learnt.
func (c *Counter) own(req *llm.Request, p *providers.Provider, model, like string) tokenizer.Estimate {
	return c.counter(p, model, like).Request(req)
}

// counter returns the counter of a model at a provider.
func (c *Counter) counter(p *providers.Provider, model, like string) *tokenizer.Counter {
	if p.Models != nil {
		if known := p.Models.Like(model, like); known != "" {
			model = known
		}
	} else if like != "" {
		model = like
	}
	return c.set.For(p.Kind, model)
}

// Write returns a count as the client's dialect has it, or an *llm.Error.
func Write(s dialect.Server, req *llm.Request, n int64) ([]byte, error) {
	w := s.NewWriter(req, false)
	var body []byte
	for _, ev := range []*llm.Event{
		{Kind: llm.EvStarted, Name: req.Model},
		{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(n)}},
		{Kind: llm.EvFinished},
	} {
		var err error
		if body, err = w.Write(body, ev); err != nil {
			return nil, err
		}
	}
	return w.Close(body)
}

// Header is the value of x-signalbox-tokens: an item with parameters (RFC 9651).
func Header(e *tokenizer.Estimate) string {
	v := strconv.FormatInt(e.Input, 10) + ";method=" + e.Class.String()
	if e.Error > 0 {
		v += ";error=" + strconv.FormatInt(e.Error, 10)
	}
	return v
}

// Room says whether a prompt fits a model.
type Room struct {
	Window   int64 // of prompt and answer together, or of the prompt alone; 0: unknown, and everything fits
	Reserved int64 // for the answer, where the window is of both
}

// RoomOf returns the room that a model has for a prompt whose answer may have so many tokens; 0: not said. Where a
// vendor limits the prompt alone, nothing is reserved: Google's models, and OpenAI's from gpt-5 on, whose windows are
// known without the answer's part.
func RoomOf(f *catalog.Facts, model string, answer int64) Room {
	r := Room{Window: f.Context}
	switch {
	case strings.Contains(model, "gemini"), f.Context == 272_000, f.Context == 922_000:
	case f.MaxOutput > 0:
		r.Reserved = min(answer, f.MaxOutput)
	default:
		r.Reserved = answer
	}
	return r
}

// Bytes reports whether any prompt of so many bytes fits: a token has at least one.
func (r Room) Bytes(n int64) bool { return r.Window == 0 || n+r.Reserved <= r.Window }

// Fits returns nil where a prompt fits as far as can be told, and else why not.
func (r Room) Fits(e *tokenizer.Estimate) *llm.Error {
	if r.Window == 0 || e.Input-e.Error+r.Reserved <= r.Window {
		return nil
	}
	about := ""
	if e.Class != tokenizer.Exact {
		about = "about "
	}
	m := "This model's maximum context length is " + strconv.FormatInt(r.Window, 10) + " tokens, and the prompt has " + about + strconv.FormatInt(e.Input, 10)
	if r.Reserved > 0 {
		m += " beside the " + strconv.FormatInt(r.Reserved, 10) + " that are reserved for the answer"
	}
	return &llm.Error{Code: llm.CodeContextTooLong, Op: "counting.fits", Message: m + "."}
}
