package expr

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"

	"github.com/signalbox-ai/signalbox/routing"
)

// Error is what is wrong with an expression, and where: line and column count from 1, in characters.
type Error struct {
	Line, Column int
	Message      string
}

// Error gives the position where that is not the beginning.
func (e *Error) Error() string {
	if e.Line == 1 {
		return fmt.Sprintf("%s (at character %d)", e.Message, e.Column)
	}
	return fmt.Sprintf("%s (at line %d, character %d)", e.Message, e.Line, e.Column)
}

// fault makes an Error of the first of several issues.
func fault(text string, of About, issues *cel.Issues) *Error {
	first := issues.Errors()[0]
	for _, e := range issues.Errors() {
		if e.Location.Line() < first.Location.Line() || e.Location.Line() == first.Location.Line() && e.Location.Column() < first.Location.Column() {
			first = e
		}
	}
	e := &Error{Line: max(first.Location.Line(), 1), Column: max(first.Location.Column(), 0) + 1, Message: plain(first.Message)}
	name, from := nameAt(text, e.Line, e.Column)
	if strings.Contains(e.Message, "undeclared reference") && name != "" {
		e.Message, e.Column = "there is no "+name, from
		if near := routing.Nearest(name, names(of)); len(near) > 0 {
			e.Message += "; did you mean " + near[0] + "?"
		} else if strings.HasPrefix(name, "target.") && of == OfRequests {
			e.Message += ": no target is chosen yet"
		}
	}
	return e
}

// plain takes from a message what does not help who reads it.
func plain(s string) string {
	s = strings.ReplaceAll(s, " (in container '')", "")
	s = strings.TrimPrefix(s, "Syntax error: ")
	if i := strings.Index(s, " expecting {"); i >= 0 { // a list of all tokens that there are
		s = strings.TrimSuffix(s[:i], ",")
	}
	if s == "mismatched input '<EOF>'" {
		return "the expression ends too early"
	}
	return strings.ReplaceAll(s, "\n", " ")
}

// nameAt returns the name, with its dots, around a position, and where it begins; "": none is there.
func nameAt(text string, line, column int) (name string, from int) {
	for ; line > 1; line-- {
		i := strings.IndexByte(text, '\n')
		if i < 0 {
			return "", 0
		}
		text = text[i+1:]
	}
	text, _, _ = strings.Cut(text, "\n")
	runes := []rune(text)
	at := min(column-1, len(runes))
	begin, end := at, at
	for begin > 0 && named(runes[begin-1]) {
		begin--
	}
	for end < len(runes) && named(runes[end]) {
		end++
	}
	return strings.Trim(string(runes[begin:end]), "."), begin + 1
}

func named(r rune) bool {
	return r == '.' || r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
