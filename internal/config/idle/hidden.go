package idle

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/glob"
)

// earlier finds, among the routes that were put into it, those that take what a later one could take. Of ten thousand routes one
// is compared with the few that could come before it at all, since each stands where whoever it covers is sure to look: at
// a model and at one condition that it states.
//
// A route that is covered by one before it, under a model, is left out there: what it covers, that one covers too.
type earlier struct {
	at     map[place][]int  // routes in order
	begins map[string][]int // by field, the lengths of what stands before wildcards, ascending
}

// place is where a route stands: under a model and a value of a condition, or under what its pattern begins with. Without a
// field: it states no condition that would tell it from others.
type place struct {
	model, field, value string
	pattern             bool
}

// stated is a condition of a route that names values.
type stated struct {
	field  string
	values []string
}

// mostPlaces is how many values of a condition are places of a route.
const mostPlaces = 16

func newEarlier() *earlier { return &earlier{map[place][]int{}, map[string][]int{}} }

// conditions are those that name values, the one that is likely to tell routes apart first.
func conditions(m *config.Match) (all []stated) {
	add := func(field string, values ...string) {
		if len(values) > 0 {
			all = append(all, stated{field, values})
		}
	}
	add("keys", m.Keys...)
	add("end_users", m.EndUsers...)
	add("projects", m.Projects...)
	add("teams", m.Teams...)
	if m.When != "" {
		add("when", m.When)
	}
	for name, values := range m.Tags {
		add("tags."+strings.ToLower(name), strings.Split(values, "|")...)
	}
	for name, values := range m.Headers {
		add("headers."+strings.ToLower(name), strings.Split(values, "|")...)
	}
	add("organizations", m.Organizations...)
	add("operations", m.Operations...)
	return all
}

// put adds a route, which comes behind all that are there, under one of its models. What it covers states the same condition, with
// values that are among its own or fit its patterns.
func (x *earlier) put(model string, i int, conditions []stated) {
	n := slices.IndexFunc(conditions, func(c stated) bool { return len(c.values) <= mostPlaces })
	if n < 0 {
		x.add(place{model: model}, i)
		return
	}
	c := &conditions[n]
	for _, v := range c.values {
		x.add(place{model: model, field: c.field, value: v}, i)
		if !glob.Is(v) || c.field == "when" {
			continue
		}
		begin := v[:strings.IndexAny(v, "*?")]
		x.add(place{model, c.field, begin, true}, i)
		if at, found := slices.BinarySearch(x.begins[c.field], len(begin)); !found {
			x.begins[c.field] = slices.Insert(x.begins[c.field], at, len(begin))
		}
	}
}

func (x *earlier) add(p place, i int) {
	if all := x.at[p]; len(all) == 0 || all[len(all)-1] != i {
		x.at[p] = append(all, i)
	}
}

// first returns the first route that takes all that a model stands for of what has conditions, -1: there is none. covers decides.
func (x *earlier) first(model string, conditions []stated, covers func(i int) bool) int {
	best := -1
	look := func(p place) {
		for _, i := range x.at[p] {
			if best >= 0 && i >= best {
				return
			}
			if covers(i) {
				best = i
			}
		}
	}
	models := []string{model}
	if glob.Is(model) && model != "*" {
		models = append(models, "*")
	}
	for _, model := range models {
		look(place{model: model})
		for _, c := range conditions {
			v := c.values[0] // as good as any: all of them must be covered
			look(place{model: model, field: c.field, value: v})
			for _, n := range x.begins[c.field] {
				if n <= len(v) {
					look(place{model, c.field, v[:n], true})
				}
			}
		}
	}
	return best
}
