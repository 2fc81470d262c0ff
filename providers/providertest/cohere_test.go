package providertest_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/cohere"
	"github.com/signalbox-ai/signalbox/providers/dialect/ollama"
)

func cohereCodec() codec { return codec{"cohere", cohere.New(), cohere.New(), nil} }

// ollamaCodec has the client half alone.
func ollamaCodec() codec { return codec{"ollama", nil, ollama.New(), nil} }

func ofCohere(x *recorded.Exchange) bool {
	return x.Provider == "cohere" && x.RequestPath == "/v2/chat"
}

func ofOllama(x *recorded.Exchange) bool { return x.Provider == "ollama" && x.Endpoint == "api-chat" }

// plainHomes says where a member of a request may be found in the body of Cohere or of Ollama.
var plainHomes = map[string]map[string]string{
	"chat": {
		"model": "model", "messages": "messages documents", "stream": "stream -", "stream_options": "-", "tools": "tools", "functions": "tools", "tool_choice": "tool_choice tools -",
		"function_call": "tool_choice tools -", "max_tokens": "max_tokens options", "max_completion_tokens": "max_tokens options", "temperature": "temperature options",
		"top_p": "p options", "top_k": "k options", "stop": "stop_sequences options", "n": "-", "seed": "seed options", "response_format": "response_format format",
		"reasoning_effort": "thinking think -", "logprobs": "logprobs -", "top_logprobs": "top_logprobs", "frequency_penalty": "frequency_penalty options",
		"presence_penalty": "presence_penalty options", "parallel_tool_calls": "-",
	},
	"messages": {
		"model": "model", "messages": "messages documents", "system": "messages", "stream": "stream -", "tools": "tools", "tool_choice": "tool_choice tools -", "max_tokens": "max_tokens options",
		"temperature": "temperature options", "top_p": "p options", "top_k": "k options", "stop_sequences": "stop_sequences options", "thinking": "thinking think -",
		"output_config": "thinking think response_format format -", "output_format": "response_format format",
	},
}

// TestRequestsReachCohereAndOllama writes every recorded request of the other dialects for both.
func TestRequestsReachCohereAndOllama(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return (x.Endpoint == "chat" || x.Endpoint == "messages") && x.HasRequest() && !x.RequestTrimmed
	}, func(t *testing.T, x *recorded.Exchange) {
		own, _ := across(x)
		req, err := own.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: x.RequestJSON})
		if err != nil {
			refusedByName(t, err)
			return
		}
		for _, c := range []codec{cohereCodec(), ollamaCodec()} {
			for _, model := range []string{"command-a-03-2025", "command-a-reasoning-08-2025", "gpt-oss:20b"} {
				target := dialect.Target{Model: model, Facts: catalog.FactsOf(c.endpoint, model)}
				body, losses, err := c.client.WriteRequest(nil, req, target)
				if err != nil {
					refusedByName(t, err)
					continue
				}
				again, lossesAgain, err := c.client.WriteRequest(nil, req, target)
				if err != nil || !bytes.Equal(body, again) || !cmp.Equal(losses, lossesAgain) {
					t.Errorf("%s: written twice: %v\n%s\n%s", c.endpoint, err, body, again)
				}
				if jsonx.Valid(body) != nil {
					t.Fatalf("%s: no JSON: %s", c.endpoint, body)
				}
				if c.server != nil {
					if _, err := c.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Path: "/v2/chat", Body: body}); err != nil {
						t.Errorf("%s cannot read it: %v\n%s", c.endpoint, err, body)
					}
				}
				for name := range jsonx.Members(x.RequestJSON) {
					if m := string(name); !carriedTo(plainHomes[own.endpoint][m], m, x.RequestJSON, body, losses) {
						t.Errorf("%s: %s = %.200s is neither written nor lost: %v\n%.1000s", c.endpoint, m, jsonx.Get(x.RequestJSON, m), losses, body)
					}
				}
				wordsSurvive(t, x.RequestJSON, body, losses)
			}
		}
	})
}

// TestCoheresRequestsReachTheOthers writes every recorded request of Cohere's for the other dialects.
func TestCoheresRequestsReachTheOthers(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool { return ofCohere(x) && x.HasRequest() && !x.RequestTrimmed }, func(t *testing.T, x *recorded.Exchange) {
		req, err := cohere.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Path: "/v2/chat", Body: x.RequestJSON})
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range append(codecs(), geminiCodec(), converseCodec(), ollamaCodec()) {
			target := dialect.Target{Model: "target", Facts: catalog.OpenAI("gpt-5.1")}
			if other.endpoint == "messages" {
				target.Facts = catalog.Anthropic("claude-sonnet-4-5")
			}
			body, losses, err := other.client.WriteRequest(nil, req, target)
			if err != nil {
				refusedByName(t, err)
				continue
			}
			if other.server != nil {
				if _, err := other.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "m", Path: "/model/m/converse", Body: body}); err != nil {
					t.Errorf("%s cannot read it: %v\n%s", other.endpoint, err, body)
				}
			}
			wordsSurvive(t, x.RequestJSON, body, losses)
		}
	})
}

// TestAnswersSurviveCohere writes every recorded answer of the other dialects for Cohere's clients, and Cohere's and
// Ollama's for theirs, and reads them again.
func TestAnswersSurviveCohere(t *testing.T) {
	c := cohereCodec()
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return answered(x) || (ofCohere(x) || ofOllama(x)) && x.Status == 200 && !x.ResponseTrimmed
	}, func(t *testing.T, x *recorded.Exchange) {
		own, others := c, append(codecs(), geminiCodec(), converseCodec())
		switch {
		case ofOllama(x):
			own, others = ollamaCodec(), append(others, c)
		case !ofCohere(x):
			own, _ = across(x)
			others = []codec{c}
		}
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		stream := x.BodyKind == "sse" || x.BodyKind == "ndjson"
		want := read(t, own, body, stream)
		if want.Err {
			t.Skip("the provider says that it failed")
		}
		evs := events(t, own, body, stream)
		for _, other := range others {
			want := want
			if want.Refused && other.endpoint != "chat" && other.endpoint != "responses" {
				want.Refused, want.Stop = false, "filter" // it tells a refusal by its stop reason alone
				if other.endpoint == "cohere" {
					want.Stop = read(t, own, body, stream).Stop
				}
			}
			for _, stream := range []bool{false, true} {
				out := written(t, other, evs, stream)
				if diff := cmp.Diff(want, read(t, other, out, stream)); diff != "" {
					t.Errorf("%s, stream %v: it says something else (-was +is):\n%s\n%q", other.endpoint, stream, diff, out)
				}
			}
		}
	})
}
