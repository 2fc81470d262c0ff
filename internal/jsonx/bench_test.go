package jsonx

import (
	"fmt"
	"strings"
	"testing"
)

// chat is a chat request of about size bytes, as clients send them.
func chat(size int, text string) []byte {
	b := []byte(`{"model":"gpt-4o-mini","temperature":0.7,"max_tokens":1024,"stream":true,"stream_options":{"include_usage":true},"user":"u-1","messages":[{"role":"system","content":"You are a helpful assistant."}`)
	for i := 0; len(b) < size-80; i++ {
		b = fmt.Appendf(b, `,{"role":%q,"content":%s}`, [...]string{"user", "assistant"}[i%2], AppendQuote(nil, strings.Repeat(text, 1+min(size, 8000)/400)))
	}
	return append(b, `],"tools":[]}`...)
}

const (
	prose = "It said \"no\", and then:\nthe quick brown fox jumps over the lazy dog again and again. "
	kanji = "素早い茶色の狐がのろまな犬を飛び越える。"
)

func TestScanOfAChatRequestAllocatesLittle(t *testing.T) {
	b := chat(1000, prose)
	if len(b) < 900 || len(b) > 1500 {
		t.Fatalf("the request has %d bytes", len(b))
	}
	got := testing.AllocsPerRun(100, func() {
		if _, err := Scan(b); err != nil {
			t.Fatal(err)
		}
	})
	if got > 4 { // the Doc, its members, their names, the scanner's room
		t.Errorf("%v allocations, at most 4", got)
	}
}

func TestWalkingAllocatesNothing(t *testing.T) {
	b := chat(1000, prose)
	n := 0
	got := testing.AllocsPerRun(100, func() {
		for _, m := range Elements(Get(b, "messages")) {
			for name, v := range Members(m) {
				n += len(name) + len(v)
			}
		}
		if v, ok := Int(Get(b, "max_tokens")); !ok || v != 1024 {
			t.Fatal("max_tokens is lost")
		}
	})
	if got != 0 || n == 0 {
		t.Errorf("%v allocations, %d bytes", got, n)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, bb := range []struct {
		name string
		body []byte
	}{
		{"1KB", chat(1000, prose)}, {"100KB", chat(100_000, prose)}, {"1MB", chat(1_000_000, prose)}, {"100KB_kanji", chat(100_000, kanji)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Scan(bb.body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSplice(b *testing.B) {
	for _, size := range []int{1000, 100_000, 1_000_000} {
		d, err := Scan(chat(size, prose))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(size/1000, "KB"), func(b *testing.B) {
			b.SetBytes(int64(len(d.Body)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = Splice(dst[:0], d.Body, d.Set("model", []byte(`"claude-sonnet-4-5"`)))
			}
		})
	}
}

func BenchmarkAppendQuote(b *testing.B) {
	for name, text := range map[string]string{"prose": strings.Repeat(prose, 100), "kanji": strings.Repeat(kanji, 100)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			var dst []byte
			for b.Loop() {
				dst = AppendQuote(dst[:0], text)
			}
		})
	}
}
