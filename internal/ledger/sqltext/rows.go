package sqltext

import (
	"fmt"
	"math"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Rows is the answer to a statement, as database/sql and pgx have it.
type Rows interface {
	Next() bool
	Scan(to ...any) error
	Err() error
}

// Collect reads an answer to its end. into returns what the columns of a row are scanned into. Closing is the caller's.
func Collect[T any](rows Rows, into func(*T) []any) ([]T, error) {
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(into(&v)...); err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return out, nil
}

// UsageRow is for the rows of Ask, whose rows have groups of a length.
func UsageRow(group int) func(*book.Row) []any {
	return func(row *book.Row) []any {
		row.Group = make([]string, group)
		to := []any{start{&row.Start}}
		for i := range row.Group {
			to = append(to, &row.Group[i])
		}
		for _, n := range row.Sums.Fields() {
			to = append(to, n)
		}
		return to
	}
}

// ChargedRow is for the answer of Charged.
func ChargedRow(c *book.Charged) []any { return []any{&c.Budget, &c.Window, &c.Amount} }

// IDRow is for an answer of ids.
func IDRow(id *string) []any { return []any{id} }

// start scans a period's start, Unix seconds; 0 is none.
type start struct{ to *time.Time }

// Scan implements sql.Scanner.
func (s start) Scan(v any) error {
	if n, ok := v.(int64); ok && n != 0 {
		*s.to = time.Unix(n, 0).UTC()
	}
	return nil
}

// Kept is since when there are sums, in Unix seconds; nil: there are none.
type Kept struct{ minute, hour *int64 }

// KeptRow is for an answer of since when there are sums.
func KeptRow(k *Kept) []any { return []any{&k.minute, &k.hour} }

// Ask answers a query, with what reads the answers of two statements: since when there are sums, where that has to be known, and the
// rows.
func Ask(f Flavor, q *book.Query, since func(Statement) ([]Kept, error), rows func(Statement) ([]book.Row, error)) ([]book.Row, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	var kept []Kept
	if st, due := sinceWhen(q, time.Now()); due {
		var err error
		if kept, err = since(st); err != nil {
			return nil, err
		}
	}
	return rows(usage(f, q, minutes(kept)))
}

// sinceWhen selects since when there are sums by the minute and by the hour. ok is false where a query does not need to know:
// minutes are kept for a day at least.
func sinceWhen(q *book.Query, now time.Time) (st Statement, ok bool) {
	for _, p := range q.Pieces(0) {
		ok = ok || p.Period == book.Minute && q.Every != book.Minute && p.From < now.Add(-24*time.Hour).Unix()
	}
	return Statement{SQL: "SELECT (SELECT MIN(start) FROM ledger_rollups WHERE period='m'),(SELECT MIN(start) FROM ledger_rollups WHERE period='h')"}, ok
}

// minutes returns since when sums by the minute are kept, 0 where none were removed: then hours begin with them.
func minutes(kept []Kept) int64 {
	switch {
	case len(kept) == 0 || kept[0].hour == nil:
		return 0
	case kept[0].minute == nil:
		return math.MaxInt64
	case *kept[0].hour < *kept[0].minute-*kept[0].minute%3600:
		return *kept[0].minute
	}
	return 0
}
