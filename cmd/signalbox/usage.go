package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/export"
	"github.com/signalbox-ai/signalbox/internal/ledger/remote"
	"github.com/signalbox-ai/signalbox/internal/ledger/rerate"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
)

// usageCmd asks the ledger: the database itself, beside a service that writes it, or with --server the admin API of that service.
type usageCmd struct {
	Report   usageReportCmd   `cmd:"" default:"withargs" help:"Add up what was used and what it cost."`
	Export   usageExportCmd   `cmd:"" help:"Write the records of exchanges to a file for other programs."`
	Records  usageRecordsCmd  `cmd:"" help:"List the records of exchanges, and of corrections."`
	Show     usageShowCmd     `cmd:"" help:"Show one exchange with its attempts, its costs and its corrections."`
	Forecast usageForecastCmd `cmd:"" help:"Look to the end of a day, week or month: what will have been used, and when a limit is reached."`
	Rerate   usageRerateCmd   `cmd:"" help:"Price past exchanges with today's catalog and configuration, and write the differences as corrections."`
}

// ledgerFlags say which ledger and which part of it.
type ledgerFlags struct {
	placeFlags
	From  string   `placeholder:"TIME" help:"Exchanges from then on: 2026-08-01, 2026-08-01T12:00:00Z, or 7d, 12h, 30m ago. The beginning of the month (UTC) if not said."`
	Until string   `placeholder:"TIME" help:"Exchanges before then. Now, if not said."`
	Where []string `placeholder:"NAME=VALUE" sep:"none" help:"Only exchanges whose organization, team, project, key, end_user, route, provider, model, region, template or tag:NAME has the value; several of one name mean any of them."`
}

// filter reads the flags.
func (f *ledgerFlags) filter(now time.Time) (book.Filter, error) {
	q := book.Filter{From: book.Day.Start(now.AddDate(0, 0, 1-now.UTC().Day())), Until: now}
	for _, t := range []struct {
		flag, value string
		to          *time.Time
	}{{"--from", f.From, &q.From}, {"--until", f.Until, &q.Until}} {
		if t.value == "" {
			continue
		}
		v, err := when(t.value, now)
		if err != nil {
			return q, fmt.Errorf("%s: %w", t.flag, err)
		}
		*t.to = v
	}
	for _, w := range f.Where {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			return q, fmt.Errorf("--where %s: write NAME=VALUE", w)
		}
		found := false
		for i := range q.Where {
			if q.Where[i].Dimension == name {
				q.Where[i].Values, found = append(q.Where[i].Values, value), true
			}
		}
		if !found {
			q.Where = append(q.Where, book.Where{Dimension: name, Values: []string{value}})
		}
	}
	return q, q.Check()
}

// when reads a day, a time, or how long ago.
func when(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	text := s
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return time.Time{}, errors.New("not a number of days")
		}
		text = strconv.Itoa(n*24) + "h"
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, errors.New("not a time: write 2026-08-01, 2026-08-01T12:00:00Z, or 7d, 12h, 30m ago")
}

// open opens the ledger and reads the filter.
func (f *ledgerFlags) open(ctx context.Context) (reader, book.Filter, error) {
	q, err := f.filter(time.Now().UTC())
	if err != nil {
		return nil, q, err
	}
	s, err := f.reader(ctx)
	return s, q, err
}

