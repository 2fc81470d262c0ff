package auth

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestWhyNobodyIsLetInIsKnownToUsAlone(t *testing.T) {
	now := time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)
	hash := func(s string) [32]byte {
		sum, err := ParseHash(HashKey(s))
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	g := NewGate([]*Key{
		{ID: "old", Name: "old", Hash: hash("sk-old-key-1"), Expires: now.Add(-time.Hour)},
		{ID: "here", Name: "here", Hash: hash("sk-here-key-1"), Scope: Scope{Networks: []netip.Prefix{network(t, "10.0.0.0/8")}}},
	}, Options{})
	for name, c := range map[string]struct {
		header http.Header
		proof  Proof
		want   string
	}{
		"no key":           {http.Header{}, Proof{}, "missing"},
		"another scheme":   {http.Header{"authorization": {"Basic eDp5"}}, Proof{}, "missing"},
		"a wrong key":      {http.Header{"authorization": {"Bearer sk-nobody-has-this"}}, Proof{}, "unknown"},
		"its time is over": {http.Header{"authorization": {"Bearer sk-old-key-1"}}, Proof{}, "expired"},
		"from elsewhere":   {http.Header{"authorization": {"Bearer sk-here-key-1"}, "x-forwarded-for": {"192.0.2.1"}}, Proof{}, "forbidden"},
		"two keys":         {http.Header{"authorization": {"Bearer sk-old-key-1"}, "x-api-key": {"sk-here-key-1"}}, Proof{}, "invalid"},
		"a bad token":      {http.Header{"authorization": {"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln"}}, Proof{Fault: "Jwt verification fails"}, "token"},
	} {
		_, err := g.Admit(Request{Header: func(n string) []string { return c.header[n] }, Proof: c.proof, Now: now})
		if err == nil {
			t.Errorf("%s: let in", name)
			continue
		}
		if got := g.Reason(err); got != c.want {
			t.Errorf("%s: %s, want %s (%v)", name, got, c.want, err)
		}
	}
	if got := g.Reason(slowDown(time.Second)); got != "limited" {
		t.Errorf("a slowed down address: %s", got)
	}
}
