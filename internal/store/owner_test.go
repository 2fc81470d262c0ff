package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/store"
)

func owners(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	got, err := r.Project(ctx, "search")
	want := store.Project{Name: "search", Team: "core", Stamp: store.Stamp{Created: *r.now, Changed: *r.now, Version: 1}}
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	*r.now = r.now.Add(time.Hour)
	r.change(func(tx *store.Tx) error {
		_, err := tx.UpdateTeam("core", 1, func(v *store.Team) error { v.Title, v.Organization = "Core", "stolen"; return nil })
		return err
	})
	team, err := r.Team(ctx, "core")
	if err != nil || team.Title != "Core" || team.Organization != "acme" || team.Version != 2 || !team.Changed.Equal(*r.now) || team.Created.Equal(*r.now) {
		t.Errorf("got %+v, %v", team, err)
	}
	r.refused(store.Exists, "", func(tx *store.Tx) error { return tx.CreateTeam(&store.Team{Name: "core", Organization: "acme"}) })
	r.refused(store.Invalid, "organization", func(tx *store.Tx) error { return tx.CreateTeam(&store.Team{Name: "lost", Organization: "nobody"}) })
	r.refused(store.Invalid, "name", func(tx *store.Tx) error { return tx.CreateTeam(&store.Team{Name: "Not So", Organization: "acme"}) })
	r.refused(store.Invalid, "title", func(tx *store.Tx) error {
		return tx.CreateOrganization(&store.Organization{Name: "x", Title: strings.Repeat("x", 201)})
	})
	r.refused(store.InUse, "", func(tx *store.Tx) error { return tx.DeleteTeam("core", 0) })
	r.refused(store.InUse, "", func(tx *store.Tx) error { return tx.DeleteOrganization("acme", 0) })
	r.refused(store.Missing, "", func(tx *store.Tx) error { return tx.DeleteProject("nothing", 0) })
	r.change(func(tx *store.Tx) error {
		return errors.Join(tx.DeleteProject("search", 1), tx.DeleteTeam("core", 2), tx.DeleteTeam("edge", 1), tx.DeleteOrganization("acme", 1))
	})
	if all, _, err := r.Organizations(ctx, store.Page{}); err != nil || len(all) != 0 {
		t.Errorf("left: %v, %v", all, err)
	}
}
