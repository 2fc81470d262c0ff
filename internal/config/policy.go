package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/expr"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// Policy is one policy of a route: a name alone, or a name with its options.
type Policy struct {
	Name    string
	Options routing.Policy // a pointer to what its kind makes
}

// policy decodes one entry of a list of policies.
func (d *decoder) policy(n *node, v reflect.Value, path string) {
	name, options := n, (*node)(nil)
	switch {
	case n.shape == mapping && len(n.fields) == 1:
		name, options = n.fields[0].key, n.fields[0].value
	case n.shape == mapping:
		d.hideAll(n)
		d.failAt(n, path, "a policy is a name, or one name with its options; begin each with a dash of its own")
		return
	case n.shape != text:
		d.hideAll(n)
		d.failAt(n, path, "a policy is a name, or a name with its options, not %s", n.shape)
		return
	}
	d.src.show(name.value)
	k, ok := policy.Find(name.value)
	if !ok {
		if options != nil {
			d.hideAll(options)
		}
		hint := "; possible: " + strings.Join(policy.Names(), ", ")
		if near := routing.Nearest(name.value, policy.Names()); len(near) > 0 {
			hint = fmt.Sprintf("; did you mean %q?", near[0])
		}
		d.failAt(name, path, "unknown policy %s%s", d.src.quote(name.value), hint)
		return
	}
	p := k.New()
	at, of := path+"."+k.Name, reflect.ValueOf(p).Elem()
	d.nodes[at] = name
	if options != nil {
		d.value(options, of, at, "")
	} else {
		for _, f := range fieldsOf(of) {
			if f.tag.Get("required") != "" {
				d.failAt(name, join(at, f.name), "%s: %s is missing; write it as { %s: … }", k.Name, f.name, k.Name)
			}
		}
	}
	if c, ok := p.(policy.Checker); ok && !d.within(at) {
		if err := c.Check(); err != nil {
			if o, ok := errors.AsType[*policy.OptionError](err); ok {
				at += "." + o.Option
			}
			d.failExpr(at, k.Name+": ", err)
		}
	}
	v.Set(reflect.ValueOf(Policy{k.Name, p}))
}

// failExpr reports what is wrong at a path; of an expression, at the very place.
func (d *decoder) failExpr(path, prefix string, err error) {
	n := find(d.nodes, path)
	e, ok := errors.AsType[*expr.Error](err)
	if !ok || n == nil {
		d.failAt(n, path, "%s%v", prefix, err)
		return
	}
	if looksSecret(n.value) {
		d.failAt(n, path, "%s%s: the expression is wrong at character %d", prefix, last(path), e.Column)
		return
	}
	lines := strings.Split(n.value, "\n")
	if line := lines[min(e.Line, len(lines))-1]; strings.TrimSpace(line) != "" {
		for i := n.line - 1; i < min(n.line+len(lines)+1, len(d.src.lines)); i++ {
			from := 0
			if i == n.line-1 {
				from = byteAt(d.src.lines[i], n.column-1)
			}
			if at := strings.Index(d.src.lines[i][from:], line); at >= 0 {
				column := utf8.RuneCountInString(d.src.lines[i][:from+at]) + e.Column
				d.failAt(&node{line: i + 1, column: column, width: 1}, path, "%s%s: %s", prefix, last(path), e.Message)
				return
			}
		}
	}
	d.failAt(n, path, "%s%v", prefix, err)
}

// policies are the policies of a route, with the one that weights ask for.
func (r *Route) policies() (out []routing.Named) {
	weighted := slices.ContainsFunc(r.Targets, func(t Target) bool { return t.Weight > 0 })
	for _, p := range r.Policy {
		if p.Options != nil { // else it was reported
			out = append(out, routing.Named{Name: p.Name, Policy: p.Options})
		}
		weighted = weighted && p.Name != "weighted"
	}
	if weighted {
		out = append(out, routing.Named{Name: "weighted", Policy: &policy.Weighted{}})
	}
	return out
}

