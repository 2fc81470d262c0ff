package store_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
)

func keys(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	d := auth.NewDirectory(secret.New("pepper"))
	made, text := r.issue(d, store.Key{Name: "app", Project: "search", Expires: r.now.Add(time.Hour), Scope: store.Scope{Models: []string{"gpt-*"}, Operations: []string{"chat"}, Networks: []string{"10.0.0.0/8"}, Regions: []string{"eu"}, Routes: []string{"r"}, Templates: []string{"support-*"}}})
	if made.Organization != "acme" || made.Team != "core" || made.Role != "member" || made.State != "active" || len(made.Secrets) != 1 {
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
	if len(all) != 1 || all[0].Digest != d.Digest(text) || all[0].Key.Owner != (auth.Owner{Organization: "acme", Team: "core", Project: "search"}) || !all[0].Key.Expires.Equal(made.Expires) || len(all[0].Key.Scope.Networks) != 1 || len(all[0].Key.Scope.Templates) != 1 {
		t.Fatalf("got %+v", all)
	}
	for _, c := range []struct {
		state string
		want  int
	}{{"disabled", 0}, {"active", 1}} {
		r.change(func(tx *store.Tx) error {
			_, err := tx.UpdateKey("app", 0, c.state, func(k *store.Key) error { k.State, k.Team = c.state, "edge"; return nil })
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
		_, err := tx.UpdateKey("app", 0, "enable", func(k *store.Key) error { k.State = "active"; return nil })
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
		"scope.templates":  {Name: "k", Team: "core", Scope: store.Scope{Templates: []string{"a b"}}},
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

// bounded has keys that are bounded alike, otherwise and not at all, in the order in which they are read.
func bounded(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	d := auth.NewDirectory()
	want, texts := map[string]string{}, map[string]string{}
	for i, model := range []string{"", "gpt-*", "gpt-*", "", "claude-*", "gpt-*", ""} {
		k := store.Key{Name: "app-" + strconv.Itoa(i), Team: "core"}
		if model != "" {
			k.Scope.Models = []string{model}
		}
		made, text := r.issue(d, k)
		want[made.ID], texts[made.ID] = model, text
	}
	all, err := r.Issued(ctx, "")
	if err != nil || len(all) != len(want) {
		t.Fatalf("%d secrets, %v", len(all), err)
	}
	for _, i := range all {
		if got := strings.Join(i.Key.Scope.Models, " "); got != want[i.Key.ID] {
			t.Errorf("%s is bounded to %q, not %q", i.Key.Name, got, want[i.Key.ID])
		}
	}
	if err := (&store.Follower{Store: r.Store, Issued: d}).Load(ctx); err != nil {
		t.Fatal(err)
	}
	g := auth.NewGate(nil, auth.Options{Issued: d})
	for id, text := range texts {
		who, err := g.Admit(auth.Request{Header: func(n string) []string {
			if n == "x-api-key" {
				return []string{text}
			}
			return nil
		}, Now: *r.now})
		if err != nil || who.KeyID() != id || (who.Scope() == nil) != (want[id] == "") || who.Scope() != nil && who.Scope().Models[0] != want[id] {
			t.Errorf("%s is %s, bounded to %v, %v", id, who.KeyID(), who.Scope(), err)
		}
	}
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
