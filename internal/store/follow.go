package store

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/store/digests"
)

// poll is how often changes are looked for; PostgreSQL tells of them besides.
const poll = 250 * time.Millisecond

// Bounds of what reads the store.
const (
	mostCatchUp = 10 * time.Second
	mostLoad    = 5 * time.Minute // of everything
)

// Follower keeps indexes in memory as the store is. Its functions are called by one goroutine, but for Changed, which one of its own
// calls: what takes long there holds up no keys.
type Follower struct {
	Store   *Store
	Issued  *auth.Directory                            // nil: keys are not followed
	Changed func(ctx context.Context, kind Kind) error // called for each kind of what changed, again after an error; nil: nobody asks
	Log     *slog.Logger
	seq, at int64 // the last change that was taken up, and when it was made, in microseconds; 0: none is known

	mu  sync.Mutex
	due map[Kind]bool // what Changed is still to take up
}

// Load reads everything. Until it succeeds the index is empty, and keys of the store let nobody in.
func (f *Follower) Load(ctx context.Context) error {
	var seq, at int64
	if err := f.Store.db.QueryRowContext(ctx, "SELECT n, coalesce((SELECT at FROM audit WHERE seq = n), 0) FROM audit_seq WHERE one = 1").Scan(&seq, &at); err != nil {
		return err
	}
	if f.Issued != nil { // what changes meanwhile is read again
		if err := f.Issued.Load(f.Store.eachIssued(ctx, "", f.skip)); err != nil {
			return err
		}
	}
	f.seq, f.at = seq, at
	return nil
}

// skip tells of a key that lets nobody in, for another version of the program has written what this one cannot read.
func (f *Follower) skip(id string, err error) {
	f.Log.Error("a key of the store cannot be read, and lets nobody in", "key", id, "error", err)
}

// Run follows changes until the context ends. While the database is away, what is known stays.
func (f *Follower) Run(ctx context.Context) {
	woken, told := make(chan struct{}, 1), make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.Store.engine.wake(ctx, woken) })
	wg.Go(func() { f.each(ctx, told, f.tell) })
	f.each(ctx, woken, func(ctx context.Context) error {
		err := f.catchUp(ctx)
		if err == nil && f.waits() {
			select {
			case told <- struct{}{}:
			default:
			}
		}
		return err
	})
}

// each calls what takes up changes, at least once in each period, until the context ends. It tells of errors when they begin and
// when they are over.
func (f *Follower) each(ctx context.Context, woken <-chan struct{}, take func(context.Context) error) {
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
		err := take(ctx)
		if ctx.Err() == nil && (err != nil) != away {
			if away = err != nil; away {
				f.Log.Warn("what changed in the store cannot be taken up; it stays as it was", "error", err)
			} else {
				f.Log.Info("what changed in the store is taken up again")
			}
		}
	}
}

// catchUp reads the changes since the last one. A store whose last change is another one than before was set back, as by what was
// restored: it is read as a whole.
func (f *Follower) catchUp(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, mostCatchUp)
	defer cancel()
	for {
		changes, err := f.Store.since(short, f.seq)
		if err != nil {
			return err
		}
		at := int64(0)
		if len(changes) > 0 && changes[0].Seq == f.seq {
			at, changes = micro(changes[0].At), changes[1:]
		}
		switch {
		case at != f.at:
			return f.again(ctx)
		case len(changes) == 0:
			return nil
		}
		if err := f.take(short, changes); err != nil {
			return err
		}
	}
}

// again reads everything.
func (f *Follower) again(ctx context.Context) error {
	f.Log.Warn("the store is not what it was; it is read as a whole")
	ctx, cancel := context.WithTimeout(ctx, mostLoad)
	defer cancel()
	if err := f.Load(ctx); err != nil {
		return err
	}
	f.mark(KindOrganization, KindTeam, KindProject, KindKey, KindBudget, KindProviderKey, KindExperiment, KindTemplate)
	return nil
}

// take takes up changes.
func (f *Follower) take(ctx context.Context, changes []Entry) error {
	seen := map[string]bool{}
	for _, c := range changes {
		if c.Kind == KindKey && f.Issued != nil && !seen[c.Object] {
			seen[c.Object] = true
			now, err := f.Store.issued(ctx, c.Object, f.skip)
			if err != nil {
				return err
			}
			f.Issued.Change(c.Object, now)
		}
		f.mark(c.Kind)
	}
	last := &changes[len(changes)-1]
	f.seq, f.at = last.Seq, micro(last.At)
	return nil
}

// mark notes what Changed is to take up.
func (f *Follower) mark(all ...Kind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.due == nil {
		f.due = map[Kind]bool{}
	}
	for _, k := range all {
		f.due[k] = true
	}
}

func (f *Follower) waits() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.due) > 0
}

