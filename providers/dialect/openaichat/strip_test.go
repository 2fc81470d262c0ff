package openaichat

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// maxHeld is the largest frame that a filter holds back.
const maxHeld = 64 << 10

func runStrip(body string, size int) (string, llm.Usage) {
	s := New().NewStrip()
	rng := rand.New(rand.NewPCG(2, uint64(len(body))))
	var out []byte
	for rest := []byte(body); ; {
		n := size
		if n == 0 {
			n = 1 + rng.IntN(100)
		}
		n = min(n, len(rest))
		out = s.Feed(out, bytes.Clone(rest[:n]), n == len(rest))
		if rest = rest[n:]; len(rest) == 0 {
			return string(out), s.Usage()
		}
	}
}

func TestStripTakesOutTheUsageFrameAndNothingElse(t *testing.T) {
	const usage = `{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}`
	text := `data: {"id":"c","choices":[{"index":0,"delta":{"content":"say \"usage\":{}"}}],"usage":null}`
	frame := `data: {"id":"c","choices":[],"usage":` + usage + `}`
	azure := `data: {"id":"","choices":[],"prompt_filter_results":[]}`
	finish := `data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":` + usage + `}`
	for _, tc := range []struct {
		name, in, want string
		usage          bool
	}{
		{"asked", text + "\n\n" + frame + "\n\ndata: [DONE]\n\n", text + "\n\ndata: [DONE]\n\n", true},
		{"CRLF", text + "\r\n\r\n" + frame + "\r\n\r\ndata: [DONE]\r\n\r\n", text + "\r\n\r\ndata: [DONE]\r\n\r\n", true},
		{"CR", text + "\r\r" + frame + "\r\rdata: [DONE]\r\r", text + "\r\rdata: [DONE]\r\r", true},
		{"no space, no last blank line", "data:" + strings.TrimPrefix(frame, "data: "), "", true},
		{"a comment before it stays", ": hi\n\n" + frame + "\n\n: bye\n\n", ": hi\n\n: bye\n\n", true},
		{"a null usage is no frame of it", text + "\n\n", text + "\n\n", false},
		{"Azure's first chunk stays", azure + "\n\n" + text + "\n\n", azure + "\n\n" + text + "\n\n", false},
		{"usage on the finish stays", finish + "\n\ndata: [DONE]\n\n", finish + "\n\ndata: [DONE]\n\n", true},
		{"an error stays", "data: {\"error\":{\"message\":\"usage\"}}\n\n", "data: {\"error\":{\"message\":\"usage\"}}\n\n", false},
		{"a cut frame stays", text + "\n\ndata: {\"cho", text + "\n\ndata: {\"cho", false},
		{"a huge frame flows", "data: {\"x\":\"" + strings.Repeat("y", 3*maxHeld) + "\"}\n\n" + frame + "\n\nend",
			"data: {\"x\":\"" + strings.Repeat("y", 3*maxHeld) + "\"}\n\nend", true},
		{"nothing", "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{len(tc.in) + 1, 1, 2, 3, 7, 64, 0} {
				got, u := runStrip(tc.in, size)
				if got != tc.want {
					t.Fatalf("cut at %d:\ngot  %q\nwant %q", size, clipped(got), clipped(tc.want))
				}
				if u.Known() != tc.usage || tc.usage && (u.Input.N != 3 || u.Output.N != 4) {
					t.Errorf("cut at %d: usage %+v", size, u)
				}
			}
		})
	}
}

func clipped(s string) string {
	if len(s) > 400 {
		return s[:200] + "…" + s[len(s)-200:]
	}
	return s
}

