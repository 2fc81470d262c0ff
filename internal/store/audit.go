package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
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

// AuditFilter says which entries are listed; what is "" or 0 does not count.
type AuditFilter struct {
	Kind   Kind
	Object string
	Before int64 // entries before this number; 0: from the last
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
	if f.Kind != "" {
		clause, args = append(clause, "kind = ?"), append(args, string(f.Kind))
	}
	if f.Object != "" {
		clause, args = append(clause, "object = ?"), append(args, f.Object)
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

// poll is how often changes are looked for, where nothing tells of them.
const poll = 250 * time.Millisecond

// Follower keeps indexes in memory as the store is. Its functions are called by one goroutine.
type Follower struct {
	Store   *Store
	Issued  *auth.Directory                            // nil: keys are not followed
	Changed func(ctx context.Context, kind Kind) error // called once for each kind of what changed; nil: nobody asks
	Log     *slog.Logger
	seq     int64
}

// Load reads everything. Until it succeeds the index is empty, and keys of the store let nobody in.
func (f *Follower) Load(ctx context.Context) error {
	if err := f.Store.db.QueryRowContext(ctx, "SELECT n FROM audit_seq WHERE one = 1").Scan(&f.seq); err != nil {
		return err
	}
	if f.Issued == nil {
		return nil
	}
	all, err := f.Store.Issued(ctx, "") // what changes meanwhile is read again
	if err != nil {
		return err
	}
	f.Issued.Replace(all)
	return nil
}

// Run follows changes until the context ends. While the database is away, what is known stays.
func (f *Follower) Run(ctx context.Context) {
	woken := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Store.engine.wake(ctx, woken)
	}()
	defer func() { <-done }()
	t := time.NewTicker(poll)
	defer t.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-woken:
		}
		err := f.catchUp(ctx)
		if ctx.Err() == nil && (err != nil) != away {
			if away = err != nil; away {
				f.Log.Warn("the store cannot be read; keys stay as they were", "error", err)
			} else {
				f.Log.Info("the store can be read again")
			}
		}
	}
}

// catchUp reads the changes since the last one.
func (f *Follower) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		changes, err := f.Store.since(ctx, f.seq)
		if err != nil || len(changes) == 0 {
			return err
		}
		seen, kinds := map[string]bool{}, map[Kind]bool{}
		for _, c := range changes {
			if c.Kind == KindKey && f.Issued != nil && !seen[c.Object] {
				seen[c.Object] = true
				now, err := f.Store.Issued(ctx, c.Object)
				if err != nil {
					return err
				}
				f.Issued.Change(c.Object, now)
			}
			kinds[c.Kind] = true
		}
		for _, k := range slices.Sorted(maps.Keys(kinds)) {
			if f.Changed == nil {
				break
			}
			if err := f.Changed(ctx, k); err != nil {
				return err
			}
		}
		f.seq = changes[len(changes)-1].Seq
	}
}

func (s *Store) since(ctx context.Context, seq int64) ([]Entry, error) {
	rows, err := s.db.QueryContext(ctx, s.engine.bind("SELECT seq, kind, object FROM audit WHERE seq > ? ORDER BY seq LIMIT 1000"), seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Seq, &e.Kind, &e.Object); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

// keptAnswers is how long an idempotency key counts.
const keptAnswers = 24 * time.Hour

// Once runs f at most once for an idempotency key of the actor: a repeated request gets the first one's answer, which
// must hold no secret. again reports that it did. The same key with another request is refused.
func (t *Tx) Once(id string, request []byte, f func() ([]byte, error)) (answer []byte, again bool, err error) {
	if id == "" {
		answer, err = f()
		return answer, false, err
	}
	sum := sha256.Sum256(request)
	var was []byte
	err = t.tx.QueryRowContext(t.ctx, t.s.engine.bind("SELECT request, response FROM idempotency WHERE actor = ? AND id = ? AND at > ?"), t.actor.Name, id, micro(t.now.Add(-keptAnswers))).Scan(&was, &answer)
	switch {
	case err == nil && string(was) == string(sum[:]):
		return answer, true, nil
	case err == nil:
		return nil, false, fault(Replayed, "idempotency-key", "the idempotency key was used for another request")
	case !errors.Is(err, sql.ErrNoRows):
		return nil, false, err
	}
	if answer, err = f(); err != nil {
		return nil, false, err
	}
	if _, err := t.exec("DELETE FROM idempotency WHERE at <= ? OR actor = ? AND id = ?", micro(t.now.Add(-keptAnswers)), t.actor.Name, id); err != nil {
		return nil, false, err
	}
	_, err = t.exec("INSERT INTO idempotency (actor, id, request, response, at) VALUES (?, ?, ?, ?, ?)", t.actor.Name, id, sum[:], answer, micro(t.now))
	if err != nil && t.s.engine.judge(err) == duplicate { // the same request runs beside this one
		return nil, false, fault(Stale, "idempotency-key", "the same request is being made at this moment")
	}
	return answer, false, err
}
