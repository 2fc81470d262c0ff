// Package postgres keeps the ledger in PostgreSQL (12 or later), for many replicas. Records are partitioned by the day of
// their admission, so that what is old is dropped and not deleted. One replica needs no server: see
// internal/ledger/sqlite.
package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

// Params of a Store.
type Params struct {
	URL      string // postgres://USER@HOST:PORT/DATABASE?sslmode=…, without a password
	Password func(ctx context.Context) (string, error)
}

// Store is a ledger in PostgreSQL.
type Store struct {
	pool *pgxpool.Pool
	mu   sync.Mutex
	days map[int64]bool // whose partitions are known to be there
}

var _ book.Store = (*Store)(nil)

// version is that of the schema. A database with a later one is refused.
const version = 1

//go:embed schema.sql
var schema string

// lock is the advisory lock under which the schema is made and partitions come and go.
const lock = 0x5167_6e61_6c62_6f78 // "Signalbox"

// Open connects, and makes the schema where there is none.
func Open(ctx context.Context, p Params) (*Store, error) {
	c, err := pgxpool.ParseConfig(p.URL)
	if err != nil {
		return nil, errors.New("ledger: the database's address is not one of PostgreSQL: postgres://USER@HOST/DATABASE")
	}
	c.MaxConns = max(c.MaxConns, 6+mostSinks)
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if p.Password != nil {
		c.BeforeConnect = func(ctx context.Context, cc *pgx.ConnConfig) (err error) { // of several connections at once
			cc.Password, err = p.Password(ctx)
			return err
		}
	}
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "signalbox ledger"
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	s := &Store{pool: pool, days: map[int64]bool{}}
	if err := s.migrate(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lock)); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass('ledger_schema') IS NOT NULL").Scan(&there); err != nil {
			return err
		}
		if !there {
			_, err := tx.Exec(ctx, schema+notices+outbox)
			return err
		}
		var have int
		if err := tx.QueryRow(ctx, "SELECT version FROM ledger_schema").Scan(&have); err != nil {
			return err
		}
		if have != version {
			return fmt.Errorf("the schema is of version %d, this program knows %d: use a program that is as new as the database", have, version)
		}
		// Making what is there already would need rights that a service may not have.
		for _, later := range []struct{ table, schema string }{{"ledger_notices", notices}, {"ledger_outbox", outbox}} {
			if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", later.table).Scan(&there); err != nil {
				return err
			}
			if there {
				continue
			}
			if _, err := tx.Exec(ctx, later.schema); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close closes the connections.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// Write adds records. See book.Store.
func (s *Store) Write(ctx context.Context, records []*ledger.Record) (int, error) {
	if err := s.partitions(ctx, records); err != nil {
		return 0, failed(err)
	}
	rows := make([][]any, 0, len(records))
	var room []byte
	for _, r := range records {
		rows = append(rows, sqltext.RecordValues(nil, r, &room))
	}
	n := 0
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		added, err := insert(ctx, tx, rows, records)
		if err != nil {
			return err
		}
		n = len(added)
		rollups, series := book.Gather(added)
		if err := addSums(ctx, tx, rollups, series); err != nil {
			return err
		}
		if err := addCharges(ctx, tx, book.Charges(added)); err != nil {
			return err
		}
		return addWaiting(ctx, tx, added)
	})
	if err != nil {
		s.forget(err)
		return 0, failed(err)
	}
	return n, nil
}

// insert copies records into a table of the connection's own and from there what is new into the ledger, by one
// statement whose locks are taken in the order of keys.
func insert(ctx context.Context, tx pgx.Tx, rows [][]any, records []*ledger.Record) ([]*ledger.Record, error) {
	const staging = `CREATE TEMPORARY TABLE IF NOT EXISTS ledger_staging (at bigint, organization text, id text, sequence integer, team text, project text,
		key_name text, end_user text, route text, provider text, model text, region text, status text, tags jsonb, cost bigint, data text) ON COMMIT DELETE ROWS`
	if _, err := tx.Exec(ctx, staging); err != nil {
		return nil, err
	}
	columns := sqltext.RecordColumns()
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"ledger_staging"}, columns, pgx.CopyFromRows(rows)); err != nil {
		return nil, err
	}
	list := strings.Join(columns, ",")
	got, err := tx.Query(ctx, "INSERT INTO ledger_records (day,"+list+") SELECT at/86400000,"+list+
		" FROM ledger_staging ORDER BY organization COLLATE \"C\",id COLLATE \"C\",sequence ON CONFLICT DO NOTHING RETURNING organization,id,sequence")
	if err != nil {
		return nil, err
	}
	fresh := map[ledger.Key]bool{}
	var k ledger.Key
	if _, err := pgx.ForEachRow(got, []any{&k.Organization, &k.ID, &k.Sequence}, func() error {
		fresh[k] = true
		return nil
	}); err != nil {
		return nil, err
	}
	var added []*ledger.Record
	for _, r := range records {
		if fresh[r.Key] {
			fresh[r.Key] = false // the same key may stand in a batch twice
			added = append(added, r)
		}
	}
	return added, nil
}

