// Package bedrockconverse is the codec of the dialect bedrock-converse, Amazon Bedrock's Converse, ConverseStream and
// CountTokens: both halves, and the diagonal between them. InvokeModel with Anthropic's bodies is the dialect
// anthropic-messages; what a model can do it is told (catalog.Facts) or knows by its family.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect)
//	client body ─ ReadRequest ─► llm.Request ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Event ─ Writer ─► client's answer
//
// The model stands in the path, and so does whether the answer is a stream: its frames are AWS event streams. The
// truth is https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and the types of AWS's SDKs.
package bedrockconverse

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

const name = string(dialect.BedrockConverse)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	mint  func() string // the random tail of an id that we have to make up
	now   func() time.Time
	heads heads
}

var (
	_ dialect.Server = (*Codec)(nil)
	_ dialect.Client = (*Codec)(nil)
	_ dialect.Framer = (*Codec)(nil)
	_ dialect.Headed = (*Codec)(nil)
)

// New makes the codec, on the system's clock and source of randomness.
func New() *Codec {
	return &Codec{mint: func() string { return rand.Text()[:22] }, now: time.Now, heads: newHeads()}
}

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.BedrockConverse }

// Streams implements dialect.Framer.
func (c *Codec) Streams(contentType string) bool {
	return strings.HasPrefix(contentType, awsevents.ContentType)
}

// Splice returns the client's own body, without reasoning that another vendor's model left in the conversation: nothing
// in it names the model.
func (c *Codec) Splice(dst []byte, h *dialect.Head, _ dialect.Edits) ([]byte, error) {
	edits := foreignThoughts(h.Doc)
	if len(edits) == 0 && dst == nil {
		return h.Doc.Body, nil
	}
	return jsonx.Splice(dst, h.Doc.Body, edits...), nil
}

// Cap implements dialect.Capper.
func (c *Codec) Cap(h *dialect.Head, tokens int64) (jsonx.Edit, bool) {
	return member.Limit(h.Doc, tokens, "inferenceConfig", "maxTokens"), true
}

// Reshapes implements dialect.Reshaper: reasoning that this provider must not get may be another's.
func (c *Codec) Reshapes(h *dialect.Head) bool { return len(foreignThoughts(h.Doc)) > 0 }

// foreignThoughts are the edits that take reasoning of other vendors out of the conversation: as text our marks stand
// as they are, as bytes in base64.
func foreignThoughts(doc *jsonx.Doc) []jsonx.Edit {
	found := false
	for _, mark := range [...]string{`"sb`, `"c2J`} {
		found = found || bytes.Contains(doc.Body, []byte(mark))
	}
	if !found {
		return nil
	}
	messages, own := doc.Get("messages")
	if !own { // of a request whose tokens are to be counted
		input, _ := doc.Get("input")
		messages = jsonx.At(input, "converse", "messages")
	}
	return dialect.CutThoughts(nil, doc.Body, messages, "content", func(block []byte) bool {
		body := jsonx.Get(block, "reasoningContent")
		seal, _ := jsonx.String(jsonx.At(body, "reasoningText", "signature"))
		if data, ok := jsonx.String(jsonx.Get(body, "redactedContent")); ok {
			plain, _ := base64.StdEncoding.DecodeString(data)
			seal = string(plain)
		}
		return dialect.ForeignSeal(name, seal)
	})
}

// ReadError reads an answer with an error status.
func (c *Codec) ReadError(status int, h dialect.Header, body []byte) *llm.Error {
	e := fault.Read(status, h, body)
	e.Op = name + ".error"
	return e
}

// WriteError returns the status and the whole body of an error answer.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) { return fault.Write(e) }

// AnswerHeader implements dialect.Headed: SDKs make typed errors of the exception's name, and give the request's id to
// their callers.
func (c *Codec) AnswerHeader(e *llm.Error, requestID string, set func(name, value string)) {
	if e != nil {
		set(fault.Header, fault.Name(e.Code))
	}
	if requestID != "" {
		set("x-amzn-requestid", requestID)
	}
}

// Limits of a request. The provider's own may be lower; these keep the gateway's work bounded.
const (
	maxMessages = 4096
	maxBlocks   = 4096
	maxTools    = 512
	maxDepth    = 64 // of what is decoded
	maxSchema   = 256 << 10
)

// control names the members that decide price, routing or limits. A provider that ignores case would take a variant
// of one for the real thing.
var control = [...]string{
	"messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields",
	"promptVariables", "additionalModelResponseFieldPaths", "requestMetadata", "performanceConfig", "serviceTier",
	"outputConfig", "input",
}

// streamPath ends the path of a request for a stream.
const streamPath = "/converse-stream"

func bad(param, reason, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeInvalid, Op: name + ".read", Param: param, Reason: reason, Message: message}
}

