package bedrockconverse

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/claude"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// What the service takes: names and ids of letters, digits, _ and -.
const (
	maxName  = 64
	maxMarks = 4 // cache marks in one request
)

// wireName returns the name under which a tool of another dialect is sent.
func wireName(n string) string { return fit.Name(n, maxName) }

// WriteRequest appends the body for the target. The same request gives the same bytes. A request of this dialect is
// written as it stands.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	req, lost := fit.Functions(req)
	w := requestWriter{dst: dst, req: req, chat: req.Chat(), t: t, family: familyOf(t), own: req.Extra.Dialect == name, losses: lost}
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
	family family
	own    bool // the request came in this dialect
	losses []llm.Loss
	ids    map[string]string // of calls that need another id here
	marks  int               // cache marks written
	docs   map[string]bool   // names of documents written
	trick  string            // the tool that stands for the answer's schema, "" when none does
	told   *claude.Told
}

func (w *requestWriter) body() error {
	count := w.req.Op == llm.OpCount
	switch {
	case w.chat.N > 1:
		return w.refuse("n", "This model's provider gives one answer to a request; n must be 1.")
	case count && w.own && w.extra("invokeModel") != nil:
		w.dst = append(jsonx.AppendKey(append(w.dst, `{"input":{`...), "invokeModel"), w.extra("invokeModel")...)
		w.dst = append(w.dst, "}}"...)
		return nil
	}
	w.trick = w.needsTrick()
	if err := w.decide(); err != nil {
		return err
	}
	if !w.own {
		w.ids = fit.IDs(w.chat, maxName)
	}
	w.dst = append(w.dst, '{')
	if count {
		w.dst = append(w.dst, `"input":{"converse":{`...)
	}
	for _, write := range [...]func() error{w.messages, w.system, w.toolConfig} {
		if err := write(); err != nil {
			return err
		}
	}
	if !count {
		if err := w.inference(); err != nil {
			return err
		}
		w.output()
		w.hints()
	}
	w.fields()
	if err := w.extras(); err != nil {
		return err
	}
	w.dst = append(w.dst, '}')
	if count {
		w.dst = append(w.dst, "}}"...)
	}
	return nil
}

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

// in is a member's name in the client's dialect.
func (w *requestWriter) in(name string) string { return member.In(w.req.Extra.Dialect, name) }

func (w *requestWriter) refuse(path, message string) error {
	return &llm.Error{
		Code: llm.CodeUnsupported, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Message: message, Reason: "unsupported_parameter",
	}
}

func (w *requestWriter) invalid(path, message string) error {
	return &llm.Error{Code: llm.CodeInvalid, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Message: message, Reason: member.Value}
}

// member picks a member's name in the client's dialect, for losses and errors.
func (w *requestWriter) member(own, other string) string {
	if w.own {
		return own
	}
	return other
}

// extra returns what is left of a member of this dialect that the reader had no word for.
func (w *requestWriter) extra(name string) []byte {
	if w.own {
		for _, m := range w.req.Extra.Members {
			if m.Name == name {
				return m.Raw
			}
		}
	}
	return nil
}

// rest writes what is left of an object into the open one.
func (w *requestWriter) rest(name string) {
	for n, v := range jsonx.Members(w.extra(name)) {
		w.dst = append(jsonx.AppendKey(w.dst, string(n)), v...)
	}
}

// object writes a member whose value is an object, unless nothing is in it.
func (w *requestWriter) object(name string, fill func()) {
	from := len(w.dst)
	w.dst = append(jsonx.AppendKey(w.dst, name), '{')
	empty := len(w.dst)
	fill()
	if len(w.dst) == empty {
		w.dst = w.dst[:from]
		return
	}
	w.dst = append(w.dst, '}')
}

// needsTrick returns the name of the tool that must stand for the answer's schema, or "".
func (w *requestWriter) needsTrick() string {
	o := &w.chat.Output
	if o.Kind != llm.OutputSchema || o.Schema == nil || w.own || w.takesSchema() || !w.family.choice {
		return ""
	}
	switch w.chat.Choice.Mode {
	case llm.ChoiceOne, llm.ChoiceAny, llm.ChoiceSomeAny:
		return "" // the answer will be the call that the client forces, and no text
	}
	return outputTool(w.chat)
}

// takesSchema reports whether the model takes a schema for its answer.
func (w *requestWriter) takesSchema() bool {
	if w.family.asks == asksClaude {
		return w.t.Facts.JSONSchema
	}
	return w.family.schema
}

// outputTool is the name of the tool that stands for the answer's schema: one that no tool of the client has. The
// Reader finds it by the same rule.
func outputTool(c *llm.Chat) string {
	n := "json_output"
	for slices.ContainsFunc(c.Tools, func(t llm.Tool) bool { return wireName(t.Name) == n }) {
		n += "_"
	}
	return n
}

