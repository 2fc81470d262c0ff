// Package anthropicmessages is the codec of the dialect anthropic-messages, Anthropic's Messages API: both
// halves, and the diagonal between them. Bedrock's InvokeModel and Vertex's rawPredict speak it too; what
// differs there (members moved to the path or added, framing) is their kind's business.
//
// It opens nothing, waits for nothing, and knows no address. What a model can do it is told (catalog.Facts).
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect)
//	client body ─ ReadRequest ─► llm.Request ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Event ─ Writer ─► client's answer
package anthropicmessages

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	mint func() string // the random tail of an id that we have to make up
}

var (
	_ dialect.Server = (*Codec)(nil)
	_ dialect.Client = (*Codec)(nil)
	_ dialect.Lister = (*Codec)(nil)
)

// New makes the codec, on the system's source of randomness.
func New() *Codec { return &Codec{mint: func() string { return rand.Text()[:24] }} }

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.AnthropicMessages }

const name = string(dialect.AnthropicMessages)

// Splice appends the client's own body with the model changed, and leaves every other byte as it is but for thoughts
// of another vendor's model: their signatures are ours or that vendor's, and the provider would refuse them. Streams
// of this dialect carry usage without being asked.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	edits := make([]jsonx.Edit, 0, 2)
	if e.Model != "" && e.Model != h.Model {
		edits = append(edits, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model)))
	}
	edits = foreignThoughts(h.Doc, edits)
	if len(edits) == 0 && dst == nil {
		return h.Doc.Body, nil
	}
	return jsonx.Splice(dst, h.Doc.Body, edits...), nil
}

// Cap implements dialect.Capper.
func (c *Codec) Cap(h *dialect.Head, tokens int64) (jsonx.Edit, bool) {
	return member.Limit(h.Doc, tokens, "max_tokens"), true
}

// Reshapes implements dialect.Reshaper: thoughts that this provider must not get may be another's.
func (c *Codec) Reshapes(h *dialect.Head) bool { return len(foreignThoughts(h.Doc, nil)) > 0 }

// foreignThoughts adds the edits that take thoughts of other vendors out of the conversation, and messages that hold
// nothing else.
func foreignThoughts(doc *jsonx.Doc, edits []jsonx.Edit) []jsonx.Edit {
	if !bytes.Contains(doc.Body, []byte(`"sb`)) {
		return edits
	}
	messages, _ := doc.Get("messages")
	return dialect.CutThoughts(edits, doc.Body, messages, "content", foreignThought)
}

// foreignThought reports whether a block is a thought that this API's provider did not sign.
func foreignThought(block []byte) bool {
	var seal []byte
	switch string(plain(jsonx.Get(block, "type"))) {
	case "thinking":
		seal = plain(jsonx.Get(block, "signature"))
	case "redacted_thinking":
		seal = plain(jsonx.Get(block, "data"))
	}
	return dialect.ForeignSeal(name, string(seal)) || bytes.HasPrefix(seal, []byte(sealPrefix))
}

// WriteModels returns the list of models, on one page.
func (c *Codec) WriteModels(models []dialect.ModelInfo) []byte {
	b := append(make([]byte, 0, 64+112*len(models)), `{"data":[`...)
	for _, m := range models {
		b = appendModel(jsonx.AppendComma(b), m)
	}
	b = append(b, `],"has_more":false`...)
	if len(models) == 0 {
		return append(b, `,"first_id":null,"last_id":null}`...)
	}
	b = jsonx.AppendText(b, "first_id", models[0].ID)
	b = jsonx.AppendText(b, "last_id", models[len(models)-1].ID)
	return append(b, '}')
}

// WriteModel returns the description of one model.
func (c *Codec) WriteModel(m dialect.ModelInfo) []byte { return appendModel(nil, m) }

