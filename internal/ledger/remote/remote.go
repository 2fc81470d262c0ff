// Package remote reads a ledger through the admin API of the service that writes it: what the caller may see of it. It asks the
// questions that a store of one's own is asked, and decides nothing.
package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/usage"
	adminv1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// Ledger is a ledger behind an admin API.
type Ledger struct {
	API  adminv1connect.UsageServiceClient
	Word func(error) error // words an error of the API for people
}

var _ book.Lister = Ledger{}

const (
	mostRows = 100_000
	onePage  = 1000
)

// ErrTruncated is that there are more rows than the API gives at once.
var ErrTruncated = fmt.Errorf("there are more than %d rows: ask for less time, longer periods or fewer dimensions", mostRows)

// Filter writes a filter as the API takes it.
func Filter(q *book.Filter) *adminv1.UsageFilter {
	out := &adminv1.UsageFilter{From: timestamppb.New(q.From), Until: timestamppb.New(q.Until)}
	for _, w := range q.Where {
		out.Where = append(out.Where, &adminv1.UsageCondition{Dimension: w.Dimension, Values: w.Values})
	}
	return out
}

// Usage adds up. See book.Store.
func (l Ledger) Usage(ctx context.Context, q book.Query) ([]book.Row, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	req := &adminv1.ReportUsageRequest{Filter: Filter(&q.Filter), By: q.By, Every: map[book.Period]string{book.Minute: "minute", book.Hour: "hour", book.Day: "day"}[q.Every], Limit: mostRows}
	if q.Limit > 0 && q.Limit < mostRows {
		req.Limit = int32(q.Limit)
	}
	res, err := l.API.ReportUsage(ctx, req)
	if err != nil {
		return nil, l.Word(err)
	}
	if res.Truncated && (q.Limit == 0 || q.Limit > mostRows) {
		return nil, ErrTruncated
	}
	var out []book.Row
	for _, r := range res.Rows {
		if len(r.Group) != len(q.By) {
			return nil, errors.New("the server's answer has other groups than were asked for")
		}
		row := book.Row{Group: r.Group, Sums: sums(r.GetSums())}
		if r.Start != nil {
			row.Start = r.Start.AsTime()
		}
		out = append(out, row)
	}
	return out, nil
}

func sums(s *adminv1.UsageSums) book.Sums {
	return book.Sums{
		Exchanges: s.GetExchanges(), Failed: s.GetFailed(), Attempts: s.GetAttempts(), Input: s.GetInput(), Cached: s.GetCached(), Written: s.GetWritten(), Output: s.GetOutput(),
		Reasoning: s.GetReasoning(), Searches: s.GetSearches(), Cost: ledger.Nano(s.GetCostNanoUsd()), List: ledger.Nano(s.GetListNanoUsd()), Saved: ledger.Nano(s.GetSavedNanoUsd()),
		Unpriced: s.GetUnpriced(), Estimated: s.GetEstimated(), Took: s.GetTookMs(),
	}
}

// pages calls f for records, page after page, until there are none, or f wants no more.
func (l Ledger) pages(ctx context.Context, req *adminv1.ListRecordsRequest, f func(*ledger.Record) error) error {
	for {
		res, err := l.API.ListRecords(ctx, req)
		if err != nil {
			return l.Word(err)
		}
		for _, m := range res.Records {
			r, err := usage.Record(m)
			if err != nil {
				return fmt.Errorf("the server's record %s: %w", m.Id, err)
			}
			if err := f(r); err != nil {
				return err
			}
		}
		if res.NextToken == "" {
			return nil
		}
		req.Page.Token = res.NextToken
	}
}

// Records calls f for the records that fit. See book.Store.
func (l Ledger) Records(ctx context.Context, q book.Filter, f func(*ledger.Record) error) error {
	if err := q.Check(); err != nil {
		return err
	}
	return l.pages(ctx, &adminv1.ListRecordsRequest{Page: &adminv1.Page{Size: onePage}, Filter: Filter(&q)}, f)
}

// errEnough ends a list.
var errEnough = errors.New("enough")

// List implements book.Lister. Behind a record it begins with the records of its millisecond.
func (l Ledger) List(ctx context.Context, q book.Filter, after *ledger.Record, newest bool, n int) (out []*ledger.Record, err error) {
	if after != nil && newest {
		q.Until = after.At.Add(time.Millisecond)
	} else if after != nil {
		q.From = after.At
	}
	if err := q.Check(); err != nil {
		return nil, err
	}
	err = l.pages(ctx, &adminv1.ListRecordsRequest{Page: &adminv1.Page{Size: int32(min(n, onePage))}, Filter: Filter(&q), Newest: newest}, func(r *ledger.Record) error {
		if after == nil || newest && r.Compare(after) < 0 || !newest && r.Compare(after) > 0 {
			out = append(out, r)
		}
		if len(out) == n {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return out, nil
}

// Find implements book.Lister. Without an organization it is the caller's own. Which of several exchanges an x-request-id means, the
// server says by what the caller may see; it is not asked for one of the team.
func (l Ledger) Find(ctx context.Context, organization, team, id string) ([]*ledger.Record, error) {
	res, err := l.API.GetExchange(ctx, &adminv1.GetExchangeRequest{Id: id, Organization: organization})
	if err != nil {
		return nil, l.Word(err)
	}
	var out []*ledger.Record
	for _, m := range res.Records {
		r, err := usage.Record(m)
		if err != nil {
			return nil, fmt.Errorf("the server's record %s: %w", m.Id, err)
		}
		if team == "" || r.Who.Team == team {
			out = append(out, r)
		}
	}
	return out, nil
}

// Close has nothing to do.
func (Ledger) Close() error { return nil }
