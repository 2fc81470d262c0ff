package sentencepiece

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Published vocabularies are not kept here. With "-vocab FILE", "-samples FILE" writes strings as lines of JSON,
// testdata/count.py counts them with the vocabulary's own library, and "-counts FILE" compares.
var (
	vocabFlag   = flag.String("vocab", "", "a tokenizer.json or tokenizer.model")
	samplesFlag = flag.String("samples", "", "write the strings of the sample to this file")
	countsFlag  = flag.String("counts", "", "compare with the counts in this file")
	numberFlag  = flag.Int("n", 20000, "strings of the sample")
)

var sampleParts = append(strings.Fields(`the The THE hello Hello world don't it's HTTPServer getElementsByName foo_bar naïve café Über
Straße привет Привет Ελλάδα שלום مرحبا हिन्दी ภาษาไทย 한국어 日本語 中文 漢字 ひらがな カタカナ Ⅷ ½ ① ² 🙂 👍🏽 👩‍👩‍👧 🇩🇪 ❤️ — … “ ” € → 。 </div> <td>
<table> <unused5> <mask> [multimodal] >▁</ > </ <0x0A> 12345 3.14 == != // /* */ () {} [] => ->`),
	" ", " ", " ", " ", " ", "  ", "   ", "        ", "\n", "\n\n", "\t", "\n    ", "\r\n", "e\u0301", "\u200B", "\x00", "\x01", "\uFEFF", "\uFFFD", "\u3000", "> </")

// sample returns n strings.
func sample(n int) (texts []string) {
	r := rand.New(rand.NewPCG(5, 6))
	spans := [][2]int{{0x20, 0x7E}, {0xA0, 0x24F}, {0x250, 0x1FFF}, {0x2000, 0x33FF}, {0x3400, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x1FFFF}}
	for range n {
		var b strings.Builder
		mode := r.IntN(4)
		for range 1 + r.IntN(20) {
			switch k := r.IntN(10); {
			case mode == 0 && k < 6:
				s := spans[r.IntN(len(spans))]
				b.WriteRune(rune(s[0] + r.IntN(s[1]-s[0]+1)))
			case mode == 1 && k < 7:
				b.WriteByte(byte('a' + r.IntN(26)))
			case mode == 2 && k < 3:
				b.WriteString(strings.Repeat(sampleParts[r.IntN(len(sampleParts))], 1+r.IntN(9)))
			default:
				b.WriteString(sampleParts[r.IntN(len(sampleParts))])
			}
		}
		texts = append(texts, b.String())
	}
	return texts
}

func TestAPublishedVocabularyCountsAsItsLibraryDoes(t *testing.T) {
	texts := sample(*numberFlag)
	if *samplesFlag != "" {
		var b strings.Builder
		for _, text := range texts {
			quoted, err := jsonx.Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n", quoted)
		}
		if err := os.WriteFile(*samplesFlag, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if *vocabFlag == "" || *countsFlag == "" {
		t.Skip("no vocabulary was given with -vocab and -counts")
	}
	raw, err := os.ReadFile(*vocabFlag)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	counts, err := os.ReadFile(*countsFlag)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(counts))
	if len(want) != len(texts) {
		t.Fatalf("%d counts for %d strings", len(want), len(texts))
	}
	bad := 0
	for i, text := range texts {
		if got := strconv.Itoa(m.Count([]byte(text))); got != want[i] {
			if bad++; bad <= 10 {
				t.Errorf("%+q: %s tokens, want %s", text, got, want[i])
			}
		}
	}
	size := len(m.chars)*4 + len(m.ranks)*4 + len(m.pairs)*8 + len(m.joins.bloom)*8
	t.Logf("%d of %d differ; %d KB of tables, %d added", bad, len(texts), size>>10, len(m.added))
}
