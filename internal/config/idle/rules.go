package idle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// names are the models of a rule as the table of routes has them; none: clients have to name the route.
func names(m *config.Match) []string {
	if len(m.Models) == 0 && !m.Bare() {
		return []string{"*"}
	}
	return m.Models
}

// takes reports whether everything that a name or pattern stands for is tried with the rule before it gets to a later one with that
// very name or pattern: names go before patterns.
func takes(m *config.Match, name string) bool {
	all := names(m)
	return slices.Contains(all, name) || glob.Is(name) && slices.Contains(all, "*")
}

// covers reports whether requests that meet the rule of surely meet m, models aside.
func covers(m, of *config.Match) bool {
	for _, l := range [][2][]string{
		{of.Keys, m.Keys}, {of.Organizations, m.Organizations}, {of.Teams, m.Teams}, {of.Projects, m.Projects}, {of.EndUsers, m.EndUsers}, {of.Operations, m.Operations},
	} {
		if !narrower(l[0], l[1]) {
			return false
		}
	}
	for _, l := range [][2]*bool{{of.Stream, m.Stream}, {of.Tools, m.Tools}, {of.Images, m.Images}} {
		if l[1] != nil && (l[0] == nil || *l[0] != *l[1]) {
			return false
		}
	}
	in := m.Tokens == config.Span{} || of.Tokens.Min >= m.Tokens.Min && (m.Tokens.Max == 0 || of.Tokens.Max > 0 && of.Tokens.Max <= m.Tokens.Max)
	return in && (m.When == "" || m.When == of.When) && paired(of.Tags, m.Tags) && paired(of.Headers, m.Headers)
}

// narrower reports whether all values of a list are surely among those that another allows; an empty one allows all.
func narrower(is, allowed []string) bool {
	if len(allowed) == 0 {
		return true
	}
	return len(is) > 0 && !slices.ContainsFunc(is, func(v string) bool {
		return !slices.Contains(allowed, v) && (v == "" || glob.Is(v) || !glob.Any(allowed, v))
	})
}

// paired is narrower of conditions on tags or headers.
func paired(is, allowed map[string]string) bool {
	has := map[string][]string{}
	for name, values := range is {
		has[strings.ToLower(name)] = strings.Split(values, "|")
	}
	for name, values := range allowed {
		own, ok := has[strings.ToLower(name)]
		if !ok || !narrower(own, strings.Split(values, "|")) {
			return false
		}
	}
	return true
}

// least is the request that asks least of what a route takes.
type least struct{ of *config.Match }

// Header implements match.Inquiry.
func (least) Header(string) string { return "" }

// Session implements match.Inquiry.
func (least) Session(string) string { return "" }

// Tokens implements match.Inquiry.
func (l least) Tokens(_, _, _ string) int64 { return int64(l.of.Tokens.Min) }

// Needs implements match.Inquiry.
func (l least) Needs() (s ability.Set) {
	if l.of.Tools != nil && *l.of.Tools {
		s |= ability.Tools
	}
	if l.of.Images != nil && *l.of.Images {
		s |= ability.Vision
	}
	return s
}

// unmet says why a route leaves no target to any request: none has an endpoint for what it takes, or the rules among its policies,
// which hold for every request, leave none to the one that asks least. "": they leave some. at is where, below the route.
func (f *finder) unmet(r *config.Route) (at, why string) {
	own := &routing.Route{Name: r.Name}
	for _, t := range r.Targets {
		own.Targets = append(own.Targets, routing.Target{Provider: t.Provider, Model: t.Model, Like: t.Like, About: f.About(t.Provider, t.Model, t.Like)})
	}
	if why = f.mute(r, own.Targets); why != "" {
		return ".targets", why
	}
	var places []int
	for k, p := range r.Policy {
		switch is := p.Options.(type) {
		case *policy.Region, *policy.Compliance:
		case *policy.Capable:
			if !is.Strict {
				continue
			}
		default:
			continue
		}
		own.Policies, places = append(own.Policies, routing.Named{Name: p.Name, Policy: p.Options}), append(places, k)
	}
	if len(places) == 0 {
		return "", ""
	}
	v := &routing.View{
		Request: match.Request{Model: "*", Bytes: int64(r.Match.Tokens.Min), More: least{&r.Match}},
		Keys:    func(dst []string, _, _ string) ([]string, bool) { return append(dst, "key"), true },
	}
	var e routing.Explained
	if _, err := new(routing.Decision).Plan(own, v, &e); err == nil {
		return "", ""
	}
	var whys []string
	for k := range e.Policies {
		for _, d := range e.Policies[k].Dropped {
			whys = append(whys, fmt.Sprintf("%s leaves out %s (%s)", e.Policies[k].Policy, d.Target, d.Why))
		}
		if len(e.Policies[k].Out) == 0 {
			at = fmt.Sprintf(".policy[%d]", places[k])
			break
		}
	}
	return at, strings.Join(whys, "; ")
}

// mute says that no target has an endpoint for any of the operations that a route takes; "": one may have. Of a route that takes
// every operation nothing is said.
func (f *finder) mute(r *config.Route, targets []routing.Target) string {
	if len(r.Match.Operations) == 0 || f.Speaks == nil {
		return ""
	}
	at := map[string]bool{}
	for _, name := range r.Match.Operations {
		op, ok := auth.ParseOperation(name)
		for i := range targets {
			if !ok || op.Objects() || op == llm.OpCount || targets[i].Model == "*" || f.Speaks(&targets[i], op) {
				return ""
			}
			at[targets[i].Provider] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(at)), ", ") + " has no endpoint for " + strings.Join(r.Match.Operations, ", ")
}
