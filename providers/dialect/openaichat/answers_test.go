package openaichat

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// fixed is a codec whose clock stands still and whose ids count up.
func fixed() *Codec {
	n := 0
	return &Codec{
		now:  func() time.Time { return time.Unix(1700000000, 0) },
		mint: func() string { n++; return fmt.Sprintf("made%020d", n) },
	}
}

// trace is an answer's events as text: pieces of a block joined, pings left out, cuts invisible.
type trace struct {
	lines    []string
	open     map[[2]int]*strings.Builder
	stopped  int
	failed   *llm.Error
	usage    llm.Usage
	violated string
}

func (tr *trace) emit(ev *llm.Event) error {
	if tr.open == nil {
		tr.open = map[[2]int]*strings.Builder{}
	}
	at := [2]int{ev.Choice, ev.Index}
	b := tr.open[at]
	if tr.failed != nil {
		tr.violated = "an event after Failed: " + ev.Kind.String()
	}
	switch ev.Kind {
	case llm.EvStarted:
		tr.lines = append(tr.lines, fmt.Sprintf("started %s %s", ev.ID, ev.Name))
	case llm.EvBlockStarted:
		if b != nil {
			tr.violated = fmt.Sprintf("block %v began twice", at)
		}
		for k := range tr.open {
			if k[0] == at[0] && k[1] >= at[1] {
				tr.violated = fmt.Sprintf("block %v is not the next", at)
			}
		}
		if _, before := tr.open[[2]int{at[0], at[1] - 1}]; at[1] > 0 && !before {
			tr.violated = fmt.Sprintf("block %v leaves a gap", at)
		}
		b = new(strings.Builder)
		tr.open[at] = b
		fmt.Fprintf(b, "%d.%d %s id=%s name=%s seal=%s ", ev.Choice, ev.Index, ev.Part, ev.ID, ev.Name, ev.Seal)
	case llm.EvDelta:
		if b == nil {
			tr.violated = fmt.Sprintf("a delta outside of block %v", at)
			return nil
		}
		b.Write(ev.Text)
		if ev.Seal != "" {
			fmt.Fprintf(b, "<seal %s>", ev.Seal)
		}
		if ev.Cite != nil {
			fmt.Fprintf(b, "<cite %s %q %q %d-%d>", ev.Cite.URL, ev.Cite.Title, ev.Cite.Text, ev.Cite.Start, ev.Cite.End)
		}
		if ev.Logprobs != nil {
			fmt.Fprintf(b, "<logprobs %d>", bytes.Count(ev.Logprobs, []byte(`"token":`)))
		}
		if ev.Raw != nil {
			fmt.Fprintf(b, "<raw %d>", len(ev.Raw))
		}
	case llm.EvBlockEnded:
		if b == nil {
			tr.violated = fmt.Sprintf("block %v ended and did not begin", at)
			return nil
		}
		tr.lines = append(tr.lines, b.String())
	case llm.EvUsage:
		before := tr.usage
		before.Merge(ev.Usage)
		if before != ev.Usage {
			tr.violated = "usage fell"
		}
		tr.usage = ev.Usage
	case llm.EvFinished:
		tr.stopped++
		tr.lines = append(tr.lines, fmt.Sprintf("finished %d %s %s", ev.Choice, ev.Stop.Reason, ev.Stop.Sequence))
	case llm.EvFailed:
		tr.failed = ev.Err
		tr.lines = append(tr.lines, "failed "+ev.Err.Code.String()+" "+ev.Err.Reason+" "+ev.Err.Message)
	}
	return nil
}

func (tr *trace) text() string {
	return strings.Join(tr.lines, "\n") + fmt.Sprintf("\nusage %v\n", tr.usage)
}

// check proves the grammar of every answer: Finished or Failed, and never both.
func (tr *trace) check(t *testing.T) {
	t.Helper()
	if tr.violated != "" {
		t.Fatalf("%s\n%s", tr.violated, tr.text())
	}
	if (tr.stopped > 0) == (tr.failed != nil) {
		t.Fatalf("%d Finished and Failed %v\n%s", tr.stopped, tr.failed, tr.text())
	}
}