// perhaps words what a record may lack.
func perhaps(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

type usageRecordsCmd struct {
	ledgerFlags
	Oldest bool `help:"The oldest first. Without it, the newest are."`
	Size   int  `default:"20" help:"How many at most."`
	JSON   bool `name:"json" help:"Write each record as a JSON object."`
}

// Run lists records.
func (c *usageRecordsCmd) Run(s streams) error {
	if c.Size < 1 || c.Size > 10_000 {
		return errors.New("--size: from 1 to 10000; signalbox usage export writes all")
	}
	ctx := context.Background()
	store, filter, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	all, err := store.List(ctx, filter, nil, !c.Oldest, c.Size)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeRecords(s.out, all)
	}
	var rows [][]string
	for _, r := range all {
		model, tokens := r.Asked.Model, ledger.Units{}
		for i := range r.Attempts {
			model = r.Attempts[i].Provider + "/" + r.Attempts[i].Model
			for j, n := range r.Attempts[i].Units {
				tokens[j] += n
			}
		}
		what := string(r.Result.Status)
		if r.Sequence > 0 {
			what = r.Cause
		}
		rows = append(rows, []string{r.At.Format("2006-01-02T15:04:05Z"), r.Organization, r.Who.Team, r.Who.Key, model, what, strconv.FormatInt(tokens.Prompt(), 10), strconv.FormatInt(tokens.Answer(), 10), r.Money.Cost.String(), r.ID})
	}
	columns(s.out, "AT ORGANIZATION TEAM KEY MODEL STATUS INPUT OUTPUT COST$ EXCHANGE", rows)
	return nil
}

// writeRecords writes a line for each record.
func writeRecords(out io.Writer, all []*ledger.Record) error {
	w := bufio.NewWriter(out)
	for _, r := range all {
		if _, err := w.Write(append(r.Encode(), '\n')); err != nil {
			return err
		}
	}
	return w.Flush()
}

type usageShowCmd struct {
	placeFlags
	ID           string `arg:"" help:"The exchange's id, as usage records, the log and traces have it."`
	Organization string `placeholder:"NAME" help:"Its organization; default, if not said, or the token's own."`
	JSON         bool   `name:"json" help:"Write each record as a JSON object."`
}

// Run shows an exchange.
func (c *usageShowCmd) Run(s streams) error {
	ctx := context.Background()
	store, err := c.reader(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	organization := c.Organization
	if organization == "" && c.Server == "" {
		organization = auth.DefaultOrganization
	}
	all, err := store.Find(ctx, organization, "", c.ID)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("there is no exchange %q of organization %s", c.ID, organization)
	}
	if c.JSON {
		return writeRecords(s.out, all)
	}
	var total ledger.Nano
	for _, r := range all {
		total += r.Money.Cost
		showRecord(s.out, r)
	}
	if len(all) > 1 {
		fmt.Fprintf(s.out, "altogether %s $\n", total)
	}
	return nil
}

// waited is a wait in the queue; "": there was none.
func waited(ms ledger.Millis) string {
	if ms == 0 {
		return ""
	}
	return strconv.FormatInt(int64(ms), 10) + " ms in the queue"
}

// showRecord writes a record for people.
func showRecord(out io.Writer, r *ledger.Record) {
	title := "exchange"
	if r.Sequence > 0 {
		title = "correction " + strconv.Itoa(r.Sequence) + " (" + r.Cause + ")"
	}
	var tags []string
	for _, name := range slices.Sorted(maps.Keys(r.Tags)) {
		tags = append(tags, name+"="+r.Tags[name])
	}
	fieldLines(out, title, r.ID, "at", r.At.Format(time.RFC3339), "organization", r.Organization, "team", r.Who.Team, "project", r.Who.Project, "key", r.Who.Key, "end user", r.Who.User,
		"tags", strings.Join(tags, ", "), "asked", strings.TrimSpace(r.Asked.Op+" "+r.Asked.Model), "route", r.Asked.Route, "path", r.Asked.Path, "status", strings.TrimSpace(string(r.Result.Status)+" "+r.Result.Why), "waited", waited(r.Result.Waited), "trace", r.Result.Trace, "cost $", r.Money.Cost.String())
	for i := range r.Attempts {
		a := &r.Attempts[i]
		fmt.Fprintf(out, "  attempt %d  %s/%s  %s  %d ms  %s $  counted by %s\n", a.Number, a.Provider, a.Model, perhaps(a.Code), a.Took, a.Bill.Cost, perhaps(string(a.Source)))
		for _, l := range a.Bill.Lines {
			fmt.Fprintf(out, "    %s  %d × %s = %s $\n", l.Item, l.Units, l.Rate, l.Cost)
		}
	}
}

