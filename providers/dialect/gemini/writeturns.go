package gemini

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// filler is the signature that the provider documents for calls which it has not signed: of a history from
// another model, or from a client that lost it (https://ai.google.dev/gemini-api/docs/thought-signatures).
const filler = "skip_thought_signature_validator"

func isSystem(t *llm.Turn) bool { return t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper }

// at is the path of a turn (j < 0) or of one of its parts, in the client's dialect.
func (w *requestWriter) at(i, j int) string {
	if !w.own {
		return member.At(w.req.Extra.Dialect, w.chat.Turns, i, j)
	}
	at := "systemInstruction"
	for k := range i + 1 {
		if !isSystem(&w.chat.Turns[k]) {
			before := slices.IndexFunc(w.chat.Turns, func(t llm.Turn) bool { return !isSystem(&t) })
			at = item("contents", i-before)
			break
		}
	}
	if j < 0 {
		return at
	}
	return item(at+".parts", j)
}

// lonely reports whether there is system text alone. It becomes the user's turn, which the API demands.
func (w *requestWriter) lonely() bool {
	return !slices.ContainsFunc(w.chat.Turns, func(t llm.Turn) bool { return !isSystem(&t) })
}

// system hoists system text into systemInstruction, one part for each text.
func (w *requestWriter) system() error {
	if (w.lonely() || w.t.Facts.NoSystem) && !w.own {
		return nil // it stands in the user's first turn
	}
	from := len(w.dst)
	w.dst = append(jsonx.AppendKey(w.dst, "systemInstruction"), `{"parts":[`...)
	empty := len(w.dst)
	var rest []llm.Member
	for i := range w.chat.Turns {
		if t := &w.chat.Turns[i]; isSystem(t) {
			if err := w.systemParts(i); err != nil {
				return err
			}
			if w.own {
				rest = append(rest, t.Extra...)
			}
		}
	}
	if len(w.dst) == empty && len(rest) == 0 {
		w.dst = w.dst[:from]
	} else {
		w.dst = append(w.dst, ']')
		w.raws(rest)
		w.dst = append(w.dst, '}')
		if w.cached() {
			return w.refuse("systemInstruction", "Cached content holds the system instructions; the request cannot have its own.")
		}
	}
	return nil
}

