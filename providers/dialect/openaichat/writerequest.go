package openaichat

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// maxStop is how many stop sequences the dialect takes.
const maxStop = 4

// WriteRequest appends the body for the target. The same request gives the same bytes.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	chat := req.Chat()
	if chat == nil {
		return dst, nil, &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "this operation has no body in " + name}
	}
	w := requestWriter{dst: dst, req: req, chat: chat, t: t, own: req.Extra.Dialect == name}
	if w.t.Model == "" {
		w.t.Model = req.Model
	}
	w.dst = append(w.dst, '{')
	w.text("model", w.t.Model)
	for _, step := range [...]func() error{w.messages, w.tools, w.choice, w.output, w.thinking, w.limits} {
		if err := step(); err != nil {
			return dst, nil, err
		}
	}
	w.sampling()
	w.hints()
	w.stream()
	w.extras()
	return append(w.dst, '}'), w.losses, nil
}

// requestWriter writes one request.
type requestWriter struct {
	dst     []byte
	req     *llm.Request
	chat    *llm.Chat
	t       dialect.Target
	own     bool // the request came in this dialect
	losses  []llm.Loss
	pending []media // of tool results, for the next user message
	lead    string  // system text for the first user message, where the model takes no system message
}

func (w *requestWriter) key(name string) { w.dst = key(w.dst, name) }

func (w *requestWriter) text(name, value string) { w.dst = text(w.dst, name, value) }

func (w *requestWriter) raw(name string, raw []byte) { w.dst = append(key(w.dst, name), raw...) }

func (w *requestWriter) int(name string, n int64) { w.dst = strconv.AppendInt(key(w.dst, name), n, 10) }

func (w *requestWriter) bool(name string, b *bool) {
	if b != nil {
		w.dst = strconv.AppendBool(key(w.dst, name), *b)
	}
}

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: path, Why: why})
}

func (w *requestWriter) refuse(path, message string) error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Param: path, Message: message, Reason: "unsupported_parameter"}
}

// member picks a member's name in the client's dialect, for losses and errors.
func (w *requestWriter) member(own, anthropic string) string {
	if w.req.Extra.Dialect == string(dialect.AnthropicMessages) {
		return anthropic
	}
	return own
}

