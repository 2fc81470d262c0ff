// Package document reads answers that are one JSON document: of embeddings, rankings and other operations that are
// no conversation. It knows nothing of what the document says.
package document

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Max is the largest document, in bytes: 2,048 vectors of 3,072 numbers are about 130 MB.
const Max = 256 << 20

// Reader gathers the bytes of an answer, cut anywhere, and reads it when it is whole. An answer that is empty, cut
// or no JSON ends in Failed.
type Reader struct {
	op   string
	read func(doc []byte, emit llm.Emit) error
	max  int
	buf  []byte
	done bool
}

// New makes a reader. op names it in errors. read is called at most once, with a valid document that it must
// not keep; it emits everything, Finished or Failed as well.
func New(op string, read func(doc []byte, emit llm.Emit) error) *Reader {
	return &Reader{op: op, read: read, max: Max}
}

// Feed takes the next bytes; eof says that no more follow. An error is one of emit's.
func (r *Reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	if r.done {
		return nil
	}
	if len(r.buf)+len(chunk) > r.max {
		return r.fail(llm.CodeUpstream, "The provider's answer is too large.", emit)
	}
	if eof && r.buf == nil {
		r.buf = chunk // the whole answer in one piece; it is read before Feed returns
	} else {
		r.buf = append(r.buf, chunk...)
	}
	if !eof {
		return nil
	}
	doc := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(r.buf), []byte("\xef\xbb\xbf")))
	r.buf = nil
	switch {
	case len(doc) == 0:
		return r.fail(llm.CodeReset, "The provider's answer ended early.", emit)
	case jsonx.Valid(doc) != nil:
		return r.fail(llm.CodeUpstream, "The provider's answer is not valid JSON.", emit)
	}
	r.done = true
	return r.read(doc, emit)
}

func (r *Reader) fail(code llm.Code, message string, emit llm.Emit) error {
	r.done, r.buf = true, nil
	return emit(&llm.Event{Kind: llm.EvFailed, Err: &llm.Error{Code: code, Op: r.op, Message: message}})
}
