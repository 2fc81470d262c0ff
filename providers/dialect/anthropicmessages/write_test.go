package anthropicmessages

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// chat makes a request of another dialect.
func chat(more func(*llm.Chat)) *llm.Request {
	c := &llm.Chat{Turns: []llm.Turn{user("hi")}}
	if more != nil {
		more(c)
	}
	return &llm.Request{Op: llm.OpChat, Model: "alias", Body: c, Extra: llm.Extra{Dialect: string(dialect.OpenAIChat)}}
}

func words(s string) llm.Part { return llm.Part{Text: s} }

func user(s string) llm.Turn { return llm.Turn{Role: llm.RoleUser, Parts: []llm.Part{words(s)}} }

func system(s string) llm.Turn { return llm.Turn{Role: llm.RoleSystem, Parts: []llm.Part{words(s)}} }

func calls(ids ...string) llm.Turn {
	t := llm.Turn{Role: llm.RoleAssistant}
	for _, id := range ids {
		t.Parts = append(t.Parts, llm.Part{Kind: llm.PartCall, Call: &llm.ToolCall{ID: id, Name: "f", Args: "{}"}})
	}
	return t
}

func result(id, s string) llm.Turn {
	return llm.Turn{Role: llm.RoleUser, Parts: []llm.Part{{
		Kind: llm.PartReply, Reply: &llm.ToolReply{CallID: id, Plain: true, Parts: []llm.Part{words(s)}},
	}}}
}

func function(name string) llm.Tool {
	return llm.Tool{Name: name, Schema: []byte(`{"type":"object","properties":{}}`)}
}

func target(model string) dialect.Target {
	return dialect.Target{Model: model, Facts: catalog.Anthropic(model)}
}

// written writes a request and returns the named members, raw and joined by blanks, and the losses' paths.
func written(t *testing.T, req *llm.Request, model string, members ...string) (string, string) {
	t.Helper()
	out, losses, err := New().WriteRequest(nil, req, target(model))
	if err != nil {
		t.Fatal(err)
	}
	if err := jsonx.Valid(out); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got, paths []string
	for _, m := range members {
		if v := jsonx.Get(out, m); v != nil {
			got = append(got, string(v))
		} else {
			got = append(got, "-")
		}
	}
	for _, l := range losses {
		paths = append(paths, l.Path)
	}
	return strings.Join(got, " "), strings.Join(paths, " ")
}

func TestEffortsMapByTheTable(t *testing.T) {
	const adaptive, off = `{"type":"adaptive"}`, `{"type":"disabled"}`
	effort := func(s string) string { return adaptive + ` {"effort":"` + s + `"}` }
	budget := func(n int) string { return fmt.Sprintf(`{"type":"enabled","budget_tokens":%d} -`, n) }
	for _, c := range []struct {
		effort                   string
		haiku45, opus46, opus48  string
		lossHaiku, loss46, loss8 string
	}{
		{llm.EffortNone, off + " -", off + " -", off + " -", "", "", ""},
		{llm.EffortMinimal, budget(1024), effort("low"), effort("low"), "", "", ""},
		{llm.EffortLow, budget(2048), effort("low"), effort("low"), "", "", ""},
		{llm.EffortMedium, budget(8192), effort("medium"), effort("medium"), "", "", ""},
		{llm.EffortHigh, budget(16384), effort("high"), effort("high"), "", "", ""},
		{llm.EffortXHigh, budget(32768), effort("max"), effort("xhigh"), "", "reasoning_effort", ""},
		{llm.EffortMax, budget(32768), effort("max"), effort("max"), "", "", ""},
	} {
		req := func() *llm.Request {
			return chat(func(ch *llm.Chat) { ch.Thinking = &llm.Thinking{Effort: c.effort} })
		}
		for _, m := range []struct{ model, want, loss string }{
			{"claude-haiku-4-5", c.haiku45, c.lossHaiku}, {"claude-opus-4-6", c.opus46, c.loss46}, {"claude-opus-4-8", c.opus48, c.loss8},
		} {
			if got, lost := written(t, req(), m.model, "thinking", "output_config"); got != m.want || lost != m.loss {
				t.Errorf("%s to %s: got %s, losses %q; want %s, %q", c.effort, m.model, got, lost, m.want, m.loss)
			}
		}
		// A model that always reasons cannot be told not to, and one that does not reason is not asked to.
		got, lost := written(t, req(), "claude-fable-5", "thinking")
		if want := c.effort != llm.EffortNone; (got == adaptive) != want || (lost == "") != want {
			t.Errorf("%s to a model that always reasons: got %s, losses %q", c.effort, got, lost)
		}
		got, lost = written(t, req(), "claude-3-haiku-20240307", "thinking", "output_config")
		if got != "- -" || (lost == "") != (c.effort == llm.EffortNone) {
			t.Errorf("%s to a model that does not reason: got %s, losses %q", c.effort, got, lost)
		}
	}
}

