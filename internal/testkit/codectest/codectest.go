// Package codectest has the tests that every codec of a dialect must pass: golden exchanges, answers cut anywhere,
// and the law that what is written reads as what was read. It knows no dialect; the codecs are given.
package codectest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Pair is the codecs of one exchange: of its client's dialect and of its provider's.
type Pair struct {
	Server dialect.Server
	Client dialect.Client
	In     dialect.Inbound // of the request, without a body
	Facts  func(model string) dialect.Target
}

// marker begins a file of an archive in the txtar form.
var marker = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// made is what differs from run to run: the second in which an answer was made, and ids for what came without.
var made = regexp.MustCompile(`("created":|"id":"(?:chatcmpl-|msg_|call_|toolu_))(?:\d{9,}|[A-Z2-7]{24})`)

// setting is a line of an archive's comment.
var setting = regexp.MustCompile(`(?m)^([a-z]+): (.*)$`)

// sided is the name of a request or an answer: client.json, answer-chat.sse.
var sided = regexp.MustCompile(`^(client|answer)(?:-([a-z]+))?(\.[a-z]+)$`)

// Golden runs the exchanges in testdata/*.txtar. Lines "name: value" of an archive's comment go to pick, which
// returns the codecs. Each archive has the client's request and a provider's answer; what the codecs make of them
// stands beside. A dialect in the name of the request or the answer, as in client-chat.json, is a setting too.
//
//	client.json          the request           upstream.json  what goes to the provider
//	answer.json, .sse    the answer            losses.txt     what could not be carried
//	or .ndjson                                 events.txt     the answer's events
//	                                           out            what the client gets, or its error
func Golden(t *testing.T, update bool, pick func(settings map[string]string) Pair) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want := map[string]string{}, map[string]string{}
			parts := marker.Split(string(raw), -1)
			var kept strings.Builder
			kept.WriteString(parts[0])
			settings := map[string]string{}
			for _, m := range setting.FindAllStringSubmatch(parts[0], -1) {
				settings[m[1]] = m[2]
			}
			for i, m := range marker.FindAllStringSubmatch(string(raw), -1) {
				if side := sided.FindStringSubmatch(m[1]); side != nil {
					in[side[1]+side[3]] = parts[i+1]
					if side[2] != "" {
						settings[side[1]] = side[2]
					}
					kept.WriteString(m[0] + parts[i+1])
				} else {
					want[m[1]] = parts[i+1]
				}
			}
			got := run(t, pick(settings), in)
			if !update {
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("run with -update if this is meant (-want +got):\n%s", d)
				}
				return
			}
			for _, n := range [...]string{"upstream.json", "losses.txt", "events.txt", "out"} {
				if got[n] != "" {
					kept.WriteString("-- " + n + " --\n" + got[n])
				}
			}
			if err := os.WriteFile(file, []byte(kept.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// run runs one exchange and returns what came of it, by file name.
func run(t *testing.T, p Pair, in map[string]string) map[string]string {
	t.Helper()
	out := map[string]string{}
	p.In.Body = []byte(strings.TrimSuffix(in["client.json"], "\n"))
	refused := func(err error) map[string]string {
		e, ok := errors.AsType[*llm.Error](err)
		if !ok {
			t.Fatalf("%T: %v", err, err)
		}
		status, body := p.Server.WriteError(e, "req-1")
		out["out"] += fmt.Sprintf("status %d\n%s\n", status, body)
		return out
	}
	req, err := p.Server.ReadRequest(p.In)
	if err != nil {
		return refused(err)
	}
	target := dialect.Target{Model: req.Model}
	if p.Facts != nil {
		target = p.Facts(req.Model)
	}
	body, losses, err := p.Client.WriteRequest(nil, req, target)
	if err != nil {
		return refused(err)
	}
	if err := jsonx.Valid(body); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	out["upstream.json"] = string(body) + "\n"
	for _, l := range losses {
		out["losses.txt"] += l.Path + ": " + l.Why + "\n"
	}
	for n, answer := range in {
		if n == "client.json" {
			continue
		}
		var events, written []byte
		w := p.Server.NewWriter(req, req.Stream)
		err = p.Client.NewReader(req, n != "answer.json").Feed([]byte(answer), true, func(ev *llm.Event) (err error) {
			events = AppendEvent(events, ev)
			written, err = w.Write(written, ev)
			return err
		})
		out["events.txt"] = string(events)
		if err == nil {
			written, err = w.Close(written)
		}
		out["out"] = strings.TrimRight(made.ReplaceAllString(string(written), "${1}0"), "\n")
		if out["out"] != "" {
			out["out"] += "\n"
		}
		if err != nil {
			return refused(err)
		}
	}
	return out
}

// AppendEvent writes an event as a line.
func AppendEvent(b []byte, ev *llm.Event) []byte {
	b = fmt.Appendf(b, "%s", ev.Kind)
	if ev.Choice != 0 {
		b = fmt.Appendf(b, " choice=%d", ev.Choice)
	}
	switch ev.Kind {
	case llm.EvBlockStarted, llm.EvDelta, llm.EvBlockEnded:
		b = fmt.Appendf(b, " %d %s", ev.Index, ev.Part)
	case llm.EvFinished:
		b = fmt.Appendf(b, " %s native=%q sequence=%q", ev.Stop.Reason, ev.Stop.Native, ev.Stop.Sequence)
		if len(ev.Stop.Details) > 0 {
			b = fmt.Appendf(b, " details=%q", ev.Stop.Details)
		}
	case llm.EvFailed:
		b = fmt.Appendf(b, " %s reason=%q param=%q %q", ev.Err.Code, ev.Err.Reason, ev.Err.Param, ev.Err.Message)
	case llm.EvResult:
		switch r := ev.Result.(type) {
		case *llm.Embeddings:
			b = fmt.Appendf(b, " %v", r.Vectors)
		case *llm.Ranking:
			for _, it := range r.Items {
				b = fmt.Appendf(b, " [%d %v %s]", it.Index, it.Score, it.Document)
			}
		}
	}
	for _, c := range [...]struct {
		name string
		n    llm.Count
	}{{"in", ev.Usage.Input}, {"cached", ev.Usage.Cached}, {"written", ev.Usage.CacheWrite}, {"written1h", ev.Usage.CacheWrite1h},
		{"out", ev.Usage.Output}, {"reasoning", ev.Usage.Reasoning}, {"audio", ev.Usage.AudioIn}, {"queries", ev.Usage.Queries}, {"searches", ev.Usage.WebSearches}} {
		if c.n.Known {
			b = fmt.Appendf(b, " %s=%d", c.name, c.n.N)
		}
	}
	if d := ev.Usage.Details; d != nil {
		b = fmt.Appendf(b, " [%s]", d)
	}
	for _, m := range [...]struct{ name, value string }{
		{"id", ev.ID}, {"name", ev.Name}, {"seal", ev.Seal}, {"text", string(ev.Text)}, {"logprobs", string(ev.Logprobs)},
	} {
		if m.value != "" {
			b = fmt.Appendf(b, " %s=%q", m.name, m.value)
		}
	}
	if ev.Part == llm.PartNative && ev.Raw != nil {
		b = fmt.Appendf(b, " raw=%.200q", ev.Raw)
	}
	if ev.Cite != nil {
		b = fmt.Appendf(b, " cite=%q %q %q %d-%d", ev.Cite.URL, ev.Cite.Title, ev.Cite.Text, ev.Cite.Start, ev.Cite.End)
	}
	return append(b, '\n')
}

// Read feeds an answer in pieces and returns its events as lines, with the text of neighbouring deltas as it came.
// A size of 0 feeds it whole; one below 0 cuts it at random.
func Read(t testing.TB, r dialect.Reader, body []byte, size int) string {
	t.Helper()
	var out []byte
	feed(t, r, body, size, func(ev *llm.Event) error { out = AppendEvent(out, ev); return nil })
	return string(out)
}

// Recut feeds an answer whole and cut in many ways. The events must be the same, with one end: Failed, or Finished
// for each choice. It returns them.
func Recut(t testing.TB, read func() dialect.Reader, body []byte) string {
	t.Helper()
	whole := Read(t, read(), body, 0)
	for _, size := range [...]int{1, 2, 3, 7, 64, -1, -1} {
		if got := Read(t, read(), body, size); got != whole {
			t.Fatalf("cut at %d, the events differ (-whole +cut):\n%s", size, cmp.Diff(strings.Split(whole, "\n"), strings.Split(got, "\n")))
		}
	}
	finished, failed := strings.Count("\n"+whole, "\nfinished "), strings.Count("\n"+whole, "\nfailed ")
	if (finished > 0) == (failed > 0) || failed > 1 {
		t.Fatalf("finished %d times, failed %d times:\n%s", finished, failed, whole)
	}
	return whole
}

// Truncated feeds an answer that is cut behind every mark, and a byte before its end. None but the whole may finish.
func Truncated(t testing.TB, read func() dialect.Reader, body []byte, mark string, whole func(head string) bool) {
	t.Helper()
	for i := 0; i < len(body); {
		n := strings.Index(string(body[i:]), mark)
		if n < 0 {
			return
		}
		i += n + len(mark)
		if whole(string(body[:i])) {
			return
		}
		if got := Read(t, read(), body[:i], 0); strings.Contains("\n"+got, "\nfinished ") {
			t.Fatalf("cut at %d, it claims to be whole:\n%s\n%s", i, body[:i], got)
		}
	}
}

// Law reads a request, writes it and reads that again: nothing may be lost or changed. The bytes must be the same
// each time.
func Law(t testing.TB, server dialect.Server, client dialect.Client, in dialect.Inbound) {
	t.Helper()
	req, err := server.ReadRequest(in)
	if err != nil {
		t.Fatalf("%v: %s", err, in.Body)
	}
	body, losses, err := client.WriteRequest(nil, req, dialect.Target{Model: req.Model})
	if err != nil {
		t.Fatalf("write: %v: %s", err, in.Body)
	}
	if len(losses) > 0 {
		t.Fatalf("lost in its own dialect: %v: %s", losses, in.Body)
	}
	again, _, err := client.WriteRequest(nil, req, dialect.Target{Model: req.Model})
	if err != nil || string(again) != string(body) {
		t.Fatalf("written twice, the bytes differ:\n%s\n%s", body, again)
	}
	in.Body = body
	got, err := server.ReadRequest(in)
	if err != nil {
		t.Fatalf("read what was written: %v\n%s", err, body)
	}
	if d := cmp.Diff(req, got); d != "" {
		t.Fatalf("read(write(x)) differs from x (-want +got):\n%s\n%s", d, body)
	}
}

// Refused checks that a body is refused by Peek, or by ReadRequest where peeks is false, with an error that names
// param and says what it says.
func Refused(t testing.TB, s dialect.Server, in dialect.Inbound, peeks bool, param, says string) {
	t.Helper()
	_, perr := s.Peek(in)
	_, rerr := s.ReadRequest(in)
	if (perr != nil) != peeks {
		t.Errorf("Peek says %v: %s", perr, in.Body)
	}
	e, ok := errors.AsType[*llm.Error](rerr)
	if !ok || e.Param != param || !strings.Contains(e.Message, says) {
		t.Errorf("got %v, want one of %q that says %q: %s", rerr, param, says, in.Body)
	}
	if ok && e.Code == llm.CodeNone {
		t.Errorf("the error has no code: %s", in.Body)
	}
}
