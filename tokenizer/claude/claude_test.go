//go:build !noclaude

package claude

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var names = []string{"claude-3", "claude-4.7", "claude-4.8", "claude-opus-5"}

func TestOpenSaysWhichFamilyThereIsNot(t *testing.T) {
	if _, err := Open("claude-9"); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
}

func TestASuffixIsAContractionUnlessASymbolStandsBefore(t *testing.T) {
	for _, c := range []struct {
		text string
		want [3]int // as ctok 1.3.0 counts with the characters of Unicode 16, by version
	}{
		{"a's", [3]int{9, 13, 8}},
		{"Ⅷ's", [3]int{14, 18, 13}},
		{"ⓐ's", [3]int{14, 18, 13}}, // a letter in a circle is a letter, and a symbol
		{"aⓐ's x", [3]int{15, 19, 14}},
		{"xⒶ'll say", [3]int{15, 20, 15}},
		{"a\u0897's", [3]int{13, 17, 12}}, // a mark since Unicode 16, which is no symbol
		{"b\u1C8A's", [3]int{13, 17, 12}}, // a letter since Unicode 16
	} {
		for i, v := range versions {
			f := open(t, v.family)
			if got := f.Count([]byte(c.text)) + f.Frame; got != c.want[i] {
				t.Errorf("%s: %+q: got %d, want %d", v.family, c.text, got, c.want[i])
			}
			checkStream(t, f, []byte(strings.Repeat(c.text+" ", 40)), 1)
		}
	}
}

// mixed makes texts of pieces that meet each other's rules.
func mixed() *rapid.Generator[[]byte] {
	odd := append(append(append([]string{"\xff", "\xe4\xb8", "\xf0\x9f", " ", "\n"}, sampleWords...), sampleOdd...), sampleBlanks...)
	return rapid.Custom(func(t *rapid.T) []byte {
		var b []byte
		for range rapid.IntRange(0, 60).Draw(t, "parts") {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				b = append(b, rapid.StringN(0, 4, 16).Draw(t, "text")...)
			case 1:
				b = append(b, rapid.StringMatching(`[a-z]{1,6} `).Draw(t, "word")...)
			default:
				b = append(b, rapid.SampledFrom(odd).Draw(t, "odd")...)
			}
		}
		return b
	})
}

func TestStreamCutAnywhereCountsAsTheWhole(t *testing.T) {
	for _, name := range names {
		f := open(t, name)
		rapid.Check(t, func(t *rapid.T) {
			checkStream(t, f, mixed().Draw(t, "text"), rapid.Uint64().Draw(t, "seed"))
		})
	}
}

// checkStream compares a stream that is cut at random with one count of the whole.
func checkStream(tb interface{ Fatalf(string, ...any) }, f *Family, text []byte, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	s := f.Stream()
	for i := 0; i < len(text); {
		n := min(1+r.IntN(12), len(text)-i)
		s.Add(text[i : i+n])
		i += n
		if r.IntN(8) == 0 {
			if got, want := s.Total(), f.Count(text[:i]); got != want {
				tb.Fatalf("%s: %q: stream %d, whole %d", f.Name, text[:i], got, want)
			}
		}
	}
	if got, want := s.Total(), f.Count(text); got != want {
		tb.Fatalf("%s: %q: stream %d, whole %d", f.Name, text, got, want)
	}
}

func TestTextLongerThanAWindowCountsAsOneWalk(t *testing.T) {
	f := open(t, "claude-3")
	w := f.walker()
	for name, piece := range adversarial {
		text := fill(300<<10, piece)
		if got, want := f.Count(text), w.part(atStart, text, true); got != want {
			t.Errorf("%s: %d in windows, %d in one walk", name, got, want)
		}
	}
	if text := prose(300 << 10); f.Count(text) != w.part(atStart, text, true) {
		t.Error("prose differs in windows")
	}
}

func TestLongRunsCountAsTileByTile(t *testing.T) {
	for _, name := range []string{"claude-3", "claude-opus-5"} {
		f := open(t, name)
		for _, c := range []string{"a", "A", " ", "\n", ".", "-", "=", "中", "é", "🙂", "\u0301", "ー", "·", "0", "\t"} {
			for _, n := range []int{1100, 1151, 2222, 5003} {
				seg := bytes.Repeat([]byte(c), n)
				var fast, slow tiler
				got := fast.tile(f.pieces, seg)
				slow.reset(ring)
				slow.best[0] = 0
				for i := 0; i < len(seg); i += len(c) {
					slow.step(f.pieces, seg, i, len(c))
				}
				if want := int(slow.best[len(seg)&(ring-1)]); got != want {
					t.Errorf("%s: %d × %q: %d tiles, want %d", name, n, c, got, want)
				}
			}
		}
	}
}

func TestCountAllocatesNothingOnceWarm(t *testing.T) {
	f := open(t, "claude-3")
	for name, text := range map[string][]byte{
		"prose": prose(10 << 10), "marks": fill(10<<10, adversarial["marked letters"]), "thai": fill(10<<10, adversarial["thai"]),
		"bytes": fill(10<<10, adversarial["random bytes"]), "many marks": fill(10<<10, adversarial["other marks"]),
	} {
		f.Count(text)
		if n := testing.AllocsPerRun(20, func() { f.Count(text) }); n > 0.1 {
			t.Errorf("%s: %.1f allocations", name, n)
		}
	}
}

func TestAFamilyStaysSmall(t *testing.T) {
	for _, name := range names {
		f := open(t, name)
		w := f.walker()
		size := len(f.pieces.units)*8 + len(f.classes.index)*2 + len(f.classes.blocks)*blockSize*4 + len(f.joined)*8 + len(w.memo)*32
		if size > 4<<20 {
			t.Errorf("%s: %d bytes resident, at most 4 MB", name, size)
		}
		t.Logf("%s: %d KB", name, size>>10)
	}
}

func FuzzCount(f *testing.F) {
	for _, s := range sampleOdd {
		f.Add([]byte(" a"+s+" b"), uint64(1))
	}
	var all []*Family
	for _, name := range names {
		all = append(all, open(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		for _, c := range all {
			n := c.Count(text)
			// A byte that is no character is three bytes of U+FFFD; each run has at most three markers.
			if n < 0 || n > 6*len(text)+1 {
				t.Fatalf("%s: %d tokens for %d bytes", c.Name, n, len(text))
			}
			if utf8.Valid(text) && n > 4*len(text)+1 {
				t.Fatalf("%s: %d tokens for %d bytes of UTF-8", c.Name, n, len(text))
			}
			checkStream(t, c, text, seed)
		}
	})
}
