package gemini

import (
	"fmt"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// tasks are the API's words for what vectors are for, in the order of their numbers, from 1
// (google.ai.generativelanguage.v1beta.TaskType).
var tasks = [...]struct{ word, task string }{
	{"RETRIEVAL_QUERY", llm.TaskQuery},
	{"RETRIEVAL_DOCUMENT", llm.TaskDocument},
	{"SEMANTIC_SIMILARITY", llm.TaskSimilarity},
	{"CLASSIFICATION", llm.TaskClassify},
	{"CLUSTERING", llm.TaskCluster},
	{"QUESTION_ANSWERING", llm.TaskQuestion},
	{"FACT_VERIFICATION", llm.TaskFact},
	{"CODE_RETRIEVAL_QUERY", llm.TaskCode},
}

func taskWord(task string) string {
	for _, t := range tasks {
		if t.task == task {
			return t.word
		}
	}
	return ""
}

func readTask(at string, raw []byte) (string, error) {
	if n, ok := jsonx.Int(raw); ok && n >= 0 && n <= int64(len(tasks)) {
		if n == 0 {
			return "", nil
		}
		return tasks[n-1].task, nil
	}
	word, err := wantString(at, raw)
	if err != nil || word == "" || word == "TASK_TYPE_UNSPECIFIED" {
		return "", err
	}
	for _, t := range tasks {
		if t.word == word {
			return t.task, nil
		}
	}
	return "", bad(at, fmt.Sprintf("Unknown task type %q.", clip(word)))
}

// embed reads the body of embedContent or of batchEmbedContents.
func (r *requestReader) embed(doc *jsonx.Doc) error {
	e := new(llm.Embed)
	r.req.Body = e
	if batch, found := doc.Get("requests"); found && !jsonx.IsNull(batch) {
		for i, one := range jsonx.Elements(batch) {
			if err := r.embedOne(e, item("requests", i), one, i == 0); err != nil {
				return err
			}
		}
		for i := range doc.Members {
			m := &doc.Members[i]
			if k := camel(m.Name); k != "requests" && k != "model" {
				r.extra(k, doc.Body[m.Start:m.End])
			}
		}
		return nil
	}
	e.Single = true
	return r.embedOne(e, "", doc.Body, true)
}

// embedOne reads one text with its options, which must be the same for all texts of a batch.
func (r *requestReader) embedOne(e *llm.Embed, at string, raw []byte, first bool) error {
	o, err := open(at, raw)
	if err != nil {
		return err
	}
	o.take("model")
	one := llm.Embed{}
	if v := o.take("taskType"); v != nil {
		if one.Task, err = readTask(join(at, "taskType"), v); err != nil {
			return err
		}
	}
	if v := o.take("title"); v != nil {
		if one.Title, err = wantString(join(at, "title"), v); err != nil {
			return err
		}
	}
	if v := o.take("outputDimensionality"); v != nil {
		if one.Dimensions, err = wantInt(join(at, "outputDimensionality"), v, 1); err != nil {
			return err
		}
	}
	in, err := embedContent(join(at, "content"), o.take("content"))
	if err != nil {
		return err
	}
	switch {
	case first:
		e.Task, e.Title, e.Dimensions = one.Task, one.Title, one.Dimensions
	case one.Task != e.Task:
		return bad(join(at, "taskType"), "The texts of a request must be for one task.")
	case one.Title != e.Title:
		return bad(join(at, "title"), "The texts of a request must have one title.")
	case one.Dimensions != e.Dimensions:
		return bad(join(at, "outputDimensionality"), "The vectors of a request must have one length.")
	}
	e.Inputs = append(e.Inputs, in)
	for _, m := range o.members {
		r.extra(join(at, m.Name), m.Raw)
	}
	return nil
}

// embedContent reads what is to be embedded: one text, or one picture or the like.
func embedContent(at string, raw []byte) (in llm.EmbedInput, err error) {
	if raw == nil {
		return in, bad(at, "content is not specified")
	}
	parts, _, err := readContent(at, raw)
	switch {
	case err != nil:
		return in, err
	case len(parts) != 1:
		return in, bad(join(at, "parts"), "One vector is made of exactly one part.")
	case parts[0].Kind == llm.PartText:
		in.Text = parts[0].Text
	case parts[0].Media != nil:
		in.Media = parts[0].Media
	default:
		return in, bad(item(join(at, "parts"), 0), "The part can not be embedded.")
	}
	return in, nil
}

// embed writes the body of batchEmbedContents, which one text fits too.
func (w *requestWriter) embed(e *llm.Embed) error {
	w.dst = append(w.dst, `{"requests":[`...)
	for i := range e.Inputs {
		w.dst = append(jsonx.AppendComma(w.dst), '{')
		w.dst = jsonx.AppendText(w.dst, "model", modelPrefix+w.t.Model)
		if err := w.embedInput(e, i); err != nil {
			return err
		}
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, "]}"...)
	w.embedLosses(e)
	return nil
}

// embedInput writes a text with its options into the open object.
func (w *requestWriter) embedInput(e *llm.Embed, i int) error {
	in := &e.Inputs[i]
	at := w.inputAt(e, i)
	w.dst = append(jsonx.AppendKey(w.dst, "content"), `{"parts":[{`...)
	switch {
	case in.Tokens != nil:
		return w.refuse(at, "This model's provider takes texts, not tokens.")
	case in.Media != nil:
		if err := w.source(in.Media, "", at); err != nil {
			return err
		}
	default:
		w.dst = jsonx.AppendText(w.dst, "text", in.Text)
	}
	w.dst = append(w.dst, "}]}"...)
	if t := taskWord(e.Task); t != "" {
		w.dst = jsonx.AppendText(w.dst, "taskType", t)
	}
	if e.Title != "" {
		w.dst = jsonx.AppendText(w.dst, "title", e.Title)
	}
	if e.Dimensions > 0 {
		w.dst = number(w.dst, "outputDimensionality", e.Dimensions)
	}
	return nil
}

func (w *requestWriter) inputAt(e *llm.Embed, i int) string {
	switch {
	case w.own && e.Single:
		return "content"
	case w.own:
		return item("requests", i)
	}
	return member.Input(w.req.Extra.Dialect, e, i)
}

func (w *requestWriter) embedLosses(e *llm.Embed) {
	if e.Truncate != "" {
		w.lose(w.in("truncate"), "the provider cuts texts that are too long")
	}
	if e.User != "" {
		w.lose("user", "the provider has no equal")
	}
	for _, m := range w.req.Extra.Members {
		if !jsonx.IsNull(m.Raw) {
			w.lose(m.Name, "the dialect does not know the member")
		}
	}
}

// Predictor is the codec toward the embedding models of Vertex AI: toward :predict, which takes many texts as
// instances, or toward :embedContent of the newest models, which takes one. Its answers are read as the
// dialect's own.
type Predictor struct {
	*Codec
	One bool // :embedContent
}

var _ dialect.Client = (*Predictor)(nil)

// Predict makes the codec toward :predict (https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api).
func Predict() *Predictor { return &Predictor{Codec: Vertex()} }

// EmbedOne makes the codec toward :embedContent on Vertex AI.
func EmbedOne() *Predictor { return &Predictor{Codec: Vertex(), One: true} }

// Name returns a name of its own: no client speaks it, so every request is written anew.
func (p *Predictor) Name() dialect.Name { return "vertex-predict" }

// WriteRequest appends the body.
func (p *Predictor) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	w := requestWriter{codec: p.Codec, dst: dst, req: req, t: t, own: req.Extra.Dialect == name}
	e := req.Embed()
	if e == nil {
		return dst, nil, &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "only texts to embed can be written"}
	}
	var err error
	if p.One {
		err = w.embedOne(e)
	} else {
		err = w.predict(e)
	}
	if err != nil {
		return dst, nil, err
	}
	return w.dst, w.losses, nil
}

