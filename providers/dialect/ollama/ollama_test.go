package ollama

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/cohere"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixed is the codec with made-up ids that do not differ from run to run.
func fixed() *Codec { return &Codec{mint: func() string { return "0123456789" }} }

func TestGolden(t *testing.T) {
	codectest.Golden(t, *update, func(s map[string]string) codectest.Pair {
		p := codectest.Pair{Server: openaichat.New(), Client: fixed(), In: dialect.Inbound{Op: llm.OpChat, Path: "/v1/chat/completions"}}
		switch s["server"] {
		case "anthropic-messages":
			p.Server, p.In.Path = anthropicmessages.New(), "/v1/messages"
		case "openai-embeddings":
			p.Server, p.In = openaiembeddings.New(), dialect.Inbound{Op: llm.OpEmbed, Path: "/v1/embeddings"}
		case "cohere":
			p.Server, p.In = cohere.New(), dialect.Inbound{Op: llm.OpEmbed, Path: "/v2/embed"}
		}
		return p
	})
}

func TestRecordedAnswers(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return x.Provider == "ollama" && (x.Endpoint == "api-chat" || x.Endpoint == "embed") && x.Status < 300 && !x.ResponseTrimmed
	}, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		stream := x.BodyKind == "ndjson"
		read := func() dialect.Reader { return fixed().NewReader(nil, stream) }
		events := codectest.Recut(t, read, body)
		if strings.Contains(events, "failed ") {
			t.Fatal(events)
		}
		last := body
		if stream {
			lines := strings.Split(strings.TrimSpace(string(body)), "\n")
			last = []byte(lines[len(lines)-1])
			codectest.Truncated(t, read, body, "\n", func(head string) bool { return strings.Contains(head, `"done":true`) })
		}
		for _, c := range []struct{ theirs, ours string }{{"prompt_eval_count", "in"}, {"eval_count", "out"}} {
			if n, ok := jsonx.Int(jsonx.Get(last, c.theirs)); ok && !strings.Contains(events, fmt.Sprintf(" %s=%d", c.ours, n)) {
				t.Errorf("usage is not the provider's: %s=%d: %s", c.theirs, n, events)
			}
		}
		if strings.Contains(string(body), `"tool_calls"`) != strings.Contains(events, "finished calls") {
			t.Errorf("the stop does not fit: %s", events)
		}
		if x.Endpoint == "api-chat" {
			survives(t, body, stream)
		}
	})
}

// survives writes the answer in openai-chat and reads that again.
func survives(t *testing.T, body []byte, from bool) {
	t.Helper()
	for _, to := range []bool{false, true} {
		req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: to, Usage: true, Body: &llm.Chat{}}
		w := openaichat.New().NewWriter(req, to)
		var out []byte
		err := fixed().NewReader(req, from).Feed(body, true, func(ev *llm.Event) (err error) {
			out, err = w.Write(out, ev)
			return err
		})
		if err == nil {
			out, err = w.Close(out)
		}
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(gist(t, fixed().NewReader(req, from), body), gist(t, openaichat.New().NewReader(req, to), out)); d != "" {
			t.Errorf("stream %v: in openai-chat it says something else (-was +is):\n%s", to, d)
		}
	}
}

