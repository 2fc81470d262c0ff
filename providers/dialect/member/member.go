// Package member reads the members of requests with the checks and the words of OpenAI's API: what is wrong names
// the member, and says what was expected. All of OpenAI's dialects share it;
// it knows none of them.
package member

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Reasons, as OpenAI spells them in error.code.
const (
	Missing = "missing_required_parameter"
	Type    = "invalid_type"
	Value   = "invalid_value"
	Unknown = "unknown_parameter"
	TooLong = "array_above_max_length"
)

const op = "request.read"

// Bad makes the error for a wrong member.
func Bad(param, reason, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeInvalid, Op: op, Param: param, Reason: reason, Message: message}
}

// Wanted makes the error for a member that is not there.
func Wanted(param string) *llm.Error {
	return Bad(param, Missing, "Missing required parameter: '"+param+"'.")
}

// Wrong makes the error for a member of the wrong type.
func Wrong(param, want string, got []byte) *llm.Error {
	kinds := map[byte]string{'{': "an object", '[': "an array", '"': "a string", 't': "a boolean", 'f': "a boolean", 'n': "null", '0': "a number"}
	return Bad(param, Type, fmt.Sprintf("Invalid type for '%s': expected %s, but got %s instead.", param, want, kinds[jsonx.Kind(got)]))
}

// Scan validates a body and indexes its members. A top-level name that equals one of control but for letter case
// is refused: a provider that ignores case would take it for the real thing.
func Scan(body []byte, control ...string) (*jsonx.Doc, error) {
	doc, err := jsonx.Scan(body)
	if err != nil {
		e := &llm.Error{Code: llm.CodeInvalid, Op: op, Message: "We could not parse the JSON body of your request: " + err.Error() + "."}
		if s, ok := err.(*jsonx.SyntaxError); ok { //nolint:errorlint // the scanner returns it bare
			e.Param = s.Name
		}
		return nil, e
	}
	if v, of, found := doc.CaseVariant(control...); found {
		return nil, Bad(v, Unknown, fmt.Sprintf("Unknown parameter: '%s'. Did you mean '%s'?", v, of))
	}
	return doc, nil
}

// String reads a string.
func String(param string, raw []byte) (string, error) {
	s, ok := jsonx.String(raw)
	if !ok {
		return "", Wrong(param, "a string", raw)
	}
	return s, nil
}

// Word reads a string that is one of words.
func Word(param string, raw []byte, words ...string) (string, error) {
	s, err := String(param, raw)
	if err != nil {
		return "", err
	}
	if slices.Contains(words, s) {
		return s, nil
	}
	return "", Bad(param, Value, fmt.Sprintf("Invalid value for '%s': expected one of '%s'.", param, strings.Join(words, "', '")))
}

// Bool reads a boolean.
func Bool(param string, raw []byte) (bool, error) {
	b, ok := jsonx.Bool(raw)
	if !ok {
		return false, Wrong(param, "a boolean", raw)
	}
	return b, nil
}

// Int reads an integer within limits.
func Int(param string, raw []byte, low, high int64) (int64, error) {
	n, ok := jsonx.Int(raw)
	switch {
	case !ok && jsonx.Kind(raw) == '0':
		return 0, Bad(param, Type, fmt.Sprintf("Invalid type for '%s': expected an integer without fraction or exponent, of at most 2^53-1.", param))
	case !ok:
		return 0, Wrong(param, "an integer", raw)
	case n < low:
		return 0, Bad(param, "integer_below_min_value", fmt.Sprintf("Invalid '%s': integer below minimum value. Expected a value >= %d, but got %d instead.", param, low, n))
	case n > high:
		return 0, Bad(param, "integer_above_max_value", fmt.Sprintf("Invalid '%s': integer above maximum value. Expected a value <= %d, but got %d instead.", param, high, n))
	}
	return n, nil
}

// Float reads a number within limits.
func Float(param string, raw []byte, low, high float64) (float64, error) {
	f, ok := jsonx.Float(raw)
	switch {
	case !ok:
		return 0, Wrong(param, "a number", raw)
	case f < low:
		return 0, Bad(param, "decimal_below_min_value", fmt.Sprintf("Invalid '%s': decimal below minimum value. Expected a value >= %g, but got %g instead.", param, low, f))
	case f > high:
		return 0, Bad(param, "decimal_above_max_value", fmt.Sprintf("Invalid '%s': decimal above maximum value. Expected a value <= %g, but got %g instead.", param, high, f))
	}
	return f, nil
}

// Each walks an array of at least one and at most limit elements.
func Each(param string, raw []byte, limit int, f func(i int, param string, raw []byte) error) error {
	if jsonx.Kind(raw) != '[' {
		return Wrong(param, "an array", raw)
	}
	n := 0
	for i, v := range jsonx.Elements(raw) {
		if n++; n > limit {
			return Bad(param, TooLong, fmt.Sprintf("Invalid '%s': array too long. Expected an array with maximum length %d.", param, limit))
		}
		if err := f(i, fmt.Sprintf("%s[%d]", param, i), v); err != nil {
			return err
		}
	}
	if n == 0 {
		return Bad(param, "empty_array", fmt.Sprintf("Invalid '%s': empty array. Expected an array with minimum length 1, but got an empty array instead.", param))
	}
	return nil
}
