package memory

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// BenchmarkReserveSettle is one exchange over five budgets of three owners, with the clock's reading, beside
// what 4,096 exchanges of the last second left behind.
func BenchmarkReserveSettle(b *testing.B) {
	for _, keys := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("%d keys", keys), func(b *testing.B) { reserveSettle(b, keys) })
	}
}

func reserveSettle(b *testing.B, keys int) {
	ctx := context.Background()
	var ahead time.Duration
	s := New(Params{Keep: time.Second, Now: func() time.Time { return time.Now().Add(ahead) }})
	minute := window.Window{Kind: window.Sliding, Length: time.Minute}
	month := window.Window{Kind: window.Month}
	budget := func(owner string, u quota.Unit, w window.Window) *quota.Budget {
		return &quota.Budget{ID: owner + "_" + u.String() + "_0123456789abcdef", Unit: u, Limit: quota.Max, Window: w}
	}
	organization, team := budget("organization", quota.Money, month), budget("team", quota.Money, month)
	of := make([][5]*quota.Budget, keys)
	for k := range keys {
		of[k] = [5]*quota.Budget{
			organization, team,
			budget("k"+strconv.Itoa(k), quota.Requests, minute),
			budget("k"+strconv.Itoa(k), quota.Tokens, minute),
			budget("k"+strconv.Itoa(k), quota.Parallel, window.Window{Kind: window.Gauge}),
		}
	}
	claims := make([]quota.Claim, 5)
	ids := make([]string, 1<<14)
	for i := range ids {
		ids[i] = "x" + strconv.Itoa(100000+i)
	}
	r := &quota.Request{Organization: "acme", Hold: time.Minute, Levels: make([]quota.Level, 0, 5)}
	done := &quota.Settlement{Organization: "acme", Born: time.Now()}
	n := 0
	one := func() {
		for i, b := range of[n*7919%keys] {
			claims[i] = quota.Claim{Budget: b, Amount: 1000}
		}
		r.ID, r.Claims = ids[n%len(ids)], claims
		if g, refusal, err := s.Reserve(ctx, r); refusal != nil || err != nil || g.Again {
			b.Fatal(g, refusal, err)
		}
		for i := range claims {
			claims[i].Amount = 700
		}
		done.ID, done.Claims = r.ID, claims
		if _, err := s.Settle(ctx, done); err != nil {
			b.Fatal(err)
		}
		if n++; n%4096 == 0 {
			ahead += 2 * time.Second
			if _, err := s.Reap(ctx, "acme", 1000); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range max(20_000, keys) {
		one()
	}
	b.ReportAllocs()
	for b.Loop() {
		one()
	}
}
