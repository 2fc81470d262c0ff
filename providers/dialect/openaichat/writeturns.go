package openaichat

import (
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/quirk"
)

// media is a picture or document of a tool's result, which the dialect takes only from the user.
type media struct {
	part *llm.Part
	at   string
	call string // the call's id
}

func (w *requestWriter) messages() error {
	w.key("messages")
	w.dst = append(w.dst, '[')
	if w.t.Facts.NoSystem {
		w.lead = systemText(w.chat)
	}
	for i := range w.chat.Turns {
		if err := w.turn(i); err != nil {
			return err
		}
	}
	if err := w.user(len(w.chat.Turns), &llm.Turn{}, nil); err != nil { // what is still pending
		return err
	}
	w.dst = append(w.dst, ']')
	return nil
}

func systemText(c *llm.Chat) string {
	var texts []string
	for _, t := range c.Turns {
		if t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper {
			for _, p := range t.Parts {
				texts = append(texts, p.Text)
			}
		}
	}
	return strings.Join(texts, "\n\n")
}

func (w *requestWriter) turn(i int) error {
	t := &w.chat.Turns[i]
	switch t.Role {
	case llm.RoleSystem, llm.RoleDeveloper:
		return w.system(i, t)
	case llm.RoleAssistant:
		if err := w.user(i, &llm.Turn{}, nil); err != nil {
			return err
		}
		return w.assistant(i, t)
	}
	var rest []int
	for j := range t.Parts {
		if t.Parts[j].Kind != llm.PartReply {
			rest = append(rest, j)
			continue
		}
		if err := w.reply(i, j, t); err != nil {
			return err
		}
	}
	if len(rest) == 0 && len(t.Parts) > 0 {
		return nil // nothing but results: more of them may follow, so pending media waits
	}
	return w.user(i, t, rest)
}

func (w *requestWriter) open(role string, t *llm.Turn) {
	w.dst = append(jsonx.AppendComma(w.dst), `{"role":"`+role+`"`...)
	if t.Name != "" {
		w.text("name", t.Name)
	}
}

