package cohere

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank/ranking"
	"github.com/signalbox-ai/signalbox/providers/wire/vector"
)

// embeddings reads a whole answer of vectors. inputs is how many are due, -1 where that is not known.
func (c *Codec) embeddings(doc []byte, inputs int, model string, emit llm.Emit) error {
	all := jsonx.Get(doc, "embeddings")
	list := all // version 1 has one type alone
	for _, kind := range [...]string{"float", "base64"} {
		if l := jsonx.Get(all, kind); jsonx.Kind(l) == '[' {
			list = l
			break
		}
	}
	if jsonx.Kind(list) != '[' {
		return emit(&llm.Event{Kind: llm.EvFailed, Err: c.failure(doc)})
	}
	res := new(llm.Embeddings)
	for i, raw := range jsonx.Elements(list) {
		v, ok := vector.Read(raw)
		if !ok {
			return emit(&llm.Event{Kind: llm.EvFailed, Err: broken(fmt.Sprintf("The provider's vector %d is not an array of numbers, nor base64 of them.", i))})
		}
		res.Vectors = append(res.Vectors, v)
	}
	if n := len(res.Vectors); n != inputs && inputs >= 0 {
		return emit(&llm.Event{Kind: llm.EvFailed, Err: broken(fmt.Sprintf("The provider sent %d vectors for %d inputs.", n, inputs))})
	}
	return emitResult(doc, model, res, emit)
}

// results reads a whole ranking. documents is how many were ranked, -1 where that is not known.
func (c *Codec) results(doc []byte, documents int, model string, emit llm.Emit) error {
	list := jsonx.Get(doc, "results")
	if jsonx.Kind(list) != '[' {
		return emit(&llm.Event{Kind: llm.EvFailed, Err: c.failure(doc)})
	}
	items, problem := ranking.Read(list, documents)
	if problem != "" {
		return emit(&llm.Event{Kind: llm.EvFailed, Err: broken(problem)})
	}
	return emitResult(doc, model, &llm.Ranking{Items: items}, emit)
}

