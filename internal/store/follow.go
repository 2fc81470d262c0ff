package store

import (
	"context"
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
