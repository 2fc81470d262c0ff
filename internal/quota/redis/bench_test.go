package redis

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// BenchmarkReserveSettle is one exchange over five budgets, two round trips, by so many callers at once.
func BenchmarkReserveSettle(b *testing.B) {
	r := servers.StartRedis(b)
	s, _ := live(b, Params{URL: "redis://" + r.Addr})
	ready(b, s, "acme")
	minute, month := window.Window{Kind: window.Sliding, Length: time.Minute}, window.Window{Kind: window.Month}
	var claims []quota.Claim
	for i, w := range []window.Window{month, month, minute, minute, {Kind: window.Gauge}} {
		claims = append(claims, quota.Claim{Budget: &quota.Budget{ID: fmt.Sprint("budget_of_an_owner_", i), Unit: quota.Money, Limit: quota.Max, Window: w}, Amount: 100})
	}
	var n atomic.Int64
	one := func() {
		id := fmt.Sprint("x", n.Add(1))
		ctx := context.Background()
		if _, no, err := s.Reserve(ctx, &quota.Request{Organization: "acme", ID: id, Claims: claims, Hold: time.Minute}); no != nil || err != nil {
			b.Error(no, err)
		}
		if _, err := s.Settle(ctx, &quota.Settlement{Organization: "acme", ID: id, Born: time.Now(), Claims: claims}); err != nil {
			b.Error(err)
		}
	}
	b.Run("1 caller", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			one()
		}
	})
	b.Run("16 callers", func(b *testing.B) {
		b.SetParallelism(8) // for each of two processors
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one()
			}
		})
	})
}
