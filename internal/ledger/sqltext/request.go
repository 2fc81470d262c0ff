package sqltext

import (
	"context"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// back is how far back exchanges are looked for by their x-request-id: there is no index of it, as ids at random would have every
// transaction touch a page for each record.
const back = 7 * 24 * time.Hour

// patience is how long that may take.
const patience = 10 * time.Second

// notInID reports what an x-request-id does not have where Signalbox keeps it.
func notInID(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
}

// FindEither returns the records of an exchange by its id in the ledger, by which find has them, or else by its x-request-id.
func FindEither(ctx context.Context, l book.Lister, organization, id string, now time.Time, find func(id string) ([]*ledger.Record, error)) ([]*ledger.Record, error) {
	all, err := find(id)
	if err != nil || len(all) > 0 {
		return all, err
	}
	if id, err = findRequest(ctx, l, organization, id, now); err != nil || id == "" {
		return nil, err
	}
	return find(id)
}

// findRequest finds the last exchange of an organization with an x-request-id that was admitted before now, and returns its id in the
// ledger; "": there is none. The more recent the sooner.
func findRequest(ctx context.Context, l book.Lister, organization, request string, now time.Time) (id string, err error) {
	if strings.ContainsFunc(request, notInID) || len(request) < 8 {
		return "", nil
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	until := now.Add(time.Minute) // clocks of replicas differ
	for _, ago := range [...]time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, back} {
		q := book.Filter{From: now.Add(-ago), Until: until, Where: []book.Where{{Dimension: "organization", Values: []string{organization}}}, Request: request}
		const some = 100 // what was said of the answer is a record, too
		all, err := l.List(short, q, nil, true, some)
		if err != nil && short.Err() != nil && ctx.Err() == nil {
			return "", book.ErrTooMany
		} else if err != nil {
			return "", err
		}
		for _, r := range all {
			if r.Sequence == 0 {
				return r.ID, nil
			}
		}
		until = q.From
	}
	return "", nil
}
