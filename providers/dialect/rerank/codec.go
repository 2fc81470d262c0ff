// Package rerank is the codec of the dialect rerank: POST /v1/rerank as Cohere's first version, Jina, Voyage, llama.cpp
// and Text Embeddings Inference (TEI) have it, each a little otherwise. Both halves: the server half answers in the
// form in which its client asked; the client half writes the form of its provider, as data, and reads them all.
//
// There are no streams. Cohere's second version is the dialect cohere.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                     (same form; else both are written anew)
//	client body ─ ReadRequest ─► llm.Rerank ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Ranking ─ Writer ─► client's answer
package rerank

import (
	"net/url"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct{ form Form }

var (
	_ dialect.Server   = (*Codec)(nil)
	_ dialect.Client   = (*Codec)(nil)
	_ dialect.Reshaper = (*Codec)(nil)
	_ dialect.Rewriter = (*Codec)(nil)
	_ dialect.Trimmer  = (*Codec)(nil)
)

// New makes the codec for servers of the usual form.
func New() *Codec { return NewForm(Jina()) }

// NewForm makes the codec for servers of a form.
func NewForm(f Form) *Codec { return &Codec{form: f} }

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.Rerank }

const name = string(dialect.Rerank)

// maxDocuments bounds the gateway's work; a provider's own limit is lower.
const maxDocuments = 1 << 14

// Peek validates the body and the members that steer the gateway. TEI's clients name no model: theirs may stand in
// the query, as ?model=NAME.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	doc, err := member.Scan(in.Body, "model", "query", "documents", "texts", "top_n", "top_k")
	if err != nil {
		return nil, err
	}
	h := &dialect.Head{Doc: doc, N: 1, Usage: true}
	var query, documents bool
	for i := range doc.Members {
		m := &doc.Members[i]
		raw := doc.Body[m.Start:m.End]
		switch m.Name {
		case "model":
			h.Model, err = member.String(m.Name, raw)
		case "query":
			query = true
			_, err = member.String(m.Name, raw)
		case "documents", "texts":
			if documents {
				err = member.Bad(m.Name, member.Value, "'texts' and 'documents' mean the same; only one of them may be given.")
				break
			}
			documents = true
			err = member.Each(m.Name, raw, maxDocuments, func(int, string, []byte) error { return nil })
		case "top_n", "top_k":
			if !jsonx.IsNull(raw) {
				_, err = member.Int(m.Name, raw, 1, 1<<31)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if h.Model == "" {
		h.Model = queried(in.Query)
	}
	switch {
	case h.Model == "":
		return nil, member.Bad("model", member.Missing, "you must provide a model parameter")
	case !query:
		return nil, member.Wanted("query")
	case !documents:
		return nil, member.Wanted("documents")
	}
	return h, nil
}

// queried is the model that a query names, or "".
func queried(query string) string {
	if query == "" {
		return ""
	}
	v, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return v.Get("model")
}

// shape is the form in which a client asked: the one whose own members are there.
func shape(doc *jsonx.Doc) string {
	for i := range doc.Members {
		switch doc.Members[i].Name {
		case "texts":
			return formTEI
		case "top_k", "truncation":
			return formVoyage
		}
	}
	return ""
}

// Rewrites implements dialect.Rewriter: where a request is written anew, so is its answer, in the form in which the
// client asked and with what it asked for.
func (c *Codec) Rewrites(h *dialect.Head) bool { return c.Reshapes(h) }

// Reshapes implements dialect.Reshaper: it reports whether the provider's form is another than the client's, or lacks
// something that the client asks for.
func (c *Codec) Reshapes(h *dialect.Head) bool {
	f := &c.form
	if shape(h.Doc) != f.Name {
		return true
	}
	for i := range h.Doc.Members {
		m := &h.Doc.Members[i]
		raw := h.Doc.Body[m.Start:m.End]
		switch m.Name {
		case "documents", "texts":
			if m.Name != f.Documents || !f.Objects && holdsObjects(raw) {
				return true
			}
		case "top_n", "top_k":
			if m.Name != f.TopN && !jsonx.IsNull(raw) {
				return true
			}
		case "return_documents", "return_text":
			if on, _ := jsonx.Bool(raw); on && m.Name != f.Return {
				return true
			}
		}
	}
	return false
}

func holdsObjects(list []byte) bool {
	for _, d := range jsonx.Elements(list) {
		if jsonx.Kind(d) == '{' {
			return true
		}
	}
	return false
}

// Trims implements dialect.Trimmer: a form may have no word for what another has.
func (c *Codec) Trims(h *dialect.Head, model string) ([]llm.Loss, error) {
	if !c.Reshapes(h) {
		return nil, nil
	}
	req, err := c.read(h)
	if err != nil {
		return nil, err
	}
	_, losses, err := c.WriteRequest(nil, req, dialect.Target{Model: model})
	return losses, err
}

// Splice appends the client's own body with the edits made, or the request in the provider's form.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	model := e.Model
	if model == "" {
		model = h.Model
	}
	if c.Reshapes(h) {
		req, err := c.read(h)
		if err != nil {
			return dst, err
		}
		out, _, err := c.WriteRequest(dst, req, dialect.Target{Model: model})
		return out, err
	}
	raw, given := h.Doc.Get("model")
	if said, _ := jsonx.String(raw); given && said == model || !given && c.form.NoModel {
		if dst == nil {
			return h.Doc.Body, nil
		}
		return append(dst, h.Doc.Body...), nil
	}
	return jsonx.Splice(dst, h.Doc.Body, h.Doc.Set("model", jsonx.AppendQuote(nil, model))), nil
}

// ReadError reads the body of an answer with an error status.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	e := fault.Read(status, body)
	e.Op = name + ".upstream"
	return e
}

// WriteError returns the status and the whole body of an error answer: OpenAI's, which llama.cpp's clients read, with
// the text again where Cohere's (message), Jina's and Voyage's (detail) look for it.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) {
	status, body = fault.Write(e)
	message := jsonx.At(body, "error", "message")
	body = append(append(body[:len(body)-1], `,"message":`...), message...)
	return status, append(append(append(body, `,"detail":`...), message...), '}')
}