// tell calls Changed for what is due. What changes meanwhile is due again.
func (f *Follower) tell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, mostCatchUp)
	defer cancel()
	f.mu.Lock()
	due := slices.Sorted(maps.Keys(f.due))
	clear(f.due)
	f.mu.Unlock()
	var faults []error
	for _, k := range due {
		if f.Changed == nil {
			break
		}
		if err := f.Changed(ctx, k); err != nil {
			faults = append(faults, err)
			f.mark(k)
		}
	}
	return errors.Join(faults...)
}

// since reads the changes from a number on.
func (s *Store) since(ctx context.Context, seq int64) ([]Entry, error) {
	rows, err := s.db.QueryContext(ctx, s.engine.bind("SELECT seq, at, kind, object FROM audit WHERE seq >= ? ORDER BY seq LIMIT 1000"), seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Seq, moment{&e.At}, &e.Kind, &e.Object); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

// eachIssued is as Issued, with one secret after the other, those of a key together. The key is overwritten by the next one, but
// not its lists. skip is told of keys that are left out.
func (s *Store) eachIssued(ctx context.Context, id string, skip func(id string, err error)) iter.Seq2[auth.Issued, error] {
	read := s.joinIssued
	if id == "" && s.engine.name() == "sqlite" {
		read = s.scanIssued
	}
	return func(yield func(auth.Issued, error) bool) {
		enough := errors.New("no more are wanted")
		err := read(ctx, id, skip, func(i auth.Issued) error {
			if !yield(i, nil) {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(auth.Issued{}, err)
		}
	}
}

// joinIssued has the database find the key of each secret.
func (s *Store) joinIssued(ctx context.Context, id string, skip func(id string, err error), f func(auth.Issued) error) error {
	where, args := "k.state = ?", []any{active}
	if id != "" {
		where, args = where+" AND k.id = ?", append(args, id)
	}
	rows, err := s.db.QueryContext(ctx, s.engine.bind("SELECT "+keyColumns+", s.digest, s.until FROM api_key_secrets s JOIN api_keys k ON k.id = s.api_key WHERE "+where+" ORDER BY k.id"), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var k keyRow
	var digest sql.RawBytes
	var i auth.Issued
	to := append(k.columns(), &digest, moment{&i.Until})
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err
		}
		if i.Key, err = k.read(); err != nil {
			skip(k.key.ID, err)
			continue
		}
		i.Digest = auth.Digest(digest)
		if err := f(i); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanIssued reads both tables of a SQLite file from their beginnings to their ends, first the secrets and then the keys. In the order
// of the keys' ids nearly every row is on another page than the one before: with a million keys, that took two thirds of the time
// until the service was ready. A secret takes some 80 bytes meanwhile.
func (s *Store) scanIssued(ctx context.Context, _ string, skip func(id string, err error), f func(auth.Issued) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // both as they are at one moment
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	all, err := readDigests(ctx, tx)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "SELECT "+keyColumns+" FROM api_keys k WHERE k.state = ?", active)
	if err != nil {
		return err
	}
	defer rows.Close()
	var k keyRow
	to := k.columns()
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err
		}
		first := all.First(k.key.ID)
		if first < 0 {
			continue
		}
		i := auth.Issued{}
		if i.Key, err = k.read(); err != nil {
			skip(k.key.ID, err)
			continue
		}
		for at := first; at >= 0; at = all.Next(at) {
			i.Digest, i.Until = all.At(at)
			if err := f(i); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

// keyColumns are the columns of a keyRow.
const keyColumns = "k.id, k.name, k.organization, k.team, k.project, k.role, k.expires, k.scope"

// keyRow reads keys, one over the other.
type keyRow struct {
	key   auth.Key
	role  string
	scope sql.RawBytes
	last  string // the scope that key has
}

func (r *keyRow) columns() []any {
	k := &r.key
	return []any{&k.ID, &k.Name, &k.Organization, nullable{&k.Team}, nullable{&k.Project}, &r.role, moment{&k.Expires}, &r.scope}
}

// read returns the key that was scanned, or why its scope is not understood: a bound that is not known is not left out. A scope that is
// as the one before is not read again.
func (r *keyRow) read() (*auth.Key, error) {
	r.key.Role, _ = auth.ParseRole(r.role)
	if string(r.scope) == r.last {
		return &r.key, nil
	}
	var written Scope
	if err := jsonx.DecodeStrict(r.scope, &written); err != nil {
		return nil, err
	}
	scope, err := written.scope()
	if err != nil {
		return nil, err
	}
	r.key.Scope, r.last = scope, string(r.scope)
	return &r.key, nil
}

func readDigests(ctx context.Context, q querier) (*digests.Table, error) {
	var n int
	if err := q.QueryRowContext(ctx, "SELECT count(*) FROM api_key_secrets").Scan(&n); err != nil {
		return nil, err
	}
	all := digests.New(n)
	rows, err := q.QueryContext(ctx, "SELECT api_key, digest, until FROM api_key_secrets")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var id, digest sql.RawBytes
	var until time.Time
	to := []any{&id, &digest, moment{&until}}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		if err := all.Add(id, auth.Digest(digest), until); err != nil {
			return nil, err
		}
	}
	return all, rows.Err()
}
