package billing_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

func day(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

func TestAContractKnowsItsDays(t *testing.T) {
	c := &billing.Contract{Discounts: []billing.Discount{
		{Fits: func(m string) bool { return m == "a" }, Paid: 500, From: day("2026-01-01"), Until: day("2026-02-01")},
		{Paid: 900},
	}}
	for _, x := range []struct {
		model string
		at    string
		want  int64
	}{{"a", "2025-12-31", 900}, {"a", "2026-01-01", 500}, {"a", "2026-01-31", 500}, {"a", "2026-02-01", 900}, {"b", "2026-01-05", 900}} {
		if got := c.Terms(x.model, day(x.at)).Paid; got != x.want {
			t.Errorf("%s on %s: %d thousandths are paid, want %d", x.model, x.at, got, x.want)
		}
	}
	var none *billing.Contract
	if none.Terms("a", day("2026-01-01")).Paid != 0 || !none.Denies(cost.Unpriced) || none.Denies(cost.PricedUp) || (&billing.Contract{Unknown: billing.Record}).Denies(cost.Unpriced) {
		t.Error("no contract is the list price, and an unknown price is denied")
	}
}

// What is charged by any rule is within what was reserved, where what was seen is.
func TestAbortedAnswersAreChargedWithinTheReservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := cost.Units{price.Input: 1000, price.Output: 500, price.PerRequest: 1}
		var seen cost.Units
		if rapid.Bool().Draw(t, "prompt is known") {
			seen[price.CacheRead] = rapid.Int64Range(0, 400).Draw(t, "cached")
			seen[price.Input] = rapid.Int64Range(0, 600).Draw(t, "input")
			seen[price.PerRequest] = 1
		}
		seen[price.Reasoning] = rapid.Int64Range(0, 200).Draw(t, "reasoning")
		seen[price.Output] = rapid.Int64Range(0, 300).Draw(t, "output")
		r := billing.Rules{
			Aborted: rapid.SampledFrom([]billing.AbortRule{billing.BillsToEnd, billing.StopsBilling}).Draw(t, "aborted"),
			Early:   rapid.SampledFrom([]billing.Share{billing.Usual, billing.Nothing, billing.PromptOnly, billing.Everything}).Draw(t, "early"),
			Refused: rapid.SampledFrom([]billing.Share{billing.Usual, billing.Nothing, billing.PromptOnly, billing.Everything}).Draw(t, "refused"),
		}
		a := billing.Attempt{Ended: rapid.SampledFrom([]billing.Ended{billing.Completed, billing.Unsent, billing.CutEarly, billing.Refused, billing.Aborted}).Draw(t, "ended"), Seen: seen, Most: most, PerSecond: rapid.Int64Range(0, 1000).Draw(t, "per second")}
		u, _ := r.Charge(a)
		if u.Prompt() > 1000 || u.Answer() > 500 {
			t.Fatalf("%+v is charged %+v", a, u)
		}
		for i, n := range u {
			if n < 0 {
				t.Fatalf("%s is %d", price.Item(i), n)
			}
		}
		if a.Ended == billing.Aborted && (u.Answer() < seen.Answer() || u.Prompt() < seen.Prompt()) {
			t.Fatalf("%+v is charged %+v: less than was seen", a, u)
		}
	})
}

func TestRulesOfAbortion(t *testing.T) {
	most := cost.Units{price.Input: 1000, price.Output: 500}
	seen := cost.Units{price.Input: 900, price.Output: 20}
	for _, c := range []struct {
		name     string
		rules    billing.Rules
		attempt  billing.Attempt
		in, out  int64
		reserved bool
	}{
		{"nothing went up", billing.Rules{Early: billing.Everything}, billing.Attempt{Ended: billing.Unsent, Most: most}, 0, 0, false},
		{"broken off, where nothing is known of the provider", billing.Rules{}, billing.Attempt{Ended: billing.Aborted, Seen: seen, Most: most}, 900, 500, true},
		{"broken off, and the provider said at the end what it billed", billing.Rules{}, billing.Attempt{Ended: billing.Aborted, Seen: seen, Told: true, Most: most}, 900, 20, false},
		{"broken off at a provider that stops soon", billing.Rules{Aborted: billing.StopsBilling}, billing.Attempt{Ended: billing.Aborted, Seen: seen, Most: most, PerSecond: 80}, 900, 100, false},
		{"the margin ends at the cap", billing.Rules{Aborted: billing.StopsBilling}, billing.Attempt{Ended: billing.Aborted, Seen: seen, Most: most, PerSecond: 8000}, 900, 500, false},
		{"broken off before usage was seen", billing.Rules{Aborted: billing.StopsBilling}, billing.Attempt{Ended: billing.Aborted, Seen: cost.Units{price.Output: 7}, Most: most, PerSecond: 1}, 1000, 8, true},
		{"cut before the answer", billing.Rules{}, billing.Attempt{Ended: billing.CutEarly, Most: most}, 1000, 0, true},
		{"cut before the answer, free", billing.Rules{Early: billing.Nothing}, billing.Attempt{Ended: billing.CutEarly, Most: most}, 0, 0, false},
		{"cut before the answer, billed whole", billing.Rules{Early: billing.Everything}, billing.Attempt{Ended: billing.CutEarly, Most: most}, 1000, 500, true},
		{"an error is free", billing.Rules{}, billing.Attempt{Ended: billing.Refused, Most: most}, 0, 0, false},
		{"an error costs the prompt", billing.Rules{Refused: billing.PromptOnly}, billing.Attempt{Ended: billing.Refused, Seen: seen, Most: most}, 900, 0, false},
	} {
		u, reserved := c.rules.Charge(c.attempt)
		if u.Prompt() != c.in || u.Answer() != c.out || reserved != c.reserved {
			t.Errorf("%s: got %d in, %d out, reserved %t; want %d, %d, %t", c.name, u.Prompt(), u.Answer(), reserved, c.in, c.out, c.reserved)
		}
	}
	limit := cost.Limit{Full: 9, Prompt: 4}
	for want, r := range map[int64]billing.Rules{4: {}, 9: {Refused: billing.Everything}, 0: {Early: billing.Nothing}} {
		if got := r.Cut(limit); got != want {
			t.Errorf("%+v: a cut step may cost %d, want %d", r, got, want)
		}
	}
}
