package quirk

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// fitted makes a body fit, and returns it with the paths of what is lost, or the member at fault.
func fitted(t *testing.T, s *Set, body, model string) (got string, losses []string, refused string) {
	t.Helper()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonx.Scan([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	f, bad := s.Fit(doc, model)
	if bad != nil {
		if bad.Code != llm.CodeUnsupported || bad.Message == "" {
			t.Errorf("%+v", bad)
		}
		return "", nil, bad.Param
	}
	for _, l := range f.Losses {
		losses = append(losses, l.Path)
		if l.Why == "" {
			t.Errorf("%s is lost without a reason", l.Path)
		}
	}
	out := jsonx.Splice(nil, doc.Body, f.Edits...)
	if err := jsonx.Valid(out); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out), losses, ""
}

func TestBodiesAreMadeToFit(t *testing.T) {
	const hi = `"messages":[{"role":"user","content":"hi"}]`
	deepseek := Set{Reasoning: Reasoning{Knob: "thinking", Efforts: []string{"high", "max"}, History: "calls"}}
	for _, tc := range []struct {
		name    string
		set     Set
		body    string // M stands for a model and messages
		want    string // "": as it was
		losses  string
		refused string
	}{
		{name: "no quirks, no change", body: `{ M , "seed":1.0, "x" : null}`},
		{name: "in the middle", set: Set{Drops: []string{"seed"}}, body: `{M, "seed":1 ,"n":1}`, want: `{M, "n":1}`, losses: "seed"},
		{name: "at the end", set: Set{Drops: []string{"seed"}}, body: `{M , "seed":1 }`, want: `{M }`, losses: "seed"},
		{name: "at the start", set: Set{Drops: []string{"seed"}}, body: `{"seed":1, M}`, want: `{M}`, losses: "seed"},
		{name: "neighbours", set: Set{Drops: []string{"a", "b", "c"}}, body: `{"a":1,"b":2,M,"b2":3,"c":4}`, want: `{M,"b2":3}`, losses: "a b c"},
		{name: "what says nothing is no loss", set: Set{Drops: []string{"a", "b"}}, body: `{M,"a":null,"b":[]}`, want: `{M}`},
		{name: "refused", set: Set{Refuses: []string{"logprobs"}}, body: `{M,"logprobs":true}`, refused: "logprobs"},
		{name: "refused only where it says something", set: Set{Refuses: []string{"logprobs"}}, body: `{M,"logprobs":false}`, want: `{M}`},
		{name: "renamed", set: Set{Renames: map[string]string{"seed": "random_seed"}}, body: `{M,"seed" : 7}`, want: `{M,"random_seed":7}`},
		{name: "renamed beside its own", set: Set{Renames: map[string]string{"seed": "random_seed"}}, body: `{M,"seed":7,"random_seed":8}`, want: `{M,"random_seed":8}`},
		{name: "another word", set: Set{Values: []Value{{"tool_choice", "required", "any"}}}, body: `{M,"tool_choice":"required"}`, want: `{M,"tool_choice":"any"}`},
		{name: "no word", set: Set{Values: []Value{{"service_tier", "flex", ""}}}, body: `{M,"service_tier":"flex"}`, want: `{M}`, losses: "service_tier"},
		{name: "usage comes anyway", set: Set{Usage: "always"}, body: `{M,"stream":true,"stream_options":{"include_usage":true}}`, want: `{M,"stream":true}`},
		{name: "usage never comes", set: Set{Usage: "never"}, body: `{M,"stream":true,"stream_options":{"include_usage":true}}`, want: `{M,"stream":true}`, losses: "stream_options"},
		{name: "the old limit", set: Set{MaxTokens: "max_tokens"}, body: `{M,"max_completion_tokens":5}`, want: `{M,"max_tokens":5}`},
		{name: "the new limit", set: Set{MaxTokens: "max_completion_tokens"}, body: `{M,"max_tokens":5}`, want: `{M,"max_completion_tokens":5}`},
		{name: "both limits, the old kept", set: Set{MaxTokens: "max_tokens"}, body: `{M,"max_completion_tokens":5,"max_tokens":9}`, want: `{M,"max_tokens":5}`},
		{name: "both limits, the new kept", set: Set{MaxTokens: "max_completion_tokens"}, body: `{M,"max_completion_tokens":5,"max_tokens":9}`, want: `{M,"max_completion_tokens":5}`},
		{name: "one answer", set: Set{Single: true}, body: `{M,"n":1}`},
		{name: "two answers", set: Set{Single: true}, body: `{M,"n":2}`, refused: "n"},
		{name: "auto is what is without it", set: Set{Choices: []string{"none"}}, body: `{M,"tool_choice":"auto"}`, want: `{M}`},
		{name: "none is what is without tools", set: Set{Choices: []string{"auto"}}, body: `{M,"tools":[{}],"seed":1,"tool_choice":"none","parallel_tool_calls":true}`, want: `{M,"seed":1}`},
		{name: "a choice that it has", set: Set{Choices: []string{"function"}}, body: `{M,"tool_choice":{"type":"function","function":{"name":"f"}}}`},
		{name: "a forced choice is not weakened", set: Set{Choices: []string{"auto"}}, body: `{M,"tool_choice":{"type":"function","function":{"name":"f"}}}`, refused: "tool_choice"},
		{name: "text is what is without it", set: Set{Formats: []string{"json_object"}}, body: `{M,"response_format":{"type":"text"}}`, want: `{M}`},
		{name: "a schema is not weakened", set: Set{Formats: []string{"json_object"}}, body: `{M,"response_format":{"type":"json_schema"}}`, refused: "response_format"},
		{
			name: "developers are the system", set: Set{Developer: true},
			body: `{"model":"m","messages":[{"role" : "developer","content":"developer"},{"role":"user","content":"hi"}]}`,
			want: `{"model":"m","messages":[{"role" : "system","content":"developer"},{"role":"user","content":"hi"}]}`,
		},
		{
			name: "images", set: Set{Parts: []string{"text"}},
			body: `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"u"}}]}]}`, refused: "messages[0].content[1]",
		},
		{
			name: "ids of calls", set: Set{CallID: 9},
			body: `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"call_1"},{"id":"abcdefgh1"}]},{"role":"tool","tool_call_id":"call_1"}]}`,
			want: `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"` + callID("call_1", 9) + `"},{"id":"abcdefgh1"}]},{"role":"tool","tool_call_id":"` + callID("call_1", 9) + `"}]}`,
		},
		{
			name: "reasoning goes back with calls", set: deepseek,
			body: `{"model":"m","messages":[{"role":"assistant","content":null,"reasoning_content":"b","tool_calls":[{"id":"c"}]},{"role":"tool","tool_call_id":"c"},{"role":"assistant","reasoning_content":"a","content":"x"}]}`,
		},
		{
			name: "and not without", set: deepseek,
			body:   `{"model":"m","messages":[{"role":"assistant","reasoning_content":"a","content":"tool_calls","tool_calls":[]},{"role":"user","content":"reasoning_content"}]}`,
			want:   `{"model":"m","messages":[{"role":"assistant","content":"tool_calls","tool_calls":[]},{"role":"user","content":"reasoning_content"}]}`,
			losses: "messages[0].reasoning_content",
		},
		{
			name: "reasoning by its other name", set: Set{Reasoning: Reasoning{History: "always", Member: "reasoning"}},
			body: `{"model":"m","messages":[{"role":"assistant","content":"x","reasoning_content":"a"},{"role":"user","content":"reasoning"}]}`,
			want: `{"model":"m","messages":[{"role":"assistant","content":"x","reasoning":"a"},{"role":"user","content":"reasoning"}]}`,
		},
		{name: "thinking with an effort", set: deepseek, body: `{M,"reasoning_effort":"low"}`, want: `{M,"reasoning_effort":"high","thinking":{"type":"enabled"}}`, losses: "reasoning_effort"},
		{name: "thinking off", set: deepseek, body: `{M,"reasoning_effort":"none"}`, want: `{M,"thinking":{"type":"disabled"}}`},
		{name: "thinking said twice", set: deepseek, body: `{M,"reasoning_effort":"high","thinking":{"type":"disabled"}}`, want: ""},
		{name: "a switch", set: Set{Reasoning: Reasoning{Knob: "enable_thinking"}}, body: `{M,"reasoning_effort":"low"}`, want: `{M,"enable_thinking":true}`},
		{name: "a switch of the template", set: Set{Reasoning: Reasoning{Knob: "template"}}, body: `{M,"reasoning_effort":"none"}`, want: `{M,"chat_template_kwargs":{"enable_thinking":false}}`},
		{name: "a model without the knob", set: Set{Reasoning: Reasoning{Knob: "template", Models: []string{"x*"}}}, body: `{M,"reasoning_effort":"none"}`},
		{name: "an effort stays one", set: Set{Reasoning: Reasoning{Knob: "effort", Efforts: []string{"high"}}}, body: `{M,"reasoning_effort":"low"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := `"model":"m",` + hi
			body, want := tc.body, tc.want
			if !strings.Contains(body, `"messages"`) {
				body, want = strings.Replace(body, "M", m, 1), strings.Replace(want, "M", m, 1)
			}
			if tc.want == "" && tc.refused == "" {
				want = body
			}
			got, losses, refused := fitted(t, &tc.set, body, "m")
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if l := strings.Join(losses, " "); l != tc.losses || refused != tc.refused {
				t.Errorf("losses %q, refused %q", l, refused)
			}
			if tc.refused != "" {
				return
			}
			if again, more, _ := fitted(t, &tc.set, got, "m"); again != got || len(more) > 0 {
				t.Errorf("what fits is changed again: %s, %v", again, more)
			}
		})
	}
}

func TestReasoningIsAskedForInEachWay(t *testing.T) {
	for _, tc := range []struct {
		r      Reasoning
		effort string
		budget int64
		want   string
		lossy  bool
	}{
		{Reasoning{Knob: "effort"}, "high", 0, `reasoning_effort="high"`, false},
		{Reasoning{Knob: "effort", Efforts: []string{"none", "default"}[:1]}, "low", 0, `reasoning_effort="low"`, false},
		{Reasoning{Knob: "effort", Efforts: []string{"low", "high"}}, "medium", 0, `reasoning_effort="low"`, true},
		{Reasoning{Knob: "thinking"}, "low", 0, `thinking={"type":"enabled"}`, false},
		{Reasoning{Knob: "thinking", Budget: "budget_tokens"}, "low", 2048, `thinking={"type":"enabled","budget_tokens":2048}`, false},
		{Reasoning{Knob: "enable_thinking", Budget: "thinking_budget"}, "low", 2048, `enable_thinking=true thinking_budget=2048`, false},
		{Reasoning{Knob: "enable_thinking", Budget: "thinking_budget"}, "none", 0, `enable_thinking=false`, false},
		{Reasoning{Knob: "reasoning", Budget: "max_tokens"}, "low", 2048, `reasoning={"max_tokens":2048}`, false},
		{Reasoning{Knob: "reasoning", Budget: "max_tokens"}, "xhigh", 0, `reasoning={"effort":"xhigh"}`, false},
		{Reasoning{Knob: "template"}, "high", 5, `chat_template_kwargs={"enable_thinking":true}`, false},
	} {
		members, lost := tc.r.Ask(tc.effort, tc.budget)
		var got []string
		for _, m := range members {
			got = append(got, m.Name+"="+string(m.Raw))
		}
		if s := strings.Join(got, " "); s != tc.want || (lost != "") != tc.lossy {
			t.Errorf("%s: %s (%s)", tc.want, s, lost)
		}
	}
}

func TestIdsOfCallsFit(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"a", "b", "call_1", "call_2", "toolu_01ABC", strings.Repeat("x", 100), "ABCDEFGH-", ""} {
		for _, n := range []int{1, 9, 40} {
			got := callID(id, n)
			if len(got) != n || strings.ContainsAny(got, "_-") || got != callID(id, n) {
				t.Errorf("%q of %d: %q", id, n, got)
			}
			if n > 1 && seen[got] != "" && seen[got] != id {
				t.Errorf("%q and %q are both %q", id, seen[got], got)
			}
			seen[got] = id
		}
	}
	if callID("abcDEF019", 9) != "abcDEF019" {
		t.Error("an id that fits is changed")
	}
}

func TestSetsAreChecked(t *testing.T) {
	for want, s := range map[string]Set{
		"usage: unknown value":          {Usage: "often"},
		"max_tokens: unknown value":     {MaxTokens: "limit"},
		"tool_choice: unknown value":    {Choices: []string{"any"}},
		"answers: unknown value":        {Answers: []string{"late"}},
		"reasoning.knob: unknown":       {Reasoning: Reasoning{Knob: "on"}},
		"reasoning.budget: only":        {Reasoning: Reasoning{Knob: "effort", Budget: "x"}},
		"reasoning.models: a *":         {Reasoning: Reasoning{Models: []string{"a*b"}}},
		"drops: the member \"model\"":   {Drops: []string{"model"}},
		"refuses: the member n stands":  {Drops: []string{"n"}, Refuses: []string{"n"}},
		"renames: a cannot become":      {Renames: map[string]string{"a": "model"}},
		"renames: b cannot become":      {Renames: map[string]string{"b": "n"}, Drops: []string{"n"}},
		"values: the member":            {Values: []Value{{Member: "stream", From: "x"}}},
		"call_id: -1":                   {CallID: -1},
		"drops: the member \"stream_op": {Drops: []string{"stream_options"}},
	} {
		if err := s.Check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if err := new(Set).Check(); err != nil {
		t.Error(err)
	}
}

// TestAPeculiarityHarmsWhomItConcerns asks for each peculiarity which requests suffer from it.
func TestAPeculiarityHarmsWhomItConcerns(t *testing.T) {
	const whole, stream, counted, tools, streamedTools = "whole", "stream", "counted stream", "whole with tools", "stream with tools"
	requests := map[string]Request{whole: {Usage: true}, stream: {Stream: true}, counted: {Stream: true, Usage: true}, tools: {Usage: true}, streamedTools: {Stream: true}}
	for name, h := range requests {
		body := `{"tools":[],"functions":null}`
		if strings.HasSuffix(name, "tools") {
			body = `{"tools":[{"type":"function","function":{"name":"f"}}]}`
		}
		var err error
		if h.Doc, err = jsonx.Scan([]byte(body)); err != nil {
			t.Fatal(err)
		}
		requests[name] = h
	}
	all := []string{whole, stream, counted, tools, streamedTools}
	want := map[string][]string{
		"content_object": all, "content_parts": all, "empty_strings": all, "foreign_errors": all,
		"cumulative_usage": {stream, counted, streamedTools}, "foreign_chunks": {stream, counted, streamedTools}, "no_role": {stream, counted, streamedTools},
		"reasoning_apart": {whole, counted, tools},
		"empty_call_id":   {tools, streamedTools}, "stop_with_calls": {tools, streamedTools},
		"no_call_index": {streamedTools},
	}
	for _, a := range Answers() {
		for name, h := range requests {
			for _, set := range []Set{{Answers: []string{a}}, {Answers: []string{"reasoning", a}}} {
				if got := set.Harms(h); got != slices.Contains(want[a], name) {
					t.Errorf("%s, and a request that is %s: harms %v", a, name, got)
				}
			}
		}
	}
	old, err := jsonx.Scan([]byte(`{"functions":[{"name":"f"}]}`))
	if s := (Set{Answers: []string{"stop_with_calls"}}); err != nil || !s.Harms(Request{Doc: old}) {
		t.Error("functions are tools of old")
	}
}

// FuzzFit holds for any body: what comes out is valid, has the control members, and fits.
func FuzzFit(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"developer","content":[{"type":"text"}],"reasoning":"x","tool_call_id":"a"}],"a":1,"b":2,"max_tokens":1,"max_completion_tokens":2,"reasoning_effort":"low"}`))
	f.Add([]byte(`{"a":1,"b":2}`))
	f.Add([]byte(`{"reasoning_effort":"low","stream_options":null,"n":1,"tool_choice":"auto","messages":[{"role":"assistant","reasoning_content":"","reasoning":"y","tool_calls":[{"id":1},{"id":"x"}]}]}`))
	s := Set{
		Drops: []string{"a", "b"}, Refuses: []string{"c"}, Renames: map[string]string{"seed": "random_seed"}, Values: []Value{{"d", "x", "y"}, {"e", "x", ""}},
		Usage: "always", MaxTokens: "max_tokens", Developer: true, Single: true, Choices: []string{"none"}, Formats: []string{"json_object"}, Parts: []string{"text"}, CallID: 9,
		Reasoning: Reasoning{Knob: "thinking", Efforts: []string{"high"}, History: "calls", Member: "reasoning"},
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := jsonx.Scan(body)
		if err != nil {
			return
		}
		before := bytes.Clone(body)
		fit, bad := s.Fit(doc, "m")
		if bad != nil {
			return
		}
		out := jsonx.Splice(nil, body, fit.Edits...)
		if !bytes.Equal(before, body) {
			t.Fatal("the client's body is changed")
		}
		again, err := jsonx.Scan(out)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, name := range []string{"model", "messages", "stream"} {
			_, was := doc.Get(name)
			if _, is := again.Get(name); is != was {
				t.Fatalf("%s: %v, %v", name, was, is)
			}
		}
		fit, bad = s.Fit(again, "m")
		if twice := jsonx.Splice(nil, out, fit.Edits...); bad != nil || !bytes.Equal(twice, out) {
			t.Fatalf("%v\n%s\n%s", bad, out, twice)
		}
	})
}

