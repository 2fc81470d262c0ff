package sqltext

import (
	"fmt"
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

// UsageRow is for the answer of Usage, whose rows have groups of a length.
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
