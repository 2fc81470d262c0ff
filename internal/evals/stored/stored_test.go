package stored_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/evals/stored"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// rig is a store on one of the engines, with an organization and a team.
type rig struct {
	*store.Store
	t       *testing.T
	now     *time.Time
	address string
}

func open(t *testing.T, address string) *rig {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &rig{t: t, now: &now, address: address}
	var err error
	if r.Store, err = store.Open(context.Background(), address, store.Options{Now: func() time.Time { return *r.now }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	r.change(func(tx *store.Tx) error {
		return errors.Join(
			tx.CreateOrganization(&store.Organization{Name: "acme"}), tx.CreateOrganization(&store.Organization{Name: "globex"}),
			tx.CreateTeam(&store.Team{Name: "core", Organization: "acme"}),
		)
	})
	return r
}

var ann = store.Actor{Name: "ann", From: "192.0.2.1"}

func (r *rig) change(f func(*store.Tx) error) {
	r.t.Helper()
	if err := r.Change(context.Background(), ann, f); err != nil {
		r.t.Fatal(err)
	}
}

// refused runs a change that must not be made.
func (r *rig) refused(want store.Reason, field string, f func(*store.Tx) error) {
	r.t.Helper()
	err := r.Change(context.Background(), ann, f)
	bad, ok := errors.AsType[*store.Fault](err)
	if !ok || bad.Reason != want || bad.Field != field {
		r.t.Errorf("got %#v, want reason %d of %q", err, want, field)
	}
}

func (r *rig) begin(run stored.Run) (out stored.Run) {
	r.t.Helper()
	r.change(func(tx *store.Tx) (err error) {
		out, err = stored.Begin(tx, run)
		return err
	})
	return out
}

func (r *rig) add(name string, all ...evals.Outcome) (sum stored.Added) {
	r.t.Helper()
	r.change(func(tx *store.Tx) (err error) {
		sum, err = stored.Add(tx, "acme", name, "v1", all)
		return err
	})
	return sum
}

// all reads a run's outcomes, page by page.
func (r *rig) all(name string, size int) (all []evals.Outcome) {
	r.t.Helper()
	for after := int64(0); ; {
		some, next, err := stored.Outcomes(context.Background(), r.Store, "acme", name, after, size, true)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, some...)
		if after = next; next == 0 {
			return all
		}
	}
}

const set, otherSet = "0123456789abcdef", "fedcba9876543210"

func night() stored.Run {
	return stored.Run{Name: "night", Organization: "acme", Team: "core", Set: set, Cases: 10, Targets: []string{"a/x", "b/y"}, Configs: []string{"v1"}}
}

func outcome(id, target string) evals.Outcome {
	return evals.Outcome{Case: id, Target: target, Pass: true, Checks: []evals.Found{{Check: "exact", Pass: true}}, Prompt: 7, Output: 3, Cost: 1234, Priced: true, First: 1.25, Total: 20.5, Exchange: "06cq"}
}

// TestContract runs every test on every engine.
func TestContract(t *testing.T) {
	contract := map[string]func(*testing.T, *rig){
		"a run is kept as it was":            kept,
		"a run goes on":                      goesOn,
		"what does not fit is refused":       refused,
		"outcomes come page by page":         pages,
		"several write at once":              atOnce,
		"runs are deleted and expire":        ends,
		"runs are listed by who owns them":   lists,
		"a run that is too large is bounded": bounded,
		"a database of before goes up":       goesUp,
	}
	t.Run("sqlite", func(t *testing.T) {
		for name, f := range contract {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f(t, open(t, "sqlite:"+filepath.Join(t.TempDir(), "s.db")))
			})
		}
	})
	t.Run("postgres", func(t *testing.T) {
		p := servers.StartPostgres(t)
		for name, f := range contract {
			t.Run(name, func(t *testing.T) { f(t, open(t, p.Database())) })
		}
	})
}