func TestErrorsMeanWhatTheServerMeans(t *testing.T) {
	s := Set{Errors: []Error{{Status: 429, Says: "balance", Code: "over_quota"}, {Says: "balance", Code: "rate_limited"}, {Says: "filtered", Code: "blocked"}}}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		status int
		body   string
		code   llm.Code
		reason string
	}{
		{429, `{"error":"No Balance"}`, llm.CodeOverQuota, "insufficient_quota"},
		{400, `{"error":"No Balance"}`, llm.CodeRateLimited, "rate_limit_exceeded"},
		{0, `{"error":"FILTERED"}`, llm.CodeBlocked, "content_filter"},
		{500, `{"error":"oops"}`, llm.CodeUpstream, "was"},
	} {
		e := &llm.Error{Code: llm.CodeUpstream, Reason: "was"}
		if s.Judge(e, tc.status, []byte(tc.body)); e.Code != tc.code || e.Reason != tc.reason {
			t.Errorf("%d %s: %s %s", tc.status, tc.body, e.Code, e.Reason)
		}
	}
	for _, bad := range []Error{{Says: "x", Code: "internal"}, {Says: "X", Code: "invalid"}, {Code: "invalid"}} {
		if (&Set{Errors: []Error{bad}}).Check() == nil {
			t.Errorf("%v is no rule", bad)
		}
	}
}