func TestBudgetsMapBackToEfforts(t *testing.T) {
	for _, c := range []struct {
		budget int64
		want   string
	}{{1024, "low"}, {1535, "low"}, {4096, "low"}, {4097, "medium"}, {12288, "medium"}, {12289, "high"}, {24575, "high"}, {24576, "xhigh"}} {
		req := chat(func(ch *llm.Chat) { ch.Thinking = &llm.Thinking{Mode: llm.ThinkBudget, Budget: c.budget} })
		if got, _ := written(t, req, "claude-opus-5", "thinking", "output_config"); got != `{"type":"adaptive"} {"effort":"`+c.want+`"}` {
			t.Errorf("%d: got %s, want %s", c.budget, got, c.want)
		}
	}
}

func TestTheOutputLimitIsAboveTheBudget(t *testing.T) {
	for _, c := range []struct {
		name   string
		max    int64
		budget int64
		want   string
		lost   string
	}{
		{"no limit is the model's", 0, 8192, `64000 {"type":"enabled","budget_tokens":8192}`, ""},
		{"a larger limit stays", 9000, 8192, `9000 {"type":"enabled","budget_tokens":8192}`, ""},
		{"an equal limit is raised", 8192, 8192, `16384 {"type":"enabled","budget_tokens":8192}`, "max_completion_tokens"},
		{"a small limit is raised by 1024 at least", 10, 8192, `9216 {"type":"enabled","budget_tokens":8192}`, "max_completion_tokens"},
		{"the model's limit caps the budget", 500, 70000, `64000 {"type":"enabled","budget_tokens":62976}`, "max_completion_tokens"},
		{"a budget below the least is raised", 5000, 100, `5000 {"type":"enabled","budget_tokens":1024}`, "reasoning_effort"},
	} {
		req := chat(func(ch *llm.Chat) {
			ch.MaxTokens, ch.Thinking = c.max, &llm.Thinking{Mode: llm.ThinkBudget, Budget: c.budget}
		})
		if got, lost := written(t, req, "claude-haiku-4-5", "max_tokens", "thinking"); got != c.want || lost != c.lost {
			t.Errorf("%s: got %s, losses %q", c.name, got, lost)
		}
	}
}

func TestTheDefaultOutputLimitIsTheModels(t *testing.T) {
	for model, want := range map[string]string{
		"claude-3-haiku-20240307": "4096", "claude-3-5-sonnet-latest": "8192", "claude-opus-4-1": "32000", "claude-sonnet-4-0": "64000",
		"claude-opus-4-5": "64000", "claude-sonnet-4-6": "64000", "claude-opus-4-6": "128000", "claude-opus-5": "128000",
		"claude-next-9": "128000", "other-model": "4096",
	} {
		if got, lost := written(t, chat(nil), model, "max_tokens"); got != want || lost != "" {
			t.Errorf("%s: got %s, losses %q, want %s", model, got, lost, want)
		}
	}
}

