package openaiembeddings

import (
	"fmt"
	"strconv"
	"strings"

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
	e := new(llm.Embed)
	req := &llm.Request{Op: llm.OpEmbed, Model: h.Model, Usage: true, Body: e, Extra: llm.Extra{Dialect: name}}
	for i := range h.Doc.Members {
		m := &h.Doc.Members[i]
		raw := h.Doc.Body[m.Start:m.End]
		known, err := readMember(e, m.Name, raw)
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
func readMember(e *llm.Embed, name string, raw []byte) (known bool, err error) {
	switch name {
	case "model", "stream":
		return true, nil
	case "input":
		return true, readInput(e, raw)
	case "dimensions", "encoding_format", "user":
		if jsonx.IsNull(raw) {
			return true, nil
		}
	}
	switch name {
	case "dimensions":
		if e.Dimensions != 0 {
			return true, member.Bad(name, member.Value, "'dimensions' and 'output_dimension' mean the same; only one of them may be given.")
		}
		e.Dimensions, err = member.Int(name, raw, 1, maxVector)
	case "output_dimension": // as Voyage, Mistral and Cohere have it
		n, ok := jsonx.Int(raw)
		switch {
		case !ok || n < 1 || n > maxVector:
			return false, nil
		case e.Dimensions != 0:
			return true, member.Bad(name, member.Value, "'dimensions' and 'output_dimension' mean the same; only one of them may be given.")
		}
		e.Dimensions = n
	case "encoding_format":
		var s string
		s, err = member.Word(name, raw, "float", "base64")
		e.Base64 = s == "base64"
	case "user":
		e.User, err = member.String(name, raw)
	case "input_type", "task": // as compatible vendors have them
		s, _ := jsonx.String(raw)
		task := readTask(s)
		if task == "" || e.Task != "" {
			return false, nil
		}
		e.Task = task
	case "truncate", "truncation": // a boolean, or Cohere's and NVIDIA's word
		cut, isBool := jsonx.Bool(raw)
		s, _ := jsonx.String(raw)
		switch s = strings.ToLower(s); {
		case e.Truncate != "":
			return false, nil
		case isBool && cut:
			e.Truncate = "end"
		case isBool:
			e.Truncate = "none"
		case s == "none" || s == "start" || s == "end":
			e.Truncate = s
		default:
			return false, nil
		}
	default:
		return false, nil
	}
	return true, err
}

func readInput(e *llm.Embed, raw []byte) error {
	if jsonx.Kind(raw) == '"' {
		s, _ := jsonx.String(raw)
		e.Single, e.Inputs = true, []llm.EmbedInput{{Text: s}}
		return nil
	}
	for i, v := range jsonx.Elements(raw) {
		if i == 0 && jsonx.Kind(v) == '0' {
			tokens, err := readTokens("input", raw)
			e.Single, e.Inputs = true, []llm.EmbedInput{{Tokens: tokens}}
			return err
		}
		in, err := readOne(fmt.Sprintf("input[%d]", i), v)
		if err != nil {
			return err
		}
		e.Inputs = append(e.Inputs, in)
	}
	return nil
}

// readOne reads one input of a list: a text, its tokens, or an object as Jina has it.
func readOne(at string, raw []byte) (in llm.EmbedInput, err error) {
	switch jsonx.Kind(raw) {
	case '"':
		in.Text, _ = jsonx.String(raw)
	case '[':
		in.Tokens, err = readTokens(at, raw)
	case '{':
		return readObject(at, raw)
	default:
		err = member.Wrong(at, "a string or an array of integers", raw)
	}
	return in, err
}

func readObject(at string, raw []byte) (in llm.EmbedInput, err error) {
	n := 0
	for k, v := range jsonx.Members(raw) {
		n++
		switch string(k) {
		case "text":
			in.Text, err = member.String(at+".text", v)
		case "image":
			var s string
			if s, err = member.String(at+".image", v); err == nil {
				in.Media = readImage(s)
			}
		default:
			return in, member.Bad(at+"."+string(k), member.Unknown, "Unknown parameter: '"+at+"."+string(k)+"'.")
		}
		if err != nil {
			return in, err
		}
	}
	if n != 1 {
		return in, member.Bad(at, member.Value, "Invalid '"+at+"': an object must have one of 'text' and 'image'.")
	}
	return in, nil
}

// readImage reads a URL, a data URL, or bare base64.
func readImage(s string) *llm.Media {
	if head, data, found := strings.Cut(s, ","); found && strings.HasPrefix(head, "data:") {
		return &llm.Media{Type: strings.TrimSuffix(strings.TrimPrefix(head, "data:"), ";base64"), Data: data}
	}
	if strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") {
		return &llm.Media{URL: s}
	}
	return &llm.Media{Data: s}
}

func readTokens(at string, raw []byte) ([]int64, error) {
	tokens := []int64{}
	err := member.Each(at, raw, maxTokens, func(_ int, at string, raw []byte) error {
		n, err := member.Int(at, raw, 0, 1<<31-1)
		tokens = append(tokens, n)
		return err
	})
	return tokens, err
}

// WriteRequest appends the body for the target. The same request gives the same bytes.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	e := req.Embed()
	if e == nil {
		return dst, nil, unsupported("", "this operation has no body in %s", name)
	}
	w := requestWriter{dst: dst, form: &c.form, req: req, embed: e, own: req.Extra.Dialect == name}
	model := t.Model
	if model == "" {
		model = req.Model
	}
	w.text("model", model, true)
	if err := w.input(); err != nil {
		return dst, nil, err
	}
	w.members()
	for _, m := range req.Extra.Members {
		if w.own {
			w.dst = append(jsonx.AppendKey(w.dst, m.Name), m.Raw...)
		} else {
			w.lose(m.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
	if w.own && !c.form.plain() && jsonx.Valid(w.dst[len(dst):]) != nil { // the client has a member by both its names
		return dst, nil, member.Bad(w.in("dimensions"), member.Value, "The request says the same thing twice, by OpenAI's name and by that of the model's provider.")
	}
	return w.dst, w.losses, nil
}

type requestWriter struct {
	dst    []byte
	form   *Form
	req    *llm.Request
	embed  *llm.Embed
	own    bool // the request came in this dialect
	losses []llm.Loss
}

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

// in is a member's name in the client's dialect.
func (w *requestWriter) in(name string) string { return member.In(w.req.Extra.Dialect, name) }

func (w *requestWriter) text(name, value string, first bool) {
	if first {
		w.dst = append(w.dst, '{')
	}
	w.dst = jsonx.AppendQuote(jsonx.AppendKey(w.dst, name), value)
}

func (w *requestWriter) input() error {
	w.dst = jsonx.AppendKey(w.dst, "input")
	if w.embed.Single && len(w.embed.Inputs) == 1 && w.embed.Inputs[0].Media == nil {
		return w.one(member.Input(w.req.Extra.Dialect, w.embed, 0), &w.embed.Inputs[0])
	}
	w.dst = append(w.dst, '[')
	for i := range w.embed.Inputs {
		w.dst = jsonx.AppendComma(w.dst)
		if err := w.one(member.Input(w.req.Extra.Dialect, w.embed, i), &w.embed.Inputs[i]); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

func (w *requestWriter) one(at string, in *llm.EmbedInput) error {
	switch {
	case in.Media != nil && in.Text != "":
		return unsupported(at, "This model's provider does not embed a text together with an image.")
	case in.Media != nil && !w.form.Images && !(w.own && w.form.plain()):
		return unsupported(at, "This model's provider embeds no images.")
	case in.Media != nil:
		s := in.Media.URL
		if s == "" {
			if s = in.Media.Data; in.Media.Type != "" {
				s = "data:" + in.Media.Type + ";base64," + in.Media.Data
			}
		}
		w.dst = append(jsonx.AppendQuote(append(w.dst, `{"image":`...), s), '}')
	case in.Tokens != nil && w.form.NoTokens:
		return unsupported(at, "This model's provider embeds text; it does not take tokens.")
	case in.Tokens != nil:
		w.dst = append(w.dst, '[')
		for _, n := range in.Tokens {
			w.dst = strconv.AppendInt(jsonx.AppendComma(w.dst), n, 10)
		}
		w.dst = append(w.dst, ']')
	default:
		w.dst = jsonx.AppendQuote(w.dst, in.Text)
	}
	return nil
}

// members writes what stands beside the input.
func (w *requestWriter) members() {
	e, f := w.embed, w.form
	if e.Dimensions > 0 {
		n := f.Dimensions
		if n == "" {
			n = "dimensions"
		}
		w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, n), e.Dimensions, 10)
	}
	if e.Base64 {
		n := f.Encoding
		if n == "" {
			n = "encoding_format"
		}
		w.text(n, "base64", false)
	}
	w.task()
	w.truncate()
	if e.Title != "" {
		w.lose(w.in("title"), "the dialect has no title of a text")
	}
	switch {
	case e.User == "":
	case f.NoUser:
		w.lose(w.in("user"), "the provider does not take it")
	default:
		w.text("user", e.User, false)
	}
}

func (w *requestWriter) task() {
	e, f := w.embed, w.form
	switch {
	case f.Task == "" && e.Task == "":
	case f.Task == "" && w.own:
		w.text(w.free("input_type", "task"), neutral(e.Task), false)
	case f.Task == "":
		w.lose(w.in("input_type"), "the provider does not ask what vectors are for")
	case f.word(e.Task) != "":
		w.text(f.Task, f.word(e.Task), false)
	default:
		if e.Task != "" {
			w.lose(w.in("input_type"), "the provider has no word for "+e.Task)
		}
		if f.TaskDefault == "" || w.own && w.extra(f.Task) {
			return
		}
		if e.Task == "" {
			w.lose(w.in("input_type"), "not given, and the provider demands it: "+f.TaskDefault+" is sent")
		}
		w.text(f.Task, f.TaskDefault, false)
	}
}

// free returns the first of two names that mean the same and that is not in use for what we do not know.
func (w *requestWriter) free(name, other string) string {
	if w.extra(name) {
		return other
	}
	return name
}

// extra reports whether the client gave a member in words that only the provider knows.
func (w *requestWriter) extra(name string) bool {
	for _, m := range w.req.Extra.Members {
		if m.Name == name {
			return true
		}
	}
	return false
}

func (w *requestWriter) truncate() {
	e, f := w.embed, w.form
	switch {
	case e.Truncate == "":
	case f.TruncateEnd:
		w.text(f.Truncate, strings.ToUpper(e.Truncate), false)
	case f.Truncate == "" && w.own:
		w.text(w.free("truncate", "truncation"), e.Truncate, false)
	case f.Truncate == "":
		w.lose(w.in("truncate"), "the provider decides what becomes of a text that is too long")
	default:
		if e.Truncate == "start" {
			w.lose(w.in("truncate"), "the provider cuts at the end")
		}
		w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, f.Truncate), e.Truncate != "none")
	}
}
