package routing

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/glob"
)

// globs are the patterns of a table in order. Where they are many they are found by what stands before their first wildcard: of ten
// thousand, a model then meets the few that begin as it does, for a lookup by each length that such beginnings have.
type globs struct {
	all     []pattern
	begins  lists // none: they are few
	lengths []int // of their texts, ascending
}

// pattern is a pattern of a route.
type pattern struct {
	text  string
	route int32
}

// few patterns are looked through one by one.
const few = 16

// index makes the patterns ready, once all are there.
func (g *globs) index() {
	if len(g.all) <= few {
		return
	}
	all := make([]listed, len(g.all))
	for i, p := range g.all {
		begin := p.text[:strings.IndexAny(p.text, "*?")]
		all[i] = listed{begin, int32(i)}
		if at, found := slices.BinarySearch(g.lengths, len(begin)); !found {
			g.lengths = slices.Insert(g.lengths, at, len(begin))
		}
	}
	g.all, g.begins = slices.Clip(g.all), newLists(all)
}

// each calls yield for the pattern's route of each pattern that a model matches, in order, until it returns false.
func (g *globs) each(model string, yield func(route int32) bool) {
	if len(g.lengths) == 0 {
		for _, p := range g.all {
			if glob.Match(p.text, model) && !yield(p.route) {
				return
			}
		}
		return
	}
	var room [few]int32
	may := room[:0]
	for _, n := range g.lengths {
		if n > len(model) {
			break
		}
		for _, i := range g.begins.get(model[:n]) {
			if glob.Match(g.all[i].text, model) {
				may = append(may, i)
			}
		}
	}
	slices.Sort(may)
	for _, i := range may {
		if !yield(g.all[i].route) {
			return
		}
	}
}
