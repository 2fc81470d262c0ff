package ollama

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// attachment is a picture of a tool's result, which models see only in a message of the user's.
type attachment struct{ call, data string }

// messages writes the turns.
func (w *requestWriter) messages() error {
	w.dst = append(jsonx.AppendKey(w.dst, "messages"), '[')
	for i := range w.chat.Turns {
		if err := w.turn(i, &w.chat.Turns[i]); err != nil {
			return err
		}
	}
	w.attached()
	w.dst = append(w.dst, ']')
	return nil
}

// at is the path of a turn (j < 0) or of one of its parts, in the client's dialect.
func (w *requestWriter) at(i, j int) string {
	return member.At(w.req.Extra.Dialect, w.chat.Turns, i, j)
}

func (w *requestWriter) turn(i int, t *llm.Turn) error {
	if t.Name != "" {
		w.lose(w.at(i, -1)+".name", "the dialect has no names of speakers")
	}
	for _, m := range t.Extra {
		w.lose(w.at(i, -1)+"."+m.Name, "the dialect does not know the member")
	}
	role := "user"
	switch t.Role {
	case llm.RoleSystem, llm.RoleDeveloper:
		role = "system"
	case llm.RoleAssistant:
		w.attached()
		return w.assistant(i, t)
	}
	var rest []int
	for j := range t.Parts {
		if t.Parts[j].Kind != llm.PartReply {
			rest = append(rest, j)
			continue
		}
		if err := w.reply(i, j, &t.Parts[j]); err != nil {
			return err
		}
	}
	if len(rest) == 0 && len(t.Parts) > 0 {
		return nil // nothing but results, of which more may follow
	}
	w.attached()
	var c content
	for _, j := range rest {
		if err := w.take(&c, &t.Parts[j], w.at(i, j)); err != nil {
			return err
		}
	}
	w.open(role, c.text())
	w.images(c.images)
	w.dst = append(w.dst, '}')
	return nil
}

func (w *requestWriter) open(role, text string) {
	w.dst = jsonx.AppendText(jsonx.AppendText(append(jsonx.AppendComma(w.dst), '{'), "role", role), "content", text)
}

func (w *requestWriter) images(list []string) {
	if len(list) == 0 {
		return
	}
	w.dst = append(jsonx.AppendKey(w.dst, "images"), '[')
	for _, data := range list {
		w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), data)
	}
	w.dst = append(w.dst, ']')
}

// content is what a message says: one text, and pictures beside it.
type content struct {
	texts  []string
	images []string
}

func (c *content) text() string { return strings.Join(c.texts, "\n\n") }

// take adds a part to a message's content.
func (w *requestWriter) take(c *content, p *llm.Part, at string) error {
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		c.texts = append(c.texts, p.Text)
	case llm.PartImage:
		if p.Media.Data == "" {
			return w.refuse(at, "This model's provider takes images by value, as base64; it fetches nothing.")
		}
		if p.Media.Detail != "" && p.Media.Detail != "auto" {
			w.lose(at+".detail", "the provider has no detail of an image")
		}
		c.images = append(c.images, p.Media.Data)
	case llm.PartFile:
		words, ok := p.Media.Text, p.Media.Text != ""
		if !ok && (p.Media.Type == "" || strings.HasPrefix(p.Media.Type, "text/") || p.Media.Type == "application/json") {
			words, ok = fit.Text(p.Media.Data)
		}
		if !ok {
			return w.refuse(at, "This model's provider takes documents as text.")
		}
		if p.Media.Name != "" {
			w.lose(at+".title", "the dialect does not name texts")
		}
		c.texts = append(c.texts, words)
	case llm.PartNative:
		return w.refuse(at, "A block of type %q has no equal at this model's provider.", p.Name)
	default:
		return w.refuse(at, "This model's provider takes no %s.", p.Kind)
	}
	w.marks(p, at)
	return nil
}

