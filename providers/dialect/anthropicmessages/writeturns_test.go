package anthropicmessages

import (
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
)

func TestResultsFollowTheirCallsInOneMessage(t *testing.T) {
	long := strings.Repeat("x", 70)
	req := chat(func(ch *llm.Chat) {
		ch.Turns = []llm.Turn{
			user("hi"), calls("a.b", "a_b", "a/b", long), result("a/b", "3"), user("meanwhile"), result("a.b", "1"), result("a_b", ""), result(long, "4"), user("go on"),
		}
	})
	out, losses, err := New().WriteRequest(nil, req, target("claude-opus-4-8"))
	if err != nil || len(losses) > 0 {
		t.Fatal(err, losses)
	}
	var shape []string
	ids := map[string][]string{}
	for _, m := range jsonx.Elements(jsonx.Get(out, "messages")) {
		s := string(plain(jsonx.Get(m, "role")))
		for _, b := range jsonx.Elements(jsonx.Get(m, "content")) {
			kind := string(plain(jsonx.Get(b, "type")))
			s += " " + kind
			for _, n := range []string{"id", "tool_use_id"} {
				if id, ok := jsonx.String(jsonx.Get(b, n)); ok {
					ids[kind] = append(ids[kind], id)
				}
			}
		}
		shape = append(shape, s)
	}
	want := []string{
		"user text", "assistant tool_use tool_use tool_use tool_use", "user tool_result tool_result tool_result tool_result", "user text", "user text",
	}
	if !slices.Equal(shape, want) {
		t.Errorf("got %q\nwant %q", shape, want)
	}
	uses, results := ids["tool_use"], ids["tool_result"]
	if uses[1] != "a_b" || len(uses[3]) > maxID || results[0] != uses[2] || results[1] != uses[0] || results[2] != uses[1] || results[3] != uses[3] {
		t.Errorf("calls %q, results %q", uses, results)
	}
	slices.Sort(uses)
	if len(slices.Compact(uses)) != 4 {
		t.Errorf("ids fell together: %q", uses)
	}
	if strings.Contains(string(out), `"content":""`) || strings.Contains(string(out), `"text":""`) {
		t.Errorf("blank text in %s", out)
	}
}

func TestReasoningGoesBackToWhoSignedIt(t *testing.T) {
	thought := func(text, seal, from string) llm.Part {
		return llm.Part{Kind: llm.PartThought, Text: text, Seal: seal, From: from}
	}
	for _, c := range []struct {
		name     string
		thoughts []llm.Part
		content  string // in front of the call
		thinking string
		lost     string
	}{
		{"signed here", []llm.Part{thought("hm", "S", name)}, `{"type":"thinking","thinking":"hm","signature":"S"},`, `{"type":"adaptive"}`, ""},
		{"redacted here", []llm.Part{thought("", "D", name)}, `{"type":"redacted_thinking","data":"D"},`, `{"type":"adaptive"}`, ""},
		{"hidden here", []llm.Part{thought("", hiddenPrefix+"S", name)}, `{"type":"thinking","thinking":"","signature":"S"},`, `{"type":"adaptive"}`, ""},
		{"not signed", []llm.Part{thought("hm", "", "")}, ``, `-`, "reasoning_effort messages[1].reasoning_content"},
		{"signed elsewhere", []llm.Part{thought("hm", "S", "gemini")}, ``, `-`, "reasoning_effort messages[1].reasoning_content"},
		{"not sent back", nil, ``, `-`, "reasoning_effort"},
	} {
		req := chat(func(ch *llm.Chat) {
			ch.Thinking = &llm.Thinking{Effort: llm.EffortHigh}
			turn := calls("a")
			turn.Parts = append(slices.Clone(c.thoughts), turn.Parts...)
			ch.Turns = []llm.Turn{user("hi"), turn, result("a", "x")}
		})
		got, lost := written(t, req, "claude-opus-4-8", "thinking", "messages")
		want := c.thinking + ` [{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":[` + c.content + `{"type":"tool_use","id":"a","name":"f","input":{}}]}`
		if !strings.HasPrefix(got, want) || lost != c.lost {
			t.Errorf("%s: got %s, losses %q\nwant %s, %q", c.name, got, lost, want, c.lost)
		}
	}
}

