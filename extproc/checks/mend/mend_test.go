package mend_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/extproc/checks/mend"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func TestOnlyWhatHasOneReadingIsMended(t *testing.T) {
	for _, c := range []struct{ name, text, want, how string }{
		{"fences", "```json\n{\"a\":1}\n```", `{"a":1}`, mend.Fences},
		{"fences without a language, and a remark", "Here it is:\n```\n[1, 2]\n```\nAnything else?", `[1, 2]`, mend.Fences},
		{"text in front", `Sure! {"a":"}"}`, `{"a":"}"}`, mend.Around},
		{"text behind", `{"a":1} I hope that this helps.`, `{"a":1}`, mend.Around},
		{"a comma behind the last member", `{"a":[1,2, ],}`, `{"a":[1,2 ]}`, mend.Commas},
		{"a comma in a string", `{"a":",}",}`, `{"a":",}"}`, mend.Commas},
		{"a quote in a string", `{"a":"\",}",}`, `{"a":"\",}"}`, mend.Commas},
		{"fences and a comma", "```\n{\"a\":1,}\n```", `{"a":1}`, mend.Fences},
		{"two values", `{"a":1} or {"a":2}`, "", ""},
		{"brackets in the text", `See [the manual]: {"a":1}`, "", ""},
		{"cut off", `{"a":[1,2`, "", ""},
		{"cut off behind an element", `{"a":{"b":1},"c"`, "", ""},
		{"a comma too many", `[1,,2]`, "", ""},
		{"two commas at the end", `[1,,]`, "", ""},
		{"a member twice", `x {"a":1,"a":2}`, "", ""},
		{"no JSON", `no JSON`, "", ""},
		{"nothing", ``, "", ""},
		{"brackets the wrong way round", `}{`, "", ""},
	} {
		got, how := mend.Text([]byte(c.text))
		if string(got) != c.want || how != c.how {
			t.Errorf("%s: got %q by %q, want %q by %q", c.name, got, how, c.want, c.how)
		}
	}
}

