package plain

import "github.com/signalbox-ai/signalbox/internal/jsonx"

// Chat reads an openai-chat answer of kind "json" or "sse".
func Chat(body []byte, kind string) (Answer, error) {
	var a Answer
	docs, err := documents(body, kind)
	if err != nil {
		return a, err
	}
	at := make(map[int64]int) // the call of each index
	for _, doc := range docs {
		if text := failure(doc); text != "" {
			a.Error = text
		}
		chatUsage(&a.Usage, jsonx.Get(doc, "usage"))
		for _, choice := range jsonx.Elements(jsonx.Get(doc, "choices")) {
			if n, _ := jsonx.Int(jsonx.Get(choice, "index")); n != 0 {
				continue
			}
			part := jsonx.Get(choice, "delta")
			if kind == "json" {
				part = jsonx.Get(choice, "message")
			}
			chatPart(&a, part, at)
			stop := str(jsonx.Get(choice, "finish_reason"))
			if stop == "" { // gpt-4-vision-preview
				stop = str(jsonx.At(choice, "finish_details", "type"))
			}
			if stop != "" {
				a.Stop = stop
			}
			if text := failure(choice); text != "" {
				a.Error = text
			}
		}
	}
	finish(&a)
	return a, nil
}

func chatUsage(u *Usage, usage []byte) {
	set(&u.In, usage, "prompt_tokens")
	set(&u.Out, usage, "completion_tokens")
	set(&u.CacheRead, usage, "prompt_tokens_details", "cached_tokens")
	set(&u.CacheWrite, usage, "prompt_tokens_details", "cache_write_tokens")
	set(&u.Reasoning, usage, "completion_tokens_details", "reasoning_tokens")
}

// chatPart adds a message or a delta.
func chatPart(a *Answer, part []byte, at map[int64]int) {
	content := jsonx.Get(part, "content")
	a.Text += str(content)
	if jsonx.Kind(content) == '{' { // Cloudflare, when a schema was asked for
		a.Text += string(content)
	}
	for _, piece := range jsonx.Elements(content) { // Mistral
		a.Text += str(jsonx.Get(piece, "text"))
		for _, thought := range jsonx.Elements(jsonx.Get(piece, "thinking")) {
			a.Reasoning += str(jsonx.Get(thought, "text"))
		}
	}
	thought := str(jsonx.Get(part, "reasoning_content"))
	if thought == "" { // some send both
		thought = str(jsonx.Get(part, "reasoning"))
	}
	a.Reasoning += thought
	a.Refusal += str(jsonx.Get(part, "refusal"))
	for _, c := range jsonx.Elements(jsonx.Get(part, "tool_calls")) {
		i, known := jsonx.Int(jsonx.Get(c, "index"))
		name, args := str(jsonx.At(c, "function", "name")), str(jsonx.At(c, "function", "arguments"))
		k, seen := at[i]
		if !known || !seen { // without an index every entry is a call of its own
			k = len(a.Calls)
			a.Calls = append(a.Calls, Call{})
			if known {
				at[i] = k
			}
		}
		if a.Calls[k].Name == "" {
			a.Calls[k].Name = name
		}
		a.Calls[k].Args += args
	}
}
