package openaichat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

const hello = `"messages":[{"role":"user","content":"Hi"}]`

func TestPeekReadsWhatSteers(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       dialect.Head
	}{
		{"the least", `{"model":"m",` + hello + `}`, dialect.Head{Model: "m", N: 1}},
		{"everything", `{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"n":3,` + hello + `}`,
			dialect.Head{Model: "m", Stream: true, Usage: true, MaxTokens: 5, N: 3}},
		{"max_completion_tokens wins", `{"max_completion_tokens":7,"model":"m","max_tokens":5,` + hello + `}`, dialect.Head{Model: "m", MaxTokens: 7, N: 1}},
		{"it wins in either order", `{"max_tokens":5,"model":"m","max_completion_tokens":7,` + hello + `}`, dialect.Head{Model: "m", MaxTokens: 7, N: 1}},
		{"nulls say nothing", `{"model":"m","stream":null,"max_tokens":null,"n":null,"stream_options":null,"tools":null,"temperature":null,` + hello + `}`,
			dialect.Head{Model: "m", N: 1}},
		{"an answered call", `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a\u0062"}]},{"tool_call_id":"ab","role":"tool","content":""}]}`,
			dialect.Head{Model: "m", N: 1}},
		{"escaped names", `{"m\u006fdel":"m",` + hello + `}`, dialect.Head{Model: "m", N: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := New().Peek(inbound([]byte(tc.body)))
			if err != nil {
				t.Fatal(err)
			}
			got := *h
			if got.Doc == nil || string(got.Doc.Body) != tc.body {
				t.Error("the document is not kept")
			}
			got.Doc = nil
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestPeekOfTheModelListNamesTheModel(t *testing.T) {
	for path, want := range map[string]string{"/v1/models": "", "/v1/models/gpt-4o": "gpt-4o"} {
		h, err := New().Peek(dialect.Inbound{Op: llm.OpModels, Path: path})
		if err != nil || h.Model != want {
			t.Errorf("%s: %+v, %v", path, h, err)
		}
	}
}

// wrong is bad input: what it is, the member at fault, its reason, and a piece of the message.
type wrong struct{ body, param, reason, message string }

func (w wrong) check(t *testing.T, err error) {
	t.Helper()
	var e *llm.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: accepted, or %v", w.body, err)
	}
	if e.Code != llm.CodeInvalid || e.Param != w.param || e.Reason != w.reason || !strings.Contains(e.Message, w.message) {
		t.Errorf("%s\ngot  %s %q %q %q\nwant %q %q %q", w.body, e.Code, e.Param, e.Reason, e.Message, w.param, w.reason, w.message)
	}
}

func TestPeekRefusesBadInputAndNamesIt(t *testing.T) {
	with := func(s string) string { return `{"model":"m",` + hello + `,` + s + `}` }
	messages := func(s string) string { return `{"model":"m","messages":` + s + `}` }
	for _, w := range []wrong{
		{``, "", "", "empty document at byte 0"},
		{`null`, "", "", "not a JSON object at byte 0"},
		{`[]`, "", "", "not a JSON object"},
		{"\xef\xbb\xbf{}", "", "", "byte order mark"},
		{`{"model":"m"`, "", "", "at byte 12"},
		{`{"model":"m"} x`, "", "", "data after the document at byte 14"},
		{`{"model":"a","model":"b",` + hello + `}`, "model", "", `duplicate member "model" at byte 13`},
		{`{` + hello + `}`, "model", reasonMissing, "model"},
		{`{"model":"",` + hello + `}`, "model", reasonMissing, "model"},
		{`{"model":null,` + hello + `}`, "model", reasonType, "got null"},
		{`{"model":4,` + hello + `}`, "model", reasonType, "got a number"},
		{`{"model":"m"}`, "messages", reasonMissing, "messages"},
		{messages(`null`), "messages", reasonType, "got null"},
		{messages(`[]`), "messages", "empty_array", "empty array"},
		{messages(`{}`), "messages", reasonType, "an object"},
		{messages(`["x"]`), "messages[0]", reasonType, "a string"},
		{messages(`[{"content":"x"}]`), "messages[0].role", reasonMissing, "role"},
		{messages(`[{"role":"robot"}]`), "messages[0].role", reasonValue, "one of"},
		{messages(`[{"role":7}]`), "messages[0].role", reasonType, "a number"},
		{messages(`[{"role":"tool","content":""}]`), "messages[0].tool_call_id", reasonMissing, "tool_call_id"},
		{messages(`[{"role":"tool","tool_call_id":"x"}]`), "messages[0].tool_call_id", reasonValue, "no tool call"},
		{messages(`[{"role":"tool","tool_call_id":"x"},{"role":"assistant","tool_calls":[{"id":"x"}]}]`), "messages[0].tool_call_id", reasonValue, ""},
		{messages(`[` + strings.Repeat(`{"role":"user"},`, 4096) + `{"role":"user"}]`), "messages", "array_above_max_length", "4096"},
		{with(`"Model":"x"`), "Model", "unknown_parameter", "'model'"},
		{with(`"MAX_TOKENS":1`), "MAX_TOKENS", "unknown_parameter", "'max_tokens'"},
		{with(`"to` + "\u212a" + `en":1,"max_to` + "\u212a" + `ens":1`), "max_to\u212aens", "unknown_parameter", "'max_tokens'"},
		{with(`"stream":"true"`), "stream", reasonType, "a string"},
		{with(`"stream":1`), "stream", reasonType, "a number"},
		{with(`"stream_options":{}`), "stream_options", reasonValue, "'stream' is enabled"},
		{with(`"stream":true,"stream_options":[]`), "stream_options", reasonType, "an array"},
		{with(`"stream":true,"stream_options":{"include_usage":1}`), "stream_options.include_usage", reasonType, ""},
		{with(`"stream":true,"stream_options":{"Include_Usage":true}`), "stream_options.Include_Usage", "unknown_parameter", "include_usage"},
		{with(`"max_tokens":"10"`), "max_tokens", reasonType, "a string"},
		{with(`"max_tokens":1e3`), "max_tokens", reasonType, "fraction or exponent"},
		{with(`"max_tokens":1.0`), "max_tokens", reasonType, "fraction or exponent"},
		{with(`"max_tokens":-0`), "max_tokens", reasonType, ""},
		{with(`"max_tokens":9007199254740992`), "max_tokens", reasonType, "2^53-1"},
		{with(`"max_tokens":0`), "max_tokens", "integer_below_min_value", ">= 1"},
		{with(`"max_completion_tokens":-4`), "max_completion_tokens", "integer_below_min_value", "-4"},
		{with(`"n":0`), "n", "integer_below_min_value", ""},
		{with(`"n":129`), "n", "integer_above_max_value", "128"},
		{with(`"temperature":"1"`), "temperature", reasonType, "a number"},
		{with(`"temperature":2.5`), "temperature", "decimal_above_max_value", "2.5"},
		{with(`"top_p":-0.1`), "top_p", "decimal_below_min_value", ""},
		{with(`"presence_penalty":3`), "presence_penalty", "decimal_above_max_value", ""},
		{with(`"frequency_penalty":-3`), "frequency_penalty", "decimal_below_min_value", ""},
		{with(`"logprobs":1`), "logprobs", reasonType, ""},
		{with(`"top_logprobs":21`), "top_logprobs", "integer_above_max_value", ""},
		{with(`"tools":{}`), "tools", reasonType, ""},
		{with(`"tools":[1]`), "tools[0]", reasonType, ""},
		{with(`"tools":[` + strings.Repeat(`{},`, 512) + `{}]`), "tools", "array_above_max_length", "512"},
	} {
		_, err := New().Peek(inbound([]byte(w.body)))
		w.check(t, err)
	}
}

func TestReadRequestRefusesBadInputAndNamesIt(t *testing.T) {
	with := func(s string) string { return `{"model":"m",` + hello + `,` + s + `}` }
	user := func(s string) string { return `{"model":"m","messages":[{"role":"user","content":` + s + `}]}` }
	said := func(s string) string { return `{"model":"m","messages":[{"role":"assistant",` + s + `}]}` }
	const at = "messages[0].content[0]"
	for _, w := range []wrong{
		{user(`null`), "messages[0].content", reasonMissing, ""},
		{user(`5`), "messages[0].content", reasonType, "a number"},
		{user(`["x"]`), at, reasonType, ""},
		{user(`[{}]`), at + ".type", reasonType, ""},
		{user(`[{"type":"text","text":5}]`), at + ".text", reasonType, ""},
		{user(`[{"type":"image_url","image_url":{"url":7}}]`), at + ".image_url.url", reasonType, ""},
		{user(`[{"type":"image_url","image_url":{}}]`), at + ".image_url.url", reasonMissing, ""},
		{user(`[{"type":"image_url"}]`), at + ".image_url", reasonType, ""},
		{user(`[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]`), at + ".image_url.url", reasonValue, "https or data"},
		{user(`[{"type":"image_url","image_url":{"url":"gopher://x/"}}]`), at + ".image_url.url", reasonValue, ""},
		{user(`[{"type":"image_url","image_url":{"url":"https:///nohost"}}]`), at + ".image_url.url", reasonValue, ""},
		{user(`[{"type":"image_url","image_url":{"url":"data:image/png,abc"}}]`), at + ".image_url.url", reasonValue, "base64"},
		{user(`[{"type":"image_url","image_url":{"url":"data:image/png;base64,a*c="}}]`), at + ".image_url.url", reasonValue, "not base64"},
		{user(`[{"type":"input_audio","input_audio":{"format":"wav"}}]`), at + ".input_audio.data", reasonMissing, ""},
		{user(`[{"type":"input_audio","input_audio":{"data":"!","format":"wav"}}]`), at + ".input_audio.data", reasonValue, ""},
		{user(`[{"type":"file","file":{"filename":"x.pdf"}}]`), at + ".file", reasonMissing, ""},
		{`{"model":"m","messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://a.example/x.png"}}]}]}`, at + ".type", reasonValue, ""},
		{said(`"tool_calls":{}`), "messages[0].tool_calls", reasonType, ""},
		{said(`"tool_calls":[{"id":5}]`), "messages[0].tool_calls[0].id", reasonType, ""},
		{said(`"tool_calls":[{"id":"x"}]`), "messages[0].tool_calls[0].function", reasonMissing, ""},
		{said(`"tool_calls":[{"id":"x","function":{"name":"f","arguments":[1]}}]`), "messages[0].tool_calls[0].function.arguments", reasonType, ""},
		{said(`"refusal":5`), "messages[0].refusal", reasonType, ""},
		{said(`"thinking_blocks":[{"type":"x"}]`), "messages[0].thinking_blocks[0].type", reasonValue, ""},
		{with(`"tools":[{"type":"function"}]`), "tools[0].function", reasonMissing, ""},
		{with(`"tools":[{"type":"function","function":{}}]`), "tools[0].function.name", reasonMissing, ""},
		{with(`"tools":[{"type":"function","function":{"name":"f","parameters":"x"}}]`), "tools[0].function.parameters", reasonType, ""},
		{with(`"tools":[{"type":"custom"}]`), "tools[0].custom.name", reasonMissing, ""},
		{with(`"tools":[{"function":{"name":"f"}}],"functions":[{"name":"f"}]`), "functions", reasonValue, "deprecated"},
		{with(`"tool_choice":"maybe"`), "tool_choice", reasonValue, ""},
		{with(`"tool_choice":5`), "tool_choice", reasonType, ""},
		{with(`"tool_choice":{"type":"function"}`), "tool_choice.function.name", reasonMissing, ""},
		{with(`"tool_choice":{"type":"x"}`), "tool_choice.type", reasonValue, ""},
		{with(`"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"x"}}`), "tool_choice.allowed_tools.mode", reasonValue, ""},
		{with(`"response_format":{"type":"yaml"}`), "response_format.type", reasonValue, ""},
		{with(`"response_format":{"type":"json_schema"}`), "response_format.json_schema", reasonMissing, ""},
		{with(`"stop":5`), "stop", reasonType, ""},
		{with(`"stop":[5]`), "stop[0]", reasonType, ""},
		{with(`"seed":1.5`), "seed", reasonType, ""},
		{with(`"user":5`), "user", reasonType, ""},
		{with(`"metadata":"x"`), "metadata", reasonType, ""},
		{with(`"reasoning_effort":5`), "reasoning_effort", reasonType, ""},
		{with(`"store":"yes"`), "store", reasonType, ""},
		{user(strings.Repeat(`[`, 70) + strings.Repeat(`]`, 70)), "messages", reasonValue, "64 levels"},
	} {
		_, err := New().ReadRequest(inbound([]byte(w.body)))
		w.check(t, err)
	}
}

func TestSpliceChangesOnlyWhatItMust(t *testing.T) {
	body := func(options string) string {
		return "{ \"x\" : 1.0e3,\r\n \"model\":\"m\" ,\"stream\":true" + options + `, "messages":[{"role":"user","content":"\u0048i"}] }`
	}
	for _, tc := range []struct{ name, in, model, want string }{
		{"nothing to do", body(`,"stream_options":{"include_usage": true}`), "m", body(`,"stream_options":{"include_usage": true}`)},
		{"no model given", body(`,"stream_options":{"include_usage":true}`), "", body(`,"stream_options":{"include_usage":true}`)},
		{"options without it", body(`,"stream_options":{"a":1 }`), "m", body(`,"stream_options":{"a":1,"include_usage":true }`)},
		{"empty options", body(`,"stream_options":{ }`), "m", body(`,"stream_options":{"include_usage":true }`)},
		{"options off", body(`,"stream_options":{"include_usage":false,"a":1}`), "m", body(`,"stream_options":{"include_usage":true,"a":1}`)},
		{"null within", body(`,"stream_options":{"include_usage":null}`), "m", body(`,"stream_options":{"include_usage":true}`)},
		{"options null", body(`,"stream_options":null`), "m", body(`,"stream_options":{"include_usage":true}`)},
		{"options absent", body(``), "m", strings.Replace(body(``), `"}] }`, `"}],"stream_options":{"include_usage":true} }`, 1)},
		{"both", body(`,"stream_options":null`), "a\"b", strings.Replace(body(`,"stream_options":{"include_usage":true}`), `"model":"m"`, `"model":"a\"b"`, 1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := New().Peek(inbound([]byte(tc.in)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := New().Splice([]byte("x"), h, dialect.Edits{Model: tc.model, AskUsage: true})
			if err != nil || string(got) != "x"+tc.want {
				t.Errorf("%v\ngot  %s\nwant %s", err, got[1:], tc.want)
			}
			if err := jsonx.Valid(got[1:]); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRecordedRequestsAreSplicedInPlace(t *testing.T) {
	c := New()
	for _, r := range records(t) {
		if len(r.Request) == 0 || string(r.Request) == "null" {
			continue
		}
		h, err := c.Peek(inbound(r.Request))
		if err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
		same, err := c.Splice(nil, h, dialect.Edits{Model: h.Model})
		if err != nil || string(same) != string(r.Request) {
			t.Errorf("%s: %v, changed though nothing was asked", r.ID, err)
		}
		got, err := c.Splice(nil, h, dialect.Edits{Model: "other"})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonx.Scan(got)
		if err != nil || len(doc.Members) != len(h.Doc.Members) {
			t.Fatalf("%s: %v", r.ID, err)
		}
		for i, m := range doc.Members {
			was := h.Doc.Members[i]
			want := string(h.Doc.Body[was.Start:was.End])
			if m.Name == "model" {
				want = `"other"`
			}
			if m.Name != was.Name || string(got[m.Start:m.End]) != want {
				t.Errorf("%s: member %s changed", r.ID, m.Name)
			}
		}
	}
}

func TestPeekIsCheap(t *testing.T) {
	c := New()
	var b strings.Builder
	b.WriteString(`{"model":"m","messages":[`)
	for i := range 50 {
		fmt.Fprintf(&b, `{"role":"assistant","content":null,"tool_calls":[{"id":"call_%d","type":"function","function":{"name":"f","arguments":"{}"}}]},`, i)
		fmt.Fprintf(&b, `{"role":"tool","tool_call_id":"call_%d","content":"x"},`, i)
	}
	b.WriteString(`{"role":"user","content":"Hi"}]}`)
	in := inbound([]byte(b.String()))
	if n := testing.AllocsPerRun(50, func() {
		if _, err := c.Peek(in); err != nil {
			t.Fatal(err)
		}
	}); n > 120 { // 101 messages, 50 calls: less than one per message and call
		t.Errorf("%v allocations", n)
	}
	small := inbound([]byte(`{"model":"m",` + hello + `,"stream":true}`))
	if n := testing.AllocsPerRun(50, func() { _, _ = c.Peek(small) }); n > 16 {
		t.Errorf("%v allocations for a small request", n)
	}
}
