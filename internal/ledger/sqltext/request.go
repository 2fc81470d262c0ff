package sqltext

import (
	"context"
	"slices"
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

// FindEither returns the records of an exchange by its id in the ledger, by which find has those of the organization, or else by its
// x-request-id. What is not of the team counts as not there, so that it hides nothing that is; team "" is the whole organization.
func FindEither(ctx context.Context, l book.Lister, organization, team, id string, now time.Time, find func(id string) ([]*ledger.Record, error)) ([]*ledger.Record, error) {
	own := func(id string) ([]*ledger.Record, error) {
		all, err := find(id)
		return slices.DeleteFunc(all, func(r *ledger.Record) bool { return team != "" && r.Who.Team != team }), err
	}
	all, err := own(id)
	if err != nil || len(all) > 0 {
		return all, err
	}
	q := book.Filter{Where: []book.Where{{Dimension: "organization", Values: []string{organization}}}, Request: id}
	if team != "" {
		q.Where = append(q.Where, book.Where{Dimension: "team", Values: []string{team}})
	}
	if id, err = findRequest(ctx, l, q, now); err != nil || id == "" {
		return nil, err
	}
	return own(id)
}

// findRequest finds the last exchange that fits and was admitted before now, and returns its id in the ledger; "": there is none. The
// more recent the sooner.
func findRequest(ctx context.Context, l book.Lister, q book.Filter, now time.Time) (id string, err error) {
	if strings.ContainsFunc(q.Request, notInID) || len(q.Request) < 8 {
		return "", nil
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q.Until = now.Add(time.Minute) // clocks of replicas differ
	for _, ago := range [...]time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, back} {
		q.From = now.Add(-ago)
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
		q.Until = q.From
	}
	return "", nil
}
