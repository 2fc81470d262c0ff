package routing

import (
	"cmp"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/glob"
)

// index finds routes by texts, as their places in a table. Tables of the same routes share one: it holds no route, and is a
// few arrays however many there are, since a collector of garbage looks at each pointer again and again.
type index struct {
	exact lists // by the very name of a model
	globs globs
	named []int32 // all, by their own names
}

func newIndex(routes []*Route) *index {
	x := &index{named: make([]int32, len(routes))}
	var exact []listed
	for i, r := range routes {
		n := int32(i)
		x.named[i] = n
		for _, m := range r.Models {
			if glob.Is(m) {
				x.globs.all = append(x.globs.all, pattern{m, n})
			} else {
				exact = append(exact, listed{m, n})
			}
		}
		if len(r.Models) == 0 && !r.Match.Plain() {
			x.globs.all = append(x.globs.all, pattern{"*", n})
		}
	}
	x.exact = newLists(exact)
	x.globs.index()
	slices.SortStableFunc(x.named, func(a, b int32) int { return strings.Compare(routes[a].Name, routes[b].Name) })
	return x
}

// lists are short lists of numbers, each found by a text.
type lists struct {
	of  map[string]span
	all []int32 // one list behind the other
}

// span is where a list begins and ends.
type span struct{ from, to int32 }

// listed is a number that belongs to the list of a text.
type listed struct {
	text string
	n    int32
}

// newLists groups numbers by their texts. Within a list they stay in order, and none is there twice in a row.
func newLists(all []listed) (l lists) {
	if len(all) == 0 {
		return l
	}
	slices.SortStableFunc(all, func(a, b listed) int { return strings.Compare(a.text, b.text) })
	l.of, l.all = map[string]span{}, make([]int32, 0, len(all))
	for i := range all {
		s := span{int32(len(l.all)), int32(len(l.all))}
		if i > 0 && all[i].text == all[i-1].text {
			if all[i].n == all[i-1].n {
				continue
			}
			s.from = l.of[all[i].text].from
		}
		l.all = append(l.all, all[i].n)
		s.to++
		l.of[all[i].text] = s
	}
	return l
}

// get returns the list of a text.
func (l *lists) get(text string) []int32 {
	s := l.of[text]
	return l.all[s.from:s.to]
}

// Route returns a route by name, or nil.
func (t *Table) Route(name string) *Route {
	end, _ := slices.BinarySearchFunc(t.index.named, name, func(n int32, name string) int {
		return cmp.Or(strings.Compare(t.routes[n].Name, name), -1) // behind the last of the name
	})
	if end == 0 {
		return nil
	}
	if r := t.routes[t.index.named[end-1]]; r.Name == name {
		return r
	}
	return nil
}
