package openairesponses

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

// write writes events, as a stream or whole.
func write(t testing.TB, req *llm.Request, stream bool, events ...llm.Event) (string, error) {
	t.Helper()
	w := fixed().NewWriter(req, stream)
	var out []byte
	var err error
	for i := range events {
		if out, err = w.Write(out, &events[i]); err != nil {
			t.Fatal(err)
		}
	}
	out, err = w.Close(out)
	return string(out), err
}

func said(part llm.PartKind, index int, text string) []llm.Event {
	return []llm.Event{
		{Kind: llm.EvBlockStarted, Part: part, Index: index}, {Kind: llm.EvDelta, Part: part, Index: index, Text: []byte(text)}, {Kind: llm.EvBlockEnded, Part: part, Index: index},
	}
}

// TestStopsCross writes every reason to stop.
func TestStopsCross(t *testing.T) {
	for _, tc := range []struct {
		stop         llm.Stop
		status, item string
		reason       string
	}{
		{llm.Stop{Reason: llm.StopEnd}, "completed", "completed", ""},
		{llm.Stop{Reason: llm.StopCalls}, "completed", "completed", ""},
		{llm.Stop{Reason: llm.StopSequence, Sequence: "x"}, "completed", "completed", ""},
		{llm.Stop{Reason: llm.StopPause}, "completed", "completed", ""},
		{llm.Stop{Reason: llm.StopFault, Native: "error"}, "completed", "completed", ""}, // some of it is there
		{llm.Stop{Reason: llm.StopLength}, "incomplete", "incomplete", "max_output_tokens"},
		{llm.Stop{Reason: llm.StopFilter}, "incomplete", "incomplete", "content_filter"},
	} {
		t.Run(tc.stop.Reason.String(), func(t *testing.T) {
			events := append(said(llm.PartText, 0, "x"), llm.Event{Kind: llm.EvFinished, Stop: tc.stop})
			out, err := write(t, nil, false, events...)
			if err != nil {
				t.Fatal(err)
			}
			strictResponse(t, []byte(out), true)
			status, _ := jsonx.String(jsonx.Get([]byte(out), "status"))
			reason, _ := jsonx.String(jsonx.At([]byte(out), "incomplete_details", "reason"))
			if status != tc.status || reason != tc.reason || !strings.Contains(out, `"status":"`+tc.item+`","role"`) {
				t.Errorf("got %s", out)
			}
			stream, err := write(t, nil, true, events...)
			if err != nil || !strings.Contains(stream, "event: response."+tc.status+"\n") {
				t.Errorf("got %s, %v", stream, err)
			}
			strictStream(t, []byte(stream))
		})
	}
}

func TestAFaultWithoutContentFails(t *testing.T) {
	_, err := write(t, nil, false, llm.Event{}, llm.Event{Kind: llm.EvFinished, Stop: llm.Stop{Reason: llm.StopFault, Native: "MALFORMED"}})
	var e *llm.Error
	if !errors.As(err, &e) || e.Code != llm.CodeUpstream || !strings.Contains(e.Message, "MALFORMED") {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorHasTheFormOfItsPlace(t *testing.T) {
	fault := llm.Event{Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeOverloaded, Message: "busy", Param: "p"}}
	out, err := write(t, nil, true, fault)
	if want := "event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,\"code\":\"overloaded\",\"message\":\"busy\",\"param\":\"p\"}\n\n"; err != nil || out != want {
		t.Errorf("before the start: %s, %v", out, err)
	}
	out, err = write(t, nil, true, append(append([]llm.Event{{}}, said(llm.PartText, 0, "x")...), fault)...)
	if err != nil || !strings.Contains(out, "event: response.failed\n") || !strings.Contains(out, `"error":{"code":"overloaded","message":"busy"}`) || strings.Contains(out, "response.completed") {
		t.Errorf("in the middle: %s, %v", out, err)
	}
	if _, err = write(t, nil, false, fault); err == nil {
		t.Error("a document of a failed answer is written")
	}
	out, err = write(t, nil, true, llm.Event{})
	if err != nil || !strings.Contains(out, "event: response.failed\n") {
		t.Errorf("cut: %s, %v", out, err)
	}
	leak := llm.Event{Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeCredential, Message: "key sk-x is wrong", Reason: "invalid_api_key"}}
	if out, _ = write(t, nil, true, leak); strings.Contains(out, "sk-x") || strings.Contains(out, "invalid_api_key") {
		t.Errorf("the client learns of our key: %s", out)
	}
}

