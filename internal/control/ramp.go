package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/results"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/routing"
)

// Bounds of how often a ramp is looked at: a quarter of its step, within these.
const (
	oftenest = time.Second
	seldom   = 30 * time.Second
)

// Ramps raises the shares of canaries, and stops those that are worse, until the context ends. routes are those of the
// configuration in use. Every replica looks; the store takes the change of the first.
func (c *Control) Ramps(ctx context.Context, routes func() []*routing.Route, usage *book.Lazy) {
	if c == nil || usage == nil {
		return
	}
	t := time.NewTicker(oftenest)
	defer t.Stop()
	due := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			for _, r := range routes() {
				if r.Trial == nil || r.Trial.Ramp == nil || now.Before(due[r.Trial.Name]) {
					continue
				}
				due[r.Trial.Name] = now.Add(min(max(r.Trial.Ramp.Hold/4, oftenest), seldom))
				if err := c.ramp(ctx, r, usage); err != nil && ctx.Err() == nil {
					c.log.Warn("a canary stays as it is", "experiment", r.Trial.Name, "error", err)
				}
			}
		}
	}
}

// ramp looks at one canary.
func (c *Control) ramp(ctx context.Context, r *routing.Route, usage *book.Lazy) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	e := r.Trial.Experiment
	all, err := c.store.Experiments(ctx)
	if err != nil {
		return err
	}
	var row store.Experiment
	for i := range all {
		if all[i].Name == e.Name {
			row = all[i]
		}
	}
	if row.Name == "" { // from now on time counts
		return c.stands(ctx, &store.Experiment{Name: e.Name, State: string(experiment.Running), Why: "the canary begins"}, 0)
	}
	now := experiment.Phase{State: experiment.State(row.State), Arm: row.Arm, Step: row.Step}
	if now.State != experiment.Running {
		return nil
	}
	f := book.Filter{From: row.Changed, Until: time.Now(), Where: []book.Where{{Dimension: "route", Values: []string{r.Name}}}}
	if f.Check() != nil { // not a moment has passed
		return nil
	}
	t := results.New(e)
	t.Promise(slices.DeleteFunc(c.config().Objectives(), func(o slo.Objective) bool { return !slices.Contains(e.Ramp.SLOs, o.Name) }), f.Until)
	if _, err := t.Read(func(last *ledger.Record) ([]*ledger.Record, error) {
		return usage.List(ctx, f, last, true, results.Page)
	}); err != nil {
		return err
	}
	next, why := e.Ramp.Next(now, t.Ramp(time.Since(row.Changed)))
	if why == "" {
		return nil
	}
	if next.State == experiment.Promoted {
		next.Arm = e.Arms[1].Name
	}
	return c.stands(ctx, &store.Experiment{Name: e.Name, State: string(next.State), Arm: next.Arm, Step: next.Step, Why: why}, row.Version)
}

// canary is the actor of what a ramp does by itself.
const canary = "canary"

// Ended returns the canaries that have come to an end by themselves since a time, the last first. routes are those of the
// configuration in use.
func (c *Control) Ended(ctx context.Context, since time.Time, routes []*routing.Route) (out []alert.Canary) {
	if c == nil {
		return nil
	}
	const most = 100
	all, _, err := c.store.Audit(ctx, store.AuditFilter{Kind: store.KindExperiment, Actor: canary, From: since}, most)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("whether canaries have ended is not known", "error", err)
		}
		return nil
	}
	for i := range all {
		var now store.Experiment
		if err := jsonx.Decode([]byte(all[i].After), &now); err != nil || now.State == string(experiment.Running) {
			continue
		}
		e := alert.Canary{Experiment: now.Name, Arm: now.Arm, Why: now.Why, At: all[i].At}
		for _, r := range routes {
			if r.Trial != nil && r.Trial.Name == now.Name {
				e.Route = r.Name
			}
		}
		out = append(out, e)
	}
	return out
}

// stands writes down how a canary stands, unless another replica was first.
func (c *Control) stands(ctx context.Context, now *store.Experiment, version int64) error {
	err := c.store.Change(ctx, store.Actor{Name: canary}, func(tx *store.Tx) error {
		if version == 0 {
			return tx.BeginExperiment(now)
		}
		return tx.SetExperiment(now, version)
	})
	if f, ok := errors.AsType[*store.Fault](err); ok && (f.Reason == store.Stale || f.Reason == store.Exists) {
		return nil
	}
	if err == nil {
		c.log.Info("a canary goes on", "experiment", now.Name, "state", now.State, "step", now.Step, "why", now.Why)
	}
	return err
}
