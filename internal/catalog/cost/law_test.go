package cost_test

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

func genRates(t *rapid.T, label string, full bool) price.Rates {
	m := map[price.Item]price.Rate{}
	for i := range price.Item(price.Items) {
		if full && (i == price.Input || i == price.Output) || rapid.Bool().Draw(t, label) {
			m[i] = price.Rate(rapid.OneOf(rapid.Int64Range(0, 100_000_000_000), rapid.Int64Range(0, 1<<62)).Draw(t, label))
		}
	}
	return price.RatesOf(m)
}

func genLook(t *rapid.T, label string) price.Look {
	return price.Look{Size: rapid.SampledFrom([]string{"", "auto", "1024x1024", "512x512"}).Draw(t, label), Quality: rapid.SampledFrom([]string{"", "auto", "hd", "low"}).Draw(t, label)}
}

func genImages(t *rapid.T, r price.Rates) price.Rates {
	var images []price.Image
	for range rapid.IntRange(0, 4).Draw(t, "images by look") {
		l := genLook(t, "image of")
		if l.Size == "auto" || l.Quality == "auto" {
			continue
		}
		images = append(images, price.Image{Look: l, Rate: price.Rate(rapid.Int64Range(0, 1<<50).Draw(t, "an image"))})
	}
	return r.WithImages(images)
}

func genCard(t *rapid.T) *price.Card {
	c := &price.Card{Rates: genImages(t, genRates(t, "base", true))}
	for range rapid.IntRange(0, 3).Draw(t, "tiers") {
		above := rapid.Int64Range(0, 1000).Draw(t, "above")
		tier := price.Tier{Above: above, Rates: genImages(t, genRates(t, "tier", false))}
		if rapid.Bool().Draw(t, "bounded") {
			tier.UpTo = above + rapid.Int64Range(1, 1000).Draw(t, "up to")
		}
		c.Tiers = append(c.Tiers, tier)
	}
	for _, s := range []string{"batch", "priority"} {
		if rapid.Bool().Draw(t, s) {
			c.Services = append(c.Services, price.Service{Name: s, Rates: genImages(t, genRates(t, s, false))})
		}
	}
	c.Factors = []price.Factor{{Name: "eu", Region: true, Milli: rapid.Int64Range(1, 10_000).Draw(t, "eu")}, {Name: "fast", Milli: rapid.Int64Range(1, 10_000).Draw(t, "fast")}}
	return c
}

func genTerms(t *rapid.T) cost.Terms {
	x := cost.Terms{
		At: time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "at"), 0), Service: rapid.SampledFrom([]string{"", "batch", "flex", "priority", "other"}).Draw(t, "service"),
		Paid: rapid.Int64Range(0, 1500).Draw(t, "paid"), Search: rapid.SampledFrom([]string{"", "low", "high"}).Draw(t, "search"),
	}
	if rapid.Bool().Draw(t, "region") {
		x.Region = "eu"
	}
	x.Look = genLook(t, "look")
	if rapid.Bool().Draw(t, "switch") {
		x.Switches = []string{"fast"}
	}
	return x
}

func genCount(t *rapid.T, label string, most int64) llm.Count {
	if rapid.Bool().Draw(t, label+" is known") {
		return llm.Tokens(rapid.Int64Range(0, most).Draw(t, label))
	}
	return llm.Count{}
}

// Every amount is what arithmetic that never rounds gives, rounded up once; the lines lie within one
// nano-dollar of theirs and add up.
func TestBillsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, x := genCard(t), genTerms(t)
		var u cost.Units
		for i := range u {
			if rapid.Bool().Draw(t, "used") {
				u[i] = rapid.OneOf(rapid.Int64Range(0, 3000), rapid.Int64Range(0, cost.Max)).Draw(t, "units")
			}
		}
		b := cost.Of(c, u, x)
		by := big.NewRat(1, 1)
		if x.Region != "" {
			by.Mul(by, big.NewRat(c.Factors[0].Milli, 1000))
		}
		if x.Switches != nil {
			by.Mul(by, big.NewRat(c.Factors[1].Milli, 1000))
		}
		if x.Paid > 0 {
			by.Mul(by, big.NewRat(x.Paid, 1000))
		}
		sum, lines := new(big.Rat), int64(0)
		for _, l := range b.Lines {
			exact := new(big.Rat).Mul(new(big.Rat).SetFrac64(l.Units, 1_000_000), new(big.Rat).SetInt64(int64(l.Rate)))
			exact.Mul(exact, by)
			sum.Add(sum, exact)
			lines += l.Nano
			if l.Nano < 0 {
				t.Fatalf("a line below zero: %+v", l)
			}
			if off := exact.Sub(exact, new(big.Rat).SetInt64(l.Nano)); b.Flags&cost.Capped == 0 && off.Abs(off).Cmp(big.NewRat(1, 1)) >= 0 {
				t.Fatalf("%+v is off by %s", l, off.FloatString(6))
			}
		}
		want := new(big.Int).Add(sum.Num(), new(big.Int).Sub(sum.Denom(), big.NewInt(1)))
		want.Div(want, sum.Denom())
		if want.Cmp(big.NewInt(cost.Max)) > 0 {
			if b.Nano != cost.Max || b.Flags&cost.Capped == 0 {
				t.Fatalf("got %d [%s], exactly %s: want it capped", b.Nano, b.Flags, want)
			}
		} else if want.Cmp(big.NewInt(b.Nano)) != 0 || b.Flags&cost.Capped != 0 || lines != b.Nano {
			t.Fatalf("got %d [%s], lines %d, exactly %s", b.Nano, b.Flags, lines, want)
		}
	})
}

