package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect"

	"github.com/signalbox-ai/signalbox/internal/evals"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// Book is the runs of a store behind an admin API.
type Book struct {
	API          adminv1connect.EvalServiceClient
	Word         func(error) error // words an error of the API for people
	Organization string            // "": that of the token, or default
	Team         string            // of runs that begin, and whose runs are listed; "": that of the token, or none
}

// ErrMissing is that there is no such run, or that it is out of reach.
var ErrMissing = errors.New("the store has no such run")

func (b Book) word(name string, err error) error {
	if connect.CodeOf(err) == connect.CodeNotFound {
		return fmt.Errorf("%s: %w", name, ErrMissing)
	}
	return b.Word(err)
}

func run(m *v1.EvalRun) evals.Run {
	return evals.Run{
		Name: m.Name, Set: m.Set, Cases: int(m.Cases), Targets: m.Targets, Judge: m.Judge, Began: m.Began.AsTime(),
		Organization: m.Organization, Team: m.Team, Author: m.Author, Configs: m.Configurations,
	}
}

// outcomes reads all outcomes of a run.
func (b Book) outcomes(ctx context.Context, name string, texts bool) (all []evals.Outcome, err error) {
	for token := ""; ; {
		res, err := b.API.ListEvalOutcomes(ctx, &v1.ListEvalOutcomesRequest{Organization: b.Organization, Run: name, Texts: texts, Page: &v1.Page{Size: 1000, Token: token}})
		if err != nil {
			return nil, b.word(name, err)
		}
		for _, m := range res.Outcomes {
			all = append(all, Outcome(m))
		}
		if token = res.NextToken; token == "" {
			return all, nil
		}
	}
}

// Read returns a run and its outcomes, with what was answered where texts says so and the run keeps it. ErrMissing: there is
// none.
func (b Book) Read(ctx context.Context, name string, texts bool) (evals.Run, []evals.Outcome, error) {
	m, err := b.API.GetEvalRun(ctx, &v1.GetEvalRunRequest{Organization: b.Organization, Name: name})
	if err != nil {
		return evals.Run{}, nil, b.word(name, err)
	}
	all, err := b.outcomes(ctx, name, texts)
	return run(m), all, err
}

// List returns all runs that are within reach.
func (b Book) List(ctx context.Context) (all []evals.Run, err error) {
	for token := ""; ; {
		res, err := b.API.ListEvalRuns(ctx, &v1.ListEvalRunsRequest{Organization: b.Organization, Team: b.Team, Page: &v1.Page{Size: 1000, Token: token}})
		if err != nil {
			return nil, b.Word(err)
		}
		for _, m := range res.Runs {
			all = append(all, run(m))
		}
		if token = res.NextToken; token == "" {
			return all, nil
		}
	}
}

// Delete deletes a run. ErrMissing: there is none.
func (b Book) Delete(ctx context.Context, name string) error {
	if _, err := b.API.DeleteEvalRun(ctx, &v1.DeleteEvalRunRequest{Organization: b.Organization, Name: name}); err != nil {
		return b.word(name, err)
	}
	return nil
}

// Open begins a run of a set, or goes on with the one of its name. With keep, what is answered is kept, which the service must
// allow. Nothing has been asked of a model when it says that something cannot be kept.
func (b Book) Open(ctx context.Context, r evals.Run, set []evals.Case, keep bool) (*Page, error) {
	for i := range set {
		c := &set[i]
		switch {
		case len(c.ID) > evals.MostName || !utf8.ValidString(c.ID) || strings.ContainsRune(c.ID, 0):
			return nil, fmt.Errorf("line %d: id: a store keeps UTF-8 of at most %d bytes", c.Line, evals.MostName)
		case len(c.Checks) > evals.MostChecks:
			return nil, fmt.Errorf("line %d: expect: a store keeps at most %d checks of a case", c.Line, evals.MostChecks)
		}
	}
	m, err := b.API.BeginEvalRun(ctx, &v1.BeginEvalRunRequest{
		Organization: b.Organization, Team: b.Team, Name: r.Name, Set: r.Set, Cases: int32(len(set)), Targets: r.Targets, Judge: r.Judge, Content: keep,
	})
	if err != nil {
		return nil, b.Word(err)
	}
	p := &Page{Run: run(m), book: b, keep: keep, done: map[[2]string]bool{}, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	all, err := b.outcomes(ctx, r.Name, false)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if o.Error == "" { // what had no answer is asked again
			p.done[[2]string{o.Case, o.Target}] = true
			p.all = append(p.all, o)
		}
	}
	go p.send(context.WithoutCancel(ctx)) // until Close, which waits for it
	return p, nil
}
