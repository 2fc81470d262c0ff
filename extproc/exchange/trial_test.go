package exchange_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
)

// trying makes a core whose route has an experiment of two arms, each with a model of its own.
func trying(t *testing.T) *exchange.Core {
	t.Helper()
	kind, _ := all.Kinds().Kind("openai")
	base, err := url.Parse("https://api.openai.example/v1")
	if err != nil {
		t.Fatal(err)
	}
	a, err := kind.New(providers.Env{Name: "openai", BaseURL: base}, kind.Params())
	if err != nil {
		t.Fatal(err)
	}
	p := &providers.Provider{Name: "openai", Kind: "openai", Base: base, Adapter: a, Keys: providers.NewKeyring(providers.Key{ID: "k", Secret: secret.New("sk-0")})}
	e := &experiment.Experiment{Name: "smaller", By: experiment.ByKey, Arms: []experiment.Arm{{Name: "control", Weight: 1}, {Name: "small", Weight: 1}}}
	rt := &routing.Route{Name: "r", Models: []string{"smart"}, Targets: []routing.Target{{Provider: "openai", Model: "gpt-5.1"}}}
	rt.Trial = &routing.Trial{Experiment: e}
	for _, arm := range e.Arms {
		own := *rt
		own.Targets = []routing.Target{{Provider: "openai", Model: "of-" + arm.Name}}
		own.Trial = nil
		rt.Trial.Routes, rt.Trial.Labels = append(rt.Trial.Routes, &own), append(rt.Trial.Labels, "smaller/"+arm.Name)
	}
	var clients []*auth.Key
	for i := range 20 {
		name := fmt.Sprint("key-", i)
		clients = append(clients, &auth.Key{ID: name, Name: name, Hash: sha256.Sum256([]byte(clientSecret(i))), Role: auth.RoleMember, Owner: auth.Owner{Organization: auth.DefaultOrganization}})
	}
	return exchange.New(&exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{rt}, nil), Providers: map[string]*providers.Provider{"openai": p}, Registry: all.Kinds(), Servers: all.Servers(),
		Keys: auth.NewGate(clients, auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
	}, exchange.Options{})
}

func clientSecret(i int) string { return fmt.Sprint("sk-of-the-client-", i) }

// TestExchangesAreOfArms: a key keeps its arm in every process, its target is the arm's, and the ticket says which it is.
func TestExchangesAreOfArms(t *testing.T) {
	one, other := trying(t), trying(t)
	ask := func(c *exchange.Core, key int) *ticket.Ticket {
		x := c.Begin()
		x.Head(context.Background(), exchange.Header{
			{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "gateway.example"},
			{Name: "authorization", Value: "Bearer " + clientSecret(key)}, {Name: "content-type", Value: "application/json"},
		}, false)
		r := x.Body(context.Background(), []byte(`{"model":"smart","messages":[{"role":"user","content":"Hello"}]}`))
		if r.Plan == nil {
			t.Fatalf("it is refused: %s", r.Answer.Body)
		}
		k, err := ticket.Read(r.Plan.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	arms := map[string]int{}
	for key := range 20 {
		k := ask(one, key)
		arms[k.Rules.Arm]++
		if again := ask(other, key); again.Rules.Arm != k.Rules.Arm {
			t.Errorf("key %d has the arms %s and %s", key, k.Rules.Arm, again.Rules.Arm)
		}
		if want := "openai/of-" + strings.TrimPrefix(k.Rules.Arm, "smaller/"); k.Steps[0].Target() != want {
			t.Errorf("the arm %s goes to %s, want %s", k.Rules.Arm, k.Steps[0].Target(), want)
		}
	}
	if len(arms) != 2 || arms["smaller/control"] < 4 || arms["smaller/small"] < 4 {
		t.Errorf("arms %v", arms)
	}
}
