package postgres

import (
	"context"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

var _ book.Noticer = (*Store)(nil)

// notices came later than the schema. What does not know it is not disturbed, so that the version is the same.
const notices = `
CREATE TABLE ledger_notices (
	organization text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
	height bigint NOT NULL, at bigint NOT NULL, said bigint NOT NULL,
	PRIMARY KEY (organization, id)
);`

// Claim implements book.Noticer.
func (s *Store) Claim(ctx context.Context, n book.Notice) (bool, error) {
	st := sqltext.Claim(flavor(), n)
	tag, err := s.pool.Exec(ctx, st.SQL, st.Args...)
	if err != nil {
		return false, failed(err)
	}
	return tag.RowsAffected() > 0, nil
}

// Said implements book.Noticer.
func (s *Store) Said(ctx context.Context, n book.Notice) error {
	st := sqltext.Said(flavor(), n)
	if _, err := s.pool.Exec(ctx, st.SQL, st.Args...); err != nil {
		return failed(err)
	}
	return nil
}
