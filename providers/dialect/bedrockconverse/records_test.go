package bedrockconverse

import (
	"bytes"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

func bodyOf(t testing.TB, x *recorded.Exchange) []byte {
	t.Helper()
	b, err := x.Body()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func inboundOf(x *recorded.Exchange) dialect.Inbound {
	path, _ := url.PathUnescape(x.RequestPath)
	in := dialect.Inbound{Op: llm.OpChat, Path: path}
	if x.Model != nil {
		in.Model = *x.Model
	}
	if x.HasRequest() {
		in.Body = x.RequestJSON
	}
	if x.Endpoint == "count-tokens" {
		in.Op = llm.OpCount
	}
	return in
}

// header makes recorded headers a dialect.Header.
type header map[string]string

func (h header) Get(name string) string { return h[name] }

// fixed is a codec whose ids and times do not change.
func fixed() *Codec {
	c := New()
	c.mint, c.now = func() string { return "MINTED" }, func() time.Time { return time.Unix(1e9, 0) }
	return c
}

func eachRecord(t *testing.T, f func(*testing.T, *recorded.Exchange)) {
	t.Helper()
	recorded.EachKept(t, func(x *recorded.Exchange) bool {
		switch x.Provider + " " + x.Endpoint {
		case "bedrock converse", "bedrock converse-stream", "bedrock count-tokens":
			return true
		}
		return false
	}, f)
}

func target(model string) dialect.Target {
	return dialect.Target{Model: model, Facts: catalog.Anthropic(model)}
}

func TestRecordedRequestsAreReadAndWritten(t *testing.T) {
	c := New()
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if !x.HasRequest() {
			t.Skip("the record has no request")
		}
		in := inboundOf(x)
		req, err := c.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		if req.Stream != (x.Endpoint == "converse-stream") || req.Model != in.Model {
			t.Errorf("stream %t, model %s", req.Stream, req.Model)
		}
		out, losses, err := c.WriteRequest(nil, req, target(req.Model))
		if err != nil || len(losses) > 0 {
			t.Fatalf("%v, losses %v", err, losses)
		}
		in.Body = out
		again, err := c.ReadRequest(in)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if diff := cmp.Diff(again, req); diff != "" {
			t.Errorf("read, written and read again (-again +first):\n%s", diff)
		}
		if same, _, err := c.WriteRequest(nil, req, target(req.Model)); err != nil || string(same) != string(out) {
			t.Errorf("written twice: %s\n%s\n%v", out, same, err)
		}
		h, err := c.Peek(inboundOf(x))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Splice(nil, h, dialect.Edits{Model: "other", AskUsage: true}); err != nil || !bytes.Equal(got, x.RequestJSON) {
			t.Errorf("spliced: %s, %v", got, err)
		}
	})
}

// normal joins neighbouring deltas and usage, so that streams and documents compare.
func normal(evs []llm.Event) (out []llm.Event) {
	var u llm.Usage
	for _, e := range evs {
		switch {
		case e.Kind == llm.EvUsage:
			u.Merge(e.Usage)
			continue
		case e.Kind == llm.EvDelta && e.Part == llm.PartCall && string(e.Text) == "{}": // as a call without arguments may have it
			continue
		case e.Kind == llm.EvDelta && len(out) > 0 && e.Cite == nil:
			if last := &out[len(out)-1]; last.Kind == llm.EvDelta && last.Index == e.Index && last.Cite == nil && (last.Seal == "") == (e.Seal == "") {
				last.Text = append(last.Text, e.Text...)
				continue
			}
		}
		out = append(out, e)
	}
	return append(out, llm.Event{Kind: llm.EvUsage, Usage: u})
}

// frames lists a stream's frames: where each ends, its kind and its payload.
func frames(t testing.TB, body []byte) (ends []int, kinds, payloads []string) {
	t.Helper()
	at := 0
	err := new(awsevents.Parser).Feed(body, true, func(m *awsevents.Message) error {
		at += len(m.Raw)
		ends = append(ends, at)
		kinds = append(kinds, string(m.String(":event-type"))+string(m.String(":exception-type")))
		payloads = append(payloads, string(m.Payload))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ends, kinds, payloads
}

func TestRecordedAnswersAreRead(t *testing.T) {
	c := fixed()
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		body := bodyOf(t, x)
		if x.Status != 200 {
			e := c.ReadError(x.Status, header(x.ResponseHeaders), body)
			if e.Message == "" || e.Code == llm.CodeNone || e.Code == llm.CodeInternal {
				t.Errorf("got %v", e)
			}
			return
		}
		var req *llm.Request
		if x.HasRequest() {
			var err error
			if req, err = c.ReadRequest(inboundOf(x)); err != nil {
				t.Fatal(err)
			}
		}
		stream := x.Endpoint == "converse-stream"
		evs := codectest.Events(t, c.NewReader(req, stream), body, 0)
		if codectest.Count(evs, llm.EvFinished) != 1 || codectest.Count(evs, llm.EvFailed) != 0 || codectest.Count(evs, llm.EvUsage) == 0 {
			t.Fatalf("got %s", codectest.Describe(evs))
		}
		for _, cut := range []int{1, 2, 3, 7, 64, -1} {
			if diff := cmp.Diff(codectest.Events(t, c.NewReader(req, stream), body, cut), evs); diff != "" {
				t.Fatalf("cut: %s", diff)
			}
		}
		sameUsage(t, x, evs)
		rewritten(t, c, req, evs)
		if stream {
			truncated(t, c, body)
		}
	})
}

