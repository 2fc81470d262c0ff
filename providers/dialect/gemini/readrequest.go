package gemini

import (
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini/oas"
)

// Limits of one tool.
const (
	maxToolText = 64 << 10  // name and description
	maxSchema   = 256 << 10 // a schema
)

// configPrefix leads the names of members of generationConfig among a request's extra members.
const configPrefix = "generationConfig."

// Values of llm.Thinking.Display, as anthropic-messages has them.
const (
	thoughtsShown  = "summarized"
	thoughtsHidden = "omitted"
)

// ReadRequest decodes the whole request. It checks everything that Peek checks.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	head, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	req := &llm.Request{Op: in.Op, Model: head.Model, Stream: head.Stream, Usage: true, Extra: llm.Extra{Dialect: name}}
	if in.Op == llm.OpModels {
		req.Extra = llm.Extra{}
		return req, nil
	}
	if head.Stream && !eventStream(in.Query) {
		req.Form = formArray
	}
	if jsonx.Deeper(in.Body, maxDepth) {
		return nil, bad("", fmt.Sprintf("The request is nested deeper than %d levels.", maxDepth))
	}
	r := requestReader{req: req}
	if in.Op == llm.OpEmbed {
		return req, r.embed(head.Doc)
	}
	r.chat = &llm.Chat{MaxTokens: head.MaxTokens}
	req.Body = r.chat
	body := in.Body
	if inner, found := counted(head.Doc); found && in.Op == llm.OpCount {
		body = inner
	}
	if err := r.members(body); err != nil {
		return nil, err
	}
	r.pair()
	return req, nil
}

// eventStream reports whether a query asks for server-sent events.
func eventStream(query string) bool {
	for q := range strings.SplitSeq(query, "&") {
		if n, v, _ := strings.Cut(q, "="); (n == "alt" || n == "$alt" || strings.EqualFold(n, "%24alt")) && (v == "sse" || strings.HasPrefix(v, "sse;") || strings.HasPrefix(v, "sse%3")) {
			return true
		}
	}
	return false
}

// requestReader decodes one request.
type requestReader struct {
	req  *llm.Request
	chat *llm.Chat
}

func (r *requestReader) extra(name string, raw []byte) {
	if raw != nil {
		r.req.Extra.Members = append(r.req.Extra.Members, llm.Member{Name: name, Raw: raw})
	}
}

// object is an object's members, in the spelling of JSON and without nulls. What is left in it was not read.
type object struct{ members []llm.Member }

// open reads an object's members. Two spellings of one member are an error, as two of the same would be.
func open(at string, raw []byte) (*object, error) {
	if err := wantObject(at, raw); err != nil {
		return nil, err
	}
	o := new(object)
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		k := camel(string(n))
		for _, m := range o.members {
			if m.Name == k {
				return nil, bad(join(at, k), "The member stands there in two spellings.")
			}
		}
		o.members = append(o.members, llm.Member{Name: k, Raw: v})
	}
	return o, nil
}

// take removes a member and returns it, nil where it is absent.
func (o *object) take(name string) []byte {
	for i := range o.members {
		if m := &o.members[i]; m.Name == name {
			v := m.Raw
			o.members = append(o.members[:i], o.members[i+1:]...)
			return v
		}
	}
	return nil
}

// rest returns what was not read, or nil.
func (o *object) rest() []llm.Member {
	if len(o.members) == 0 {
		return nil
	}
	return o.members
}

func (r *requestReader) members(body []byte) error {
	o, err := open("", body)
	if err != nil {
		return err
	}
	o.take("model") // the path says it
	if err := r.system(o.take("systemInstruction")); err != nil {
		return err
	}
	if err := r.contents(o.take("contents")); err != nil {
		return err
	}
	for _, read := range [...]struct {
		name string
		read func(string, []byte) error
	}{
		{"tools", r.tools}, {"toolConfig", r.toolConfig}, {"generationConfig", r.config}, {"labels", r.labels},
	} {
		if v := o.take(read.name); v != nil {
			if err := read.read(read.name, v); err != nil {
				return err
			}
		}
	}
	if v := o.take("serviceTier"); v != nil {
		r.chat.Hints.ServiceTier, _ = jsonx.String(v)
	}
	for _, m := range o.members {
		r.extra(m.Name, m.Raw)
		if m.Name == cachedContent {
			r.bind(m.Name)
		}
	}
	return nil
}

// cachedContent names a prefix of the prompt that the provider keeps.
const cachedContent = "cachedContent"

// bind notes a member without which the answer would mean something else, and which only this dialect has.
func (r *requestReader) bind(member string) {
	if r.req.Bound == "" {
		r.req.Bound = member
	}
}

func (r *requestReader) labels(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	r.chat.Hints.Metadata = raw
	return nil
}

