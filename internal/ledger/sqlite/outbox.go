package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

var _ book.Outbox = (*Store)(nil)

// outbox came later, as notices did.
const outbox = `;
CREATE TABLE IF NOT EXISTS ledger_sinks (name TEXT PRIMARY KEY, seen INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_outbox (
	n INTEGER PRIMARY KEY, sink TEXT NOT NULL,
	since INTEGER NOT NULL, -- Unix milliseconds
	organization TEXT NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS ledger_outbox_sink ON ledger_outbox (sink, n)`

// sinks returns the names of those that are known.
func sinks(ctx context.Context, tx *sql.Tx) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name FROM ledger_sinks ORDER BY name") //nolint:rowserrcheck // sqltext.Collect checks it
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return sqltext.Collect(rows, sqltext.IDRow)
}

// addWaiting puts what was added into the outbox, for each sink that is known.
func addWaiting(ctx context.Context, tx *sql.Tx, added []*ledger.Record) error {
	if len(added) == 0 {
		return nil
	}
	names, err := sinks(ctx, tx)
	if err != nil || len(names) == 0 {
		return err
	}
	st, err := tx.PrepareContext(ctx, "INSERT INTO ledger_outbox (sink,since,organization,id,sequence) VALUES (?,?,?,?,?)")
	if err != nil {
		return err
	}
	defer st.Close()
	now := time.Now().UnixMilli()
	for _, sink := range names {
		for _, r := range added {
			if _, err := st.ExecContext(ctx, sink, now, r.Organization, r.ID, r.Sequence); err != nil {
				return err
			}
		}
	}
	return nil
}

// Name implements book.Outbox.
func (s *Store) Name(ctx context.Context, sinks []string, now time.Time) error {
	for _, name := range sinks {
		if _, err := s.run(ctx, sqltext.Name(flavor(), name, now)); err != nil {
			return err
		}
	}
	return nil
}

// Pass implements book.Outbox. No lock of the file is held while f runs.
func (s *Store) Pass(ctx context.Context, sink string, n int, f func([]book.Waiting) int) (int, error) {
	if _, busy := s.passing.LoadOrStore(sink, true); busy {
		return 0, nil
	}
	defer s.passing.Delete(sink)
	rows, err := collect(ctx, s, sqltext.Statement{
		SQL: "SELECT o.n,o.since,r.data FROM (SELECT n,since,organization,id,sequence FROM ledger_outbox WHERE sink=? ORDER BY n LIMIT ?) AS o" +
			" LEFT JOIN ledger_records AS r ON r.organization=o.organization AND r.id=o.id AND r.sequence=o.sequence ORDER BY o.n",
		Args: []any{sink, n},
	}, (*sqltext.Handed).Row)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	all, err := sqltext.Waiting(rows)
	if err != nil {
		return 0, fmt.Errorf("ledger: what waits for %s: %w", sink, err)
	}
	taken := sqltext.Numbers(all, f(all))
	if len(taken) == 0 {
		return len(all), nil
	}
	marks, args := strings.TrimSuffix(strings.Repeat("?,", len(taken)), ","), make([]any, len(taken))
	for i, n := range taken {
		args[i] = n
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sqltext.Taking)
	defer cancel()
	_, err = s.run(ctx, sqltext.Statement{SQL: "DELETE FROM ledger_outbox WHERE n IN (" + marks + ")", Args: args})
	return len(all), err
}

// Backlog implements book.Outbox.
func (s *Store) Backlog(ctx context.Context, sink string) (book.Backlog, error) {
	st := sqltext.Backlog(flavor(), sink)
	var count, since int64
	if err := s.read.QueryRowContext(ctx, st.SQL, st.Args...).Scan(&count, &since); err != nil {
		return book.Backlog{}, fmt.Errorf("ledger: %w", err)
	}
	return sqltext.BacklogRow(count, since), nil
}
