package auth

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

func network(t *testing.T, s string) netip.Prefix {
	t.Helper()
	p, err := ParseNetwork(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestScopes(t *testing.T) {
	var none *Scope
	s := &Scope{
		Models: []string{"gpt-*", "smart"}, Routes: []string{"chat"}, Operations: []llm.Op{llm.OpChat}, Regions: []string{"eu"},
		Networks: []netip.Prefix{network(t, "10.0.0.0/8"), network(t, "2001:db8::/32"), network(t, "192.0.2.7"), network(t, "::ffff:198.51.100.0/120")},
	}
	address := netip.MustParseAddr
	for _, c := range []struct {
		what      string
		got, want bool
	}{
		{"a model of a pattern", s.Model("gpt-5", "gpt-5"), true},
		{"an alias of its own name", s.Model("smart", "claude"), true},
		{"an alias of what it leads to", s.Model("best", "gpt-5"), true},
		{"what an allowed alias leads to, by its own name", s.Model("claude", "claude"), false},
		{"a provider's name before it", s.Model("openai/gpt-5", "openai/gpt-5"), false},
		{"another route", s.Route("chats"), false},
		{"a region", s.Region("eu"), true},
		{"a region within", s.Region("eu-west-1"), true},
		{"a region that begins alike", s.Region("europe"), false},
		{"no region", s.Region(""), false},
		{"counting for chat", s.Operation(llm.OpCount), true},
		{"another operation", s.Operation(llm.OpEmbed), false},
		{"an address within", s.Network(address("10.255.0.1")), true},
		{"an address of IPv4 in IPv6", s.Network(address("::ffff:10.255.0.1")), true},
		{"an address of a network of IPv4 in IPv6", s.Network(address("198.51.100.9")), true},
		{"one beside it", s.Network(address("198.51.101.9")), false},
		{"a single address", s.Network(address("192.0.2.7")), true},
		{"its neighbour", s.Network(address("192.0.2.8")), false},
		{"no address", s.Network(netip.Addr{}), false},
		{"no scope", none.Model("x", "x") && none.Route("x") && none.Region("") && none.Operation(llm.OpBatches) && none.Network(netip.Addr{}), true},
		{"an empty scope", (&Scope{}).Model("x", "x") && (&Scope{}).Region("") && (&Scope{}).Operation(llm.OpBatches) && (&Scope{}).Network(netip.Addr{}), true},
		{"an empty scope bounds nothing", (&Scope{}).Unbounded(), true},
		{"batches where models are bounded", (&Scope{Models: []string{"x"}}).Operation(llm.OpBatches), false},
		{"batches where routes are bounded", (&Scope{Routes: []string{"x"}}).Operation(llm.OpBatches), false},
		{"batches where regions are bounded", (&Scope{Regions: []string{"eu"}}).Operation(llm.OpBatches), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestTheClientsAddressIsWhatEnvoyTells(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		hops   int
		want   string
	}{
		{"the peer, which Envoy appends", []string{"10.0.0.1"}, 0, "10.0.0.1"},
		{"what a client wrote before it does not count", []string{"192.0.2.1, 10.0.0.1"}, 0, "10.0.0.1"},
		{"in several headers", []string{"192.0.2.1", "10.0.0.1"}, 0, "10.0.0.1"},
		{"behind a proxy that is believed", []string{"192.0.2.1, 198.51.100.1, 10.0.0.1"}, 1, "198.51.100.1"},
		{"fewer entries than proxies: the peer", []string{"10.0.0.1"}, 2, "10.0.0.1"},
		{"IPv6", []string{"2001:db8::1"}, 0, "2001:db8::1"},
		{"nothing", nil, 0, "invalid IP"},
		{"no address", []string{"here"}, 0, "invalid IP"},
	} {
		if got := clientAddress(c.values, c.hops).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestKeysEndAtTheirTime(t *testing.T) {
	k := hashed(t, "it", "key-a")
	k.Expires = time.Unix(1000, 0)
	g := NewGate([]*Key{k}, Options{})
	r := Request{Header: headers{"x-api-key": {"key-a"}}.get, Now: time.Unix(999, 999)}
	if _, err := g.Admit(r); err != nil {
		t.Error(err)
	}
	r.Now = time.Unix(1000, 0)
	if who, err := g.Admit(r); describe(err) != "unauthenticated: the API key has expired" || who.Authenticated() {
		t.Errorf("got %q, %v", who.Name(), err)
	}
}

func TestWhatRolesMayDo(t *testing.T) {
	for name, sends := range map[string]bool{"owner": true, "admin": true, "member": true, "viewer": false, "billing": false} {
		r, ok := ParseRole(name)
		if !ok || r.String() != name || r.Sends() != sends {
			t.Errorf("%s: %v, %v, sends %v", name, r, ok, r.Sends())
		}
		who := Identity{key: &Key{Role: r}}
		if err := who.Use(llm.OpChat); (err == nil) != sends {
			t.Errorf("%s: %v", name, err)
		}
		if err := who.Use(llm.OpModels); err != nil {
			t.Errorf("%s may not list models: %v", name, err)
		}
	}
	if r, ok := ParseRole(""); ok || r.Sends() {
		t.Error("no name is a role")
	}
	if err := (Identity{}).Use(llm.OpChat); err == nil {
		t.Error("nobody may send requests")
	}
}

func TestOperationsHaveNames(t *testing.T) {
	for _, name := range Operations() {
		if o, ok := ParseOperation(name); !ok || o.String() != name {
			t.Errorf("%s: %v, %v", name, o, ok)
		}
	}
	if _, ok := ParseOperation("unknown"); ok {
		t.Error("unknown is an operation")
	}
	if diff := cmp.Diff(Operations()[:3], []string{"chat", "complete", "count"}); diff != "" {
		t.Error(diff)
	}
}
