package metering

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

func TestHashesOfCardsAreTheirOwnAndBounded(t *testing.T) {
	var h hashes
	card := func(dollars int64) *price.Card {
		return &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: price.Rate(dollars)})}
	}
	first := card(1)
	for range 2 {
		if got := h.get(first); got != first.Hash() {
			t.Errorf("%s, not %s", got, first.Hash())
		}
	}
	if n := testing.AllocsPerRun(100, func() { h.get(first) }); n > 0 {
		t.Errorf("a hash that is known takes %v allocations", n)
	}
	for i := range int64(3 * mostHashes) {
		c := card(2 + i)
		if got := h.get(c); got != c.Hash() {
			t.Fatalf("card %d: %s, not %s", i, got, c.Hash())
		}
	}
	held := 0
	h.of.Range(func(any, any) bool { held++; return true })
	if held > mostHashes {
		t.Errorf("%d are remembered", held)
	}
	if got := h.get(first); got != first.Hash() {
		t.Errorf("%s, not %s", got, first.Hash())
	}
}
