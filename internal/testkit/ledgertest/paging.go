package ledgertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

func paging(t *testing.T, store book.Store) {
	s := store.(book.Lister)
	var all []*ledger.Record
	for i := range 25 {
		all = append(all, Make(fmt.Sprintf("x%02d", i), Noon().Add(time.Duration(i/5)*time.Second), func(r *ledger.Record) { r.Who.Team = []string{"core", "edge"}[i%2] }))
	}
	all = append(all, Make("x03", Noon(), func(r *ledger.Record) { r.Sequence, r.Cause = 1, "late" }), Make("x03", Noon(), func(r *ledger.Record) { r.Organization = "another" }))
	Write(t, store, all...)
	for _, newest := range []bool{false, true} {
		q := All()
		q.Where = []book.Where{{Dimension: "team", Values: []string{"edge"}}, {Dimension: "organization", Values: []string{"acme"}}}
		var want, got []*ledger.Record
		for _, r := range all {
			if r.Who.Team == "edge" && r.Organization == "acme" {
				want = append(want, r)
			}
		}
		slices.SortFunc(want, (*ledger.Record).Compare)
		if newest {
			slices.Reverse(want)
		}
		var after *ledger.Record
		for {
			some, err := s.List(t.Context(), q, after, newest, 5)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, some...); len(some) < 5 {
				break
			}
			after = &ledger.Record{Key: some[4].Key, At: some[4].At}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("newest %v: -want +got\n%s", newest, diff)
		}
	}
	got, err := s.Find(t.Context(), "acme", "x03")
	if err != nil || len(got) != 2 || got[0].Sequence != 0 || got[1].Cause != "late" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := s.Find(t.Context(), "nobody", "x03"); err != nil || len(got) != 0 {
		t.Errorf("of another organization: %v, %v", got, err)
	}
	if _, err := s.List(t.Context(), book.Filter{}, nil, false, 5); err == nil {
		t.Error("no time is a time")
	}
}
