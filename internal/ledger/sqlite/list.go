package sqlite

import (
	"context"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

var _ book.Lister = (*Store)(nil)

// List implements book.Lister.
func (s *Store) List(ctx context.Context, q book.Filter, after *ledger.Record, newest bool, n int) ([]*ledger.Record, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	lines, err := collect(ctx, s, sqltext.List(flavor(), &q, after, newest, n), sqltext.IDRow)
	if err != nil {
		return nil, err
	}
	return sqltext.Decode(lines)
}

// Find implements book.Lister.
func (s *Store) Find(ctx context.Context, organization, team, id string) ([]*ledger.Record, error) {
	return sqltext.FindEither(ctx, s, organization, team, id, time.Now(), func(id string) ([]*ledger.Record, error) {
		lines, err := collect(ctx, s, sqltext.Find(flavor(), organization, id), sqltext.IDRow)
		if err != nil {
			return nil, err
		}
		return sqltext.Decode(lines)
	})
}