// sameUsage holds the usage against the provider's own numbers.
func sameUsage(t *testing.T, x *recorded.Exchange, evs []llm.Event) {
	t.Helper()
	var u llm.Usage
	for i := range evs {
		u.Merge(evs[i].Usage)
	}
	usage := jsonx.Get(bodyOf(t, x), "usage")
	if x.Endpoint == "converse-stream" {
		_, kinds, payloads := frames(t, bodyOf(t, x))
		if kinds[len(kinds)-1] != "metadata" {
			t.Fatalf("the last frame is %s", kinds[len(kinds)-1])
		}
		usage = jsonx.Get([]byte(payloads[len(payloads)-1]), "usage")
	}
	if x.Endpoint == "count-tokens" {
		if n, _ := jsonx.Int(jsonx.Get(bodyOf(t, x), "inputTokens")); u.Input != llm.Tokens(n) {
			t.Errorf("got %+v, want %d", u, n)
		}
		return
	}
	total, ok := jsonx.Int(jsonx.Get(usage, "totalTokens"))
	if !ok || u.Input.N+u.Output.N != total {
		t.Errorf("usage %+v, total %d", u, total)
	}
}

// rewritten writes an answer for a client of the dialect, in both forms, and reads it back.
func rewritten(t *testing.T, c *Codec, req *llm.Request, evs []llm.Event) {
	t.Helper()
	for _, stream := range []bool{true, false} {
		out, err := codectest.Write(c.NewWriter(req, stream), evs)
		if err != nil {
			t.Fatal(err)
		}
		if stream && (req == nil || req.Op != llm.OpCount) {
			strict(t, out)
		} else if jsonx.Valid(out) != nil {
			t.Fatalf("not JSON: %s", out)
		}
		again := codectest.Events(t, c.NewReader(req, stream), out, 0)
		if diff := cmp.Diff(normal(again), normal(evs)); diff != "" {
			t.Errorf("stream %t: read, written and read again (-again +first): %s", stream, diff)
		}
	}
}

// truncated cuts a stream behind each frame and within each.
func truncated(t *testing.T, c *Codec, body []byte) {
	t.Helper()
	ends, kinds, _ := frames(t, body)
	stop := slices.Index(kinds, "messageStop")
	for i, end := range ends[:stop] {
		for _, cut := range []int{end, end - 5, end - 1} {
			evs := codectest.Events(t, c.NewReader(nil, true), body[:cut], 0)
			if codectest.Count(evs, llm.EvFinished) != 0 || codectest.Count(evs, llm.EvFailed) != 1 {
				t.Fatalf("cut at frame %d: %s", i, codectest.Describe(evs))
			}
			out, err := codectest.Write(c.NewWriter(nil, true), evs)
			_, kinds, _ := frames(t, out)
			if err != nil || slices.Contains(kinds, "messageStop") || kinds[len(kinds)-1] != "modelStreamErrorException" {
				t.Fatalf("cut at frame %d: the client gets %v, %v", i, kinds, err)
			}
		}
	}
}

// strict holds a stream that is whole against what clients demand (TRANSLATION 4.5, and the order of the service).
func strict(t testing.TB, out []byte) {
	t.Helper()
	_, kinds, payloads := frames(t, out)
	if len(kinds) < 3 || kinds[0] != "messageStart" || kinds[len(kinds)-2] != "messageStop" || kinds[len(kinds)-1] != "metadata" {
		t.Fatalf("frames %v", kinds)
	}
	open, next := int64(-1), int64(0)
	for i, kind := range kinds {
		p := []byte(payloads[i])
		if jsonx.Valid(p) != nil {
			t.Fatalf("%s: %s", kind, p)
		}
		n, numbered := jsonx.Int(jsonx.Get(p, "contentBlockIndex"))
		switch kind {
		case "contentBlockStart":
			if !numbered || open >= 0 || n != next || jsonx.At(p, "start", "toolUse", "toolUseId") == nil {
				t.Fatalf("frame %d: %s %s", i, kind, p)
			}
			open, next = n, next+1
		case "contentBlockDelta":
			if open < 0 && n == next && jsonx.At(p, "delta", "toolUse") == nil {
				open, next = n, next+1
			}
			if !numbered || n != open {
				t.Fatalf("frame %d: %s %s, open is %d", i, kind, p, open)
			}
		case "contentBlockStop":
			if !numbered || n != open {
				t.Fatalf("frame %d: %s %s, open is %d", i, kind, p, open)
			}
			open = -1
		case "messageStop":
			if s, ok := jsonx.String(jsonx.Get(p, "stopReason")); !ok || open >= 0 || stopOf(s) == llm.StopEnd && s != "end_turn" {
				t.Fatalf("frame %d: %s", i, p)
			}
		case "metadata":
			for _, m := range []string{"inputTokens", "outputTokens", "totalTokens"} {
				if jsonx.Get(jsonx.Get(p, "usage"), m) == nil {
					t.Fatalf("frame %d: %s", i, p)
				}
			}
		}
	}
}