// allSystem writes all system text into the open turn.
func (w *requestWriter) allSystem() error {
	for i := range w.chat.Turns {
		if isSystem(&w.chat.Turns[i]) {
			if err := w.systemParts(i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *requestWriter) systemParts(i int) error {
	t := &w.chat.Turns[i]
	for j := range t.Parts {
		p := &t.Parts[j]
		switch {
		case p.Kind != llm.PartText:
			return w.refuse(w.at(i, j), "System text cannot hold a part of kind "+p.Kind.String()+".")
		default:
			if err := w.part(p, w.at(i, j), t.Role); err != nil {
				return err
			}
		}
	}
	w.turnRest(i)
	return nil
}

// turnRest records the loss of what a turn of another dialect has beside its parts.
func (w *requestWriter) turnRest(i int) {
	t := &w.chat.Turns[i]
	if t.Name != "" {
		w.lose(w.at(i, -1)+".name", "the dialect does not name speakers")
	}
	if w.own {
		return
	}
	for _, m := range t.Extra {
		w.lose(w.at(i, -1)+"."+m.Name, "the dialect does not know the member")
	}
}

func (w *requestWriter) contents() error {
	w.calls = make(map[string]string)
	for i := range w.chat.Turns {
		for j := range w.chat.Turns[i].Parts {
			if p := &w.chat.Turns[i].Parts[j]; p.Kind == llm.PartCall {
				w.calls[p.Call.ID] = p.Call.Name
			}
		}
	}
	w.dst = append(jsonx.AppendKey(w.dst, "contents"), '[')
	var err error
	switch {
	case w.own:
		for i := range w.chat.Turns {
			if !isSystem(&w.chat.Turns[i]) && err == nil {
				err = w.ownTurn(i)
			}
		}
	case w.lonely():
		w.dst = append(w.dst, `{"role":"user","parts":[`...)
		empty := len(w.dst)
		if err := w.allSystem(); err != nil {
			return err
		}
		if len(w.dst) == empty {
			return w.invalid("messages", "There is no message with text.")
		}
		w.dst = append(w.dst, "]}"...)
	default:
		err = w.turns()
	}
	w.dst = append(w.dst, ']')
	return err
}

func (w *requestWriter) open(r llm.Role) {
	role := "user"
	if r == llm.RoleAssistant {
		role = "model"
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"role":"`+role+`","parts":[`...)
}

// ownTurn writes a turn of this dialect as it stood.
func (w *requestWriter) ownTurn(i int) error {
	t := &w.chat.Turns[i]
	w.open(t.Role)
	for j := range t.Parts {
		if err := w.part(&t.Parts[j], w.at(i, j), t.Role); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, ']')
	w.raws(t.Extra)
	w.dst = append(w.dst, '}')
	return nil
}

// turns writes the turns of another dialect. Neighbours of one role become one turn, and the results of an
// answer's calls stand directly behind it, first in the user's turn, wherever they stood.
func (w *requestWriter) turns() error {
	for i := 0; i < len(w.chat.Turns); {
		if isSystem(&w.chat.Turns[i]) {
			i++
			continue
		}
		role := w.chat.Turns[i].Role
		end := i
		for end < len(w.chat.Turns) && (isSystem(&w.chat.Turns[end]) || w.chat.Turns[end].Role == role) {
			end++
		}
		if err := w.merge(role, i, end); err != nil {
			return err
		}
		i = end
	}
	return nil
}

// merge writes the turns from i to end as one.
func (w *requestWriter) merge(role llm.Role, i, end int) error {
	from := len(w.dst)
	w.open(role)
	empty := len(w.dst)
	if role == llm.RoleUser && w.t.Facts.NoSystem && !w.led {
		w.led = true
		if err := w.allSystem(); err != nil {
			return err
		}
	}
	signed := role != llm.RoleAssistant || !w.newest()
	replies := role == llm.RoleUser
	for _, first := range [...]bool{true, false} {
		for k := i; k < end; k++ {
			t := &w.chat.Turns[k]
			if isSystem(t) {
				continue
			}
			for j := range t.Parts {
				p := &t.Parts[j]
				if replies && (p.Kind == llm.PartReply) != first || !replies && !first {
					continue
				}
				if p.Kind == llm.PartCall && !signed {
					signed = true
					if p.Seal == "" || p.From != name {
						q := *p
						q.Seal, q.From = filler, name
						if p.Seal != "" {
							w.lose(w.at(k, j), "a signature goes only to the provider that made it")
						}
						p = &q
					}
				}
				if err := w.part(p, w.at(k, j), role); err != nil {
					return err
				}
			}
			if !first || !replies {
				w.turnRest(k)
			}
		}
	}
	if len(w.dst) > empty {
		w.dst = append(w.dst, "]}"...)
		return nil
	}
	w.dst = w.dst[:from]
	if role == llm.RoleUser {
		return w.invalid(w.at(i, -1)+".content", "The message is empty, which this model's provider refuses.")
	}
	w.lose(w.at(i, -1), "nothing is left of the message")
	return nil
}

// part writes one part, or the few that a result needs.
func (w *requestWriter) part(p *llm.Part, at string, role llm.Role) error {
	if p.Cache != nil {
		w.lose(at+".cache_control", "the provider has no marks in a prompt")
	}
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		w.words(p, at)
		return nil
	case llm.PartThought:
		w.thought(p, at)
		return nil
	case llm.PartNative:
		if !w.own {
			return w.refuse(at, "A part of type \""+clip(p.Name)+"\" has no equal at this model's provider.")
		}
		w.dst = append(jsonx.AppendComma(w.dst), p.Raw...)
		return nil
	case llm.PartCall:
		w.call(p, at)
		return nil
	case llm.PartReply:
		return w.reply(p, at)
	case llm.PartImage, llm.PartFile, llm.PartAudio:
		if role == llm.RoleAssistant && p.Kind != llm.PartImage && !w.own {
			w.dst = append(jsonx.AppendComma(w.dst), `{"text":"[`+p.Kind.String()+` omitted]"}`...)
			w.lose(at, "the provider takes no "+p.Kind.String()+" in an answer")
			return nil
		}
		w.dst = append(jsonx.AppendComma(w.dst), '{')
		if err := w.source(p.Media, kindOf(p), at); err != nil {
			return err
		}
		w.close(p, at)
		return nil
	}
	return w.refuse(at, "A part of kind "+p.Kind.String()+" cannot stand here.")
}

// close ends a part with its signature and what else it has.
func (w *requestWriter) close(p *llm.Part, at string) {
	switch {
	case p.Seal == "":
	case p.From == name:
		w.dst = jsonx.AppendText(w.dst, "thoughtSignature", p.Seal)
	default:
		w.lose(at, "a signature goes only to the provider that made it")
	}
	for _, m := range p.Extra {
		if w.own {
			w.dst = raw(w.dst, m.Name, m.Raw)
		} else {
			w.lose(join(at, m.Name), "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
}

// words writes text. Empty text of another dialect is left out, because the API refuses it.
func (w *requestWriter) words(p *llm.Part, at string) {
	if p.Text == "" && !w.own && (p.Seal == "" || p.From != name) {
		for _, m := range p.Extra {
			w.lose(join(at, m.Name), "the text is empty")
		}
		return
	}
	w.dst = jsonx.AppendText(append(jsonx.AppendComma(w.dst), '{'), "text", p.Text)
	w.close(p, at)
}

// thought writes reasoning back to the provider that it came from.
func (w *requestWriter) thought(p *llm.Part, at string) {
	if !w.own && (p.Seal == "" || p.From != name) || w.own && p.Seal != "" && p.From != name {
		w.lose(at, "reasoning goes back only to the provider that signed it")
		return
	}
	w.dst = jsonx.AppendText(append(jsonx.AppendComma(w.dst), '{'), "text", p.Text)
	w.dst = raw(w.dst, "thought", []byte("true"))
	w.close(p, at)
}

func (w *requestWriter) call(p *llm.Part, at string) {
	c := p.Call
	w.dst = append(append(jsonx.AppendComma(w.dst), '{'), `"functionCall":{`...)
	if c.ID != "" && !strings.HasPrefix(c.ID, madeID) {
		w.dst = jsonx.AppendText(w.dst, "id", c.ID)
	}
	w.dst = jsonx.AppendText(w.dst, "name", w.toolName(c.Name))
	w.dst = append(raw(w.dst, "args", fit.Args(c.Args)), '}')
	if w.own { // what else a call has stands within it
		q := *p
		q.Extra = nil
		w.dst = w.dst[:len(w.dst)-1]
		w.raws(p.Extra)
		w.dst = append(w.dst, '}')
		p = &q
	}
	w.close(p, at)
}

// reply writes a function's response. Pictures stand within it for the newest models, behind it for others.
func (w *requestWriter) reply(p *llm.Part, at string) error {
	y := p.Reply
	n := y.Name
	if called, found := w.calls[y.CallID]; found {
		n = called
	}
	if n == "" {
		return w.invalid(at, "The result answers no tool call of a message before it.")
	}
	w.dst = append(append(jsonx.AppendComma(w.dst), '{'), `"functionResponse":{`...)
	if y.CallID != "" && !strings.HasPrefix(y.CallID, madeID) {
		w.dst = jsonx.AppendText(w.dst, "id", y.CallID)
	}
	w.dst = jsonx.AppendText(w.dst, "name", w.toolName(n))
	words, said := "", false
	var media []int
	for k := range y.Parts {
		switch q := &y.Parts[k]; {
		case q.Kind == llm.PartText || q.Kind == llm.PartRefusal:
			if said && q.Text != "" {
				words += "\n"
			}
			words, said = words+q.Text, true
			w.joined(q, at, k)
		case q.Media != nil && q.Media.Text != "": // a document that is text
			words, said = strings.TrimPrefix(words+"\n"+q.Media.Text, "\n"), true
			w.joined(q, at, k)
		case q.Media != nil:
			media = append(media, k)
		default:
			return w.refuse(item(at, k), "A part of kind "+q.Kind.String()+" cannot stand in a result.")
		}
	}
	w.dst = append(jsonx.AppendKey(w.dst, "response"), wrap(words, y.Error, said)...)
	within := w.own || w.newest()
	if within && len(media) > 0 {
		w.dst = append(jsonx.AppendKey(w.dst, "parts"), '[')
		if err := w.media(y, media, at); err != nil {
			return err
		}
		w.dst = append(w.dst, ']')
	}
	if w.own {
		w.raws(p.Extra)
	}
	w.dst = append(w.dst, '}')
	q := *p
	if w.own {
		q.Extra = nil
	}
	w.close(&q, at)
	if !within && len(media) > 0 {
		return w.media(y, media, at)
	}
	return nil
}

// joined records what a text of a result has beside its words, which alone are written.
func (w *requestWriter) joined(q *llm.Part, at string, k int) {
	at = item(at+".content", k)
	for _, m := range q.Extra {
		w.lose(join(at, m.Name), "the dialect does not know the member")
	}
	if q.Media == nil {
		return
	}
	if q.Media.Name != "" {
		w.lose(at+".title", "the provider does not name texts")
	}
	for _, m := range q.Media.Extra {
		w.lose(join(at, m.Name), "the dialect does not know the member")
	}
}

func (w *requestWriter) media(y *llm.ToolReply, which []int, at string) error {
	for _, k := range which {
		q := &y.Parts[k]
		w.dst = append(jsonx.AppendComma(w.dst), '{')
		if err := w.source(q.Media, kindOf(q), item(at, k)); err != nil {
			return err
		}
		w.close(q, item(at, k))
	}
	return nil
}

// source writes a medium's members into the open part.
func (w *requestWriter) source(m *llm.Media, kind, at string) error {
	if kind == "" || w.own {
		kind = m.Type
	}
	if m.Detail != "" && m.Detail != "auto" {
		w.lose(at+".image_url.detail", "the provider has no equal")
	}
	switch {
	case m.Data != "":
		w.dst = w.typed("inlineData", kind)
		w.dst = jsonx.AppendText(w.dst, "data", m.Data)
	case m.URL != "":
		w.dst = w.typed("fileData", kind)
		w.dst = jsonx.AppendText(w.dst, "fileUri", m.URL)
	case m.FileID != "" && (w.own || strings.HasPrefix(m.FileID, "gs://")):
		w.dst = w.typed("fileData", kind)
		w.dst = jsonx.AppendText(w.dst, "fileUri", m.FileID)
	case m.FileID != "":
		return w.refuse(at, "A file id of another provider cannot be sent to this model's provider.")
	default: // a document that is text
		w.dst = jsonx.AppendText(w.dst, "text", m.Text)
		if m.Name != "" {
			w.lose(at+".title", "the provider does not name texts")
		}
		return nil
	}
	switch {
	case m.Name == "":
	case w.own || w.codec.vertex:
		w.dst = jsonx.AppendText(w.dst, "displayName", m.Name)
	default:
		w.lose(at+".title", "the provider does not name files")
	}
	for _, x := range m.Extra {
		if w.own {
			w.dst = raw(w.dst, x.Name, x.Raw)
		} else {
			w.lose(join(at, x.Name), "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
	return nil
}

// typed opens a medium's object with its type.
func (w *requestWriter) typed(member, kind string) []byte {
	b := append(jsonx.AppendKey(w.dst, member), '{')
	if kind != "" {
		b = jsonx.AppendText(b, "mimeType", kind)
	}
	return b
}
