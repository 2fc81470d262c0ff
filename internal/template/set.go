package template

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Labels are which version each label of a template means.
type Labels map[string]int

// Set is all templates that requests can name. It does not change once it is bound.
type Set struct {
	names map[string]*entry
	all   []*Version
}

// entry is a template with its versions in order.
type entry struct {
	versions []*Version
	labels   Labels // with production, always
	pinned   Labels
}

// NewSet makes a set of files that Check found good. Of two sources of one version the first counts, and labels of
// versions that are not there are left out.
func NewSet(sources []Source, labels map[string]Labels) *Set {
	return newSet(sources, labels, nil)
}

// Join returns a set that has what is kept elsewhere beside s, which may be nil: of a name that is in both only
// s counts. Versions that earlier has of the same File are taken over with their forms. nil: there is nothing.
func (s *Set) Join(earlier *Set, kept []Source, labels map[string]Labels) *Set {
	var sources []Source
	made := map[*File]*Version{}
	all := map[string]Labels{}
	if s != nil {
		all = s.Pinned()
	}
	for _, v := range earlier.Versions() {
		made[v.from] = v
	}
	for _, v := range s.Versions() {
		made[v.from] = v
		sources = append(sources, Source{v.Name, v.Number, v.from})
	}
	for _, k := range kept {
		if s.Has(k.Name) {
			continue
		}
		sources, all[k.Name] = append(sources, k), labels[k.Name]
	}
	if s == nil && len(sources) == 0 {
		return nil
	}
	return newSet(sources, all, made)
}

// newSet makes a set, of versions that were made before where there are.
func newSet(sources []Source, labels map[string]Labels, made map[*File]*Version) *Set {
	s := &Set{names: map[string]*entry{}}
	for _, f := range sources {
		e := s.names[f.Name]
		if e == nil {
			e = &entry{labels: Labels{}}
			s.names[f.Name] = e
		}
		if e.find(f.Number) != nil {
			continue
		}
		v := made[f.File]
		if v == nil {
			v = newVersion(f)
		}
		e.versions = append(e.versions, v)
		s.all = append(s.all, v)
	}
	order := func(a, b *Version) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Number, b.Number))
	}
	slices.SortFunc(s.all, order)
	for name, e := range s.names {
		slices.SortFunc(e.versions, order)
		for label, n := range labels[name] {
			if e.find(n) != nil {
				e.labels[label] = n
			}
		}
		e.pinned = maps.Clone(e.labels)
		if e.labels[Production] == 0 {
			e.labels[Production] = e.versions[len(e.versions)-1].Number
		}
	}
	return s
}

func newVersion(f Source) *Version {
	v := &Version{Name: f.Name, Number: f.Number, File: *f.File, from: f.File, byName: map[string]int{}}
	for i := range v.Variables {
		v.byName[v.Variables[i].Name] = i
	}
	return v
}

// Has reports whether there is a template of a name.
func (s *Set) Has(name string) bool { return s != nil && s.names[name] != nil }

func (e *entry) find(number int) *Version {
	for _, v := range e.versions {
		if v.Number == number {
			return v
		}
	}
	return nil
}

// Versions returns all versions, by name and number.
func (s *Set) Versions() []*Version {
	if s == nil {
		return nil
	}
	return s.all
}

// Names returns the names of the templates, in order.
func (s *Set) Names() (names []string) {
	for _, v := range s.Versions() {
		if len(names) == 0 || names[len(names)-1] != v.Name {
			names = append(names, v.Name)
		}
	}
	return names
}

// Labels returns the labels of a template, in order, each with its version.
func (s *Set) Labels(name string) (labels []string, of Labels) {
	e := s.names[name]
	if e == nil {
		return nil, nil
	}
	for l := range e.labels {
		labels = append(labels, l)
	}
	slices.Sort(labels)
	return labels, e.labels
}

// Find returns a version: by its number, by a label, or, where version is "", the one that the label production means.
// known is whether there is a template of the name at all; a nil Set has none.
func (s *Set) Find(name, version string) (v *Version, known bool) {
	if !s.Has(name) {
		return nil, false
	}
	e := s.names[name]
	version = cmp.Or(version, Production)
	if n, ok := e.labels[version]; ok {
		return e.find(n), true
	}
	n, err := strconv.Atoi(version)
	if err != nil || strconv.Itoa(n) != version {
		return nil, true
	}
	return e.find(n), true
}

// Route returns the route that a version, as NAME@NUMBER, takes in place of what its model matches; "": it names none, or there is
// no such version.
func (s *Set) Route(version string) string {
	name, number, _ := strings.Cut(version, "@")
	v, _ := s.Find(name, number)
	if v == nil || number == "" {
		return ""
	}
	return v.Route
}

// Pinned returns the labels that were set, by template: not those that hold by themselves. They are the caller's own.
func (s *Set) Pinned() map[string]Labels {
	out := map[string]Labels{}
	for name, e := range s.names {
		if len(e.pinned) > 0 {
			out[name] = maps.Clone(e.pinned)
		}
	}
	return out
}

// LabelsFile is the name of the file that says which version each label means, beside the versions.
const LabelsFile = "labels.yaml"

// label is what a label looks like.
var label = regexp.MustCompile(`^[a-z0-9._-]*[a-z._-][a-z0-9._-]*$`)

// LabelOK reports whether a text can be a label: one that is a number would be a version.
func LabelOK(s string) bool {
	const longest = 64
	return len(s) <= longest && label.MatchString(s)
}

// Possible lists the versions and labels of a template that patterns let be used, for a message.
func (s *Set) Possible(name string, may []string) string {
	var all []string
	e := s.names[name]
	for _, v := range e.versions {
		if Allowed(may, v) {
			all = append(all, strconv.Itoa(v.Number))
		}
	}
	const most = 8
	if len(all) > most {
		all = append([]string{"…"}, all[len(all)-most:]...)
	}
	labels, of := s.Labels(name)
	for _, l := range labels {
		if Allowed(may, e.find(of[l])) {
			all = append(all, l)
		}
	}
	return strings.Join(all, ", ")
}
