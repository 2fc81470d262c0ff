package traffic

import (
	"fmt"
	"strings"
)

// Chunks is how many pieces of content a stream has.
const Chunks = 200

// prose is the text of a whole answer, which makes it about 1 KB long.
var prose = strings.Repeat("All work and no play makes a proxy a dull thing. ", 13)

func whole(body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req-of-the-provider\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
}

const streamHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\nx-request-id: req-of-the-provider\r\ntransfer-encoding: chunked\r\n\r\n"

// frame adds an event, as an HTTP chunk of its own.
func (s *script) frame(event string) {
	s.frames = append(s.frames, fmt.Appendf(nil, "%x\r\n%s\n\n\r\n", len(event)+2, event))
}

func (s *script) end() {
	last := &s.frames[len(s.frames)-1]
	*last = append(*last, "0\r\n\r\n"...)
}

func openaiScript() script {
	s := script{head: []byte(streamHead)}
	s.whole = whole(fmt.Sprintf(`{"id":"chatcmpl-7","object":"chat.completion","created":1764000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":211,"completion_tokens":143,"total_tokens":354,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}`, prose))
	const envelope = `data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1764000000,"model":"bench","service_tier":"default","system_fingerprint":"fp_0","choices":[%s]%s}`
	choice := func(delta, finish string) string {
		return fmt.Sprintf(envelope, `{"index":0,"delta":`+delta+`,"logprobs":null,"finish_reason":`+finish+`}`, "")
	}
	s.frame(choice(`{"role":"assistant","content":"","refusal":null}`, "null"))
	for i := range Chunks {
		s.frame(choice(fmt.Sprintf(`{"content":" word%d"}`, i), "null"))
	}
	s.frame(choice(`{}`, `"stop"`))
	s.usage = len(s.frames)
	s.frame(fmt.Sprintf(envelope, "", `,"usage":{"prompt_tokens":211,"completion_tokens":200,"total_tokens":411}`))
	s.frame("data: [DONE]")
	s.end()
	return s
}

func anthropicScript() script {
	s := script{head: []byte(streamHead), usage: -1}
	s.whole = whole(fmt.Sprintf(`{"id":"msg_7","type":"message","role":"assistant","model":"bench","content":[{"type":"text","text":%q}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":211,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":143,"service_tier":"standard"}}`, prose))
	event := func(name, rest string) { s.frame("event: " + name + "\ndata: {\"type\":\"" + name + `"` + rest + "}") }
	event("message_start", `,"message":{"id":"msg_7","type":"message","role":"assistant","model":"bench","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":211,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}`)
	event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`)
	event("ping", "")
	for i := range Chunks {
		event("content_block_delta", fmt.Sprintf(`,"index":0,"delta":{"type":"text_delta","text":" word%d"}`, i))
	}
	event("content_block_stop", `,"index":0`)
	event("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":200}`)
	event("message_stop", "")
	s.end()
	return s
}
