package openaicompletions

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/replay"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixed is a codec whose clock stands and whose ids repeat.
func fixed() *Codec {
	return &Codec{now: func() time.Time { return time.Unix(1700000000, 0) }, mint: func() string { return "0123456789abcdef01234567" }}
}

func inbound(body string) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpComplete, Path: "/v1/completions", Body: []byte(body)}
}

func TestGolden(t *testing.T) {
	codectest.Golden(t, *update, func(s map[string]string) codectest.Pair {
		p := codectest.Pair{Server: fixed(), Client: fixed(), In: inbound("")}
		facts := catalog.OpenAI
		switch s["answer"] {
		case "chat":
			p.Client = openaichat.New()
		case "anthropic":
			p.Client, facts = anthropicmessages.New(), catalog.Anthropic
		}
		p.Facts = func(model string) dialect.Target { return dialect.Target{Model: model, Facts: facts(model)} }
		return p
	})
}

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

func ours(x *recorded.Exchange) bool {
	return x.Endpoint == "completions" && !strings.Contains(x.RequestPath, "/prompts/") // which answers as a chat
}

// lines writes what a reader makes of an answer, an event a line, in pieces of a size.
func lines(t testing.TB, body []byte, stream bool, size int) string {
	t.Helper()
	var b strings.Builder
	r := fixed().NewReader(nil, stream)
	emit := func(ev *llm.Event) error {
		fmt.Fprintf(&b, "%s %d %d %q %q %q %s %+v %v\n", ev.Kind, ev.Choice, ev.Index, ev.Text, ev.ID, ev.Name, ev.Logprobs, ev.Usage, ev.Stop)
		if ev.Err != nil {
			fmt.Fprintf(&b, "%s %s\n", ev.Err.Code, ev.Err.Message)
		}
		return nil
	}
	for len(body) > 0 {
		n := min(size, len(body))
		if err := r.Feed(bytes.Clone(body[:n]), false, emit); err != nil {
			t.Fatal(err)
		}
		body = body[n:]
	}
	if err := r.Feed(nil, true, emit); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rewrite reads an answer and writes it anew.
func rewrite(t testing.TB, body []byte, stream, to bool) ([]byte, error) {
	t.Helper()
	w := fixed().NewWriter(&llm.Request{Usage: true}, to)
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

// said joins the deltas of each choice, so that the pieces do not matter.
func said(t testing.TB, body []byte, stream bool) string {
	t.Helper()
	texts, rest := map[int]string{}, ""
	err := fixed().NewReader(nil, stream).Feed(body, true, func(ev *llm.Event) error {
		switch ev.Kind {
		case llm.EvDelta:
			texts[ev.Choice] += string(ev.Text)
		case llm.EvFinished:
			rest += fmt.Sprintf("%d %s\n", ev.Choice, ev.Stop.Reason)
		case llm.EvUsage:
			rest += fmt.Sprintf("%d %d\n", ev.Usage.Input.N, ev.Usage.Output.N)
		case llm.EvFailed:
			rest += ev.Err.Error()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(texts, rest)
}

// ending is a choice's end.
var ending = regexp.MustCompile(`"finish_reason": ?"`)

func TestRecordedAnswersAreReadAndWrittenAnew(t *testing.T) {
	each(t, func(x *recorded.Exchange) bool { return ours(x) && x.Status < 300 }, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		stream := x.BodyKind == "sse"
		whole := lines(t, body, stream, len(body)+1)
		if !strings.Contains(whole, "\nfinished ") || strings.Contains(whole, "\nfailed ") {
			t.Fatalf("not whole: %s", whole)
		}
		for _, size := range []int{1, 2, 3, 7, 64} {
			if cut := lines(t, body, stream, size); cut != whole {
				t.Fatalf("cut at %d: %s", size, cmp.Diff(whole, cut))
			}
		}
		want := said(t, body, stream)
		for _, to := range []bool{true, false} {
			out, err := rewrite(t, body, stream, to)
			if err != nil {
				t.Fatal(err)
			}
			wantStop := strings.ReplaceAll(want, "sequence", "end")
			if got := said(t, out, to); got != wantStop {
				t.Errorf("stream %v: got %s, want %s", to, got, wantStop)
			}
		}
		for i := range body {
			if stream && bytes.HasPrefix(body[i:], []byte("\n\n")) && ending.Match(body[i:]) {
				if cut := lines(t, body[:i+2], true, 1<<20); strings.Contains(cut, "\nfinished ") {
					t.Fatalf("cut at %d it is whole: %s", i, cut)
				}
			}
		}
	})
}

func TestRecordedRequestsKeepTheLaw(t *testing.T) {
	each(t, func(x *recorded.Exchange) bool { return ours(x) && x.HasRequest() && x.Status < 400 }, func(t *testing.T, x *recorded.Exchange) {
		req, err := fixed().ReadRequest(inbound(string(x.RequestJSON)))
		if err != nil {
			t.Fatal(err)
		}
		checkLaw(t, req)
	})
}

func checkLaw(t *testing.T, req *llm.Request) {
	t.Helper()
	body, _, err := fixed().WriteRequest(nil, req, dialect.Target{})
	if err != nil {
		t.Fatal(err)
	}
	back, err := fixed().ReadRequest(inbound(string(body)))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	want := *req
	want.Usage = want.Usage || want.Stream // which a provider is always asked for
	byName := cmpopts.SortSlices(func(a, b llm.Member) bool { return a.Name < b.Name })
	if d := cmp.Diff(&want, back, byName); d != "" {
		t.Fatalf("read again it is another:\n%s\n%s", d, body)
	}
}

func TestRecordedErrorsAreClassed(t *testing.T) {
	each(t, func(x *recorded.Exchange) bool { return ours(x) && x.Status >= 400 }, func(t *testing.T, x *recorded.Exchange) {
		body, _ := x.Body()
		want := map[int]llm.Code{400: llm.CodeInvalid, 403: llm.CodeForbidden, 404: llm.CodeNotFound}[x.Status]
		if e := fixed().ReadError(x.Status, nil, body); e.Code != want || e.Message == "" {
			t.Errorf("got %s %q, want %s", e.Code, e.Message, want)
		}
	})
}

func TestRequestsAreChecked(t *testing.T) {
	for _, tc := range []struct{ name, body, param, message string }{
		{"no model", `{"prompt":"x"}`, "model", "model"},
		{"a model in another case", `{"Model":"m","prompt":"x"}`, "Model", "Did you mean 'model'"},
		{"a number as prompt", `{"model":"m","prompt":5}`, "prompt", "a string or an array"},
		{"an empty list of prompts", `{"model":"m","prompt":[]}`, "prompt", "empty array"},
		{"texts and tokens", `{"model":"m","prompt":["a",5]}`, "prompt", "mixed"},
		{"an object among the prompts", `{"model":"m","prompt":["a",{}]}`, "prompt[1]", "an object"},
		{"negative max_tokens", `{"model":"m","prompt":"x","max_tokens":-1}`, "max_tokens", ">= 0"},
		{"n of 0", `{"model":"m","prompt":"x","n":0}`, "n", ">= 1"},
		{"best_of below n", `{"model":"m","prompt":"x","n":3,"best_of":2}`, "best_of", "at least n"},
		{"stream_options without a stream", `{"model":"m","prompt":"x","stream_options":{}}`, "stream_options", "only allowed"},
		{"hot", `{"model":"m","prompt":"x","temperature":3}`, "temperature", "<= 2"},
		{"echo as a word", `{"model":"m","prompt":"x","echo":"yes"}`, "echo", "a boolean"},
		{"logprobs as a boolean", `{"model":"m","prompt":"x","logprobs":true}`, "logprobs", "an integer"},
		{"stop as a number", `{"model":"m","prompt":"x","stop":[1]}`, "stop[0]", "a string"},
		{"no JSON", `{"model":`, "", "could not parse"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := fixed().ReadRequest(inbound(tc.body))
			var e *llm.Error
			if !errors.As(err, &e) || e.Code != llm.CodeInvalid || e.Param != tc.param || !strings.Contains(e.Message, tc.message) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatOnlyACompletionCanDoIsBound(t *testing.T) {
	for _, tc := range []struct{ name, rest, bound string }{
		{"one text", `"prompt":"x"`, ""},
		{"one text in a list", `"prompt":["x"],"best_of":1,"echo":false,"suffix":""`, ""},
		{"two texts", `"prompt":["x","y"]`, "prompt"},
		{"tokens", `"prompt":[1,2]`, "prompt"},
		{"lists of tokens", `"prompt":[[1,2]]`, "prompt"},
		{"no prompt", `"n":1`, "prompt"},
		{"a suffix", `"prompt":"x","suffix":"y"`, "suffix"},
		{"an echo", `"prompt":"x","echo":true`, "echo"},
		{"the best of several", `"prompt":"x","best_of":2`, "best_of"},
		{"no new tokens", `"prompt":"x","max_tokens":0`, "max_tokens"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := fixed().ReadRequest(inbound(`{"model":"m",` + tc.rest + `}`))
			if err != nil || req.Bound != tc.bound || req.Op != llm.OpComplete {
				t.Fatalf("got %+v, %v", req, err)
			}
			if tc.bound == "" && (len(req.Extra.Members) > 0 || len(req.Chat().Turns) != 1 || req.Chat().Turns[0].Parts[0].Text != "x") {
				t.Errorf("got %+v", req)
			}
			checkLaw(t, req)
		})
	}
}

func TestPeekCountsTheAnswers(t *testing.T) {
	for body, want := range map[string]int{
		`{"model":"m","prompt":"x"}`: 1, `{"model":"m","prompt":["x","y"],"n":2}`: 4, `{"model":"m","prompt":[1,2],"best_of":3}`: 3, `{"model":"m"}`: 1,
	} {
		if h, err := fixed().Peek(inbound(body)); err != nil || h.N != want {
			t.Errorf("%s: %+v, %v", body, h, err)
		}
	}
}

func TestSpliceChangesModelAndUsageAlone(t *testing.T) {
	const body = `{ "model" : "a", "prompt":"x" ,"stream":true, "best_of" : 1.0e0 }`
	h, err := fixed().Peek(inbound(strings.Replace(body, "1.0e0", "1", 1)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := fixed().Splice(nil, h, dialect.Edits{Model: "b", AskUsage: true})
	if want := `{ "model" : "b", "prompt":"x" ,"stream":true, "best_of" : 1,"stream_options":{"include_usage":true} }`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if same, err := fixed().Splice(nil, h, dialect.Edits{Model: "a"}); err != nil || &same[0] != &h.Doc.Body[0] {
		t.Error("a body without edits is copied")
	}
}

func TestAConversationIsRefused(t *testing.T) {
	_, _, err := fixed().WriteRequest(nil, &llm.Request{Op: llm.OpChat, Body: &llm.Chat{}, Extra: llm.Extra{Dialect: "openai-chat"}}, dialect.Target{Model: "m"})
	var e *llm.Error
	if !errors.As(err, &e) || e.Code != llm.CodeUnsupported || e.Param != "messages" {
		t.Errorf("got %v", err)
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","prompt":["a","b"],"stream":true,"stream_options":{"x":1},"n":2,"stop":"x"}`))
	f.Add([]byte(`{"model":"m","prompt":[[1],[2]],"best_of":3,"echo":true,"suffix":"s","logprobs":3,"unknown":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := fixed().ReadRequest(inbound(string(body)))
		if err != nil {
			var e *llm.Error
			if !errors.As(err, &e) || e.Message == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		checkLaw(t, req)
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("data: {\"id\":\"c\",\"choices\":[{\"text\":\"a\",\"index\":1,\"logprobs\":{\"tokens\":[\"a\"],\"token_logprobs\":[-1],\"top_logprobs\":[{\"b\":-2}]},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"), uint8(3), true)
	f.Add([]byte(`{"choices":[{"text":"x"}],"usage":{"prompt_tokens":1}}`), uint8(2), false)
	f.Fuzz(func(t *testing.T, body []byte, size uint8, stream bool) {
		whole := lines(t, body, stream, len(body)+1)
		if cut := lines(t, body, stream, int(size)+1); cut != whole {
			t.Fatalf("cut:\n%s\nwhole:\n%s", cut, whole)
		}
		for _, to := range []bool{true, false} {
			out, err := rewrite(t, body, stream, to)
			if err == nil && !to {
				if _, err := jsonx.Scan(out); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
		}
	})
}

func TestAChunkIsTranslatedWithoutAllocation(t *testing.T) {
	chunk := []byte("data: {\"id\":\"c\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"text\":\"word \",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\n")
	r, w := fixed().NewReader(nil, true), fixed().NewWriter(nil, true)
	out := make([]byte, 0, 1<<20)
	emit := func(ev *llm.Event) (err error) {
		out, err = w.Write(out[:0], ev)
		return err
	}
	if err := r.Feed(chunk, false, emit); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(200, func() {
		if err := r.Feed(chunk, false, emit); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
