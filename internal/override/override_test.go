package override_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/override"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// apply changes a body, and returns it with the names of what was lost.
func apply(t interface{ Fatalf(string, ...any) }, p *override.Parameters, d dialect.Name, body string, facts catalog.Facts) (changed string, lost []string) {
	doc, err := jsonx.Scan([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	edits, losses := override.Apply(p, override.Request{Dialect: d, Doc: doc, Facts: facts})
	out := jsonx.Splice(nil, doc.Body, edits...)
	if _, err := jsonx.Scan(out); err != nil {
		t.Fatalf("%s becomes %s: %v", body, out, err)
	}
	for _, l := range losses {
		lost = append(lost, l.Path)
	}
	return string(out), lost
}

func TestParametersStandInTheClientsDialect(t *testing.T) {
	sampled := override.Parameters{Temperature: new(0.2), TopP: new(0.9), MaxTokens: 300, Stop: []string{"END"}}
	strict := true
	schema := override.Parameters{Format: template.Format{Type: "schema", Schema: template.JSON(`{"type":"object"}`), Strict: &strict}}
	typed := func(kind string) override.Parameters { return override.Parameters{Format: template.Format{Type: kind}} }
	effort := func(word string) override.Parameters { return override.Parameters{Effort: word} }
	choice := func(word string) override.Parameters { return override.Parameters{ToolChoice: word} }
	budgets := catalog.Facts{Known: true, Thinking: catalog.ThinkBudget, Reasoning: catalog.Reasoning{BudgetMin: 1024, BudgetMax: 24576}}
	dull := catalog.Facts{Known: true}
	for _, c := range []struct {
		name     string
		dialect  dialect.Name
		p        override.Parameters
		facts    catalog.Facts
		in, want string
		lost     string
	}{
		{"nothing", dialect.OpenAIChat, override.Parameters{}, dull, `{"model":"m", "temperature":1}`, `{"model":"m", "temperature":1}`, ""},
		{"added", dialect.OpenAIChat, sampled, dull, `{"model":"m"}`, `{"model":"m","temperature":0.2,"top_p":0.9,"max_completion_tokens":300,"stop":["END"]}`, ""},
		{"in place", dialect.OpenAIChat, sampled, dull, `{ "temperature" : 1, "max_tokens":5, "stop":"x", "top_p":null, "model":"m" }`, `{ "temperature" : 0.2, "max_tokens":300, "stop":["END"], "top_p":0.9, "model":"m" }`, ""},
		{"both names of a limit", dialect.OpenAIChat, override.Parameters{MaxTokens: 9}, dull, `{"max_tokens":5,"max_completion_tokens":6}`, `{"max_tokens":9,"max_completion_tokens":9}`, ""},
		{"effort", dialect.OpenAIChat, effort("high"), dull, `{"model":"m"}`, `{"model":"m","reasoning_effort":"high"}`, ""},
		{"schema", dialect.OpenAIChat, schema, dull, `{"response_format":{"type":"text"}}`, `{"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"},"strict":true}}}`, ""},
		{"json", dialect.OpenAIChat, typed("json"), dull, `{"m":1}`, `{"m":1,"response_format":{"type":"json_object"}}`, ""},
		{"tools are chosen", dialect.OpenAIChat, choice("required"), dull, `{"tools":[{}]}`, `{"tools":[{}],"tool_choice":"required"}`, ""},
		{"no tools, no choice", dialect.OpenAIChat, choice("required"), dull, `{"tools":[]}`, `{"tools":[]}`, ""},

		{"added", dialect.OpenAICompletions, sampled, dull, `{"model":"m"}`, `{"model":"m","temperature":0.2,"top_p":0.9,"max_tokens":300,"stop":["END"]}`, ""},
		{"no such words", dialect.OpenAICompletions, override.Parameters{Effort: "low", ToolChoice: "none", Format: template.Format{Type: "json"}}, dull, `{"model":"m"}`, `{"model":"m"}`, "tool_choice reasoning_effort response_format"},

		{"added", dialect.OpenAIResponses, sampled, dull, `{"model":"m"}`, `{"model":"m","temperature":0.2,"top_p":0.9,"max_output_tokens":300}`, "stop"},
		{"effort beside a summary", dialect.OpenAIResponses, effort("low"), dull, `{"reasoning":{"summary":"auto","effort":"high"}}`, `{"reasoning":{"summary":"auto","effort":"low"}}`, ""},
		{"effort where there is null", dialect.OpenAIResponses, effort("low"), dull, `{"reasoning":null}`, `{"reasoning":{"effort":"low"}}`, ""},
		{"schema beside a verbosity", dialect.OpenAIResponses, schema, dull, `{"text":{"verbosity":"low"}}`, `{"text":{"verbosity":"low","format":{"type":"json_schema","name":"answer","schema":{"type":"object"},"strict":true}}}`, ""},

		{"in place", dialect.AnthropicMessages, sampled, dull, `{"model":"m","max_tokens":5}`, `{"model":"m","max_tokens":300,"temperature":0.2,"top_p":0.9,"stop_sequences":["END"]}`, ""},
		{"too hot", dialect.AnthropicMessages, override.Parameters{Temperature: new(1.5)}, dull, `{"model":"m"}`, `{"model":"m","temperature":1}`, "temperature"},
		{"effort of a model that nobody knows", dialect.AnthropicMessages, effort("minimal"), catalog.Facts{}, `{"max_tokens":5}`, `{"max_tokens":5,"output_config":{"effort":"low"}}`, ""},
		{"effort of one that does not reason", dialect.AnthropicMessages, effort("low"), dull, `{"max_tokens":5}`, `{"max_tokens":5}`, "reasoning_effort"},
		{"effort within a budget", dialect.AnthropicMessages, effort("medium"), budgets, `{"max_tokens":20000,"thinking":{"type":"enabled","budget_tokens":1024}}`, `{"max_tokens":20000,"thinking":{"type":"enabled","budget_tokens":8192}}`, ""},
		{"effort within a smaller budget", dialect.AnthropicMessages, effort("high"), budgets, `{"max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":1024}}`, `{"max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":4999}}`, ""},
		{"effort without room", dialect.AnthropicMessages, effort("high"), budgets, `{"max_tokens":500,"thinking":{"type":"enabled","budget_tokens":1024}}`, `{"max_tokens":500,"thinking":{"type":"enabled","budget_tokens":1024}}`, "reasoning_effort"},
		{"effort without a budget", dialect.AnthropicMessages, effort("high"), budgets, `{"max_tokens":5000}`, `{"max_tokens":5000}`, "reasoning_effort"},
		{"no effort", dialect.AnthropicMessages, effort("none"), catalog.Facts{}, `{"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}}`, `{"thinking":{"type":"disabled"},"output_config":{}}`, ""},
		{"schema", dialect.AnthropicMessages, schema, dull, `{"output_config":{"effort":"high","format":{"a":1}}}`, `{"output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}}}}`, ""},
		{"text", dialect.AnthropicMessages, typed("text"), dull, `{"model":"m"}`, `{"model":"m"}`, ""},
		{"json", dialect.AnthropicMessages, typed("json"), dull, `{"model":"m"}`, `{"model":"m"}`, "response_format"},
		{"tools are chosen", dialect.AnthropicMessages, choice("required"), dull, `{"tools":[{}],"tool_choice":{"type":"auto"}}`, `{"tools":[{}],"tool_choice":{"type":"any"}}`, ""},

		{"added", dialect.Gemini, sampled, dull, `{"contents":[]}`, `{"contents":[],"generationConfig":{"temperature":0.2,"topP":0.9,"maxOutputTokens":300,"stopSequences":["END"]}}`, ""},
		{"in place, in the other spelling", dialect.Gemini, sampled, dull, `{"generation_config":{"top_p":1,"topK":3,"max_output_tokens":7},"contents":[]}`, `{"generation_config":{"topK":3,"temperature":0.2,"topP":0.9,"maxOutputTokens":300,"stopSequences":["END"]},"contents":[]}`, ""},
		{"a level", dialect.Gemini, effort("max"), catalog.Facts{Known: true, Thinking: catalog.ThinkLevel}, `{"generationConfig":{"thinkingConfig":{"thinkingBudget":7,"includeThoughts":true}}}`, `{"generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"HIGH"}}}`, "reasoning_effort"},
		{"a budget", dialect.Gemini, effort("max"), budgets, `{"contents":[]}`, `{"contents":[],"generationConfig":{"thinkingConfig":{"thinkingBudget":24576}}}`, ""},
		{"no budget", dialect.Gemini, effort("none"), budgets, `{"contents":[]}`, `{"contents":[],"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}`, ""},
		{"a model that does not reason", dialect.Gemini, effort("low"), dull, `{"contents":[]}`, `{"contents":[]}`, "reasoning_effort"},
		{"schema", dialect.Gemini, schema, dull, `{"generationConfig":{"responseSchema":{"a":1}}}`, `{"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object"}}}`, ""},
		{"tools are chosen", dialect.Gemini, choice("none"), dull, `{"tools":[{}]}`, `{"tools":[{}],"toolConfig":{"functionCallingConfig":{"mode":"NONE"}}}`, ""},

		{"added", dialect.BedrockConverse, sampled, dull, `{"messages":[],"inferenceConfig":{"maxTokens":5}}`, `{"messages":[],"inferenceConfig":{"temperature":0.2,"topP":0.9,"maxTokens":300,"stopSequences":["END"]}}`, ""},
		{"no such words", dialect.BedrockConverse, override.Parameters{Effort: "low", ToolChoice: "none", Format: template.Format{Type: "json"}}, dull, `{"toolConfig":{"tools":[]}}`, `{"toolConfig":{"tools":[]}}`, "reasoning_effort tool_choice response_format"},
		{"tools are chosen", dialect.BedrockConverse, choice("required"), dull, `{"toolConfig":{"tools":[],"toolChoice":{"auto":{}}}}`, `{"toolConfig":{"tools":[],"toolChoice":{"any":{}}}}`, ""},
		{"schema", dialect.BedrockConverse, schema, dull, `{"messages":[]}`, `{"messages":[],"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}","name":"answer"}}}}}`, ""},

		{"added", dialect.Cohere, sampled, dull, `{"model":"m"}`, `{"model":"m","temperature":0.2,"p":0.9,"max_tokens":300,"stop_sequences":["END"]}`, ""},
		{"effort", dialect.Cohere, effort("low"), catalog.Facts{}, `{"model":"m"}`, `{"model":"m","thinking":{"type":"enabled","token_budget":2048}}`, ""},
		{"auto is what is not said", dialect.Cohere, choice("auto"), dull, `{"tools":[{}],"tool_choice":"NONE"}`, `{"tools":[{}]}`, ""},
		{"a format beside tools", dialect.Cohere, typed("json"), dull, `{"tools":[{}]}`, `{"tools":[{}]}`, "response_format"},

		{"no chat", dialect.OpenAIEmbeddings, sampled, dull, `{"model":"m"}`, `{"model":"m"}`, ""},
	} {
		got, lost := apply(t, &c.p, c.dialect, c.in, c.facts)
		if got != c.want || strings.Join(lost, " ") != c.lost {
			t.Errorf("%s, %s:\n got %s, lost %v\nwant %s, lost %s", c.dialect, c.name, got, lost, c.want, c.lost)
		}
	}
}

// bodies are requests with everything that is replaced, and with nothing of it.
var bodies = map[dialect.Name][2]string{
	dialect.OpenAIChat:        {`{"model":"m","messages":[{"role":"user","content":"x"}]}`, `{"temperature":1,"model":"m","top_p":0.5,"messages":[{"role":"user","content":"x"}],"max_completion_tokens":7,"stop":"a","seed":3}`},
	dialect.OpenAICompletions: {`{"model":"m","prompt":"x"}`, `{"temperature":1,"model":"m","top_p":0.5,"prompt":"x","max_tokens":7,"stop":["a","b"],"seed":3}`},
	dialect.OpenAIResponses:   {`{"model":"m","input":"x"}`, `{"temperature":1,"model":"m","top_p":0.5,"input":"x","max_output_tokens":7}`},
	dialect.AnthropicMessages: {`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, `{"temperature":1,"model":"m","top_p":0.5,"max_tokens":7,"messages":[{"role":"user","content":"x"}],"stop_sequences":["a"],"top_k":3}`},
	dialect.Gemini:            {`{"contents":[{"role":"user","parts":[{"text":"x"}]}]}`, `{"generation_config":{"temperature":1,"top_p":0.5,"maxOutputTokens":7,"stopSequences":["a"],"seed":3},"contents":[{"role":"user","parts":[{"text":"x"}]}]}`},
	dialect.BedrockConverse:   {`{"messages":[{"role":"user","content":[{"text":"x"}]}]}`, `{"inferenceConfig":{"temperature":1,"topP":0.5,"maxTokens":7,"stopSequences":["a"]},"messages":[{"role":"user","content":[{"text":"x"}]}]}`},
	dialect.Cohere:            {`{"model":"m","messages":[{"role":"user","content":"x"}]}`, `{"temperature":1,"model":"m","p":0.5,"messages":[{"role":"user","content":"x"}],"max_tokens":7,"stop_sequences":["a"],"seed":3}`},
}

// TestARequestSaysWhatIsSetAndElseWhatItSaid: read by the dialect's own codec, whatever is set.
func TestARequestSaysWhatIsSetAndElseWhatItSaid(t *testing.T) {
	servers := all.Servers()
	names := make([]dialect.Name, 0, len(bodies))
	for n := range bodies {
		names = append(names, n)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SampledFrom(names).Draw(t, "dialect")
		body := bodies[d][rapid.IntRange(0, 1).Draw(t, "body")]
		var p override.Parameters
		if rapid.Bool().Draw(t, "temperature") {
			p.Temperature = new(float64(rapid.IntRange(0, 10).Draw(t, "t")) / 10)
		}
		if rapid.Bool().Draw(t, "top_p") {
			p.TopP = new(float64(rapid.IntRange(1, 9).Draw(t, "p")) / 10)
		}
		if rapid.Bool().Draw(t, "max_tokens") {
			p.MaxTokens = rapid.IntRange(1, 1000).Draw(t, "n")
		}
		if rapid.Bool().Draw(t, "stop") {
			p.Stop = rapid.SliceOfN(rapid.StringMatching(`[a-z"\\é]{1,4}`), 1, 3).Draw(t, "texts")
		}
		op := llm.OpChat
		if d == dialect.OpenAICompletions {
			op = llm.OpComplete
		}
		read := func(body string) *llm.Chat {
			in := dialect.Inbound{Op: op, Path: "/x", Body: []byte(body)}
			if d == dialect.Gemini || d == dialect.BedrockConverse {
				in.Model = "m"
			}
			if _, err := servers[d].Peek(in); err != nil {
				t.Fatalf("%s %s: %v", d, body, err)
			}
			req, err := servers[d].ReadRequest(in)
			if err != nil {
				t.Fatalf("%s %s: %v", d, body, err)
			}
			return req.Chat()
		}
		want := read(body)
		changed, lost := apply(t, &p, d, body, catalog.Facts{})
		got := read(changed)
		if p.Temperature != nil {
			want.Sampling.Temperature = p.Temperature
		}
		if p.TopP != nil {
			want.Sampling.TopP = p.TopP
		}
		if p.MaxTokens > 0 {
			want.MaxTokens = int64(p.MaxTokens)
		}
		if p.Stop != nil && !slices.Contains(lost, "stop") {
			want.Stop = p.Stop
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s becomes %s: -want +got\n%s", body, changed, d)
		}
	})
}

// FuzzApply: whatever a body holds, it stays JSON, and what is asked for twice is what is asked for once.
func FuzzApply(f *testing.F) {
	for d, both := range bodies {
		f.Add(string(d), both[0])
		f.Add(string(d), both[1])
	}
	f.Add("gemini", `{"generation_config":{"thinking_config":{"include_thoughts":true}},"generationConfig":null,"tools":[1]}`)
	f.Add("anthropic-messages", `{"thinking":{"type":"enabled"},"output_config":7,"max_tokens":"x","tools":{}}`)
	f.Add("openai-responses", `{"reasoning":[],"text":"x"}`)
	strict := false
	all := []override.Parameters{
		{Temperature: new(1.5), TopP: new(0.1), MaxTokens: 9, Stop: []string{"\u2028\"", "b"}, ToolChoice: "required", Effort: "high", Format: template.Format{Type: "schema", Schema: template.JSON(`{"a":1}`), Strict: &strict}},
		{ToolChoice: "auto", Effort: "none", Format: template.Format{Type: "text"}},
		{ToolChoice: "none", Effort: "max", Format: template.Format{Type: "json"}},
	}
	f.Fuzz(func(t *testing.T, name, body string) {
		if _, err := jsonx.Scan([]byte(body)); err != nil {
			return
		}
		for i := range all {
			for _, facts := range []catalog.Facts{{}, {Known: true}, {Known: true, Thinking: catalog.ThinkBudget}} {
				once, _ := apply(t, &all[i], dialect.Name(name), body, facts)
				if twice, _ := apply(t, &all[i], dialect.Name(name), once, facts); len(twice) != len(once) {
					t.Fatalf("%s becomes %s, and then %s", body, once, twice)
				}
			}
		}
	})
}
