package frame

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Claude is the frame of Anthropic's models from version 3 on: the texts of a turn are joined, and a turn, thinking
// and tools cost constants. They were fitted on recorded usage, and checked on the same recordings.
type Claude struct {
	Base     int64 // of a prompt
	System   int64 // where there is system text
	Turn     int64 // for each turn but the first
	Think    int64 // where thinking has a budget
	Adaptive int64 // where thinking is adaptive
	Schema   int64 // where the answer has a schema
	Auto     int64 // where there are tools, of which the model chooses
	Any      int64 // where it must call one
	One      int64 // where it must call a certain one
	Tool     int64 // for each tool but the first
	Serial   int64 // more where it must call a certain one, and no two at once
	Call     int64 // around a call
	Calling  int64 // around all calls of a turn
	Reply    int64 // around a reply
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
	calling := false
	for i := range t.Parts {
		c.part(&t.Parts[i])
		calling = calling || t.Parts[i].Kind == llm.PartCall
	}
	if calling {
		c.Frame += c.f.Calling
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
		c.Frame += c.f.Call
		c.Loose = true
	case llm.PartReply:
		c.flush()
		for i := range p.Reply.Parts {
			c.part(&p.Reply.Parts[i])
		}
		c.flush()
		c.Frame += c.f.Reply
		c.Loose = true
	default: // earlier thoughts are dropped, and native blocks cost what nobody knows
		c.Loose = true
	}
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
	case llm.ChoiceNone:
	case llm.ChoiceAny, llm.ChoiceSomeAny:
		c.Frame += c.f.Any
	case llm.ChoiceOne:
		c.Frame += c.f.One
		if chat.Parallel != nil && !*chat.Parallel {
			c.Frame += c.f.Serial
		}
	default:
		c.Frame += c.f.Auto
	}
}

func (c *said) options(chat *llm.Chat) {
	if chat.Output.Kind == llm.OutputSchema {
		c.Sum.Tools += c.text(spaced(string(chat.Output.Schema)))
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
