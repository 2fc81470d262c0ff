package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/backtest"
)

// backtestCmd replays the ledger under another configuration.
type backtestCmd struct {
	Config string   `short:"c" required:"" placeholder:"FILE" help:"The configuration to try."`
	Ledger string   `placeholder:"ADDRESS" help:"The ledger: sqlite:PATH or postgres://USER@HOST/DATABASE. The one of the configuration, if not said."`
	From   string   `placeholder:"TIME" default:"1d" help:"Exchanges from then on: 2026-08-01, 2026-08-01T12:00:00Z, or 7d, 12h, 30m ago."`
	Until  string   `name:"to" placeholder:"TIME" help:"Exchanges before then. Now, if not said."`
	Where  []string `placeholder:"NAME=VALUE" sep:"none" help:"Only exchanges whose organization, team, project, key, end_user, route or tag:NAME has the value; may be given again."`
	Seed   uint64   `default:"1" help:"Seed of everything that is drawn."`
	Most   int      `default:"5000000" help:"How many exchanges are read at most; more are an error."`
	JSON   bool     `name:"json" help:"Write a JSON object."`
}

// Run replays and reports.
func (c *backtestCmd) Run(s streams) error {
	flags := ledgerFlags{From: c.From, Until: c.Until, Where: c.Where}
	q, err := flags.filter(time.Now().UTC())
	if err != nil {
		return err
	}
	for _, w := range q.Where {
		if w.Dimension == "provider" || w.Dimension == "model" || w.Dimension == "region" {
			return fmt.Errorf("--where %s: what routing decides cannot be chosen by; choose by owner, route or tag", w.Dimension)
		}
	}
	if c.Most < 1 {
		return fmt.Errorf("--most: at least 1")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	open, err := app.Ways(ctx, c.Config, s.err)
	if err != nil {
		return err
	}
	store, err := app.Ledger(ctx, c.Config, c.Ledger)
	if err != nil {
		return err
	}
	defer store.Close()
	r, err := backtest.Run(ctx, store, q, backtest.Options{Open: open, Seed: c.Seed, Most: c.Most})
	if err != nil {
		return err
	}
	if !c.JSON {
		return r.Write(s.out)
	}
	return printJSON(s.out, r)
}
