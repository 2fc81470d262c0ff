package health

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func take(b *Budgets, provider string, most int, now time.Time) (n int) {
	for n < most && b.Take(provider, BudgetShare, now) {
		n++
	}
	return n
}

func TestARetryBudgetIsAFloorAndAShareOfTheRequests(t *testing.T) {
	now := time.Unix(1e9, 0)
	var b Budgets
	if n := take(&b, "p", 1000, now); n != budgetFloor {
		t.Fatalf("%d tries again without a request", n)
	}
	if !b.Spent("p", now) || b.Spent("q", now) || b.Spent("p", now.Add(time.Second)) {
		t.Error("what is spent is not told, or is told of others")
	}
	for range 2000 {
		b.Sent("p", now)
	}
	if n := take(&b, "p", 1000, now); n != 400-budgetFloor {
		t.Errorf("%d more at 2000 requests", n)
	}
	if n := take(&b, "q", 1000, now); n != budgetFloor {
		t.Errorf("another provider has %d", n)
	}
	if n := take(&b, "p", 1000, now.Add(budgetWindow)); n != budgetFloor {
		t.Errorf("%d when the window is over", n)
	}
	for range 1000 {
		b.Sent("r", now)
	}
	if b.Take("r", 0, now) != true || take(&b, "r", 1000, now) != 199 {
		t.Error("a share of nothing, and of all")
	}
}

// Whatever comes when, no window of the budget's parts has more tries again than the floor and the share of its requests.
func TestNoWindowHasMoreTriesAgainThanItsBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Budgets
		now := time.Unix(1e9, 0)
		type at struct {
			part int64
			n    int
		}
		var sent, again []at
		sum := func(all []at, part int64) (n int) {
			for _, a := range all {
				if a.part > part-budgetParts && a.part <= part {
					n += a.n
				}
			}
			return n
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			requests := rapid.IntRange(0, 900).Draw(t, "requests")
			for range requests {
				b.Sent("p", now)
			}
			sent = append(sent, at{partOf(now), requests})
			again = append(again, at{partOf(now), take(&b, "p", rapid.IntRange(0, 900).Draw(t, "tries"), now)})
			most := max(budgetFloor, int(BudgetShare*float64(sum(sent, partOf(now)))))
			if n := sum(again, partOf(now)); n > max(most, n-again[len(again)-1].n) { // what was allowed before stays
				t.Fatalf("%d tries again, of %d that are allowed", n, most)
			}
		}
	})
}

func BenchmarkBudget(b *testing.B) {
	var all Budgets
	now := time.Unix(1e9, 0)
	b.ReportAllocs()
	for b.Loop() {
		all.Sent("p", now)
		if all.Spent("p", now) {
			b.Fatal("spent")
		}
	}
}
