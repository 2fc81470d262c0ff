package cli

import (
	"reflect"
	"strings"
	"time"
	"unicode"
)

// node is the program, a group of commands, or a command.
type node struct {
	name, help string
	parent     *node
	target     reflect.Value // the struct
	commands   []*node
	unnamed    *node // the command that is meant where none is named
	args       []*field
	flags      []*field
}

// field is a flag or an argument.
type field struct {
	label     string // as errors call it: --name or <name>
	short     string
	help      string
	shown     string // what help shows for a value
	env       string
	preset    string // the value where nothing else gives one
	enum      []string
	hasPreset bool
	isFile    bool
	whole     bool // a list is not split
	required  bool
	negatable bool
	given     bool
	value     reflect.Value
}

// build makes the node of a struct.
func build(name string, v reflect.Value) *node {
	n := &node{name: name, target: v}
	n.add(v)
	if len(n.commands) > 0 && len(n.flags)+len(n.args) > 0 {
		panic("cli: " + v.Type().String() + " has commands beside flags or arguments")
	}
	return n
}

// add takes the fields of a struct up.
func (n *node) add(v reflect.Value) {
	for i := range v.NumField() {
		t, at := v.Type().Field(i), v.Field(i)
		has := func(key string) bool { _, ok := t.Tag.Lookup(key); return ok }
		switch {
		case t.Anonymous || has("embed"):
			n.add(at)
		case !t.IsExported():
		case has("cmd"):
			n.command(t, at)
		default:
			n.field(t, at, has)
		}
	}
}

func (n *node) command(t reflect.StructField, v reflect.Value) {
	c := build(nameOf(t), v)
	c.help, c.parent = t.Tag.Get("help"), n
	n.commands = append(n.commands, c)
	if t.Tag.Get("default") == "withargs" {
		n.unnamed = c
	}
}

func (n *node) field(t reflect.StructField, v reflect.Value, has func(string) bool) {
	name := nameOf(t)
	f := &field{
		label: "--" + name, short: t.Tag.Get("short"), help: t.Tag.Get("help"), shown: t.Tag.Get("placeholder"),
		env: t.Tag.Get("env"), preset: t.Tag.Get("default"), hasPreset: has("default"),
		isFile: t.Tag.Get("type") == "existingfile", whole: t.Tag.Get("sep") == "none",
		required: has("required"), negatable: has("negatable"), value: v,
	}
	if f.shown == "" {
		f.shown = strings.ToUpper(name)
	}
	if has("enum") {
		f.enum = strings.Split(t.Tag.Get("enum"), ",")
	}
	if !settable(t.Type) {
		panic("cli: " + t.Name + " is a " + t.Type.String() + ", which no argument can be")
	}
	if !has("arg") {
		n.flags = append(n.flags, f)
		return
	}
	f.label, f.required = "<"+name+">", !has("optional")
	n.args = append(n.args, f)
}

// settable reports whether values can be read into a type.
func settable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return settable(t.Elem())
	case reflect.Map:
		return t == reflect.TypeFor[map[string]string]()
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64:
		return true
	default:
		return t == reflect.TypeFor[time.Duration]()
	}
}

// nameOf returns a field's name: ProviderKeys is provider-keys, JSON is json.
func nameOf(t reflect.StructField) string {
	if name := t.Tag.Get("name"); name != "" {
		return name
	}
	var b strings.Builder
	for i, r := range t.Name {
		next := rune(0)
		if i+1 < len(t.Name) {
			next = rune(t.Name[i+1])
		}
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(rune(t.Name[i-1])) || unicode.IsLower(next)) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// each calls f with every command below, and with the node itself if it is one.
func (n *node) each(f func(*node)) {
	for _, c := range n.commands {
		c.each(f)
	}
	if len(n.commands) == 0 {
		f(n)
	}
}

// find returns the command of a name; nil.
func (n *node) find(name string) *node {
	for _, c := range n.commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

// path returns the words that lead to the node, beginning with the program's name.
func (n *node) path() string {
	if n.parent == nil {
		return n.name
	}
	return n.parent.path() + " " + n.name
}

// isSwitch reports whether a flag is a bool, whose value may stand behind = only.
func (f *field) isSwitch() bool {
	t := f.value.Type()
	return t.Kind() == reflect.Bool || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Bool
}
