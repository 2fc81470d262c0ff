package idle

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
)

// plainly is what Find says of routes that others hide, by comparing each with every one before it.
func plainly(c *config.Config) (out config.Warnings) {
	for i := range c.Routes {
		r := &c.Routes[i]
		if by := hiding(c, i); len(by) > 0 && !r.ClientHeaders.Route {
			out = append(out, c.Fault(fmt.Sprintf("routes[%d].match", i), fmt.Sprintf("no request takes the route %q: all that it could take go to %s before it", r.Name, strings.Join(by, " and "))))
		}
	}
	slices.SortStableFunc(out, func(a, b *config.Error) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return out
}

// hiding are the routes before the i-th that together take every request that it could take; none: it takes some.
func hiding(c *config.Config, i int) (by []string) {
	for _, m := range names(&c.Routes[i].Match) {
		n := slices.IndexFunc(c.Routes[:i], func(o config.Route) bool { return takes(&o.Match, m) && covers(&o.Match, &c.Routes[i].Match) })
		if n < 0 {
			return nil
		}
		if name := strconv.Quote(c.Routes[n].Name); !slices.Contains(by, name) {
			by = append(by, name)
		}
	}
	return by
}

// Of few names and values, so that routes often meet.
var (
	someModels = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"*", "a*", "a?", "ab*", "a", "ab", "b", "?"}), 1, 3, rapid.ID)
	someValues = rapid.OneOf(
		rapid.SliceOfN(rapid.SampledFrom([]string{"x", "xy", "xyz", "y", "x*", "xy*", "*", "?y", "*y"}), 1, 3),
		rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 20), func(n int) string { return "x" + strconv.Itoa(n) }), mostPlaces-1, mostPlaces+2, rapid.ID),
	)
	somePaired = rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"x", "xy", "y", "x*", "*", ""}), 1, 3), func(all []string) string { return strconv.Quote(cmp.Or(strings.Join(all, "|"), "|")) })
	listed     = rapid.Map(someValues, quoted)
	either     = rapid.SampledFrom([]string{"true", "false"})
)

func quoted(all []string) string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = strconv.Quote(all[i])
	}
	return "[ " + strings.Join(out, ", ") + " ]"
}

// condition is one that a route may state, with its values.
var condition = rapid.Custom(func(t *rapid.T) [2]string {
	field := rapid.SampledFrom([]string{"keys", "organizations", "teams", "projects", "end_users", "end_users", "end_users", "end_users", "end_users", "tags", "headers", "headers", "operations", "stream", "tools", "images", "when", "tokens"}).Draw(t, "field")
	var is string
	switch field {
	case "tags", "headers":
		all := rapid.MapOfN(rapid.SampledFrom([]string{"f", "g"}), somePaired, 1, 2).Draw(t, "pairs")
		for _, name := range []string{"f", "g"} {
			if v, ok := all[name]; ok {
				if rapid.Bool().Draw(t, "upper") && field == "headers" {
					name = strings.ToUpper(name)
				}
				is += strings.Repeat(", ", min(1, len(is))) + name + ": " + v
			}
		}
		is = "{ " + is + " }"
	case "operations":
		is = quoted(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"chat", "embed", "rerank"}), 1, 3, rapid.ID).Draw(t, "operations"))
	case "stream", "tools", "images":
		is = either.Draw(t, "either")
	case "when":
		is = rapid.SampledFrom([]string{`"request.tokens * 2 > 4"`, `"request.tokens > 4"`}).Draw(t, "when")
	case "tokens":
		from := rapid.IntRange(1, 4).Draw(t, "min")
		is = fmt.Sprintf("{ min: %d, max: %d }", from, from+rapid.IntRange(1, 3).Draw(t, "more"))
		if rapid.Bool().Draw(t, "no end") {
			is = fmt.Sprintf("{ min: %d }", from)
		}
	default:
		is = listed.Draw(t, "values")
	}
	return [2]string{field, is}
})

// drawn writes a configuration of routes that may hide one another.
func drawn(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("providers: [ { name: eu, kind: mock } ]\nroutes:\n")
	pool := rapid.SampledFrom(rapid.SliceOfN(condition, 2, 6).Draw(t, "pool"))
	bare := map[string]bool{}
	for i := range rapid.IntRange(2, 14).Draw(t, "routes") {
		var match []string
		conditions := rapid.SliceOfNDistinct(pool, 0, 1+i%2, func(c [2]string) string { return c[0] }).Draw(t, "conditions")
		models := someModels.Draw(t, "models")
		if len(conditions) == 0 { // a name that such a route has already is an error
			models = slices.DeleteFunc(models, func(m string) bool { return bare[m] })
			for _, m := range models {
				bare[m] = true
			}
			if len(models) == 0 {
				continue
			}
		}
		if len(conditions) == 0 || rapid.Bool().Draw(t, "named") {
			match = append(match, "models: "+quoted(models))
		}
		for _, c := range conditions {
			match = append(match, c[0]+": "+c[1])
		}
		client := ""
		if rapid.IntRange(0, 9).Draw(t, "client") == 0 {
			client = ", client_headers: { route: true }"
		}
		fmt.Fprintf(&b, "  - { name: r%d, match: { %s }, targets: [ eu/a ]%s }\n", i, strings.Join(match, ", "), client)
	}
	return b.String()
}

