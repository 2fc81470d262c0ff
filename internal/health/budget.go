package health

import (
	"sync"
	"time"
)

// Retry budgets (RELIABILITY §4): of a provider's requests of the last ten seconds, how many may be tries again. An outage
// of one provider must not double what the others have to bear.
const (
	budgetWindow = 10 * time.Second
	budgetParts  = 10
	budgetShare  = 0.2
	budgetFloor  = 10 * int(budgetWindow/time.Second) // for 10/s whatever the traffic
)

// Budgets are the retry budgets of all providers. It is safe for concurrent use.
type Budgets struct {
	mu sync.Mutex
	of map[string]*budget
}

// budget counts in parts of the window, of which the oldest is forgotten.
type budget struct {
	part     int64 // number of the newest part
	requests [budgetParts]int
	retries  [budgetParts]int
}

// NewBudgets makes budgets of which nothing is spent.
func NewBudgets() *Budgets { return &Budgets{of: map[string]*budget{}} }

// Sent counts a first attempt at a provider.
func (b *Budgets) Sent(provider string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.at(provider, now)
	k.requests[k.part%budgetParts]++
}

// Retried counts another attempt at a provider, after one that failed wherever that was.
func (b *Budgets) Retried(provider string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.at(provider, now)
	k.retries[k.part%budgetParts]++
}

// Left returns how many retries at a provider its budget allows at a time.
func (b *Budgets) Left(provider string, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.at(provider, now)
	requests, retries := 0, 0
	for i := range budgetParts {
		requests += k.requests[i]
		retries += k.retries[i]
	}
	return max(0, max(budgetFloor, int(budgetShare*float64(requests)))-retries)
}

// at returns a provider's budget with what is too old forgotten.
func (b *Budgets) at(provider string, now time.Time) *budget {
	k := b.of[provider]
	if k == nil {
		k = &budget{}
		b.of[provider] = k
	}
	part := now.UnixNano() / int64(budgetWindow/budgetParts)
	for n := range min(max(part-k.part, 0), budgetParts) {
		i := (part - n) % budgetParts
		k.requests[i], k.retries[i] = 0, 0
	}
	k.part = max(k.part, part)
	return k
}
