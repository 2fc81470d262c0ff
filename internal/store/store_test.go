package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// rig is a store on one of the engines.
type rig struct {
	*store.Store
	t       *testing.T
	address string
	now     *time.Time
}

func open(t *testing.T, address string, o store.Options) *rig {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &rig{t: t, address: address, now: &now}
	if o.Now == nil {
		o.Now = func() time.Time { return *r.now }
	}
	if o.Sealer == nil {
		o.Sealer = sealer(t, "the first secret of all")
	}
	var err error
	if r.Store, err = store.Open(context.Background(), address, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

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

var admin = store.Actor{Name: "ann", From: "192.0.2.1"}

// change runs a change that must succeed.
func (r *rig) change(f func(*store.Tx) error) {
	r.t.Helper()
	if err := r.Change(context.Background(), admin, f); err != nil {
		r.t.Fatal(err)
	}
}

// refused runs a change that must not.
func (r *rig) refused(want store.Reason, field string, f func(*store.Tx) error) {
	r.t.Helper()
	err := r.Change(context.Background(), admin, f)
	bad, ok := errors.AsType[*store.Fault](err)
	if !ok || bad.Reason != want || bad.Field != field {
		r.t.Errorf("got %#v, want reason %d of %q", err, want, field)
	}
}

// owners makes an organization with a team and a project.
func (r *rig) owners() {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		return errors.Join(
			tx.CreateOrganization(&store.Organization{Name: "acme", Title: "ACME"}),
			tx.CreateTeam(&store.Team{Name: "core", Organization: "acme"}),
			tx.CreateTeam(&store.Team{Name: "edge", Organization: "acme"}),
			tx.CreateProject(&store.Project{Name: "search", Team: "core"}),
		)
	})
}

// issue makes a key and returns it with its secret.
func (r *rig) issue(d *auth.Directory, k store.Key) (store.Key, string) {
	r.t.Helper()
	s, err := auth.Generate("test")
	if err != nil {
		r.t.Fatal(err)
	}
	r.change(func(tx *store.Tx) error {
		made := k
		err := tx.CreateKey(&made, s, d.Digest(s))
		k = made
		return err
	})
	return k, s
}

// TestContract runs every test on every engine.
func TestContract(t *testing.T) {
	contract := map[string]func(*testing.T, func(store.Options) *rig){
		"owners":           owners,
		"keys":             keys,
		"wrong keys":       wrongKeys,
		"rotation":         rotation,
		"budgets":          budgets,
		"provider keys":    providerKeys,
		"audit":            audit,
		"pages":            pages,
		"idempotency":      idempotency,
		"conflicts":        conflicts,
		"following":        following,
		"at once":          atOnce,
		"schema":           schema,
		"nothing half way": nothingHalfWay,
	}
	t.Run("sqlite", func(t *testing.T) {
		for name, f := range contract {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				path := "sqlite:" + filepath.Join(t.TempDir(), "run", "signalbox.db")
				f(t, func(o store.Options) *rig { return open(t, path, o) })
			})
		}
	})
	t.Run("postgres", func(t *testing.T) {
		p := servers.StartPostgres(t)
		for name, f := range contract {
			t.Run(name, func(t *testing.T) {
				url := p.Database()
				f(t, func(o store.Options) *rig { return open(t, url, o) })
			})
		}
	})
}

