package config

import (
	"strings"
	"testing"

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