func TestToolChoiceHasAllMeanings(t *testing.T) {
	yes, no := true, false
	both := `[{"name":"f","input_schema":{"type":"object","properties":{}}},{"name":"g","input_schema":{"type":"object","properties":{}}}]`
	one := both[:strings.Index(both, "},{\"name\":\"g\"")] + "}]"
	for _, c := range []struct {
		mode     llm.ChoiceMode
		names    []string
		parallel *bool
		want     string
	}{
		{llm.ChoiceUnset, nil, nil, both + ` -`},
		{llm.ChoiceUnset, nil, &yes, both + ` -`},
		{llm.ChoiceUnset, nil, &no, both + ` {"type":"auto","disable_parallel_tool_use":true}`},
		{llm.ChoiceAuto, nil, nil, both + ` {"type":"auto"}`},
		{llm.ChoiceAuto, nil, &no, both + ` {"type":"auto","disable_parallel_tool_use":true}`},
		{llm.ChoiceNone, nil, nil, both + ` {"type":"none"}`},
		{llm.ChoiceNone, nil, &no, both + ` {"type":"none"}`},
		{llm.ChoiceAny, nil, nil, both + ` {"type":"any"}`},
		{llm.ChoiceAny, nil, &no, both + ` {"type":"any","disable_parallel_tool_use":true}`},
		{llm.ChoiceOne, []string{"g"}, nil, both + ` {"type":"tool","name":"g"}`},
		{llm.ChoiceOne, []string{"g"}, &no, both + ` {"type":"tool","name":"g","disable_parallel_tool_use":true}`},
		{llm.ChoiceSomeAuto, []string{"f"}, nil, one + ` {"type":"auto"}`},
		{llm.ChoiceSomeAny, []string{"f"}, nil, one + ` {"type":"any"}`},
	} {
		req := chat(func(ch *llm.Chat) {
			ch.Tools = []llm.Tool{function("f"), function("g")}
			ch.Choice, ch.Parallel = llm.ToolChoice{Mode: c.mode, Names: c.names}, c.parallel
		})
		if got, lost := written(t, req, "claude-opus-4-8", "tools", "tool_choice"); got != c.want || lost != "" {
			t.Errorf("mode %d %v: got %s, losses %q; want %s", c.mode, c.names, got, lost, c.want)
		}
	}
}

func TestSamplingMembers(t *testing.T) {
	f := func(x float64) *float64 { return &x }
	n := func(x int64) *int64 { return &x }
	think := &llm.Thinking{Effort: llm.EffortLow}
	for _, c := range []struct {
		name, model string
		sampling    llm.Sampling
		think       *llm.Thinking
		want, lost  string
	}{
		{"pass", "claude-3-opus", llm.Sampling{Temperature: f(0.5), TopP: f(0.9), TopK: n(5)}, nil, "0.5 0.9 5", ""},
		{"above 1 is clamped", "claude-3-opus", llm.Sampling{Temperature: f(1.7)}, nil, "1 - -", "temperature"},
		{"one of two", "claude-sonnet-4-5", llm.Sampling{Temperature: f(0.5), TopP: f(0.9)}, nil, "0.5 - -", "top_p"},
		{"one of two alone", "claude-opus-4-1", llm.Sampling{TopP: f(0.9)}, nil, "- 0.9 -", ""},
		{"both where both go", "claude-opus-4-6", llm.Sampling{Temperature: f(0), TopP: f(0.9)}, nil, "0 0.9 -", ""},
		{"none at all", "claude-opus-4-7", llm.Sampling{Temperature: f(1), TopP: f(1), TopK: n(1)}, nil, "- - -", "temperature top_p top_k"},
		{"while reasoning", "claude-opus-4-6", llm.Sampling{Temperature: f(0.5), TopP: f(0.9), TopK: n(1)}, think, "- - -", "temperature top_p top_k"},
		{"what reasoning allows", "claude-opus-4-6", llm.Sampling{Temperature: f(1), TopP: f(0.95)}, think, "1 0.95 -", ""},
		{"top_k off", "claude-3-opus", llm.Sampling{TopK: n(-1)}, nil, "- - -", "top_k"},
		{"no equal", "claude-3-opus", llm.Sampling{Seed: n(1), PresencePenalty: f(1), FrequencyPenalty: f(1), LogitBias: []byte("{}")}, nil, "- - -", "seed presence_penalty frequency_penalty logit_bias"},
	} {
		req := chat(func(ch *llm.Chat) { ch.Sampling, ch.Thinking = c.sampling, c.think })
		if got, lost := written(t, req, c.model, "temperature", "top_p", "top_k"); got != c.want || lost != c.lost {
			t.Errorf("%s: got %s, losses %q; want %s, %q", c.name, got, lost, c.want, c.lost)
		}
	}
}

func TestHintsAndStops(t *testing.T) {
	req := chat(func(ch *llm.Chat) {
		yes, top := true, int64(2)
		ch.Stop = []string{"END", "  ", "\n"}
		ch.Hints = llm.Hints{User: "u1", ServiceTier: "flex", CacheKey: "k", CacheTTL: "24h", Verbosity: "low", Metadata: []byte(`{"a":"b"}`), Store: &yes}
		ch.Logprobs = &llm.Logprobs{On: true, Top: &top}
	})
	req.Extra.Members = []llm.Member{{Name: "prediction", Raw: []byte(`{}`)}, {Name: "modalities", Raw: []byte(`["text"]`)}}
	got, lost := written(t, req, "claude-opus-4-8", "stop_sequences", "metadata", "service_tier")
	if want := `["END"] {"user_id":"u1"} -`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want := "stop[1] stop[2] service_tier logprobs top_logprobs verbosity prompt_cache_key prompt_cache_retention store metadata prediction modalities"
	if lost != want {
		t.Errorf("losses %s, want %s", lost, want)
	}
}