func owners(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	got, err := r.Project(ctx, "search")
	want := store.Project{Name: "search", Team: "core", Stamp: store.Stamp{Created: *r.now, Changed: *r.now, Version: 1}}
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	*r.now = r.now.Add(time.Hour)
	r.change(func(tx *store.Tx) error {
		_, err := tx.UpdateTeam("core", 1, func(v *store.Team) error { v.Title, v.Organization = "Core", "stolen"; return nil })
		return err
	})
	team, err := r.Team(ctx, "core")
	if err != nil || team.Title != "Core" || team.Organization != "acme" || team.Version != 2 || !team.Changed.Equal(*r.now) || team.Created.Equal(*r.now) {
		t.Errorf("got %+v, %v", team, err)
	}
	r.refused(store.Exists, "", func(tx *store.Tx) error { return tx.CreateTeam(&store.Team{Name: "core", Organization: "acme"}) })
	r.refused(store.Invalid, "organization", func(tx *store.Tx) error { return tx.CreateTeam(&store.Team{Name: "lost", Organization: "nobody"}) })
	r.refused(store.Invalid, "name", func(tx *store.Tx) error { return tx.CreateTeam(&store.Team{Name: "Not So", Organization: "acme"}) })
	r.refused(store.Invalid, "title", func(tx *store.Tx) error {
		return tx.CreateOrganization(&store.Organization{Name: "x", Title: strings.Repeat("x", 201)})
	})
	r.refused(store.InUse, "", func(tx *store.Tx) error { return tx.DeleteTeam("core", 0) })
	r.refused(store.InUse, "", func(tx *store.Tx) error { return tx.DeleteOrganization("acme", 0) })
	r.refused(store.Missing, "", func(tx *store.Tx) error { return tx.DeleteProject("nothing", 0) })
	r.change(func(tx *store.Tx) error {
		return errors.Join(tx.DeleteProject("search", 1), tx.DeleteTeam("core", 2), tx.DeleteTeam("edge", 1), tx.DeleteOrganization("acme", 1))
	})
	if all, _, err := r.Organizations(ctx, store.Page{}); err != nil || len(all) != 0 {
		t.Errorf("left: %v, %v", all, err)
	}
}

