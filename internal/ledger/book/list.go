package book

import (
	"context"
	"errors"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Lister is a store whose records can be looked at one page after another.
type Lister interface {
	// List returns at most n records that fit, behind one where that is given (of which only key and time count), in the
	// order of ledger.Record.Compare, or against it.
	List(ctx context.Context, q Filter, after *ledger.Record, newest bool, n int) ([]*ledger.Record, error)
	// Find returns the records of an exchange of an organization, or of one of its teams alone, by their sequence; none where it is not
	// known there. The id is the ledger's, or the exchange's x-request-id, by which the latest one of the last days is found, or it is
	// ErrTooMany.
	Find(ctx context.Context, organization, team, id string) ([]*ledger.Record, error)
}

// ErrTooMany is that an exchange is not found by its x-request-id, as there are too many records to look through.
var ErrTooMany = errors.New("there are too many records to find one by its x-request-id; usage records has the ledger's own ids, which are found at once")

// List implements Lister.
func (l *Lazy) List(ctx context.Context, q Filter, after *ledger.Record, newest bool, n int) ([]*ledger.Record, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.(Lister).List(ctx, q, after, newest, n)
}

// Find implements Lister.
func (l *Lazy) Find(ctx context.Context, organization, team, id string) ([]*ledger.Record, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.(Lister).Find(ctx, organization, team, id)
}
