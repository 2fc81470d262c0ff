package anthropicmessages

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
)

func TestTheAnswersSchemaToolIsNeverShown(t *testing.T) {
	req := chat(func(ch *llm.Chat) {
		ch.Output = llm.Output{Kind: llm.OutputSchema, Schema: []byte(`{"type":"object"}`)}
		ch.Tools = []llm.Tool{function("f")}
	})
	stream := "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n" +
		"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"json_output\",\"input\":{}}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}}\n\n" +
		"data: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
		"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":5}}\n\n" +
		"data: {\"type\":\"message_stop\"}\n\n"
	doc := `{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"tool_use","id":"t","name":"json_output","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":5}}`
	for name, body := range map[string]string{"stream": stream, "document": doc} {
		evs := codectest.Events(t, New().NewReader(req, name == "stream"), []byte(body), 5)
		text := ""
		for _, e := range evs {
			text += string(e.Text)
			if e.Part == llm.PartCall || strings.Contains(e.Name, "json_output") {
				t.Errorf("%s: the tool is shown: %v", name, e)
			}
		}
		if last := evs[len(evs)-1]; text != `{"a":1}` || last.Kind != llm.EvFinished || last.Stop.Reason != llm.StopEnd {
			t.Errorf("%s: %q, %v", name, text, last)
		}
	}
	// A real call is one.
	called := strings.ReplaceAll(doc, "json_output", "f")
	evs := codectest.Events(t, New().NewReader(req, false), []byte(called), 0)
	if last := evs[len(evs)-1]; last.Stop.Reason != llm.StopCalls {
		t.Errorf("got %v", last)
	}
}

func TestFaultsWithinAnAnswerAreFailures(t *testing.T) {
	const start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\"}}\n\n"
	event := func(s string) string { return "event: error\ndata: " + s + "\n\n" }
	for _, c := range []struct {
		name, body string
		stream     bool
		code       llm.Code
		message    string
	}{
		{"overloaded", start + event(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), true, llm.CodeOverloaded, "Overloaded"},
		{"overloaded at once", event(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), true, llm.CodeOverloaded, "Overloaded"},
		{"rate limit", start + event(`{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`), true, llm.CodeRateLimited, "slow down"},
		{"fault", start + event(`{"type":"error","error":{"type":"api_error","message":"Internal server error"}}`), true, llm.CodeUpstream, "Internal server error"},
		{"timeout", start + event(`{"type":"error","error":{"type":"timeout_error","message":"late"}}`), true, llm.CodeTimeout, "late"},
		{"another shape", start + "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n", true, llm.CodeUpstream, "boom"},
		{"the end at once", "", true, llm.CodeReset, "before it was whole"},
		{"the end after the start", start, true, llm.CodeReset, "before it was whole"},
		{"no JSON", start + "event: message_delta\ndata: {\"type\":\n\n", true, llm.CodeUpstream, "not JSON"},
		{"a document in a stream's place", `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}`, true, llm.CodeContextTooLong, "prompt is too long: 9 tokens > 8 maximum"},
		{"HTML", "<html>", true, llm.CodeUpstream, "not JSON"},
		{"an error in a document", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, false, llm.CodeOverloaded, "Overloaded"},
		{"a cut document", `{"id":"m","type":"message","content":[`, false, llm.CodeReset, "before it was whole"},
		{"another document", `{"choices":[]}`, false, llm.CodeUpstream, "not a message"},
		{"an empty document", ``, false, llm.CodeUpstream, "not JSON"},
	} {
		evs := codectest.Events(t, New().NewReader(nil, c.stream), []byte(c.body), 3)
		last := evs[len(evs)-1]
		if codectest.Count(evs, llm.EvFailed) != 1 || last.Err == nil || last.Err.Code != c.code || !strings.Contains(last.Err.Message, c.message) {
			t.Errorf("%s: %v", c.name, evs)
		}
		out, err := codectest.Write(New().NewWriter(nil, true), evs)
		if err != nil || !strings.Contains(string(out), "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"") || strings.Contains(string(out), "message_stop") {
			t.Errorf("%s: %s, %v", c.name, out, err)
		}
	}
}

func TestOddStreamsAreBorne(t *testing.T) {
	stream := ": hello\r\n\r\n" +
		"event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\r\n\r\n" +
		"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"again\"}}\n\n" +
		"event: brand_new\ndata: {\"type\":\"brand_new\",\"x\":1}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"no start\"}}\n\n" +
		"data: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
		"data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"query\\\":\\\"q\\\"}\"}}\n\n" +
		"data: {\"type\":\"content_block_stop\",\"index\":1}\n\n" +
		"data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"whole\":true}}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n" +
		"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n" +
		"data: {\"type\":\"message_stop\"}\n\ndata: [DONE]\n\n"
	evs := codectest.Events(t, New().NewReader(nil, true), []byte(stream), 11)
	var got []string
	for _, e := range evs {
		s := e.Kind.String()
		if e.Kind == llm.EvBlockStarted || e.Kind == llm.EvDelta {
			s += " " + e.Part.String() + " " + e.ID + e.Name + string(e.Text)
		}
		if e.Kind == llm.EvFinished {
			s += " " + e.Stop.Reason.String()
		}
		got = append(got, s)
	}
	want := []string{
		"ping", "started", "usage", "block text ", "delta text no start", "end", "block native server_tool_use", "delta native ", "end",
		"block call tf", "usage", `delta call {"whole":true}`, "end", "finished calls",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	if doc := content(t, evs...); !strings.Contains(doc, `{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}}`) {
		t.Errorf("got %s", doc)
	}
	if i := slices.IndexFunc(evs, func(e llm.Event) bool { return e.Kind == llm.EvStarted }); evs[i].ID != "m" {
		t.Errorf("got %v", evs[i])
	}
}

func TestAnErrorOfEmitStopsTheReader(t *testing.T) {
	stop := errors.New("stop")
	for _, x := range []struct {
		body   string
		stream bool
	}{{"data: {\"type\":\"ping\"}\n\n", true}, {`{"type":"message","content":[]}`, false}} {
		err := New().NewReader(nil, x.stream).Feed([]byte(x.body), true, func(*llm.Event) error { return stop })
		if !errors.Is(err, stop) {
			t.Errorf("got %v", err)
		}
	}
}

func TestStreamingTextAllocatesNothing(t *testing.T) {
	w := fixed().NewWriter(nil, true)
	dst := make([]byte, 0, 4096)
	for _, ev := range []llm.Event{started(), begin(0, llm.PartText)} {
		if _, err := w.Write(dst, &ev); err != nil {
			t.Fatal(err)
		}
	}
	ev := piece(0, llm.PartText, "a few words, \"quoted\" and with ü")
	if n := testing.AllocsPerRun(100, func() {
		if out, err := w.Write(dst[:0], &ev); err != nil || len(out) == 0 {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("writing a delta allocates %v times", n)
	}
	r := New().NewReader(nil, true)
	emit := func(*llm.Event) error { return nil }
	feed := func(s string) {
		if err := r.Feed([]byte(s), false, emit); err != nil {
			t.Fatal(err)
		}
	}
	feed("data: {\"type\":\"message_start\",\"message\":{}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n")
	delta := []byte("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a few words\"}}\n\n")
	if n := testing.AllocsPerRun(100, func() {
		if err := r.Feed(delta, false, emit); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("reading a delta allocates %v times", n)
	}
}
