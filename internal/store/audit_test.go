package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/store"
)

func audit(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	d := auth.NewDirectory()
	k, text := r.issue(d, store.Key{Name: "app", Team: "core"})
	r.change(func(tx *store.Tx) error {
		_, err := tx.UpdateKey("app", 0, "disable", func(k *store.Key) error { k.State = "disabled"; return nil })
		return err
	})
	all, next, err := r.Audit(ctx, store.AuditFilter{Kind: store.KindKey, Object: k.ID}, 0)
	if err != nil || len(all) != 2 || next != 0 {
		t.Fatalf("got %v, %d, %v", all, next, err)
	}
	e := all[0]
	if e.Action != "disable" || e.Actor != admin || !e.At.Equal(*r.now) || !strings.Contains(e.Before, `"state":"active"`) || !strings.Contains(e.After, `"state":"disabled"`) || all[1].Before != "" {
		t.Errorf("got %+v", e)
	}
	digest := d.Digest(text)
	if log := fmt.Sprint(all); strings.Contains(log, strings.Split(text, "_")[3]) || strings.Contains(log, fmt.Sprintf("%x", digest[:])) {
		t.Error("the log holds a secret")
	}
	if all, next, err = r.Audit(ctx, store.AuditFilter{}, 4); err != nil || len(all) != 4 || next != all[3].Seq || all[0].Seq != 6 {
		t.Errorf("got %d entries to %d, %v", len(all), next, err)
	}
	if all, next, err = r.Audit(ctx, store.AuditFilter{Before: next}, 4); err != nil || len(all) != 2 || next != 0 || all[1].Seq != 1 {
		t.Errorf("then %d entries to %d, %v", len(all), next, err)
	}
	for _, c := range []struct {
		f    store.AuditFilter
		want int
	}{
		{store.AuditFilter{Actor: admin.Name}, 6}, {store.AuditFilter{Actor: "nobody"}, 0}, {store.AuditFilter{Action: "disable"}, 1}, {store.AuditFilter{Action: "disable", Kind: store.KindTeam}, 0},
		{store.AuditFilter{From: *r.now}, 6}, {store.AuditFilter{From: r.now.Add(time.Microsecond)}, 0}, {store.AuditFilter{Until: *r.now}, 0}, {store.AuditFilter{Until: r.now.Add(time.Second)}, 6},
	} {
		if all, _, err := r.Audit(ctx, c.f, 0); err != nil || len(all) != c.want {
			t.Errorf("%+v: %d entries, %v", c.f, len(all), err)
		}
	}
	r.change(func(tx *store.Tx) error {
		return errors.Join(tx.DeleteTeam("edge", 0), tx.CreateTeam(&store.Team{Name: "edge", Organization: "acme", Title: "again"}))
	})
	edge := store.AuditFilter{Kind: store.KindTeam, Object: "edge"}
	for present, want := range map[bool]int{false: 3, true: 1} {
		edge.Now = present
		if all, _, err := r.Audit(ctx, edge, 0); err != nil || len(all) != want || !strings.Contains(all[0].After, "again") {
			t.Errorf("of what is there now %v: %v, %v", present, all, err)
		}
	}
}
