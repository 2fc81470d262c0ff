package quirk

import (
	"fmt"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Fit is what has to be done to one body.
type Fit struct {
	Edits  []jsonx.Edit
	Losses []llm.Loss // paths are in the dialect
}

// Fit finds what has to be done to a body of the dialect for a model. The error is of CodeUnsupported and
// names the member that the server cannot do.
func (s *Set) Fit(doc *jsonx.Doc, model string) (Fit, *llm.Error) {
	f := fitting{set: s, editor: editor{doc: doc}, model: model}
	for i := range doc.Members {
		m := &doc.Members[i]
		if err := f.member(i, m.Name, doc.Body[m.Start:m.End]); err != nil {
			return Fit{}, err
		}
	}
	return Fit{Edits: f.done(), Losses: f.losses}, nil
}

type fitting struct {
	editor
	set    *Set
	model  string
	losses []llm.Loss
}

func (f *fitting) lose(path, why string) {
	f.losses = append(f.losses, llm.Loss{Path: path, Why: why})
}

func refused(path, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: "openai-chat.write", Param: path, Reason: "unsupported_parameter", Message: message}
}

// silent reports whether a value says no more than its absence.
func silent(raw []byte) bool {
	switch string(raw) {
	case "null", "false", "[]", "{}", `""`, "0":
		return true
	}
	return len(raw) == 0
}

// word returns a text value, or "" for any other.
func word(raw []byte) string {
	s, _ := jsonx.String(raw)
	return s
}

func (f *fitting) member(i int, name string, raw []byte) *llm.Error {
	s := f.set
	if name == "messages" {
		return f.messages(raw)
	}
	for _, v := range s.Values {
		if v.Member == name && word(raw) == v.From {
			if v.To == "" {
				f.remove(i)
				f.lose(name, fmt.Sprintf("the value %q has no equal at this provider", v.From))
			} else {
				f.setText(i, v.To)
			}
			return nil
		}
	}
	switch {
	case slices.Contains(s.Drops, name):
		f.remove(i)
		if !silent(raw) {
			f.lose(name, "the provider does not take it")
		}
		return nil
	case slices.Contains(s.Refuses, name):
		if !silent(raw) {
			return refused(name, "This model's provider does not take '"+name+"'.")
		}
		f.remove(i)
		return nil
	case s.Renames[name] != "":
		if to := s.Renames[name]; f.find(to) >= 0 {
			f.remove(i) // the client used the server's own word
		} else {
			f.rename(i, to)
		}
		return nil
	}
	return f.known(i, name, raw)
}

func (f *fitting) setText(i int, text string) { f.editor.set(i, jsonx.AppendQuote(nil, text)) }

// known fits a member that has rules of its own.
func (f *fitting) known(i int, name string, raw []byte) *llm.Error {
	s := f.set
	switch name {
	case "stream_options":
		if !s.AsksUsage() {
			f.remove(i)
			if on, _ := jsonx.Bool(jsonx.Get(raw, "include_usage")); on && s.Usage == "never" {
				f.lose(name, "streams of this provider carry no usage")
			}
		}
	case "max_tokens", "max_completion_tokens":
		switch {
		case s.MaxTokens == "" || s.MaxTokens == name:
		case f.find(s.MaxTokens) < 0:
			f.rename(i, s.MaxTokens)
		case name == "max_completion_tokens": // the newer one counts where both are given
			f.remove(i)
			f.editor.set(f.find(s.MaxTokens), raw)
		default:
			f.remove(i)
		}
	case "n":
		if n, ok := jsonx.Int(raw); ok && n > 1 && s.Single {
			return refused(name, "This model's provider makes one answer only; 'n' must be 1.")
		}
	case "tool_choice":
		return f.choice(i, raw)
	case "response_format":
		return f.format(i, raw)
	case "reasoning_effort":
		f.effort(i, raw)
	}
	return nil
}

// choice fits tool_choice. A forced choice is never weakened.
func (f *fitting) choice(i int, raw []byte) *llm.Error {
	form := word(raw)
	if form == "" {
		form = word(jsonx.Get(raw, "type"))
	}
	switch {
	case len(f.set.Choices) == 0 || form == "" || slices.Contains(f.set.Choices, form) || f.set.knows("tool_choice", form):
		return nil
	case form == "auto":
		f.remove(i) // what is without it
		return nil
	case form == "none": // without tools none can be called
		f.remove(i)
		for _, name := range [...]string{"tools", "parallel_tool_calls"} {
			if j := f.find(name); j >= 0 {
				f.remove(j)
			}
		}
		return nil
	}
	return refused("tool_choice", fmt.Sprintf("This model's provider does not take the tool choice %q.", form))
}

func (f *fitting) format(i int, raw []byte) *llm.Error {
	form := word(jsonx.Get(raw, "type"))
	switch {
	case len(f.set.Formats) == 0 || form == "" || slices.Contains(f.set.Formats, form):
		return nil
	case form == "text":
		f.remove(i)
		return nil
	}
	return refused("response_format", fmt.Sprintf("This model's provider does not take the response format %q.", form))
}

// effort makes of a client's reasoning_effort the server's own knob, unless the client uses that one too.
func (f *fitting) effort(i int, raw []byte) {
	r := &f.set.Reasoning
	effort := word(raw)
	if effort == "" || r.Knob == "" || r.Knob == "effort" || r.Knob == "reasoning" || !r.Has(f.model) {
		return // reasoning_effort is known there
	}
	members, lost := r.Ask(effort, 0)
	if f.find(members[0].Name) >= 0 {
		if len(members) == 1 {
			f.remove(i)
		}
		return
	}
	kept := false
	for _, m := range members {
		if kept = kept || m.Name == "reasoning_effort"; m.Name == "reasoning_effort" {
			f.editor.set(i, m.Raw)
		} else {
			f.add(m.Name, m.Raw)
		}
	}
	if !kept {
		f.remove(i)
	}
	if lost != "" {
		f.lose("reasoning_effort", lost)
	}
}