// TestItemsAreWrittenInTheirOrder writes blocks that overlap, seals, texts of one message, and a call without arguments.
func TestItemsAreWrittenInTheirOrder(t *testing.T) {
	events := []llm.Event{
		{Kind: llm.EvStarted, ID: "resp_1", Name: "m"}, {Kind: llm.EvStarted, ID: "resp_2"},
		{Kind: llm.EvBlockStarted, Part: llm.PartThought, Index: 0, Seal: dialect.WrapSeal("anthropic-messages", "EqoRedacted")}, {Kind: llm.EvBlockEnded, Part: llm.PartThought, Index: 0},
		{Kind: llm.EvBlockStarted, Part: llm.PartText, Index: 1}, {Kind: llm.EvBlockStarted, Part: llm.PartCall, Index: 2, ID: "c1", Name: "f", Seal: dialect.WrapSeal("gemini", "c2ln")},
		{Kind: llm.EvDelta, Part: llm.PartText, Index: 1, Text: []byte("ü")}, {Kind: llm.EvDelta, Part: llm.PartCall, Index: 2, Text: []byte(`{"a":1}`)},
		{Kind: llm.EvBlockEnded, Part: llm.PartCall, Index: 2}, {Kind: llm.EvBlockEnded, Part: llm.PartText, Index: 1},
		{Kind: llm.EvBlockStarted, Part: llm.PartImage, Index: 3}, {Kind: llm.EvBlockEnded, Part: llm.PartImage, Index: 3},
		{Kind: llm.EvBlockStarted, Part: llm.PartText, Index: 4}, {Kind: llm.EvDelta, Part: llm.PartText, Index: 4, Text: []byte("b")}, {Kind: llm.EvBlockEnded, Part: llm.PartText, Index: 4},
		{Kind: llm.EvBlockStarted, Part: llm.PartText, Index: 5}, {Kind: llm.EvDelta, Part: llm.PartText, Index: 5, Text: []byte("c")},
		{Kind: llm.EvDelta, Part: llm.PartText, Index: 5, Cite: &llm.Citation{URL: "https://a.example", Title: "A", Start: 2, End: 3}}, {Kind: llm.EvBlockEnded, Part: llm.PartText, Index: 5},
		{Kind: llm.EvBlockStarted, Part: llm.PartCall, Index: 6, Name: "g"}, {Kind: llm.EvBlockEnded, Part: llm.PartCall, Index: 6},
		{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(3), Output: llm.Tokens(4)}},
		{Kind: llm.EvFinished, Stop: llm.Stop{Reason: llm.StopCalls}}, {Kind: llm.EvUsage, Usage: llm.Usage{Output: llm.Tokens(9)}},
		{Kind: llm.EvBlockStarted, Part: llm.PartText, Index: 7, Choice: 1},
	}
	stream, err := write(t, nil, true, events...)
	if err != nil {
		t.Fatal(err)
	}
	strictStream(t, []byte(stream))
	whole, err := write(t, nil, false, events...)
	if err != nil {
		t.Fatal(err)
	}
	strictResponse(t, []byte(whole), true)
	const tail = "0123456789abcdef01234567"
	want := `[{"type":"reasoning","id":"rs_` + tail + `0","summary":[],"encrypted_content":"sbs1.anthropic-messages.EqoRedacted"},` +
		`{"type":"message","id":"msg_` + tail + `1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"ü","annotations":[],"logprobs":[]}]},` +
		`{"type":"function_call","id":"fc_` + tail + `2","status":"completed","call_id":"c1","name":"f","arguments":"{\"a\":1}"},` +
		`{"type":"reasoning","id":"rs_` + tail + `3","summary":[],"encrypted_content":"sbc1.YzE.sbs1.gemini.c2ln"},` +
		`{"type":"message","id":"msg_` + tail + `4","status":"completed","role":"assistant","content":[{"type":"output_text","text":"b","annotations":[],"logprobs":[]},` +
		`{"type":"output_text","text":"c","annotations":[{"type":"url_citation","start_index":0,"end_index":1,"url":"https://a.example","title":"A"}],"logprobs":[]}]},` +
		`{"type":"function_call","id":"fc_` + tail + `5","status":"completed","call_id":"call_` + tail + `","name":"g","arguments":"{}"}]`
	if got := string(jsonx.Get([]byte(whole), "output")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if i := strings.LastIndex(stream, "data: "); string(jsonx.At([]byte(strings.TrimSpace(stream[i+6:])), "response", "output")) != want {
		t.Errorf("the stream ends with another: %s", stream[i:])
	}
}

