// Package relay carries an answer from the bytes of a provider to those that its client gets, and keeps what is learnt of it
// on the way: whether anything was said, whether it is complete, what it used.
//
//	chunk ─► Strip ──────────────────────► Out   (the client's own dialect, with frames taken out or renamed)
//	chunk ─► Reader ─► events ─► Writer ─► Out   (another dialect)
//	chunk ─► Reader ─► events                    (the answer passes as it is, and is looked at)
//
// It decides nothing and knows no head, deadline or other attempt: extproc/exchange does.
package relay

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/extproc/checks"
	"github.com/signalbox-ai/signalbox/extproc/content"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Pipe carries an answer from the provider's bytes to the client's. With a reader alone it only looks.
type Pipe struct {
	Reader  dialect.Reader
	Writer  dialect.Writer
	Strip   dialect.Strip
	Out     []byte // what the client gets and has not got yet
	Sent    bool   // the head is out: set by whoever lets it out
	Content bool   // something of the answer came
	News    int    // how many times
	Ended   bool   // Finished, for at least one choice
	Stop    llm.StopReason
	Failed  *llm.Error
	Usage   llm.Usage
	Said    *content.Said // nil: nothing is kept
	Look    *checks.Look  // nil: nothing is looked at
	Mended  string        // how out was mended; "": it was not
}

// Feed takes the next plain bytes.
func (p *Pipe) Feed(chunk []byte, end bool) error {
	before := len(p.Out)
	if p.Strip != nil {
		p.Out = p.Strip.Feed(p.Out, chunk, end)
	}
	if p.Reader == nil {
		if bytes.Contains(p.Out[before:], []byte("data:")) { // a comment is no content
			p.News++
		}
		return nil
	}
	if err := p.Reader.Feed(chunk, end, p.Emit); err != nil {
		return err
	}
	if end && p.Writer != nil {
		var err error
		p.Out, err = p.Writer.Close(p.Out)
		return err
	}
	return nil
}

// Emit takes the next event of the answer.
func (p *Pipe) Emit(ev *llm.Event) error {
	p.Said.Event(ev)
	p.Look.Event(ev)
	switch ev.Kind {
	case llm.EvUsage:
		p.Usage.Merge(ev.Usage)
	case llm.EvFinished:
		p.Usage.Merge(ev.Usage)
		p.Ended, p.Stop = true, ev.Stop.Reason
	case llm.EvFailed:
		p.Failed = ev.Err
		if p.Failed == nil {
			p.Failed = &llm.Error{Code: llm.CodeUpstream, Message: "the provider's answer failed"}
		}
	case llm.EvStarted:
		p.Usage.Merge(ev.Usage)
	}
	if ev.Content() || p.Writer == nil && ev.Kind == llm.EvBlockStarted && ev.Part == llm.PartNative {
		p.Content = true // a block of the client's own dialect that passes as it is counts too
		p.News++
	}
	if p.Writer == nil {
		return nil
	}
	var err error
	p.Out, err = p.Writer.Write(p.Out, ev)
	return err
}

// Empty reports whether the answer is over and said nothing, though it claims to be complete. An answer
// that was refused or that spent its whole limit on hidden reasoning is not empty in this sense.
func (p *Pipe) Empty(end bool) bool {
	if p.Content || p.Reader == nil || p.Failed != nil {
		return false
	}
	if p.Ended {
		return p.Stop == llm.StopEnd || p.Stop == llm.StopCalls
	}
	return end
}

// Take returns the bytes that are due to the client. They are valid until the next feed.
func (p *Pipe) Take() []byte {
	b := p.Out
	p.Out = nil
	return b
}
