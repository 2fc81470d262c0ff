//go:build !noclaude

package claude

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Strings for ctok, the project that made the pieces, to count: "go test -samples FILE" writes them as lines of
// JSON, testdata/count.py counts them, and "-counts FILE" compares. Without flags the stored counts are compared.
var (
	samplesFlag = flag.String("samples", "", "write the strings of the sample to this file")
	countsFlag  = flag.String("counts", "", "compare with the counts in this file instead of the stored ones")
	numberFlag  = flag.Int("n", 20000, "strings of the sample")
)

// versions are the names that ctok has for our families.
var versions = []struct{ family, version string }{{"claude-3", "3.0"}, {"claude-4.7", "4.7"}, {"claude-4.8", "4.8"}}

var (
	sampleWords = strings.Fields(`the The THE hello Hello WORLD don't it's we'll I've they're O'Neil McDonald HTTPServer iPhone
getElementsByName foo_bar naïve café Über ÜBER Straße STRASSE ẞ İstanbul İSTANBUL ISTANBUL привет Привет ПРИВЕТ Ελλάδα ΕΛΛΑΔΑ
ΣΑΣ Σας שלום مرحبا हिन्दी नमस्ते ไทย ภาษาไทย กำลัง ํา 한국어 日本語 中文 ひらがな カタカナ ーー 々 〆 Ⅷ ⅷ ⓐ Ⓐ ǅ ǆ Ǆ ﬁ ª º º. ² ³ ½ ①
١٢ ۱۲ १२ ༡༢ ܒܓܕ ܒܼ ᛒ ᛮ ﷺ 🙂 👍🏽 👩‍👩‍👧 🇩🇪 ❤️ — – … “ ” ‘ ’ « » • € £ → 、 。 （ ） ： ”`)
	sampleOdd = []string{
		"a\u0301", "o\u0302\u0323", "\u0301", "\u0345", "\u0363", "\u0300\u0345", "\uFE0F", "\uFE0E", "\u200B", "\u200D",
		"\u00AD", "\uFEFF", "\uE000", "\x00", "\x01", "\r", "\r\n", "\x7F", "\u0085", "\u00A0", "\u2003", "\u2028", "\u3000",
		"\u094D", "\u0730", "'", "'s", "s", "ll", "\u0E4D\u0E32", "\u1100\u1161\u11A8", "\uAC00\u11A8",
	}
	sampleBlanks = []string{" ", " ", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\t", "\n    ", " \n", "\n\n\n\n"}
)

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// character returns one of all scripts, but for those whose classes changed after Unicode 16.
func character(r *rand.Rand) string {
	spans := [][2]int{
		{0x20, 0x7E}, {0x20, 0x7E}, {0xA0, 0x24F}, {0x250, 0x5C7}, {0x5D0, 0x1C7F}, {0x1C90, 0x1FFF}, {0x2000, 0x33FF},
		{0x3400, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x1FFFF},
	}
	s := spans[r.IntN(len(spans))]
	return string(rune(s[0] + r.IntN(s[1]-s[0]+1)))
}

// sample returns n strings and the families to count them for.
func sample(n int) (texts []string, families []int) {
	r := rand.New(rand.NewPCG(5, 6))
	const marks = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	for range n {
		var b strings.Builder
		mode := r.IntN(5)
		for range 1 + r.IntN(14) {
			switch k := r.IntN(20); {
			case mode == 0 && k < 12 || mode == 4:
				b.WriteString(character(r))
			case mode == 1 && k < 14:
				b.WriteString(pick(r, sampleOdd))
			case k < 8:
				b.WriteString(pick(r, sampleWords))
			case k < 15:
				b.WriteString(pick(r, sampleBlanks))
			case k < 18:
				b.WriteString(strings.Repeat(marks[r.IntN(len(marks)):][:1], 1+r.IntN(3)))
			default:
				b.WriteString(strconv.Itoa(r.IntN(100000)))
			}
		}
		texts, families = append(texts, b.String()), append(families, r.IntN(len(versions)))
	}
	return texts, families
}

func TestSampleCountsAsTheSourceOfThePiecesDoes(t *testing.T) {
	texts, families := sample(*numberFlag)
	if *samplesFlag != "" {
		var b strings.Builder
		for i, text := range texts {
			quoted, err := jsonx.Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "[%q,%s]\n", versions[families[i]].version, quoted)
		}
		if err := os.WriteFile(*samplesFlag, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	file := *countsFlag
	if file == "" {
		file = filepath.Join("testdata", "counts.txt")
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(raw))
	if len(want) != len(texts) {
		t.Fatalf("%d counts for %d strings", len(want), len(texts))
	}
	var all []*Family
	for _, v := range versions {
		all = append(all, open(t, v.family))
	}
	bad := 0
	for i, text := range texts {
		f := all[families[i]]
		if got := strconv.Itoa(f.Count([]byte(text)) + f.Frame); got != want[i] {
			if bad++; bad <= 10 {
				t.Errorf("%s: %+q: %s tokens, ctok counts %s", f.Name, text, got, want[i])
			}
		}
	}
	t.Logf("%d of %d differ", bad, len(texts))
}