func TestCacheMarksAreCarriedUpToFour(t *testing.T) {
	req := chat(func(ch *llm.Chat) {
		mark := &llm.CacheMark{TTL: "1h"}
		ch.Tools = []llm.Tool{function("f")}
		ch.Tools[0].Cache = &llm.CacheMark{}
		ch.Turns = []llm.Turn{system("s"), user("1"), user("2"), user("3"), user("4")}
		for i := range ch.Turns {
			ch.Turns[i].Parts[0].Cache = mark
		}
	})
	out, losses, err := New().WriteRequest(nil, req, target("claude-opus-4-8"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), "cache_control"); n != 4 || strings.Count(string(out), `{"type":"ephemeral","ttl":"1h"}`) != 3 {
		t.Errorf("%d marks in %s", n, out)
	}
	if len(losses) != 2 || losses[0].Path != "messages[3].content[0].cache_control" || losses[1].Path != "messages[4].content[0].cache_control" {
		t.Errorf("losses %v", losses)
	}
}

func TestMedia(t *testing.T) {
	const png, pdf = "iVBORw0KGgoAAAA=", "JVBERi0xLjQK"
	for _, c := range []struct {
		name string
		part llm.Part
		want string
		lost string
	}{
		{"an image under another type", llm.Part{Kind: llm.PartImage, Media: &llm.Media{Type: "image/jpeg", Data: png, Detail: "low"}}, `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + png + `"}}`, "messages[0].content[0].image_url.detail"},
		{"an image by URL", llm.Part{Kind: llm.PartImage, Media: &llm.Media{URL: "https://example.com/a"}}, `{"type":"image","source":{"type":"url","url":"https://example.com/a"}}`, ""},
		{"a PDF", llm.Part{Kind: llm.PartFile, Media: &llm.Media{Data: pdf, Name: "a.pdf"}}, `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"` + pdf + `"},"title":"a.pdf"}`, ""},
		{"a text file", llm.Part{Kind: llm.PartFile, Media: &llm.Media{Type: "text/plain; charset=utf-8", Data: "aMOk"}}, `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hä"}}`, ""},
		{"a text", llm.Part{Kind: llm.PartFile, Media: &llm.Media{Type: "text/plain", Text: "x"}}, `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}}`, ""},
	} {
		req := chat(func(ch *llm.Chat) { ch.Turns = []llm.Turn{{Parts: []llm.Part{c.part}}} })
		got, lost := written(t, req, "claude-opus-4-8", "messages")
		if want := `[{"role":"user","content":[` + c.want + `]}]`; got != want || lost != c.lost {
			t.Errorf("%s: got %s, losses %q\nwant %s", c.name, got, lost, want)
		}
	}
}

func TestToolNamesThatDoNotFitAreRenamedAndBack(t *testing.T) {
	const odd = "weather.get:now"
	req := chat(func(ch *llm.Chat) { ch.Tools = []llm.Tool{function(odd), {Name: "bare"}} })
	got, lost := written(t, req, "claude-opus-4-8", "tools")
	wire := wireName(odd)
	if lost != "tools[0].function.name" || !strings.Contains(got, `"name":"`+wire+`"`) || !strings.Contains(got, `{"name":"bare","input_schema":{"type":"object","properties":{}}}`) {
		t.Errorf("got %s, losses %q", got, lost)
	}
	answer := `{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"tool_use","id":"t","name":"` + wire + `","input":{"a":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`
	evs := codectest.Events(t, New().NewReader(req, false), []byte(answer), 0)
	if !slices.ContainsFunc(evs, func(e llm.Event) bool { return e.Kind == llm.EvBlockStarted && e.Name == odd }) {
		t.Errorf("events %v", evs)
	}
}

func TestWebSearchOptionsBecomeTheProvidersTool(t *testing.T) {
	req := chat(nil)
	req.Extra.Members = []llm.Member{{Name: "web_search_options", Raw: []byte(`{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"country":"DE","city":null}}}`)}}
	got, lost := written(t, req, "claude-opus-4-8", "tools")
	want := `[{"type":"web_search_20250305","name":"web_search","user_location":{"type":"approximate","country":"DE"}}]`
	if got != want || lost != "web_search_options.search_context_size" {
		t.Errorf("got %s, losses %q, want %s", got, lost, want)
	}
}

func TestAnswersInARowShareTheirResults(t *testing.T) {
	req := chat(func(ch *llm.Chat) {
		ch.Turns = []llm.Turn{user("hi"), calls("a"), calls("b"), result("a", "1"), result("b", "2")}
	})
	got, _ := written(t, req, "claude-opus-4-8", "messages")
	want := `{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1"}]},{"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"2"}]}]}]`
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %s", got)
	}
}

