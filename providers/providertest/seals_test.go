package providertest_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// maker is a provider whose answers have seals, with an answer that thinks and calls a tool.
type maker struct {
	name   string
	codec  dialect.Name
	model  string
	facts  func(string) catalog.Facts
	answer string
	seals  []string // of the answer, which no other provider may get
	whole  []string // what the request that brings them back to it holds
}

// The seals are base64, as some providers demand.
const (
	sealOne = "c2VhbC1vbmU="
	sealTwo = "c2VhbC10d28="
)

func noFacts(string) catalog.Facts { return catalog.Facts{} }

func makers() []maker {
	return []maker{
		{
			"Anthropic", dialect.AnthropicMessages, "claude-sonnet-4-6", catalog.Anthropic,
			`{"id":"m","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[{"type":"thinking","thinking":"hm","signature":"` + sealOne + `"},{"type":"redacted_thinking","data":"` + sealTwo + `"},{"type":"tool_use","id":"call_1","name":"look","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`,
			[]string{sealOne, sealTwo},
			[]string{`{"type":"thinking","thinking":"hm","signature":"` + sealOne + `"},{"type":"redacted_thinking","data":"` + sealTwo + `"},{"type":"tool_use","id":"call_1"`},
		},
		{
			"Anthropic, hiding its thought", dialect.AnthropicMessages, "claude-sonnet-4-6", catalog.Anthropic,
			`{"id":"m","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[{"type":"thinking","thinking":"","signature":"` + sealOne + `"},{"type":"tool_use","id":"call_1","name":"look","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`,
			[]string{sealOne},
			[]string{`{"type":"thinking","thinking":"","signature":"` + sealOne + `"},{"type":"tool_use","id":"call_1"`},
		},
		{
			"Bedrock", dialect.BedrockConverse, "anthropic.claude-sonnet-4-5-20250929-v1:0", catalog.Anthropic,
			`{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"` + sealOne + `"}}},{"reasoningContent":{"redactedContent":"` + sealTwo + `"}},{"toolUse":{"toolUseId":"call_1","name":"look","input":{}}}]}},"stopReason":"tool_use","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}`,
			[]string{sealOne, sealTwo},
			[]string{`{"reasoningContent":{"reasoningText":{"text":"hm","signature":"` + sealOne + `"}}},{"reasoningContent":{"redactedContent":"` + sealTwo + `"}},{"toolUse":`},
		},
		{
			"Google", dialect.Gemini, "gemini-3-pro-preview", noFacts,
			`{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"Let me look.","thoughtSignature":"` + sealOne + `"},{"functionCall":{"id":"call_1","name":"look","args":{}},"thoughtSignature":"` + sealTwo + `"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}`,
			[]string{sealOne, sealTwo},
			[]string{`"text":"Let me look.","thoughtSignature":"` + sealOne + `"`, `"name":"look","args":{}},"thoughtSignature":"` + sealTwo + `"`},
		},
		{
			"OpenAI", dialect.OpenAIResponses, "gpt-5.1", catalog.OpenAI,
			`{"id":"r","object":"response","created_at":1,"status":"completed","model":"gpt-5.1","output":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"` + sealOne + `"},{"type":"function_call","id":"fc_1","call_id":"call_1","name":"look","arguments":"{}","status":"completed"}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}`,
			[]string{sealOne},
			[]string{`{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"` + sealOne + `"},{"type":"function_call","call_id":"call_1"`},
		},
		{
			"Google by OpenAI's API", dialect.OpenAIChat, "gemini-3-pro-preview", noFacts,
			`{"id":"c","object":"chat.completion","created":1,"model":"gemini-3-pro-preview","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"},"extra_content":{"google":{"thought_signature":"` + sealOne + `"}}}]},"finish_reason":"tool_calls"}]}`,
			[]string{sealOne},
			[]string{`"extra_content":{"google":{"thought_signature":"` + sealOne + `"}}`},
		},
		{
			"Anthropic by OpenAI's API", dialect.OpenAIChat, "claude-sonnet-4-6", noFacts,
			`{"id":"c","object":"chat.completion","created":1,"model":"claude-sonnet-4-6","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"` + sealOne + `"}],"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`,
			[]string{sealOne},
			[]string{`"thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"` + sealOne + `"}]`},
		},
	}
}

