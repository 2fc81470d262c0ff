package fit_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

func TestArgumentsBecomeAnObject(t *testing.T) {
	for args, want := range map[string]string{
		``: `{}`, ` `: `{}`, `null`: `{}`, `{}`: `{}`, ` {"a": 1} `: `{"a": 1}`,
		`"{\"a\":1}"`: `{"a":1}`, `{"a":[1,2,],}`: `{"a":[1,2]}`, "{\"a\":\"x\ny\"}": `{"a":"x\ny"}`, `{"a":",]"}`: `{"a":",]"}`,
		`[1]`: `{"_raw":"[1]"}`, `{"a":`: `{"_raw":"{\"a\":"}`, `hello "x"`: `{"_raw":"hello \"x\""}`, `{"a":1,"a":2}`: `{"_raw":"{\"a\":1,\"a\":2}"}`,
	} {
		if got := string(fit.Args(args)); got != want {
			t.Errorf("%q: got %s, want %s", args, got, want)
		}
	}
}

func TestArgumentsAreAlwaysAnObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.StringOf(rapid.SampledFrom([]rune("{}[],:\"\\ \nab1é"))).Draw(t, "args")
		if got := fit.Args(args); jsonx.Valid(got) != nil || jsonx.Kind(got) != '{' {
			t.Errorf("%q: got %s", args, got)
		}
	})
}

func TestNamesStayApart(t *testing.T) {
	for n, want := range map[string]string{"get_weather-2": "get_weather-2", "a.b": "a_b_", "": "_", "é": "___"} {
		if got := fit.Name(n, 64); !strings.HasPrefix(got, want) || n == "get_weather-2" && got != want {
			t.Errorf("%q: got %q, want it to begin with %q", n, got, want)
		}
	}
	long := strings.Repeat("a", 65)
	a, b := fit.Name(long, 64), fit.Name(long+"b", 64)
	if a == b || len(a) > 64 || len(b) > 64 || a != fit.Name(long, 64) {
		t.Errorf("got %q and %q", a, b)
	}
}

func TestIDsOfCallsAndResultsAgreeAndStayApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfDistinct(rapid.StringMatching(`[a.:/_]{0,3}|[a-z]{60,70}`), rapid.ID[string]).Draw(t, "ids")
		c := &llm.Chat{Turns: make([]llm.Turn, 2)}
		for _, id := range ids {
			c.Turns[0].Parts = append(c.Turns[0].Parts, llm.Part{Kind: llm.PartCall, Call: &llm.ToolCall{ID: id}})
			c.Turns[1].Parts = append(c.Turns[1].Parts, llm.Part{Kind: llm.PartReply, Reply: &llm.ToolReply{CallID: id}})
		}
		to, seen := fit.IDs(c, 64), map[string]bool{}
		for _, id := range ids {
			w, changed := to[id]
			if !changed {
				w = id
			}
			if seen[w] || w == "" || len(w) > 64 || strings.ContainsAny(w, ".:/") {
				t.Errorf("%q became %q; %v", id, w, to)
			}
			seen[w] = true
		}
	})
}

func TestSchemasOfArgumentsAreObjects(t *testing.T) {
	for schema, want := range map[string]string{
		``: `{"type":"object","properties":{}}`, `null`: `{"type":"object","properties":{}}`, `{}`: `{"type":"object","properties":{}}`,
		`{"type":"object"}`: `{"type":"object"}`, `{"properties":{"a":{}}}`: `{"type":"object","properties":{"a":{}}}`,
		`{"anyOf":[{}]}`: `{"type":"object","anyOf":[{}]}`,
	} {
		if got := string(fit.ObjectSchema([]byte(schema))); got != want {
			t.Errorf("%s: got %s, want %s", schema, got, want)
		}
	}
}

func TestBoundsOfASchemaBecomeWords(t *testing.T) {
	const schema = `{"type":"object","properties":{"n":{"type":"integer","minimum":1,"description":"how many"},"l":{"type":"array","minItems":1,"items":{"type":"object","properties":{}}}},"anyOf":[{"type":"string","maxLength":3}],"additionalProperties":true}`
	const want = `{"type":"object","properties":{"n":{"type":"integer","description":"how many\n\n{minimum: 1}"},"l":{"type":"array","minItems":1,"items":{"type":"object","properties":{},"additionalProperties":false}}},"anyOf":[{"type":"string","description":"{maxLength: 3}"}],"additionalProperties":false,"description":"the answer"}`
	if got := string(fit.ClosedSchema([]byte(schema), "the answer")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMediaAreWhatTheirFirstBytesSay(t *testing.T) {
	for data, want := range map[string]string{
		"iVBORw0KGgoAAAA=": "image/png", "/9j/4AAQ": "image/jpeg", "R0lGODlhAQAB": "image/gif", "JVBERi0xLjQ=": "application/pdf",
		"UklGRgAAAABXRUJQVlA4": "image/webp", "UklGRgAAAABXQVZFZm10": "", "aGVsbG8=": "", "": "",
	} {
		if got := fit.Sniff(data); got != want {
			t.Errorf("%s: got %q, want %q", data, got, want)
		}
		if fit.Pictured(want) != strings.HasPrefix(want, "image/") {
			t.Errorf("pictured: %q", want)
		}
	}
	for data, want := range map[string]bool{"": false, "=": false, "YQ==": true, "YWI=": true, "YWJj": true, "YWJ": false, "Y===": false, "Y-==": false} {
		if got := fit.Base64(data); got != want {
			t.Errorf("%q: got %t", data, got)
		}
	}
	if s, ok := fit.Text("aMOp"); s != "hé" || !ok {
		t.Errorf("got %q, %t", s, ok)
	}
	if _, ok := fit.Text("/9j/"); ok {
		t.Error("an image is read as text")
	}
}

func TestSecretsAndHostsAreTakenOut(t *testing.T) {
	for in, want := range map[string]string{
		"Incorrect API key provided: sk-proj-abc_DEF-123456.":             "Incorrect API key provided: [redacted].",
		"Authorization: Bearer abcdef123456 is wrong":                     "Authorization: Bearer [redacted] is wrong",
		"key AIzaSyA1234567890abcdefghijk":                                "key [redacted]",
		"token 0123456789abcdef0123456789abcdef!":                         "token [redacted]!",
		"model gpt-4o-mini-2024-07-18 does not exist":                     "model gpt-4o-mini-2024-07-18 does not exist",
		"maximum context length is 128000 tokens":                         "maximum context length is 128000 tokens",
		"(ref: 96164522-08b2-4cbf-886e-e5a38961a688)":                     "(ref: 96164522-08b2-4cbf-886e-e5a38961a688)",
		"dial tcp 10.1.2.3:443 failed":                                    "dial tcp [host]:443 failed",
		"http://llm.prod.svc.cluster.local:80/v1 refused":                 "http://[host]:80/v1 refused",
		"see https://platform.openai.com/account/api-keys":                "see https://platform.openai.com/account/api-keys",
		"invalid_request_error in messages[3].tool_calls: ünïcode bleibt": "invalid_request_error in messages[3].tool_calls: ünïcode bleibt",
	} {
		if got := fit.Scrub(in); got != want {
			t.Errorf("%q\ngot  %q\nwant %q", in, got, want)
		}
	}
}