func gist(t *testing.T, r dialect.Reader, body []byte) string {
	t.Helper()
	said := map[llm.PartKind]string{}
	var usage llm.Usage
	end := ""
	err := r.Feed(body, true, func(ev *llm.Event) error {
		usage.Merge(ev.Usage)
		switch ev.Kind {
		case llm.EvDelta:
			said[ev.Part] += string(ev.Text)
		case llm.EvBlockStarted:
			said[ev.Part] += ev.ID + ev.Name
		case llm.EvFinished:
			end = ev.Stop.Reason.String()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v %v %s", said, usage, end)
}

func TestErrorsAreUnderstood(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   llm.Code
	}{
		{404, `{"error":"model 'x' not found"}`, llm.CodeNotFound},
		{404, `{"error":"model \"x\" not found, try pulling it first"}`, llm.CodeNotFound},
		{400, `{"error":"registry.ollama.ai/library/x does not support tools"}`, llm.CodeUnsupported},
		{400, `{"error":"\"x\" does not support thinking"}`, llm.CodeUnsupported},
		{400, `{"error":"prompt too long; exceeded max context length by 4 tokens"}`, llm.CodeContextTooLong},
		{503, `{"error":"server busy, please try again.  maximum pending requests exceeded"}`, llm.CodeOverloaded},
		{401, `{"error":"unauthorized"}`, llm.CodeCredential},
		{500, `{"error":"llama runner process has terminated"}`, llm.CodeUpstream},
		{502, `<html>`, llm.CodeUpstream},
	} {
		if e := New().ReadError(c.status, nil, []byte(c.body)); e.Code != c.want || e.Message == "" {
			t.Errorf("%d %s: %s", c.status, c.body, e)
		}
	}
	for _, body := range []string{"{\"error\":\"boom\"}\n", "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n{\"error\":\"boom\"}\n"} {
		if got := codectest.Recut(t, func() dialect.Reader { return New().NewReader(nil, true) }, []byte(body)); !strings.Contains(got, "failed upstream") || !strings.Contains(got, "boom") {
			t.Errorf("got %s", got)
		}
	}
	for _, body := range []string{``, `{}`, `{"done":false,"message":{}}`, `{"embeddings":[]}`, `{"embeddings":[["a"]]}`, `[1]`} {
		if got := codectest.Recut(t, func() dialect.Reader { return New().NewReader(nil, false) }, []byte(body)); !strings.Contains(got, "failed ") {
			t.Errorf("%s: got %s", body, got)
		}
	}
}

func TestStreamsAreTold(t *testing.T) {
	for ct, want := range map[string]bool{"application/x-ndjson": true, "application/x-ndjson; charset=utf-8": true, "application/json": false, "": false} {
		if New().Streams(ct) != want {
			t.Errorf("%q: %v", ct, !want)
		}
	}
}

// TestNothingVanishes writes what clients of openai-chat may send: what is not written is lost, and said to be.
func TestNothingVanishes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := map[string]string{}
		body := `{"model":"m","messages":[{"role":"user","name":"n","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]`
		for name, raw := range map[string]string{
			"logit_bias": `{"5":1}`, "user": `"u"`, "metadata": `{"a":"b"}`, "store": `true`, "prompt_cache_key": `"k"`, "verbosity": `"low"`, "service_tier": `"flex"`, "own": `1`,
			"parallel_tool_calls": `false`, "seed": `5`, "top_p": `0.5`, "temperature": `1`, "presence_penalty": `1`, "frequency_penalty": `1`, "top_k": `3`,
		} {
			if rapid.Bool().Draw(t, name) {
				given[name] = raw
				body += `,"` + name + `":` + raw
			}
		}
		req, err := openaichat.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: []byte(body + "}")})
		if err != nil {
			t.Fatal(err)
		}
		out, losses, err := New().WriteRequest(nil, req, dialect.Target{Model: "m"})
		if err != nil || jsonx.Valid(out) != nil {
			t.Fatalf("%v: %s", err, out)
		}
		said := string(out) + fmt.Sprint(losses)
		for name := range given {
			if !strings.Contains(said, name) {
				t.Fatalf("%s vanished: %s\n%v", name, out, losses)
			}
		}
		for _, path := range []string{"messages[0].name", "messages[0].content[0].cache_control"} {
			if !strings.Contains(said, path) {
				t.Fatalf("%s vanished: %v", path, losses)
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"thinking\":\"a\",\"content\":\"b\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]},\"done\":false}\n{\"done\":true,\"done_reason\":\"stop\",\"eval_count\":3}\n"), uint8(3), true)
	f.Add([]byte(`{"model":"m","message":{"content":"x"},"done":true,"logprobs":[{"token":"x","logprob":-1,"top_logprobs":[{"token":"y","logprob":-2}]}]}`), uint8(1), false)
	f.Add([]byte(`{"error":"x"}`), uint8(2), true)
	f.Fuzz(func(t *testing.T, body []byte, size uint8, stream bool) {
		whole := codectest.Read(t, fixed().NewReader(nil, stream), body, 0)
		if cut := codectest.Read(t, fixed().NewReader(nil, stream), body, int(size)+1); cut != whole {
			t.Fatalf("cut:\n%s\nwhole:\n%s", cut, whole)
		}
	})
}

func line(i int) []byte {
	return fmt.Appendf(nil, `{"model":"m","created_at":"2026-08-05T08:10:56.372032Z","message":{"role":"assistant","content":"word %d "},"done":false}`+"\n", i)
}

func TestAWarmStreamAllocatesNothing(t *testing.T) {
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Body: &llm.Chat{}}
	r, w := New().NewReader(req, true), openaichat.New().NewWriter(req, true)
	var out []byte
	emit := func(ev *llm.Event) (err error) { out, err = w.Write(out, ev); return err }
	one := line(1)
	feed := func() { out = out[:0]; _ = r.Feed(one, false, emit) }
	feed()
	if n := testing.AllocsPerRun(200, feed); n > 0 {
		t.Errorf("%v allocations for a line", n)
	}
}

func BenchmarkStream(b *testing.B) {
	var body []byte
	for i := range 200 {
		body = append(body, line(i)...)
	}
	body = append(body, "{\"model\":\"m\",\"done\":true,\"eval_count\":200}\n"...)
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Body: &llm.Chat{}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		r, w := New().NewReader(req, true), openaichat.New().NewWriter(req, true)
		out = out[:0]
		if err := r.Feed(body, true, func(ev *llm.Event) (err error) { out, err = w.Write(out, ev); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
