package asking

import (
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/routing"
)

// prefix is how many bytes of each part of a conversation's beginning tie requests to each other, where they share a
// provider's cache of prompts: providers cache from 1,024 tokens on.
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

// beginning hashes what stands first in a prompt: instructions, tools, and the conversation to the first message of the
// user. So it is the same over all turns of a conversation. Marks of what a provider shall cache move from turn to turn, and
// do not count.
func beginning(doc *jsonx.Doc) string {
	if doc == nil {
		return ""
	}
	var h uint64
	for _, n := range [...]string{"system", "instructions", "systemInstruction", "system_instruction", "tools", "toolConfig"} {
		if raw, ok := doc.Get(n); ok && !jsonx.IsNull(raw) {
			h = digest(h, raw)
		}
	}
	for _, n := range [...]string{"messages", "input", "contents", "prompt"} {
		raw, ok := doc.Get(n)
		if !ok || jsonx.IsNull(raw) {
			continue
		}
		if jsonx.Kind(raw) != '[' {
			h = digest(h, raw)
			continue
		}
		for _, m := range jsonx.Elements(raw) {
			h = digest(h, m)
			role, ok := jsonx.String(jsonx.Get(m, "role"))
			if role == "user" || !ok && n == "contents" { // which is the user's where Gemini is not told otherwise
				break
			}
		}
	}
	if h == 0 {
		return ""
	}
	return strconv.FormatUint(h, 36)
}

// digest adds a value to a hash, as far as prefix goes.
func digest(h uint64, raw []byte) uint64 {
	left := prefix
	return fold(h, raw, &left, 0)
}

// deepest is how far values are looked into; what lies deeper counts as it stands.
const deepest = 6

func fold(h uint64, raw []byte, left *int, depth int) uint64 {
	switch kind := jsonx.Kind(raw); {
	case *left <= 0:
	case kind == '{' && depth < deepest:
		for name, v := range jsonx.Members(raw) {
			if n := string(name); n != "cache_control" && n != "cachePoint" {
				h = fold(routing.Mix(h^routing.Hash(n)), v, left, depth+1)
			}
		}
	case kind == '[' && depth < deepest:
		for _, v := range jsonx.Elements(raw) {
			h = fold(h, v, left, depth+1)
		}
	default:
		raw = raw[:min(len(raw), *left)]
		*left -= len(raw)
		h = routing.Mix(h ^ routing.Hash(string(raw)))
	}
	return h
}
