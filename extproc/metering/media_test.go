package metering_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// priced makes a rig whose model has another card, as "input 2.5 per_character 0.000015" and images by size, quality and
// dollars; known says whether its limits are known.
func priced(t *testing.T, known bool, card string, images ...string) (*rig, *quota.Budget) {
	t.Helper()
	money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1 << 50}
	r := newRig(t, money)
	m := map[price.Item]price.Rate{}
	f := strings.Fields(card)
	for k := 0; k+1 < len(f); k += 2 {
		for i := range price.Item(price.Items) {
			parse := price.Parse
			if i.Tokens() {
				parse = price.ParseMillion
			}
			if i.String() == f[k] {
				v, err := parse(f[k+1])
				if err != nil {
					t.Fatal(err)
				}
				m[i] = v
			}
		}
	}
	if len(m) != len(f)/2 {
		t.Fatalf("%s has an item that is none", card)
	}
	var all []price.Image
	for k := 0; k < len(images); k += 3 {
		v, err := price.Parse(images[k+2])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, price.Image{Look: price.Look{Size: images[k], Quality: images[k+1]}, Rate: v})
	}
	c := &price.Card{Rates: price.RatesOf(m).WithImages(all), Factors: []price.Factor{{Name: "fast", Milli: 6000}, {Name: "us", Milli: 1100}, {Name: "eu", Region: true, Milli: 1100}},
		Services: []price.Service{{Name: "flex", Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: 500_000_000})}, {Name: "priority", Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: 2_000_000_000, price.Output: 20_000_000_000})}}}
	d := catalog.Declared{Name: "m", Card: c}
	if known {
		d.Context, d.MaxOutput = 10_000, 1000
		r.step.Provider.Adapter = facts{}
	} else {
		r.step.Provider.Adapter = unknown{}
	}
	r.step.Provider.Models = catalog.NewDeployment("mock", []catalog.Declared{d})
	return r, money
}

// unknown knows no limits of its models.
type unknown struct{ facts }

func (unknown) Facts(string) catalog.Facts { return catalog.Facts{} }

func fees(i price.Item, n int64) (u cost.Units) { u[i] = n; return u }

