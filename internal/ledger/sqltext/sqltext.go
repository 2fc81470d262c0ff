// Package sqltext writes the SQL that the ledger's stores have in common. It holds no connection; what differs between
// databases is a Flavor.
package sqltext

import (
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/owner"
)

// Flavor is how a database spells things.
type Flavor struct {
	Placeholder func(n int) string              // of the n-th argument, from 1
	Tag         func(placeholder string) string // the value of the tag in column tags whose name is an argument
	TagArg      func(name string) any           // that argument
	Sum         func(column string) string      // a sum as a 64-bit integer
	InData      func(placeholder string) string // whether column data holds the text that is an argument
}

// Statement is SQL with its arguments.
type Statement struct {
	SQL  string
	Args []any
}

// builder writes a statement.
type builder struct {
	flavor Flavor
	sql    strings.Builder
	args   []any
}

func (b *builder) text(s ...string) {
	for _, s := range s {
		b.sql.WriteString(s)
	}
}

// arg writes a placeholder.
func (b *builder) arg(v any) {
	b.args = append(b.args, v)
	b.text(b.flavor.Placeholder(len(b.args)))
}

// column writes a dimension's column.
func (b *builder) column(d string) {
	if tag, ok := book.Tag(d); ok {
		b.args = append(b.args, b.flavor.TagArg(tag))
		b.text("COALESCE(", b.flavor.Tag(b.flavor.Placeholder(len(b.args))), ",'')")
		return
	}
	b.text(Column(d))
}

// Column returns the name of a dimension's column.
func Column(dimension string) string {
	switch dimension {
	case "key":
		return "key_name"
	}
	return dimension
}

func (b *builder) where(f *book.Filter) {
	if !f.Own && !slices.ContainsFunc(f.Where, func(w book.Where) bool { return w.Dimension == "organization" }) {
		b.text(" AND organization<>")
		b.arg(owner.OwnTraffic)
	}
	for _, w := range f.Where {
		b.text(" AND ")
		b.column(w.Dimension)
		b.text(" IN (")
		for i, v := range w.Values {
			if i > 0 {
				b.text(",")
			}
			b.arg(v)
		}
		b.text(")")
	}
}

// Records selects the data of records in their order.
func Records(f Flavor, q *book.Filter) Statement {
	b := builder{flavor: f}
	b.records(q)
	b.text(" ORDER BY at,organization,id,sequence")
	return Statement{b.sql.String(), b.args}
}

func (b *builder) records(q *book.Filter) {
	b.text("SELECT data FROM ledger_records WHERE at>=")
	b.arg(q.From.UnixMilli())
	b.text(" AND at<")
	b.arg(q.Until.UnixMilli())
	b.where(q)
	if q.Request != "" { // within a text the quotes would be escaped
		b.args = append(b.args, `"request_id":"`+q.Request+`"`)
		b.text(" AND ", b.flavor.InData(b.flavor.Placeholder(len(b.args))))
	}
}

// usage selects the start of the period (0 where none is asked for), the group and the sums. minutes is since when there are
// sums by the minute, in Unix seconds.
func usage(f Flavor, q *book.Query, minutes int64) Statement {
	b := builder{flavor: f}
	keys := 1
	b.text("SELECT ")
	if q.Every == 0 {
		b.text("0")
	} else {
		n := strconv.FormatInt(int64(q.Every.Length().Seconds()), 10)
		b.text("start-start%", n)
	}
	for _, d := range q.By {
		b.text(",")
		b.column(d)
		keys++
	}
	for _, c := range book.Columns() {
		b.text(",", f.Sum(c))
	}
	b.text(" FROM ledger_rollups JOIN ledger_series ON ledger_series.id=ledger_rollups.series WHERE (")
	for i, p := range q.Pieces(minutes) {
		if i > 0 {
			b.text(" OR ")
		}
		b.text("period=")
		b.arg(string(p.Period))
		b.text(" AND start>=")
		b.arg(p.From)
		b.text(" AND start<")
		b.arg(p.Until)
	}
	b.text(")")
	b.where(&q.Filter)
	list := make([]string, keys)
	for i := range list {
		list[i] = strconv.Itoa(i + 1)
	}
	by := strings.Join(list, ",")
	b.text(" GROUP BY ", by, " ORDER BY ", by, " LIMIT ", strconv.Itoa(Limit(q)))
	return Statement{b.sql.String(), b.args}
}

// Limit returns the most rows of a query.
func Limit(q *book.Query) int {
	const most = 1_000_000
	if q.Limit == 0 || q.Limit > most {
		return most
	}
	return q.Limit
}

// RecordColumns are the columns of ledger_records that a record fills, in order.
func RecordColumns() []string {
	return []string{"at", "organization", "id", "sequence", "team", "project", "key_name", "end_user", "route", "provider", "model", "region", "status", "tags", "cost", "data"}
}

// RecordValues returns the values of RecordColumns. Provider, model and region are those of the last attempt. room is
// for what is needed meanwhile, to be given again.
func RecordValues(dst []any, r *ledger.Record, room *[]byte) []any {
	line := r.Line
	if line == "" {
		*room = r.AppendTo((*room)[:0])
		line = string(*room)
	}
	last := ledger.Target{Model: r.Asked.Model}
	if n := len(r.Attempts); n > 0 {
		last = r.Attempts[n-1].Target
	}
	return append(dst, r.At.UnixMilli(), r.Organization, r.ID, int64(r.Sequence), r.Who.Team, r.Who.Project, r.Who.Key, r.Who.User, r.Asked.Route,
		last.Provider, last.Model, last.Region, string(r.Result.Status), Tags(ledger.Canonical(r.Tags)), int64(r.Money.Cost), line)
}

// SeriesColumns are the columns of ledger_series.
func SeriesColumns() []string {
	return []string{"id", "organization", "team", "project", "key_name", "end_user", "route", "provider", "model", "region", "tags"}
}

// SeriesValues returns the values of SeriesColumns.
func SeriesValues(dst []any, s *book.Identified) []any {
	return append(dst, s.ID, s.Organization, s.Team, s.Project, s.Key, s.User, s.Route, s.Provider, s.Model, s.Region, Tags(s.Tags))
}

// Tags returns the JSON object of a column of tags.
func Tags(canonical string) string {
	if canonical == "" {
		return "{}"
	}
	return canonical
}
