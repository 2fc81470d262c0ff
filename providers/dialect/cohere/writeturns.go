package cohere

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// attachment is a picture of a tool's result, which the dialect takes only from the user.
type attachment struct {
	part *llm.Part
	at   string
	call string // the call's id
}

// messages writes the turns, and the documents that stood among them.
func (w *requestWriter) messages() error {
	w.dst = append(jsonx.AppendKey(w.dst, "messages"), '[')
	for i := range w.chat.Turns {
		if err := w.turn(i, &w.chat.Turns[i]); err != nil {
			return err
		}
	}
	if err := w.attached(); err != nil {
		return err
	}
	w.dst = append(w.dst, ']')
	if len(w.files) > 0 {
		w.raw("documents", append(append([]byte{'['}, w.files...), ']'))
	}
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
	switch t.Role {
	case llm.RoleSystem, llm.RoleDeveloper:
		w.open("system")
		return w.contentAndClose(i, t, every(t.Parts))
	case llm.RoleAssistant:
		if err := w.attached(); err != nil {
			return err
		}
		return w.assistant(i, t)
	}
	var rest []int
	files := false
	for j := range t.Parts {
		p := &t.Parts[j]
		switch {
		case p.Kind == llm.PartReply:
			if err := w.reply(i, j, t); err != nil {
				return err
			}
		case p.Kind == llm.PartFile:
			if err := w.file(p, w.at(i, j)); err != nil {
				return err
			}
			files = true
		default:
			rest = append(rest, j)
		}
	}
	if len(rest) == 0 && len(t.Parts) > 0 && !files {
		return nil // nothing but results, of which more may follow
	}
	if err := w.attached(); err != nil {
		return err
	}
	w.open("user")
	return w.contentAndClose(i, t, rest)
}

func every(parts []llm.Part) []int {
	all := make([]int, len(parts))
	for j := range parts {
		all[j] = j
	}
	return all
}

func (w *requestWriter) open(role string) {
	w.dst = jsonx.AppendText(append(jsonx.AppendComma(w.dst), '{'), "role", role)
}

