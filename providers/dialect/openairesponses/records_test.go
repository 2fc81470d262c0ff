package openairesponses

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/replay"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
)

// each runs f for the records in testdata, and for all others that keep accepts where the recorded traffic is there.
func each(t *testing.T, keep func(*recorded.Exchange) bool, f func(*testing.T, *recorded.Exchange)) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	kept, err := replay.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, x := range append(kept, recorded.All(t)...) {
		if keep(x) && !ran[x.ID] {
			ran[x.ID] = true
			t.Run(x.Provider+"/"+x.ID, func(t *testing.T) { f(t, x) })
		}
	}
	if len(ran) == 0 {
		t.Error("no record is kept")
	}
}

func ours(x *recorded.Exchange) bool { return x.Endpoint == "responses" }

// answered picks the answers that say something.
func answered(x *recorded.Exchange) bool {
	return ours(x) && x.Status < 300 && (x.BodyKind == "sse" || x.BodyKind == "json") && !x.ResponseTrimmed
}

// seen is what a reader made of an answer.
type seen struct {
	events   []byte
	blocks   []block
	usage    llm.Usage
	finished int
	stop     llm.Stop
	failed   *llm.Error
}

// block is a block of an answer, put together.
type block struct {
	Part             llm.PartKind
	ID, Name         string
	Text, Seal, Last string
	Cites            []llm.Citation
	Ended            bool
}

func (s *seen) emit(t testing.TB) llm.Emit {
	return func(ev *llm.Event) error {
		s.events = codectest.AppendEvent(s.events, ev)
		switch ev.Kind {
		case llm.EvUsage:
			was := s.usage
			s.usage.Merge(ev.Usage)
			if s.usage.Input.N < was.Input.N || s.usage.Output.N < was.Output.N {
				t.Errorf("usage fell: %+v, %+v", was, ev.Usage)
			}
		case llm.EvBlockStarted:
			if ev.Index != len(s.blocks) {
				t.Errorf("block %d after %d blocks", ev.Index, len(s.blocks))
			}
			s.blocks = append(s.blocks, block{Part: ev.Part, ID: ev.ID, Name: ev.Name, Seal: ev.Seal})
		case llm.EvDelta:
			b := &s.blocks[ev.Index]
			if b.Ended {
				t.Errorf("block %d goes on after its end", ev.Index)
			}
			b.Text += string(ev.Text)
			b.Seal += ev.Seal
			if ev.Cite != nil {
				c := *ev.Cite
				c.Raw = bytes.Clone(c.Raw)
				b.Cites = append(b.Cites, c)
			}
		case llm.EvBlockEnded:
			s.blocks[ev.Index].Ended = true
			if ev.Raw != nil {
				last, err := jsonx.Compact(itemOf(ev.Raw))
				if err != nil {
					return err
				}
				s.blocks[ev.Index].Last = string(last)
			}
		case llm.EvFinished:
			s.finished++
			s.stop = ev.Stop
		case llm.EvFailed:
			s.failed = ev.Err
		}
		return nil
	}
}

// read reads an answer in pieces of a size; size 0 is all of it at once.
func read(t testing.TB, body []byte, stream bool, size int) *seen {
	t.Helper()
	s := new(seen)
	r := fixed().NewReader(nil, stream)
	emit := s.emit(t)
	rnd := rand.New(rand.NewPCG(1, uint64(len(body))))
	for len(body) > 0 {
		n := len(body)
		switch {
		case size > 0:
			n = min(size, n)
		case size < 0:
			n = min(1+rnd.IntN(100), n)
		}
		piece := bytes.Clone(body[:n])
		if err := r.Feed(piece, false, emit); err != nil {
			t.Fatal(err)
		}
		for i := range piece {
			piece[i] = 'x' // what was fed is the caller's again
		}
		body = body[n:]
	}
	if err := r.Feed(nil, true, emit); err != nil {
		t.Fatal(err)
	}
	return s
}

