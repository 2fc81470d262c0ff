package sqlite

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

var (
	_ book.Charger = (*Store)(nil)
	_ book.Knower  = (*Store)(nil)
)

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
func (s *Store) Known(ctx context.Context, organization string, ids []string) (out []string, err error) {
	for chunk := range slices.Chunk(ids, 500) {
		args := []any{organization}
		for _, id := range chunk {
			args = append(args, id)
		}
		text := "SELECT id FROM ledger_records WHERE organization=? AND sequence=0 AND id IN (?" + strings.Repeat(",?", len(chunk)-1) + ")"
		some, err := collect(ctx, s, sqltext.Statement{SQL: text, Args: args}, sqltext.IDRow)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}
