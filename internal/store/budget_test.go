package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/store"
)

func budgets(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	b := store.Budget{Level: "team", Owner: "core", Unit: "money", Amount: 500_000_000_000, Per: "month", Zone: "Europe/Berlin", Model: "gpt-5*", AlertAt: []int{50, 80, 100}}
	r.change(func(tx *store.Tx) error { made := b; err := tx.CreateBudget(&made); b.ID = made.ID; return err })
	if b.ID != "team_core_money_month_gpt_2d5_2a" {
		t.Errorf("the id is %s", b.ID)
	}
	got, err := r.Budget(ctx, b.ID)
	b.Stamp = got.Stamp
	if diff := cmp.Diff(got, b); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	r.change(func(tx *store.Tx) error {
		_, err := tx.UpdateBudget(b.ID, 1, func(b *store.Budget) error { b.Amount, b.Soft, b.Owner = 1<<53-1, true, "edge"; return nil })
		return err
	})
	if got, err = r.Budget(ctx, b.ID); err != nil || got.Amount != 1<<53-1 || !got.Soft || got.Owner != "core" {
		t.Errorf("got %+v, %v", got, err)
	}
	for field, bad := range map[string]store.Budget{
		"level":    {Level: "world", Owner: "core", Unit: "money", Per: "day"},
		"owner":    {Level: "team", Owner: "nobody", Unit: "money", Amount: 1, Per: "day"},
		"unit":     {Level: "team", Owner: "core", Unit: "euro", Per: "day"},
		"per":      {Level: "team", Owner: "core", Unit: "money", Per: "year"},
		"amount":   {Level: "team", Owner: "core", Unit: "money", Per: "day", Amount: 1 << 53},
		"zone":     {Level: "team", Owner: "core", Unit: "money", Amount: 1, Per: "day", Zone: "Mars/Olympus"},
		"alert_at": {Level: "team", Owner: "core", Unit: "money", Amount: 1, Per: "day", AlertAt: []int{80, 50}},
	} {
		r.refused(store.Invalid, field, func(tx *store.Tx) error { return tx.CreateBudget(&bad) })
	}
	r.refused(store.Exists, "", func(tx *store.Tx) error {
		return tx.CreateBudget(&store.Budget{Level: "team", Owner: "core", Unit: "money", Amount: 1, Per: "month", Model: "gpt-5*"})
	})
	r.change(func(tx *store.Tx) error { return tx.DeleteProject("search", 0) })
	r.refused(store.InUse, "", func(tx *store.Tx) error { return tx.DeleteTeam("core", 0) })
	r.change(func(tx *store.Tx) error { return errors.Join(tx.DeleteBudget(b.ID, 2), tx.DeleteTeam("core", 0)) })
	k, _ := r.issue(auth.NewDirectory(), store.Key{Name: "app", Team: "edge"})
	r.change(func(tx *store.Tx) error {
		return errors.Join(
			tx.CreateBudget(&store.Budget{Level: "key", Owner: "app", Unit: "requests", Amount: 5, Per: "minute"}),
			tx.CreateBudget(&store.Budget{Level: "end_user", Owner: k.ID, Unit: "requests", Amount: 5, Per: "minute"}),
			tx.DeleteKey("app", 0))
	})
	if all, _, err := r.Budgets(ctx, "", "", store.Page{}); err != nil || len(all) != 0 {
		t.Errorf("left of a deleted key: %v, %v", all, err)
	}
}

// owned has a budget of an owner of each level, whose teams and organizations come with them.
func owned(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	k, _ := r.issue(auth.NewDirectory(), store.Key{Name: "app", Team: "core", Project: "search"})
	e, _ := r.issue(auth.NewDirectory(), store.Key{Name: "job", Organization: "acme"})
	of := []store.Budget{{Level: "organization", Owner: "acme"}, {Level: "team", Owner: "edge"}, {Level: "project", Owner: "search"}, {Level: "key", Owner: k.ID}, {Level: "end_user", Owner: e.ID}}
	r.change(func(tx *store.Tx) error {
		var errs []error
		for i := range of {
			b := of[i]
			b.Unit, b.Amount, b.Per, b.AlertAt = "requests", 5, "minute", []int{50}
			errs = append(errs, tx.CreateBudget(&b))
		}
		return errors.Join(errs...)
	})
	got := map[string][4]string{}
	err := r.EachBudget(ctx, func(b *store.Budget, of auth.Owner, key string) error {
		got[b.Level+" "+b.Owner] = [4]string{of.Organization, of.Team, of.Project, key}
		if b.Amount != 5 || len(b.AlertAt) != 1 || b.Version != 1 {
			t.Errorf("got %+v", b)
		}
		return nil
	})
	want := map[string][4]string{
		"organization acme": {"acme"}, "team edge": {"acme", "edge"}, "project search": {"acme", "core", "search"},
		"key " + k.ID: {"acme", "core", "search", k.ID}, "end_user " + e.ID: {"acme", "", "", e.ID},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v -want +got\n%s", err, d)
	}
	stop := errors.New("stop")
	if err := r.EachBudget(ctx, func(*store.Budget, auth.Owner, string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}
