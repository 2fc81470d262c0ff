package member_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

func TestPlacesAreNamedAsTheClientHasThem(t *testing.T) {
	text, call := llm.Part{Text: "x"}, llm.Part{Kind: llm.PartCall, Call: &llm.ToolCall{}}
	system := llm.Turn{Role: llm.RoleSystem, Parts: []llm.Part{text, text}}
	user := llm.Turn{Parts: []llm.Part{text, text}}
	model := llm.Turn{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartThought}, {Kind: llm.PartRefusal}, text}}
	one := llm.Turn{Role: llm.RoleAssistant, Parts: []llm.Part{call}}
	told := llm.Turn{Role: llm.RoleSystem, Parts: []llm.Part{{Text: "x", Name: "instructions"}}}
	asked := llm.Turn{Parts: []llm.Part{{Kind: llm.PartFile, Name: "documents"}, text}}
	for _, c := range []struct {
		client     string
		turns      []llm.Turn
		turn, part int
		want       string
	}{
		{"openai-chat", []llm.Turn{system, user}, 0, 1, "messages[0].content[1]"},
		{"openai-chat", []llm.Turn{system, user}, 1, -1, "messages[1]"},
		{"openai-chat", []llm.Turn{user, model}, 1, 0, "messages[1].reasoning_content"},
		{"openai-chat", []llm.Turn{user, model}, 1, 1, "messages[1].refusal"},
		{"openai-chat", []llm.Turn{user}, 0, 7, "messages[0].content[7]"},
		{"anthropic-messages", []llm.Turn{system, user}, 0, -1, "system"},
		{"anthropic-messages", []llm.Turn{system, user}, 0, 1, "system[1]"},
		{"anthropic-messages", []llm.Turn{system, user}, 1, 0, "messages[0].content[0]"},
		{"anthropic-messages", []llm.Turn{user, model}, 1, 0, "messages[1].content[0]"},
		{"bedrock-converse", []llm.Turn{system, user}, 0, 1, "system[1]"},
		{"gemini", []llm.Turn{system, user}, 0, 1, "systemInstruction.parts[1]"},
		{"gemini", []llm.Turn{system, user}, 1, 0, "contents[0].parts[0]"},
		{"gemini", []llm.Turn{user}, 0, 1, "contents[0].parts[1]"},
		{"cohere", []llm.Turn{system, asked}, 1, 0, "documents[0]"},
		{"cohere", []llm.Turn{system, asked}, 1, 1, "messages[1].content[0]"},
		{"openai-responses", []llm.Turn{told, user}, 0, 0, "instructions"},
		{"openai-responses", []llm.Turn{told, user}, 1, 1, "input[0].content[1]"},
		{"openai-responses", []llm.Turn{user, one, user}, 1, 0, "input[1]"},
		{"openai-responses", []llm.Turn{user, one, user}, 2, -1, "input[2]"},
		{"openai-responses", []llm.Turn{user, model, user}, 1, 0, "input[1]"},
		{"openai-responses", []llm.Turn{user, model, user}, 2, 0, "input[3].content[0]"},
	} {
		if got := member.At(c.client, c.turns, c.turn, c.part); got != c.want {
			t.Errorf("%s: turn %d, part %d of %d: got %s, want %s", c.client, c.turn, c.part, len(c.turns), got, c.want)
		}
	}
}

func TestMembersAreNamedAsTheClientHasThem(t *testing.T) {
	for _, c := range []struct{ client, path, want string }{
		{"openai-chat", "stop", "stop"},
		{"anthropic-messages", "stop", "stop_sequences"},
		{"anthropic-messages", "response_format.json_schema.schema", "output_config.format"},
		{"gemini", "max_tokens", "generationConfig.maxOutputTokens"},
		{"gemini", "generationConfig.seed", "generationConfig.seed"},
		{"gemini", "tools[1].function", "tools[1].function"},
		{"bedrock-converse", "tools[1]", "toolConfig.tools[1]"},
		{"gemini", "seed", "seed"}, // it is the client's own
	} {
		x := &llm.Extra{Dialect: c.client}
		if c.path == c.want {
			x.Members = []llm.Member{{Name: c.path}}
		}
		if got := member.Path(x, c.path); got != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.client, c.path, got, c.want)
		}
	}
}

func TestWhatChangesTheAnswerIsNotDropped(t *testing.T) {
	for _, c := range []struct {
		client, name, raw string
		needed            bool
	}{
		{"openai-chat", "web_search_options", `{}`, true},
		{"openai-chat", "web_search_options", `null`, false},
		{"openai-chat", "modalities", `["text","audio"]`, true},
		{"openai-chat", "modalities", `["text"]`, false},
		{"openai-chat", "audio", `{"voice":"alloy"}`, true},
		{"openai-chat", "prediction", `{}`, false},
		{"cohere", "audio", `{}`, false},
	} {
		x := &llm.Extra{Dialect: c.client}
		if got := member.Needed(x, &llm.Member{Name: c.name, Raw: []byte(c.raw)}) != ""; got != c.needed {
			t.Errorf("%s %s of %s: %v", c.name, c.raw, c.client, got)
		}
	}
}

func TestWhatAskedForReasoningIsNamed(t *testing.T) {
	effort, budget := &llm.Thinking{Effort: "high"}, &llm.Thinking{Mode: llm.ThinkBudget, Budget: 2000}
	for _, c := range []struct {
		client string
		th     *llm.Thinking
		want   string
	}{
		{"openai-chat", effort, "reasoning_effort"},
		{"anthropic-messages", effort, "output_config.effort"},
		{"anthropic-messages", budget, "thinking"},
		{"openai-responses", effort, "reasoning.effort"},
		{"openai-responses", nil, "reasoning"},
		{"gemini", budget, "generationConfig.thinkingConfig"},
		{"cohere", budget, "thinking"},
	} {
		if got := member.Thinking(c.client, c.th); got != c.want {
			t.Errorf("%s, %+v: got %s, want %s", c.client, c.th, got, c.want)
		}
	}
	for client, want := range map[string]string{
		"openai-responses": "reasoning.summary", "anthropic-messages": "thinking.display",
		"gemini": "generationConfig.thinkingConfig.includeThoughts", "bedrock-converse": "additionalModelRequestFields.thinking.display",
	} {
		if got := member.Display(client); got != want {
			t.Errorf("%s: got %s, want %s", client, got, want)
		}
	}
}

func TestInputsAreNamedAsTheClientHasThem(t *testing.T) {
	text, image := llm.EmbedInput{Text: "x"}, llm.EmbedInput{Media: new(llm.Media)}
	for _, c := range []struct {
		client string
		inputs []llm.EmbedInput
		single bool
		i      int
		want   string
	}{
		{"openai-embeddings", []llm.EmbedInput{text}, true, 0, "input"},
		{"openai-embeddings", []llm.EmbedInput{text, text}, false, 1, "input[1]"},
		{"gemini", []llm.EmbedInput{text, text}, false, 1, "requests[1]"},
		{"cohere", []llm.EmbedInput{text, text}, false, 1, "texts[1]"},
		{"cohere", []llm.EmbedInput{image}, false, 0, "images[0]"},
		{"cohere", []llm.EmbedInput{text, image}, false, 1, "inputs[1]"},
		{"cohere", []llm.EmbedInput{text, image}, false, -1, "inputs"},
	} {
		if got := member.Input(c.client, &llm.Embed{Inputs: c.inputs, Single: c.single}, c.i); got != c.want {
			t.Errorf("%s: got %s, want %s", c.client, got, c.want)
		}
	}
}
