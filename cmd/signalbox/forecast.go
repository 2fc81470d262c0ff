package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/spend"
)

type usageForecastCmd struct {
	placeFlags
	Where []string `placeholder:"NAME=VALUE" sep:"none" help:"Only exchanges whose organization, team, project, key, end_user, route, provider, model, region or tag:NAME has the value; several of one name mean any of them."`
	By    []string `placeholder:"NAME" help:"A row for each value: organization, team, project, key, end_user, route, provider, model, region or tag:NAME; several by commas."`
	Per   string   `enum:"day,week,month" default:"month" help:"The window whose end is looked to: the day, week or month that runs."`
	Zone  string   `default:"UTC" help:"The time zone in which it begins and ends, as Europe/Berlin."`
	Unit  string   `enum:"money,requests,tokens,input_tokens,output_tokens" default:"money" help:"What is counted: money, requests, tokens, input_tokens or output_tokens."`
	Limit string   `placeholder:"AMOUNT" help:"A limit, as '500 USD' or 2000000: when will it be reached?"`
	At    string   `placeholder:"TIME" help:"Look from then, with what was known then. Now, if not said."`
	JSON  bool     `name:"json" help:"Write a JSON object for each row."`
}

// outlook is the forecast of one group.
type outlook struct {
	group []string
	used  int64
	spend.Forecast
}

// Run looks ahead.
func (c *usageForecastCmd) Run(s streams) error {
	ctx := context.Background()
	ask, from, err := c.ask(time.Now().UTC())
	if err != nil {
		return err
	}
	flags := ledgerFlags{Where: c.Where}
	q, err := flags.filter(time.Now().UTC())
	if err != nil {
		return err
	}
	store, err := c.reader(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	all, err := c.look(ctx, store, q, ask, from)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.writeJSON(s.out, all)
	}
	return c.write(s.out, all, ask)
}

// ask reads the flags, and returns where the window begins too.
func (c *usageForecastCmd) ask(now time.Time) (a spend.Ask, from time.Time, err error) {
	if c.At != "" {
		if now, err = when(c.At, now); err != nil {
			return a, from, fmt.Errorf("--at: %w", err)
		}
	}
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return a, from, fmt.Errorf("--zone %s: no time zone has this name", c.Zone)
	}
	kind := map[string]window.Kind{"day": window.Day, "week": window.Week, "month": window.Month}[c.Per]
	b := window.Window{Kind: kind, Zone: zone}.Bounds(now, 0)
	a = spend.Ask{Now: now, Until: time.UnixMilli(b.B).UTC()}
	switch {
	case c.Limit == "":
	case c.Unit == "money":
		a.Limit, err = budgets.ParseMoney(c.Limit)
	default:
		if a.Limit, err = strconv.ParseInt(c.Limit, 10, 64); err != nil || a.Limit <= 0 {
			err = fmt.Errorf("a limit of %s is a whole number above 0", c.Unit)
		}
	}
	if err != nil {
		return a, from, fmt.Errorf("--limit: %w", err)
	}
	return a, time.UnixMilli(b.A).UTC(), nil
}

func (c *usageForecastCmd) unit() quota.Unit {
	for u := quota.Requests; u <= quota.Money; u++ {
		if u.String() == c.Unit {
			return u
		}
	}
	return quota.Money
}

// look makes a forecast for each group that used anything in the last weeks or in the window.
func (c *usageForecastCmd) look(ctx context.Context, store reader, q book.Filter, ask spend.Ask, from time.Time) ([]outlook, error) {
	end := ask.Now.UTC().Truncate(time.Hour)
	q.From, q.Until = end.Add(-spend.Reach), end
	hours, err := store.Usage(ctx, book.Query{Filter: q, By: c.By, Every: book.Hour})
	if err != nil {
		return nil, err
	}
	var spent []book.Row
	if q.From, q.Until = from, ask.Now; q.From.Before(q.Until) {
		if spent, err = store.Usage(ctx, book.Query{Filter: q, By: c.By}); err != nil {
			return nil, err
		}
	}
	series, used, groups := map[string]*spend.Series{}, map[string]int64{}, map[string][]string{}
	for i := range hours {
		key := strings.Join(hours[i].Group, "\x00")
		if series[key] == nil {
			series[key] = spend.NewSeries(end.Add(-spend.Reach), end)
		}
		series[key].Set(hours[i].Start, alert.Used(c.unit(), &hours[i].Sums))
		groups[key] = hours[i].Group
	}
	for i := range spent {
		key := strings.Join(spent[i].Group, "\x00")
		used[key], groups[key] = alert.Used(c.unit(), &spent[i].Sums), spent[i].Group
	}
	var out []outlook
	for key, group := range groups {
		s := series[key]
		if s == nil {
			s = spend.NewSeries(end, end)
		}
		ask.Used = used[key]
		out = append(out, outlook{group, ask.Used, s.Forecast(ask)})
	}
	slices.SortFunc(out, func(a, b outlook) int { return slices.Compare(a.group, b.group) })
	return out, nil
}

func (c *usageForecastCmd) amount(n int64) string {
	if c.unit() == quota.Money {
		return ledger.Nano(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// cents writes an amount for people: of money, two places are enough.
func (c *usageForecastCmd) cents(n int64) string {
	if c.unit() != quota.Money {
		return strconv.FormatInt(n, 10)
	}
	n = (n + 5_000_000) / 10_000_000
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}

func (c *usageForecastCmd) write(out io.Writer, all []outlook, ask spend.Ask) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	var head []string
	for _, d := range c.By {
		head = append(head, strings.ToUpper(d))
	}
	head = append(head, "USED", "P10", "P50", "P90")
	if ask.Limit > 0 {
		head = append(head, "REACHED", "EARLIEST")
	}
	fmt.Fprintln(w, strings.Join(append(head, "BY"), "\t"))
	for _, o := range all {
		var cells []string
		for _, g := range o.group {
			cells = append(cells, dash(g))
		}
		for _, n := range []int64{o.used, o.P10, o.P50, o.P90} {
			cells = append(cells, c.cents(n))
		}
		if ask.Limit > 0 {
			for _, t := range []time.Time{o.Reached, o.Earliest} {
				at := "-"
				if !t.IsZero() {
					at = t.UTC().Format("2006-01-02T15:04Z")
				}
				cells = append(cells, at)
			}
		}
		fmt.Fprintln(w, strings.Join(append(cells, o.by()), "\t"))
	}
	return w.Flush()
}

// by says what the forecast was made by.
func (o *outlook) by() string {
	if o.Linear {
		return "pace"
	}
	return "weeks"
}

func (c *usageForecastCmd) writeJSON(out io.Writer, all []outlook) error {
	w := bufio.NewWriter(out)
	for _, o := range all {
		line := []byte{'{'}
		for j, d := range c.By {
			line = jsonx.AppendText(line, d, o.group[j])
		}
		for _, f := range []struct {
			name string
			n    int64
		}{{"used", o.used}, {"p10", o.P10}, {"p50", o.P50}, {"p90", o.P90}} {
			line = jsonx.AppendText(line, f.name, c.amount(f.n))
		}
		for _, f := range []struct {
			name string
			t    time.Time
		}{{"reached", o.Reached}, {"earliest", o.Earliest}} {
			if !f.t.IsZero() {
				line = jsonx.AppendText(line, f.name, f.t.UTC().Format(time.RFC3339))
			}
		}
		line = jsonx.AppendText(line, "by", o.by())
		if _, err := w.Write(append(line, '}', '\n')); err != nil {
			return err
		}
	}
	return w.Flush()
}
