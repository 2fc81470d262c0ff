package bedrockconverse

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

const (
	sonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	haiku3 = "anthropic.claude-3-haiku-20240307-v1:0"
	opus5  = "us.anthropic.claude-opus-5"
	nova   = "amazon.nova-pro-v1:0"
	nova2  = "us.amazon.nova-2-lite-v1:0"
	gptOSS = "openai.gpt-oss-120b-1:0"
	qwen   = "qwen.qwen3-32b-v1:0"
	llama  = "us.meta.llama4-maverick-17b-instruct-v1:0"
)

// fromChat is a request of a client of openai-chat: members beside the messages.
func fromChat(t testing.TB, more string) *llm.Request {
	t.Helper()
	body := `{"model":"m","messages":[{"role":"user","content":"hi"}]`
	if more != "" {
		body += "," + more
	}
	req, err := openaichat.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Path: "/v1/chat/completions", Body: []byte(body + "}")})
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// at returns a member of the written request by its path, and the losses' paths.
func written(t testing.TB, req *llm.Request, model, path string) (member, lost string, err error) {
	t.Helper()
	out, losses, err := New().WriteRequest(nil, req, dialect.Target{Model: model, Facts: catalog.FactsOf("bedrock", model)})
	if err != nil {
		return "", "", err
	}
	if jsonx.Valid(out) != nil {
		t.Fatalf("not JSON: %s", out)
	}
	var all []string
	for _, l := range losses {
		all = append(all, l.Path)
	}
	raw := out
	if path != "" {
		raw = jsonx.At(out, strings.Split(path, ".")...)
	}
	return string(raw), strings.Join(all, " "), nil
}

const someTools = `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","description":""}}]`

