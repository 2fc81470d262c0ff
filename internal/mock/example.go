package mock

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// at names a member of an array's element, as messages[3].role.
func at(array string, i int, member string) string {
	return array + "[" + strconv.Itoa(i) + "]." + member
}

// example returns a value that fits a JSON Schema, as far as it uses type, enum, const, default, examples,
// properties, required, items, $ref into itself, anyOf, oneOf, allOf, the bounds of numbers and lengths, and
// common formats. What cannot be met with that (a pattern) is left unmet.
func example(schema []byte) []byte {
	x := exampler{root: schema, left: maxValues}
	return x.value(nil, schema, "value", 0)
}

type exampler struct {
	root []byte
	left int // how many more values may be written
}

// maxValues bounds the values of an example, for schemas that refer to themselves many times.
const maxValues = 5000

// maxDepth bounds schemas that refer to themselves; below it optional members and elements are left out.
const maxDepth = 12

func (x *exampler) value(dst, schema []byte, name string, depth int) []byte {
	if x.left--; x.left < 0 || depth > 2*maxDepth {
		return append(dst, "null"...)
	}
	if ref, ok := jsonx.String(jsonx.Get(schema, "$ref")); ok {
		return x.value(dst, x.resolve(ref), name, depth+1)
	}
	if v := jsonx.Get(schema, "const"); v != nil {
		return append(dst, v...)
	}
	for _, list := range []string{"enum", "examples"} {
		for _, v := range jsonx.Elements(jsonx.Get(schema, list)) {
			return append(dst, v...)
		}
	}
	if v := jsonx.Get(schema, "default"); v != nil {
		return append(dst, v...)
	}
	for _, list := range []string{"anyOf", "oneOf"} {
		for _, v := range jsonx.Elements(jsonx.Get(schema, list)) {
			if t, _ := jsonx.String(jsonx.Get(v, "type")); t != "null" {
				return x.value(dst, v, name, depth+1)
			}
		}
	}
	switch typeOf(schema) {
	case "object":
		return x.object(dst, schema, depth)
	case "array":
		return x.array(dst, schema, name, depth)
	case "integer":
		return strconv.AppendInt(dst, int64(numberIn(schema, true)), 10)
	case "number":
		return jsonx.AppendFloat(dst, numberIn(schema, false))
	case "boolean":
		return append(dst, "true"...)
	case "null":
		return append(dst, "null"...)
	}
	for _, v := range jsonx.Elements(jsonx.Get(schema, "allOf")) {
		return x.value(dst, v, name, depth+1)
	}
	return jsonx.AppendQuote(dst, stringIn(schema, name))
}

// resolve follows a reference into the root, as #/$defs/name.
func (x *exampler) resolve(ref string) []byte {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	v := x.root
	for _, name := range strings.Split(path, "/")[1:] {
		v = jsonx.Get(v, strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
	}
	return v
}

func typeOf(schema []byte) string {
	raw := jsonx.Get(schema, "type")
	if t, ok := jsonx.String(raw); ok {
		return t
	}
	for _, e := range jsonx.Elements(raw) {
		if t, _ := jsonx.String(e); t != "null" {
			return t
		}
	}
	if jsonx.Get(schema, "properties") != nil || parts(schema) {
		return "object"
	}
	if jsonx.Get(schema, "items") != nil {
		return "array"
	}
	return ""
}

// parts reports whether allOf is made of objects.
func parts(schema []byte) bool {
	for _, v := range jsonx.Elements(jsonx.Get(schema, "allOf")) {
		return jsonx.Get(v, "properties") != nil
	}
	return false
}

// object writes the required members, or all where none is required.
func (x *exampler) object(dst, schema []byte, depth int) []byte {
	dst = append(dst, '{')
	seen := make(map[string]bool)
	sources := [][]byte{schema}
	for _, v := range jsonx.Elements(jsonx.Get(schema, "allOf")) {
		if ref, ok := jsonx.String(jsonx.Get(v, "$ref")); ok {
			v = x.resolve(ref)
		}
		sources = append(sources, v)
	}
	for _, source := range sources {
		var required []string
		for _, e := range jsonx.Elements(jsonx.Get(source, "required")) {
			s, _ := jsonx.String(e)
			required = append(required, s)
		}
		for key, v := range jsonx.Members(jsonx.Get(source, "properties")) {
			name := string(key)
			if seen[name] || (len(required) > 0 || depth >= maxDepth) && !slices.Contains(required, name) {
				continue
			}
			if len(seen) > 0 {
				dst = append(dst, ',')
			}
			seen[name] = true
			dst = append(jsonx.AppendQuote(dst, name), ':')
			dst = x.value(dst, v, name, depth+1)
		}
	}
	return append(dst, '}')
}

func (x *exampler) array(dst, schema []byte, name string, depth int) []byte {
	n, ok := jsonx.Int(jsonx.Get(schema, "minItems"))
	if !ok && depth < maxDepth {
		n = 1
	}
	if high, ok := jsonx.Int(jsonx.Get(schema, "maxItems")); ok {
		n = min(n, high)
	}
	dst = append(dst, '[')
	for i := range min(n, 1000) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = x.value(dst, jsonx.Get(schema, "items"), name, depth+1)
	}
	return append(dst, ']')
}

// numberIn returns 1 or what the bounds allow nearest to it.
func numberIn(schema []byte, whole bool) float64 {
	n, step := 1.0, 0.5
	if whole {
		step = 1
	}
	if low, ok := jsonx.Float(jsonx.Get(schema, "minimum")); ok {
		n = max(n, low)
	}
	if low, ok := jsonx.Float(jsonx.Get(schema, "exclusiveMinimum")); ok && n <= low {
		n = low + step
	}
	if high, ok := jsonx.Float(jsonx.Get(schema, "maximum")); ok {
		n = min(n, high)
	}
	if high, ok := jsonx.Float(jsonx.Get(schema, "exclusiveMaximum")); ok && n >= high {
		n = high - step
	}
	if by, ok := jsonx.Float(jsonx.Get(schema, "multipleOf")); ok && by > 0 {
		n = by * float64(int64(n/by))
		if low, ok := jsonx.Float(jsonx.Get(schema, "minimum")); ok && n < low || n == 0 {
			n += by
		}
	}
	return n
}

// formatted returns a string of a format, or "".
func formatted(format string) string {
	switch format {
	case "date":
		return "2026-01-31"
	case "date-time":
		return "2026-01-31T12:00:00Z"
	case "time":
		return "12:00:00Z"
	case "duration":
		return "PT1H"
	case "email":
		return "someone@example.com"
	case "hostname":
		return "example.com"
	case "uri", "url":
		return "https://example.com/"
	case "uuid":
		return "00000000-0000-4000-8000-000000000001"
	case "ipv4":
		return "192.0.2.1"
	case "ipv6":
		return "2001:db8::1"
	}
	return ""
}

func stringIn(schema []byte, name string) string {
	format, _ := jsonx.String(jsonx.Get(schema, "format"))
	if s := formatted(format); s != "" {
		return s
	}
	s := []byte("example " + name)
	if low, ok := jsonx.Int(jsonx.Get(schema, "minLength")); ok && int64(len(s)) < low {
		s = append(s, bytes.Repeat([]byte("x"), int(min(low, 1<<16))-len(s))...)
	}
	if high, ok := jsonx.Int(jsonx.Get(schema, "maxLength")); ok && high >= 0 && int64(len(s)) > high {
		s = []byte(strings.ToValidUTF8(string(s[:high]), ""))
	}
	return string(s)
}
