package anthropicmessages

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/claude"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

const maxMarks = 4 // cache marks in one request

// WriteRequest appends the body for the target. The same request gives the same bytes. A request of this
// dialect is written as it stands, but for what the target's facts say it would refuse.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	req, lost := fit.Functions(req)
	w := requestWriter{
		dst: dst, req: req, chat: req.Chat(), t: t, own: req.Extra.Dialect == name, losses: lost,
	}
	if w.chat == nil {
		return dst, nil, &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "only chats can be written"}
	}
	if err := w.body(); err != nil {
		return dst, nil, err
	}
	return w.dst, w.losses, nil
}

// requestWriter writes one request.
type requestWriter struct {
	dst    []byte
	req    *llm.Request
	chat   *llm.Chat
	t      dialect.Target
	own    bool // the request came in this dialect
	losses []llm.Loss
	ids    map[string]string // of calls that need another id here
	marks  int               // cache marks written
	trick  string            // the tool that stands for the answer's schema, "" when none does
	think  claude.Thinking
	max    int64 // max_tokens
}

func (w *requestWriter) body() error {
	if w.chat.N > 1 {
		return w.refuse("n", "This model's provider gives one answer to a request; n must be 1.")
	}
	w.trick = w.needsTrick()
	if o := &w.chat.Output; o.Kind == llm.OutputSchema && o.Schema != nil && w.trick == "" && w.schema() == nil {
		w.lose(w.member("output_config.format", "response_format"), "the model holds to no schema; the forced call is the answer")
	}
	if err := w.decide(); err != nil {
		return err
	}
	if !w.own {
		w.ids = fit.IDs(w.chat, maxID)
	}
	w.dst = append(w.dst, '{')
	w.dst = jsonx.AppendText(w.dst, "model", w.t.Model)
	if !w.count() {
		w.dst = number(w.dst, "max_tokens", w.max)
		if w.req.Stream {
			w.dst = raw(w.dst, "stream", []byte("true"))
		}
	}
	for _, write := range [...]func() error{w.tools, w.choice, w.system, w.messages} {
		if err := write(); err != nil {
			return err
		}
	}
	w.options()
	if err := w.extras(); err != nil {
		return err
	}
	w.dst = append(w.dst, '}')
	return nil
}

// count reports whether the request's tokens are to be counted, no more. The API refuses there what does not change
// their number.
func (w *requestWriter) count() bool { return w.req.Op == llm.OpCount }

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

func (w *requestWriter) refuse(path, message string) error {
	return &llm.Error{
		Code: llm.CodeUnsupported, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Message: message, Reason: "unsupported_parameter",
	}
}

func (w *requestWriter) invalid(path, message string) error {
	return &llm.Error{Code: llm.CodeInvalid, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Message: message, Reason: "invalid_value"}
}

// unknown reports whether nothing is known of the target's model.
func (w *requestWriter) unknown() bool { return claude.Unknown(&w.t.Facts) }

// member picks a member's name in the client's dialect, for losses and errors.
func (w *requestWriter) member(own, other string) string {
	if w.own {
		return own
	}
	return other
}

// index is a path's next step, in the spelling of the client's dialect.
func (w *requestWriter) index(at string, i int) string {
	if w.own {
		return item(at, i)
	}
	return fmt.Sprintf("%s[%d]", at, i)
}

// cache writes a cache mark into the open object.
func (w *requestWriter) cache(m *llm.CacheMark, at string) {
	switch {
	case m == nil:
	case w.marks >= maxMarks && !w.own:
		w.lose(at+".cache_control", fmt.Sprintf("the provider takes at most %d cache marks", maxMarks))
	default:
		w.marks++
		w.dst = append(jsonx.AppendKey(w.dst, "cache_control"), `{"type":"ephemeral"`...)
		if m.TTL != "" {
			w.dst = jsonx.AppendText(w.dst, "ttl", m.TTL)
		}
		w.dst = append(w.dst, '}')
	}
}

// rest writes members that are of this dialect, and records the loss of others.
func (w *requestWriter) rest(members []llm.Member, at string) {
	for _, m := range members {
		if w.own {
			w.dst = raw(w.dst, m.Name, m.Raw)
		} else {
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		}
	}
}

func (w *requestWriter) tools() error {
	search := w.webSearch()
	allowed, err := w.allowed()
	if err != nil {
		return err
	}
	if len(w.chat.Tools) == 0 && w.trick == "" && search == nil {
		return nil
	}
	w.dst = append(jsonx.AppendKey(w.dst, "tools"), '[')
	for i := range w.chat.Tools {
		t := &w.chat.Tools[i]
		if allowed != nil && !slices.Contains(allowed, t.Name) {
			continue
		}
		if err := w.tool(t, w.index("tools", i)); err != nil {
			return err
		}
	}
	if search != nil {
		w.dst = append(jsonx.AppendComma(w.dst), search...)
	}
	if w.trick != "" {
		o := &w.chat.Output
		w.dst = append(jsonx.AppendComma(w.dst), '{')
		w.dst = jsonx.AppendText(w.dst, "name", w.trick)
		description := "Give the answer by calling this tool, once."
		if o.Description != "" {
			description += " " + o.Description
		}
		w.dst = jsonx.AppendText(w.dst, "description", description)
		w.dst = raw(w.dst, "input_schema", fit.ObjectSchema(o.Schema))
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, ']')
	return nil
}

