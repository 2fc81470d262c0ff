package fit

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// ObjectSchema returns the schema of a tool's arguments with the type object, which some APIs demand.
func ObjectSchema(schema []byte) []byte {
	if jsonx.Kind(schema) != '{' {
		return []byte(`{"type":"object","properties":{}}`)
	}
	if jsonx.Get(schema, "type") != nil {
		return schema
	}
	b := []byte(`{"type":"object"`)
	for n, v := range jsonx.Members(schema) {
		b = raw(b, string(n), v)
	}
	if jsonx.Get(schema, "properties") == nil && len(b) == len(`{"type":"object"`) {
		b = raw(b, "properties", []byte("{}"))
	}
	return append(b, '}')
}

// unheld names the members of a schema that the provider refuses. They are said in the description instead.
func unheld(n string, v []byte) bool {
	switch n {
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
		"maxItems", "uniqueItems", "minProperties", "maxProperties", "minContains", "maxContains":
		return true
	case "minItems":
		k, ok := jsonx.Int(v)
		return !ok || k > 1
	}
	return false
}

// ClosedSchema returns the schema of an answer in the subset that the provider holds answers to: objects
// take no other members than the named ones, and bounds become words.
func ClosedSchema(schema []byte, description string) []byte {
	if jsonx.Kind(schema) != '{' {
		return schema
	}
	b, notes := []byte{'{'}, ""
	object := isObject(schema) || jsonx.Kind(jsonx.Get(schema, "properties")) == '{'
	for k, v := range jsonx.Members(schema) {
		switch n := string(k); {
		case n == "description":
			if s, ok := jsonx.String(v); ok {
				description = s
			}
		case n == "additionalProperties" && object:
		case unheld(n, v):
			notes += fmt.Sprintf(", %s: %s", n, v)
		case n == "properties" || n == "$defs" || n == "definitions":
			b = append(jsonx.AppendKey(b, n), '{')
			for p, s := range jsonx.Members(v) {
				b = append(jsonx.AppendKey(b, string(p)), ClosedSchema(s, "")...)
			}
			b = append(b, '}')
		case n == "anyOf" || n == "allOf" || n == "oneOf" || n == "prefixItems":
			b = append(jsonx.AppendKey(b, n), '[')
			for _, s := range jsonx.Elements(v) {
				b = append(jsonx.AppendComma(b), ClosedSchema(s, "")...)
			}
			b = append(b, ']')
		case n == "items" || n == "not":
			b = append(jsonx.AppendKey(b, n), ClosedSchema(v, "")...)
		default:
			b = raw(b, n, v)
		}
	}
	if object {
		b = raw(b, "additionalProperties", []byte("false"))
	}
	if notes != "" {
		notes = "{" + notes[2:] + "}"
		if description != "" {
			notes = description + "\n\n" + notes
		}
		description = notes
	}
	if description != "" {
		b = jsonx.AppendQuote(jsonx.AppendKey(b, "description"), description)
	}
	return append(b, '}')
}

func isObject(schema []byte) bool {
	t, _ := jsonx.String(jsonx.Get(schema, "type"))
	return t == "object"
}

func raw(b []byte, name string, value []byte) []byte {
	return append(jsonx.AppendKey(b, name), value...)
}
