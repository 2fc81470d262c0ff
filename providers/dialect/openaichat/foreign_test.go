package openaichat

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

//go:fix inline

// foreign makes a request as the anthropic-messages codec reads it.
func foreign(chat *llm.Chat) *llm.Request {
	return &llm.Request{Op: llm.OpChat, Model: "m", Body: chat, Extra: llm.Extra{Dialect: string(dialect.AnthropicMessages)}}
}

func say(role llm.Role, parts ...llm.Part) llm.Turn { return llm.Turn{Role: role, Parts: parts} }

func words(s string) llm.Part { return llm.Part{Text: s} }

func writeFor(t *testing.T, req *llm.Request, f catalog.Facts) (*jsonx.Doc, []string) {
	t.Helper()
	body, losses, err := New().WriteRequest(nil, req, dialect.Target{Model: "t", Facts: f})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonx.Scan(body)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var paths []string
	for _, l := range losses {
		paths = append(paths, l.Path)
	}
	return doc, paths
}

func TestARequestOfAnotherDialectIsMapped(t *testing.T) {
	image := llm.Part{Kind: llm.PartImage, Media: &llm.Media{Type: "image/png", Data: "AAAA"}}
	call := func(id, name string) llm.Part {
		return llm.Part{Kind: llm.PartCall, Call: &llm.ToolCall{ID: id, Name: name}}
	}
	reply := func(id string, parts ...llm.Part) llm.Part {
		return llm.Part{Kind: llm.PartReply, Reply: &llm.ToolReply{CallID: id, Parts: parts, Error: id == "b"}}
	}
	long := strings.Repeat("x", 100)
	for _, tc := range []struct {
		name   string
		chat   llm.Chat
		facts  catalog.Facts
		member string
		want   string
		losses []string
	}{
		{
			"system blocks stay, their cache marks do not",
			llm.Chat{Turns: []llm.Turn{
				say(llm.RoleSystem, llm.Part{Text: "a", Cache: &llm.CacheMark{}}, words("b")),
				say(llm.RoleUser, llm.Part{Text: "hi", Cache: &llm.CacheMark{TTL: "1h"}}),
			}}, catalog.Facts{}, "messages",
			`[{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":"hi"}]`,
			[]string{"system[0].cache_control", "messages[0].content[0].cache_control"},
		},
		{
			"a reasoning model takes developer", llm.Chat{Turns: []llm.Turn{say(llm.RoleSystem, words("a"))}},
			catalog.Facts{DeveloperRole: true}, "messages", `[{"role":"developer","content":"a"}]`, nil,
		},
		{
			"a model without system messages gets the text from the user",
			llm.Chat{Turns: []llm.Turn{say(llm.RoleSystem, words("a"), words("b")), say(llm.RoleUser, words("hi"))}},
			catalog.Facts{NoSystem: true}, "messages",
			`[{"role":"user","content":[{"type":"text","text":"a\n\nb"},{"type":"text","text":"hi"}]}]`, nil,
		},
		{
			"nothing but system text becomes the user's turn", llm.Chat{Turns: []llm.Turn{say(llm.RoleSystem, words("a"))}},
			catalog.Facts{NoSystem: true}, "messages", `[{"role":"user","content":[{"type":"text","text":"a"}]}]`, nil,
		},
		{
			"an answer's text is one string, and reasoning is left behind",
			llm.Chat{Turns: []llm.Turn{say(llm.RoleAssistant,
				llm.Part{Kind: llm.PartThought, Text: "hm", Seal: "s", From: sealAnthropic},
				words("a"), call("c", "f"), words("b"))}},
			catalog.Facts{}, "messages",
			`[{"role":"assistant","content":"ab","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}]`,
			[]string{"messages[0].content[0]"},
		},
		{
			"results become messages, and their pictures follow them all",
			llm.Chat{Turns: []llm.Turn{
				say(llm.RoleAssistant, call("a", "f"), call("b", "g")),
				say(llm.RoleUser, reply("a", words("1"), image), reply("b", words("2")), words("go on")),
			}}, catalog.Facts{}, "messages",
			`[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},` +
				`{"role":"tool","tool_call_id":"a","content":"1"},{"role":"tool","tool_call_id":"b","content":"2"},` +
				`{"role":"user","content":[{"type":"text","text":"Attachment of the result of tool call a:"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"go on"}]}]`,
			[]string{"messages[1].content[1].is_error"},
		},
		{
			"pictures wait for the results of the next turn",
			llm.Chat{Turns: []llm.Turn{say(llm.RoleUser, reply("a", image)), say(llm.RoleUser, reply("c", words("2"))), say(llm.RoleAssistant, words("ok"))}},
			catalog.Facts{}, "messages",
			`[{"role":"tool","tool_call_id":"a","content":""},{"role":"tool","tool_call_id":"c","content":"2"},` +
				`{"role":"user","content":[{"type":"text","text":"Attachment of the result of tool call a:"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},{"role":"assistant","content":"ok"}]`,
			nil,
		},
		{
			"documents", llm.Chat{Turns: []llm.Turn{say(llm.RoleUser,
				llm.Part{Kind: llm.PartFile, Media: &llm.Media{Type: "application/pdf", Data: "AAAA"}},
				llm.Part{Kind: llm.PartFile, Media: &llm.Media{Type: "text/plain", Text: "plain"}})}},
			catalog.Facts{}, "messages",
			`[{"role":"user","content":[{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,AAAA"}},{"type":"text","text":"plain"}]}]`, nil,
		},
		{
			"tools, with names made to fit",
			llm.Chat{Tools: []llm.Tool{{Name: "f", Cache: &llm.CacheMark{}, Extra: []llm.Member{{Name: "defer_loading", Raw: []byte("true")}}}, {Name: long, Schema: []byte(`{"type":"object"}`)}}},
			catalog.Facts{}, "tools",
			`[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"` + wireName(long) + `","parameters":{"type":"object"}}}]`,
			[]string{"tools[0].cache_control", "tools[0].defer_loading"},
		},
		{"any", llm.Chat{Tools: []llm.Tool{{Name: "f"}}, Choice: llm.ToolChoice{Mode: llm.ChoiceAny}}, catalog.Facts{}, "tool_choice", `"required"`, nil},
		{"auto", llm.Chat{Tools: []llm.Tool{{Name: "f"}}, Choice: llm.ToolChoice{Mode: llm.ChoiceAuto}}, catalog.Facts{}, "tool_choice", `"auto"`, nil},
		{"none", llm.Chat{Tools: []llm.Tool{{Name: "f"}}, Choice: llm.ToolChoice{Mode: llm.ChoiceNone}}, catalog.Facts{}, "tool_choice", `"none"`, nil},
		{"one", llm.Chat{Tools: []llm.Tool{{Name: "f"}}, Choice: llm.ToolChoice{Mode: llm.ChoiceOne, Names: []string{"f"}}}, catalog.Facts{}, "tool_choice", `{"type":"function","function":{"name":"f"}}`, nil},
		{"parallel off", llm.Chat{Tools: []llm.Tool{{Name: "f"}}, Parallel: new(false)}, catalog.Facts{}, "parallel_tool_calls", `false`, nil},
		{"a closed schema is strict", llm.Chat{Output: llm.Output{Kind: llm.OutputSchema, Schema: []byte(`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`)}},
			catalog.Facts{}, "response_format", `{"type":"json_schema","json_schema":{"name":"output","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false},"strict":true}}`, nil},
		{"an open one is not", llm.Chat{Output: llm.Output{Kind: llm.OutputSchema, Schema: []byte(`{"type":"object","properties":{"a":{}}}`)}},
			catalog.Facts{}, "response_format", `{"type":"json_schema","json_schema":{"name":"output","schema":{"type":"object","properties":{"a":{}}}}}`, nil},
		{"max_tokens", llm.Chat{MaxTokens: 9}, catalog.Facts{}, "max_tokens", "9", nil},
		{"max_completion_tokens", llm.Chat{MaxTokens: 9}, catalog.Facts{CompletionsMax: true}, "max_completion_tokens", "9", nil},
		{"top_k has no equal", llm.Chat{Sampling: llm.Sampling{TopK: new(int64(5)), Temperature: new(0.5)}}, catalog.Facts{}, "temperature", "0.5", []string{"top_k"}},
		{"stops", llm.Chat{Stop: []string{"a", "b"}}, catalog.Facts{}, "stop", `["a","b"]`, nil},
		{"the user", llm.Chat{Hints: llm.Hints{User: "u", ServiceTier: "standard_only"}}, catalog.Facts{}, "user", `"u"`, []string{"service_tier"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, losses := writeFor(t, foreign(&tc.chat), tc.facts)
			got, _ := doc.Get(tc.member)
			if d := cmp.Diff(tc.want, string(got)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tc.losses, losses); d != "" {
				t.Errorf("losses: %s", d)
			}
		})
	}
}

