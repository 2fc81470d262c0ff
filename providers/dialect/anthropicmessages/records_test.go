package anthropicmessages

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// model is the one that a record names, or "".
func model(x *recorded.Exchange) string {
	if x.Model == nil {
		return ""
	}
	return *x.Model
}

// speaks reports whether a record is of this dialect. Vertex and Bedrock carry it in paths of their own.
func speaks(x *recorded.Exchange) bool {
	switch x.Endpoint {
	case "messages", "rawPredict", "streamRawPredict":
		return true
	}
	return x.Endpoint == "invoke" && strings.Contains(model(x), "anthropic") && jsonx.Get(x.RequestJSON, "messages") != nil
}

func eachRecord(t *testing.T, f func(*testing.T, *recorded.Exchange)) {
	t.Helper()
	recorded.EachKept(t, speaks, f)
}

// refused lists recorded requests that we refuse, and why that is right.
var refused = map[string]string{"11254a8aba82a8e8": "the provider refused its temperature too"}

// inbound is a recorded request as a client would send it to us: on Vertex the model stands in the path.
func inbound(x *recorded.Exchange) dialect.Inbound {
	body := []byte(x.RequestJSON)
	if jsonx.Get(body, "model") == nil && body != nil {
		doc, err := jsonx.Scan(body)
		if err == nil {
			body = jsonx.Splice(nil, body, doc.Set("model", jsonx.AppendQuote(nil, model(x))))
		}
	}
	return dialect.Inbound{Op: llm.OpChat, Path: "/v1/messages", Body: body}
}

// taking is a target that takes what the request says: what the law is about is the codec, not the model.
func taking(req *llm.Request) dialect.Target {
	t := dialect.Target{Model: req.Model, Facts: catalog.Anthropic(req.Model)}
	if th := req.Chat().Thinking; th != nil && th.Mode == llm.ThinkBudget {
		t.Facts.Thinking = catalog.ThinkBudget // some models take budgets that we would not write for them
	}
	return t
}

func TestRecordedRequestsAreReadAndWritten(t *testing.T) {
	c := New()
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if !x.HasRequest() {
			t.Skip("the record has no request")
		}
		in := inbound(x)
		req, err := c.ReadRequest(in)
		if why, expected := refused[x.ID]; expected {
			if err == nil {
				t.Errorf("was read, though %s", why)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		out, losses, err := c.WriteRequest(nil, req, taking(req))
		if err != nil {
			t.Fatal(err)
		}
		if len(losses) > 0 {
			t.Errorf("losses: %v", losses)
		}
		again, err := c.ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: out})
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if diff := cmp.Diff(again, req); diff != "" {
			t.Errorf("read, written and read again (-again +first):\n%s", diff)
		}
		same, _, err := c.WriteRequest(nil, req, taking(req))
		if err != nil || string(same) != string(out) {
			t.Errorf("written twice: %s\n%s\n%v", out, same, err)
		}
	})
}

func TestRecordedRequestsAreSpliced(t *testing.T) {
	c := New()
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if !x.HasRequest() {
			t.Skip("the record has no request")
		}
		in := inbound(x)
		h, err := c.Peek(in)
		if _, expected := refused[x.ID]; expected && err != nil {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.Splice(nil, h, dialect.Edits{Model: h.Model, AskUsage: true})
		if err != nil || string(out) != string(in.Body) {
			t.Errorf("same model: %s, %v", out, err)
		}
		out, err = c.Splice(nil, h, dialect.Edits{Model: "other/\"model\""})
		if err != nil {
			t.Fatal(err)
		}
		back, err := c.Peek(dialect.Inbound{Op: llm.OpChat, Body: out})
		if err != nil {
			t.Fatal(err)
		}
		if back.Model != "other/\"model\"" {
			t.Errorf("model is %q", back.Model)
		}
		for i, m := range back.Doc.Members {
			was := h.Doc.Members[i]
			if m.Name != was.Name || m.Name != "model" && string(out[m.Start:m.End]) != string(in.Body[was.Start:was.End]) {
				t.Errorf("member %s changed", m.Name)
			}
		}
	})
}

