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
	got, err := s.Find(t.Context(), "acme", "", "x03")
	if err != nil || len(got) != 2 || got[0].Sequence != 0 || got[1].Cause != "late" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := s.Find(t.Context(), "nobody", "", "x03"); err != nil || len(got) != 0 {
		t.Errorf("of another organization: %v, %v", got, err)
	}
	for team, want := range map[string]int{"edge": 1, "core": 1, "nobody": 0} { // the correction is of core
		if got, err := s.Find(t.Context(), "acme", team, "x03"); err != nil || len(got) != want {
			t.Errorf("of the team %s: %v, %v", team, got, err)
		}
	}
	if _, err := s.List(t.Context(), book.Filter{}, nil, false, 5); err == nil {
		t.Error("no time is a time")
	}
	requests(t, store)
}

// requests are found by the id that clients know.
func requests(t *testing.T, s book.Store) {
	asked := func(id, request string, ago time.Duration, more ...func(*ledger.Record)) *ledger.Record {
		return Make(id, time.Now().Add(-ago).UTC().Truncate(time.Millisecond), append(more, func(r *ledger.Record) { r.Asked.Request = request })...)
	}
	Write(t, s,
		asked("r1", "a-request-of-now", time.Second), asked("r2", "twice-used", time.Hour), asked("r3", "twice-used", 2*time.Hour),
		asked("r4", "a-request-of-then", 6*24*time.Hour), asked("r5", "one-that-is-too-old", 8*24*time.Hour),
		asked("r6", "ab_cd_ef", time.Minute), asked("r7", "abxcdxef", time.Second),
		asked("r8", "of-another", time.Second, func(r *ledger.Record) { r.Organization = "another" }),
		asked("feedback-1", "a-request-of-then", time.Second, func(r *ledger.Record) { r.Sequence, r.Cause = 7, "feedback" }),
	)
	for request, want := range map[string]string{
		"a-request-of-now": "r1", "twice-used": "r2", "a-request-of-then": "r4", "ab_cd_ef": "r6",
		"one-that-is-too-old": "", "of-another": "", "a-request-of": "", `","x":"`: "", "": "",
	} {
		got, err := s.(book.Lister).Find(t.Context(), "acme", "", request)
		if err != nil || (len(got) > 0) != (want != "") || want != "" && got[0].ID != want {
			t.Errorf("%q: %v, %v", request, got, err)
		}
	}
	// Another team's later exchanges hide none, however many they are: clients choose their ids themselves.
	of := func(team string) func(*ledger.Record) { return func(r *ledger.Record) { r.Who.Team = team } }
	shared := []*ledger.Record{
		asked("r9", "of-two-teams", 2*time.Hour, of("edge")), asked("r10", "of-two-teams", 3*time.Hour, of("edge")), asked("of-two-teams", "its-own-request", time.Hour, of("core")),
		asked("r9", "of-two-teams", 2*time.Hour, of("edge"), func(r *ledger.Record) { r.Sequence, r.Cause = 1, "late" }),
	}
	for i := range 150 {
		shared = append(shared, asked(fmt.Sprintf("other-%03d", i), "of-two-teams", time.Second, of("core")))
	}
	Write(t, s, shared...)
	for _, c := range []struct {
		team, id, want string
		records        int
	}{
		{"edge", "of-two-teams", "r9", 2}, {"edge", "r9", "r9", 2}, {"core", "r9", "", 0}, {"edge", "its-own-request", "", 0}, {"core", "its-own-request", "of-two-teams", 1},
		{"core", "of-two-teams", "of-two-teams", 1}, {"nobody", "of-two-teams", "", 0}, {"", "r9", "r9", 2},
	} {
		got, err := s.(book.Lister).Find(t.Context(), "acme", c.team, c.id)
		if err != nil || len(got) != c.records || len(got) > 0 && got[0].ID != c.want {
			t.Errorf("%q of the team %q: %d records, %v, want %d of %s", c.id, c.team, len(got), err, c.records, c.want)
		}
	}
}
