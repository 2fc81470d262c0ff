package anthropicmessages

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func in(body string) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpChat, Path: "/v1/messages", Body: []byte(body)}
}

// request makes a body with the members that must be there, and more.
func request(more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"model":"claude-opus-4-8","max_tokens":64,"messages":[{"role":"user","content":"hi"}]` + more + `}`
}

func withMessages(messages string) string {
	return `{"model":"m","max_tokens":64,"messages":[` + messages + `]}`
}

func TestPeekReadsTheHead(t *testing.T) {
	c := New()
	h, err := c.Peek(in(request(`"stream":true,"temperature":null,"unheard_of":{"a":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	if h.Model != "claude-opus-4-8" || !h.Stream || !h.Usage || h.MaxTokens != 64 || h.N != 1 || h.Doc == nil {
		t.Errorf("got %+v", h)
	}
	h, err = c.Peek(dialect.Inbound{Op: llm.OpModels, Path: "/v1/models/claude-x"})
	if err != nil || h.Model != "claude-x" {
		t.Errorf("got %+v, %v", h, err)
	}
}

const call = `{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]}`

// wrong is what both Peek and ReadRequest refuse.
var wrong = []struct{ name, body, param, message string }{
	{"nothing", ``, "", "empty document at byte 0"},
	{"no object", `[]`, "", "not a JSON object"},
	{"broken", `{"model":"m",}`, "", "at byte 13"},
	{"trailing data", request("") + "x", "", "data after the document"},
	{"a byte order mark", "\ufeff{}", "", "byte order mark"},
	{"a lone surrogate", request(`"x":"\ud800"`), "", "lone surrogate"},
	{"a duplicate", request(`"model":"n"`), "model", "duplicate member"},
	{"a duplicate deep inside", request(`"x":{"y":1,"y":2}`), "y", "duplicate member"},
	{"a case variant", request(`"Model":"n"`), "Model", "did you mean 'model'?"},
	{"a case variant of a limit", request(`"MAX_TOKENS":1`), "MAX_TOKENS", "did you mean 'max_tokens'?"},
	{"a case variant by folding", request(`"max_to\u212aens":1`), "max_to\u212aens", "did you mean 'max_tokens'?"},
	{"no model", `{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, "model", missing},
	{"an empty model", `{"model":"","max_tokens":1,"messages":[]}`, "model", "at least 1 character"},
	{"a model of another type", `{"model":1,"max_tokens":1,"messages":[]}`, "model", "valid string"},
	{"a null model", `{"model":null}`, "model", "valid string"},
	{"no max_tokens", `{"model":"m","messages":[{"role":"user","content":"x"}]}`, "max_tokens", missing},
	{"max_tokens of 0", `{"model":"m","max_tokens":0}`, "max_tokens", "greater than or equal to 1"},
	{"max_tokens below", `{"model":"m","max_tokens":-1}`, "max_tokens", "greater than or equal to 1"},
	{"max_tokens as text", `{"model":"m","max_tokens":"10"}`, "max_tokens", "valid integer"},
	{"max_tokens with exponent", `{"model":"m","max_tokens":1e3}`, "max_tokens", "without fraction or exponent"},
	{"max_tokens with fraction", `{"model":"m","max_tokens":1.0}`, "max_tokens", "without fraction or exponent"},
	{"max_tokens too large", `{"model":"m","max_tokens":9007199254740992}`, "max_tokens", "at most 2^53-1"},
	{"stream as text", request(`"stream":"true"`), "stream", "valid boolean"},
	{"temperature above", request(`"temperature":1.5`), "temperature", "range: 0..1"},
	{"temperature as text", request(`"temperature":"1"`), "temperature", "valid number"},
	{"top_p below", request(`"top_p":-0.1`), "top_p", "range: 0..1"},
	{"top_k with fraction", request(`"top_k":1.5`), "top_k", "valid integer"},
	{"stop sequence of another type", request(`"stop_sequences":["a",1]`), "stop_sequences.1", "valid string"},
	{"stop sequences as text", request(`"stop_sequences":"a"`), "stop_sequences", "valid list"},
	{"tools as an object", request(`"tools":{}`), "tools", "valid list"},
	{"a tool as text", request(`"tools":["x"]`), "tools.0", "an object"},
	{"too many tools", request(`"tools":[` + strings.Repeat("{},", 512) + `{}]`), "tools", "at most 512"},
	{"no messages", `{"model":"m","max_tokens":1}`, "messages", missing},
	{"messages as text", `{"model":"m","max_tokens":1,"messages":"x"}`, "messages", "valid list"},
	{"empty messages", withMessages(``), "messages", "at least one message"},
	{"too many messages", withMessages(strings.Repeat(`{"role":"user","content":""},`, 4096) + `{}`), "messages", "at most 4096"},
	{"a message as text", withMessages(`"x"`), "messages.0", "an object"},
	{"no role", withMessages(`{"content":"x"}`), "messages.0.role", missing},
	{"an unknown role", withMessages(`{"role":"tool","content":"x"}`), "messages.0.role", "'user' or 'assistant'"},
	{"no content", withMessages(`{"role":"user"}`), "messages.0.content", missing},
	{"null content", withMessages(`{"role":"user","content":null}`), "messages.0.content", "valid string or list"},
	{
		"a result without its call", withMessages(call + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"b"}]}`),
		"messages.1.content.0.tool_use_id", "corresponding `tool_use`",
	},
	{
		"a result before its call", withMessages(`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]},` + call),
		"messages.0.content.0.tool_use_id", "corresponding `tool_use`",
	},
	{
		"a result without an id", withMessages(call + `,{"role":"user","content":[{"type":"tool_result"}]}`),
		"messages.1.content.0.tool_use_id", missing,
	},
}

