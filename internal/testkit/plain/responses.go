package plain

import "github.com/signalbox-ai/signalbox/internal/jsonx"

// Responses reads an openai-responses answer of kind "json" or "sse". Of a stream it takes the text from the deltas,
// and the calls from what ends their items.
func Responses(body []byte, kind string) (Answer, error) {
	var a Answer
	docs, err := documents(body, kind)
	if err != nil {
		return a, err
	}
	if kind == "json" {
		for _, doc := range docs {
			response(&a, doc)
			for _, item := range jsonx.Elements(jsonx.Get(doc, "output")) {
				outputItem(&a, item, true)
			}
		}
		finish(&a)
		return a, nil
	}
	for _, doc := range docs {
		switch str(jsonx.Get(doc, "type")) {
		case "response.output_text.delta":
			a.Text += str(jsonx.Get(doc, "delta"))
		case "response.refusal.delta":
			a.Refusal += str(jsonx.Get(doc, "delta"))
		case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
			a.Reasoning += str(jsonx.Get(doc, "delta"))
		case "response.output_item.done":
			outputItem(&a, jsonx.Get(doc, "item"), false)
		case "response.completed", "response.incomplete", "response.failed":
			response(&a, jsonx.Get(doc, "response"))
			finish(&a)
			return a, nil // a recording may hold a second response
		case "error":
			if a.Error = failure(doc); a.Error == "" {
				a.Error = str(jsonx.Get(doc, "message"))
			}
		}
	}
	finish(&a)
	return a, nil
}

// response reads what a whole response says of itself.
func response(a *Answer, doc []byte) {
	if text := failure(doc); text != "" {
		a.Error = text
	}
	if a.Stop = str(jsonx.Get(doc, "status")); a.Stop == "incomplete" {
		a.Stop = str(jsonx.At(doc, "incomplete_details", "reason"))
	}
	usage := jsonx.Get(doc, "usage")
	set(&a.Usage.In, usage, "input_tokens")
	set(&a.Usage.Out, usage, "output_tokens")
	set(&a.Usage.CacheRead, usage, "input_tokens_details", "cached_tokens")
	set(&a.Usage.CacheWrite, usage, "input_tokens_details", "cache_write_tokens")
	set(&a.Usage.Reasoning, usage, "output_tokens_details", "reasoning_tokens")
}

// outputItem adds a whole item; words says that its text was not seen before.
func outputItem(a *Answer, item []byte, words bool) {
	switch str(jsonx.Get(item, "type")) {
	case "function_call":
		a.Calls = append(a.Calls, Call{str(jsonx.Get(item, "name")), str(jsonx.Get(item, "arguments"))})
	case "custom_tool_call":
		a.Calls = append(a.Calls, Call{str(jsonx.Get(item, "name")), str(jsonx.Get(item, "input"))})
	case "message":
		for _, part := range jsonx.Elements(jsonx.Get(item, "content")) {
			if words {
				a.Text += str(jsonx.Get(part, "text"))
				a.Refusal += str(jsonx.Get(part, "refusal"))
			}
		}
	case "reasoning":
		for _, part := range jsonx.Elements(jsonx.Get(item, "summary")) {
			if words {
				a.Reasoning += str(jsonx.Get(part, "text"))
			}
		}
	}
}
