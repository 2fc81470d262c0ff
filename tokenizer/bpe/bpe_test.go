package bpe

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

func open(t testing.TB, name string) *Encoding {
	t.Helper()
	read := func() (*vocab.Vocab, error) { return vocab.Open(name) }
	v, err := read()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(v, read)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// hostile returns inputs of n bytes that slow tokenizers down.
func hostile(n int) map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	fill := func(f func() string) []byte {
		b := make([]byte, 0, n+8)
		for len(b) < n {
			b = append(b, f()...)
		}
		return b[:n]
	}
	rep := func(s string) []byte { return fill(func() string { return s }) }
	pick := func(s string) func() string {
		rs := []rune(s)
		return func() string { return string(rs[r.IntN(len(rs))]) }
	}
	return map[string][]byte{
		"one letter":         rep("a"),
		"one capital":        rep("Z"),
		"spaces":             rep(" "),
		"newlines":           rep("\n"),
		"digits":             rep("7"),
		"hyphens":            rep("-"),
		"equals and hyphens": rep("-="),
		"three in turn":      rep("abc"),
		"five in turn":       rep("}{)(;"),
		"random letters":     fill(pick("abcdefghijklmnopqrstuvwxyz")),
		"two random letters": fill(pick("ab")),
		"random white space": fill(pick(" \t\n\r")),
		"random marks":       fill(pick("\u0301\u0302\u0303\u0308")),
		"one mark":           rep("\u0301"),
		"random punctuation": fill(pick("!\"#$%&()*+,-./:;<=>?@[]^_{|}~")),
		"Han":                fill(func() string { return string(rune(0x4e00 + r.IntN(3000))) }),
		"one Han":            rep("国"),
		"Cyrillic":           fill(pick("абвгдежзийклмнопрстуфхцчшщъыьэюя")),
		"emoji":              fill(func() string { return string(rune(0x1f300 + r.IntN(600))) }),
		"random bytes":       fill(func() string { return string([]byte{byte(r.Uint32())}) }),
		"invalid":            rep("\xff"),
		"truncated":          rep("\xe4\xbd"),
		"mixed case":         fill(pick("aAbBcC")),
		"apostrophes":        rep("'"),
		"contractions":       rep("'ll"),
		"nul":                rep("\x00"),
		"base64":             fill(pick("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")),
	}
}

// plain counts by merging bytes the slow way: nothing of the tables but what two tokens merge into.
func (e *Encoding) plain(p []byte) int {
	var w work
	p = e.clean(p, &w)
	n := 0
	for i := 0; i < len(p); {
		j := e.rules.Next(p, i)
		n += len(e.slow(p[i:j]))
		i = j
	}
	return n
}

// slow merges bytes by the lowest rank until nothing can be.
func (e *Encoding) slow(p []byte) (ids []uint32) {
	for _, b := range p {
		ids = append(ids, e.bytes[b])
	}
	for {
		at, best := -1, uint32(never)
		for i := range len(ids) - 1 {
			if r := e.pairs.rank(ids[i], ids[i+1]); r < best {
				at, best = i, r
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = best
		ids = append(ids[:at+1], ids[at+2:]...)
	}
}

func TestLongInputsCountAsPlainMergingDoes(t *testing.T) {
	for _, name := range []string{"o200k_base", "cl100k_base", "kimi_k2"} {
		e := open(t, name)
		for kind, p := range hostile(1000) {
			for _, n := range []int{65, 127, 300, 1000} {
				if got, want := e.Count(p[:n]), e.plain(p[:n]); got != want {
					t.Errorf("%s: %d bytes of %s: got %d, want %d", name, n, kind, got, want)
				}
			}
		}
	}
}

func TestBlocksJoin(t *testing.T) {
	e := open(t, "o200k_base")
	for kind, p := range hostile(3 * block) {
		var w, x work
		p = bytes.ToValidUTF8(p, []byte("?"))
		got := len(e.blocks(nil, p, &w))
		if want := len(e.queued(p, 0, &x.queue)); got != want {
			t.Errorf("%s: got %d, want %d", kind, got, want)
		}
		n, ok := e.smallWindows(p, &w)
		if ok && n != got {
			t.Errorf("%s: small windows got %d, want %d", kind, n, got)
		}
		if n, ok := e.run(p, &w); ok && n != got {
			t.Errorf("%s: as a run got %d, want %d", kind, n, got)
		}
	}
}

func TestARunOfTheSameBytesCountsAsMergingAllOfIt(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	letters := []rune("ab-= \n/éж国")
	for _, name := range []string{"o200k_base", "tekken"} {
		e := open(t, name)
		var w, x work
		quick := 0
		for range 400 {
			var period []byte
			for range 1 + r.IntN(5) {
				period = utf8.AppendRune(period, letters[r.IntN(len(letters))])
			}
			p := bytes.Repeat(period, (runFrom+r.IntN(3000))/len(period)+1)
			n, ok := e.run(p, &w)
			if !ok {
				continue
			}
			quick++
			if want := len(e.queued(p, 0, &x.queue)); n != want {
				t.Errorf("%s: %d times %q: got %d, want %d", name, len(p)/len(period), period, n, want)
			}
		}
		if quick < 100 {
			t.Errorf("%s: only %d of 400 were continued", name, quick)
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	e := open(b, "o200k_base")
	for kind, p := range hostile(1 << 20) {
		b.Run(strings.ReplaceAll(kind, " ", "-"), func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				e.Count(p)
			}
		})
	}
}
