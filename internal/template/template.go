// Package template is versioned prompt templates: messages with variables, tools and default parameters, which stand
// apart from routing, so that an application names support-reply and operators change what is behind the name.
//
//	File ─ NewSet ─► Set ─ Bind (once for each dialect: the codec writes the request, which is cut at its variables)
//	request ─ Set.Read ─► Use ─ Use.Render ─► the body, in the client's dialect
//
// A variable's value is written as a part of one JSON string and nothing else: whatever it holds, the rendered body has
// the members, messages and roles of the template and of the client's own body. The package opens no file and knows no
// route.
package template

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Tag is the name of the tag that says which template an exchange was made of, as NAME@VERSION. Clients cannot set it
// where there are templates.
const Tag = "template"

// Production is the label of the version that a name alone means. A template without it has its highest version there.
const Production = "production"

// Version is one version of a template. It does not change.
type Version struct {
	Name   string
	Number int
	File

	from   *File                    // it was made of
	byName map[string]int           // variables
	forms  map[dialect.Name]*form   // by the client's dialect
	cannot map[dialect.Name]*cannot // why the template has no form in a dialect
	images *shaped                  // of a template with images, which has no forms; nil: of another
}

// cannot is why a dialect cannot carry a template.
type cannot struct{ what, why string }

// String returns NAME@VERSION.
func (v *Version) String() string { return v.Name + "@" + strconv.Itoa(v.Number) }

// Source is a version where it comes from.
type Source struct {
	Name   string
	Number int // from 1
	File   *File
}

// Allowed reports whether patterns of names, or of NAME@VERSION, let a version be used. Without patterns all are.
func Allowed(patterns []string, v *Version) bool {
	return len(patterns) == 0 || glob.Any(patterns, v.Name) || glob.Any(patterns, v.String())
}

// Bind makes the forms of every template in the dialects of servers whose codecs write requests of chats too. It does so
// once, before requests are read.
func (s *Set) Bind(servers map[dialect.Name]dialect.Server) {
	for _, v := range s.Versions() {
		if v.forms != nil {
			continue
		}
		v.forms, v.cannot = map[dialect.Name]*form{}, map[dialect.Name]*cannot{}
		if v.hasImages() {
			v.images = &shaped{clients: map[dialect.Name]dialect.Client{}, forms: map[string]*form{}, cannot: map[string]*cannot{}}
		}
		for name, server := range servers {
			c, ok := server.(dialect.Client)
			if !ok || !slices.Contains(chats[:], name) {
				continue
			}
			if v.images != nil {
				v.images.clients[name] = c
				continue
			}
			f, why := v.form(c, "")
			if why != nil {
				v.cannot[name] = why
				continue
			}
			v.forms[name] = f
		}
	}
}

// chats are the dialects in which a request can name a template.
var chats = [...]dialect.Name{dialect.OpenAIChat, dialect.OpenAIResponses, dialect.AnthropicMessages, dialect.Gemini, dialect.BedrockConverse, dialect.Cohere}

// Marks around the number of a variable while a codec writes the template: characters of Unicode's private use, which
// texts of templates do not have.
const (
	markBegin = '\ue000'
	markEnd   = '\ue001'
)

// piece is a part of a text: as it is, or a variable.
type piece struct {
	text     string
	variable string // "": text counts
}