func (w *requestWriter) embedOne(e *llm.Embed) error {
	if len(e.Inputs) != 1 {
		return w.refuse(w.inputAt(e, 1), "This model's provider embeds one text in a request.")
	}
	w.dst = append(w.dst, '{')
	if err := w.embedInput(e, 0); err != nil {
		return err
	}
	if cut := e.Truncate; cut != "" {
		w.dst = append(jsonx.AppendKey(w.dst, "autoTruncate"), strconv.FormatBool(cut != "none")...)
	}
	w.dst = append(w.dst, '}')
	return w.predictLosses(e)
}

func (w *requestWriter) predict(e *llm.Embed) error {
	w.dst = append(w.dst, `{"instances":[`...)
	for i := range e.Inputs {
		in := &e.Inputs[i]
		if in.Tokens != nil || in.Media != nil {
			return w.refuse(w.inputAt(e, i), "This model takes texts only.")
		}
		w.dst = jsonx.AppendText(append(jsonx.AppendComma(w.dst), '{'), "content", in.Text)
		if t := taskWord(e.Task); t != "" {
			w.dst = jsonx.AppendText(w.dst, "task_type", t)
		}
		if e.Title != "" {
			w.dst = jsonx.AppendText(w.dst, "title", e.Title)
		}
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, ']')
	from := len(w.dst)
	w.dst = append(jsonx.AppendKey(w.dst, "parameters"), '{')
	empty := len(w.dst)
	if e.Dimensions > 0 {
		w.dst = number(w.dst, "outputDimensionality", e.Dimensions)
	}
	if cut := e.Truncate; cut != "" {
		w.dst = append(jsonx.AppendKey(w.dst, "autoTruncate"), strconv.FormatBool(cut != "none")...)
	}
	if len(w.dst) == empty {
		w.dst = w.dst[:from]
	} else {
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, '}')
	return w.predictLosses(e)
}

