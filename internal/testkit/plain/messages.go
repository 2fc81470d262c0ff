package plain

import "github.com/signalbox-ai/signalbox/internal/jsonx"

// Messages reads an anthropic-messages answer of kind "json" or "sse".
func Messages(body []byte, kind string) (Answer, error) {
	var a Answer
	docs, err := documents(body, kind)
	if err != nil {
		return a, err
	}
	at := make(map[int64]int) // the call of each block's index
	for _, doc := range docs {
		if text := failure(doc); text != "" {
			a.Error = text
		}
		switch str(jsonx.Get(doc, "type")) {
		case "message":
			message(&a, doc)
		case "message_start":
			messageUsage(&a.Usage, jsonx.At(doc, "message", "usage"))
		case "content_block_start":
			i, _ := jsonx.Int(jsonx.Get(doc, "index"))
			block := jsonx.Get(doc, "content_block")
			if str(jsonx.Get(block, "type")) == "tool_use" {
				at[i] = len(a.Calls)
				a.Calls = append(a.Calls, Call{Name: str(jsonx.Get(block, "name"))})
			}
			a.Text += str(jsonx.Get(block, "text"))
			a.Reasoning += str(jsonx.Get(block, "thinking"))
		case "content_block_delta":
			i, _ := jsonx.Int(jsonx.Get(doc, "index"))
			a.Text += str(jsonx.At(doc, "delta", "text"))
			a.Reasoning += str(jsonx.At(doc, "delta", "thinking"))
			if k, ok := at[i]; ok {
				a.Calls[k].Args += str(jsonx.At(doc, "delta", "partial_json"))
			}
		case "message_delta":
			a.Stop = str(jsonx.At(doc, "delta", "stop_reason"))
			messageUsage(&a.Usage, jsonx.Get(doc, "usage"))
		}
	}
	finish(&a)
	return a, nil
}

// message reads a whole answer.
func message(a *Answer, doc []byte) {
	for _, block := range jsonx.Elements(jsonx.Get(doc, "content")) {
		switch str(jsonx.Get(block, "type")) {
		case "text":
			a.Text += str(jsonx.Get(block, "text"))
		case "thinking":
			a.Reasoning += str(jsonx.Get(block, "thinking"))
		case "tool_use":
			a.Calls = append(a.Calls, Call{Name: str(jsonx.Get(block, "name")), Args: string(jsonx.Get(block, "input"))})
		}
	}
	a.Stop = str(jsonx.Get(doc, "stop_reason"))
	messageUsage(&a.Usage, jsonx.Get(doc, "usage"))
}

func messageUsage(u *Usage, usage []byte) {
	set(&u.In, usage, "input_tokens")
	set(&u.Out, usage, "output_tokens")
	set(&u.CacheRead, usage, "cache_read_input_tokens")
	set(&u.CacheWrite, usage, "cache_creation_input_tokens")
	set(&u.Reasoning, usage, "output_tokens_details", "thinking_tokens")
}
