package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
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
func (s *Store) Charged(ctx context.Context, organization string, since time.Time) ([]book.Charged, error) {
	return s.charged(ctx, sqltext.Charged(flavor(), organization, nil, since))
}

// ChargedOf implements book.Charger.
func (s *Store) ChargedOf(ctx context.Context, organization string, budgets []string, since time.Time) ([]book.Charged, error) {
	if len(budgets) == 0 {
		return nil, nil
	}
	return s.charged(ctx, sqltext.Charged(flavor(), organization, budgets, since))
}

func (s *Store) charged(ctx context.Context, st sqltext.Statement) (out []book.Charged, err error) {
	rows, err := s.read.QueryContext(ctx, st.SQL, st.Args...)
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
