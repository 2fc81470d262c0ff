package bedrock

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/wire/document"
)

// Dialects of InvokeModel for what is no conversation. No client speaks them.
const (
	embedding dialect.Name = "bedrock-embed"
	reranking dialect.Name = "bedrock-rerank"
)

// embedder is the client half of a family of embedding models: each has its own bodies in InvokeModel.
type embedder struct {
	dimensions string // the member for the length of vectors; "": the model has one length
	cohere     bool   // several texts a call, with a purpose; else one
}

var _ dialect.Client = (*embedder)(nil)

// embedders is the table of families by a part of the model's name, the first that fits.
var embedders = [...]struct {
	part string
	embedder
}{
	{"titan-embed-text-v1", embedder{}},
	{"titan-embed-g1", embedder{}},
	{"titan-embed-image", embedder{dimensions: "embeddingConfig.outputEmbeddingLength"}},
	{"titan-embed", embedder{dimensions: "dimensions"}},
	{"cohere.embed-english-v3", embedder{cohere: true}},
	{"cohere.embed-multilingual-v3", embedder{cohere: true}},
	{"cohere.embed", embedder{cohere: true, dimensions: "output_dimension"}},
}

// embedderOf returns the codec for a model, nil for one that is not known.
func embedderOf(model string) *embedder {
	for i := range embedders {
		if strings.Contains(model, embedders[i].part) {
			e := embedders[i].embedder
			return &e
		}
	}
	return nil
}

// Name implements dialect.Client.
func (*embedder) Name() dialect.Name { return embedding }

// Splice implements dialect.Client. There are no clients of the dialect.
func (*embedder) Splice(dst []byte, _ *dialect.Head, _ dialect.Edits) ([]byte, error) {
	return dst, unsupported("", "no client speaks "+string(embedding))
}

// ReadError implements dialect.Client.
func (*embedder) ReadError(status int, h dialect.Header, body []byte) *llm.Error {
	return fault.Read(status, h, body)
}

func unsupported(param, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: "bedrock.write", Param: param, Message: message, Reason: "unsupported_parameter"}
}

const maxTexts = 96 // of Cohere's models in one call

// WriteRequest appends the body for the target.
func (e *embedder) WriteRequest(dst []byte, req *llm.Request, _ dialect.Target) ([]byte, []llm.Loss, error) {
	body := req.Embed()
	if body == nil {
		return dst, nil, unsupported("", "this operation has no body in "+string(embedding))
	}
	w := embedWriter{dst: append(dst, '{'), embedder: e, embed: body, client: req.Extra.Dialect}
	if err := w.inputs(); err != nil {
		return dst, nil, err
	}
	if err := w.members(); err != nil {
		return dst, nil, err
	}
	for _, m := range req.Extra.Members {
		if !jsonx.IsNull(m.Raw) {
			w.lose(m.Name, "the provider does not know the member")
		}
	}
	return append(w.dst, '}'), w.losses, nil
}

type embedWriter struct {
	*embedder
	dst    []byte
	embed  *llm.Embed
	client string // its dialect
	losses []llm.Loss
}

func (w *embedWriter) in(name string) string { return member.In(w.client, name) }

func (w *embedWriter) lose(name, why string) {
	w.losses = append(w.losses, llm.Loss{Path: w.in(name), Why: why})
}

func (w *embedWriter) inputs() error {
	at := member.Input(w.client, w.embed, -1)
	for i := range w.embed.Inputs {
		in, at := &w.embed.Inputs[i], member.Input(w.client, w.embed, i)
		switch {
		case in.Tokens != nil:
			return unsupported(at, "This model's provider embeds text; it does not take tokens.")
		case in.Media != nil:
			return unsupported(at, "Images are not embedded at this model's provider.")
		}
	}
	if !w.cohere {
		if len(w.embed.Inputs) != 1 {
			return unsupported(at, fmt.Sprintf("This model embeds one text a call, and the request has %d: send them one by one.", len(w.embed.Inputs)))
		}
		w.dst = jsonx.AppendText(w.dst, "inputText", w.embed.Inputs[0].Text)
		return nil
	}
	if len(w.embed.Inputs) > maxTexts {
		return unsupported(at, fmt.Sprintf("This model embeds at most %d texts a call, and the request has %d.", maxTexts, len(w.embed.Inputs)))
	}
	w.dst = append(jsonx.AppendKey(w.dst, "texts"), '[')
	for i := range w.embed.Inputs {
		w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), w.embed.Inputs[i].Text)
	}
	w.dst = append(w.dst, ']')
	return nil
}