func TestWhatAModelIsAsked(t *testing.T) {
	const inference, fields, choice = "inferenceConfig", "additionalModelRequestFields", "toolConfig.toolChoice"
	for _, c := range []struct{ name, model, more, path, want, lost string }{
		{"limits and sampling", nova, `"max_tokens":5,"temperature":0.5,"top_p":0.5,"stop":["a"]`, inference, `{"maxTokens":5,"temperature":0.5,"topP":0.5,"stopSequences":["a"]}`, ""},
		{"a temperature above the range", nova, `"temperature":1.5`, inference, `{"temperature":1}`, "temperature"},
		{"no sampling for the newest", opus5, `"temperature":0.5,"top_p":0.5`, inference, ``, "temperature top_p"},
		{"one of two", sonnet, `"temperature":0.5,"top_p":0.5`, inference, `{"temperature":0.5}`, "top_p"},
		{"what has no equal", nova, `"seed":1,"presence_penalty":1,"frequency_penalty":1,"logit_bias":{"1":1},"logprobs":true,"top_logprobs":1`, "", `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`, "seed presence_penalty frequency_penalty logit_bias logprobs top_logprobs"},
		{"an effort for a budget", sonnet, `"reasoning_effort":"low","max_tokens":100`, fields, `{"thinking":{"type":"enabled","budget_tokens":2048}}`, "max_completion_tokens"},
		{"an effort for an adaptive model", opus5, `"reasoning_effort":"low"`, fields, `{"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}}`, ""},
		{"an effort for Nova 2", nova2, `"reasoning_effort":"minimal","temperature":0.1`, fields, `{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}}`, "reasoning_effort"},
		{"none for Nova 2", nova2, `"reasoning_effort":"none"`, fields, `{"reasoningConfig":{"type":"disabled"}}`, ""},
		{"an effort for Nova 1", nova, `"reasoning_effort":"low"`, fields, ``, "reasoning_effort"},
		{"an effort for gpt-oss", gptOSS, `"reasoning_effort":"xhigh"`, fields, `{"reasoning_effort":"high"}`, "reasoning_effort"},
		{"none for gpt-oss", gptOSS, `"reasoning_effort":"none"`, fields, `{"reasoning_effort":"low"}`, "reasoning_effort"},
		{"an effort for Qwen", qwen, `"reasoning_effort":"high"`, fields, `{"reasoning_config":"high"}`, ""},
		{"none for Qwen", qwen, `"reasoning_effort":"none"`, fields, ``, ""},
		{"auto is not said", nova, someTools + `,"tool_choice":"auto"`, choice, ``, ""},
		{"some tool", nova, someTools + `,"tool_choice":"required"`, choice, `{"any":{}}`, ""},
		{"one tool", nova, someTools + `,"tool_choice":{"type":"function","function":{"name":"g"}}`, choice, `{"tool":{"name":"g"}}`, ""},
		{"no tool", nova, someTools + `,"tool_choice":"none"`, "toolConfig", ``, "tools[0] tools[1]"},
		{"an empty description is left out", nova, someTools, "toolConfig", `{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{}}}}},{"toolSpec":{"name":"g","inputSchema":{"json":{"type":"object","properties":{}}}}}]}`, ""},
		{"one call at a time for Claude", sonnet, someTools + `,"parallel_tool_calls":false`, fields, `{"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}`, ""},
		{"one call at a time, forced", sonnet, someTools + `,"parallel_tool_calls":false,"tool_choice":"required"`, fields, `{"tool_choice":{"type":"any","disable_parallel_tool_use":true}}`, ""},
		{"one call at a time elsewhere", nova, someTools + `,"parallel_tool_calls":false`, fields, ``, "parallel_tool_calls"},
		{"a tier", nova, `"service_tier":"flex"`, "serviceTier", `{"type":"flex"}`, ""},
		{"a tier of another vendor", nova, `"service_tier":"scale"`, "serviceTier", ``, "service_tier"},
		{"metadata and a user", nova, `"metadata":{"team":"core","odd":"a*b"},"user":"u-1"`, "requestMetadata", `{"team":"core","user_id":"u-1"}`, "metadata.odd"},
		{"a JSON object", nova, `"response_format":{"type":"json_object"}`, "system", `[{"text":"Answer with one JSON object and nothing else."}]`, ""},
		{"a schema for Claude", sonnet, `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"n":{"type":"integer","minimum":1}}}}}`, "outputConfig.textFormat.structure.jsonSchema.schema", `"{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"description\":\"{minimum: 1}\"}},\"additionalProperties\":false}"`, ""},
		{"a schema for another that takes it", qwen, `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}`, "outputConfig", `{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}","name":"x"}}}}`, ""},
		{"a schema beside tools", haiku3, someTools + `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}`, choice, `{"any":{}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, lost, err := written(t, fromChat(t, c.more), c.model, c.path)
			if err != nil || got != c.want || lost != c.lost {
				t.Errorf("got  %s\nwant %s\nlost %q, want %q; %v", got, c.want, lost, c.lost, err)
			}
		})
	}
}

func TestWhatCannotBeWrittenIsRefusedByName(t *testing.T) {
	image := func(url string) string {
		return `"messages":[{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"` + url + `"}}]}]`
	}
	for _, c := range []struct{ name, model, more, param string }{
		{"several answers", nova, `"n":2`, "n"},
		{"too many stop sequences", nova, `"stop":["a","b","c","d","e"]`, "stop"},
		{"a forced call of nothing", nova, `"tool_choice":"required"`, "tool_choice"},
		{"audio", nova, `"modalities":["text","audio"]`, "modalities"},
		{"a search", nova, `"web_search_options":{}`, "web_search_options"},
		{"a URL", sonnet, image("https://example.com/a.png"), "messages[0].content[1]"},
		{"a picture of a kind that no one reads", sonnet, image("data:image/bmp;base64,Qk0="), "messages[0].content[1]"},
		{"a blank message", nova, `"messages":[{"role":"user","content":" "}]`, "messages[0].content"},
		{"a result without its call", nova, `"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := `{"model":"m","messages":[{"role":"user","content":"hi"}],` + c.more + "}"
			if strings.HasPrefix(c.more, `"messages"`) {
				body = `{"model":"m",` + c.more + "}"
			}
			req, err := openaichat.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: []byte(body)})
			if err != nil && c.param != "" {
				t.Skipf("openai-chat itself refuses it: %v", err)
			}
			if c.param == "" {
				req.Chat().Turns[2].Parts = []llm.Part{{Kind: llm.PartReply, Reply: &llm.ToolReply{CallID: "x", Parts: []llm.Part{{Text: "y"}}}}}
				c.param = "messages[2]"
			}
			_, _, err = written(t, req, c.model, "")
			var e *llm.Error
			if !errors.As(err, &e) || e.Param != c.param || e.Message == "" {
				t.Errorf("got %v, want one of %s", err, c.param)
			}
		})
	}
}