type usageReportCmd struct {
	ledgerFlags
	By    []string `placeholder:"NAME" help:"A row for each value: organization, team, project, key, end_user, route, provider, model, region, template or tag:NAME; several by commas."`
	Every string   `enum:"minute,hour,day," default:"" help:"A row for each minute, hour or day (UTC) beside."`
	Limit int      `placeholder:"N" help:"At most so many rows."`
	JSON  bool     `name:"json" help:"Write a JSON object for each row."`
}

// Run adds up.
func (c *usageReportCmd) Run(s streams) error {
	ctx := context.Background()
	store, filter, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	q := book.Query{Filter: filter, By: c.By, Limit: c.Limit}
	switch c.Every {
	case "minute":
		q.Every = book.Minute
	case "hour":
		q.Every = book.Hour
	case "day":
		q.Every = book.Day
	}
	rows, err := store.Usage(ctx, q)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeUsageJSON(s.out, &q, rows)
	}
	return writeUsage(s.out, &q, rows)
}

func writeUsage(out io.Writer, q *book.Query, rows []book.Row) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	var head []string
	if q.Every != 0 {
		head = append(head, "TIME")
	}
	for _, d := range q.By {
		head = append(head, strings.ToUpper(d))
	}
	head = append(head, "EXCHANGES", "FAILED", "INPUT", "CACHED", "OUTPUT", "COST $", "SAVED $", "$/1K TOKENS", "$/EXCHANGE", "UNPRICED")
	fmt.Fprintln(w, strings.Join(head, "\t"))
	line := func(cells []string, u *book.Sums) {
		for _, n := range []int64{u.Exchanges, u.Failed, u.Input, u.Cached, u.Output} {
			cells = append(cells, strconv.FormatInt(n, 10))
		}
		cells = append(cells, u.Cost.String(), u.Saved.String(), rate(u.PerThousand()), rate(u.PerExchange()), strconv.FormatInt(u.Unpriced, 10))
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	var total book.Sums
	for i := range rows {
		r := &rows[i]
		var cells []string
		if q.Every != 0 {
			cells = append(cells, r.Start.Format("2006-01-02T15:04Z"))
		}
		for _, g := range r.Group {
			cells = append(cells, dash(g))
		}
		total.Add(&r.Sums)
		line(cells, &r.Sums)
	}
	if len(rows) != 1 {
		cells := make([]string, len(head)-10)
		if len(cells) > 0 {
			cells[0] = "total"
		}
		line(cells, &total)
	}
	return w.Flush()
}

func rate(n ledger.Nano, ok bool) string {
	if !ok {
		return "-"
	}
	return n.String()
}

// writeUsageJSON writes a line for each row: the group by its names, then the sums; money in dollars, as texts.
func writeUsageJSON(out io.Writer, q *book.Query, rows []book.Row) error {
	w := bufio.NewWriter(out)
	for i := range rows {
		r := &rows[i]
		line := []byte{'{'}
		if q.Every != 0 {
			line = jsonx.AppendText(line, "start", r.Start.Format(time.RFC3339))
		}
		for j, d := range q.By {
			line = jsonx.AppendText(line, d, r.Group[j])
		}
		sums, err := jsonx.Encode(&r.Sums)
		if err != nil {
			return err
		}
		line = append(jsonx.AppendComma(line), sums[1:len(sums)-1]...)
		if n, ok := r.Sums.PerThousand(); ok {
			line = jsonx.AppendText(line, "cost_per_1k_tokens", n.String())
		}
		if n, ok := r.Sums.PerExchange(); ok {
			line = jsonx.AppendText(line, "cost_per_exchange", n.String())
		}
		if _, err := w.Write(append(line, '}', '\n')); err != nil {
			return err
		}
	}
	return w.Flush()
}

