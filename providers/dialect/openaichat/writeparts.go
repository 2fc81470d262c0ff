package openaichat

import (
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

func quote(dst []byte, s string) []byte { return jsonx.AppendQuote(dst, s) }

// part writes one part of an array of content.
func (w *requestWriter) part(p *llm.Part, at string) error {
	if p.Kind == llm.PartNative {
		if !w.own {
			return w.refuse(at, "A block of type \""+p.Name+"\" has no equal at this model's provider.")
		}
		w.dst = append(comma(w.dst), p.Raw...)
		return nil
	}
	w.dst = append(comma(w.dst), `{"type":`...)
	var err error
	switch p.Kind {
	case llm.PartText:
		w.dst = append(w.dst, `"text"`...)
		w.text("text", p.Text)
	case llm.PartRefusal:
		w.dst = append(w.dst, `"refusal"`...)
		w.text("refusal", p.Text)
	case llm.PartImage:
		err = w.image(p.Media, at)
	case llm.PartAudio:
		err = w.audio(p.Media, at)
	case llm.PartFile:
		err = w.file(p.Media, at)
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
		if p.Seal != "" {
			w.lose(w.at(i, j), "a signature goes only to the provider that made it")
		}
	}
	w.dst = quote(w.dst, b.String())
	return nil
}

// sealVendors says by which word in its name a model is one that takes the seals of a vendor. A seal goes
// to no other (a compatible front of the vendor's own models takes them in extension members).
var sealVendors = [...]struct{ from, word string }{{sealAnthropic, "claude"}, {sealGoogle, "gemini"}}

func (w *requestWriter) takesSeal(p *llm.Part) bool {
	for _, v := range sealVendors {
		if p.Seal != "" && p.From == v.from && strings.Contains(strings.ToLower(w.t.Model), v.word) {
			return w.own
		}
	}
	return false
}

// thoughts writes reasoning back to where it may have come from: as text, or with its seals.
func (w *requestWriter) thoughts(i int, t *llm.Turn, thoughts []int) {
	if len(thoughts) == 0 {
		return
	}
	if !w.own {
		for _, j := range thoughts {
			w.lose(w.at(i, j), "the dialect does not take reasoning back")
		}
		return
	}
	sealed := false
	for _, j := range thoughts {
		sealed = sealed || w.takesSeal(&t.Parts[j])
	}
	if one := &t.Parts[thoughts[0]]; len(thoughts) == 1 && !sealed {
		if one.Text != "" {
			w.text("reasoning_content", one.Text)
		}
		if one.Seal != "" {
			w.lose(w.at(i, -1)+".thinking_blocks[0].signature", "a signature goes only to the provider that made it")
		}
		return
	}
	w.key("thinking_blocks")
	w.dst = append(w.dst, '[')
	for n, j := range thoughts {
		p := &t.Parts[j]
		switch fits := w.takesSeal(p); {
		case p.Text == "" && fits:
			w.dst = append(comma(w.dst), `{"type":"redacted_thinking"`...)
			w.text("data", p.Seal)
			w.dst = append(w.dst, '}')
		case p.Text != "":
			w.dst = append(comma(w.dst), `{"type":"thinking"`...)
			w.text("thinking", p.Text)
			if fits {
				w.text("signature", p.Seal)
			}
			w.dst = append(w.dst, '}')
		}
		if p.Seal != "" && !w.takesSeal(p) {
			w.lose(w.at(i, -1)+".thinking_blocks["+strconv.Itoa(n)+"]", "a signature goes only to the provider that made it")
		}
	}
	w.dst = append(w.dst, ']')
}

func (w *requestWriter) calls(i int, t *llm.Turn, calls []int) {
	if len(calls) == 0 {
		return
	}
	if p := &t.Parts[calls[0]]; w.own && p.Name == deprecated && len(calls) == 1 {
		w.key("function_call")
		w.callBody(p.Call, "arguments")
		return
	}
	w.key("tool_calls")
	w.dst = append(w.dst, '[')
	for n, j := range calls {
		p := &t.Parts[j]
		at := w.at(i, j)
		if w.own {
			at = w.at(i, -1) + ".tool_calls[" + strconv.Itoa(n) + "]"
		}
		w.dst = append(comma(w.dst), '{')
		w.text("id", p.Call.ID)
		if p.Call.Native == "custom" {
			w.dst = append(w.dst, `,"type":"custom","custom":`...)
			w.callBody(p.Call, "input")
		} else {
			w.dst = append(w.dst, `,"type":"function","function":`...)
			w.callBody(p.Call, "arguments")
		}
		if w.takesSeal(p) {
			w.dst = append(w.dst, `,"extra_content":{"google":{`...)
			w.text("thought_signature", p.Seal)
			w.dst = append(w.dst, "}}"...)
		} else if p.Seal != "" {
			w.lose(at, "a signature goes only to the provider that made it")
		}
		w.marks(p, at, true)
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, ']')
}

func (w *requestWriter) callBody(c *llm.ToolCall, args string) {
	w.dst = append(w.dst, '{')
	w.text("name", w.toolName(c.Name))
	body := c.Args
	if body == "" && c.Native == "" {
		body = "{}"
	}
	w.text(args, body)
	w.dst = append(w.dst, '}')
}

// tail writes into the message what belongs to its last part but has no object of its own.
func (w *requestWriter) tail(i int, t *llm.Turn) {
	for j := range t.Parts {
		p := &t.Parts[j]
		if p.Kind == llm.PartText && p.Seal != "" && w.own {
			if w.takesSeal(p) && !laterSeal(t.Parts[j+1:]) {
				w.dst = append(w.dst, `,"extra_content":{"google":{`...)
				w.text("thought_signature", p.Seal)
				w.dst = append(w.dst, "}}"...)
			} else {
				w.lose(w.at(i, -1)+".extra_content", "a signature goes only to the provider that made it")
			}
		}
		if p.Cache == nil || !w.own {
			continue
		}
		if p.Kind == llm.PartThought || p.Name == deprecated {
			if j == len(t.Parts)-1 {
				w.cache(p.Cache)
			} else {
				w.lose(w.at(i, -1)+".cache_control", "the mark has no place here")
			}
		}
	}
}

func laterSeal(parts []llm.Part) bool {
	for _, p := range parts {
		if p.Kind == llm.PartText && p.Seal != "" {
			return true
		}
	}
	return false
}