func appendModel(b []byte, m dialect.ModelInfo) []byte {
	b = append(b, `{"type":"model"`...)
	b = jsonx.AppendText(b, "id", m.ID)
	b = jsonx.AppendText(b, "display_name", cmp.Or(m.Name, m.ID))
	// The API gives the epoch for a release date that it does not know.
	b = jsonx.AppendText(b, "created_at", time.Unix(m.Created, 0).UTC().Format(time.RFC3339))
	for _, n := range [...]struct {
		name string
		n    int64
	}{{"max_input_tokens", m.Context}, {"max_tokens", m.MaxOutput}} {
		if n.n > 0 {
			b = number(b, n.name, n.n)
		}
	}
	// capabilities is left out: the API's object has all of a list that is not ours.
	switch {
	case m.Retires != "":
		b = jsonx.AppendText(b, "lifecycle", "deprecated")
		b = jsonx.AppendText(b, "retires_at", m.Retires+"T00:00:00Z")
	case m.Known:
		b = jsonx.AppendText(b, "lifecycle", "active")
	}
	return append(b, '}')
}

// number appends a member whose value is an integer.
func number(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(jsonx.AppendKey(b, name), n, 10)
}

// raw appends a member whose value is JSON.
func raw(b []byte, name string, value []byte) []byte {
	return append(jsonx.AppendKey(b, name), value...)
}

// Limits of a request. The provider's own may be lower; these keep the gateway's work bounded.
const (
	maxMessages = 4096
	maxTools    = 512
)

// control names the members that decide identity, price, routing or limits. A provider that ignores case
// would take a variant of one for the real thing.
var control = [...]string{
	"model", "messages", "stream", "max_tokens", "system", "tools", "tool_choice", "thinking", "output_config",
	"output_format", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier", "container",
	"mcp_servers", "context_management", "inference_geo", "speed", "cache_control", "anthropic_version", "anthropic_beta",
}

// Peek validates the body and the members that steer the gateway. It decodes no content.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	if in.Op == llm.OpModels {
		return &dialect.Head{Model: strings.TrimPrefix(strings.TrimPrefix(in.Path, "/v1/models"), "/"), Usage: true, N: 1}, nil
	}
	doc, err := jsonx.Scan(in.Body)
	if err != nil {
		return nil, syntax(err)
	}
	if v, of, found := doc.CaseVariant(control[:]...); found {
		return nil, bad(v, fmt.Sprintf("%s; did you mean '%s'?", extra, of))
	}
	h := &dialect.Head{Doc: doc, Usage: true, N: 1}
	messages := false
	for i := range doc.Members {
		m := &doc.Members[i]
		messages = messages || m.Name == "messages"
		if err := peekMember(h, m.Name, doc.Body[m.Start:m.End]); err != nil {
			return nil, err
		}
	}
	switch {
	case h.Model == "":
		return nil, bad("model", missing)
	case h.MaxTokens == 0 && in.Op != llm.OpCount:
		return nil, bad("max_tokens", missing)
	case !messages:
		return nil, bad("messages", missing)
	}
	if in.Op == llm.OpCount {
		h.Stream, h.MaxTokens = false, 0
	}
	return h, nil
}

func peekMember(h *dialect.Head, name string, raw []byte) (err error) {
	switch name {
	case "model":
		h.Model, err = wantString(name, raw)
		if err == nil && h.Model == "" {
			err = bad(name, "String should have at least 1 character")
		}
		return err
	case "max_tokens":
		h.MaxTokens, err = wantInt(name, raw, 1)
		return err
	case "messages":
		return peekMessages(raw)
	}
	if jsonx.IsNull(raw) {
		return nil // null stands for the absence of what need not be there
	}
	switch name {
	case "stream":
		h.Stream, err = wantBool(name, raw)
	case "temperature", "top_p":
		_, err = wantUnit(name, raw)
	case "top_k":
		_, err = wantInt(name, raw, 0)
	case "stop_sequences":
		err = wantArray(name, raw)
		for i, v := range jsonx.Elements(raw) {
			if jsonx.Kind(v) != '"' {
				return bad(item(name, i), "Input should be a valid string")
			}
		}
	case "tools":
		err = peekTools(raw)
	}
	return err
}

