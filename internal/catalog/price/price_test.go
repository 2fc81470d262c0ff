package price_test

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in, out, million string
		pico             int64
	}{
		{"0", "0", "0", 0},
		{"0.0000025", "0.0000025", "2.5", 2_500_000},
		{"0.00000008333333", "0.00000008333333", "0.08333333", 83_334},
		{"0.000000000000001", "0.000000000000001", "0.000000001", 1},
		{"9000", "9000", "9000000000", 9_000_000_000_000_000},
		{"0.050", "0.05", "50000", 50_000_000_000},
		{"00.1000000000000000000000", "0.1", "100000", 100_000_000_000},
	} {
		r, err := price.Parse(c.in)
		if err != nil || r.String() != c.out || r.Million() != c.million || r.Pico() != c.pico {
			t.Errorf("%s: got %s, %s a million, %d pico, %v", c.in, r, r.Million(), r.Pico(), err)
		}
		if back, err := price.ParseMillion(c.million); back != r || err != nil {
			t.Errorf("%s a million: got %d, want %d, %v", c.million, back, r, err)
		}
	}
	for _, bad := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "0x1", "NaN", "0.0000000000000001", "9223372036854775807", "1.2.3", "¹"} {
		if r, err := price.Parse(bad); err == nil {
			t.Errorf("%q is %s", bad, r)
		}
	}
}

// TestExact compares with arithmetic that never rounds.
func TestExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,15})?`).Draw(t, "price")
		r, err := price.Parse(s)
		want, _ := new(big.Rat).SetString(s)
		got, _ := new(big.Rat).SetString(r.String())
		if err != nil || got.Cmp(want) != 0 {
			t.Fatalf("%s is %s, %v", s, r, err)
		}
		million, _ := new(big.Rat).SetString(r.Million())
		if million.Cmp(want.Mul(want, big.NewRat(1_000_000, 1))) != 0 {
			t.Fatalf("%s is %s a million", s, r.Million())
		}
	})
}

func TestCard(t *testing.T) {
	rate := func(s string) price.Rate {
		r, err := price.ParseMillion(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	base := price.RatesOf(map[price.Item]price.Rate{price.Input: rate("2"), price.Output: rate("10"), price.WebSearch: rate("10000")})
	later := base.With(price.RatesOf(map[price.Item]price.Rate{price.Input: rate("3"), price.CacheRead: rate("0.3")}))
	day := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	c := price.Card{
		Rates:   base,
		Changes: []price.Change{{From: day, Rates: later}},
		Tiers: []price.Tier{
			{Above: 200_000, Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: rate("4")})},
			{Above: 500_000, UpTo: 1_000_000, Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: rate("8")})},
		},
		Services: []price.Service{{Name: "batch", Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: rate("1")})}},
	}
	is := func(what string, r price.Rates, i price.Item, want string) {
		t.Helper()
		got, ok := r.Get(i)
		if want == "" && ok || want != "" && (!ok || got.Million() != want) {
			t.Errorf("%s: %s is %s, %t; want %q", what, i, got.Million(), ok, want)
		}
	}
	is("the last second before a change", c.At(day.Add(-time.Second)), price.Input, "2")
	is("the first second of a change", c.At(day), price.Input, "3")
	is("what a change does not state", c.At(day), price.WebSearch, "10000")
	is("what a change adds", c.At(day), price.CacheRead, "0.3")
	is("what nobody states", c.At(day), price.AudioInput, "")
	for prompt, want := range map[int64]string{0: "", 200_000: "", 200_001: "4", 500_000: "4", 500_001: "8", 1_000_000: "8", 1_000_001: "4"} {
		tier, ok := c.Tier(prompt)
		if ok != (want != "") {
			t.Errorf("a prompt of %d has a tier: %t", prompt, ok)
		}
		is("the tier", tier.Rates, price.Input, want)
	}
	s, _ := c.Service("batch")
	is("batch", s, price.Input, "1")
	if _, ok := c.Service("flex"); ok {
		t.Error("a service that the card has not is found")
	}
	if base.Equal(later) || !base.Equal(base.With(price.Rates{})) || (price.Rates{}).Stated() {
		t.Error("equal, with or stated")
	}
	if n := testing.AllocsPerRun(10, func() { c.At(day); c.Tier(600_000); c.Service("batch") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
