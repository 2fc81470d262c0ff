package providers_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
)

func ring(ids ...string) *providers.Keyring {
	var keys []providers.Key
	for _, id := range ids {
		keys = append(keys, providers.Key{ID: id, Secret: secret.New("secret-" + id)})
	}
	return providers.NewKeyring(keys...)
}

// rests makes the keys of the map rest for so many seconds.
func rests(m map[string]int) func(string) (time.Time, bool) {
	return func(id string) (time.Time, bool) {
		s, ok := m[id]
		return time.Unix(int64(s), 0), ok
	}
}

func TestPick(t *testing.T) {
	for _, c := range []struct {
		name   string
		keys   []string
		n      int
		rests  map[string]int
		want   []string
		rested bool
	}{
		{"no keys: used without one", nil, 2, nil, []string{""}, true},
		{"one key", []string{"a"}, 2, nil, []string{"a"}, true},
		{"no more than asked for", []string{"a", "b", "c"}, 2, nil, []string{"a", "b"}, true},
		{"a resting key is left out", []string{"a", "b", "c"}, 2, map[string]int{"a": 5}, []string{"b", "c"}, true},
		{"all rest: the one that rests the shortest, alone", []string{"a", "b", "c"}, 2, map[string]int{"a": 9, "b": 3, "c": 5}, []string{"b"}, false},
		{"all rest alike: the first in turn", []string{"a", "b"}, 2, map[string]int{"a": 3, "b": 3}, []string{"a"}, false},
		{"the only key rests", []string{"a"}, 1, map[string]int{"a": 5}, []string{"a"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, rested := ring(c.keys...).Pick(nil, c.n, rests(c.rests))
			if diff := cmp.Diff(got, c.want); diff != "" || rested != c.rested {
				t.Errorf("rested %v, want %v (-got +want):\n%s", rested, c.rested, diff)
			}
		})
	}
}

func TestKeysAreUsedInTurn(t *testing.T) {
	r := ring("a", "b", "c")
	var got []string
	for range 4 {
		ids, _ := r.Pick(nil, 2, rests(nil))
		got = append(got, fmt.Sprint(ids))
	}
	if diff := cmp.Diff(got, []string{"[a b]", "[b c]", "[c a]", "[a b]"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// TestPickLaws holds for every ring: keys are of the ring, each once, none rests beside one that is ready.
func TestPickLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-e]`), 1, 5, rapid.ID[string]).Draw(t, "keys")
		r := ring(ids...)
		resting := rapid.MapOf(rapid.SampledFrom(ids), rapid.IntRange(1, 9)).Draw(t, "resting")
		n := rapid.IntRange(1, 3).Draw(t, "n")
		for range rapid.IntRange(1, 7).Draw(t, "turns") {
			got, rested := r.Pick(nil, n, rests(resting))
			ready := len(ids) - len(resting)
			if rested != (ready > 0) || len(got) != max(1, min(n, ready)) {
				t.Fatalf("%d ready, %d asked for: got %v, %v", ready, n, got, rested)
			}
			for i, id := range got {
				_, rests := resting[id]
				if !slices.Contains(ids, id) || slices.Contains(got[:i], id) || rests == rested {
					t.Fatalf("got %v, %v of %v, resting %v", got, rested, ids, resting)
				}
			}
		}
	})
}

func TestPickIsSafeForConcurrentUse(t *testing.T) {
	r := ring("a", "b", "c")
	first := make(chan string, 300)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 30 {
				ids, _ := r.Pick(nil, 1, rests(nil))
				first <- ids[0]
			}
		})
	}
	wg.Wait()
	close(first)
	count := map[string]int{}
	for id := range first {
		count[id]++
	}
	if diff := cmp.Diff(count, map[string]int{"a": 100, "b": 100, "c": 100}); diff != "" {
		t.Errorf("turns are lost (-got +want):\n%s", diff)
	}
}

func TestFind(t *testing.T) {
	r := ring("a", "b")
	if k, ok := r.Find("b"); !ok || k.Secret.Reveal() != "secret-b" {
		t.Errorf("got %v, %v", k, ok)
	}
	if k, ok := r.Find(""); ok || !k.Secret.Empty() {
		t.Errorf("no id finds %v", k)
	}
	if r.Len() != 2 || ring().Len() != 0 {
		t.Error("wrong length")
	}
}
