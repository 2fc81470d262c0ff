package providers

import (
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
)

// API is the parameter of kinds that have both of OpenAI's APIs for conversations.
type API struct {
	API string `yaml:"api" json:"api,omitempty" enum:"chat,responses" doc:"The API that conversations go to: chat (Chat Completions) or responses (Responses). Without it, clients of either are served by their own, and all others by Chat Completions."`
}

// Conversations are the endpoints of conversations and of counting their tokens, as OpenAI has them.
func (a API) Conversations() ([]Endpoint, error) {
	chat := []Endpoint{{Op: llm.OpChat, Codec: openaichat.New(), Path: "/chat/completions"}}
	responses := openairesponses.New()
	answers := []Endpoint{
		{Op: llm.OpChat, Codec: responses, Path: "/responses"},
		{Op: llm.OpCount, Codec: responses, Path: "/responses/input_tokens"},
	}
	switch a.API {
	case "":
		return append(chat, answers...), nil
	case "chat":
		return chat, nil
	case "responses":
		return answers, nil
	}
	return nil, &llm.Error{Code: llm.CodeInvalid, Param: "params.api", Message: "unknown API; use chat or responses"}
}
