package frame

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Claude is the frame of Anthropic's models from version 3 on: the texts of a turn are joined, and a turn, thinking
// and tools cost constants. They were fitted on recorded usage, and checked on that of other repositories: see
// internal/tokens.
type Claude struct {
	Base     int64 // of a prompt
	System   int64 // where there is system text
	Turn     int64 // for each turn but the first
	Think    int64 // where thinking has a budget
	Adaptive int64 // where thinking is adaptive
	Budget   int64 // where the task has a budget
	Schema   int64 // where the answer has a schema
	Auto     int64 // where there are tools, of which the model chooses
	Any      int64 // where it must call one
	One      int64 // where it must call a certain one
	Tool     int64 // for each tool but the first
	Serial   int64 // more where it must call a certain one, and no two at once
	Call     int64 // around the first call of a turn and its reply
	More     int64 // around each further call of a turn and its reply
	Trim     bool  // whether white space at the end of texts is not sent on: OpenRouter, Bedrock
}

var _ Rule = Claude{}

// said is a request to Claude under way.
type said struct {
	counting
	f     Claude
	turns int64
	last  llm.Role
	words strings.Builder
	found map[string]bool // tools that were deferred and are referred to
}

// Count counts a request.
func (f Claude) Count(req *llm.Request, env Env) Sum {
	c := said{counting: counting{Env: env}, f: f}
	if c.plain(req) {
		return c.Sum
	}
	chat := req.Chat()
	if chat == nil {
		return c.Sum
	}
	c.Frame += f.Base
	c.system(chat)
	for i := range chat.Turns {
		if t := &chat.Turns[i]; t.Role == llm.RoleUser || t.Role == llm.RoleAssistant {
			c.turn(t)
		}
	}
	c.flush()
	if c.turns > 1 && c.last == llm.RoleAssistant { // an answer that is begun for the model belongs to the end
		c.turns--
	}
	if c.turns > 1 {
		c.Frame += (c.turns - 1) * f.Turn
	}
	c.tools(chat)
	c.options(chat)
	if budgeted(req) {
		c.Frame += f.Budget
		c.Loose = true
	}
	return c.Sum
}

// system counts the system texts, which are one.
func (c *said) system(chat *llm.Chat) {
	begun, found := false, false
	for i := range chat.Turns {
		t := &chat.Turns[i]
		if t.Role != llm.RoleSystem && t.Role != llm.RoleDeveloper {
			begun = true
			continue
		}
		found = true
		if begun {
			c.Frame += c.f.Turn + 1
		}
		for j := range t.Parts {
			c.words.WriteString(t.Parts[j].Text)
		}
	}
	if found {
		c.Frame += c.f.System
	}
	if strings.HasPrefix(c.words.String(), "\n") { // a newline joins those that stand before the system text
		c.Frame--
	}
	c.flush()
}

// flush counts the text that was gathered.
func (c *said) flush() {
	text := c.words.String()
	if c.f.Trim {
		text = strings.TrimRight(text, " \n")
	}
	c.Sum.Text += c.text(text)
	c.words.Reset()
}

func (c *said) turn(t *llm.Turn) {
	if c.turns == 0 && t.Role == llm.RoleAssistant { // the model gets a question before it
		c.Frame += 12 - c.f.Turn
		c.turns++
	}
	if c.turns == 0 || t.Role != c.last {
		c.flush()
		c.turns++
	}
	c.last = t.Role
	calls := int64(0)
	for i := range t.Parts {
		c.part(&t.Parts[i])
		if t.Parts[i].Kind == llm.PartCall {
			calls++
		}
	}
	if calls > 0 {
		c.Frame += c.f.Call + (calls-1)*c.f.More
	}
}

