package admin

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/forecast"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/usage"
	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// Ledger is what usage is read from.
type Ledger interface {
	book.Lister
	Usage(ctx context.Context, q book.Query) ([]book.Row, error)
}

var _ adminv1connect.UsageServiceHandler = reports{}

// reports serves UsageService.
type reports struct{ *Server }

// sees returns what bounds the usage that a principal may read. ok is false where it may read none.
func (p *Principal) sees() (where []book.Where, ok bool) {
	at, ok := p.within("", "")
	if at.organization != "" {
		where = append(where, book.Where{Dimension: "organization", Values: []string{at.organization}})
	}
	if at.team != "" {
		where = append(where, book.Where{Dimension: "team", Values: []string{at.team}})
	}
	return where, ok
}

// filter reads which exchanges are meant, and bounds them to what the caller may read. ok is false where that is nothing.
func (s reports) filter(ctx context.Context, f *v1.UsageFilter) (q book.Filter, ok bool, err error) {
	if s.ledger == nil {
		return q, false, connect.NewError(connect.CodeFailedPrecondition, errors.New("there is no ledger: ledger.store of the configuration says where it is"))
	}
	now := time.Now().UTC()
	q = book.Filter{From: book.Day.Start(now.AddDate(0, 0, 1-now.Day())), Until: now}
	for _, t := range []struct {
		field string
		from  *timestamppb.Timestamp
		to    *time.Time
	}{{"filter.from", f.GetFrom(), &q.From}, {"filter.until", f.GetUntil(), &q.Until}} {
		if t.from == nil {
			continue
		}
		if t.from.CheckValid() != nil {
			return q, false, invalid(t.field, "not a time")
		}
		*t.to = t.from.AsTime()
	}
	if err := q.Check(); err != nil {
		return q, false, invalid("filter.until", err.Error())
	}
	if len(f.GetWhere()) > 64 {
		return q, false, invalid("filter.where", "at most 64 conditions")
	}
	for i, c := range f.GetWhere() {
		w := book.Where{Dimension: c.GetDimension(), Values: c.GetValues()}
		if err := (&book.Filter{From: q.From, Until: q.Until, Where: []book.Where{w}}).Check(); err != nil {
			return q, false, invalid(fmt.Sprintf("filter.where[%d]", i), err.Error())
		}
		q.Where = append(q.Where, w)
	}
	bounds, ok := principalOf(ctx).sees()
	q.Where = append(q.Where, bounds...)
	return q, ok, nil
}

// away is what is said where the ledger does not answer.
func (s reports) away(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.log.Error("the ledger does not answer the admin API", "actor", principalOf(ctx).Name, "error", err)
	return connect.NewError(connect.CodeUnavailable, errors.New("the ledger does not answer; the service's log says why"))
}

// Bounds of a report.
const (
	usualRows = 10_000
	mostRows  = 100_000
)

// ReportUsage implements adminv1connect.UsageServiceHandler.
func (s reports) ReportUsage(ctx context.Context, r *v1.ReportUsageRequest) (*v1.ReportUsageResponse, error) {
	f, may, err := s.filter(ctx, r.Filter)
	if err != nil {
		return nil, err
	}
	q := book.Query{Filter: f, Limit: usualRows}
	if r.Limit < 0 || r.Limit > mostRows {
		return nil, invalid("limit", "from 0 to "+strconv.Itoa(mostRows))
	} else if r.Limit > 0 {
		q.Limit = int(r.Limit)
	}
	most := q.Limit
	q.Limit++
	periods := map[string]book.Period{"": 0, "minute": book.Minute, "hour": book.Hour, "day": book.Day}
	every, ok := periods[r.Every]
	if !ok {
		return nil, invalid("every", "minute, hour or day")
	}
	q.Every = every
	for i, d := range r.By {
		if q.By = append(q.By, d); q.Check() != nil {
			return nil, invalid(fmt.Sprintf("by[%d]", i), q.Check().Error())
		}
	}
	if !may {
		return &v1.ReportUsageResponse{}, nil
	}
	rows, err := s.ledger.Usage(ctx, q)
	if err != nil {
		return nil, s.away(ctx, err)
	}
	res := &v1.ReportUsageResponse{Truncated: len(rows) > most}
	for i := range rows[:min(len(rows), most)] {
		row := &rows[i]
		res.Rows = append(res.Rows, &v1.UsageRow{Start: at(row.Start), Group: row.Group, Sums: sums(&row.Sums)})
	}
	return res, nil
}

