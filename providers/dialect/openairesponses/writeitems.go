package openairesponses

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

func isSystem(t *llm.Turn) bool { return t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper }

// input writes instructions and the items of the conversation. Of another dialect the first system text is the
// instructions; a request with system text alone keeps it as a message, because there must be one.
func (w *requestWriter) input() error {
	if err := w.instructions(); err != nil {
		return err
	}
	rest := w.chat.Turns[w.lead:]
	if len(rest) == 0 && w.own && stated(w.req.Bound) {
		return nil // the conversation is stored at the provider
	}
	w.key("input")
	w.dst = append(w.dst, '[')
	for i := range rest {
		if err := w.turn(w.lead+i, &rest[i]); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

func (w *requestWriter) instructions() error {
	turns := w.chat.Turns
	if len(turns) == 0 || !isSystem(&turns[0]) {
		return nil
	}
	t := &turns[0]
	if w.own && (len(t.Parts) != 1 || t.Parts[0].Name != instructions) {
		return nil
	}
	if !w.own && !slices.ContainsFunc(turns, func(t llm.Turn) bool { return !isSystem(&t) }) {
		return nil
	}
	var all []string
	for j := range t.Parts {
		p := &t.Parts[j]
		if p.Kind != llm.PartText {
			return w.refuse(w.at(0, j), "System text cannot hold a part of kind "+p.Kind.String()+".")
		}
		if p.Text != "" {
			all = append(all, p.Text)
		}
		w.marks(p, w.at(0, j))
	}
	w.lead = 1
	w.turnRest(0, t)
	if len(all) > 0 {
		w.text(instructions, strings.Join(all, "\n\n"))
	}
	return nil
}

// at is the path of a turn (j < 0) or of one of its parts, in the client's dialect.
func (w *requestWriter) at(i, j int) string {
	return member.At(w.req.Extra.Dialect, w.chat.Turns, i, j)
}

// marks records the loss of what a part of another dialect has beside its words.
func (w *requestWriter) marks(p *llm.Part, at string) {
	if w.own {
		return
	}
	if p.Cache != nil {
		w.lose(at+".cache_control", "the dialect has no cache marks")
	}
	for _, m := range p.Extra {
		w.lose(at+"."+m.Name, "the dialect does not know the member")
	}
}

// turnRest writes what a turn has beside its parts into the open object, or records its loss.
func (w *requestWriter) turnRest(i int, t *llm.Turn) {
	if t.Name != "" {
		w.lose(w.at(i, -1)+".name", "the dialect does not name speakers")
	}
	for _, m := range t.Extra {
		if w.own {
			w.raw(m.Name, m.Raw)
		} else {
			w.lose(w.at(i, -1)+"."+m.Name, "the dialect does not know the member")
		}
	}
}

func (w *requestWriter) turn(i int, t *llm.Turn) error {
	if t.Role == llm.RoleAssistant {
		return w.assistant(i, t)
	}
	open := false
	for j := range t.Parts {
		p, at := &t.Parts[j], w.at(i, j)
		var err error
		switch {
		case p.Kind == llm.PartReply:
			w.shut(&open)
			err = w.reply(p, at)
		case p.Kind == llm.PartNative && w.own && (strings.HasSuffix(p.Name, "_output") || strings.HasSuffix(p.Name, "_response")):
			w.shut(&open)
			w.dst = append(jsonx.AppendComma(w.dst), p.Raw...)
		default:
			if !open {
				open = true
				w.open(w.role(t.Role))
			}
			err = w.part(p, at, "input_text")
		}
		if err != nil {
			return err
		}
	}
	if len(t.Parts) == 0 {
		open = true
		w.open(w.role(t.Role))
	}
	if open {
		w.dst = append(w.dst, ']')
		w.turnRest(i, t)
		w.dst = append(w.dst, '}')
	}
	return nil
}

func (w *requestWriter) role(r llm.Role) string {
	switch {
	case r == llm.RoleUser:
		return "user"
	case r == llm.RoleDeveloper && w.own, !w.own && w.t.Facts.DeveloperRole:
		return "developer"
	}
	return "system"
}

// open begins a message.
func (w *requestWriter) open(role string) {
	w.dst = append(append(jsonx.AppendComma(w.dst), `{"type":"message","role":"`...), role...)
	w.dst = append(w.dst, `","content":[`...)
}

// shut ends an open message that has nothing beside its content.
func (w *requestWriter) shut(open *bool) {
	if *open {
		w.dst = append(w.dst, "]}"...)
		*open = false
	}
}

// assistant writes what the model said in a row: reasoning before what follows from it, and the rest in its order.
func (w *requestWriter) assistant(i int, t *llm.Turn) error {
	var ends []byte // of the open message
	open := false
	end := func() {
		if open {
			w.dst = append(append(append(w.dst, ']'), ends...), '}')
			open, ends = false, nil
		}
	}
	for j := range t.Parts {
		p, at := &t.Parts[j], w.at(i, j)
		var err error
		switch p.Kind {
		case llm.PartThought:
			end()
			w.thought(p, at)
		case llm.PartCall:
			end()
			w.call(p, at)
		case llm.PartText, llm.PartRefusal:
			if w.own && ofMessage(p) {
				end()
				ends = itemMembers(p)
			}
			if !open {
				open = true
				w.open("assistant")
			}
			err = w.part(p, at, "output_text")
		case llm.PartNative:
			if !w.own {
				return w.refuse(at, "A block of type \""+clip(p.Name)+"\" has no equal at this model's provider.")
			}
			end()
			w.dst = append(jsonx.AppendComma(w.dst), p.Raw...)
		default:
			w.lose(at, "the dialect has no "+p.Kind.String()+" in an answer")
			if !open {
				open = true
				w.open("assistant")
			}
			w.textPart("output_text", "["+p.Kind.String()+" omitted]")
			w.dst = append(w.dst, '}')
		}
		if err != nil {
			return err
		}
	}
	if len(t.Parts) == 0 && w.own {
		open = true
		w.open("assistant")
	}
	end()
	if !w.own {
		w.turnRest(i, t)
	}
	return nil
}

// ofMessage reports whether a part begins a message that has members of its own.
func ofMessage(p *llm.Part) bool {
	return slices.ContainsFunc(p.Extra, func(m llm.Member) bool { return strings.HasPrefix(m.Name, ofItem) })
}

func itemMembers(p *llm.Part) (b []byte) {
	for _, m := range p.Extra {
		if n, of := strings.CutPrefix(m.Name, ofItem); of {
			b = append(append(b, ','), jsonx.AppendQuote(nil, n)...)
			b = append(append(b, ':'), m.Raw...)
		}
	}
	return b
}

func (w *requestWriter) textPart(kind, s string) {
	w.dst = append(append(append(jsonx.AppendComma(w.dst), `{"type":"`...), kind...), '"')
	w.text("text", s)
}

// part writes one part of a message's content or of a result. words is the type of a text.
func (w *requestWriter) part(p *llm.Part, at, words string) error {
	switch p.Kind {
	case llm.PartText:
		w.textPart(words, p.Text)
	case llm.PartRefusal:
		if words != "output_text" {
			w.textPart(words, p.Text)
			break
		}
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"refusal"`...)
		w.text("refusal", p.Text)
	case llm.PartImage:
		if err := w.image(p.Media, at); err != nil {
			return err
		}
	case llm.PartFile:
		if err := w.file(p.Media, at); err != nil {
			return err
		}
	case llm.PartAudio:
		return w.refuse(at, "This model's provider does not take audio.")
	case llm.PartNative:
		if !w.own {
			return w.refuse(at, "A block of type \""+clip(p.Name)+"\" has no equal at this model's provider.")
		}
		w.dst = append(jsonx.AppendComma(w.dst), p.Raw...)
		return nil
	default:
		return w.refuse(at, "A part of kind "+p.Kind.String()+" cannot stand here.")
	}
	if p.Seal != "" && p.Kind != llm.PartThought {
		w.lose(at, "a signature goes only to the provider that made it")
	}
	w.partRest(p, at)
	w.dst = append(w.dst, '}')
	return nil
}

// partRest writes what a part has beside our words into the open object, or records its loss.
func (w *requestWriter) partRest(p *llm.Part, at string) {
	w.marks(p, at)
	if !w.own {
		return
	}
	for _, m := range p.Extra {
		if !strings.HasPrefix(m.Name, ofItem) {
			w.raw(m.Name, m.Raw)
		}
	}
}

func (w *requestWriter) image(m *llm.Media, at string) error {
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"input_image"`...)
	switch {
	case m.Data != "":
		kind := m.Type
		if s := fit.Sniff(m.Data); s != "" && !w.own {
			kind = s
		}
		w.text("image_url", "data:"+kind+";base64,"+m.Data)
	case m.URL != "":
		w.text("image_url", m.URL)
	case !w.own:
		return w.refuse(at, "A file id of another provider cannot be sent to this model's provider.")
	}
	if m.FileID != "" {
		w.text("file_id", m.FileID)
	}
	if m.Detail != "" {
		w.text("detail", m.Detail)
	}
	w.mediaRest(m, at)
	return nil
}

func (w *requestWriter) mediaRest(m *llm.Media, at string) {
	for _, x := range m.Extra {
		if !w.own {
			w.lose(at+"."+x.Name, "the dialect does not know the member")
		}
	}
}

func (w *requestWriter) file(m *llm.Media, at string) error {
	if m.Text != "" && m.Data == "" { // a plain document: its words are what counts
		w.textPart("input_text", m.Text)
		w.mediaRest(m, at)
		return nil
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"input_file"`...)
	switch {
	case m.FileID != "" && !w.own:
		return w.refuse(at, "A file id of another provider cannot be sent to this model's provider.")
	case m.FileID != "":
		w.text("file_id", m.FileID)
	}
	switch {
	case m.Name != "":
		w.text("filename", m.Name)
	case !w.own && m.Data != "":
		w.text("filename", "document.pdf")
	}
	switch {
	case m.Data != "" && m.Type != "":
		w.text("file_data", "data:"+m.Type+";base64,"+m.Data)
	case m.Data != "":
		w.text("file_data", m.Data)
	case m.URL != "":
		w.text("file_url", m.URL)
	}
	if m.Detail != "" {
		w.text("detail", m.Detail)
	}
	w.mediaRest(m, at)
	return nil
}

// thought writes reasoning back. Only the vendor that sealed it can read it; without a seal it means nothing.
func (w *requestWriter) thought(p *llm.Part, at string) {
	if !w.own && p.From != w.vendor {
		w.lose(at, "reasoning goes back only to the provider that sealed it")
		return
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"reasoning","summary":[`...)
	if p.Text != "" && p.Name != openText {
		w.textPart("summary_text", p.Text)
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, ']')
	if p.Text != "" && p.Name == openText {
		w.key("content")
		w.dst = append(w.dst, '[')
		w.textPart(openText, p.Text)
		w.dst = append(w.dst, "}]"...)
	}
	switch {
	case p.Seal == "":
	case p.From == w.vendor:
		w.text("encrypted_content", p.Seal)
	default:
		w.lose(at+".encrypted_content", "a signature goes only to the provider that made it")
	}
	w.partRest(p, at)
	w.dst = append(w.dst, '}')
}

func (w *requestWriter) call(p *llm.Part, at string) {
	c := p.Call
	if c.Native == custom && (w.own || w.from(dialect.OpenAIChat)) {
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"custom_tool_call"`...)
		w.text("call_id", w.id(c.ID))
		w.text("name", w.toolName(c.Name))
		w.text("input", c.Args)
	} else {
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"function_call"`...)
		w.text("call_id", w.id(c.ID))
		w.text("name", w.toolName(c.Name))
		args := c.Args
		if strings.TrimSpace(args) == "" {
			args = "{}"
		}
		w.text("arguments", args)
	}
	if p.Seal != "" {
		w.lose(at, "a signature goes only to the provider that made it")
	}
	w.partRest(p, at)
	w.dst = append(w.dst, '}')
}

func (w *requestWriter) reply(p *llm.Part, at string) error {
	r := p.Reply
	kind := "function_call_output"
	if p.Name == custom && w.own || w.from(dialect.OpenAIChat) && w.customCall(r.CallID) {
		kind = "custom_tool_call_output"
	}
	w.dst = append(append(append(jsonx.AppendComma(w.dst), `{"type":"`...), kind...), '"')
	w.text("call_id", w.id(r.CallID))
	switch {
	case len(r.Parts) == 1 && r.Parts[0].Kind == llm.PartText && (r.Plain || !w.own) && (!w.own || r.Parts[0].Extra == nil):
		w.text("output", r.Parts[0].Text)
		w.marks(&r.Parts[0], at+".content[0]")
	case len(r.Parts) == 0 && !w.own:
		w.text("output", "")
	default:
		w.key("output")
		w.dst = append(w.dst, '[')
		for k := range r.Parts {
			if err := w.part(&r.Parts[k], fmt.Sprintf("%s.content[%d]", at, k), "input_text"); err != nil {
				return err
			}
		}
		w.dst = append(w.dst, ']')
	}
	if r.Error && !w.own {
		w.lose(at+".is_error", "the dialect does not say that a tool failed")
	}
	w.partRest(p, at)
	w.dst = append(w.dst, '}')
	return nil
}

// customCall reports whether a call is one of a tool that takes free text.
func (w *requestWriter) customCall(id string) bool {
	for i := range w.chat.Turns {
		for j := range w.chat.Turns[i].Parts {
			if p := &w.chat.Turns[i].Parts[j]; p.Kind == llm.PartCall && p.Call.ID == id {
				return p.Call.Native == custom
			}
		}
	}
	return false
}
