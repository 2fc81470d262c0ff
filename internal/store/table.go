package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Kind is a kind of object, as the audit log and the change feed name it.
type Kind string

// Kinds.
const (
	KindOrganization Kind = "organization"
	KindTeam         Kind = "team"
	KindProject      Kind = "project"
	KindKey          Kind = "key"
	KindBudget       Kind = "budget"
	KindProviderKey  Kind = "provider_key"
	KindExperiment   Kind = "experiment"
	KindTemplate     Kind = "template"
)

// table is how objects of a kind lie in the database. The columns end in created, changed, version.
type table[T any] struct {
	kind    Kind
	name    string
	key     string   // its column, which is the first
	columns []string // all but the stamp
	fields  func(*T) []any
	scan    func(*T) []any // destinations for columns
	id      func(*T) string
	stamp   func(*T) *Stamp
}

const stamps = "created, changed, version"

func (t *table[T]) all() string { return strings.Join(t.columns, ", ") + ", " + stamps }

type row interface{ Scan(dest ...any) error }

// load reads a row.
func (t *table[T]) load(r row) (T, error) {
	var v T
	var created, changed int64
	s := t.stamp(&v)
	if err := r.Scan(append(t.scan(&v), &created, &changed, &s.Version)...); err != nil {
		return v, err
	}
	s.Created, s.Changed = when(created), when(changed)
	return v, nil
}

// get reads one object.
func (t *table[T]) get(ctx context.Context, s *Store, q querier, id string) (T, error) {
	return t.read(ctx, s, q, id, "")
}

// A hold is what others may not do with a row until the change is over. SQLite needs none: it lets one write at a time.
type hold string

// Holds, as PostgreSQL has them.
const (
	staying  hold = " FOR KEY SHARE"     // it is not deleted: something is made that belongs to it
	changing hold = " FOR NO KEY UPDATE" // it is not changed
	going    hold = " FOR UPDATE"        // nothing is made that belongs to it
)

// hold reads one object that stays as it is until the change is over. Where others are changing it, it waits for them.
func (t *table[T]) hold(tx *Tx, id string, h hold) (T, error) {
	if tx.s.engine.name() != "postgres" {
		h = ""
	}
	return t.read(tx.ctx, tx.s, tx.tx, id, h)
}

func (t *table[T]) read(ctx context.Context, s *Store, q querier, id string, h hold) (T, error) {
	v, err := t.load(q.QueryRowContext(ctx, s.engine.bind("SELECT "+t.all()+" FROM "+t.name+" WHERE "+t.key+" = ?"+string(h)), id))
	if errors.Is(err, sql.ErrNoRows) {
		return v, fault(Missing, "", "there is no %s %q", strings.ReplaceAll(string(t.kind), "_", " "), id)
	}
	return v, err
}

// Page is a part of a list.
type Page struct {
	After string // the last one of the page before; "": from the first
	Size  int    // 0: 100
}

// Limits of a page.
const (
	usualPage = 100
	mostPage  = 1000
)

// list reads a page of objects in the order of their keys. next is "" at the end.
func (t *table[T]) list(ctx context.Context, s *Store, where []condition, p Page) (all []T, next string, err error) {
	size := p.Size
	if size <= 0 {
		size = usualPage
	}
	size = min(size, mostPage)
	clause, args := []string{t.key + " > ?"}, []any{p.After}
	for _, w := range where {
		if w.value != "" {
			clause, args = append(clause, w.column+" = ?"), append(args, w.value)
		}
	}
	rows, err := s.db.QueryContext(ctx, s.engine.bind("SELECT "+t.all()+" FROM "+t.name+" WHERE "+strings.Join(clause, " AND ")+" ORDER BY "+t.key+" LIMIT ?"), append(args, size+1)...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := t.load(rows)
		if err != nil {
			return nil, "", err
		}
		all = append(all, v)
	}
	if len(all) > size {
		all = all[:size]
		next = t.id(&all[size-1])
	}
	return all, next, rows.Err()
}