func sums(s *book.Sums) *v1.UsageSums {
	return &v1.UsageSums{
		Exchanges: s.Exchanges, Failed: s.Failed, Attempts: s.Attempts, Input: s.Input, Cached: s.Cached, Written: s.Written, Output: s.Output, Reasoning: s.Reasoning, Searches: s.Searches,
		CostNanoUsd: int64(s.Cost), ListNanoUsd: int64(s.List), SavedNanoUsd: int64(s.Saved), Unpriced: s.Unpriced, Estimated: s.Estimated, TookMs: s.Took,
	}
}

// ListRecords implements adminv1connect.UsageServiceHandler.
func (s reports) ListRecords(ctx context.Context, r *v1.ListRecordsRequest) (*v1.ListRecordsResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	after, err := position(p.After)
	if err != nil {
		return nil, err
	}
	q, ok, err := s.filter(ctx, r.Filter)
	if err != nil || !ok {
		return &v1.ListRecordsResponse{}, err
	}
	n := p.Size
	if n == 0 {
		n = 100
	}
	all, err := s.ledger.List(ctx, q, after, r.Newest, n+1)
	if err != nil {
		return nil, s.away(ctx, err)
	}
	res := &v1.ListRecordsResponse{}
	for i, rec := range all {
		if i == n {
			res.NextToken = token(all[n-1])
			break
		}
		res.Records = append(res.Records, usage.Of(rec))
	}
	return res, nil
}

// token says where a page of records ended.
func token(r *ledger.Record) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join([]string{strconv.FormatInt(r.At.UnixMilli(), 10), strconv.Itoa(r.Sequence), r.Organization, r.ID}, "\n")))
}

// position reads what token writes, nil where it is empty.
func position(token string) (*ledger.Record, error) {
	if token == "" {
		return nil, nil
	}
	bad := invalid("page.token", "not a token of such a list")
	b, err := base64.RawURLEncoding.DecodeString(token)
	parts := strings.Split(string(b), "\n")
	if err != nil || len(parts) != 4 {
		return nil, bad
	}
	ms, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return nil, bad
	}
	n, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil {
		return nil, bad
	}
	return &ledger.Record{Key: ledger.Key{Organization: parts[2], ID: parts[3], Sequence: int(n)}, At: time.UnixMilli(ms)}, nil
}

// GetExchange implements adminv1connect.UsageServiceHandler.
func (s reports) GetExchange(ctx context.Context, r *v1.GetExchangeRequest) (*v1.GetExchangeResponse, error) {
	all, err := s.find(ctx, r.Organization, r.Id)
	if err != nil {
		return nil, err
	}
	res := &v1.GetExchangeResponse{}
	for _, rec := range all {
		res.Records = append(res.Records, usage.Of(rec))
	}
	return res, nil
}

// find reads the records of an exchange that the caller may see: at least one, by sequence.
func (s reports) find(ctx context.Context, organization, id string) ([]*ledger.Record, error) {
	const kind = store.Kind("exchange")
	if id == "" {
		return nil, invalid("id", "is due")
	}
	if _, _, err := s.filter(ctx, nil); err != nil {
		return nil, err
	}
	at, ok := principalOf(ctx).within(organization, "")
	if at.organization != "" {
		organization = at.organization
	} else if organization == "" {
		organization = auth.DefaultOrganization
	}
	if !ok {
		return nil, missing(kind, id)
	}
	all, err := s.ledger.Find(ctx, organization, at.team, id)
	switch {
	case errors.Is(err, book.ErrTooMany):
		return nil, connect.NewError(connect.CodeDeadlineExceeded, book.ErrTooMany)
	case err != nil:
		return nil, s.away(ctx, err)
	case len(all) == 0:
		return nil, missing(kind, id)
	}
	return all, nil
}

