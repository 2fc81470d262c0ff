package frame

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// words counts the words of a text, so that what a frame adds stands apart.
var words = Env{Text: func(s string) int { return len(strings.Fields(s)) }}

func TestToolsAreShownAsTypeScript(t *testing.T) {
	var w typescript
	n := w.namespace([]llm.Tool{
		{Name: "now"},
		{
			Name: "find", Description: "  Find things.\n\n  Carefully.", Schema: []byte(`{"type":"object","title":"args","description":"What to find.","required":["q","deep"],
			"properties":{"q":{"type":"string","title":"Query","description":"Words"},"n":{"type":"integer","default":3},"kind":{"enum":["a","b"]},"of":{"$ref":"#/$defs/Of"},
			"opt":{"anyOf":[{"type":"number"},{"type":"null"}]},"tags":{"type":"array","items":{"type":"string"}},"any":{},"two":{"type":["string","null"]},
			"deep":{"type":"array","items":{"type":"object","required":["x"],"properties":{"x":{"type":"string","description":"An x"}}}}},
			"$defs":{"Of":{"type":"object","properties":{"y":{"type":"boolean"}}}}}`),
		},
		{Name: "search", Native: "web_search"},
	})
	want := `# Tools

## functions

namespace functions {

type now = () => any;

// Find things.
//
// Carefully.
type find = (_: // args
//
// What to find.
{
// Query
//
// Words
q: string,
n?: number, // default: 3
kind?: "a" | "b",
of?: {
y?: boolean,
},
opt?: number | null,
tags?: string[],
any?: any,
two?: string | null,
deep: {"type":"object","properties":{"x":{"type":"string","description":"An x"}}}[],
}) => any;

} // namespace functions`
	if d := cmp.Diff(w.String(), want); d != "" || n != 2 {
		t.Errorf("%d functions\n%s", n, d)
	}
}

func TestASchemaThatRefersToItselfEnds(t *testing.T) {
	var w typescript
	w.namespace([]llm.Tool{{Name: "f", Schema: []byte(`{"properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"object","properties":{"l":{"$ref":"#/$defs/A"},"r":{"$ref":"#/$defs/A"}}}}}`)}})
	if n := w.Len(); n > 1<<20 {
		t.Errorf("%d bytes were written", n)
	}
}

