package member_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

func TestWhatIsWrongNamesTheMember(t *testing.T) {
	each := func(raw string) error {
		return member.Each("m", []byte(raw), 2, func(_ int, param string, raw []byte) error {
			_, err := member.String(param, raw)
			return err
		})
	}
	scan := func(body string) error { _, err := member.Scan([]byte(body), "model"); return err }
	one := func(_ any, err error) error { return err }
	for _, c := range []struct {
		name, param, says string
		err               error
	}{
		{"a string is a string", "", "", one(member.String("m", []byte(`"x"`)))},
		{"a number is no string", "m", "expected a string, but got a number", one(member.String("m", []byte(`1`)))},
		{"null is no boolean", "m", "expected a boolean, but got null", one(member.Bool("m", []byte(`null`)))},
		{"a word of the list", "", "", one(member.Word("m", []byte(`"b"`), "a", "b"))},
		{"a word out of the list", "m", "one of 'a', 'b'", one(member.Word("m", []byte(`"c"`), "a", "b"))},
		{"a fraction is no integer", "m", "without fraction", one(member.Int("m", []byte(`1.5`), 0, 9))},
		{"a string is no integer", "m", "expected an integer, but got a string", one(member.Int("m", []byte(`"1"`), 0, 9))},
		{"an integer too small", "m", ">= 1, but got 0", one(member.Int("m", []byte(`0`), 1, 9))},
		{"an integer too large", "m", "<= 9, but got 10", one(member.Int("m", []byte(`10`), 1, 9))},
		{"an integer at its limit", "", "", one(member.Int("m", []byte(`9`), 1, 9))},
		{"a number too small", "m", ">= 0, but got -0.5", one(member.Float("m", []byte(`-0.5`), 0, 1))},
		{"a number too large", "m", "<= 1, but got 1.5", one(member.Float("m", []byte(`1.5`), 0, 1))},
		{"a list", "", "", each(`["a","b"]`)},
		{"a list too long", "m", "maximum length 2", each(`["a","b","c"]`)},
		{"an empty list", "m", "empty array", each(`[]`)},
		{"no list", "m", "expected an array, but got an object", each(`{}`)},
		{"a wrong element", "m[1]", "expected a string", each(`["a",1]`)},
		{"a body", "", "", scan(`{"model":1}`)},
		{"a name in other letters", "Model", "Did you mean 'model'?", scan(`{"Model":1}`)},
		{"a name twice", "a", "could not parse", scan(`{"a":1,"a":2}`)},
		{"no JSON", "", "could not parse", scan(`{`)},
		{"a member that is not there", "m", "Missing required parameter: 'm'.", member.Wanted("m")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.says == "" {
				if c.err != nil {
					t.Fatal(c.err)
				}
				return
			}
			e, ok := errors.AsType[*llm.Error](c.err)
			if !ok || e.Code != llm.CodeInvalid || e.Param != c.param || !strings.Contains(e.Message, c.says) {
				t.Errorf("got %v, want one of %q that says %q", c.err, c.param, c.says)
			}
		})
	}
}
