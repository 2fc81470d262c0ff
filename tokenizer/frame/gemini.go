package frame

import "github.com/signalbox-ai/signalbox/internal/llm"

// Gemini is the frame of Google's models: the texts of all parts, and on some surfaces a token for each content,
// the system instruction included.
type Gemini struct {
	Content int64 // for each content: 1 on the Gemini API from 2.5 on, 0 on Vertex AI and before
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
			if !system { // several system texts are one instruction
				c.Frame += f.Content
			}
			system = true
		} else {
			c.Frame += f.Content
		}
		for j := range t.Parts {
			c.part(&t.Parts[j])
		}
	}
	c.json(chat, 0, 0)
	return c.Sum
}