// readCut reads body cut into pieces of a size; 0: at random.
func readCut(t *testing.T, req *llm.Request, stream bool, body []byte, size int) *trace {
	t.Helper()
	tr := new(trace)
	r := fixed().NewReader(req, stream)
	rng := rand.New(rand.NewPCG(1, uint64(len(body))))
	for rest := body; ; {
		n := size
		if n == 0 {
			n = 1 + rng.IntN(200)
		}
		n = min(n, len(rest))
		piece := bytes.Clone(rest[:n])
		rest = rest[n:]
		if err := r.Feed(piece, len(rest) == 0, tr.emit); err != nil {
			t.Fatal(err)
		}
		for i := range piece {
			piece[i] = '#' // the reader must not keep what it was lent
		}
		if len(rest) == 0 {
			break
		}
	}
	tr.check(t)
	return tr
}

// failing are records of status 200 that are errors, with the code.
var failing = map[string]llm.Code{
	"ae0b84408f9d0d42": llm.CodeInvalid, // Groq: an error within the stream
}

func TestRecordedAnswersAreReadTheSameHoweverCut(t *testing.T) {
	for _, r := range records(t) {
		if r.Status != 200 {
			continue
		}
		t.Run(r.Provider+"/"+r.ID, func(t *testing.T) {
			stream := r.Kind == "sse"
			want := readCut(t, nil, stream, []byte(r.Body), len(r.Body))
			if code := failing[r.ID]; code != llm.CodeNone {
				if want.failed == nil || want.failed.Code != code {
					t.Fatalf("want a failure of %s, got\n%s", code, want.text())
				}
			} else if want.failed != nil {
				t.Fatalf("failed: %v", want.failed)
			}
			for _, size := range []int{1, 2, 3, 7, 64, 0} {
				got := readCut(t, nil, stream, []byte(r.Body), size)
				if d := cmp.Diff(want.text(), got.text()); d != "" {
					t.Fatalf("cut at %d (-whole +cut):\n%s", size, d)
				}
			}
		})
	}
}

