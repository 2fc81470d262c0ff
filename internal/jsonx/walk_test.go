package jsonx

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIntTakesIntegersThatEveryReaderAgreesOn(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"7", 7, true}, {"-7", -7, true}, {" 12\n", 12, true},
		{"9007199254740991", 1<<53 - 1, true}, {"-9007199254740991", -(1<<53 - 1), true},
		{"9007199254740992", 0, false}, {"-9007199254740992", 0, false}, {"9223372036854775807", 0, false}, {"18446744073709551616", 0, false},
		{"99999999999999999999999", 0, false}, {"1e3", 0, false}, {"1E3", 0, false}, {"1.0", 0, false}, {"0.5", 0, false}, {"-0", 0, false}, {"-0.0", 0, false},
		{"-", 0, false}, {"", 0, false}, {`"1"`, 0, false}, {"null", 0, false}, {"true", 0, false}, {"[1]", 0, false}, {"1-1", 0, false}, {"+1", 0, false}, {"0x1", 0, false},
	} {
		if got, ok := Int([]byte(tt.in)); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestFloatTakesNumbersWithinRange(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want float64
		ok   bool
	}{
		{"0", 0, true}, {"-1.5", -1.5, true}, {"1e3", 1000, true}, {" 2E-2 ", 0.02, true}, {"1e-999", 0, true}, {"1.7976931348623157e308", math.MaxFloat64, true},
		{"1e999", 0, false}, {"-1e999", 0, false}, {"", 0, false}, {`"1"`, 0, false}, {"null", 0, false}, {"-Inf", 0, false}, {"NaN", 0, false}, {"[1]", 0, false},
	} {
		got, ok := Float([]byte(tt.in))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestBoolTakesTwoLiterals(t *testing.T) {
	for in, want := range map[string][2]bool{
		"true": {true, true}, " false\n": {false, true}, "null": {}, "": {}, `"true"`: {}, "1": {}, "True": {}, "truefalse": {},
	} {
		if v, ok := Bool([]byte(in)); v != want[0] || ok != want[1] {
			t.Errorf("%s: got %v, %v, want %v", in, v, ok, want)
		}
	}
}

func TestKindTellsTheType(t *testing.T) {
	for in, want := range map[string]byte{
		"{}": '{', " []": '[', "\n\"a\"": '"', "true": 't', "false": 'f', "null": 'n', "0": '0', "-1": '0', "9": '0', "": 0, " \t\r\n": 0,
	} {
		if got := Kind([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if got, want := IsNull([]byte(in)), want == 0 || want == 'n'; got != want {
			t.Errorf("%q: IsNull is %v", in, got)
		}
	}
}

func TestStringsAreUnescaped(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		ok       bool
	}{
		{`""`, "", true}, {` "a" `, "a", true}, {`"é日😀"`, "é日😀", true}, {`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", true},
		{`"\u0000\u00e9\u65E5\ud83d\ude00"`, "\x00é日😀", true}, {`"a\u005cnb"`, `a\nb`, true}, {`"\\u0041"`, `\u0041`, true}, {`"\\\\"`, `\\`, true},
		{`"x\\"`, `x\`, true}, {`"\\\""`, `\"`, true}, {`"\ufeff\ufffd"`, "\ufeff\ufffd", true},
		{`"\ud83dxxde00"`, "\ufffdxxde00", true}, {`"\ud83d"`, "\ufffd", true}, {`"\u12"`, "\ufffd", true}, // never validated
		{`1`, "", false}, {`null`, "", false}, {``, "", false}, {`["a"]`, "", false}, {`"a`, "", false}, {`"a\"`, "", false}, {`"`, "", false},
	} {
		if got, ok := String([]byte(tt.in)); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %q, %v, want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
		if got, ok := AppendString([]byte("> "), []byte(tt.in)); string(got) != "> "+tt.want || ok != tt.ok {
			t.Errorf("%s: appended %q, %v, want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

// walk shows a value as the walking functions see it.
func walk(raw []byte) string {
	var b strings.Builder
	switch Kind(raw) {
	case '{':
		b.WriteString("{")
		for n, v := range Members(raw) {
			fmt.Fprintf(&b, "%s=%s;", n, walk(v))
		}
		b.WriteString("}")
	case '[':
		b.WriteString("[")
		for i, v := range Elements(raw) {
			fmt.Fprintf(&b, "%d=%s;", i, walk(v))
		}
		b.WriteString("]")
	case '"':
		s, _ := String(raw)
		b.WriteString(s)
	default:
		b.Write(raw)
	}
	return b.String()
}

func TestValuesAreWalked(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty ones", ` { "a" : { } , "b" : [ ] } `, "{a={};b=[];}"},
		{"nested ones", `{"a":[1,{"b":[[2],"]}\"",null]},true]}`, `{a=[0=1;1={b=[0=[0=2;];1=]}";2=null;];};2=true;];}`},
		{"white space", "[\n1 ,\t-2.5e3\r, \"x\" ]", "[0=1;1=-2.5e3;2=x;]"},
		{"escaped names", `{"\u0061\n":1,"":2}`, "{a\n=1;=2;}"},
		{"strings that end in backslashes", `{"a\\":"\\\\","b":"\\"}`, `{a\=\\;b=\;}`},
	} {
		if d := cmp.Diff(tt.want, walk([]byte(tt.in))); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestWalkingTheWrongTypeYieldsNothing(t *testing.T) {
	for _, in := range []string{"", " ", "1", `"a"`, "null", "[", "{", "]", "}", ",", ":", `{1`, `{"a"`, `{"a":`, `{"a":}`, `{"a":,}`, `{"a`, `{"a\"`, "[,,", "[:", "[[", `["`, `{"a":{`} {
		for n, v := range Members([]byte(in)) {
			t.Errorf("%s: member %s is %s", in, n, v)
		}
		for i, v := range Elements([]byte(in)) {
			t.Errorf("%s: element %d is %s", in, i, v)
		}
	}
	for range Members([]byte(`[1]`)) {
		t.Error("an array has members")
	}
	for range Elements([]byte(`{"a":1}`)) {
		t.Error("an object has elements")
	}
}

func TestAWalkMayStopEarly(t *testing.T) {
	n := 0
	for range Members([]byte(`{"a":1,"b":2}`)) {
		n++
		break
	}
	for range Elements([]byte(`[1,2]`)) {
		n++
		break
	}
	if n != 2 {
		t.Errorf("%d steps", n)
	}
}

func TestPathsAreFollowed(t *testing.T) {
	doc := []byte(`{"a":{"b":{"c":[1,2]},"n":null},"\u0062":"x"}`)
	for _, tt := range []struct {
		path, want string
	}{
		{"", string(doc)}, {"a.b.c", "[1,2]"}, {"a.n", "null"}, {"b", `"x"`}, {"a.x", ""}, {"b.c", ""}, {"a.b.c.d", ""}, {"a.n.x", ""},
	} {
		var path []string
		if tt.path != "" {
			path = strings.Split(tt.path, ".")
		}
		got := At(doc, path...)
		if string(got) != tt.want || (got == nil) != (tt.want == "") {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
	}
}

func TestDeeperCountsContainersOutsideStrings(t *testing.T) {
	for raw, want := range map[string]bool{`[[1]]`: false, `[[[1]]]`: true, `{"a":{"b":[]}}`: true, `["[[[", "\"{{{"]`: false, `[[],[],[]]`: false, `1`: false} {
		if got := Deeper([]byte(raw), 2); got != want {
			t.Errorf("%s: got %v, want %v", raw, got, want)
		}
	}
}

func TestPiecesTellWhereTheyBegin(t *testing.T) {
	all := []byte(`[{"a": {"b": [1, "two"]}, "c": 3} ]`)
	body := all[1 : len(all)-2] // of something longer
	doc, err := Scan(body)
	if err != nil {
		t.Fatal(err)
	}
	outer, _ := doc.Get("a")
	inner := Get(outer, "b")
	pieces := [][]byte{body, outer, inner, At(body, "a", "b")}
	for _, v := range Elements(inner) {
		pieces = append(pieces, v)
	}
	for _, v := range Members(body) {
		pieces = append(pieces, v)
	}
	for _, p := range pieces {
		if at, want := Offset(body, p), bytes.Index(body, p); at != want {
			t.Errorf("%s begins at %d, want %d", p, at, want)
		}
	}
}
