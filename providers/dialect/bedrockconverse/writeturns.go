package bedrockconverse

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

func isSystem(t *llm.Turn) bool { return t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper }

// at is the path of a turn (j < 0) or of one of its parts, in the client's dialect.
func (w *requestWriter) at(i, j int) string {
	return member.At(w.req.Extra.Dialect, w.chat.Turns, i, j)
}

// lonely reports whether there is system text alone. It becomes the user's message, which the service demands.
func (w *requestWriter) lonely() bool {
	return !slices.ContainsFunc(w.chat.Turns, func(t llm.Turn) bool { return !isSystem(&t) })
}

// system hoists system text into its own member.
func (w *requestWriter) system() error {
	from := len(w.dst)
	w.dst = append(jsonx.AppendKey(w.dst, "system"), '[')
	empty := len(w.dst)
	for i := range w.chat.Turns {
		t := &w.chat.Turns[i]
		if !isSystem(t) || w.lonely() && !w.own || w.own && i > 0 { // the first alone was the member
			continue
		}
		if err := w.systemBlocks(i); err != nil {
			return err
		}
	}
	if s := w.spoken(); s != "" {
		w.dst = append(jsonx.AppendText(append(jsonx.AppendComma(w.dst), '{'), "text", s), '}')
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
		if k := t.Parts[j].Kind; k != llm.PartText && !w.own {
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
	var err error
	switch {
	case w.own:
		err = w.ownTurns()
	case w.lonely():
		w.open(llm.RoleUser)
		empty := len(w.dst)
		for i := range w.chat.Turns {
			if err = w.systemBlocks(i); err != nil {
				return err
			}
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
	switch r {
	case llm.RoleAssistant:
		role = "assistant"
	case llm.RoleSystem, llm.RoleDeveloper:
		role = "system"
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"role":"`+role+`","content":[`...)
}

// ownTurns writes the messages of this dialect as they stood.
func (w *requestWriter) ownTurns() error {
	for i := range w.chat.Turns {
		t := &w.chat.Turns[i]
		if i == 0 && isSystem(t) {
			continue
		}
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
			continue
		}
		w.dst = append(w.dst, ']')
		for _, m := range t.Extra {
			w.dst = append(jsonx.AppendKey(w.dst, m.Name), m.Raw...)
		}
		w.dst = append(w.dst, '}')
	}
	return nil
}

// turns writes the messages of another dialect. Neighbours of one role become one message, which the service demands;
// the results of an answer's calls go directly behind it, first in their message, wherever they stood.
func (w *requestWriter) turns() error {
	for i := 0; i < len(w.chat.Turns); {
		end := i
		assistant := w.chat.Turns[i].Role == llm.RoleAssistant
		for end < len(w.chat.Turns) {
			t := &w.chat.Turns[end]
			if !isSystem(t) && (t.Role == llm.RoleAssistant) != assistant {
				break
			}
			end++
		}
		if isSystem(&w.chat.Turns[i]) {
			i++ // hoisted; the next turn says whose message it is
			continue
		}
		var err error
		if assistant {
			err = w.assistant(i, end)
		} else {
			err = w.user(i, end)
		}
		if err != nil {
			return err
		}
		i = end
	}
	return nil
}

// assistant writes the turns from i to end as one message, reasoning first.
func (w *requestWriter) assistant(i, end int) error {
	from := len(w.dst)
	w.open(llm.RoleAssistant)
	empty := len(w.dst)
	for _, thoughts := range [...]bool{true, false} {
		for k := i; k < end; k++ {
			t := &w.chat.Turns[k]
			for j := range t.Parts {
				if p := &t.Parts[j]; !isSystem(t) && (p.Kind == llm.PartThought) == thoughts {
					if err := w.part(p, w.at(k, j), t.Role); err != nil {
						return err
					}
				}
			}
			if !thoughts && !isSystem(t) {
				w.turnRest(k)
			}
		}
	}
	if len(w.dst) == empty {
		w.dst = w.dst[:from]
		w.lose(w.at(i, -1), "nothing is left of the message")
		return nil
	}
	w.dst = append(w.dst, "]}"...)
	return nil
}

// callsBefore returns the ids of the calls in the assistant's turns directly before turn i.
func (w *requestWriter) callsBefore(i int) map[string]bool {
	calls := make(map[string]bool)
	for k := i - 1; k >= 0 && (w.chat.Turns[k].Role == llm.RoleAssistant || isSystem(&w.chat.Turns[k])); k-- {
		for j := range w.chat.Turns[k].Parts {
			if p := &w.chat.Turns[k].Parts[j]; p.Kind == llm.PartCall {
				calls[p.Call.ID] = true
			}
		}
	}
	return calls
}

// user writes the user's turns from i to end as one message: results first, and a text beside documents.
func (w *requestWriter) user(i, end int) error {
	w.open(llm.RoleUser)
	empty := len(w.dst)
	calls := w.callsBefore(i)
	words, files := false, ""
	for _, replies := range [...]bool{true, false} {
		for k := i; k < end; k++ {
			t := &w.chat.Turns[k]
			if isSystem(t) {
				continue
			}
			for j := range t.Parts {
				p := &t.Parts[j]
				if (p.Kind == llm.PartReply) != replies {
					continue
				}
				if replies && !calls[p.Reply.CallID] {
					return w.invalid(w.at(k, -1), "The result answers no tool call of the message before it.")
				}
				at := len(w.dst)
				if err := w.part(p, w.at(k, j), t.Role); err != nil {
					return err
				}
				words = words || p.Kind == llm.PartText && len(w.dst) > at
				if p.Kind == llm.PartFile {
					files = p.Media.Name
					if files == "" {
						files = "document"
					}
				}
			}
			if !replies {
				w.turnRest(k)
			}
		}
	}
	if files != "" && !words {
		w.dst = append(jsonx.AppendText(append(jsonx.AppendComma(w.dst), '{'), "text", "Attached: "+files), '}')
		w.lose(w.at(i, -1)+".content", "a text is added: the provider takes no document without one")
	}
	if len(w.dst) == empty {
		return w.invalid(w.at(i, -1)+".content", "The message is empty or blank, which this model's provider refuses.")
	}
	w.dst = append(w.dst, "]}"...)
	return nil
}

// part writes one block, and the cache mark behind it.
func (w *requestWriter) part(p *llm.Part, at string, role llm.Role) error {
	from := len(w.dst)
	var err error
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		w.text(p, at)
	case llm.PartThought:
		w.thought(p, at)
	case llm.PartNative:
		if !w.own {
			return w.refuse(at, "A block of type \""+clip(p.Name)+"\" has no equal at this model's provider.")
		}
		w.dst = append(jsonx.AppendComma(w.dst), p.Raw...)
	case llm.PartCall:
		w.call(p, at)
	case llm.PartReply:
		err = w.reply(p, at)
	case llm.PartImage, llm.PartFile, llm.PartAudio:
		if role == llm.RoleAssistant && !w.own {
			w.dst = append(jsonx.AppendComma(w.dst), `{"text":"[`+p.Kind.String()+` omitted]"}`...)
			w.lose(at, "the dialect has no "+p.Kind.String()+" in an answer")
			break
		}
		err = w.media(p, at)
	default:
		return w.refuse(at, "A part of kind "+p.Kind.String()+" cannot stand here.")
	}
	switch {
	case err != nil || p.Cache == nil:
	case len(w.dst) == from:
		w.lose(at+".cache_control", "nothing is left of the block")
	case p.Kind == llm.PartThought && !w.own:
		w.lose(at+".cache_control", "a mark cannot stand behind reasoning")
	default:
		w.cache(p.Cache, at)
	}
	return err
}

// close ends a block with what it has of this dialect's own members, and records the loss of another's.
func (w *requestWriter) close(p *llm.Part, at, ends string) {
	for _, m := range p.Extra {
		if w.own {
			w.dst = append(jsonx.AppendKey(w.dst, m.Name), m.Raw...)
		} else {
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, ends...)
}

// text writes a text block; a refusal is text here. Blank text of another dialect is left out, because the service
// refuses it.
func (w *requestWriter) text(p *llm.Part, at string) {
	switch {
	case w.own && len(p.Extra) == 1 && p.Extra[0].Name == citedMember:
		w.dst = append(append(jsonx.AppendKey(append(jsonx.AppendComma(w.dst), '{'), citedMember), p.Extra[0].Raw...), '}')
		return
	case p.Name == jsonText && (w.own || p.Text != ""):
		w.dst = append(append(append(jsonx.AppendComma(w.dst), `{"json":`...), p.Text...), '}')
		return
	case !w.own && blank(p.Text):
		w.close(&llm.Part{Extra: p.Extra}, at, "")
		return
	}
	if p.Seal != "" {
		w.lose(at, "a signature goes only to the provider that made it")
	}
	w.dst = jsonx.AppendText(append(jsonx.AppendComma(w.dst), '{'), "text", p.Text)
	w.close(p, at, "}")
}

func (w *requestWriter) thought(p *llm.Part, at string) {
	switch {
	case p.Seal != "" && p.From != name:
		w.lose(at, "reasoning goes back only to the provider that signed it")
		return
	case p.Seal == "" && !w.own:
		w.lose(at, "reasoning goes back only with its signature")
		return
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"reasoningContent":{`...)
	seal, hidden := strings.CutPrefix(p.Seal, hiddenPrefix)
	if p.Text == "" && !hidden && p.Seal != "" {
		w.dst = jsonx.AppendText(w.dst, "redactedContent", seal)
	} else {
		w.dst = jsonx.AppendText(append(jsonx.AppendKey(w.dst, "reasoningText"), '{'), "text", p.Text)
		if seal != "" {
			w.dst = jsonx.AppendText(w.dst, "signature", seal)
		}
		w.dst = append(w.dst, '}')
	}
	w.close(p, at, "}}")
}

// id returns the id of a call as the wire carries it.
func (w *requestWriter) id(id string) string {
	if c, found := w.ids[id]; found {
		return c
	}
	return id
}

func (w *requestWriter) call(p *llm.Part, at string) {
	c := p.Call
	args := []byte(c.Args)
	if !w.own {
		args = fit.Args(c.Args)
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"toolUse":{`...)
	w.dst = jsonx.AppendText(w.dst, "toolUseId", w.id(c.ID))
	w.dst = jsonx.AppendText(w.dst, "name", w.toolName(c.Name))
	w.dst = append(jsonx.AppendKey(w.dst, "input"), args...)
	if p.Seal != "" {
		w.lose(at, "a signature goes only to the provider that made it")
	}
	w.close(p, at, "}}")
}

func (w *requestWriter) reply(p *llm.Part, at string) error {
	r := p.Reply
	w.dst = append(jsonx.AppendComma(w.dst), `{"toolResult":{`...)
	w.dst = jsonx.AppendText(w.dst, "toolUseId", w.id(r.CallID))
	w.dst = append(jsonx.AppendKey(w.dst, "content"), '[')
	for k := range r.Parts {
		part, at := &r.Parts[k], item(at+".content", k)
		if w.family.results && !w.own && part.Kind == llm.PartText && !blank(part.Text) {
			w.result(part.Text)
			for _, m := range part.Extra {
				w.lose(at+"."+m.Name, "the dialect does not know the member")
			}
			continue
		}
		if err := w.part(part, at, llm.RoleUser); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, ']')
	if r.Error {
		w.dst = append(w.dst, `,"status":"error"`...)
	}
	w.close(p, at, "}}")
	return nil
}

// result writes a text as the JSON object that some models want.
func (w *requestWriter) result(text string) {
	w.dst = append(jsonx.AppendComma(w.dst), `{"json":`...)
	if b := []byte(text); jsonx.Kind(b) == '{' && jsonx.Valid(b) == nil {
		w.dst = append(w.dst, b...)
	} else {
		w.dst = append(jsonx.AppendText(append(w.dst, '{'), "result", text), '}')
	}
	w.dst = append(w.dst, '}')
}
