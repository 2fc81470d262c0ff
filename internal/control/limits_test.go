package control

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/store"
)

func TestLimitsAreAsTheBudgetsOfTheStore(t *testing.T) {
	ctx := context.Background()
	s, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "s.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := &Control{store: s}
	change := func(f func(tx *store.Tx) error) {
		t.Helper()
		if err := s.Change(ctx, store.Actor{}, f); err != nil {
			t.Fatal(err)
		}
	}
	var key store.Key
	change(func(tx *store.Tx) error {
		for _, err := range []error{
			tx.CreateOrganization(&store.Organization{Name: "acme"}), tx.CreateTeam(&store.Team{Name: "core", Organization: "acme"}), tx.CreateProject(&store.Project{Name: "search", Team: "core"}),
		} {
			if err != nil {
				return err
			}
		}
		secret, err := auth.Generate("test")
		if err != nil {
			return err
		}
		key = store.Key{Name: "app", Team: "core", Project: "search"}
		return tx.CreateKey(&key, secret, auth.NewDirectory().Digest(secret))
	})
	create := func(b store.Budget) (id string) {
		change(func(tx *store.Tx) error { err := tx.CreateBudget(&b); id = b.ID; return err })
		return id
	}
	limits := func() string {
		t.Helper()
		table, err := budgets.Load(nil, c.Owned(ctx))
		if err != nil {
			t.Fatal(err)
		}
		party := budgets.Party{Organization: "acme", Team: "core", Project: "search", Key: key.ID, EndUser: "u"}
		var out []string
		for _, b := range table.Find(nil, &party, "gpt-5", "r", nil) {
			zone := ""
			if b.Window.Zone != nil {
				zone = b.Window.Zone.String()
			}
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %d %s %s %v %v %s", b.Owner.Level, b.Unit, b.Limit, b.Window.Kind, zone, b.Soft, b.Alert, b.Model)))
		}
		return strings.Join(out, "\n")
	}
	if got := limits(); got != "" {
		t.Errorf("without any: %s", got)
	}
	create(store.Budget{Level: "organization", Owner: "acme", Unit: "money", Amount: 1<<53 - 1, Per: "month", Zone: "Europe/Berlin", AlertAt: []int{50, 100}})
	team := create(store.Budget{Level: "team", Owner: "core", Unit: "money", Amount: 20_000_000_001, Per: "total", Model: "gpt-*", Soft: true})
	create(store.Budget{Level: "team", Owner: "core", Unit: "money", Amount: 1, Per: "day", Model: "claude-*"})
	project := create(store.Budget{Level: "project", Owner: "search", Unit: "tokens_in", Amount: 1, Per: "hour"})
	create(store.Budget{Level: "key", Owner: "app", Unit: "parallel", Amount: 3})
	create(store.Budget{Level: "end_user", Owner: "app", Unit: "requests", Amount: 9, Per: "minute"})
	want := `organization money 9007199254740991 month Europe/Berlin false [500 1000]
team money 20000000001 life  true [] gpt-*
project input_tokens 1 sliding  false []
end_user requests 9 sliding  false []
key parallel 3 gauge  false []`
	if d := cmp.Diff(want, limits()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	change(func(tx *store.Tx) error {
		if _, err := tx.UpdateBudget(team, 0, func(b *store.Budget) error { b.Amount, b.Soft, b.AlertAt = 5e9, false, []int{80}; return nil }); err != nil {
			return err
		}
		return tx.DeleteBudget(project, 0)
	})
	want = strings.Replace(want, "team money 20000000001 life  true [] gpt-*\nproject input_tokens 1 sliding  false []", "team money 5000000000 life  false [800] gpt-*", 1)
	if d := cmp.Diff(want, limits()); d != "" {
		t.Errorf("changed: -want +got\n%s", d)
	}
	for range c.Owned(ctx) { // who wants no more gets no error
		break
	}
	_ = s.Close()
	n, failed := 0, ""
	for o, err := range c.Owned(ctx) {
		if n++; err != nil {
			failed = err.Error()
		} else {
			t.Errorf("got %+v", o)
		}
	}
	if n != 1 || !strings.HasPrefix(failed, "the store's budgets: ") {
		t.Errorf("a store that is closed: %d, %s", n, failed)
	}
	for o := range (*Control)(nil).Owned(ctx) {
		t.Errorf("no store has %+v", o)
	}
}

func TestDollarsAreWrittenExactly(t *testing.T) {
	for n, want := range map[int64]string{1: "0.000000001 USD", 1e9: "1 USD", 20_500_000_000: "20.5 USD", 1<<53 - 1: "9007199.254740991 USD", 10e9: "10 USD", 100: "0.0000001 USD"} {
		if got := dollars(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
		if back, err := budgets.ParseMoney(dollars(n)); err != nil || back != n {
			t.Errorf("%d is read as %d, %v", n, back, err)
		}
	}
}
