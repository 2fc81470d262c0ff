package anthropicmessages

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// jsonLine asks for what the provider has no member for.
const jsonLine = "Answer with one JSON object and nothing else."

func isSystem(t *llm.Turn) bool { return t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper }

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// at is the path of a turn (j < 0) or of one of its parts, in the client's dialect.
func (w *requestWriter) at(i, j int) string {
	if !w.own {
		return member.At(w.req.Extra.Dialect, w.chat.Turns, i, j)
	}
	if isSystem(&w.chat.Turns[0]) {
		if i == 0 {
			if j < 0 {
				return "system"
			}
			return item("system", j)
		}
		i--
	}
	at := item("messages", i)
	if j >= 0 {
		at = item(at+".content", j)
	}
	return at
}

// talk reports whether a turn becomes a message: system text does only where the model takes it there.
func (w *requestWriter) talk(i int) bool {
	t := &w.chat.Turns[i]
	if !isSystem(t) {
		return true
	}
	return w.t.Facts.MidSystem && slices.ContainsFunc(w.chat.Turns[:i], func(t llm.Turn) bool { return !isSystem(&t) })
}

// lonely reports whether there is system text alone. It becomes the user's message, which the API demands.
func (w *requestWriter) lonely() bool {
	return !slices.ContainsFunc(w.chat.Turns, func(t llm.Turn) bool { return !isSystem(&t) })
}

