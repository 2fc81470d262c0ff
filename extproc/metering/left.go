package metering

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// mostLefts bounds the limits of which it is remembered what is left: there may be one for each end user.
const mostLefts = 1 << 16

// lefts is what was left of limits of money, by id, when an exchange last reserved of them.
type lefts struct {
	of sync.Map
	n  atomic.Int64
}

// left is a share, until the window ends.
type left struct {
	share float64
	until time.Time // zero: it does not end
}

// Saw remembers what a reservation, granted or refused, found to be left of limits of money.
func (m *Meter) Saw(g *Granted) {
	for i := range g.Levels {
		if i < len(g.Claims) {
			m.saw(g.Claims[i].Budget, g.Levels[i].Left, g.Levels[i].Reset)
		}
	}
	if g.No != nil {
		m.saw(g.No.Budget, g.No.Left, g.No.Wait)
	}
}

func (m *Meter) saw(b *quota.Budget, n int64, reset time.Duration) {
	if b.Unit != quota.Money || b.Shadow {
		return
	}
	l := left{}
	if b.Limit > 0 {
		l.share = min(float64(n)/float64(b.Limit), 1)
	}
	if reset > 0 {
		l.until = m.now().Add(reset)
	}
	if _, known := m.lefts.of.Swap(b.ID, l); !known && m.lefts.n.Add(1) > mostLefts {
		m.lefts.of.Clear()
		m.lefts.n.Store(0)
	}
}

// Left returns the smallest share that is left of any of the limits of money, as far as it is remembered; 1: all of it, or
// nobody knows. It asks no store.
func (m *Meter) Left(budgets []*quota.Budget) float64 {
	least := 1.0
	for _, b := range budgets {
		if b.Unit != quota.Money || b.Shadow {
			continue
		}
		v, ok := m.lefts.of.Load(b.ID)
		if !ok {
			continue
		}
		if l := v.(left); l.until.IsZero() || m.now().Before(l.until) {
			least = min(least, l.share)
		}
	}
	return least
}
