package pass_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

func TestAPassIsForWhoGotIt(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	k := &auth.Key{
		ID: "id", Name: "app", Owner: auth.Owner{Organization: "acme", Team: "core", Project: "search"}, Role: auth.RoleMember, Tags: map[string]string{"a": "b"},
		Scope: auth.Scope{Models: []string{"gpt-*"}, Routes: []string{"chat"}, Operations: []llm.Op{llm.OpChat}, Regions: []string{"eu"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Templates: []string{"t"}},
	}
	who, ok := auth.NewGate([]*auth.Key{k}, auth.Options{}).Assume("app")
	if !ok {
		t.Fatal("the key is not known")
	}
	who = who.ForUser("u")
	one := pass.New(secret.New("what replicas share"))
	text, err := one.Issue(who, "a shadow", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*pass.Issuer{one, pass.New(secret.New("what replicas share"))} { // another replica
		got, about, err := p.Check(text, now)
		if err != nil || about != "a shadow" {
			t.Fatalf("%q, %v", about, err)
		}
		if d := cmp.Diff([]any{k.Owner, "id", "app", k.Role, &k.Scope, k.Tags, "u"}, []any{got.Owner(), got.KeyID(), got.Name(), got.Role(), got.Scope(), got.Tags(), got.EndUser()},
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
	}
	good := text
	text, mac, _ := strings.Cut(good, ".")
	for name, c := range map[string]struct {
		p    *pass.Issuer
		text string
		at   time.Time
	}{
		"of another process":      {pass.New(secret.Value{}), good, now},
		"of another secret":       {pass.New(secret.New("another")), good, now},
		"where there are none":    {nil, good, now},
		"whose time is over":      {one, good, now.Add(time.Minute)},
		"without its MAC":         {one, text, now},
		"with an empty MAC":       {one, text + ".", now},
		"with another's claims":   {one, "e30." + mac, now},
		"with a changed claim":    {one, "f" + text[1:] + "." + mac, now},
		"that is empty":           {one, "", now},
		"that is no base64":       {one, "%." + mac, now},
		"with something after it": {one, good + ".x", now},
	} {
		if got, about, err := c.p.Check(c.text, c.at); err == nil || got.Authenticated() || about != "" {
			t.Errorf("a pass %s is good", name)
		}
	}
	if _, err := one.Issue(auth.Identity{}, "x", now); err == nil {
		t.Error("nobody got a pass")
	}
}

func TestPassesOfAProcessAreItsOwn(t *testing.T) {
	now := time.Now()
	who, _ := auth.Open(auth.Options{}).Assume("")
	text, err := pass.New(secret.Value{}).Issue(who, "x", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := pass.New(secret.Value{}).Check(text, now); err == nil {
		t.Error("another process lets it in")
	}
}
