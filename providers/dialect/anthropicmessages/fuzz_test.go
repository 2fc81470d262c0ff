package anthropicmessages

import (
	"bytes"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func FuzzReadRequest(f *testing.F) {
	recorded.SeedRequests(f)
	f.Add([]byte(full))
	for _, w := range wrongInside {
		f.Add([]byte(w.body))
	}
	c := New()
	f.Fuzz(func(t *testing.T, body []byte) {
		_, peekErr := c.Peek(in(string(body)))
		req, err := c.ReadRequest(in(string(body)))
		if err != nil {
			if e, ok := err.(*llm.Error); !ok || e.Message == "" {
				t.Fatalf("error %v", err)
			}
			return
		}
		if peekErr != nil {
			t.Fatalf("Peek refused what ReadRequest takes: %v", peekErr)
		}
		for _, from := range []string{name, "openai-chat"} {
			req.Extra.Dialect = from
			for _, m := range []string{"claude-3-haiku", "claude-haiku-4-5", "claude-opus-4-8", "unknown"} {
				out, _, err := c.WriteRequest(nil, req, dialect.Target{Model: m, Facts: catalog.Anthropic(m)})
				if err != nil {
					continue
				}
				if _, err := jsonx.Scan(out); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	recorded.SeedAnswers(f)
	c := New()
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, stream := range []bool{true, false} {
			evs := codectest.Events(t, c.NewReader(nil, stream), body, 0)
			if codectest.Count(evs, llm.EvFinished)+codectest.Count(evs, llm.EvFailed) != 1 {
				t.Fatalf("neither or both ends: %v", evs)
			}
			pieces := codectest.Events(t, c.NewReader(nil, stream), body, 3)
			if len(pieces) != len(evs) {
				t.Fatalf("%d events, cut %d", len(evs), len(pieces))
			}
			for _, s := range []bool{true, false} {
				out, err := codectest.Write(c.NewWriter(nil, s), evs)
				if err != nil {
					continue
				}
				if !s {
					if err := jsonx.Valid(out); err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
				} else if codectest.Count(evs, llm.EvFinished) == 1 {
					strict(t, out)
				}
			}
		}
		if e := c.ReadError(400, nil, body); e == nil || e.Message == "" {
			t.Fatal("no error")
		}
	})
}

func FuzzSplice(f *testing.F) {
	recorded.SeedRequests(f)
	f.Add([]byte(`{ "model" : "a" ,"max_tokens":1, "messages":[{"role":"user","content":"x"}] , "n": 1.0e3 }`))
	c := New()
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := c.Peek(in(string(body)))
		if err != nil {
			return
		}
		out, err := c.Splice(nil, h, dialect.Edits{Model: "new"})
		if err != nil {
			t.Fatal(err)
		}
		back, err := c.Peek(in(string(out)))
		if err != nil || back.Model != "new" {
			t.Fatalf("%v in %s", err, out)
		}
		again, err := c.Splice(nil, back, dialect.Edits{Model: h.Model})
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := h.Doc.Get("model")
		was, _ := jsonx.String(raw)
		if string(raw) == string(jsonx.AppendQuote(nil, was)) && !bytes.Equal(again, h.Doc.Body) {
			t.Fatalf("there and back: %s\nwas %s", again, body)
		}
	})
}

func BenchmarkWriteDelta(b *testing.B) {
	w := New().NewWriter(nil, true)
	dst := make([]byte, 0, 4096)
	for _, ev := range []llm.Event{started(), begin(0, llm.PartText)} {
		if _, err := w.Write(dst, &ev); err != nil {
			b.Fatal(err)
		}
	}
	ev := piece(0, llm.PartText, " a token")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Write(dst[:0], &ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadDelta(b *testing.B) {
	r := New().NewReader(nil, true)
	emit := func(*llm.Event) error { return nil }
	if err := r.Feed([]byte("data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\"}}\n\n"), false, emit); err != nil {
		b.Fatal(err)
	}
	delta := []byte("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" a token\"}}\n\n")
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Feed(delta, false, emit); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPeek(b *testing.B) {
	c, body := New(), in(full)
	b.ReportAllocs()
	b.SetBytes(int64(len(full)))
	for b.Loop() {
		if _, err := c.Peek(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTranslate(b *testing.B) {
	c := New()
	tg := target("claude-opus-4-8")
	b.ReportAllocs()
	b.SetBytes(int64(len(full)))
	for b.Loop() {
		req, err := c.ReadRequest(in(full))
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.WriteRequest(nil, req, tg); err != nil {
			b.Fatal(err)
		}
	}
}
