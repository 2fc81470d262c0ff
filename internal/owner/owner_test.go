package owner_test

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/owner"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string][2]string{
		"file-abc~openai": {"file-abc", "openai"},
		"file-abc":        {"file-abc", ""},
		"a~b~c":           {"a~b", "c"},
		"~openai":         {"~openai", ""},
		"":                {"", ""},
	} {
		if id, p := owner.Split(in); id != want[0] || p != want[1] {
			t.Errorf("%q: got %q, %q", in, id, p)
		}
	}
}

func TestPlain(t *testing.T) {
	for id, want := range map[string]bool{
		"file-abc_1.2": true, "": false, "a/b": false, "..": false, "a..b": false, "a?b": false, "a%2fb": false, "ä": false, strings.Repeat("a", 257): false,
	} {
		if owner.Plain(id) != want {
			t.Errorf("%q: want %v", id, want)
		}
	}
}

func TestMark(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"a file", `{"id": "file-1", "object":"file","filename":"id"}`, `{"id": "file-1~p", "object":"file","filename":"id"}`},
		{"a batch", `{"id":"batch_1","input_file_id":"file-1","output_file_id":null,"error_file_id":"" ,"metadata":{"id":"mine"}}`,
			`{"id":"batch_1~p","input_file_id":"file-1~p","output_file_id":null,"error_file_id":"" ,"metadata":{"id":"mine"}}`},
		{"a list", "{\"object\":\"list\",\"data\":[ {\"id\":\"a\"}, {\"id\":\"b\",\"data\":[{\"id\":\"c\"}]} ],\n\"first_id\":\"a\",\"has_more\":false}",
			"{\"object\":\"list\",\"data\":[ {\"id\":\"a~p\"}, {\"id\":\"b~p\",\"data\":[{\"id\":\"c\"}]} ],\n\"first_id\":\"a~p\",\"has_more\":false}"},
		{"a message batch", `{"id":"b_1","results_url": "https://api.anthropic.com/v1/messages/batches/b_1/results" }`, `{"id":"b_1~p","results_url": "/v1/messages/batches/b_1~p/results" }`},
		{"another address", `{"results_url":"https://example.com/x","data":[{"results_url":null},{"results_url":"/v1/messages/batches/../results"}]}`, `{"results_url":"https://example.com/x","data":[{"results_url":null},{"results_url":"/v1/messages/batches/../results"}]}`},
		{"no object", `["id"]`, `["id"]`},
		{"no JSON", `{"id":`, `{"id":`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(owner.Mark([]byte("> "), []byte(c.doc), "p")); got != "> "+c.want {
				t.Errorf("got  %s\nwant > %s", got, c.want)
			}
		})
	}
}

func TestUnmark(t *testing.T) {
	known := func(p string) bool { return p == "p" || p == "q" }
	for _, c := range []struct{ name, body, want, provider, err string }{
		{"nothing to do", `{"a":"b~p"}`, `{"a":"b~p"}`, "", ""},
		{"a batch", `{"input_file_id" : "file-1~p","metadata":{"file_id":"x"}}`, `{"input_file_id" : "file-1","metadata":{"file_id":"x"}}`, "p", ""},
		{"a conversation", `{"messages":[{"content":[{"type":"file","file":{"file_id":"a~p"}},{"type":"file","file":{"file_id":"b~p"}}]}]}`,
			`{"messages":[{"content":[{"type":"file","file":{"file_id":"a"}},{"type":"file","file":{"file_id":"b"}}]}]}`, "p", ""},
		{"an unknown provider", `{"file_id":"a~z"}`, `{"file_id":"a~z"}`, "", ""},
		{"within a text", `{"text":"\"file_id\": \"a~p\""}`, `{"text":"\"file_id\": \"a~p\""}`, "", ""},
		{"an id with escapes", `{"file_id":"a\u007ep"}`, `{"file_id":"a\u007ep"}`, "", ""},
		{"no string", `{"file_id":["a~p"]}`, `{"file_id":["a~p"]}`, "", ""},
		{"two providers", `{"file_id":"a~p","x":{"file_id":"b~q"}}`, "", "", "two providers, p and q"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, provider, err := owner.Unmark([]byte(c.body), known)
			switch {
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("got %v, want %q", err, c.err)
			case c.err == "" && (err != nil || string(got) != c.want || provider != c.provider):
				t.Errorf("got %s, %q, %v", got, provider, err)
			}
		})
	}
}

// FuzzMarkedIDsComeBack holds for what a provider says and a client sends back.
func FuzzMarkedIDsComeBack(f *testing.F) {
	f.Add([]byte(`{"input_file_id":"file-1","x":{"file_id":"y"}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		marked := owner.Mark(nil, doc, "p")
		back, _, err := owner.Unmark(marked, func(p string) bool { return p == "p" })
		if err != nil {
			t.Fatal(err)
		}
		if len(back) > len(marked) {
			t.Fatalf("%q grew to %q", marked, back)
		}
	})
}

func TestUnmarkQuery(t *testing.T) {
	known := func(p string) bool { return p == "p" || p == "q" }
	for _, c := range []struct{ query, want, provider string }{
		{"", "", ""},
		{"limit=2&after=file-1", "limit=2&after=file-1", ""},
		{"limit=2&after=file-1~p", "limit=2&after=file-1", "p"},
		{"after_id=b_1%7Eq&limit=2", "after_id=b_1&limit=2", "q"},
		{"before_id=b_1~z", "before_id=b_1~z", ""},
		{"purpose=a~p", "purpose=a~p", ""},
		{"after=a%2f..~p", "after=a%2f..~p", ""},
	} {
		if got, p := owner.UnmarkQuery(c.query, known); got != c.want || p != c.provider {
			t.Errorf("%s: got %s of %q, want %s of %q", c.query, got, p, c.want, c.provider)
		}
	}
}
