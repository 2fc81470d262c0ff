// Package openairesponses is the codec of the dialect openai-responses, OpenAI's Responses API: both halves, and the
// diagonal between them. What it writes for clients fits the stricter schema of Open Responses
// (https://www.openresponses.org); what it reads may be of any vendor that offers the API.
//
// It opens nothing, waits for nothing and stores nothing: members that name stored state pass on the diagonal alone.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect)
//	client body ─ ReadRequest ─► llm.Request ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Event ─ Writer ─► client's answer
package openairesponses

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	now  func() time.Time
	mint func() string // the random tail of an id that we have to make up
}

var (
	_ dialect.Server = (*Codec)(nil)
	_ dialect.Client = (*Codec)(nil)
	_ dialect.Pather = (*Codec)(nil)
)

// New makes the codec, on the system's clock and its source of randomness.
func New() *Codec {
	return &Codec{now: time.Now, mint: func() string { return strings.ToLower(rand.Text()[:24]) }}
}

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.OpenAIResponses }

const name = string(dialect.OpenAIResponses)

// ReadError reads the body of an answer with an error status. An unknown model is 400 in this API.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	return fault.Read(status, body)
}

// WriteError returns the status and the body of an error answer. The request's id goes into a header.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) { return fault.Write(e) }

// Splice appends the client's own body with the model changed, and leaves every other byte as it is but for
// reasoning that another vendor's model left in the conversation: its provider alone could read it. Streams of this
// dialect carry usage without being asked.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	edits := make([]jsonx.Edit, 0, 2)
	if e.Model != "" && e.Model != h.Model {
		edits = append(edits, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model)))
	}
	edits = foreignReasoning(h.Doc, edits)
	if len(edits) == 0 && dst == nil {
		return h.Doc.Body, nil
	}
	return jsonx.Splice(dst, h.Doc.Body, edits...), nil
}

// Marks of what we put into encrypted_content: a seal of another vendor, and one of a call or a text, for which the
// API has no place.
const (
	markSeal    = "sbs1."
	markCarrier = "sbc1."
)

// foreignReasoning adds the edits that take reasoning items with our marks out of the input.
func foreignReasoning(doc *jsonx.Doc, edits []jsonx.Edit) []jsonx.Edit {
	if !bytes.Contains(doc.Body, []byte(`"`+markSeal)) && !bytes.Contains(doc.Body, []byte(`"`+markCarrier)) {
		return edits
	}
	for i := range doc.Members {
		m := &doc.Members[i]
		if m.Name != "input" {
			continue
		}
		input, before := doc.Body[m.Start:m.End], false
		for _, v := range jsonx.Elements(input) {
			gone := string(plain(jsonx.Get(v, "type"))) == "reasoning" && marked(plain(jsonx.Get(v, "encrypted_content")))
			start := m.Start + cap(input) - cap(v)
			switch {
			case gone && before: // neighbors go together, so that one comma stays between what they stood between
				edits[len(edits)-1].End = start + len(v)
			case gone:
				edits = append(edits, jsonx.Edit{Start: start, End: start + len(v)})
			case before:
				edits[len(edits)-1].End = start
			}
			before = gone
		}
		if before { // the last of the array: the comma before it goes too
			e := &edits[len(edits)-1]
			for i := e.Start; i > m.Start; i-- {
				if c := doc.Body[i-1]; c == ',' {
					e.Start = i - 1
				} else if isSpace(c) {
					continue
				}
				break
			}
		}
		break
	}
	return edits
}

func marked(seal []byte) bool {
	if vendor, _, wrapped := dialect.OpenSeal(string(seal)); wrapped {
		return vendor != name
	}
	return bytes.HasPrefix(seal, []byte(markCarrier))
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// carrier is a seal of a call, or of a text where the call's id is "", on its way through a client that knows seals of
// reasoning only.
type carrier struct{ call, vendor, seal string }

// carry returns what stands for a carrier in encrypted_content.
func (c carrier) carry() string {
	return markCarrier + base64.RawURLEncoding.EncodeToString([]byte(c.call)) + "." + dialect.WrapSeal(c.vendor, c.seal)
}

// readCarrier reads a carrier, and reports whether s is one.
func readCarrier(s string) (carrier, bool) {
	rest, ours := strings.CutPrefix(s, markCarrier)
	id, sealed, found := strings.Cut(rest, ".")
	call, err := base64.RawURLEncoding.DecodeString(id)
	vendor, seal, wrapped := dialect.OpenSeal(sealed)
	if !ours || !found || err != nil || !wrapped {
		return carrier{}, false
	}
	return carrier{string(call), vendor, seal}, true
}

// names are members of openai-chat that have another name here.
var names = map[string]string{
	"reasoning_effort": "reasoning.effort", "thinking": "reasoning", "response_format": "text.format", "verbosity": "text.verbosity",
	"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens", "logprobs": "include",
}

// Path returns a member's path in the client's request for what codecs of other dialects call it.
func (c *Codec) Path(req *llm.Request, at string) string {
	first, rest := at, ""
	if i := strings.IndexAny(at, ".["); i >= 0 {
		first, rest = at[:i], at[i:]
	}
	if n, other := names[first]; other {
		return n + rest
	}
	if first != "messages" {
		return at
	}
	number, rest, found := strings.Cut(strings.TrimPrefix(rest, "["), "]")
	turn, err := strconv.Atoi(number)
	if !found || err != nil || req.Chat() == nil || turn < 0 || turn >= len(req.Chat().Turns) {
		return "input"
	}
	return inputPath(req.Chat().Turns, turn, rest)
}

// inputPath is the path of what stands at rest in a turn: each part of what the model said may be an item.
func inputPath(turns []llm.Turn, turn int, rest string) string {
	item := 0
	for i := range turns[:turn] {
		item += itemsOf(&turns[i], len(turns[i].Parts))
	}
	t := &turns[turn]
	if isSystem(t) && len(t.Parts) == 1 && t.Parts[0].Name == instructions {
		return instructions
	}
	if t.Role != llm.RoleAssistant {
		return fmt.Sprintf("input[%d]%s", item, rest)
	}
	number, tail, found := strings.Cut(strings.TrimPrefix(rest, ".content["), "]")
	part, err := strconv.Atoi(number)
	if !found || err != nil || part < 0 || part >= len(t.Parts) {
		return fmt.Sprintf("input[%d]%s", item, rest)
	}
	return fmt.Sprintf("input[%d]%s", item+itemsOf(t, part+1)-1, tail)
}

// itemsOf counts the items that the first parts of a turn came in.
func itemsOf(t *llm.Turn, parts int) (n int) {
	if t.Role != llm.RoleAssistant {
		if isSystem(t) && len(t.Parts) == 1 && t.Parts[0].Name == instructions {
			return 0
		}
		return 1
	}
	message := false
	for j := range t.Parts[:parts] {
		p := &t.Parts[j]
		said := p.Kind == llm.PartText || p.Kind == llm.PartRefusal
		if !said || !message || ofMessage(p) {
			n++
		}
		message = said
	}
	return n
}