func (c *said) part(p *llm.Part) {
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		c.words.WriteString(p.Text)
	case llm.PartImage, llm.PartAudio, llm.PartFile:
		c.flush()
		c.media(p)
	case llm.PartCall:
		c.flush()
		c.Sum.Text += c.text(p.Call.Name) + c.text(spaced(p.Call.Args))
		c.Loose = true
	case llm.PartReply:
		c.flush()
		for i := range p.Reply.Parts {
			c.part(&p.Reply.Parts[i])
		}
		c.flush()
		c.Loose = true
	case llm.PartNative:
		if name, ok := jsonx.String(jsonx.Get(p.Raw, "tool_name")); ok && p.Name == "tool_reference" {
			if c.found == nil {
				c.found = map[string]bool{}
			}
			c.found[name] = true
		}
		c.Loose = true
	default: // earlier thoughts are dropped, and native blocks cost what nobody knows
		c.Loose = true
	}
}

// deferred reports whether the model is shown a tool only once a search has found it. See
// https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-search-tool.
func deferred(t *llm.Tool) bool {
	for _, m := range t.Extra {
		if m.Name == "defer_loading" {
			return string(m.Raw) == "true"
		}
	}
	return false
}

// tools counts tools as the model sees them: JSON with spaces, in a mark each.
func (c *said) tools(chat *llm.Chat) {
	n := int64(0)
	for i := range chat.Tools {
		t := &chat.Tools[i]
		if t.Native != "" {
			c.Loose, c.Unknown = true, true
			continue
		}
		if deferred(t) && !c.found[t.Name] {
			continue
		}
		var b strings.Builder
		b.WriteString(`<function>{"description": `)
		b.Write(jsonx.AppendQuote(nil, t.Description))
		b.WriteString(`, "name": `)
		b.Write(jsonx.AppendQuote(nil, t.Name))
		if t.Schema != nil {
			b.WriteString(`, "parameters": ` + spaced(string(t.Schema)))
		}
		b.WriteString("}</function>")
		c.Sum.Tools += c.text(b.String())
		n++
	}
	if len(chat.Tools) == 0 {
		return
	}
	c.Loose = true
	if n > 1 {
		c.Frame += (n - 1) * c.f.Tool
	}
	switch chat.Choice.Mode {
	case llm.ChoiceAny, llm.ChoiceSomeAny:
		c.Frame += c.f.Any
	case llm.ChoiceOne:
		c.Frame += c.f.One
		if chat.Parallel != nil && !*chat.Parallel {
			c.Frame += c.f.Serial
		}
	default: // none too: the model is shown them, and may not call
		c.Frame += c.f.Auto
	}
}

func (c *said) options(chat *llm.Chat) {
	if chat.Output.Kind == llm.OutputSchema {
		c.Sum.Tools += c.text(indented(chat.Output.Schema))
		c.Frame += c.f.Schema
		c.Loose = true
	}
	if th := chat.Thinking; th != nil {
		switch th.Mode {
		case llm.ThinkBudget:
			c.Frame += c.f.Think
			c.Loose = c.Loose || c.f.Think > 0
		case llm.ThinkAdaptive:
			c.Frame += c.f.Adaptive
			c.Loose = c.Loose || c.f.Adaptive > 0
		}
	}
}

// budgeted reports whether a request's output_config gives the task a budget.
func budgeted(req *llm.Request) bool {
	for _, m := range req.Extra.Members {
		if m.Name == "output_config" {
			return jsonx.Get(m.Raw, "task_budget") != nil
		}
	}
	return false
}

// indented writes JSON with a member on each line. What is no JSON stays as it is.
func indented(raw []byte) string {
	b, err := jsonx.Indent(raw)
	if err != nil {
		return string(raw)
	}
	return string(b)
}

// spaced writes JSON with a space behind each comma and colon. What is no JSON stays as it is.
func spaced(raw string) string {
	b, err := jsonx.Compact([]byte(raw))
	if err != nil {
		return raw
	}
	out := make([]byte, 0, len(b)+len(b)/8)
	quoted := false
	for i := 0; i < len(b); i++ {
		out = append(out, b[i])
		switch {
		case quoted && b[i] == '\\' && i+1 < len(b):
			i++
			out = append(out, b[i])
		case b[i] == '"':
			quoted = !quoted
		case !quoted && (b[i] == ',' || b[i] == ':'):
			out = append(out, ' ')
		}
	}
	return string(out)
}