// config reads generationConfig.
func (r *requestReader) config(at string, raw []byte) error {
	o, err := open(at, raw)
	if err != nil {
		return err
	}
	o.take("maxOutputTokens") // Peek has read it
	if err := r.sampling(at, o); err != nil {
		return err
	}
	if v := o.take("candidateCount"); v != nil {
		n, err := wantInt(join(at, "candidateCount"), v, 1)
		if err != nil {
			return err
		}
		r.chat.N = int(n)
	}
	if v := o.take("stopSequences"); v != nil {
		if r.chat.Stop, err = stringList(join(at, "stopSequences"), v); err != nil {
			return err
		}
	}
	if v := o.take("thinkingConfig"); v != nil {
		if err := r.thinking(join(at, "thinkingConfig"), v); err != nil {
			return err
		}
	}
	if err := r.logprobs(at, o); err != nil {
		return err
	}
	if err := r.output(at, o); err != nil {
		return err
	}
	for _, m := range o.members {
		r.extra(configPrefix+m.Name, m.Raw)
		if m.Name == "responseModalities" && !textOnly(m.Raw) || m.Name == "speechConfig" {
			r.bind(configPrefix + m.Name)
		}
	}
	return nil
}

func (r *requestReader) sampling(at string, o *object) (err error) {
	s := &r.chat.Sampling
	for _, f := range [...]struct {
		name      string
		to        **float64
		low, high float64
	}{
		{"temperature", &s.Temperature, 0, 2}, {"topP", &s.TopP, 0, 1},
		{"presencePenalty", &s.PresencePenalty, -2, 2}, {"frequencyPenalty", &s.FrequencyPenalty, -2, 2},
	} {
		if v := o.take(f.name); v != nil {
			if *f.to, err = wantFloat(join(at, f.name), v, f.low, f.high); err != nil {
				return err
			}
		}
	}
	for _, f := range [...]struct {
		name string
		to   **int64
		low  int64
	}{{"topK", &s.TopK, 0}, {"seed", &s.Seed, -1 << 31}} {
		if v := o.take(f.name); v != nil {
			n, err := wantInt(join(at, f.name), v, f.low)
			if err != nil {
				return err
			}
			*f.to = &n
		}
	}
	return nil
}

// textOnly reports whether an answer is to be nothing but text.
func textOnly(modalities []byte) bool {
	for _, m := range jsonx.Elements(modalities) {
		if n, ok := jsonx.Int(m); string(plain(m)) != "TEXT" && (!ok || n != 1) {
			return false
		}
	}
	return true
}

