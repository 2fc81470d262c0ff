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
	begins  map[string][]int32 // nil: they are few
	lengths []int              // of the keys, ascending
}

// few patterns are looked through one by one.
const few = 16

// index makes the patterns ready, once all are there.
func (g *globs) index() {
	if len(g.all) <= few {
		return
	}
	g.begins = map[string][]int32{}
	for i, p := range g.all {
		begin := p.pattern[:strings.IndexAny(p.pattern, "*?")]
		g.begins[begin] = append(g.begins[begin], int32(i))
		if at, found := slices.BinarySearch(g.lengths, len(begin)); !found {
			g.lengths = slices.Insert(g.lengths, at, len(begin))
		}
	}
}

// each calls yield for the pattern's route of each pattern that a model matches, in order, until it returns false.
func (g *globs) each(model string, yield func(*Route) bool) {
	if g.begins == nil {
		for _, p := range g.all {
			if glob.Match(p.pattern, model) && !yield(p.route) {
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
		for _, i := range g.begins[model[:n]] {
			if glob.Match(g.all[i].pattern, model) {
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
