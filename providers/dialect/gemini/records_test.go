package gemini

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// exchange is a recorded request and its answer.
type exchange struct {
	ID       string    `json:"id"`
	Provider string    `json:"provider"`
	Endpoint string    `json:"endpoint"`
	Model    string    `json:"model"`
	Path     string    `json:"request_path"`
	Request  jsonx.Raw `json:"request_json"`
	Trimmed  bool      `json:"request_trimmed"`
	Status   int       `json:"response_status"`
	Kind     string    `json:"response_body_kind"`
	Body     string    `json:"response_body"`
}

// ops are the operations of recorded endpoints.
var ops = map[string]llm.Op{
	"generateContent": llm.OpChat, "streamGenerateContent": llm.OpChat, "countTokens": llm.OpCount,
	"embedContent": llm.OpEmbed, "batchEmbedContents": llm.OpEmbed,
}

func (x *exchange) op() llm.Op { return ops[x.Endpoint] }

func (x *exchange) request() []byte {
	if jsonx.IsNull(x.Request) {
		return nil
	}
	return x.Request
}

// codec is the one that the record's service has.
func (x *exchange) codec() *Codec {
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

// inbound is a recorded request as a client would send it to us.
func (x *exchange) inbound() dialect.Inbound {
	_, query, _ := strings.Cut(x.Path, "?")
	return dialect.Inbound{Op: x.op(), Path: "/v1beta/models/m:" + x.Endpoint, Query: query, Model: strings.TrimPrefix(x.Model, modelPrefix), Body: x.request()}
}

// eachRecord runs f for the records in testdata, and for all recorded traffic where that is present.
func eachRecord(t *testing.T, f func(*testing.T, *exchange)) {
	t.Helper()
	file, err := os.Open("testdata/records.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n := eachLine(t, "kept", file, f); n < 15 {
		t.Errorf("only %d records are kept", n)
	}
	dir := os.Getenv("SIGNALBOX_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	all, err := os.Open(filepath.Join(dir, "recorded", "exchanges.jsonl.gz"))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("SIGNALBOX_REQUIRE_DATA") == "" {
		t.Run("all", func(t *testing.T) { t.Skip("recorded traffic is not present; the records in testdata were run") })
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	z, err := gzip.NewReader(all)
	if err != nil {
		t.Fatal(err)
	}
	if n := eachLine(t, "all", z, f); n < 100 {
		t.Errorf("only %d records were run", n)
	}
}

func eachLine(t *testing.T, set string, in io.Reader, f func(*testing.T, *exchange)) (n int) {
	t.Helper()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), 8<<20)
	for lines.Scan() {
		x := new(exchange)
		if !bytes.Contains(lines.Bytes(), []byte("Content")) && !bytes.Contains(lines.Bytes(), []byte("countTokens")) {
			continue
		}
		if err := jsonx.Decode(lines.Bytes(), x); err != nil {
			t.Fatal(err)
		}
		if x.op() != llm.OpUnknown {
			n++
			t.Run(set+"/"+x.Provider+"/"+x.ID, func(t *testing.T) { f(t, x) })
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRecordedRequestsAreReadAndWritten(t *testing.T) {
	eachRecord(t, func(t *testing.T, x *exchange) {
		if x.request() == nil || x.Trimmed {
			t.Skip("the record has no request, or a part of it")
		}
		c := x.codec()
		req, err := c.ReadRequest(x.inbound())
		if err != nil {
			t.Fatal(err)
		}
		target := dialect.Target{Model: strings.TrimPrefix(x.Model, modelPrefix)} // one of which nothing is known: what is said stands
		out, losses, err := c.WriteRequest(nil, req, target)
		if err != nil {
			t.Fatal(err)
		}
		if len(losses) > 0 {
			t.Errorf("losses: %v", losses)
		}
		in := x.inbound()
		in.Body = out
		if x.op() == llm.OpEmbed {
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
		target.Facts = catalog.FactsOf("gemini", x.Model)
		if out, _, err = c.WriteRequest(nil, req, target); err == nil {
			if err := jsonx.Valid(out); err != nil {
				t.Errorf("for the model itself: %v\n%s", err, out)
			}
		}
	})
}

func TestRecordedRequestsAreSpliced(t *testing.T) {
	eachRecord(t, func(t *testing.T, x *exchange) {
		if x.request() == nil {
			t.Skip("the record has no request")
		}
		c := fixed()
		h, err := c.Peek(x.inbound())
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.Splice(nil, h, dialect.Edits{Model: h.Model, AskUsage: true})
		if err != nil || string(out) != string(x.request()) {
			t.Errorf("same model: %s, %v", out, err)
		}
		out, err = c.Splice(nil, h, dialect.Edits{Model: "other/\"model\""})
		if err != nil || jsonx.Valid(out) != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if strings.Contains(string(out), `"models/`+h.Model+`"`) {
			t.Errorf("the body still names the model: %s", out)
		}
		if named := strings.Contains(string(x.request()), `"model"`); !named && string(out) != string(x.request()) {
			t.Errorf("the body was changed: %s", out)
		}
	})
}

// read feeds an answer in pieces and returns its events, copied.
func read(t *testing.T, r dialect.Reader, body []byte, cuts func(left int) int) []llm.Event {
	t.Helper()
	var evs []llm.Event
	emit := func(ev *llm.Event) error {
		e := *ev
		e.Text, e.Logprobs, e.Raw = slices.Clone(ev.Text), slices.Clone(ev.Logprobs), slices.Clone(ev.Raw)
		e.Stop.Details = slices.Clone(ev.Stop.Details)
		if ev.Cite != nil {
			cite := *ev.Cite
			e.Cite = &cite
		}
		evs = append(evs, e)
		return nil
	}
	for {
		n := min(cuts(len(body)), len(body))
		if err := r.Feed(body[:n], n == len(body), emit); err != nil {
			t.Fatal(err)
		}
		if n == len(body) {
			return evs
		}
		body = body[n:]
	}
}

func whole(left int) int { return left }

func every(n int) func(int) int { return func(int) int { return n } }

// write writes events as one answer.
func write(t *testing.T, w dialect.Writer, evs []llm.Event) ([]byte, error) {
	t.Helper()
	var out []byte
	var err error
	for i := range evs {
		if out, err = w.Write(out, &evs[i]); err != nil {
			t.Fatal(err)
		}
	}
	return w.Close(out)
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

func count(evs []llm.Event, kind llm.EventKind) (n int) {
	for _, e := range evs {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestRecordedAnswersAreReadAndWritten(t *testing.T) {
	eachRecord(t, func(t *testing.T, x *exchange) {
		if x.Status != 200 {
			t.Skip("an error")
		}
		c := x.codec()
		body := []byte(x.Body)
		evs := read(t, c.NewReader(nil, true), body, whole)
		if count(evs, llm.EvFinished) != 1 || count(evs, llm.EvFailed) != 0 {
			t.Fatalf("not finished once: %v", evs)
		}
		grows(t, evs)
		for _, n := range []int{1, 2, 3, 7, 64} {
			if diff := cmp.Diff(read(t, c.NewReader(nil, true), body, every(n)), evs); diff != "" {
				t.Fatalf("cut every %d bytes:\n%s", n, diff)
			}
		}
		seed := uint32(len(body))
		random := func(int) int { seed = seed*1664525 + 1013904223; return int(seed>>16) % 97 }
		if diff := cmp.Diff(read(t, c.NewReader(nil, true), body, random), evs); diff != "" {
			t.Fatalf("cut at random:\n%s", diff)
		}
		req := &llm.Request{Op: x.op(), Body: &llm.Chat{}}
		if x.op() == llm.OpEmbed {
			req.Body = &llm.Embed{Single: x.Endpoint == "embedContent"}
		}
		for _, form := range []string{"document", "events", formArray} {
			if x.op() != llm.OpChat && form != "document" {
				continue
			}
			req.Form = form
			out, err := write(t, c.NewWriter(req, form != "document"), evs)
			if err != nil {
				t.Fatal(err)
			}
			strict(t, form, out)
			again := read(t, c.NewReader(nil, true), out, whole)
			if diff := cmp.Diff(normal(again), normal(evs)); diff != "" {
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
	eachRecord(t, func(t *testing.T, x *exchange) {
		at := strings.LastIndex(x.Body, `"usageMetadata"`)
		if x.Status != 200 || x.op() != llm.OpChat || at < 0 {
			t.Skip("no usage")
		}
		last := "{" + x.Body[at:]
		want := func(name string) int64 {
			n, _ := jsonx.Int(jsonx.At([]byte(last), "usageMetadata", name))
			return n
		}
		var got llm.Usage
		for _, e := range read(t, x.codec().NewReader(nil, true), []byte(x.Body), whole) {
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
	eachRecord(t, func(t *testing.T, x *exchange) {
		end := strings.Index(x.Body, `"finishReason"`)
		if x.Status != 200 || x.op() != llm.OpChat || end < 0 {
			t.Skip("no end to cut off")
		}
		c := x.codec()
		for at := range end {
			boundary := at > 0 && (strings.HasPrefix(x.Body[at-1:], "\ndata:") || strings.HasPrefix(x.Body[at-1:], ",\r\n{"))
			if !boundary && at%37 != 0 {
				continue
			}
			evs := read(t, c.NewReader(nil, true), []byte(x.Body[:at]), whole)
			if count(evs, llm.EvFinished) != 0 || count(evs, llm.EvFailed) != 1 || evs[len(evs)-1].Kind != llm.EvFailed {
				t.Fatalf("cut at %d: %v", at, evs)
			}
			for _, form := range []string{"events", formArray} {
				out, err := write(t, c.NewWriter(&llm.Request{Op: llm.OpChat, Form: form, Body: &llm.Chat{}}, true), evs)
				if err != nil || strings.Contains(string(out), "finishReason") || !strings.Contains(string(out), `{"error":{`) {
					t.Fatalf("cut at %d: %v\n%s", at, err, out)
				}
				strict(t, form, out)
			}
			if _, err := write(t, c.NewWriter(nil, false), evs); err == nil {
				t.Fatalf("cut at %d: a document was written", at)
			}
		}
	})
}

func TestRecordedErrorsAreRead(t *testing.T) {
	byStatus := map[int]llm.Code{400: llm.CodeInvalid, 404: llm.CodeNotFound, 429: llm.CodeRateLimited}
	eachRecord(t, func(t *testing.T, x *exchange) {
		if x.Status < 400 {
			t.Skip("no error")
		}
		want := byStatus[x.Status]
		if strings.Contains(x.Body, "API_KEY_INVALID") {
			want = llm.CodeCredential
		}
		c := x.codec()
		e := c.ReadError(x.Status, nil, []byte(x.Body))
		said, _ := jsonx.String(jsonx.At([]byte(x.Body), "error", "message"))
		if e.Code != want || !strings.HasPrefix(said, e.Message[:min(len(e.Message), 20)]) {
			t.Errorf("got %v %q, want %v %q", e.Code, e.Message, want, said)
		}
		if strings.Contains(x.Body, "retryDelay") && e.After <= 0 {
			t.Error("the wait was not read")
		}
		status, body := c.WriteError(e, "req_1")
		if status < 400 || jsonx.Valid(body) != nil || string(jsonx.At(body, "error", "message")) == "" {
			t.Errorf("written as %d %s", status, body)
		}
	})
}
