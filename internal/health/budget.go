package health

import (
	"sync"
	"sync/atomic"
	"time"
)

// Retry budgets (RELIABILITY §4): of a provider's requests of the last ten seconds, how many may be tries again. An outage
// of one provider must not double what the others have to bear.
const (
	budgetWindow = 10 * time.Second
	budgetParts  = 10
	budgetFloor  = 10 * int(budgetWindow/time.Second) // for 10/s whatever the traffic
)

// BudgetShare is how many tries again a provider may get for each first try, where nobody says otherwise.
const BudgetShare = 0.2

// Budgets are the retry budgets of all providers. It is safe for concurrent use. Its zero value is one of which nothing
// is spent.
type Budgets struct {
	of sync.Map // of *budget, by the provider's name
}

// budget counts in parts of the window, of which the oldest is forgotten.
type budget struct {
	spent    atomic.Int64 // the part in which it refused last
	mu       sync.Mutex
	part     int64 // number of the newest part
	requests [budgetParts]int
	retries  [budgetParts]int
}

// Sent counts a first attempt at a provider.
func (b *Budgets) Sent(provider string, now time.Time) {
	k := b.at(provider)
	k.mu.Lock()
	k.age(now)
	k.requests[k.part%budgetParts]++
	k.mu.Unlock()
}

// Take counts another attempt at a provider, after one that failed wherever that was, unless that were more than share
// for each first attempt, and more than the floor that every provider has. Then it reports false: the attempt must not be
// made.
func (b *Budgets) Take(provider string, share float64, now time.Time) bool {
	k := b.at(provider)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.age(now)
	requests, retries := 0, 0
	for i := range budgetParts {
		requests += k.requests[i]
		retries += k.retries[i]
	}
	if retries >= max(budgetFloor, int(share*float64(requests))) {
		k.spent.Store(k.part)
		return false
	}
	k.retries[k.part%budgetParts]++
	return true
}

// Spent reports whether Take has refused a provider within this second: there is no use in planning another attempt.
func (b *Budgets) Spent(provider string, now time.Time) bool {
	k, ok := b.of.Load(provider)
	return ok && k.(*budget).spent.Load() == partOf(now)
}

func (b *Budgets) at(provider string) *budget {
	if k, ok := b.of.Load(provider); ok {
		return k.(*budget)
	}
	k, _ := b.of.LoadOrStore(provider, &budget{})
	return k.(*budget)
}

// age forgets what is too old.
func (k *budget) age(now time.Time) {
	part := partOf(now)
	for n := range min(max(part-k.part, 0), budgetParts) {
		i := (part - n) % budgetParts
		k.requests[i], k.retries[i] = 0, 0
	}
	k.part = max(k.part, part)
}

func partOf(now time.Time) int64 { return now.UnixNano() / int64(budgetWindow/budgetParts) }
