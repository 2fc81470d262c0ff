package routing

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/glob"
)

// However many patterns there are, a model meets those that it matches, in their order.
func TestManyPatternsAreMetAsFewAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,3}[*?][ab*?]{0,2}`), 0, 60).Draw(t, "patterns")
		model := rapid.StringMatching(`[ab]{0,5}`).Draw(t, "model")
		var g globs
		var want []int32
		for i, p := range patterns {
			g.all = append(g.all, pattern{p, int32(i)})
			if glob.Match(p, model) {
				want = append(want, int32(i))
			}
		}
		g.index()
		var got []int32
		g.each(model, func(route int32) bool { got = append(got, route); return true })
		if !slices.Equal(got, want) {
			t.Fatalf("met %v, want %v", got, want)
		}
		got = nil
		g.each(model, func(route int32) bool { got = append(got, route); return false })
		if len(got) != min(1, len(want)) {
			t.Fatalf("met %v after the first", got)
		}
	})
}

func BenchmarkFindAmong(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		var routes []*Route
		for i := range n {
			routes = append(routes, &Route{Name: strconv.Itoa(i), Models: []string{"team-" + strconv.Itoa(i) + "/*"}})
		}
		routes = append(routes, &Route{Name: "last", Models: []string{"gpt*"}})
		table := NewTable(routes, nil)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if table.Match("gpt-5") == nil {
					b.Fatal("none takes it")
				}
			}
		})
	}
}
