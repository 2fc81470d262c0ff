// Package override puts parameters in the place of what a client says, in the client's own dialect: as edits of its body, of which
// all else stays as it came. It is how an arm of an experiment asks for another temperature.
//
// Names and meanings are those of the default parameters of prompt templates. What a dialect has no word for is a loss: it is not
// asked for, and what the client says of it counts.
package override

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Parameters are what counts in place of what clients say. What is not set is the client's.
type Parameters = template.Parameters

// Change is what an arm changes of the requests that it gets.
type Change struct {
	Parameters *Parameters // in place of what clients say; nil: none
	Version    string      // of the template that they name, in place of the one in production: a number or a label; "": that one
}

// Request is what is changed.
type Request struct {
	Dialect dialect.Name
	Doc     *jsonx.Doc
	Facts   catalog.Facts // of the model that it goes to first, where that speaks the dialect: how it is asked to reason
}

// Apply returns the edits of a body, which have all of the parameters that its dialect has, and what it lacks by the names of the
// parameters. Of a dialect that is no chat's there are none.
func Apply(p *Parameters, r Request) (edits []jsonx.Edit, losses []llm.Loss) {
	if len(r.Doc.Members) == 0 { // it is no request
		return nil, nil
	}
	w := &writer{Request: r}
	switch r.Dialect {
	case dialect.OpenAIChat:
		w.chat(p)
	case dialect.OpenAICompletions:
		w.completions(p)
	case dialect.OpenAIResponses:
		w.responses(p)
	case dialect.AnthropicMessages:
		w.messages(p)
	case dialect.Gemini:
		w.gemini(p)
	case dialect.BedrockConverse:
		w.converse(p)
	case dialect.Cohere:
		w.cohere(p)
	}
	return w.edits(), w.losses
}

// writer collects changes.
type writer struct {
	Request
	changes []change
	losses  []llm.Loss
}

// change is a member of the body or, where within is not "", of an object within it. Without raw it is taken out.
type change struct {
	within, name string
	raw          []byte
}

func (w *writer) set(name string, raw []byte) {
	w.changes = append(w.changes, change{name: name, raw: raw})
}

func (w *writer) in(within, name string, raw []byte) {
	w.changes = append(w.changes, change{within, name, raw})
}

func (w *writer) lose(parameter, why string) {
	w.losses = append(w.losses, llm.Loss{Path: parameter, Why: why})
}

// lacks are losses of what is set and has no word here.
func (w *writer) lacks(p *Parameters, names ...string) {
	is := map[string]bool{
		"stop": len(p.Stop) > 0, "tool_choice": p.ToolChoice != "", "reasoning_effort": p.Effort != "", "response_format": p.Format.Type != "",
	}
	for _, n := range names {
		if is[n] {
			w.lose(n, string(w.Dialect)+" has no word for it")
		}
	}
}

// plain makes the names of one thing alike: Gemini takes camelCase and snake_case.
func (w *writer) plain(name string) string {
	if w.Dialect != dialect.Gemini {
		return name
	}
	return strings.ToLower(strings.ReplaceAll(name, "_", ""))
}

// get returns the client's member of a name, and the name that it has for it.
func (w *writer) get(name string) (raw []byte, as string) {
	for i := range w.Doc.Members {
		if m := &w.Doc.Members[i]; w.plain(m.Name) == w.plain(name) {
			return w.Doc.Body[m.Start:m.End], m.Name
		}
	}
	return nil, name
}

// edits makes the changes. Those within one object are one edit.
func (w *writer) edits() (out []jsonx.Edit) {
	var done []string
	for _, c := range w.changes {
		if c.within == "" {
			old, as := w.get(c.name)
			switch {
			case c.raw != nil:
				out = append(out, w.Doc.Set(as, c.raw))
			case old != nil:
				gone, _ := w.Doc.Remove(as)
				out = append(out, gone)
			}
			continue
		}
		if !slices.Contains(done, c.within) {
			done = append(done, c.within)
			old, as := w.get(c.within)
			if raw := w.merged(old, c.within); len(raw) > 2 || old != nil {
				out = append(out, w.Doc.Set(as, raw))
			}
		}
	}
	return out
}

// merged is the client's object with what is changed within it.
func (w *writer) merged(old []byte, within string) []byte {
	out := []byte{'{'}
	for name, raw := range jsonx.Members(old) {
		if !slices.ContainsFunc(w.changes, func(c change) bool { return c.within == within && w.plain(c.name) == w.plain(string(name)) }) {
			out = append(jsonx.AppendKey(out, string(name)), raw...)
		}
	}
	for _, c := range w.changes {
		if c.within == within && c.raw != nil {
			out = append(jsonx.AppendKey(out, c.name), c.raw...)
		}
	}
	return append(out, '}')
}

// tooled reports whether the request has tools, without which none can be chosen.
func (w *writer) tooled() bool {
	raw, _ := w.get("tools")
	for range jsonx.Elements(raw) {
		return true
	}
	return false
}

// choice is the parameter tool_choice where there is anything to choose.
func (w *writer) choice(p *Parameters) string {
	if p.ToolChoice == "" || !w.tooled() {
		return ""
	}
	return p.ToolChoice
}

func number(f float64) []byte { return jsonx.AppendFloat(nil, f) }
func whole(n int64) []byte    { return strconv.AppendInt(nil, n, 10) }
func text(s string) []byte    { return jsonx.AppendQuote(nil, s) }

func list(all []string) []byte {
	out := []byte{'['}
	for _, s := range all {
		out = jsonx.AppendQuote(jsonx.AppendComma(out), s)
	}
	return append(out, ']')
}

// sampling sets temperature and top_p by way of put. most is the highest temperature of the dialect.
func (w *writer) sampling(p *Parameters, put func(name string, raw []byte), top string, most float64) {
	if t := p.Temperature; t != nil {
		if *t > most {
			w.lose("temperature", "the highest here is "+string(number(most))+", which is sent")
		}
		put("temperature", number(min(*t, most)))
	}
	if p.TopP != nil {
		put(top, number(*p.TopP))
	}
}

// limit sets the most tokens, and texts that end an answer, by way of put.
func limit(p *Parameters, put func(name string, raw []byte), most, stop string) {
	if p.MaxTokens > 0 {
		put(most, whole(int64(p.MaxTokens)))
	}
	if len(p.Stop) > 0 && stop != "" {
		put(stop, list(p.Stop))
	}
}

// same reports whether a type is said.
func same(raw []byte, kind string) bool {
	return bytes.Equal(jsonx.Get(raw, "type"), text(kind))
}
