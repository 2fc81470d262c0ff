package providertest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini"
)

func geminiCodec() codec { return codec{"gemini", gemini.New(), gemini.New(), nil} }

func ofGemini(x *recorded.Exchange) bool {
	return x.Endpoint == "generateContent" || x.Endpoint == "streamGenerateContent"
}

// geminiHomes says where a member of a request may be found in Gemini's body.
var geminiHomes = map[string]map[string]string{
	"chat": {
		"model": "-", "messages": "contents", "stream": "-", "stream_options": "-", "tools": "tools", "functions": "tools", "web_search_options": "tools",
		"tool_choice": "toolConfig", "function_call": "toolConfig", "max_tokens": "generationConfig", "max_completion_tokens": "generationConfig",
		"temperature": "generationConfig", "top_p": "generationConfig", "top_k": "generationConfig", "stop": "generationConfig", "n": "generationConfig", "seed": "generationConfig",
		"presence_penalty": "generationConfig", "frequency_penalty": "generationConfig", "logprobs": "generationConfig", "top_logprobs": "generationConfig",
		"response_format": "generationConfig", "reasoning_effort": "generationConfig", "service_tier": "serviceTier",
	},
	"messages": {
		"model": "-", "messages": "contents", "system": "systemInstruction contents", "stream": "-", "tools": "tools", "tool_choice": "toolConfig", "max_tokens": "generationConfig",
		"temperature": "generationConfig", "top_p": "generationConfig", "top_k": "generationConfig", "stop_sequences": "generationConfig",
		"thinking": "generationConfig", "output_config": "generationConfig", "output_format": "generationConfig", "service_tier": "serviceTier",
	},
}

// TestRequestsReachGemini writes every recorded request of the other dialects for Gemini.
func TestRequestsReachGemini(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return (x.Endpoint == "chat" || x.Endpoint == "messages") && x.HasRequest() && !x.RequestTrimmed
	}, func(t *testing.T, x *recorded.Exchange) {
		own, _ := across(x)
		req, err := own.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: x.RequestJSON})
		if err != nil {
			refusedByName(t, err)
			return
		}
		g := geminiCodec()
		for _, model := range []string{"gemini-1.5-pro", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview", "unknown"} {
			target := dialect.Target{Model: model, Facts: catalog.FactsOf("gemini", model)}
			body, losses, err := g.client.WriteRequest(nil, req, target)
			if err != nil {
				refusedByName(t, err)
				continue
			}
			again, lossesAgain, err := g.client.WriteRequest(nil, req, target)
			if err != nil || !bytes.Equal(body, again) || !cmp.Equal(losses, lossesAgain) {
				t.Errorf("written twice: %v\n%s\n%s", err, body, again)
			}
			if _, err := g.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: model, Body: body}); err != nil {
				t.Errorf("%s: Gemini cannot read it: %v\n%s", model, err, body)
			}
			for name := range jsonx.Members(x.RequestJSON) {
				if m := string(name); !carriedTo(geminiHomes[own.endpoint][m], m, x.RequestJSON, body, losses) {
					t.Errorf("%s: %s = %.200s is neither written nor lost: %v\n%.1000s", model, m, jsonx.Get(x.RequestJSON, m), losses, body)
				}
			}
			wordsSurvive(t, x.RequestJSON, body, losses)
		}
	})
}

func carriedTo(homes, member string, request, body []byte, losses []llm.Loss) bool {
	if carried("", member, request, body, losses) {
		return true
	}
	for home := range strings.FieldsSeq(homes) {
		if home == "-" || jsonx.Get(body, home) != nil {
			return true
		}
	}
	return slices.ContainsFunc(losses, func(l llm.Loss) bool { return strings.HasPrefix(l.Path, "thinking") && member == "thinking" })
}

// TestGeminisRequestsReachTheOthers writes every recorded request of Gemini for the other dialects.
func TestGeminisRequestsReachTheOthers(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool { return ofGemini(x) && x.HasRequest() && !x.RequestTrimmed }, func(t *testing.T, x *recorded.Exchange) {
		req, err := gemini.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "m", Path: "/v1beta/models/m:" + x.Endpoint, Body: x.RequestJSON})
		if err != nil {
			t.Fatal(err)
		}
		if req.Bound != "" {
			return // no other dialect gets it
		}
		for _, other := range append(codecs(), converseCodec(), cohereCodec()) {
			target := dialect.Target{Model: "target", Facts: catalog.OpenAI("gpt-5.1")}
			if other.endpoint == "messages" {
				target.Facts = catalog.Anthropic("claude-sonnet-4-5")
			}
			body, losses, err := other.client.WriteRequest(nil, req, target)
			if err != nil {
				refusedByName(t, err)
				continue
			}
			if _, err := other.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "m", Body: body}); err != nil {
				t.Errorf("%s cannot read it: %v\n%s", other.endpoint, err, body)
			}
			all := strings.Join(texts(body), "\x00")
			for _, turn := range jsonx.Elements(jsonx.Get(x.RequestJSON, "contents")) {
				for _, p := range jsonx.Elements(jsonx.Get(turn, "parts")) {
					if s, ok := jsonx.String(jsonx.Get(p, "text")); ok && !strings.Contains(all, strings.TrimSpace(s)) && len(losses) == 0 {
						t.Errorf("%s: the words %.100q are not in the written request: %.1000s", other.endpoint, s, body)
					}
				}
			}
			if seed := jsonx.At(x.RequestJSON, "generationConfig", "seed"); seed != nil && jsonx.Get(body, "seed") == nil && !slices.ContainsFunc(losses, func(l llm.Loss) bool { return strings.Contains(l.Path, "seed") }) {
				t.Errorf("%s: the seed is neither written nor lost", other.endpoint)
			}
		}
	})
}

// TestAnswersSurviveGemini writes every recorded answer of the other dialects for Gemini's clients, and Gemini's for
// theirs, and reads them again.
func TestAnswersSurviveGemini(t *testing.T) {
	g := geminiCodec()
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return answered(x) || ofGemini(x) && x.Status == 200
	}, func(t *testing.T, x *recorded.Exchange) {
		own, others := g, append(codecs(), converseCodec(), cohereCodec())
		if !ofGemini(x) {
			own, _ = across(x)
			others = []codec{g}
		}
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		stream := x.BodyKind == "sse"
		want := read(t, own, body, stream)
		if want.Err {
			t.Skip("the provider says that it failed")
		}
		evs := events(t, own, body, stream)
		keepRaw(t, own, body, stream, evs)
		for _, other := range others {
			want := want
			if want.Refused && other.endpoint != "chat" {
				want.Refused, want.Stop = false, "filter" // it tells a refusal by its stop reason alone
			}
			for _, stream := range []bool{false, true} {
				out := written(t, other, evs, stream)
				if diff := cmp.Diff(want, read(t, other, out, stream)); diff != "" {
					t.Errorf("%s, stream %v: it says something else (-was +is):\n%s\n%s", other.endpoint, stream, diff, out)
				}
			}
		}
	})
}

// keepRaw gives events the raw frames that events takes away.
func keepRaw(t *testing.T, c codec, body []byte, stream bool, evs []llm.Event) {
	t.Helper()
	i := 0
	if err := c.client.NewReader(nil, stream).Feed(body, true, func(ev *llm.Event) error {
		evs[i].Raw = bytes.Clone(ev.Raw)
		i++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
