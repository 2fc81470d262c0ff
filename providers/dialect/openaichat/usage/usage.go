// Package usage reads and writes what answers of OpenAI's older APIs say of tokens, and takes it out of streams again
// for clients that did not ask. It makes the numbers of all imitators mean the same.
package usage

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Append appends usage as OpenAI counts it. Details hold what is known; what is not known is absent,
// but for the three sums, which every client needs.
func Append(dst []byte, u *llm.Usage) []byte {
	count := func(name string, c llm.Count) {
		if c.Known {
			dst = strconv.AppendInt(jsonx.AppendKey(dst, name), c.N, 10)
		}
	}
	dst = append(dst, '{')
	count("prompt_tokens", llm.Tokens(u.Input.N))
	count("completion_tokens", llm.Tokens(u.Output.N))
	count("total_tokens", llm.Tokens(u.Input.N+u.Output.N))
	dst = append(jsonx.AppendKey(dst, "prompt_tokens_details"), '{')
	count("cached_tokens", u.Cached)
	count("cache_write_tokens", u.CacheWrite)
	count("audio_tokens", u.AudioIn)
	if u.Details != nil {
		count("image_tokens", u.Details.ImageIn)
	}
	dst = append(jsonx.AppendKey(append(dst, '}'), "completion_tokens_details"), '{')
	count("reasoning_tokens", u.Reasoning)
	count("audio_tokens", u.AudioOut)
	if u.Details != nil {
		count("image_tokens", u.Details.ImageOut)
	}
	return append(dst, "}}"...)
}

// Read reads usage as OpenAI and its imitators count it, and makes Input and Output whole.
func Read(raw []byte) llm.Usage {
	var u llm.Usage
	var total llm.Count
	var sound bool
	var d llm.Details
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "prompt_tokens":
			first(&u.Input, v)
		case "completion_tokens":
			first(&u.Output, v)
		case "total_tokens":
			first(&total, v)
		case "prompt_tokens_details":
			inDetail(&u, &d, v)
		case "completion_tokens_details":
			outDetail(&u, &d, v)
		case "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cache_read_input_tokens":
			first(&u.Cached, v) // DeepSeek, Mistral, Moonshot, Claude behind a compatible front
		case "cache_creation_input_tokens":
			first(&u.CacheWrite, v)
		case "cache_creation":
			first(&u.CacheWrite1h, jsonx.Get(v, "ephemeral_1h_input_tokens"))
		case "reasoning_tokens":
			first(&u.Reasoning, v)
		case "prompt_audio_seconds":
			sound = !jsonx.IsNull(v)
		case "num_search_queries":
			first(&u.WebSearches, v)
		case "server_tool_use":
			first(&u.WebSearches, jsonx.Get(v, "web_search_requests"))
		}
	}
	if d.ImageIn.N > 0 || d.ImageOut.N > 0 {
		u.Details = new(d)
	}
	addRest(&u, total, sound)
	if u.Input.Known && u.Cached.N > u.Input.N { // Grok counts a hidden prompt there, and Mistral its own
		u.Cached.N = u.Input.N
	}
	return u
}

// first reads a number that is not known yet.
func first(c *llm.Count, v []byte) {
	if n, ok := jsonx.Int(v); ok && n >= 0 && !c.Known {
		*c = llm.Tokens(n)
	}
}

// inDetail reads the parts of a prompt.
func inDetail(u *llm.Usage, d *llm.Details, v []byte) {
	for n, v := range jsonx.Members(v) {
		switch string(n) {
		case "cached_tokens":
			u.Cached = llm.Count{}
			first(&u.Cached, v)
		case "cache_write_tokens":
			first(&u.CacheWrite, v)
		case "audio_tokens":
			first(&u.AudioIn, v)
		case "image_tokens":
			first(&d.ImageIn, v)
		}
	}
}

// outDetail reads the parts of an answer.
func outDetail(u *llm.Usage, d *llm.Details, v []byte) {
	for n, v := range jsonx.Members(v) {
		switch string(n) {
		case "reasoning_tokens":
			first(&u.Reasoning, v)
		case "audio_tokens":
			first(&u.AudioOut, v)
		case "image_tokens":
			first(&d.ImageOut, v)
		}
	}
}

// Of reads the usage of an answer or a chunk, and the service tier that stands beside it.
func Of(answer, raw []byte) llm.Usage {
	u := Read(raw)
	if tier, ok := jsonx.String(jsonx.Get(answer, "service_tier")); ok && tier != "" {
		u.Merge(llm.Usage{Details: &llm.Details{Served: llm.Served{Tier: tier}}})
	}
	return u
}

// AddRest adds what is in the total only. xAI counts reasoning beside the completion, and Gemini's compatible front
// counts it nowhere else. It is for usage that others have read.
func AddRest(u *llm.Usage, total llm.Count) { addRest(u, total, false) }

// addRest is AddRest where there may be sound in the prompt, which Mistral counts in the total only.
func addRest(u *llm.Usage, total llm.Count, sound bool) {
	if !total.Known || !u.Input.Known || !u.Output.Known {
		return
	}
	rest := total.N - u.Input.N - u.Output.N
	switch {
	case rest <= 0:
	case sound:
		u.Input.N += rest
	case u.Reasoning.Known && u.Reasoning.N == rest:
		u.Output.N += rest
	case !u.Reasoning.Known || u.Reasoning.N == 0:
		u.Output.N += rest
		u.Reasoning = llm.Tokens(rest)
	}
}