func kept(t *testing.T, r *rig) {
	run := night()
	run.Content, run.Judge = true, "c/z"
	made := r.begin(run)
	if made.Author != "ann" || !made.Began.Equal(*r.now) || made.Version != 1 {
		t.Errorf("it begins as %+v", made)
	}
	o := outcome("greeting", "a/x")
	o.Pass, o.Text = false, "Grüße\x00, \"quoted\""
	o.Checks = []evals.Found{{Check: "judge", Void: true, Why: "neither"}, {Check: "exact", Why: `got "Grüße"`}}
	o.Judging = 99
	failed := evals.Outcome{Case: "greeting", Target: "b/y", Error: "429: busy"}
	*r.now = r.now.Add(time.Minute)
	if sum := r.add("night", o, failed); sum != (stored.Added{New: 2}) {
		t.Errorf("added %+v", sum)
	}
	got, err := stored.Get(t.Context(), r.Store, "acme", "night")
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcomes != 2 || got.Bytes == 0 || got.Version != 2 || !got.Changed.Equal(*r.now) || !got.Began.Equal(made.Began) {
		t.Errorf("it stands as %+v", got)
	}
	made.Outcomes, made.Bytes, made.Stamp = got.Outcomes, got.Bytes, got.Stamp
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("the run (-made +got):\n%s", diff)
	}
	if diff := cmp.Diff([]evals.Outcome{o, failed}, r.all("night", 0), cmp.AllowUnexported(evals.Found{})); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	bare, _, err := stored.Outcomes(t.Context(), r.Store, "acme", "night", 0, 0, false)
	if err != nil || bare[0].Text != "" || bare[0].Judging != 99 {
		t.Errorf("without texts: %+v, %v", bare, err)
	}
	log, _, err := r.Audit(t.Context(), store.AuditFilter{Kind: stored.Kind}, 0)
	if err != nil || len(log) != 1 || log[0].Action != "create" || log[0].Object != "acme/night" || strings.Contains(log[0].After, "Gr") {
		t.Errorf("the log has %+v, %v", log, err)
	}
}

func goesOn(t *testing.T, r *rig) {
	first := r.begin(night())
	r.add("night", outcome("1", "a/x"), evals.Outcome{Case: "1", Target: "b/y", Error: "503"})
	again := r.begin(night())
	if !cmp.Equal(again.Targets, first.Targets) || again.Outcomes != 2 || again.Version != 2 {
		t.Errorf("the same again is %+v", again)
	}
	worse := outcome("1", "a/x")
	worse.Pass, worse.Cost = false, 1
	if sum := r.add("night", worse, outcome("1", "b/y"), outcome("2", "a/x")); sum != (stored.Added{New: 1, Replaced: 1, Kept: 1}) {
		t.Errorf("added %+v", sum)
	}
	if sum := r.add("night", worse, outcome("1", "b/y"), outcome("2", "a/x")); sum != (stored.Added{Kept: 3}) {
		t.Errorf("again: added %+v", sum)
	}
	want := []evals.Outcome{outcome("1", "a/x"), outcome("1", "b/y"), outcome("2", "a/x")}
	if diff := cmp.Diff(want, r.all("night", 0), cmp.AllowUnexported(evals.Found{})); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	more := night()
	more.Targets, more.Configs, more.Content = []string{"b/y", "c/z"}, []string{"v2"}, true
	got := r.begin(more)
	if !cmp.Equal(got.Targets, []string{"a/x", "b/y", "c/z"}) || !cmp.Equal(got.Configs, []string{"v1", "v2"}) || !got.Content || got.Author != "ann" {
		t.Errorf("with more it is %+v", got)
	}
	other := night()
	other.Set = otherSet
	r.refused(store.Exists, "set", func(tx *store.Tx) error { _, err := stored.Begin(tx, other); return err })
	other.Organization = "globex" // whose names are its own
	other.Team = ""
	if got := r.begin(other); got.Set != otherSet {
		t.Errorf("of another organization it is %+v", got)
	}
}