// Match is the condition of a route. All that is stated must hold.
type Match struct {
	Models        []string          `yaml:"models" form:"pattern" zero:"any" doc:"Model names as clients write them, and patterns: * stands for any run of characters, ? for one."`
	Keys          []string          `yaml:"keys" form:"matching" zero:"any" doc:"Keys of clients by their names or ids, and patterns; so with the next."`
	Organizations []string          `yaml:"organizations" form:"matching" zero:"any" doc:"Organizations."`
	Teams         []string          `yaml:"teams" form:"matching" zero:"any" doc:"Teams."`
	Projects      []string          `yaml:"projects" form:"matching" zero:"any" doc:"Projects."`
	EndUsers      []string          `yaml:"end_users" form:"matching" zero:"any" doc:"End users, as end_user tells them."`
	Tags          map[string]string `yaml:"tags" doc:"Tags of the request and what each must be: a value, a pattern, or several between bars, as chat|search."`
	Headers       map[string]string `yaml:"headers" doc:"Headers of the request, likewise."`
	Operations    []string          `yaml:"operations" form:"operation" zero:"any" doc:"Operations: chat, embed and so on, as metrics name them."`
	Stream        *bool             `yaml:"stream" zero:"either" doc:"Whether the answer is asked for as a stream."`
	Tools         *bool             `yaml:"tools" zero:"either" doc:"Whether the request has tools."`
	Images        *bool             `yaml:"images" zero:"either" doc:"Whether the request has images."`
	When          string            `yaml:"when" form:"expression" doc:"A condition as an expression of CEL over what is known of the request, as request.tokens > 4000 && request.team != 'ops'. See [Expressions](routing.md#expressions)."`
	Tokens        Span              `yaml:"tokens" doc:"How long the prompt is, in tokens: counted where its vocabulary is known, guessed from its bytes elsewhere."`

	when *expr.Program
}

// Span is a range of whole numbers.
type Span struct {
	Min int `yaml:"min" doc:"From this on."`
	Max int `yaml:"max" zero:"no end" doc:"To this, included."`
}

// Bare reports whether nothing but the model's name decides.
func (m *Match) Bare() bool {
	return len(m.Keys)+len(m.Organizations)+len(m.Teams)+len(m.Projects)+len(m.EndUsers)+len(m.Tags)+len(m.Headers)+len(m.Operations) == 0 &&
		m.Stream == nil && m.Tools == nil && m.Images == nil && m.When == "" && m.Tokens == Span{}
}

// empty reports whether nothing is stated.
func (m *Match) empty() bool { return len(m.Models) == 0 && m.Bare() }

// match gives the form that requests are matched with; nil: nothing is stated.
func (m *Match) match() *match.Rule {
	out := &match.Rule{
		Owners: match.Owners{Organizations: m.Organizations, Teams: m.Teams, Projects: m.Projects, Keys: m.Keys, EndUsers: m.EndUsers},
		Tags:   pairs(m.Tags), Headers: pairs(m.Headers),
		Stream: either(m.Stream),
		Tokens: match.Range{Min: int64(m.Tokens.Min), Max: int64(m.Tokens.Max)},
	}
	if m.when != nil {
		out.When = m.when
	}
	for _, name := range m.Operations {
		if op, ok := auth.ParseOperation(name); ok {
			out.Ops = append(out.Ops, op)
		}
	}
	if m.Tools != nil {
		out.Needs = append(out.Needs, match.Need{Ability: ability.Tools, Switch: either(m.Tools)})
	}
	if m.Images != nil {
		out.Needs = append(out.Needs, match.Need{Ability: ability.Vision, Switch: either(m.Images)})
	}
	if out.Plain() {
		return nil
	}
	return out
}

func either(b *bool) match.Switch {
	switch {
	case b == nil:
		return match.Either
	case *b:
		return match.Yes
	}
	return match.No
}

// pairs are the conditions of a mapping, by name.
func pairs(m map[string]string) (out []match.Pair) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, match.Pair{Name: strings.ToLower(name), Values: strings.Split(m[name], "|")})
	}
	return out
}
