package exchange

import (
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// pipe carries an answer from the provider's bytes to the client's. With a reader alone it only looks.
type pipe struct {
	reader  dialect.Reader
	writer  dialect.Writer
	strip   dialect.Strip
	out     []byte // what the client gets and has not got yet
	sent    bool   // the head is out
	content bool   // something of the answer came
	news    int    // how many times
	ended   bool   // Finished, for at least one choice
	stop    llm.StopReason
	failed  *llm.Error
	usage   llm.Usage
}

// feed takes the next plain bytes.
func (p *pipe) feed(chunk []byte, end bool) error {
	if p.strip != nil {
		p.out = p.strip.Feed(p.out, chunk, end)
	}
	if p.reader == nil {
		p.news++ // unread bytes count as a sign of life
		return nil
	}
	if err := p.reader.Feed(chunk, end, p.emit); err != nil {
		return err
	}
	if end && p.writer != nil {
		var err error
		p.out, err = p.writer.Close(p.out)
		return err
	}
	return nil
}

func (p *pipe) emit(ev *llm.Event) error {
	switch ev.Kind {
	case llm.EvUsage:
		p.usage.Merge(ev.Usage)
	case llm.EvFinished:
		p.usage.Merge(ev.Usage)
		p.ended, p.stop = true, ev.Stop.Reason
	case llm.EvFailed:
		p.failed = ev.Err
		if p.failed == nil {
			p.failed = &llm.Error{Code: llm.CodeUpstream, Message: "the provider's answer failed"}
		}
	case llm.EvStarted:
		p.usage.Merge(ev.Usage)
	}
	if ev.Content() {
		p.content = true
		p.news++
	}
	if p.writer == nil {
		return nil
	}
	var err error
	p.out, err = p.writer.Write(p.out, ev)
	return err
}

// empty reports whether the answer is over and said nothing, though it claims to be complete. An answer
// that was refused or that spent its whole limit on hidden reasoning is not empty in this sense.
func (p *pipe) empty(end bool) bool {
	if p.content || p.reader == nil || p.failed != nil {
		return false
	}
	if p.ended {
		return p.stop == llm.StopEnd || p.stop == llm.StopCalls
	}
	return end
}

// take returns the bytes that are due to the client. They are valid until the next feed.
func (p *pipe) take() []byte {
	b := p.out
	p.out = nil
	return b
}