func TestASchemaIsShownWithoutWhatBindsTheDecoder(t *testing.T) {
	s := slimmer{drop: decoding[:]}
	got := string(s.schema(nil, []byte(`{ "type": "object", "required": ["required"], "additionalProperties": false,
		"properties": { "required": {"type": "integer", "minimum": 1}, "list": {"type":"array","items":[{"default": 1, "title": "T"}]} } }`), true))
	want := `{"type":"object","properties":{"required":{"type":"integer"},"list":{"type":"array","items":[{"title":"T"}]}}}`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestFrames(t *testing.T) {
	text := func(role llm.Role, s string) llm.Turn {
		return llm.Turn{Role: role, Parts: []llm.Part{{Kind: llm.PartText, Text: s}}}
	}
	talk := []llm.Turn{text(llm.RoleSystem, "be brief"), text(llm.RoleUser, "one two three"), text(llm.RoleAssistant, "four"), text(llm.RoleUser, "five")}
	chat := func(turns ...llm.Turn) *llm.Request {
		return &llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: turns}}
	}
	twice := llm.Turn{Role: llm.RoleAssistant, Parts: []llm.Part{{Text: "four"}, {Kind: llm.PartThought, Text: ""}, {Text: ""}, {Text: "six"}}}
	members := func(name, raw string) llm.Extra {
		return llm.Extra{Members: []llm.Member{{Name: name, Raw: []byte(raw)}}}
	}
	for _, c := range []struct {
		name string
		rule Rule
		req  *llm.Request
		want int64
	}{
		{"OpenAI: three, and four for a message", Classic(), chat(talk...), 7 + 3 + 4*4},
		{"a reasoning model has one less", OSeries(), chat(talk...), 7 + 2 + 4*4},
		{"gpt-5 names the channel of an earlier answer", GPT5(), chat(talk...), 7 + 2 + 4*4 + 2},
		{"a name", Classic(), chat(llm.Turn{Name: "ann", Parts: []llm.Part{{Text: "hi"}}}), 1 + 1 + 3 + 4 + 1},
		{"Claude: one frame, and three for a further turn", Claude{Base: 7, Turn: 3}, chat(talk...), 7 + 7 + 2*3},
		{"Claude: an answer that is begun belongs to the end", Claude{Base: 7, Turn: 3}, chat(talk[:3]...), 6 + 7},
		{"Claude: neighbours of one role are one turn", Claude{Base: 7, Turn: 3}, chat(talk[1], talk[1]), 5 + 7},
		{"Claude: a newline joins those before the system text", Claude{Base: 7, System: 1}, chat(text(llm.RoleSystem, "\nBe brief."), talk[1]), 5 + 7 + 1 - 1},
		{"Gemini: one for a content", Gemini{Content: 1, System: 1}, chat(talk...), 7 + 4},
		{"Gemini: an empty instruction is none", Gemini{Content: 1, System: 1}, chat(text(llm.RoleSystem, ""), talk[1]), 3 + 1},
		{"Gemini 3.5: none for the instruction", Gemini{Content: 1}, chat(talk...), 7 + 3},
		{"Vertex: none", Gemini{}, chat(talk...), 7},
		{"a template", Template{Start: 1, Turn: 5, End: 3, Answer: 1, NoSystem: 20}, chat(talk[1:]...), 5 + 1 + 15 + 3 + 1 + 20},
		{"a legacy completion is its prompt", Classic(), &llm.Request{Op: llm.OpComplete, Body: &llm.Chat{Turns: talk[1:2]}}, 3},
		{"a legacy completion of several texts is all of them", Classic(), &llm.Request{Op: llm.OpComplete, Body: &llm.Chat{}, Extra: members("prompt", `["a b","c"]`)}, 3},
		{"a legacy completion of tokens is as many", Classic(), &llm.Request{Op: llm.OpComplete, Body: &llm.Chat{}, Extra: members("prompt", `[[11,22],[33]]`)}, 3},
		{"a legacy completion is shown what follows it", Classic(), &llm.Request{Op: llm.OpComplete, Body: &llm.Chat{Turns: talk[1:2]}, Extra: members("suffix", `"and on"`)}, 5},
		{"a chat's answer of two texts is one message", GPT5(), chat(talk[1], twice, talk[3]), 6 + 2 + 3*4 + 2},
		{"each text of an answer is a message at Responses", GPT5(), &llm.Request{Op: llm.OpChat, Body: chat(talk[1], twice, talk[3]).Body, Extra: llm.Extra{Dialect: "openai-responses"}}, 6 + 2 + 4*4 + 2*2},
		{"embeddings are their texts", Classic(), &llm.Request{Op: llm.OpEmbed, Body: &llm.Embed{Inputs: []llm.EmbedInput{{Text: "a b"}, {Tokens: []int64{1, 2, 3}}, {Text: ""}}}}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.rule.Count(c.req, words)
			if got.Total() != c.want {
				t.Errorf("got %d (%+v), want %d", got.Total(), got, c.want)
			}
		})
	}
}

func TestGeminiIsShownNamesAndDescriptions(t *testing.T) {
	req := &llm.Request{Op: llm.OpChat, Body: &llm.Chat{
		Tools: []llm.Tool{
			{Name: "find", Description: "Find a thing", Schema: []byte(`{"type":"object","title":"not shown","required":["q"],"properties":{
				"q":{"type":"string","description":"some words"},"kind":{"enum":["a b","c",7]},
				"list":{"type":"array","items":{"type":"object","properties":{"x":{"type":"string"}}}},"o":{"properties":{"y":{}}}}}`)},
			{Name: "search", Native: "google_search"},
		},
		Output: llm.Output{Kind: llm.OutputSchema, Schema: []byte(`{"properties":{"z":{"description":"costs nothing"}}}`)},
	}}
	got := Gemini{Function: 1000, Property: 100, List: 10, Object: 1}.Count(req, words)
	if got.Frame != 1000+6*100+10+1 || got.Tools != 1+3+1+2+1+3+1+1+1+1 {
		t.Errorf("got %+v", got)
	}
}

func TestGeminiIsShownMembersOfCallsAndReplies(t *testing.T) {
	req := &llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: []llm.Turn{
		{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartCall, Call: &llm.ToolCall{Name: "find", Args: `{"a":"one two","b":3}`}}}},
		{Parts: []llm.Part{{Kind: llm.PartReply, Reply: &llm.ToolReply{Name: "find", Parts: []llm.Part{{Text: `{"r":"four five six"}`}}}}}},
		{Parts: []llm.Part{{Kind: llm.PartReply, Reply: &llm.ToolReply{Name: "find", Parts: []llm.Part{{Text: `plain text`}}}}}},
	}}}
	got := Gemini{}.Count(req, words)
	if got.Text != 1+1+2+1+1+1+1+3+1+2 || got.Frame != 3*6+4*3 || !got.Loose {
		t.Errorf("got %+v", got)
	}
}

