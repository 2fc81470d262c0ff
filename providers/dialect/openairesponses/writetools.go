package openairesponses

import (
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// maxName is the longest name of a tool, of letters, digits, _ and -.
const maxName = 64

// Tools of other dialects that search the web.
const (
	searchOptions   = "web_search_options"   // of openai-chat, a member
	searchAnthropic = "web_search_"          // of anthropic-messages, followed by a date
	searchTool      = `{"type":"web_search"` // of this one
)

func (w *requestWriter) tools() error {
	var search []byte
	if !w.own {
		for _, m := range w.req.Extra.Members {
			if m.Name == searchOptions && jsonx.Kind(m.Raw) == '{' {
				search = w.search(m.Raw)
			}
		}
	}
	if len(w.chat.Tools) == 0 && search == nil {
		return nil
	}
	w.key("tools")
	w.dst = append(w.dst, '[')
	for i := range w.chat.Tools {
		if err := w.tool(&w.chat.Tools[i], fmt.Sprintf("tools[%d]", i)); err != nil {
			return err
		}
	}
	if search != nil {
		w.dst = append(jsonx.AppendComma(w.dst), search...)
	}
	w.dst = append(w.dst, ']')
	return nil
}

func (w *requestWriter) tool(t *llm.Tool, at string) error {
	w.dst = jsonx.AppendComma(w.dst)
	switch {
	case w.own && t.Native != "":
		w.dst = append(w.dst, t.Raw...)
		return nil
	case w.from(dialect.AnthropicMessages) && strings.HasPrefix(t.Native, searchAnthropic), w.from(dialect.Gemini) && t.Native == "web_search":
		w.dst = append(w.dst, w.search(t.Raw)...)
		return nil
	case w.from(dialect.OpenAIChat) && t.Native == custom:
		w.custom(t)
		return nil
	case t.Native != "":
		return w.refuse(at, fmt.Sprintf("The tool type %q has no equal at this model's provider.", clip(t.Native)))
	}
	w.dst = appendFunction(w.dst, t, w.toolName(t.Name), w.own)
	if t.Cache != nil && !w.own {
		w.lose(at+".cache_control", "the dialect has no cache marks")
	}
	for _, m := range t.Extra {
		if w.own {
			w.raw(m.Name, m.Raw)
		} else {
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
	return nil
}

// appendFunction appends a function's definition without its last brace. asIs says that it is of this dialect, where
// a function is strict unless it says that it is not; elsewhere it is the other way round.
func appendFunction(b []byte, t *llm.Tool, as string, asIs bool) []byte {
	b = append(b, `{"type":"function"`...)
	b = jsonx.AppendText(b, "name", as)
	if t.Description != "" {
		b = jsonx.AppendText(b, "description", t.Description)
	}
	switch {
	case t.Schema != nil:
		b = append(jsonx.AppendKey(b, "parameters"), t.Schema...)
	case !asIs:
		b = append(jsonx.AppendKey(b, "parameters"), `{"type":"object","properties":{}}`...)
	}
	switch {
	case t.Strict != nil && *t.Strict:
		b = append(b, `,"strict":true`...)
	case t.Strict != nil || !asIs:
		b = append(b, `,"strict":false`...)
	}
	return b
}

// custom writes openai-chat's tool that takes free text, whose members stand one level higher here.
func (w *requestWriter) custom(t *llm.Tool) {
	w.dst = append(w.dst, `{"type":"custom"`...)
	for n, v := range jsonx.Members(jsonx.Get(t.Raw, custom)) {
		if string(n) == "name" {
			w.text("name", w.toolName(t.Name))
			continue
		}
		grammar := jsonx.Get(v, "grammar")
		if string(n) != "format" || jsonx.Kind(grammar) != '{' {
			w.raw(string(n), v)
			continue
		}
		w.dst = append(w.dst, `,"format":{"type":"grammar"`...)
		for k, g := range jsonx.Members(grammar) {
			w.raw(string(k), g)
		}
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, '}')
}

// search returns the tool that stands for another dialect's search of the web.
func (w *requestWriter) search(def []byte) []byte {
	b := []byte(searchTool)
	for n, v := range jsonx.Members(def) {
		if jsonx.IsNull(v) {
			continue
		}
		switch n := string(n); n {
		case "type", "name":
		case "search_context_size":
			b = append(jsonx.AppendKey(b, n), v...)
		case "user_location":
			where := v
			if a := jsonx.Get(v, "approximate"); a != nil {
				where = a
			}
			b = append(jsonx.AppendKey(b, n), `{"type":"approximate"`...)
			for k, place := range jsonx.Members(where) {
				if string(k) != "type" && !jsonx.IsNull(place) {
					b = append(jsonx.AppendKey(b, string(k)), place...)
				}
			}
			b = append(b, '}')
		case "allowed_domains":
			b = append(append(append(jsonx.AppendKey(b, "filters"), `{"allowed_domains":`...), v...), '}')
		default:
			w.lose(w.member(searchOptions, "tools.web_search")+"."+n, "the provider's search has no such option")
		}
	}
	return append(b, '}')
}

// toolName returns a tool's name as the wire carries it. The Reader turns it back.
func (w *requestWriter) toolName(n string) string {
	if w.own {
		return n
	}
	return fit.Name(n, maxName)
}

func (w *requestWriter) choice() error {
	c := w.chat.Choice
	tools := len(w.chat.Tools) > 0
	if w.chat.Parallel != nil {
		if tools || w.own {
			w.bool("parallel_tool_calls", w.chat.Parallel)
		} else {
			w.lose(w.member("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"), "there are no tools")
		}
	}
	switch c.Mode {
	case llm.ChoiceUnset:
		return nil
	case llm.ChoiceAny, llm.ChoiceOne, llm.ChoiceSomeAny, llm.ChoiceSomeAuto:
		if !tools && !w.own {
			return &llm.Error{Code: llm.CodeInvalid, Op: name + ".write", Param: "tool_choice", Message: "A tool must be called, but there are no tools.", Reason: member.Value}
		}
	default:
		if !tools && !w.own {
			return nil
		}
	}
	w.key("tool_choice")
	w.dst = appendChoice(w.dst, w.chat, w.toolName)
	return nil
}

// appendChoice appends the value of tool_choice.
func appendChoice(b []byte, chat *llm.Chat, as func(string) string) []byte {
	named := func(b []byte, n string) []byte {
		kind := "function"
		for i := range chat.Tools {
			if t := &chat.Tools[i]; t.Name == n && t.Native == custom {
				kind = custom
			}
		}
		b = append(append(append(b, `{"type":"`...), kind...), '"')
		return append(jsonx.AppendText(b, "name", as(n)), '}')
	}
	c := &chat.Choice
	switch c.Mode {
	case llm.ChoiceNone:
		return append(b, `"none"`...)
	case llm.ChoiceAny:
		return append(b, `"required"`...)
	case llm.ChoiceOne:
		if len(c.Names) > 0 {
			return named(b, c.Names[0])
		}
	case llm.ChoiceSomeAuto, llm.ChoiceSomeAny:
		mode := "auto"
		if c.Mode == llm.ChoiceSomeAny {
			mode = "required"
		}
		b = append(append(append(b, `{"type":"allowed_tools","mode":"`...), mode...), `","tools":[`...)
		for _, n := range c.Names {
			b = named(jsonx.AppendComma(b), n)
		}
		return append(b, "]}"...)
	}
	return append(b, `"auto"`...)
}
