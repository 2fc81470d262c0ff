// Package dialect defines what a codec of a wire format can do. Its subpackages hold one codec each.
//
// A codec has a server half (toward clients), a client half (toward upstreams), or both. It reads and
// writes bytes that it is given; it opens nothing, waits for nothing and knows no provider.
//
//	           Server                                  Client
//	client ─ ReadRequest ─► llm.Request ─────────── WriteRequest ─► upstream
//	client ◄─ Writer ────── llm.Event ◄───────────────── Reader ◄─ upstream
//
// On the diagonal, where both sides speak the same dialect, Peek and Splice replace all of it: the client's
// bytes go out with single members changed.
package dialect

import (
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Name is a dialect's name as users type and read it.
type Name string

// Dialects.
const (
	OpenAIChat        Name = "openai-chat"
	AnthropicMessages Name = "anthropic-messages"
)

// Inbound is a client's request as it arrived.
type Inbound struct {
	Op   llm.Op
	Path string // without the query
	Body []byte
}

// Head is what planning needs of a request: control members, read strictly and without decoding content.
type Head struct {
	Doc       *jsonx.Doc
	Model     string
	Stream    bool
	Usage     bool  // the client asked for usage in its stream, or its dialect always carries it
	MaxTokens int64 // 0: not said
	N         int   // answers asked for; at least 1
}

// Server is a dialect toward clients. Errors are *llm.Error with Param set. Methods are safe for
// concurrent use.
type Server interface {
	Name() Name
	// Peek validates the whole body as JSON, and the members that decide identity, model, price, routing
	// or limits, by the rules of the dialect. It keeps in.Body.
	Peek(in Inbound) (*Head, error)
	// ReadRequest decodes everything. The request may alias in.Body.
	ReadRequest(in Inbound) (*llm.Request, error)
	// NewWriter makes a writer of one answer, as a stream or as one document.
	NewWriter(req *llm.Request, stream bool) Writer
	// WriteError returns the status and the whole body of an error answer.
	WriteError(e *llm.Error, requestID string) (status int, body []byte)
}

// Writer writes an answer in a dialect, from events.
type Writer interface {
	// Write appends what the client may see so far. A writer of a whole document collects, and appends nothing.
	Write(dst []byte, ev *llm.Event) ([]byte, error)
	// Close appends the rest. After a Failed event, or without a Finished one, a stream gets no ending
	// that says it is whole.
	Close(dst []byte) ([]byte, error)
}

// Target is the model that a request is written for.
type Target struct {
	Model string // the provider's name of it
	Facts catalog.Facts
}

// Edits are the changes to a client's body on the diagonal.
type Edits struct {
	Model    string
	AskUsage bool // ask for usage in the stream, where the dialect has to be asked
}

// Client is a dialect toward upstreams. Methods are safe for concurrent use.
type Client interface {
	Name() Name
	// WriteRequest appends the body for the target to dst. What cannot be carried is a loss, or an
	// *llm.Error of CodeInvalid or CodeUnsupported where dropping it would change the answer's meaning.
	WriteRequest(dst []byte, req *llm.Request, t Target) ([]byte, []llm.Loss, error)
	// Splice appends the client's own body with the edits made, and leaves every other byte as it is. Where
	// there is nothing to change and dst is nil, it returns the client's body itself.
	Splice(dst []byte, h *Head, e Edits) ([]byte, error)
	// NewReader makes a reader of one answer, as a stream or as one document. req is nil where the answer
	// is only judged; otherwise it is the request that was written.
	NewReader(req *llm.Request, stream bool) Reader
	// ReadError reads the body of an answer with an error status, whatever its content-type. It never
	// returns nil, and scrubs what looks like a key.
	ReadError(status int, body []byte) *llm.Error
}

// Reader reads an answer: bytes cut anywhere, push, never blocking. The result does not depend on the cuts.
type Reader interface {
	// Feed takes the next bytes; eof says that no more follow. The reader emits Finished (once for each
	// choice) or Failed, never both; an answer that ends before it is whole ends in Failed. An error is
	// one of emit's.
	Feed(chunk []byte, eof bool, emit llm.Emit) error
}

// Stripper is a Client whose streams carry usage only when asked, in an extra frame. NewStrip makes a
// filter that takes that frame out again, by byte scan, for a client that did not ask.
type Stripper interface {
	NewStrip() Strip
}

// Strip filters the bytes of a stream.
type Strip interface {
	// Feed appends to dst what the client gets of chunk. It holds back at most one unfinished frame.
	Feed(dst, chunk []byte, eof bool) []byte
	// Usage returns what the frame said.
	Usage() llm.Usage
	// Whole reports whether the stream has said how it ended, well or not. One that ends without is cut.
	Whole() bool
}

// ModelInfo describes a model in a list.
type ModelInfo struct {
	ID      string
	Owner   string
	Created int64 // Unix seconds; 0: unknown
}

// Lister is a Server that can list models.
type Lister interface {
	WriteModels(models []ModelInfo) []byte
	WriteModel(m ModelInfo) []byte
}