// rewrite reads an answer and writes it anew.
func rewrite(t testing.TB, body []byte, stream, to bool) ([]byte, error) {
	t.Helper()
	w := fixed().NewWriter(nil, to)
	var out []byte
	err := fixed().NewReader(nil, stream).Feed(body, true, func(ev *llm.Event) (err error) {
		out, err = w.Write(out, ev)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w.Close(out)
}

func TestEveryRecordedAnswerIsReadAndWrittenAnew(t *testing.T) {
	each(t, answered, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		stream := x.BodyKind == "sse"
		whole := read(t, body, stream, 0)
		complete := !stream && jsonx.IsNull(jsonx.Get(body, "error")) || bytes.Contains(body, []byte("response.completed")) || bytes.Contains(body, []byte("response.incomplete"))
		if complete && (whole.failed != nil || whole.finished != 1) {
			t.Fatalf("finished %d, failed %v", whole.finished, whole.failed)
		}
		if !complete && (whole.failed == nil || whole.finished != 0) {
			t.Fatalf("finished %d, failed %v", whole.finished, whole.failed)
		}
		for _, size := range []int{1, 2, 3, 7, 64, -1} {
			if cut := read(t, body, stream, size); string(cut.events) != string(whole.events) {
				t.Fatalf("cut at %d: %s", size, cmp.Diff(string(whole.events), string(cut.events)))
			}
		}
		if whole.failed != nil {
			return
		}
		for _, to := range []bool{true, false} {
			out, err := rewrite(t, body, stream, to)
			if err != nil {
				t.Fatal(err)
			}
			again := read(t, out, to, 0)
			opts := cmp.Comparer(func(a, b llm.Citation) bool {
				return a.URL == b.URL && a.Start == b.Start && a.End == b.End && string(a.Raw) == string(b.Raw)
			})
			if d := cmp.Diff(whole.blocks, again.blocks, opts); d != "" {
				t.Errorf("stream %v: it says something else:\n%s", to, d)
			}
			if whole.stop.Reason != again.stop.Reason || whole.usage.Input.N != again.usage.Input.N || whole.usage.Output.N != again.usage.Output.N || whole.usage.Cached.N != again.usage.Cached.N {
				t.Errorf("stream %v: stop %v, %v; usage %+v, %+v", to, whole.stop, again.stop, whole.usage, again.usage)
			}
			if to {
				strictStream(t, out)
			} else {
				strictResponse(t, out, true)
			}
		}
	})
}

// TestUsageIsTheProvidersOwn compares usage with what a plain look at the last response finds.
func TestUsageIsTheProvidersOwn(t *testing.T) {
	each(t, answered, func(t *testing.T, x *recorded.Exchange) {
		body, _ := x.Body()
		stream := x.BodyKind == "sse"
		last := body
		if stream {
			for line := range bytes.Lines(body) {
				if d, ok := bytes.CutPrefix(line, []byte("data:")); ok && bytes.Contains(d, []byte(`"usage"`)) {
					last = jsonx.Get(bytes.TrimSpace(d), "response")
					if jsonx.Get(last, "usage") != nil && !jsonx.IsNull(jsonx.Get(last, "usage")) {
						break // a second response may follow in the recording
					}
				}
			}
		}
		in, known := jsonx.Int(jsonx.At(last, "usage", "input_tokens"))
		out, _ := jsonx.Int(jsonx.At(last, "usage", "output_tokens"))
		got := read(t, body, stream, 0).usage
		if got.Input.Known != known || got.Input.N != in || got.Output.N != out {
			t.Errorf("got %+v, want %d and %d", got, in, out)
		}
	})
}

// TestATruncatedStreamNeverEndsWell cuts every recorded stream behind every event.
func TestATruncatedStreamNeverEndsWell(t *testing.T) {
	each(t, func(x *recorded.Exchange) bool { return answered(x) && x.BodyKind == "sse" }, func(t *testing.T, x *recorded.Exchange) {
		body, _ := x.Body()
		for i := range body {
			if !bytes.HasPrefix(body[i:], []byte("\n\n")) || bytes.Contains(body[:i], []byte(`"response.completed"`)) || bytes.Contains(body[:i], []byte(`"response.incomplete"`)) {
				continue
			}
			cut := body[:i+2]
			s := read(t, cut, true, 0)
			if s.finished != 0 || s.failed == nil {
				t.Fatalf("cut at %d: finished %d, failed %v", i, s.finished, s.failed)
			}
			out, err := rewrite(t, cut, true, true)
			if err != nil || bytes.Contains(out, []byte("response.completed")) || bytes.Contains(out, []byte("response.incomplete")) {
				t.Fatalf("cut at %d: %v: %s", i, err, out)
			}
			if !bytes.Contains(out, []byte("event: response.failed\n")) && !bytes.Contains(out, []byte("event: error\n")) {
				t.Fatalf("cut at %d: no error: %s", i, out)
			}
		}
	})
}

// keys of a response that clients must find (Open Responses schema).
const keys = "id object created_at completed_at status incomplete_details model previous_response_id instructions output error tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata safety_identifier prompt_cache_key"

// strictResponse checks a response object as the strictest client does.
func strictResponse(t testing.TB, raw []byte, last bool) {
	t.Helper()
	if err := jsonx.Valid(raw); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if _, err := jsonx.Scan(raw); err != nil {
		t.Errorf("%v: %s", err, raw)
	}
	for k := range strings.FieldsSeq(keys) {
		if jsonx.Get(raw, k) == nil {
			t.Errorf("the response lacks %s: %s", k, raw)
		}
	}
	if last {
		for _, p := range [...][]string{{"usage", "input_tokens_details", "cached_tokens"}, {"usage", "output_tokens_details", "reasoning_tokens"}, {"usage", "total_tokens"}} {
			if _, ok := jsonx.Int(jsonx.At(raw, p...)); !ok {
				t.Errorf("the response lacks %v: %s", p, raw)
			}
		}
	}
	for _, it := range jsonx.Elements(jsonx.Get(raw, "output")) {
		strictItem(t, it)
	}
}

func strictItem(t testing.TB, it []byte) {
	t.Helper()
	want := map[string]string{
		"message": "id status role content", "function_call": "id call_id name arguments status", "custom_tool_call": "id call_id name input",
		"reasoning": "id summary",
	}[string(plain(jsonx.Get(it, "type")))]
	for k := range strings.FieldsSeq(want) {
		if jsonx.IsNull(jsonx.Get(it, k)) {
			t.Errorf("the item lacks %s: %s", k, it)
		}
	}
	for _, p := range jsonx.Elements(jsonx.Get(it, "content")) {
		if want == "" {
			break // a built-in item passes as it came
		}
		if string(plain(jsonx.Get(p, "type"))) == "output_text" && (jsonx.Kind(jsonx.Get(p, "annotations")) != '[' || jsonx.Kind(jsonx.Get(p, "logprobs")) != '[') {
			t.Errorf("the part lacks annotations or log probabilities: %s", p)
		}
	}
}

// strictStream checks a stream as the strictest client does: numbers, ids that agree, items that begin before they go on.
func strictStream(t testing.TB, out []byte) {
	t.Helper()
	var open, ended string // the open item's id
	seq, items, terminal := int64(0), int64(0), false
	for frame := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte("\n\n")), []byte("\n\n")) {
		head, data, found := bytes.Cut(frame, []byte("\ndata: "))
		kind := string(plain(jsonx.Get(data, "type")))
		switch {
		case !found || bytes.Contains(data, []byte("\n")) || jsonx.Valid(data) != nil:
			t.Fatalf("no frame: %q", frame)
		case string(head) != "event: "+kind:
			t.Errorf("%q before %s", head, kind)
		case terminal:
			t.Errorf("%s after the end", kind)
		}
		if _, err := jsonx.Scan(data); err != nil {
			t.Errorf("%v: %s", err, data)
		}
		if n, ok := jsonx.Int(jsonx.Get(data, "sequence_number")); !ok || n != seq {
			t.Errorf("%s has number %d, want %d", kind, n, seq)
		}
		seq++
		if n, ok := jsonx.Int(jsonx.Get(data, "output_index")); ok && n != items {
			t.Errorf("%s is of item %d, want %d", kind, n, items)
		}
		id := string(plain(jsonx.At(data, "item", "id")))
		switch {
		case kind == "response.created" && seq != 1, kind != "response.created" && seq == 1:
			t.Errorf("%s is event %d", kind, seq)
		case kind == "response.output_item.added":
			if open != "" {
				t.Errorf("an item begins in another: %s", data)
			}
			open = id
			strictItem(t, jsonx.Get(data, "item"))
		case kind == "response.output_item.done":
			if id != open {
				t.Errorf("item %q ends, %q is open", id, open)
			}
			open, ended = "", id
			items++
			strictItem(t, jsonx.Get(data, "item"))
		case jsonx.Get(data, "item_id") != nil:
			if got := string(plain(jsonx.Get(data, "item_id"))); got != open || got == "" {
				t.Errorf("%s is of item %q, %q is open", kind, got, open)
			}
		}
		if raw := jsonx.Get(data, "response"); raw != nil {
			terminal = kind == "response.completed" || kind == "response.incomplete" || kind == "response.failed"
			strictResponse(t, raw, kind == "response.completed" || kind == "response.incomplete")
		}
	}
	_ = ended
	if !terminal || open != "" {
		t.Errorf("the stream has no end, or item %q has none", open)
	}
}

