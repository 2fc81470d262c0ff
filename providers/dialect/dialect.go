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
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/wire/form"
)

// Name is a dialect's name as users type and read it.
type Name string

// Dialects.
const (
	OpenAIChat        Name = "openai-chat"
	OpenAIResponses   Name = "openai-responses"
	OpenAICompletions Name = "openai-completions"
	OpenAIEmbeddings  Name = "openai-embeddings"
	OpenAIModerations Name = "openai-moderations"
	OpenAIImages      Name = "openai-images"
	OpenAIAudio       Name = "openai-audio"
	OpenAIFiles       Name = "openai-files"
	OpenAIStored      Name = "openai-stored"
	OpenAIRealtime    Name = "openai-realtime"
	AnthropicMessages Name = "anthropic-messages"
	AnthropicFiles    Name = "anthropic-files"
	Gemini            Name = "gemini"
	BedrockConverse   Name = "bedrock-converse"
	Cohere            Name = "cohere"
	Rerank            Name = "rerank"
	Ollama            Name = "ollama"
)

// Metadata is the member in which requests of the dialect have what their sender wants to find again, by name.
func (n Name) Metadata() string {
	switch n {
	case Gemini:
		return "labels"
	case BedrockConverse:
		return "requestMetadata"
	}
	return "metadata"
}

// Inbound is a client's request as it arrived.
type Inbound struct {
	Op    llm.Op
	Path  string // without the query
	Query string // without the question mark; credentials are taken out
	Model string // from the path, percent-decoded, where the dialect puts it there; "": the body has it
	Type  string // content-type, where it is not application/json
	Body  []byte
}

// Head is what planning needs of a request: control members, read strictly and without decoding content.
type Head struct {
	Doc       *jsonx.Doc // nil: the body is no JSON
	Form      *form.Form // nil: the body is no form
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

// Headed is a Server whose answers say in headers what SDKs look for there, beside content-type.
type Headed interface {
	// AnswerHeader calls set for each header of an answer that we write; names are lower case. e is nil for an answer
	// that is no error.
	AnswerHeader(e *llm.Error, requestID string, set func(name, value string))
}

// Capper is a Server whose clients need not say how long an answer may be.
type Capper interface {
	// Cap returns the edit of a client's body that bounds the answer to tokens, reasoning included, where the client
	// said no bound or a higher one. ok is false for a request that has none, such as one that is only counted.
	Cap(h *Head, tokens int64) (e jsonx.Edit, ok bool)
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
	Like  string // the model that it is known to be like, where its own name does not tell; "": it does
	Facts catalog.Facts
}

// Edits are the changes to a client's body on the diagonal.
type Edits struct {
	Model    string
	AskUsage bool     // ask for usage in the stream, where the dialect has to be asked
	Betas    []string // the client's anthropic-beta values, for a provider that wants them in the body
}

// Header gives the first value of an answer's header, or "". Names are lower case.
type Header interface{ Get(name string) string }

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
	// ReadError reads an answer with an error status, whatever its content-type. h is nil where the error
	// stood within an answer. It never returns nil, and scrubs what looks like a key.
	ReadError(status int, h Header, body []byte) *llm.Error
}

// Rewriter is a Client whose answers may harm a client of the same dialect, or be in another form than it asked in.
// Rewrites reports whether the answer to a request has to be read and written anew; h.Usage is whether the client itself
// asked for usage. It says the same of a body and of what Splice makes of it, unless Reshapes says that they differ.
type Rewriter interface{ Rewrites(h *Head) bool }

// Reshaper is a Client whose Splice may make a body that the dialect's Server does not read, or that lacks what
// another provider could use. Such a body is made for the one attempt alone.
type Reshaper interface{ Reshapes(h *Head) bool }

// Trimmer is a Client whose Splice may take something out of a body, or refuse it. Trims returns what would be
// lost of a request to a model, or the *llm.Error that Splice would return.
type Trimmer interface {
	Trims(h *Head, model string) ([]llm.Loss, error)
}

// Enclosed is a Client toward a provider that takes in the body what the dialect has in request headers: where it
// encloses them, none of the dialect's own headers passes to the provider.
type Enclosed interface{ Encloses() bool }

// Framer is a Client whose answers to a stream are not server-sent events.
type Framer interface {
	// Streams reports whether an answer with this content-type is a stream.
	Streams(contentType string) bool
}

// Reframer is a Client of a dialect in a framing of its own: toward a client of the dialect, the frames of a
// stream are repacked and their content stays. NewReframe is as Stripper's NewStrip.
type Reframer interface {
	Framer
	NewReframe() Strip
}

// Teller is a Client whose answers are documents that state usage. ReadUsage reads it of a document of which only the
// members that state it need be there.
type Teller interface{ ReadUsage(doc []byte) llm.Usage }

// Divergent is a Client of a dialect that Envoy's filter of token usage knows, whose provider's whole answers that
// filter cannot read.
type Divergent interface{ Diverges() bool }

// Marker is a Client whose answers hold ids of objects at the provider. NewMark makes a filter of a whole answer that
// adds the provider's name to each.
type Marker interface {
	NewMark(provider string) Strip
}

// Listener is a Client of sessions that pass both ways as they are. NewListener makes a reader of what the provider
// sends once the connection is the client's.
type Listener interface{ NewListener() Reader }

// Typed is a Writer of something else than JSON or server-sent events.
type Typed interface{ ContentType() string }

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

// ModelInfo describes a model in a list. Zero fields are unknown.
type ModelInfo struct {
	ID        string
	Owner     string
	Name      string // for people; "": the ID
	Created   int64  // Unix seconds; 0: unknown
	Context   int64  // context window in tokens; 0: unknown
	MaxOutput int64  // largest output in tokens; 0: unknown
	Known     bool   // something is known of it: what Can lacks it probably cannot
	Can       ability.Set
	Retires   string // announced end of service, YYYY-MM-DD; "": none
}

// Lister is a Server that can list models.
type Lister interface {
	WriteModels(models []ModelInfo) []byte
	WriteModel(m ModelInfo) []byte
}