func (w *requestWriter) tools() error {
	if len(w.chat.Tools) == 0 {
		return nil
	}
	old := w.deprecated()
	if old {
		w.key("functions")
	} else {
		w.key("tools")
	}
	w.dst = append(w.dst, '[')
	for i := range w.chat.Tools {
		t := &w.chat.Tools[i]
		at := fmt.Sprintf("tools[%d]", i)
		w.dst = comma(w.dst)
		switch {
		case t.Native != "" && !w.own:
			return w.refuse(at, fmt.Sprintf("The tool type %q has no equal at this model's provider.", t.Native))
		case t.Native != "":
			w.dst = append(w.dst, t.Raw...)
		case old:
			w.function(t)
		default:
			w.dst = append(w.dst, `{"type":"function","function":`...)
			w.function(t)
			w.toolRest(t, at)
			w.dst = append(w.dst, '}')
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

// deprecated reports whether the tools came as functions.
func (w *requestWriter) deprecated() bool { return w.own && usesFunctions(w.chat) }

// usesFunctions reports whether a request has functions, the form before tools.
func usesFunctions(c *llm.Chat) bool {
	return c != nil && len(c.Tools) > 0 && c.Tools[0].Native == "" && string(c.Tools[0].Raw) == deprecated
}

func (w *requestWriter) function(t *llm.Tool) {
	w.dst = append(w.dst, '{')
	w.text("name", w.toolName(t.Name))
	if t.Description != "" {
		w.text("description", t.Description)
	}
	if t.Schema != nil {
		w.raw("parameters", t.Schema)
	}
	w.bool("strict", t.Strict)
	for _, m := range t.Extra {
		if n, inside := strings.CutPrefix(m.Name, inFunction); inside && w.own {
			w.raw(n, m.Raw)
		}
	}
	w.dst = append(w.dst, '}')
}

func (w *requestWriter) toolRest(t *llm.Tool, at string) {
	if t.Cache != nil {
		if w.own {
			w.cache(t.Cache)
		} else {
			w.lose(at+".cache_control", "the dialect has no cache marks")
		}
	}
	for _, m := range t.Extra {
		switch {
		case !w.own:
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		case !strings.HasPrefix(m.Name, inFunction):
			w.raw(m.Name, m.Raw)
		}
	}
}

func (w *requestWriter) cache(m *llm.CacheMark) {
	w.key("cache_control")
	w.dst = append(w.dst, `{"type":"ephemeral"`...)
	if m.TTL != "" {
		w.text("ttl", m.TTL)
	}
	w.dst = append(w.dst, '}')
}

// toolName returns a tool's name as the wire carries it: names of this dialect as they are, others made to
// fit [a-zA-Z0-9_-]{1,64}, always in the same way. A reader of the answer turns it back.
func (w *requestWriter) toolName(n string) string {
	if w.own {
		return n
	}
	return wireName(n)
}

func wireName(n string) string {
	fits := len(n) > 0 && len(n) <= 64
	clean := []byte(n)
	for i, c := range clean {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			clean[i], fits = '_', false
		}
	}
	if fits {
		return n
	}
	h := fnv.New32a()
	h.Write([]byte(n)) //nolint:errcheck // a hash never fails
	return fmt.Sprintf("%s_%08x", clean[:min(len(clean), 55)], h.Sum32())
}

func (w *requestWriter) choice() error {
	c := w.chat.Choice
	if w.chat.Parallel != nil {
		if len(w.chat.Tools) > 0 || w.own {
			w.bool("parallel_tool_calls", w.chat.Parallel)
		} else {
			w.lose(w.member("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"), "there are no tools")
		}
	}
	if c.Mode == llm.ChoiceUnset {
		return nil
	}
	member, old := "tool_choice", w.deprecated()
	if old {
		member = "function_call"
	}
	switch c.Mode {
	case llm.ChoiceAuto, llm.ChoiceNone:
		if len(w.chat.Tools) == 0 && !w.own {
			return nil // the API refuses a choice without tools, and this is its default
		}
		w.text(member, map[llm.ChoiceMode]string{llm.ChoiceAuto: "auto", llm.ChoiceNone: "none"}[c.Mode])
	case llm.ChoiceAny:
		w.text(member, "required")
	case llm.ChoiceOne:
		if len(c.Names) == 0 {
			return &llm.Error{Code: llm.CodeInvalid, Param: "tool_choice", Message: "tool_choice names no tool"}
		}
		w.key(member)
		if old {
			w.dst = append(w.dst, '{')
			w.text("name", c.Names[0])
			w.dst = append(w.dst, '}')
		} else {
			w.named(c.Names[0])
		}
	default:
		w.key(member)
		mode := "auto"
		if c.Mode == llm.ChoiceSomeAny {
			mode = "required"
		}
		w.dst = append(w.dst, `{"type":"allowed_tools","allowed_tools":{"mode":"`+mode+`","tools":[`...)
		for _, n := range c.Names {
			w.dst = comma(w.dst)
			w.named(n)
		}
		w.dst = append(w.dst, "]}}"...)
	}
	return nil
}

// named appends the reference to one tool.
func (w *requestWriter) named(n string) {
	kind := "function"
	for i := range w.chat.Tools {
		if t := &w.chat.Tools[i]; t.Name == n && t.Native == "custom" {
			kind = t.Native
		}
	}
	w.dst = append(w.dst, `{"type":"`+kind+`","`+kind+`":{`...)
	w.text("name", w.toolName(n))
	w.dst = append(w.dst, "}}"...)
}

func (w *requestWriter) output() error {
	o := w.chat.Output
	switch o.Kind {
	case llm.OutputText:
		w.raw("response_format", []byte(`{"type":"text"}`))
	case llm.OutputJSON:
		w.raw("response_format", []byte(`{"type":"json_object"}`))
	case llm.OutputSchema:
		w.key("response_format")
		w.dst = append(w.dst, `{"type":"json_schema","json_schema":{`...)
		if o.Name == "" {
			o.Name = defaultFormat
		}
		w.text("name", wireName(o.Name))
		if o.Description != "" {
			w.text("description", o.Description)
		}
		if o.Schema != nil {
			w.raw("schema", o.Schema)
		}
		if o.Strict == nil && !w.own && strictSchema(o.Schema) {
			strict := true
			o.Strict = &strict
		}
		w.bool("strict", o.Strict)
		w.dst = append(w.dst, "}}"...)
	}
	return nil
}

// strictSchema reports whether a schema fits strict mode as far as its objects go: each closed, with every
// property required.
func strictSchema(raw []byte) bool {
	if jsonx.Kind(raw) == '[' {
		for _, v := range jsonx.Elements(raw) {
			if !strictSchema(v) {
				return false
			}
		}
		return true
	}
	if jsonx.Kind(raw) != '{' {
		return true
	}
	var required []string
	for _, v := range jsonx.Elements(jsonx.Get(raw, "required")) {
		s, _ := jsonx.String(v)
		required = append(required, s)
	}
	properties := jsonx.Get(raw, "properties")
	if open, said := jsonx.Bool(jsonx.Get(raw, "additionalProperties")); (open || !said) &&
		(properties != nil || string(plain(jsonx.Get(raw, "type"))) == "object") {
		return false
	}
	for n, v := range jsonx.Members(properties) {
		if !slices.Contains(required, string(n)) || !strictSchema(v) {
			return false
		}
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "items", "anyOf", "allOf", "oneOf":
			if !strictSchema(v) {
				return false
			}
		case "$defs", "definitions":
			for _, d := range jsonx.Members(v) {
				if !strictSchema(d) {
					return false
				}
			}
		}
	}
	return true
}