func (w *requestWriter) predictLosses(e *llm.Embed) error {
	said := *e
	said.Truncate = ""
	w.embedLosses(&said)
	if e.Truncate == "start" {
		w.lose(w.in("truncate"), "the provider cuts texts at their end")
	}
	return nil
}

// other reads an answer to something else than a chat, and reports whether it was one.
func (r *reader) other(m *members) (bool, error) {
	switch {
	case m.total != nil:
		n, ok := jsonx.Int(m.total)
		if !ok || n < 0 {
			return true, r.fail(llm.CodeUpstream, "the provider's count of tokens is no number")
		}
		r.state.result = true
		r.ev = llm.Event{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(n), AudioIn: audio(m.details)}}
		return true, r.send()
	case m.embedding == nil && m.embeddings == nil && m.predictions == nil:
		return false, nil
	}
	out := new(llm.Embeddings)
	usage, _ := readUsage(m.usage)
	for _, v := range [...][]byte{m.embedding} {
		if v != nil {
			out.Vectors = append(out.Vectors, vector(jsonx.Get(v, "values")))
		}
	}
	for _, v := range jsonx.Elements(m.embeddings) {
		out.Vectors = append(out.Vectors, vector(jsonx.Get(v, "values")))
	}
	for _, p := range jsonx.Elements(m.predictions) {
		v := jsonx.Get(p, "embeddings")
		out.Vectors = append(out.Vectors, vector(jsonx.Get(v, "values")))
		if n, ok := jsonx.Int(jsonx.At(v, "statistics", "token_count")); ok {
			usage.Input = llm.Tokens(usage.Input.N + n)
		}
	}
	for _, v := range out.Vectors {
		if len(v) == 0 {
			return true, r.fail(llm.CodeUpstream, "the provider's answer lacks the values of a vector")
		}
	}
	r.state.result = true
	r.ev = llm.Event{Kind: llm.EvResult, Result: out}
	if err := r.send(); err != nil {
		return true, err
	}
	r.ev = llm.Event{Kind: llm.EvUsage, Usage: usage}
	return true, r.send()
}

func vector(raw []byte) (v []float32) {
	for _, n := range jsonx.Elements(raw) {
		f, ok := jsonx.Float(n)
		if !ok {
			return nil
		}
		v = append(v, float32(f))
	}
	return v
}

func appendVector(b []byte, v []float32) []byte {
	b = append(b, `{"values":[`...)
	for _, f := range v {
		b = strconv.AppendFloat(jsonx.AppendComma(b), float64(f), 'g', -1, 32)
	}
	return append(b, "]}"...)
}
