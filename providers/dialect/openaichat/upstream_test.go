package openaichat

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/quirk"
)

func TestAServerWithQuirksGetsItsOwnSplice(t *testing.T) {
	body := `{"model":"m", "stream":true,"logit_bias":{"1":2},"messages":[{"role":"user","content":"hi"}],"unknown" : [1.0]}`
	h, err := New().Peek(inbound([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		q      Quirks
		edits  dialect.Edits
		want   string
		shapes bool
		strips bool
	}{
		{"none: the client's own bytes", Quirks{}, dialect.Edits{}, body, false, true},
		{"none: as the codec does", Quirks{}, dialect.Edits{Model: "x", AskUsage: true},
			`{"model":"x", "stream":true,"logit_bias":{"1":2},"messages":[{"role":"user","content":"hi"}],"unknown" : [1.0],"stream_options":{"include_usage":true}}`, false, true},
		{"usage comes anyway", Quirks{Usage: "always"}, dialect.Edits{AskUsage: true}, body, false, false},
		{"a member less", Quirks{Drops: []string{"logit_bias", "unknown"}}, dialect.Edits{Model: "x", AskUsage: true},
			`{"model":"x", "stream":true,"messages":[{"role":"user","content":"hi"}],"stream_options":{"include_usage":true}}`, true, true},
	} {
		u := NewUpstream(tc.q)
		for range 2 {
			got, err := u.Splice(nil, h, tc.edits)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, string(got)); d != "" {
				t.Errorf("%s: %s", tc.name, d)
			}
		}
		_, strips := u.(dialect.Stripper)
		if got := u.(dialect.Reshaper).Reshapes(h); got != tc.shapes || strips != tc.strips {
			t.Errorf("%s: reshapes %v, strips %v", tc.name, got, strips)
		}
	}
}

func TestWhatAServerRefusesIsSaidBeforeItIsAsked(t *testing.T) {
	h, err := New().Peek(inbound([]byte(`{"model":"m","messages":[{"role":"user","content":"hi"}],"n":2,"seed":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	u := NewUpstream(Quirks{Single: true})
	_, err = u.Splice(nil, h, dialect.Edits{})
	var e *llm.Error
	if !errors.As(err, &e) || e.Param != "n" || e.Code != llm.CodeUnsupported {
		t.Errorf("%v", err)
	}
	if _, err = u.(dialect.Trimmer).Trims(h, "m"); !errors.As(err, &e) || e.Param != "n" {
		t.Errorf("%v", err)
	}
	losses, err := NewUpstream(Quirks{Drops: []string{"seed"}}).(dialect.Trimmer).Trims(h, "m")
	if err != nil || len(losses) != 1 || losses[0].Path != "seed" {
		t.Errorf("%v, %v", losses, err)
	}
}

func TestARequestOfAnotherDialectFitsTheServer(t *testing.T) {
	thought := llm.Part{Kind: llm.PartThought, Text: "hm", Seal: "s", From: sealAnthropic}
	call := llm.Part{Kind: llm.PartCall, Call: &llm.ToolCall{ID: "toolu_1", Name: "f"}}
	reply := llm.Part{Kind: llm.PartReply, Reply: &llm.ToolReply{CallID: "toolu_1", Parts: []llm.Part{words("1")}}}
	for _, tc := range []struct {
		name    string
		q       Quirks
		chat    llm.Chat
		member  string
		want    string
		losses  string
		refused string
	}{
		{"a limit by its name", Quirks{MaxTokens: "max_completion_tokens"}, llm.Chat{MaxTokens: 5}, "max_completion_tokens", "5", "", ""},
		{"usage that needs no asking", Quirks{Usage: "always"}, llm.Chat{}, "stream_options", "", "", ""},
		{"usage that never comes is no loss of a client's that has not asked", Quirks{Usage: "never"}, llm.Chat{}, "stream_options", "", "", ""},
		{"a dropped member by its name in the client's dialect", Quirks{Drops: []string{"user"}}, llm.Chat{Hints: llm.Hints{User: "u"}}, "user", "", "metadata.user_id", ""},
		{"a refused member likewise", Quirks{Refuses: []string{"stop"}}, llm.Chat{Stop: []string{"x"}}, "", "", "", "stop_sequences"},
		{"a forced choice in its word", Quirks{Values: []quirk.Value{{Member: "tool_choice", From: "required", To: "any"}}},
			llm.Chat{Tools: []llm.Tool{{Name: "f"}}, Choice: llm.ToolChoice{Mode: llm.ChoiceAny}}, "tool_choice", `"any"`, "", ""},
		{"a knob of its own", Quirks{Reasoning: quirk.Reasoning{Knob: "enable_thinking", Budget: "thinking_budget"}},
			llm.Chat{Thinking: &llm.Thinking{Mode: llm.ThinkBudget, Budget: 4000}}, "thinking_budget", "4000", "", ""},
		{"a knob that the model lacks", Quirks{Reasoning: quirk.Reasoning{Knob: "effort", Models: []string{"other*"}}},
			llm.Chat{Thinking: &llm.Thinking{Mode: llm.ThinkBudget, Budget: 4000}}, "reasoning_effort", "", "thinking", ""},
		{"reasoning is not asked for where no knob is known", Quirks{}, llm.Chat{Thinking: &llm.Thinking{Effort: "high"}}, "reasoning_effort", "", "output_config.effort", ""},
		{"thinking off", Quirks{Reasoning: quirk.Reasoning{Knob: "thinking"}}, llm.Chat{Thinking: &llm.Thinking{Mode: llm.ThinkOff}}, "thinking", `{"type":"disabled"}`, "", ""},
		{"reasoning goes back with calls, without its seal", Quirks{CallID: 9, Reasoning: quirk.Reasoning{History: "calls"}},
			llm.Chat{Turns: []llm.Turn{say(llm.RoleAssistant, thought, words("a")), say(llm.RoleUser, words("b")), say(llm.RoleAssistant, thought, call), say(llm.RoleUser, reply)}}, "messages",
			`[{"role":"assistant","reasoning_content":"hm","content":"a"},{"role":"user","content":"b"},{"role":"assistant","reasoning_content":"hm","content":null,"tool_calls":[{"id":"ID","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"ID","content":"1"}]`,
			"messages[0].content[0].signature messages[2].content[0].signature", ""},
		{"an image", Quirks{Parts: []string{"text"}}, llm.Chat{Turns: []llm.Turn{say(llm.RoleSystem, words("s")), say(llm.RoleUser, words("x"), llm.Part{Kind: llm.PartImage, Media: &llm.Media{URL: "https://a.example/x.png"}})}},
			"", "", "", "messages[0].content[1]"},
		{"a plain document is text", Quirks{Parts: []string{"text"}}, llm.Chat{Turns: []llm.Turn{say(llm.RoleUser, llm.Part{Kind: llm.PartFile, Media: &llm.Media{Type: "text/plain", Text: "doc"}})}},
			"messages", `[{"role":"user","content":[{"type":"text","text":"doc"}]}]`, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := foreign(&tc.chat)
			req.Stream = true
			u := NewUpstream(tc.q)
			body, losses, err := u.WriteRequest(nil, req, dialect.Target{Model: "t"})
			if e, ok := errors.AsType[*llm.Error](err); ok {
				if e.Param != tc.refused {
					t.Fatalf("%v, want one of %q", err, tc.refused)
				}
				return
			}
			if err != nil || tc.refused != "" {
				t.Fatal("not refused", err)
			}
			h, err := New().Peek(inbound(body))
			if err != nil && tc.member != "messages" && len(tc.chat.Turns) > 0 {
				t.Fatalf("%v: %s", err, body)
			}
			var paths []string
			for _, l := range losses {
				paths = append(paths, l.Path)
			}
			if got := strings.Join(paths, " "); got != tc.losses {
				t.Errorf("losses %q, want %q", got, tc.losses)
			}
			want := tc.want
			if h != nil {
				got, _ := h.Doc.Get(tc.member)
				if i := strings.Index(string(got), `"tool_call_id":"`); i > 0 {
					id := string(got[i+len(`"tool_call_id":"`):][:9])
					want = strings.ReplaceAll(want, "ID", id)
				}
				if d := cmp.Diff(want, string(got)); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func TestReasoningIsSpliced(t *testing.T) {
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning_effort":"low"}`)
	req, err := New().ReadRequest(inbound(body))
	if err != nil {
		t.Fatal(err)
	}
	u := NewUpstream(Quirks{Reasoning: quirk.Reasoning{Knob: "enable_thinking"}})
	got, losses, err := u.WriteRequest(nil, req, dialect.Target{Model: "t"})
	if want := `{"model":"t","messages":[{"role":"user","content":"hi"}],"enable_thinking":true}`; err != nil || string(got) != want || len(losses) > 0 {
		t.Errorf("%v %v\n%s", err, losses, got)
	}
	h, err := New().Peek(inbound(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err = u.Splice(nil, h, dialect.Edits{Model: "t"})
	if want := `{"model":"t","messages":[{"role":"user","content":"hi"}],"enable_thinking":true}`; err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

// peculiar are streams that show what is peculiar in the answers of a vendor, each by its name in quirk.Answers and
// with the same meaning as the first, or with what differs.
var peculiar = map[string]struct{ stream, want string }{
	"": {`{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}
{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}
{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}
[DONE]`, ""},
	"comments":         {"#: PROCESSING\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"}}]}` + "\n#: keep-alive\n" + `{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}` + "\n[DONE]", ""},
	"crlf":             {"CRLF" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"extra_members":    {`{"id":"a","model":"m","provider":"P","x":[{"y":1}],"choices":[{"index":0,"delta":{"content":"Hi","content_filter_offsets":{}},"native_finish_reason":"end","finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"cost":0.1}}`, ""},
	"finish_absent":    {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"}}]}` + "\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"finish_repeated":  {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}` + "\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"first_chunk_bare": {`{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}` + "\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"no_object":        {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}` + "\n[DONE]", ""},
	"no_done":          {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"reasoning":        {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}}]}` + "\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, "thought hm"},
	"role_repeated":    {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"H"}}]}` + "\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"i"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"usage_on_finish":  {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"}}]}` + "\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":3,"completion_tokens":2}}}` + "\n[DONE]", ""},
	"whole_calls":      {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, "call"},

	"content_object":   {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":{"a": 1}},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, `text {"a":1}`},
	"content_parts":    {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hi"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, "thought hm"},
	"cumulative_usage": {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"H"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}` + "\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"i"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`, ""},
	"empty_call_id":    {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, "made"},
	"empty_strings":    {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi","refusal":"","function_call":{"name":"","arguments":""},"audio":{"data":""},"tool_calls":[]},"finish_reason":""}]}` + "\n" + `{"id":"","model":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"foreign_chunks":   {`{"id":"a","model":"m","object":"chat.completion.chunk","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"delta":{"content":"Hi"}}]}` + "\n" + `{"id":"a","model":"m","object":"chat.completion.done","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"foreign_errors":   {`{"id":"a","model":"m","choices":[{"index":0,"error":{"code":502,"message":"down"},"delta":{}}]}`, "failed down"},
	"no_call_index":    {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, "call"},
	"no_role":          {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"}}]}` + "\n" + `{"id":"a","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
	"reasoning_apart":  {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":5,"completion_tokens_details":{"reasoning_tokens":1}}}`, "reasoning 1"},
	"stop_with_calls":  {`{"id":"a","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, "call"},
}

// TestEveryPeculiarityIsMadeOrdinary reads a stream with each, writes it for a client, and looks at the bytes: they
// are those of OpenAI's own.
func TestEveryPeculiarityIsMadeOrdinary(t *testing.T) {
	for _, name := range quirk.Answers() {
		if _, ok := peculiar[name]; !ok {
			t.Errorf("%s has no stream", name)
		}
	}
	for name, p := range peculiar {
		t.Run("a stream with "+name, func(t *testing.T) {
			const plain = `data: {"id":"a","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`
			out := written(t, sseOf(p.stream))
			if !strings.HasPrefix(out, plain) && !strings.HasPrefix(p.want, "failed") {
				t.Errorf("it begins with something else:\n%s", out)
			}
			want := []string{`"delta":{"content":"Hi"}`, `"finish_reason":"stop"`, `"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5`, "data: [DONE]\n\n"}
			switch {
			case name == "role_repeated", name == "cumulative_usage":
				want[0] = `"delta":{"content":"i"}`
			case p.want == "call" || p.want == "made":
				id := map[string]string{"call": `"id":"c"`, "made": `"id":"call_made`}[p.want]
				want = append(want[2:], `"index":0,`+id, `"type":"function"`, `"name":"f"`, `{\"a\":1}`, `"finish_reason":"tool_calls"`)
			case strings.HasPrefix(p.want, "thought"):
				want = append(want, `"reasoning_content":"hm"`)
			case strings.HasPrefix(p.want, "text"):
				want = append(want[1:], `"content":"{\"a\":1}"`)
			case strings.HasPrefix(p.want, "reasoning"):
				want = append(want, `"reasoning_tokens":1`)
			case strings.HasPrefix(p.want, "failed"):
				want = []string{`data: {"error":{"message":"down"`}
			}
			for _, w := range want {
				if strings.Count(out, w) != 1 {
					t.Errorf("%d of %s in:\n%s", strings.Count(out, w), w, out)
				}
			}
			if strings.Contains(out, `"index":1`) || strings.Contains(out, `"tool_calls":[]`) || strings.Contains(out, `"finish_reason":""`) || strings.Count(out, `"role"`) > 1 || strings.Count(out, `"usage"`) > 1 {
				t.Errorf("it is not ordinary:\n%s", out)
			}
		})
	}
}

// sseOf frames the lines of a stream.
func sseOf(lines string) string {
	lines, crlf := strings.CutPrefix(lines, "CRLF")
	var b strings.Builder
	for l := range strings.SplitSeq(lines, "\n") {
		if c, comment := strings.CutPrefix(l, "#"); comment {
			b.WriteString(c + "\n\n")
		} else {
			b.WriteString("data: " + l + "\n\n")
		}
	}
	if crlf {
		return strings.ReplaceAll(b.String(), "\n", "\r\n")
	}
	return b.String()
}

// written reads a stream and writes it for a client that wants usage.
func written(t *testing.T, stream string) string {
	t.Helper()
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Usage: true, Body: new(llm.Chat), Extra: llm.Extra{Dialect: name}}
	c := fixed()
	w := c.NewWriter(req, true)
	var out []byte
	err := c.NewReader(req, true).Feed([]byte(stream), true, func(ev *llm.Event) (err error) {
		out, err = w.Write(out, ev)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err = w.Close(out); err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// BenchmarkSplice is a request of about 100 KB on the diagonal to a server that needs every message looked at.
func BenchmarkSplice(b *testing.B) {
	var turns []string
	for i := range 100 {
		turns = append(turns, `{"role":"user","content":"`+strings.Repeat("word ", 200)+`"}`, `{"role":"assistant","content":"ok","reasoning_content":"hm","tool_calls":[{"id":"call_`+strings.Repeat("x", i%9)+`","type":"function","function":{"name":"f","arguments":"{}"}}]}`)
	}
	body := []byte(`{"model":"m","seed":1,"messages":[` + strings.Join(turns, ",") + `]}`)
	for name, q := range map[string]Quirks{
		"none":     {},
		"members":  {Drops: []string{"seed"}, MaxTokens: "max_tokens"},
		"messages": {Drops: []string{"seed"}, Developer: true, CallID: 9, Parts: []string{"text"}, Reasoning: quirk.Reasoning{History: "calls"}},
	} {
		b.Run(name, func(b *testing.B) {
			u := NewUpstream(q)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				h, err := New().Peek(inbound(body))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := u.Splice(nil, h, dialect.Edits{Model: "x"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
