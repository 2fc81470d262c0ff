package anthropicmessages

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// able is a model that takes whatever the dialect can say.
var able = catalog.Facts{Context: 1 << 20, MaxOutput: 1 << 20, Thinking: catalog.ThinkAdaptive, JSONSchema: true, MidSystem: true}

const full = `{
 "model":"claude-opus-4-8","max_tokens":2000,"stream":true,"anthropic_version":"2023-06-01","container":{"id":"c"},
 "system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}}],
 "messages":[
  {"role":"user","content":[
   {"type":"text","text":"look","cache_control":{"type":"ephemeral"}},
   {"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"iVBORw0KGgoAAAA="}},
   {"type":"image","source":{"type":"url","url":"https://example.com/a.png"}},
   {"type":"image","source":{"type":"file","file_id":"file_1"}},
   {"type":"document","title":"t","context":"c","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"words"}},
   {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0xLjQK"}},
   {"type":"document","source":{"type":"content","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}},
   {"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}},
   {"type":"document","source":{"type":"url","url":"https://example.com/a.pdf"}},
   {"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]}]},
  {"role":"assistant","content":[
   {"type":"thinking","thinking":"hm","signature":"S"},
   {"type":"thinking","thinking":"","signature":"T"},
   {"type":"redacted_thinking","data":"D"},
   {"type":"text","text":"well","citations":[{"type":"char_location","cited_text":"x"}]},
   {"type":"server_tool_use","id":"srv","name":"web_search","input":{"query":"q"}},
   {"type":"tool_use","id":"toolu_1","name":"f","input":{"a": 1},"caller":{"type":"direct"}}]},
  {"role":"user","content":[
   {"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":[{"type":"text","text":"r"},{"type":"image","source":{"type":"file","file_id":"f"}}]},
   {"type":"text","text":"go on"}]},
  {"role":"system","content":"Now in French."}],
 "tools":[
  {"name":"f","description":"d","input_schema":{"type":"object"},"strict":true,"cache_control":{"type":"ephemeral"},"defer_loading":true},
  {"type":"web_search_20250305","name":"web_search","max_uses":3}],
 "tool_choice":{"type":"any","disable_parallel_tool_use":true},
 "thinking":{"type":"adaptive","display":"summarized"},
 "output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}},"task_budget":{"x":1}},
 "stop_sequences":["END"],"temperature":1,"top_p":0.99,"metadata":{"user_id":"u","team":"t"},"service_tier":"standard_only",
 "context_management":{"edits":[]},"unheard_of":null}`

func TestEverythingIsRead(t *testing.T) {
	req, err := New().ReadRequest(in(full))
	if err != nil {
		t.Fatal(err)
	}
	if !req.Stream || !req.Usage || req.Extra.Dialect != name {
		t.Errorf("got %+v", req)
	}
	var extras []string
	for _, m := range req.Extra.Members {
		extras = append(extras, fmt.Sprintf("%s=%s", m.Name, m.Raw))
	}
	want := `anthropic_version="2023-06-01" container={"id":"c"} output_config={"task_budget":{"x":1}} metadata={"team":"t"} context_management={"edits":[]} unheard_of=null`
	if got := strings.Join(extras, " "); got != want {
		t.Errorf("extra %s\nwant %s", got, want)
	}
	c := req.Chat()
	var kinds []string
	for _, turn := range c.Turns {
		kinds = append(kinds, fmt.Sprint(turn.Role))
		for _, p := range turn.Parts {
			kinds = append(kinds, p.Kind.String())
		}
	}
	wantKinds := "2 text 0 text image image image file file file native file native 1 thought thought thought text native call 0 reply text 2 text"
	if got := strings.Join(kinds, " "); got != wantKinds {
		t.Errorf("parts %s\nwant %s", got, wantKinds)
	}
	u, a, r := c.Turns[1].Parts, c.Turns[2].Parts, c.Turns[3].Parts[0]
	no, yes := false, true
	for _, d := range []string{
		cmp.Diff(c.Turns[0].Parts[0].Cache, &llm.CacheMark{TTL: "1h"}),
		cmp.Diff(u[0].Cache, &llm.CacheMark{}),
		cmp.Diff(u[1].Media, &llm.Media{Type: "image/png", Data: "iVBORw0KGgoAAAA="}),
		cmp.Diff(u[4].Media, &llm.Media{Type: "text/plain", Text: "words", Name: "t"}),
		cmp.Diff(u[6].Media.Text, "a\nb"),
		cmp.Diff([]string{a[0].Text, a[0].Seal, a[0].From, a[2].Seal, a[2].Text}, []string{"hm", "S", name, "D", ""}),
		cmp.Diff(a[5].Call, &llm.ToolCall{ID: "toolu_1", Name: "f", Args: `{"a": 1}`}),
		cmp.Diff([]any{r.Reply.Error, r.Reply.Plain, len(r.Reply.Parts)}, []any{true, false, 2}),
		cmp.Diff(c.Parallel, &no), cmp.Diff(c.Tools[0].Strict, &yes), cmp.Diff(c.Choice.Mode, llm.ChoiceAny),
		cmp.Diff(c.Tools[1].Native, "web_search_20250305"),
		cmp.Diff(c.Thinking, &llm.Thinking{Mode: llm.ThinkAdaptive, Effort: "high", Display: "summarized"}),
		cmp.Diff([]any{c.Stop, c.Hints.User, c.Hints.ServiceTier, c.MaxTokens}, []any{[]string{"END"}, "u", "standard_only", int64(2000)}),
	} {
		if d != "" {
			t.Error(d)
		}
	}
	lawHolds(t, full)
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// lawHolds checks that a request that is read, written and read again is the same, and the bytes stable.
func lawHolds(t fataler, body string) {
	t.Helper()
	c := New()
	req, err := c.ReadRequest(in(body))
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	tg := dialect.Target{Model: req.Model, Facts: able}
	if th := req.Chat().Thinking; th != nil && th.Mode == llm.ThinkBudget {
		tg.Facts.Thinking = catalog.ThinkBudget
	}
	out, losses, err := c.WriteRequest(nil, req, tg)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	if len(losses) > 0 {
		t.Errorf("losses %v of %s", losses, body)
	}
	again, err := c.ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: out})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(again, req); diff != "" {
		t.Errorf("(-again +first)\n%s\nof %s\nwritten %s", diff, body, out)
	}
	if twice, _, _ := c.WriteRequest(nil, again, tg); string(twice) != string(out) {
		t.Errorf("written again as %s\nbefore as %s", twice, out)
	}
}