// addSums adds to the rollups, in their order.
func addSums(ctx context.Context, tx pgx.Tx, rollups []book.Rollup, series []book.Identified) error {
	if len(rollups) == 0 {
		return nil
	}
	names := sqltext.SeriesColumns()
	texts := make([][]string, len(names)-1)
	ids := make([]int64, len(series))
	for i := range series {
		ids[i] = series[i].ID
		for j, v := range sqltext.SeriesValues(nil, &series[i])[1:] {
			text, _ := v.(string)
			texts[j] = append(texts[j], text)
		}
	}
	args := []any{ids}
	for _, t := range texts {
		args = append(args, t)
	}
	types := "::bigint[]" + strings.Repeat(",::text[]", len(texts))
	text := "INSERT INTO ledger_series (" + strings.Join(names, ",") + ") SELECT " + strings.Join(prefixed("u.", names[:len(names)-1]), ",") + ",u.tags::jsonb FROM unnest(" +
		arrays(types) + ") AS u(" + strings.Join(names, ",") + ") ORDER BY u.id ON CONFLICT DO NOTHING"
	if _, err := tx.Exec(ctx, text, args...); err != nil {
		return err
	}
	columns := book.Columns()
	periods, numbers := make([]string, len(rollups)), make([][]int64, 2+len(columns))
	for i := range rollups {
		r := &rollups[i]
		periods[i] = string(r.Period)
		numbers[0], numbers[1] = append(numbers[0], r.Start), append(numbers[1], r.ID)
		for j, n := range r.Sums.Fields() {
			numbers[2+j] = append(numbers[2+j], *n)
		}
	}
	args = []any{periods}
	for _, n := range numbers {
		args = append(args, n)
	}
	all := append([]string{"period", "start", "series"}, columns[:]...)
	var set []string
	for _, c := range columns {
		set = append(set, c+"=t."+c+"+excluded."+c)
	}
	text = "INSERT INTO ledger_rollups AS t (" + strings.Join(all, ",") + ") SELECT " + strings.Join(all, ",") + " FROM unnest(" + arrays("::text[]"+strings.Repeat(",::bigint[]", len(numbers))) + ") AS u(" + strings.Join(all, ",") + ")" +
		" ON CONFLICT (period,start,series) DO UPDATE SET " + strings.Join(set, ",")
	_, err := tx.Exec(ctx, text, args...)
	return err
}

// arrays numbers the placeholders of a list of types: "::a[],::b[]" becomes "$1::a[],$2::b[]".
func arrays(types string) string {
	var out []string
	for i, t := range strings.Split(types, ",") {
		out = append(out, "$"+strconv.Itoa(i+1)+t)
	}
	return strings.Join(out, ",")
}

func prefixed(prefix string, names []string) (out []string) {
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

// failed tells errors of the data from those of the server.
func failed(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (strings.HasPrefix(e.Code, "22") || strings.HasPrefix(e.Code, "23")) && e.Code != noPartition {
		return fmt.Errorf("%w: %w", book.ErrRejected, err)
	}
	return fmt.Errorf("ledger: %w", err)
}

// flavor is PostgreSQL's.
func flavor() sqltext.Flavor {
	return sqltext.Flavor{
		Placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
		Tag:         func(p string) string { return "(tags->>" + p + "::text) COLLATE \"C\"" },
		TagArg:      func(name string) any { return name },
		Sum:         func(c string) string { return "SUM(" + c + ")::bigint" },
		InData:      func(p string) string { return "strpos(data," + p + "::text)>0" },
	}
}

// Records calls f for records. It reads them through a cursor, some thousand at a time. See book.Store.
func (s *Store) Records(ctx context.Context, q book.Filter, f func(*ledger.Record) error) error {
	if err := q.Check(); err != nil {
		return err
	}
	st := sqltext.Records(flavor(), &q)
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DECLARE ledger_cursor NO SCROLL CURSOR FOR "+st.SQL, st.Args...); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		for {
			rows, err := tx.Query(ctx, "FETCH 2000 FROM ledger_cursor")
			if err != nil {
				return fmt.Errorf("ledger: %w", err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return fmt.Errorf("ledger: %w", err)
			}
			for _, line := range lines {
				r, err := ledger.Decode([]byte(line))
				if err != nil {
					return err
				}
				if err := f(r); err != nil {
					return err
				}
			}
			if len(lines) == 0 {
				return nil
			}
		}
	})
}

// Usage adds up. See book.Store.
func (s *Store) Usage(ctx context.Context, q book.Query) ([]book.Row, error) {
	return sqltext.Ask(flavor(), &q,
		func(st sqltext.Statement) ([]sqltext.Kept, error) { return collect(ctx, s, st, sqltext.KeptRow) },
		func(st sqltext.Statement) ([]book.Row, error) {
			return collect(ctx, s, st, sqltext.UsageRow(len(q.By)))
		})
}

// collect asks, and reads the whole answer.
func collect[T any](ctx context.Context, s *Store, st sqltext.Statement, into func(*T) []any) ([]T, error) {
	rows, err := s.pool.Query(ctx, st.SQL, st.Args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	defer rows.Close()
	return sqltext.Collect(rows, into)
}