func TestWrongRequestsAreRefusedByName(t *testing.T) {
	user := func(block string) string {
		return `{"messages":[{"role":"user","content":[` + block + `]}]}`
	}
	for _, c := range []struct{ name, body, param string }{
		{"no messages", `{}`, "messages"},
		{"messages that are no list", `{"messages":{}}`, "messages"},
		{"a message that is no object", `{"messages":[1]}`, "messages[0]"},
		{"no role", `{"messages":[{"content":[]}]}`, "messages[0].role"},
		{"an unknown role", `{"messages":[{"role":"tool","content":[]}]}`, "messages[0].role"},
		{"content that is a text", `{"messages":[{"role":"user","content":"hi"}]}`, "messages[0].content"},
		{"a name in other letters", `{"Messages":[],"messages":[]}`, "Messages"},
		{"a name twice", `{"messages":[],"messages":[]}`, "messages"},
		{"a limit of 0", `{"messages":[],"inferenceConfig":{"maxTokens":0}}`, "inferenceConfig.maxTokens"},
		{"a temperature above 1", `{"messages":[],"inferenceConfig":{"temperature":1.5}}`, "inferenceConfig.temperature"},
		{"a stop sequence that is no text", `{"messages":[],"inferenceConfig":{"stopSequences":[1]}}`, "inferenceConfig.stopSequences[0]"},
		{"no tools", `{"messages":[],"toolConfig":{}}`, "toolConfig.tools"},
		{"a tool without a name", `{"messages":[],"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":{}}}}]}}`, "toolConfig.tools[0].toolSpec.name"},
		{"a tool without a schema", `{"messages":[],"toolConfig":{"tools":[{"toolSpec":{"name":"f"}}]}}`, "toolConfig.tools[0].toolSpec.inputSchema.json"},
		{"an unknown choice", `{"messages":[],"toolConfig":{"tools":[],"toolChoice":{"none":{}}}}`, "toolConfig.toolChoice.none"},
		{"a block of nothing", user(`{}`), "messages[0].content[0]"},
		{"a block of two kinds", user(`{"text":"a","image":{}}`), "messages[0].content[0]"},
		{"a text that is none", user(`{"text":1}`), "messages[0].content[0].text"},
		{"bytes that are no base64", user(`{"image":{"format":"png","source":{"bytes":"?"}}}`), "messages[0].content[0].image.source.bytes"},
		{"a result without its id", user(`{"toolResult":{"content":[]}}`), "messages[0].content[0].toolResult.toolUseId"},
		{"a schema that is no text", `{"messages":[],"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":{}}}}}}`, "outputConfig.textFormat.structure.jsonSchema.schema"},
		{"a schema that is no JSON", `{"messages":[],"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{"}}}}}`, "outputConfig.textFormat.structure.jsonSchema.schema"},
		{"a budget that is none", `{"messages":[],"additionalModelRequestFields":{"thinking":{"type":"enabled"}}}`, "additionalModelRequestFields.thinking.budget_tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Path: "/model/m/converse", Model: "m", Body: []byte(c.body)})
			var e *llm.Error
			if !errors.As(err, &e) || e.Param != c.param || e.Code != llm.CodeInvalid || e.Message == "" {
				t.Errorf("got %v, want one of %s", err, c.param)
			}
		})
	}
	if _, err := New().Peek(dialect.Inbound{Op: llm.OpChat, Path: "/model//converse", Body: []byte(`{"messages":[]}`)}); err == nil {
		t.Error("a path without a model is taken")
	}
}

