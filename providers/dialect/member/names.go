package member

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
