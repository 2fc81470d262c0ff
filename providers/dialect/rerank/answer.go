package rerank

import (
	"cmp"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank/ranking"
	"github.com/signalbox-ai/signalbox/providers/wire/document"
)

// NewReader makes a reader of one answer of any form.
func (c *Codec) NewReader(req *llm.Request, _ bool) dialect.Reader {
	documents := -1
	if req != nil && req.Rerank() != nil {
		documents = len(req.Rerank().Documents)
	}
	return document.New(name+".read", func(doc []byte, emit llm.Emit) error { return c.answer(doc, documents, emit) })
}

// answer reads a whole answer. documents is how many were ranked, -1 where that is not known.
func (c *Codec) answer(doc []byte, documents int, emit llm.Emit) error {
	list := doc // as TEI has it
	if jsonx.Kind(doc) != '[' {
		list = jsonx.Get(doc, "results")
		if list == nil {
			list = jsonx.Get(doc, "data")
		}
	}
	if jsonx.Kind(list) != '[' {
		if jsonx.Get(doc, "error") != nil || jsonx.Get(doc, "message") != nil || jsonx.Get(doc, "detail") != nil {
			return emit(&llm.Event{Kind: llm.EvFailed, Err: c.ReadError(0, nil, doc)})
		}
		return emit(broken("The provider's answer has no results."))
	}
	items, problem := ranking.Read(list, documents)
	if problem != "" {
		return emit(broken(problem))
	}
	id, _ := jsonx.String(jsonx.Get(doc, "id"))
	model, _ := jsonx.String(jsonx.Get(doc, "model"))
	for _, ev := range [...]llm.Event{
		{Kind: llm.EvStarted, ID: id, Name: model},
		{Kind: llm.EvResult, Result: &llm.Ranking{Items: items}},
		{Kind: llm.EvUsage, Usage: readUsage(doc)},
		{Kind: llm.EvFinished},
	} {
		if ev.Kind == llm.EvUsage && ev.Usage == (llm.Usage{}) {
			continue
		}
		if err := emit(&ev); err != nil {
			return err
		}
	}
	return nil
}

func broken(message string) *llm.Event {
	return &llm.Event{Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: message}}
}

// ReadUsage implements dialect.Teller.
func (c *Codec) ReadUsage(doc []byte) llm.Usage { return readUsage(doc) }

// readUsage reads tokens as Jina, Voyage and llama.cpp count them, and the search units of Cohere's first version.
func readUsage(doc []byte) (u llm.Usage) {
	for _, n := range [...]string{"prompt_tokens", "total_tokens"} {
		if k, ok := jsonx.Int(jsonx.At(doc, "usage", n)); ok && k >= 0 && !u.Input.Known {
			u.Input, u.Output = llm.Tokens(k), llm.Tokens(0)
		}
	}
	if k, ok := jsonx.Int(jsonx.At(doc, "meta", "billed_units", "search_units")); ok && k >= 0 {
		u.Queries = llm.Tokens(k)
	}
	return u
}

// NewWriter makes a writer of one answer, in the form in which the client asked.
func (c *Codec) NewWriter(req *llm.Request, _ bool) dialect.Writer {
	w := new(writer)
	if req != nil {
		w.form, w.model, w.rank = req.Form, req.Model, req.Rerank()
	}
	return w
}

// writer gathers an answer and writes it whole.
type writer struct {
	form, id, model string
	rank            *llm.Rerank // what was asked; nil: not known
	list            []byte      // elements
	result          bool
	finished        bool
	usage           llm.Usage
	failed          *llm.Error
}

// Write takes an event. It appends nothing.
func (w *writer) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	switch ev.Kind {
	case llm.EvStarted:
		w.id, w.model = ev.ID, cmp.Or(ev.Name, w.model)
	case llm.EvUsage:
		w.usage.Merge(ev.Usage)
	case llm.EvFinished:
		w.usage.Merge(ev.Usage)
		w.finished = true
	case llm.EvFailed:
		if w.failed = ev.Err; w.failed == nil {
			w.failed = &llm.Error{Code: llm.CodeUpstream}
		}
	case llm.EvResult:
		if r, ok := ev.Result.(*llm.Ranking); ok {
			w.result = true
			for i := range r.Items {
				if w.rank != nil && w.rank.TopN > 0 && int64(i) >= w.rank.TopN {
					break
				}
				w.list = w.item(w.list, &r.Items[i])
			}
		}
	}
	return dst, nil
}

// item appends an element of the list.
func (w *writer) item(b []byte, it *llm.Ranked) []byte {
	b = append(jsonx.AppendComma(b), `{"index":`...)
	b = strconv.AppendInt(b, int64(it.Index), 10)
	score := "relevance_score"
	if w.form == formTEI {
		score = "score"
	}
	b = jsonx.AppendFloat(jsonx.AppendKey(b, score), it.Score)
	if d := ranking.Returned(w.rank, it); d != nil {
		text := jsonx.Get(d, "text")
		switch {
		case w.form == "" && jsonx.Kind(d) == '"':
			b = append(append(append(jsonx.AppendKey(b, "document"), `{"text":`...), d...), '}')
		case w.form == "":
			b = append(jsonx.AppendKey(b, "document"), d...)
		default:
			if jsonx.Kind(d) == '"' {
				text = d
			}
			if jsonx.Kind(text) != '"' {
				text = jsonx.AppendQuote(nil, d)
			}
			b = append(jsonx.AppendKey(b, map[string]string{formVoyage: "document", formTEI: "text"}[w.form]), text...)
		}
	}
	return append(b, '}')
}

// Close appends the whole document, or returns the error with which the answer ended.
func (w *writer) Close(dst []byte) ([]byte, error) {
	if w.failed == nil && (!w.finished || !w.result) {
		w.failed = &llm.Error{Code: llm.CodeReset, Op: name + ".write", Message: "The provider's answer ended early."}
	}
	if w.failed != nil {
		return dst, w.failed
	}
	list := "results"
	switch w.form {
	case formTEI:
		return append(append(append(dst, '['), w.list...), ']'), nil
	case formVoyage:
		list = "data"
	}
	dst = append(dst, '{')
	if w.id != "" {
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "id"), w.id)
	}
	dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "object"), "list")
	dst = append(append(append(jsonx.AppendKey(dst, list), '['), w.list...), ']')
	dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "model"), w.model)
	if w.usage.Queries.Known {
		dst = append(jsonx.AppendKey(dst, "meta"), `{"billed_units":{"search_units":`...)
		dst = append(strconv.AppendInt(dst, w.usage.Queries.N, 10), "}}"...)
	}
	if n := w.usage.Input; n.Known || w.form == formVoyage { // Voyage's clients need a number
		dst = append(jsonx.AppendKey(dst, "usage"), '{')
		if n.Known && w.form == "" {
			dst = strconv.AppendInt(jsonx.AppendKey(dst, "prompt_tokens"), n.N, 10)
		}
		dst = append(strconv.AppendInt(jsonx.AppendKey(dst, "total_tokens"), n.N, 10), '}')
	}
	return append(dst, '}'), nil
}
