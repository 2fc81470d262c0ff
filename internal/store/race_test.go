package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// overtakes makes a change, and begins another before the first is committed. It returns the other's error.
func (r *rig) overtakes(first, other func(*store.Tx) error) error {
	r.t.Helper()
	made, begun, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		<-made
		go func() {
			time.Sleep(150 * time.Millisecond) // until it waits, where it does
			close(begun)
		}()
		done <- r.Change(context.Background(), admin, other)
	}()
	r.change(func(tx *store.Tx) error {
		err := first(tx)
		close(made)
		<-begun
		return err
	})
	return <-done
}

func reason(err error) store.Reason {
	if f, ok := errors.AsType[*store.Fault](err); ok {
		return f.Reason
	}
	return 0
}

// overtaken has changes that others overtake between what they read and what they write.
func overtaken(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	retitle := func(tx *store.Tx) error {
		_, err := tx.UpdateTeam("edge", 0, func(v *store.Team) error { v.Title += "x"; return nil })
		return err
	}
	if err := r.overtakes(retitle, func(tx *store.Tx) error { return tx.DeleteTeam("edge", 1) }); reason(err) != store.Stale {
		t.Errorf("a version that was changed meanwhile is deleted: %v", err)
	}
	if err := r.overtakes(retitle, retitle); err != nil {
		t.Errorf("any version is meant: %v", err)
	}
	budget := func(tx *store.Tx) error {
		return tx.CreateBudget(&store.Budget{Level: "team", Owner: "edge", Unit: "requests", Amount: 5, Per: "minute"})
	}
	remove := func(tx *store.Tx) error { return tx.DeleteTeam("edge", 0) }
	if err := r.overtakes(budget, remove); reason(err) != store.InUse {
		t.Errorf("a team is deleted beside its budget: %v", err)
	}
	r.change(func(tx *store.Tx) error { return tx.DeleteBudget("team_edge_requests_minute_", 0) })
	if err := r.overtakes(remove, budget); reason(err) != store.Invalid {
		t.Errorf("a budget of a team that is deleted: %v", err)
	}
	team := func(tx *store.Tx) error { return tx.CreateTeam(&store.Team{Name: "edge", Organization: "acme"}) }
	project := func(tx *store.Tx) error { return tx.CreateProject(&store.Project{Name: "maps", Team: "edge"}) }
	r.change(team)
	if err := r.overtakes(remove, project); reason(err) != store.Invalid {
		t.Errorf("a project of a team that is deleted: %v", err)
	}
	r.change(team)
	if err := r.overtakes(project, remove); reason(err) != store.InUse {
		t.Errorf("a team is deleted beside its project: %v", err)
	}
	r.change(func(tx *store.Tx) error { return tx.DeleteProject("maps", 0) })
	if err := r.overtakes(remove, remove); reason(err) != store.Missing {
		t.Errorf("deleted twice: %v", err)
	}
	if all, _, err := r.Audit(ctx, store.AuditFilter{Kind: store.KindTeam, Object: "edge", Now: true, Action: "delete"}, 0); err != nil || len(all) != 1 {
		t.Errorf("it is written down %d times, %v", len(all), err)
	}
	d := auth.NewDirectory()
	k, _ := r.issue(d, store.Key{Name: "app", Team: "core"})
	rotate := func(tx *store.Tx) error {
		text, _ := auth.Generate("test")
		_, err := tx.RotateKey(k.ID, 0, text, d.Digest(text), time.Hour)
		return err
	}
	if err := r.overtakes(rotate, func(tx *store.Tx) error { return tx.DeleteKey(k.ID, 0) }); err != nil {
		t.Errorf("deleted beside its rotation: %v", err)
	}
	bring := func(tx *store.Tx) error {
		_, err := tx.SetProviderKey("core", "openai", secret.New("sk-provider-1"))
		return err
	}
	if err := r.overtakes(bring, bring); err != nil {
		t.Errorf("a provider key that is set twice: %v", err)
	}
}

// repeatedAtOnce asks the same while the first request still runs.
func repeatedAtOnce(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{})
	r.owners()
	var answers [2]string
	ask := func(n int) func(tx *store.Tx) error {
		return func(tx *store.Tx) error {
			b, _, err := tx.Once("k", []byte("x"), func() ([]byte, error) {
				return fmt.Append(nil, "made by ", n), tx.CreateTeam(&store.Team{Name: "new", Organization: "acme"})
			})
			answers[n] = string(b)
			return err
		}
	}
	if err := r.overtakes(ask(0), ask(1)); err != nil || answers[1] != "made by 0" {
		t.Errorf("got %q and %q, %v", answers[0], answers[1], err)
	}
}

// startedAtOnce has replicas that begin together: each puts the file's owners there, and seals anew.
func startedAtOnce(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{})
	adopt := func(tx *store.Tx) error {
		return tx.Adopt([]store.Organization{{Name: "acme"}}, []store.Team{{Name: "core", Organization: "acme"}}, nil)
	}
	if err := r.overtakes(adopt, adopt); err != nil {
		t.Errorf("owners: %v", err)
	}
	r.change(func(tx *store.Tx) error {
		_, err := tx.SetProviderKey("core", "openai", secret.New("sk-provider-1"))
		return err
	})
	both := at(store.Options{Sealer: sealer(t, "the second secret of all", "the first secret of all")})
	var mu sync.Mutex
	sum := 0
	reseal := func(tx *store.Tx) error {
		n, err := tx.Reseal()
		mu.Lock()
		defer mu.Unlock()
		sum += n
		return err
	}
	if err := both.overtakes(reseal, reseal); err != nil || sum != 1 {
		t.Errorf("sealed anew %d times, %v", sum, err)
	}
}
