// Package texts makes texts that are hard to tokenize. They follow from a seed and nothing else, so that
// expectations can be stored for them; they are no sample of what users write.
package texts

import (
	"encoding/binary"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"strings"
	"unicode"
)

// blocks are ranges of characters that texts in one script come from.
var blocks = [][2]rune{
	{0x20, 0x7F}, {0xA0, 0x250}, {0x370, 0x400}, {0x400, 0x530}, {0x5D0, 0x600}, {0x600, 0x700}, {0x900, 0x980}, {0xE00, 0xE80},
	{0x10A0, 0x1100}, {0x1100, 0x1200}, {0x1E00, 0x2000}, {0x3040, 0x3100}, {0x4E00, 0xA000}, {0xAC00, 0xD7A4}, {0x300, 0x370}, {0x2000, 0x2070}, {0x1F300, 0x1F650},
	{0x2150, 0x2190}, {0x2460, 0x2500}, {0x2E80, 0x2FE0}, {0xFF00, 0xFFEF}, {0x1D400, 0x1D800}, {0, 0x20},
}

// traps are what scanners were seen to get wrong.
var traps = []string{
	"'s", "'S", "'\u017F", "'T", "'re", "'RE", "'Ll", "'ll", "'ve", "'d", "'m", "'lL", "'r", "'v", "'l", "\u2019s", "'", " '", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\n\t\n", " \n",
	"\u3000", "\u00A0", "\u0085", "\u2028", "\u180E", "\u200B", "\u3000a", "\u00A0A", "/", "//", "/\n", ".\n/", ".\n\n/\n", "...", "===", "---", "1", "12", "123", "1234", "12345", "\u2167", "\u2460", "\u0663", "\u3007",
	"\u570B", "\u3005", "\u2F00", "HTTP", "HTTPServer", "camelCase", "XMLHttp", "\u4E9A\u6D32AV", "\u4E9A\u6D32AVa", "aB", "AbC", "Ab", "\u00E9", "e\u0301", "\u0301", "\u0301a", "\u0301A", "\u0301 ", "a\u0301B", "\u01C5", "\u02B0", "\u00AA",
	"\x00", "\x7F", "a\x00", "ab\x00\x00", "\x00\x00", "{\"a\": 1}", "\"},{\"", "();\n", "<|endoftext|>", "<|im_start|>", "\uFFFD", "\U0001F44D\U0001F3FD", "\U0001F468\u200D\U0001F469\u200D\U0001F467",
	"\uFB01", "\u00DF", "\u1E9E", "\u0130", "\u0131", "\u017F", "\u212A", "\u1100\u1161\u11A8", "\u0338", "=\u0338", "\u0E33", "\u093C", "\u0915\u093C", ".com", "$foo", "#a", "_b", "!\u4E00", "\u3042\u30A2", "\u30FB", "\u9FFF",
}

const words = "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years much where your way down should because long each just those people too little good very make world still own see men work here get both between life being under three never know same last another while us might great year since against go came right used take himself few house use place during high without again home around small however found return func import public static class const string error nil null true false"

// Source makes texts from a seed.
type Source struct {
	r     *rand.Rand
	words []string
	old   bool
}

// New returns the source of a seed. With old, no text has a character that Unicode 15.0 does not have: what
// older references take for unassigned.
func New(seed uint64, old bool) *Source {
	return &Source{rand.New(rand.NewPCG(seed, 0x746F6B656E)), strings.Fields(words), old}
}

// All yields texts without end.
func (s *Source) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for yield(s.Next()) {
		}
	}
}

// Next returns the next text.
func (s *Source) Next() string {
	var b strings.Builder
	for range 1 + s.r.IntN(12) {
		s.part(&b)
	}
	return b.String()
}

func (s *Source) part(b *strings.Builder) {
	switch k := s.r.IntN(100); {
	case k < 28:
		b.WriteString(s.pick(traps))
	case k < 45:
		s.word(b)
	case k < 75:
		block := blocks[s.r.IntN(len(blocks))]
		for range 1 + s.r.IntN(6) {
			b.WriteRune(s.char(block[0], block[1]))
		}
	case k < 80:
		b.WriteString(strings.Repeat(s.pick(traps), 2+s.r.IntN(20)))
	case k < 86:
		n := 1 + s.r.IntN(20)
		if s.r.IntN(20) == 0 {
			n *= 15
		}
		for range n {
			b.WriteByte(byte('a' + s.r.IntN(26)))
		}
	case k < 92:
		const mix = " \t\n\ra.'/A-"
		for range 1 + s.r.IntN(8) {
			b.WriteByte(mix[s.r.IntN(len(mix))])
		}
	case k < 96:
		b.WriteString(strings.Repeat(string(s.char(0, 0x3000)), 1+s.r.IntN(150)))
	default:
		for range 3 {
			b.WriteRune(s.char(0, 0x110000))
		}
	}
}

func (s *Source) word(b *strings.Builder) {
	w := s.pick(s.words)
	switch s.r.IntN(8) {
	case 0:
		w = strings.ToUpper(w)
	case 1, 2:
		w = strings.ToUpper(w[:1]) + w[1:]
	}
	if s.r.IntN(3) > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(w)
}

func (s *Source) pick(of []string) string { return of[s.r.IntN(len(of))] }

// char returns a character from low to below high, no surrogate.
func (s *Source) char(low, high rune) rune {
	for {
		c := low + s.r.Int32N(high-low)
		if c >= 0xD800 && c < 0xE000 {
			continue
		}
		if !s.old || unicode.In(c, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co) {
			return c
		}
	}
}

// AppendDigest appends what is stored of the tokens of a text: their number as an unsigned varint, and 16 bits
// of a hash of their ids.
func AppendDigest(dst []byte, ids []int) []byte {
	h := fnv.New64a()
	for _, id := range ids {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(id)))
	}
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	return binary.LittleEndian.AppendUint16(dst, uint16(h.Sum64()))
}
