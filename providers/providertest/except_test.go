package providertest_test

import "regexp"

// made is what differs from writing to writing.
var made = regexp.MustCompile(`"(created|created_at|completed_at)":\d+|"(id|item_id|call_id)":"(msg_|chatcmpl-|call_|toolu_|resp_|fc_|rs_)[A-Za-z0-9]{20,}"`)

// promised makes of what a record says what the gateway promises to say. Each rule is for many records.
func promised(s *said) {
	if len(s.Calls) > 0 && s.Stop == "end" {
		s.Stop = "calls" // some say "stop" beside calls, and clients would not run them
	}
	if s.Stop == "" { // some give no reason, though the answer is whole
		s.Stop = "end"
		if len(s.Calls) > 0 {
			s.Stop = "calls"
		}
	}
	s.Cached = min(s.Cached, s.In) // some count cached tokens in blocks
}

// Reasons of several records.
const (
	thoughtsApart = "completion_tokens leaves out thoughts that total_tokens, or the count of thoughts beside it, holds"
	functionCall  = "it calls by the old function_call member, which the naive reader does not know"
)

// otherwise are the records that the codec reads otherwise than a naive reader, and why it is right.
var otherwise = map[string]string{
	"b3c602b25025d988": "its last event counts 0 output tokens where its first counted 1; counts only grow",
	"5818f8ef68a52f52": thoughtsApart,
	"ed15c312c91acf8a": thoughtsApart,
	"96d91693df32e1f0": thoughtsApart,
	"95721d1f546b0b1a": thoughtsApart,
	"31977ca16a258e4c": thoughtsApart,
	"4d7ff2170bb4f21a": thoughtsApart,
	"7ddd65036e6cf980": thoughtsApart,
	"8b3ef1198bdff880": thoughtsApart,
	"947dc49f7fd75780": thoughtsApart,
	"f7fe386b9a7fbc2e": thoughtsApart,
	"fad207ed7ae8d4d8": thoughtsApart,
	"dce2ac1acef7f14e": thoughtsApart,
	"f7323ba34f26206c": thoughtsApart,
	"b80874a7e827ae34": "an earlier event counts more prompt tokens than the last; counts only grow",
	"64a263fa5dfd88de": "prompt_tokens leaves out the audio that total_tokens holds",
	"fd92fb15ec221aa8": "prompt_tokens leaves out the audio that total_tokens holds",
	"b0c4e71df9d791f4": "its cached tokens stand in num_cached_tokens, which the naive reader does not know",
	"30a4e872d3e44bd8": functionCall,
	"3b8424b98361eca8": functionCall,
	"6f00407b8efd7322": functionCall,
}

// unreadable are the requests that the other dialect writes and would not read, and why that is right.
var unreadable = map[string]string{
	"354d169e461c6722": "what it sends as an image is a text, and only one of the dialects looks",
}