func TestWhatCannotBeCarriedIsRefusedByName(t *testing.T) {
	part := func(p llm.Part) llm.Chat { return llm.Chat{Turns: []llm.Turn{say(llm.RoleUser, words("x"), p)}} }
	for _, tc := range []struct {
		name  string
		chat  llm.Chat
		facts catalog.Facts
		param string
	}{
		{"a server tool", llm.Chat{Tools: []llm.Tool{{Name: "w", Native: "web_search_20250305"}}}, catalog.Facts{}, "tools[0]"},
		{"a native block", part(llm.Part{Kind: llm.PartNative, Name: "search_result"}), catalog.Facts{}, "messages[0].content[1]"},
		{"a native block in an answer", llm.Chat{Turns: []llm.Turn{say(llm.RoleAssistant, llm.Part{Kind: llm.PartNative, Name: "server_tool_use"})}}, catalog.Facts{}, "messages[0].content[0]"},
		{"an image by id", part(llm.Part{Kind: llm.PartImage, Media: &llm.Media{FileID: "f"}}), catalog.Facts{}, "messages[0].content[1]"},
		{"a document by id", part(llm.Part{Kind: llm.PartFile, Media: &llm.Media{FileID: "f"}}), catalog.Facts{}, "messages[0].content[1]"},
		{"a document by URL", part(llm.Part{Kind: llm.PartFile, Media: &llm.Media{URL: "https://a.example/x.pdf"}}), catalog.Facts{}, "messages[0].content[1]"},
		{"five stops", llm.Chat{Stop: []string{"a", "b", "c", "d", "e"}}, catalog.Facts{}, "stop_sequences"},
		{"a stop for a model that reasons", llm.Chat{Stop: []string{"a"}}, catalog.OpenAI("o3"), "stop_sequences"},
		{"a stop for one that takes none", llm.Chat{Stop: []string{"a"}}, catalog.FactsOf("xai", "grok-4.5"), "stop_sequences"},
	} {
		_, _, err := New().WriteRequest(nil, foreign(&tc.chat), dialect.Target{Model: "t", Facts: tc.facts})
		var e *llm.Error
		if !errors.As(err, &e) || e.Code != llm.CodeUnsupported || e.Param != tc.param {
			t.Errorf("%s: %v, want one of %s", tc.name, err, tc.param)
		}
	}
}

