package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

var (
	_ book.Charger = (*Store)(nil)
	_ book.Knower  = (*Store)(nil)
)

func addCharges(ctx context.Context, tx pgx.Tx, charges []book.Charge) error {
	if len(charges) == 0 {
		return nil
	}
	var organizations, budgets []string
	var starts, amounts []int64
	for _, c := range charges {
		organizations, budgets = append(organizations, c.Organization), append(budgets, c.Budget)
		starts, amounts = append(starts, c.Window), append(amounts, c.Amount)
	}
	_, err := tx.Exec(ctx, "INSERT INTO ledger_budgets AS t (organization,budget,start,amount) SELECT organization,budget,start,amount FROM unnest($1::text[],$2::text[],$3::bigint[],$4::bigint[]) AS u(organization,budget,start,amount)"+
		" ON CONFLICT (organization,budget,start) DO UPDATE SET amount=t.amount+excluded.amount", organizations, budgets, starts, amounts)
	return err
}

// Charged implements book.Charger.
func (s *Store) Charged(ctx context.Context, organization string, since time.Time) ([]book.Charged, error) {
	return collect(ctx, s, sqltext.Charged(flavor(), organization, nil, since), sqltext.ChargedRow)
}

// ChargedOf implements book.Charger.
func (s *Store) ChargedOf(ctx context.Context, organization string, budgets []string, since time.Time) ([]book.Charged, error) {
	if len(budgets) == 0 {
		return nil, nil
	}
	return collect(ctx, s, sqltext.Charged(flavor(), organization, budgets, since), sqltext.ChargedRow)
}

// Known implements book.Knower.
func (s *Store) Known(ctx context.Context, organization string, ids []string) ([]string, error) {
	st := sqltext.Statement{SQL: "SELECT id FROM ledger_records WHERE organization=$1 AND sequence=0 AND id=ANY($2)", Args: []any{organization, ids}}
	return collect(ctx, s, st, sqltext.IDRow)
}
