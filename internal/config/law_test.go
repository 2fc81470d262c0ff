package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestWithinLaw compares what is known to be below a path with the definition, on paths of few letters.
func TestWithinLaw(t *testing.T) {
	path := rapid.StringMatching(`[ab]?([.\[][ab]?\]?){0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		d := &decoder{src: newSource("f", nil), bad: map[string]bool{}}
		for _, p := range rapid.SliceOfN(path, 0, 5).Draw(t, "bad") {
			d.failAt(nil, p, "it is wrong")
		}
		asked := path.Draw(t, "asked")
		want := false
		for p := range d.bad {
			want = want || p == asked || strings.HasPrefix(p, asked+".") || strings.HasPrefix(p, asked+"[")
		}
		if got := d.within(asked); got != want {
			t.Fatalf("of %q below %v it is %v, not %v", asked, d.bad, got, want)
		}
	})
}

// TestShowLaw compares which words excerpts may show with the definition, whatever was shown before.
func TestShowLaw(t *testing.T) {
	text := rapid.StringMatching(`(sk-|a|b|key)?[ab]?:?:?( |"|,)?[ab]?:?`)
	rapid.Check(t, func(t *rapid.T) {
		s, want := newSource("f", nil), newSource("f", nil).open
		for _, v := range rapid.SliceOfN(text, 0, 6).Draw(t, "shown") {
			s.show(v)
			if looksSecret(v) {
				continue
			}
			for _, w := range words(v) {
				want[v[w[0]:w[1]]] = true
			}
		}
		if diff := cmp.Diff(s.open, want); diff != "" {
			t.Fatal(diff)
		}
	})
}
