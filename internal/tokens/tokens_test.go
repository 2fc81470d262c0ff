package tokens_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/tokens"
)

func TestTheDialectOfARequestIsToldByItsForm(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"messages alone are OpenAI's", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "openai-chat"},
		{"a system text beside messages is Anthropic's", `{"model":"m","max_tokens":9,"system":"s","messages":[{"role":"user","content":"hi"}]}`, "anthropic-messages"},
		{"Claude with max_tokens is Anthropic's", `{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`, "anthropic-messages"},
		{"Claude without is OpenAI's", `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}`, "openai-chat"},
		{"an input schema is Anthropic's", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}`, "anthropic-messages"},
		{"contents are Gemini's", `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`, "gemini"},
		{"parts without a type are Bedrock's", `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`, "bedrock-converse"},
		{"input is of the Responses API", `{"model":"gpt-5","input":"hi"}`, "openai-responses"},
		{"input of an embedding model is of embeddings", `{"model":"text-embedding-3-small","input":"hi"}`, "openai-embeddings"},
		{"a prompt is of legacy completions", `{"model":"davinci-002","prompt":"hi"}`, "openai-completions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := tool().Request("", "", "", []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if r.Dialect != c.want || r.Tokens < 1 {
				t.Errorf("got %s with %d tokens, want %s", r.Dialect, r.Tokens, c.want)
			}
		})
	}
}

func TestAWrongRequestNamesTheMember(t *testing.T) {
	for _, c := range []struct{ as, body, want string }{
		{"", `{"model":"m"}`, "the request is of no dialect that is known by its form; say which with --as"},
		{"nonsense", `{"model":"m"}`, `unknown dialect "nonsense"`},
		{"/nowhere", `{"model":"m"}`, "no dialect has the path /nowhere"},
		{"openai-chat", `{"model":"m"}`, "messages: Missing required parameter: 'messages'."},
		{"openai-chat", `[]`, "the request is no JSON object: "},
	} {
		_, err := tool().Request("", "", c.as, []byte(c.body))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s %s: got %v, want %s", c.as, c.body, err, c.want)
		}
	}
}

func TestABatchGivesALineForEachLine(t *testing.T) {
	in := `{"id":"text","model":"gpt-4o","text":"Hello, how are you?"}
{"id":"request","model":"gpt-4o","request_path":"/v1/chat/completions","request_json":{"messages":[{"role":"user","content":"hi"}]}}

{"id":"responses","model":"gpt-4o","request_path":"/v1/responses","request_json":{"model":"gpt-4o","input":"hi"}}
{"id":"google","model":"gemini-2.5-flash","request_path":"/v1beta/models/gemini-2.5-flash:generateContent","request_json":{"contents":[{"parts":[{"text":"hi"}]}]}}
{"id":"nothing","model":"gpt-4o"}
nonsense`
	var out bytes.Buffer
	if err := tool().Batch(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		var c tokens.Counted
		if err := jsonx.DecodeStrict([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Error != nil && c.Tokens == nil:
			got = append(got, c.ID+": error")
		case c.Error == nil && c.Tokens != nil:
			got = append(got, fmt.Sprintf("%s: %d %s", c.ID, *c.Tokens, c.Method))
		default:
			t.Errorf("a line has both or neither: %s", line)
		}
	}
	want := []string{"text: 6 exact", "request: 8 exact", "responses: 8 exact", "google: 2 estimate", "nothing: error", ": error"}
	if d := cmp.Diff(got, want); d != "" {
		t.Error(d)
	}
}

func TestTenThousandLinesTakeSeconds(t *testing.T) {
	line := `{"id":"a","model":"gpt-4o","request_path":"/v1/chat/completions","request_json":{"messages":[{"role":"user","content":"` + strings.Repeat("words and words ", 40) + `"}]}}` + "\n"
	var out bytes.Buffer
	began := time.Now()
	if err := tool().Batch(strings.NewReader(strings.Repeat(line, 10_000)), &out); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 10_000 {
		t.Errorf("%d lines", n)
	}
}