// emitResult emits a whole answer.
func emitResult(doc []byte, model string, res llm.Result, emit llm.Emit) error {
	id, _ := jsonx.String(jsonx.Get(doc, "id"))
	for _, ev := range [...]llm.Event{
		{Kind: llm.EvStarted, ID: id, Name: model},
		{Kind: llm.EvResult, Result: res},
		{Kind: llm.EvUsage, Usage: readMeta(jsonx.Get(doc, "meta"))},
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

// readMeta reads the usage of what is no chat. Tokens of images are counted beside those of texts.
func readMeta(meta []byte) (u llm.Usage) {
	billed := jsonx.Get(meta, "billed_units")
	count := func(name string) llm.Count {
		if f, ok := jsonx.Float(jsonx.Get(billed, name)); ok && f >= 0 {
			return llm.Tokens(int64(f))
		}
		return llm.Count{}
	}
	u.Queries = count("search_units")
	if in, images := count("input_tokens"), count("image_tokens"); in.Known || images.Known {
		u.Input, u.Output = llm.Tokens(in.N+images.N), llm.Tokens(0)
	}
	return u
}

// resultWriter gathers the answer of what is no chat and writes it whole. One of embed and rank is there.
type resultWriter struct {
	codec    *Codec
	embed    *llm.Embed
	rank     *llm.Rerank
	id       string
	list     []byte // elements
	result   bool
	finished bool
	usage    llm.Usage
	failed   *llm.Error
}

// Write takes an event. It appends nothing.
func (w *resultWriter) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	switch ev.Kind {
	case llm.EvStarted:
		w.id = ev.ID
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
		switch r := ev.Result.(type) {
		case *llm.Embeddings:
			w.vectors(r)
		case *llm.Ranking:
			w.ranking(r)
		}
	}
	return dst, nil
}

func (w *resultWriter) vectors(r *llm.Embeddings) {
	w.result = w.embed != nil
	for _, v := range r.Vectors {
		w.list = jsonx.AppendComma(w.list)
		if w.embed != nil && w.embed.Base64 {
			w.list = vector.AppendBase64(w.list, v)
			continue
		}
		var finite bool
		if w.list, finite = vector.Append(w.list, v); !finite && w.failed == nil {
			w.failed = broken("The provider sent a vector with what is no number.")
		}
	}
}

func (w *resultWriter) ranking(r *llm.Ranking) {
	w.result = w.rank != nil
	for i := range r.Items {
		it := &r.Items[i]
		if w.rank != nil && w.rank.TopN > 0 && int64(i) >= w.rank.TopN {
			break
		}
		w.list = append(jsonx.AppendComma(w.list), `{"index":`...)
		w.list = strconv.AppendInt(w.list, int64(it.Index), 10)
		w.list = jsonx.AppendFloat(jsonx.AppendKey(w.list, "relevance_score"), it.Score)
		if d := ranking.Returned(w.rank, it); d != nil {
			w.list = jsonx.AppendKey(w.list, "document")
			if jsonx.Kind(d) == '"' {
				w.list = append(append(append(w.list, `{"text":`...), d...), '}')
			} else {
				w.list = append(w.list, d...)
			}
		}
		w.list = append(w.list, '}')
	}
}

// Close appends the whole document, or returns the error with which the answer ended.
func (w *resultWriter) Close(dst []byte) ([]byte, error) {
	if w.failed == nil && (!w.finished || !w.result) {
		w.failed = endedEarly()
	}
	if w.failed != nil {
		return dst, w.failed
	}
	if w.id == "" {
		w.id = w.codec.mint()
	}
	dst = jsonx.AppendText(append(dst, '{'), "id", w.id)
	if w.embed != nil {
		kind := "float"
		if w.embed.Base64 {
			kind = "base64"
		}
		dst = append(append(jsonx.AppendKey(dst, "embeddings"), `{"`+kind+`":[`...), w.list...)
		dst = append(jsonx.AppendKey(append(dst, "]}"...), "texts"), '[')
		for i := range w.embed.Inputs {
			if in := &w.embed.Inputs[i]; in.Media == nil {
				dst = jsonx.AppendQuote(jsonx.AppendComma(dst), in.Text)
			}
		}
		dst = jsonx.AppendText(append(dst, ']'), "response_type", "embeddings_by_type")
	} else {
		dst = append(append(append(jsonx.AppendKey(dst, "results"), '['), w.list...), ']')
	}
	dst = append(jsonx.AppendKey(dst, "meta"), `{"api_version":{"version":"2"}`...)
	if w.embed != nil { // clients need the number
		w.usage.Input.Known = true
	}
	units := [...]struct {
		name string
		n    llm.Count
	}{{"input_tokens", w.usage.Input}, {"search_units", w.usage.Queries}}
	if units[0].n.Known || units[1].n.Known {
		dst = append(jsonx.AppendKey(dst, "billed_units"), '{')
		for _, u := range units {
			if u.n.Known {
				dst = strconv.AppendInt(jsonx.AppendKey(dst, u.name), u.n.N, 10)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, "}}"...), nil
}

// readRerank reads a member of a request to rank; known is false for one that the vocabulary has no word for.
func readRerank(r *llm.Rerank, name string, raw []byte) (known bool, err error) {
	switch name {
	case "top_n", "max_tokens_per_doc", "return_documents":
		if jsonx.IsNull(raw) {
			return true, nil
		}
	}
	switch name {
	case "query":
		r.Query, err = member.String(name, raw)
	case "documents":
		err = member.Each(name, raw, maxDocuments, func(_ int, at string, raw []byte) error {
			var d llm.Document
			switch jsonx.Kind(raw) {
			case '"':
				d.Text, _ = jsonx.String(raw)
			case '{':
				d.Raw = raw
				d.Text, _ = jsonx.String(jsonx.Get(raw, "text"))
			default:
				return member.Wrong(at, "a string", raw)
			}
			r.Documents = append(r.Documents, d)
			return nil
		})
	case "top_n":
		r.TopN, err = member.Int(name, raw, 1, 1<<31)
	case "max_tokens_per_doc":
		r.MaxTokens, err = member.Int(name, raw, 1, 1<<31)
	case "return_documents": // of earlier versions
		r.Return, err = member.Bool(name, raw)
	default:
		return false, nil
	}
	return true, err
}

// rerank writes what a request to rank has beside its model. Documents that the client wants back come from the
// request.
func (w *requestWriter) rerank(r *llm.Rerank) {
	w.text("query", r.Query)
	w.dst = append(jsonx.AppendKey(w.dst, "documents"), '[')
	for i, d := range r.Documents {
		w.dst = jsonx.AppendComma(w.dst)
		switch {
		case d.Raw != nil && w.own:
			w.dst = append(w.dst, d.Raw...)
		case d.Raw != nil && d.Text == "" || d.Raw != nil && strings.TrimSpace(string(member.Without(d.Raw, "text"))) != "":
			text := d.Raw
			if b, err := jsonx.Compact(d.Raw); err == nil {
				text = b
			}
			w.lose(fmt.Sprintf("documents[%d]", i), "the provider ranks texts: the object is sent as its JSON text")
			w.dst = jsonx.AppendQuote(w.dst, text)
		default:
			w.dst = jsonx.AppendQuote(w.dst, d.Text)
		}
	}
	w.dst = append(w.dst, ']')
	if r.TopN > 0 {
		w.int("top_n", r.TopN)
	}
	if r.MaxTokens > 0 {
		w.int("max_tokens_per_doc", r.MaxTokens)
	}
	if r.Return && w.own {
		w.raw("return_documents", []byte("true"))
	}
	if r.Truncate != nil && !*r.Truncate {
		w.lose("truncation", "the provider cuts documents that are too long")
	}
}
