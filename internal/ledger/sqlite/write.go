package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

// many is how many records one statement adds: of each a tenth of the time goes into the statement itself.
const many = 16

// statements are what Write does, prepared for the one connection that writes.
type statements struct {
	records, record, series, rollup, charge *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, db *sql.DB) (err error) {
	sums := book.Columns()
	set := make([]string, len(sums))
	for i, c := range sums {
		set[i] = c + "=" + c + "+excluded." + c
	}
	for to, text := range map[**sql.Stmt]string{
		&s.records: into("ledger_records", sqltext.RecordColumns(), many, "NOTHING"),
		&s.record:  into("ledger_records", sqltext.RecordColumns(), 1, "NOTHING"),
		&s.series:  into("ledger_series", sqltext.SeriesColumns(), 1, "NOTHING"),
		&s.rollup:  into("ledger_rollups", append([]string{"period", "start", "series"}, sums[:]...), 1, "UPDATE SET "+strings.Join(set, ",")),
		&s.charge:  into("ledger_budgets", []string{"organization", "budget", "start", "amount"}, 1, "UPDATE SET amount=amount+excluded.amount"),
	} {
		if *to, err = db.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // close does
			return errors.Join(err, s.close())
		}
	}
	return nil
}

func (s *statements) close() error {
	var errs []error
	for _, st := range [...]*sql.Stmt{s.records, s.record, s.series, s.rollup, s.charge} {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	return errors.Join(errs...)
}

// into writes an INSERT of so many rows, and what is done where a key is there.
func into(table string, columns []string, rows int, conflict string) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(columns)), ",") + ")"
	return "INSERT INTO " + table + " (" + strings.Join(columns, ",") + ") VALUES " + row + strings.Repeat(","+row, rows-1) + " ON CONFLICT DO " + conflict
}

// errKnown says that a record of several is there already.
var errKnown = errors.New("a record is there already")

// Write adds records. See book.Store.
func (s *Store) Write(ctx context.Context, records []*ledger.Record) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.transact(ctx, records, many)
	if errors.Is(err, errKnown) { // which, is seen one by one
		n, err = s.transact(ctx, records, 1)
	}
	if err != nil {
		return 0, failed(err)
	}
	return n, nil
}

// transact adds records, so many at once as one statement.
func (s *Store) transact(ctx context.Context, records []*ledger.Record, together int) (int, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it has nothing to do
	added, err := s.insert(ctx, tx, records, together)
	if err != nil {
		return 0, err
	}
	rollups, series := book.Gather(added)
	fresh, err := s.addSeries(ctx, tx, series)
	if err != nil {
		return 0, err
	}
	if err := s.addRollups(ctx, tx, rollups); err != nil {
		return 0, err
	}
	if err := s.addCharges(ctx, tx, book.Charges(added)); err != nil {
		return 0, err
	}
	if err := addWaiting(ctx, tx, added); err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	if len(s.known) > maxKnown {
		clear(s.known)
	}
	for _, id := range fresh {
		s.known[id] = true
	}
	return len(added), nil
}

// maxKnown bounds the series that are remembered as written.
const maxKnown = 100_000

// exec runs a statement. What ends the transaction ends it between two: for a context that can end, the driver starts a
// goroutine each time.
func exec(ctx context.Context, st *sql.Stmt, values []any) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	res, err := st.ExecContext(context.WithoutCancel(ctx), values...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s *Store) insert(ctx context.Context, tx *sql.Tx, records []*ledger.Record, together int) ([]*ledger.Record, error) {
	several, one := tx.StmtContext(ctx, s.records), tx.StmtContext(ctx, s.record)
	defer several.Close()
	defer one.Close()
	added := make([]*ledger.Record, 0, len(records))
	var values []any
	var room []byte
	var p pace
	for together == many && len(records) >= many {
		values = values[:0]
		for _, r := range records[:many] {
			values = sqltext.RecordValues(values, r, &room)
		}
		n, err := exec(ctx, several, values)
		if err != nil {
			return nil, err
		}
		if n < many {
			return nil, errKnown
		}
		added = append(added, records[:many]...)
		records = records[many:]
		p.rest()
	}
	for _, r := range records {
		values = sqltext.RecordValues(values[:0], r, &room)
		n, err := exec(ctx, one, values)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			added = append(added, r)
		}
	}
	return added, nil
}

func (s *Store) addSeries(ctx context.Context, tx *sql.Tx, series []book.Identified) (fresh []int64, err error) {
	st := tx.StmtContext(ctx, s.series)
	defer st.Close()
	var values []any
	for i := range series {
		if s.known[series[i].ID] {
			continue
		}
		values = sqltext.SeriesValues(values[:0], &series[i])
		if _, err := exec(ctx, st, values); err != nil {
			return nil, err
		}
		fresh = append(fresh, series[i].ID)
	}
	return fresh, nil
}

func (s *Store) addRollups(ctx context.Context, tx *sql.Tx, rollups []book.Rollup) error {
	st := tx.StmtContext(ctx, s.rollup)
	defer st.Close()
	var values []any
	var p pace
	for i := range rollups {
		r := &rollups[i]
		values = append(values[:0], string(r.Period), r.Start, r.ID)
		for _, n := range r.Sums.Fields() {
			values = append(values, *n)
		}
		if _, err := exec(ctx, st, values); err != nil {
			return err
		}
		if i%many == many-1 {
			p.rest()
		}
	}
	return nil
}

func (s *Store) addCharges(ctx context.Context, tx *sql.Tx, charges []book.Charge) error {
	st := tx.StmtContext(ctx, s.charge)
	defer st.Close()
	for _, c := range charges {
		if _, err := exec(ctx, st, []any{c.Organization, c.Budget, c.Window, c.Amount}); err != nil {
			return err
		}
	}
	return nil
}
