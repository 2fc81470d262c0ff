package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/forecast"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
)

type usageForecastCmd struct {
	placeFlags
	Where []string `placeholder:"NAME=VALUE" sep:"none" help:"Only exchanges whose organization, team, project, key, end_user, route, provider, model, region, template or tag:NAME has the value; several of one name mean any of them."`
	By    []string `placeholder:"NAME" help:"A row for each value: organization, team, project, key, end_user, route, provider, model, region, template or tag:NAME; several by commas."`
	Per   string   `enum:"day,week,month" default:"month" help:"The window whose end is looked to: the day, week or month that runs."`
	Zone  string   `default:"UTC" help:"The time zone in which it begins and ends, as Europe/Berlin."`
	Unit  string   `enum:"money,requests,tokens,input_tokens,output_tokens" default:"money" help:"What is counted: money, requests, tokens, input_tokens or output_tokens."`
	Limit string   `placeholder:"AMOUNT" help:"A limit, as '500 USD' or 2000000: when will it be reached?"`
	At    string   `placeholder:"TIME" help:"Look from then, with what was known then. Now, if not said."`
	JSON  bool     `name:"json" help:"Write a JSON object for each row."`
}

// Run looks ahead.
func (c *usageForecastCmd) Run(s streams) error {
	ctx := context.Background()
	ask, err := c.ask(time.Now().UTC())
	if err != nil {
		return err
	}
	flags := ledgerFlags{Where: c.Where}
	q, err := flags.filter(time.Now().UTC())
	if err != nil {
		return err
	}
	ask.Where = q.Where
	store, err := c.reader(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	all, err := forecast.Of(ctx, store, ask)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.writeJSON(s.out, all)
	}
	return c.write(s.out, all, ask)
}

// ask reads the flags.
func (c *usageForecastCmd) ask(now time.Time) (a forecast.Ask, err error) {
	a = forecast.Ask{By: c.By, Now: now, Unit: c.counts()}
	if c.At != "" {
		if a.Now, err = when(c.At, now); err != nil {
			return a, fmt.Errorf("--at: %w", err)
		}
	}
	if a.Zone, err = time.LoadLocation(c.Zone); err != nil {
		return a, fmt.Errorf("--zone %s: no time zone has this name", c.Zone)
	}
	if a.Per, err = forecast.Per(c.Per); err != nil {
		return a, fmt.Errorf("--per: %w", err)
	}
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
		return a, fmt.Errorf("--limit: %w", err)
	}
	return a, nil
}

// counts returns the unit; the flag takes no other words.
func (c *usageForecastCmd) counts() quota.Unit {
	u, err := forecast.Unit(c.Unit)
	if err != nil {
		return quota.Money
	}
	return u
}

func (c *usageForecastCmd) amount(n int64) string {
	if c.counts() == quota.Money {
		return ledger.Nano(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// cents writes an amount for people: of money, two places are enough.
func (c *usageForecastCmd) cents(n int64) string {
	if c.counts() != quota.Money {
		return strconv.FormatInt(n, 10)
	}
	n = (n + 5_000_000) / 10_000_000
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}

func (c *usageForecastCmd) write(out io.Writer, all []forecast.Row, ask forecast.Ask) error {
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
		for _, g := range o.Group {
			cells = append(cells, dash(g))
		}
		for _, n := range []int64{o.Used, o.P10, o.P50, o.P90} {
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
		fmt.Fprintln(w, strings.Join(append(cells, madeBy(&o)), "\t"))
	}
	return w.Flush()
}

// madeBy says what a forecast was made by.
func madeBy(o *forecast.Row) string {
	if o.Linear {
		return "pace"
	}
	return "weeks"
}

func (c *usageForecastCmd) writeJSON(out io.Writer, all []forecast.Row) error {
	w := bufio.NewWriter(out)
	for _, o := range all {
		line := []byte{'{'}
		for j, d := range c.By {
			line = jsonx.AppendText(line, d, o.Group[j])
		}
		for _, f := range []struct {
			name string
			n    int64
		}{{"used", o.Used}, {"p10", o.P10}, {"p50", o.P50}, {"p90", o.P90}} {
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
		line = jsonx.AppendText(line, "by", madeBy(&o))
		if _, err := w.Write(append(line, '}', '\n')); err != nil {
			return err
		}
	}
	return w.Flush()
}