func TestReadWriteReadIsRead(t *testing.T) {
	q := func(s string) string { return string(jsonx.AppendQuote(nil, s)) }
	rapid.Check(t, func(t *rapid.T) {
		str := func(label string) string { return rapid.StringN(1, 12, -1).Draw(t, label) }
		pick := func(label string, options ...string) string { return rapid.SampledFrom(options).Draw(t, label) }
		cache := func() string {
			return pick("cache", "", "", `,"cache_control":{"type":"ephemeral"}`, `,"cache_control":{"type":"ephemeral","ttl":"5m"}`, `,"cache_control":{"type":"other"}`)
		}
		textBlock := func() string { return `{"type":"text","text":` + q(str("text")) + cache() + `}` }
		blocks := func(list []string) string { return `[` + strings.Join(list, ",") + `]` }
		var turns []string
		for i := range rapid.IntRange(1, 4).Draw(t, "turns") {
			switch pick("turn", "plain", "blocks", "call", "system") {
			case "plain":
				turns = append(turns, `{"role":"user","content":`+q(str("plain"))+`}`)
			case "blocks":
				turns = append(turns, `{"content":`+blocks([]string{textBlock(), `{"type":"image","source":{"type":"url","url":"https://e.example/` + fmt.Sprint(i) + `"}}`, `{"type":"new_kind","x":` + q(str("x")) + `}`})+`,"role":"user","note":`+q(str("note"))+`}`)
			case "call":
				id := fmt.Sprintf("t%d", i)
				turns = append(turns,
					`{"role":"assistant","content":`+blocks([]string{`{"type":"thinking","thinking":` + q(str("thought")) + `,"signature":"S` + id + `"}`, textBlock(), `{"type":"tool_use","id":"` + id + `","name":"f","input":{"k":` + q(str("arg")) + `}` + cache() + `}`})+`}`,
					`{"role":"user","content":`+blocks([]string{`{"type":"tool_result","tool_use_id":"` + id + `"` + pick("result", "", `,"content":"ok"`, `,"content":[]`, `,"content":[`+textBlock()+`]`, `,"is_error":true`) + `}`})+`}`)
			case "system":
				turns = append(turns, `{"role":"system","content":`+q(str("mid"))+`}`)
			}
		}
		turns = append(turns, `{"role":"user","content":"end"}`)
		members := []string{`"model":` + q(str("model")), fmt.Sprintf(`"max_tokens":%d`, rapid.IntRange(3000, 9000).Draw(t, "max")), `"messages":` + blocks(turns)}
		for _, options := range [][]string{
			{"", `"system":` + q(str("system")), `"system":[` + textBlock() + `,` + textBlock() + `]`},
			{"", `"tools":[{"name":"f","input_schema":{}}]`, `"tools":[{"name":"f","description":` + q(str("d")) + `,"input_schema":{"type":"object"},"strict":false,"input_examples":[1]},{"type":"bash_1","name":"b"}]`},
			{"", `"tool_choice":{"type":"auto"}`, `"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":false}`, `"tool_choice":{"type":"none"}`},
			{"", `"thinking":{"type":"enabled","budget_tokens":2000}`, `"thinking":{"type":"adaptive","x":1}`, `"thinking":{"type":"disabled"}`},
			{"", `"output_config":{"effort":"low"}`, `"output_config":{"y":null}`, `"output_format":{"type":"json_schema","schema":{"a":1}}`},
			{"", `"metadata":{}`, `"metadata":{"user_id":` + q(str("user")) + `}`, `"metadata":{"z":1}`},
			{"", `"stop_sequences":[` + q(str("stop")) + `]`}, {"", `"stream":true`}, {"", `"service_tier":"auto"`}, {"", `"mcp_servers":[{}]`},
		} {
			if m := pick("member", options...); m != "" {
				members = append(members, m)
			}
		}
		lawHolds(t, `{`+strings.Join(rapid.Permutation(members).Draw(t, "order"), ",")+`}`)
	})
}
