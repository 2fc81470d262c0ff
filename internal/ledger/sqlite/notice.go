package sqlite

import (
	"context"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

var _ book.Noticer = (*Store)(nil)

// Claim implements book.Noticer.
func (s *Store) Claim(ctx context.Context, n book.Notice) (bool, error) {
	changed, err := s.run(ctx, sqltext.Claim(flavor(), n))
	return changed > 0, err
}

// Said implements book.Noticer.
func (s *Store) Said(ctx context.Context, n book.Notice) error {
	_, err := s.run(ctx, sqltext.Said(flavor(), n))
	return err
}

func (s *Store) run(ctx context.Context, st sqltext.Statement) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res, err := s.write.ExecContext(ctx, st.SQL, st.Args...)
	if err != nil {
		return 0, failed(err)
	}
	return res.RowsAffected()
}
