package store

import (
	"context"
	"strings"
	"time"
)

// Entry is a change in the audit log. Before and After are the object as JSON, without secrets; "": there was none.
type Entry struct {
	Seq           int64
	At            time.Time
	Actor         Actor
	Action        string
	Kind          Kind
	Object        string
	Before, After string
}

// creation is the action of an entry from which on an object is there.
const creation = "create"

// log writes a change down. Its number is taken under the lock of one row, so that numbers become visible in their
// order: who has read up to one misses none.
func (t *Tx) log(action string, kind Kind, object string, before, after any) error {
	var seq int64
	if err := t.tx.QueryRowContext(t.ctx, "UPDATE audit_seq SET n = n + 1 WHERE one = 1 RETURNING n").Scan(&seq); err != nil {
		return err
	}
	json := func(v any) any {
		if v == nil {
			return nil
		}
		return text(v)
	}
	_, err := t.exec("INSERT INTO audit (seq, at, actor, address, action, kind, object, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		seq, micro(t.now), t.actor.Name, t.actor.From, action, string(kind), object, json(before), json(after))
	return err
}

// Note writes down what was done beside the tables of this package, as JSON without secrets; nil: there was nothing, or is
// nothing any more.
func (t *Tx) Note(action string, kind Kind, object string, before, after any) error {
	return t.log(action, kind, object, before, after)
}

// AuditFilter says which entries are listed; what is "" or 0 does not count.
type AuditFilter struct {
	Kind   Kind
	Object string
	Now    bool  // entries of the object that is there now, not of others of that name that were deleted
	Before int64 // entries before this number; 0: from the last
	Actor  string
	Action string
	From   time.Time // at or after
	Until  time.Time // before
}

// Audit reads entries, the last first. next is the number to go on before, 0 at the end.
func (s *Store) Audit(ctx context.Context, f AuditFilter, size int) (all []Entry, next int64, err error) {
	if size <= 0 {
		size = usualPage
	}
	size = min(size, mostPage)
	clause, args := []string{"seq > 0"}, []any{}
	if f.Before > 0 {
		clause, args = append(clause, "seq < ?"), append(args, f.Before)
	}
	for _, c := range []struct{ column, value string }{{"kind", string(f.Kind)}, {"object", f.Object}, {"actor", f.Actor}, {"action", f.Action}} {
		if c.value != "" {
			clause, args = append(clause, c.column+" = ?"), append(args, c.value)
		}
	}
	if f.Now {
		clause = append(clause, "seq >= (SELECT coalesce(max(seq), 0) FROM audit WHERE kind = ? AND object = ? AND action = ?)")
		args = append(args, string(f.Kind), f.Object, creation)
	}
	if !f.From.IsZero() {
		clause, args = append(clause, "at >= ?"), append(args, micro(f.From))
	}
	if !f.Until.IsZero() {
		clause, args = append(clause, "at < ?"), append(args, micro(f.Until))
	}
	rows, err := s.db.QueryContext(ctx, s.engine.bind("SELECT seq, at, actor, address, action, kind, object, before, after FROM audit WHERE "+strings.Join(clause, " AND ")+" ORDER BY seq DESC LIMIT ?"), append(args, size+1)...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Seq, moment{&e.At}, &e.Actor.Name, &e.Actor.From, &e.Action, &e.Kind, &e.Object, nullable{&e.Before}, nullable{&e.After}); err != nil {
			return nil, 0, err
		}
		all = append(all, e)
	}
	if len(all) > size {
		all = all[:size]
		next = all[size-1].Seq
	}
	return all, next, rows.Err()
}
