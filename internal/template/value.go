package template

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// text returns the text that a value is in a message. Loose values come from where everything is a string, as in metadata:
// a string is then read as what the variable must be. wrong says what is wrong with it.
func (v *Variable) text(raw []byte, loose bool) (s, wrong string) {
	kind := v.kind()
	if loose && kind != "string" && kind != "enum" && kind != imageKind && jsonx.Kind(raw) == '"' {
		inner, _ := jsonx.String(raw)
		inner = strings.TrimSpace(inner)
		if jsonx.Valid([]byte(inner)) != nil {
			return "", "must be " + article(kind) + ", written as JSON"
		}
		raw = []byte(inner)
	}
	switch kind {
	case "string":
		s, ok := jsonx.String(raw)
		if !ok {
			return "", "must be a string, not " + named(raw)
		}
		return s, v.within(int64(utf8.RuneCountInString(s)), "characters")
	case "enum":
		s, ok := jsonx.String(raw)
		for _, possible := range v.Values {
			if ok && s == possible {
				return s, ""
			}
		}
		return "", "must be one of " + strings.Join(v.Values, ", ")
	case "boolean":
		b, ok := jsonx.Bool(raw)
		if !ok {
			return "", "must be true or false, not " + named(raw)
		}
		return strconv.FormatBool(b), ""
	case "number":
		return v.number(raw)
	case "list":
		return v.list(raw)
	case imageKind:
		s, _, wrong := image(raw)
		if wrong == "" {
			wrong = v.within(int64(len(s)), "bytes")
		}
		return s, wrong
	}
	compact, err := jsonx.Compact(raw)
	if err != nil {
		return "", "must be JSON"
	}
	return string(compact), v.within(int64(len(compact)), "bytes")
}

// number reads a number, which is written as it came.
func (v *Variable) number(raw []byte) (s, wrong string) {
	f, ok := jsonx.Float(raw)
	switch {
	case !ok:
		return "", "must be a number, not " + named(raw)
	case f < float64(v.Min) && (v.Min != 0 || v.Max != 0):
		return "", "must be at least " + strconv.Itoa(v.Min)
	case v.Max != 0 && f > float64(v.Max):
		return "", "must be at most " + strconv.Itoa(v.Max)
	}
	return strings.TrimSpace(string(raw)), ""
}

// list joins the elements of a list.
func (v *Variable) list(raw []byte) (s, wrong string) {
	if jsonx.Kind(raw) != '[' {
		return "", "must be a list, not " + named(raw)
	}
	separator := v.Separator
	if separator == "" {
		separator = ", "
	}
	var b strings.Builder
	n := int64(0)
	for _, e := range jsonx.Elements(raw) {
		if n > 0 {
			b.WriteString(separator)
		}
		n++
		switch jsonx.Kind(e) {
		case '"':
			t, _ := jsonx.String(e)
			b.WriteString(t)
		case '{', '[', 'n':
			return "", "must be a list of strings, numbers and truth values; an element is " + named(e)
		default:
			b.Write(e)
		}
	}
	return b.String(), v.within(n, "elements")
}

// within says what is wrong with a size.
func (v *Variable) within(n int64, what string) string {
	switch {
	case n < int64(v.Min):
		return "must have at least " + strconv.Itoa(v.Min) + " " + what + ", and has " + strconv.FormatInt(n, 10)
	case v.Max != 0 && n > int64(v.Max):
		return "must have at most " + strconv.Itoa(v.Max) + " " + what + ", and has " + strconv.FormatInt(n, 10)
	}
	return ""
}

func article(kind string) string {
	if kind == "json" {
		return "any value"
	}
	return "a " + kind
}

// named says what a value is.
func named(raw []byte) string {
	switch jsonx.Kind(raw) {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	case 'n', 0:
		return "null"
	}
	return "a number"
}
