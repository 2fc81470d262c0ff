package frame

import (
	"slices"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Gemini is the frame of Google's models: the texts of all parts, and on some surfaces a token for each content,
// the system instruction included.
type Gemini struct {
	Content int64 // for each content: 1 on the Gemini API from 2.5 on, 0 on Vertex AI and before
	System  int64 // for a system instruction that is not empty: as for others, but 0 on 3.5
}

var _ Rule = Gemini{}

// Count counts a request.
func (f Gemini) Count(req *llm.Request, env Env) Sum {
	c := counting{Env: env}
	if c.plain(req, 0) {
		return c.Sum
	}
	chat := req.Chat()
	if chat == nil {
		return c.Sum
	}
	system := false
	for i := range chat.Turns {
		t := &chat.Turns[i]
		if t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper {
			system = system || slices.ContainsFunc(t.Parts, func(p llm.Part) bool { return p.Text != "" })
		} else {
			c.Frame += f.Content
		}
		for j := range t.Parts {
			c.part(&t.Parts[j])
		}
	}
	if system { // several system texts are one instruction
		c.Frame += f.System
	}
	c.json(chat, 0, 0)
	return c.Sum
}