func peekTools(raw []byte) error {
	if err := wantArray("tools", raw); err != nil {
		return err
	}
	for i, t := range jsonx.Elements(raw) {
		if i >= maxTools {
			return tooMany("tools", maxTools)
		}
		if jsonx.Kind(t) != '{' {
			return wantObject(item("tools", i), t)
		}
	}
	return nil
}

// peekMessages checks the roles, and that every tool's result has its call before it.
func peekMessages(raw []byte) error {
	if err := wantArray("messages", raw); err != nil {
		return err
	}
	p := peekCalls{results: bytes.Contains(raw, []byte("tool_result"))}
	n := 0
	for i, m := range jsonx.Elements(raw) {
		if n++; n > maxMessages {
			return tooMany("messages", maxMessages)
		}
		if jsonx.Kind(m) != '{' {
			return wantObject(item("messages", i), m)
		}
		if err := p.message(i, m); err != nil {
			return err
		}
	}
	if n == 0 {
		return bad("messages", "at least one message is required")
	}
	return nil
}

// peekCalls walks messages for tool results without a call.
type peekCalls struct {
	results bool // there are results at all
	few     [][]byte
	many    map[string]struct{}
}

// fewIDs is how many ids are looked for one by one.
const fewIDs = 16

func (p *peekCalls) message(i int, m []byte) error {
	var role, content []byte
	for n, v := range jsonx.Members(m) {
		switch string(n) {
		case "role":
			role = v
		case "content":
			content = v
		}
	}
	var assistant bool
	switch string(plain(role)) {
	case "user", "system":
	case "assistant":
		assistant = true
	default:
		at := join(item("messages", i), "role")
		if role == nil {
			return bad(at, missing)
		}
		return bad(at, "Input should be 'user' or 'assistant'")
	}
	switch jsonx.Kind(content) {
	case '"', '[':
	case 0:
		return bad(join(item("messages", i), "content"), missing)
	default:
		return bad(join(item("messages", i), "content"), "Input should be a valid string or list")
	}
	if !p.results {
		return nil
	}
	for j, b := range jsonx.Elements(content) {
		if err := p.block(i, j, b, assistant); err != nil {
			return err
		}
	}
	return nil
}

func (p *peekCalls) block(i, j int, b []byte, assistant bool) error {
	var kind, id, of []byte
	for n, v := range jsonx.Members(b) {
		switch string(n) {
		case "type":
			kind = plain(v)
		case "id":
			id = v
		case "tool_use_id":
			of = v
		}
	}
	switch {
	case assistant && string(kind) == "tool_use" && jsonx.Kind(id) == '"':
		p.add(plain(id))
	case !assistant && string(kind) == "tool_result":
		at := fmt.Sprintf("messages.%d.content.%d.tool_use_id", i, j)
		if jsonx.Kind(of) != '"' {
			_, err := wantString(at, of)
			return err
		}
		if !p.has(plain(of)) {
			return bad(at, "unexpected `tool_use_id` found in `tool_result` blocks: "+clip(string(plain(of)))+
				". Each `tool_result` block must have a corresponding `tool_use` block in a previous message.")
		}
	}
	return nil
}

func (p *peekCalls) add(id []byte) {
	if p.many == nil && len(p.few) < fewIDs {
		p.few = append(p.few, id)
		return
	}
	if p.many == nil {
		p.many = make(map[string]struct{}, 4*fewIDs)
	}
	p.many[string(id)] = struct{}{}
}

func (p *peekCalls) has(id []byte) bool {
	for _, f := range p.few {
		if bytes.Equal(f, id) {
			return true
		}
	}
	_, found := p.many[string(id)]
	return found
}

// What the provider takes as an id of a call and as the name of a tool: letters, digits, _ and -.
const (
	maxID   = 64
	maxName = 128
)

// wireName returns the name under which a tool of another dialect is sent.
func wireName(n string) string { return fit.Name(n, maxName) }

// clip shortens what a client sent for a message about it.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
