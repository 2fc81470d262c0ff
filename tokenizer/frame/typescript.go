package frame

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// deepest is how deep a schema is followed; what nests deeper is "any".
const deepest = 24

// typescript writes the declarations in which OpenAI's models see their tools: a namespace of function types, as
// the documentation of the harmony format shows it.
type typescript struct {
	strings.Builder
	root []byte // the schema that references point into
	refs int    // references followed, so that a schema that refers to itself ends
}

// namespace writes all functions among tools and returns how many there are.
func (w *typescript) namespace(tools []llm.Tool) (n int) {
	for i := range tools {
		if tools[i].Native != "" {
			continue
		}
		if n++; n == 1 {
			w.WriteString("# Tools\n\n## functions\n\nnamespace functions {\n\n")
		}
		w.function(&tools[i])
	}
	if n > 0 {
		w.WriteString("} // namespace functions")
	}
	return n
}

func (w *typescript) function(t *llm.Tool) {
	w.comment("", t.Description)
	w.WriteString("type " + t.Name + " = (")
	w.root, w.refs = t.Schema, 0
	if p := jsonx.Get(t.Schema, "properties"); jsonx.Kind(p) == '{' && !empty(p) {
		w.WriteString("_: ")
		w.about(t.Schema, "")
		w.object(t.Schema, "", 0)
	}
	w.WriteString(") => any;\n\n")
}

func empty(obj []byte) bool {
	for range jsonx.Members(obj) {
		return false
	}
	return true
}

// comment writes a text as comment lines, each trimmed.
func (w *typescript) comment(indent, text string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			w.WriteString(indent + "//\n")
		} else {
			w.WriteString(indent + "// " + line + "\n")
		}
	}
}

// object writes an object type with its properties.
func (w *typescript) object(schema []byte, indent string, depth int) {
	w.WriteString("{\n")
	required := map[string]bool{}
	for _, r := range jsonx.Elements(jsonx.Get(schema, "required")) {
		if name, ok := jsonx.String(r); ok {
			required[name] = true
		}
	}
	for name, p := range jsonx.Members(jsonx.Get(schema, "properties")) {
		w.property(string(name), p, required[string(name)], indent, depth)
	}
	w.WriteString(indent + "}")
}

func (w *typescript) property(name string, p []byte, required bool, indent string, depth int) {
	p = w.resolved(p)
	w.about(p, indent)
	w.examples(p, indent)
	w.WriteString(indent + name)
	if !required {
		w.WriteByte('?')
	}
	w.WriteString(": ")
	w.kind(p, indent, depth+1)
	w.WriteByte(',')
	if d := jsonx.Get(p, "default"); d != nil {
		w.WriteString(" // default: ")
		if s, ok := jsonx.String(d); ok {
			w.WriteString(s)
		} else {
			w.Write(d)
		}
	}
	w.WriteByte('\n')
}

// about writes a schema's title and description as comments.
func (w *typescript) about(p []byte, indent string) {
	title, _ := jsonx.String(jsonx.Get(p, "title"))
	text, _ := jsonx.String(jsonx.Get(p, "description"))
	if title != "" {
		w.WriteString(indent + "// " + title + "\n")
		if text != "" {
			w.WriteString(indent + "//\n")
		}
	}
	w.comment(indent, text)
}

func (w *typescript) examples(p []byte, indent string) {
	first := true
	for _, e := range jsonx.Elements(jsonx.Get(p, "examples")) {
		if first {
			w.WriteString(indent + "// Examples:\n")
			first = false
		}
		w.WriteString(indent + "// - ")
		w.Write(e)
		w.WriteByte('\n')
	}
}

// resolved follows references within the tool's schema.
func (w *typescript) resolved(p []byte) []byte {
	for range 8 {
		ref, ok := jsonx.String(jsonx.Get(p, "$ref"))
		if !ok || !strings.HasPrefix(ref, "#/") || w.refs > 1000 {
			return p
		}
		w.refs++
		to := jsonx.At(w.root, strings.Split(ref[2:], "/")...)
		if to == nil {
			return p
		}
		p = to
	}
	return p
}

// kind writes the type of a value.
func (w *typescript) kind(p []byte, indent string, depth int) {
	p = w.resolved(p)
	if depth > deepest {
		w.WriteString("any")
		return
	}
	if e := jsonx.Get(p, "enum"); jsonx.Kind(e) == '[' {
		w.union(e, func(v []byte) { w.Write(v) })
		return
	}
	for _, name := range [...]string{"anyOf", "oneOf"} {
		if u := jsonx.Get(p, name); jsonx.Kind(u) == '[' {
			w.union(u, func(v []byte) { w.kind(v, indent, depth+1) })
			return
		}
	}
	if c := jsonx.Get(p, "const"); c != nil {
		w.Write(c)
		return
	}
	types := jsonx.Get(p, "type")
	if jsonx.Kind(types) == '[' {
		w.union(types, func(v []byte) {
			name, _ := jsonx.String(v)
			w.named(name, p, indent, depth)
		})
		return
	}
	name, _ := jsonx.String(types)
	w.named(name, p, indent, depth)
}

// described reports whether a schema of an object has properties with descriptions.
func described(schema []byte) bool {
	for _, p := range jsonx.Members(jsonx.Get(schema, "properties")) {
		if d, _ := jsonx.String(jsonx.Get(p, "description")); d != "" {
			return true
		}
	}
	return false
}

func (w *typescript) union(list []byte, write func([]byte)) {
	first := true
	for _, v := range jsonx.Elements(list) {
		if !first {
			w.WriteString(" | ")
		}
		first = false
		write(v)
	}
}

func (w *typescript) named(name string, p []byte, indent string, depth int) {
	switch name {
	case "integer", "number":
		w.WriteString("number")
	case "string", "boolean", "null":
		w.WriteString(name)
	case "array":
		items := jsonx.Get(p, "items")
		if described(items) { // comments have no place there
			s := slimmer{drop: decoding[:]}
			w.Write(s.schema(nil, items, true))
		} else if jsonx.Kind(items) == '{' && !empty(items) {
			w.kind(items, indent, depth+1)
		} else {
			w.WriteString("any")
		}
		w.WriteString("[]")
	case "object":
		if jsonx.Kind(jsonx.Get(p, "properties")) == '{' {
			w.object(p, indent, depth)
			return
		}
		w.WriteString("object")
	default:
		if jsonx.Kind(jsonx.Get(p, "properties")) == '{' {
			w.object(p, indent, depth)
			return
		}
		w.WriteString("any")
	}
}
