package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// rig is a store on one of the engines.
type rig struct {
	*store.Store
	t       *testing.T
	address string
	now     *time.Time
}

func open(t *testing.T, address string, o store.Options) *rig {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &rig{t: t, address: address, now: &now}
	if o.Now == nil {
		o.Now = func() time.Time { return *r.now }
	}
	if o.Sealer == nil {
		o.Sealer = sealer(t, "the first secret of all")
	}
	var err error
	if r.Store, err = store.Open(context.Background(), address, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

var admin = store.Actor{Name: "ann", From: "192.0.2.1"}

// change runs a change that must succeed.
func (r *rig) change(f func(*store.Tx) error) {
	r.t.Helper()
	if err := r.Change(context.Background(), admin, f); err != nil {
		r.t.Fatal(err)
	}
}

// refused runs a change that must not.
func (r *rig) refused(want store.Reason, field string, f func(*store.Tx) error) {
	r.t.Helper()
	err := r.Change(context.Background(), admin, f)
	bad, ok := errors.AsType[*store.Fault](err)
	if !ok || bad.Reason != want || bad.Field != field {
		r.t.Errorf("got %#v, want reason %d of %q", err, want, field)
	}
}

// owners makes an organization with a team and a project.
func (r *rig) owners() {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		return errors.Join(
			tx.CreateOrganization(&store.Organization{Name: "acme", Title: "ACME"}),
			tx.CreateTeam(&store.Team{Name: "core", Organization: "acme"}),
			tx.CreateTeam(&store.Team{Name: "edge", Organization: "acme"}),
			tx.CreateProject(&store.Project{Name: "search", Team: "core"}),
		)
	})
}

// issue makes a key and returns it with its secret.
func (r *rig) issue(d *auth.Directory, k store.Key) (store.Key, string) {
	r.t.Helper()
	s, err := auth.Generate("test")
	if err != nil {
		r.t.Fatal(err)
	}
	r.change(func(tx *store.Tx) error {
		made := k
		err := tx.CreateKey(&made, s, d.Digest(s))
		k = made
		return err
	})
	return k, s
}

// TestContract runs every test on every engine.
func TestContract(t *testing.T) {
	contract := map[string]func(*testing.T, func(store.Options) *rig){
		"owners":           owners,
		"keys":             keys,
		"wrong keys":       wrongKeys,
		"rotation":         rotation,
		"bounded":          bounded,
		"budgets":          budgets,
		"owned budgets":    owned,
		"provider keys":    providerKeys,
		"templates":        templates,
		"audit":            audit,
		"pages":            pages,
		"idempotency":      idempotency,
		"conflicts":        conflicts,
		"following":        following,
		"not taken up":     notTakenUp,
		"held up":          heldUp,
		"set back":         setBack,
		"unreadable":       unreadable,
		"at once":          atOnce,
		"overtaken":        overtaken,
		"repeated at once": repeatedAtOnce,
		"started at once":  startedAtOnce,
		"schema":           schema,
		"only read":        onlyRead,
		"nothing half way": nothingHalfWay,
	}
	t.Run("sqlite", func(t *testing.T) {
		for name, f := range contract {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				path := "sqlite:" + filepath.Join(t.TempDir(), "run", "signalbox.db")
				f(t, func(o store.Options) *rig { return open(t, path, o) })
			})
		}
	})
	t.Run("postgres", func(t *testing.T) {
		p := servers.StartPostgres(t)
		for name, f := range contract {
			t.Run(name, func(t *testing.T) {
				url := p.Database()
				f(t, func(o store.Options) *rig { return open(t, url, o) })
			})
		}
	})
}

func idempotency(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{})
	r.owners()
	ask := func(by, id, request, name string) (answer string, again bool, err error) {
		err = r.Change(context.Background(), store.Actor{Name: by}, func(tx *store.Tx) error {
			var b []byte
			b, again, err = tx.Once(id, []byte(request), func() ([]byte, error) {
				return []byte("made " + name), tx.CreateTeam(&store.Team{Name: name, Organization: "acme"})
			})
			answer = string(b)
			return err
		})
		return answer, again, err
	}
	if a, again, err := ask("ann", "k1", "x", "one"); a != "made one" || again || err != nil {
		t.Errorf("got %s, %v, %v", a, again, err)
	}
	if a, again, err := ask("ann", "k1", "x", "two"); a != "made one" || !again || err != nil {
		t.Errorf("again: got %s, %v, %v", a, again, err)
	}
	if _, _, err := ask("ann", "k1", "y", "two"); err == nil {
		t.Error("another request got the answer")
	}
	if a, again, err := ask("bob", "k1", "x", "three"); a != "made three" || again || err != nil {
		t.Errorf("another actor: got %s, %v, %v", a, again, err)
	}
	if _, _, err := ask("ann", "k2", "x", "one"); err == nil {
		t.Error("a failed request has an answer")
	}
	if a, _, err := ask("ann", "k2", "x", "four"); a != "made four" || err != nil {
		t.Errorf("after a failure: got %s, %v", a, err)
	}
	*r.now = r.now.Add(25 * time.Hour)
	if a, again, err := ask("ann", "k1", "y", "five"); a != "made five" || again || err != nil {
		t.Errorf("after a day: got %s, %v, %v", a, again, err)
	}
}

// atOnce has several write at once: no change is lost, and the log has no gap and one order.
func atOnce(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	const writers, each = 4, 10
	var wg sync.WaitGroup
	errs := make(chan error, writers*each)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				errs <- r.Change(ctx, admin, func(tx *store.Tx) error {
					_, err := tx.UpdateTeam("core", 0, func(v *store.Team) error { v.Title = fmt.Sprint(w, i); return nil })
					return err
				})
			}
		})
	}
	wg.Wait()
	close(errs)
	lost := 0
	for err := range errs {
		if err != nil {
			if f, ok := errors.AsType[*store.Fault](err); !ok || f.Reason != store.Stale {
				t.Error(err)
			}
			lost++ // it was told so
		}
	}
	team, err := r.Team(ctx, "core")
	if err != nil || team.Version != int64(1+writers*each-lost) {
		t.Errorf("version %d with %d of %d refused, %v", team.Version, lost, writers*each, err)
	}
	all, _, err := r.Audit(ctx, store.AuditFilter{}, 1000)
	if err != nil || len(all) != 4+writers*each-lost {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	for i, e := range all {
		if want := int64(len(all) - i); e.Seq != want {
			t.Fatalf("entry %d has the number %d", want, e.Seq)
		}
	}
}

func nothingHalfWay(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	oops := errors.New("oops")
	if err := r.Change(ctx, admin, func(tx *store.Tx) error {
		return errors.Join(tx.CreateTeam(&store.Team{Name: "half", Organization: "acme"}), oops)
	}); !errors.Is(err, oops) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Team(ctx, "half"); err == nil {
		t.Error("a change that failed is there")
	}
	if all, _, err := r.Audit(ctx, store.AuditFilter{Object: "half"}, 0); err != nil || len(all) != 0 {
		t.Errorf("it is in the log: %v, %v", all, err)
	}
}
