package gemini

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

// ops are the operations of recorded endpoints.
var ops = map[string]llm.Op{
	"generateContent": llm.OpChat, "streamGenerateContent": llm.OpChat, "countTokens": llm.OpCount,
	"embedContent": llm.OpEmbed, "batchEmbedContents": llm.OpEmbed,
}

// codecOf is the codec that a record's service has.
func codecOf(x *recorded.Exchange) *Codec {
	c := fixed()
	c.vertex = x.Provider == "vertex"
	return c
}

// fixed makes the codec with ids that repeat.
func fixed() *Codec {
	c := New()
	c.mint = func() string { return "MADE" }
	return c
}

// inboundOf is a recorded request as a client would send it to us.
func inboundOf(x *recorded.Exchange) dialect.Inbound {
	_, query, _ := strings.Cut(x.RequestPath, "?")
	in := dialect.Inbound{Op: ops[x.Endpoint], Path: "/v1beta/models/m:" + x.Endpoint, Query: query}
	if x.Model != nil {
		in.Model = strings.TrimPrefix(*x.Model, modelPrefix)
	}
	if x.HasRequest() {
		in.Body = x.RequestJSON
	}
	return in
}

func eachRecord(t *testing.T, f func(*testing.T, *recorded.Exchange)) {
	t.Helper()
	recorded.EachKept(t, func(x *recorded.Exchange) bool { return ops[x.Endpoint] != llm.OpUnknown }, f)
}

func TestRecordedRequestsAreReadAndWritten(t *testing.T) {
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if !x.HasRequest() || x.RequestTrimmed {
			t.Skip("the record has no request, or a part of it")
		}
		c := codecOf(x)
		req, err := c.ReadRequest(inboundOf(x))
		if err != nil {
			t.Fatal(err)
		}
		target := dialect.Target{Model: inboundOf(x).Model} // one of which nothing is known: what is said stands
		out, losses, err := c.WriteRequest(nil, req, target)
		if err != nil {
			t.Fatal(err)
		}
		if len(losses) > 0 {
			t.Errorf("losses: %v", losses)
		}
		in := inboundOf(x)
		in.Body = out
		if ops[x.Endpoint] == llm.OpEmbed {
			in.Path = "/v1beta/models/m:batchEmbedContents"
			if e := req.Embed(); e.Single {
				e.Single = false // it is written as a list of one
			}
		}
		again, err := c.ReadRequest(in)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if diff := cmp.Diff(again, req); diff != "" {
			t.Errorf("read, written and read again (-again +first):\n%s\n%s", diff, out)
		}
		same, _, err := c.WriteRequest(nil, req, target)
		if err != nil || string(same) != string(out) {
			t.Errorf("written twice: %s\n%s\n%v", out, same, err)
		}
		target.Facts = catalog.FactsOf("gemini", inboundOf(x).Model)
		if out, _, err = c.WriteRequest(nil, req, target); err == nil {
			if err := jsonx.Valid(out); err != nil {
				t.Errorf("for the model itself: %v\n%s", err, out)
			}
		}
	})
}

func TestRecordedRequestsAreSpliced(t *testing.T) {
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if !x.HasRequest() {
			t.Skip("the record has no request")
		}
		c := fixed()
		h, err := c.Peek(inboundOf(x))
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.Splice(nil, h, dialect.Edits{Model: h.Model, AskUsage: true})
		if err != nil || string(out) != string(x.RequestJSON) {
			t.Errorf("same model: %s, %v", out, err)
		}
		out, err = c.Splice(nil, h, dialect.Edits{Model: "other/\"model\""})
		if err != nil || jsonx.Valid(out) != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if strings.Contains(string(out), `"models/`+h.Model+`"`) {
			t.Errorf("the body still names the model: %s", out)
		}
		if named := strings.Contains(string(x.RequestJSON), `"model"`); !named && string(out) != string(x.RequestJSON) {
			t.Errorf("the body was changed: %s", out)
		}
	})
}