// What is reserved, by hand: prompts of 100 bytes, answers of up to 50 tokens.
func TestWhatMediaAndToolsReserve(t *testing.T) {
	images := []string{"1024x1024", "standard", "0.04", "1024x1024", "hd", "0.08"}
	for _, c := range []struct {
		name   string
		op     llm.Op
		card   string
		images []string
		wish   billing.Wish
		known  bool
		n      int
		want   int64 // nano-USD
		reason string
		says   string
	}{
		{name: "images by size and quality", op: llm.OpImage, images: images, wish: billing.Wish{Look: price.Look{Size: "1024x1024", Quality: "standard"}, Fees: fees(price.PerImageOutput, 3)}, want: 120_000_000},
		{name: "of a quality that the provider chooses", op: llm.OpImage, images: images, wish: billing.Wish{Look: price.Look{Size: "1024x1024"}, Fees: fees(price.PerImageOutput, 3)}, want: 240_000_000},
		{name: "of a size without a price", op: llm.OpImage, images: images, wish: billing.Wish{Look: price.Look{Size: "4k", Quality: "hd"}, Fees: fees(price.PerImageOutput, 1)}, reason: "unknown_price", says: "all that the request may use"},
		// 100 × 5 + 2 × 1,000 × 40: 500 + 80,000 µ$
		{name: "images by tokens, of which the model has a most", op: llm.OpImage, card: "input 5 image_output 40", known: true, n: 2, wish: billing.Wish{Fees: fees(price.PerImageOutput, 2)}, want: 80_500_000},
		{name: "images by tokens, of which it has none", op: llm.OpImage, card: "input 5 image_output 40", wish: billing.Wish{Fees: fees(price.PerImageOutput, 1)}, reason: "unmetered", says: "max_output"},
		// 10,000 × 10, since an image has more tokens than bytes may say
		{name: "changes of images by the window of the model", op: llm.OpImageEdit, card: "image_input 10 per_image_output 0.04", known: true, wish: billing.Wish{Fees: fees(price.PerImageOutput, 1)}, want: 140_000_000},
		{name: "changes of images without a window", op: llm.OpImageEdit, card: "image_input 10 per_image_output 0.04", wish: billing.Wish{Fees: fees(price.PerImageOutput, 1)}, reason: "unmetered", says: "context"},
		{name: "speech by the character", op: llm.OpSpeech, card: "per_character 0.000015", wish: billing.Wish{Fees: fees(price.PerCharacter, 4096)}, want: 61_440_000},
		{name: "speech by the second", op: llm.OpSpeech, card: "per_audio_second_output 0.00025", wish: billing.Wish{Fees: fees(price.PerCharacter, 4096)}, reason: "unmetered", says: "how long the speech"},
		// 100 × 0.6 + 1,000 × 12
		{name: "speech by tokens", op: llm.OpSpeech, card: "input 0.6 audio_output 12", known: true, wish: billing.Wish{Fees: fees(price.PerCharacter, 80)}, want: 12_060_000},
		{name: "speech by tokens without a most", op: llm.OpSpeech, card: "input 0.6 audio_output 12", reason: "unmetered", says: "max_output"},
		{name: "a transcript by the second", op: llm.OpTranscribe, card: "per_audio_second 0.0001", wish: billing.Wish{Fees: fees(price.PerAudioSecond, 61)}, want: 6_100_000},
		{name: "a transcript of unknown length", op: llm.OpTranscribe, card: "per_audio_second 0.0001", reason: "unmetered", says: "WAVE"},
		// 10,000 × 6 + 1,000 × 10
		{name: "a transcript by tokens", op: llm.OpTranslate, card: "input 2.5 audio_input 6 output 10", known: true, want: 70_000_000},
		{name: "nothing is known of the price", op: llm.OpSpeech, card: "per_query 1", wish: billing.Wish{Fees: fees(price.PerCharacter, 1)}, reason: "unknown_price", says: "no price is known"},
		// 100 × 1 + 50 × 10 is 600 µ$; by 6, and by 1.1
		{name: "fast mode", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Switches: []string{"fast", "us"}}, want: 3_960_000},
		{name: "a switch without a price", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Switches: []string{"optimized"}}, reason: "unknown_price"},
		// 100 × 2 × 2, as the tier does not state what writes to the cache cost, and 50 × 20
		{name: "the priority tier", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Service: "priority"}, want: 1_400_000},
		{name: "a cheaper tier is reserved as the standard one, which may serve it", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Service: "flex"}, want: 600_000},
		// 10,000 tokens four times, 3 searches of 27.5 m$
		{name: "searches whose number has a bound: each makes the prompt longer", op: llm.OpChat, card: "input 1 output 10 web_search_medium 0.0275", known: true, wish: billing.Wish{Search: "medium", Turns: 3, Fees: fees(price.WebSearch, 3)}, want: 4*10_000_000 + 500_000 + 82_500_000},
		{name: "searches without a price", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Turns: 3, Fees: fees(price.WebSearch, 3)}, reason: "unknown_price", says: "all that the request may use"},
		{name: "any number of searches", op: llm.OpChat, card: "input 1 output 10 web_search 0.01", wish: billing.Wish{Endless: "how often the provider searches"}, reason: "unmetered", says: "max_uses"},
		{name: "any number of turns", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Endless: "how often the provider runs code", Loops: true}, reason: "unmetered", says: "max_tool_calls"},
		// 100 × 0.8 + 2 × 60 µ$
		{name: "vectors of images", op: llm.OpEmbed, card: "input 0.8 per_image 0.00006", wish: billing.Wish{Fees: fees(price.PerImage, 2)}, want: 200_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, money := priced(t, c.known, c.card+cacheable(c.card), c.images...)
			w := r.want(100, 50)
			w.Op, w.Wish, w.N = c.op, c.wish, max(c.n, 1)
			g, err := r.reserve(t, w)
			e, _ := errors.AsType[*llm.Error](err)
			if c.reason != "" {
				if e == nil || e.Reason != c.reason || !strings.Contains(e.Message, c.says) {
					t.Fatalf("got %v, want %s", err, c.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := r.counter(t, money).Reserved; got != c.want {
				t.Errorf("%d nano-USD are reserved, want %d", got, c.want)
			}
			// Whatever the request asked for at most is what a broken answer is charged, and never more.
			end := r.ended(g.Hold, 0, 0)
			end.Op, end.Told, end.Attempts[0].Ended = c.op, metering.Told{}, billing.Aborted
			r.Settle(end)
			if got := r.counter(t, money); got.Used > c.want || got.Reserved != 0 || got.Used == 0 {
				t.Errorf("%d nano-USD are charged of %d, and %d stay reserved", got.Used, c.want, got.Reserved)
			}
		})
	}
}

