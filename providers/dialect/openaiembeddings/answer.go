package openaiembeddings

import (
	"fmt"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/document"
	"github.com/signalbox-ai/signalbox/providers/wire/vector"
)

// NewReader makes a reader of one answer, which is a document whatever was announced.
func (c *Codec) NewReader(req *llm.Request, _ bool) dialect.Reader {
	var want asked
	if req != nil && req.Embed() != nil {
		want = asked{len(req.Embed().Inputs), !req.Embed().Base64}
	}
	return document.New(name+".read", func(doc []byte, emit llm.Emit) error { return c.answer(doc, want, emit) })
}

// asked is what an answer is due. The zero value knows nothing.
type asked struct {
	vectors int
	numbers bool // base64 was not asked for: what comes as a string may be of any type
}

// answer reads a whole answer.
func (c *Codec) answer(doc []byte, want asked, emit llm.Emit) error {
	fail := func(message string) error {
		return emit(&llm.Event{Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: message}})
	}
	if e := jsonx.Get(doc, "error"); !jsonx.IsNull(e) || jsonx.Kind(jsonx.Get(doc, "data")) != '[' {
		if !jsonx.IsNull(e) || jsonx.Get(doc, "message") != nil || jsonx.Get(doc, "detail") != nil {
			return emit(&llm.Event{Kind: llm.EvFailed, Err: c.ReadError(0, nil, doc)})
		}
		return fail("The provider's answer has no vectors.")
	}
	vectors, err := readData(jsonx.Get(doc, "data"), want)
	if err != "" {
		return fail(err)
	}
	id, _ := jsonx.String(jsonx.Get(doc, "id"))
	model, _ := jsonx.String(jsonx.Get(doc, "model"))
	for _, ev := range [...]llm.Event{
		{Kind: llm.EvStarted, ID: id, Name: model},
		{Kind: llm.EvResult, Result: &llm.Embeddings{Vectors: vectors}},
		{Kind: llm.EvUsage, Usage: readUsage(jsonx.Get(doc, "usage"))},
		{Kind: llm.EvFinished},
	} {
		if ev.Kind == llm.EvUsage && !ev.Usage.Known() {
			continue
		}
		if err := emit(&ev); err != nil {
			return err
		}
	}
	return nil
}

// readData reads the vectors, in the order of their indexes where they have any. problem is "" when all is well.
func readData(data []byte, want asked) (vectors [][]float32, problem string) {
	n := 0
	for range jsonx.Elements(data) {
		n++
	}
	if n == 0 || want.vectors > 0 && n != want.vectors {
		return nil, fmt.Sprintf("The provider sent %d vectors for %d inputs.", n, want.vectors)
	}
	vectors = make([][]float32, n)
	for i, e := range jsonx.Elements(data) {
		at := int64(i)
		if k, ok := jsonx.Int(jsonx.Get(e, "index")); ok {
			at = k
		}
		raw := jsonx.Get(e, "embedding")
		v, ok := vector.Read(raw)
		switch {
		case want.numbers && jsonx.Kind(raw) == '"':
			return nil, fmt.Sprintf("The provider's vector %d is encoded, and numbers were asked for.", i)
		case !ok:
			return nil, fmt.Sprintf("The provider's vector %d is not an array of numbers, nor base64 of them.", i)
		case at < 0 || at >= int64(n) || vectors[at] != nil:
			return nil, fmt.Sprintf("The provider's vector %d has the index %d, which cannot be.", i, at)
		}
		vectors[at] = v
	}
	return vectors, ""
}

// ReadUsage implements dialect.Teller.
func (c *Codec) ReadUsage(doc []byte) llm.Usage { return readUsage(jsonx.Get(doc, "usage")) }

// readUsage reads usage. What was put in is all there is; some vendors say the total alone.
func readUsage(raw []byte) (u llm.Usage) {
	for _, n := range [...]string{"prompt_tokens", "total_tokens"} {
		if k, ok := jsonx.Int(jsonx.Get(raw, n)); ok && k >= 0 && !u.Input.Known {
			u.Input, u.Output = llm.Tokens(k), llm.Tokens(0)
		}
	}
	return u
}

// NewWriter makes a writer of one answer, which is a document.
func (c *Codec) NewWriter(req *llm.Request, _ bool) dialect.Writer {
	w := new(writer)
	if req != nil {
		w.model = req.Model
		w.base64 = req.Embed() != nil && req.Embed().Base64
	}
	return w
}

// writer gathers an answer and writes it whole.
type writer struct {
	model    string
	base64   bool
	data     []byte // elements
	result   bool
	finished bool
	usage    llm.Usage
	failed   *llm.Error
}

// Write takes an event. It appends nothing.
func (w *writer) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	switch ev.Kind {
	case llm.EvStarted:
		if ev.Name != "" {
			w.model = ev.Name
		}
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
		w.take(ev.Result)
	}
	return dst, nil
}

func (w *writer) take(res llm.Result) {
	e, ok := res.(*llm.Embeddings)
	if !ok {
		return
	}
	w.result = true
	for i, v := range e.Vectors {
		w.data = append(jsonx.AppendComma(w.data), `{"object":"embedding","index":`...)
		w.data = append(strconv.AppendInt(w.data, int64(i), 10), `,"embedding":`...)
		var finite bool
		if w.base64 {
			w.data, finite = vector.AppendBase64(w.data, v), true
		} else {
			w.data, finite = vector.Append(w.data, v)
		}
		if !finite && w.failed == nil {
			w.failed = &llm.Error{Code: llm.CodeUpstream, Op: name + ".write", Message: "The provider sent a vector with what is no number."}
		}
		w.data = append(w.data, '}')
	}
}

// Close appends the whole document, or returns the error with which the answer ended.
func (w *writer) Close(dst []byte) ([]byte, error) {
	if w.failed == nil && (!w.finished || !w.result) {
		w.failed = &llm.Error{Code: llm.CodeReset, Op: name + ".write", Message: "The provider's answer ended early."}
	}
	if w.failed != nil {
		return dst, w.failed
	}
	dst = append(append(append(dst, `{"object":"list","data":[`...), w.data...), `],"model":`...)
	dst = append(jsonx.AppendQuote(dst, w.model), `,"usage":{"prompt_tokens":`...)
	dst = append(strconv.AppendInt(dst, w.usage.Input.N, 10), `,"total_tokens":`...)
	return append(strconv.AppendInt(dst, w.usage.Input.N, 10), "}}"...), nil
}