// rewrite reads an answer and writes it anew.
func rewrite(t *testing.T, body []byte, from, to bool) ([]byte, error) {
	t.Helper()
	req := &llm.Request{Stream: to, Usage: true, Body: &llm.Chat{}}
	r, w := fixed().NewReader(nil, from), fixed().NewWriter(req, to)
	var out []byte
	err := r.Feed(body, true, func(ev *llm.Event) (err error) {
		out, err = w.Write(out, ev)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w.Close(out)
}

func TestRecordedAnswersSurviveBeingWritten(t *testing.T) {
	for _, r := range records(t) {
		if r.Status != 200 || failing[r.ID] != llm.CodeNone {
			continue
		}
		t.Run(r.Provider+"/"+r.ID, func(t *testing.T) {
			stream := r.Kind == "sse"
			want := readCut(t, nil, stream, []byte(r.Body), len(r.Body))
			out, err := rewrite(t, []byte(r.Body), stream, stream)
			if err != nil {
				t.Fatal(err)
			}
			if stream {
				checkStream(t, out, want.usage.Known())
			} else {
				checkDocument(t, out)
				if !want.usage.Known() {
					want.usage = llm.Usage{Input: llm.Tokens(0), Output: llm.Tokens(0)}
				}
			}
			got := readCut(t, nil, stream, out, len(out))
			want.usage.CacheWrite1h, want.usage.WebSearches = llm.Count{}, llm.Count{} // the dialect has no word for them
			want.usage = codectest.UsageUnserved(want.usage)
			if d := cmp.Diff(normalTrace(want), normalTrace(got)); d != "" {
				t.Fatalf("(-read +rewritten):\n%s\n%s", d, out)
			}
		})
	}
}

// normalTrace forgets made-up ids, and gives empty arguments the form that clients need.
func normalTrace(tr *trace) string {
	lines := strings.Split(tr.text(), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "started ") {
			f := strings.SplitN(l, " ", 3)
			if f[1] == "" || strings.HasPrefix(f[1], "chatcmpl-made") {
				lines[i] = "started - " + f[2]
			}
		}
		if strings.Contains(l, " call id=") && strings.HasSuffix(l, "seal= ") {
			lines[i] += "{}"
		}
	}
	return strings.Join(lines, "\n")
}

// checkStream proves the form that the strictest clients need (role first, one shape, [DONE] last).
func checkStream(t *testing.T, out []byte, usage bool) {
	t.Helper()
	var frames [][]byte
	var p sse.Parser
	err := p.Feed(out, true, func(ev *sse.Event) error {
		if ev.Comment || ev.Name != nil || len(ev.Data) == 0 {
			t.Errorf("a frame that is not plain data: %q", ev.Raw)
		}
		frames = append(frames, bytes.Clone(ev.Data))
		return nil
	})
	if err != nil || len(frames) < 3 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	if last := frames[len(frames)-1]; string(last) != "[DONE]" {
		t.Fatalf("the last frame is %s", last)
	}
	frames = frames[:len(frames)-1]
	roles := map[string]bool{}
	finished := map[string]bool{}
	for i, f := range frames {
		if err := jsonx.Valid(f); err != nil {
			t.Fatalf("%v: %s", err, f)
		}
		for _, m := range []string{"id", "object", "created", "model"} {
			if v := jsonx.Get(f, m); v == nil || string(v) != string(jsonx.Get(frames[0], m)) {
				t.Errorf("%s is %s in %s", m, v, f)
			}
		}
		if jsonx.Kind(jsonx.Get(f, "choices")) != '[' {
			t.Errorf("no choices: %s", f)
		}
		if last := i == len(frames)-1; last && usage {
			if string(jsonx.Get(f, "choices")) != "[]" || jsonx.Kind(jsonx.Get(f, "usage")) != '{' {
				t.Errorf("not a usage chunk: %s", f)
			}
			continue
		}
		if jsonx.Get(f, "usage") != nil {
			t.Errorf("usage where none is due: %s", f)
		}
		for _, c := range jsonx.Elements(jsonx.Get(f, "choices")) {
			n := string(jsonx.Get(c, "index"))
			if !roles[n] && string(jsonx.At(c, "delta", "role")) != `"assistant"` {
				t.Errorf("the first chunk of choice %s has no role: %s", n, f)
			}
			roles[n] = true
			if finished[n] {
				t.Errorf("choice %s goes on after its end: %s", n, f)
			}
			if reason := jsonx.Get(c, "finish_reason"); string(reason) != "null" {
				checkReason(t, reason)
				finished[n] = true
			}
		}
	}
	if len(roles) == 0 || len(roles) != len(finished) {
		t.Errorf("%d choices, %d finished", len(roles), len(finished))
	}
}

func checkReason(t *testing.T, raw []byte) {
	t.Helper()
	switch string(raw) {
	case `"stop"`, `"length"`, `"tool_calls"`, `"content_filter"`, `"function_call"`:
	default:
		t.Errorf("finish_reason %s", raw)
	}
}

// checkDocument proves that what strict clients need is there.
func checkDocument(t *testing.T, out []byte) {
	t.Helper()
	doc, err := jsonx.Scan(out)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, m := range []string{"id", "object", "created", "model", "choices", "usage"} {
		if v, _ := doc.Get(m); jsonx.IsNull(v) {
			t.Errorf("no %s: %s", m, out)
		}
	}
	choices, _ := doc.Get("choices")
	for _, c := range jsonx.Elements(choices) {
		checkReason(t, jsonx.Get(c, "finish_reason"))
		if _, ok := jsonx.Int(jsonx.Get(c, "index")); !ok {
			t.Errorf("no index: %s", c)
		}
		m := jsonx.Get(c, "message")
		for _, k := range []string{"role", "content", "refusal", "annotations"} {
			if jsonx.Get(m, k) == nil {
				t.Errorf("no %s: %s", k, m)
			}
		}
		if calls := jsonx.Get(m, "tool_calls"); calls != nil && (string(calls) == "null" || string(calls) == "[]") {
			t.Errorf("tool_calls is %s", calls)
		}
	}
}

func TestACutStreamFailsAndGetsNoEnding(t *testing.T) {
	for _, r := range records(t) {
		if r.Status != 200 || r.Kind != "sse" {
			continue
		}
		t.Run(r.Provider+"/"+r.ID, func(t *testing.T) {
			var ends []int
			var p sse.Parser
			at := 0
			if err := p.Feed([]byte(r.Body), true, func(ev *sse.Event) error {
				at += len(ev.Raw)
				ends = append(ends, at)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for _, end := range append([]int{0}, ends...) {
				body := []byte(r.Body)[:end]
				tr := readCut(t, nil, true, body, max(1, len(body)))
				out, err := rewrite(t, body, true, true)
				if err != nil {
					t.Fatal(err)
				}
				done := bytes.Contains(out, []byte("[DONE]"))
				if done != (tr.stopped > 0) {
					t.Fatalf("cut at %d: stopped %d, but [DONE] is %v", end, tr.stopped, done)
				}
				if !done && bytes.Contains(out, []byte(`"finish_reason":"`)) {
					t.Fatalf("cut at %d: an unearned finish_reason\n%s", end, out)
				}
				if !done && !bytes.Contains(out, []byte(`data: {"error":{`)) {
					t.Fatalf("cut at %d: no error\n%s", end, out)
				}
			}
		})
	}
}

func TestAnAnswerMayChangeItsForm(t *testing.T) {
	for _, r := range records(t) {
		if r.Status != 200 || failing[r.ID] != llm.CodeNone {
			continue
		}
		t.Run(r.Provider+"/"+r.ID, func(t *testing.T) {
			from := r.Kind == "sse"
			was := readCut(t, nil, from, []byte(r.Body), len(r.Body))
			out, err := rewrite(t, []byte(r.Body), from, !from)
			if err != nil {
				t.Fatal(err)
			}
			if from {
				checkDocument(t, out)
			} else {
				checkStream(t, out, was.usage.Known())
			}
			got := readCut(t, nil, !from, out, len(out))
			for _, kind := range []string{" text ", " refusal ", " call "} {
				if a, b := joined(was, kind), joined(got, kind); a != b {
					t.Errorf("%s: was %q, became %q", kind, a, b)
				}
			}
		})
	}
}

// joined is the text of all blocks of a kind.
func joined(tr *trace, kind string) string {
	var b strings.Builder
	for l := range strings.SplitSeq(normalTrace(tr), "\n") {
		if strings.Contains(l, kind) && !strings.Contains(l, "<logprobs") && !strings.Contains(l, "<cite") {
			_, text, _ := strings.Cut(l, "seal=")
			b.WriteString(strings.TrimSpace(text))
		}
	}
	return b.String()
}

// oddTotals are records whose sums differ on purpose, with the reason.
var oddTotals = map[string]string{
	"b80874a7e827ae34": "the prompt shrinks from 4 to 3 within the stream; the largest of each count is kept",
	"d262c2364d5f65de": "the last total is that of a part of the work, in usage_breakdown",
}

func TestUsageAddsUpToTheTotal(t *testing.T) {
	n := 0
	for _, r := range records(t) {
		if r.Status != 200 || failing[r.ID] != llm.CodeNone {
			continue
		}
		i := strings.LastIndex(r.Body, `"total_tokens":`)
		if i < 0 {
			continue
		}
		var total int64
		if _, err := fmt.Sscan(strings.TrimLeft(r.Body[i+len(`"total_tokens":`):], " "), &total); err != nil {
			continue // null
		}
		n++
		u := readCut(t, nil, r.Kind == "sse", []byte(r.Body), len(r.Body)).usage
		if u.Input.N+u.Output.N != total && oddTotals[r.ID] == "" {
			t.Errorf("%s/%s: %d and %d are not %d", r.Provider, r.ID, u.Input.N, u.Output.N, total)
		}
		if u.Cached.N > u.Input.N {
			t.Errorf("%s/%s: cached %d of %d", r.Provider, r.ID, u.Cached.N, u.Input.N)
		}
	}
	if n < 15 {
		t.Errorf("only %d records had usage", n)
	}
}

func TestMoreChoicesThanAskedForAreLeftOut(t *testing.T) {
	chunk := func(i int, rest string) string {
		return fmt.Sprintf("data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":%d,%s}]}\n\n", i, rest)
	}
	body := chunk(0, `"delta":{"content":"a"},"finish_reason":"stop","stop_reason":"END"`) + chunk(1, `"delta":{"content":"b"}`) + "data: [DONE]\n\n"
	for _, tc := range []struct {
		chat llm.Chat
		want string
	}{
		{llm.Chat{}, "finished 0 end "},
		{llm.Chat{Stop: []string{"END"}}, "finished 0 sequence END"},
		{llm.Chat{N: 2}, "failed reset"},
	} {
		tr := readCut(t, &llm.Request{Body: &tc.chat}, true, []byte(body), len(body))
		if !strings.Contains(tr.text(), tc.want) {
			t.Errorf("want %s, got\n%s", tc.want, tr.text())
		}
	}
}
