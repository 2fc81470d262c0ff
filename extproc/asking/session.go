package asking

import (
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/routing"
)

// prefix is how much of a conversation's beginning ties requests to each other, where they share a provider's cache of
// prompts: providers cache from 1,024 tokens on.
const prefix = 4096

// Session returns what ties a request to others, "" where nothing does: the members by which clients name a conversation,
// by the hash of its beginning, or a header, as header:NAME.
func Session(by string, doc *jsonx.Doc, header func(name string) string) string {
	if name, ok := strings.CutPrefix(by, "header:"); ok {
		return header(name)
	}
	switch by {
	case "session":
		if s := header("x-session-id"); s != "" {
			return s
		}
		return text(doc, "prompt_cache_key", "conversation", "previous_response_id", "session_id")
	case "prefix":
		return beginning(doc)
	}
	return ""
}

// text returns the first of a body's members that is a text.
func text(doc *jsonx.Doc, names ...string) string {
	if doc == nil {
		return ""
	}
	for _, n := range names {
		if raw, ok := doc.Get(n); ok {
			if s, ok := jsonx.String(raw); ok && s != "" {
				return s
			}
		}
	}
	return ""
}

// beginning hashes what stands first in a prompt: instructions, tools, and the first of the conversation.
func beginning(doc *jsonx.Doc) string {
	if doc == nil {
		return ""
	}
	var h uint64
	for _, n := range [...]string{"system", "instructions", "systemInstruction", "system_instruction", "tools", "messages", "input", "contents", "prompt"} {
		if raw, ok := doc.Get(n); ok {
			h = routing.Mix(h ^ routing.Hash(string(raw[:min(len(raw), prefix)])))
		}
	}
	if h == 0 {
		return ""
	}
	return strconv.FormatUint(h, 36)
}
