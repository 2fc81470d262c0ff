package oas

import (
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func TestGooglesSchemasBecomeJSONSchema(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}},"required":["a"],"propertyOrdering":["a"]}`: `{"properties":{"a":{"type":["string","null"]}},"required":["a"],"type":"object"}`,
		`{"type":6,"properties":{"type":{"type":1,"description":"d"}}}`:                                                    `{"properties":{"type":{"description":"d","type":"string"}},"type":"object"}`,
		`{"type":"ARRAY","items":{"type":"INTEGER"},"min_items":"2","maxItems":3}`:                                         `{"items":{"type":"integer"},"minItems":2,"maxItems":3,"type":"array"}`,
		`{"any_of":[{"type":"NUMBER"},{"type":"TYPE_UNSPECIFIED"}],"example":1}`:                                           `{"anyOf":[{"type":"number"},{}],"examples":[1]}`,
		`{}`: `{}`,
	} {
		if got := string(JSONSchema([]byte(in))); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestJSONSchemaBecomesGoogles(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		lost           []string
	}{
		{"types and null", `{"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"],"additionalProperties":false,"$schema":"x"}`, `{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}},"required":["a"]}`, nil},
		{"a reference", `{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"integer","minimum":1}}}`, `{"type":"OBJECT","properties":{"a":{"type":"INTEGER","minimum":1}}}`, nil},
		{"a reference to itself", `{"type":"object","properties":{"next":{"$ref":"#"}}}`, "", []string{"$ref"}},
		{"a reference to nowhere", `{"$ref":"#/nowhere"}`, `{"type":"OBJECT"}`, []string{"$ref"}},
		{"one of", `{"oneOf":[{"type":"string"},{"type":"null"}]}`, `{"anyOf":[{"type":"STRING"}],"nullable":true}`, nil},
		{"all of", `{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]}`, `{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"required":["a","b"]}`, nil},
		{"a constant", `{"const":"a"}`, `{"type":"STRING","enum":["a"]}`, nil},
		{"numbers among which to choose", `{"type":"integer","enum":[1,2]}`, `{"type":"INTEGER"}`, []string{"enum"}},
		{"formats", `{"type":"object","properties":{"a":{"type":"string","format":"date-time"},"b":{"type":"string","format":"email"}}}`, `{"type":"OBJECT","properties":{"a":{"type":"STRING","format":"date-time"},"b":{"type":"STRING"}}}`, []string{"format"}},
		{"bounds", `{"type":"number","exclusiveMinimum":0,"maximum":9}`, `{"type":"NUMBER","maximum":9}`, []string{"exclusiveMinimum"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, lost := FromJSONSchema([]byte(tt.in))
			if tt.want != "" && string(got) != tt.want || !slices.Equal(lost, tt.lost) {
				t.Errorf("got %s, lost %v", got, lost)
			}
		})
	}
}

func TestSchemasThatGrowAreCut(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/a0","$defs":{`)
	for i := range 30 {
		if i > 0 {
			b.WriteByte(',')
		}
		next := `{"$ref":"#/$defs/a` + itoa(i+1) + `"}`
		b.WriteString(`"a` + itoa(i) + `":{"type":"object","properties":{"x":` + next + `,"y":` + next + `}}`)
	}
	b.WriteString(`,"a30":{"type":"string"}}}`)
	got, lost := FromJSONSchema([]byte(b.String()))
	if len(got) > 1<<20 || jsonx.Valid(got) != nil || !slices.Contains(lost, "$ref") {
		t.Errorf("%d bytes, lost %v", len(got), lost)
	}
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return string(rune('0'+i/10)) + string(rune('0'+i%10))
}

func FuzzFromJSONSchema(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"$ref":"#/properties/a"}},"allOf":[{"const":null}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if jsonx.Valid(in) != nil || jsonx.Deeper(in, 64) {
			return
		}
		for _, out := range [][]byte{JSONSchema(in), JSONSchema(JSONSchema(in))} {
			if jsonx.Valid(out) != nil && !repeats(out) {
				t.Fatalf("%s of %s", out, in)
			}
		}
		out, _ := FromJSONSchema(in)
		if jsonx.Valid(out) != nil && !repeats(out) {
			t.Fatalf("%s of %s", out, in)
		}
	})
}

// repeats reports whether all that is wrong is a name that stands twice, as where one came in two spellings.
func repeats(b []byte) bool {
	err := jsonx.Valid(b)
	return err != nil && strings.Contains(err.Error(), "duplicate")
}
