package store

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"iter"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
)

// poll is how often changes are looked for; PostgreSQL tells of them besides.
const poll = 250 * time.Millisecond

// Follower keeps indexes in memory as the store is. Its functions are called by one goroutine.
type Follower struct {
	Store   *Store
	Issued  *auth.Directory                            // nil: keys are not followed
	Changed func(ctx context.Context, kind Kind) error // called for each kind of what changed, again after an error; nil: nobody asks
	Log     *slog.Logger
	seq     int64
	due     map[Kind]bool // what Changed is still to take up
}

// Load reads everything. Until it succeeds the index is empty, and keys of the store let nobody in.
func (f *Follower) Load(ctx context.Context) error {
	f.due = map[Kind]bool{}
	if err := f.Store.db.QueryRowContext(ctx, "SELECT n FROM audit_seq WHERE one = 1").Scan(&f.seq); err != nil {
		return err
	}
	if f.Issued == nil {
		return nil
	}
	return f.Issued.Load(f.Store.eachIssued(ctx, "")) // what changes meanwhile is read again
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
				f.Log.Warn("what changed in the store cannot be taken up; it stays as it was", "error", err)
			} else {
				f.Log.Info("what changed in the store is taken up again")
			}
		}
	}
}

// catchUp reads the changes since the last one. What Changed does not take up holds up no keys.
func (f *Follower) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		changes, err := f.Store.since(ctx, f.seq)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			return f.tell(ctx)
		}
		seen := map[string]bool{}
		for _, c := range changes {
			if c.Kind == KindKey && f.Issued != nil && !seen[c.Object] {
				seen[c.Object] = true
				now, err := f.Store.Issued(ctx, c.Object)
				if err != nil {
					return err
				}
				f.Issued.Change(c.Object, now)
			}
			f.due[c.Kind] = true
		}
		f.seq = changes[len(changes)-1].Seq
	}
}

// tell calls Changed for what is due.
func (f *Follower) tell(ctx context.Context) error {
	var faults []error
	for _, k := range slices.Sorted(maps.Keys(f.due)) {
		if f.Changed != nil {
			if err := f.Changed(ctx, k); err != nil {
				faults = append(faults, err)
				continue
			}
		}
		delete(f.due, k)
	}
	return errors.Join(faults...)
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

// eachIssued is as Issued, with one secret after the other, those of a key together. The key is overwritten by the next one, but
// not its lists.
func (s *Store) eachIssued(ctx context.Context, id string) iter.Seq2[auth.Issued, error] {
	read := s.joinIssued
	if id == "" && s.engine.name() == "sqlite" {
		read = s.scanIssued
	}
	return func(yield func(auth.Issued, error) bool) {
		enough := errors.New("no more are wanted")
		err := read(ctx, id, func(i auth.Issued) error {
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
func (s *Store) joinIssued(ctx context.Context, id string, f func(auth.Issued) error) error {
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
			return err
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
func (s *Store) scanIssued(ctx context.Context, _ string, f func(auth.Issued) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // both as they are at one moment
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	all, err := readSecrets(ctx, tx)
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
		first := all.first(k.key.ID)
		if first < 0 {
			continue
		}
		i := auth.Issued{}
		if i.Key, err = k.read(); err != nil {
			return err
		}
		for at := first; at >= 0; at = all.behind(at) {
			i.Digest, i.Until = all.digests[at], all.until[at]
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

// read returns the key that was scanned. A scope that is as the one before is not read again.
func (r *keyRow) read() (*auth.Key, error) {
	r.key.Role, _ = auth.ParseRole(r.role)
	if string(r.scope) == r.last {
		return &r.key, nil
	}
	var written Scope
	if err := (document{&written}).Scan([]byte(r.scope)); err != nil {
		return nil, err
	}
	scope, err := written.scope()
	if err != nil {
		return nil, err
	}
	r.key.Scope, r.last = scope, string(r.scope)
	return &r.key, nil
}

// secrets are the digests of all secrets, by the ids of their keys. They have no pointer for each: a store may have millions.
type secrets struct {
	digests []auth.Digest
	until   map[int]time.Time // of those that end before their keys, by place
	ids     []byte            // one behind the other
	ends    []uint32          // of ids
	next    []uint32          // by place, that of the key's next secret; 0: none
	slots   []uint64          // by hash of the id, the hash's first half and the place of the key's first secret, from 1; 0: free; a power of two
	seed    maphash.Seed
}

func readSecrets(ctx context.Context, q querier) (*secrets, error) {
	var n int
	if err := q.QueryRowContext(ctx, "SELECT count(*) FROM api_key_secrets").Scan(&n); err != nil {
		return nil, err
	}
	const usual = 16 // bytes of an id
	slots := 1
	for slots < 2*n {
		slots *= 2
	}
	all := &secrets{
		digests: make([]auth.Digest, 0, n), until: map[int]time.Time{}, ids: make([]byte, 0, usual*n), ends: make([]uint32, 0, n), next: make([]uint32, n), slots: make([]uint64, slots), seed: maphash.MakeSeed(),
	}
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
		if uint64(len(all.ids)+len(id)) > math.MaxUint32 {
			return nil, errors.New("the ids of all keys take over 4 GB")
		}
		all.add(id, auth.Digest(digest), until)
	}
	return all, rows.Err()
}

func (a *secrets) add(id []byte, d auth.Digest, until time.Time) {
	at := len(a.digests)
	a.digests, a.ids = append(a.digests, d), append(a.ids, id...)
	a.ends = append(a.ends, uint32(len(a.ids)))
	if !until.IsZero() {
		a.until[at] = until
	}
	slot, mark := a.slot(string(id))
	if *slot == 0 {
		*slot = mark | uint64(at+1)
		return
	}
	last := place(*slot)
	for a.next[last] != 0 {
		last = int(a.next[last])
	}
	a.next[last] = uint32(at)
}

// slot returns that of a key, or the free one where it would be, and what marks slots of its hash.
func (a *secrets) slot(id string) (slot *uint64, mark uint64) {
	const half = 1<<32 - 1
	hash := maphash.String(a.seed, id)
	for n := hash; ; n++ {
		slot := &a.slots[n&uint64(len(a.slots)-1)]
		if *slot == 0 || *slot&^half == hash&^half && string(a.id(place(*slot))) == id {
			return slot, hash &^ half
		}
	}
}

// place is that which a slot has, -1: none.
func place(slot uint64) int { return int(uint32(slot)) - 1 }

func (a *secrets) id(at int) []byte {
	begin := uint32(0)
	if at > 0 {
		begin = a.ends[at-1]
	}
	return a.ids[begin:a.ends[at]]
}

// first returns the place of the first secret of a key, -1: it has none.
func (a *secrets) first(id string) int {
	slot, _ := a.slot(id)
	return place(*slot)
}

// behind returns the place of the next secret of the same key, -1: there is none.
func (a *secrets) behind(at int) int {
	if n := a.next[at]; n > 0 {
		return int(n)
	}
	return -1
}
