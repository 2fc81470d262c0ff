package cost_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// looks adds the prices of images: size, quality and dollars in turn; "" is any.
func looks(t testing.TB, r price.Rates, s ...string) price.Rates {
	t.Helper()
	var images []price.Image
	for i := 0; i < len(s); i += 3 {
		v, err := price.Parse(s[i+2])
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, price.Image{Look: price.Look{Size: s[i], Quality: s[i+1]}, Rate: v})
	}
	return r.WithImages(images)
}

// Images, sounds, tools and places: computed by hand from prices as vendors publish them, in nano-USD.
func TestBillsOfMediaAreThoseOfTheInvoices(t *testing.T) {
	dalle := &price.Card{Rates: looks(t, price.Rates{}, "1024x1024", "standard", "0.04", "1024x1024", "hd", "0.08", "1792x1024", "standard", "0.08", "1792x1024", "hd", "0.12")}
	mixed := &price.Card{Rates: looks(t, rates(t, "per_image_output 0.02"), "1024x1024", "", "0.05", "", "hd", "0.07", "1024x1024", "hd", "0.06"),
		Services: []price.Service{{Name: "flex", Rates: looks(t, price.Rates{}, "1024x1024", "", "0.025")}}}
	painter := &price.Card{Rates: rates(t, "input 5 cache_read 1.25 image_input 8 image_cache_read 2 image_output 32 output 10")}
	flashImage := &price.Card{Rates: rates(t, "input 0.3 output 2.5 image_output 30")}
	flash := &price.Card{Rates: rates(t, "input 0.3 output 2.5")}
	whisper := &price.Card{Rates: rates(t, "per_audio_second 0.0001")}
	listener := &price.Card{Rates: rates(t, "input 2.5 audio_input 6 output 10")}
	tts := &price.Card{Rates: rates(t, "per_character 0.000015")}
	speaker := &price.Card{Rates: rates(t, "input 0.6 audio_output 12")}
	bySecond := &price.Card{Rates: rates(t, "per_audio_second_output 0.00025")}
	titan := &price.Card{Rates: rates(t, "input 0.8 per_image 0.00006")}
	searcher := &price.Card{Rates: rates(t, "input 1 output 1 web_search_low 0.025 web_search_medium 0.0275 web_search_high 0.03 file_search 0.0025")}
	regional := &price.Card{Rates: rates(t, "input 3 output 15"), Factors: []price.Factor{{Name: "*", Region: true, Milli: 1100}, {Name: "eu", Region: true, Milli: 1200}, {Name: "us-*", Region: true, Milli: 1150}, {Name: "us", Milli: 1300}}}
	chat := llm.Usage{Input: n(1000), Output: n(100)}
	made := func(k int64) llm.Usage { return llm.Usage{Details: &llm.Details{Images: n(k)}} }
	with := func(in, out int64, d llm.Details) llm.Usage {
		return llm.Usage{Input: n(in), Output: n(out), Details: &d}
	}
	look := func(size, quality string) cost.Terms {
		return cost.Terms{Look: price.Look{Size: size, Quality: quality}}
	}
	for _, c := range []struct {
		name  string
		op    llm.Op
		card  *price.Card
		usage llm.Usage
		terms cost.Terms
		nano  int64
		saved int64
		flags cost.Flags
	}{
		// 3 × 80 m$
		{"three images by size and quality", llm.OpImage, dalle, made(3), look("1024x1024", "hd"), 240_000_000, 0, 0},
		{"a size in other letters", llm.OpImage, dalle, made(1), look("1792X1024", "Standard"), 80_000_000, 0, 0},
		{"of an unknown quality at the dearest of the size", llm.OpImage, dalle, made(1), look("1024x1024", "auto"), 80_000_000, 0, cost.PricedUp},
		{"of nothing known at the dearest of all", llm.OpImage, dalle, made(2), cost.Terms{}, 240_000_000, 0, cost.PricedUp},
		{"a size that has no price", llm.OpImage, dalle, made(1), look("256x256", "hd"), 0, 0, cost.Unpriced},
		{"a size that has none of its own", llm.OpImageVary, mixed, made(1), look("256x256", "low"), 20_000_000, 0, 0},
		{"what says more of the look holds", llm.OpImageEdit, mixed, made(1), look("1024x1024", "hd"), 60_000_000, 0, 0},
		{"any quality of a size", llm.OpImage, mixed, made(1), look("1024x1024", "low"), 50_000_000, 0, 0},
		{"any size of a quality", llm.OpImage, mixed, made(1), look("512x512", "hd"), 70_000_000, 0, 0},
		{"at a service tier that states it", llm.OpImage, mixed, made(2), cost.Terms{Service: "flex", Look: price.Look{Size: "1024x1024", Quality: "low"}}, 50_000_000, 0, 0},
		{"at one that does not", llm.OpImage, mixed, made(1), cost.Terms{Service: "flex", Look: price.Look{Size: "2k", Quality: "low"}}, 20_000_000, 0, cost.PricedUp},
		{"no image was made", llm.OpImage, dalle, made(0), look("1024x1024", "hd"), 0, 0, 0},
		{"images of which nobody says how many", llm.OpImage, dalle, llm.Usage{}, look("1024x1024", "hd"), 0, 0, cost.Unmeasured},
		// 100 × 5 + 600 × 8 + 300 × 1.25 + 1,056 × 32 + 44 × 10 = 500 + 4,800 + 375 + 33,792 + 440 µ$; 300 × 3.75 saved
		{"images by tokens, some of the text cached", llm.OpImageEdit, painter, llm.Usage{Input: n(1000), Cached: n(300), Output: n(1100), Details: &llm.Details{ImageIn: n(600), ImageOut: n(1056), Images: n(1)}}, cost.Terms{}, 39_907_000, 1_125_000, 0},
		// all 400 fresh tokens are images, and 200 of the cached: 400 × 8 + 200 × 2 + 400 × 1.25; 200 × 6 + 400 × 3.75 saved
		{"images that must have been cached", llm.OpImageEdit, painter, llm.Usage{Input: n(1000), Cached: n(600), Output: n(0), Details: &llm.Details{ImageIn: n(600)}}, cost.Terms{}, 4_100_000, 2_700_000, 0},
		// 20 × 0.3 + 20 × 2.5 + 1,290 × 30 = 6 + 50 + 38,700 µ$
		{"an image within a chat", llm.OpChat, flashImage, with(20, 1310, llm.Details{ImageOut: n(1290)}), cost.Terms{}, 38_756_000, 0, 0},
		// 1,290 × 2.5 = 3,225 µ$, which may be too little
		{"an image of a chat without a price for it", llm.OpChat, flash, with(20, 1310, llm.Details{ImageOut: n(1290)}), cost.Terms{}, 3_281_000, 0, cost.Unpriced},
		// 258 + 42 tokens × 0.3
		{"images in a prompt cost what text does where nothing else is said", llm.OpChat, flash, with(300, 0, llm.Details{ImageIn: n(258)}), cost.Terms{}, 90_000, 0, 0},
		{"more images than prompt", llm.OpChat, flash, with(10, 0, llm.Details{ImageIn: n(30)}), cost.Terms{}, 9_000, 0, cost.Inconsistent},
		// 61 × 0.1 m$
		{"a transcript by the second", llm.OpTranscribe, whisper, llm.Usage{Details: &llm.Details{Heard: n(61)}}, cost.Terms{}, 6_100_000, 0, 0},
		{"a translation of which nobody says how long", llm.OpTranslate, whisper, llm.Usage{}, cost.Terms{}, 0, 0, cost.Unmeasured},
		// 20 × 2.5 + 600 × 6 + 100 × 10 = 50 + 3,600 + 1,000 µ$: the minute is not charged beside its tokens
		{"a transcript by tokens", llm.OpTranscribe, listener, llm.Usage{Input: n(620), AudioIn: n(600), Output: n(100), Details: &llm.Details{Heard: n(60)}}, cost.Terms{}, 4_650_000, 0, 0},
		// 5,000 × 15 µ$
		{"speech by the character", llm.OpSpeech, tts, llm.Usage{Details: &llm.Details{Characters: n(5000)}}, cost.Terms{}, 75_000_000, 0, 0},
		// 20 × 0.6 + 250 × 12: characters are not charged beside tokens
		{"speech by tokens", llm.OpSpeech, speaker, llm.Usage{Input: n(20), Output: n(250), AudioOut: n(250), Details: &llm.Details{Characters: n(80)}}, cost.Terms{}, 3_012_000, 0, 0},
		// 12 × 0.25 m$
		{"speech by the second", llm.OpSpeech, bySecond, llm.Usage{Details: &llm.Details{Characters: n(80), Spoken: n(12)}}, cost.Terms{}, 3_000_000, 0, 0},
		{"characters of a model without any price for speech", llm.OpSpeech, whisper, llm.Usage{Details: &llm.Details{Characters: n(80)}}, cost.Terms{}, 0, 0, cost.Unpriced},
		// 100 × 0.8 + 2 × 60 µ$
		{"vectors of text and two images", llm.OpEmbed, titan, llm.Usage{Input: n(100), Details: &llm.Details{Pictures: n(2)}}, cost.Terms{}, 200_000, 0, 0},
		// 2 × 27.5 m$ + 3 × 2.5 m$ + 1 m$ + 0.1 m$
		{"searches of a medium context, and in files", llm.OpChat, searcher, llm.Usage{Input: n(1000), Output: n(100), WebSearches: n(2), Details: &llm.Details{FileSearches: n(3)}}, cost.Terms{Search: "medium"}, 63_600_000, 0, 0},
		// 1.1 m$ + 25 m$ × 4
		{"searches of a small context", llm.OpChat, searcher, llm.Usage{Input: n(1000), Output: n(100), WebSearches: n(4)}, cost.Terms{Search: "low"}, 101_100_000, 0, 0},
		{"a search in files without a price", llm.OpChat, flash, llm.Usage{Input: n(0), Output: n(0), Details: &llm.Details{FileSearches: n(1)}}, cost.Terms{}, 0, 0, cost.Unpriced},
		// 3,000 + 1,500 = 4,500 µ$, by 1.1
		{"in a region", llm.OpChat, regional, chat, cost.Terms{Region: "europe-west4"}, 4_950_000, 0, 0},
		{"in a region that has its own factor", llm.OpChat, regional, chat, cost.Terms{Region: "eu"}, 5_400_000, 0, 0},
		{"of two patterns the first holds", llm.OpChat, regional, chat, cost.Terms{Region: "us-east5"}, 4_950_000, 0, 0},
		{"in no region in particular", llm.OpChat, regional, chat, cost.Terms{Region: "global"}, 4_500_000, 0, 0},
		// 4,500 × 1.1 × 1.3
		{"in a region, with inference in the US", llm.OpChat, regional, chat, cost.Terms{Region: "ap-south-1", Switches: []string{"us"}}, 6_435_000, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, flags := cost.Split(c.op, c.usage)
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

// Cards that state another price of an image are other cards.
func TestImagesArePartOfACard(t *testing.T) {
	a := price.Card{Rates: looks(t, price.Rates{}, "1024x1024", "hd", "0.08", "1k", "", "0.04")}
	later := a.Rates.With(looks(t, price.Rates{}, "1024x1024", "hd", "0.09"))
	b := price.Card{Rates: later}
	if got, want := string(a.AppendText(nil)), `image "1024x1024" "hd" 80000 image "1k" "" 40000`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if a.Hash() == b.Hash() || a.Rates.Equal(later) || !a.Rates.Stated() || len(later.Images()) != 2 {
		t.Errorf("%s and %s are the same", a.AppendText(nil), b.AppendText(nil))
	}
	if r, sure, ok := later.Image(price.Look{Size: "1024x1024", Quality: "hd"}); r.String() != "0.09" || !sure || !ok {
		t.Errorf("got %s, %t, %t", r, sure, ok)
	}
	if r, sure, ok := a.Rates.Image(price.Look{Size: "1024x1024", Quality: "hd"}); r.String() != "0.08" || !sure || !ok {
		t.Errorf("the former list became %s, %t, %t", r, sure, ok)
	}
}
