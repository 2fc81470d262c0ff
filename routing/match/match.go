package match

import (
	"slices"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Rule is the condition of a route beside the model's name. All that it states must hold; what it does not state is not
// looked at.
type Rule struct {
	Owners  Owners
	Tags    []Pair // each tag must have one of its values
	Headers []Pair // each header, too; names in lower case
	Ops     []llm.Op
	Stream  Switch
	Needs   []Need
	Bytes   Range // of the body
	Tokens  Range // of the prompt, counted where it can be and else by its bytes
	When    Condition
}

// Owners are names, and patterns, of whose requests match. An empty list is anybody.
type Owners struct{ Organizations, Teams, Projects, Keys, EndUsers []string }

// Pair is a name with the values, and patterns, that match. An empty value stands for one that is missing.
type Pair struct {
	Name   string
	Values []string
}

// Switch is a condition on what is or is not so.
type Switch uint8

// Switches.
const (
	Either Switch = iota
	Yes
	No
)

// Holds reports whether what is so may be.
func (s Switch) Holds(is bool) bool { return s == Either || (s == Yes) == is }

// Need is a condition on an ability that a request asks for.
type Need struct {
	Ability ability.Set
	Switch  Switch
}

// Range is a range of numbers, both ends included. Max 0: no upper end.
type Range struct{ Min, Max int64 }

// Holds reports whether n lies in the range.
func (x Range) Holds(n int64) bool { return n >= x.Min && (x.Max == 0 || n <= x.Max) }

// Condition is an expression that a configuration has, compiled.
type Condition interface {
	// Holds reports whether it holds for a request. An expression that fails for one does not hold.
	Holds(r *Request) bool
	String() string
}

// Plain reports whether nothing is stated, as in a rule that is nil.
func (m *Rule) Plain() bool {
	if m == nil {
		return true
	}
	o := &m.Owners
	return len(o.Organizations)+len(o.Teams)+len(o.Projects)+len(o.Keys)+len(o.EndUsers)+len(m.Tags)+len(m.Headers)+len(m.Ops)+len(m.Needs) == 0 &&
		m.Stream == Either && m.Bytes == Range{} && m.Tokens == Range{} && m.When == nil
}

// Holds reports whether a request has all that is stated, and where not, the first that it lacks: a word of the
// configuration.
func (m *Rule) Holds(r *Request) (ok bool, lacks string) {
	if m.Plain() {
		return true, ""
	}
	o := &m.Owners
	for _, c := range [...]struct {
		field string
		names []string
		is    string
	}{
		{"organizations", o.Organizations, r.Owner.Organization}, {"teams", o.Teams, r.Owner.Team}, {"projects", o.Projects, r.Owner.Project},
		{"keys", o.Keys, r.Owner.Key}, {"end_users", o.EndUsers, r.Owner.EndUser},
	} {
		if len(c.names) > 0 && !among(c.names, c.is) {
			return false, c.field
		}
	}
	if len(m.Ops) > 0 && !slices.Contains(m.Ops, r.Op) {
		return false, "operations"
	}
	if !m.Stream.Holds(r.Stream) {
		return false, "stream"
	}
	if !m.Bytes.Holds(r.Bytes) {
		return false, "bytes"
	}
	for i := range m.Tags {
		if !among(m.Tags[i].Values, r.Tags[m.Tags[i].Name]) {
			return false, "tags." + m.Tags[i].Name
		}
	}
	return m.asks(r)
}

// asks looks at what costs something to find out.
func (m *Rule) asks(r *Request) (bool, string) {
	if r.More != nil {
		for i := range m.Headers {
			if !among(m.Headers[i].Values, r.More.Header(m.Headers[i].Name)) {
				return false, "headers." + m.Headers[i].Name
			}
		}
		if len(m.Needs) > 0 {
			needs := r.More.Needs()
			for _, n := range m.Needs {
				if !n.Switch.Holds(needs&n.Ability != 0) {
					return false, n.Ability.String()
				}
			}
		}
	} else if len(m.Headers)+len(m.Needs) > 0 {
		return false, "headers"
	}
	if (m.Tokens != Range{}) && !m.Tokens.Holds(r.TokensAt("", "", "")) {
		return false, "tokens"
	}
	if m.When != nil && !m.When.Holds(r) {
		return false, "when"
	}
	return true, ""
}

// among reports whether a value is one of those listed, or matches a pattern of theirs.
func among(values []string, is string) bool {
	for _, v := range values {
		if v == is || glob.Is(v) && glob.Match(v, is) {
			return true
		}
	}
	return false
}
