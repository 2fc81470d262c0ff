package rerank

import (
	"fmt"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// ReadRequest decodes the whole request. It checks everything that Peek checks.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	h, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	return c.read(h)
}

func (c *Codec) read(h *dialect.Head) (*llm.Request, error) {
	r := new(llm.Rerank)
	req := &llm.Request{Op: llm.OpRerank, Model: h.Model, Usage: true, Form: shape(h.Doc), Body: r, Extra: llm.Extra{Dialect: name}}
	for i := range h.Doc.Members {
		m := &h.Doc.Members[i]
		raw := h.Doc.Body[m.Start:m.End]
		known, err := readMember(r, m.Name, raw)
		if err != nil {
			return nil, err
		}
		if !known {
			req.Extra.Members = append(req.Extra.Members, llm.Member{Name: m.Name, Raw: raw})
		}
	}
	return req, nil
}

// readMember reads a top-level member; known is false for one that the vocabulary has no word for.
func readMember(r *llm.Rerank, name string, raw []byte) (known bool, err error) {
	switch name {
	case "model":
		return true, nil
	case "query":
		r.Query, err = member.String(name, raw)
		return true, err
	case "documents", "texts":
		return true, member.Each(name, raw, maxDocuments, func(_ int, at string, raw []byte) error {
			d, err := readDocument(at, raw)
			r.Documents = append(r.Documents, d)
			return err
		})
	case "top_n", "top_k", "return_documents", "return_text", "truncation", "truncate", "max_tokens_per_doc":
		if jsonx.IsNull(raw) {
			return true, nil
		}
	}
	switch name {
	case "top_n", "top_k":
		if r.TopN != 0 {
			return true, member.Bad(name, member.Value, "'top_n' and 'top_k' mean the same; only one of them may be given.")
		}
		r.TopN, err = member.Int(name, raw, 1, 1<<31)
	case "return_documents", "return_text":
		var on bool
		on, err = member.Bool(name, raw)
		r.Return = r.Return || on
	case "truncation", "truncate":
		var on bool
		if on, err = member.Bool(name, raw); err == nil {
			r.Truncate = &on
		}
	case "max_tokens_per_doc":
		r.MaxTokens, err = member.Int(name, raw, 1, 1<<31)
	default:
		return false, nil
	}
	return true, err
}

// readDocument reads a text, or an object with one.
func readDocument(at string, raw []byte) (d llm.Document, err error) {
	switch jsonx.Kind(raw) {
	case '"':
		d.Text, _ = jsonx.String(raw)
	case '{':
		d.Raw = raw
		if t := jsonx.Get(raw, "text"); t != nil {
			d.Text, err = member.String(at+".text", t)
		}
	default:
		err = member.Wrong(at, "a string or an object", raw)
	}
	return d, err
}

// WriteRequest appends the body for the target. The same request gives the same bytes.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	r := req.Rerank()
	if r == nil {
		return dst, nil, &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "this operation has no body in " + name}
	}
	w := requestWriter{dst: append(dst, '{'), form: c.form, rank: r, req: req, own: req.Extra.Dialect == name}
	if !w.form.NoModel {
		model := t.Model
		if model == "" {
			model = req.Model
		}
		w.text("model", model)
	}
	w.text("query", r.Query)
	w.documents()
	w.members()
	for _, m := range req.Extra.Members {
		if w.own && req.Form == w.form.Name {
			w.dst = append(jsonx.AppendKey(w.dst, m.Name), m.Raw...)
		} else {
			w.lose(m.Name, "the provider does not know the member")
		}
	}
	return append(w.dst, '}'), w.losses, nil
}

type requestWriter struct {
	dst    []byte
	form   Form
	req    *llm.Request
	rank   *llm.Rerank
	own    bool // the request came in this dialect
	losses []llm.Loss
}

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

func (w *requestWriter) text(name, value string) {
	w.dst = jsonx.AppendQuote(jsonx.AppendKey(w.dst, name), value)
}

func (w *requestWriter) documents() {
	w.dst = append(jsonx.AppendKey(w.dst, w.form.Documents), '[')
	for i := range w.rank.Documents {
		d := &w.rank.Documents[i]
		w.dst = jsonx.AppendComma(w.dst)
		if d.Raw != nil && w.form.Objects {
			w.dst = append(w.dst, d.Raw...)
			continue
		}
		text, whole := d.Text, d.Raw == nil || onlyText(d.Raw)
		if !whole {
			text = string(d.Raw)
			if b, err := jsonx.Compact(d.Raw); err == nil {
				text = string(b)
			}
			w.lose(fmt.Sprintf("documents[%d]", i), "the provider ranks texts: the object is sent as its JSON text")
		}
		w.dst = jsonx.AppendQuote(w.dst, text)
	}
	w.dst = append(w.dst, ']')
}

// onlyText reports whether an object is a text in braces.
func onlyText(raw []byte) bool {
	n := 0
	for k := range jsonx.Members(raw) {
		if n++; string(k) != "text" {
			return false
		}
	}
	return n == 1
}

func (w *requestWriter) members() {
	r, f := w.rank, &w.form
	if r.TopN > 0 && f.TopN != "" { // else the writer of the answer leaves out the rest
		w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, f.TopN), r.TopN, 10)
	}
	if r.Return && f.Return != "" { // else the writer of the answer has them from the request
		w.dst = append(jsonx.AppendKey(w.dst, f.Return), "true"...)
	}
	switch {
	case r.Truncate == nil:
	case f.Truncate != "":
		w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, f.Truncate), *r.Truncate)
	case w.own && w.req.Form == f.Name: // the form has no word for it, its client gave one all the same
		w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, "truncate"), *r.Truncate)
	default:
		w.lose("truncation", "the provider decides what becomes of a document that is too long")
	}
	switch {
	case r.MaxTokens == 0:
	case f.MaxTokens != "" || w.own && w.req.Form == f.Name:
		n := f.MaxTokens
		if n == "" {
			n = "max_tokens_per_doc"
		}
		w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, n), r.MaxTokens, 10)
	default:
		w.lose("max_tokens_per_doc", "the provider has no limit for a document")
	}
}