// TestWhatIsMendedIsTheValue: whatever stands around a value, it is found as it is.
func TestWhatIsMendedIsTheValue(outer *testing.T) {
	around := rapid.StringMatching("[^{}\\[\\]]{0,20}")
	rapid.Check(outer, func(t *rapid.T) {
		value, err := jsonx.Encode(map[string]any{"a": rapid.String().Draw(t, "a"), "b": rapid.SliceOf(rapid.String()).Draw(t, "b")})
		if err != nil {
			t.Skip("JSON has no such text: another is drawn")
		}
		got, _ := mend.Text([]byte(around.Draw(t, "before") + string(value) + around.Draw(t, "after")))
		if string(got) != string(value) {
			t.Fatalf("got %q of %q", got, value)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("```json\n{\"a\":1,}\n```"))
	f.Add([]byte(`{"a":"\`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, how := mend.Text(text); (got == nil) != (how == "") || got != nil && jsonx.Valid(got) != nil {
			t.Errorf("got %q by %q", got, how)
		}
	})
}

func TestTextsOfAnswersAreReplacedWhereTheyStand(t *testing.T) {
	for _, c := range []struct {
		dialect dialect.Name
		body    string
	}{
		{dialect.OpenAIChat, `{"id":"no JSON", "choices":[{"index":0,"message":{"role":"assistant","content":"no JSON"}}]}`},
		{dialect.AnthropicMessages, `{"id":"no JSON","content":[{"type":"thinking","thinking":"no JSON"},{"type":"text","text":"no JSON"}]}`},
		{dialect.OpenAIResponses, `{"id":"no JSON","output":[{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"no JSON"}]}]}`},
		{dialect.Gemini, `{"candidates":[{"content":{"role":"model","parts":[{"text":"no JSON"}]}}],"responseId":"no JSON"}`},
		{dialect.BedrockConverse, `{"output":{"message":{"role":"assistant","content":[{"text":"no JSON"}]}}}`},
		{dialect.Cohere, `{"id":"no JSON","message":{"role":"assistant","content":[{"type":"text","text":"no JSON"}]}}`},
	} {
		got, ok := mend.Answer(c.dialect, []byte(c.body), map[string][]byte{"no JSON": []byte(`{"n":1}`)})
		at := strings.LastIndex(c.body, `"no JSON"}`)
		want := c.body[:at] + `"{\"n\":1}"` + c.body[at+len(`"no JSON"`):]
		if c.dialect == dialect.Gemini {
			want = `{"candidates":[{"content":{"role":"model","parts":[{"text":"{\"n\":1}"}]}}],"responseId":"no JSON"}`
		}
		if !ok || string(got) != want {
			t.Errorf("%s: got %s, %v\nwant %s", c.dialect, got, ok, want)
		}
	}
	if _, ok := mend.Answer(dialect.AnthropicMessages, []byte(`{"content":[{"type":"text","text":"no"},{"type":"text","text":" JSON"}]}`), map[string][]byte{"no JSON": []byte(`{}`)}); ok {
		t.Error("a text in two pieces is replaced")
	}
	if _, ok := mend.Answer(dialect.OpenAIChat, []byte(`{"choices":`), map[string][]byte{"no JSON": []byte(`{}`)}); ok {
		t.Error("an answer that is no JSON is mended")
	}
}

// TestAModelIsAskedInTheDialectOfTheRequest: each dialect reads what was made of its request, as two turns more.
func TestAModelIsAskedInTheDialectOfTheRequest(t *testing.T) {
	servers := all.Servers()
	for _, c := range []struct {
		dialect          dialect.Name
		path, body, want string
	}{
		{dialect.OpenAIChat, "/v1/chat/completions", `{"model":"m","messages":[ {"role":"user","content":"hi"} ],"n":1}`, `{"model":"m","messages":[ {"role":"user","content":"hi"},ASSISTANT,USER],"n":1}`},
		{dialect.AnthropicMessages, "/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},ASSISTANT,USER]}`},
		{dialect.OpenAIResponses, "/v1/responses", `{"model":"m","input":"hi"}`, `{"model":"m","input":[{"role":"user","content":"hi"},ASSISTANT,USER]}`},
		{dialect.OpenAIResponses, "/v1/responses", `{"model":"m","input":[{"role":"user","content":"hi"}]}`, `{"model":"m","input":[{"role":"user","content":"hi"},ASSISTANT,USER]}`},
		{dialect.Gemini, "/v1beta/models/m:generateContent", `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`, `{"contents":[{"role":"user","parts":[{"text":"hi"}]},MODEL,PARTS]}`},
		{dialect.BedrockConverse, "/model/m/converse", `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`, `{"messages":[{"role":"user","content":[{"text":"hi"}]},CONVERSE,CONTENT]}`},
		{dialect.Cohere, "/v2/chat", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, `{"model":"m","messages":[{"role":"user","content":"hi"},ASSISTANT,USER]}`},
	} {
		const said, ask = `"no \"JSON\""`, `"Your answer does not have the form that was asked for: it is no JSON\nAnswer again. Give the corrected JSON alone, with no text around it and no fences."`
		want := strings.NewReplacer(
			"ASSISTANT", `{"role":"assistant","content":`+said+`}`, "USER", `{"role":"user","content":`+ask+`}`,
			"MODEL", `{"role":"model","parts":[{"text":`+said+`}]}`, "PARTS", `{"role":"user","parts":[{"text":`+ask+`}]}`,
			"CONVERSE", `{"role":"assistant","content":[{"text":`+said+`}]}`, "CONTENT", `{"role":"user","content":[{"text":`+ask+`}]}`,
		).Replace(c.want)
		got := mend.Ask(c.dialect, []byte(c.body), []byte(`no "JSON"`), "it is no JSON")
		if string(got) != want {
			t.Errorf("%s: got  %s\nwant %s", c.dialect, got, want)
		}
		row, piece, ok := dialect.Find("POST", c.path, "")
		if !ok {
			t.Fatalf("%s: no such path", c.path)
		}
		if _, err := servers[c.dialect].ReadRequest(dialect.Inbound{Op: row.Op, Path: c.path, Model: piece, Body: got}); err != nil {
			t.Errorf("%s cannot be read: %v", c.dialect, err)
		}
	}
	for _, body := range []string{`{}`, `{"messages":3}`, `no JSON`} {
		if got := mend.Ask(dialect.OpenAIChat, []byte(body), []byte("x"), "y"); string(got) != body {
			t.Errorf("%s became %s", body, got)
		}
	}
	if got := mend.Ask(dialect.OpenAIChat, []byte(`{"messages":[]}`), []byte("x"), strings.Repeat("y", 1<<20)); len(got) > 4<<10 {
		t.Errorf("the model is told %d bytes", len(got))
	}
}