// system hoists system text into its own member, one block for each text.
func (w *requestWriter) system() error {
	jsonAsked := w.chat.Output.Kind == llm.OutputJSON || w.chat.Output.Kind == llm.OutputSchema && w.chat.Output.Schema == nil
	if w.lonely() && !jsonAsked {
		return nil
	}
	from := len(w.dst)
	w.dst = append(jsonx.AppendKey(w.dst, "system"), '[')
	empty := len(w.dst)
	if !w.lonely() {
		for i := range w.chat.Turns {
			if w.talk(i) {
				continue
			}
			if err := w.systemBlocks(i); err != nil {
				return err
			}
		}
	}
	if jsonAsked {
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"text","text":"`+jsonLine+`"}`...)
	}
	if len(w.dst) == empty {
		w.dst = w.dst[:from]
		return nil
	}
	w.dst = append(w.dst, ']')
	return nil
}

func (w *requestWriter) systemBlocks(i int) error {
	t := &w.chat.Turns[i]
	for j := range t.Parts {
		if k := t.Parts[j].Kind; k != llm.PartText {
			return w.refuse(w.at(i, j), "System text cannot hold a part of kind "+k.String()+".")
		}
		if err := w.part(&t.Parts[j], w.at(i, j), t.Role); err != nil {
			return err
		}
	}
	w.turnRest(i)
	return nil
}

// turnRest records the loss of what a turn has beside its parts.
func (w *requestWriter) turnRest(i int) {
	t := &w.chat.Turns[i]
	if t.Name != "" {
		w.lose(w.at(i, -1)+".name", "the dialect does not name speakers")
	}
	for _, m := range t.Extra {
		w.lose(w.at(i, -1)+"."+m.Name, "the dialect does not know the member")
	}
}

func (w *requestWriter) messages() error {
	w.dst = append(jsonx.AppendKey(w.dst, "messages"), '[')
	switch {
	case w.lonely():
		w.dst = append(w.dst, `{"role":"user","content":[`...)
		empty := len(w.dst)
		for i := range w.chat.Turns {
			if err := w.systemBlocks(i); err != nil {
				return err
			}
		}
		if len(w.dst) == empty {
			return w.invalid("messages", "There is no message with text.")
		}
		w.dst = append(w.dst, "]}"...)
	case w.own:
		for i := range w.chat.Turns {
			if w.talk(i) {
				if err := w.ownTurn(i); err != nil {
					return err
				}
			}
		}
	default:
		if err := w.turns(); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

func (w *requestWriter) open(r llm.Role) {
	role := "user"
	switch r {
	case llm.RoleAssistant:
		role = "assistant"
	case llm.RoleSystem, llm.RoleDeveloper:
		role = "system"
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"role":"`+role+`","content":[`...)
}

// ownTurn writes a message of this dialect as it stood.
func (w *requestWriter) ownTurn(i int) error {
	t := &w.chat.Turns[i]
	from := len(w.dst)
	w.open(t.Role)
	empty := len(w.dst)
	for j := range t.Parts {
		if err := w.part(&t.Parts[j], w.at(i, j), t.Role); err != nil {
			return err
		}
	}
	if len(w.dst) == empty && len(t.Parts) > 0 { // nothing but reasoning that cannot go back
		w.dst = w.dst[:from]
		return nil
	}
	w.dst = append(w.dst, ']')
	w.rest(t.Extra, w.at(i, -1))
	w.dst = append(w.dst, '}')
	return nil
}

// turns writes the messages of another dialect. The results of an answer's calls go directly behind it,
// all in one message and first in it, wherever they stood.
func (w *requestWriter) turns() error {
	done := make(map[*llm.Part]bool) // results that were written ahead of their place
	for i := range w.chat.Turns {
		t := &w.chat.Turns[i]
		if !w.talk(i) {
			continue
		}
		var err error
		if t.Role == llm.RoleAssistant {
			if err = w.assistant(i, t); err == nil && (i+1 == len(w.chat.Turns) || w.chat.Turns[i+1].Role != llm.RoleAssistant) {
				err = w.results(i, done)
			}
		} else {
			err = w.user(i, t, done)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *requestWriter) assistant(i int, t *llm.Turn) error {
	from := len(w.dst)
	w.open(t.Role)
	empty := len(w.dst)
	for _, thoughts := range [...]bool{true, false} { // reasoning comes first
		for j := range t.Parts {
			if p := &t.Parts[j]; (p.Kind == llm.PartThought) == thoughts {
				if err := w.part(p, w.at(i, j), t.Role); err != nil {
					return err
				}
			}
		}
	}
	w.turnRest(i)
	if len(w.dst) == empty {
		w.dst = w.dst[:from]
		w.lose(w.at(i, -1), "nothing is left of the message")
		return nil
	}
	w.dst = append(w.dst, "]}"...)
	return nil
}

// results writes the message with the results of the calls in turn i and in those of the assistant directly
// before it, which the provider joins, and notes them as done.
func (w *requestWriter) results(i int, done map[*llm.Part]bool) error {
	calls := make(map[string]bool)
	for k := i; k >= 0 && w.chat.Turns[k].Role == llm.RoleAssistant; k-- {
		for j := range w.chat.Turns[k].Parts {
			if p := &w.chat.Turns[k].Parts[j]; p.Kind == llm.PartCall {
				calls[p.Call.ID] = true
			}
		}
	}
	opened := false
	for k := i + 1; k < len(w.chat.Turns) && w.chat.Turns[k].Role != llm.RoleAssistant; k++ {
		u := &w.chat.Turns[k]
		for j := range u.Parts {
			p := &u.Parts[j]
			if p.Kind != llm.PartReply || !calls[p.Reply.CallID] {
				continue
			}
			if !opened {
				w.open(llm.RoleUser)
				opened = true
			}
			if err := w.part(p, w.at(k, j), u.Role); err != nil {
				return err
			}
			done[p] = true
		}
	}
	if opened {
		w.dst = append(w.dst, "]}"...)
	}
	return nil
}

// user writes what is left of a user's turn, or a system message that the model takes in its place.
func (w *requestWriter) user(i int, t *llm.Turn, done map[*llm.Part]bool) error {
	from := len(w.dst)
	w.open(t.Role)
	empty := len(w.dst)
	ahead := false
	for j := range t.Parts {
		p := &t.Parts[j]
		switch {
		case done[p]:
			ahead = true
			continue
		case p.Kind == llm.PartReply:
			return w.invalid(w.at(i, -1), "The result answers no tool call of the message before it.")
		}
		if err := w.part(p, w.at(i, j), t.Role); err != nil {
			return err
		}
	}
	w.turnRest(i)
	if len(w.dst) > empty {
		w.dst = append(w.dst, "]}"...)
		return nil
	}
	w.dst = w.dst[:from]
	if !ahead && t.Role == llm.RoleUser {
		return w.invalid(w.at(i, -1)+".content", "The message is empty or blank, which this model's provider refuses.")
	}
	return nil
}

// sealPrefix marks a signature that we made up, so that clients send a thought back whose vendor signs
// nothing. It is ours alone: it never goes to a provider.
const sealPrefix = "sb1."

// part writes one block.
func (w *requestWriter) part(p *llm.Part, at string, role llm.Role) error {
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		w.text(p, at)
		return nil
	case llm.PartThought:
		w.thought(p, at)
		return nil
	case llm.PartNative:
		if !w.own {
			return w.refuse(at, "A block of type \""+clip(p.Name)+"\" has no equal at this model's provider.")
		}
		w.dst = append(jsonx.AppendComma(w.dst), p.Raw...)
		return nil
	case llm.PartCall:
		return w.call(p, at)
	case llm.PartReply:
		return w.reply(p, at)
	case llm.PartImage, llm.PartFile, llm.PartAudio:
		if role == llm.RoleAssistant && !w.own {
			w.dst = append(jsonx.AppendComma(w.dst), `{"type":"text","text":"[`+p.Kind.String()+` omitted]"}`...)
			w.lose(at, "the dialect has no "+p.Kind.String()+" in an answer")
			return nil
		}
		return w.media(p, at)
	}
	return w.refuse(at, "A part of kind "+p.Kind.String()+" cannot stand here.")
}

// close ends a block with what every kind may have.
func (w *requestWriter) close(p *llm.Part, at string) {
	w.cache(p.Cache, at)
	w.rest(p.Extra, at)
	w.dst = append(w.dst, '}')
}

// text writes a text block; a refusal is text here. Blank text of another dialect is left out, because the
// API refuses it.
func (w *requestWriter) text(p *llm.Part, at string) {
	if !w.own && blank(p.Text) {
		if p.Cache != nil {
			w.lose(at+".cache_control", "the text is blank")
		}
		w.rest(p.Extra, at) // of another dialect, so nothing is written
		return
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"text"`...)
	w.dst = jsonx.AppendText(w.dst, "text", p.Text)
	if p.Seal != "" {
		w.lose(at, "a signature goes only to the provider that made it")
	}
	w.close(p, at)
}

func (w *requestWriter) thought(p *llm.Part, at string) {
	if !ownSeal(p) {
		w.lose(at, "reasoning goes back only to the provider that signed it")
		return
	}
	if seal, hidden := strings.CutPrefix(p.Seal, hiddenPrefix); p.Text == "" && !hidden {
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"redacted_thinking"`...)
		w.dst = jsonx.AppendText(w.dst, "data", p.Seal)
	} else {
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"thinking"`...)
		w.dst = jsonx.AppendText(w.dst, "thinking", p.Text)
		w.dst = jsonx.AppendText(w.dst, "signature", seal)
	}
	if p.Cache != nil && !w.own {
		w.lose(at+".cache_control", "a mark cannot stand behind reasoning")
		w.rest(p.Extra, at)
		w.dst = append(w.dst, '}')
		return
	}
	w.close(p, at)
}

// id returns the id of a call as the wire carries it.
func (w *requestWriter) id(id string) string {
	if c, found := w.ids[id]; found {
		return c
	}
	return id
}

func (w *requestWriter) call(p *llm.Part, at string) error {
	c := p.Call
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"tool_use"`...)
	w.dst = jsonx.AppendText(w.dst, "id", w.id(c.ID))
	w.dst = jsonx.AppendText(w.dst, "name", w.toolName(c.Name))
	w.dst = raw(w.dst, "input", fit.Args(c.Args))
	if p.Seal != "" {
		w.lose(at, "a signature goes only to the provider that made it")
	}
	w.close(p, at)
	return nil
}

func (w *requestWriter) reply(p *llm.Part, at string) error {
	r := p.Reply
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"tool_result"`...)
	w.dst = jsonx.AppendText(w.dst, "tool_use_id", w.id(r.CallID))
	switch {
	case r.Plain && w.own && len(r.Parts) == 1:
		w.dst = jsonx.AppendText(w.dst, "content", r.Parts[0].Text)
	case len(r.Parts) > 0:
		from := len(w.dst)
		w.dst = append(jsonx.AppendKey(w.dst, "content"), '[')
		empty := len(w.dst)
		for k := range r.Parts {
			if err := w.part(&r.Parts[k], w.index(at+".content", k), llm.RoleUser); err != nil {
				return err
			}
		}
		if len(w.dst) == empty {
			w.dst = w.dst[:from] // a result may be empty, but not blank
			break
		}
		w.dst = append(w.dst, ']')
	}
	if r.Error {
		w.dst = raw(w.dst, "is_error", []byte("true"))
	}
	w.close(p, at)
	return nil
}

// media writes a picture or a document.
func (w *requestWriter) media(p *llm.Part, at string) error {
	m := p.Media
	kind := m.Type
	if s := fit.Sniff(m.Data); s != "" {
		kind = s // what it is, whatever it was declared to be; the provider checks that too
	}
	image := p.Kind == llm.PartImage
	switch {
	case p.Kind == llm.PartAudio:
		return w.refuse(at+".input_audio", "This model's provider does not take audio.")
	case m.FileID != "" && !w.own:
		return w.refuse(at, "A file id of another provider cannot be sent to this model's provider.")
	case m.URL != "" && !w.own && !strings.HasPrefix(strings.ToLower(m.URL), "https:"):
		return w.refuse(at, "This model's provider fetches only https URLs.")
	case image && m.Data != "" && !w.own && !fit.Pictured(kind):
		return w.invalid(at, "This model's provider takes images as PNG, JPEG, GIF or WebP.")
	case !image && m.Data != "" && !w.own && kind != "application/pdf":
		if kind != "" && !strings.HasPrefix(kind, "text/plain") {
			return w.refuse(at, "This model's provider takes documents as PDF or plain text, not as "+clip(kind)+".")
		}
		if kind == "" {
			return w.refuse(at, "This model's provider takes documents as PDF or plain text.")
		}
	}
	if image {
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"image","source":`...)
	} else {
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"document","source":`...)
	}
	if err := w.source(m, kind, at); err != nil {
		return err
	}
	if m.Name != "" && !image {
		w.dst = jsonx.AppendText(w.dst, "title", m.Name)
	}
	if m.Detail != "" {
		w.lose(at+".image_url.detail", "the provider has no equal")
	}
	w.close(p, at)
	return nil
}

func (w *requestWriter) source(m *llm.Media, kind, at string) error {
	for _, x := range m.Extra {
		if x.Name == sourceMember && w.own {
			w.dst = append(w.dst, x.Raw...)
			return nil
		}
		w.lose(at+"."+x.Name, "the dialect does not know the member")
	}
	switch {
	case m.Data != "" && strings.HasPrefix(kind, "text/plain") && !w.own:
		words, ok := fit.Text(m.Data)
		if !ok {
			return w.invalid(at, "The document is not UTF-8 text in base64.")
		}
		w.dst = append(w.dst, `{"type":"text","media_type":"text/plain"`...)
		w.dst = jsonx.AppendText(w.dst, "data", words)
	case m.Data != "":
		w.dst = append(w.dst, `{"type":"base64"`...)
		w.dst = jsonx.AppendText(w.dst, "media_type", kind)
		w.dst = jsonx.AppendText(w.dst, "data", m.Data)
	case m.URL != "":
		w.dst = append(w.dst, `{"type":"url"`...)
		w.dst = jsonx.AppendText(w.dst, "url", m.URL)
	case m.FileID != "":
		w.dst = append(w.dst, `{"type":"file"`...)
		w.dst = jsonx.AppendText(w.dst, "file_id", m.FileID)
	default:
		w.dst = append(w.dst, `{"type":"text","media_type":"text/plain"`...)
		w.dst = jsonx.AppendText(w.dst, "data", m.Text)
	}
	w.dst = append(w.dst, '}')
	return nil
}