func TestThinkingBecomesEffort(t *testing.T) {
	all := []string{"none", "minimal", "low", "medium", "high", "xhigh"}
	asked := catalog.Facts{Thinking: catalog.ThinkEffort, Efforts: all}
	five := catalog.OpenAI("gpt-5")
	for _, tc := range []struct {
		name  string
		th    llm.Thinking
		facts catalog.Facts
		want  string
		lossy bool
	}{
		{"1024", llm.Thinking{Mode: llm.ThinkBudget, Budget: 1024}, asked, "low", false},
		{"4096", llm.Thinking{Mode: llm.ThinkBudget, Budget: 4096}, asked, "low", false},
		{"4097", llm.Thinking{Mode: llm.ThinkBudget, Budget: 4097}, asked, "medium", false},
		{"12289", llm.Thinking{Mode: llm.ThinkBudget, Budget: 12289}, asked, "high", false},
		{"24576", llm.Thinking{Mode: llm.ThinkBudget, Budget: 24576}, asked, "xhigh", false},
		{"xhigh where there is none", llm.Thinking{Mode: llm.ThinkBudget, Budget: 30000}, five, "high", true},
		{"max", llm.Thinking{Mode: llm.ThinkAdaptive, Effort: "max"}, asked, "xhigh", true},
		{"off", llm.Thinking{Mode: llm.ThinkOff}, asked, "none", false},
		{"off where it cannot be", llm.Thinking{Mode: llm.ThinkOff}, five, "minimal", true},
		{"adaptive where it reasons anyway", llm.Thinking{Mode: llm.ThinkAdaptive}, five, "", false},
		{"adaptive where it must be asked", llm.Thinking{Mode: llm.ThinkAdaptive}, asked, "medium", false},
		{"a model that does not reason", llm.Thinking{Effort: "high"}, catalog.OpenAI("gpt-4o"), "", true},
		{"off for one that does not", llm.Thinking{Mode: llm.ThinkOff}, catalog.OpenAI("gpt-4o"), "", false},
		{"an unknown model", llm.Thinking{Effort: "high"}, catalog.Facts{}, "", true},
	} {
		doc, losses := writeFor(t, foreign(&llm.Chat{Thinking: &tc.th}), tc.facts)
		got, _ := doc.Get("reasoning_effort")
		if s, _ := jsonx.String(got); s != tc.want || (len(losses) > 0) != tc.lossy {
			t.Errorf("%s: %s, losses %v", tc.name, got, losses)
		}
	}
}