// pieces cuts a text at its variables: {{name}}. A {{ behind a backslash is one. The error says what is wrong with it.
func pieces(s string) (out []piece, wrong string) {
	var text strings.Builder
	for s != "" {
		before, rest, found := strings.Cut(s, "{{")
		if !found {
			text.WriteString(s)
			break
		}
		if plain, escaped := strings.CutSuffix(before, `\`); escaped {
			text.WriteString(plain + "{{")
			s = rest
			continue
		}
		text.WriteString(before)
		name, after, closed := strings.Cut(rest, "}}")
		name = strings.Trim(name, " ")
		switch {
		case !closed:
			return nil, `a {{ has no }}; write \{{ for one that is text`
		case !nameOK(name):
			return nil, `between {{ and }} the name of a variable is due; write \{{ for braces that are text`
		}
		if text.Len() > 0 {
			out = append(out, piece{text: text.String()})
			text.Reset()
		}
		out = append(out, piece{variable: name})
		s = after
	}
	if text.Len() > 0 {
		out = append(out, piece{text: text.String()})
	}
	return out, ""
}

// nameOK reports whether a text can name a variable.
func nameOK(s string) bool {
	const longest = 64
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= longest
}

// marked is a text with marks in place of its variables.
func (v *Version) marked(s string) string {
	all, _ := pieces(s)
	var b strings.Builder
	for _, p := range all {
		if p.variable == "" {
			b.WriteString(p.text)
			continue
		}
		b.WriteString(mark(v.byName[p.variable]))
	}
	return b.String()
}

// mark stands for the variable of a number.
func mark(number int) string { return string(markBegin) + strconv.Itoa(number) + string(markEnd) }

// segment is a part of a member's JSON text: as it is, or the value of a variable within a string.
type segment struct {
	raw      []byte
	variable int // -1: raw counts
}

// cut takes a JSON text apart at its marks. ok is false where a mark is not as it was written.
func cut(raw []byte, variables int) (out []segment, ok bool) {
	begin, end := string(markBegin), string(markEnd)
	for s := string(raw); s != ""; {
		before, rest, found := strings.Cut(s, begin)
		if before != "" {
			out = append(out, segment{raw: []byte(before), variable: -1})
		}
		if !found {
			return out, true
		}
		number, after, closed := strings.Cut(rest, end)
		n, err := strconv.Atoi(number)
		if !closed || err != nil || n < 0 || n >= variables {
			return nil, false
		}
		out, s = append(out, segment{variable: n}), after
	}
	return out, true
}

// parts are the parts of a message, with marks for variables.
func (v *Version) parts(content, shapes string) (out []llm.Part) {
	if v.images == nil {
		return []llm.Part{{Kind: llm.PartText, Text: v.marked(content)}}
	}
	var text strings.Builder
	flush := func() {
		if strings.TrimSpace(text.String()) != "" {
			out = append(out, llm.Part{Kind: llm.PartText, Text: text.String()})
		}
		text.Reset()
	}
	all, _ := pieces(content)
	for _, p := range all {
		if p.variable == "" {
			text.WriteString(p.text)
			continue
		}
		n := v.byName[p.variable]
		if v.Variables[n].kind() != imageKind {
			text.WriteString(mark(n))
			continue
		}
		flush()
		out = append(out, imagePart(mark(n), shapes[n]))
	}
	flush()
	return out
}

// request is the template as a request, with marks for variables. shapes has a byte for each variable where there are images.
func (v *Version) request(shapes string) *llm.Request {
	c := &llm.Chat{MaxTokens: int64(v.Parameters.MaxTokens), Stop: v.Parameters.Stop, Sampling: llm.Sampling{Temperature: v.Parameters.Temperature, TopP: v.Parameters.TopP}}
	for i := range v.Messages {
		m := &v.Messages[i]
		role := map[string]llm.Role{"system": llm.RoleSystem, "user": llm.RoleUser, "assistant": llm.RoleAssistant}[m.Role]
		c.Turns = append(c.Turns, llm.Turn{Role: role, Parts: v.parts(m.Content, shapes)})
	}
	for i := range v.Tools {
		t := &v.Tools[i]
		c.Tools = append(c.Tools, llm.Tool{Name: t.Name, Description: t.Description, Schema: t.Parameters, Strict: t.Strict})
	}
	switch choice := v.Parameters.ToolChoice; choice {
	case "":
	case "auto":
		c.Choice.Mode = llm.ChoiceAuto
	case "none":
		c.Choice.Mode = llm.ChoiceNone
	case "required":
		c.Choice.Mode = llm.ChoiceAny
	default:
		c.Choice = llm.ToolChoice{Mode: llm.ChoiceOne, Names: []string{choice}}
	}
	switch f := &v.Parameters.Format; f.Type {
	case "text":
		c.Output.Kind = llm.OutputText
	case "json":
		c.Output.Kind = llm.OutputJSON
	case "schema":
		c.Output = llm.Output{Kind: llm.OutputSchema, Name: cmp.Or(f.Name, "answer"), Schema: f.Schema, Strict: f.Strict}
	}
	if e := v.Parameters.Effort; e != "" {
		c.Thinking = &llm.Thinking{Effort: e}
	}
	if !slices.ContainsFunc(v.Messages, func(m Message) bool { return m.Role != "system" }) { // a dialect would make the user's of a system message that is alone
		c.Turns = append(c.Turns, llm.Turn{Role: llm.RoleUser, Parts: []llm.Part{{Kind: llm.PartText, Text: standIn}}})
	}
	return &llm.Request{Op: llm.OpChat, Model: "m", Body: c}
}

// standIn is the text of a message that is taken out again: of the client's, which will follow.
const standIn = string(markBegin) + "client" + string(markEnd)

// without takes the message that stands in for the client's out of a list. ok is false for a list that has no other.
func without(raw []byte) (list []byte, ok bool) {
	if !bytes.Contains(raw, []byte(standIn)) {
		return raw, true
	}
	out := []byte{'['}
	for _, e := range jsonx.Elements(raw) {
		if !bytes.Contains(e, []byte(standIn)) {
			out = append(jsonx.AppendComma(out), e...)
		}
	}
	return append(out, ']'), len(out) > 1
}

// form is a template in a dialect: its members, without those that the client's request decides.
type form struct {
	members []member
	losses  []llm.Loss
}

// member is a top-level member of a body.
type member struct {
	name string
	kind byte // of its JSON text
	segs []segment
}

// form writes the template in the dialect of a codec, and cuts it at its variables.
func (v *Version) form(c dialect.Client, shapes string) (*form, *cannot) {
	body, losses, err := c.WriteRequest(nil, v.request(shapes), dialect.Target{Model: "m"})
	if err != nil {
		what := ""
		if e, ok := err.(*llm.Error); ok { //nolint:errorlint // codecs return it as it is
			what = e.Param
		}
		return nil, &cannot{what: what, why: err.Error()}
	}
	f := &form{losses: losses}
	found := 0
	for name, raw := range jsonx.Members(body) {
		switch string(name) {
		case "model", "stream", "stream_options", "store":
			continue
		}
		raw, some := without(raw)
		if !some {
			continue
		}
		segs, ok := cut(raw, len(v.Variables))
		if !ok {
			return nil, &cannot{what: string(name), why: "it cannot be written in this dialect"}
		}
		for _, s := range segs {
			if s.variable >= 0 {
				found++
			}
		}
		f.members = append(f.members, member{name: string(name), kind: jsonx.Kind(raw), segs: segs})
	}
	if found != v.uses() {
		return nil, &cannot{what: "messages", why: "not all of its messages can be written in this dialect"}
	}
	return f, nil
}

// uses counts the places of variables.
func (v *Version) uses() (n int) {
	for i := range v.Messages {
		all, _ := pieces(v.Messages[i].Content)
		for _, p := range all {
			if p.variable != "" {
				n++
			}
		}
	}
	return n
}

// marksIn reports whether a text has the characters that stand for variables while a template is written.
func marksIn[T string | JSON](s T) bool {
	for _, r := range string(s) {
		if r == markBegin || r == markEnd || r == utf8.RuneError {
			return true
		}
	}
	return false
}