func TestWhatCannotBeCarriedIsRefused(t *testing.T) {
	media := func(p llm.Part) func(*llm.Chat) {
		return func(ch *llm.Chat) { ch.Turns = []llm.Turn{{Role: llm.RoleUser, Parts: []llm.Part{p}}} }
	}
	for _, c := range []struct {
		name  string
		req   *llm.Request
		code  llm.Code
		param string
	}{
		{"two answers", chat(func(ch *llm.Chat) { ch.N = 2 }), llm.CodeUnsupported, "n"},
		{"audio", chat(media(llm.Part{Kind: llm.PartAudio, Media: &llm.Media{Data: "aGk=", Format: "wav"}})), llm.CodeUnsupported, "messages[0].content[0].input_audio"},
		{"a file id", chat(media(llm.Part{Kind: llm.PartFile, Media: &llm.Media{FileID: "file-1"}})), llm.CodeUnsupported, "messages[0].content[0]"},
		{"a spreadsheet", chat(media(llm.Part{Kind: llm.PartFile, Media: &llm.Media{Type: "text/csv", Data: "aGk="}})), llm.CodeUnsupported, "messages[0].content[0]"},
		{"an http URL", chat(media(llm.Part{Kind: llm.PartImage, Media: &llm.Media{URL: "http://x/y.png"}})), llm.CodeUnsupported, "messages[0].content[0]"},
		{"a drawing", chat(media(llm.Part{Kind: llm.PartImage, Media: &llm.Media{Type: "image/svg+xml", Data: "PHN2Zz4="}})), llm.CodeInvalid, "messages[0].content[0]"},
		{"a block of another dialect", chat(media(llm.Part{Kind: llm.PartNative, Name: "x", Raw: []byte("{}")})), llm.CodeUnsupported, "messages[0].content[0]"},
		{"a blank message", chat(func(ch *llm.Chat) { ch.Turns = append(ch.Turns, user(" \n")) }), llm.CodeInvalid, "messages[1].content"},
		{"blank system text alone", chat(func(ch *llm.Chat) { ch.Turns = []llm.Turn{system(" ")} }), llm.CodeInvalid, "messages"},
		{"a result without its call", chat(func(ch *llm.Chat) { ch.Turns = append(ch.Turns, result("a", "x")) }), llm.CodeInvalid, "messages[1]"},
		{"a tool of another dialect", chat(func(ch *llm.Chat) { ch.Tools = []llm.Tool{{Native: "computer", Name: "x", Raw: []byte("{}")}} }), llm.CodeUnsupported, "tools[0]"},
		{"a forced call without tools", chat(func(ch *llm.Chat) { ch.Choice.Mode = llm.ChoiceAny }), llm.CodeInvalid, "tool_choice"},
		{"an allowed tool that is none", chat(func(ch *llm.Chat) {
			ch.Tools, ch.Choice = []llm.Tool{function("f")}, llm.ToolChoice{Mode: llm.ChoiceSomeAny, Names: []string{"g"}}
		}), llm.CodeInvalid, "tool_choice"},
		{"no chat", &llm.Request{Op: llm.OpModels}, llm.CodeUnsupported, ""},
	} {
		_, _, err := New().WriteRequest(nil, c.req, target("claude-opus-4-8"))
		var e *llm.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Param != c.param {
			t.Errorf("%s: got %v, want %v %s", c.name, err, c.code, c.param)
		}
	}
	req := chat(nil)
	req.Extra.Members = []llm.Member{{Name: "modalities", Raw: []byte(`["text","audio"]`)}}
	if _, _, err := New().WriteRequest(nil, req, target("claude-opus-4-8")); err == nil {
		t.Error("an answer with audio was asked for")
	}
}