func stringList(at string, raw []byte) (all []string, err error) {
	if err := wantArray(at, raw); err != nil {
		return nil, err
	}
	for i, v := range jsonx.Elements(raw) {
		s, err := wantString(item(at, i), v)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (r *requestReader) logprobs(at string, o *object) error {
	on, top := o.take("responseLogprobs"), o.take("logprobs")
	if on == nil && top == nil {
		return nil
	}
	l := new(llm.Logprobs)
	var err error
	if on != nil {
		if l.On, err = wantBool(join(at, "responseLogprobs"), on); err != nil {
			return err
		}
	}
	if top != nil {
		n, err := wantInt(join(at, "logprobs"), top, 0)
		if err != nil {
			return err
		}
		l.Top = &n
	}
	r.chat.Logprobs = l
	return nil
}

// output reads the form of the answer. A schema counts only beside a type that is JSON.
func (r *requestReader) output(at string, o *object) (err error) {
	out := &r.chat.Output
	kind := o.take("responseMimeType")
	native, schema := o.take("responseSchema"), o.take("responseJsonSchema")
	if schema == nil {
		schema = o.take("_responseJsonSchema")
	}
	if native != nil && schema != nil {
		return bad(join(at, "responseJsonSchema"), "Only one of responseSchema and responseJsonSchema may be given.")
	}
	word := ""
	if kind != nil {
		if word, err = wantString(join(at, "responseMimeType"), kind); err != nil {
			return err
		}
	}
	if native != nil {
		if err := wantObject(join(at, "responseSchema"), native); err != nil {
			return err
		}
	}
	if schema == nil && native != nil && word != "text/x.enum" {
		schema = oas.JSONSchema(native)
	}
	switch {
	case word == "text/x.enum":
		r.bind(configPrefix + "responseMimeType")
		r.extra(configPrefix+"responseMimeType", kind)
		r.extra(configPrefix+"responseSchema", native)
		r.extra(configPrefix+"responseJsonSchema", schema)
	case schema != nil:
		if len(schema) > maxSchema {
			return bad(join(at, "responseSchema"), fmt.Sprintf("The schema is larger than %d bytes.", maxSchema))
		}
		out.Kind, out.Schema = llm.OutputSchema, schema
	case word == "application/json":
		out.Kind = llm.OutputJSON
	case word == "text/plain":
		out.Kind = llm.OutputText
	case kind != nil:
		return bad(join(at, "responseMimeType"), fmt.Sprintf("Unknown type %q.", clip(word)))
	}
	return nil
}

// webSearch is what the search of the web is called in the vocabulary.
const webSearch = "web_search"

// tools reads the entries, each of which holds functions or one or more tools of Google's own.
func (r *requestReader) tools(at string, raw []byte) error {
	for i, entry := range jsonx.Elements(raw) {
		o, err := open(item(at, i), entry)
		if err != nil {
			return err
		}
		for _, m := range o.members {
			path := join(item(at, i), m.Name)
			switch m.Name {
			case "functionDeclarations":
			case "googleSearch", "googleSearchRetrieval": // which others have too, by this name
				r.chat.Tools = append(r.chat.Tools, llm.Tool{Name: m.Name, Native: webSearch, Raw: m.Raw})
				continue
			default:
				r.chat.Tools = append(r.chat.Tools, llm.Tool{Name: m.Name, Native: m.Name, Raw: m.Raw})
				continue
			}
			if err := wantArray(path, m.Raw); err != nil {
				return err
			}
			for j, f := range jsonx.Elements(m.Raw) {
				t, err := readTool(item(path, j), f)
				if err != nil {
					return err
				}
				r.chat.Tools = append(r.chat.Tools, t)
			}
		}
	}
	return nil
}

func readTool(at string, raw []byte) (t llm.Tool, err error) {
	o, err := open(at, raw)
	if err != nil {
		return t, err
	}
	if t.Name, err = wantString(join(at, "name"), o.take("name")); err != nil {
		return t, err
	}
	if d := o.take("description"); d != nil {
		if t.Description, err = wantString(join(at, "description"), d); err != nil {
			return t, err
		}
	}
	native, schema := o.take("parameters"), o.take("parametersJsonSchema")
	switch {
	case native != nil && schema != nil:
		return t, bad(join(at, "parametersJsonSchema"), "Only one of parameters and parametersJsonSchema may be given.")
	case native != nil:
		if err := wantObject(join(at, "parameters"), native); err != nil {
			return t, err
		}
		schema = oas.JSONSchema(native)
	case schema != nil:
		if err := wantObject(join(at, "parametersJsonSchema"), schema); err != nil {
			return t, err
		}
	}
	if len(schema) > maxSchema {
		return t, bad(join(at, "parameters"), fmt.Sprintf("The schema is larger than %d bytes.", maxSchema))
	}
	if len(t.Name)+len(t.Description) > maxToolText {
		e := bad(at, fmt.Sprintf("Name and description are longer than %d bytes.", maxToolText))
		e.Code = llm.CodeTooLarge
		return t, e
	}
	t.Schema, t.Extra = schema, o.rest()
	return t, nil
}

// validated is the mode in which the model is free to call, and calls keep to their schemas.
const validated = "VALIDATED"

func (r *requestReader) toolConfig(at string, raw []byte) error {
	o, err := open(at, raw)
	if err != nil {
		return err
	}
	calling := o.take("functionCallingConfig")
	for _, m := range o.members {
		r.extra(join(at, m.Name), m.Raw)
	}
	if calling == nil {
		return nil
	}
	at = join(at, "functionCallingConfig")
	if o, err = open(at, calling); err != nil {
		return err
	}
	mode := o.take("mode")
	word := string(plain(mode))
	if n, ok := jsonx.Int(mode); ok && n >= 0 && n < 5 {
		word = [...]string{"", "AUTO", "ANY", "NONE", validated}[n]
	}
	c := &r.chat.Choice
	if v := o.take("allowedFunctionNames"); v != nil {
		if c.Names, err = stringList(join(at, "allowedFunctionNames"), v); err != nil {
			return err
		}
	}
	switch word = strings.ToUpper(word); {
	case word == "" || word == "MODE_UNSPECIFIED":
		c.Names = nil
	case word == "NONE":
		c.Mode, c.Names = llm.ChoiceNone, nil
	case word == "ANY" && len(c.Names) == 1:
		c.Mode = llm.ChoiceOne
	case word == "ANY" && len(c.Names) > 1:
		c.Mode = llm.ChoiceSomeAny
	case word == "ANY":
		c.Mode = llm.ChoiceAny
	case (word == "AUTO" || word == validated) && len(c.Names) > 0:
		c.Mode = llm.ChoiceSomeAuto
	case word == "AUTO":
		c.Mode = llm.ChoiceAuto
	case word == validated:
		c.Mode = llm.ChoiceAuto
		r.extra(join(at, "mode"), mode)
	default:
		return bad(join(at, "mode"), "The value must be AUTO, ANY, NONE or VALIDATED.")
	}
	for _, m := range o.members {
		r.extra(join(at, m.Name), m.Raw)
	}
	return nil
}