// wrongInside is what only ReadRequest refuses.
var wrongInside = []struct{ name, body, param, message string }{
	{"system as a number", request(`"system":1`), "system", "valid string or list"},
	{"an image in system", request(`"system":[{"type":"image"}]`), "system.0.type", "'text'"},
	{"a block as text", withMessages(`{"role":"user","content":["x"]}`), "messages.0.content.0", "an object"},
	{"a block without type", withMessages(`{"role":"user","content":[{}]}`), "messages.0.content.0.type", missing},
	{"a text without text", withMessages(`{"role":"user","content":[{"type":"text"}]}`), "messages.0.content.0.text", missing},
	{"text of another type", withMessages(`{"role":"user","content":[{"type":"text","text":1}]}`), "messages.0.content.0.text", "valid string"},
	{"an image without source", withMessages(`{"role":"user","content":[{"type":"image"}]}`), "messages.0.content.0.source", missing},
	{"an unknown source", image(`{"type":"ftp"}`), "messages.0.content.0.source.type", "'base64', 'url' or 'file'"},
	{"bad base64", image(`{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo!"}`), "messages.0.content.0.source.data", "valid base64"},
	{"no image", image(`{"type":"base64","media_type":"image/png","data":"aGVsbG8gd29ybGQ="}`), "messages.0.content.0.source.data", "not an image"},
	{"a number for data", image(`{"type":"base64","media_type":"image/png","data":1}`), "messages.0.content.0.source.data", "valid string"},
	{"no media type", image(`{"type":"base64","data":"aGk="}`), "messages.0.content.0.source.media_type", missing},
	{"a plain http URL", image(`{"type":"url","url":"http://example.com/a.png"}`), "messages.0.content.0.source.url", "HTTPS"},
	{"a file URL", image(`{"type":"url","url":"file:///etc/passwd"}`), "messages.0.content.0.source.url", "HTTPS"},
	{"a private address", image(`{"type":"url","url":"https://169.254.169.254/x"}`), "messages.0.content.0.source.url", "private network"},
	{"localhost", image(`{"type":"url","url":"https://localhost:8/x"}`), "messages.0.content.0.source.url", "private network"},
	{"a mapped private address", image(`{"type":"url","url":"https://[::ffff:10.0.0.1]/x"}`), "messages.0.content.0.source.url", "private network"},
	{"a call by the user", withMessages(`{"role":"user","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]}`), "messages.0.content.0", "`assistant` messages"},
	{"a thought by the user", withMessages(`{"role":"user","content":[{"type":"thinking","thinking":"x","signature":"y"}]}`), "messages.0.content.0", "`assistant` messages"},
	{"a thought without signature", withMessages(`{"role":"assistant","content":[{"type":"thinking","thinking":"x"}]}`), "messages.0.content.0.signature", missing},
	{"arguments as text", withMessages(`{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":"{}"}]}`), "messages.0.content.0.input", "an object"},
	{"a result within a result", withMessages(call + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"tool_result","tool_use_id":"a"}]}]}`), "messages.1.content.0.content.0", "`user` messages"},
	{"an error flag as text", withMessages(call + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":"no"}]}`), "messages.1.content.0.is_error", "valid boolean"},
	{"deep nesting", withMessages(`{"role":"user","content":[{"type":"x","y":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}]}`), "messages", "deeper than 64"},
	{"a tool without name", request(`"tools":[{"input_schema":{"type":"object"}}]`), "tools.0.custom.name", missing},
	{"a tool without schema", request(`"tools":[{"name":"f"}]`), "tools.0.custom.input_schema", missing},
	{"a schema of another type", request(`"tools":[{"name":"f","input_schema":[]}]`), "tools.0.custom.input_schema", "an object"},
	{"a huge description", request(`"tools":[{"name":"f","input_schema":{},"description":"` + strings.Repeat("x", 65<<10) + `"}]`), "tools.0.custom", "longer than"},
	{"an unknown choice", request(`"tool_choice":{"type":"required"}`), "tool_choice.type", "'auto', 'any', 'tool' or 'none'"},
	{"a choice as text", request(`"tool_choice":"auto"`), "tool_choice", "an object"},
	{"a choice without name", request(`"tool_choice":{"type":"tool"}`), "tool_choice.name", missing},
	{"thinking without budget", request(`"thinking":{"type":"enabled"}`), "thinking.enabled.budget_tokens", missing},
	{"a small budget", request(`"thinking":{"type":"enabled","budget_tokens":1000}`), "thinking.enabled.budget_tokens", "1024"},
	{"an unknown way of thinking", request(`"thinking":{"type":"deep"}`), "thinking.type", "'adaptive', 'disabled' or 'enabled'"},
	{"an unknown effort", request(`"output_config":{"effort":"huge"}`), "output_config.effort", "'low'"},
	{"a format without schema", request(`"output_config":{"format":{"type":"json_schema"}}`), "output_config.format.schema", missing},
	{"an unknown format", request(`"output_config":{"format":{"type":"xml"}}`), "output_config.format.type", "'json_schema'"},
	{"two formats", request(`"output_format":{"type":"json_schema","schema":{}},"output_config":{"format":{"type":"json_schema","schema":{}}}`), "output_config.format", "Only one"},
	{"a user of another type", request(`"metadata":{"user_id":1}`), "metadata.user_id", "valid string"},
	{"a tier of another type", request(`"service_tier":1`), "service_tier", "valid string"},
}

