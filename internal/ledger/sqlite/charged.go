package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

var _ book.Charger = (*Store)(nil)

func addCharges(ctx context.Context, tx *sql.Tx, charges []book.Charge) error {
	if len(charges) == 0 {
		return nil
	}
	st, err := tx.PrepareContext(ctx, "INSERT INTO ledger_budgets (organization,budget,start,amount) VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET amount=amount+excluded.amount")
	if err != nil {
		return err
	}
	defer st.Close()
	for _, c := range charges {
		if _, err := st.ExecContext(ctx, c.Organization, c.Budget, c.Window, c.Amount); err != nil {
			return err
		}
	}
	return nil
}

// Charged implements book.Charger.
func (s *Store) Charged(ctx context.Context, organization string, since time.Time) (out []book.Charged, err error) {
	rows, err := s.read.QueryContext(ctx, "SELECT budget,start,amount FROM ledger_budgets WHERE organization=? AND (start=0 OR start>=?) ORDER BY budget,start", organization, since.Unix())
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c book.Charged
		if err := rows.Scan(&c.Budget, &c.Window, &c.Amount); err != nil {
			return nil, failed(err)
		}
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return out, nil
}