func keys(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	d := auth.NewDirectory(secret.New("pepper"))
	made, text := r.issue(d, store.Key{Name: "app", Project: "search", Expires: r.now.Add(time.Hour), Scope: store.Scope{Models: []string{"gpt-*"}, Operations: []string{"chat"}, Networks: []string{"10.0.0.0/8"}, Regions: []string{"eu"}, Routes: []string{"r"}}})
	if made.Organization != "acme" || made.Team != "core" || made.Role != "member" || made.State != store.Active || len(made.Secrets) != 1 {
		t.Errorf("got %+v", made)
	}
	for _, by := range []string{made.ID, "app"} {
		got, err := r.Key(ctx, by)
		if diff := cmp.Diff(got, made); err != nil || diff != "" {
			t.Errorf("by %s: %v %s", by, err, diff)
		}
	}
	if h := made.Secrets[0].Hint; !strings.HasPrefix(text, strings.TrimSuffix(h, "…")) || strings.Contains(h, strings.Split(text, "_")[3]) {
		t.Errorf("the hint is %s", h)
	}
	issued := func() []auth.Issued {
		t.Helper()
		all, err := r.Issued(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	all := issued()
	if len(all) != 1 || all[0].Digest != d.Digest(text) || all[0].Key.Owner != (auth.Owner{Organization: "acme", Team: "core", Project: "search"}) || !all[0].Key.Expires.Equal(made.Expires) || len(all[0].Key.Scope.Networks) != 1 {
		t.Fatalf("got %+v", all)
	}
	for _, c := range []struct {
		state store.KeyState
		want  int
	}{{store.Disabled, 0}, {store.Active, 1}} {
		r.change(func(tx *store.Tx) error {
			_, err := tx.UpdateKey("app", 0, string(c.state), func(k *store.Key) error { k.State, k.Team = c.state, "edge"; return nil })
			return err
		})
		if got := len(issued()); got != c.want {
			t.Errorf("%s: %d secrets let in, want %d", c.state, got, c.want)
		}
	}
	r.change(func(tx *store.Tx) error { _, err := tx.RevokeKey(made.ID, 3); return err })
	if got := len(issued()); got != 0 {
		t.Errorf("revoked: %d secrets let in", got)
	}
	r.refused(store.Invalid, "state", func(tx *store.Tx) error {
		_, err := tx.UpdateKey("app", 0, "enable", func(k *store.Key) error { k.State = store.Active; return nil })
		return err
	})
	r.change(func(tx *store.Tx) error { return tx.DeleteKey("app", 0) })
	if _, err := r.Key(ctx, made.ID); err == nil {
		t.Error("a deleted key is there")
	}
}

func wrongKeys(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{})
	r.owners()
	d := auth.NewDirectory()
	r.issue(d, store.Key{Name: "taken", Team: "core"})
	for field, k := range map[string]store.Key{
		"name":             {Name: "UPPER", Team: "core"},
		"":                 {Name: "taken", Team: "core"},
		"team":             {Name: "k", Team: "nobody"},
		"project":          {Name: "k", Project: "nobody"},
		"organization":     {Name: "k"},
		"role":             {Name: "k", Team: "core", Role: "root"},
		"expires":          {Name: "k", Team: "core", Expires: *r.now},
		"scope.operations": {Name: "k", Team: "core", Scope: store.Scope{Operations: []string{"chats"}}},
		"scope.networks":   {Name: "k", Team: "core", Scope: store.Scope{Networks: []string{"10.0.0.1/8"}}},
		"scope.models":     {Name: "k", Team: "core", Scope: store.Scope{Models: []string{"a b"}}},
	} {
		want := store.Invalid
		if field == "" {
			want = store.Exists
		}
		s, err := auth.Generate("test")
		if err != nil {
			t.Fatal(err)
		}
		r.refused(want, field, func(tx *store.Tx) error { return tx.CreateKey(&k, s, d.Digest(s)) })
	}
	s, _ := auth.Generate("test")
	r.refused(store.Invalid, "team", func(tx *store.Tx) error {
		return tx.CreateKey(&store.Key{Name: "k", Project: "search", Team: "edge"}, s, d.Digest(s))
	})
}

func rotation(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	d := auth.NewDirectory()
	k, first := r.issue(d, store.Key{Name: "app", Team: "core"})
	second, err := auth.Generate("test")
	if err != nil {
		t.Fatal(err)
	}
	*r.now = r.now.Add(time.Minute)
	r.change(func(tx *store.Tx) error {
		k, err = tx.RotateKey("app", 0, second, d.Digest(second), time.Hour)
		return err
	})
	if len(k.Secrets) != 2 || k.Version != 2 || !k.Secrets[1].Until.Equal(r.now.Add(time.Hour)) || !k.Secrets[0].Until.IsZero() {
		t.Errorf("got %+v", k)
	}
	all, err := r.Issued(ctx, k.ID)
	if err != nil || len(all) != 2 || all[0].Key != all[1].Key {
		t.Fatalf("got %+v, %v", all, err)
	}
	d.Replace(all)
	g := auth.NewGate(nil, auth.Options{Issued: d})
	may := func(key string, at time.Time) bool {
		_, err := g.Admit(auth.Request{Header: func(n string) []string {
			if n == "x-api-key" {
				return []string{key}
			}
			return nil
		}, Now: at})
		return err == nil
	}
	if !may(first, r.now.Add(59*time.Minute)) || may(first, r.now.Add(time.Hour)) || !may(second, r.now.Add(1000*time.Hour)) {
		t.Error("the overlap is not as long as asked for")
	}
	*r.now = r.now.Add(2 * time.Hour)
	third, _ := auth.Generate("test")
	r.change(func(tx *store.Tx) error {
		k, err = tx.RotateKey("app", 2, third, d.Digest(third), 0)
		return err
	})
	if len(k.Secrets) != 1 { // without an overlap the second ends now; the first is over
		t.Errorf("got %+v", k.Secrets)
	}
	r.refused(store.Stale, "version", func(tx *store.Tx) error { _, err := tx.RotateKey("app", 2, third, d.Digest(third), 0); return err })
}

func budgets(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	b := store.Budget{Level: "team", Owner: "core", Unit: "money", Amount: 500_000_000_000, Per: "month", Zone: "Europe/Berlin", Model: "gpt-5*", AlertAt: []int{50, 80, 100}}
	r.change(func(tx *store.Tx) error { made := b; err := tx.CreateBudget(&made); b.ID = made.ID; return err })
	if b.ID != "team_core_money_month_gpt_2d5_2a" {
		t.Errorf("the id is %s", b.ID)
	}
	got, err := r.Budget(ctx, b.ID)
	b.Stamp = got.Stamp
	if diff := cmp.Diff(got, b); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	r.change(func(tx *store.Tx) error {
		_, err := tx.UpdateBudget(b.ID, 1, func(b *store.Budget) error { b.Amount, b.Soft, b.Owner = 1<<53-1, true, "edge"; return nil })
		return err
	})
	if got, err = r.Budget(ctx, b.ID); err != nil || got.Amount != 1<<53-1 || !got.Soft || got.Owner != "core" {
		t.Errorf("got %+v, %v", got, err)
	}
	for field, bad := range map[string]store.Budget{
		"level":    {Level: "world", Owner: "core", Unit: "money", Per: "day"},
		"owner":    {Level: "team", Owner: "nobody", Unit: "money", Amount: 1, Per: "day"},
		"unit":     {Level: "team", Owner: "core", Unit: "euro", Per: "day"},
		"per":      {Level: "team", Owner: "core", Unit: "money", Per: "year"},
		"amount":   {Level: "team", Owner: "core", Unit: "money", Per: "day", Amount: 1 << 53},
		"zone":     {Level: "team", Owner: "core", Unit: "money", Amount: 1, Per: "day", Zone: "Mars/Olympus"},
		"alert_at": {Level: "team", Owner: "core", Unit: "money", Amount: 1, Per: "day", AlertAt: []int{80, 50}},
	} {
		r.refused(store.Invalid, field, func(tx *store.Tx) error { return tx.CreateBudget(&bad) })
	}
	r.refused(store.Exists, "", func(tx *store.Tx) error {
		return tx.CreateBudget(&store.Budget{Level: "team", Owner: "core", Unit: "money", Amount: 1, Per: "month", Model: "gpt-5*"})
	})
	r.change(func(tx *store.Tx) error { return tx.DeleteProject("search", 0) })
	r.refused(store.InUse, "", func(tx *store.Tx) error { return tx.DeleteTeam("core", 0) })
	r.change(func(tx *store.Tx) error { return errors.Join(tx.DeleteBudget(b.ID, 2), tx.DeleteTeam("core", 0)) })
	k, _ := r.issue(auth.NewDirectory(), store.Key{Name: "app", Team: "edge"})
	r.change(func(tx *store.Tx) error {
		return errors.Join(
			tx.CreateBudget(&store.Budget{Level: "key", Owner: "app", Unit: "requests", Amount: 5, Per: "minute"}),
			tx.CreateBudget(&store.Budget{Level: "end_user", Owner: k.ID, Unit: "requests", Amount: 5, Per: "minute"}),
			tx.DeleteKey("app", 0))
	})
	if all, _, err := r.Budgets(ctx, "", "", store.Page{}); err != nil || len(all) != 0 {
		t.Errorf("left of a deleted key: %v, %v", all, err)
	}
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
	if k := set(r, "sk-provider-1"); k.Hint != "…er-1" || k.Version != 1 {
		t.Errorf("got %+v", k)
	}
	if k := set(r, "sk-provider-2"); k.Version != 2 {
		t.Errorf("got %+v", k)
	}
	if v, err := r.OpenProviderKey(ctx, "core", "openai"); err != nil || v.Reveal() != "sk-provider-2" {
		t.Errorf("got %q, %v", v.Reveal(), err)
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
	if v, err := now.OpenProviderKey(ctx, "core", "openai"); err != nil || v.Reveal() != "sk-provider-2" {
		t.Errorf("after a rotation: %q, %v", v.Reveal(), err)
	}
	if _, err := r.OpenProviderKey(ctx, "core", "openai"); err == nil || strings.Contains(err.Error(), "sk-provider") {
		t.Errorf("the old secret opens, or %v", err)
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

func audit(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	d := auth.NewDirectory()
	k, text := r.issue(d, store.Key{Name: "app", Team: "core"})
	r.change(func(tx *store.Tx) error {
		_, err := tx.UpdateKey("app", 0, "disable", func(k *store.Key) error { k.State = store.Disabled; return nil })
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
}

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

func idempotency(t *testing.T, at func(store.Options) *rig) {
	r := at(store.Options{})
	r.owners()
	ask := func(by, id, request, name string) (answer string, again bool, err error) {
		err = r.Change(context.Background(), store.Actor{Name: by}, func(tx *store.Tx) error {
			var b []byte
			b, again, err = tx.Once(id, []byte(request), func() ([]byte, error) {
				return []byte("made " + name), tx.CreateTeam(&store.Team{Name: name, Organization: "acme"})
			})
			answer = string(b)
			return err
		})
		return answer, again, err
	}
	if a, again, err := ask("ann", "k1", "x", "one"); a != "made one" || again || err != nil {
		t.Errorf("got %s, %v, %v", a, again, err)
	}
	if a, again, err := ask("ann", "k1", "x", "two"); a != "made one" || !again || err != nil {
		t.Errorf("again: got %s, %v, %v", a, again, err)
	}
	if _, _, err := ask("ann", "k1", "y", "two"); err == nil {
		t.Error("another request got the answer")
	}
	if a, again, err := ask("bob", "k1", "x", "three"); a != "made three" || again || err != nil {
		t.Errorf("another actor: got %s, %v, %v", a, again, err)
	}
	if _, _, err := ask("ann", "k2", "x", "one"); err == nil {
		t.Error("a failed request has an answer")
	}
	if a, _, err := ask("ann", "k2", "x", "four"); a != "made four" || err != nil {
		t.Errorf("after a failure: got %s, %v", a, err)
	}
	*r.now = r.now.Add(25 * time.Hour)
	if a, again, err := ask("ann", "k1", "y", "five"); a != "made five" || again || err != nil {
		t.Errorf("after a day: got %s, %v, %v", a, again, err)
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
	state := func(s store.KeyState) {
		t.Helper()
		r.change(func(tx *store.Tx) error {
			_, err := tx.UpdateKey(k.ID, 0, "state", func(k *store.Key) error { k.State = s; return nil })
			return err
		})
		begin := time.Now()
		for admitted() != (s == store.Active) {
			if time.Since(begin) > time.Second {
				t.Fatalf("%s does not count after a second", s)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	state(store.Disabled)
	state(store.Active)
	r.change(func(tx *store.Tx) error { _, err := tx.RevokeKey(k.ID, 0); return err })
	for begin := time.Now(); admitted(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > time.Second {
			t.Fatal("a revoked key is let in after a second")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"key", "key", "key"}; !cmp.Equal(seen, want) {
		t.Errorf("told of %v, want %v", seen, want)
	}
}

// atOnce has several write at once: no change is lost, and the log has no gap and one order.
func atOnce(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	const writers, each = 4, 10
	var wg sync.WaitGroup
	errs := make(chan error, writers*each)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				errs <- r.Change(ctx, admin, func(tx *store.Tx) error {
					_, err := tx.UpdateTeam("core", 0, func(v *store.Team) error { v.Title = fmt.Sprint(w, i); return nil })
					return err
				})
			}
		})
	}
	wg.Wait()
	close(errs)
	lost := 0
	for err := range errs {
		if err != nil {
			if f, ok := errors.AsType[*store.Fault](err); !ok || f.Reason != store.Stale {
				t.Error(err)
			}
			lost++ // it was told so
		}
	}
	team, err := r.Team(ctx, "core")
	if err != nil || team.Version != int64(1+writers*each-lost) {
		t.Errorf("version %d with %d of %d refused, %v", team.Version, lost, writers*each, err)
	}
	all, _, err := r.Audit(ctx, store.AuditFilter{}, 1000)
	if err != nil || len(all) != 4+writers*each-lost {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	for i, e := range all {
		if want := int64(len(all) - i); e.Seq != want {
			t.Fatalf("entry %d has the number %d", want, e.Seq)
		}
	}
}

func nothingHalfWay(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	oops := errors.New("oops")
	if err := r.Change(ctx, admin, func(tx *store.Tx) error {
		return errors.Join(tx.CreateTeam(&store.Team{Name: "half", Organization: "acme"}), oops)
	}); !errors.Is(err, oops) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Team(ctx, "half"); err == nil {
		t.Error("a change that failed is there")
	}
	if all, _, err := r.Audit(ctx, store.AuditFilter{Object: "half"}, 0); err != nil || len(all) != 0 {
		t.Errorf("it is in the log: %v, %v", all, err)
	}
}
