package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"connectrpc.com/connect"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/evals/remote"
	"github.com/signalbox-ai/signalbox/internal/evals/stored"
	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

var _ adminv1connect.EvalServiceHandler = runs{}

// Evals is what the configuration in use says to runs of evaluations.
type Evals struct {
	Version func() string // of the configuration; nil: it is not known
	Content func() bool   // whether what was answered may be kept; nil: it may not
}

// runs serves EvalService.
type runs struct{ *Server }

// form writes a run.
func (s runs) form(r *stored.Run) *v1.EvalRun {
	return &v1.EvalRun{
		Name: r.Name, Organization: r.Organization, Team: r.Team, Set: r.Set, Cases: int32(r.Cases), Targets: r.Targets, Judge: r.Judge, Content: r.Content,
		Configurations: r.Configs, Author: r.Author, Began: at(r.Began), Outcomes: int64(r.Outcomes), Stamp: stamp(&r.Stamp),
	}
}

func (s runs) version() string {
	if s.evals.Version == nil {
		return ""
	}
	return s.evals.Version()
}

// home is the organization that a request means.
func home(ctx context.Context, organization string) string {
	return cmp.Or(organization, principalOf(ctx).Owner.Organization, auth.DefaultOrganization)
}

func noRun(name string) error {
	return &store.Fault{Reason: store.Missing, Field: "name", Message: fmt.Sprintf("there is no run %q", name)}
}

// reach reads a run that who asks may read, or change.
func (s runs) reach(ctx context.Context, organization, name string, change bool) (stored.Run, error) {
	p := principalOf(ctx)
	if organization = home(ctx, organization); !p.reaches(place{organization: organization}) {
		return stored.Run{}, noRun(name)
	}
	r, err := stored.Get(ctx, s.store, organization, name)
	if err != nil {
		return r, err
	}
	where := place{organization: r.Organization, team: r.Team}
	if !p.reaches(where) {
		return stored.Run{}, noRun(name)
	}
	if change {
		return r, p.changes(stored.Kind, where)
	}
	return r, nil
}

// where says where a run is to be that is not there yet, or why it may not.
func (s runs) where(ctx context.Context, r *v1.BeginEvalRunRequest) (place, error) {
	p := principalOf(ctx)
	to := place{organization: home(ctx, r.Organization), team: cmp.Or(r.Team, p.Owner.Team)}
	if !p.reaches(place{organization: to.organization}) {
		return to, invalid("organization", "there is no such organization that you may write")
	}
	if r.Team != "" {
		t, err := s.store.Team(ctx, r.Team)
		if fault, ok := errors.AsType[*store.Fault](err); err != nil && (!ok || fault.Reason != store.Missing) {
			return to, err
		}
		if err != nil || t.Organization != to.organization || !p.reaches(to) {
			return to, invalid("team", "there is no such team that you may write")
		}
	}
	return to, p.changes(stored.Kind, to)
}

// BeginEvalRun implements adminv1connect.EvalServiceHandler.
func (s runs) BeginEvalRun(ctx context.Context, r *v1.BeginEvalRunRequest) (*v1.EvalRun, error) {
	was, err := s.reach(ctx, r.Organization, r.Name, true)
	to := place{organization: was.Organization, team: was.Team}
	if fault, ok := errors.AsType[*store.Fault](err); ok && fault.Reason == store.Missing {
		to, err = s.where(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	if r.Content && !s.keeps() {
		return nil, invalid("content", "the service keeps nothing of what is answered, for its configuration does not say evals.content: true")
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.EvalRun, error) {
		run, err := stored.Begin(tx, stored.Run{
			Name: r.Name, Organization: to.organization, Team: to.team, Set: r.Set, Cases: int(r.Cases), Targets: r.Targets, Judge: r.Judge, Content: r.Content,
			Configs: []string{s.version()},
		})
		return s.form(&run), err
	})
}

// keeps reports whether what was answered may be kept.
func (s runs) keeps() bool { return s.evals.Content != nil && s.evals.Content() }

// AddEvalOutcomes implements adminv1connect.EvalServiceHandler.
func (s runs) AddEvalOutcomes(ctx context.Context, r *v1.AddEvalOutcomesRequest) (*v1.AddEvalOutcomesResponse, error) {
	run, err := s.reach(ctx, r.Organization, r.Run, true)
	if err != nil {
		return nil, err
	}
	all := make([]evals.Outcome, len(r.Outcomes))
	for i, m := range r.Outcomes {
		all[i] = remote.Outcome(m)
		if quotes(&all[i]) && run.Content && !s.keeps() { // it was allowed when the run began
			return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("the service keeps nothing of what is answered any more: its configuration does not say evals.content: true"))
		}
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.AddEvalOutcomesResponse, error) {
		sum, err := stored.Add(tx, run.Organization, run.Name, s.version(), all)
		return &v1.AddEvalOutcomesResponse{Added: int32(sum.New), Replaced: int32(sum.Replaced), Kept: int32(sum.Kept)}, err
	})
}

// quotes reports whether something of what was answered stands in an outcome.
func quotes(o *evals.Outcome) bool {
	for i := range o.Checks {
		if o.Checks[i].Why != "" {
			return true
		}
	}
	return o.Text != ""
}

// GetEvalRun implements adminv1connect.EvalServiceHandler.
func (s runs) GetEvalRun(ctx context.Context, r *v1.GetEvalRunRequest) (*v1.EvalRun, error) {
	run, err := s.reach(ctx, r.Organization, r.Name, false)
	if err != nil {
		return nil, err
	}
	return s.form(&run), nil
}

// ListEvalRuns implements adminv1connect.EvalServiceHandler.
func (s runs) ListEvalRuns(ctx context.Context, r *v1.ListEvalRunsRequest) (*v1.ListEvalRunsResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	in, ok := principalOf(ctx).within(home(ctx, r.Organization), r.Team)
	if !ok { // of whom it does not reach it learns nothing
		return &v1.ListEvalRunsResponse{}, nil
	}
	all, next, err := stored.List(ctx, s.store, in.organization, in.team, p)
	return &v1.ListEvalRunsResponse{Runs: each(all, s.form), NextToken: next}, err
}

// ListEvalOutcomes implements adminv1connect.EvalServiceHandler.
func (s runs) ListEvalOutcomes(ctx context.Context, r *v1.ListEvalOutcomesRequest) (*v1.ListEvalOutcomesResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	after := int64(0)
	if p.After != "" {
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil || after < 1 {
			return nil, invalid("page.token", "not the token of a page")
		}
	}
	run, err := s.reach(ctx, r.Organization, r.Run, false)
	if err != nil {
		return nil, err
	}
	all, next, err := stored.Outcomes(ctx, s.store, run.Organization, run.Name, after, p.Size, r.Texts)
	res := &v1.ListEvalOutcomesResponse{Outcomes: each(all, remote.Message)}
	if next > 0 {
		res.NextToken = strconv.FormatInt(next, 10)
	}
	return res, err
}

// DeleteEvalRun implements adminv1connect.EvalServiceHandler.
func (s runs) DeleteEvalRun(ctx context.Context, r *v1.DeleteEvalRunRequest) (*v1.DeleteResponse, error) {
	run, refused := s.reach(ctx, r.Organization, r.Name, true)
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.DeleteResponse, error) {
		if refused != nil { // told where nothing answers a repeated request: what it deleted is not there
			return nil, refused
		}
		return &v1.DeleteResponse{}, stored.Delete(tx, run.Organization, run.Name, r.Version)
	})
}
