package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

// noPartition is the code of a row that no partition takes: one that another replica has just dropped.
const noPartition = "23514"

const millisOfDay = 86_400_000

// partitions makes the partitions that records need.
func (s *Store) partitions(ctx context.Context, records []*ledger.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []int64
	for _, r := range records {
		if day := dayOf(r.At); !s.days[day] && !slices.Contains(missing, day) {
			missing = append(missing, day)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lock)); err != nil {
			return err
		}
		for _, day := range missing {
			text := fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s PARTITION OF ledger_records FOR VALUES FROM (%d) TO (%d)", table(day), day, day+1)
			if _, err := tx.Exec(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, day := range missing {
		s.days[day] = true
	}
	return nil
}

// dayOf returns the days since 1970, as the column day has them: Go divides as SQL does.
func dayOf(t time.Time) int64 { return t.UnixMilli() / millisOfDay }

// prefix is that of partitions' names; behind it stands the day as YYYYMMDD.
const prefix = "ledger_records_"

func table(day int64) string {
	return prefix + time.Unix(day*86_400, 0).UTC().Format("20060102")
}

// forget makes sure that after a row without a partition all partitions are looked for again.
func (s *Store) forget(err error) {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == noPartition {
		s.mu.Lock()
		clear(s.days)
		s.mu.Unlock()
	}
}

// Prune drops partitions all of whose records are old, and deletes old sums. See book.Store.
func (s *Store) Prune(ctx context.Context, keep book.Retention, now time.Time) error {
	for _, o := range sqltext.Expired(keep, now) {
		var err error
		if o.Table == "ledger_records" {
			err = s.dropBefore(ctx, dayOf(time.UnixMilli(o.Before)))
		} else {
			err = s.deleteSums(ctx, &o)
		}
		if err != nil {
			return fmt.Errorf("ledger: removing what is old: %w", err)
		}
	}
	return nil
}

func (s *Store) dropBefore(ctx context.Context, day int64) error {
	rows, err := s.pool.Query(ctx, "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid=i.inhrelid WHERE i.inhparent='ledger_records'::regclass ORDER BY 1")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		date, ok := strings.CutPrefix(name, prefix)
		t, err := time.Parse("20060102", date)
		if !ok || err != nil || dayOf(t) >= day {
			continue
		}
		if err := s.drop(ctx, name); err != nil {
			return err
		}
		s.mu.Lock()
		delete(s.days, dayOf(t))
		s.mu.Unlock()
	}
	return nil
}

func (s *Store) drop(ctx context.Context, name string) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lock)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+pgx.Identifier{name}.Sanitize())
		return err
	})
}

// deleteSums deletes some thousand rows at a time, so that no lock is held for long.
func (s *Store) deleteSums(ctx context.Context, o *sqltext.Old) error {
	text := "DELETE FROM " + o.Table + " WHERE ctid = ANY(ARRAY(SELECT ctid FROM " + o.Table + " WHERE " + o.Where() + " LIMIT 5000))"
	for {
		tag, err := s.pool.Exec(ctx, text)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
	}
}
