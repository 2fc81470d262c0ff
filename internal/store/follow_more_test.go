package store_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// follows lets a follower run until the test ends. f sees only what its functions say.
func (r *rig) follows(f *store.Follower) {
	r.t.Helper()
	f.Store = r.Store
	if f.Log == nil {
		f.Log = slog.New(slog.DiscardHandler)
	}
	if err := f.Load(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	r.t.Cleanup(func() { stop(); <-done })
}

// count waits until a directory has so many secrets.
func (r *rig) count(d *auth.Directory, want int, when string) {
	r.t.Helper()
	for begin := time.Now(); d.Len() != want; time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 3*time.Second {
			r.t.Fatalf("%s: %d secrets, want %d", when, d.Len(), want)
		}
	}
}

func (r *rig) revoke(k store.Key) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error { _, err := tx.RevokeKey(k.ID, 0); return err })
}

// heldUp has a change whose taking up takes long: keys are followed meanwhile, and what changes meanwhile is taken up afterwards.
func heldUp(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{Now: time.Now})
	r.owners()
	d := auth.NewDirectory()
	k, _ := r.issue(d, store.Key{Name: "app", Team: "core"})
	begun, free := make(chan struct{}, 10), make(chan struct{})
	var once sync.Once
	open := func() { once.Do(func() { close(free) }) }
	r.follows(&store.Follower{Issued: d, Changed: func(_ context.Context, kind store.Kind) error {
		if kind == store.KindBudget {
			begun <- struct{}{}
			<-free
		}
		return nil
	}})
	t.Cleanup(open)
	budget := func(per string) {
		r.change(func(tx *store.Tx) error {
			return tx.CreateBudget(&store.Budget{Level: "team", Owner: "core", Unit: "requests", Amount: 5, Per: per})
		})
	}
	budget("minute")
	<-begun
	r.revoke(k)
	r.count(d, 0, "a key is revoked while a budget is taken up")
	budget("hour")
	time.Sleep(300 * time.Millisecond) // until it is known of
	open()
	select {
	case <-begun:
	case <-time.After(5 * time.Second):
		t.Error("a budget that was made while another was taken up is not")
	}
}

// setBack has a database that is not what it was: one of an earlier time took its place, and goes on from there.
func setBack(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{Now: time.Now})
	r.owners()
	d := auth.NewDirectory()
	k, _ := r.issue(d, store.Key{Name: "app", Team: "core"})
	kinds := make(chan store.Kind, 100)
	r.follows(&store.Follower{Issued: d, Changed: func(_ context.Context, kind store.Kind) error { kinds <- kind; return nil }})
	r.count(d, 1, "at first")
	r.change(func(tx *store.Tx) error {
		_, err := tx.UpdateTeam("core", 0, func(v *store.Team) error { v.Title = "lost"; return nil })
		return err
	})
	if got := <-kinds; got != store.KindTeam {
		t.Fatalf("told of %s", got)
	}
	r.change(func(tx *store.Tx) error {
		_, a := tx.Exec("DELETE FROM audit WHERE seq >= (SELECT n FROM audit_seq)")
		_, b := tx.Exec("UPDATE audit_seq SET n = n - 1 WHERE one = 1")
		_, c := tx.Exec("UPDATE api_keys SET state = ? WHERE id = ?", "disabled", k.ID)
		return errors.Join(a, b, c, tx.CreateTeam(&store.Team{Name: "new", Organization: "acme"}))
	})
	r.count(d, 0, "after it was set back")
	told := map[store.Kind]bool{}
	for !told[store.KindBudget] || !told[store.KindProviderKey] {
		select {
		case kind := <-kinds:
			told[kind] = true
		case <-time.After(5 * time.Second):
			t.Fatalf("told of %v alone", told)
		}
	}
}

// unreadable has a key that another version of the program has written: it lets nobody in, and the others do.
func unreadable(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{Now: time.Now})
	r.owners()
	d := auth.NewDirectory()
	bad, _ := r.issue(d, store.Key{Name: "bad", Team: "core"})
	good, _ := r.issue(d, store.Key{Name: "good", Team: "core"})
	spoil := func(id string) {
		r.change(func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE api_keys SET scope = ? WHERE id = ?", `{"operations":["dream"]}`, id)
			return errors.Join(err, tx.Note("update", store.KindKey, id, nil, nil))
		})
	}
	spoil(bad.ID)
	var log bytes.Buffer
	r.follows(&store.Follower{Issued: d, Log: slog.New(slog.NewTextHandler(&log, nil))})
	r.count(d, 1, "at the start")
	if !strings.Contains(log.String(), bad.ID) {
		t.Errorf("it is not told: %s", log.String())
	}
	late, _ := r.issue(d, store.Key{Name: "late", Team: "core"})
	r.count(d, 2, "one more")
	spoil(late.ID)
	r.count(d, 1, "one is spoilt")
	r.revoke(good)
	r.count(d, 0, "the good one is revoked")
}
