package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/bench/grown"
	"github.com/signalbox-ai/signalbox/internal/bench/traffic"
	"github.com/signalbox-ai/signalbox/internal/store"
)

func TestAGrownConfigurationHasItsRoutesAndTeams(t *testing.T) {
	m := much{grown.Size{Keys: 1000, Budgets: 300}, 12, ""}
	up, err := traffic.NewUpstream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	l := &lab{dir: t.TempDir(), upstream: up}
	file, err := l.configure(t.Context(), &row{name: "grown", setting: m.configuration("/x/grown.db")})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for part, want := range map[string]int{
		`store: "sqlite:/x/grown.db"`:                    1,
		"\n  - { name: team-":                            10,
		"\n  - { name: r000":                             12,
		`models: [ r00011-* ]`:                           1,
		`spool: "` + filepath.Join(l.dir, "grown/spool"): 1,
		"%!": 0,
	} {
		if got := strings.Count(text, part); got != want {
			t.Errorf("%s: got it %d times, want %d", part, got, want)
		}
	}
}

func TestMostRoutesHaveRoomInAConfiguration(t *testing.T) {
	s := much{grown.Size{Keys: 1_000_000, Budgets: 100_000}, mostRoutes, ""}.configuration("/x/grown.db")
	if n := len(signalboxConfig) + len(s.keeps) + len(s.routes); n > 1<<20-1<<10 { // without what is filled in
		t.Errorf("got a configuration of %d bytes", n)
	}
}

func TestAFilledStoreIsUsedAgain(t *testing.T) {
	dir := t.TempDir()
	m := much{grown.Size{Keys: 100, Budgets: 1}, 1, filepath.Join(dir, "kept")}
	if err := os.MkdirAll(m.filled, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.filled, "100-1.db"), []byte("half of a store"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := m.fill(t.Context(), filepath.Join(dir, "1.db"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.fill(t.Context(), filepath.Join(dir, "2.db"))
	if err != nil || !slices.Equal(again, first) {
		t.Errorf("got other keys than before: %v", err)
	}
	for _, name := range []string{"1.db", "2.db"} {
		s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, name), store.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if keys, err := s.Issued(t.Context(), ""); err != nil || len(keys) != 100 {
			t.Errorf("%s: got %d keys, want 100: %v", name, len(keys), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	m.Keys = 150
	if other, err := m.fill(t.Context(), filepath.Join(dir, "3.db")); err != nil || slices.Equal(other, first) {
		t.Errorf("a store of another size has the same keys: %v", err)
	}
}

func TestFlagsThatCannotBeAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"-parts rounds,other":                 `no part is named "other": there are rounds, open, growth`,
		"-parts open -streams 1,x":            `streams: "x" is no number above 0`,
		"-parts growth -keys 10":              "there must be at least 64 keys, as many are asked with",
		"-parts growth -routes 0":             "there must be from 1 to 11000 routes",
		"-parts growth -keys 500 -budgets 3":  "of 500 keys in 5 teams, there must be from 5 to 441 budgets: one of each team, and one of some keys, but not of the 64 that are asked with",
		"-rounds 0":                           "rounds and scale must be above 0",
		"-parts growth -keys 500 -budgets=-1": "from 5 to 441 budgets",
	} {
		if err := run(t.Context(), strings.Fields(args), t.Output()); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

func TestConnectionsTakeTheKeysInTurn(t *testing.T) {
	r := &row{addr: "127.0.0.1:1", key: "one", usage: true}
	if got := r.asked(traffic.Asked{Model: "m"}); len(got) != 1 || got[0].Key != "one" || got[0].Address != r.addr || !got[0].Usage {
		t.Errorf("got %+v, want one request with the row's key", got)
	}
	r.keys = []string{"two", "three"}
	if got := r.asked(traffic.Asked{Model: "m"}); len(got) != 2 || got[0].Key != "two" || got[1].Key != "three" || got[1].Model != "m" {
		t.Errorf("got %+v, want a request with each key", got)
	}
}
