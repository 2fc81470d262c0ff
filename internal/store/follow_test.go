package store_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// following has two replicas: what one changes counts at the other within a second.
func following(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{Now: time.Now})
	r.now = &time.Time{}
	r.owners()
	d := auth.NewDirectory(secret.New("pepper"))
	k, text := r.issue(d, store.Key{Name: "app", Team: "core"})
	other := at(store.Options{Now: time.Now})
	var mu sync.Mutex
	var seen []string
	f := &store.Follower{Store: other.Store, Issued: d, Log: slog.New(slog.DiscardHandler), Changed: func(_ context.Context, kind store.Kind) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(kind))
		return nil
	}}
	if err := f.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	defer func() { stop(); <-done }()
	g := auth.NewGate(nil, auth.Options{Issued: d})
	admitted := func() bool {
		_, err := g.Admit(auth.Request{Header: func(n string) []string {
			if n == "x-api-key" {
				return []string{text}
			}
			return nil
		}, Now: time.Now()})
		return err == nil
	}
	if !admitted() {
		t.Fatal("a key that was there is not let in")
	}
	told := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
	await := func(n int) { // it is told after the keys have changed, and once of changes that follow each other before that
		for begin := time.Now(); len(told()) < n && time.Since(begin) < time.Second; {
			time.Sleep(5 * time.Millisecond)
		}
	}
	state := func(s string) {
		t.Helper()
		r.change(func(tx *store.Tx) error {
			_, err := tx.UpdateKey(k.ID, 0, "state", func(k *store.Key) error { k.State = s; return nil })
			return err
		})
		begin := time.Now()
		for admitted() != (s == "active") {
			if time.Since(begin) > time.Second {
				t.Fatalf("%s does not count after a second", s)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	state("disabled")
	await(1)
	state("active")
	await(2)
	r.change(func(tx *store.Tx) error { _, err := tx.RevokeKey(k.ID, 0); return err })
	for begin := time.Now(); admitted(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > time.Second {
			t.Fatal("a revoked key is let in after a second")
		}
	}
	await(3)
	want := []string{"key", "key", "key"}
	if got := told(); !cmp.Equal(got, want) {
		t.Errorf("told of %v, want %v", got, want)
	}
}

// notTakenUp has a change that cannot be taken up at first: it is tried again, and keys are followed meanwhile.
func notTakenUp(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{Now: time.Now})
	r.owners()
	d := auth.NewDirectory()
	told, broken := make(chan store.Kind, 100), errors.New("away")
	fails := 3
	f := &store.Follower{Store: r.Store, Issued: d, Log: slog.New(slog.DiscardHandler), Changed: func(_ context.Context, kind store.Kind) error {
		told <- kind
		if kind == store.KindBudget && fails > 0 {
			fails--
			return broken
		}
		return nil
	}}
	if err := f.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.change(func(tx *store.Tx) error {
		return tx.CreateBudget(&store.Budget{Level: "team", Owner: "core", Unit: "requests", Amount: 5, Per: "minute"})
	})
	r.issue(d, store.Key{Name: "app", Team: "core"})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	defer func() { stop(); <-done }()
	for i, want := range []store.Kind{store.KindBudget, store.KindKey, store.KindBudget, store.KindBudget, store.KindBudget} {
		select {
		case got := <-told:
			if got != want {
				t.Fatalf("call %d is of %s, want %s", i, got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("call %d does not come", i)
		}
		if d.Len() != 1 {
			t.Fatal("the key is not followed")
		}
	}
	select {
	case got := <-told:
		t.Errorf("told of %s again", got)
	case <-time.After(600 * time.Millisecond):
	}
}