func TestSealsGoOnlyToTheirVendor(t *testing.T) {
	body := `{"model":"m","messages":[{"role":"assistant","content":"x","thinking_blocks":[{"type":"thinking","thinking":"t","signature":"SIG"},{"type":"redacted_thinking","data":"RED"}],` +
		`"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"GOO"}}}]}]}`
	for model, want := range map[string]string{"gpt-4o": "", "anthropic/claude-opus-5": "SIG RED", "gemini-3-pro": "GOO"} {
		req, err := New().ReadRequest(inbound([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		out, losses, err := New().WriteRequest(nil, req, dialect.Target{Model: model})
		if err != nil {
			t.Fatal(err)
		}
		lost := 3
		for _, seal := range []string{"SIG", "RED", "GOO"} {
			is := strings.Contains(string(out), seal)
			if is {
				lost--
			}
			if is != strings.Contains(want, seal) {
				t.Errorf("%s: %s is sent: %v", model, seal, is)
			}
		}
		if len(losses) != lost {
			t.Errorf("%s: losses %v", model, losses)
		}
	}
}

func TestToolNamesComeBackAsTheyWere(t *testing.T) {
	long := strings.Repeat("tool.", 20)
	req := foreign(&llm.Chat{Tools: []llm.Tool{{Name: long}}})
	answer := `{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"` + wireName(long) + `","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`
	tr := readCut(t, req, false, []byte(answer), len(answer))
	if !strings.Contains(tr.text(), "name="+long+" ") {
		t.Error(tr.text())
	}
	if n := wireName(long); len(n) > 64 || n == wireName(long+"x") || wireName("a_B-9") != "a_B-9" {
		t.Errorf("%q", n)
	}
}
