package store

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations
var migrations embed.FS

// migration is one step of the schema. Steps are never changed, only added: what was applied is known by its checksum.
type migration struct {
	version  int
	name     string
	sql      string
	checksum string
}

// steps returns the migrations of an engine, in order.
func steps(engine string) ([]migration, error) {
	dir := path.Join("migrations", engine)
	files, err := migrations.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, f := range files {
		number, name, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".sql"), "_")
		v, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("the migration %s has no number", f.Name())
		}
		text, err := migrations.ReadFile(path.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{v, name, string(text), hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(all, func(a, b migration) int { return a.version - b.version })
	return all, nil
}

// schemaLock serialises replicas that start at once (PostgreSQL's advisory locks; the number is ours).
const schemaLock = "SELECT pg_advisory_xact_lock(1365287344)"

// migrate brings the schema up and verifies what is there. A schema that is newer than this program, or whose steps are
// not those that this program knows, is refused: nobody knows what it means.
func (s *Store) migrate(ctx context.Context) error {
	all, err := steps(s.engine.name())
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if s.engine.name() == "postgres" {
		if _, err := tx.ExecContext(ctx, schemaLock); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS signalbox_schema (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied BIGINT NOT NULL)"); err != nil {
		return err
	}
	done, err := s.applied(ctx, tx)
	if err != nil {
		return err
	}
	if err := verify(all, done); err != nil {
		return err
	}
	for _, m := range all[len(done):] {
		if _, err := tx.ExecContext(ctx, m.sql); err != nil {
			return fmt.Errorf("step %d, %s: %w", m.version, m.name, err)
		}
		if _, err := tx.ExecContext(ctx, s.engine.bind("INSERT INTO signalbox_schema (version, name, checksum, applied) VALUES (?, ?, ?, ?)"), m.version, m.name, m.checksum, micro(s.now())); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// current verifies that the schema is the one of this program, and changes nothing.
func (s *Store) current(ctx context.Context) error {
	all, err := steps(s.engine.name())
	if err != nil {
		return err
	}
	known := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'signalbox_schema'"
	if s.engine.name() == "postgres" {
		known = "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('signalbox_schema')"
	}
	var n int
	if err := s.db.QueryRowContext(ctx, known).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("no service has used the database yet")
	}
	done, err := s.applied(ctx, s.db)
	if err == nil {
		err = verify(all, done)
	}
	if err == nil && len(done) < len(all) {
		err = fmt.Errorf("the database has %d steps of the %d that this program knows; a service of this version brings it up", len(done), len(all))
	}
	return err
}

func (s *Store) applied(ctx context.Context, tx querier) ([]migration, error) {
	rows, err := tx.QueryContext(ctx, "SELECT version, name, checksum FROM signalbox_schema ORDER BY version")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var done []migration
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.version, &m.name, &m.checksum); err != nil {
			return nil, err
		}
		done = append(done, m)
	}
	return done, rows.Err()
}

// verify compares what was applied with what this program knows.
func verify(known, done []migration) error {
	for i, d := range done {
		switch {
		case i >= len(known):
			return fmt.Errorf("the database has step %d (%s), which a newer version of the program made; this one knows %d", d.version, d.name, len(known))
		case d.version != known[i].version || d.checksum != known[i].checksum:
			return fmt.Errorf("step %d (%s) of the database is not the one that this program knows: it was changed by hand, or by another program", d.version, d.name)
		}
	}
	return nil
}