func refused(t *testing.T, r *rig) {
	for field, spoil := range map[string]func(*stored.Run){
		"name":         func(v *stored.Run) { v.Name = "../x" },
		"set":          func(v *stored.Run) { v.Set = "x" },
		"cases":        func(v *stored.Run) { v.Cases = 0 },
		"targets":      func(v *stored.Run) { v.Targets = nil },
		"targets[1]":   func(v *stored.Run) { v.Targets = []string{"a", "a"} },
		"judge":        func(v *stored.Run) { v.Judge = strings.Repeat("x", 257) },
		"organization": func(v *stored.Run) { v.Organization = "nobody" },
	} {
		run := night()
		spoil(&run)
		r.refused(store.Invalid, field, func(tx *store.Tx) error { _, err := stored.Begin(tx, run); return err })
	}
	r.begin(night())
	for field, spoil := range map[string]func(*evals.Outcome){
		"outcomes[1].case":          func(o *evals.Outcome) { o.Case = "" },
		"outcomes[1].target":        func(o *evals.Outcome) { o.Target = "d/d" },
		"outcomes[1].error":         func(o *evals.Outcome) { o.Error = strings.Repeat("x", 4096) },
		"outcomes[1].exchange":      func(o *evals.Outcome) { o.Exchange = "a\x00" },
		"outcomes[1].text":          func(o *evals.Outcome) { o.Text = "said" },
		"outcomes[1].checks[0].why": func(o *evals.Outcome) { o.Checks = []evals.Found{{Check: "exact", Why: `got "said"`}} },
		"outcomes[1].checks":        func(o *evals.Outcome) { o.Checks = make([]evals.Found, 101) },
		"outcomes[1]":               func(o *evals.Outcome) { o.Prompt = -1 },
	} {
		o := outcome("2", "a/x")
		spoil(&o)
		r.refused(store.Invalid, field, func(tx *store.Tx) error {
			_, err := stored.Add(tx, "acme", "night", "", []evals.Outcome{outcome("1", "a/x"), o})
			return err
		})
	}
	if all := r.all("night", 0); len(all) != 0 { // what stood before the one that is refused is not there either
		t.Errorf("got %+v", all)
	}
	r.refused(store.Missing, "name", func(tx *store.Tx) error { _, err := stored.Add(tx, "acme", "other", "", nil); return err })
	r.refused(store.Missing, "name", func(tx *store.Tx) error { return stored.Delete(tx, "globex", "night", 0) })
	r.refused(store.Stale, "version", func(tx *store.Tx) error { return stored.Delete(tx, "acme", "night", 7) })
	if _, err := stored.Get(t.Context(), r.Store, "globex", "night"); err == nil {
		t.Error("a run is another organization's, too")
	}
}

func pages(t *testing.T, r *rig) {
	run := night()
	run.Cases, run.Content = 250, true
	r.begin(run)
	for i := 0; i < 250; i += 50 {
		var some []evals.Outcome
		for j := range 50 {
			o := outcome(fmt.Sprint("case ", i+j), "a/x")
			o.Text = strings.Repeat("x", 20_000) // so that a page is bounded by its bytes, too
			some = append(some, o)
		}
		r.add("night", some...)
	}
	some, next, err := stored.Outcomes(t.Context(), r.Store, "acme", "night", 0, 1000, true)
	if err != nil || len(some) >= 200 || next != int64(len(some)) {
		t.Errorf("a large page has %d, then %d, %v", len(some), next, err)
	}
	for _, size := range []int{7, 50, 250, 1000} {
		all := r.all("night", size)
		if len(all) != 250 {
			t.Fatalf("pages of %d have %d", size, len(all))
		}
		for i := range all {
			if all[i].Case != fmt.Sprint("case ", i) {
				t.Fatalf("pages of %d: outcome %d is of %s", size, i, all[i].Case)
			}
		}
	}
}

