package exchange_test

import (
	"bytes"
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
)

// bad is an input that is refused, and what it gets. Body and headers are those of a good request, changed.
type bad struct {
	name   string
	method string // "": POST
	path   string // "": the dialect's
	header map[string][]string
	body   string // "": a good one
	end    bool
	status int
	code   llm.Code
	param  string // of the error
	says   string // in its message
	extra  string // name: value of an answer header
}

const (
	goodChat     = `{"model":"fast","messages":[{"role":"user","content":"hi"}]}`
	goodMessages = `{"model":"fast","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`
)

// both are refused alike in both dialects.
func both() []bad {
	deep := func(n int) string {
		return `{"model":"fast","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"metadata":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	with := func(members string) string { return strings.TrimSuffix(goodMessages, "}") + "," + members + "}" }
	without := func(member string) string { return strings.Replace(goodMessages, member, "", 1) }
	key := func(v ...string) map[string][]string { return map[string][]string{"authorization": v} }
	typed := func(v string) map[string][]string { return map[string][]string{"content-type": {v}} }
	return []bad{
		{name: "no credential", header: key(), status: 401, code: llm.CodeUnauthenticated, says: "no API key", extra: "www-authenticate: Bearer"},
		{name: "an unknown key", header: key("Bearer sk-client-unknown-000000"), status: 401, code: llm.CodeUnauthenticated, says: "not valid", extra: "www-authenticate: Bearer"},
		{name: "a scheme that is not Bearer", header: key("Basic dXNlcjpwYXNz"), status: 401, code: llm.CodeUnauthenticated, says: "Bearer KEY"},
		{name: "authorization twice", header: key("Bearer "+clientKey, "Bearer "+clientKey), status: 400, code: llm.CodeInvalid, param: "authorization", says: "more than once"},
		{name: "two keys that differ", header: map[string][]string{"x-api-key": {"sk-client-other-0123456789"}}, status: 400, code: llm.CodeInvalid, param: "x-api-key", says: "two different credentials"},
		{name: "no content-type", header: typed(""), status: 415, code: llm.CodeMediaType, param: "content-type", says: "application/json"},
		{name: "another content-type", header: typed("text/plain"), status: 415, code: llm.CodeMediaType, param: "content-type", says: `not "text/plain"`},
		{name: "a form", header: typed("multipart/form-data; boundary=x"), status: 415, code: llm.CodeMediaType, param: "content-type"},
		{name: "a content-type that is none", header: typed("application/json; charset"), status: 415, code: llm.CodeMediaType, param: "content-type"},
		{name: "another charset", header: typed("application/json; charset=iso-8859-1"), status: 415, code: llm.CodeMediaType, param: "content-type", says: `not "iso-8859-1"`},
		{name: "a compressed body", header: map[string][]string{"content-encoding": {"gzip"}}, status: 415, code: llm.CodeMediaType, param: "content-encoding"},
		{name: "a content-length over the limit", header: map[string][]string{"content-length": {"65537"}}, status: 413, code: llm.CodeTooLarge, says: "65536 bytes"},
		{name: "a body over the limit", body: `{"model":"` + strings.Repeat("x", 1<<16) + `"}`, status: 413, code: llm.CodeTooLarge, says: "65536 bytes"},
		{name: "no body", end: true, status: 400, code: llm.CodeInvalid, says: "no body"},
		{name: "an empty body", body: " ", status: 400, code: llm.CodeInvalid},
		{name: "null", body: "null", status: 400, code: llm.CodeInvalid},
		{name: "an array", body: "[]", status: 400, code: llm.CodeInvalid},
		{name: "a string", body: `"model"`, status: 400, code: llm.CodeInvalid},
		{name: "a number", body: "1", status: 400, code: llm.CodeInvalid},
		{name: "malformed JSON", body: `{"model":"fast",}`, status: 400, code: llm.CodeInvalid},
		{name: "trailing data", body: goodMessages + "{}", status: 400, code: llm.CodeInvalid},
		{name: "a byte order mark", body: "\ufeff" + goodMessages, status: 400, code: llm.CodeInvalid},
		{name: "UTF-16", body: "{\x00\"\x00}\x00", status: 400, code: llm.CodeInvalid},
		{name: "invalid UTF-8", body: with(`"user":"` + "\xff" + `"`), status: 400, code: llm.CodeInvalid},
		{name: "a NUL byte", body: with("\"user\":\"\x00\""), status: 400, code: llm.CodeInvalid},
		{name: "a lone surrogate", body: with(`"user":"\ud800"`), status: 400, code: llm.CodeInvalid},
		{name: "nested deeper than anything is", body: deep(10001), status: 400, code: llm.CodeInvalid},
		{name: "a member twice", body: with(`"model":"gpt-5.1"`), status: 400, code: llm.CodeInvalid, says: "model"},
		{name: "a member twice, once with an escape", body: with(`"mod\u0065l":"gpt-5.1"`), status: 400, code: llm.CodeInvalid, says: "model"},
		{name: "a case variant of a control member", body: with(`"Model":"gpt-5.1"`), status: 400, code: llm.CodeInvalid, param: "Model", says: "model"},
		{name: "a capital variant", body: with(`"MAX_TOKENS":5`), status: 400, code: llm.CodeInvalid, param: "MAX_TOKENS", says: "max_tokens"},
		{name: "a variant with a Kelvin sign", body: with(`"max_to` + "\u212a" + `ens":5`), status: 400, code: llm.CodeInvalid, says: "max_tokens"},
		{name: "stream as a string", body: with(`"stream":"true"`), status: 400, code: llm.CodeInvalid, param: "stream"},
		{name: "max_tokens as a string", body: strings.Replace(goodMessages, ":9", `:"10"`, 1), status: 400, code: llm.CodeInvalid, param: "max_tokens"},
		{name: "max_tokens with an exponent", body: strings.Replace(goodMessages, ":9", ":1e3", 1), status: 400, code: llm.CodeInvalid, param: "max_tokens"},
		{name: "max_tokens with a fraction", body: strings.Replace(goodMessages, ":9", ":1.0", 1), status: 400, code: llm.CodeInvalid, param: "max_tokens"},
		{name: "max_tokens of -0", body: strings.Replace(goodMessages, ":9", ":-0", 1), status: 400, code: llm.CodeInvalid, param: "max_tokens"},
		{name: "max_tokens of 2^53", body: strings.Replace(goodMessages, ":9", ":9007199254740992", 1), status: 400, code: llm.CodeInvalid, param: "max_tokens"},
		{name: "max_tokens below zero", body: strings.Replace(goodMessages, ":9", ":-1", 1), status: 400, code: llm.CodeInvalid, param: "max_tokens"},
		{name: "temperature out of range", body: with(`"temperature":3`), status: 400, code: llm.CodeInvalid, param: "temperature"},
		{name: "no model", body: without(`"model":"fast",`), status: 400, code: llm.CodeInvalid, param: "model"},
		{name: "an empty model", body: strings.Replace(goodMessages, "fast", "", 1), status: 400, code: llm.CodeInvalid, param: "model"},
		{name: "a model that is no string", body: strings.Replace(goodMessages, `"fast"`, `["fast"]`, 1), status: 400, code: llm.CodeInvalid, param: "model"},
		{name: "an unknown model", body: strings.Replace(goodMessages, "fast", "fest", 1), status: 404, code: llm.CodeNotFound, says: "did you mean fast?"},
		{name: "a model that is a path", body: strings.Replace(goodMessages, "fast", "../../v1/files?x#y@z%2e", 1), status: 404, code: llm.CodeNotFound},
		{name: "a very long model", body: strings.Replace(goodMessages, "fast", strings.Repeat("m", 5000), 1), status: 404, code: llm.CodeNotFound, says: "…"},
		{name: "no messages", body: `{"model":"fast","max_tokens":9}`, status: 400, code: llm.CodeInvalid, param: "messages"},
		{name: "empty messages", body: `{"model":"fast","max_tokens":9,"messages":[]}`, status: 400, code: llm.CodeInvalid, param: "messages"},
		{name: "messages that are no array", body: `{"model":"fast","max_tokens":9,"messages":"hi"}`, status: 400, code: llm.CodeInvalid, param: "messages"},
		{name: "more than 4096 messages", body: `{"model":"fast","max_tokens":9,"messages":[` + strings.Repeat(`{},`, 4100) + `{}]}`, status: 400, code: llm.CodeInvalid},
		{name: "more than 512 tools", body: with(`"tools":[` + strings.Repeat(`{"name":"a"},`, 513) + `{}]`), status: 400, code: llm.CodeInvalid},
		{name: "another method", method: "GET", status: 405, code: llm.CodeMethod, extra: "allow: POST"},
		{name: "an unknown path", path: "/v1/nothing", status: 404, code: llm.CodeNotFound, says: "unknown path: POST /v1/nothing"},
		{name: "a path with a slash behind it", path: "/v1/chat/completions/", status: 404, code: llm.CodeNotFound},
		{name: "a path in capitals", path: "/v1/Messages", status: 404, code: llm.CodeNotFound},
	}
}

// chatOnly and messagesOnly are rules of one dialect.
func chatOnly() []bad {
	with := func(members string) string { return strings.TrimSuffix(goodChat, "}") + "," + members + "}" }
	return []bad{
		{name: "stream_options without stream", body: with(`"stream_options":{"include_usage":true}`), status: 400, code: llm.CodeInvalid, param: "stream_options"},
		{name: "a case variant of include_usage", body: with(`"stream":true,"stream_options":{"Include_Usage":true}`), status: 400, code: llm.CodeInvalid, says: "include_usage"},
		{name: "include_usage as a string", body: with(`"stream":true,"stream_options":{"include_usage":"yes"}`), status: 400, code: llm.CodeInvalid, param: "stream_options.include_usage"},
		{name: "n of 0", body: with(`"n":0`), status: 400, code: llm.CodeInvalid, param: "n"},
		{name: "n above the cap", body: with(`"n":1000`), status: 400, code: llm.CodeInvalid, param: "n"},
		{name: "a tool's reply without its call", body: `{"model":"fast","messages":[{"role":"tool","tool_call_id":"x","content":"1"}]}`, status: 400, code: llm.CodeInvalid},
		{name: "an unknown role", body: `{"model":"fast","messages":[{"role":"robot","content":"1"}]}`, status: 400, code: llm.CodeInvalid},
	}
}

func messagesOnly() []bad {
	return []bad{
		{name: "no max_tokens", body: goodChat, status: 400, code: llm.CodeInvalid, param: "max_tokens"},
		{name: "an unknown role", body: `{"model":"fast","max_tokens":9,"messages":[{"role":"robot","content":"1"}]}`, status: 400, code: llm.CodeInvalid},
		{name: "a tool's result without its call", body: `{"model":"fast","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"1"}]}]}`, status: 400, code: llm.CodeInvalid},
	}
}

const clientKey = "sk-client-team-0123456789"

// TestBadInput is RELIABILITY §9, as far as the plan stage answers for it.
func TestBadInput(t *testing.T) {
	for _, d := range []struct {
		name, path, good string
		rows             []bad
	}{
		{"chat", "/v1/chat/completions", goodChat, append(both(), chatOnly()...)},
		{"messages", "/v1/messages", goodMessages, append(both(), messagesOnly()...)},
	} {
		for _, b := range d.rows {
			t.Run(d.name+"/"+b.name, func(t *testing.T) { b.check(t, d.path, d.good) })
		}
	}
}

func (b bad) check(t *testing.T, path, good string) {
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.provider([]string{"claude", "anthropic", "k2=sk-ant-1"})
	r.route([]string{"chat", "fast", "->", "gpt/gpt-5.1", "claude/claude-sonnet-4-5"})
	r.setup(&command{words: []string{"client", "team", clientKey}})
	r.setup(&command{words: []string{"limit", "body", "65536"}})
	r.start()
	reply := b.send(r, path, good)
	a := reply.Answer
	if a == nil {
		t.Fatal("it is not refused")
	}
	if !reply.Done || a.Err == nil || a.Err.Code != b.code || a.Status != b.status {
		t.Fatalf("got %d %v, done %v; want %d %v", a.Status, a.Err, reply.Done, b.status, b.code)
	}
	if b.param != "" && a.Err.Param != b.param {
		t.Errorf("the error names %q, want %q", a.Err.Param, b.param)
	}
	if !strings.Contains(a.Err.Message, b.says) || a.Err.Message == "" {
		t.Errorf("the error says %q, want something of %q", a.Err.Message, b.says)
	}
	if err := jsonx.Valid(a.Body); err != nil || jsonx.Get(a.Body, "error") == nil {
		t.Errorf("the body is no error of a dialect: %s", a.Body)
	}
	if len(a.Body) > 2000 || bytes.Contains(a.Body, []byte(clientKey)) {
		t.Errorf("the body says too much: %.2000s", a.Body)
	}
	if n, v, _ := strings.Cut(b.extra, ": "); n != "" && exchange.Header(a.Header).Get(n) != v {
		t.Errorf("the answer's headers %v lack %s", a.Header, b.extra)
	}
	if r.core.Live() != 0 {
		t.Error("a refused exchange lives on")
	}
}

func (b bad) send(r *rig, path, good string) exchange.Reply {
	method := b.method
	if method == "" {
		method = "POST"
	}
	if b.path != "" {
		path = b.path
	}
	h := exchange.Header{{Name: ":method", Value: method}, {Name: ":path", Value: path}}
	def := map[string][]string{"authorization": {"Bearer " + clientKey}, "content-type": {"application/json"}, "x-request-id": {"request-1"}}
	maps.Copy(def, b.header)
	for n, vs := range def {
		for _, v := range vs {
			h = append(h, providers.Header{Name: n, Value: v})
		}
	}
	x := r.core.Begin()
	reply := x.Head(context.Background(), h, b.end)
	if reply.Answer != nil {
		return reply
	}
	body := b.body
	if body == "" {
		body = good
	}
	return x.Body(r.t.Context(), []byte(body))
}

// TestWhatIsNotBad stands beside TestBadInput: the same request unchanged, and changes that are allowed.
func TestWhatIsNotBad(t *testing.T) {
	for _, b := range []bad{
		{name: "a good request"},
		{name: "a charset of UTF-8", header: map[string][]string{"content-type": {"Application/JSON; charset=UTF-8"}}},
		{name: "identity as content-encoding", header: map[string][]string{"content-encoding": {"identity"}}},
		{name: "the same key in two headers", header: map[string][]string{"x-api-key": {clientKey}}},
		{name: "an escaped NUL in content", body: `{"model":"fast","max_tokens":9,"messages":[{"role":"user","content":"\u0000"}]}`},
		{name: "an unknown member", body: `{"model":"fast","max_tokens":9,"x_unknown":1e400,"messages":[{"role":"user","content":"hi"}]}`},
		{name: "special-token text", body: `{"model":"fast","max_tokens":9,"messages":[{"role":"user","content":"<|endoftext|>"}]}`},
	} {
		t.Run(b.name, func(t *testing.T) {
			r := newRig(t)
			r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
			r.provider([]string{"claude", "anthropic", "k2=sk-ant-1"})
			r.route([]string{"chat", "fast", "->", "gpt/gpt-5.1", "claude/claude-sonnet-4-5"})
			r.setup(&command{words: []string{"client", "team", clientKey}})
			r.start()
			if reply := b.send(r, "/v1/chat/completions", goodChat); reply.Plan == nil {
				t.Errorf("refused: %+v", reply.Answer.Err)
			}
			if reply := b.send(r, "/v1/messages", goodMessages); reply.Plan == nil {
				t.Errorf("refused: %+v", reply.Answer.Err)
			}
		})
	}
}