// More of anything within one context tier never costs less.
func TestBillsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, x := genCard(t), genTerms(t)
		c.Tiers = nil
		var u cost.Units
		for i := range u {
			u[i] = rapid.Int64Range(0, 1<<40).Draw(t, "units")
		}
		more := u
		more[rapid.IntRange(0, len(u)-1).Draw(t, "which")] += rapid.Int64Range(0, 1<<40).Draw(t, "more")
		a, b := cost.Of(c, u, x), cost.Of(c, more, x)
		if a.Nano < 0 || b.Nano < a.Nano {
			t.Fatalf("%d, and more of it %d", a.Nano, b.Nano)
		}
	})
}

// Units never overlap: together they are the prompt and the answer, unless the usage contradicts itself.
func TestSplitKeepsEveryToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := llm.Usage{
			Input: genCount(t, "input", 3000), Cached: genCount(t, "cached", 1500), CacheWrite: genCount(t, "write", 1500), CacheWrite1h: genCount(t, "hour", 1500),
			Output: genCount(t, "output", 3000), Reasoning: genCount(t, "reasoning", 1500), AudioIn: genCount(t, "audio in", 1500), AudioOut: genCount(t, "audio out", 1500),
		}
		if rapid.Bool().Draw(t, "details") {
			u.Details = &llm.Details{ImageIn: genCount(t, "image in", 1500), ImageOut: genCount(t, "image out", 1500)}
		}
		got, flags := cost.Split(llm.OpChat, u)
		for i, n := range got {
			if n < 0 {
				t.Fatalf("%s is %d", price.Item(i), n)
			}
		}
		if (flags&cost.Unmeasured != 0) != (!u.Input.Known || !u.Output.Known) {
			t.Fatalf("[%s] of %+v", flags, u)
		}
		if flags&cost.Inconsistent != 0 {
			return
		}
		if u.Input.Known && got.Prompt() != u.Input.N || u.Output.Known && got.Answer() != u.Output.N || got[price.CacheWrite]+got[price.CacheWrite1h] != max(u.CacheWrite.N, u.CacheWrite1h.N) {
			t.Fatalf("%+v became %+v", u, got)
		}
	})
}

