package bedrockconverse

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

// exchange is a recorded request and its answer.
type exchange struct {
	ID       string            `json:"id"`
	Provider string            `json:"provider"`
	Endpoint string            `json:"endpoint"`
	Model    string            `json:"model"`
	Path     string            `json:"request_path"`
	Request  jsonx.Raw         `json:"request_json"`
	Status   int               `json:"response_status"`
	Headers  map[string]string `json:"response_headers"`
	Kind     string            `json:"response_body_kind"`
	RawBody  string            `json:"response_body"`
}

func (x *exchange) body() []byte {
	if b, err := base64.StdEncoding.DecodeString(x.RawBody); err == nil && strings.HasSuffix(x.Kind, "-b64") {
		return b
	}
	return []byte(x.RawBody)
}

func (x *exchange) request() []byte {
	if jsonx.IsNull(x.Request) {
		return nil
	}
	return x.Request
}

func (x *exchange) inbound() dialect.Inbound {
	path, _ := url.PathUnescape(x.Path)
	in := dialect.Inbound{Op: llm.OpChat, Path: path, Model: x.Model, Body: x.request()}
	if x.Endpoint == "count-tokens" {
		in.Op = llm.OpCount
	}
	return in
}

// Get makes the headers a dialect.Header.
func (x *exchange) Get(name string) string { return x.Headers[name] }

// fixed is a codec whose ids and times do not change.
func fixed() *Codec {
	c := New()
	c.mint, c.now = func() string { return "MINTED" }, func() time.Time { return time.Unix(1e9, 0) }
	return c
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
		t.Errorf("only %d records were run", n)
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
	eachLine(t, "all", z, f)
}

func eachLine(t *testing.T, set string, in io.Reader, f func(*testing.T, *exchange)) (n int) {
	t.Helper()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		x := new(exchange)
		if err := jsonx.Decode(lines.Bytes(), x); err != nil {
			t.Fatal(err)
		}
		switch x.Provider + " " + x.Endpoint {
		case "bedrock converse", "bedrock converse-stream", "bedrock count-tokens":
			n++
			t.Run(set+"/"+x.ID, func(t *testing.T) { f(t, x) })
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func target(model string) dialect.Target {
	return dialect.Target{Model: model, Facts: catalog.Anthropic(model)}
}

func TestRecordedRequestsAreReadAndWritten(t *testing.T) {
	c := New()
	eachRecord(t, func(t *testing.T, x *exchange) {
		if x.request() == nil {
			t.Skip("the record has no request")
		}
		in := x.inbound()
		req, err := c.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		if req.Stream != (x.Endpoint == "converse-stream") || req.Model != x.Model {
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
		h, err := c.Peek(x.inbound())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Splice(nil, h, dialect.Edits{Model: "other", AskUsage: true}); err != nil || !bytes.Equal(got, x.Request) {
			t.Errorf("spliced: %s, %v", got, err)
		}
	})
}

// read feeds a body in pieces whose sizes cuts gives, and returns copies of the events.
func read(t testing.TB, r dialect.Reader, body []byte, cuts func() int) (evs []llm.Event) {
	t.Helper()
	emit := func(ev *llm.Event) error {
		e := *ev
		e.Text, e.Raw = bytes.Clone(ev.Text), bytes.Clone(ev.Raw)
		if ev.Cite != nil {
			c := *ev.Cite
			c.Raw = bytes.Clone(c.Raw)
			e.Cite = &c
		}
		evs = append(evs, e)
		return nil
	}
	for {
		n := min(cuts(), len(body))
		piece := bytes.Clone(body[:n])
		body = body[n:]
		if err := r.Feed(piece, len(body) == 0, emit); err != nil {
			t.Fatal(err)
		}
		for i := range piece {
			piece[i] = '?'
		}
		if len(body) == 0 {
			return evs
		}
	}
}

func whole() int { return 1 << 30 }

func every(n int) func() int { return func() int { return n } }

func write(w dialect.Writer, evs []llm.Event) (out []byte, err error) {
	for i := range evs {
		if out, err = w.Write(out, &evs[i]); err != nil {
			return out, err
		}
	}
	return w.Close(out)
}

func count(evs []llm.Event, kind llm.EventKind) (n int) {
	for i := range evs {
		if evs[i].Kind == kind {
			n++
		}
	}
	return n
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
	draw := rand.New(rand.NewPCG(3, 4))
	eachRecord(t, func(t *testing.T, x *exchange) {
		body := x.body()
		if x.Status != 200 {
			e := c.ReadError(x.Status, x, body)
			if e.Message == "" || e.Code == llm.CodeNone || e.Code == llm.CodeInternal {
				t.Errorf("got %v", e)
			}
			return
		}
		var req *llm.Request
		if x.request() != nil {
			var err error
			if req, err = c.ReadRequest(x.inbound()); err != nil {
				t.Fatal(err)
			}
		}
		stream := x.Endpoint == "converse-stream"
		evs := read(t, c.NewReader(req, stream), body, whole)
		if count(evs, llm.EvFinished) != 1 || count(evs, llm.EvFailed) != 0 || count(evs, llm.EvUsage) == 0 {
			t.Fatalf("got %s", describe(evs))
		}
		for _, cut := range []func() int{every(1), every(2), every(3), every(7), every(64), func() int { return draw.IntN(300) + 1 }} {
			if diff := cmp.Diff(read(t, c.NewReader(req, stream), body, cut), evs); diff != "" {
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
func sameUsage(t *testing.T, x *exchange, evs []llm.Event) {
	t.Helper()
	var u llm.Usage
	for i := range evs {
		u.Merge(evs[i].Usage)
	}
	usage := jsonx.Get(x.body(), "usage")
	if x.Endpoint == "converse-stream" {
		_, kinds, payloads := frames(t, x.body())
		if kinds[len(kinds)-1] != "metadata" {
			t.Fatalf("the last frame is %s", kinds[len(kinds)-1])
		}
		usage = jsonx.Get([]byte(payloads[len(payloads)-1]), "usage")
	}
	if x.Endpoint == "count-tokens" {
		if n, _ := jsonx.Int(jsonx.Get(x.body(), "inputTokens")); u.Input != llm.Tokens(n) {
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
		out, err := write(c.NewWriter(req, stream), evs)
		if err != nil {
			t.Fatal(err)
		}
		if stream && (req == nil || req.Op != llm.OpCount) {
			strict(t, out)
		} else if jsonx.Valid(out) != nil {
			t.Fatalf("not JSON: %s", out)
		}
		again := read(t, c.NewReader(req, stream), out, whole)
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
			evs := read(t, c.NewReader(nil, true), body[:cut], whole)
			if count(evs, llm.EvFinished) != 0 || count(evs, llm.EvFailed) != 1 {
				t.Fatalf("cut at frame %d: %s", i, describe(evs))
			}
			out, err := write(c.NewWriter(nil, true), evs)
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