// normal makes the events of two answers comparable: joined text, one usage at the end, no pings, and
// nothing of how the answer was framed. Unknown counts are 0, as the writer must write them.
func normal(evs []llm.Event) []llm.Event {
	var out []llm.Event
	var usage llm.Usage
	for _, e := range evs {
		switch e.Kind {
		case llm.EvPing:
			continue
		case llm.EvUsage:
			usage.Merge(e.Usage)
			continue
		case llm.EvDelta:
			if last := len(out) - 1; len(e.Text) > 0 && out[last].Kind == llm.EvDelta && len(out[last].Text) > 0 && out[last].Index == e.Index {
				out[last].Text = append(out[last].Text, e.Text...)
				continue
			}
			if e.Part == llm.PartCall && string(e.Text) == "{}" {
				continue
			}
		}
		if e.Part != llm.PartNative {
			e.Raw = nil
		}
		if e.Part == llm.PartNative && e.Kind == llm.EvBlockStarted {
			e.Raw, _ = jsonx.Compact(jsonx.Get(e.Raw, "content_block"))
		}
		if e.Part == llm.PartNative && e.Kind == llm.EvDelta {
			e.Raw, _ = jsonx.Compact(jsonx.Get(e.Raw, "delta"))
		}
		out = append(out, e)
	}
	for _, c := range []*llm.Count{
		&usage.Input, &usage.Cached, &usage.CacheWrite, &usage.CacheWrite1h, &usage.Output, &usage.Reasoning, &usage.WebSearches,
	} {
		c.Known = true
	}
	return append(out, llm.Event{Kind: llm.EvUsage, Usage: usage})
}

func TestRecordedAnswersAreReadAndWritten(t *testing.T) {
	c := New()
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if x.Status != 200 {
			t.Skip("an error")
		}
		body := []byte(x.RawBody)
		evs := codectest.Events(t, c.NewReader(nil, x.BodyKind == "sse"), body, 0)
		if f := codectest.Count(evs, llm.EvFinished); f != 1 || codectest.Count(evs, llm.EvFailed) != 0 {
			t.Fatalf("%d times finished; events %v", f, evs)
		}
		grows(t, evs)
		for _, n := range []int{1, 2, 3, 7, 64} {
			if diff := cmp.Diff(codectest.Events(t, c.NewReader(nil, x.BodyKind == "sse"), body, n), evs); diff != "" {
				t.Fatalf("cut every %d bytes:\n%s", n, diff)
			}
		}
		if diff := cmp.Diff(codectest.Events(t, c.NewReader(nil, x.BodyKind == "sse"), body, -1), evs); diff != "" {
			t.Fatalf("cut at random:\n%s", diff)
		}
		for _, stream := range []bool{true, false} {
			out, err := codectest.Write(c.NewWriter(nil, stream), evs)
			if err != nil {
				t.Fatal(err)
			}
			if stream {
				strict(t, out)
			}
			again := codectest.Events(t, c.NewReader(nil, stream), out, 0)
			if diff := cmp.Diff(normal(again), normal(codectest.Unserved(evs))); diff != "" {
				t.Errorf("stream %t, read, written and read again (-again +first):\n%s\n%s", stream, diff, out)
			}
		}
	})
}

// grows checks that usage never falls within an answer.
func grows(t *testing.T, evs []llm.Event) {
	t.Helper()
	var last llm.Usage
	for _, e := range evs {
		if e.Kind == llm.EvUsage {
			if e.Usage.Input.N < last.Input.N || e.Usage.Output.N < last.Output.N || e.Usage.Cached.N < last.Cached.N {
				t.Errorf("usage fell from %v to %v", last, e.Usage)
			}
			last = e.Usage
		}
	}
}