// close ends a message with what the client's had beside our words.
func (w *requestWriter) close(i int, extra []llm.Member) {
	for _, m := range extra {
		if w.own {
			w.raw(m.Name, m.Raw)
		} else {
			w.lose(w.at(i, -1)+"."+m.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
}

func (w *requestWriter) contentAndClose(i int, t *llm.Turn, parts []int) error {
	w.dst = jsonx.AppendKey(w.dst, "content")
	if err := w.content(i, t.Parts, parts); err != nil {
		return err
	}
	w.close(i, t.Extra)
	return nil
}

// content writes the named parts: one plain text as a string, everything else as an array.
func (w *requestWriter) content(i int, all []llm.Part, parts []int) error {
	switch len(parts) {
	case 0:
		if w.own {
			w.dst = append(w.dst, "[]"...)
		} else {
			w.dst = append(w.dst, `""`...)
		}
		return nil
	case 1:
		if p := &all[parts[0]]; p.Kind == llm.PartText && (p.Extra == nil || !w.own) {
			w.dst = jsonx.AppendQuote(w.dst, p.Text)
			w.marks(p, w.at(i, parts[0]), false)
			return nil
		}
	}
	w.dst = append(w.dst, '[')
	for _, j := range parts {
		if err := w.part(&all[j], w.at(i, j)); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

// marks writes a part's extra members into the open object, or records the loss of what the dialect does not have.
func (w *requestWriter) marks(p *llm.Part, at string, inside bool) {
	if p.Cache != nil {
		w.lose(at+".cache_control", "the dialect has no cache marks")
	}
	if p.Seal != "" {
		w.lose(at, "a signature goes only to the provider that made it")
	}
	for _, m := range p.Extra {
		switch {
		case !w.own:
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		case inside:
			w.raw(m.Name, m.Raw)
		}
	}
}

// part writes one part of an array of content.
func (w *requestWriter) part(p *llm.Part, at string) error {
	switch {
	case p.Kind == llm.PartNative && w.own, p.Name == partDocument && p.Raw != nil && w.own:
		w.dst = append(jsonx.AppendComma(w.dst), p.Raw...)
		return nil
	case p.Kind == llm.PartText, p.Kind == llm.PartRefusal:
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"text"`...)
		w.text("text", p.Text)
	case p.Kind == llm.PartThought:
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"thinking"`...)
		w.text("thinking", p.Text)
	case p.Kind == llm.PartImage:
		if err := w.image(p.Media, at); err != nil {
			return err
		}
	case p.Kind == llm.PartNative:
		return w.refuse(at, "A block of type %q has no equal at this model's provider.", p.Name)
	default:
		return w.refuse(at, "This model's provider takes no %s.", p.Kind)
	}
	w.marks(p, at, true)
	w.dst = append(w.dst, '}')
	return nil
}

func (w *requestWriter) image(m *llm.Media, at string) error {
	url := m.URL
	if m.Data != "" {
		kind := m.Type
		if seen := fit.Sniff(m.Data); seen != "" && !w.own {
			kind = seen
		}
		url = "data:" + kind + ";base64," + m.Data
	}
	if url == "" {
		return w.refuse(at, "An image by file id cannot be sent to this model's provider.")
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"image_url","image_url":{`...)
	w.text("url", url)
	if m.Detail != "" {
		w.text("detail", m.Detail)
	}
	for _, x := range m.Extra {
		if w.own {
			w.raw(x.Name, x.Raw)
		} else {
			w.lose(at+"."+x.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
	return nil
}

// file takes a document of the conversation to those beside it. It must be text.
func (w *requestWriter) file(p *llm.Part, at string) error {
	if w.own && p.Name == partDocuments {
		w.files = append(jsonx.AppendComma(w.files), p.Raw...)
		return nil
	}
	words, ok := p.Media.Text, p.Media.Text != ""
	if !ok && (p.Media.Type == "" || strings.HasPrefix(p.Media.Type, "text/") || p.Media.Type == "application/json") {
		words, ok = fit.Text(p.Media.Data)
	}
	if !ok {
		return w.refuse(at, "This model's provider takes documents as text.")
	}
	w.files = append(jsonx.AppendComma(w.files), `{"data":{`...)
	if p.Media.Name != "" {
		w.files = jsonx.AppendText(w.files, "title", p.Media.Name)
	}
	w.files = append(jsonx.AppendText(w.files, "text", words), "}}"...)
	for _, x := range p.Media.Extra {
		w.lose(at+"."+x.Name, "the dialect does not know the member")
	}
	w.marks(p, at, false)
	return nil
}

// reply writes one result as a message.
func (w *requestWriter) reply(i, j int, t *llm.Turn) error {
	p := &t.Parts[j]
	r := p.Reply
	w.open("tool")
	w.text("tool_call_id", r.CallID)
	if r.Error {
		w.lose(w.at(i, j)+".is_error", "the dialect does not say that a tool failed")
	}
	var texts []int
	parts := slices.Clone(r.Parts)
	for k := range parts {
		at := fmt.Sprintf("%s.content[%d]", w.at(i, j), k)
		switch part := &parts[k]; {
		case part.Kind == llm.PartText, w.own:
			texts = append(texts, k)
		case part.Kind == llm.PartFile && part.Media.Text != "":
			parts[k] = llm.Part{Kind: llm.PartText, Text: part.Media.Text, Cache: part.Cache, Extra: part.Extra}
			texts = append(texts, k)
		case part.Kind == llm.PartImage:
			w.pending = append(w.pending, attachment{part, at, r.CallID})
		default:
			return w.refuse(at, "This model's provider takes no %s from a tool.", part.Kind)
		}
	}
	w.dst = jsonx.AppendKey(w.dst, "content")
	if one := len(texts) == 1; one && !r.Plain && w.own {
		w.dst = append(w.dst, '[')
		if err := w.part(&parts[texts[0]], w.at(i, j)); err != nil {
			return err
		}
		w.dst = append(w.dst, ']')
	} else if err := w.content(i, parts, texts); err != nil {
		return err
	}
	w.marks(p, w.at(i, j), false)
	extra := t.Extra
	if len(t.Parts) > 1 {
		extra = nil // they are written with the turn's other parts
	}
	w.close(i, extra)
	return nil
}

// attached writes a user message with the pictures of the results before it.
func (w *requestWriter) attached() error {
	if len(w.pending) == 0 {
		return nil
	}
	w.open("user")
	w.dst = append(jsonx.AppendKey(w.dst, "content"), '[')
	for _, a := range w.pending {
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"text"`...)
		w.text("text", "Attachment of the result of tool call "+a.call+":")
		w.dst = append(w.dst, '}')
		if err := w.part(a.part, a.at); err != nil {
			return err
		}
	}
	w.pending = w.pending[:0]
	w.dst = append(w.dst, "]}"...)
	return nil
}

// assistant writes an answer of the model that the client sends back. The text before calls is their plan.
func (w *requestWriter) assistant(i int, t *llm.Turn) error {
	w.open("assistant")
	var content, calls []int
	var plan strings.Builder
	called := hasCall(t.Parts)
	for j := range t.Parts {
		p := &t.Parts[j]
		at := w.at(i, j)
		switch {
		case p.Kind == llm.PartCall:
			calls = append(calls, j)
		case p.Kind == llm.PartText && p.Name == partPlan, p.Kind == llm.PartText && !w.own && called && len(calls) == 0:
			plan.WriteString(p.Text)
			w.marks(p, at, false)
		case p.Kind == llm.PartThought && !w.own:
			w.lose(at, "the reasoning of another model is not sent")
		case p.Kind == llm.PartText, p.Kind == llm.PartRefusal, p.Kind == llm.PartThought:
			content = append(content, j)
		case p.Kind == llm.PartNative:
			return w.refuse(at, "A block of type %q has no equal at this model's provider.", p.Name)
		default:
			w.lose(at, "the dialect has no "+p.Kind.String()+" in an answer")
		}
	}
	if len(content) > 0 || len(calls) == 0 && plan.Len() == 0 && (!w.own || t.Parts != nil) {
		w.dst = jsonx.AppendKey(w.dst, "content")
		if err := w.content(i, t.Parts, content); err != nil {
			return err
		}
	}
	if plan.Len() > 0 {
		w.text("tool_plan", plan.String())
	}
	if len(calls) > 0 {
		w.dst = append(jsonx.AppendKey(w.dst, "tool_calls"), '[')
		for n, j := range calls {
			w.call(&t.Parts[j], fmt.Sprintf("%s.tool_calls[%d]", w.at(i, -1), n))
		}
		w.dst = append(w.dst, ']')
	}
	w.close(i, t.Extra)
	return nil
}

func hasCall(parts []llm.Part) bool {
	for i := range parts {
		if parts[i].Kind == llm.PartCall {
			return true
		}
	}
	return false
}

func (w *requestWriter) call(p *llm.Part, at string) {
	w.dst = append(jsonx.AppendComma(w.dst), '{')
	w.text("id", p.Call.ID)
	w.dst = append(w.dst, `,"type":"function","function":{`...)
	w.text("name", w.toolName(p.Call.Name))
	args := p.Call.Args
	if !w.own || args == "" {
		args = string(fit.Args(args))
	}
	w.text("arguments", args)
	w.dst = append(w.dst, '}')
	w.marks(p, at, true)
	w.dst = append(w.dst, '}')
}
