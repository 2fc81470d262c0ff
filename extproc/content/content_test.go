package content

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func keep(d dialect.Name, body string) *Said {
	return Keep(all.Servers()[d], dialect.Inbound{Op: llm.OpChat, Path: "/v1/x", Body: []byte(body)})
}

func TestRequestsAreWrittenAsMessages(t *testing.T) {
	for name, c := range map[string]struct {
		dialect          dialect.Name
		body             string
		messages, system string
	}{
		"chat": {
			dialect.OpenAIChat,
			`{"model":"m","messages":[{"role":"system","content":"be kind"},{"role":"user","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"a cat"}]}`,
			`[{"role":"user","parts":[{"type":"text","content":"what is it?"},{"type":"omitted","modality":"image","mime_type":"image/png"}]},{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"look","arguments":{"at":1}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"a cat"}]}]`,
			`[{"type":"text","content":"be kind"}]`,
		},
		"messages": {
			dialect.AnthropicMessages,
			`{"model":"m","max_tokens":9,"system":"be kind","messages":[{"role":"user","content":"hello"}]}`,
			`[{"role":"user","parts":[{"type":"text","content":"hello"}]}]`,
			`[{"type":"text","content":"be kind"}]`,
		},
		"what cannot be read": {dialect.OpenAIChat, `{"messages":7}`, "", ""},
		"too long":            {dialect.OpenAIChat, `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", MaxRequest) + `"}]}`, "", ""},
	} {
		messages, system := keep(c.dialect, c.body).Input()
		if d := cmp.Diff(c.messages, messages); d != "" {
			t.Errorf("%s: messages (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff(c.system, system); d != "" {
			t.Errorf("%s: system (-want +got):\n%s", name, d)
		}
	}
}

func TestAnswersAreWrittenAsMessages(t *testing.T) {
	s := keep(dialect.OpenAIChat, `{}`)
	s.Event(&llm.Event{Kind: llm.EvDelta, Part: llm.PartText, Text: []byte("of an attempt before")})
	s.Begin()
	for _, ev := range []llm.Event{
		{Kind: llm.EvStarted, Name: "m"},
		{Kind: llm.EvBlockStarted, Part: llm.PartThought},
		{Kind: llm.EvDelta, Part: llm.PartThought, Text: []byte("hm")},
		{Kind: llm.EvBlockStarted, Index: 1, Part: llm.PartText},
		{Kind: llm.EvDelta, Index: 1, Part: llm.PartText, Text: []byte("hel")},
		{Kind: llm.EvDelta, Index: 1, Part: llm.PartText, Text: []byte("lo")},
		{Kind: llm.EvBlockStarted, Index: 2, Part: llm.PartCall, ID: "c1", Name: "look"},
		{Kind: llm.EvDelta, Index: 2, Part: llm.PartCall, Text: []byte(`{"at":`)},
		{Kind: llm.EvDelta, Index: 2, Part: llm.PartCall, Text: []byte(`1}`)},
		{Kind: llm.EvFinished, Stop: llm.Stop{Reason: llm.StopCalls}},
		{Kind: llm.EvBlockStarted, Choice: 1, Part: llm.PartText},
		{Kind: llm.EvDelta, Choice: 1, Part: llm.PartText, Text: []byte("other")},
	} {
		s.Event(&ev)
	}
	got, cut := s.Output()
	want := `[{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"text","content":"hello"},{"type":"tool_call","id":"c1","name":"look","arguments":{"at":1}}],"finish_reason":"tool_call"},{"role":"assistant","parts":[{"type":"text","content":"other"}]}]`
	if got != want || cut {
		t.Errorf("cut %v, %s", cut, cmp.Diff(want, got))
	}
}

func TestLongAnswersAreCut(t *testing.T) {
	s := keep(dialect.OpenAIChat, `{}`)
	for range 100 {
		s.Event(&llm.Event{Kind: llm.EvDelta, Part: llm.PartText, Text: []byte(strings.Repeat("é", 1000))})
	}
	for i := range 5000 {
		s.Event(&llm.Event{Kind: llm.EvBlockStarted, Index: i, Part: llm.PartCall, ID: strings.Repeat("i", 1000)})
	}
	got, cut := s.Output()
	if !cut || len(got) > MaxAnswer+maxBlocks*600 || s.Size() > MaxAnswer+2 {
		t.Errorf("cut %v, %d bytes of %d", cut, len(got), s.Size())
	}
}

func TestLongNamesAreCutBetweenCharacters(t *testing.T) {
	s := keep(dialect.OpenAIChat, `{}`)
	s.Event(&llm.Event{Kind: llm.EvBlockStarted, Part: llm.PartCall, ID: "c", Name: "x" + strings.Repeat("é", 200)})
	want := `[{"role":"assistant","parts":[{"type":"tool_call","id":"c","name":"x` + strings.Repeat("é", 127) + `"}]}]`
	if got, _ := s.Output(); got != want {
		t.Error(cmp.Diff(want, got))
	}
}

func TestNothingKeepsNothing(t *testing.T) {
	var s *Said
	s.Begin()
	s.Event(&llm.Event{Kind: llm.EvDelta, Text: []byte("x")})
	in, system := s.Input()
	out, cut := s.Output()
	if in+system+out != "" || cut || s.Size() != 0 {
		t.Error("it kept something")
	}
}
