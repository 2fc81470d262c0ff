package remote_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/evals/remote"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// service keeps one run in memory, in pages of two. fail is what it answers instead, as long as it returns an error.
type service struct {
	adminv1connect.UnimplementedEvalServiceHandler
	mu       sync.Mutex
	run      *v1.EvalRun
	outcomes []*v1.EvalOutcome
	batches  []int
	fail     func() error
}

func (s *service) BeginEvalRun(_ context.Context, r *v1.BeginEvalRunRequest) (*v1.EvalRun, error) {
	if s.run == nil {
		s.run = &v1.EvalRun{Name: r.Name, Set: r.Set, Cases: r.Cases, Targets: r.Targets, Content: r.Content, Organization: "acme", Team: r.Team, Author: "ann", Configurations: []string{"c1"}}
	}
	return s.run, nil
}

func (s *service) AddEvalOutcomes(_ context.Context, r *v1.AddEvalOutcomesRequest) (*v1.AddEvalOutcomesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return nil, err
		}
	}
	s.outcomes = append(s.outcomes, r.Outcomes...)
	s.batches = append(s.batches, len(r.Outcomes))
	return &v1.AddEvalOutcomesResponse{Added: int32(len(r.Outcomes))}, nil
}

func (s *service) GetEvalRun(_ context.Context, r *v1.GetEvalRunRequest) (*v1.EvalRun, error) {
	if s.run == nil || s.run.Name != r.Name {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("there is no run"))
	}
	return s.run, nil
}

func (s *service) ListEvalOutcomes(_ context.Context, r *v1.ListEvalOutcomesRequest) (*v1.ListEvalOutcomesResponse, error) {
	from, _ := strconv.Atoi(r.Page.Token)
	to := min(from+2, len(s.outcomes))
	res := &v1.ListEvalOutcomesResponse{Outcomes: s.outcomes[from:to]}
	if to < len(s.outcomes) {
		res.NextToken = strconv.Itoa(to)
	}
	return res, nil
}

func (s *service) ListEvalRuns(_ context.Context, r *v1.ListEvalRunsRequest) (*v1.ListEvalRunsResponse, error) {
	if r.Page.Token == "" {
		return &v1.ListEvalRunsResponse{Runs: []*v1.EvalRun{s.run}, NextToken: "next"}, nil
	}
	return &v1.ListEvalRunsResponse{Runs: []*v1.EvalRun{{Name: "other"}}}, nil
}

func (s *service) DeleteEvalRun(ctx context.Context, r *v1.DeleteEvalRunRequest) (*v1.DeleteResponse, error) {
	_, err := s.GetEvalRun(ctx, &v1.GetEvalRunRequest{Name: r.Name})
	s.run = nil
	return &v1.DeleteResponse{}, err
}

// serve returns the book of a service.
func serve(t *testing.T, s *service) remote.Book {
	t.Helper()
	_, h := adminv1connect.NewEvalServiceHandler(s)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return remote.Book{API: adminv1connect.NewEvalServiceClient(srv.Client(), srv.URL), Word: func(err error) error { return errors.New("worded: " + err.Error()) }, Team: "core"}
}

