// Package cohere is the codec of the dialect cohere, version 2 of Cohere's API: chat, embed and rerank, both halves of
// each. Version 1 is another API: its bodies are refused with a word of where to go.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect)
//	client body ─ ReadRequest ─► llm.Request ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Event ─ Writer ─► client's answer
//
// The references are https://docs.cohere.com/v2/reference/chat, …/embed and …/rerank.
package cohere

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/wire/document"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	mint func() string // an id that we have to make up
}

var (
	_ dialect.Server = (*Codec)(nil)
	_ dialect.Client = (*Codec)(nil)
)

// New makes the codec, on the system's source of randomness.
func New() *Codec { return &Codec{mint: mint} }

// mint makes a random UUID (RFC 9562 §5.4), as Cohere's ids are.
func mint() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.Cohere }

const name = string(dialect.Cohere)

// Limits of a request. The provider's own may be lower; these keep the gateway's work bounded.
const (
	maxMessages  = 4096
	maxTools     = 512
	maxDocuments = 1 << 14
	maxSafe      = 1<<53 - 1
)

// Peek validates the body and the members that steer the gateway. It decodes no content.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	if strings.HasPrefix(in.Path, "/v1/") {
		return nil, old("", "Version 1 of Cohere's API is not served here: use "+strings.Replace(in.Path, "/v1/", "/v2/", 1)+" (ClientV2 in Cohere's SDKs).")
	}
	doc, err := member.Scan(in.Body, "model", "messages", "stream", "max_tokens", "tools", "tool_choice", "strict_tools", "documents", "response_format",
		"thinking", "temperature", "p", "k", "priority", "safety_mode", "texts", "images", "inputs", "input_type", "embedding_types", "output_dimension", "query", "top_n")
	if err != nil {
		return nil, err
	}
	p := peek{op: in.Op, head: dialect.Head{Doc: doc, N: 1, Usage: true}}
	for i := range doc.Members {
		m := &doc.Members[i]
		raw := doc.Body[m.Start:m.End]
		if jsonx.IsNull(raw) && m.Name != "model" {
			continue // null says nothing
		}
		if m.Name == "model" {
			p.head.Model, err = member.String(m.Name, raw)
		} else {
			err = p.member(m.Name, raw)
		}
		if err != nil {
			return nil, err
		}
	}
	switch need, what := p.needs(); {
	case p.v1 != "" && !need:
		return nil, old(p.v1, "'"+p.v1+"' is of version 1 of Cohere's API, which is not served here: send 'messages', as version 2 has it.")
	case p.head.Model == "":
		return nil, member.Wanted("model")
	case !need:
		return nil, member.Wanted(what)
	}
	return &p.head, nil
}

func old(param, message string) error { return member.Bad(param, "unsupported_version", message) }

// peek is what one walk over the top-level members gathers.
type peek struct {
	op       llm.Op
	head     dialect.Head
	content  bool // messages, texts or documents were there
	question bool // query was
	v1       string
}

// needs reports whether what the operation needs is there, and else names it.
func (p *peek) needs() (ok bool, what string) {
	switch {
	case p.op == llm.OpRerank && !p.question:
		return false, "query"
	case p.op == llm.OpRerank:
		return p.content, "documents"
	case p.op == llm.OpEmbed:
		return p.content, "texts"
	}
	return p.content, "messages"
}

func (p *peek) member(name string, raw []byte) (err error) {
	count := func(int, string, []byte) error { return nil }
	switch p.op {
	case llm.OpRerank:
		switch name {
		case "query":
			p.question = true
			_, err = member.String(name, raw)
		case "documents":
			p.content = true
			err = member.Each(name, raw, maxDocuments, count)
		case "top_n":
			_, err = member.Int(name, raw, 1, 1<<31)
		}
		return err
	case llm.OpEmbed:
		switch name {
		case "texts", "images", "inputs":
			p.content = true
			err = member.Each(name, raw, maxDocuments, count)
		case "output_dimension":
			_, err = member.Int(name, raw, 1, 1<<16)
		}
		return err
	}
	switch name {
	case "stream":
		p.head.Stream, err = member.Bool(name, raw)
	case "max_tokens":
		p.head.MaxTokens, err = member.Int(name, raw, 1, maxSafe)
	case "messages":
		p.content = true
		err = member.Each(name, raw, maxMessages, peekMessage)
	case "tools":
		if jsonx.Kind(raw) != '[' {
			err = member.Wrong(name, "an array", raw)
		}
	case "temperature":
		_, err = member.Float(name, raw, 0, 5)
	case "p":
		_, err = member.Float(name, raw, 0, 1)
	case "k":
		_, err = member.Int(name, raw, 0, 1<<31)
	case "message", "chat_history", "preamble", "connectors":
		p.v1 = name
	}
	return err
}

