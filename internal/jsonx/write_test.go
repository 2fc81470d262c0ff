package jsonx

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func scan(t *testing.T, s string) *Doc {
	t.Helper()
	d, err := Scan([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return d
}

func TestMembersAreSet(t *testing.T) {
	for _, tt := range []struct{ name, in, member, raw, want string }{
		{"the first", `{"a":1, "b":[2],"c":"3"}`, "a", `{"x":0}`, `{"a":{"x":0}, "b":[2],"c":"3"}`},
		{"one in the middle", `{"a":1, "b" : [2] ,"c":"3"}`, "b", `null`, `{"a":1, "b" : null ,"c":"3"}`},
		{"the last", `{"a":1,"c":"3" }`, "c", `4`, `{"a":1,"c":4 }`},
		{"the only one", `{"a":1}`, "a", `2`, `{"a":2}`},
		{"an absent one", "{\"a\":1 \n}\n", "b", `2`, "{\"a\":1,\"b\":2 \n}\n"},
		{"an absent one in an empty object", ` { } `, "b", `2`, ` {"b":2 } `},
		{"an absent one whose name needs escapes", `{"a":1}`, "\"\n", `2`, `{"a":1,"\"\n":2}`},
		{"one with an escaped name", `{"\u0061":1,"b":2}`, "a", `3`, `{"\u0061":3,"b":2}`},
		{"not one of a nested object", `{"b":{"a":1},"a":2}`, "a", `3`, `{"b":{"a":1},"a":3}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := scan(t, tt.in)
			got := string(Splice([]byte("> "), d.Body, d.Set(tt.member, []byte(tt.raw))))
			if diff := cmp.Diff("> "+tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if string(d.Body) != tt.in {
				t.Errorf("the source became %s", d.Body)
			}
		})
	}
}

func TestMembersAreRemoved(t *testing.T) {
	for _, tt := range []struct{ name, in, member, want string }{
		{"the first", `{ "a":1, "b":2}`, "a", `{ "b":2}`},
		{"one in the middle", `{"a":1, "b":{"x":[]} , "c":3}`, "b", `{"a":1, "c":3}`},
		{"the last", `{"a":1 , "b":2 }`, "b", `{"a":1 }`},
		{"the only one", `{ "a" : 1 }`, "a", `{  }`},
		{"one with an escaped name", `{"\u0061":1,"b":2}`, "a", `{"b":2}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := scan(t, tt.in)
			e, ok := d.Remove(tt.member)
			if got := string(Splice(nil, d.Body, e)); !ok || got != tt.want {
				t.Errorf("got %s, %v, want %s", got, ok, tt.want)
			}
		})
	}
	if e, ok := scan(t, `{"a":{"b":1}}`).Remove("b"); ok || e.End != 0 {
		t.Errorf("an absent member was removed: %v", e)
	}
}

func TestEditsAreMadeTogetherInAnyOrder(t *testing.T) {
	d := scan(t, `{"a":1,"b":2,"c":3,"d":4,"e":5}`)
	a, _ := d.Remove("a")
	c, _ := d.Remove("c")
	e, _ := d.Remove("e")
	b, dd, f := d.Set("b", []byte("20")), d.Set("d", []byte("40")), d.Set("f", []byte("60"))
	want := `{"b":20,"d":40,"f":60}`
	for _, edits := range [][]Edit{{a, b, c, dd, e, f}, {f, e, dd, c, b, a}, {e, f, a, dd, b, c}} {
		if got := string(Splice(nil, d.Body, edits...)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := string(Splice(nil, d.Body)); got != string(d.Body) {
		t.Errorf("without edits: got %s", got)
	}
}

func TestEditsThatOverlapPanic(t *testing.T) {
	for _, edits := range [][]Edit{{{0, 2, nil}, {1, 3, nil}}, {{2, 1, nil}}, {{0, 9, nil}}, {{-1, 1, nil}}} {
		func() {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.HasPrefix(r, "jsonx: edit ") {
					t.Errorf("%v: recovered %v", edits, r)
				}
			}()
			Splice(nil, []byte("12345"), edits...)
		}()
	}
}

func TestStringsAreQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"": `""`, "a": `"a"`, "\"\\/": `"\"\\/"`, "\n\r\t\b\f\x00\x1f\x7f": `"\n\r\t\u0008\u000c\u0000\u001f` + "\x7f\"", "é日😀\u2028<&>": "\"é日😀\u2028<&>\"",
		"a\xffb": "\"a\ufffdb\"", "\xe6\x97": "\"\ufffd\ufffd\"", "\xf0\x9f\x98\x80\x80": "\"😀\ufffd\"", "\ufffd": "\"\ufffd\"",
	} {
		if got := string(AppendQuote([]byte("> "), in)); got != "> "+want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
		if got := string(AppendQuote(nil, []byte(in))); got != want {
			t.Errorf("%q as bytes: got %s, want %s", in, got, want)
		}
	}
}

