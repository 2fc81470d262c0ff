package traffic

import (
	"context"
	"slices"
	"testing"
)

func TestConnectionsTakeRequestsInTurn(t *testing.T) {
	u, err := NewUpstream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	l, err := NewLoads(t.Context(), []Asked{{Address: u.Address(), Key: "a"}, {Address: u.Address(), Key: "b"}}, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var keys []string
	for _, c := range l.clients {
		for _, k := range []string{"a", "b"} {
			if slices.Equal(c.request, (Asked{Address: u.Address(), Key: k}).bytes()) {
				keys = append(keys, k)
			}
		}
	}
	if want := []string{"a", "b", "a", "b", "a"}; !slices.Equal(keys, want) {
		t.Errorf("got %v, want %v", keys, want)
	}
	l.Once()
	if whole, first := l.Times(); l.Fault() != nil || len(whole) != 5 || len(first) != 5 {
		t.Errorf("got %d and %d times, want 5 without those of warming up: %v", len(whole), len(first), l.Fault())
	}
}