func TestStripOfRecordedStreams(t *testing.T) {
	for _, r := range records(t) {
		if r.Kind != "sse" {
			continue
		}
		want, usage := runStrip(r.Body, len(r.Body))
		for _, size := range []int{1, 3, 64, 0} {
			if got, u := runStrip(r.Body, size); got != want || !cmp.Equal(u, usage) {
				t.Errorf("%s cut at %d: another result", r.ID, size)
			}
		}
		if before, after := strings.Count(r.Body, "data:"), strings.Count(want, "data:"); before-after > strings.Count(strings.ReplaceAll(r.Body, " ", ""), `"choices":[]`) {
			t.Errorf("%s: %d frames became %d", r.ID, before, after)
		}
		whole, left := readCut(t, nil, true, []byte(r.Body), len(r.Body)), readCut(t, nil, true, []byte(want), max(1, len(want)))
		if usage.Known() && !cmp.Equal(usage, whole.usage) && !strings.Contains(r.Body, `"x_groq"`) {
			t.Errorf("%s: usage %+v, the reader has %+v", r.ID, usage, whole.usage)
		}
		if whole.failed == nil && left.failed == nil && len(whole.lines) != len(left.lines) {
			t.Errorf("%s: the answer changed", r.ID)
		}
	}
}

// chunkFeed is the warm state of a stream: an upstream's frame of text.
const chunkFrame = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" word\n"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"

func TestStripAllocatesNothingOnceWarm(t *testing.T) {
	s := New().NewStrip()
	dst := make([]byte, 0, 4096)
	frame := []byte(chunkFrame)
	dst = s.Feed(dst[:0], frame[:50], false)
	dst = s.Feed(dst, frame[50:], false)
	if n := testing.AllocsPerRun(100, func() {
		dst = s.Feed(dst[:0], frame, false)
		dst = s.Feed(dst, frame[:100], false)
		dst = s.Feed(dst, frame[100:], false)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWritingADeltaAllocatesNothingOnceWarm(t *testing.T) {
	w := New().NewWriter(&llm.Request{Body: &llm.Chat{}}, true)
	dst := make([]byte, 0, 4096)
	for _, ev := range []llm.Event{
		{Kind: llm.EvStarted, ID: "x", Name: "m"},
		{Kind: llm.EvBlockStarted, Index: 0, Part: llm.PartText},
		{Kind: llm.EvBlockStarted, Index: 1, Part: llm.PartCall, ID: "c", Name: "f"},
	} {
		if _, err := w.Write(dst, &ev); err != nil {
			t.Fatal(err)
		}
	}
	text := llm.Event{Kind: llm.EvDelta, Index: 0, Part: llm.PartText, Text: []byte("wörd \"\n")}
	args := llm.Event{Kind: llm.EvDelta, Index: 1, Part: llm.PartCall, Text: []byte(`{"a":`)}
	if n := testing.AllocsPerRun(100, func() {
		dst, _ = w.Write(dst[:0], &text)
		dst, _ = w.Write(dst, &args)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReadingAChunkAllocatesNothingOnceWarm(t *testing.T) {
	r := New().NewReader(nil, true)
	frame := []byte(chunkFrame)
	emit := func(*llm.Event) error { return nil }
	if err := r.Feed(frame, false, emit); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := r.Feed(frame, false, emit); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkChunk(b *testing.B) {
	frame := []byte(chunkFrame)
	b.Run("strip", func(b *testing.B) {
		s := New().NewStrip()
		dst := make([]byte, 0, 4096)
		b.SetBytes(int64(len(frame)))
		b.ReportAllocs()
		for b.Loop() {
			dst = s.Feed(dst[:0], frame, false)
		}
	})
	b.Run("read and write", func(b *testing.B) {
		c := New()
		r, w := c.NewReader(nil, true), c.NewWriter(&llm.Request{Body: &llm.Chat{}}, true)
		dst := make([]byte, 0, 4096)
		emit := func(ev *llm.Event) (err error) {
			dst, err = w.Write(dst, ev)
			return err
		}
		b.SetBytes(int64(len(frame)))
		b.ReportAllocs()
		for b.Loop() {
			dst = dst[:0]
			if err := r.Feed(frame, false, emit); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"model":"gpt-4o","stream":true,"messages":[`)
	for i := range 20 {
		fmt.Fprintf(&body, `{"role":"user","content":"%s"},{"role":"assistant","content":"%s"},`, strings.Repeat("word ", 100), strings.Repeat("w\\n", i))
	}
	body.WriteString(`{"role":"user","content":"Hi"}]}`)
	in := inbound([]byte(body.String()))
	c := New()
	b.Run("peek", func(b *testing.B) {
		b.SetBytes(int64(len(in.Body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Peek(in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(in.Body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.ReadRequest(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