// TestOddStreamsAreRead reads what vendors leave out or add.
func TestOddStreamsAreRead(t *testing.T) {
	const created = `{"type":"response.created","response":{"id":"r","model":"m"}}`
	const completed = `{"type":"response.completed","response":{"id":"r","status":"completed","output":[]}}`
	for _, tc := range []struct {
		name   string
		events []string
		want   string // the blocks
		code   llm.Code
	}{
		{"no item is announced", []string{created, `{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"a"}`, completed}, `text "a" ""`, 0},
		{"the text comes with its end", []string{created, `{"type":"response.output_item.added","output_index":0,"item":{"type":"message"}}`, `{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"a"}`, completed}, `text "a" ""`, 0},
		{"all comes with the last event", []string{`{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"a"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}}`}, `text "a" "",call "{}" ""`, 0},
		{"arguments with the item's end alone", []string{created, `{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}}`, completed}, `call "{}" ""`, 0},
		{"items that are not ended", []string{created, `{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c","name":"f"}}`, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}`, completed}, `call "{}" ""`, 0},
		{"free text for a tool", []string{created, `{"type":"response.output_item.added","output_index":0,"item":{"type":"custom_tool_call","call_id":"c","name":"f","input":""}}`, `{"type":"response.custom_tool_call_input.delta","output_index":0,"delta":"x"}`, completed}, `call "x" ""`, 0},
		{"reasoning and its summary", []string{created, `{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"a"}`, `{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"b"}`, completed}, `thought "a" ""`, 0},
		{"sealed reasoning without words", []string{created, `{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","summary":[],"encrypted_content":"g"}}`, completed}, `thought "" "sbs1.openai-responses.g"`, 0},
		{"an unknown event", []string{created, `{"type":"response.new_thing","x":1}`, `{"type":"keepalive"}`, completed}, ``, 0},
		{"an end in the manner of chat", []string{created, completed, `[DONE]`}, ``, 0},
		{"a flat error", []string{created, `{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}`}, ``, llm.CodeRateLimited},
		{"a nested error", []string{`{"type":"error","error":{"type":"server_error","message":"oops"}}`}, ``, llm.CodeUpstream},
		{"a failed response", []string{created, `{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"oops"}}}`}, ``, llm.CodeUpstream},
		{"a failed response that does not say why", []string{`{"type":"response.failed","response":{"status":"failed"}}`}, ``, llm.CodeUpstream},
		{"a prompt that is too long", []string{`{"type":"error","error":{"code":"context_length_exceeded","message":"Your input exceeds the context window"}}`}, ``, llm.CodeContextTooLong},
		{"no JSON", []string{created, `{"type":"response.output_item.added","output_index":`}, ``, llm.CodeUpstream},
		{"cut", []string{created}, ``, llm.CodeReset},
		{"nothing", nil, ``, llm.CodeReset},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var body strings.Builder
			for _, e := range tc.events {
				body.WriteString("data: " + e + "\n\n")
			}
			s := read(t, []byte(body.String()), true, 0)
			var got []string
			for _, b := range s.blocks {
				if !b.Ended && s.failed == nil {
					t.Errorf("a block has no end: %+v", b)
				}
				got = append(got, fmt.Sprintf("%s %q %q", b.Part, b.Text, b.Seal))
			}
			if strings.Join(got, ",") != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if (s.failed == nil) != (tc.code == 0) || s.failed != nil && s.failed.Code != tc.code || (s.finished == 1) != (tc.code == 0) {
				t.Errorf("finished %d, failed %v", s.finished, s.failed)
			}
		})
	}
}

