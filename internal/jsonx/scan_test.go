package jsonx

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// numbered returns an object with n members, m0 and so on, and then more.
func numbered(n int, more string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":%d,`, i, i)
	}
	return "{" + b.String() + more + "}"
}

var faults = []struct {
	name, in string
	at       int
	what     string
}{
	{"nothing", "", 0, "empty document"},
	{"only white space", " \t\r\n", 4, "empty document"},
	{"a byte order mark", "\ufeff{}", 0, "byte order mark"},
	{"a byte order mark behind a space", " \ufeff{}", 1, "not a JSON object"},
	{"an array", "[]", 0, "not a JSON object"},
	{"a string", ` "a"`, 1, "not a JSON object"},
	{"null", "null", 0, "not a JSON object"},
	{"a second document", "{} {}", 3, "data after the document"},
	{"a comma behind the document", "{},", 2, "data after the document"},
	{"a zero byte behind the document", "{}\x00", 2, "data after the document"},
	{"a zero byte before a name", "{\x00}", 1, "expected a member name"},
	{"a form feed as white space", "{\f}", 1, "expected a member name"},
	{"a no-break space as white space", "{\u00a0}", 1, "expected a member name"},
	{"an open object", "{", 1, "unexpected end"},
	{"an end behind a name", `{"a"`, 4, "expected :"},
	{"an end behind a colon", `{"a":`, 5, "unexpected end"},
	{"an end behind a value", `{"a":1`, 6, "unexpected end"},
	{"an end behind a comma", `{"a":1,`, 7, "unexpected end"},
	{"an end in an array", `{"a":[`, 6, "unexpected end"},
	{"an end in a name", `{"a`, 3, "unexpected end in a string"},
	{"an end in a string", `{"a":"bc`, 8, "unexpected end in a string"},
	{"an end behind a backslash", `{"a":"\`, 6, "unexpected end in a string"},
	{"a member without a value", `{"a":}`, 5, "invalid value"},
	{"a name without a colon", `{"a" 1}`, 5, "expected :"},
	{"a comma without a member", `{,}`, 1, "expected a member name"},
	{"a comma behind the last member", `{"a":1,}`, 7, "expected a member name"},
	{"a comma behind the last element", `{"a":[1,]}`, 8, "invalid value"},
	{"a missing comma in an object", `{"a":1 "b":2}`, 7, "expected , or }"},
	{"a missing comma in an array", `{"a":[1 2]}`, 8, "expected , or ]"},
	{"an object closed as an array", `{"a":{"b":1]}`, 11, "expected , or }"},
	{"an array closed as an object", `{"a":[1}}`, 7, "expected , or ]"},
	{"an empty array closed as an object", `{"a":[}}`, 6, "invalid value"},
	{"a name without quotes", `{a:1}`, 1, "expected a member name"},
	{"a name in single quotes", `{'a':1}`, 1, "expected a member name"},
	{"a number as a name", `{1:1}`, 1, "expected a member name"},
	{"a comment", `{/**/}`, 1, "expected a member name"},
	{"a capital literal", `{"a":True}`, 5, "invalid value"},
	{"a cut literal", `{"a":tru}`, 5, "invalid value"},
	{"a long literal", `{"a":nullx}`, 9, "expected , or }"},
	{"not a number", `{"a":NaN}`, 5, "invalid value"},
	{"a plus sign", `{"a":+1}`, 5, "invalid value"},
	{"a leading zero", `{"a":01}`, 5, "invalid number"},
	{"a negative leading zero", `{"a":-01}`, 5, "invalid number"},
	{"only a minus sign", `{"a":-}`, 5, "invalid number"},
	{"negative infinity", `{"a":-Infinity}`, 5, "invalid number"},
	{"no digits before the point", `{"a":.5}`, 5, "invalid value"},
	{"no digits behind the point", `{"a":1.}`, 5, "invalid number"},
	{"no digits in the exponent", `{"a":1e}`, 5, "invalid number"},
	{"no digits behind the exponent's sign", `{"a":1e+}`, 5, "invalid number"},
	{"two points", `{"a":1.2.3}`, 5, "invalid number"},
	{"a point in the exponent", `{"a":1e2.5}`, 5, "invalid number"},
	{"hexadecimal digits", `{"a":0x1}`, 6, "expected , or }"},
	{"a line feed in a string", "{\"a\":\"b\nc\"}", 7, "control character in a string"},
	{"a zero byte in a string", "{\"a\":\"\x00\"}", 6, "control character in a string"},
	{"a control character in a name", "{\"a\x1f\":1}", 3, "control character in a string"},
	{"a control character behind eight plain bytes", "{\"a\":\"12345678\x01\"}", 14, "control character in a string"},
	{"an unknown escape", `{"a":"\x41"}`, 6, "invalid escape"},
	{"an escaped single quote", `{"a":"\'"}`, 6, "invalid escape"},
	{"a capital escape", `{"a":"\N"}`, 6, "invalid escape"},
	{"too few digits in an escape", `{"a":"\u12"}`, 6, `invalid \u escape`},
	{"a bad digit in an escape", `{"a":"\u12g4"}`, 6, `invalid \u escape`},
	{"an end in an escape", `{"a":"\u12`, 6, `invalid \u escape`},
	{"a lone high surrogate", `{"a":"\ud83d"}`, 6, "lone surrogate"},
	{"a lone low surrogate", `{"a":"\ude00"}`, 6, "lone surrogate"},
	{"two high surrogates", `{"a":"\ud83d\ud83d\ude00"}`, 6, "lone surrogate"},
	{"surrogates in the wrong order", `{"a":"\ude00\ud83d"}`, 6, "lone surrogate"},
	{"a high surrogate before another escape", `{"a":"\ud83d\n"}`, 6, "lone surrogate"},
	{"a lone surrogate in a name", `{"\uD800":1}`, 2, "lone surrogate"},
	{"a high surrogate at the end", `{"a":"\ud83d\u`, 6, "lone surrogate"},
	{"a lone continuation byte", "{\"a\":\"\x80\"}", 6, "invalid UTF-8"},
	{"a cut character", "{\"a\":\"\xe6\x97\"}", 6, "invalid UTF-8"},
	{"a cut character behind whole ones", "{\"a\":\"日本\xe6\"}", 12, "invalid UTF-8"},
	{"an overlong character", "{\"a\":\"\xc0\xaf\"}", 6, "invalid UTF-8"},
	{"a surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", 6, "invalid UTF-8"},
	{"a code point beyond the last", "{\"a\":\"\xf4\x90\x80\x80\"}", 6, "invalid UTF-8"},
	{"invalid UTF-8 in a name", "{\"\xff\":1}", 2, "invalid UTF-8"},
	{"a name twice", `{"a":1,"a":1}`, 7, `duplicate member "a"`},
	{"a name twice, once escaped", `{"model":1,"mod\u0065l":2}`, 11, `duplicate member "model"`},
	{"a name twice, escaped first", `{"\u006dodel":1,"model":2}`, 16, `duplicate member "model"`},
	{"a name twice, escaped in two ways", `{"\/":1,"\u002F":2}`, 8, `duplicate member "/"`},
	{"a name twice beyond the first plane", `{"😀":1,"\ud83d\uDE00":2}`, 10, `duplicate member "😀"`},
	{"an empty name twice", `{"":1,"":2}`, 6, `duplicate member ""`},
	{"a name twice in a nested object", `{"a":{"b":1,"b":2}}`, 12, `duplicate member "b"`},
	{"a name twice in an element", `{"a":[{},{"b":1,"c":{"b":1},"b":2}]}`, 28, `duplicate member "b"`},
	{"a name twice around a nested object", `{"a":{"x":1},"b":{"a":{}},"a":2}`, 26, `duplicate member "a"`},
	{"the first of 24 names twice", numbered(24, `"m0":1`), 197, `duplicate member "m0"`},
	{"the last of 25 names twice", numbered(25, `"m24":1`), 206, `duplicate member "m24"`},
	{"the first of 100 names twice, escaped", numbered(100, `"\u006d0":1`), 881, `duplicate member "m0"`},
	{"a long name twice", `{"` + strings.Repeat("é", 50) + `":1,"` + strings.Repeat("é", 50) + `":2}`, 106, `duplicate member "` + strings.Repeat("é", 32) + `…"`},
	{"more levels than allowed", `{"a":` + strings.Repeat("[", 100_000), 10_004, "nested deeper than 10000 levels"},
	{"one level more than allowed", `{"a":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + "}", 10_004, "nested deeper than 10000 levels"},
	{"ten megabytes of levels", `{"a":` + strings.Repeat("[", 10_000_000), 10_004, "nested deeper than 10000 levels"},
	{"objects of more levels than allowed", strings.Repeat(`{"a":`, 100_000), 50_000, "nested deeper than 10000 levels"},
}

func TestScanSaysWhatIsWrongAndWhere(t *testing.T) {
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Scan([]byte(tt.in))
			var se *SyntaxError
			if !errors.As(err, &se) || d != nil {
				t.Fatalf("got %v, %v, want %s at byte %d", d, err, tt.what, tt.at)
			}
			if se.Offset != tt.at || se.What != tt.what {
				t.Errorf("got %v, want %s at byte %d", err, tt.what, tt.at)
			}
		})
	}
}

func TestTheErrorReadsAsASentence(t *testing.T) {
	_, err := Scan([]byte(`{"stop":1,"st\u006fp":2}`))
	want := &SyntaxError{Offset: 10, What: `duplicate member "stop"`, Name: "stop"}
	if d := cmp.Diff(error(want), err); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	if got := err.Error(); got != `duplicate member "stop" at byte 10` {
		t.Errorf("got %q", got)
	}
}

func TestScanIndexesTheMembers(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1)
	for _, tt := range []struct {
		name, in string
		want     []string // name, value, name, value…
	}{
		{"an empty object", " { } ", nil},
		{"white space everywhere", "\r\n{\t\"a\" :\n1 , \"b\"\r:\t[ 1 , { } ]\n}\n", []string{"a", "1", "b", "[ 1 , { } ]"}},
		{"every kind of value", `{"a":"x","b":-0.5e+10,"c":true,"d":false,"e":null,"f":{},"g":[]}`, []string{"a", `"x"`, "b", "-0.5e+10", "c", "true", "d", "false", "e", "null", "f", "{}", "g", "[]"}},
		{"nested objects", `{"a":{"b":{"c":[{"d":1}]}},"e":0}`, []string{"a", `{"b":{"c":[{"d":1}]}}`, "e", "0"}},
		{"a name at two levels", `{"a":{"a":[{"a":1}]},"b":{"a":1}}`, []string{"a", `{"a":[{"a":1}]}`, "b", `{"a":1}`}},
		{"names that differ in case", `{"a":1,"A":2}`, []string{"a", "1", "A", "2"}},
		{"names that differ in their normal form", "{\"é\":1,\"e\u0301\":2}", []string{"é", "1", "e\u0301", "2"}},
		{"escaped names", `{"\u006dodel":"\u006d","\ud83d\ude00\n":1,"":2}`, []string{"model", `"\u006d"`, "😀\n", "1", "", "2"}},
		{"escapes of every kind", `{"a":"\"\\\/\b\f\n\r\t\u0000\uFFFF\ud7ff\ue000"}`, []string{"a", `"\"\\\/\b\f\n\r\t\u0000\uFFFF\ud7ff\ue000"`}},
		{"a byte order mark in a string", "{\"a\":\"\ufeff\u007f\ufffd\"}", []string{"a", "\"\ufeff\u007f\ufffd\""}},
		{"brackets in strings", `{"a":"}],{\"","b":1}`, []string{"a", `"}],{\""`, "b", "1"}},
		{"numbers that no machine holds", `{"a":1e999,"b":123456789012345678901234567890,"c":-0}`, []string{"a", "1e999", "b", "123456789012345678901234567890", "c", "-0"}},
		{"as many levels as allowed", `{"a":` + deep + `}`, []string{"a", deep}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Scan([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range d.Members {
				got = append(got, m.Name, tt.in[m.Start:m.End])
				if d.Body[m.NameStart] != '"' {
					t.Errorf("the name of %q begins at %d", m.Name, m.NameStart)
				}
				if v, ok := d.Get(m.Name); !ok || string(v) != tt.in[m.Start:m.End] {
					t.Errorf("Get(%q) is %s, %v", m.Name, v, ok)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if v, ok := d.Get("absent"); ok || v != nil {
				t.Errorf("an absent member is %s", v)
			}
			if err := Valid([]byte(tt.in)); err != nil {
				t.Errorf("Valid: %v", err)
			}
		})
	}
}

func TestManyNamesAreIndexed(t *testing.T) {
	d, err := Scan([]byte(numbered(5000, `"end":{`+strings.Trim(numbered(50, `"\u0065nd":0`), "{}")+`}`)))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Members) != 5001 || d.Members[4999].Name != "m4999" || d.Members[5000].Name != "end" {
		t.Errorf("%d members", len(d.Members))
	}
}

// Names that are compared one by one must stay few, or a hostile object takes the square of its size.
func TestFewNamesAreComparedOneByOne(t *testing.T) {
	s := scanner{b: []byte(numbered(50_000, `"end":{}`))}
	if _, err := s.value(0); err != nil {
		t.Fatal(err)
	}
	if n := cap(s.names); n > 4*many {
		t.Errorf("room for %d names to compare", n)
	}
}

func TestValidTakesOneValueOfAnyKind(t *testing.T) {
	for in, want := range map[string]string{
		`1`: "", ` "a" `: "", `[1,{"a":[]}]`: "", `null`: "", `{}`: "", "-0.0": "",
		"": "unexpected end at byte 0", " ": "unexpected end at byte 1", "1 2": "data after the document at byte 2", "[1": "unexpected end at byte 2",
		"]": "invalid value at byte 0", `[{"a":1,"a":2}]`: `duplicate member "a" at byte 8`, "\ufeff1": "invalid value at byte 0",
		strings.Repeat("[", 100_000): "nested deeper than 10000 levels at byte 10000",
	} {
		got := ""
		if err := Valid([]byte(in)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40s: got %q, want %q", in, got, want)
		}
	}
}

func TestCaseVariantsOfControlMembersAreFound(t *testing.T) {
	control := []string{"model", "max_tokens", "stream", "messages", "stop"}
	for _, tt := range []struct{ in, variant, of string }{
		{`{"model":1,"max_tokens":2,"stream":true}`, "", ""},
		{`{"Model":1}`, "Model", "model"},
		{`{"model":1,"MODEL":2}`, "MODEL", "model"},
		{`{"MAX_TOKENS":1}`, "MAX_TOKENS", "max_tokens"},
		{"{\"max_to\u212aens\":1}", "max_to\u212aens", "max_tokens"},
		{`{"max_to\u212aens":1}`, "max_to\u212aens", "max_tokens"},
		{"{\"me\u017f\u017fage\u017f\":1}", "me\u017f\u017fage\u017f", "messages"},
		{`{"\u017ftream":1}`, "\u017ftream", "stream"},
		{`{"\u017fto\u0050":1}`, "\u017ftoP", "stop"},
		{`{"x":{"Model":1}}`, "", ""},
		{`{"model ":1,"models":2,"mode":3,"max-tokens":4,"":5}`, "", ""},
		{`{"mod\u0435l":1}`, "", ""}, // a Cyrillic letter is another letter
	} {
		d, err := Scan([]byte(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		v, of, found := d.CaseVariant(control...)
		if v != tt.variant || of != tt.of || found != (tt.of != "") {
			t.Errorf("%s: got %q of %q, %v, want %q of %q", tt.in, v, of, found, tt.variant, tt.of)
		}
	}
}

func TestStringsAreCheckedAtEveryOffset(t *testing.T) {
	for size := range 40 {
		for at := range size {
			for what, s := range map[string]string{
				"control character in a string": "\x1f", "invalid escape": `\q`, "invalid UTF-8": "\x80", "": "é", " ": `\"`, "  ": "\x7f", "   ": " !#[]",
			} {
				in := `{"a":"` + strings.Repeat("x", at) + s + strings.Repeat("y", size-at) + `"}`
				_, err := Scan([]byte(in))
				want := error(nil)
				if what = strings.TrimSpace(what); what != "" {
					want = &SyntaxError{Offset: 6 + at, What: what}
				}
				if d := cmp.Diff(want, err); d != "" {
					t.Fatalf("%q (-want +got):\n%s", in, d)
				}
			}
		}
	}
}
