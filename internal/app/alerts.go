package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/alert"
	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/slo/keeper"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// alert reads the ledger for what somebody should look at, until the context ends.
func (a *App) alert(ctx context.Context) {
	ledger := a.build.accounts.Ledger()
	if ledger == nil {
		return // without one, no alerts are configured, and that only changes with a restart
	}
	w := alert.New(alert.Params{Ledger: ledger, Counters: a.build.accounts, Trouble: a.build.trouble, Sender: &channel.Sender{}, Log: a.log})
	w.Run(ctx, func() alert.State {
		cfg, snap := a.Config(), a.core.Snapshot()
		s := alert.State{Settings: &cfg.Alerts, SLOs: a.build.slo.Tracker.Status(time.Now())}
		s.Table, _ = snap.Limits.(*budgets.Table) // there may be no limits
		if cfg.Alerts.On() {
			s.Keys, _ = cfg.StaticKeys() // they were read before
			now := time.Now()            // an alert of an end is tried for a day
			s.Issued = slices.Collect(a.build.access.Issued.Ending(now.AddDate(0, 0, -2), now.AddDate(0, 0, cfg.Alerts.Expiry+1)))
			s.Canaries = a.build.control.Ended(ctx, time.Now().Add(-24*time.Hour), a.routes())
		}
		return s
	})
}

// openObjectives takes back what the process before this one counted for what is promised.
func (a *App) openObjectives(cfg *config.Config) {
	now := time.Now()
	a.build.slo = &keeper.Keeper{Path: cfg.SLOFile(), Tracker: &slo.Tracker{}, Metrics: &a.metrics.SLO, Log: a.log}
	a.build.slo.Set(cfg.Objectives(), now)
	a.build.slo.Restore(now)
}

// off notes that a provider's count of a prompt is far from ours.
func (a *App) off(provider, model string) {
	a.metrics.UsageOff(provider, model)
	a.build.trouble.Note(trouble.What{Kind: trouble.Usage, Subject: provider + "/" + model}, 1)
}

// armless notes that a request is answered without an arm, whose version of a template cannot be made.
func (a *App) armless(arm, version string) {
	a.build.trouble.Note(trouble.What{Kind: trouble.Armless, Subject: arm + ": " + version}, 1)
}

// arms says which arms of experiments have versions of templates that are not there: those in the store come and go while the
// program runs.
func (a *App) arms(s *exchange.Snapshot) {
	for _, r := range s.Table.Routes() {
		if r.Trial == nil || r.Trial.Template == "" {
			continue
		}
		for i, arm := range r.Trial.Routes {
			c := arm.Change
			if c == nil || c.Version == "" {
				continue
			}
			if v, _ := s.Templates.Find(r.Trial.Template, c.Version); v == nil {
				named := r.Trial.Template + "@" + c.Version
				a.log.Warn("an arm of an experiment gets no requests: its version of the template is not there", "arm", r.Trial.Labels[i], "template", named)
				a.armless(r.Trial.Labels[i], named)
			}
		}
	}
}

// probeAlerts fetches the secrets of channels: a fault should show now, and not when an alert is due.
func probeAlerts(ctx context.Context, c *config.Config) (faults config.Errors) {
	for i := range c.Alerts.Channels {
		if path, err := c.Alerts.Channels[i].Probe(ctx); err != nil {
			faults = append(faults, c.Fault(fmt.Sprintf("alerts.channels[%d].%s", i, path), err.Error()))
		}
	}
	return faults
}

// TestAlert sends an alert that says it is a test to a channel of the configuration at path, "" being all of them. It
// calls each with the name and what came of it, and returns an error where one failed.
func TestAlert(ctx context.Context, path, name string, each func(name string, err error)) error {
	cfg, err := Load(path)
	if err != nil {
		return err
	}
	if name != "" && cfg.Alerts.Channel(name) == nil || !cfg.Alerts.On() {
		if name == "" {
			return errors.New("the configuration has no channels of alerts")
		}
		return fmt.Errorf("the configuration has no channel %q of alerts", name)
	}
	failed := 0
	for i := range cfg.Alerts.Channels {
		c := &cfg.Alerts.Channels[i]
		if name != "" && c.Name != name {
			continue
		}
		now := time.Now()
		err := (&channel.Sender{}).Deliver(ctx, c, &channel.Message{
			ID: fmt.Sprintf("test-%x", now.UnixNano()), Kind: "test", Severity: "info", At: now,
			Title: "Signalbox can reach the channel " + c.Name, Text: "This is a test. Nothing has happened.",
		})
		if each(c.Name, err); err != nil {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of the channels did not take it", failed)
	}
	return nil
}