// What is reserved is enough: no use within the ask costs more than its bound.
func TestBoundsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, x := genCard(t), genTerms(t)
		ask := cost.Ask{
			Input: rapid.Int64Range(0, 3000).Draw(t, "input"), Output: rapid.Int64Range(0, 3000).Draw(t, "output"), Writes: rapid.Bool().Draw(t, "writes"), WritesHour: rapid.Bool().Draw(t, "hour"),
			AudioIn: rapid.Bool().Draw(t, "audio in"), AudioOut: rapid.Bool().Draw(t, "audio out"),
			ImageIn: rapid.Bool().Draw(t, "image in"), ImageOut: rapid.Bool().Draw(t, "image out"),
		}
		fees := [...]price.Item{price.PerImage, price.WebSearch, price.PerQuery, price.PerImageOutput, price.PerAudioSecond, price.PerAudioSecondOutput, price.PerCharacter, price.FileSearch}
		for _, i := range fees {
			ask.Fees[i] = rapid.Int64Range(0, 3).Draw(t, i.String())
		}
		limit := cost.Bound(c, ask, x)
		var u cost.Units
		part := func(left int64, ok bool, i price.Item) int64 {
			if ok {
				u[i] = rapid.Int64Range(0, left).Draw(t, i.String())
			}
			return left - u[i]
		}
		in := part(ask.Input, true, price.Input)
		in = part(in, true, price.CacheRead)
		in = part(in, ask.Writes || ask.WritesHour, price.CacheWrite)
		in = part(in, ask.WritesHour, price.CacheWrite1h)
		in = part(in, ask.AudioIn, price.AudioInput)
		in = part(in, ask.AudioIn, price.AudioCacheRead)
		in = part(in, ask.ImageIn, price.ImageInput)
		part(in, ask.ImageIn, price.ImageCacheRead)
		out := part(ask.Output, true, price.Output)
		out = part(out, true, price.Reasoning)
		out = part(out, ask.AudioOut, price.AudioOutput)
		part(out, ask.ImageOut, price.ImageOutput)
		for _, i := range fees {
			part(ask.Fees[i], true, i)
		}
		u[price.PerRequest] = 1
		served := x
		served.Service = rapid.SampledFrom([]string{"", x.Service}).Draw(t, "served at")
		made := genLook(t, "made as") // what was left to the provider
		if x.Look.Size == "" || x.Look.Size == "auto" {
			served.Look.Size = made.Size
		}
		if x.Look.Quality == "" || x.Look.Quality == "auto" {
			served.Look.Quality = made.Quality
		}
		if rapid.Bool().Draw(t, "switched off") {
			served.Switches = nil
		}
		b := cost.Of(c, u, served)
		if b.Nano > limit.Full {
			t.Fatalf("%+v costs %d, bound %d\n%s", u, b.Nano, limit.Full, c.AppendText(nil))
		}
		if b.Flags&cost.Unpriced != 0 && limit.Flags&cost.Unpriced == 0 {
			t.Fatalf("unpriced, but its bound is not\n%s", c.AppendText(nil))
		}
		if limit.Prompt > limit.Full {
			t.Fatalf("the prompt alone is bounded by %d, the whole by %d", limit.Prompt, limit.Full)
		}
	})
}

func TestClaimsCoverEveryFailover(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []cost.Step
		want  int64
	}{
		{"no step", nil, 0},
		{"one step", []cost.Step{{Full: 5, Cut: 2}}, 5},
		{"the second needs what the first may have cost", []cost.Step{{Full: 5, Cut: 2}, {Full: 4, Cut: 1}}, 6},
		{"the first is the dearest", []cost.Step{{Full: 9, Cut: 1}, {Full: 2, Cut: 1}, {Full: 3, Cut: 0}}, 9},
		{"the last after all others", []cost.Step{{Full: 3, Cut: 3}, {Full: 3, Cut: 3}, {Full: 3, Cut: 3}}, 9},
		{"no more than there is", []cost.Step{{Full: cost.Max, Cut: cost.Max}, {Full: cost.Max}}, cost.Max},
	} {
		var all cost.Sum
		for _, s := range c.steps {
			all.Add(s)
		}
		if got := all.Most(); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	c := &price.Card{Rates: rates(b, "input 2.5 output 15 cache_read 0.25"), Tiers: []price.Tier{{Above: 272_000, Rates: rates(b, "input 5 output 22.5 cache_read 0.5")}}}
	u := cost.Units{price.Input: 1000, price.CacheRead: 4000, price.Output: 500, price.Reasoning: 320, price.PerRequest: 1}
	b.ReportAllocs()
	for b.Loop() {
		cost.Of(c, u, cost.Terms{Paid: 900})
	}
}

func BenchmarkBound(b *testing.B) {
	c := &price.Card{Rates: rates(b, "input 2.5 output 15 cache_read 0.25"), Tiers: []price.Tier{{Above: 272_000, Rates: rates(b, "input 5 output 22.5 cache_read 0.5")}}}
	b.ReportAllocs()
	for b.Loop() {
		cost.Bound(c, cost.Ask{Input: 5000, Output: 1000}, cost.Terms{Paid: 900})
	}
}

// TestTotalIsWhatABillCharges holds for every card, terms and units.
func TestTotalIsWhatABillCharges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, terms := genCard(t), genTerms(t)
		if rapid.IntRange(0, 9).Draw(t, "no card") == 0 {
			c = nil
		}
		var u cost.Units
		for i := range u {
			if rapid.IntRange(0, 3).Draw(t, "used") == 0 {
				u[i] = rapid.OneOf(rapid.Int64Range(-5, 100_000), rapid.Int64()).Draw(t, "units")
			}
		}
		b := cost.Of(c, u, terms)
		if got, flags := cost.Total(c, u, &terms); got != b.Nano || flags != b.Flags {
			t.Fatalf("%d %v, a bill has %d %v", got, flags, b.Nano, b.Flags)
		}
	})
}
