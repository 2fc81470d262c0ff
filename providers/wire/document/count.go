package document

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Count writes the answer to a request whose tokens were counted: one number in a fixed document.
type Count struct {
	op, before, after string
	usage             llm.Usage
	ended             bool
	failed            *llm.Error
}

// NewCount makes a writer of a count. op names it in errors; before and after are the document around the number.
func NewCount(op, before, after string) *Count { return &Count{op: op, before: before, after: after} }

// Write takes the next event. It appends nothing.
func (c *Count) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	c.usage.Merge(ev.Usage)
	switch ev.Kind {
	case llm.EvFinished:
		c.ended = true
	case llm.EvFailed:
		if c.failed = ev.Err; c.failed == nil {
			c.failed = &llm.Error{Code: llm.CodeUpstream, Op: c.op}
		}
	}
	return dst, nil
}

// Close appends the document. An answer that failed, or that has no number, is an *llm.Error.
func (c *Count) Close(dst []byte) ([]byte, error) {
	switch {
	case c.failed != nil:
		return dst, c.failed
	case !c.ended || !c.usage.Input.Known:
		return dst, &llm.Error{Code: llm.CodeReset, Op: c.op, Message: "The provider's answer ended early."}
	}
	dst = strconv.AppendInt(append(dst, c.before...), c.usage.Input.N, 10)
	return append(dst, c.after...), nil
}
