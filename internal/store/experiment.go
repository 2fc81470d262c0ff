package store

import (
	"context"
	"strings"
)

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