// ExplainExchange implements adminv1connect.UsageServiceHandler.
func (s reports) ExplainExchange(ctx context.Context, r *v1.ExplainExchangeRequest) (*v1.ExplainExchangeResponse, error) {
	all, err := s.find(ctx, r.Organization, r.Id)
	switch {
	case err != nil:
		return nil, err
	case s.why == nil:
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("this service explains nothing"))
	case all[0].Sequence > 0:
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("only corrections of the exchange are left in the ledger: its own record has expired"))
	}
	res := s.why(ctx, all)
	for _, rec := range all {
		res.Records = append(res.Records, usage.Of(rec))
	}
	return res, nil
}

// ForecastUsage implements adminv1connect.UsageServiceHandler.
func (s reports) ForecastUsage(ctx context.Context, r *v1.ForecastUsageRequest) (*v1.ForecastUsageResponse, error) {
	f, ok, err := s.filter(ctx, &v1.UsageFilter{Where: r.Where})
	if err != nil {
		if fault, is := errors.AsType[*store.Fault](err); is {
			field := strings.TrimPrefix(fault.Field, "filter.")
			return nil, invalid(field, strings.TrimPrefix(fault.Message, fault.Field+": "))
		}
		return nil, err
	}
	a := forecast.Ask{Where: f.Where, By: r.By, Limit: r.Limit, Now: time.Now().UTC()}
	if r.At != nil {
		if r.At.CheckValid() != nil {
			return nil, invalid("at", "not a time")
		}
		a.Now = r.At.AsTime()
	}
	for i := range r.By {
		if err := (&book.Query{Filter: book.Filter{From: f.From, Until: f.Until}, By: r.By[:i+1]}).Check(); err != nil {
			return nil, invalid(fmt.Sprintf("by[%d]", i), err.Error())
		}
	}
	if a.Per, err = forecast.Per(cmp.Or(r.Per, "month")); err != nil {
		return nil, invalid("per", err.Error())
	}
	if a.Unit, err = forecast.Unit(cmp.Or(r.Unit, "money")); err != nil {
		return nil, invalid("unit", err.Error())
	}
	if a.Zone, err = time.LoadLocation(r.Zone); err != nil {
		return nil, invalid("zone", "no time zone has this name")
	}
	if r.Limit < 0 {
		return nil, invalid("limit", "not below 0")
	}
	if !ok {
		return &v1.ForecastUsageResponse{}, nil
	}
	rows, err := forecast.Of(ctx, s.ledger, a)
	if err != nil {
		return nil, s.away(ctx, err)
	}
	res := &v1.ForecastUsageResponse{}
	for i := range rows {
		row := &rows[i]
		res.Rows = append(res.Rows, &v1.UsageForecast{
			Group: row.Group, Used: row.Used, P10: row.P10, P50: row.P50, P90: row.P90, Reached: at(row.Reached), Earliest: at(row.Earliest), Linear: row.Linear,
		})
	}
	return res, nil
}

// kindLedger is the audit log's word for the ledger.
const kindLedger = store.Kind("ledger")

// RerateUsage implements adminv1connect.UsageServiceHandler. What is written stands in the audit log.
func (s reports) RerateUsage(ctx context.Context, r *v1.RerateUsageRequest) (*v1.RerateUsageResponse, error) {
	who := principalOf(ctx)
	if !who.Root {
		return nil, connect.NewError(connect.CodePermissionDenied, errors.New("your role may not change this"))
	}
	q, _, err := s.filter(ctx, r.Filter)
	if err != nil {
		return nil, err
	}
	if s.rerate == nil {
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("this service prices nothing anew"))
	}
	rep, err := s.rerate(ctx, q, r.Apply)
	if err != nil {
		return nil, s.away(ctx, err)
	}
	res := &v1.RerateUsageResponse{Exchanges: int64(rep.Exchanges), Corrected: int64(rep.Corrected), Unpriced: int64(rep.Unpriced), WasNanoUsd: int64(rep.Was), IsNanoUsd: int64(rep.Is)}
	if !r.Apply || rep.Corrected == 0 {
		return res, nil
	}
	return res, s.store.Change(ctx, store.Actor{Name: who.Name, From: who.From}, func(tx *store.Tx) error {
		return tx.Note("rerate", kindLedger, "records", nil, map[string]string{
			"from": q.From.Format(time.RFC3339), "until": q.Until.Format(time.RFC3339), "corrected": strconv.Itoa(rep.Corrected), "was": rep.Was.String(), "is": rep.Is.String(),
		})
	})
}
