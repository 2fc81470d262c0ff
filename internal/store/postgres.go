package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// pgEngine is a PostgreSQL server, for many processes.
type pgEngine struct{ config *pgx.ConnConfig }

// channel is what changes are announced on.
const channel = "signalbox_store"

func openPostgres(address string) (*sql.DB, engine, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil { // pgx shows no password in it
		return nil, nil, err
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(8)
	db.SetConnMaxLifetime(time.Hour)
	return db, pgEngine{c}, nil
}

func (pgEngine) name() string { return "postgres" }

// bind numbers the placeholders. Queries are our own and have no ? in texts.
func (pgEngine) bind(query string) string {
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Codes of PostgreSQL (appendix A of its manual).
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

func (pgEngine) judge(err error) verdict {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case uniqueViolation:
			return duplicate
		case serializationFailure, deadlockDetected:
			return disturbed
		}
	}
	return failed
}

func (pgEngine) notify(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "NOTIFY "+channel)
	return err
}

// wake listens on a connection of its own, and makes a new one when that breaks. Those who wait poll anyway.
func (e pgEngine) wake(ctx context.Context, woken chan<- struct{}) {
	for ctx.Err() == nil {
		e.listen(ctx, woken)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (e pgEngine) listen(ctx context.Context, woken chan<- struct{}) {
	c, err := pgx.ConnectConfig(ctx, e.config.Copy())
	if err != nil {
		return
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return
	}
	for {
		if _, err := c.WaitForNotification(ctx); err != nil {
			return
		}
		select {
		case woken <- struct{}{}:
		default:
		}
	}
}
