package auth

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Whose tokens are an organization's may name its own teams: who issues them need not be who runs the gateway.
func TestClaimsNameTeamsOfTheirOrganization(t *testing.T) {
	teams := map[string]string{"core": "acme", "edge": "acme", "other": "globex"}
	groups := func(names ...any) map[string]any { return map[string]any{"groups": names} }
	tenant := func(organization, team string) map[string]any {
		return map[string]any{"tenant": organization, "team": team}
	}
	for _, c := range []struct {
		name   string
		key    Owner
		claims Claims
		says   map[string]any
		want   Owner // {}: refused
	}{
		{"a team, where no organization is said", Owner{}, Claims{Team: "groups"}, groups("other", "x"), Owner{Organization: "globex", Team: "other"}},
		{"a team of the organization that is said", Owner{Organization: "acme"}, Claims{Team: "groups"}, groups("core"), Owner{Organization: "acme", Team: "core"}},
		{"a team of another organization", Owner{Organization: "acme"}, Claims{Team: "groups"}, groups("other"), Owner{}},
		{"a team of it and one of another", Owner{Organization: "acme"}, Claims{Team: "groups"}, groups("other", "edge"), Owner{Organization: "acme", Team: "edge"}},
		{"both", Owner{}, Claims{Organization: "tenant", Team: "team"}, tenant("acme", "core"), Owner{Organization: "acme", Team: "core"}},
		{"both, which do not agree", Owner{}, Claims{Organization: "tenant", Team: "team"}, tenant("globex", "core"), Owner{}},
		{"an organization, which is not that of the team that is said", Owner{Organization: "acme", Team: "core"}, Claims{Organization: "tenant"}, tenant("globex", ""), Owner{}},
		{"an organization, which is that of the team that is said", Owner{Organization: "acme", Team: "core"}, Claims{Organization: "tenant"}, tenant("acme", ""), Owner{Organization: "acme", Team: "core"}},
	} {
		g := NewGate(nil, Options{Issuers: []Issuer{{Name: "corp", Key: &Key{Name: "corp", Owner: c.key, Role: RoleMember}, Claims: c.claims, Teams: teams}}})
		who, err := g.Admit(Request{Header: headers{}.get, Proof: Proof{Issuer: "corp", Claims: c.says}})
		refused := err != nil && g.Reason(err) == "forbidden"
		if got := who.Owner(); got != c.want || refused != (c.want == Owner{}) {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
	// Of teams that only a store has, no organization is known here: the one that is said counts.
	g := NewGate(nil, Options{Issuers: []Issuer{{Name: "corp", Key: &Key{Name: "corp", Owner: Owner{Organization: "acme"}, Role: RoleMember}, Claims: Claims{Team: "groups"}}}})
	who, err := g.Admit(Request{Header: headers{}.get, Proof: Proof{Issuer: "corp", Claims: groups("new")}})
	if err != nil || who.Owner() != (Owner{Organization: "acme", Team: "new"}) || who.Use(llm.OpChat) != nil {
		t.Errorf("got %+v, %v", who.Owner(), err)
	}
}