func set(t *testing.T, lines string) []evals.Case {
	t.Helper()
	s, err := evals.ReadSet(strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const two = `{"id":"a","prompt":"x"}` + "\n" + `{"id":"b","prompt":"x"}`

var night = evals.Run{Name: "night", Set: "0123456789abcdef", Targets: []string{"m", "n"}}

func outcome(id, target, err string) evals.Outcome {
	return evals.Outcome{
		Case: id, Target: target, Error: err, Checks: []evals.Found{{Check: "exact", Why: `got "said"`}, {Check: "judge", Void: true}},
		Text: "said", Prompt: 1, Output: 2, Cached: 3, Cost: 4, Priced: true, Judging: 5, First: 6.5, Total: 7.5, Exchange: "06cq",
	}
}

func TestARunIsWrittenAndGoesOn(t *testing.T) {
	s := &service{}
	b := serve(t, s)
	first := []evals.Outcome{outcome("a", "m", ""), outcome("a", "n", "503"), outcome("b", "m", "")}
	p, err := b.Open(t.Context(), night, set(t, two), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range first {
		if err := p.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	run, all, err := b.Read(t.Context(), "night", true)
	if diff := cmp.Diff(first, all, cmp.AllowUnexported(evals.Found{})); err != nil || diff != "" || run.Author != "ann" || run.Team != "core" || run.Cases != 2 {
		t.Errorf("%+v, %v, outcomes (-want +got):\n%s", run, err, diff)
	}
	if p, err = b.Open(t.Context(), night, set(t, two), true); err != nil {
		t.Fatal(err)
	}
	if !p.Done("a", "m") || p.Done("a", "n") || p.Done("b", "n") || len(p.All()) != 2 {
		t.Errorf("it goes on with %+v", p.All())
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if runs, err := b.List(t.Context()); err != nil || len(runs) != 2 || runs[1].Name != "other" {
		t.Errorf("the list has %+v, %v", runs, err)
	}
	if err := b.Delete(t.Context(), "night"); err != nil {
		t.Error(err)
	}
	if _, _, err := b.Read(t.Context(), "night", true); !errors.Is(err, remote.ErrMissing) {
		t.Errorf("got %v", err)
	}
	if err := b.Delete(t.Context(), "night"); !errors.Is(err, remote.ErrMissing) {
		t.Errorf("got %v", err)
	}
}

func TestNothingOfAnswersIsSentUnlessItIsKept(t *testing.T) {
	s := &service{}
	b := serve(t, s)
	p, err := b.Open(t.Context(), night, set(t, two), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Add(outcome("a", "m", "")), p.Close()); err != nil {
		t.Fatal(err)
	}
	if sent := s.outcomes[0].String(); strings.Contains(sent, "said") || s.outcomes[0].TotalMs != 7.5 || len(s.outcomes[0].Checks) != 2 {
		t.Errorf("sent %s", sent)
	}
	if all := p.All(); all[0].Text != "said" || all[0].Checks[0].Why == "" {
		t.Errorf("who runs it is told %+v", all)
	}
}

func TestWhatOtherGatewaysSayIsMadeText(t *testing.T) {
	s := &service{}
	p, err := serve(t, s).Open(t.Context(), night, set(t, two), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"caf\xe9", strings.Repeat("x", evals.MostName-1) + "é", "a\x00b"} {
		o := outcome("a", "m", "said "+id)
		o.Exchange = id
		if err := p.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range s.outcomes {
		got = append(got, o.Exchange)
	}
	if d := cmp.Diff([]string{"caf�", strings.Repeat("x", evals.MostName-1), "a b"}, got); d != "" {
		t.Errorf("ids (-want +got):\n%s", d)
	}
}

func TestLongTextsAreCutAndLargeBatchesParted(t *testing.T) {
	s := &service{}
	b := serve(t, s)
	hold := make(chan struct{})
	s.fail = func() error { <-hold; return nil } // so that all the others come meanwhile
	p, err := b.Open(t.Context(), night, set(t, two), true)
	if err != nil {
		t.Fatal(err)
	}
	for range 250 {
		if err := p.Add(outcome("a", "m", "")); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		o := outcome("a", "m", "")
		o.Text = strings.Repeat("ü", evals.MostText) + "\xff"
		if err := p.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	close(hold)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if len(s.outcomes) != 270 {
		t.Errorf("%d are sent", len(s.outcomes))
	}
	if last := s.outcomes[269].Text; len(last) > evals.MostText || !strings.HasSuffix(last, "[the rest is not kept]") {
		t.Errorf("a long text has %d bytes", len(last))
	}
	for i, n := range s.batches {
		if n > evals.MostBatch || i == len(s.batches)-1 && n > 7 {
			t.Errorf("batches of %v", s.batches)
		}
	}
}

func TestWhatIsNotTakenIsSentAgain(t *testing.T) {
	for _, c := range []struct {
		code   connect.Code
		times  int
		want   string
		stored int
	}{
		{connect.CodeUnavailable, 3, "", 1},
		{connect.CodeInternal, 5, "", 1},
		{connect.CodeUnavailable, 100, "worded: unavailable", 0},
		{connect.CodePermissionDenied, 1, "worded: permission_denied", 0},
		{connect.CodeNotFound, 1, "night: the store has no such run", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{}
			left := c.times
			s.fail = func() error {
				if left--; left >= 0 {
					return connect.NewError(c.code, errors.New("not now"))
				}
				return nil
			}
			b := remote.Book{API: direct{s}, Word: func(err error) error { return errors.New("worded: " + err.Error()) }}
			began := time.Now()
			p, err := b.Open(t.Context(), night, set(t, two), false)
			if err != nil {
				t.Fatal(err)
			}
			if err = p.Add(outcome("a", "m", "")); err == nil {
				err = p.Close()
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if (err != nil) != (c.want != "") || !strings.HasPrefix(got, c.want) {
				t.Errorf("%v, %d times: got %q, want %q", c.code, c.times, got, c.want)
			}
			if len(s.outcomes) != c.stored || time.Since(began) > time.Minute {
				t.Errorf("%v, %d times: %d are kept after %v", c.code, c.times, len(s.outcomes), time.Since(began))
			}
		})
	}
}

// direct calls a service without a connection.
type direct struct{ *service }

func TestWhatAStoreCannotKeepIsToldBeforeAnythingIsAsked(t *testing.T) {
	for line, want := range map[string]string{
		`{"id":"` + strings.Repeat("x", 257) + `","prompt":"x"}`:                                 "line 1: id: ",
		`{"id":"a\u0000b","prompt":"x"}`:                                                         "line 1: id: ",
		`{"prompt":"x","expect":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 101), ",") + `]}`: "line 1: expect: ",
	} {
		s := &service{}
		b := remote.Book{API: direct{s}, Word: func(err error) error { return err }}
		if _, err := b.Open(t.Context(), night, set(t, line), false); err == nil || !strings.HasPrefix(err.Error(), want) || s.run != nil {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
