package frame

import (
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Template is the chat template of a model whose weights are open, in tokens. Tools are taken to be shown as JSON,
// which most templates do.
type Template struct {
	Start    int64 // of a prompt
	Turn     int64 // around a turn
	Answer   int64 // more around an earlier answer
	End      int64 // the opening of the answer
	NoSystem int64 // more where there is no system text: a default one
	System   int64 // more where there is system text
	Tools    int64 // once, where there are tools
	Tool     int64 // around each tool
	Loose    bool  // the constants are those of some hosts only, or guessed
}

var _ Rule = Template{}

// Count counts a request.
func (f Template) Count(req *llm.Request, env Env) Sum {
	c := counting{Env: env}
	c.Sum.Loose = f.Loose
	if c.plain(req) {
		return c.Sum
	}
	chat := req.Chat()
	if chat == nil {
		return c.Sum
	}
	system := false
	c.Frame += f.Start + f.End
	for i := range chat.Turns {
		t := &chat.Turns[i]
		c.Frame += f.Turn
		switch t.Role {
		case llm.RoleAssistant:
			c.Frame += f.Answer
		case llm.RoleSystem, llm.RoleDeveloper:
			system = true
		}
		for j := range t.Parts {
			c.part(&t.Parts[j])
		}
	}
	if system {
		c.Frame += f.System
	} else {
		c.Frame += f.NoSystem
	}
	c.json(chat, f.Tools, f.Tool)
	return c.Sum
}

// part counts a part of a turn by its texts.
func (c *counting) part(p *llm.Part) {
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		c.Sum.Text += c.text(p.Text)
	case llm.PartImage, llm.PartAudio, llm.PartFile:
		c.media(p)
	case llm.PartCall:
		c.Sum.Text += c.text(p.Call.Name) + c.text(p.Call.Args)
		c.Frame += 8
		c.Loose = true
	case llm.PartReply:
		c.Sum.Text += c.text(p.Reply.Name)
		for i := range p.Reply.Parts {
			c.part(&p.Reply.Parts[i])
		}
		c.Frame += 4
		c.Loose = true
	default:
		c.Loose = true
	}
}

// json counts tools and the answer's schema as JSON text.
func (c *counting) json(chat *llm.Chat, once, each int64) {
	if len(chat.Tools) > 0 {
		c.Frame += once
		c.Loose = true
	}
	var b []byte
	for i := range chat.Tools {
		t := &chat.Tools[i]
		if t.Native != "" {
			b = append(b, t.Raw...)
			continue
		}
		b = jsonx.AppendQuote(jsonx.AppendKey(append(b, '{'), "name"), t.Name)
		b = jsonx.AppendQuote(jsonx.AppendKey(b, "description"), t.Description)
		if t.Schema != nil {
			b = append(jsonx.AppendKey(b, "parameters"), t.Schema...)
		}
		b = append(b, "}\n"...)
		c.Frame += each
	}
	if chat.Output.Kind == llm.OutputSchema {
		c.Loose = true
		b = append(b, chat.Output.Schema...)
	}
	c.Sum.Tools += c.text(string(b))
}
