package control

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/evals/stored"
	"github.com/signalbox-ai/signalbox/internal/store"
)

func TestRunsOfEvaluationsExpire(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	at := now
	s, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "s.db"), store.Options{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	cfg := &config.Config{}
	c := &Control{store: s, config: func() *config.Config { return cfg }, log: slog.New(slog.DiscardHandler)}
	if err := s.Change(ctx, store.Actor{}, func(tx *store.Tx) error {
		return tx.CreateOrganization(&store.Organization{Name: "acme"})
	}); err != nil {
		t.Fatal(err)
	}
	for name, days := range map[string]int{"old": 31, "new": 29} {
		at = now.AddDate(0, 0, -days)
		if err := s.Change(ctx, store.Actor{}, func(tx *store.Tx) error {
			_, err := stored.Begin(tx, stored.Run{Name: name, Organization: "acme", Set: "0123456789abcdef", Cases: 1, Targets: []string{"a"}})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c1 := range []struct{ days, left int }{{0, 2}, {60, 2}, {30, 1}, {7, 0}} {
		cfg.Evals.Retention = c1.days
		if err := c.clear(ctx, now); err != nil {
			t.Fatal(err)
		}
		if all, _, err := stored.List(ctx, s, "acme", "", store.Page{}); err != nil || len(all) != c1.left {
			t.Errorf("with %d days there are %+v, %v", c1.days, all, err)
		}
	}
}