// close ends a message with what the client's had beside our words.
func (w *requestWriter) close(i int, t *llm.Turn) {
	if n := len(t.Parts); n > 0 && w.own && t.Parts[n-1].Kind == llm.PartNative && t.Parts[n-1].Cache != nil {
		w.cache(t.Parts[n-1].Cache) // the mark stood on the message: the part is as it was received
	}
	for _, m := range t.Extra {
		if w.own {
			w.raw(m.Name, m.Raw)
		} else {
			w.lose(w.at(i, -1)+"."+m.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
}

func (w *requestWriter) system(i int, t *llm.Turn) error {
	if w.t.Facts.NoSystem {
		for j := range t.Parts {
			w.marks(&t.Parts[j], w.at(i, j), false)
		}
		return nil
	}
	role := "system"
	if w.t.Facts.DeveloperRole {
		role = "developer"
	}
	w.open(role, t)
	w.key("content")
	if err := w.content(i, t, every(t.Parts)); err != nil {
		return err
	}
	w.close(i, t)
	return nil
}

// user writes a user message: what is pending, and the named parts of the turn. With neither, and no turn,
// it writes nothing.
func (w *requestWriter) user(i int, t *llm.Turn, parts []int) error {
	whole := i < len(w.chat.Turns) && t == &w.chat.Turns[i]
	if !whole && len(w.pending) == 0 && (w.lead == "" || i < len(w.chat.Turns)) {
		return nil
	}
	w.open("user", t)
	w.key("content")
	if len(w.pending) == 0 && w.lead == "" {
		if err := w.content(i, t, parts); err != nil {
			return err
		}
	} else {
		w.dst = append(w.dst, '[')
		if w.lead != "" {
			w.textPart(w.lead)
			w.lead = ""
		}
		for _, m := range w.pending {
			w.textPart("Attachment of the result of tool call " + m.call + ":")
			if err := w.part(m.part, m.at); err != nil {
				return err
			}
		}
		w.pending = w.pending[:0]
		for _, j := range parts {
			if err := w.part(&t.Parts[j], w.at(i, j)); err != nil {
				return err
			}
		}
		w.dst = append(w.dst, ']')
	}
	w.close(i, t)
	return nil
}

func (w *requestWriter) textPart(s string) {
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"text"`...)
	w.text("text", s)
	w.dst = append(w.dst, '}')
}

func every(parts []llm.Part) []int {
	all := make([]int, len(parts))
	for j := range parts {
		all[j] = j
	}
	return all
}

// content writes the named parts: one plain text as a string, everything else as an array.
func (w *requestWriter) content(i int, t *llm.Turn, parts []int) error {
	if len(parts) == 1 {
		p := &t.Parts[parts[0]]
		if p.Kind == llm.PartText && (!w.own || p.Cache == nil && p.Extra == nil) {
			w.dst = quote(w.dst, p.Text)
			w.marks(p, w.at(i, parts[0]), false)
			return nil
		}
	}
	w.dst = append(w.dst, '[')
	for _, j := range parts {
		if err := w.part(&t.Parts[j], w.at(i, j)); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

// marks writes a part's cache mark and extra members into the open object where they are of this dialect
// and the object is theirs, and records their loss otherwise.
func (w *requestWriter) marks(p *llm.Part, at string, inside bool) {
	if p.Cache != nil {
		if w.own && inside {
			w.cache(p.Cache)
		} else if !w.own {
			w.lose(at+".cache_control", "the dialect has no cache marks")
		}
	}
	for _, m := range p.Extra {
		if w.own && inside {
			w.raw(m.Name, m.Raw)
		} else if !w.own {
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		}
	}
}

// reply writes one result as a message.
func (w *requestWriter) reply(i, j int, t *llm.Turn) error {
	p := &t.Parts[j]
	r := p.Reply
	old := w.own && p.Name == deprecated
	if old {
		w.open("function", &llm.Turn{Name: r.Name})
	} else {
		w.open("tool", &llm.Turn{Name: r.Name})
		w.text("tool_call_id", r.CallID)
	}
	if r.Error && !w.own {
		w.lose(w.at(i, j)+".is_error", "the dialect does not say that a tool failed")
	}
	var texts []int
	for k := range r.Parts {
		at := w.at(i, j) + fmt.Sprintf(".content[%d]", k)
		switch part := &r.Parts[k]; {
		case part.Kind == llm.PartText || w.own:
			texts = append(texts, k)
		default:
			w.pending = append(w.pending, media{part, at, r.CallID})
		}
	}
	w.key("content")
	if err := w.result(r, texts, w.at(i, j)); err != nil {
		return err
	}
	if p.Cache != nil {
		w.marks(&llm.Part{Cache: p.Cache}, w.at(i, j), true)
	}
	w.marks(&llm.Part{Extra: p.Extra}, w.at(i, j), false)
	if len(t.Parts) > 1 {
		t = &llm.Turn{} // its extra members are written with its other parts
	}
	w.close(i, t)
	return nil
}

func (w *requestWriter) result(r *llm.ToolReply, parts []int, at string) error {
	one := len(parts) == 1 && r.Parts[parts[0]].Kind == llm.PartText
	if one && (r.Plain || !w.own) {
		w.dst = quote(w.dst, r.Parts[parts[0]].Text)
		w.marks(&r.Parts[parts[0]], at+".content[0]", false)
		return nil
	}
	if len(parts) == 0 && !w.own {
		w.dst = append(w.dst, `""`...)
		return nil
	}
	w.dst = append(w.dst, '[')
	for _, k := range parts {
		if err := w.part(&r.Parts[k], fmt.Sprintf("%s.content[%d]", at, k)); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

// at is the path of a turn (j < 0) or of one of its parts, in the client's dialect.
func (w *requestWriter) at(i, j int) string {
	return member.At(w.req.Extra.Dialect, w.chat.Turns, i, j)
}

func quote(dst []byte, s string) []byte { return jsonx.AppendQuote(dst, s) }

// part writes one part of an array of content.
func (w *requestWriter) part(p *llm.Part, at string) error {
	if p.Kind == llm.PartNative {
		if !w.own {
			return w.refuse(at, "A block of type \""+p.Name+"\" has no equal at this model's provider.")
		}
		w.dst = append(jsonx.AppendComma(w.dst), p.Raw...)
		return nil
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":`...)
	var err error
	switch p.Kind {
	case llm.PartText:
		w.dst = append(w.dst, `"text"`...)
		w.text("text", p.Text)
	case llm.PartRefusal:
		w.dst = append(w.dst, `"refusal"`...)
		w.text("refusal", p.Text)
	case llm.PartImage:
		if err = w.takes("image_url", at); err == nil {
			err = w.image(p.Media, at)
		}
	case llm.PartAudio:
		if err = w.takes("input_audio", at); err == nil {
			err = w.audio(p.Media, at)
		}
	case llm.PartFile:
		if err = w.takes("file", at); err == nil || p.Media.Data == "" && p.Media.Text != "" { // a plain document is sent as its text
			err = w.file(p.Media, at)
		}
	default:
		err = w.refuse(at, "A part of kind "+p.Kind.String()+" cannot stand here.")
	}
	if err != nil {
		return err
	}
	w.marks(p, at, true)
	w.dst = append(w.dst, '}')
	return nil
}

// takes returns the error of content that the server does not take.
func (w *requestWriter) takes(kind, at string) error {
	if w.quirks.Takes(kind) {
		return nil
	}
	return quirk.Untaken(at, kind)
}

// assistant writes an answer of the model that the client sends back.
func (w *requestWriter) assistant(i int, t *llm.Turn) error {
	w.open("assistant", t)
	var content, thoughts, calls []int
	refusal := -1
	for j := range t.Parts {
		switch t.Parts[j].Kind {
		case llm.PartThought:
			thoughts = append(thoughts, j)
		case llm.PartCall:
			calls = append(calls, j)
		case llm.PartRefusal:
			if p := &t.Parts[j]; p.Cache == nil && p.Extra == nil && !laterText(t.Parts[j+1:]) {
				refusal = j
			} else {
				content = append(content, j)
			}
		default:
			content = append(content, j)
		}
	}
	w.thoughts(i, t, thoughts)
	w.key("content")
	var err error
	switch {
	case len(content) == 0:
		w.dst = append(w.dst, "null"...)
	case w.own:
		err = w.content(i, t, content)
	default:
		err = w.joined(i, t, content)
	}
	if err != nil {
		return err
	}
	if refusal >= 0 {
		w.text("refusal", t.Parts[refusal].Text)
	}
	w.calls(i, t, calls)
	w.tail(i, t)
	w.close(i, t)
	return nil
}

func laterText(parts []llm.Part) bool {
	for _, p := range parts {
		if p.Kind == llm.PartText || p.Kind == llm.PartRefusal || p.Kind == llm.PartNative {
			return true
		}
	}
	return false
}

// joined writes the text of another dialect's answer as one string, which every compatible server takes.
func (w *requestWriter) joined(i int, t *llm.Turn, content []int) error {
	var b strings.Builder
	for _, j := range content {
		p := &t.Parts[j]
		switch p.Kind {
		case llm.PartText, llm.PartRefusal:
			b.WriteString(p.Text)
		case llm.PartNative:
			return w.refuse(w.at(i, j), "A block of type \""+p.Name+"\" has no equal at this model's provider.")
		default:
			b.WriteString("[" + p.Kind.String() + " omitted]")
			w.lose(w.at(i, j), "the dialect has no "+p.Kind.String()+" in an answer")
		}
		w.marks(p, w.at(i, j), false)
	}
	w.dst = quote(w.dst, b.String())
	return nil
}