// condition is a column that must have a value, where one is given.
type condition struct{ column, value string }

// insert makes an object.
func (t *table[T]) insert(tx *Tx, v *T) error {
	s := t.stamp(v)
	*s = Stamp{Created: tx.now, Changed: tx.now, Version: 1}
	marks := strings.Repeat("?, ", len(t.columns)) + "?, ?, ?"
	_, err := tx.exec("INSERT INTO "+t.name+" ("+t.all()+") VALUES ("+marks+")", append(t.fields(v), micro(s.Created), micro(s.Changed), s.Version)...)
	if err != nil {
		if tx.s.engine.judge(err) == duplicate {
			return fault(Exists, "", "there is a %s like this already", strings.ReplaceAll(string(t.kind), "_", " "))
		}
		return err
	}
	return tx.log(creation, t.kind, t.id(v), nil, v)
}

// update changes an object. version is the one that the change was made for; 0: any.
func (t *table[T]) update(tx *Tx, id string, version int64, action string, change func(*T) error) (T, error) {
	old, err := t.hold(tx, id, changing)
	if err != nil {
		return old, err
	}
	if s := t.stamp(&old); version != 0 && s.Version != version {
		return old, fault(Stale, "version", "it was changed meanwhile: version %d is asked for, and %d is there", version, s.Version)
	}
	now := old
	if err := change(&now); err != nil {
		return old, err
	}
	s := t.stamp(&now)
	*s = *t.stamp(&old)
	s.Changed, s.Version = tx.now, s.Version+1
	set := strings.Join(t.columns, " = ?, ") + " = ?, changed = ?, version = ?"
	n, err := tx.exec("UPDATE "+t.name+" SET "+set+" WHERE "+t.key+" = ? AND version = ?", append(t.fields(&now), micro(s.Changed), s.Version, id, s.Version-1)...)
	switch {
	case err != nil && tx.s.engine.judge(err) == duplicate:
		return old, fault(Exists, "", "there is a %s like this already", strings.ReplaceAll(string(t.kind), "_", " "))
	case err != nil:
		return old, err
	case n == 0:
		return old, fault(Stale, "version", "it was changed meanwhile")
	}
	return now, tx.log(action, t.kind, id, &old, &now)
}

// remove deletes an object, which nothing may belong to.
func (t *table[T]) remove(tx *Tx, id string, version int64, users ...condition) error {
	old, err := t.hold(tx, id, going)
	if err != nil {
		return err
	}
	if s := t.stamp(&old); version != 0 && s.Version != version {
		return fault(Stale, "version", "it was changed meanwhile: version %d is asked for, and %d is there", version, s.Version)
	}
	for _, u := range users { // the column is TABLE.COLUMN
		in, _, _ := strings.Cut(u.column, ".")
		var n int64
		if err := tx.tx.QueryRowContext(tx.ctx, tx.s.engine.bind("SELECT count(*) FROM "+in+" WHERE "+u.column+" = ?"), id).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return fault(InUse, "", "%d %s belong to it", n, u.value)
		}
	}
	if _, err := tx.exec("DELETE FROM "+t.name+" WHERE "+t.key+" = ?", id); err != nil {
		return err
	}
	return tx.log("delete", t.kind, id, &old, nil)
}

// orNull writes "" as NULL.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// nullable reads NULL as "".
type nullable struct{ to *string }

// Scan implements sql.Scanner.
func (n nullable) Scan(v any) error {
	var s sql.NullString
	err := s.Scan(v)
	*n.to = s.String
	return err
}

// moment reads a time.
type moment struct{ to *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(v any) error {
	var n sql.NullInt64
	err := n.Scan(v)
	*m.to = when(n.Int64)
	return err
}

// document reads JSON.
type document struct{ to any }

// Scan implements sql.Scanner.
func (d document) Scan(v any) error {
	var s sql.NullString
	if err := s.Scan(v); err != nil || s.String == "" {
		return err
	}
	return jsonx.Decode([]byte(s.String), d.to)
}