// decide settles Claude's reasoning and the output limit, which hang together. What came in this dialect stands.
func (w *requestWriter) decide() (err error) {
	if w.family.asks != asksClaude || w.own {
		return nil
	}
	w.told, err = claude.Decide(&claude.Ask{
		Chat: w.chat, Facts: &w.t.Facts, Seals: name, Forced: w.trick != "",
		Names: claude.Names{Thinking: member.Thinking(w.req.Extra.Dialect, w.chat.Thinking), Effort: member.Thinking(w.req.Extra.Dialect, w.chat.Thinking), Max: w.in("max_completion_tokens"), Format: w.in("response_format")},
	})
	if e, ok := errors.AsType[*llm.Error](err); ok {
		e.Param = member.Path(&w.req.Extra, e.Param)
		return e
	} else if err != nil {
		return err
	}
	for _, l := range w.told.Losses {
		w.lose(l.Path, l.Why)
	}
	return nil
}

func (w *requestWriter) toolConfig() error {
	c := &w.chat.Choice
	allowed, err := w.allowed()
	if err != nil {
		return err
	}
	made := w.historyNames()
	if c.Mode == llm.ChoiceNone && !w.own {
		if len(made) == 0 && w.trick == "" {
			for i := range w.chat.Tools {
				w.lose(item(w.in("tools"), i), "no tool may be called, so none is sent")
			}
			return nil
		}
		if len(w.chat.Tools) > 0 {
			w.lose("tool_choice", "the provider cannot forbid tools where the conversation has calls of them")
		}
	}
	if len(w.chat.Tools) > 0 || w.own {
		made = nil
	}
	if len(w.chat.Tools) == 0 && len(made) == 0 && w.trick == "" && w.extra("toolConfig") == nil {
		if !w.own && (c.Mode == llm.ChoiceAny || c.Mode == llm.ChoiceOne) {
			return w.invalid("tool_choice", "A tool must be called, but there are no tools.")
		}
		return nil
	}
	w.dst = append(jsonx.AppendKey(w.dst, "toolConfig"), `{"tools":[`...)
	for i := range w.chat.Tools {
		t := &w.chat.Tools[i]
		if allowed != nil && !slices.Contains(allowed, t.Name) {
			continue
		}
		if err := w.tool(t, item(w.in("tools"), i)); err != nil {
			return err
		}
	}
	for _, n := range made { // the service refuses calls in a conversation whose tools it is not told
		w.dst = append(jsonx.AppendComma(w.dst), `{"toolSpec":{`...)
		w.dst = append(jsonx.AppendText(w.dst, "name", n), `,"inputSchema":{"json":{"type":"object","properties":{}}}}}`...)
	}
	w.trickTool()
	w.dst = append(w.dst, ']')
	w.choice()
	w.rest("toolConfig")
	w.dst = append(w.dst, '}')
	return nil
}

