// Package counting counts the prompts of exchanges: to answer a client that asks for a count, and to leave out a
// target whose context window a prompt does not fit. It knows how requests are read and counts written, and nothing of
// plans or Envoy.
//
//	dialect.Inbound ─► llm.Request ─ tokenizer.Set ─► Estimate ─► a count in the client's dialect
//	                                                     └──────► Fits
//	Sample, usage ─ queue ─► Run ─► calibrate.Book ─► better estimates
//	models ─ wanted ─► Run ─► vocabularies
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
	"github.com/signalbox-ai/signalbox/tokenizer"
	"github.com/signalbox-ai/signalbox/tokenizer/calibrate"
)

// Counter counts for all providers, and learns how far it was off. It is safe for concurrent use.
type Counter struct {
	// Off is told of a provider's count that is less than half or more than twice of ours, by name of the provider and the
	// model. nil: nobody is. It is called by Run, and must be set before.
	Off func(provider, model string)

	set   *tokenizer.Set
	book  *calibrate.Book
	queue chan *Sample
	// wanted are models whose vocabularies are to be read before their prompts can be counted without waiting.
	wanted chan target
	asked  sync.Map // provider and model to how often it was asked for a sample
	known  atomic.Int64
}

// New makes a Counter.
func New(set *tokenizer.Set) *Counter {
	return &Counter{set: set, book: calibrate.New(), queue: make(chan *Sample, waiting), wanted: make(chan target, waiting)}
}

// target is a model at a provider, and the model that it is said to be like, or "".
type target struct {
	provider    *providers.Provider
	model, like string
}

// plain returns the model's name as the catalog knows it, or as it is.
func (t *target) plain() string {
	known := t.like
	if t.provider.Models != nil {
		known = t.provider.Models.Like(t.model, t.like)
	}
	if known != "" {
		return known
	}
	return t.model
}

// Book is what was learnt.
func (c *Counter) Book() *calibrate.Book { return c.book }

// Prompt counts a request for a model at a provider, by the vendor's rules and what was learnt of it; like is the model
// that it is said to be like, or "". The first count for a family of models waits until its vocabulary is read.
func (c *Counter) Prompt(req *llm.Request, p *providers.Provider, model, like string) tokenizer.Estimate {
	return c.adjusted(req, p.Name, model, c.own(req, &target{p, model, like}))
}

// Quick is Prompt for where nobody may wait: it reports false where the vocabulary was not read yet, and lets Run read it.
func (c *Counter) Quick(req *llm.Request, p *providers.Provider, model, like string) (tokenizer.Estimate, bool) {
	t := target{p, model, like}
	n, ok := c.set.Ready(p.Kind, t.plain())
	if !ok {
		c.want(t)
		return tokenizer.Estimate{}, false
	}
	return c.adjusted(req, p.Name, model, n.Request(req)), true
}

// want lets Run read a model's vocabulary. It never waits: where too many are wanted, the next request asks again.
func (c *Counter) want(t target) {
	t.model, t.like = strings.Clone(t.model), strings.Clone(t.like)
	select {
	case c.wanted <- t:
	default:
	}
}

// adjusted is an estimate with what was learnt of the model.
func (c *Counter) adjusted(req *llm.Request, provider, model string, e tokenizer.Estimate) tokenizer.Estimate {
	if e.Partial { // what others of the model have says nothing of the part that is not here
		return e
	}
	a, ok := c.book.Adjust(keyOf(req, provider, model), e.Input)
	switch {
	case !ok, a.Same && e.Class < tokenizer.Calibrated, !a.Exact && e.Class < tokenizer.Calibrated:
		return e
	}
	e.Frame += a.Tokens - e.Input
	e.Input, e.Error, e.Class = a.Tokens, a.Error, tokenizer.Calibrated
	e.Upper = max(e.Upper, e.Input+e.Error)
	return e
}

// own counts without what was learnt.
func (c *Counter) own(req *llm.Request, t *target) tokenizer.Estimate {
	return c.set.For(t.provider.Kind, t.plain()).Request(req)
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
// vendor limits the prompt alone, nothing is reserved.
func RoomOf(f *catalog.Facts, answer int64) Room {
	switch {
	case f.Input > 0:
		return Room{Window: f.Input}
	case f.MaxOutput > 0:
		answer = min(answer, f.MaxOutput)
	}
	return Room{Window: f.Context, Reserved: answer}
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
