package fit

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Args returns a call's arguments as a JSON object. What is not one is mended where the fault is
// small, and else wrapped whole.
func Args(args string) []byte {
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
