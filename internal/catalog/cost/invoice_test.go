package cost_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// rates reads "input 2.5 output 15": dollars for a million tokens, or for one of what is no token.
func rates(t testing.TB, s string) price.Rates {
	t.Helper()
	m := map[price.Item]price.Rate{}
	f := strings.Fields(s)
	for n := 0; n+1 < len(f); n += 2 {
		found := false
		for i := range price.Item(price.Items) {
			if i.String() == f[n] {
				parse := price.Parse
				if i.Tokens() {
					parse = price.ParseMillion
				}
				r, err := parse(f[n+1])
				if err != nil {
					t.Fatal(err)
				}
				m[i], found = r, true
			}
		}
		if !found {
			t.Fatalf("no item %s", f[n])
		}
	}
	return price.RatesOf(m)
}

func day(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

func n(v int64) llm.Count { return llm.Tokens(v) }

// The amounts of this table were computed by hand from the prices that the vendors publish; the sums stand
// beside them, in nano-USD.
func TestBillsAreThoseOfTheInvoices(t *testing.T) {
	sonnet := &price.Card{Rates: rates(t, "input 3 output 15 cache_read 0.3 cache_write 3.75 cache_write_1h 6 web_search 0.01"),
		Tiers:    []price.Tier{{Above: 200_000, Rates: rates(t, "input 6 output 22.5 cache_read 0.6 cache_write 7.5")}},
		Services: []price.Service{{Name: "batch", Rates: rates(t, "input 1.5 output 7.5")}}}
	gpt := &price.Card{Rates: rates(t, "input 2.5 output 15 cache_read 0.25"),
		Tiers:    []price.Tier{{Above: 272_000, Rates: rates(t, "input 5 output 22.5 cache_read 0.5")}},
		Services: []price.Service{{Name: "flex", Rates: rates(t, "input 1.25 output 7.5 cache_read 0.13")}, {Name: "priority", Rates: rates(t, "input 5 output 30 cache_read 0.5")}},
		Factors:  []price.Factor{{Name: "eu", Region: true, Milli: 1100}}}
	opus := &price.Card{Rates: rates(t, "input 5 output 25 cache_read 0.5 cache_write 6.25 cache_write_1h 10 web_search 0.01"),
		Factors: []price.Factor{{Name: "fast", Milli: 6000}, {Name: "us", Milli: 1100}}}
	gemini := &price.Card{Rates: rates(t, "input 1.25 output 10 cache_read 0.125 web_search 0.035"),
		Tiers: []price.Tier{{Above: 200_000, Rates: rates(t, "input 2.5 output 15 cache_read 0.25")}}}
	flash := &price.Card{Rates: rates(t, "input 0.3 output 2.5 cache_read 0.03 audio_input 1 audio_cache_read 0.1")}
	deepseek := &price.Card{Rates: rates(t, "input 0.27 output 1.1 cache_read 0.07"),
		Hours: []price.Hours{{From: 16*60 + 30, Until: 30, Rates: rates(t, "input 0.135 output 0.55 cache_read 0.035")}}}
	bedrock := &price.Card{Rates: rates(t, "input 3.3 output 16.5 cache_read 0.33 cache_write 4.125")}
	dated := &price.Card{Rates: rates(t, "input 2 output 10"), Changes: []price.Change{{From: day("2026-09-01"), Rates: rates(t, "input 3 output 15")}}}
	noon := day("2026-08-22").Add(12 * time.Hour)
	for _, c := range []struct {
		name  string
		card  *price.Card
		usage llm.Usage
		terms cost.Terms
		nano  int64
		saved int64
		flags cost.Flags
	}{
		// 1,000 × 2.5 + 4,000 × 0.25 + 500 × 15 = 2,500 + 1,000 + 7,500 µ$ = 11.000 m$
		{"OpenAI, cached input inside the input, reasoning inside the output", gpt, llm.Usage{Input: n(5000), Cached: n(4000), Output: n(500), Reasoning: n(320)}, cost.Terms{}, 11_000_000, 9_000_000, 0},
		// 272,000 × 2.5 = 680 m$, 10 × 15 = 0.15 m$
		{"OpenAI, a prompt at the threshold of the long context", gpt, llm.Usage{Input: n(272_000), Output: n(10)}, cost.Terms{}, 680_150_000, 0, 0},
		// 272,001 × 5 = 1,360.005 m$, 10 × 22.5 = 0.225 m$
		{"OpenAI, one token over it: the whole is priced anew", gpt, llm.Usage{Input: n(272_001), Output: n(10)}, cost.Terms{}, 1_360_230_000, 0, 0},
		// (1,000 × 1.25 + 4,000 × 0.13 + 500 × 7.5) = 1,250 + 520 + 3,750
		{"OpenAI flex", gpt, llm.Usage{Input: n(5000), Cached: n(4000), Output: n(500)}, cost.Terms{Service: "flex"}, 5_520_000, 4_480_000, 0},
		// (1,000 × 5 + 500 × 30) × 1.1 = 22,000
		{"OpenAI priority, processed in the EU", gpt, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{Service: "priority", Region: "eu"}, 22_000_000, 0, 0},
		{"OpenAI batch, which the card does not state, at the standard price", gpt, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{Service: "batch"}, 10_000_000, 0, cost.PricedUp},
		// 300,000 × max(1.25, 5)
		{"OpenAI flex with a long prompt, at the standard price of long prompts", gpt, llm.Usage{Input: n(300_000), Output: n(0)}, cost.Terms{Service: "flex"}, 1_500_000_000, 0, cost.PricedUp},
		// 300,000 × 5 × 5/2.5
		{"OpenAI priority with a long prompt, in proportion", gpt, llm.Usage{Input: n(300_000), Output: n(0)}, cost.Terms{Service: "priority"}, 3_000_000_000, 0, cost.PricedUp},
		// 21 × 3 + 2,000 × 0.3 + 500 × 3.75 + 1,000 × 6 + 393 × 15 = 63 + 600 + 1,875 + 6,000 + 5,895 µ$
		{"Anthropic, 5 minutes' and an hour's cache writes", sonnet, llm.Usage{Input: n(3521), Cached: n(2000), CacheWrite: n(1500), CacheWrite1h: n(1000), Output: n(393)}, cost.Terms{}, 14_433_000, 63_000 + 10_500_000 + 5_895_000 - 14_433_000, 0},
		// 100,000 × 6 + 150,000 × 0.6 + 1,000 × 22.5 = 600,000 + 90,000 + 22,500
		{"Anthropic, cached tokens count for the long context", sonnet, llm.Usage{Input: n(250_000), Cached: n(150_000), Output: n(1000)}, cost.Terms{}, 712_500_000, 810_000_000, 0},
		// an hour's write in the long context is not stated: 2 × 6
		{"Anthropic, an hour's write in the long context is not stated", sonnet, llm.Usage{Input: n(250_000), CacheWrite: n(250_000), CacheWrite1h: n(250_000), Output: n(0)}, cost.Terms{}, 3_000_000_000, -1_500_000_000, cost.PricedUp},
		// 1,000 × 1.5 + 1,000 × 0.3 + 100 × 7.5
		{"Anthropic batch does not state its cache reads", sonnet, llm.Usage{Input: n(2000), Cached: n(1000), Output: n(100)}, cost.Terms{Service: "batch"}, 2_550_000, 1_200_000, cost.PricedUp},
		// 3 searches at 10 m$ each, 100 × 3, 100 × 15
		{"Anthropic web searches", sonnet, llm.Usage{Input: n(100), Output: n(100), WebSearches: n(3)}, cost.Terms{}, 31_800_000, 0, 0},
		// (1,000 × 5 + 100 × 25) × 6 × 1.1
		{"Anthropic fast mode in the US", opus, llm.Usage{Input: n(1000), Output: n(100)}, cost.Terms{Switches: []string{"fast", "us"}}, 49_500_000, 0, 0},
		{"a switch that the card does not know", opus, llm.Usage{Input: n(1000), Output: n(100)}, cost.Terms{Switches: []string{"slow"}}, 7_500_000, 0, cost.Unpriced},
		// 200,000 × 1.25, 100 × 10
		{"Gemini at its threshold", gemini, llm.Usage{Input: n(200_000), Output: n(100)}, cost.Terms{}, 251_000_000, 0, 0},
		// 1 × 2.5 + 200,000 × 0.25 + 300 × 15 (200 of it thoughts)
		{"Gemini over it, thoughts beside the candidates", gemini, llm.Usage{Input: n(200_001), Cached: n(200_000), Output: n(300), Reasoning: n(200)}, cost.Terms{}, 2_500 + 50_000_000 + 4_500_000, 450_000_000, 0},
		// 100 × 0.3 + 400 × 1 + 10 × 2.5
		{"Gemini audio in the prompt", flash, llm.Usage{Input: n(500), AudioIn: n(400), Output: n(10)}, cost.Terms{}, 455_000, 0, 0},
		// 400 cached: 300 of the 500 audio tokens fit beside it, 200 of the cached are audio
		{"Gemini audio that must have been cached", flash, llm.Usage{Input: n(700), Cached: n(400), AudioIn: n(500), Output: n(0)}, cost.Terms{}, 300_000 + 20_000 + 6_000, 180_000 + 54_000, 0},
		{"audio of a model without a price for it", gemini, llm.Usage{Input: n(500), AudioIn: n(400), Output: n(0)}, cost.Terms{}, 125_000, 0, cost.Unpriced},
		// 51 × 3.3 + 512 × 0.33 + 116 × 16.5 = 168.3 + 168.96 + 1,914 µ$
		{"Bedrock in the EU", bedrock, llm.Usage{Input: n(563), Cached: n(512), Output: n(116)}, cost.Terms{}, 2_251_260, 1_520_640, 0},
		// 51 × 0.27 + 512 × 0.07 + 116 × 1.1 = 13.77 + 35.84 + 127.6 µ$
		{"DeepSeek by day", deepseek, llm.Usage{Input: n(563), Cached: n(512), Output: n(116)}, cost.Terms{At: noon}, 177_210, 102_400, 0},
		{"DeepSeek off peak, at half the price", deepseek, llm.Usage{Input: n(563), Cached: n(512), Output: n(116)}, cost.Terms{At: noon.Add(5 * time.Hour)}, 88_605, 51_200, 0},
		{"DeepSeek off peak, after midnight", deepseek, llm.Usage{Input: n(563), Cached: n(512), Output: n(116)}, cost.Terms{At: day("2026-08-22").Add(29 * time.Minute)}, 88_605, 51_200, 0},
		{"DeepSeek when the peak begins", deepseek, llm.Usage{Input: n(563), Cached: n(512), Output: n(116)}, cost.Terms{At: day("2026-08-22").Add(30 * time.Minute)}, 177_210, 102_400, 0},
		{"a stream that was admitted before the price changed", dated, llm.Usage{Input: n(1000), Output: n(100)}, cost.Terms{At: day("2026-09-01").Add(-time.Second)}, 3_000_000, 0, 0},
		{"and one after", dated, llm.Usage{Input: n(1000), Output: n(100)}, cost.Terms{At: day("2026-09-01")}, 4_500_000, 0, 0},
		// 10,000,000 nano × 0.875
		{"a negotiated discount", gpt, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{Paid: 875}, 8_750_000, 0, 0},
		{"no card", nil, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{}, 0, 0, cost.Unpriced},
		{"no card, but a ceiling", nil, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{Ceiling: rates(t, "input 10 output 50")}, 35_000_000, 0, cost.Ceilinged},
		// 1,000 × 10 + 500 × 50; the standard price is no price of another tier
		{"a service tier without a price, but a ceiling", opus, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{Service: "priority", Ceiling: rates(t, "input 10 output 50")}, 35_000_000, 0, cost.Ceilinged},
		{"a ceiling below the standard price", opus, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{Service: "priority", Ceiling: rates(t, "input 1 output 5")}, 17_500_000, 0, cost.Ceilinged},
		{"a ceiling that says nothing of a part", opus, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{Service: "priority", Ceiling: rates(t, "input 10")}, 22_500_000, 0, cost.Ceilinged | cost.Unpriced},
		{"no card, and free", nil, llm.Usage{Input: n(1000), Output: n(500)}, cost.Terms{Free: true}, 0, 0, 0},
		{"a price of 0 is a price", &price.Card{Rates: rates(t, "input 0 output 0")}, llm.Usage{Input: n(1000), Cached: n(10), Output: n(500)}, cost.Terms{}, 0, 0, cost.PricedUp},
		{"a ranking by the query", &price.Card{Rates: rates(t, "per_query 0.002")}, llm.Usage{Queries: n(3)}, cost.Terms{}, 6_000_000, 0, 0},
		{"a fee for each request", &price.Card{Rates: rates(t, "input 1 output 1 per_request 0.005")}, llm.Usage{Input: n(1000), Output: n(0)}, cost.Terms{}, 6_000_000, 0, 0},
		{"searches by the size of their context", &price.Card{Rates: rates(t, "input 1 output 1 web_search_low 0.005 web_search_high 0.012")}, llm.Usage{Input: n(0), Output: n(0), WebSearches: n(2)}, cost.Terms{Search: "low"}, 10_000_000, 0, 0},
		{"searches of an unknown size at the dearest", &price.Card{Rates: rates(t, "input 1 output 1 web_search_low 0.005 web_search_high 0.012")}, llm.Usage{Input: n(0), Output: n(0), WebSearches: n(2)}, cost.Terms{}, 24_000_000, 0, cost.PricedUp},
		// 1 × 0.0000000833333… $: 83.33333 nano
		{"a fraction of a nano-dollar is rounded up, once", &price.Card{Rates: rates(t, "input 0.08333333 output 0.08333333")}, llm.Usage{Input: n(1), Output: n(1)}, cost.Terms{}, 167, 0, 0},
		{"parts that are larger than their whole", gpt, llm.Usage{Input: n(10), Cached: n(20), Output: n(5), Reasoning: n(9)}, cost.Terms{}, 5_000 + 135_000, 45_000, cost.Inconsistent},
		{"a number below zero", gpt, llm.Usage{Input: n(-10), Output: n(5)}, cost.Terms{}, 75_000, 0, cost.Inconsistent},
		{"an answer of which no usage is known", gpt, llm.Usage{Input: n(1000)}, cost.Terms{}, 2_500_000, 0, cost.Unmeasured},
		{"more than there is", &price.Card{Rates: rates(t, "input 9000000000 output 1")}, llm.Usage{Input: n(cost.Max), Output: n(0)}, cost.Terms{}, cost.Max, 0, cost.Capped},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := llm.OpChat
			if c.usage.Queries.Known {
				op = llm.OpRerank
			}
			u, flags := cost.Split(op, c.usage)
			b := cost.Of(c.card, u, c.terms)
			if b.Nano != c.nano || b.Saved != c.saved || b.Flags|flags != c.flags {
				t.Errorf("got %d saved %d [%s], want %d saved %d [%s]; lines %+v", b.Nano, b.Saved, b.Flags|flags, c.nano, c.saved, c.flags, b.Lines)
			}
			sum := int64(0)
			for _, l := range b.Lines {
				sum += l.Nano
			}
			if sum != b.Nano {
				t.Errorf("the lines add up to %d, the bill is %d", sum, b.Nano)
			}
		})
	}
}