type usageExportCmd struct {
	ledgerFlags
	Shape  string `enum:"records,attempts,focus" default:"attempts" help:"records: all that is known, as JSON lines; attempts: a row for each; focus: costs by the hour, with the columns of FOCUS 1.2."`
	Format string `enum:"jsonl,csv,parquet," default:"" help:"The form of the file; jsonl for records and csv for the others if not said."`
	Out    string `short:"o" default:"-" placeholder:"FILE" help:"The file to write; - is standard output. One that is there is replaced when all is written."`
}

// Run exports.
func (c *usageExportCmd) Run(s streams) (err error) {
	format := c.Format
	if format == "" {
		format = "csv"
		if c.Shape == "records" {
			format = "jsonl"
		}
	}
	if _, err := export.New(c.Shape, format, io.Discard); err != nil {
		return err
	}
	ctx := context.Background()
	store, filter, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if c.Out == "-" {
		return exportTo(ctx, s.out, store, filter, c.Shape, format)
	}
	f, err := os.OpenFile(c.Out+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(exportTo(ctx, f, store, filter, c.Shape, format), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), c.Out)
}

func exportTo(ctx context.Context, w io.Writer, store reader, q book.Filter, shape, format string) error {
	sink, err := export.New(shape, format, w)
	if err != nil {
		return err
	}
	if err := store.Records(ctx, q, sink.Add); err != nil {
		return err
	}
	return sink.Close()
}

type usageRerateCmd struct {
	ledgerFlags
	Apply bool `help:"Write the corrections. Without it, they are only counted."`
	JSON  bool `name:"json" help:"Write each correction as a JSON object."`
}

// Run prices anew.
func (c *usageRerateCmd) Run(s streams) error {
	ctx := context.Background()
	if c.Server != "" {
		return c.remote(s)
	}
	pricer, err := app.Pricer(c.Config)
	if err != nil {
		return err
	}
	filter, err := c.filter(time.Now().UTC())
	if err != nil {
		return err
	}
	store, err := c.store(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	each := func(r *ledger.Record) error {
		if !c.JSON {
			return nil
		}
		_, err := s.out.Write(append(r.Encode(), '\n'))
		return err
	}
	rep, err := rerate.Run(ctx, store, filter, pricer, !c.Apply, each)
	if err != nil {
		return err
	}
	to := s.out
	if c.JSON {
		to = s.err
	}
	c.report(to, rep)
	return nil
}

// report says what was found.
func (c *usageRerateCmd) report(to io.Writer, rep rerate.Report) {
	done := "would be corrected; --apply writes the corrections"
	if c.Apply {
		done = "corrected"
	}
	fmt.Fprintf(to, "%d exchanges: %d %s\nrecorded %s $, now %s $, difference %s $\n", rep.Exchanges, rep.Corrected, done, rep.Was, rep.Is, rep.Is-rep.Was)
	if rep.Unpriced > 0 {
		fmt.Fprintf(to, "%d attempts keep their cost: no price is known for them\n", rep.Unpriced)
	}
}

// remote lets the service do it, by its own catalog and configuration.
func (c *usageRerateCmd) remote(s streams) error {
	if c.JSON {
		return errors.New("--json shows corrections, which a server does not send; signalbox usage records has them when they are written")
	}
	filter, err := c.filter(time.Now().UTC())
	if err != nil {
		return err
	}
	l, err := c.server(15 * time.Minute) // it looks at every exchange
	if err != nil {
		return err
	}
	res, err := l.API.RerateUsage(context.Background(), &v1.RerateUsageRequest{Filter: remote.Filter(&filter), Apply: c.Apply})
	if err != nil {
		return l.Word(err)
	}
	c.report(s.out, rerate.Report{Exchanges: int(res.Exchanges), Corrected: int(res.Corrected), Unpriced: int(res.Unpriced), Was: ledger.Nano(res.WasNanoUsd), Is: ledger.Nano(res.IsNanoUsd)})
	return nil
}
