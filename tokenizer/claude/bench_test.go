//go:build !noclaude

package claude

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// prose is ordinary English; the words differ so that the memo has work.
func prose(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields(`the of and a to in is you that it he was for on are as with his they I at be this have from or
one had by word but not what all were we when your can said there use an each which she do how their if will up other
about out many then them these so some her would make like him into time has look two more write go see number no way
could people my than first water been call who oil its now find long down day did get come made may part over new sound
take only little work know place year live me back give most very after thing our just name good sentence man think say
great where help through much before line right too mean old any same tell boy follow came want show also around form
three small set put end does another well large must big even such because turn here why ask went men read need land
different home us move try kind hand picture again change off play spell air away animal house point page letter mother
answer found study still learn should America world reconstruction unbelievable tokenization infrastructure`)
	var b bytes.Buffer
	for b.Len() < size {
		w := words[min(int(r.ExpFloat64()*40), len(words)-1)]
		switch r.IntN(40) {
		case 0:
			w = strings.ToUpper(w[:1]) + w[1:]
		case 1:
			w += ","
		case 2:
			w += ".\n\n"
		case 3:
			w = "it's"
		case 4:
			w = "(" + w + ")"
		}
		b.WriteString(w + " ")
	}
	return b.Bytes()[:size]
}

// fill repeats make until there are size bytes.
func fill(size int, piece func(*rand.Rand) string) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, 0, size+64)
	for len(b) < size {
		b = append(b, piece(r)...)
	}
	for size < len(b) && !utf8.RuneStart(b[size]) {
		size--
	}
	return b[:size]
}

// always repeats one string.
func always(s string) func(*rand.Rand) string { return func(*rand.Rand) string { return s } }

// adversarial are texts that are known to break tokenizers, by name.
var adversarial = map[string]func(*rand.Rand) string{
	"one letter":      always("a"),
	"one capital":     always("A"),
	"spaces":          always(" "),
	"newlines":        always("\n"),
	"dashes":          always("-"),
	"dots and blanks": always("... "),
	"digits":          func(r *rand.Rand) string { return string(rune('0' + r.IntN(10))) },
	"letters":         func(r *rand.Rand) string { return string(rune('a' + r.IntN(26))) },
	"mixed case":      func(r *rand.Rand) string { return string(rune('A' + r.IntN(26) + 32*r.IntN(2))) },
	"marks":           always("\u0301"),
	"other marks":     func(r *rand.Rand) string { return string(rune(0x300 + r.IntN(0x70))) },
	"marked letters":  always("e\u0301"),
	"random bytes":    func(r *rand.Rand) string { return string([]byte{byte(r.Uint32())}) },
	"high bytes":      always("\xff"),
	"ideographs":      func(r *rand.Rand) string { return string(rune(0x4E00 + r.IntN(0x5000))) },
	"one ideograph":   always("中"),
	"kana":            always("カタカナ"),
	"cyrillic":        func(r *rand.Rand) string { return string(rune(0x430 + r.IntN(32))) },
	"emoji":           always("👩‍👩‍👧"),
	"apostrophes":     always("'s"),
	"controls":        always("\x01"),
	"hindi":           always("हिन्दी "),
	"jamo":            always("\u1100\u1161\u11a8"),
	"other numbers":   always("²"),
	"thai":            always("ํา"),
}

func BenchmarkCount(b *testing.B) {
	texts := map[string][]byte{"prose": prose(1 << 20)}
	for name, piece := range adversarial {
		texts[name] = fill(1<<20, piece)
	}
	for name, text := range texts {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			f := open(b, "claude-3")
			f.Count(text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				f.Count(text)
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	f, text := open(b, "claude-3"), prose(1<<16)
	s := f.Stream()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Add(text[i : i+4])
		if i += 4; i+4 > len(text) {
			i = 0
		}
	}
}