func TestLinesNameWhatIsCharged(t *testing.T) {
	c := &price.Card{Rates: rates(t, "input 3 output 15 cache_read 0.3")}
	u, _ := cost.Split(llm.OpChat, llm.Usage{Input: n(3000), Cached: n(2000), Output: n(100), WebSearches: n(1)})
	got := cost.Of(c, u, cost.Terms{Paid: 500})
	want := cost.Bill{Nano: 2_550_000, List: 5_100_000, Saved: 2_700_000, Flags: cost.Unpriced, Lines: []cost.Line{
		{Item: price.Input, Units: 1000, Rate: 3_000_000_000, Nano: 1_500_000},
		{Item: price.Output, Units: 100, Rate: 15_000_000_000, Nano: 750_000},
		{Item: price.CacheRead, Units: 2000, Rate: 300_000_000, Nano: 300_000},
		{Item: price.WebSearch, Units: 1, Flags: cost.Unpriced},
	}}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// The bundled card of a model whose price changed is the one of its day.
func TestTheRegistrysCardsAreDated(t *testing.T) {
	m, match := catalog.Find("anthropic", "claude-sonnet-5")
	if match != catalog.Exact || m.Card == nil {
		t.Fatal("the registry has no card of claude-sonnet-5: name another model here whose price changed on a day")
	}
	u, _ := cost.Split(llm.OpChat, llm.Usage{Input: n(1_000_000), Output: n(0)})
	before := cost.Of(m.Card, u, cost.Terms{At: day("2026-08-31")}).Nano
	after := cost.Of(m.Card, u, cost.Terms{At: day("2026-09-01")}).Nano
	if before != 2_000_000_000 || after != 3_000_000_000 {
		t.Errorf("got %d before and %d after, want 2 and 3 dollars", before, after)
	}
}
