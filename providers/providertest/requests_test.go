package providertest_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// homes says where a member of a request may be found in the other dialect's body. "-" is the gateway's own
// business and needs no home.
var homes = map[string]map[string]string{
	"chat": {
		"model": "model", "messages": "messages system input", "max_tokens": "max_tokens max_output_tokens", "max_completion_tokens": "max_tokens max_output_tokens",
		"temperature": "temperature", "top_p": "top_p", "stop": "stop_sequences", "stream": "stream", "stream_options": "-",
		"tools": "tools", "functions": "tools", "tool_choice": "tool_choice tools", "function_call": "tool_choice", "parallel_tool_calls": "tool_choice parallel_tool_calls", "web_search_options": "tools",
		"response_format": "output_config system text", "reasoning_effort": "thinking output_config reasoning", "user": "metadata user", "logprobs": "logprobs include", "top_logprobs": "top_logprobs", "prompt_cache_key": "prompt_cache_key", "metadata": "metadata", "verbosity": "text", "store": "store", "top_k": "top_k", "service_tier": "service_tier",
	},
	"messages": {
		"model": "model", "messages": "messages input", "system": "messages instructions input", "max_tokens": "max_tokens max_completion_tokens max_output_tokens",
		"temperature": "temperature", "top_p": "top_p", "stop_sequences": "stop", "stream": "stream stream_options",
		"tools": "tools", "tool_choice": "tool_choice parallel_tool_calls", "thinking": "reasoning_effort reasoning", "output_config": "response_format reasoning_effort text reasoning",
		"metadata": "user safety_identifier", "service_tier": "service_tier",
	},
	"responses": {
		"model": "model", "input": "messages", "instructions": "messages system", "max_output_tokens": "max_tokens max_completion_tokens",
		"temperature": "temperature", "top_p": "top_p", "stream": "stream", "tools": "tools", "tool_choice": "tool_choice tools", "parallel_tool_calls": "tool_choice parallel_tool_calls",
		"reasoning": "thinking output_config reasoning_effort", "text": "output_config response_format verbosity system", "include": "-", "store": "store -", "truncation": "-",
		"user": "metadata user", "service_tier": "service_tier", "prompt_cache_key": "prompt_cache_key",
	},
}

// TestRequestsSurviveTheOtherDialect writes every recorded request for the other dialect: each of its members is
// found there, or named by a loss, or the request is refused with an error that names a member.
func TestRequestsSurviveTheOtherDialect(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return crosses(x) && x.HasRequest() && !x.RequestTrimmed
	}, func(t *testing.T, x *recorded.Exchange) {
		own, others := across(x)
		req, err := own.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: x.RequestJSON})
		if err != nil {
			refusedByName(t, err)
			return
		}
		if req.Bound != "" { // the exchange refuses it for any other dialect
			return
		}
		for _, other := range others {
			t.Run(other.endpoint, func(t *testing.T) { isCarried(t, x, own, other, req) })
		}
	})
}

// isCarried writes a request for another dialect and looks for all of it.
func isCarried(t *testing.T, x *recorded.Exchange, own, other codec, req *llm.Request) {
	target := dialect.Target{Model: "target", Facts: catalog.Anthropic("claude-sonnet-4-5")}
	if other.endpoint != "messages" {
		target.Facts = catalog.OpenAI("gpt-5.1")
	}
	body, losses, err := other.client.WriteRequest(nil, req, target)
	if err != nil {
		refusedByName(t, err)
		return
	}
	again, lossesAgain, err := other.client.WriteRequest(nil, req, target)
	if err != nil || !bytes.Equal(body, again) || !cmp.Equal(losses, lossesAgain) {
		t.Errorf("written twice: %v\n%s\n%s", err, body, again)
	}
	if _, err := other.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: body}); err != nil && unreadable[x.ID] == "" {
		t.Errorf("the other dialect cannot read it: %v\n%s", err, body)
	}
	for name := range jsonx.Members(x.RequestJSON) {
		m := string(name)
		if !carried(own.endpoint, m, x.RequestJSON, body, losses) {
			t.Errorf("%s = %.200s is neither written nor lost: %v\n%.1000s", m, jsonx.Get(x.RequestJSON, m), losses, body)
		}
	}
	wordsSurvive(t, x.RequestJSON, body, losses)
}

// refusedByName accepts an error that tells the client which member is at fault.
func refusedByName(t *testing.T, err error) {
	t.Helper()
	var e *llm.Error
	if !errors.As(err, &e) || e.Param == "" || e.Message == "" || (e.Code != llm.CodeInvalid && e.Code != llm.CodeUnsupported) {
		t.Errorf("refused without naming a member: %v", err)
	}
}

func carried(endpoint, member string, request, body []byte, losses []llm.Loss) bool {
	switch value := string(bytes.TrimSpace(jsonx.Get(request, member))); {
	case value == "null", value == "[]", member+value == "streamfalse", member+value == "n1", member+value == "parallel_tool_callstrue":
		return true // that is what it is when nothing is said
	}
	if slices.ContainsFunc(losses, func(l llm.Loss) bool {
		return l.Path == member || strings.HasPrefix(l.Path, member+".") || strings.HasPrefix(l.Path, member+"[")
	}) {
		return true
	}
	for home := range strings.FieldsSeq(homes[endpoint][member]) {
		if home == "-" || jsonx.Get(body, home) != nil {
			return true
		}
	}
	return false
}

// wordsSurvive looks for every text of the request's messages, and every tool's name, in the written body.
func wordsSurvive(t *testing.T, request, body []byte, losses []llm.Loss) {
	t.Helper()
	all := strings.Join(texts(body), "\x00")
	turns, parts := "messages", "content"
	if jsonx.Get(request, "contents") != nil { // Gemini's
		turns, parts = "contents", "parts"
	}
	for _, m := range jsonx.Elements(jsonx.Get(request, turns)) {
		content := jsonx.Get(m, parts)
		words := []string{}
		if s, ok := jsonx.String(content); ok {
			words = append(words, s)
		}
		for _, p := range jsonx.Elements(content) {
			if s, ok := jsonx.String(jsonx.Get(p, "text")); ok {
				words = append(words, s)
			}
		}
		for _, w := range words {
			if w = strings.TrimSpace(w); !strings.Contains(all, w) && len(losses) == 0 {
				t.Errorf("the words %.100q are not in the written request: %.1000s", w, body)
			}
		}
	}
	for _, tool := range jsonx.Elements(jsonx.Get(request, "tools")) {
		name, ok := jsonx.String(jsonx.At(tool, "function", "name"))
		if !ok {
			name, ok = jsonx.String(jsonx.Get(tool, "name"))
		}
		if ok && !strings.Contains(all, name) && !slices.ContainsFunc(losses, func(l llm.Loss) bool { return strings.HasPrefix(l.Path, "tools") }) {
			t.Errorf("the tool %q is not in the written request: %.1000s", name, body)
		}
	}
}

// texts returns every string of a document.
func texts(raw []byte) (all []string) {
	switch jsonx.Kind(raw) {
	case '"':
		s, _ := jsonx.String(raw)
		return []string{s}
	case '[':
		for _, e := range jsonx.Elements(raw) {
			all = append(all, texts(e)...)
		}
	case '{':
		for _, v := range jsonx.Members(raw) {
			all = append(all, texts(v)...)
		}
	}
	return all
}
