// Package openaicompletions is the codec of the dialect openai-completions, OpenAI's legacy Completions API: one prompt
// goes on, without turns. Both halves, and the diagonal between them.
//
// Toward a provider without the API, a request with one text as its prompt is a chat of one turn by the user; what
// only a completion can do (several prompts, tokens, a suffix, an echo) is bound to providers of the dialect.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect)
//	client body ─ ReadRequest ─► llm.Request (a chat of one turn)
//	upstream answer ─ Reader ─► llm.Event ─ Writer ─► client's answer
//	upstream stream ─ Strip ─► the same stream without the usage frame
package openaicompletions

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	now  func() time.Time
	mint func() string // the random tail of an id that we have to make up
}

var (
	_ dialect.Server   = (*Codec)(nil)
	_ dialect.Client   = (*Codec)(nil)
	_ dialect.Stripper = (*Codec)(nil)
)

// New makes the codec, on the system's clock and its source of randomness.
func New() *Codec {
	return &Codec{now: time.Now, mint: func() string { return rand.Text()[:24] }}
}

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.OpenAICompletions }

const name = string(dialect.OpenAICompletions)

// ReadError reads the body of an answer with an error status.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	return fault.Read(status, body)
}

// WriteError returns the status and the body of an error answer. The request's id goes into a header.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) { return fault.Write(e) }

// NewStrip makes a filter that takes the usage frame out of a stream.
func (c *Codec) NewStrip() dialect.Strip { return usage.NewStrip() }

// Splice appends the client's own body with the edits made, and leaves every other byte as it is.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	edits := make([]jsonx.Edit, 0, 2)
	if e.Model != "" && e.Model != h.Model {
		edits = append(edits, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model)))
	}
	if e.AskUsage && h.Stream && !h.Usage {
		edit, err := usage.Ask(h.Doc)
		if err != nil {
			return dst, err
		}
		edits = append(edits, edit)
	}
	if len(edits) == 0 && dst == nil {
		return h.Doc.Body, nil
	}
	return jsonx.Splice(dst, h.Doc.Body, edits...), nil
}

// Cap implements dialect.Capper.
func (c *Codec) Cap(h *dialect.Head, tokens int64) (jsonx.Edit, bool) {
	return member.Limit(h.Doc, tokens, "max_tokens"), true
}

// Limits of a request. A provider's own may be lower; these keep the gateway's work bounded.
const (
	maxPrompts = 2048
	maxChoices = 128
	maxDepth   = 8 // of a prompt: lists of lists of tokens
)

// control names the members that decide identity, price, routing or limits. A provider that ignores case
// would take a variant of one for the real thing.
var control = [...]string{
	"model", "prompt", "stream", "stream_options", "max_tokens", "n", "best_of", "echo", "suffix", "logprobs",
	"temperature", "top_p", "user",
}

// Peek validates the body and the members that steer the gateway. It decodes no content.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	doc, err := member.Scan(in.Body, control[:]...)
	if err != nil {
		return nil, err
	}
	p := peek{head: dialect.Head{Doc: doc, N: 1}, prompts: 1, n: 1}
	for i := range doc.Members {
		m := &doc.Members[i]
		if err := p.member(m.Name, doc.Body[m.Start:m.End]); err != nil {
			return nil, err
		}
	}
	switch {
	case p.head.Model == "":
		return nil, member.Bad("model", member.Missing, "you must provide a model parameter")
	case p.options && !p.head.Stream:
		return nil, member.Bad("stream_options", member.Value, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	case p.best > 0 && p.best < p.n:
		return nil, member.Bad("best_of", member.Value, fmt.Sprintf("Invalid 'best_of': must be at least n, which is %d, but got %d instead.", p.n, p.best))
	}
	p.head.N = max(p.n, p.best) * p.prompts
	return &p.head, nil
}

// peek is what one walk over the top-level members gathers.
type peek struct {
	head    dialect.Head
	n, best int
	prompts int
	options bool
}

func (p *peek) member(name string, raw []byte) (err error) {
	if jsonx.IsNull(raw) && name != "model" {
		return nil // null says nothing, as OpenAI reads it
	}
	var n int64
	switch name {
	case "model":
		p.head.Model, err = member.String(name, raw)
	case "stream":
		p.head.Stream, err = member.Bool(name, raw)
	case "stream_options":
		p.options = true
		if jsonx.Kind(raw) != '{' {
			return member.Wrong(name, "an object", raw)
		}
		if on := jsonx.Get(raw, "include_usage"); !jsonx.IsNull(on) {
			p.head.Usage, err = member.Bool("stream_options.include_usage", on)
		}
	case "max_tokens": // 0 is legal: with echo it scores the prompt
		p.head.MaxTokens, err = member.Int(name, raw, 0, 1<<53-1)
	case "n":
		n, err = member.Int(name, raw, 1, maxChoices)
		p.n = int(n)
	case "best_of":
		n, err = member.Int(name, raw, 1, maxChoices)
		p.best = int(n)
	case "prompt":
		p.prompts, err = prompts(raw)
	case "echo":
		_, err = member.Bool(name, raw)
	case "suffix", "user":
		_, err = member.String(name, raw)
	case "logprobs":
		_, err = member.Int(name, raw, 0, 20)
	case "temperature":
		_, err = member.Float(name, raw, 0, 2)
	case "top_p":
		_, err = member.Float(name, raw, 0, 1)
	case "presence_penalty", "frequency_penalty":
		_, err = member.Float(name, raw, -2, 2)
	}
	return err
}

// prompts counts the prompts: a text or a list of tokens is one.
func prompts(raw []byte) (int, error) {
	const at = "prompt"
	if jsonx.Kind(raw) == '"' {
		return 1, nil
	}
	if jsonx.Kind(raw) != '[' {
		return 0, member.Wrong(at, "a string or an array", raw)
	}
	if jsonx.Deeper(raw, maxDepth) {
		return 0, member.Bad(at, member.Value, "Invalid 'prompt': expected a string, an array of strings, or arrays of tokens.")
	}
	tokens, texts := 0, 0
	for i, v := range jsonx.Elements(raw) {
		switch jsonx.Kind(v) {
		case '"', '[':
			if texts++; texts > maxPrompts {
				return 0, member.Bad(at, member.TooLong, fmt.Sprintf("Invalid 'prompt': array too long. Expected an array with maximum length %d.", maxPrompts))
			}
		case '0':
			tokens++
		default:
			return 0, member.Wrong(fmt.Sprintf("prompt[%d]", i), "a string, a token or an array of tokens", v)
		}
	}
	switch {
	case tokens > 0 && texts > 0:
		return 0, member.Bad(at, member.Type, "Invalid type for 'prompt': texts and tokens are mixed.")
	case tokens == 0 && texts == 0:
		return 0, member.Bad(at, "empty_array", "Invalid 'prompt': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	case tokens > 0:
		return 1, nil
	}
	return texts, nil
}

func plain(raw []byte) string { return string(member.Plain(raw)) }

func endedEarly() *llm.Error {
	return &llm.Error{Code: llm.CodeReset, Op: name + ".read", Message: "The provider's answer ended early."}
}

func broken(message string) *llm.Error {
	return &llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: strings.TrimSpace(message)}
}
