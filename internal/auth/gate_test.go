package auth

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

func TestCertificatesAsEnvoyWritesThem(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a URI", `By=spiffe://x/y;Hash=abc;Subject="";URI=spiffe://acme.example/a`, "uri [spiffe://acme.example/a] dns [] subject \"\" true"},
		{"several names", `Hash=abc;DNS=a.example;DNS=b.example`, "uri [] dns [a.example b.example] subject \"\" true"},
		{"a subject with separators and quotes", `Hash=abc;Subject="CN=a,O=\"x;y\"";URI=`, `uri [] dns [] subject "CN=a,O=\\\"x;y\\\"" true`},
		{"a subject with a separator in a name", `Subject="CN=batch\,O=acme,OU=x\\";URI=spiffe://own`, `uri [spiffe://own] dns [] subject "CN=batch\\,O=acme,OU=x\\\\" true`},
		{"the last of several is the connection's", `URI=spiffe://forged,By=x;URI=spiffe://own`, "uri [spiffe://own] dns [] subject \"\" true"},
		{"a separator in quotes is none", `Subject="CN=a,URI=spiffe://forged"`, `uri [] dns [] subject "CN=a,URI=spiffe://forged" true`},
		{"nothing", ``, "uri [] dns [] subject \"\" false"},
	} {
		p, ok := readPeer(c.in)
		if got := fmt.Sprintf("uri %v dns %v subject %q %v", nonEmpty(p.uris), p.names, p.subject, ok); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func nonEmpty(all []string) (out []string) {
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

func FuzzReadPeer(f *testing.F) {
	f.Add(`By=a;Hash=b;Subject="CN=\"x\"";URI=c,URI=d`)
	f.Fuzz(func(_ *testing.T, s string) { _, _ = readPeer(s) })
}

func TestACertificateCountsWhereNothingElseIsShown(t *testing.T) {
	g := NewGate([]*Key{hashed(t, "alice", "key-a")}, Options{Certificates: []Certificate{
		{URI: "spiffe://acme.example/*", Key: &Key{ID: "certificate:mesh", Name: "mesh", Role: RoleMember}},
		{Subject: "CN=ops*", Key: &Key{Name: "ops", Role: RoleMember}},
		{Subject: "CN=batch,*", Key: &Key{Name: "batch", Role: RoleMember}},
	}})
	for _, c := range []struct {
		name string
		in   headers
		want string
	}{
		{"by its URI", headers{"x-forwarded-client-cert": {"URI=spiffe://acme.example/a"}}, "mesh"},
		{"by its subject", headers{"x-forwarded-client-cert": {`Subject="CN=ops-1,O=acme"`}}, "ops"},
		{"by its whole name", headers{"x-forwarded-client-cert": {`Subject="CN=batch,O=acme"`}}, "batch"},
		{"whose name goes on behind a comma", headers{"x-forwarded-client-cert": {`Subject="CN=batch\,O=acme"`}}, "unauthenticated: no API key; send it as authorization: Bearer KEY or in one of x-api-key, api-key, x-goog-api-key"},
		{"of nobody who is known", headers{"x-forwarded-client-cert": {"URI=spiffe://else.example/a"}}, "unauthenticated: no API key; send it as authorization: Bearer KEY or in one of x-api-key, api-key, x-goog-api-key"},
		{"beside a key", headers{"x-forwarded-client-cert": {"URI=spiffe://acme.example/a"}, "x-api-key": {"key-a"}}, "alice"},
		{"beside a wrong key", headers{"x-forwarded-client-cert": {"URI=spiffe://acme.example/a"}, "x-api-key": {"key-b"}}, "unauthenticated: the API key is not valid"},
	} {
		who, err := g.Admit(Request{Header: c.in.get})
		if got := who.Name() + describe(err); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestClaimsInAHeaderOfAnotherEnvoy(t *testing.T) {
	g := NewGate(nil, Options{Issuers: []Issuer{{Name: "mesh", Header: "x-jwt-payload", Key: &Key{Name: "mesh", Role: RoleMember}, Claims: Claims{Team: "https://acme.example/team", User: "sub"}}}})
	// {"sub":"ann","https://acme.example/team":"core"}
	who, err := g.Admit(Request{Header: headers{"x-jwt-payload": {"eyJzdWIiOiJhbm4iLCJodHRwczovL2FjbWUuZXhhbXBsZS90ZWFtIjoiY29yZSJ9"}}.get})
	if err != nil || who.Name() != "mesh" || who.Owner().Team != "core" || who.EndUser() != "ann" {
		t.Errorf("got %s of %+v for %s, %v", who.Name(), who.Owner(), who.EndUser(), err)
	}
	if _, err := g.Admit(Request{Header: headers{"x-jwt-payload": {"%%%"}}.get}); err == nil {
		t.Error("let in by what cannot be read")
	}
}

func TestEndUsers(t *testing.T) {
	g := Open(Options{UserHeader: "x-user-id"})
	for _, c := range []struct {
		name string
		in   headers
		want string
	}{
		{"none", headers{}, ""},
		{"one", headers{"x-user-id": {"ann@acme.example"}}, "ann@acme.example"},
		{"two", headers{"x-user-id": {"ann", "bob"}}, "invalid x-user-id"},
		{"empty", headers{"x-user-id": {""}}, "invalid x-user-id"},
		{"too long", headers{"x-user-id": {strings.Repeat("u", maxUser+1)}}, "invalid x-user-id"},
		{"a control character", headers{"x-user-id": {"a\tb"}}, "invalid x-user-id"},
	} {
		who, err := g.Admit(Request{Header: c.in.get})
		said, _, _ := strings.Cut(describe(err), ":")
		if got := who.EndUser() + said; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestIssuedKeys(t *testing.T) {
	d := NewDirectory(secret.New("new"), secret.New("old"))
	old := NewDirectory(secret.New("old"))
	k := &Key{ID: "k1", Name: "app", Role: RoleMember}
	now := time.Unix(1000, 0)
	d.Replace([]Issued{{Digest: d.Digest("key-new"), Key: k}, {Digest: old.Digest("key-old"), Until: time.Unix(1010, 0), Key: k}})
	g := NewGate(nil, Options{Issued: d})
	may := func(key string, at time.Time) bool {
		who, err := g.Admit(Request{Header: headers{"x-api-key": {key}}.get, Now: at})
		return err == nil && who.KeyID() == "k1"
	}
	if !may("key-new", now) || !may("key-old", now) {
		t.Error("a secret of the key is refused")
	}
	if may("key-old", time.Unix(1010, 0)) || !may("key-new", time.Unix(1010, 0)) {
		t.Error("the overlap of a rotation has no end, or ends both")
	}
	d.Change("k1", []Issued{{Digest: d.Digest("key-3"), Key: k}})
	if may("key-new", now) || !may("key-3", now) || d.Len() != 1 {
		t.Errorf("a change does not count; %d secrets", d.Len())
	}
	d.Change("k1", nil)
	if may("key-3", now) || d.Len() != 0 {
		t.Errorf("a revoked key is let in; %d secrets", d.Len())
	}
	d.Replace(nil)
	if NewDirectory().Digest("x") == d.Digest("x") || d.Digest("x") == old.Digest("x") {
		t.Error("a digest does not depend on its pepper")
	}
}

func TestWrongKeysSlowAnAddressDown(t *testing.T) {
	l := NewLimiter(3, time.Minute, 100)
	a, now := netip.MustParseAddr("192.0.2.1"), time.Unix(1000, 0)
	fail := func(n byte) { l.Failed(a, [32]byte{n}, now) }
	for n := range byte(3) {
		fail(n)
		fail(n) // the same again is no guess
	}
	if w := l.Wait(a, now); w != 0 {
		t.Errorf("waits %s for what is free", w)
	}
	for i, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		fail(byte(10 + i))
		if w := l.Wait(a, now); w != time.Duration(want)*time.Second {
			t.Errorf("wrong key %d: waits %s, want %ds", 4+i, w, want)
		}
	}
	if w := l.Wait(netip.MustParseAddr("::ffff:192.0.2.1"), now); w != time.Minute {
		t.Errorf("the same address in another form waits %s", w)
	}
	if w := l.Wait(netip.MustParseAddr("192.0.2.2"), now); w != 0 {
		t.Errorf("another address waits %s", w)
	}
	now = now.Add(time.Minute)
	if w := l.Wait(a, now); w != 0 {
		t.Errorf("after its time it waits %s", w)
	}
	now = now.Add(forgetAfter)
	fail(1)
	if w := l.Wait(a, now); w != 0 {
		t.Errorf("what was long ago counts: waits %s", w)
	}
	l.Failed(netip.Addr{}, [32]byte{}, now)
	if (*Limiter)(nil).Wait(a, now) != 0 {
		t.Error("no limiter limits")
	}
}

func TestTheTableOfAddressesIsBounded(t *testing.T) {
	const most = 50
	l := NewLimiter(1, time.Minute, most)
	now := time.Unix(1000, 0)
	for i := range 1000 {
		now = now.Add(time.Millisecond)
		l.Failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), [32]byte{1}, now)
		if len(l.m) > most {
			t.Fatalf("%d addresses", len(l.m))
		}
	}
	six := func(s string) { l.Failed(netip.MustParseAddr(s), [32]byte{byte(len(s))}, now) }
	six("2001:db8::1")
	six("2001:db8::1:2:3:4")
	if w := l.Wait(netip.MustParseAddr("2001:db8::ffff"), now); w == 0 {
		t.Error("addresses of one /64 are told apart")
	}
}

func TestAWaitingAddressLearnsNothingOfItsKey(t *testing.T) {
	g := NewGate([]*Key{hashed(t, "alice", "key-a")}, Options{Failures: NewLimiter(1, time.Minute, 100)})
	ask := func(key string) error {
		_, err := g.Admit(Request{Header: headers{"x-api-key": {key}, "x-forwarded-for": {"192.0.2.1"}}.get, Now: time.Unix(1000, 0)})
		return err
	}
	_, _ = ask("wrong-1"), ask("wrong-2")
	good, bad := describe(ask("key-a")), describe(ask("wrong-3"))
	if good != bad || !strings.HasPrefix(good, llm.CodeRateLimited.String()) {
		t.Errorf("a good key gets %s, a bad one %s", good, bad)
	}
}

func BenchmarkAdmit(b *testing.B) {
	k := hashed(b, "alice", "key-a")
	g := NewGate([]*Key{k}, Options{Failures: NewLimiter(20, time.Minute, 100)})
	h := headers{"authorization": {"Bearer key-a"}, "x-forwarded-for": {"192.0.2.1"}}
	d := NewDirectory(secret.New("pepper"))
	d.Replace([]Issued{{Digest: d.Digest("key-b"), Key: &Key{ID: "k", Name: "k", Role: RoleMember}}})
	issued := NewGate(nil, Options{Issued: d, Failures: NewLimiter(20, time.Minute, 100)})
	hb := headers{"authorization": {"Bearer key-b"}, "x-forwarded-for": {"192.0.2.1"}}
	for name, c := range map[string]struct {
		g *Gate
		h headers
	}{"static": {g, h}, "issued": {issued, hb}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.g.Admit(Request{Header: c.h.get, Now: time.Unix(1, 0)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