// marks records the loss of what the dialect does not have.
func (w *requestWriter) marks(p *llm.Part, at string) {
	if p.Cache != nil {
		w.lose(at+".cache_control", "the dialect has no cache marks")
	}
	if p.Seal != "" {
		w.lose(at, "a signature goes only to the provider that made it")
	}
	extra := p.Extra
	if p.Media != nil {
		extra = append(slices.Clip(extra), p.Media.Extra...)
	}
	for _, m := range extra {
		w.lose(at+"."+m.Name, "the dialect does not know the member")
	}
}

// reply writes one result as a message. The tool is known by its name.
func (w *requestWriter) reply(i, j int, p *llm.Part) error {
	r := p.Reply
	var c content
	for k := range r.Parts {
		if err := w.take(&c, &r.Parts[k], fmt.Sprintf("%s.content[%d]", w.at(i, j), k)); err != nil {
			return err
		}
	}
	w.marks(p, w.at(i, j))
	if r.Error {
		w.lose(w.at(i, j)+".is_error", "the dialect does not say that a tool failed")
	}
	w.open("tool", c.text())
	if tool := w.tool(r); tool != "" {
		w.text("tool_name", tool)
	}
	if r.CallID != "" {
		w.text("tool_call_id", r.CallID)
	}
	w.dst = append(w.dst, '}')
	for _, data := range c.images {
		w.pending = append(w.pending, attachment{r.CallID, data})
	}
	return nil
}

// tool is the name of the tool that a result is of.
func (w *requestWriter) tool(r *llm.ToolReply) string {
	if r.Name != "" {
		return r.Name
	}
	for i := range w.chat.Turns {
		for j := range w.chat.Turns[i].Parts {
			if c := w.chat.Turns[i].Parts[j].Call; c != nil && c.ID == r.CallID {
				return c.Name
			}
		}
	}
	return ""
}

// attached writes a user message with the pictures of the results before it.
func (w *requestWriter) attached() {
	if len(w.pending) == 0 {
		return
	}
	var c content
	for _, a := range w.pending {
		c.texts = append(c.texts, "Attachment of the result of tool call "+a.call+":")
		c.images = append(c.images, a.data)
	}
	w.pending = w.pending[:0]
	w.open("user", c.text())
	w.images(c.images)
	w.dst = append(w.dst, '}')
}

// assistant writes an answer of the model that the client sends back.
func (w *requestWriter) assistant(i int, t *llm.Turn) error {
	var c content
	var thought strings.Builder
	var calls []int
	for j := range t.Parts {
		p := &t.Parts[j]
		at := w.at(i, j)
		switch p.Kind {
		case llm.PartThought:
			thought.WriteString(p.Text)
			w.marks(p, at)
		case llm.PartCall:
			calls = append(calls, j)
		case llm.PartImage, llm.PartAudio:
			w.lose(at, "the dialect has no "+p.Kind.String()+" in an answer")
		default:
			if err := w.take(&c, p, at); err != nil {
				return err
			}
		}
	}
	w.open("assistant", strings.Join(c.texts, ""))
	if thought.Len() > 0 {
		w.text("thinking", thought.String())
	}
	if len(calls) > 0 {
		w.dst = append(jsonx.AppendKey(w.dst, "tool_calls"), '[')
		for n, j := range calls {
			p := &t.Parts[j]
			if p.Call.Native != "" {
				return w.refuse(fmt.Sprintf("%s.tool_calls[%d]", w.at(i, -1), n), "The tool type %q has no equal at this model's provider.", p.Call.Native)
			}
			w.dst = append(jsonx.AppendComma(w.dst), '{')
			if p.Call.ID != "" {
				w.text("id", p.Call.ID)
			}
			w.dst = append(jsonx.AppendKey(w.dst, "function"), '{')
			w.text("name", p.Call.Name)
			w.raw("arguments", fit.Args(p.Call.Args))
			w.dst = append(w.dst, "}}"...)
			w.marks(p, fmt.Sprintf("%s.tool_calls[%d]", w.at(i, -1), n))
		}
		w.dst = append(w.dst, ']')
	}
	w.dst = append(w.dst, '}')
	return nil
}
