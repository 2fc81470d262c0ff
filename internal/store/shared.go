package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What concerns all tenants: experiments, and prompt templates.

// Experiment is how an experiment of the configuration stands, as a row. Package experiment gives it its meaning.
type Experiment struct {
	Name  string `json:"name"`
	State string `json:"state"`         // running, stopped or promoted
	Arm   string `json:"arm,omitzero"`  // that is promoted
	Step  int    `json:"step,omitzero"` // of its ramp
	Why   string `json:"why,omitzero"`  // it was changed, for people
	Stamp
}

func experiments() *table[Experiment] {
	return &table[Experiment]{
		kind: KindExperiment, name: "experiments", key: "name", columns: []string{"name", "state", "arm", "step", "why"},
		fields: func(e *Experiment) []any { return []any{e.Name, e.State, e.Arm, e.Step, e.Why} },
		scan:   func(e *Experiment) []any { return []any{&e.Name, &e.State, &e.Arm, &e.Step, &e.Why} },
		id:     func(e *Experiment) string { return e.Name }, stamp: func(e *Experiment) *Stamp { return &e.Stamp },
	}
}

// Experiments reads how those stand that were ever changed.
func (s *Store) Experiments(ctx context.Context) (all []Experiment, err error) {
	for after := ""; ; {
		some, next, err := experiments().list(ctx, s, nil, Page{After: after, Size: mostPage})
		if err != nil {
			return nil, err
		}
		if all = append(all, some...); next == "" {
			return all, nil
		}
		after = next
	}
}

// mostWhy bounds the text of a reason, in bytes.
const mostWhy = 1000

// BeginExperiment writes down how an experiment stands that was never changed.
func (t *Tx) BeginExperiment(e *Experiment) error { return experiments().insert(t, e) }

// SetExperiment writes down how an experiment stands from now on. version is the one that the change is made for, 0: any.
func (t *Tx) SetExperiment(now *Experiment, version int64) error {
	if len(now.Why) > mostWhy || strings.ContainsRune(now.Why, 0) {
		return fault(Invalid, "why", "why: a text of at most %d bytes", mostWhy)
	}
	var n int
	if err := t.tx.QueryRowContext(t.ctx, t.s.engine.bind("SELECT count(*) FROM experiments WHERE name = ?"), now.Name).Scan(&n); err != nil {
		return err
	}
	if n == 0 && version == 0 {
		return experiments().insert(t, now)
	}
	if n == 0 {
		return fault(Stale, "version", "it was never changed: version %d is asked for", version)
	}
	changed, err := experiments().update(t, now.Name, version, "update", func(e *Experiment) error {
		*e = Experiment{Name: e.Name, State: now.State, Arm: now.Arm, Step: now.Step, Why: now.Why, Stamp: e.Stamp}
		return nil
	})
	*now = changed
	return err
}

// Template is a prompt template: which versions there are, and which one each label means.
type Template struct {
	Name   string         `json:"name"`
	State  string         `json:"state"`  // active, or deleted: its numbers do not come back
	First  int            `json:"first"`  // version that there is
	Latest int            `json:"latest"` // version; that of one that is deleted counts on
	Labels map[string]int `json:"labels,omitzero"`
	Stamp
}

// TemplateVersion is a version of a template, which never changes. Body is the YAML text of template.File.
type TemplateVersion struct {
	Name   string `json:"name"`
	Number int    `json:"number"`
	Body   string `json:"body"`
	Author string `json:"author"`
	Stamp
}

const (
	templateDeleted  = "deleted"
	firstLabel       = "production"
	mostVersions     = 999_999
	mostTemplateText = 256 << 10 // bytes
	mostLabels       = 50
)

func templates() *table[Template] {
	return &table[Template]{
		kind: KindTemplate, name: "templates", key: "name", columns: []string{"name", "state", "first", "latest", "labels"},
		fields: func(v *Template) []any { return []any{v.Name, v.State, v.First, v.Latest, text(v.Labels)} },
		scan:   func(v *Template) []any { return []any{&v.Name, &v.State, &v.First, &v.Latest, document{&v.Labels}} },
		id:     func(v *Template) string { return v.Name }, stamp: func(v *Template) *Stamp { return &v.Stamp },
	}
}

func templateVersions() *table[TemplateVersion] {
	return &table[TemplateVersion]{
		kind: KindTemplate, name: "template_versions", key: "id", columns: []string{"id", "name", "number", "body", "author"},
		fields: func(v *TemplateVersion) []any {
			return []any{versionID(v.Name, v.Number), v.Name, v.Number, v.Body, v.Author}
		},
		scan: func(v *TemplateVersion) []any { return []any{new(string), &v.Name, &v.Number, &v.Body, &v.Author} },
		id:   func(v *TemplateVersion) string { return v.Name + "@" + strconv.Itoa(v.Number) }, stamp: func(v *TemplateVersion) *Stamp { return &v.Stamp },
	}
}

func versionID(name string, number int) string { return fmt.Sprintf("%s@%06d", name, number) }

func noTemplate(name string) error { return fault(Missing, "name", "there is no template %q", name) }