func TestDocumentsAreReadByWhatTheyAre(t *testing.T) {
	for body, want := range map[string]llm.Code{
		`{"id":"r","status":"queued","background":true,"output":[]}`: 0,
		`{"id":"r","status":"cancelled","output":[]}`:                llm.CodeUpstream,
		`{"error":{"message":"no","code":"model_not_found"}}`:        llm.CodeNotFound,
		`{"object":"chat.completion","choices":[]}`:                  llm.CodeUpstream,
		`{"object":"response.input_tokens","input_tokens":5}`:        0,
		`<html>`:          llm.CodeUpstream,
		`{"id":"r","outp`: llm.CodeReset,
		``:                llm.CodeReset,
		"data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n": 0,
	} {
		s := read(t, []byte(body), false, 0)
		if (s.failed == nil) != (want == 0) || s.failed != nil && s.failed.Code != want {
			t.Errorf("%s: %v", body, s.failed)
		}
	}
}

// chatStream is a stream of text as openai-chat has it.
func chatStream(n int) []byte {
	b := []byte("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n")
	for range n {
		b = append(b, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a word \"},\"finish_reason\":null}]}\n\n"...)
	}
	return append(b, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"...)
}

// path is a way of a stream through two codecs.
type path struct {
	name   string
	body   []byte
	reader func() dialect.Reader
	writer func() dialect.Writer
}

func paths(tb testing.TB, n int) []path {
	own, err := write(tb, nil, true, func() (all []llm.Event) {
		all = append(all, llm.Event{Kind: llm.EvStarted, ID: "r", Name: "m"}, llm.Event{Kind: llm.EvBlockStarted, Part: llm.PartText})
		for range n {
			all = append(all, llm.Event{Kind: llm.EvDelta, Part: llm.PartText, Text: []byte("a word ")})
		}
		return append(all, llm.Event{Kind: llm.EvBlockEnded, Part: llm.PartText}, llm.Event{Kind: llm.EvFinished})
	}()...)
	if err != nil {
		tb.Fatal(err)
	}
	chat := openaichat.New()
	return []path{
		{"responses to chat", []byte(own), func() dialect.Reader { return fixed().NewReader(nil, true) }, func() dialect.Writer { return chat.NewWriter(nil, true) }},
		{"chat to responses", chatStream(n), func() dialect.Reader { return chat.NewReader(nil, true) }, func() dialect.Writer { return fixed().NewWriter(nil, true) }},
	}
}

func BenchmarkStreams(b *testing.B) {
	for _, p := range paths(b, 200) {
		b.Run(p.name, func(b *testing.B) {
			b.SetBytes(int64(len(p.body)))
			b.ReportAllocs()
			out := make([]byte, 0, 1<<20)
			for b.Loop() {
				r, w := p.reader(), p.writer()
				if err := r.Feed(p.body, true, func(ev *llm.Event) (err error) {
					out, err = w.Write(out[:0], ev)
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAChunkIsTranslatedWithoutAllocation(t *testing.T) {
	for _, p := range paths(t, 500) {
		t.Run(p.name, func(t *testing.T) {
			frames := bytes.SplitAfter(p.body, []byte("\n\n"))
			r, w := p.reader(), p.writer()
			out := make([]byte, 0, 1<<20)
			emit := func(ev *llm.Event) (err error) {
				out, err = w.Write(out[:0], ev)
				return err
			}
			i := 0
			next := func() {
				if err := r.Feed(frames[i], false, emit); err != nil {
					t.Fatal(err)
				}
				i++
			}
			for i < 200 {
				next()
			}
			if n := testing.AllocsPerRun(250, next); n > 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkPeekAndSplice(b *testing.B) {
	var list []string
	for i := range 200 {
		list = append(list, fmt.Sprintf(`{"type":"function_call","call_id":"call_%d","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"call_%d","output":%q}`, i, i, strings.Repeat("word ", 80)))
	}
	body := []byte(items(strings.Join(list, ",")))
	b.SetBytes(int64(len(body)))
	c := fixed()
	for b.Loop() {
		h, err := c.Peek(inbound(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Splice(nil, h, dialect.Edits{Model: "other"}); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte(with(`"instructions":"i","stream":true,"include":["x"],"reasoning":{"effort":"low"}`)))
	f.Add([]byte(items(`{"type":"reasoning","summary":[],"encrypted_content":"sbc1.Yw.sbs1.gemini.x"},{"type":"function_call","call_id":"c","name":"f","arguments":""},{"type":"function_call_output","call_id":"c","output":[]}`)))
	f.Add([]byte(`{"model":"m","previous_response_id":"r","tools":[{"type":"mcp"}],"tool_choice":{"type":"mcp"},"text":{"format":{"type":"text"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := fixed().ReadRequest(inbound(body))
		if _, peeked := fixed().Peek(inbound(body)); peeked != nil && err == nil {
			t.Fatalf("read, but not peeked: %v", peeked)
		}
		if err != nil {
			var e *llm.Error
			if !errors.As(err, &e) || e.Code == llm.CodeNone || e.Message == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		checkLaw(t, req)
	})
}

func FuzzSplice(f *testing.F) {
	f.Add([]byte(items(`{"type":"reasoning","encrypted_content":"sbs1.a.b"} , {"role":"user","content":"x"},{"type":"reasoning","encrypted_content":"sbs1.a.b"}`)))
	f.Add([]byte(`{"model":"m","input":[ {"type":"reasoning","encrypted_content":"sbs1.a.b"} ]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := fixed().Peek(inbound(body))
		if err != nil {
			return
		}
		out, err := fixed().Splice(nil, h, dialect.Edits{Model: "other"})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonx.Scan(out)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for i, m := range doc.Members {
			was := h.Doc.Members[i]
			if m.Name != was.Name || m.Name != "model" && m.Name != "input" && string(out[m.Start:m.End]) != string(body[was.Start:was.End]) {
				t.Fatalf("%s changed: %s", m.Name, out)
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	for _, p := range paths(f, 2) {
		f.Add(p.body, uint8(5), true)
	}
	f.Add([]byte("event: response.output_item.added\ndata: {\"output_index\":3,\"item\":{\"type\":\"web_search_call\"}}\n\ndata: {\"type\":\"response.web_search_call.searching\",\"output_index\":3}\n\n"), uint8(3), true)
	f.Add([]byte(`{"output":[{"type":"reasoning","summary":[{"text":"a"}],"encrypted_content":"x"},{"type":"message","content":[{"type":"output_text","text":"a","annotations":[{"url":"u","start_index":0,"end_index":1}]}]}],"usage":{"input_tokens":1}}`), uint8(7), false)
	f.Fuzz(func(t *testing.T, body []byte, size uint8, stream bool) {
		whole := read(t, body, stream, 0)
		if cut := read(t, body, stream, int(size)+1); string(cut.events) != string(whole.events) {
			t.Fatalf("cut at %d:\n%s\nwhole:\n%s", int(size)+1, cut.events, whole.events)
		}
		for _, to := range []bool{true, false} {
			out, err := rewrite(t, body, stream, to)
			if err == nil && !to {
				if _, err := jsonx.Scan(out); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			if to && whole.failed == nil && whole.finished == 1 {
				strictStream(t, out)
			}
		}
	})
}