// purposes are Cohere's words for what vectors are for. Its models demand one.
var purposes = map[string]string{
	"": "search_document", llm.TaskDocument: "search_document", llm.TaskQuery: "search_query", llm.TaskQuestion: "search_query",
	llm.TaskCode: "search_query", llm.TaskFact: "search_query", llm.TaskClassify: "classification", llm.TaskCluster: "clustering",
	llm.TaskSimilarity: "clustering",
}

func (w *embedWriter) members() error {
	e := w.embed
	if w.cohere {
		purpose, known := purposes[e.Task]
		if !known {
			purpose = purposes[""]
			w.lose("task", "the model has no such task")
		}
		w.dst = jsonx.AppendText(w.dst, "input_type", purpose)
		w.dst = append(w.dst, `,"embedding_types":["float"]`...)
		if e.Truncate != "" {
			w.dst = jsonx.AppendText(w.dst, "truncate", strings.ToUpper(e.Truncate))
		}
	} else {
		if e.Task != "" {
			w.lose("task", "the model has no tasks")
		}
		if e.Truncate != "" && e.Truncate != "none" {
			w.lose("truncate", "the model does not cut texts")
		}
	}
	if e.Title != "" {
		w.lose("title", "the model takes no titles")
	}
	if e.User != "" {
		w.lose("user", "the provider has no equal")
	}
	if e.Dimensions <= 0 {
		return nil
	}
	outer, inner, nested := strings.Cut(w.dimensions, ".")
	switch {
	case outer == "":
		return unsupported(w.in("dimensions"), "This model's vectors have one length.")
	case nested:
		w.dst = append(strconv.AppendInt(jsonx.AppendKey(append(jsonx.AppendKey(w.dst, outer), '{'), inner), e.Dimensions, 10), '}')
	default:
		w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, outer), e.Dimensions, 10)
	}
	return nil
}

// NewReader implements dialect.Client.
func (e *embedder) NewReader(req *llm.Request, _ bool) dialect.Reader {
	want := -1
	if req != nil && req.Embed() != nil {
		want = len(req.Embed().Inputs)
	}
	return document.New("bedrock.read", func(doc []byte, emit llm.Emit) error { return e.answer(doc, want, emit) })
}

// answer reads a whole answer. want is how many vectors are due, -1 where that is not known.
func (e *embedder) answer(doc []byte, want int, emit llm.Emit) error {
	lists := jsonx.Get(doc, "embeddings")
	if f := jsonx.Get(lists, "float"); f != nil { // by type
		lists = f
	}
	var vectors [][]float32
	ok := true
	add := func(raw []byte) {
		v, good := floats(raw)
		vectors, ok = append(vectors, v), ok && good
	}
	switch one := jsonx.Get(doc, "embedding"); {
	case one != nil:
		add(one)
	case jsonx.Kind(lists) == '[':
		for _, v := range jsonx.Elements(lists) {
			add(v)
		}
	default:
		if jsonx.Get(doc, "message") != nil {
			return emit(&llm.Event{Kind: llm.EvFailed, Err: fault.Read(0, nil, doc)})
		}
		ok = false
	}
	if !ok || want >= 0 && len(vectors) != want {
		return emit(&llm.Event{Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeUpstream, Op: "bedrock.read", Message: "The provider's answer has not the vectors that were asked for."}})
	}
	for _, ev := range [...]llm.Event{
		{Kind: llm.EvStarted},
		{Kind: llm.EvResult, Result: &llm.Embeddings{Vectors: vectors}},
		{Kind: llm.EvUsage, Usage: tokens(jsonx.Get(doc, "inputTextTokenCount"))},
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

func tokens(raw []byte) (u llm.Usage) {
	if n, ok := jsonx.Int(raw); ok && n >= 0 {
		u.Input, u.Output = llm.Tokens(n), llm.Tokens(0)
	}
	return u
}

// floats reads a vector.
func floats(raw []byte) (v []float32, ok bool) {
	if jsonx.Kind(raw) != '[' {
		return nil, false
	}
	for _, n := range jsonx.Elements(raw) {
		f, good := jsonx.Float(n)
		if !good {
			return nil, false
		}
		v = append(v, float32(f))
	}
	return v, len(v) > 0
}
