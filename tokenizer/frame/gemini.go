package frame

import (
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Gemini is the frame of Google's models: the texts of all parts, and on some surfaces a token for each content,
// the system instruction included.
type Gemini struct {
	Content int64 // for each content: 1 on the Gemini API from 2.5 on, 0 before, on Vertex AI, and at OpenRouter
	System  int64 // for a system instruction that is not empty: as for others, but 0 on 3.5

	// Around the names and descriptions of functions, their properties, and of these, lists and objects.
	Function, Property, List, Object int64
}

var _ Rule = Gemini{}

// Count counts a request.
func (f Gemini) Count(req *llm.Request, env Env) Sum {
	c := counting{Env: env}
	if c.plain(req) {
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
			f.part(&c, &t.Parts[j])
		}
	}
	if system { // several system texts are one instruction
		c.Frame += f.System
	}
	for i := range chat.Tools {
		t := &chat.Tools[i]
		c.Loose = true
		if t.Native != "" { // what it is told costs nothing that is reported as the prompt's
			continue
		}
		c.Sum.Tools += c.text(t.Name) + c.text(t.Description)
		c.Frame += f.Function
		f.schema(&c, t.Schema, 0)
	}
	if chat.Output.Kind == llm.OutputSchema {
		c.Loose = true
	}
	return c.Sum
}

// part counts a part. Calls and their replies are shown by the names and values of their members.
func (f Gemini) part(c *counting, p *llm.Part) {
	const around, member = 6, 3 // tokens
	var texts []string
	switch p.Kind {
	case llm.PartCall:
		c.Sum.Text += c.text(p.Call.Name)
		texts = []string{p.Call.Args}
	case llm.PartReply:
		c.Sum.Text += c.text(p.Reply.Name)
		for i := range p.Reply.Parts {
			if r := &p.Reply.Parts[i]; r.Kind == llm.PartText {
				texts = append(texts, r.Text)
			} else {
				c.part(r)
			}
		}
	default:
		c.part(p)
		return
	}
	c.Loose = true
	c.Frame += around
	for _, t := range texts {
		if jsonx.Kind([]byte(t)) != '{' || jsonx.Valid([]byte(t)) != nil {
			c.Sum.Text += c.text(t)
			c.Frame += member
			continue
		}
		for name, v := range jsonx.Members([]byte(t)) {
			value, ok := jsonx.String(v)
			if !ok {
				value = string(v)
			}
			c.Sum.Text += c.text(string(name)) + c.text(value)
			c.Frame += member
		}
	}
}

// schema counts what a model is shown of a schema: names, descriptions and values.
func (f Gemini) schema(c *counting, s []byte, depth int) {
	if depth > deepest {
		return
	}
	for name, p := range jsonx.Members(jsonx.Get(s, "properties")) {
		about, _ := jsonx.String(jsonx.Get(p, "description"))
		c.Sum.Tools += c.text(string(name)) + c.text(about)
		c.Frame += f.Property
		for _, v := range jsonx.Elements(jsonx.Get(p, "enum")) {
			if value, ok := jsonx.String(v); ok {
				c.Sum.Tools += c.text(value)
			}
		}
		if items := jsonx.Get(p, "items"); items != nil {
			c.Frame += f.List
			f.schema(c, items, depth+1)
		}
		if jsonx.Get(p, "properties") != nil {
			c.Frame += f.Object
			f.schema(c, p, depth+1)
		}
	}
}