// Peek validates the body and the members that steer the gateway. It decodes no content.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	doc, err := member.Scan(in.Body, control[:]...)
	if err != nil {
		return nil, err
	}
	h := &dialect.Head{Doc: doc, Model: in.Model, Usage: true, N: 1, Stream: strings.HasSuffix(in.Path, streamPath)}
	if in.Model == "" {
		return nil, bad("modelId", member.Missing, "the path names no model")
	}
	if in.Op == llm.OpCount {
		return h, peekCount(doc)
	}
	messages := false
	for i := range doc.Members {
		m := &doc.Members[i]
		raw := doc.Body[m.Start:m.End]
		switch m.Name {
		case "messages":
			messages = true
			err = peekMessages("messages", raw)
		case "inferenceConfig":
			err = peekInference(h, raw)
		case "toolConfig":
			err = peekTools("toolConfig", raw)
		}
		if err != nil {
			return nil, err
		}
	}
	if !messages {
		return nil, member.Wanted("messages")
	}
	return h, nil
}

// peekCount checks what CountTokens is given: one of two forms.
func peekCount(doc *jsonx.Doc) error {
	input, found := doc.Get("input")
	if !found {
		return member.Wanted("input")
	}
	if err := wantObject("input", input); err != nil {
		return err
	}
	converse, invoke := jsonx.Get(input, "converse"), jsonx.Get(input, "invokeModel")
	switch {
	case jsonx.Kind(converse) == '{' && invoke == nil:
		if m := jsonx.Get(converse, "messages"); m != nil {
			if err := peekMessages("input.converse.messages", m); err != nil {
				return err
			}
		}
		return peekTools("input.converse.toolConfig", jsonx.Get(converse, "toolConfig"))
	case jsonx.Kind(invoke) == '{' && converse == nil:
		_, err := member.Base64("input.invokeModel.body", jsonx.Get(invoke, "body"))
		return err
	}
	return bad("input", member.Value, "exactly one of converse and invokeModel is wanted")
}

func peekInference(h *dialect.Head, raw []byte) (err error) {
	const at = "inferenceConfig"
	if jsonx.IsNull(raw) {
		return nil
	}
	if err := wantObject(at, raw); err != nil {
		return err
	}
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "maxTokens":
			h.MaxTokens, err = member.Int(at+".maxTokens", v, 1, 1<<53-1)
		case "temperature", "topP":
			_, err = member.Float(at+"."+string(n), v, 0, 1)
		case "stopSequences":
			err = each(at+".stopSequences", v, 2500, func(at string, v []byte) error {
				_, err := member.String(at, v)
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func peekTools(at string, raw []byte) error {
	if jsonx.IsNull(raw) {
		return nil
	}
	if err := wantObject(at, raw); err != nil {
		return err
	}
	tools := jsonx.Get(raw, "tools")
	if jsonx.IsNull(tools) {
		return member.Wanted(at + ".tools")
	}
	return each(at+".tools", tools, maxTools, wantObject)
}

// peekMessages checks the roles, and that every message has blocks.
func peekMessages(at string, raw []byte) error {
	if jsonx.Kind(raw) != '[' {
		return member.Wrong(at, "an array", raw)
	}
	for i, m := range jsonx.Elements(raw) {
		if i >= maxMessages {
			return bad(at, member.TooLong, "the list has more than "+strconv.Itoa(maxMessages)+" items")
		}
		if name, err := peekMessage(m); err != nil { // the path is made where it is needed
			err.Param = strings.TrimSuffix(item(at, i)+"."+name, ".")
			return err
		}
	}
	return nil
}

// peekMessage returns what is wrong with a message, and the name of the member.
func peekMessage(m []byte) (name string, err *llm.Error) {
	if jsonx.Kind(m) != '{' {
		return "", bad("", member.Type, "the message must be an object")
	}
	var role, content []byte
	for n, v := range jsonx.Members(m) {
		switch string(n) {
		case "role":
			role = v
		case "content":
			content = v
		}
	}
	switch string(member.Plain(role)) {
	case "user", "assistant", "system":
	default:
		if role == nil {
			return "role", bad("", member.Missing, "the message has no role")
		}
		return "role", bad("", member.Value, "the role must be user or assistant")
	}
	switch jsonx.Kind(content) {
	case '[':
		return "", nil
	case 0:
		return "content", bad("", member.Missing, "the message has no content")
	}
	return "content", bad("", member.Type, "the content must be an array of blocks")
}

// each walks an array of at most limit elements, with the path of each.
func each(at string, raw []byte, limit int, f func(at string, raw []byte) error) error {
	if jsonx.Kind(raw) != '[' {
		return member.Wrong(at, "an array", raw)
	}
	for i, v := range jsonx.Elements(raw) {
		if i >= limit {
			return bad(at, member.TooLong, "the list has more than "+strconv.Itoa(limit)+" items")
		}
		if err := f(item(at, i), v); err != nil {
			return err
		}
	}
	return nil
}

func item(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }

func wantObject(at string, raw []byte) error {
	switch {
	case jsonx.Kind(raw) == '{':
		return nil
	case raw == nil:
		return member.Wanted(at)
	}
	return member.Wrong(at, "an object", raw)
}

// clip shortens what a client sent for a message about it.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