func TestOwnMembersGoToAModelThatNothingIsKnownOf(t *testing.T) {
	const more = `"thinking":{"type":"enabled","budget_tokens":1024,"display":"omitted"},"output_config":{"effort":"max","format":{"type":"json_schema","schema":{"a":1}}},"temperature":0.5`
	req, err := New().ReadRequest(in(strings.Replace(request(more), "64", "2000", 1)))
	if err != nil {
		t.Fatal(err)
	}
	got, lost := written(t, req, "house-model", "thinking", "output_config", "temperature")
	want := `{"type":"enabled","budget_tokens":1024,"display":"omitted"} {"effort":"max","format":{"type":"json_schema","schema":{"a":1}}} -`
	if got != want || lost != "temperature" {
		t.Errorf("got %s, losses %q", got, lost)
	}
	for kind, mode := range map[string]llm.ThinkMode{"disabled": llm.ThinkOff, "adaptive": llm.ThinkAdaptive} {
		req.Chat().Thinking = &llm.Thinking{Mode: mode}
		if got, _ := written(t, req, "house-model", "thinking"); got != `{"type":"`+kind+`"}` {
			t.Errorf("%s: got %s", kind, got)
		}
	}
}

func TestEffortsAreBentToWhatTheModelTakes(t *testing.T) {
	for _, c := range []struct{ model, own, want, lost string }{
		{"claude-opus-4-5", `"output_config":{"effort":"low"}`, `- {"effort":"low"}`, ""},
		{"claude-opus-4-5", `"output_config":{"effort":"max"}`, `- {"effort":"high"}`, "output_config.effort"},
		{"claude-haiku-4-5", `"output_config":{"effort":"max"}`, `- -`, "output_config.effort"},
		{"claude-opus-4-6", `"output_config":{"effort":"xhigh"}`, `- {"effort":"max"}`, "output_config.effort"},
		{"claude-opus-5", `"thinking":{"type":"disabled"},"output_config":{"effort":"xhigh"}`, `{"type":"disabled"} {"effort":"high"}`, "output_config.effort"},
		{"claude-opus-5", `"thinking":{"type":"disabled"},"output_config":{"effort":"low"}`, `{"type":"disabled"} {"effort":"low"}`, ""},
		{"claude-opus-4-5", `"thinking":{"type":"enabled","budget_tokens":1024},"output_config":{"effort":"low"}`, `{"type":"enabled","budget_tokens":1024} {"effort":"low"}`, ""},
		{"claude-3-haiku", `"thinking":{"type":"adaptive","x":1}`, `- -`, "thinking thinking.x"},
		{"claude-haiku-4-5", `"thinking":{"type":"adaptive"}`, `{"type":"enabled","budget_tokens":16384} -`, "max_tokens"},
	} {
		req, err := New().ReadRequest(in(strings.Replace(request(c.own), "64", "2000", 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got, lost := written(t, req, c.model, "thinking", "output_config"); got != c.want || lost != c.lost {
			t.Errorf("%s with %s: got %s, losses %q", c.model, c.own, got, lost)
		}
	}
}

func TestPathsOfLossesAreOfTheClientsDialect(t *testing.T) {
	req, err := New().ReadRequest(in(`{"model":"m","max_tokens":9,"system":"s","messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"sb1.x"}]},{"role":"user","content":"y"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, lost := written(t, req, "claude-opus-4-8", "messages")
	if want := `[{"role":"user","content":[{"type":"text","text":"x"}]},{"role":"user","content":[{"type":"text","text":"y"}]}]`; got != want || lost != "messages.1.content.0" {
		t.Errorf("got %s, losses %q", got, lost)
	}
	req = chat(func(ch *llm.Chat) {
		ch.Turns[0].Name, ch.Turns[0].Extra = "bob", []llm.Member{{Name: "z", Raw: []byte("1")}}
		ch.Turns[0].Parts[0].Extra = []llm.Member{{Name: "y", Raw: []byte("1")}}
		ch.Turns = append(ch.Turns, llm.Turn{Role: llm.RoleAssistant, Parts: []llm.Part{words(" "), {Kind: llm.PartImage, Media: &llm.Media{}}}}, user("end"))
	})
	got, lost = written(t, req, "claude-opus-4-8", "messages")
	if lost != "messages[0].content[0].y messages[0].name messages[0].z messages[1].content[1]" || !strings.Contains(got, "[image omitted]") {
		t.Errorf("got %s, losses %q", got, lost)
	}
}