// sealing is a client, by its dialect: what it asks first, and what it asks once it has the answer, which stands as %s.
type sealing struct {
	name        dialect.Name
	ask, again  string
	echo        func(answer []byte) []byte // the part of the answer that goes back
	keepsNoSeal bool                       // its dialect has no seals, and no place for one
}

func whole(path ...string) func([]byte) []byte {
	return func(b []byte) []byte { return jsonx.At(b, path...) }
}

// firstOf returns a member of an array's first element.
func firstOf(list, name string) func([]byte) []byte {
	return func(b []byte) []byte {
		for _, v := range jsonx.Elements(jsonx.Get(b, list)) {
			return jsonx.Get(v, name)
		}
		return nil
	}
}

func sealings() []sealing {
	return []sealing{
		{
			name: dialect.AnthropicMessages, echo: whole("content"),
			ask:   `{"model":"m","max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":2000},"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"look","input_schema":{"type":"object"}}]}`,
			again: `{"model":"m","max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":2000},"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":%s},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"seen"}]}],"tools":[{"name":"look","input_schema":{"type":"object"}}]}`,
		},
		{
			name: dialect.BedrockConverse, echo: whole("output", "message"),
			ask:   `{"messages":[{"role":"user","content":[{"text":"hi"}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"look","inputSchema":{"json":{"type":"object"}}}}]},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000}}}`,
			again: `{"messages":[{"role":"user","content":[{"text":"hi"}]},%s,{"role":"user","content":[{"toolResult":{"toolUseId":"call_1","content":[{"text":"seen"}]}}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"look","inputSchema":{"json":{"type":"object"}}}}]},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000}}}`,
		},
		{
			name: dialect.Gemini, echo: firstOf("candidates", "content"),
			ask:   `{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":2000}},"tools":[{"functionDeclarations":[{"name":"look"}]}]}`,
			again: `{"contents":[{"role":"user","parts":[{"text":"hi"}]},%s,{"role":"user","parts":[{"functionResponse":{"id":"call_1","name":"look","response":{"output":"seen"}}}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":2000}},"tools":[{"functionDeclarations":[{"name":"look"}]}]}`,
		},
		{
			name: dialect.OpenAIChat, echo: firstOf("choices", "message"),
			ask:   `{"model":"m","reasoning_effort":"high","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]}`,
			again: `{"model":"m","reasoning_effort":"high","messages":[{"role":"user","content":"hi"},%s,{"role":"tool","tool_call_id":"call_1","content":"seen"}],"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]}`,
		},
		{
			name: dialect.OpenAIResponses, echo: func(b []byte) []byte { return bytes.Trim(jsonx.Get(b, "output"), "[]") },
			ask:   `{"model":"m","store":false,"reasoning":{"effort":"high","summary":"auto"},"input":[{"role":"user","content":"hi"}],"tools":[{"type":"function","name":"look","parameters":{"type":"object"},"strict":false}]}`,
			again: `{"model":"m","store":false,"reasoning":{"effort":"high","summary":"auto"},"input":[{"role":"user","content":"hi"},%s,{"type":"function_call_output","call_id":"call_1","output":"seen"}],"tools":[{"type":"function","name":"look","parameters":{"type":"object"},"strict":false}]}`,
		},
		{
			name: dialect.Cohere, echo: whole("message"), keepsNoSeal: true,
			ask:   `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]}`,
			again: `{"model":"m","messages":[{"role":"user","content":"hi"},%s,{"role":"tool","tool_call_id":"call_1","content":"seen"}],"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]}`,
		},
	}
}

// inboundOf is a body at a client's door.
func inboundOf(name dialect.Name, body []byte) dialect.Inbound {
	in := dialect.Inbound{Op: llm.OpChat, Path: pathOf(name, llm.OpChat), Body: body}
	if name == dialect.Gemini || name == dialect.BedrockConverse {
		in.Model = "m"
	}
	return in
}

// TestSealsGoBackToTheirMakerAndToNobodyElse takes an answer that thinks and calls a tool from every maker of seals
// through a client of every dialect, whole and as a stream, and sends what the client has back to every provider.
func TestSealsGoBackToTheirMakerAndToNobodyElse(t *testing.T) {
	servers := all.Servers()
	for _, m := range makers() {
		for _, c := range sealings() {
			server := servers[c.name]
			t.Run(m.name+" through "+string(c.name), func(t *testing.T) {
				up := servers[m.codec].(dialect.Client)
				for _, stream := range []bool{false, true} {
					req, err := server.ReadRequest(inboundOf(c.name, []byte(c.ask)))
					if err != nil {
						t.Fatal(err)
					}
					req.Stream = stream
					again := fmt.Appendf(nil, c.again, c.echo(shownTo(t, server, req, up, []byte(m.answer), stream)))
					if m.codec != c.name {
						returns(t, &m, &c, server, again)
					} else if !carries(again, m.seals[0]) {
						t.Errorf("the maker's own client has no bare seal: %s", again)
					}
					for _, other := range makers() {
						if vendorOf(&other) != vendorOf(&m) {
							isKeptFrom(t, &m, &other, server, again)
						}
					}
				}
			})
		}
	}
}

