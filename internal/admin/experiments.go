package admin

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/results"
	"github.com/signalbox-ai/signalbox/internal/experiment/stats"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
	"github.com/signalbox-ai/signalbox/routing"
)

var _ adminv1connect.ExperimentServiceHandler = trials{}

// trials serves ExperimentService.
type trials struct{ *Server }

// administrator refuses everybody else.
func administrator(ctx context.Context) error {
	if principalOf(ctx).Root {
		return nil
	}
	return connect.NewError(connect.CodePermissionDenied, errors.New("this concerns all tenants: only the administrator may see and change it"))
}

// routes are those of the configuration that have an experiment, by its name.
func (s trials) routes() []*routing.Route {
	if s.tried == nil {
		return nil
	}
	all := slices.DeleteFunc(slices.Clone(s.tried()), func(r *routing.Route) bool { return r.Trial == nil })
	slices.SortFunc(all, func(a, b *routing.Route) int { return strings.Compare(a.Trial.Name, b.Trial.Name) })
	return all
}

// route finds the route of an experiment.
func (s trials) route(name string) (*routing.Route, error) {
	var names []string
	for _, r := range s.routes() {
		if r.Trial.Name == name {
			return r, nil
		}
		names = append(names, r.Trial.Name)
	}
	fault := missing(store.KindExperiment, name)
	if near := routing.Nearest(name, names); len(near) > 0 {
		fault = &store.Fault{Reason: store.Missing, Message: fault.Error() + "; did you mean \"" + near[0] + "\"?"}
	}
	return nil, fault
}

// stands reads how experiments stand.
func (s trials) stands(ctx context.Context) (map[string]store.Experiment, error) {
	all, err := s.store.Experiments(ctx)
	out := map[string]store.Experiment{}
	for i := range all {
		out[all[i].Name] = all[i]
	}
	return out, err
}

// form writes an experiment as it stands.
func form(r *routing.Route, now store.Experiment) *v1.Experiment {
	state := experiment.State(now.State)
	if state == "" {
		state = experiment.Running
	}
	out := &v1.Experiment{Name: r.Trial.Name, Route: r.Name, By: r.Trial.By, State: string(state), Arm: now.Arm, Why: now.Why, Stamp: stamp(&now.Stamp)}
	for i, a := range r.Trial.Arms {
		arm := &v1.ExperimentArm{Name: a.Name}
		if state == experiment.Running {
			arm.Weight = int32(a.Weight)
			if w := r.Trial.Weights(experiment.Phase{Step: now.Step}); w != nil {
				arm.Weight = int32(w[i])
			}
		}
		for _, t := range r.Trial.Routes[i].Targets {
			arm.Targets = append(arm.Targets, t.String())
		}
		if c := r.Trial.Routes[i].Change; c != nil {
			if c.Version != "" {
				arm.Template = r.Trial.Template + "@" + c.Version
			}
			if c.Parameters != nil {
				arm.Parameters = c.Parameters.Said()
			}
		}
		out.Arms = append(out.Arms, arm)
	}
	return out
}

// ListExperiments implements adminv1connect.ExperimentServiceHandler.
func (s trials) ListExperiments(ctx context.Context, _ *v1.ListExperimentsRequest) (*v1.ListExperimentsResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	now, err := s.stands(ctx)
	res := &v1.ListExperimentsResponse{}
	for _, r := range s.routes() {
		res.Experiments = append(res.Experiments, form(r, now[r.Trial.Name]))
	}
	return res, err
}

// StartExperiment implements adminv1connect.ExperimentServiceHandler.
func (s trials) StartExperiment(ctx context.Context, r *v1.ChangeExperimentRequest) (*v1.Experiment, error) {
	return s.set(ctx, r, store.Experiment{Name: r.Name, State: string(experiment.Running), Why: r.Why}, r.Version)
}

// StopExperiment implements adminv1connect.ExperimentServiceHandler.
func (s trials) StopExperiment(ctx context.Context, r *v1.ChangeExperimentRequest) (*v1.Experiment, error) {
	return s.set(ctx, r, store.Experiment{Name: r.Name, State: string(experiment.Stopped), Why: r.Why}, r.Version)
}

