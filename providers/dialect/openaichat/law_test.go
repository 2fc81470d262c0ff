package openaichat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// drawBody draws a request that the dialect allows, with members in any order.
func drawBody(t *rapid.T) string {
	q := func(label string) string {
		return string(jsonx.AppendQuote(nil, rapid.StringN(0, 8, 30).Draw(t, label)))
	}
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	mark := func() string {
		return pick("mark", "", "", `,"cache_control":{"type":"ephemeral"}`, `,"cache_control":{"type":"ephemeral","ttl":"1h"}`)
	}
	extra := func() string { return pick("extra", "", "", `,"x_own": {"a" : 1.0e3}`, `,"y":null`) }
	part := func() string {
		return pick("part",
			`{"type":"text","text":`+q("text")+mark()+extra()+`}`,
			`{"type":"image_url","image_url":{"url":"https://a.example/x","detail":"low"}`+mark()+`}`,
			`{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","z":1}}`,
			`{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}`,
			`{"type":"file","file":{"file_id":"f-1"}}`,
			`{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}`,
			`{"type":"video_url","video_url":{"url":"x"}}`)
	}
	content := func() string {
		if rapid.Bool().Draw(t, "plain") {
			return q("content")
		}
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "parts") {
			parts = append(parts, part())
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var messages []string
	for i := range rapid.IntRange(1, 4).Draw(t, "messages") {
		switch pick("kind", "system", "user", "assistant", "called", "function") {
		case "system":
			messages = append(messages, `{"role":"`+pick("role", "system", "developer")+`","content":`+q("system")+mark()+extra()+`}`)
		case "user":
			messages = append(messages, `{"role":"user","name":`+q("name")+`,"content":`+content()+mark()+extra()+`}`)
		case "assistant":
			messages = append(messages, `{"content":`+pick("said", "null", `""`, q("said"), `[{"type":"text","text":"a"},{"type":"refusal","refusal":"b"},{"type":"text","text":"c"}]`)+
				`,"role":"assistant"`+pick("more", "", `,"refusal":"no"`, `,"reasoning_content":"hm"`, `,"reasoning":"hm"`, `,"audio":{"id":"a"}`,
				`,"thinking_blocks":[{"type":"thinking","thinking":"t"},{"type":"thinking","thinking":"u","signature":"s"},{"type":"redacted_thinking","data":"d"}]`)+mark()+extra()+`}`)
		case "called":
			id := fmt.Sprintf("call_%d", i)
			messages = append(messages, `{"role":"assistant","content":`+pick("said", "null", q("said"))+`,"tool_calls":[{"id":"`+id+`","type":"function","function":{"name":"f","arguments":`+
				pick("args", `""`, `"{}"`, `"{broken"`)+`}`+mark()+extra()+`},{"id":"c","type":"custom","custom":{"name":"c","input":`+q("input")+`}}]}`,
				`{"role":"tool","tool_call_id":"`+id+`","content":`+content()+mark()+`}`)
		case "function":
			messages = append(messages, `{"role":"assistant","content":null,"function_call":{"name":"g","arguments":"{}"}}`,
				`{"role":"function","name":"g","content":`+pick("result", "null", q("result"))+`}`)
		}
	}
	members := []string{`"model":"claude-x"`, `"messages":[` + strings.Join(messages, ",") + `]`}
	for _, m := range []string{
		`"temperature":0.5`, `"top_p":1`, `"top_k":3`, `"seed":-7`, `"n":2`, `"stop":"x"`, `"max_tokens":5`, `"max_completion_tokens":6`,
		`"logprobs":true`, `"top_logprobs":3`, `"logit_bias":{ "5" : -1 }`, `"presence_penalty":-1.5`, `"frequency_penalty":2`,
		`"user":"u"`, `"safety_identifier":"s"`, `"metadata":{"a":"b"}`, `"store":true`, `"service_tier":"flex"`, `"prompt_cache_key":"k"`,
		`"prompt_cache_retention":"24h"`, `"verbosity":"low"`, `"reasoning_effort":"none"`, `"parallel_tool_calls":false`,
		`"response_format":{"type":"json_object"}`, `"modalities":["text"]`, `"unknown": [1 , {"a":null}]`, `"unknown_null":null`,
		`"tool_choice":` + pick("choice", `"auto"`, `"none"`, `"required"`, `{"type":"function","function":{"name":"f"}}`, `{"type":"custom","custom":{"name":"c"}}`),
		pick("tools", `"functions":[{"name":"g","parameters":{}}],"function_call":{"name":"g"}`,
			`"tools":[{"type":"function","function":{"name":"f","x":1,"strict":true},"cache_control":{"type":"ephemeral"},"z":2},{"type":"custom","custom":{"name":"c"}},{"type":"web"}]`),
		pick("stream", `"stream":false`, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, `"stream":true,"stream_options":{"include_obfuscation":false}`),
	} {
		if rapid.Bool().Draw(t, "member") {
			members = append(members, m)
		}
	}
	members = rapid.Permutation(members).Draw(t, "order")
	return "{" + strings.Join(members, ",") + "}"
}

func TestReadingAndWritingIsALaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawBody(t)
		req, err := New().ReadRequest(inbound([]byte(body)))
		if err != nil {
			if strings.Contains(body, `"function_call":{"name":"g"}`) && strings.Contains(body, `"tool_choice"`) {
				t.Skip("both ways of choosing")
			}
			t.Fatalf("%v\n%s", err, body)
		}
		checkLaw(t, New(), req)
	})
}

// Of what another dialect's request holds, everything is written or lost, and said to be.
func TestNothingOfAForeignRequestVanishes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawBody(t)
		req, err := New().ReadRequest(inbound([]byte(body)))
		if err != nil {
			t.Skip("not a request")
		}
		req.Extra.Dialect = string(dialect.AnthropicMessages)
		out, losses, err := New().WriteRequest(nil, req, dialect.Target{Model: "m"})
		if err != nil {
			return // refused by name
		}
		if err := jsonx.Valid(out); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		lost := func(path string) bool {
			return slices.ContainsFunc(losses, func(l llm.Loss) bool { return strings.HasSuffix(l.Path, path) })
		}
		for _, m := range req.Extra.Members {
			if !lost(m.Name) {
				t.Fatalf("%s vanished\n%s\n%v", m.Name, out, losses)
			}
		}
		for _, m := range []string{"cache_control", "top_k", "x_own"} {
			if strings.Contains(body, `"`+m+`"`) && !lost(m) && !strings.Contains(string(out), m) {
				t.Fatalf("%s vanished\n%s\n%s\n%v", m, body, out, losses)
			}
		}
	})
}
