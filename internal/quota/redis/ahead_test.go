package redis

import (
	"context"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// TestAProcessWhoseClockIsAheadOpensNoWindowBeforeItsTime: a new day has nothing used, and the rest of this one would have none of its
// limit left to keep to.
func TestAProcessWhoseClockIsAheadOpensNoWindowBeforeItsTime(t *testing.T) {
	r := servers.StartRedis(t)
	subject := maker(t, "redis://"+r.Addr)(t)
	s, organization := subject.Store.(*Store), subject.Organization
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	subject.Clock(noon)
	ahead := time.Duration(0)
	s.now = func(context.Context, string) time.Time { return noon.Add(ahead) }
	var budgets []*quota.Budget
	for _, k := range []window.Kind{window.Day, window.Week, window.Month} {
		budgets = append(budgets, &quota.Budget{ID: "by_" + k.String(), Unit: quota.Money, Limit: 10, Window: window.Window{Kind: k}})
	}
	ctx := context.Background()
	for _, b := range budgets {
		from, _ := b.Window.Span(noon)
		end := func(id string, draws []quota.Draw) {
			t.Helper()
			in := &quota.Settlement{Organization: organization, ID: id + b.ID, Born: noon, Claims: []quota.Claim{{Budget: b, Amount: 1}}, Draws: draws}
			if o, err := s.Settle(ctx, in); err != nil || o.From != quota.None || o.To != quota.Settled {
				t.Fatalf("%+v, %v", o, err)
			}
		}
		ahead = 0
		if got := ask(s, organization, "before_"+b.ID, b, 6); got != "ok" {
			t.Fatal(got)
		}
		settle(t, s, organization, "before_"+b.ID, b, 6)
		ahead = 31 * 24 * time.Hour
		if got := ask(s, organization, "ahead_"+b.ID, b, 5); got != "4 left" {
			t.Errorf("%s: a process whose clock is a month ahead got %q", b.ID, got)
		}
		if got := ask(s, organization, "fits_"+b.ID, b, 1); got != "ok" {
			t.Errorf("%s: %s", b.ID, got)
		}
		settle(t, s, organization, "fits_"+b.ID, b, 1)
		end("unknown_", nil)
		end("l:", []quota.Draw{{ID: "drawn_" + b.ID, State: quota.Settled, Amounts: []int64{1}}})
		c, err := s.Peek(ctx, organization, []*quota.Budget{b})
		if err != nil || c[0].Start != from || c[0].Used != 9 {
			t.Errorf("%s: %+v, %v; want 9 used in the window of %d", b.ID, c, err, from)
		}
	}
}