func peekMessage(_ int, at string, raw []byte) error {
	if jsonx.Kind(raw) != '{' {
		return member.Wrong(at, "an object", raw)
	}
	role := jsonx.Get(raw, "role")
	if role == nil {
		return member.Wanted(at + ".role")
	}
	_, err := member.Word(at+".role", role, "system", "developer", "user", "assistant", "tool")
	return err
}

// ReadRequest decodes the whole request. It checks everything that Peek checks.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	h, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	req := &llm.Request{Op: in.Op, Model: h.Model, Stream: h.Stream, Usage: true, Extra: llm.Extra{Dialect: name}}
	var read func(name string, raw []byte) (known bool, err error)
	end := func() error { return nil }
	switch in.Op {
	case llm.OpEmbed:
		e := new(llm.Embed)
		req.Body = e
		read = (&embedReader{embed: e}).member
	case llm.OpRerank:
		r := new(llm.Rerank)
		req.Body = r
		read = func(name string, raw []byte) (bool, error) { return readRerank(r, name, raw) }
	default:
		req.Op = llm.OpChat
		r := &requestReader{req: req, chat: &llm.Chat{MaxTokens: h.MaxTokens}}
		req.Body, read, end = r.chat, r.member, r.end
	}
	for i := range h.Doc.Members {
		m := &h.Doc.Members[i]
		raw := h.Doc.Body[m.Start:m.End]
		if m.Name == "model" {
			continue
		}
		known, err := read(m.Name, raw)
		if err != nil {
			return nil, err
		}
		if !known {
			req.Extra.Members = append(req.Extra.Members, llm.Member{Name: m.Name, Raw: raw})
		}
	}
	return req, end()
}

// WriteRequest appends the body for the target. The same request gives the same bytes.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	if t.Model == "" {
		t.Model = req.Model
	}
	req, lost := fit.Functions(req)
	w := requestWriter{req: req, t: t, own: req.Extra.Dialect == name, losses: lost}
	w.dst = jsonx.AppendText(append(dst, '{'), "model", t.Model)
	var err error
	switch b := req.Body.(type) {
	case *llm.Chat:
		w.chat = b
		err = w.chatBody()
	case *llm.Embed:
		err = w.embed(b)
	case *llm.Rerank:
		w.rerank(b)
	default:
		err = &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "this operation has no body in " + name}
	}
	if err != nil {
		return dst, nil, err
	}
	for i := range req.Extra.Members {
		m := &req.Extra.Members[i]
		if w.own {
			w.dst = append(jsonx.AppendKey(w.dst, m.Name), m.Raw...)
		} else if why := member.Needed(&req.Extra, m); why != "" {
			return dst, nil, w.refuse(m.Name, "%s", why)
		} else {
			w.lose(m.Name, "the dialect does not know the member")
		}
	}
	return append(w.dst, '}'), w.losses, nil
}

// Splice appends the client's own body with the edits made, and leaves every other byte as it is.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	if e.Model == "" || e.Model == h.Model {
		if dst == nil {
			return h.Doc.Body, nil
		}
		return append(dst, h.Doc.Body...), nil
	}
	return jsonx.Splice(dst, h.Doc.Body, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model))), nil
}

// Cap implements dialect.Capper.
func (c *Codec) Cap(h *dialect.Head, tokens int64) (jsonx.Edit, bool) {
	return member.Limit(h.Doc, tokens, "max_tokens"), true
}

// NewReader makes a reader of one answer.
func (c *Codec) NewReader(req *llm.Request, stream bool) dialect.Reader {
	if req != nil {
		switch b := req.Body.(type) {
		case *llm.Embed:
			return document.New(name+".read", func(doc []byte, emit llm.Emit) error { return c.embeddings(doc, len(b.Inputs), req.Model, emit) })
		case *llm.Rerank:
			return document.New(name+".read", func(doc []byte, emit llm.Emit) error { return c.results(doc, len(b.Documents), req.Model, emit) })
		}
	}
	return fit.Unwrap(req, newReader(c, req, stream))
}

// NewWriter makes a writer of one answer.
func (c *Codec) NewWriter(req *llm.Request, stream bool) dialect.Writer {
	if req != nil {
		switch b := req.Body.(type) {
		case *llm.Embed:
			return &resultWriter{codec: c, embed: b}
		case *llm.Rerank:
			return &resultWriter{codec: c, rank: b}
		}
	}
	return newWriter(c, stream)
}
