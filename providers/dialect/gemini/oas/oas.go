// Package oas turns the schemas of Google's own form, a subset of OpenAPI 3.0's, into JSON Schema and back. It says
// what it leaves out, and judges no value by a schema.
package oas

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// types are the types of the API's own schemas in the order of their numbers, from 1
// (google.ai.generativelanguage.v1beta.Type).
var types = [...]string{"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}

// JSONSchema turns a schema of the API's own, a subset of OpenAPI 3.0's, into JSON Schema: types in lower case,
// nullable as a type, and numbers that stand in strings as numbers.
func JSONSchema(schema []byte) []byte {
	if jsonx.Kind(schema) != '{' {
		return schema
	}
	b, kind, null := []byte{'{'}, "", false
	for k, v := range jsonx.Members(schema) {
		if jsonx.IsNull(v) && string(k) != "default" && string(k) != "example" {
			continue
		}
		switch n := member(string(k)); n {
		case "type":
			kind = typeName(v)
		case "nullable":
			null = string(v) == "true"
		case "properties":
			b = append(jsonx.AppendKey(b, n), '{')
			for p, s := range jsonx.Members(v) {
				b = append(jsonx.AppendKey(b, string(p)), JSONSchema(s)...)
			}
			b = append(b, '}')
		case "items":
			b = append(jsonx.AppendKey(b, n), JSONSchema(v)...)
		case "anyOf":
			b = append(jsonx.AppendKey(b, n), '[')
			for _, s := range jsonx.Elements(v) {
				b = append(jsonx.AppendComma(b), JSONSchema(s)...)
			}
			b = append(b, ']')
		case "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties":
			if s, ok := jsonx.String(v); ok { // 64-bit numbers are strings in the JSON of protocol buffers
				if _, isInt := jsonx.Int([]byte(s)); !isInt {
					continue
				}
				v = []byte(s)
			}
			b = raw(b, n, v)
		case "example":
			b = append(append(jsonx.AppendKey(b, "examples"), '['), v...)
			b = append(b, ']')
		case "propertyOrdering": // says nothing about what fits
		default:
			b = raw(b, n, v)
		}
	}
	switch {
	case kind == "":
	case null:
		b = append(jsonx.AppendQuote(append(jsonx.AppendKey(b, "type"), 0x5b), kind), `,"null"]`...)
	default:
		b = jsonx.AppendQuote(jsonx.AppendKey(b, "type"), kind)
	}
	return append(b, '}')
}

// member returns a member's name in the spelling of JSON: protocol buffers have another.
func member(name string) string {
	switch name {
	case "any_of":
		return "anyOf"
	case "min_items", "max_items", "min_length", "max_length", "min_properties", "max_properties":
		return name[:3] + strings.ToUpper(name[4:5]) + name[5:]
	case "property_ordering":
		return "propertyOrdering"
	}
	return name
}

func typeName(raw []byte) string {
	if n, ok := jsonx.Int(raw); ok {
		if n >= 1 && n <= int64(len(types)) {
			return strings.ToLower(types[n-1])
		}
		return ""
	}
	if s := strings.ToLower(string(plain(raw))); s != "type_unspecified" {
		return s
	}
	return ""
}

// kept are the members of a JSON Schema that the API's own schemas have too.
var kept = [...]string{
	"default", "description", "example", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength",
	"minProperties", "minimum", "pattern", "propertyOrdering", "required", "title",
}

// silent are those that can go without a word: they say nothing about what fits, or what is so anyway.
var silent = [...]string{"$schema", "$id", "$defs", "definitions", "$comment", "examples", "additionalProperties", "strict"}

// converter turns JSON Schema into the API's own form, for models that take no other.
type converter struct {
	root []byte
	lost []string // names of members that were left out
	refs []string // references that are being followed
	deep int
	size int // schemas that were converted
}

// FromJSONSchema converts a JSON Schema. lost names the members that it leaves out.
func FromJSONSchema(schema []byte) (converted []byte, lost []string) {
	c := converter{root: schema}
	b := c.convert(nil, schema)
	return b, c.lost
}

func (c *converter) lose(name string) {
	if !slices.Contains(c.lost, name) && !slices.Contains(silent[:], name) {
		c.lost = append(c.lost, name)
	}
}

// Bounds of a conversion: references can make a small schema a large one.
const (
	deepest = 48
	largest = 4096 // schemas within one
)

func (c *converter) convert(b, schema []byte) []byte {
	c.size++
	if c.deep++; c.deep > deepest || c.size > largest {
		c.lose("$ref")
		c.deep--
		return append(b, `{"type":"OBJECT"}`...)
	}
	defer func() { c.deep-- }()
	if jsonx.Kind(schema) != '{' {
		return append(b, `{"type":"STRING"}`...)
	}
	if ref, ok := jsonx.String(jsonx.Get(schema, "$ref")); ok {
		if target := c.resolve(ref); target != nil && !slices.Contains(c.refs, ref) {
			c.refs = append(c.refs, ref)
			b = c.convert(b, merged(target, schema))
			c.refs = c.refs[:len(c.refs)-1]
			return b
		}
		c.lose("$ref") // it leads nowhere, or to itself
		return append(b, `{"type":"OBJECT"}`...)
	}
	if all := jsonx.Get(schema, "allOf"); all != nil {
		whole := without(schema, "allOf")
		for _, s := range jsonx.Elements(all) {
			if ref, ok := jsonx.String(jsonx.Get(s, "$ref")); ok {
				if target := c.resolve(ref); target != nil {
					s = target
				}
			}
			whole = merged(whole, s)
		}
		schema = whole
	}
	b = append(b, '{')
	kind, null := c.kind(schema)
	if kind != "" {
		b = jsonx.AppendText(b, "type", kind)
	}
	for k, v := range jsonx.Members(schema) {
		b, null = c.write(b, string(k), v, kind, null)
	}
	if null {
		b = raw(b, "nullable", []byte("true"))
	}
	return append(b, '}')
}

// kind returns the type in the API's word, and whether null fits too.
func (c *converter) kind(schema []byte) (kind string, null bool) {
	t := jsonx.Get(schema, "type")
	null = string(jsonx.Get(schema, "nullable")) == "true"
	for _, v := range jsonx.Elements(t) {
		switch s := string(plain(v)); {
		case s == "null":
			null = true
		case kind == "":
			kind = s
		default:
			c.lose("type")
		}
	}
	if kind == "" {
		kind = string(plain(t))
	}
	switch {
	case kind != "":
	case jsonx.Get(schema, "properties") != nil:
		kind = "object"
	case jsonx.Get(schema, "items") != nil:
		kind = "array"
	case jsonx.Get(schema, "enum") != nil, jsonx.Get(schema, "const") != nil:
		kind = "string"
		for _, v := range [...][]byte{first(jsonx.Get(schema, "enum")), jsonx.Get(schema, "const")} {
			switch jsonx.Kind(v) {
			case '0':
				kind = "number"
			case 't', 'f':
				kind = "boolean"
			}
		}
	}
	return strings.ToUpper(kind), null
}

func first(list []byte) []byte {
	for _, v := range jsonx.Elements(list) {
		return v
	}
	return nil
}

func (c *converter) write(b []byte, n string, v []byte, kind string, null bool) ([]byte, bool) {
	switch n {
	case "type", "nullable", "$ref":
	case "properties":
		b = append(jsonx.AppendKey(b, n), '{')
		for p, s := range jsonx.Members(v) {
			b = c.convert(jsonx.AppendKey(b, string(p)), s)
		}
		b = append(b, '}')
	case "items":
		if jsonx.Kind(v) != '{' {
			c.lose(n)
			break
		}
		b = c.convert(jsonx.AppendKey(b, n), v)
	case "anyOf", "oneOf":
		var some [][]byte
		for _, s := range jsonx.Elements(v) {
			if string(plain(jsonx.Get(s, "type"))) == "null" {
				null = true
				continue
			}
			some = append(some, s)
		}
		b = append(jsonx.AppendKey(b, "anyOf"), '[')
		for _, s := range some {
			b = c.convert(jsonx.AppendComma(b), s)
		}
		b = append(b, ']')
	case "enum", "const":
		if kind != "STRING" && kind != "" {
			c.lose(n)
			break
		}
		return enum(b, n, v, null)
	case "format":
		f := string(plain(v))
		ok := kind == "STRING" && (f == "enum" || f == "date-time") || kind == "NUMBER" && (f == "float" || f == "double") || kind == "INTEGER" && (f == "int32" || f == "int64")
		if !ok {
			c.lose(n)
			break
		}
		b = raw(b, n, v)
	default:
		if !slices.Contains(kept[:], n) {
			c.lose(n)
			break
		}
		b = raw(b, n, v)
	}
	return b, null
}

// enum writes the strings that fit. null may be among them, and is said otherwise.
func enum(b []byte, n string, v []byte, null bool) ([]byte, bool) {
	if n == "const" {
		v = append(append([]byte{'['}, v...), ']')
	}
	b = append(jsonx.AppendKey(b, "enum"), '[')
	for _, e := range jsonx.Elements(v) {
		if s, ok := jsonx.String(e); ok {
			b = jsonx.AppendQuote(jsonx.AppendComma(b), s)
		} else {
			null = null || jsonx.IsNull(e)
		}
	}
	return append(b, ']'), null
}

// resolve follows a reference within the schema.
func (c *converter) resolve(ref string) []byte {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	at := c.root
	for step := range strings.SplitSeq(path, "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		if at = jsonx.Get(at, step); at == nil {
			return nil
		}
	}
	return at
}