// normal makes the events of two answers comparable: joined text, one usage at the end, no pings, and nothing of
// how the answer was framed.
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
			last := len(out) - 1
			if e.Logprobs != nil { // a document has them all at its end
				continue
			}
			if len(e.Text) > 0 && out[last].Kind == llm.EvDelta && len(out[last].Text) > 0 && out[last].Index == e.Index {
				out[last].Text = append(out[last].Text, e.Text...)
				continue
			}
		}
		if e.ID == "MADE" { // for an answer that came without
			e.ID = ""
		}
		if e.Raw != nil {
			e.Raw, _ = jsonx.Compact(e.Raw)
		}
		out = append(out, e)
	}
	usage.WebSearches = llm.Count{} // queries are not written: they are no part of the vocabulary
	return append(out, llm.Event{Kind: llm.EvUsage, Usage: usage})
}

func TestRecordedAnswersAreReadAndWritten(t *testing.T) {
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if x.Status != 200 {
			t.Skip("an error")
		}
		c := codecOf(x)
		body := []byte(x.RawBody)
		evs := codectest.Events(t, c.NewReader(nil, true), body, 0)
		if codectest.Count(evs, llm.EvFinished) != 1 || codectest.Count(evs, llm.EvFailed) != 0 {
			t.Fatalf("not finished once: %v", evs)
		}
		grows(t, evs)
		for _, n := range []int{1, 2, 3, 7, 64} {
			if diff := cmp.Diff(codectest.Events(t, c.NewReader(nil, true), body, n), evs); diff != "" {
				t.Fatalf("cut every %d bytes:\n%s", n, diff)
			}
		}
		if diff := cmp.Diff(codectest.Events(t, c.NewReader(nil, true), body, -1), evs); diff != "" {
			t.Fatalf("cut at random:\n%s", diff)
		}
		req := &llm.Request{Op: ops[x.Endpoint], Body: &llm.Chat{}}
		if ops[x.Endpoint] == llm.OpEmbed {
			req.Body = &llm.Embed{Single: x.Endpoint == "embedContent"}
		}
		for _, form := range []string{"document", "events", formArray} {
			if ops[x.Endpoint] != llm.OpChat && form != "document" {
				continue
			}
			req.Form = form
			out, err := codectest.Write(c.NewWriter(req, form != "document"), evs)
			if err != nil {
				t.Fatal(err)
			}
			strict(t, form, out)
			again := codectest.Events(t, c.NewReader(nil, true), out, 0)
			if diff := cmp.Diff(normal(again), normal(codectest.Unserved(evs))); diff != "" {
				t.Errorf("%s, read, written and read again (-again +first):\n%s\n%s", form, diff, out)
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

// strict checks what clients of the dialect demand of an answer.
func strict(t *testing.T, form string, out []byte) {
	t.Helper()
	pieces := 0
	piece := func(b []byte) {
		pieces++
		if err := jsonx.Valid(b); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		for _, c := range jsonx.Elements(jsonx.Get(b, "candidates")) {
			if string(plain(jsonx.At(c, "content", "role"))) != "model" || jsonx.Kind(jsonx.At(c, "content", "parts")) != '[' || jsonx.Get(c, "index") == nil {
				t.Errorf("a candidate lacks what clients read: %s", c)
			}
			for _, p := range jsonx.Elements(jsonx.At(c, "content", "parts")) {
				if call := jsonx.Get(p, "functionCall"); call != nil && (jsonx.Kind(jsonx.Get(call, "args")) != '{' || jsonx.Get(call, "name") == nil) {
					t.Errorf("a call without arguments or name: %s", p)
				}
			}
		}
	}
	switch form {
	case "document":
		piece(out)
	case formArray:
		if err := jsonx.Valid(out); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		for _, b := range jsonx.Elements(out) {
			piece(b)
		}
	default:
		var p sse.Parser
		if err := p.Feed(out, true, func(e *sse.Event) error {
			if len(e.Name) > 0 || e.Partial || e.Comment || string(e.Data) == "[DONE]" {
				t.Errorf("an event that clients do not know: %s", e.Raw)
			}
			piece(e.Data)
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	if pieces == 0 {
		t.Error("nothing was written")
	}
}

// TestUsageIsTheProvidersOwn holds what is read against the numbers of the last usageMetadata.
func TestUsageIsTheProvidersOwn(t *testing.T) {
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		at := strings.LastIndex(x.RawBody, `"usageMetadata"`)
		if x.Status != 200 || ops[x.Endpoint] != llm.OpChat || at < 0 {
			t.Skip("no usage")
		}
		last := "{" + x.RawBody[at:]
		want := func(name string) int64 {
			n, _ := jsonx.Int(jsonx.At([]byte(last), "usageMetadata", name))
			return n
		}
		var got llm.Usage
		for _, e := range codectest.Events(t, codecOf(x).NewReader(nil, true), []byte(x.RawBody), 0) {
			got.Merge(e.Usage)
		}
		if got.Input.N != want("promptTokenCount")+want("toolUsePromptTokenCount") || got.Reasoning.N != want("thoughtsTokenCount") ||
			got.Output.N != want("candidatesTokenCount")+want("thoughtsTokenCount") || got.Cached.N != want("cachedContentTokenCount") {
			t.Errorf("got %+v of %s", got, last)
		}
		if total := want("totalTokenCount"); total != 0 && got.Input.N+got.Output.N != total {
			t.Errorf("%d and %d are not %d in all", got.Input.N, got.Output.N, total)
		}
	})
}

func TestAStreamThatIsCutFails(t *testing.T) {
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		end := strings.Index(x.RawBody, `"finishReason"`)
		if x.Status != 200 || ops[x.Endpoint] != llm.OpChat || end < 0 {
			t.Skip("no end to cut off")
		}
		c := codecOf(x)
		for at := range end {
			boundary := at > 0 && (strings.HasPrefix(x.RawBody[at-1:], "\ndata:") || strings.HasPrefix(x.RawBody[at-1:], ",\r\n{"))
			if !boundary && at%37 != 0 {
				continue
			}
			evs := codectest.Events(t, c.NewReader(nil, true), []byte(x.RawBody[:at]), 0)
			if codectest.Count(evs, llm.EvFinished) != 0 || codectest.Count(evs, llm.EvFailed) != 1 || evs[len(evs)-1].Kind != llm.EvFailed {
				t.Fatalf("cut at %d: %v", at, evs)
			}
			for _, form := range []string{"events", formArray} {
				out, err := codectest.Write(c.NewWriter(&llm.Request{Op: llm.OpChat, Form: form, Body: &llm.Chat{}}, true), evs)
				if err != nil || strings.Contains(string(out), "finishReason") || !strings.Contains(string(out), `{"error":{`) {
					t.Fatalf("cut at %d: %v\n%s", at, err, out)
				}
				strict(t, form, out)
			}
			if _, err := codectest.Write(c.NewWriter(nil, false), evs); err == nil {
				t.Fatalf("cut at %d: a document was written", at)
			}
		}
	})
}

func TestRecordedErrorsAreRead(t *testing.T) {
	byStatus := map[int]llm.Code{400: llm.CodeInvalid, 404: llm.CodeNotFound, 429: llm.CodeRateLimited}
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if x.Status < 400 {
			t.Skip("no error")
		}
		want := byStatus[x.Status]
		if strings.Contains(x.RawBody, "API_KEY_INVALID") {
			want = llm.CodeCredential
		}
		c := codecOf(x)
		e := c.ReadError(x.Status, nil, []byte(x.RawBody))
		said, _ := jsonx.String(jsonx.At([]byte(x.RawBody), "error", "message"))
		if e.Code != want || !strings.HasPrefix(said, e.Message[:min(len(e.Message), 20)]) {
			t.Errorf("got %v %q, want %v %q", e.Code, e.Message, want, said)
		}
		if strings.Contains(x.RawBody, "retryDelay") && e.After <= 0 {
			t.Error("the wait was not read")
		}
		status, body := c.WriteError(e, "req_1")
		if status < 400 || jsonx.Valid(body) != nil || string(jsonx.At(body, "error", "message")) == "" {
			t.Errorf("written as %d %s", status, body)
		}
	})
}
