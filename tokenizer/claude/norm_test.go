//go:build !noclaude

package claude

import (
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/text/unicode/norm"
)

func TestComposedFormIsThatOfTheLibrary(t *testing.T) {
	f := open(t, "claude-4.8")
	n := normalizer{f: f}
	r := rand.New(rand.NewPCG(7, 8))
	var odd []rune
	for c := rune(0xA0); c < 0x20000; c++ {
		if f.classes.of(c)&(unstable|decomposes) != 0 && f.classes.of(c)&dirty == 0 && c != 0x0E4D && c != 0x0897 {
			odd = append(odd, c)
		}
	}
	if len(odd) < 13000 {
		t.Fatalf("only %d characters that compose", len(odd))
	}
	check := func(text string) {
		got, want := string(n.normalize([]byte(text))), norm.NFC.String(text)
		if got != want {
			t.Errorf("%+q: got %+q, want %+q", text, got, want)
		}
	}
	for _, c := range odd {
		check(string(c))
		check("a" + string(c))
		check(norm.NFD.String(string(c)))
	}
	marks := slices.DeleteFunc(slices.Clone(odd), func(c rune) bool { return f.classes.of(c)&unstable == 0 })
	for range 50000 {
		s := []rune{'a', 0x1100, 'o', 0xAC00, odd[r.IntN(len(odd))]}[r.IntN(5):][:1]
		for range r.IntN(6) {
			switch r.IntN(3) {
			case 0:
				s = append(s, odd[r.IntN(len(odd))])
			case 1:
				s = append(s, marks[r.IntN(len(marks))])
			default:
				s = append(s, rune(0x300+r.IntN(0x28)))
			}
		}
		check(string(s))
	}
}