// merged returns an object with the members of two: those of over stand in place of base's, but properties and
// required are joined.
func merged(base, over []byte) []byte {
	b := []byte{'{'}
	for k, v := range jsonx.Members(base) {
		n := string(k)
		o := jsonx.Get(over, n)
		switch {
		case o == nil, n == "$ref":
			b = raw(b, n, v)
		case n == "properties" && jsonx.Kind(o) == '{' && jsonx.Kind(v) == '{':
			b = raw(b, n, merged(v, o))
		case n == "required" && jsonx.Kind(o) == '[' && jsonx.Kind(v) == '[':
			b = append(jsonx.AppendKey(b, n), '[')
			for _, list := range [...][]byte{v, o} {
				for _, e := range jsonx.Elements(list) {
					b = append(jsonx.AppendComma(b), e...)
				}
			}
			b = append(b, ']')
		default:
			b = raw(b, n, o)
		}
	}
	for k, v := range jsonx.Members(over) {
		if n := string(k); n != "$ref" && jsonx.Get(base, n) == nil {
			b = raw(b, n, v)
		}
	}
	return append(b, '}')
}

// without returns an object less a member.
func without(obj []byte, name string) []byte {
	b := []byte{'{'}
	for k, v := range jsonx.Members(obj) {
		if string(k) != name {
			b = raw(b, string(k), v)
		}
	}
	return append(b, '}')
}

func raw(b []byte, name string, value []byte) []byte {
	return append(jsonx.AppendKey(b, name), value...)
}

// plain returns the text of a string value without escapes, nil for any other value.
func plain(v []byte) []byte {
	b, _ := jsonx.AppendString(nil, v)
	return b
}
