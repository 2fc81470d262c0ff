package cohere

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// inputTypes are the words of input_type, with the task that each is; the first of a task is written.
var inputTypes = [...]struct{ word, task string }{
	{"search_query", llm.TaskQuery}, {"search_document", llm.TaskDocument}, {"classification", llm.TaskClassify}, {"clustering", llm.TaskCluster},
	{"search_query", llm.TaskQuestion}, {"search_query", llm.TaskFact}, {"search_query", llm.TaskCode},
}

// defaultInputType is sent where the client does not say what its vectors are for, which the API demands.
const defaultInputType = "search_document"

const typeImage = "image"

// embedReader decodes a request for vectors.
type embedReader struct{ embed *llm.Embed }

// member reads a top-level member; known is false for one that the vocabulary has no word for.
func (r *embedReader) member(name string, raw []byte) (known bool, err error) {
	e := r.embed
	switch name {
	case "texts", "images", "inputs", "input_type", "embedding_types", "output_dimension", "truncate":
		if jsonx.IsNull(raw) {
			return true, nil
		}
	}
	switch name {
	case "texts":
		err = r.each(name, raw, func(at string, raw []byte) (in llm.EmbedInput, err error) {
			in.Text, err = member.String(at, raw)
			return in, err
		})
	case "images":
		err = r.each(name, raw, func(at string, raw []byte) (llm.EmbedInput, error) {
			m := new(llm.Media)
			return llm.EmbedInput{Media: m}, member.URL(at, raw, m)
		})
	case "inputs":
		err = r.each(name, raw, readInput)
	case "input_type":
		s, err := member.Word(name, raw, "search_document", "search_query", "classification", "clustering", typeImage)
		for _, t := range inputTypes {
			if t.word == s && e.Task == "" {
				e.Task = t.task
			}
		}
		return true, err
	case "embedding_types":
		return true, r.types(raw)
	case "output_dimension":
		e.Dimensions, err = member.Int(name, raw, 1, 1<<16)
	case "truncate":
		var s string
		s, err = member.Word(name, raw, "NONE", "START", "END")
		e.Truncate = strings.ToLower(s)
	default:
		return false, nil
	}
	return true, err
}

func (r *embedReader) each(name string, raw []byte, read func(at string, raw []byte) (llm.EmbedInput, error)) error {
	if len(r.embed.Inputs) > 0 {
		return member.Bad(name, member.Value, "Only one of 'texts', 'images' and 'inputs' may be given.")
	}
	return member.Each(name, raw, maxDocuments, func(_ int, at string, raw []byte) error {
		in, err := read(at, raw)
		r.embed.Inputs = append(r.embed.Inputs, in)
		return err
	})
}

// types reads embedding_types. Whole numbers and bits are had from Cohere alone, where the body passes as it is.
func (r *embedReader) types(raw []byte) error {
	const at = "embedding_types"
	n := 0
	return member.Each(at, raw, 8, func(_ int, path string, raw []byte) error {
		s, err := member.Word(path, raw, "float", "base64", "int8", "uint8", "binary", "ubinary")
		if n++; err == nil && (n > 1 || s != "float" && s != "base64") {
			err = &llm.Error{Code: llm.CodeUnsupported, Op: name + ".read", Param: at, Reason: "unsupported_parameter",
				Message: "This model's provider gives vectors of one type: float or base64."}
		}
		r.embed.Base64 = s == "base64"
		return err
	})
}

// readInput reads an input of several parts: a text, an image, or one of each.
func readInput(at string, raw []byte) (in llm.EmbedInput, err error) {
	texts, images := 0, 0
	err = member.Each(at+".content", jsonx.Get(raw, "content"), 16, func(_ int, at string, raw []byte) error {
		kind, err := member.Word(at+".type", jsonx.Get(raw, "type"), "text", "image_url")
		switch {
		case err != nil:
		case kind == "text":
			texts++
			in.Text, err = member.String(at+".text", jsonx.Get(raw, "text"))
		default:
			images++
			in.Media, err = readImage(at+".image_url", jsonx.Get(raw, "image_url"))
		}
		return err
	})
	if err == nil && (texts > 1 || images > 1) {
		err = &llm.Error{Code: llm.CodeUnsupported, Op: name + ".read", Param: at, Message: "This model's provider does not embed several texts or images as one."}
	}
	return in, err
}

// embed writes what a request for vectors has beside its model.
func (w *requestWriter) embed(e *llm.Embed) error {
	if err := w.inputs(e); err != nil {
		return err
	}
	w.inputType(e)
	if e.Base64 {
		w.raw("embedding_types", []byte(`["base64"]`))
	} else {
		w.raw("embedding_types", []byte(`["float"]`))
	}
	if e.Dimensions > 0 {
		w.int("output_dimension", e.Dimensions)
	}
	if e.Truncate != "" {
		w.text("truncate", strings.ToUpper(e.Truncate))
	}
	if e.Title != "" {
		w.lose(w.in("title"), "the dialect has no title of a text")
	}
	if e.User != "" {
		w.lose(w.in("user"), "the dialect has no user")
	}
	return nil
}

// inputs writes texts as texts, and anything with an image as inputs of parts.
func (w *requestWriter) inputs(e *llm.Embed) error {
	images := false
	for i := range e.Inputs {
		in := &e.Inputs[i]
		if in.Tokens != nil {
			return w.refuse(member.Input(w.req.Extra.Dialect, e, i), "This model's provider embeds text; it does not take tokens.")
		}
		images = images || in.Media != nil
	}
	if !images {
		w.dst = append(jsonx.AppendKey(w.dst, "texts"), '[')
		for i := range e.Inputs {
			w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), e.Inputs[i].Text)
		}
		w.dst = append(w.dst, ']')
		return nil
	}
	w.dst = append(jsonx.AppendKey(w.dst, "inputs"), '[')
	for i := range e.Inputs {
		in := &e.Inputs[i]
		w.dst = append(jsonx.AppendComma(w.dst), `{"content":[`...)
		if in.Text != "" || in.Media == nil {
			w.dst = append(jsonx.AppendText(append(jsonx.AppendComma(w.dst), `{"type":"text"`...), "text", in.Text), '}')
		}
		if in.Media != nil {
			at := member.Input(w.req.Extra.Dialect, e, i)
			if err := w.image(in.Media, at); err != nil {
				return err
			}
			w.dst = append(w.dst, '}')
		}
		w.dst = append(w.dst, "]}"...)
	}
	w.dst = append(w.dst, ']')
	return nil
}

func (w *requestWriter) inputType(e *llm.Embed) {
	for _, t := range inputTypes {
		if t.task == e.Task {
			w.text("input_type", t.word)
			return
		}
	}
	at := w.in("input_type")
	onlyImages := len(e.Inputs) > 0
	for i := range e.Inputs {
		onlyImages = onlyImages && e.Inputs[i].Media != nil && e.Inputs[i].Text == ""
	}
	switch {
	case e.Task == "" && onlyImages:
		w.text("input_type", typeImage)
	case e.Task == "" && w.own: // its client did not say either, and the provider decides
	case e.Task == "":
		w.lose(at, "not given, and the provider demands it: "+defaultInputType+" is sent")
		w.text("input_type", defaultInputType)
	default:
		w.lose(at, "the provider has no word for "+e.Task+": clustering is sent")
		w.text("input_type", "clustering")
	}
}
