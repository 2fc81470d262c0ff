// Package idle finds what of a configuration no request and no target can ever meet: routes that others hide, routes and arms of
// experiments of which no target can serve anything, keys that may use no route. All of it is valid, and none of it is meant.
//
// It is certain of what it says: what may meet something is not reported.
package idle

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/config/access"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/routing"
)

// Facts are what is known beside the configuration.
type Facts struct {
	About     func(provider, model, like string) *routing.About
	Speaks    func(t *routing.Target, op llm.Op) bool // whether it has an endpoint for an operation, in any dialect
	Templates *template.Set                           // that requests can name; nil: there are none
	Stored    bool                                    // Templates has those of the store
}

// finder looks through a configuration.
type finder struct {
	*config.Config
	Facts
	before *earlier
	pinned map[string]bool // routes that versions of templates name
	named  map[string]int  // routes by their names
	out    config.Warnings
}

func (f *finder) warn(path, format string, args ...any) {
	f.out = append(f.out, f.Fault(path, fmt.Sprintf(format, args...)))
}

// Find returns what no request or no target can ever meet, in the order of the file.
func Find(c *config.Config, facts Facts) config.Warnings {
	f := &finder{Config: c, Facts: facts, before: newEarlier(), pinned: map[string]bool{}, named: map[string]int{}}
	for _, v := range facts.Templates.Versions() {
		f.pinned[v.Route] = true
	}
	for i := range c.Routes {
		r, path := &c.Routes[i], fmt.Sprintf("routes[%d]", i)
		f.named[r.Name] = i
		if by := f.shadows(i); len(by) > 0 {
			f.warn(path+".match", "no request takes the route %q: all that it could take go to %s before it", r.Name, strings.Join(by, " and "))
		}
		if at, why := f.unmet(r); why != "" {
			f.warn(path+at, "the route %q has no target for any request: %s", r.Name, why)
		}
	}
	f.experiments()
	for i := range c.Keys {
		k := &c.Keys[i]
		s := &k.Scope
		if len(c.Routes) == 0 || len(s.Models)+len(s.Routes)+len(s.Operations)+len(s.Regions) == 0 || f.reaches(s) {
			continue
		}
		at := fmt.Sprintf("keys[%d]", i)
		for _, l := range []struct {
			name string
			is   []string
		}{{".regions", s.Regions}, {".operations", s.Operations}, {".models", s.Models}, {".routes", s.Routes}} {
			if len(l.is) > 0 {
				at = fmt.Sprintf("keys[%d]%s", i, l.name)
			}
		}
		f.warn(at, "the key %q can use no route: none is within its models, routes, operations and regions", k.Name)
	}
	slices.SortStableFunc(f.out, func(a, b *config.Error) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return f.out
}

// experiments looks at arms that have targets or policies of their own.
func (f *finder) experiments() {
	for i := range f.Experiments {
		e := &f.Experiments[i]
		n, known := f.named[e.Route]
		if !known {
			continue
		}
		for j := range e.Arms {
			a, own := &e.Arms[j], f.Routes[n]
			path := fmt.Sprintf("experiments[%d].arms[%d]", i, j)
			f.version(path, e.Name, a)
			if a.Policy == nil && len(a.Targets) == 0 {
				continue // it is as the route
			}
			if a.Policy != nil {
				own.Policy = a.Policy
			}
			if len(a.Targets) > 0 {
				own.Targets = a.Targets
			}
			at, why := f.unmet(&own)
			switch {
			case why == "":
				continue
			case strings.HasPrefix(at, ".policy") && a.Policy == nil:
				at = ".targets"
			case at == ".targets" && len(a.Targets) == 0:
				at = ""
			}
			f.warn(path+at, "the arm %q has no target for any request of the route %q: %s", e.Name+"/"+a.Name, e.Route, why)
		}
	}
}

// version looks at the version of a template that an arm has: what files lack is an error, unless the store may have it.
func (f *finder) version(path, experiment string, a *config.Arm) {
	if a.Template == "" || !f.Stored {
		return
	}
	name, version, _ := strings.Cut(a.Template, "@")
	if v, _ := f.Facts.Templates.Find(name, version); v != nil {
		return
	}
	f.warn(path+".template", "the arm %q has %s, which neither files nor the store have: requests are answered without the arm", experiment+"/"+a.Name, a.Template)
}

// shadows returns the routes before the i-th that together take every request that it could take; none: it takes some. It is called
// for one route after the other.
func (f *finder) shadows(i int) (by []string) {
	r := &f.Routes[i]
	stated, open := conditions(&r.Match), r.ClientHeaders.Route || f.pinned[r.Name] // it is taken by its name, too
	for _, m := range names(&r.Match) {
		n := f.before.first(m, stated, func(n int) bool { return covers(&f.Routes[n].Match, &r.Match) })
		if n < 0 {
			open = true
			f.before.put(m, i, stated)
			continue
		}
		if name := strconv.Quote(f.Routes[n].Name); !slices.Contains(by, name) {
			by = append(by, name)
		}
	}
	if open {
		return nil
	}
	return by
}

// reaches reports whether some request of a key may take a route.
func (f *finder) reaches(s *access.Scope) bool {
	for i := range f.Routes {
		r := &f.Routes[i]
		if all := names(&r.Match); (len(s.Models) == 0 || len(all) == 0 || slices.ContainsFunc(s.Models, func(m string) bool { return meets(all, m) })) && f.admits(s, r) {
			return true
		}
	}
	for alias, to := range f.Aliases {
		if !glob.Any(s.Models, alias) {
			continue
		}
		for r := range f.Table().Of(to) {
			if f.admits(s, &f.Routes[f.named[r.Name]]) {
				return true
			}
		}
	}
	return false
}

// meets reports whether a name that a key may use can be one that a route takes.
func meets(names []string, allowed string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return name == allowed || glob.Match(allowed, name) || glob.Match(name, allowed) || glob.Is(name) && glob.Is(allowed)
	})
}

// admits reports whether some request of a key may take a route, models aside.
func (f *finder) admits(s *access.Scope, r *config.Route) bool {
	if len(s.Routes) > 0 && !glob.Any(s.Routes, r.Name) {
		return false
	}
	if o := r.Match.Operations; len(o) > 0 && len(s.Operations) > 0 && !slices.ContainsFunc(o, func(n string) bool { return slices.Contains(s.Operations, n) || n == "count" }) {
		return false
	}
	return len(s.Regions) == 0 || slices.ContainsFunc(r.Targets, func(t config.Target) bool {
		a := f.About(t.Provider, t.Model, t.Like)
		return a == nil || (&auth.Scope{Regions: s.Regions}).Region(a.Region)
	})
}