// trickTool writes the tool that stands for the answer's schema.
func (w *requestWriter) trickTool() {
	if w.trick == "" {
		return
	}
	o := &w.chat.Output
	description := "Give the answer by calling this tool, once."
	if o.Description != "" {
		description += " " + o.Description
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"toolSpec":{`...)
	w.dst = jsonx.AppendText(w.dst, "name", w.trick)
	w.dst = jsonx.AppendText(w.dst, "description", description)
	w.dst = append(append(append(w.dst, `,"inputSchema":{"json":`...), fit.ObjectSchema(o.Schema)...), "}}}"...)
}

// historyNames returns the names of tools that were called, as the wire carries them, in order.
func (w *requestWriter) historyNames() (names []string) {
	for i := range w.chat.Turns {
		for j := range w.chat.Turns[i].Parts {
			p := &w.chat.Turns[i].Parts[j]
			if p.Kind != llm.PartCall {
				continue
			}
			if n := w.toolName(p.Call.Name); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
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

// toolName returns a tool's name as the wire carries it. The Reader turns it back.
func (w *requestWriter) toolName(n string) string {
	if w.own {
		return n
	}
	return wireName(n)
}

func (w *requestWriter) tool(t *llm.Tool, at string) error {
	if t.Native != "" {
		if !w.own {
			return w.refuse(at, fmt.Sprintf("The tool type %q has no equal at this model's provider.", clip(t.Native)))
		}
		w.dst = append(jsonx.AppendComma(w.dst), t.Raw...)
		return nil
	}
	wire := w.toolName(t.Name)
	if wire != t.Name {
		w.lose(at+".function.name", fmt.Sprintf("the provider takes letters, digits, _ and - in the name of a tool, at most %d; %q is sent", maxName, wire))
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"toolSpec":{`...)
	w.dst = jsonx.AppendText(w.dst, "name", wire)
	if d := t.Description; d != "" && (w.own || !blank(d)) {
		w.dst = jsonx.AppendText(w.dst, "description", d)
	}
	schema := t.Schema
	if !w.own {
		schema = fit.ObjectSchema(schema)
	}
	w.dst = append(append(append(w.dst, `,"inputSchema":{"json":`...), schema...), '}')
	switch {
	case t.Strict == nil, !w.own && !*t.Strict:
	case w.own || w.takesSchema():
		w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, "strict"), *t.Strict)
	default:
		w.lose(at+".function.strict", "the model does not hold to the schema of a tool strictly")
	}
	for _, m := range t.Extra {
		if w.own {
			w.dst = append(jsonx.AppendKey(w.dst, m.Name), m.Raw...)
		} else {
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, "}}"...)
	if t.Cache != nil && !w.own && !w.family.tools {
		w.lose(at+".cache_control", "the model does not cache tools")
		return nil
	}
	w.cache(t.Cache, at)
	return nil
}

// cache writes a cache mark, which is an element of its own behind what it marks.
func (w *requestWriter) cache(m *llm.CacheMark, at string) {
	switch {
	case m == nil:
		return
	case w.own:
	case !w.family.cache:
		w.lose(at+".cache_control", "the model has no such cache")
		return
	case w.marks >= maxMarks:
		w.lose(at+".cache_control", fmt.Sprintf("the provider takes at most %d cache marks", maxMarks))
		return
	}
	w.marks++
	w.dst = append(jsonx.AppendComma(w.dst), `{"cachePoint":{"type":"default"`...)
	if m.TTL != "" && (w.own || m.TTL != "5m") { // which is the default
		w.dst = jsonx.AppendText(w.dst, "ttl", m.TTL)
	}
	w.dst = append(w.dst, "}}"...)
}

// claudeChoice reports whether the choice stands among Claude's own members, which alone can say that tools are called
// one at a time, or not at all.
func (w *requestWriter) claudeChoice() bool {
	if w.family.asks != asksClaude && !w.own {
		return false
	}
	off := w.chat.Parallel != nil && !*w.chat.Parallel
	return w.trick == "" && len(w.chat.Tools) > 0 && (off || w.own && (w.chat.Parallel != nil || w.chat.Choice.Mode == llm.ChoiceNone))
}

// choice writes toolChoice into the open toolConfig.
func (w *requestWriter) choice() {
	c := w.chat.Choice
	if w.trick != "" {
		if len(w.chat.Tools) == 0 || c.Mode == llm.ChoiceNone {
			w.dst = append(jsonx.AppendText(append(w.dst, `,"toolChoice":{"tool":{`...), "name", w.trick), "}}"...)
		} else {
			w.dst = append(w.dst, `,"toolChoice":{"any":{}}`...)
		}
		return
	}
	if w.chat.Parallel != nil && !*w.chat.Parallel && !w.claudeChoice() {
		w.lose(w.member("additionalModelRequestFields.tool_choice", "parallel_tool_calls"), "the model cannot be told to call one tool at a time")
	}
	if w.claudeChoice() {
		return
	}
	switch c.Mode {
	case llm.ChoiceAuto:
		if w.own { // else it is the default, and models that know no choice refuse it
			w.dst = append(w.dst, `,"toolChoice":{"auto":{}}`...)
		}
	case llm.ChoiceAny, llm.ChoiceSomeAny:
		w.dst = append(w.dst, `,"toolChoice":{"any":{}}`...)
	case llm.ChoiceOne:
		if len(c.Names) > 0 {
			w.dst = append(jsonx.AppendText(append(w.dst, `,"toolChoice":{"tool":{`...), "name", w.toolName(c.Names[0])), "}}"...)
		}
	}
}

// extras writes what this dialect's reader had no word for, and settles what another's had none for.
func (w *requestWriter) extras() error {
	for _, m := range w.req.Extra.Members {
		if w.own {
			switch m.Name {
			case "inferenceConfig", "toolConfig", "outputConfig", "additionalModelRequestFields": // merged already
			default:
				w.dst = append(jsonx.AppendKey(w.dst, m.Name), m.Raw...)
			}
			continue
		}
		if jsonx.IsNull(m.Raw) {
			continue
		}
		switch m.Name {
		case "modalities":
			for _, v := range jsonx.Elements(m.Raw) {
				if string(member.Plain(v)) == "audio" {
					return w.refuse(m.Name, "This model's provider does not answer with audio.")
				}
			}
		case "audio":
			return w.refuse(m.Name, "This model's provider does not answer with audio.")
		case "web_search_options":
			return w.refuse(m.Name, "This model's provider does not search the web.")
		}
		w.lose(m.Name, "the dialect does not know the member")
	}
	return nil
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
