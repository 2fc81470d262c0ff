package sse

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// chat is a stream of n chunks such as chat completions have.
func chat(n int) []byte {
	var out []byte
	for i := range n {
		out = AppendEvent(out, "", fmt.Appendf(nil, `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word %d "},"finish_reason":null}]}`, i))
	}
	return AppendEvent(out, "", []byte("[DONE]"))
}

func TestAWarmParserAllocatesNothing(t *testing.T) {
	event := []byte("event: x\ndata: a\ndata: b\n\n: keep-alive\n\ndata: {\"a\":1}\r\n\r\n")
	for _, tt := range []struct {
		name string
		size int
	}{{"whole", len(event)}, {"cut", 5}} {
		t.Run(tt.name, func(t *testing.T) {
			var p Parser
			n := 0
			emit := func(ev *Event) error { n += len(ev.Raw); return nil }
			feed := func() {
				for b := event; len(b) > 0; b = b[min(tt.size, len(b)):] {
					if err := p.Feed(b[:min(tt.size, len(b))], false, emit); err != nil {
						t.Fatal(err)
					}
				}
			}
			feed() // the first frames size the buffers
			if got := testing.AllocsPerRun(100, feed); got != 0 {
				t.Errorf("%v allocations for a chunk", got)
			}
			if n != 102*len(event) {
				t.Errorf("%d bytes came back, want %d", n, 102*len(event))
			}
		})
	}
}

func TestWritingIntoRoomAllocatesNothing(t *testing.T) {
	dst, data := make([]byte, 0, 128), []byte(`{"type":"ping"}`)
	if got := testing.AllocsPerRun(100, func() { dst = AppendComment(AppendEvent(dst[:0], "ping", data), "x") }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkFeed(b *testing.B) {
	stream := chat(200)
	for _, tt := range []struct {
		name string
		in   []byte
		size int
	}{
		{"chat in 4 KiB pieces", stream, 4096},
		{"chat in 100 B pieces", stream, 100},
		{"chat with carriage returns", bytes.ReplaceAll(stream, []byte("\n"), []byte("\r\n")), 4096},
		{"one 1 MB frame in 4 KiB pieces", AppendEvent(nil, "", []byte(strings.Repeat("x", 1_000_000))), 4096},
	} {
		b.Run(strings.ReplaceAll(tt.name, " ", "_"), func(b *testing.B) {
			b.SetBytes(int64(len(tt.in)))
			b.ReportAllocs()
			p := Parser{}
			n := 0
			emit := func(ev *Event) error { n += len(ev.Data); return nil }
			for b.Loop() {
				for in := tt.in; len(in) > 0; in = in[min(tt.size, len(in)):] {
					if err := p.Feed(in[:min(tt.size, len(in))], false, emit); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
