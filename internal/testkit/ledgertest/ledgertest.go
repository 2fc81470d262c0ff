// Package ledgertest is the contract of the ledger's stores: what every database must do alike. It also makes the
// records that tests and benchmarks of the ledger write.
package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Noon is when most records of the suite are from.
func Noon() time.Time { return time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC) }

// Make makes a record of one attempt.
func Make(id string, at time.Time, change ...func(*ledger.Record)) *ledger.Record {
	r := &ledger.Record{
		Key: ledger.Key{Organization: "acme", ID: id}, At: at,
		Who:    ledger.Who{Team: "core", Project: "chat", Key: "ci", KeyID: "k1"},
		Asked:  ledger.Asked{Op: "chat", Dialect: "openai-chat", Model: "smart", Route: "support", Path: "direct", Stream: true},
		Result: ledger.Result{Status: ledger.OK, HTTP: 200, Took: 1500, First: 200, Trace: "4bf92f3577b34da6a3ce929d0e0e4736"},
		Money:  ledger.Money{Reserved: 50_000_000, Charges: []ledger.Charge{{Budget: "team:core", Window: 1_785_542_400, Unit: "money", Amount: 12_500_000}}},
		Tags:   map[string]string{"feature": "search"},
		Attempts: []ledger.Attempt{{
			Number: 1, Target: ledger.Target{Provider: "openai", Kind: "openai", Model: "gpt-5.1", Region: "eu"}, Took: 1490, First: 190, HTTP: 200,
			Units:  ledger.Units{price.Input: 1000, price.CacheRead: 500, price.Output: 400, price.Reasoning: 100},
			Source: ledger.Provider, Exact: true,
			Bill: ledger.Bill{Cost: 12_500_000, List: 13_000_000, Saved: 900_000, Card: "0123456789abcdef", Version: "2026-08-22", Lines: []ledger.Line{
				{Item: "input", Units: 1000, Rate: "0.000005", Cost: 5_000_000}, {Item: "output", Units: 400, Rate: "0.00001", Cost: 7_500_000},
			}},
		}},
	}
	for _, f := range change {
		f(r)
	}
	r.Total()
	r.Normalize()
	return r
}

// Random makes a record whose owners, target and tags are drawn from a few.
func Random(rnd *rand.Rand, n int, at time.Time) *ledger.Record {
	pick := func(prefix string, of int) string { return fmt.Sprintf("%s-%d", prefix, rnd.IntN(of)) }
	return Make(fmt.Sprintf("x%012d", n), at, func(r *ledger.Record) {
		r.Who.Team, r.Who.Key, r.Who.User = pick("team", 5), pick("key", 20), pick("user", 50)
		r.Asked.Route = pick("route", 4)
		r.Tags = map[string]string{"feature": pick("feature", 6), "stage": pick("stage", 2)}
		a := &r.Attempts[0]
		a.Provider, a.Model = pick("provider", 3), pick("model", 6)
		a.Units[price.Input], a.Units[price.Output] = rnd.Int64N(5000), rnd.Int64N(2000)
		a.Bill.Cost = ledger.Nano(rnd.Int64N(40_000_000))
		a.Bill.List, a.Exact = a.Bill.Cost+1000, rnd.IntN(10) > 0
		if rnd.IntN(8) == 0 {
			r.Result.Status = ledger.UpstreamError
		}
		if rnd.IntN(5) == 0 {
			b := *a
			b.Number, b.Provider = 2, pick("provider", 3)
			r.Attempts = append(r.Attempts, b)
		}
	})
}