func TestCountsOfTokens(t *testing.T) {
	c := New()
	in := func(body string) dialect.Inbound {
		return dialect.Inbound{Op: llm.OpCount, Path: "/model/m/count-tokens", Model: "m", Body: []byte(body)}
	}
	for body, param := range map[string]string{
		`{}`: "input", `{"input":{}}`: "input", `{"input":{"converse":{},"invokeModel":{}}}`: "input", `{"input":{"invokeModel":{"body":"?"}}}`: "input.invokeModel.body",
		`{"input":{"converse":{"messages":[1]}}}`: "input.converse.messages[0]",
	} {
		var e *llm.Error
		if _, err := c.ReadRequest(in(body)); !errors.As(err, &e) || e.Param != param {
			t.Errorf("%s: got %v, want one of %s", body, err, param)
		}
	}
	req, err := c.ReadRequest(in(`{"input":{"invokeModel":{"body":"e30="}}}`))
	if err != nil || req.Bound == "" {
		t.Errorf("a body in the model's own form is for nobody else: %+v, %v", req, err)
	}
	req = fromChat(t, someTools+`,"temperature":0.5,"max_tokens":9`)
	req.Op = llm.OpCount
	got, lost, err := written(t, req, nova, "input.converse")
	if err != nil || lost != "" || jsonx.Get([]byte(got), "inferenceConfig") != nil || jsonx.Get([]byte(got), "toolConfig") == nil {
		t.Errorf("got %s, lost %s, %v", got, lost, err)
	}
	out, err := codectest.Write(c.NewWriter(req, false), []llm.Event{{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(7)}}})
	if err != nil || string(out) != `{"inputTokens":7}` {
		t.Errorf("got %s, %v", out, err)
	}
	if _, err := codectest.Write(c.NewWriter(req, false), nil); err == nil {
		t.Error("a count that nobody knows is answered")
	}
}

