package providers

import (
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaicompletions"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
)

// API is the parameter of kinds that have both of OpenAI's APIs for conversations.
type API struct {
	API string `yaml:"api" json:"api,omitempty" enum:"chat,responses" doc:"The API that conversations go to: chat (Chat Completions) or responses (Responses). Without it, clients of either are served by their own, and all others by Chat Completions; a model that has one of them only is served by that."`
}

// Conversations are the endpoints of conversations and of counting their tokens, as OpenAI has them, and of legacy
// completions. mode says by which API a model is served, as in the catalog: "responses" alone, "completion", or
// anything else for all but that; nil: nothing is known of models, and each is tried by every API.
func (a API) Conversations(mode func(model string) string) ([]Endpoint, error) {
	var chats, complete func(string) bool
	if mode != nil {
		chats = func(model string) bool { return mode(model) != "responses" }
		complete = func(model string) bool { return mode(model) == "completion" }
	}
	chat := []Endpoint{{Op: llm.OpChat, Codec: openaichat.New(), Path: "/chat/completions", Only: chats}}
	responses := openairesponses.New()
	answers := []Endpoint{
		{Op: llm.OpChat, Codec: responses, Path: "/responses"},
		{Op: llm.OpCount, Codec: responses, Path: "/responses/input_tokens"},
	}
	legacy := Endpoint{Op: llm.OpComplete, Codec: openaicompletions.New(), Path: "/completions", Only: complete}
	switch a.API {
	case "":
		return append(append(chat, answers...), legacy), nil
	case "chat":
		chat[0].Only = nil
		return append(chat, legacy), nil
	case "responses":
		return append(answers, legacy), nil
	}
	return nil, &llm.Error{Code: llm.CodeInvalid, Param: "params.api", Message: "unknown API; use chat or responses"}
}
