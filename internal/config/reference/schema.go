package reference

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// Patterns of scalars that are texts in YAML. They are looser than the decoder where an expression would be
// unreadable: an editor helps, signalbox check decides.
const (
	durations  = `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	sizes      = `^[0-9]+(B|KiB|MiB|GiB)$`
	counts     = `^[0-9]+[kM]$`
	tcp        = `(\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost):[0-9]{1,5}`
	references = `^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|exec:.+)$`
)

// Schema returns the JSON Schema (draft 2020-12) of the configuration, for editors.
func Schema(kinds *providers.Registry) []byte {
	c, p, r := config.Preset()
	w := writer{kinds: kinds, presets: map[reflect.Type]reflect.Value{reflect.TypeOf(p): reflect.ValueOf(p), reflect.TypeOf(r): reflect.ValueOf(r)}}
	s := w.object(reflect.ValueOf(c))
	s.Version = jsonschema.Version
	s.Title = "Signalbox configuration"
	b, err := s.MarshalJSON()
	if err != nil {
		panic("reference: " + err.Error()) // a schema has nothing that cannot be marshalled
	}
	return indent(b)
}

// writer makes schemas of values, which hold the defaults.
type writer struct {
	kinds   *providers.Registry
	presets map[reflect.Type]reflect.Value // of list elements
}

// policies makes the schema of one entry of a list of policies: a name, or one name with its options.
func (w *writer) policies() *jsonschema.Schema {
	var names []any
	s := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{}}}
	for _, name := range policy.Names() {
		k, _ := policy.Find(name)
		options := w.object(reflect.ValueOf(k.New()).Elem())
		if len(options.Required) == 0 {
			names = append(names, name)
		}
		of := jsonschema.NewProperties()
		of.Set(name, options)
		s.AnyOf = append(s.AnyOf, &jsonschema.Schema{Type: "object", Properties: of, Required: []string{name}, AdditionalProperties: jsonschema.FalseSchema})
	}
	s.AnyOf[0] = &jsonschema.Schema{Enum: names}
	return s
}

// object makes the schema of a struct.
func (w *writer) object(v reflect.Value) *jsonschema.Schema {
	if _, ok := reflect.TypeAssert[config.Policy](v); ok {
		return w.policies()
	}
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	var short *jsonschema.Schema
	for _, f := range fields(v, "") {
		if f.inline {
			part := w.object(f.value)
			for pair := part.Properties.Oldest(); pair != nil; pair = pair.Next() {
				s.Properties.Set(pair.Key, pair.Value)
			}
			continue
		}
		p := w.field(f)
		s.Properties.Set(f.name, p)
		if f.tag.Get("required") != "" {
			s.Required = append(s.Required, f.name)
		}
		if f.tag.Get("short") != "" {
			short = p
		}
	}
	if _, ok := reflect.TypeAssert[config.Provider](v); ok {
		s.AllOf = w.params()
	}
	if short != nil && short.Items != nil { // one stands for a list of one
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{short.Items, short, s}}
	}
	if short != nil {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{short, s}}
	}
	return s
}

// params makes one condition for each kind: what its params are.
func (w *writer) params() []*jsonschema.Schema {
	var all []*jsonschema.Schema
	var vendors []any
	var data providers.Kind
	for _, name := range w.kinds.Names() {
		k, _ := w.kinds.Kind(name)
		if k.Vendor != nil { // all of one type, with defaults of their own
			vendors, data = append(vendors, name), k
			continue
		}
		when, then := jsonschema.NewProperties(), jsonschema.NewProperties()
		when.Set("kind", &jsonschema.Schema{Const: name})
		if k.Params == nil {
			then.Set("params", jsonschema.FalseSchema)
		} else {
			then.Set("params", w.object(reflect.ValueOf(k.Params()).Elem()))
		}
		all = append(all, &jsonschema.Schema{If: &jsonschema.Schema{Properties: when}, Then: &jsonschema.Schema{Properties: then}})
	}
	if len(vendors) > 0 {
		when, then := jsonschema.NewProperties(), jsonschema.NewProperties()
		when.Set("kind", &jsonschema.Schema{Enum: vendors})
		then.Set("params", w.object(reflect.New(reflect.TypeOf(data.Params()).Elem()).Elem()))
		all = append(all, &jsonschema.Schema{If: &jsonschema.Schema{Properties: when}, Then: &jsonschema.Schema{Properties: then}})
	}
	return all
}

// field makes the schema of a field, with its meaning and default.
func (w *writer) field(f field) *jsonschema.Schema {
	s := w.value(f)
	s.Description = f.tag.Get("doc")
	if f.tag.Get("required") != "" || f.tag.Get("zero") != "" && f.value.IsZero() {
		return s
	}
	switch v := f.value.Interface().(type) {
	case bool, int:
		s.Default = v
	case time.Duration:
		s.Default = config.Duration(v)
	case config.Size:
		s.Default = v.String()
	default:
		if f.value.Kind() == reflect.String && !f.value.IsZero() {
			s.Default = f.value.String()
		}
	}
	return s
}

// value makes the schema of what a field takes.
func (w *writer) value(f field) *jsonschema.Schema {
	if f.value.Kind() == reflect.Pointer {
		f.value = reflect.New(f.value.Type().Elem()).Elem()
	}
	switch f.value.Interface().(type) {
	case time.Duration:
		return &jsonschema.Schema{Type: "string", Pattern: durations}
	case config.Size:
		return &jsonschema.Schema{Type: "string", Pattern: sizes}
	case secret.Ref:
		return &jsonschema.Schema{Type: "string", Pattern: references}
	case billing.Dollars, billing.Times:
		zero := &jsonschema.Schema{Type: "number"}
		set(&zero.Minimum, "0", "")
		return zero
	case template.JSON:
		return &jsonschema.Schema{}
	case config.Address:
		if f.tag.Get("form") == "address" {
			return &jsonschema.Schema{Type: "string", Pattern: "^(unix:.+|" + tcp + ")$"}
		}
		return &jsonschema.Schema{Type: "string", Pattern: "^" + tcp + "$"}
	}
	switch f.value.Kind() {
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.Float64:
		return &jsonschema.Schema{Type: "number"}
	case reflect.Int:
		return number(f.tag)
	case reflect.Slice:
		return w.list(f)
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: text(f.tag, w.kinds)}
	case reflect.Struct:
		return w.object(f.value)
	case reflect.String:
		return text(f.tag, w.kinds)
	case reflect.Interface:
		return &jsonschema.Schema{Type: "object"}
	}
	panic(fmt.Sprintf("reference: no schema for %s, a %s", f.name, f.value.Type()))
}

// list makes the schema of a list.
func (w *writer) list(f field) *jsonschema.Schema {
	element, ok := w.presets[f.value.Type().Elem()]
	if !ok {
		element = elementOf(f.value.Type().Elem())
	}
	one := uint64(1)
	s := &jsonschema.Schema{Type: "array", MinItems: &one, Items: w.value(field{name: f.name, value: element, tag: f.tag})}
	if most, err := strconv.ParseUint(f.tag.Get("max"), 10, 64); err == nil {
		s.MaxItems = &most
	}
	return s
}

// text makes the schema of a text.
func text(tag reflect.StructTag, kinds *providers.Registry) *jsonschema.Schema {
	one := uint64(1)
	s := &jsonschema.Schema{Type: "string", MinLength: &one}
	names := strings.Split(tag.Get("enum"), ",")
	if tag.Get("form") == "kind" {
		names = kinds.Names()
	}
	switch tag.Get("form") {
	case "ability":
		names = ability.Names()
	case "operation":
		names = auth.Operations()
	}
	if names[0] != "" {
		s.MinLength = nil
		for _, n := range names {
			s.Enum = append(s.Enum, n)
		}
	} else if p := config.Pattern(tag.Get("form")); p != "" {
		s.Pattern, s.MinLength = p, nil
	}
	return s
}

// number makes the schema of a whole number, which may be written with k or M.
func number(tag reflect.StructTag) *jsonschema.Schema {
	n := &jsonschema.Schema{Type: "integer"}
	set(&n.Minimum, tag.Get("min"), "0")
	set(&n.Maximum, tag.Get("max"), "")
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{n, {Type: "string", Pattern: counts}}}
}

// set puts a number into a keyword.
func set[T ~string](keyword *T, v, otherwise string) {
	if v == "" {
		v = otherwise
	}
	*keyword = T(v)
}

// indent lays out compact JSON by two spaces a level.
func indent(compact []byte) []byte {
	var out []byte
	depth, quoted := 0, false
	line := func() {
		out = append(out, '\n')
		out = append(out, strings.Repeat("  ", depth)...)
	}
	for i, c := range compact {
		switch {
		case quoted:
			out = append(out, c)
			quoted = c != '"' || escaped(compact[:i])
		case c == '"':
			out, quoted = append(out, c), true
		case c == '{' || c == '[':
			out = append(out, c)
			if depth++; compact[i+1] != c+2 {
				line()
			}
		case c == '}' || c == ']':
			if depth--; compact[i-1] != c-2 {
				line()
			}
			out = append(out, c)
		case c == ',':
			out = append(out, c)
			line()
		case c == ':':
			out = append(out, ": "...)
		default:
			out = append(out, c)
		}
	}
	return append(out, '\n')
}

// escaped reports whether what follows b stands after an odd number of backslashes.
func escaped(b []byte) bool {
	n := 0
	for len(b) > n && b[len(b)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}