// TestHiddenLaw compares what is found of routes that others hide with the plain rule: the same texts at the same places, in the
// same order.
func TestHiddenLaw(t *testing.T) {
	some, several := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		text := drawn(t)
		c, err := config.Parse("signalbox.yaml", []byte(text), all.Kinds())
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		got, want := Find(c, Facts{About: nothing}).Report(), plainly(c).Report()
		if got != want {
			t.Fatalf("of\n%s\ngot\n%s\nwant\n%s", text, got, want)
		}
		some, several = some+min(1, len(want)), several+strings.Count(want, `" and "`)
	})
	if some == 0 || several == 0 {
		t.Errorf("%d configurations had hidden routes, and %d routes were hidden by several: too few to show anything", some, several)
	}
}

// nothing is known of targets.
func nothing(_, _, _ string) *routing.About { return nil }

// taken reports whether some route takes a model.
func taken(c *config.Config, model string) bool {
	for range c.Table().Of(model) {
		return true
	}
	return false
}

// TestReachLaw compares which keys can use no route with the plain rule: each key with each route, and with each alias.
func TestReachLaw(t *testing.T) {
	about := func(provider, _, _ string) *routing.About { return &routing.About{Kind: "mock", Region: provider} }
	some, aliased := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		routes := drawn(t)
		plain, err := config.Parse("signalbox.yaml", []byte(routes), all.Kinds())
		if err != nil {
			t.Fatalf("%v\n%s", err, routes)
		}
		var b strings.Builder
		b.WriteString(routes + "teams: [ { name: t } ]\naliases: {")
		for i := range rapid.IntRange(1, 3).Draw(t, "aliases") {
			if to := rapid.SampledFrom([]string{"a", "ab", "abc", "b", "a-b"}).Draw(t, "to"); taken(plain, to) { // others lead nowhere, which is an error
				fmt.Fprintf(&b, " x%d: %s,", i, to)
			}
		}
		b.WriteString(" }\nkeys:\n")
		for i := range rapid.IntRange(1, 6).Draw(t, "keys") {
			fmt.Fprintf(&b, "  - { name: k%d, hash: \"sha256:%064x\", team: t", i, i)
			for _, f := range []struct {
				field string
				of    []string
			}{{"models", []string{"x0", "x?", "a", "ab*", "z"}}, {"routes", []string{"r1", "r?", "r1*", "z"}}, {"operations", []string{"chat", "embed", "rerank"}}, {"regions", []string{"eu", "us"}}} {
				if all := rapid.SliceOfNDistinct(rapid.SampledFrom(f.of), 0, 2, rapid.ID).Draw(t, f.field); len(all) > 0 && rapid.Bool().Draw(t, "bound") {
					fmt.Fprintf(&b, ", %s: %s", f.field, quoted(all))
				}
			}
			b.WriteString(" }\n")
		}
		c, err := config.Parse("signalbox.yaml", []byte(b.String()), all.Kinds())
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		got := map[string]bool{}
		for _, w := range Find(c, Facts{About: about}) {
			if _, name, ok := strings.Cut(w.Message, "the key "); ok {
				got[name[:4]] = true
			}
		}
		f := &finder{Config: c, Facts: Facts{About: about}}
		for i := range c.Keys {
			k := &c.Keys[i]
			s := &k.Scope
			bounded := len(s.Models)+len(s.Routes)+len(s.Operations)+len(s.Regions) > 0
			reached, byAlias := false, false
			for j := range c.Routes {
				all := names(&c.Routes[j].Match)
				led := slices.ContainsFunc(s.Models, func(m string) bool {
					for alias, to := range c.Aliases {
						if glob.Match(m, alias) && glob.Any(all, to) {
							return true
						}
					}
					return false
				})
				direct := len(s.Models) == 0 || len(all) == 0 || slices.ContainsFunc(s.Models, func(m string) bool { return meets(all, m) })
				if f.admits(s, &c.Routes[j]) {
					reached, byAlias = reached || led || direct, byAlias || led && !direct
				}
			}
			if want := bounded && !reached; got[strconv.Quote(k.Name)] != want {
				t.Fatalf("of\n%s\nthat %s can use no route is %v, not %v", b.String(), k.Name, !want, want)
			} else if want {
				some++
			} else if byAlias {
				aliased++
			}
		}
	})
	if some == 0 || aliased == 0 {
		t.Errorf("%d keys could use no route, and %d one by an alias: too few to show anything", some, aliased)
	}
}