func TestJSONIsShownToClaudeWithSpaces(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1,"b":[2,3]}`:          `{"a": 1, "b": [2, 3]}`,
		`{ "a" : "x,y:\"z\",w" }`:    `{"a": "x,y:\"z\",w"}`,
		`not JSON, as a model wrote`: `not JSON, as a model wrote`,
	} {
		if got := spaced(in); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestMediaWithoutARuleIsUnknown(t *testing.T) {
	s := Classic().Count(&llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: []llm.Turn{{Parts: []llm.Part{{Kind: llm.PartImage, Media: &llm.Media{URL: "https://a"}}}}}}}, words)
	if !s.Unknown || !s.Loose {
		t.Errorf("got %+v", s)
	}
}

func TestWhatClaudeIsShownOfToolsAndSchemas(t *testing.T) {
	var shown []string
	env := Env{Text: func(s string) int { shown = append(shown, s); return 0 }}
	chat := &llm.Chat{
		Turns: []llm.Turn{{Parts: []llm.Part{{Text: "hi"}}}},
		Tools: []llm.Tool{
			{Name: "now", Description: "The time", Schema: []byte(`{"type":"object"}`)},
			{Name: "later", Extra: []llm.Member{{Name: "defer_loading", Raw: []byte("true")}}},
			{Name: "soon", Extra: []llm.Member{{Name: "defer_loading", Raw: []byte("true")}}},
		},
		Output: llm.Output{Kind: llm.OutputSchema, Schema: []byte(`{"type":"object","properties":{"a":{}}}`)},
		Choice: llm.ToolChoice{Mode: llm.ChoiceNone},
	}
	f := Claude{Base: 7, Auto: 500, Tool: 3, Schema: 80, Budget: 30}
	req := &llm.Request{Op: llm.OpChat, Body: chat}
	if got := f.Count(req, env).Frame; got != 7+500+80 {
		t.Errorf("the frame has %d tokens, want %d: tools cost even where none may be called, and one of them is shown", got, 7+500+80)
	}
	want := []string{
		"hi", `<function>{"description": "The time", "name": "now", "parameters": {"type": "object"}}</function>`,
		"{\n  \"type\": \"object\",\n  \"properties\": {\n    \"a\": {}\n  }\n}",
	}
	if d := cmp.Diff(shown, want); d != "" {
		t.Error(d)
	}
	chat.Turns = append(chat.Turns, llm.Turn{Parts: []llm.Part{{Kind: llm.PartReply, Reply: &llm.ToolReply{
		Parts: []llm.Part{{Kind: llm.PartNative, Name: "tool_reference", Raw: []byte(`{"type":"tool_reference","tool_name":"soon"}`)}},
	}}}})
	req.Extra.Members = []llm.Member{{Name: "output_config", Raw: []byte(`{"task_budget":{"total":20000}}`)}}
	if got := f.Count(req, env).Frame; got != 7+500+3+80+30 {
		t.Errorf("with a reference and a budget the frame has %d tokens, want %d", got, 7+500+3+80+30)
	}
}

func TestOpenAIIsShownASchemaAtTheEndOfTheSystemMessage(t *testing.T) {
	schema := llm.Output{Kind: llm.OutputSchema, Name: "two words", Schema: []byte(`{}`)}
	user := llm.Turn{Parts: []llm.Part{{Text: "hi"}}}
	system := llm.Turn{Role: llm.RoleSystem, Parts: []llm.Part{{Text: "be brief"}}}
	for _, c := range []struct {
		name  string
		turns []llm.Turn
		api   OpenAIAPI
		frame int64
	}{
		{"there is one", []llm.Turn{system, user}, OpenAIAPI{Schema: 2}, 3 + 4 + 4 + 2},
		{"one is made", []llm.Turn{user}, OpenAIAPI{Schema: 2}, 3 + 4 + 4 + 2},
		{"it stands apart", []llm.Turn{user}, OpenAIAPI{Schema: 2, Apart: true}, 3 + 4 + 2},
	} {
		plain := OpenAI{Chat: c.api}.Count(&llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: c.turns, Output: schema}}, words)
		c.api.Named = true
		named := OpenAI{Chat: c.api}.Count(&llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: c.turns, Output: schema}}, words)
		if plain.Frame != c.frame || named.Tools != plain.Tools+2 {
			t.Errorf("%s: the frame has %d tokens, want %d; the name adds %d, want 2", c.name, plain.Frame, c.frame, named.Tools-plain.Tools)
		}
	}
}
