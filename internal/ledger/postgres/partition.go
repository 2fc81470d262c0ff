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

// notLocked is the code of a lock that was not to be had in time.
const notLocked = "55P03"

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
			if err := attach(ctx, tx, day); err != nil {
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

// attach makes the partition of a day where there is none. A table that is made as a partition would wait for whoever reads the
// records, as a long export, and have all wait that come after it; one that is attached does not.
func attach(ctx context.Context, tx pgx.Tx, day int64) error {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid=to_regclass($1) AND inhparent='ledger_records'::regclass)", table(day)).Scan(&there); err != nil || there {
		return err
	}
	_, err := tx.Exec(ctx, fmt.Sprintf("CREATE TABLE %[1]s (LIKE ledger_records); ALTER TABLE ledger_records ATTACH PARTITION %[1]s FOR VALUES FROM (%[2]d) TO (%[3]d)", table(day), day, day+1))
	return err
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

// Prune drops partitions all of whose records are old, and deletes old sums. See book.Store. While somebody reads for long, no
// partition is dropped, which is an error; sums are deleted all the same.
func (s *Store) Prune(ctx context.Context, keep book.Retention, now time.Time) error {
	var busy error
	for _, o := range sqltext.Expired(keep, now) {
		var err error
		if o.Table == "ledger_records" {
			err = s.dropBefore(ctx, dayOf(time.UnixMilli(o.Before)))
		} else {
			err = s.deleteSums(ctx, &o)
		}
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == notLocked {
			busy = fmt.Errorf("ledger: records are being read, and the old ones cannot be removed meanwhile: %w", err)
		} else if err != nil {
			return fmt.Errorf("ledger: removing what is old: %w", err)
		}
	}
	return busy
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

// drop drops a partition. It waits for whoever reads the records, and whoever comes after it waits too: that must not be for long.
func (s *Store) drop(ctx context.Context, name string) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lock)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout='1s'"); err != nil {
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
