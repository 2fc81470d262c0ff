package template

import (
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Rendered is a request made of a template and of what its client sent.
type Rendered struct {
	Body  []byte
	Model string // that is asked for; it stands in Body where the dialect has it there
}

// Render makes the request: the template's messages and tools with the client's behind them, and of all else what the
// client says, or what the template does. A body of more than most bytes is refused before it is made.
func (u *Use) Render(most int64) (Rendered, *llm.Error) {
	if u.images == nil && u.forms[u.req.Dialect] == nil {
		return Rendered{}, u.unfit(u.cannot[u.req.Dialect])
	}
	out := Rendered{Model: u.model}
	if out.Model == "" {
		out.Model = u.Model
	}
	if out.Model == "" && u.Route != "" {
		out.Model = u.Name
	}
	if out.Model == "" {
		return Rendered{}, llm.Invalid(byModel, "is missing: the template "+u.String()+" has none of its own; name the template in template, and a model in model")
	}
	texts, taken, e := u.values()
	if e != nil {
		return Rendered{}, e
	}
	f, why := u.formOf(u.req.Dialect, string(u.shapes))
	if f == nil {
		return Rendered{}, u.unfit(why)
	}
	w := writer{u: u, texts: texts, taken: taken, left: most}
	if !w.fits(f) {
		return Rendered{}, &llm.Error{Code: llm.CodeTooLarge, Param: u.field, Message: "the template " + u.String() + " with these variables is over the limit of " + strconv.FormatInt(most, 10) + " bytes"}
	}
	w.dst = append(w.dst, '{')
	if u.req.Model == "" {
		w.dst = jsonx.AppendText(w.dst, byModel, out.Model)
	}
	if e = w.members(f); e != nil {
		return Rendered{}, e
	}
	w.rest(f)
	w.dst = append(w.dst, '}')
	out.Body = w.dst
	return out, nil
}

// unfit says that the template cannot be used in the client's dialect.
func (u *Use) unfit(why *cannot) *llm.Error {
	e := llm.Invalid(u.field, "the template "+u.String()+" cannot be used in "+string(u.req.Dialect))
	if why != nil {
		e.Message += ": " + why.why
	}
	return e
}

// writer writes one body.
type writer struct {
	u     *Use
	texts [][]byte
	taken []string
	left  int64
	dst   []byte
}

// fits reports whether the body will be within bounds, and makes room for it.
func (w *writer) fits(f *form) bool {
	n := int64(len(w.u.req.Doc.Body)) + int64(len(w.u.Model)) + 256
	for i := range f.members {
		n += int64(len(f.members[i].name)) + 8
		for _, s := range f.members[i].segs {
			if s.variable >= 0 {
				n += int64(len(w.texts[s.variable]))
			} else {
				n += int64(len(s.raw))
			}
			if n > w.left {
				return false
			}
		}
	}
	w.dst = make([]byte, 0, n)
	return n <= w.left
}

// merge says what becomes of a member that both template and client have.
type merge uint8

const (
	clients merge = iota // the client's counts
	lists                // the client's elements come behind the template's
	objects              // members of both, the client's before the template's of one name
	refuse               // only the template may have it
)

// merges are the rules, by plain name; others are the client's.
var merges = map[string]merge{
	"messages": lists, "input": lists, "contents": lists, "tools": lists,
	"generationconfig": objects, "inferenceconfig": objects, "text": objects, "reasoning": objects, "outputconfig": objects,
	"system": refuse, "instructions": refuse, "systeminstruction": refuse,
}

// counted are the members, by plain name, of which the tokens of a prompt are counted.
var counted = map[string]bool{
	"messages": true, "input": true, "contents": true, "tools": true, "toolchoice": true, "toolconfig": true,
	"system": true, "instructions": true, "systeminstruction": true,
}

// plain is a name without case and underscores, as Google's JSON reads it, with the older of two names of one thing in
// place of the newer.
func plain(name string) string {
	s := strings.ToLower(strings.ReplaceAll(name, "_", ""))
	if s == "maxcompletiontokens" {
		return "maxtokens"
	}
	return s
}

// rule is what becomes of a member that both have.
func (w *writer) rule(name string) merge {
	p := plain(name)
	if p == "toolconfig" && w.u.req.Dialect == dialect.BedrockConverse {
		return refuse
	}
	return merges[p]
}

// own returns the client's member of a name, nil where it has none or says null.
func (w *writer) own(name string) (raw []byte, as string) {
	doc := w.u.req.Doc
	for i := range doc.Members {
		m := &doc.Members[i]
		if plain(m.Name) == plain(name) && !jsonx.IsNull(doc.Body[m.Start:m.End]) {
			return doc.Body[m.Start:m.End], m.Name
		}
	}
	return nil, ""
}

// members writes those of the template, with what the client adds.
func (w *writer) members(f *form) *llm.Error {
	for i := range f.members {
		m := &f.members[i]
		own, as := w.own(m.name)
		rule := w.rule(m.name)
		switch {
		case w.u.req.Count && !counted[plain(m.name)]:
		case own == nil:
			w.dst = jsonx.AppendKey(w.dst, m.name)
			w.fill(m.segs)
		case rule == refuse:
			return llm.Invalid(as, "the template "+w.u.String()+" brings its own; leave it out")
		case rule == lists:
			w.dst = jsonx.AppendKey(w.dst, as)
			if e := w.join(m, own, as); e != nil {
				return e
			}
		case rule == objects && m.kind == '{' && jsonx.Kind(own) == '{':
			w.dst = jsonx.AppendKey(w.dst, as)
			w.blend(m, own)
		}
	}
	return nil
}

// fill writes segments, with the values of variables.
func (w *writer) fill(segs []segment) {
	for _, s := range segs {
		if s.variable >= 0 {
			w.dst = append(w.dst, w.texts[s.variable]...)
		} else {
			w.dst = append(w.dst, s.raw...)
		}
	}
}

// join writes the template's list and the client's as one. A text stands for one message of the user, as in OpenAI's
// Responses.
func (w *writer) join(m *member, own []byte, as string) *llm.Error {
	w.dst = append(w.dst, '[')
	if m.kind == '[' {
		from := len(w.dst) - 1
		w.dst = w.dst[:from]
		w.fill(m.segs)
		w.dst = trimEnd(w.dst)
	} else {
		w.dst = append(w.dst, `{"role":"user","content":`...)
		w.fill(m.segs)
		w.dst = append(w.dst, '}')
	}
	switch jsonx.Kind(own) {
	case '[':
		for _, e := range jsonx.Elements(own) {
			w.dst = append(jsonx.AppendComma(w.dst), e...)
		}
	case '"':
		if as != "input" {
			return llm.Invalid(as, "must be a list, not a string")
		}
		w.dst = append(append(append(jsonx.AppendComma(w.dst), `{"role":"user","content":`...), own...), '}')
	default:
		return llm.Invalid(as, "must be a list, not "+named(own))
	}
	w.dst = append(w.dst, ']')
	return nil
}

// trimEnd takes the bracket off a list that has just been written.
func trimEnd(b []byte) []byte {
	for len(b) > 0 {
		c := b[len(b)-1]
		b = b[:len(b)-1]
		if c == ']' {
			break
		}
	}
	for len(b) > 0 && strings.IndexByte(" \t\r\n", b[len(b)-1]) >= 0 {
		b = b[:len(b)-1]
	}
	return b
}

// blend writes the members of two objects. Such members of templates have no variables.
func (w *writer) blend(m *member, own []byte) {
	w.dst = append(w.dst, '{')
	names := map[string]bool{}
	for name, raw := range jsonx.Members(own) {
		names[plain(string(name))] = true
		w.dst = append(jsonx.AppendKey(w.dst, string(name)), raw...)
	}
	for _, s := range m.segs {
		for name, raw := range jsonx.Members(s.raw) {
			if !names[plain(string(name))] {
				w.dst = append(jsonx.AppendKey(w.dst, string(name)), raw...)
			}
		}
	}
	w.dst = append(w.dst, '}')
}

// rest writes the members that are the client's alone.
func (w *writer) rest(f *form) {
	doc := w.u.req.Doc
	for i := range doc.Members {
		m := &doc.Members[i]
		raw := doc.Body[m.Start:m.End]
		switch {
		case m.Name == byModel && w.u.req.Model == "", m.Name == byBody, m.Name == byPrompt && w.u.field == byPrompt:
			continue
		case m.Name == w.u.req.Dialect.Metadata() && len(w.taken) > 0:
			w.metadata(m.Name, raw)
			continue
		}
		if w.written(f, m.Name, raw) {
			continue
		}
		w.dst = append(jsonx.AppendKey(w.dst, m.Name), raw...)
	}
}

// written reports whether a member of the client stands in the body already, or gives way to the template's.
func (w *writer) written(f *form, name string, raw []byte) bool {
	for i := range f.members {
		m := &f.members[i]
		if plain(m.name) != plain(name) {
			continue
		}
		switch w.rule(m.name) {
		case lists, refuse:
			return true
		case objects:
			return jsonx.IsNull(raw) || m.kind == '{' && jsonx.Kind(raw) == '{'
		default:
			return jsonx.IsNull(raw)
		}
	}
	return false
}

// metadata writes what of the client's metadata was not taken for variables.
func (w *writer) metadata(name string, raw []byte) {
	left := []byte{'{'}
	for key, v := range jsonx.Members(raw) {
		if !slices.Contains(w.taken, string(key)) {
			left = append(jsonx.AppendKey(left, string(key)), v...)
		}
	}
	if len(left) > 1 {
		w.dst = append(append(jsonx.AppendKey(w.dst, name), left...), '}')
	}
}
