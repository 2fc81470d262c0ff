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

func (w *requestWriter) tools() error {
	from := len(w.dst)
	search := false
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
		if w.searches(t, at) {
			search = true
			continue
		}
		w.dst = jsonx.AppendComma(w.dst)
		switch {
		case t.Native == llm.FreeText && w.from(dialect.OpenAIResponses):
			w.freeText(t)
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
	if w.dst[len(w.dst)-1] == '[' {
		w.dst = w.dst[:from]
	} else {
		w.dst = append(w.dst, ']')
	}
	if search {
		w.raw("web_search_options", []byte("{}"))
	}
	return nil
}

// freeText writes openai-responses' tool that takes free text, whose members stand one level lower here.
func (w *requestWriter) freeText(t *llm.Tool) {
	w.dst = append(w.dst, `{"type":"custom","custom":{`...)
	for n, v := range jsonx.Members(t.Raw) {
		switch {
		case string(n) == "type":
		case string(n) == "name":
			w.text("name", w.toolName(t.Name))
		case string(n) == "format" && t.Grammar != nil:
			w.key("format")
			w.dst = append(w.dst, `{"type":"grammar","grammar":{`...)
			for k, g := range jsonx.Members(v) {
				if string(k) != "type" {
					w.raw(string(k), g)
				}
			}
			w.dst = append(w.dst, "}}"...)
		default:
			w.raw(string(n), v)
		}
	}
	w.dst = append(w.dst, "}}"...)
}

// searches reports whether a tool of gemini is the search of the web, which is no tool here.
func (w *requestWriter) searches(t *llm.Tool, at string) bool {
	if w.req.Extra.Dialect != sealGoogle || t.Native != "web_search" {
		return false
	}
	for n, v := range jsonx.Members(t.Raw) {
		if !jsonx.IsNull(v) {
			w.lose(at+"."+string(n), "the provider's search has no such option")
		}
	}
	return true
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
	h.Write([]byte(n))
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
			w.dst = jsonx.AppendComma(w.dst)
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
		if t := &w.chat.Tools[i]; t.Name == n && t.Native == llm.FreeText {
			kind = t.Native
		}
	}
	w.dst = append(w.dst, `{"type":"`+kind+`","`+kind+`":{`...)
	w.text("name", w.toolName(n))
	w.dst = append(w.dst, "}}"...)
}

// sealVendors says by which word in its name a model is one that takes the seals of a vendor. A seal goes
// to no other (a compatible front of the vendor's own models takes them in extension members).
var sealVendors = [...]struct{ from, word string }{{sealAnthropic, "claude"}, {sealGoogle, "gemini"}}

func (w *requestWriter) takesSeal(p *llm.Part) bool { return p.Seal != "" && madeBy(p.From, w.t.Model) }

// madeBy reports whether a model is of a vendor that makes seals.
func madeBy(vendor, model string) bool {
	for _, v := range sealVendors {
		if vendor == v.from && strings.Contains(strings.ToLower(model), v.word) {
			return true
		}
	}
	return false
}

// thoughts writes reasoning back to where it may have come from: as text, or with its seals.
func (w *requestWriter) thoughts(i int, t *llm.Turn, thoughts []int) {
	if len(thoughts) == 0 {
		return
	}
	sealed := slices.ContainsFunc(thoughts, func(j int) bool { return w.takesSeal(&t.Parts[j]) })
	if !w.own && !sealed {
		if member := w.quirks.Reasoning.Echoes(anyCalls(w.chat)); member != "" {
			w.echo(i, t, thoughts, member)
			return
		}
		for _, j := range thoughts {
			w.lose(w.at(i, j), "the dialect does not take reasoning back")
			w.marks(&t.Parts[j], w.at(i, j), false)
		}
		return
	}
	if one := &t.Parts[thoughts[0]]; len(thoughts) == 1 && !sealed {
		if one.Text != "" {
			w.text("reasoning_content", one.Text)
		}
		if one.Seal != "" {
			w.lose(w.at(i, -1)+".thinking_blocks[0].signature", "a signature goes only to the provider that made it")
		}
		return
	}
	w.key("thinking_blocks")
	w.dst = append(w.dst, '[')
	for n, j := range thoughts {
		p := &t.Parts[j]
		at := w.at(i, -1) + ".thinking_blocks[" + strconv.Itoa(n) + "]"
		if !w.own {
			at = w.at(i, j)
			w.marks(p, at, false)
		}
		w.block(p, w.takesSeal(p))
		if p.Seal != "" && !w.takesSeal(p) {
			w.lose(at, "a signature goes only to the provider that made it")
		}
	}
	w.dst = append(w.dst, ']')
}