// atOnce has several go on with one run at once: each outcome is there once.
func atOnce(t *testing.T, r *rig) {
	run := night()
	run.Cases = 40
	const writers = 4
	var wg sync.WaitGroup
	errs := make(chan error, writers*100)
	for w := range writers {
		wg.Go(func() {
			mine := run
			mine.Configs = []string{fmt.Sprint("v", w)}
			errs <- r.Change(context.Background(), ann, func(tx *store.Tx) error { _, err := stored.Begin(tx, mine); return err })
			for i := range 40 {
				errs <- r.Change(context.Background(), ann, func(tx *store.Tx) error {
					_, err := stored.Add(tx, "acme", "night", "", []evals.Outcome{outcome(fmt.Sprint(i), "a/x")})
					return err
				})
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	got, err := stored.Get(t.Context(), r.Store, "acme", "night")
	if all := r.all("night", 0); err != nil || got.Outcomes != 40 || len(all) != 40 || len(got.Configs) != writers {
		t.Errorf("%d of %+v, %v", len(all), got, err)
	}
}

func ends(t *testing.T, r *rig) {
	for i := range 30 {
		run := night()
		run.Name = fmt.Sprint("run-", i)
		r.begin(run)
		r.add(run.Name, outcome("1", "a/x"))
		*r.now = r.now.Add(time.Hour)
	}
	r.change(func(tx *store.Tx) error { return stored.Delete(tx, "acme", "run-29", 2) })
	if all := r.all("run-29", 0); len(all) != 0 {
		t.Errorf("outcomes of a deleted run: %+v", all)
	}
	r.add("run-0", outcome("2", "a/x")) // it goes on, and is not old any more
	before := r.now.Add(-5*time.Hour - 30*time.Minute)
	var rounds []int
	for n := 1; n > 0; {
		r.change(func(tx *store.Tx) (err error) { n, err = stored.Expire(tx, before); return err })
		rounds = append(rounds, n)
	}
	if want := []int{20, 4, 0}; !cmp.Equal(rounds, want) {
		t.Errorf("it expires %v, want %v", rounds, want)
	}
	left, _, err := stored.List(t.Context(), r.Store, "acme", "", store.Page{})
	var names []string
	for i := range left {
		names = append(names, left[i].Name)
	}
	if want := []string{"run-0", "run-25", "run-26", "run-27", "run-28"}; err != nil || !cmp.Equal(names, want) {
		t.Errorf("left are %v, %v", names, err)
	}
	log, _, err := r.Audit(t.Context(), store.AuditFilter{Kind: stored.Kind, Action: "expire"}, 0)
	if err != nil || len(log) != 24 || !strings.Contains(log[0].Before, `"set"`) {
		t.Errorf("the log has %d, %v", len(log), err)
	}
	run := night()
	run.Organization, run.Team = "globex", ""
	r.begin(run)
	r.change(func(tx *store.Tx) error { return tx.DeleteOrganization("globex", 0) })
	if _, err := stored.Get(t.Context(), r.Store, "globex", "night"); err == nil {
		t.Error("a run outlives its organization")
	}
}

func lists(t *testing.T, r *rig) {
	for name, team := range map[string]string{"a": "core", "b": "", "c": "edge", "d": "core"} {
		run := night()
		run.Name, run.Team = name, team
		r.begin(run)
	}
	for _, c := range []struct {
		organization, team, after string
		size                      int
		want, next                string
	}{
		{"acme", "", "", 0, "abcd", ""},
		{"acme", "core", "", 0, "abd", ""},
		{"acme", "edge", "", 0, "bc", ""},
		{"acme", "", "", 2, "ab", "b"},
		{"acme", "", "b", 2, "cd", ""},
		{"globex", "", "", 0, "", ""},
	} {
		all, next, err := stored.List(t.Context(), r.Store, c.organization, c.team, store.Page{After: c.after, Size: c.size})
		got := ""
		for i := range all {
			got += all[i].Name
		}
		if err != nil || got != c.want || next != c.next {
			t.Errorf("%+v: got %s, %s, %v", c, got, next, err)
		}
	}
}

func bounded(t *testing.T, r *rig) {
	run := night()
	run.Cases, run.Targets = 1, []string{"a/x"}
	r.begin(run)
	r.add("night", outcome("1", "a/x"))
	r.refused(store.Invalid, "outcomes", func(tx *store.Tx) error {
		_, err := stored.Add(tx, "acme", "night", "", []evals.Outcome{outcome("2", "a/x")})
		return err
	})
	r.refused(store.Invalid, "outcomes", func(tx *store.Tx) error {
		_, err := stored.Add(tx, "acme", "night", "", make([]evals.Outcome, 101))
		return err
	})
	more := run
	for i := range 51 {
		more.Targets = append(more.Targets, fmt.Sprint("t", i))
	}
	r.refused(store.Invalid, "targets", func(tx *store.Tx) error { _, err := stored.Begin(tx, more); return err })
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE eval_runs SET bytes = ? WHERE name = 'night'", int64(5)<<30)
		return err
	})
	run.Name = "other"
	r.refused(store.InUse, "name", func(tx *store.Tx) error { _, err := stored.Begin(tx, run); return err })
}

// goesUp takes the tables away, as a program of before has left the database, and opens it again.
func goesUp(t *testing.T, r *rig) {
	r.change(func(tx *store.Tx) error {
		for _, q := range []string{"DROP TABLE eval_outcomes", "DROP TABLE eval_runs", "DELETE FROM signalbox_schema WHERE name = 'evals'"} {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := stored.Get(t.Context(), r.Store, "acme", "night"); err == nil {
		t.Fatal("the tables are there")
	}
	again, err := store.Open(t.Context(), r.address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	r.begin(night())
	r.add("night", outcome("1", "a/x"))
	if got, err := stored.Get(t.Context(), again, "acme", "night"); err != nil || got.Outcomes != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := again.Team(t.Context(), "core"); err != nil { // what was there stays
		t.Error(err)
	}
}