func image(source string) string {
	return withMessages(`{"role":"user","content":[{"type":"image","source":` + source + `}]}`)
}

func TestBadRequestsAreRefusedAndTheMemberNamed(t *testing.T) {
	c := New()
	check := func(t *testing.T, err error, param, message string) {
		t.Helper()
		var e *llm.Error
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		if e.Code != llm.CodeInvalid && e.Code != llm.CodeTooLarge || e.Param != param || !strings.Contains(e.Message, message) {
			t.Errorf("got %v %q %q, want param %q and message with %q", e.Code, e.Param, e.Message, param, message)
		}
		_, body := c.WriteError(e, "")
		if !strings.Contains(string(body), param) {
			t.Errorf("%q is not named in %s", param, body)
		}
	}
	for _, w := range wrong {
		t.Run(w.name, func(t *testing.T) {
			_, err := c.Peek(in(w.body))
			check(t, err, w.param, w.message)
			_, err = c.ReadRequest(in(w.body))
			check(t, err, w.param, w.message)
		})
	}
	for _, w := range wrongInside {
		t.Run(w.name, func(t *testing.T) {
			if _, err := c.Peek(in(w.body)); err != nil {
				t.Errorf("Peek decodes content: %v", err)
			}
			_, err := c.ReadRequest(in(w.body))
			check(t, err, w.param, w.message)
		})
	}
}

func TestManyCallsAreFoundAgain(t *testing.T) {
	var calls, results []string
	for i := range 50 {
		calls = append(calls, fmt.Sprintf(`{"type":"tool_use","id":"t%d","name":"f","input":{}}`, i))
		results = append(results, fmt.Sprintf(`{"type":"tool_result","tool_use_id":"\u0074%d"}`, i))
	}
	body := withMessages(`{"role":"assistant","content":[` + strings.Join(calls, ",") + `]},{"role":"user","content":[` + strings.Join(results, ",") + `]}`)
	if _, err := New().Peek(in(body)); err != nil {
		t.Error(err)
	}
}

func TestPeekAllocatesLittle(t *testing.T) {
	c := New()
	turn := `{"role":"user","content":[{"type":"text","text":"` + strings.Repeat("words ", 50) + `"}]},`
	few := in(withMessages(turn + turn[:len(turn)-1]))
	many := in(withMessages(strings.Repeat(turn, 500) + turn[:len(turn)-1]))
	per := func(in dialect.Inbound) float64 {
		return testing.AllocsPerRun(20, func() {
			if _, err := c.Peek(in); err != nil {
				t.Fatal(err)
			}
		})
	}
	if a, b := per(few), per(many); b > a+8 || a > 20 {
		t.Errorf("%v allocations for two messages, %v for 501", a, b)
	}
}
