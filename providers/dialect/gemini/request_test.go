package gemini

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func in(body string) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpChat, Path: "/v1beta/models/m:generateContent", Model: "m", Body: []byte(body)}
}

func of(chat *llm.Chat) *llm.Request {
	if len(chat.Turns) == 0 {
		chat.Turns = []llm.Turn{{Parts: []llm.Part{{Text: "hi"}}}}
	}
	return &llm.Request{Op: llm.OpChat, Body: chat, Extra: llm.Extra{Dialect: "openai-chat"}}
}

func to(model string) dialect.Target {
	return dialect.Target{Model: model, Facts: catalog.FactsOf("gemini", model)}
}

// written writes a chat of openai-chat for a model.
func written(t *testing.T, c *Codec, chat *llm.Chat, model string) (body string, losses []llm.Loss) {
	t.Helper()
	b, losses, err := c.WriteRequest(nil, of(chat), to(model))
	if err != nil {
		return err.Error(), losses
	}
	if err := jsonx.Valid(b); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return string(b), losses
}

func TestWhatIsWrongIsRefusedByName(t *testing.T) {
	for _, tt := range []struct{ name, body, param string }{
		{"no JSON", `{"contents":`, ""},
		{"a name twice", `{"contents":[{"parts":[{"text":"a"}]}],"contents":[]}`, "contents"},
		{"two spellings", `{"contents":[{}],"generationConfig":{},"generation_config":{}}`, "generationConfig"},
		{"another case", `{"contents":[{}],"Contents":[]}`, "Contents"},
		{"no contents", `{}`, "contents"},
		{"empty contents", `{"contents":[]}`, "contents"},
		{"a role that there is not", `{"contents":[{"role":"assistant","parts":[]}]}`, "contents[0].role"},
		{"a limit of zero", `{"contents":[{}],"generationConfig":{"maxOutputTokens":0}}`, "generationConfig.maxOutputTokens"},
		{"a limit in words", `{"contents":[{}],"generation_config":{"max_output_tokens":"many"}}`, "generationConfig.maxOutputTokens"},
		{"too many candidates", `{"contents":[{}],"generationConfig":{"candidateCount":9}}`, "generationConfig.candidateCount"},
		{"two spellings of the limit", `{"contents":[{}],"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}`, "generationConfig.maxOutputTokens"},
		{"tools that are no list", `{"contents":[{}],"tools":{}}`, "tools"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, peek := New().Peek(in(tt.body))
			_, read := New().ReadRequest(in(tt.body))
			for _, err := range []error{peek, read} {
				var e *llm.Error
				if !errors.As(err, &e) || e.Code != llm.CodeInvalid || e.Param != tt.param || e.Message == "" {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// wrongInside are requests that only reading finds wrong.
var wrongInside = []struct{ name, body, param string }{
	{"a part without data", `{"contents":[{"parts":[{}]}]}`, "contents[0].parts[0]"},
	{"a part of two kinds", `{"contents":[{"parts":[{"text":"a","functionCall":{"name":"f"}}]}]}`, "contents[0].parts[0].functionCall"},
	{"a text that is none", `{"contents":[{"parts":[{"text":1}]}]}`, "contents[0].parts[0].text"},
	{"broken base64", `{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"%"}}]}]}`, "contents[0].parts[0].inlineData.data"},
	{"a private address", `{"contents":[{"parts":[{"fileData":{"fileUri":"https://10.0.0.1/x"}}]}]}`, "contents[0].parts[0].fileData.fileUri"},
	{"another scheme", `{"contents":[{"parts":[{"fileData":{"fileUri":"http://a.example/x"}}]}]}`, "contents[0].parts[0].fileData.fileUri"},
	{"a call without a name", `{"contents":[{"role":"model","parts":[{"functionCall":{}}]}]}`, "contents[0].parts[0].functionCall.name"},
	{"a call by the user", `{"contents":[{"role":"user","parts":[{"functionCall":{"name":"f"}}]}]}`, "contents[0].parts[0]"},
	{"a response by the model", `{"contents":[{"role":"model","parts":[{"functionResponse":{"name":"f"}}]}]}`, "contents[0].parts[0]"},
	{"arguments that are no object", `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":[1]}}]}]}`, "contents[0].parts[0].functionCall.args"},
	{"a picture as system text", `{"contents":[{"parts":[{"text":"a"}]}],"systemInstruction":{"parts":[{"inlineData":{"mimeType":"image/png","data":"aaaa"}}]}}`, "systemInstruction.parts[0]"},
	{"a temperature too high", `{"contents":[{}],"generationConfig":{"temperature":3}}`, "generationConfig.temperature"},
	{"budget and level", `{"contents":[{}],"generationConfig":{"thinkingConfig":{"thinkingBudget":1,"thinkingLevel":"LOW"}}}`, "generationConfig.thinkingConfig.thinkingLevel"},
	{"a level that there is not", `{"contents":[{}],"generationConfig":{"thinkingConfig":{"thinkingLevel":"much"}}}`, "generationConfig.thinkingConfig.thinkingLevel"},
	{"two schemas", `{"contents":[{}],"generationConfig":{"responseMimeType":"application/json","responseSchema":{},"responseJsonSchema":{}}}`, "generationConfig.responseJsonSchema"},
	{"a mode that there is not", `{"contents":[{}],"toolConfig":{"functionCallingConfig":{"mode":"MUST"}}}`, "toolConfig.functionCallingConfig.mode"},
	{"a function without a name", `{"contents":[{}],"tools":[{"functionDeclarations":[{}]}]}`, "tools[0].functionDeclarations[0].name"},
}

func TestWhatIsWrongWithinIsRefusedByName(t *testing.T) {
	for _, tt := range wrongInside {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New().ReadRequest(in(tt.body))
			var e *llm.Error
			if !errors.As(err, &e) || e.Code != llm.CodeInvalid || e.Param != tt.param || e.Message == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestChoicesOfTools(t *testing.T) {
	tools := []llm.Tool{{Name: "f"}, {Name: "g"}}
	yes := true
	for _, tt := range []struct {
		name   string
		choice llm.ToolChoice
		tools  []llm.Tool
		want   string // of the body, or the error
	}{
		{"not said", llm.ToolChoice{}, tools, ``},
		{"auto", llm.ToolChoice{Mode: llm.ChoiceAuto}, tools, `"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}`},
		{"none", llm.ToolChoice{Mode: llm.ChoiceNone}, tools, `{"mode":"NONE"}`},
		{"any", llm.ToolChoice{Mode: llm.ChoiceAny}, tools, `{"mode":"ANY"}`},
		{"one", llm.ToolChoice{Mode: llm.ChoiceOne, Names: []string{"g"}}, tools, `{"mode":"ANY","allowedFunctionNames":["g"]}`},
		{"some, forced", llm.ToolChoice{Mode: llm.ChoiceSomeAny, Names: []string{"f", "g"}}, tools, `{"mode":"ANY","allowedFunctionNames":["f","g"]}`},
		{"some, free", llm.ToolChoice{Mode: llm.ChoiceSomeAuto, Names: []string{"f"}}, tools, `{"mode":"VALIDATED","allowedFunctionNames":["f"]}`},
		{"all strict", llm.ToolChoice{}, []llm.Tool{{Name: "f", Strict: &yes}}, `{"mode":"VALIDATED"}`},
		{"forced without tools", llm.ToolChoice{Mode: llm.ChoiceAny}, nil, "A tool must be called"},
		{"one that there is not", llm.ToolChoice{Mode: llm.ChoiceOne, Names: []string{"h"}}, tools, "is not among the tools"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, losses := written(t, New(), &llm.Chat{Tools: tt.tools, Choice: tt.choice}, "gemini-2.5-flash")
			if tt.want == "" && strings.Contains(body, "toolConfig") || !strings.Contains(body, tt.want) || len(losses) > 0 {
				t.Errorf("got %s, %v", body, losses)
			}
			if !strings.HasPrefix(body, "{") {
				return
			}
			req, err := New().ReadRequest(in(body))
			if err != nil || tt.choice.Mode != llm.ChoiceUnset && !cmp.Equal(req.Chat().Choice, tt.choice) {
				t.Errorf("read back as %+v, %v", req.Chat().Choice, err)
			}
		})
	}
}

// TestEffortsOfReasoning is the table of TRANSLATION's section on reasoning, in both directions.
func TestEffortsOfReasoning(t *testing.T) {
	effort := func(e string) *llm.Thinking { return &llm.Thinking{Effort: e} }
	for _, tt := range []struct {
		think                     *llm.Thinking
		flash, pro, three, three2 string // Gemini 2.5 Flash and Pro, 3 Flash and Pro
	}{
		{effort(llm.EffortNone), `"thinkingBudget":0`, `"thinkingBudget":128`, `"thinkingLevel":"MINIMAL"`, `"thinkingLevel":"LOW"`},
		{effort(llm.EffortMinimal), `"thinkingBudget":512`, `"thinkingBudget":1024`, `"thinkingLevel":"MINIMAL"`, `"thinkingLevel":"LOW"`},
		{effort(llm.EffortLow), `"thinkingBudget":1024`, `"thinkingBudget":1024`, `"thinkingLevel":"LOW"`, `"thinkingLevel":"LOW"`},
		{effort(llm.EffortMedium), `"thinkingBudget":8192`, `"thinkingBudget":8192`, `"thinkingLevel":"MEDIUM"`, `"thinkingLevel":"HIGH"`},
		{effort(llm.EffortHigh), `"thinkingBudget":24576`, `"thinkingBudget":24576`, `"thinkingLevel":"HIGH"`, `"thinkingLevel":"HIGH"`},
		{effort(llm.EffortXHigh), `"thinkingBudget":24576`, `"thinkingBudget":32768`, `"thinkingLevel":"HIGH"`, `"thinkingLevel":"HIGH"`},
		{effort(llm.EffortMax), `"thinkingBudget":24576`, `"thinkingBudget":32768`, `"thinkingLevel":"HIGH"`, `"thinkingLevel":"HIGH"`},
		{&llm.Thinking{Mode: llm.ThinkOff}, `"thinkingBudget":0`, `"thinkingBudget":128`, `"thinkingLevel":"MINIMAL"`, `"thinkingLevel":"LOW"`},
		{&llm.Thinking{Mode: llm.ThinkAdaptive}, `"thinkingBudget":-1`, `"thinkingBudget":-1`, ``, ``},
		{&llm.Thinking{Mode: llm.ThinkBudget, Budget: 2000}, `"thinkingBudget":2000`, `"thinkingBudget":2000`, `"thinkingLevel":"LOW"`, `"thinkingLevel":"LOW"`},
		{&llm.Thinking{Mode: llm.ThinkBudget, Budget: 99999}, `"thinkingBudget":24576`, `"thinkingBudget":32768`, `"thinkingLevel":"HIGH"`, `"thinkingLevel":"HIGH"`},
	} {
		for model, want := range map[string]string{"gemini-2.5-flash": tt.flash, "gemini-2.5-pro": tt.pro, "gemini-3-flash-preview": tt.three, "gemini-3-pro-preview": tt.three2} {
			body, _ := written(t, New(), &llm.Chat{Thinking: tt.think}, model)
			if !strings.Contains(body, want) || want == "" && strings.Contains(body, "thinkingLevel") || strings.Contains(body, "thinkingBudget") && strings.Contains(body, "thinkingLevel") {
				t.Errorf("%s, %+v: got %s, want %s", model, *tt.think, body, want)
			}
		}
	}
	body, losses := written(t, New(), &llm.Chat{Thinking: effort(llm.EffortHigh)}, "gemini-1.5-flash")
	if strings.Contains(body, "thinking") || len(losses) != 1 || losses[0].Path != "reasoning_effort" {
		t.Errorf("a model that does not reason: %s, %v", body, losses)
	}
}

func TestSamplingGoesToItsMembers(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	i := func(v int64) *int64 { return &v }
	chat := &llm.Chat{
		MaxTokens: 10, N: 2, Stop: []string{"a"}, Logprobs: &llm.Logprobs{On: true, Top: i(3)},
		Sampling: llm.Sampling{Temperature: f(2.5), TopP: f(0.5), TopK: i(4), Seed: i(7), PresencePenalty: f(1), FrequencyPenalty: f(-1), LogitBias: []byte(`{"1":2}`)},
		Hints:    llm.Hints{User: "u", Verbosity: "low", ServiceTier: "flex", Metadata: []byte(`{"team":"core","x":"NO"}`), CacheKey: "k"},
	}
	const config = `"generationConfig":{"temperature":2,"topP":0.5,"presencePenalty":1,"frequencyPenalty":-1,"topK":4,"seed":7,"maxOutputTokens":10,"candidateCount":2,"stopSequences":["a"],"responseLogprobs":true,"logprobs":3}`
	for _, tt := range []struct {
		codec *Codec
		more  string
		lost  []string
	}{
		{New(), `"serviceTier":"flex"`, []string{"temperature", "metadata.team", "metadata.x", "user", "verbosity", "prompt_cache_key", "logit_bias"}},
		{Vertex(), `"labels":{"team":"core","user":"u"}`, []string{"temperature", "service_tier", "metadata.x", "verbosity", "prompt_cache_key", "logit_bias"}},
	} {
		body, losses := written(t, tt.codec, chat, "gemini-2.5-flash")
		var lost []string
		for _, l := range losses {
			lost = append(lost, l.Path)
		}
		if !strings.Contains(body, config) || !strings.Contains(body, tt.more) || !cmp.Equal(lost, tt.lost) {
			t.Errorf("got %s, %v", body, lost)
		}
	}
	body, losses := written(t, New(), &llm.Chat{MaxTokens: 1 << 20}, "gemini-2.5-flash")
	if !strings.Contains(body, `"maxOutputTokens":65535`) || len(losses) != 1 {
		t.Errorf("a limit above the model's: %s, %v", body, losses)
	}
	if body, _ := written(t, New(), &llm.Chat{Stop: strings.Split("abcdef", "")}, "gemini-2.5-flash"); !strings.Contains(body, "at most 5") {
		t.Errorf("too many stop sequences: %s", body)
	}
}

func TestTurnsAreMergedAndResultsStandFirst(t *testing.T) {
	call := func(id, name string) llm.Part {
		return llm.Part{Kind: llm.PartCall, Call: &llm.ToolCall{ID: id, Name: name, Args: `{"x":1}`}}
	}
	reply := func(id, text string, failed bool) llm.Turn {
		return llm.Turn{Parts: []llm.Part{{Kind: llm.PartReply, Reply: &llm.ToolReply{CallID: id, Plain: true, Error: failed, Parts: []llm.Part{{Text: text}}}}}}
	}
	chat := &llm.Chat{Turns: []llm.Turn{
		{Role: llm.RoleSystem, Parts: []llm.Part{{Text: "one"}}},
		{Parts: []llm.Part{{Text: "a"}}}, {Parts: []llm.Part{{Text: "b"}}},
		{Role: llm.RoleDeveloper, Parts: []llm.Part{{Text: "two"}}},
		{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartThought, Text: "hm"}, {Text: "calling"}, call("1", "f"), call("2", "g")}},
		{Parts: []llm.Part{{Text: "and?"}}}, reply("2", `{"a":2}`, false), reply("1", "bad", true),
	}}
	const want = `{"systemInstruction":{"parts":[{"text":"one"},{"text":"two"}]},"contents":[{"role":"user","parts":[{"text":"a"},{"text":"b"}]},` +
		`{"role":"model","parts":[{"text":"calling"},{"functionCall":{"id":"1","name":"f","args":{"x":1}}%s},{"functionCall":{"id":"2","name":"g","args":{"x":1}}}]},` +
		`{"role":"user","parts":[{"functionResponse":{"id":"2","name":"g","response":{"a":2}}},{"functionResponse":{"id":"1","name":"f","response":{"error":"bad"}}},{"text":"and?"}]}]}`
	for model, seal := range map[string]string{"gemini-2.5-flash": "", "gemini-3-flash-preview": `,"thoughtSignature":"` + filler + `"`} {
		body, losses := written(t, New(), chat, model)
		if diff := cmp.Diff(fmt.Sprintf(want, seal), body); diff != "" || len(losses) != 1 || losses[0].Path != "messages[4].reasoning_content" {
			t.Errorf("%s: %v (-want +got)\n%s", model, losses, diff)
		}
	}
	body, _ := written(t, New(), chat, "gemma-3-27b-it")
	if strings.Contains(body, "systemInstruction") || !strings.Contains(body, `{"role":"user","parts":[{"text":"one"},{"text":"two"},{"text":"a"},{"text":"b"}]}`) {
		t.Errorf("a model without system text: %s", body)
	}
	for name, turns := range map[string][]llm.Turn{
		"a result without a call": {{Parts: []llm.Part{{Text: "a"}}}, reply("9", "x", false)},
		"an empty message":        {{Parts: []llm.Part{{Text: ""}}}},
	} {
		if body, _ := written(t, New(), &llm.Chat{Turns: turns}, "gemini-2.5-flash"); strings.HasPrefix(body, "{") {
			t.Errorf("%s: %s", name, body)
		}
	}
	body, _ = written(t, New(), &llm.Chat{Turns: []llm.Turn{{Role: llm.RoleSystem, Parts: []llm.Part{{Text: "alone"}}}}}, "gemini-2.5-flash")
	if body != `{"contents":[{"role":"user","parts":[{"text":"alone"}]}]}` {
		t.Errorf("system text alone: %s", body)
	}
}

func TestPicturesOfAResultStandWhereTheModelTakesThem(t *testing.T) {
	chat := &llm.Chat{Turns: []llm.Turn{
		{Parts: []llm.Part{{Text: "a"}}},
		{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartCall, Call: &llm.ToolCall{ID: "1", Name: "f", Args: ""}}}},
		{Parts: []llm.Part{{Kind: llm.PartReply, Reply: &llm.ToolReply{CallID: "1", Parts: []llm.Part{{Text: "t"}, {Kind: llm.PartImage, Media: &llm.Media{Type: "image/png", Data: "aaaa"}}}}}}},
	}}
	const image = `{"inlineData":{"mimeType":"image/png","data":"aaaa"}}`
	for model, want := range map[string]string{
		"gemini-3-flash-preview": `"response":{"result":"t"},"parts":[` + image + `]}}`,
		"gemini-2.5-flash":       `"response":{"result":"t"}}},` + image,
	} {
		if body, _ := written(t, New(), chat, model); !strings.Contains(body, want) {
			t.Errorf("%s: %s", model, body)
		}
	}
}

func TestMediaByEveryWay(t *testing.T) {
	for _, tt := range []struct {
		name string
		part llm.Part
		want string
	}{
		{"a picture by its address", llm.Part{Kind: llm.PartImage, Media: &llm.Media{URL: "https://a.example/b.PNG?x=1"}}, `{"fileData":{"mimeType":"image/png","fileUri":"https://a.example/b.PNG?x=1"}}`},
		{"a picture whose name does not tell", llm.Part{Kind: llm.PartImage, Media: &llm.Media{URL: "https://a.example/b"}}, `{"fileData":{"mimeType":"image/jpeg"`},
		{"a document", llm.Part{Kind: llm.PartFile, Media: &llm.Media{Type: "application/pdf", Data: "JVBERi0x"}}, `{"inlineData":{"mimeType":"application/pdf","data":"JVBERi0x"}}`},
		{"a text", llm.Part{Kind: llm.PartFile, Media: &llm.Media{Type: "text/plain", Text: "words"}}, `{"text":"words"}`},
		{"a recording", llm.Part{Kind: llm.PartAudio, Media: &llm.Media{Format: "mp3", Data: "aaaa"}}, `{"inlineData":{"mimeType":"audio/mp3","data":"aaaa"}}`},
		{"another provider's file", llm.Part{Kind: llm.PartFile, Media: &llm.Media{FileID: "file-1"}}, "A file id of another provider"},
		{"a native part", llm.Part{Kind: llm.PartNative, Name: "odd"}, "has no equal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if body, _ := written(t, New(), &llm.Chat{Turns: []llm.Turn{{Parts: []llm.Part{tt.part}}}}, "gemini-2.5-flash"); !strings.Contains(body, tt.want) {
				t.Errorf("got %s", body)
			}
		})
	}
	req, err := New().ReadRequest(in(`{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/x-wav","data":"-_-_"}},{"fileData":{"fileUri":"gs://b/f","mimeType":"video/mp4"}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	parts := req.Chat().Turns[0].Parts
	if m := parts[0].Media; parts[0].Kind != llm.PartAudio || m.Data != "+/+/" || m.Format != "wav" {
		t.Errorf("got %+v", m)
	}
	if m := parts[1].Media; parts[1].Kind != llm.PartFile || m.FileID != "gs://b/f" {
		t.Errorf("got %+v", m)
	}
}

func TestFormsOfTheAnswer(t *testing.T) {
	schema := []byte(`{"type":"object","properties":{"a":{"type":["string","null"]}},"additionalProperties":false}`)
	out := llm.Output{Kind: llm.OutputSchema, Schema: schema, Name: "x"}
	tools := []llm.Tool{{Name: "f"}}
	for _, tt := range []struct {
		name, model string
		chat        llm.Chat
		want        string
	}{
		{"JSON", "gemini-2.5-flash", llm.Chat{Output: llm.Output{Kind: llm.OutputJSON}}, `"generationConfig":{"responseMimeType":"application/json"}`},
		{"a schema", "gemini-2.5-flash", llm.Chat{Output: out}, `"responseJsonSchema":` + string(schema)},
		{"a schema for an old model", "gemini-1.5-pro", llm.Chat{Output: out}, `"responseSchema":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}`},
		{"a schema beside tools", "gemini-3-flash-preview", llm.Chat{Output: out, Tools: tools}, `"responseJsonSchema":`},
		{"a schema beside tools, where it cannot be", "gemini-2.5-flash", llm.Chat{Output: out, Tools: tools}, "cannot be held to JSON while it has tools"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if body, _ := written(t, New(), &tt.chat, tt.model); !strings.Contains(body, tt.want) {
				t.Errorf("got %s", body)
			}
		})
	}
}

func TestSealsGoOnlyToTheirVendor(t *testing.T) {
	for _, tt := range []struct {
		name string
		part llm.Part
		want string
		lost int
	}{
		{"a signed call", llm.Part{Kind: llm.PartCall, Call: &llm.ToolCall{Name: "f"}, Seal: "s", From: name}, `"thoughtSignature":"s"`, 0},
		{"a signed thought", llm.Part{Kind: llm.PartThought, Text: "hm", Seal: "s", From: name}, `{"text":"hm","thought":true,"thoughtSignature":"s"}`, 0},
		{"another vendor's call", llm.Part{Kind: llm.PartCall, Call: &llm.ToolCall{Name: "f"}, Seal: "s", From: "x"}, filler, 1},
		{"another vendor's thought", llm.Part{Kind: llm.PartThought, Text: "hm", Seal: "s", From: "anthropic-messages"}, ``, 2},
	} {
		body, losses := written(t, New(), &llm.Chat{Turns: []llm.Turn{{Parts: []llm.Part{{Text: "a"}}}, {Role: llm.RoleAssistant, Parts: []llm.Part{tt.part}}}}, "gemini-3-flash-preview")
		if !strings.Contains(body, tt.want) || strings.Contains(body, `"s"`) != (tt.lost == 0) || len(losses) != tt.lost {
			t.Errorf("%s: %s, %v", tt.name, body, losses)
		}
	}
	// A thought of Claude's that a client of ours gets, and sends back.
	w := New().NewWriter(nil, false)
	out, err := codectest.Write(w, []llm.Event{
		{Kind: llm.EvStarted, ID: "i", Name: "claude"}, {Kind: llm.EvBlockStarted, Part: llm.PartThought}, {Kind: llm.EvDelta, Part: llm.PartThought, Text: []byte("hm")},
		{Kind: llm.EvDelta, Part: llm.PartThought, Seal: dialect.WrapSeal("anthropic-messages", "Eq==")}, {Kind: llm.EvBlockEnded, Part: llm.PartThought}, {Kind: llm.EvFinished},
	})
	if err != nil {
		t.Fatal(err)
	}
	part := first(jsonx.At(first(jsonx.Get(out, "candidates")), "content", "parts"))
	req, err := New().ReadRequest(in(`{"contents":[{"role":"model","parts":[` + string(part) + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p := req.Chat().Turns[0].Parts[0]; p.Seal != "Eq==" || p.From != "anthropic-messages" || p.Text != "hm" {
		t.Errorf("came back as %+v of %s", p, out)
	}
}

func first(list []byte) []byte {
	for _, v := range jsonx.Elements(list) {
		return v
	}
	return nil
}

func TestCallsAndResponsesWithoutIDsArePaired(t *testing.T) {
	req, err := New().ReadRequest(in(`{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f"}}]},
		{"role":"user","parts":[{"functionResponse":{"name":"g","response":{}}},{"functionResponse":{"name":"f","response":{"output":"1"}}},{"functionResponse":{"name":"f","response":{"a":1,"b":2}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	turns := req.Chat().Turns
	var got []string
	for _, p := range turns[1].Parts {
		got = append(got, p.Call.ID)
	}
	for _, p := range turns[2].Parts {
		text := ""
		if len(p.Reply.Parts) > 0 {
			text = p.Reply.Parts[0].Text
		}
		got = append(got, p.Reply.CallID+" "+text)
	}
	want := []string{"call_gemini_1", "call_gemini_2", "call_gemini_3", "call_gemini_2 ", "call_gemini_1 1", `call_gemini_3 {"a":1,"b":2}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCountsAndEmbeddings(t *testing.T) {
	chat := of(&llm.Chat{})
	chat.Op = llm.OpCount
	for codec, want := range map[*Codec]string{
		New():    `{"generateContentRequest":{"model":"models/m","contents":[{"role":"user","parts":[{"text":"hi"}]}]}}`,
		Vertex(): `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`,
	} {
		body, _, err := codec.WriteRequest(nil, chat, dialect.Target{Model: "m"})
		if err != nil || string(body) != want {
			t.Errorf("got %s, %v", body, err)
		}
		back, err := codec.ReadRequest(dialect.Inbound{Op: llm.OpCount, Model: "m", Body: body})
		if err != nil || len(back.Chat().Turns) != 1 {
			t.Errorf("read back: %v", err)
		}
	}
	embed := &llm.Request{Op: llm.OpEmbed, Body: &llm.Embed{Inputs: []llm.EmbedInput{{Text: "a"}, {Text: "b"}}, Task: llm.TaskQuery, Dimensions: 8, Truncate: "end", User: "u"}, Extra: llm.Extra{Dialect: "openai-embeddings"}}
	for _, tt := range []struct {
		client dialect.Client
		want   string
		lost   int
	}{
		{New(), `{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8},{"model":"models/m","content":{"parts":[{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8}]}`, 2},
		{Predict(), `{"instances":[{"content":"a","task_type":"RETRIEVAL_QUERY"},{"content":"b","task_type":"RETRIEVAL_QUERY"}],"parameters":{"outputDimensionality":8,"autoTruncate":true}}`, 1},
		{EmbedOne(), "embeds one text in a request", 0},
	} {
		body, losses, err := tt.client.WriteRequest(nil, embed, dialect.Target{Model: "m"})
		if err != nil {
			body = []byte(err.Error())
		}
		if !strings.Contains(string(body), tt.want) || len(losses) != tt.lost {
			t.Errorf("got %s, %v", body, losses)
		}
	}
	evs := codectest.Events(t, Predict().NewReader(embed, false), []byte(`{"predictions":[{"embeddings":{"values":[0.5,-1],"statistics":{"token_count":3}}},{"embeddings":{"values":[1,2],"statistics":{"token_count":4}}}]}`), 0)
	if diff := cmp.Diff([]llm.Event{
		{Kind: llm.EvStarted}, {Kind: llm.EvResult, Result: &llm.Embeddings{Vectors: [][]float32{{0.5, -1}, {1, 2}}}},
		{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(7)}}, {Kind: llm.EvFinished},
	}, evs); diff != "" {
		t.Error(diff)
	}
	if _, err := New().ReadRequest(dialect.Inbound{Op: llm.OpEmbed, Model: "m", Body: []byte(`{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING"}]}`)}); err == nil || !strings.Contains(err.Error(), "requests[1].taskType") {
		t.Errorf("texts for two tasks: %v", err)
	}
}

func TestSplicesTowardVertex(t *testing.T) {
	for body, want := range map[string]string{
		`{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[]}, {}],"model":"models/m"}`: `{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[]}, {"role":"user"}]}`,
		`{"model":"models/m","contents":[{"role":"user"}]}`:                                          `{"contents":[{"role":"user"}]}`,
	} {
		h, err := Vertex().Peek(in(body))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := Vertex().Splice(nil, h, dialect.Edits{Model: "other"}); err != nil || string(out) != want {
			t.Errorf("got %s, %v", out, err)
		}
	}
	h, err := Vertex().Peek(dialect.Inbound{Op: llm.OpCount, Model: "m", Body: []byte(`{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"a"}]}]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := Vertex().Splice(nil, h, dialect.Edits{Model: "other"}); err != nil || string(out) != `{"contents":[{"role":"user","parts":[{"text":"a"}]}]}` {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestWhatOnlyThisDialectHasBindsTheRequest(t *testing.T) {
	for body, want := range map[string]string{
		`{"contents":[{}],"cachedContent":"cachedContents/x"}`:                                                       "cachedContent",
		`{"contents":[{}],"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}`:                               "generationConfig.responseModalities",
		`{"contents":[{}],"generationConfig":{"responseModalities":["TEXT"]}}`:                                       "",
		`{"contents":[{}],"generationConfig":{"responseMimeType":"text/x.enum","responseSchema":{"type":"STRING"}}}`: "generationConfig.responseMimeType",
	} {
		req, err := New().ReadRequest(in(body))
		if err != nil || req.Bound != want {
			t.Errorf("%s: bound by %q, %v", body, req.Bound, err)
		}
	}
}
