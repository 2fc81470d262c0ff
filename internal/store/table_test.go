package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/store"
)

func pages(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	r.change(func(tx *store.Tx) error {
		for i := range 25 {
			if err := tx.CreateProject(&store.Project{Name: fmt.Sprintf("p%02d", i), Team: []string{"core", "edge"}[i%2]}); err != nil {
				return err
			}
		}
		return nil
	})
	var got []string
	p := store.Page{Size: 5}
	for {
		all, next, err := r.Projects(ctx, "edge", p)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range all {
			got = append(got, v.Name)
		}
		if next == "" {
			break
		}
		p.After = next
	}
	if len(got) != 12 || got[0] != "p01" || got[11] != "p23" {
		t.Errorf("got %v", got)
	}
}

func conflicts(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{})
	r.owners()
	title := func(version int64, title string) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			_, err := tx.UpdateTeam("core", version, func(v *store.Team) error { v.Title = title; return nil })
			return err
		}
	}
	r.change(title(1, "a"))
	r.refused(store.Stale, "version", title(1, "b"))
	r.change(title(2, "c"))
	r.change(title(0, "d"))
	r.refused(store.Stale, "version", func(tx *store.Tx) error { return tx.DeleteTeam("edge", 7) })
}
