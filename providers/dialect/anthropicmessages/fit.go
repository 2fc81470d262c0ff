package anthropicmessages

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// What the provider takes as an id of a call and as the name of a tool: letters, digits, _ and -.
const (
	maxID   = 64
	maxName = 128
)

// clean returns s with every character that does not fit replaced, and whether s fitted as it was.
func clean(s string, most int) (string, bool) {
	fits := len(s) > 0 && len(s) <= most
	b := []byte(s)
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			b[i], fits = '_', false
		}
	}
	return string(b[:min(len(b), most)]), fits
}

// hashed marks a cleaned name with a hash of what it was, so that two names stay two.
func hashed(cleaned, was string, most int) string {
	h := fnv.New32a()
	h.Write([]byte(was))
	return fmt.Sprintf("%s_%08x", cleaned[:min(len(cleaned), most-9)], h.Sum32())
}

// wireName returns the name under which a tool of another dialect is sent: always the same for the same name.
func wireName(n string) string {
	c, fits := clean(n, maxName)
	if fits {
		return n
	}
	return hashed(c, n, maxName)
}

// cleanIDs returns what the ids of calls become, for those that the provider would refuse. Calls and their
// results agree, and ids that differ stay different.
func cleanIDs(c *llm.Chat) map[string]string {
	var dirty []string
	taken := make(map[string]bool)
	for i := range c.Turns {
		for j := range c.Turns[i].Parts {
			var id string
			switch p := &c.Turns[i].Parts[j]; p.Kind {
			case llm.PartCall:
				id = p.Call.ID
			case llm.PartReply:
				id = p.Reply.CallID
			default:
				continue
			}
			if _, fits := clean(id, maxID); fits {
				taken[id] = true
			} else if !slices.Contains(dirty, id) {
				dirty = append(dirty, id)
			}
		}
	}
	if len(dirty) == 0 {
		return nil
	}
	ids := make(map[string]string, len(dirty))
	for _, id := range dirty {
		c, _ := clean(id, maxID)
		if c == "" || len(id) > maxID || taken[c] {
			c = hashed(c, id, maxID)
		}
		taken[c] = true
		ids[id] = c
	}
	return ids
}

// argsObject returns a call's arguments as a JSON object. What is not one is mended where the fault is
// small, and else wrapped whole.
func argsObject(args string) []byte {
	b := []byte(strings.TrimSpace(args))
	if len(b) == 0 || string(b) == "null" {
		return []byte("{}")
	}
	if jsonx.Kind(b) == '"' && jsonx.Valid(b) == nil { // encoded twice
		if s, _ := jsonx.String(b); jsonx.Kind([]byte(s)) == '{' {
			b = []byte(s)
		}
	}
	if jsonx.Kind(b) == '{' {
		if jsonx.Valid(b) == nil {
			return b
		}
		if m := mend(b); jsonx.Valid(m) == nil {
			return m
		}
	}
	return append(jsonx.AppendQuote([]byte(`{"_raw":`), args), '}')
}

// mend escapes raw control characters in strings and drops commas that nothing follows, the two faults
// that models make most.
func mend(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	quoted := false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case quoted && c == '\\' && i+1 < len(b):
			out = append(out, c)
			i++
			c = b[i]
		case quoted && c < 0x20:
			esc := jsonx.AppendQuote(nil, string(c))
			out = append(out, esc[1:len(esc)-1]...)
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '}' || c == ']'):
			end := len(out)
			for end > 0 && strings.IndexByte(" \t\r\n", out[end-1]) >= 0 {
				end--
			}
			if end > 0 && out[end-1] == ',' {
				out = append(out[:end-1], out[end:]...)
			}
		}
		out = append(out, c)
	}
	return out
}

// objectSchema returns the schema of a tool's arguments with the type that the API demands.
func objectSchema(schema []byte) []byte {
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

// closedSchema returns the schema of an answer in the subset that the provider holds answers to: objects
// take no other members than the named ones, and bounds become words.
func closedSchema(schema []byte, description string) []byte {
	if jsonx.Kind(schema) != '{' {
		return schema
	}
	b, notes := []byte{'{'}, ""
	object := string(plain(jsonx.Get(schema, "type"))) == "object" || jsonx.Kind(jsonx.Get(schema, "properties")) == '{'
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
			b = append(key(b, n), '{')
			for p, s := range jsonx.Members(v) {
				b = append(key(b, string(p)), closedSchema(s, "")...)
			}
			b = append(b, '}')
		case n == "anyOf" || n == "allOf" || n == "oneOf" || n == "prefixItems":
			b = append(key(b, n), '[')
			for _, s := range jsonx.Elements(v) {
				b = append(comma(b), closedSchema(s, "")...)
			}
			b = append(b, ']')
		case n == "items" || n == "not":
			b = append(key(b, n), closedSchema(v, "")...)
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
		b = text(b, "description", description)
	}
	return append(b, '}')
}

// pictured reports whether the provider takes images of a type.
func pictured(kind string) bool {
	switch kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}