func TestStructuredOutput(t *testing.T) {
	schema := `{"type":"object","properties":{"n":{"type":"integer","minimum":1,"description":"how many"},"s":{"type":"array","items":{"type":"object","properties":{"a":{"type":"string","maxLength":3}}}}},"required":["n"]}`
	closed := `{"type":"object","properties":{"n":{"type":"integer","description":"how many\n\n{minimum: 1}"},"s":{"type":"array","items":{"type":"object","properties":{"a":{"type":"string","description":"{maxLength: 3}"}},"additionalProperties":false}}},"required":["n"],"additionalProperties":false}`
	out := func(kind llm.OutputKind, s string) func(*llm.Chat) {
		return func(ch *llm.Chat) { ch.Output = llm.Output{Kind: kind, Name: "x"}; ch.Output.Schema = []byte(s) }
	}
	got, lost := written(t, chat(out(llm.OutputSchema, schema)), "claude-opus-4-8", "output_config", "tools")
	if want := `{"format":{"type":"json_schema","schema":` + closed + `}} -`; got != want || lost != "" {
		t.Errorf("got %s, losses %q\nwant %s", got, lost, want)
	}
	trick := `{"name":"json_output","description":"Give the answer by calling this tool, once.","input_schema":` + schema + `}`
	got, lost = written(t, chat(out(llm.OutputSchema, schema)), "claude-3-haiku", "output_config", "tools", "tool_choice")
	if want := `- [` + trick + `] {"type":"tool","name":"json_output","disable_parallel_tool_use":true}`; got != want || lost != "" {
		t.Errorf("got %s, losses %q\nwant %s", got, lost, want)
	}
	req := chat(out(llm.OutputSchema, schema))
	req.Chat().Tools = []llm.Tool{function("json_output")}
	got, _ = written(t, req, "claude-3-haiku", "tool_choice", "tools")
	if !strings.HasPrefix(got, `{"type":"any"} [{"name":"json_output",`) || !strings.Contains(got, `{"name":"json_output_",`) {
		t.Errorf("with tools: got %s", got)
	}
	req.Chat().Choice.Mode = llm.ChoiceNone
	if got, _ = written(t, req, "claude-3-haiku", "tool_choice"); got != `{"type":"tool","name":"json_output_","disable_parallel_tool_use":true}` {
		t.Errorf("without calls: got %s", got)
	}
	req.Chat().Choice.Mode = llm.ChoiceAny
	if got, lost = written(t, req, "claude-3-haiku", "tool_choice"); got != `{"type":"any"}` || lost != "response_format" {
		t.Errorf("with a forced call: got %s, losses %q", got, lost)
	}
	req = chat(out(llm.OutputSchema, schema))
	req.Chat().Thinking = &llm.Thinking{Effort: llm.EffortHigh}
	if got, lost = written(t, req, "claude-sonnet-4-0", "thinking"); got != "-" || lost != "reasoning_effort" {
		t.Errorf("while reasoning: got %s, losses %q", got, lost)
	}
	if got, _ = written(t, chat(out(llm.OutputJSON, "")), "claude-3-haiku", "system"); got != `[{"type":"text","text":"`+jsonLine+`"}]` {
		t.Errorf("any object: got %s", got)
	}
}

func TestSystemText(t *testing.T) {
	turns := func(ts ...llm.Turn) *llm.Request { return chat(func(ch *llm.Chat) { ch.Turns = ts }) }
	const hi = `{"role":"user","content":[{"type":"text","text":"hi"}]}`
	block := func(s string) string { return `{"type":"text","text":"` + s + `"}` }
	developer := system("b")
	developer.Role = llm.RoleDeveloper
	for _, c := range []struct {
		name, model string
		req         *llm.Request
		want        string
	}{
		{"none", "claude-3-opus", turns(user("hi")), "- [" + hi + "]"},
		{"one", "claude-3-opus", turns(system("a"), user("hi")), "[" + block("a") + "] [" + hi + "]"},
		{"two", "claude-3-opus", turns(system("a"), developer, user("hi")), "[" + block("a") + "," + block("b") + "] [" + hi + "]"},
		{"blank", "claude-3-opus", turns(system(" "), user("hi")), "- [" + hi + "]"},
		{"in the middle, hoisted", "claude-3-opus", turns(user("hi"), system("a")), "[" + block("a") + "] [" + hi + "]"},
		{"in the middle, in place", "claude-opus-4-8", turns(user("hi"), system("a")), "- [" + hi + `,{"role":"system","content":[` + block("a") + "]}]"},
		{"alone", "claude-opus-4-8", turns(system("a"), developer), `- [{"role":"user","content":[` + block("a") + "," + block("b") + "]}]"},
	} {
		if got, lost := written(t, c.req, c.model, "system", "messages"); got != c.want || lost != "" {
			t.Errorf("%s: got %s, losses %q\nwant %s", c.name, got, lost, c.want)
		}
	}
}