// allowed returns the names of the tools to send where only some may be called, and nil for all.
func (w *requestWriter) allowed() ([]string, error) {
	c := w.chat.Choice
	if c.Mode != llm.ChoiceSomeAuto && c.Mode != llm.ChoiceSomeAny {
		return nil, nil
	}
	for _, n := range c.Names {
		if !slices.ContainsFunc(w.chat.Tools, func(t llm.Tool) bool { return t.Name == n }) {
			return nil, w.invalid("tool_choice", fmt.Sprintf("The allowed tool %q is not among the tools.", clip(n)))
		}
	}
	if len(c.Names) == 0 {
		return nil, w.invalid("tool_choice", "The list of allowed tools is empty.")
	}
	return c.Names, nil
}

func (w *requestWriter) tool(t *llm.Tool, at string) error {
	if t.Native != "" {
		if from := dialect.Name(w.req.Extra.Dialect); (from == dialect.OpenAIResponses || from == dialect.Gemini) && searches(t.Native) {
			w.dst = append(jsonx.AppendComma(w.dst), w.search(t.Raw, at)...)
			return nil
		}
		if !w.own {
			return w.refuse(at, fmt.Sprintf("The tool type %q has no equal at this model's provider.", clip(t.Native)))
		}
		w.dst = append(jsonx.AppendComma(w.dst), t.Raw...)
		return nil
	}
	w.dst = append(jsonx.AppendComma(w.dst), '{')
	wire := w.toolName(t.Name)
	if wire != t.Name {
		w.lose(at+".function.name", fmt.Sprintf("the provider takes letters, digits, _ and - in the name of a tool, at most %d; %q is sent", maxName, wire))
	}
	w.dst = jsonx.AppendText(w.dst, "name", wire)
	if t.Description != "" {
		w.dst = jsonx.AppendText(w.dst, "description", t.Description)
	}
	schema := t.Schema
	if !w.own {
		schema = fit.ObjectSchema(schema)
	}
	w.dst = raw(w.dst, "input_schema", schema)
	switch {
	case t.Strict == nil:
	case w.own:
		w.dst = raw(w.dst, "strict", fmt.Append(nil, *t.Strict))
	case !*t.Strict: // which is the default
	case w.t.Facts.JSONSchema:
		w.dst = raw(w.dst, "strict", []byte("true"))
	default:
		w.lose(at+".function.strict", "the model does not hold to the schema of a tool strictly")
	}
	w.cache(t.Cache, at)
	w.rest(t.Extra, at)
	w.dst = append(w.dst, '}')
	return nil
}

// toolName returns a tool's name as the wire carries it. The Reader turns it back.
func (w *requestWriter) toolName(n string) string {
	if w.own {
		return n
	}
	return wireName(n)
}

func (w *requestWriter) choice() error {
	c := w.chat.Choice
	tools := len(w.chat.Tools) > 0
	kind, one := "", ""
	switch c.Mode {
	case llm.ChoiceAuto, llm.ChoiceSomeAuto:
		kind = "auto"
	case llm.ChoiceNone:
		kind = "none"
	case llm.ChoiceAny, llm.ChoiceSomeAny:
		kind = "any"
	case llm.ChoiceOne:
		if len(c.Names) == 0 {
			return w.invalid("tool_choice", "The choice names no tool.")
		}
		kind, one = "tool", w.toolName(c.Names[0])
	}
	at := w.member("tool_choice.disable_parallel_tool_use", "parallel_tool_calls")
	off := w.chat.Parallel != nil && !*w.chat.Parallel
	switch {
	case w.trick != "" && (!tools || kind == "none"):
		kind, one, off = "tool", w.trick, true
	case w.trick != "":
		kind = "any"
	case !tools && !w.own:
		if kind == "any" || kind == "tool" {
			return w.invalid("tool_choice", "A tool must be called, but there are no tools.")
		}
		if off {
			w.lose(at, "there are no tools")
		}
		return nil
	case kind == "" && off:
		kind = "auto"
	}
	if kind == "" {
		return nil
	}
	w.dst = append(jsonx.AppendKey(w.dst, "tool_choice"), '{')
	w.dst = jsonx.AppendText(w.dst, "type", kind)
	if one != "" {
		w.dst = jsonx.AppendText(w.dst, "name", one)
	}
	switch {
	case off && (kind != "none" || w.own):
		w.dst = raw(w.dst, "disable_parallel_tool_use", []byte("true"))
	case w.own && w.chat.Parallel != nil:
		w.dst = raw(w.dst, "disable_parallel_tool_use", []byte("false"))
	}
	w.dst = append(w.dst, '}')
	return nil
}

