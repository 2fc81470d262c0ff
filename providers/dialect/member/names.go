package member

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// names are what dialects call a member that OpenAI's call otherwise, for losses and errors that name it.
var names = [...]struct{ client, ours, theirs string }{
	{"cohere", "dimensions", "output_dimension"},
	{"cohere", "encoding_format", "embedding_types"},
	{"cohere", "input", "inputs"},
	{"cohere", "stop", "stop_sequences"},
	{"cohere", "top_k", "k"},
	{"cohere", "top_p", "p"},
	{"cohere", "reasoning_effort", "thinking"},
	{"gemini", "dimensions", "outputDimensionality"},
	{"gemini", "input_type", "taskType"},
	{"gemini", "input", "requests"},
	{"gemini", "truncate", "autoTruncate"},
	{"gemini", "temperature", "generationConfig.temperature"},
	{"gemini", "top_p", "generationConfig.topP"},
	{"gemini", "top_k", "generationConfig.topK"},
	{"gemini", "seed", "generationConfig.seed"},
	{"gemini", "n", "generationConfig.candidateCount"},
	{"gemini", "stop", "generationConfig.stopSequences"},
	{"gemini", "presence_penalty", "generationConfig.presencePenalty"},
	{"gemini", "frequency_penalty", "generationConfig.frequencyPenalty"},
	{"gemini", "logprobs", "generationConfig.responseLogprobs"},
	{"gemini", "top_logprobs", "generationConfig.logprobs"},
	{"gemini", "tool_choice", "toolConfig"},
	{"gemini", "response_format", "generationConfig.responseMimeType"},
	{"gemini", "reasoning_effort", "generationConfig.thinkingConfig"},
	{"gemini", "messages", "contents"},
	{"gemini", "system", "systemInstruction"},
	{"gemini", "max_tokens", "generationConfig.maxOutputTokens"},
	{"gemini", "max_completion_tokens", "generationConfig.maxOutputTokens"},
	{"gemini", "metadata", "labels"},
	{"anthropic-messages", "max_completion_tokens", "max_tokens"},
	{"anthropic-messages", "stop", "stop_sequences"},
	{"anthropic-messages", "user", "metadata.user_id"},
	{"anthropic-messages", "reasoning_effort", "thinking"},
	{"anthropic-messages", "response_format", "output_config.format"},
	{"anthropic-messages", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use"},
	{"openai-responses", "messages", "input"},
	{"openai-responses", "response_format", "text.format"},
	{"openai-responses", "verbosity", "text.verbosity"},
	{"openai-responses", "reasoning_effort", "reasoning.effort"},
	{"bedrock-converse", "max_completion_tokens", "inferenceConfig.maxTokens"},
	{"bedrock-converse", "reasoning_effort", "additionalModelRequestFields"},
	{"bedrock-converse", "parallel_tool_calls", "additionalModelRequestFields.tool_choice"},
	{"bedrock-converse", "user", "requestMetadata.user_id"},
	{"openai-responses", "logprobs", "include"},
	{"openai-completions", "top_logprobs", "logprobs"},
	{"openai-responses", "max_tokens", "max_output_tokens"},
	{"openai-responses", "max_completion_tokens", "max_output_tokens"},
	{"openai-completions", "messages", "prompt"},
	{"openai-completions", "max_completion_tokens", "max_tokens"},
	{"cohere", "max_completion_tokens", "max_tokens"},
	{"bedrock-converse", "max_tokens", "inferenceConfig.maxTokens"},
	{"bedrock-converse", "temperature", "inferenceConfig.temperature"},
	{"bedrock-converse", "top_p", "inferenceConfig.topP"},
	{"bedrock-converse", "top_k", "additionalModelRequestFields.top_k"},
	{"bedrock-converse", "stop", "inferenceConfig.stopSequences"},
	{"bedrock-converse", "tools", "toolConfig.tools"},
	{"bedrock-converse", "tool_choice", "toolConfig.toolChoice"},
	{"bedrock-converse", "response_format", "outputConfig.textFormat"},
	{"bedrock-converse", "metadata", "requestMetadata"},
	{"bedrock-converse", "service_tier", "serviceTier"},
}

// In returns what a client's dialect calls the top-level member that OpenAI's dialects call name.
func In(client, name string) string {
	for i := range names {
		if n := &names[i]; n.client == client && n.ours == name {
			return n.theirs
		}
	}
	return name
}

// Path is what a client's dialect calls the member to which a path leads by OpenAI's names. What leads further into a
// member that the dialect has elsewhere is left out: there it need not be made of the same. The client's own members,
// and paths that are its own already, stay as they are. x is what was left of the client's request.
func Path(x *llm.Extra, path string) string {
	top := path
	if i := strings.IndexAny(path, ".["); i >= 0 {
		top = path[:i]
	}
	for i := range x.Members {
		if x.Members[i].Name == top {
			return path
		}
	}
	switch named := In(x.Dialect, top); {
	case named == top:
		return path
	case strings.HasPrefix(path[len(top):], "["):
		return named + path[len(top):]
	default:
		return named
	}
}

// Thinking is the member of a client's dialect that asked for reasoning.
func Thinking(client string, th *llm.Thinking) string {
	switch alone := th != nil && th.Mode == llm.ThinkUnset && th.Effort != ""; {
	case client == "anthropic-messages" && alone:
		return "output_config.effort"
	case client == "openai-responses" && !alone:
		return "reasoning"
	}
	return In(client, "reasoning_effort")
}

// Display is the member of a client's dialect that says how reasoning is shown.
func Display(client string) string {
	switch client {
	case "openai-responses":
		return "reasoning.summary"
	case "gemini":
		return "generationConfig.thinkingConfig.includeThoughts"
	case "bedrock-converse":
		return "additionalModelRequestFields.thinking.display"
	}
	return "thinking.display"
}

// Input is the path, in a client's dialect, of a text or an image to embed; i is below 0 for all of them. It is for codecs
// that write for another dialect.
func Input(client string, e *llm.Embed, i int) string {
	name := In(client, "input")
	if client == "cohere" {
		texts, images := false, false
		for j := range e.Inputs {
			in := &e.Inputs[j]
			images = images || in.Media != nil
			texts = texts || in.Media == nil || in.Text != ""
		}
		switch {
		case !images:
			name = "texts"
		case !texts:
			name = "images"
		}
	}
	if i < 0 || e.Single || len(e.Inputs) == 1 && e.Inputs[0].Tokens != nil { // tokens alone are no list of inputs
		return name
	}
	return item(name, i)
}