// block writes one thought, with its seal where it fits.
func (w *requestWriter) block(p *llm.Part, fits bool) {
	seal, hidden := strings.CutPrefix(p.Seal, dialect.HiddenMark)
	switch {
	case p.Text == "" && fits && !hidden:
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"redacted_thinking"`...)
		w.text("data", p.Seal)
	case p.Text != "" || fits:
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"thinking"`...)
		w.text("thinking", p.Text)
		if fits {
			w.text("signature", seal)
		}
	default:
		return
	}
	w.dst = append(w.dst, '}')
}

// anyCalls reports whether the conversation has tool calls.
func anyCalls(c *llm.Chat) bool {
	return slices.ContainsFunc(c.Turns, func(t llm.Turn) bool {
		return slices.ContainsFunc(t.Parts, func(p llm.Part) bool { return p.Kind == llm.PartCall })
	})
}

// echo sends the text of reasoning back to a server that wants it, without what other providers sealed.
func (w *requestWriter) echo(i int, t *llm.Turn, thoughts []int, member string) {
	var b strings.Builder
	for _, j := range thoughts {
		p := &t.Parts[j]
		b.WriteString(p.Text)
		if p.Seal != "" {
			w.lose(w.at(i, j)+".signature", "a signature goes only to the provider that made it")
		}
		w.marks(p, w.at(i, j), false)
	}
	if b.Len() > 0 {
		w.text(member, b.String())
	}
}

func (w *requestWriter) calls(i int, t *llm.Turn, calls []int) {
	if len(calls) == 0 {
		return
	}
	if p := &t.Parts[calls[0]]; w.own && p.Name == deprecated && len(calls) == 1 {
		w.key("function_call")
		w.callBody(p.Call, "arguments")
		return
	}
	w.key("tool_calls")
	w.dst = append(w.dst, '[')
	for n, j := range calls {
		p := &t.Parts[j]
		at := w.at(i, j)
		if w.own {
			at = w.at(i, -1) + ".tool_calls[" + strconv.Itoa(n) + "]"
		}
		w.dst = append(jsonx.AppendComma(w.dst), '{')
		w.text("id", p.Call.ID)
		if p.Call.Native == llm.FreeText {
			w.dst = append(w.dst, `,"type":"custom","custom":`...)
			w.callBody(p.Call, "input")
		} else {
			w.dst = append(w.dst, `,"type":"function","function":`...)
			w.callBody(p.Call, "arguments")
		}
		if w.takesSeal(p) {
			w.dst = append(w.dst, `,"extra_content":{"google":{`...)
			w.text("thought_signature", p.Seal)
			w.dst = append(w.dst, "}}"...)
		} else if p.Seal != "" {
			w.lose(at, "a signature goes only to the provider that made it")
		}
		w.marks(p, at, true)
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, ']')
}

func (w *requestWriter) callBody(c *llm.ToolCall, args string) {
	w.dst = append(w.dst, '{')
	w.text("name", w.toolName(c.Name))
	body := c.Args
	if body == "" && c.Native == "" {
		body = "{}"
	}
	w.text(args, body)
	w.dst = append(w.dst, '}')
}

// tail writes into the message what belongs to its last part but has no object of its own.
func (w *requestWriter) tail(i int, t *llm.Turn) {
	for j := range t.Parts {
		p := &t.Parts[j]
		if p.Kind == llm.PartText && p.Seal != "" {
			w.sealText(i, j, t)
		}
		if p.Cache == nil || !w.own {
			continue
		}
		if p.Kind == llm.PartThought || p.Name == deprecated {
			if j == len(t.Parts)-1 {
				w.cache(p.Cache)
			} else {
				w.lose(w.at(i, -1)+".cache_control", "the mark has no place here")
			}
		}
	}
}

// sealText writes the seal of a text as the message's, which has room for one.
func (w *requestWriter) sealText(i, j int, t *llm.Turn) {
	at := w.at(i, j)
	if w.own {
		at = w.at(i, -1) + ".extra_content"
	}
	switch p := &t.Parts[j]; {
	case !w.takesSeal(p):
		w.lose(at, "a signature goes only to the provider that made it")
	case laterSeal(t.Parts[j+1:]):
		w.lose(at, "a message has one signature, and a later text has it")
	default:
		w.dst = append(w.dst, `,"extra_content":{"google":{`...)
		w.text("thought_signature", p.Seal)
		w.dst = append(w.dst, "}}"...)
	}
}

func laterSeal(parts []llm.Part) bool {
	for _, p := range parts {
		if p.Kind == llm.PartText && p.Seal != "" {
			return true
		}
	}
	return false
}