// cacheable gives prices of a cache's writes that are those of input, so that sums are easily computed.
func cacheable(card string) string {
	if !strings.HasPrefix(card, "input ") {
		return ""
	}
	in := strings.Fields(card)[1]
	return " cache_write " + in + " cache_write_1h " + in
}

// A complete answer that says nothing of what it used is charged what was reserved, and never nothing.
func TestAnAnswerWithoutUsageIsChargedAsReserved(t *testing.T) {
	for _, c := range []struct {
		name, card string
		op         llm.Op
		wish       billing.Wish
		want       int64
	}{
		// 100 × 0.6 + 1,000 × 12, and so on
		{"speech by tokens, as sound alone", "input 0.6 audio_output 12", llm.OpSpeech, billing.Wish{Fees: fees(price.PerCharacter, 80)}, 12_060_000},
		{"images by tokens", "input 5 image_output 40", llm.OpImage, billing.Wish{Fees: fees(price.PerImageOutput, 1)}, 40_500_000},
		{"a transcript as text", "input 2.5 audio_input 6 output 10", llm.OpTranscribe, billing.Wish{Fees: fees(price.PerAudioSecond, 9)}, 70_000_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, money := priced(t, true, c.card)
			w := r.want(100, 50)
			w.Op, w.Wish = c.op, c.wish
			g, err := r.reserve(t, w)
			if err != nil {
				t.Fatal(err)
			}
			e := r.ended(g.Hold, 0, 0)
			e.Op, e.Told = c.op, metering.Told{}
			r.Settle(e)
			l, got := r.books.charges[0].Lines[0], r.counter(t, money)
			if most := g.Claims[0].Amount; got.Used != c.want || got.Used > most || got.Reserved != 0 || !l.Reserved || l.Bill.Flags&cost.Unmeasured == 0 {
				t.Errorf("%d of %d are charged, want %d [%s]", got.Used, most, c.want, l.Bill.Flags)
			}
		})
	}
}

