package websocket_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/providers/wire/websocket"
)

// frame writes one frame. b0 is its first byte.
func frame(b0 byte, payload string, mask bool) []byte {
	out := []byte{b0}
	var m byte
	if mask {
		m = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		out = append(out, m|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, m|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, m|127), uint64(n))
	}
	if !mask {
		return append(out, payload...)
	}
	key := []byte{1, 2, 3, 4}
	out = append(out, key...)
	for i := range len(payload) {
		out = append(out, payload[i]^key[i&3])
	}
	return out
}

// read feeds bytes in pieces of n.
func read(p *websocket.Parser, b []byte, n int) (messages []string, ok bool) {
	ok = true
	for piece := range slices.Chunk(b, n) {
		ok = p.Feed(piece, func(m []byte) { messages = append(messages, string(m)) })
	}
	return messages, ok
}

func TestMessages(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for _, c := range []struct {
		name string
		in   []byte
		max  int
		want []string
		ok   bool
	}{
		{"one message", frame(0x81, "hello", false), 0, []string{"hello"}, true},
		{"an empty message", frame(0x81, "", false), 0, []string{""}, true},
		{"lengths of two and eight bytes", slices.Concat(frame(0x81, long[:300], false), frame(0x81, long, false)), 0, []string{long[:300], long}, true},
		{"in fragments, with a ping between", slices.Concat(frame(0x01, "he", false), frame(0x89, "ping", false), frame(0x00, "l", false), frame(0x80, "lo", false)), 0, []string{"hello"}, true},
		{"binary is passed over", slices.Concat(frame(0x02, "\x00", false), frame(0x80, "\x01", false), frame(0x81, "text", false)), 0, []string{"text"}, true},
		{"over the limit is passed over", slices.Concat(frame(0x81, "12345", false), frame(0x81, "1234", false)), 4, []string{"1234"}, true},
		{"masked", frame(0x81, "hello", true), 0, []string{"hello"}, true},
		{"compressed", slices.Concat(frame(0xc1, "hello", false), frame(0x81, "more", false)), 0, nil, false},
		{"a control frame in fragments", frame(0x09, "x", false), 0, nil, false},
		{"a control frame that is too long", frame(0x89, long[:126], false), 0, nil, false},
		{"a length beyond sense", []byte{0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0}, 0, nil, false},
		{"unfinished", frame(0x81, "hello", false)[:4], 0, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 7, 1 << 20} {
				got, ok := read(&websocket.Parser{Max: c.max}, c.in, n)
				if !slices.Equal(got, c.want) || ok != c.ok {
					t.Errorf("cut at %d: got %.80q, %v", n, got, ok)
				}
			}
		})
	}
}

func TestAnyMessagesComeWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "messages")
		var b []byte
		for _, m := range want {
			cut := rapid.IntRange(0, len(m)).Draw(t, "cut")
			mask := rapid.Bool().Draw(t, "mask")
			b = append(b, frame(0x01, m[:cut], mask)...)
			b = append(b, frame(0x80, m[cut:], mask)...)
		}
		got, ok := read(&websocket.Parser{}, b, rapid.IntRange(1, len(b)).Draw(t, "n"))
		if !ok || !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func FuzzParser(f *testing.F) {
	f.Add(frame(0x81, "hello", false), 3)
	f.Add(slices.Concat(frame(0x01, "a", true), frame(0x80, "b", false)), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		whole, ok := read(&websocket.Parser{Max: 64}, b, max(len(b), 1))
		cut, again := read(&websocket.Parser{Max: 64}, bytes.Clone(b), max(1, n%9))
		if !slices.Equal(whole, cut) || ok != again {
			t.Errorf("the cuts count: %q %v, %q %v", whole, ok, cut, again)
		}
	})
}