// strict checks what clients of the dialect demand of a stream.
func strict(t *testing.T, stream []byte) {
	t.Helper()
	var p sse.Parser
	open, next, seen := int64(-1), int64(0), map[string]int{}
	err := p.Feed(stream, true, func(e *sse.Event) error {
		if err := jsonx.Valid(e.Data); err != nil {
			t.Errorf("%v in %s", err, e.Data)
		}
		kind, _ := jsonx.String(jsonx.Get(e.Data, "type"))
		if kind != string(e.Name) {
			t.Errorf("event %q has type %q", e.Name, kind)
		}
		seen[kind]++
		index, _ := jsonx.Int(jsonx.Get(e.Data, "index"))
		switch kind {
		case "message_start":
			if seen[kind] > 1 || jsonx.At(e.Data, "message", "usage", "output_tokens") == nil || string(jsonx.At(e.Data, "message", "content")) != "[]" {
				t.Errorf("bad start %s", e.Data)
			}
		case "content_block_start":
			if open >= 0 || index != next {
				t.Errorf("block %d started, %d is open, %d is due", index, open, next)
			}
			open = index
			next++
		case "content_block_delta":
			if index != open {
				t.Errorf("delta of block %d, %d is open", index, open)
			}
		case "content_block_stop":
			if index != open {
				t.Errorf("block %d stopped, %d is open", index, open)
			}
			open = -1
		case "message_delta":
			if open >= 0 || jsonx.At(e.Data, "usage", "output_tokens") == nil || jsonx.At(e.Data, "delta", "stop_reason") == nil {
				t.Errorf("bad end %s", e.Data)
			}
		case "message_stop", "ping":
		default:
			t.Errorf("event of type %q", kind)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if seen["message_start"] != 1 || seen["message_delta"] != 1 || seen["message_stop"] != 1 {
		t.Errorf("events: %v", seen)
	}
}

func TestAStreamThatIsCutFails(t *testing.T) {
	c := New()
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if x.Status != 200 || x.BodyKind != "sse" {
			t.Skip("no stream")
		}
		end := strings.Index(x.RawBody, "event: message_stop")
		for at := range end {
			if at > 0 && !strings.HasPrefix(x.RawBody[at-1:], "\nevent:") && at%13 != 0 {
				continue
			}
			evs := codectest.Events(t, c.NewReader(nil, true), []byte(x.RawBody[:at]), 0)
			if codectest.Count(evs, llm.EvFinished) != 0 || codectest.Count(evs, llm.EvFailed) != 1 || evs[len(evs)-1].Kind != llm.EvFailed {
				t.Fatalf("cut at %d: %v", at, evs)
			}
			out, err := codectest.Write(c.NewWriter(nil, true), evs)
			if err != nil || strings.Contains(string(out), "message_stop") || !strings.Contains(string(out), "event: error\n") {
				t.Fatalf("cut at %d: %v\n%s", at, err, out)
			}
			if _, err := codectest.Write(c.NewWriter(nil, false), evs); err == nil {
				t.Fatalf("cut at %d: a document was written", at)
			}
		}
	})
}

// recordedErrors are the codes of recorded errors that their status alone does not tell.
var recordedErrors = map[string]llm.Code{"2911791e1b404b50": llm.CodeCredential}

func TestRecordedErrorsAreRead(t *testing.T) {
	c := New()
	byStatus := map[int]llm.Code{400: llm.CodeInvalid, 401: llm.CodeCredential, 404: llm.CodeNotFound}
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if x.Status < 400 {
			t.Skip("no error")
		}
		want, listed := recordedErrors[x.ID]
		if !listed {
			want = byStatus[x.Status]
		}
		e := c.ReadError(x.Status, nil, []byte(x.RawBody))
		said, _ := jsonx.String(jsonx.At([]byte(x.RawBody), "error", "message"))
		if e.Code != want || e.Message != said {
			t.Errorf("got %v %q, want %v %q", e.Code, e.Message, want, said)
		}
		status, body := c.WriteError(e, "req_1")
		if status < 400 || jsonx.Valid(body) != nil || string(jsonx.At(body, "error", "message")) == "" {
			t.Errorf("written as %d %s", status, body)
		}
	})
}
