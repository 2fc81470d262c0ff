package grown

import (
	"path/filepath"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
)

func TestAStoreHasWhatWasAskedFor(t *testing.T) {
	file, pepper := filepath.Join(t.TempDir(), "s.db"), secret.New("a secret of the keys")
	size := Size{Keys: 1000, Budgets: 300}
	users, err := Fill(t.Context(), file, pepper, size)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), "sqlite:"+file, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	issued, err := s.Issued(t.Context(), "")
	if err != nil || len(issued) != size.Keys {
		t.Fatalf("got %d keys, want %d: %v", len(issued), size.Keys, err)
	}
	owners := map[string]bool{}
	n := 0
	if err := s.EachBudget(t.Context(), func(_ *store.Budget, of auth.Owner, key string) error {
		n++
		owners[of.Team+"/"+key] = true
		return nil
	}); err != nil || n != size.Budgets || len(owners) != n {
		t.Errorf("got %d budgets of %d owners, want %d, each of another: %v", n, len(owners), size.Budgets, err)
	}
	byDigest := map[auth.Digest]*auth.Key{}
	for _, i := range issued {
		byDigest[i.Digest] = i.Key
	}
	digests, teams := auth.NewDirectory(pepper), map[string]bool{}
	for _, u := range users {
		k := byDigest[digests.Digest(u)]
		if k == nil {
			t.Fatalf("the key %s is not in the store", u)
		}
		teams[k.Team] = true
		if owners[k.Team+"/"+k.ID] {
			t.Errorf("%s has a budget of its own", k.Name)
		}
	}
	if len(users) != Users || len(teams) != len(size.Teams()) {
		t.Errorf("got %d keys of %d teams to ask with, want %d of %d", len(users), len(teams), Users, len(size.Teams()))
	}
}

func TestSizesThatCannotBeAreRefused(t *testing.T) {
	for size, well := range map[Size]bool{
		{100, 1}: true, {1_000_000, 100_000}: true, {63, 1}: false, {100, 0}: false,
		{100, 37}: true, {100, 38}: false, {10_000, 99}: false, {10_000, 100}: true,
	} {
		if err := size.Check(); (err == nil) != well {
			t.Errorf("%+v: got %v", size, err)
		}
	}
}