// TestErrorsAreClassed reads every recorded error.
func TestErrorsAreClassed(t *testing.T) {
	each(t, func(x *recorded.Exchange) bool { return ours(x) && x.Status >= 400 }, func(t *testing.T, x *recorded.Exchange) {
		body, _ := x.Body()
		e := fixed().ReadError(x.Status, nil, body)
		want := llm.CodeInvalid
		switch {
		case x.Status == 401, bytes.Contains(body, []byte("Incorrect API key")):
			want = llm.CodeCredential
		case bytes.Contains(body, []byte("model_not_found")):
			want = llm.CodeNotFound
		}
		if e.Code != want || e.Message == "" {
			t.Errorf("got %s %q, want %s: %s", e.Code, e.Message, want, body)
		}
		status, out := fixed().WriteError(e, "")
		if back := fixed().ReadError(status, nil, out); want != llm.CodeCredential && back.Code != e.Code {
			t.Errorf("written as %d %s, read back as %s", status, out, back.Code)
		}
	})
}

// TestEveryRecordedRequestKeepsTheLaw reads every recorded request, writes it and reads it again.
func TestEveryRecordedRequestKeepsTheLaw(t *testing.T) {
	each(t, func(x *recorded.Exchange) bool {
		return ours(x) && x.HasRequest() && !x.RequestTrimmed && x.Status < 400
	}, func(t *testing.T, x *recorded.Exchange) {
		req, err := fixed().ReadRequest(inbound(x.RequestJSON))
		if err != nil {
			t.Fatalf("%v: %s", err, x.RequestJSON)
		}
		checkLaw(t, req)
	})
}

// checkLaw checks Read(Write(Read(x))) == Read(x), and that writing is repeatable.
func checkLaw(t fataler, req *llm.Request) {
	t.Helper()
	body, losses, err := fixed().WriteRequest(nil, req, targetOf(req))
	if err != nil {
		t.Fatalf("%v", err)
	}
	if again, _, _ := fixed().WriteRequest(nil, req, targetOf(req)); !bytes.Equal(body, again) {
		t.Fatalf("written twice:\n%s\n%s", body, again)
	}
	if _, err := jsonx.Scan(body); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	back, err := fixed().ReadRequest(inbound(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	back.Model = req.Model
	byName := cmpopts.SortSlices(func(a, b llm.Member) bool { return a.Name < b.Name })
	if d := cmp.Diff(req, back, byName, cmpopts.EquateEmpty()); d != "" && len(losses) == 0 {
		t.Fatalf("read again it is another (-was +is):\n%s\n%s", d, body)
	}
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}