// vendorOf is who reads a maker's seals: a vendor has the same ones in its own API and in OpenAI's.
func vendorOf(m *maker) string {
	return strings.SplitN(strings.TrimSuffix(m.name, " by OpenAI's API"), ",", 2)[0]
}

// shownTo returns an answer as the client gets it; a stream is read by the client's own codec and put together.
func shownTo(t *testing.T, server dialect.Server, req *llm.Request, up dialect.Client, answer []byte, stream bool) []byte {
	t.Helper()
	through := func(r dialect.Reader, body []byte, w dialect.Writer) (out []byte) {
		err := r.Feed(body, true, func(ev *llm.Event) (err error) { out, err = w.Write(out, ev); return err })
		if err == nil {
			out, err = w.Close(out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := through(up.NewReader(req, false), answer, server.NewWriter(req, stream))
	if !stream {
		return out
	}
	own := *req
	own.Extra.Dialect = string(server.Name())
	return through(server.(dialect.Client).NewReader(&own, true), out, server.NewWriter(req, false))
}

// carries reports whether a body holds a seal, as it is or as bytes in base64.
func carries(body []byte, seal string) bool {
	if bytes.Contains(body, []byte(seal)) {
		return true
	}
	for i := range 3 { // at any place within three bytes
		b64 := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", i) + seal))
		if bytes.Contains(body, []byte(b64[4:len(b64)-4])) {
			return true
		}
	}
	return false
}

// returns holds that the maker gets its seals back, each where it was.
func returns(t *testing.T, m *maker, c *sealing, server dialect.Server, again []byte) {
	t.Helper()
	req, err := server.ReadRequest(inboundOf(server.Name(), again))
	if err != nil {
		t.Fatalf("%v: %s", err, again)
	}
	body, losses, err := all.Servers()[m.codec].(dialect.Client).WriteRequest(nil, req, dialect.Target{Model: m.model, Facts: m.facts(m.model)})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range m.whole {
		if bytes.Contains(body, []byte(want)) == c.keepsNoSeal {
			t.Errorf("back to its maker goes %s, of %s; want %s", body, again, want)
		}
	}
	for _, l := range losses {
		if strings.HasPrefix(l.Why, "a signature goes") { // what was not sealed, or came without its seal, has another loss
			t.Errorf("%+v", l)
		}
	}
}

// isKeptFrom holds that another provider gets none of the maker's seals, and that a loss says so.
func isKeptFrom(t *testing.T, m, other *maker, server dialect.Server, again []byte) {
	t.Helper()
	client := all.Servers()[other.codec].(dialect.Client)
	var body []byte
	var losses []llm.Loss
	named := true
	if client.Name() == server.Name() { // the diagonal: bytes are spliced, and the loss has no place to be named in
		h, err := server.Peek(inboundOf(server.Name(), again))
		if err != nil {
			t.Fatalf("%v: %s", err, again)
		}
		if body, err = client.Splice(nil, h, dialect.Edits{Model: other.model}); err != nil {
			t.Fatal(err)
		}
		named = false
	} else {
		req, err := server.ReadRequest(inboundOf(server.Name(), again))
		if err != nil {
			t.Fatalf("%v: %s", err, again)
		}
		if body, losses, err = client.WriteRequest(nil, req, dialect.Target{Model: other.model, Facts: other.facts(other.model)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := jsonx.Valid(body); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, s := range m.seals {
		held := carries(again, s)
		if carries(body, s) {
			t.Errorf("to %s goes the seal %s: %s", other.name, s, body)
		}
		said := false
		for _, l := range losses {
			said = said || strings.Contains(l.Why, "sign") || strings.Contains(l.Why, "seal") || strings.Contains(l.Why, "reasoning")
		}
		if held && named && !said {
			t.Errorf("to %s: no loss says that a seal is left out: %v", other.name, losses)
		}
	}
}
