package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

var _ book.Outbox = (*Store)(nil)

// outbox came later, as notices did.
const outbox = `
CREATE TABLE ledger_sinks (name text COLLATE "C" PRIMARY KEY, seen bigint NOT NULL);
CREATE TABLE ledger_outbox (
	n bigint GENERATED ALWAYS AS IDENTITY, sink text COLLATE "C" NOT NULL,
	since bigint NOT NULL, -- Unix milliseconds
	day bigint NOT NULL, organization text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, sequence integer NOT NULL,
	PRIMARY KEY (sink, n)
);`

// mostSinks is how many sinks can be handed records at once. Each has a connection while it is: one that does not answer takes none
// from what writes.
const mostSinks = 16

// addWaiting puts what was added into the outbox, for each sink that is known.
func addWaiting(ctx context.Context, tx pgx.Tx, added []*ledger.Record) error {
	if len(added) == 0 {
		return nil
	}
	var days []int64
	var organizations, ids []string
	var sequences []int32
	for _, r := range added {
		days, organizations, ids, sequences = append(days, dayOf(r.At)), append(organizations, r.Organization), append(ids, r.ID), append(sequences, int32(r.Sequence))
	}
	_, err := tx.Exec(ctx, "INSERT INTO ledger_outbox (sink,since,day,organization,id,sequence) SELECT s.name,$1,u.day,u.organization,u.id,u.sequence FROM ledger_sinks s CROSS JOIN"+
		" unnest($2::bigint[],$3::text[],$4::text[],$5::integer[]) AS u(day,organization,id,sequence)", time.Now().UnixMilli(), days, organizations, ids, sequences)
	return err
}

// Name implements book.Outbox.
func (s *Store) Name(ctx context.Context, sinks []string, now time.Time) error {
	for _, name := range sinks {
		st := sqltext.Name(flavor(), name, now)
		if _, err := s.pool.Exec(ctx, st.SQL, st.Args...); err != nil {
			return failed(err)
		}
	}
	return nil
}

// Pass implements book.Outbox. The rows are locked while f runs; other replicas pass over them, and have them when this one
// dies.
func (s *Store) Pass(ctx context.Context, sink string, n int, f func([]book.Waiting) int) (int, error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return 0, failed(err)
	}
	after, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer tx.Rollback(after) //nolint:errcheck // after a commit it has nothing to do
	got, err := tx.Query(ctx, "SELECT o.n,o.since,r.data FROM (SELECT n,since,day,organization,id,sequence FROM ledger_outbox WHERE sink=$1 ORDER BY n LIMIT $2 FOR UPDATE SKIP LOCKED) AS o"+
		" LEFT JOIN LATERAL (SELECT data FROM ledger_records WHERE day=o.day AND organization=o.organization AND id=o.id AND sequence=o.sequence LIMIT 1) AS r ON true ORDER BY o.n", sink, n)
	if err != nil {
		return 0, failed(err)
	}
	var rows []sqltext.Handed
	var h sqltext.Handed
	if _, err := pgx.ForEachRow(got, h.Row(), func() error {
		rows = append(rows, h)
		return nil
	}); err != nil || len(rows) == 0 {
		if err != nil {
			err = failed(err)
		}
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
	limited, end := context.WithTimeout(after, sqltext.Taking)
	defer end()
	if _, err := tx.Exec(limited, "DELETE FROM ledger_outbox WHERE sink=$1 AND n=ANY($2)", sink, taken); err != nil {
		return len(all), failed(err)
	}
	if err := tx.Commit(limited); err != nil {
		return len(all), failed(err)
	}
	return len(all), nil
}

// Backlog implements book.Outbox.
func (s *Store) Backlog(ctx context.Context, sink string) (book.Backlog, error) {
	st := sqltext.Backlog(flavor(), sink)
	var count, since int64
	if err := s.pool.QueryRow(ctx, st.SQL, st.Args...).Scan(&count, &since); err != nil {
		return book.Backlog{}, failed(err)
	}
	return sqltext.BacklogRow(count, since), nil
}