// PromoteExperiment implements adminv1connect.ExperimentServiceHandler.
func (s trials) PromoteExperiment(ctx context.Context, r *v1.PromoteExperimentRequest) (*v1.Experiment, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	at, err := s.route(r.Name)
	if err != nil {
		return nil, err
	}
	var arms []string
	for _, a := range at.Trial.Arms {
		arms = append(arms, a.Name)
	}
	if !slices.Contains(arms, r.Arm) {
		return nil, invalid("arm", "must be one of "+join(arms))
	}
	return s.set(ctx, r, store.Experiment{Name: r.Name, State: string(experiment.Promoted), Arm: r.Arm, Why: r.Why}, r.Version)
}

// set changes how an experiment stands.
func (s trials) set(ctx context.Context, req proto.Message, now store.Experiment, version int64) (*v1.Experiment, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	r, err := s.route(now.Name)
	if err != nil {
		return nil, err
	}
	return write(ctx, s.Server, req, nil, func(tx *store.Tx) (*v1.Experiment, error) {
		err := tx.SetExperiment(&now, version)
		return form(r, now), err
	})
}

// usualSpan is how far results reach back where nothing is said.
const usualSpan = 30 * 24 * time.Hour

// GetExperiment implements adminv1connect.ExperimentServiceHandler.
func (s trials) GetExperiment(ctx context.Context, r *v1.GetExperimentRequest) (*v1.GetExperimentResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	at, err := s.route(r.Name)
	if err != nil {
		return nil, err
	}
	from := r.From
	if from == nil {
		from = timestamppb.New(time.Now().Add(-usualSpan))
	}
	f, _, err := reports(s).filter(ctx, &v1.UsageFilter{From: from, Until: r.Until, Where: []*v1.UsageCondition{{Dimension: "route", Values: []string{at.Name, ""}}}}) // what clients say has no route
	if err != nil {
		return nil, err
	}
	f.Own = true // shadows
	now, err := s.stands(ctx)
	if err != nil {
		return nil, err
	}
	res := &v1.GetExperimentResponse{Experiment: form(at, now[r.Name])}
	t := results.New(at.Trial.Experiment)
	if res.Truncated, err = t.Read(func(last *ledger.Record) ([]*ledger.Record, error) {
		return s.ledger.List(ctx, f, last, true, results.Page)
	}); err != nil {
		return nil, reports(s).away(ctx, err)
	}
	out := t.Result()
	for i := range out.Arms {
		res.Arms = append(res.Arms, arm(&out.Arms[i]))
	}
	for i := range out.Comparisons {
		c := &out.Comparisons[i]
		res.Comparisons = append(res.Comparisons, &v1.ArmComparison{Arm: c.Arm, Success: finding(&c.Success), Cost: finding(&c.Cost), Took: finding(&c.Took), Score: finding(&c.Score), Enough: c.Enough, Conclusion: c.Text})
	}
	return res, nil
}

func arm(a *results.Arm) *v1.ArmResult {
	return &v1.ArmResult{
		Name: a.Name, Exchanges: int64(a.Exchanges), Units: int64(a.Units), Success: interval(a.Success), CostUsd: interval(a.Cost), TookSeconds: interval(a.Took), FirstSeconds: interval(a.First),
		TookMedianSeconds: a.Median, TookP95Seconds: a.P95, Input: a.Input, Output: a.Output, Score: interval(a.Score), Scored: int64(a.Scored),
	}
}

func finding(f *results.Finding) *v1.Finding {
	return &v1.Finding{Verdict: string(f.Verdict), Difference: interval(f.Interval), Needs: int64(f.Needs)}
}

// interval writes bounds that are known.
func interval(i stats.Interval) *v1.Interval {
	out := &v1.Interval{Value: i.Mid}
	if !math.IsInf(i.Low, 0) && !math.IsNaN(i.Low) {
		out.Low = &i.Low
	}
	if !math.IsInf(i.High, 0) && !math.IsNaN(i.High) {
		out.High = &i.High
	}
	return out
}