// webSearch returns the tool that stands for openai-chat's web_search_options, or nil.
func (w *requestWriter) webSearch() []byte {
	options := w.foreign("web_search_options")
	if jsonx.Kind(options) != '{' {
		return nil
	}
	return w.search(options, "web_search_options")
}

// searches reports whether a tool is the search of the web of openai-responses, which gemini's is called too.
func searches(kind string) bool { return kind == "web_search" || kind == "web_search_preview" }

// search returns the tool that stands for OpenAI's search of the web with some options.
func (w *requestWriter) search(options []byte, at string) []byte {
	b := []byte(`{"type":"web_search_20250305","name":"web_search"`)
	for n, v := range jsonx.Members(options) {
		where := v
		if a := jsonx.Get(v, "approximate"); a != nil {
			where = a
		}
		switch domains := jsonx.Get(v, "allowed_domains"); {
		case jsonx.IsNull(v), string(n) == "type":
		case string(n) == "user_location" && jsonx.Kind(where) == '{':
			b = append(jsonx.AppendKey(b, "user_location"), `{"type":"approximate"`...)
			for k, place := range jsonx.Members(where) {
				if !jsonx.IsNull(place) && string(k) != "type" {
					b = raw(b, string(k), place)
				}
			}
			b = append(b, '}')
		case string(n) == "filters" && jsonx.Kind(domains) == '[':
			b = raw(b, "allowed_domains", domains)
		default:
			w.lose(at+"."+string(n), "the provider's search has no such option")
		}
	}
	return append(b, '}')
}

// foreign returns a member that another dialect read and had no word for.
func (w *requestWriter) foreign(name string) []byte {
	if w.own {
		return nil
	}
	for _, m := range w.req.Extra.Members {
		if m.Name == name {
			return m.Raw
		}
	}
	return nil
}

// extras writes what this dialect's reader had no word for, and settles what another's had none for.
func (w *requestWriter) extras() error {
	for _, m := range w.req.Extra.Members {
		if w.own && w.count() && uncounted(m.Name) {
			continue
		}
		if w.own {
			w.merge(m)
			continue
		}
		switch m.Name {
		case "web_search_options": // written as a tool
			if jsonx.Kind(m.Raw) == '{' {
				continue
			}
		case "modalities":
			for _, v := range jsonx.Elements(m.Raw) {
				if string(plain(v)) == "audio" {
					return w.refuse(m.Name, "This model's provider does not answer with audio.")
				}
			}
		case "audio":
			return w.refuse(m.Name, "This model's provider does not answer with audio.")
		}
		if !jsonx.IsNull(m.Raw) {
			w.lose(m.Name, "the dialect does not know the member")
		}
	}
	return nil
}

// uncounted reports whether the API refuses a member where tokens are counted.
func uncounted(name string) bool {
	return name == "metadata" || name == "inference_geo" || name == "speed"
}

// merge writes a member of this dialect. Of some objects only the rest is left, which goes back among the
// members that we have words for, at the place where it was read.
func (w *requestWriter) merge(m llm.Member) {
	fields, ours := w.fields(m.Name)
	if !ours {
		w.dst = raw(w.dst, m.Name, m.Raw)
		return
	}
	if m.Name == "thinking" && len(fields) == 0 {
		for n := range jsonx.Members(m.Raw) {
			w.lose("thinking."+string(n), "the model is not asked to reason")
		}
		return
	}
	w.dst = append(jsonx.AppendKey(w.dst, m.Name), '{')
	w.dst = append(w.dst, fields...)
	for n, v := range jsonx.Members(m.Raw) {
		w.dst = raw(w.dst, string(n), v)
	}
	w.dst = append(w.dst, '}')
}

// options writes the objects and scalars that steer the model.
func (w *requestWriter) options() {
	for _, n := range [...]string{"thinking", "output_config", "metadata"} {
		if n == "metadata" && w.count() {
			return
		}
		fields, _ := w.fields(n)
		left := w.own && slices.ContainsFunc(w.req.Extra.Members, func(m llm.Member) bool { return m.Name == n })
		if len(fields) > 0 && !left {
			w.dst = append(append(append(jsonx.AppendKey(w.dst, n), '{'), fields...), '}')
		}
	}
	w.sampling()
	w.stop()
	w.hints()
}

func (w *requestWriter) stop() {
	kept := make([]string, 0, len(w.chat.Stop))
	for i, s := range w.chat.Stop {
		if strings.TrimSpace(s) == "" && !w.own {
			w.lose(w.index("stop", i), "the provider refuses a stop sequence that is blank")
			continue
		}
		kept = append(kept, s)
	}
	if len(kept) == 0 {
		return
	}
	w.dst = append(jsonx.AppendKey(w.dst, "stop_sequences"), '[')
	for _, s := range kept {
		w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), s)
	}
	w.dst = append(w.dst, ']')
}
