package member_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

func TestALimitIsSetWhereItBelongs(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		path           []string
	}{
		{"a member that is missing", `{"a":1}`, `{"a":1,"m":7}`, []string{"m"}},
		{"in an empty body", `{}`, `{"m":7}`, []string{"m"}},
		{"a member that is null", `{"m":null,"a":1}`, `{"m":7,"a":1}`, []string{"m"}},
		{"an object that is missing", `{"a":1}`, `{"a":1,"c":{"m":7}}`, []string{"c", "m"}},
		{"an object that is null", `{"c":null}`, `{"c":{"m":7}}`, []string{"c", "m"}},
		{"an empty object", `{"c": { } ,"a":1}`, `{"c": {"m":7 } ,"a":1}`, []string{"c", "m"}},
		{"an object with others", `{"c":{ "x":{"m":1}},"a":1}`, `{"c":{"m":7, "x":{"m":1}},"a":1}`, []string{"c", "m"}},
		{"a null within", `{"c":{"x":1,"m": null}}`, `{"c":{"x":1,"m": 7}}`, []string{"c", "m"}},
		{"one that was higher", `{"c":{"m":100}}`, `{"c":{"m":7}}`, []string{"c", "m"}},
	} {
		doc, err := jsonx.Scan([]byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		got := jsonx.Splice(nil, doc.Body, member.Limit(doc, 7, c.path[0], c.path[1:]...))
		if string(got) != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		if _, err := jsonx.Scan(got); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
