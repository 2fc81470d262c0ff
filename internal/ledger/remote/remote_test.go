package remote_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox-ai/signalbox/internal/admin"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/remote"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// behind serves a ledger by the admin API, and returns how it is read through it.
func behind(t *testing.T, books admin.Ledger) remote.Ledger {
	t.Helper()
	const token = "the-administrators-token"
	gate := auth.NewGate(nil, auth.Options{})
	h := httptest.NewServer(admin.New(admin.Options{Ledger: books, Token: secret.New(token), Gate: func() *auth.Gate { return gate }, Log: slog.New(slog.DiscardHandler)}).Handler())
	t.Cleanup(h.Close)
	sign := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("authorization", "Bearer "+token)
			return next(ctx, req)
		}
	})
	return remote.Ledger{
		API:  adminv1connect.NewUsageServiceClient(h.Client(), h.URL, connect.WithInterceptors(sign)),
		Word: func(err error) error { return fmt.Errorf("worded: %w", err) },
	}
}

// TestItAnswersAsTheStoreDoes asks both the same.
func TestItAnswersAsTheStoreDoes(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rnd := rand.New(rand.NewPCG(5, 6))
	var all []*ledger.Record
	for n := range 1500 { // more than a page
		all = append(all, ledgertest.Random(rnd, n, ledgertest.Noon().Add(time.Duration(rnd.Int64N(100))*time.Second)))
	}
	all = append(all, ledgertest.Make(all[0].ID, all[0].At, func(r *ledger.Record) { r.Sequence, r.Cause = 1, "late" }))
	ledgertest.Write(t, s, all...)
	r := behind(t, s)
	q := book.Filter{From: ledgertest.Noon(), Until: ledgertest.Noon().Add(time.Hour)}
	some := q
	some.Where = []book.Where{{Dimension: "team", Values: []string{"team-1", "team-2"}}, {Dimension: "tag:stage", Values: []string{"stage-1"}}}
	same := func(what string, got, want any, err, wantErr error) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %v and %v (-store +api):\n%.2000s", what, wantErr, err, diff)
		}
	}
	for _, f := range []book.Filter{q, some} {
		for _, query := range []book.Query{{Filter: f}, {Filter: f, By: []string{"team", "tag:feature"}, Every: book.Minute}, {Filter: f, By: []string{"model"}, Limit: 2}} {
			got, err := r.Usage(t.Context(), query)
			want, wantErr := s.Usage(t.Context(), query)
			same("Usage", got, want, err, wantErr)
		}
		read := func(l interface {
			Records(context.Context, book.Filter, func(*ledger.Record) error) error
		}) (out []*ledger.Record, err error) {
			err = l.Records(t.Context(), f, func(r *ledger.Record) error { out = append(out, r); return nil })
			return out, err
		}
		got, err := read(r)
		want, wantErr := read(s)
		same("Records", got, want, err, wantErr)
		for _, newest := range []bool{true, false} {
			got, err := r.List(t.Context(), f, nil, newest, 1200)
			want, wantErr := s.List(t.Context(), f, nil, newest, 1200)
			same("List", got, want, err, wantErr)
			after := want[len(want)/2]
			got, err = r.List(t.Context(), f, after, newest, 7)
			want, wantErr = s.List(t.Context(), f, after, newest, 7)
			same("List behind one", got, want, err, wantErr)
		}
	}
	got, err := r.Find(t.Context(), "acme", "", all[0].ID)
	want, wantErr := s.Find(t.Context(), "acme", "", all[0].ID)
	if same("Find", got, want, err, wantErr); len(got) != 2 {
		t.Errorf("%d records are found", len(got))
	}
	stop := errors.New("stop")
	if err := r.Records(t.Context(), q, func(*ledger.Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestItsErrorsAreWorded(t *testing.T) {
	r := behind(t, nil)
	q := book.Filter{From: ledgertest.Noon(), Until: ledgertest.Noon().Add(time.Hour)}
	_, usage := r.Usage(t.Context(), book.Query{Filter: q})
	_, list := r.List(t.Context(), q, nil, true, 5)
	_, find := r.Find(t.Context(), "acme", "", "x")
	for _, err := range []error{usage, list, find, r.Records(t.Context(), q, func(*ledger.Record) error { return nil })} {
		if err == nil || !strings.HasPrefix(err.Error(), "worded: ") || !strings.Contains(err.Error(), "there is no ledger") {
			t.Errorf("got %v", err)
		}
	}
}
