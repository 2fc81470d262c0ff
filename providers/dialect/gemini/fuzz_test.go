package gemini

import (
	"bytes"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

func FuzzReadRequest(f *testing.F) {
	recorded.SeedRequests(f)
	for _, w := range wrongInside {
		f.Add([]byte(w.body))
	}
	c := New()
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range []llm.Op{llm.OpChat, llm.OpCount, llm.OpEmbed} {
			in := dialect.Inbound{Op: op, Path: "/v1beta/models/m:x", Model: "m", Body: body}
			_, peekErr := c.Peek(in)
			req, err := c.ReadRequest(in)
			if err != nil {
				if e, ok := err.(*llm.Error); !ok || e.Message == "" {
					t.Fatalf("error %v", err)
				}
				continue
			}
			if peekErr != nil {
				t.Fatalf("Peek refused what ReadRequest takes: %v", peekErr)
			}
			for _, from := range []string{name, "openai-chat"} {
				req.Extra.Dialect = from
				for _, m := range []string{"gemini-1.5-pro", "gemini-2.5-flash", "gemini-3-pro-preview", "unknown"} {
					out, _, err := c.WriteRequest(nil, req, dialect.Target{Model: m, Facts: catalog.FactsOf("gemini", m)})
					if err != nil {
						continue
					}
					if _, err := jsonx.Scan(out); err != nil && !strings.Contains(err.Error(), "duplicate") { // a name within a schema may have come in two spellings
						t.Fatalf("%v\n%s", err, out)
					}
				}
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	recorded.SeedAnswers(f)
	c := fixed()
	f.Fuzz(func(t *testing.T, body []byte) {
		evs := codectest.Events(t, c.NewReader(nil, true), body, 0)
		if codectest.Count(evs, llm.EvFinished) > 0 == (codectest.Count(evs, llm.EvFailed) > 0) || codectest.Count(evs, llm.EvFailed) > 1 {
			t.Fatalf("neither or both ends: %v", evs)
		}
		if pieces := codectest.Events(t, c.NewReader(nil, true), body, 3); len(pieces) != len(evs) {
			t.Fatalf("%d events, cut %d", len(evs), len(pieces))
		}
		for _, form := range []string{"document", "events", formArray} {
			out, err := codectest.Write(c.NewWriter(&llm.Request{Op: llm.OpChat, Form: form, Body: &llm.Chat{}}, form != "document"), evs)
			if err == nil {
				strict(t, form, out)
			}
		}
		if e := c.ReadError(400, nil, body); e == nil || e.Message == "" {
			t.Fatal("no error")
		}
	})
}

func FuzzSplice(f *testing.F) {
	recorded.SeedRequests(f)
	f.Add([]byte(`{ "model" : "models/a" ,"requests":[{"model":"models/a","content":{}}], "contents":[{"parts":[{"text":"x"}]}] , "n": 1.0e3 }`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, c := range []*Codec{New(), Vertex()} {
			for _, op := range []llm.Op{llm.OpChat, llm.OpCount, llm.OpEmbed} {
				in := dialect.Inbound{Op: op, Path: "/v1beta/models/m:x", Model: "m", Body: body}
				h, err := c.Peek(in)
				if err != nil {
					continue
				}
				out, err := c.Splice(nil, h, dialect.Edits{Model: "new"})
				if err != nil {
					continue
				}
				in.Body = out
				if _, err := c.Peek(in); err != nil {
					t.Fatalf("%v in %s", err, out)
				}
			}
		}
	})
}

// typical is a stream of 200 pieces of text, as Gemini sends it.
func typical() []byte {
	var b bytes.Buffer
	for range 200 {
		b.WriteString(`data: {"candidates": [{"content": {"parts": [{"text": " a few words more"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 12,"candidatesTokenCount": 44,"totalTokenCount": 94,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 12}],"thoughtsTokenCount": 38},"modelVersion": "gemini-2.5-flash","responseId": "VDVYaY2XOYqM"}` + "\r\n\r\n")
	}
	b.WriteString(`data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 12,"candidatesTokenCount": 44,"totalTokenCount": 94},"modelVersion": "gemini-2.5-flash"}` + "\r\n\r\n")
	return b.Bytes()
}

// relay carries a stream from a reader to a writer, piece by piece.
func relay(tb testing.TB, r dialect.Reader, w dialect.Writer, pieces [][]byte, out []byte) []byte {
	for i, p := range pieces {
		if err := r.Feed(p, i == len(pieces)-1, func(ev *llm.Event) (err error) {
			out, err = w.Write(out[:0], ev)
			return err
		}); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

func pieces(stream []byte) (all [][]byte) {
	for p := range bytes.SplitAfterSeq(stream, []byte("\n\r\n")) {
		if len(p) > 0 {
			all = append(all, p)
		}
	}
	return all
}

func TestAPieceOfTextAllocatesNothing(t *testing.T) {
	all := pieces(typical())
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Body: &llm.Chat{}}
	for name, w := range map[string]dialect.Writer{"gemini": New().NewWriter(req, true), "openai-chat": openaichat.New().NewWriter(req, true)} {
		r := New().NewReader(req, true)
		out := make([]byte, 0, 4096)
		emit := func(ev *llm.Event) (err error) {
			out, err = w.Write(out[:0], ev)
			return err
		}
		for _, p := range all[:50] {
			if err := r.Feed(p, false, emit); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(100, func() {
			if err := r.Feed(all[1], false, emit); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkStreamToChat(b *testing.B) {
	all := pieces(typical())
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Body: &llm.Chat{}}
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		out = relay(b, New().NewReader(req, true), openaichat.New().NewWriter(req, true), all, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200, "ns/piece")
}

func BenchmarkChatToStream(b *testing.B) {
	var all [][]byte
	for range 200 {
		all = append(all, []byte(`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"content":" a few words more"},"finish_reason":null}]}`+"\n\n"))
	}
	all = append(all, []byte(`data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n"))
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Body: &llm.Chat{}}
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		out = relay(b, openaichat.New().NewReader(req, true), New().NewWriter(req, true), all, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200, "ns/piece")
}

func BenchmarkPeekAndSplice(b *testing.B) {
	turn := `{"role":"user","parts":[{"text":"` + strings.Repeat("some words of a long conversation ", 30) + `"}]},{"role":"model","parts":[{"text":"` + strings.Repeat("and what was answered ", 40) + `"}]}`
	body := []byte(`{"contents":[` + strings.TrimSuffix(strings.Repeat(turn+",", 52), ",") + `],"generationConfig":{"maxOutputTokens":100}}`)
	for name, c := range map[string]*Codec{"gemini": New(), "vertex": Vertex()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			request := in("")
			request.Body = body
			for b.Loop() {
				h, err := c.Peek(request)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := c.Splice(nil, h, dialect.Edits{Model: "n"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
