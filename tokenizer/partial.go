package tokenizer

import (
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// partial reports whether a request's prompt has a part that the request does not hold: one that the provider keeps,
// such as an earlier answer, or that a mode of the model adds.
func partial(req *llm.Request) bool {
	for i := range req.Extra.Members {
		switch m := &req.Extra.Members[i]; m.Name {
		case "previous_response_id", "conversation", "cachedContent", "preset":
			return true
		case "prompt": // a template's id; texts and tokens of legacy completions are counted
			if req.Op != llm.OpComplete {
				return true
			}
		case "reasoning": // the pro mode of gpt-5.6 adds some 1,500 tokens
			if mode, _ := jsonx.String(jsonx.Get(m.Raw, "mode")); mode == "pro" {
				return true
			}
		}
	}
	chat := req.Chat()
	if chat == nil {
		return false
	}
	for i := range chat.Turns {
		for j := range chat.Turns[i].Parts {
			if p := &chat.Turns[i].Parts[j]; p.Kind == llm.PartNative && p.Name == "item_reference" {
				return true
			}
		}
	}
	return false
}