// TestReasoningComesBackThroughOtherClients sends reasoning through clients of other dialects and back.
func TestReasoningComesBackThroughOtherClients(t *testing.T) {
	evs := codectest.Events(t, New().NewReader(nil, true), packed(`messageStart {"role":"assistant"}
contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}
contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"sig"}}}
contentBlockStop {"contentBlockIndex":0}
contentBlockDelta {"contentBlockIndex":1,"delta":{"reasoningContent":{"redactedContent":"c2VjcmV0"}}}
contentBlockStop {"contentBlockIndex":1}
contentBlockDelta {"contentBlockIndex":2,"delta":{"text":"ho"}}
contentBlockStop {"contentBlockIndex":2}
messageStop {"stopReason":"end_turn"}
`), 0)
	const want = `{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},{"reasoningContent":{"redactedContent":"c2VjcmV0"}},{"text":"ho"}]}`
	for _, c := range []struct {
		server dialect.Server
		answer []string // path of the message in an answer
		form   string
	}{
		{openaichat.New(), []string{"choices"}, `{"model":"m","messages":[{"role":"user","content":"a"},%s,{"role":"user","content":"b"}]}`},
		{anthropicmessages.New(), nil, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},%s,{"role":"user","content":"b"}]}`},
		{New(), []string{"output", "message"}, `{"messages":[{"role":"user","content":[{"text":"a"}]},%s,{"role":"user","content":[{"text":"b"}]}]}`},
	} {
		out, err := codectest.Write(c.server.NewWriter(chatRequest(false), false), evs)
		if err != nil {
			t.Fatal(err)
		}
		message := jsonx.At(out, c.answer...)
		for _, m := range jsonx.Elements(message) {
			message = jsonx.Get(m, "message")
		}
		if c.server.Name() == dialect.AnthropicMessages {
			message = []byte(`{"role":"assistant","content":` + string(jsonx.Get(out, "content")) + `}`)
		}
		req, err := c.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "m", Path: "/model/m/converse", Body: fmt.Appendf(nil, c.form, message)})
		if err != nil {
			t.Fatalf("%v: %s", err, message)
		}
		body, losses, err := New().WriteRequest(nil, req, target(sonnet))
		if err != nil || len(losses) > 0 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s\nlosses %v, %v", c.server.Name(), body, losses, err)
		}
	}
}

// TestAnothersReasoningStaysItsOwn sends Anthropic's reasoning through a client of Converse: it never reaches Bedrock,
// and comes back to Anthropic.
func TestAnothersReasoningStaysItsOwn(t *testing.T) {
	evs := []llm.Event{
		{Kind: llm.EvStarted}, {Kind: llm.EvBlockStarted, Part: llm.PartThought},
		{Kind: llm.EvDelta, Part: llm.PartThought, Text: []byte("hm")}, {Kind: llm.EvDelta, Part: llm.PartThought, Seal: dialect.WrapSeal("anthropic-messages", "anthropic-sig")}, {Kind: llm.EvBlockEnded, Part: llm.PartThought},
		{Kind: llm.EvBlockStarted, Index: 1, Part: llm.PartThought, Seal: dialect.WrapSeal("anthropic-messages", "anthropic-data")}, {Kind: llm.EvBlockEnded, Index: 1, Part: llm.PartThought},
		{Kind: llm.EvBlockStarted, Index: 2}, {Kind: llm.EvDelta, Index: 2, Text: []byte("ho")}, {Kind: llm.EvBlockEnded, Index: 2}, {Kind: llm.EvFinished},
	}
	for _, stream := range []bool{true, false} {
		out, err := codectest.Write(New().NewWriter(chatRequest(stream), stream), evs)
		if err != nil {
			t.Fatal(err)
		}
		again, err := codectest.Write(New().NewWriter(chatRequest(false), false), codectest.Events(t, New().NewReader(nil, stream), out, 0))
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Appendf(nil, `{"messages":[{"role":"user","content":[{"text":"a"}]},%s,{"role":"user","content":[{"text":"b"}]}]}`, jsonx.At(again, "output", "message"))
		req, err := New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "m", Path: "/model/m/converse", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		own, losses, err := New().WriteRequest(nil, req, target(sonnet))
		if err != nil || len(losses) != 2 || strings.Contains(string(own), "anthropic-") {
			t.Errorf("stream %t: to Bedrock goes %s, losses %v, %v", stream, own, losses, err)
		}
		theirs, _, err := anthropicmessages.New().WriteRequest(nil, req, dialect.Target{Model: "claude-sonnet-4-5", Facts: catalog.Anthropic("claude-sonnet-4-5")})
		if err != nil || !strings.Contains(string(theirs), `"signature":"anthropic-sig"`) || !strings.Contains(string(theirs), `"data":"anthropic-data"`) {
			t.Errorf("stream %t: to Anthropic goes %s, %v", stream, theirs, err)
		}
	}
}

func TestFamiliesAreFound(t *testing.T) {
	for _, c := range []struct {
		t    dialect.Target
		asks asking
		topK string
	}{
		{dialect.Target{Model: "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0"}, asksClaude, "top_k"},
		{dialect.Target{Model: "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", Like: "amazon.nova-2-lite-v1:0"}, asksNova, "inferenceConfig.topK"},
		{dialect.Target{Model: "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", Facts: catalog.Anthropic("claude-opus-4-6")}, asksClaude, "top_k"},
		{dialect.Target{Model: "us.amazon.nova-premier-v1:0"}, asksNothing, "inferenceConfig.topK"},
		{dialect.Target{Model: "amazon.nova-3-pro-v1:0"}, asksNova, "inferenceConfig.topK"},
		{dialect.Target{Model: "arn:aws:bedrock:us-east-1:1:imported-model/abc"}, asksNothing, ""},
	} {
		if f := familyOf(c.t); f.asks != c.asks || f.topK != c.topK {
			t.Errorf("%+v: got %+v", c.t, f)
		}
	}
}

func TestCacheMarks(t *testing.T) {
	text := func(mark string) string {
		return `{"type":"text","text":"x","cache_control":` + mark + `}`
	}
	const day = `{"type":"ephemeral"}`
	body := `{"model":"m","max_tokens":9,"system":[` + text(`{"type":"ephemeral","ttl":"1h"}`) + `],"messages":[{"role":"user","content":[` +
		strings.Join(slices.Repeat([]string{text(day)}, 4), ",") + `]}],"tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":` + day + `}]}`
	req, err := anthropicmessages.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]int{sonnet: 4, nova: 4, llama: 0} {
		got, lost, err := written(t, req, model, "")
		if n := strings.Count(got, `{"cachePoint":{"type":"default"`); err != nil || n != want || len(strings.Fields(lost)) != 6-want {
			t.Errorf("%s: %d marks, lost %s, %v: %s", model, n, lost, err, got)
		}
	}
}

func TestErrorsOfTheFrontDoor(t *testing.T) {
	c := New()
	h := map[string]string{}
	e := &llm.Error{Code: llm.CodeRateLimited, Message: "slow down"}
	status, body := c.WriteError(e, "req-1")
	c.AnswerHeader(e, "req-1", func(n, v string) { h[n] = v })
	if status != 429 || string(body) != `{"message":"slow down"}` || h[fault.Header] != "ThrottlingException" || h["x-amzn-requestid"] != "req-1" {
		t.Errorf("got %d %s %v", status, body, h)
	}
}