// All is a filter of all time.
func All() book.Filter {
	return book.Filter{From: time.Unix(0, 0), Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Read returns the records that fit.
func Read(tb testing.TB, s book.Store, f book.Filter) (out []*ledger.Record) {
	tb.Helper()
	if err := s.Records(tb.Context(), f, func(r *ledger.Record) error {
		out = append(out, r)
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return out
}

// Write writes records and returns how many were new.
func Write(tb testing.TB, s book.Store, records ...*ledger.Record) int {
	tb.Helper()
	n, err := s.Write(tb.Context(), records)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// Total returns the sums of everything.
func Total(tb testing.TB, s book.Store) book.Sums {
	tb.Helper()
	rows, err := s.Usage(tb.Context(), book.Query{Filter: All()})
	if err != nil {
		tb.Fatal(err)
	}
	if len(rows) == 0 {
		return book.Sums{}
	}
	return rows[0].Sums
}

// Run runs the suite. open opens an empty store, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) book.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		f    func(t *testing.T, s book.Store)
	}{
		{"a record comes back as it was", comesBack},
		{"a key is written once", once},
		{"corrections add up", corrections},
		{"records are chosen and ordered", choosing},
		{"what the gateway sends by itself is left out", own},
		{"sums are those of the records", summing},
		{"periods are cut at their edges", edges},
		{"writers at once lose nothing", atOnce},
		{"what is old is removed", pruning},
		{"hours whose minutes are gone count whole", widening},
		{"charges of budgets add up", charging},
		{"a notice is said once", noticing},
		{"records are looked at by pages", paging},
		{"records wait for their sinks", handingOver},
		{"replicas hand a record over once", handingOverOnce},
		{"what waits stays, and what nobody wants goes", whatWaitsIsKept},
		{"texts of others do no harm", hostile},
		{"a caller that gives up leaves nothing half done", givingUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			c.f(t, s)
		})
	}
}

func comesBack(t *testing.T, s book.Store) {
	want := []*ledger.Record{
		Make("a", Noon(), func(r *ledger.Record) {
			r.Result.Flags, r.Result.Policy = []ledger.Flag{ledger.Late}, []string{"cheapest: 2 left"}
			r.Attempts = append(r.Attempts, ledger.Attempt{Number: 2, Target: ledger.Target{Provider: "claude", Model: "claude-sonnet-4-5", Service: "priority", Priced: ledger.Priced{Region: "us", Switches: []string{"fast"}, Search: "low"}}, Code: "timeout", Flags: []ledger.Flag{"unpriced"}, Source: ledger.Reserved})
		}),
		Make("b", Noon().Add(time.Millisecond), func(r *ledger.Record) {
			r.Attempts, r.Tags, r.Who, r.Result = nil, nil, ledger.Who{}, ledger.Result{Status: ledger.Refused, Why: "over_quota", HTTP: 429}
		}),
	}
	if n := Write(t, s, want[1], want[0]); n != 2 {
		t.Errorf("%d were new, want 2", n)
	}
	if diff := cmp.Diff(Read(t, s, All()), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if n := Write(t, s); n != 0 {
		t.Errorf("of no record, %d were new", n)
	}
}

func once(t *testing.T, s book.Store) {
	a := Make("a", Noon())
	other := Make("a", Noon(), func(r *ledger.Record) { r.Attempts[0].Bill.Cost = 1 })
	if n := Write(t, s, a, other, a); n != 1 {
		t.Errorf("of one key three times, %d were new", n)
	}
	if n := Write(t, s, other, Make("b", Noon()), a); n != 1 {
		t.Errorf("of one new key, %d were new", n)
	}
	same := Make("a", Noon(), func(r *ledger.Record) { r.Organization = "another" })
	if n := Write(t, s, same); n != 1 {
		t.Errorf("another organization's id is taken")
	}
	if got := Total(t, s); got.Exchanges != 3 || got.Cost != 3*12_500_000 {
		t.Errorf("the sums are %+v", got)
	}
	if got := Read(t, s, All()); len(got) != 3 || got[0].Money.Cost != 12_500_000 {
		t.Errorf("%d records, the first costs %s", len(got), got[0].Money.Cost)
	}
}

func corrections(t *testing.T, s book.Store) {
	late := Make("a", Noon(), func(r *ledger.Record) {
		r.Sequence, r.Cause = 1, "late"
		a := &r.Attempts[0]
		a.Units, a.Bill = ledger.Units{price.Output: -300, price.Input: 20}, ledger.Bill{Cost: -4_500_000, List: -5_000_000}
	})
	Write(t, s, late) // may arrive first
	Write(t, s, Make("a", Noon()))
	got := Total(t, s)
	if want := (book.Sums{Exchanges: 1, Attempts: 1, Input: 1520, Cached: 500, Output: 200, Reasoning: 100, Cost: 8_000_000, List: 8_000_000, Saved: 900_000, Took: 1500}); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if all := Read(t, s, All()); len(all) != 2 || all[0].Sequence != 0 || all[1].Cause != "late" {
		t.Errorf("records %+v", all)
	}
}

func choosing(t *testing.T, s book.Store) {
	Write(t, s,
		Make("c", Noon()),
		Make("b", Noon(), func(r *ledger.Record) {
			r.Who.Team, r.Tags = "other", map[string]string{"feature": "chat", "a b": "c'd"}
		}),
		Make("a", Noon().Add(time.Second), func(r *ledger.Record) { r.Who.Team = "" }),
		Make("d", Noon().Add(-time.Hour), func(r *ledger.Record) { r.Tags = nil }),
	)
	for _, c := range []struct {
		name string
		f    book.Filter
		want string
	}{
		{"all, by time and then by id", All(), "d b c a"},
		{"a time without its end", book.Filter{From: Noon(), Until: Noon().Add(time.Second)}, "b c"},
		{"one team", filter("team", "other"), "b"},
		{"one of two", filter("team", "other", "core"), "d b c"},
		{"none", filter("team", ""), "a"},
		{"a tag", filter("tag:feature", "search"), "c a"},
		{"a tag that is not there", filter("tag:feature", ""), "d"},
		{"a tag's value with a quote", filter("tag:a b", "c'd"), "b"},
		{"nothing", filter("model", "nothing"), ""},
		{"two conditions", book.Filter{From: All().From, Until: All().Until, Where: []book.Where{{Dimension: "team", Values: []string{"core"}}, {Dimension: "tag:feature", Values: []string{"search"}}}}, "c"},
	} {
		var ids []string
		for _, r := range Read(t, s, c.f) {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	stop := errors.New("enough")
	n := 0
	if err := s.Records(t.Context(), All(), func(*ledger.Record) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("stopped with %v after %d", err, n)
	}
	for _, bad := range []book.Query{
		{}, {Filter: book.Filter{From: Noon(), Until: Noon()}}, {Filter: filter("colour", "red")}, {Filter: filter("team")}, {Filter: filter(`tag:a"b`, "x")},
		{Filter: All(), By: []string{"team", "team"}}, {Filter: All(), By: []string{"team; DROP TABLE"}}, {Filter: All(), Every: 'y'}, {Filter: All(), Limit: -1},
	} {
		if _, err := s.Usage(t.Context(), bad); err == nil {
			t.Errorf("%+v is answered", bad)
		}
	}
}

func filter(dimension string, values ...string) book.Filter {
	f := All()
	f.Where = []book.Where{{Dimension: dimension, Values: values}}
	return f
}

// summing compares random questions with sums over the records.
func summing(t *testing.T, s book.Store) {
	rnd := rand.New(rand.NewPCG(7, 9))
	var all []*ledger.Record
	from := Noon().Add(-50 * time.Hour)
	for n := range 600 {
		all = append(all, Random(rnd, n, from.Add(time.Duration(rnd.Int64N(int64(100*time.Hour))))))
	}
	for batch := range slices.Chunk(all, 70) {
		Write(t, s, batch...)
	}
	for n := range 60 {
		q := book.Query{Filter: book.Filter{From: from.Add(time.Duration(rnd.IntN(3000)) * time.Minute), Until: from.Add(time.Duration(3001+rnd.IntN(3000)) * time.Minute)}}
		for _, d := range append(book.Dimensions(), "tag:feature", "tag:missing") {
			switch rnd.IntN(6) {
			case 0:
				q.By = append(q.By, d)
			case 1:
				q.Where = append(q.Where, book.Where{Dimension: d, Values: values(rnd, all, d)})
			}
		}
		q.Every = []book.Period{0, book.Minute, book.Hour, book.Day}[rnd.IntN(4)]
		got, err := s.Usage(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, reckon(all, &q)); diff != "" {
			t.Fatalf("question %d, %+v (-got +want):\n%s", n, q, diff)
		}
	}
}

func values(rnd *rand.Rand, all []*ledger.Record, d string) (out []string) {
	for range 1 + rnd.IntN(3) {
		p := book.Parts(all[rnd.IntN(len(all))])[0]
		out = append(out, dimension(all[rnd.IntN(len(all))], &p.Series, d))
	}
	return out
}

func dimension(r *ledger.Record, s *book.Series, d string) string {
	if tag, ok := book.Tag(d); ok {
		return r.Tags[tag]
	}
	return map[string]string{
		"organization": s.Organization, "team": s.Team, "project": s.Project, "key": s.Key, "end_user": s.User, "route": s.Route, "provider": s.Provider, "model": s.Model, "region": s.Region,
	}[d]
}

// reckon answers a query from records alone.
func reckon(all []*ledger.Record, q *book.Query) []book.Row {
	rows := map[string]*book.Row{}
	for _, r := range all {
		if r.At.Before(q.From) || !r.At.Before(q.Until) {
			continue
		}
		for _, p := range book.Parts(r) {
			if slices.ContainsFunc(q.Where, func(w book.Where) bool { return !slices.Contains(w.Values, dimension(r, &p.Series, w.Dimension)) }) {
				continue
			}
			row := book.Row{Group: []string{}}
			if q.Every != 0 {
				row.Start = q.Every.Start(r.At)
			}
			for _, d := range q.By {
				row.Group = append(row.Group, dimension(r, &p.Series, d))
			}
			k := row.Start.Format(time.RFC3339) + "\x00" + strings.Join(row.Group, "\x00")
			if rows[k] == nil {
				rows[k] = &row
			}
			rows[k].Sums.Add(&p.Sums)
		}
	}
	var out []book.Row
	for _, row := range rows {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b book.Row) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return slices.Compare(a.Group, b.Group)
	})
	return out
}

// exchanges are those that the sums of a time have.
func exchanges(t *testing.T, s book.Store, from, until time.Time, every book.Period) (n int64) {
	t.Helper()
	rows, err := s.Usage(t.Context(), book.Query{Filter: book.Filter{From: from, Until: until}, Every: every})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		n += r.Sums.Exchanges
	}
	return n
}

func edges(t *testing.T, s book.Store) {
	midnight := time.Date(2026, 8, 21, 0, 0, 0, 0, time.UTC)
	Write(t, s, Make("a", midnight.Add(-time.Millisecond)), Make("b", midnight), Make("c", midnight.Add(24*time.Hour-time.Millisecond)), Make("d", midnight.Add(24*time.Hour)))
	for _, every := range []book.Period{0, book.Minute, book.Hour, book.Day} {
		if n := exchanges(t, s, midnight, midnight.Add(24*time.Hour), every); n != 2 {
			t.Errorf("every %q: a day has %d, want 2", every, n)
		}
		if n := exchanges(t, s, midnight.Add(-time.Minute), midnight.Add(24*time.Hour+time.Minute), every); n != 4 {
			t.Errorf("every %q: a minute around has %d, want 4", every, n)
		}
		if n := exchanges(t, s, midnight.Add(-time.Minute), midnight, every); n != 1 {
			t.Errorf("every %q: the minute before has %d, want 1", every, n)
		}
	}
}

func atOnce(t *testing.T, s book.Store) {
	const writers, batches, each = 4, 10, 30
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 1))
			for b := range batches {
				var batch []*ledger.Record
				for i := range each {
					n := (w/2*batches+b)*each + i // two writers have the same records
					batch = append(batch, Random(rand.New(rand.NewPCG(uint64(n), 2)), n, Noon().Add(time.Duration(n)*time.Second)))
				}
				rnd.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
				if _, err := s.Write(t.Context(), batch); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	var want book.Sums
	all := Read(t, s, All())
	for _, r := range all {
		for _, p := range book.Parts(r) {
			want.Add(&p.Sums)
		}
	}
	if len(all) != writers/2*batches*each {
		t.Errorf("%d records, want %d", len(all), writers/2*batches*each)
	}
	if got := Total(t, s); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func pruning(t *testing.T, s book.Store) {
	day := 24 * time.Hour
	for n := range 10 {
		Write(t, s, Make(fmt.Sprint("r", n), Noon().Add(-time.Duration(n)*day)))
	}
	keep := book.Retention{Records: 3 * day, Minutes: 2 * day, Hours: 5 * day}
	for range 2 {
		if err := s.Prune(t.Context(), keep, Noon().Add(12*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(Read(t, s, All())); n != 3 && n != 4 { // a store may remove whole days only
		t.Errorf("%d records are left", n)
	}
	for every, want := range map[book.Period]int64{book.Minute: 2, book.Hour: 5, book.Day: 10} {
		var n int64
		rows, err := s.Usage(t.Context(), book.Query{Filter: book.Filter{From: Noon().Add(-30 * day), Until: Noon().Add(30 * day)}, Every: every})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			n += r.Sums.Exchanges
		}
		if every == book.Day && n != want || every != book.Day && (n < want || n > want+1) {
			t.Errorf("%c: %d exchanges are left, want %d", every, n, want)
		}
	}
	if err := s.Prune(t.Context(), book.Retention{}, Noon()); err != nil || Total(t, s).Exchanges != 10 {
		t.Errorf("without a retention something was removed, or %v", err)
	}
	Write(t, s, Make("again", Noon()))
}

func hostile(t *testing.T, s book.Store) {
	bad := []string{"", "'; DROP TABLE ledger_records; --", `"`, `\`, "a\x00b", "\xff\xfe", strings.Repeat("ü", 300), "line\nbreak", "𝄞", `{"a":1}`, "%_*", "\u2028"}
	var all []*ledger.Record
	for i, text := range bad {
		all = append(all, Make(fmt.Sprint("h", i), Noon(), func(r *ledger.Record) {
			r.Who.User, r.Asked.Model, r.Asked.Route = text, text, text
			r.Attempts[0].Model = text
			r.Tags = map[string]string{"t": text, "n" + text: "v"}
		}))
	}
	if n := Write(t, s, all...); n != len(bad) {
		t.Fatalf("%d were new, want %d", n, len(bad))
	}
	slices.SortFunc(all, (*ledger.Record).Compare)
	if diff := cmp.Diff(Read(t, s, All()), all); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	for _, r := range all {
		for _, d := range []string{"end_user", "model", "tag:t"} {
			rows, err := s.Usage(t.Context(), book.Query{Filter: filter(d, r.Tags["t"])})
			if err != nil || len(rows) != 1 || rows[0].Sums.Exchanges != 1 {
				t.Errorf("%s of %q: %+v, %v", d, r.Tags["t"], rows, err)
			}
		}
	}
}

func givingUp(t *testing.T, s book.Store) {
	Write(t, s, Make("a", Noon()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Write(ctx, []*ledger.Record{Make("b", Noon())}); err == nil || errors.Is(err, book.ErrRejected) {
		t.Errorf("writing for nobody: %v", err)
	}
	if n := Write(t, s, Make("b", Noon()), Make("c", Noon())); n != 2 {
		t.Errorf("%d were new afterwards, want 2", n)
	}
	if got := Total(t, s); got.Exchanges != 3 {
		t.Errorf("%d exchanges, want 3", got.Exchanges)
	}
}
