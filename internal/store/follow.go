package store

import (
	"context"
	"errors"
	"log/slog"
	"maps"
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
