package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
)

func sealer(t *testing.T, secrets ...string) *store.Sealer {
	t.Helper()
	values := make([]secret.Value, len(secrets))
	for i, s := range secrets {
		values[i] = secret.New(s)
	}
	s, err := store.NewSealer(values...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func providerKeys(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	set := func(r *rig, key string) store.ProviderKey {
		t.Helper()
		var k store.ProviderKey
		r.change(func(tx *store.Tx) (err error) {
			k, err = tx.SetProviderKey("core", "openai", secret.New(key))
			return err
		})
		return k
	}
	opened := func(r *rig) (string, error) {
		all, err := r.OpenProviderKeys(ctx)
		return all[auth.Provision{Organization: "acme", Team: "core", Provider: "openai"}].Reveal(), err
	}
	if k := set(r, "sk-provider-1"); k.Hint != "…er-1" || k.Version != 1 {
		t.Errorf("got %+v", k)
	}
	if k := set(r, "sk-provider-2"); k.Version != 2 {
		t.Errorf("got %+v", k)
	}
	if v, err := opened(r); err != nil || v != "sk-provider-2" {
		t.Errorf("got %q, %v", v, err)
	}
	entries, _, err := r.Audit(ctx, store.AuditFilter{Kind: store.KindProviderKey}, 0)
	if err != nil || len(entries) != 2 || strings.Contains(fmt.Sprint(entries), "sk-provider") {
		t.Errorf("got %v, %v", entries, err)
	}
	both := at(store.Options{Sealer: sealer(t, "the second secret of all", "the first secret of all")})
	both.change(func(tx *store.Tx) error {
		if n, err := tx.Reseal(); err != nil || n != 1 {
			t.Errorf("resealed %d, %v", n, err)
		}
		return nil
	})
	now := at(store.Options{Sealer: sealer(t, "the second secret of all")})
	if v, err := opened(now); err != nil || v != "sk-provider-2" {
		t.Errorf("after a rotation: %q, %v", v, err)
	}
	if _, err := opened(r); err == nil || strings.Contains(err.Error(), "sk-provider") {
		t.Errorf("the old secret opens, or %v", err)
	}
	without, err := store.Open(ctx, r.address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer without.Close()
	if all, err := without.OpenProviderKeys(ctx); err == nil || !strings.Contains(err.Error(), "core:openai: no secret is configured") {
		t.Errorf("without a secret: %v, %v", all, err)
	}
	r.refused(store.Invalid, "team", func(tx *store.Tx) error {
		_, err := tx.SetProviderKey("nobody", "openai", secret.New("12345678"))
		return err
	})
	r.refused(store.Invalid, "key", func(tx *store.Tx) error { _, err := tx.SetProviderKey("core", "openai", secret.New("x")); return err })
	r.refused(store.InUse, "", func(tx *store.Tx) error {
		if err := tx.DeleteProject("search", 0); err != nil {
			return err
		}
		return tx.DeleteTeam("core", 0)
	})
	r.change(func(tx *store.Tx) error { return tx.DeleteProviderKey("core:openai", 0) })
}