// What is charged at the end, by hand: what the answer says, and what the request tells where it does not.
func TestWhatMediaAndTiersAreCharged(t *testing.T) {
	images := []string{"1024x1024", "standard", "0.04", "1024x1024", "hd", "0.08"}
	told := func(d llm.Details) metering.Told { return metering.Told{Usage: llm.Usage{Details: &d}, Whole: true} }
	tokens := func(in, out int64, d llm.Details) metering.Told {
		return metering.Told{Usage: llm.Usage{Input: llm.Tokens(in), Output: llm.Tokens(out), Details: &d}, Whole: true}
	}
	asked := billing.Wish{Look: price.Look{Size: "1024x1024", Quality: "hd"}, Fees: fees(price.PerImageOutput, 3)}
	for _, c := range []struct {
		name   string
		op     llm.Op
		card   string
		images []string
		wish   billing.Wish
		told   metering.Told
		model  string
		host   string
		want   int64
		flags  cost.Flags
	}{
		{name: "images of an answer that says nothing: as they were asked for", op: llm.OpImage, images: images, wish: asked, want: 240_000_000},
		{name: "of one that says how many it has", op: llm.OpImage, images: images, wish: asked, told: told(llm.Details{Images: llm.Tokens(2)}), want: 160_000_000},
		{name: "and of what quality", op: llm.OpImage, images: images, wish: asked, told: told(llm.Details{Images: llm.Tokens(2), Served: llm.Served{Quality: "standard"}}), want: 80_000_000},
		{name: "an image by what DALL·E takes where nothing is said", op: llm.OpImage, images: images, model: "dall-e-3", wish: billing.Wish{Fees: fees(price.PerImageOutput, 1)}, want: 40_000_000},
		{name: "characters", op: llm.OpSpeech, card: "per_character 0.000015", wish: billing.Wish{Fees: fees(price.PerCharacter, 1000)}, want: 15_000_000},
		// 20 × 0.6 + 250 × 12
		{name: "speech of which the answer says tokens", op: llm.OpSpeech, card: "input 0.6 audio_output 12", wish: billing.Wish{Fees: fees(price.PerCharacter, 1000)}, told: tokens(20, 250, llm.Details{}), want: 3_012_000},
		{name: "seconds that the answer says", op: llm.OpTranscribe, card: "per_audio_second 0.0001", told: told(llm.Details{Heard: llm.Tokens(61)}), want: 6_100_000},
		{name: "seconds that the request tells", op: llm.OpTranscribe, card: "per_audio_second 0.0001", wish: billing.Wish{Fees: fees(price.PerAudioSecond, 7)}, want: 700_000},
		{name: "a sound of which nobody says how long it is", op: llm.OpTranscribe, card: "per_audio_second 0.0001", want: 0, flags: cost.Unmeasured},
		{name: "vectors of two images", op: llm.OpEmbed, card: "input 0.8 per_image 0.00006", wish: billing.Wish{Fees: fees(price.PerImage, 2)}, told: metering.Told{Usage: llm.Usage{Input: llm.Tokens(100)}, Whole: true}, want: 200_000},
		// 1,000 × 1 + 100 × 10 = 2 m$
		{name: "no tier", op: llm.OpChat, card: "input 1 output 10", told: tokens(1000, 100, llm.Details{}), want: 2_000_000},
		// 1,000 × 2 + 100 × 20
		{name: "the tier that was asked for, where the answer says none", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Service: "priority"}, told: tokens(1000, 100, llm.Details{}), want: 4_000_000},
		{name: "the tier that served it", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Service: "priority"}, told: tokens(1000, 100, llm.Details{Served: llm.Served{Tier: "default"}}), want: 2_000_000},
		// 1,000 × 0.5 + 100 × 10, which the tier does not state
		{name: "one that nobody asked for", op: llm.OpChat, card: "input 1 output 10", told: tokens(1000, 100, llm.Details{Served: llm.Served{Tier: "flex"}}), want: 1_500_000, flags: cost.PricedUp},
		{name: "fast mode that was given", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Switches: []string{"fast"}}, told: tokens(1000, 100, llm.Details{Served: llm.Served{Speed: "fast", Geo: "us"}}), want: 13_200_000},
		{name: "fast mode that was not", op: llm.OpChat, card: "input 1 output 10", wish: billing.Wish{Switches: []string{"fast", "us"}}, told: tokens(1000, 100, llm.Details{Served: llm.Served{Speed: "standard"}}), want: 2_200_000},
		// 2 m$ and 27.5 m$
		{name: "a model that searches for each request", op: llm.OpChat, model: "gpt-4o-search-preview", card: "input 1 output 10 web_search_low 0.025 web_search_medium 0.0275", told: tokens(1000, 100, llm.Details{}), want: 29_500_000},
		{name: "with a small context", op: llm.OpChat, model: "gpt-4o-search-preview", wish: billing.Wish{Search: "low"}, card: "input 1 output 10 web_search_low 0.025 web_search_medium 0.0275", told: tokens(1000, 100, llm.Details{}), want: 27_000_000},
		{name: "within Europe", op: llm.OpChat, card: "input 1 output 10", host: "https://eu.api.openai.com/v1", told: tokens(1000, 100, llm.Details{}), want: 2_200_000},
		{name: "a place without a factor", op: llm.OpChat, card: "input 1 output 10", host: "https://bedrock-runtime.us-east-1.amazonaws.com", told: tokens(1000, 100, llm.Details{}), want: 2_000_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := priced(t, true, c.card+cacheable(c.card), c.images...)
			if c.model != "" {
				m, _ := r.step.Provider.Models.Find("m")
				r.step.Provider.Models, r.step.Model = catalog.NewDeployment("mock", []catalog.Declared{{Name: c.model, Card: m.Card}}), c.model
			}
			if c.host != "" {
				base, err := url.Parse(c.host)
				if err != nil {
					t.Fatal(err)
				}
				r.step.Provider.Base = base
			}
			w := r.want(100, 50)
			w.Op, w.Wish = c.op, c.wish
			g, err := r.Reserve(t.Context(), w, metering.Terms{})
			if err != nil {
				t.Fatal(err)
			}
			e := r.ended(g.Hold, 0, 0)
			e.Op, e.Told = c.op, c.told
			r.Settle(e)
			l := r.books.charges[0].Lines[0]
			if l.Bill.Nano != c.want || l.Bill.Flags != c.flags {
				t.Errorf("got %d nano-USD [%s], want %d [%s]; %+v", l.Bill.Nano, l.Bill.Flags, c.want, c.flags, l.Bill.Lines)
			}
		})
	}
}