func TestFloatsAreWrittenAsNumbers(t *testing.T) {
	for _, f := range []float64{0, 1, -1, 0.1, 0.7, 1e6, 1e21, 1e-7, 123456789, math.MaxFloat64, math.SmallestNonzeroFloat64, 1.0 / 3} {
		b := AppendFloat(nil, f)
		if got, ok := Float(b); !ok || got != f || Valid(b) != nil {
			t.Errorf("%v: written as %s", f, b)
		}
	}
}

func TestDecodingKeepsToNames(t *testing.T) {
	type doc struct {
		Model string `json:"model"`
		Raw   Raw    `json:"raw"`
	}
	for _, tt := range []struct {
		in         string
		ok, strict bool
	}{
		{`{"model":"m","raw":{"x":[1]}}`, true, true},
		{`{"Model":"n","model":"m"}`, true, false},
		{`{"model":"m","model":"n"}`, false, false},
		{"{\"model\":\"\xff\"}", false, false},
		{`{"model":"m"} 1`, false, false},
		{`{"model":1}`, false, false},
	} {
		var d doc
		if err := Decode([]byte(tt.in), &d); (err == nil) != tt.ok || tt.ok && d.Model != "m" {
			t.Errorf("%s: decoded %+v, %v", tt.in, d, err)
		}
		if err := DecodeStrict([]byte(tt.in), new(doc)); (err == nil) != tt.strict {
			t.Errorf("%s: decoded strictly: %v", tt.in, err)
		}
	}
}

func TestEncodingIsDeterministic(t *testing.T) {
	v := map[string]any{"b": 1, "a": []string{"<x>"}, "c": nil}
	for range 20 {
		if b, err := Encode(v); err != nil || string(b) != `{"a":["<x>"],"b":1,"c":null}` {
			t.Fatalf("got %s, %v", b, err)
		}
	}
	b, err := EncodeIndent(map[string]int{"b": 1, "a": 2})
	if want := "{\n  \"a\": 2,\n  \"b\": 1\n}"; err != nil || string(b) != want {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestCompactLeavesItsSource(t *testing.T) {
	src := []byte(" { \"a\" : [ 1 , \" \" ] } ")
	was := string(src)
	if got, err := Compact(src); err != nil || string(got) != `{"a":[1," "]}` || string(src) != was {
		t.Errorf("got %s, %v, source %s", got, err, src)
	}
	if _, err := Compact([]byte(`{"a":}`)); err == nil {
		t.Error("a broken value was compacted")
	}
}

func TestMembersAreAppendedWithTheirCommas(t *testing.T) {
	b := AppendKey([]byte("{"), "a")
	b = AppendKey(append(b, "[1]"...), `"b"`)
	b = AppendFloat32(append(b, '['), 0.1)
	b = AppendFloat32(AppendComma(b), -1.5e-30)
	b = AppendText(append(b, ']'), "c", "x\n")
	if want := `{"a":[1],"\"b\"":[0.1,-1.5e-30],"c":"x\n"}`; string(b)+"}" != want || Valid([]byte(want)) != nil {
		t.Errorf("got %s}, want %s", b, want)
	}
}

func TestElementsAreCutWithTheirCommas(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":[1,0,2]}`: `{"a":[1,2]}`, `{"a":[0,1]}`: `{"a":[1]}`, `{"a":[1 , 0 ]}`: `{"a":[1  ]}`, `{"a":[0,0]}`: `{"a":[]}`,
		`{"a":[1,0,0]}`: `{"a":[1]}`, `{"a":[0,1,0,0,2,0],"b":0}`: `{"a":[1,2],"b":0}`, `{"a":[]}`: `{"a":[]}`, `{"a":5}`: `{"a":5}`,
	} {
		doc, err := Scan([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		arr, _ := doc.Get("a")
		edits := CutElements(nil, doc.Body, arr, func(e []byte) bool { return string(e) == "0" })
		if got := string(Splice(nil, doc.Body, edits...)); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