// Template reads one that is not deleted.
func (s *Store) Template(ctx context.Context, name string) (Template, error) {
	return s.template(ctx, s.db, name)
}

func (s *Store) template(ctx context.Context, q querier, name string) (Template, error) {
	v, err := templates().get(ctx, s, q, name)
	if f, ok := errors.AsType[*Fault](err); err == nil && v.State == templateDeleted || ok && f.Reason == Missing {
		return v, noTemplate(name)
	}
	return v, err
}

// Templates reads a page of them, by name.
func (s *Store) Templates(ctx context.Context, p Page) ([]Template, string, error) {
	return templates().list(ctx, s, []condition{{"state", active}}, p)
}

// TemplateVersion reads a version by its number.
func (s *Store) TemplateVersion(ctx context.Context, name string, number int) (TemplateVersion, error) {
	v, err := templateVersions().get(ctx, s, s.db, versionID(name, number))
	if f, ok := errors.AsType[*Fault](err); ok && f.Reason == Missing {
		return v, fault(Missing, "version", "the template %s has no version %d", name, number)
	}
	return v, err
}

// TemplateVersions reads a page of a template's versions, those after a number; next is the number to go on after, 0 at
// the end.
func (s *Store) TemplateVersions(ctx context.Context, name string, after, size int) (all []TemplateVersion, next int, err error) {
	all, more, err := templateVersions().list(ctx, s, []condition{{"name", name}}, Page{After: versionID(name, after), Size: size})
	if more != "" {
		next = all[len(all)-1].Number
	}
	return all, next, err
}

// CreateTemplateVersion adds a version, whose number it sets. The first one gets the label production; after that a new
// version is in use once a label is moved to it.
func (t *Tx) CreateTemplateVersion(v *TemplateVersion) (Template, error) {
	if err := checkName("name", v.Name); err != nil {
		return Template{}, err
	}
	if len(v.Body) > mostTemplateText || !utf8.ValidString(v.Body) || strings.ContainsRune(v.Body, 0) {
		return Template{}, fault(Invalid, "body", "body: a text (UTF-8) of at most %d bytes", mostTemplateText)
	}
	was, err := templates().get(t.ctx, t.s, t.tx, v.Name)
	fresh := was.State != active
	f, missing := errors.AsType[*Fault](err)
	switch {
	case missing && f.Reason == Missing:
		was = Template{Name: v.Name, State: active, First: 1, Latest: 1, Labels: map[string]int{firstLabel: 1}}
		err = templates().insert(t, &was)
	case err == nil && was.Latest >= mostVersions:
		err = fault(Invalid, "name", "name: the template has %d versions, and cannot have more", mostVersions)
	case err == nil:
		was, err = templates().update(t, v.Name, was.Version, "add", func(now *Template) error {
			now.State, now.Latest = active, now.Latest+1
			if fresh {
				now.First, now.Labels = now.Latest, map[string]int{firstLabel: now.Latest}
			}
			return nil
		})
	}
	if err != nil {
		return was, err
	}
	v.Number, v.Author = was.Latest, t.actor.Name
	return was, templateVersions().insert(t, v)
}

// MoveTemplateLabel lets a label mean a version, which to finds of the template as it is; 0: the label is taken away. version
// is the one of the template that the change is made for, 0: any.
func (t *Tx) MoveTemplateLabel(name string, version int64, label, action string, to func(Template) (int, error)) (Template, error) {
	if _, err := t.s.template(t.ctx, t.tx, name); err != nil {
		return Template{}, err
	}
	return templates().update(t, name, version, action, func(now *Template) error {
		number, err := to(*now)
		if err != nil {
			return err
		}
		now.Labels = maps.Clone(now.Labels)
		if now.Labels == nil {
			now.Labels = map[string]int{}
		}
		switch {
		case number == 0:
			delete(now.Labels, label)
			return nil
		case len(now.Labels) >= mostLabels && now.Labels[label] == 0:
			return fault(Invalid, "label", "label: a template has at most %d of them", mostLabels)
		}
		if _, err := templateVersions().get(t.ctx, t.s, t.tx, versionID(name, number)); err != nil {
			if f, ok := errors.AsType[*Fault](err); ok && f.Reason == Missing {
				return fault(Invalid, "version", "version: the template %s has no version %d", name, number)
			}
			return err
		}
		now.Labels[label] = number
		return nil
	})
}

// VersionBefore returns the number of the version before one, 0: it is the first.
func (t *Tx) VersionBefore(name string, number int) (before int, err error) {
	err = t.tx.QueryRowContext(t.ctx, t.s.engine.bind("SELECT coalesce(max(number), 0) FROM template_versions WHERE name = ? AND number < ?"), name, number).Scan(&before)
	return before, err
}

// DeleteTemplate deletes one with its versions. Their numbers are not given again, so that what the ledger has of them stays
// true.
func (t *Tx) DeleteTemplate(name string, version int64) error {
	if _, err := t.s.template(t.ctx, t.tx, name); err != nil {
		return err
	}
	if _, err := templates().update(t, name, version, "delete", func(now *Template) error {
		now.State, now.Labels = templateDeleted, nil
		return nil
	}); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM template_versions WHERE name = ?", name)
	return err
}
