package counting

import (
	"bytes"
	"context"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/tokenizer/calibrate"
)

// What is sampled: the first requests of a model, then some of them.
const (
	first   = 32
	apart   = time.Second // between later ones: what counting them costs does not grow with traffic
	largest = 256 << 10   // bytes of a body
	waiting = 64          // samples that wait to be counted; more are dropped
	models  = 8192        // that are sampled at all
)

// Sample is a request that is kept until its usage is known.
type Sample struct {
	server   dialect.Server
	in       dialect.Inbound
	from     target
	reported int64
}

// Sample keeps a request whose usage is to be learnt from, or returns nil where no more is wanted of the model for now.
// It copies the body. With a model's first requests its vocabulary begins to be read.
func (c *Counter) Sample(s dialect.Server, in dialect.Inbound, p *providers.Provider, model, like string) *Sample {
	if len(in.Body) == 0 || len(in.Body) > largest || !c.wants(p.Name, model) {
		return nil
	}
	t := target{p, model, like}
	if _, ok := c.set.Ready(p.Kind, t.plain()); !ok {
		c.want(t)
	}
	in.Body = bytes.Clone(in.Body)
	in.Path, in.Query, in.Model = strings.Clone(in.Path), strings.Clone(in.Query), strings.Clone(in.Model)
	return &Sample{server: s, in: in}
}

// wants counts how often it is asked for a model, and says yes to some.
func (c *Counter) wants(provider, model string) bool {
	type name struct{ provider, model string }
	k := name{provider, model}
	n, ok := c.asked.Load(k)
	if !ok {
		if c.known.Load() >= models {
			return false
		}
		k = name{strings.Clone(provider), strings.Clone(model)}
		var had bool
		if n, had = c.asked.LoadOrStore(k, new(turns)); !had {
			c.known.Add(1)
		}
	}
	return n.(*turns).take(time.Now()) //nolint:forcetypeassert // nothing else is stored
}

// turns is how often a model was asked for a sample, and when one was last taken, in Unix nanoseconds.
type turns struct{ asked, last atomic.Int64 }

// take reports whether a request is to be sampled.
func (t *turns) take(now time.Time) bool {
	last := t.last.Load()
	if t.asked.Add(1) > first && now.UnixNano()-last < int64(apart) {
		return false
	}
	return t.last.CompareAndSwap(last, now.UnixNano())
}

// Measured takes the usage of a sample whose answer came from a model at a provider. It never waits: where too many
// are to be counted, it is dropped.
func (c *Counter) Measured(s *Sample, p *providers.Provider, model, like string, reported int64) {
	if s == nil || p == nil || reported <= 0 {
		return
	}
	s.from, s.reported = target{p, model, like}, reported
	select {
	case c.queue <- s:
	default:
	}
}

// Run reads the vocabularies that are wanted, counts what was sampled and learns from it, until the context ends.
func (c *Counter) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-c.wanted:
			c.read(&t)
		case s := <-c.queue:
			c.learn(s)
		}
	}
}

// read reads a model's vocabulary unless that was done, and gives the memory back that reading took: more than what stays
// of it.
func (c *Counter) read(t *target) {
	if _, ok := c.set.Ready(t.provider.Kind, t.plain()); !ok {
		c.set.For(t.provider.Kind, t.plain())
		debug.FreeOSMemory()
	}
}

func (c *Counter) learn(s *Sample) {
	req, err := s.server.ReadRequest(s.in)
	if err != nil {
		return // it was not ours to read: the provider took what we do not know
	}
	c.read(&s.from)
	own := c.own(req, &s.from)
	if own.Partial {
		return
	}
	if expected := c.adjusted(req, s.from.provider.Name, s.from.model, own).Input; c.Off != nil && off(expected, s.reported) {
		c.Off(s.from.provider.Name, s.from.model)
	}
	c.book.Learn(keyOf(req, s.from.provider.Name, s.from.model), own.Input, s.reported)
}

// small is a difference in tokens that says nothing: of short prompts most is what providers put around them.
const small = 64

// off reports whether a provider's count is not to be explained by ours.
func off(expected, reported int64) bool {
	return (reported > 2*expected || 2*reported < expected) && max(reported-expected, expected-reported) > small
}

// keyOf is what a request is learnt under.
func keyOf(req *llm.Request, provider, model string) calibrate.Key {
	k := calibrate.Key{Provider: provider, Model: model}
	chat := req.Chat()
	if chat == nil {
		return k
	}
	k.Tools = len(chat.Tools) > 0
	for i := range chat.Turns {
		t := &chat.Turns[i]
		k.System = k.System || t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper
		for j := range t.Parts {
			switch t.Parts[j].Kind {
			case llm.PartImage, llm.PartAudio, llm.PartFile:
				k.Media = true
			case llm.PartCall, llm.PartReply:
				k.Tools = true
			}
		}
	}
	return k
}
