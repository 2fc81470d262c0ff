package scan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/testkit/texts"
)

func pieces(t *testing.T, name, text string) (out []string) {
	t.Helper()
	s, ok := Named(name)
	if !ok {
		t.Fatalf("no rules %q", name)
	}
	for i := 0; i < len(text); {
		j := s.Next([]byte(text), i)
		if j <= i || j > len(text) {
			t.Fatalf("%s: %q: the piece at %d ends at %d", name, text, i, j)
		}
		out = append(out, text[i:j])
		i = j
	}
	return out
}

// Each of these was got wrong by some tokenizer. Want has the pieces with | between.
func TestPitfalls(t *testing.T) {
	for _, c := range []struct{ what, rules, text, want string }{
		{"the long s is an s", "o200k", "it'\u017F x", "it'\u017F| x"},
		{"the long s is an s alone", "cl100k", "it'\u017F x", "it|'\u017F| x"},
		{"GPT-2 knows small letters only", "r50k", "it's IT'S", "it|'s| IT|'|S"},
		{"a contraction comes before letters", "cl100k", "'sam", "'s|am"},
		{"no contraction, but a word with a lead", "o200k", "'sam", "'sam"},
		{"a contraction belongs to its word", "o200k", "DON'T we'LL x're", "DON'T| we'LL| x're"},
		{"no contractions", "tekken", "don't", "don|'t"},
		{"a mark may lead a word", "cl100k", "\u0301abc", "\u0301abc"},
		{"a mark alone is a word where words have case", "o200k", "\u0301HTTP", "\u0301|HTTP"},
		{"a mark leads small letters", "o200k", "\u0301http", "\u0301http"},
		{"a mark behind a space is a word", "o200k", " \u0301.", " \u0301|."},
		{"a mark behind a space is punctuation", "cl100k", " \u0301.", " \u0301."},
		{"capitals give back to the last of both cases", "o200k", "亚洲AV", "亚洲|AV"},
		{"capitals go on where small letters follow", "o200k", "亚洲AVa", "亚洲AVa"},
		{"capitals and small letters are one word", "o200k", "HTTPServer", "HTTPServer"},
		{"a small letter ends before a capital", "o200k", "camelCase", "camel|Case"},
		{"the last space leads what follows", "o200k", "a   b", "a|  | b"},
		{"the last wide space leads what follows", "o200k", "a\u3000\u3000b", "a|\u3000|\u3000b"},
		{"newlines come first", "o200k", "a \n\t\n  b", "a| \n\t\n| | b"},
		{"the end of the text, newlines first", "o200k", "a\n  ", "a|\n|  "},
		{"the end of the text, in one piece", "cl100k", "a\n  ", "a|\n  "},
		{"newlines are white space", "r50k", "a\n\nb", "a|\n|\n|b"},
		{"a newline, a tab, a newline", "o200k", "\n\t\n", "\n\t\n"},
		{"only a space leads punctuation", "o200k", "\t.\u00A0.", "\t|.|\u00A0|."},
		{"a tab leads letters", "o200k", "\tfoo", "\tfoo"},
		{"only a space leads, for GPT-2", "r50k", "\tfoo 12 .", "\t|foo| 12| ."},
		{"U+0085, U+2028 are white, U+180E, U+200B are not", "o200k", ".\u0085.\u2028.\u180E.\u200B.", ".|\u0085|.|\u2028|.\u180E.\u200B."},
		{"all numbers are digits, by threes", "cl100k", "1234\u2167\u2460\u0663", "123|4\u2167\u2460|\u0663"},
		{"digits alone", "qwen2", "123", "1|2|3"},
		{"any number of digits", "r50k", "1234567", "1234567"},
		{"digits are cut out before the rest", "command", "a  12 x'sé\u0663 ½.", "a|  |1|2| x|'s|é|\u0663| |½|."},
		{"white space at the end, or before a digit, in one piece", "command", "a\n \t1\n  b ", "a|\n \t|1|\n | b| "},
		{"newlines and slashes follow punctuation", "o200k", "a.\n/\nb", "a|.\n/\n|b"},
		{"newlines follow punctuation", "cl100k", "a.\n/\nb", "a|.\n|/\n|b"},
		{"marks join letters", "qwen3.5", "क\u093Cख", "क\u093Cख"},
		{"marks part letters", "qwen2", "क\u093Cख", "क|\u093Cख"},
		{"NUL is punctuation", "o200k", "a\x00\x00", "a|\x00\x00"},
		{"DEL is punctuation", "o200k", "\x7F", "\x7F"},
		{"Han is apart", "kimi", "a国b!国〇c", "a|国|b|!|国〇|c"},
		{"Han and case", "kimi", "亚洲AV", "亚洲|AV"},
		{"digits are parted first", "deepseek", "a  1234", "a|  |123|4"},
		{"a space leads letters, not digits", "deepseek", " a 1", " a| |1"},
		{"Han and kana are parted before letters", "deepseek", "a国かb", "a|国か|b"},
		{"the third pass parts what the second has made", "deepseek", "フ゜ぎ", "フ|゜|ぎ"},
		{"ASCII punctuation leads ASCII letters", "deepseek", "a.com é.com", "a|.com| é|.com"},
		{"what nothing matches is a piece", "deepseek", "\x01\x02.", "\x01\x02|."},
		{"emoji", "o200k", "👍🏽!", "👍🏽!"},
	} {
		if got := strings.Join(pieces(t, c.rules, c.text), "|"); got != c.want {
			t.Errorf("%s (%s): %q: got %q, want %q", c.what, c.rules, c.text, got, c.want)
		}
	}
}

func TestPiecesCoverTheText(t *testing.T) {
	source := texts.New(5, false)
	for range 3000 {
		s := source.Next()
		for i := range rules {
			if got := strings.Join(pieces(t, rules[i].name, s), ""); got != s {
				t.Fatalf("%s: %s", rules[i].name, cmp.Diff(s, got))
			}
		}
	}
}

// The eight bytes at a time must find the same end as one at a time, for every byte at every place.
func TestRunsOfLettersEndAtTheFirstOther(t *testing.T) {
	for at := range 20 {
		for b := range 256 {
			p := []byte(strings.Repeat("q", 24))
			p[at] = byte(b)
			want, wantAny := at, at
			if b >= 'a' && b <= 'z' {
				want = len(p)
			}
			if b|0x20 >= 'a' && b|0x20 <= 'z' && b < 0x80 {
				wantAny = len(p)
			}
			if got := smalls(p, 0); got != want {
				t.Fatalf("%#02x at %d: small letters end at %d", b, at, got)
			}
			if got := anyCase(p, 0); got != wantAny {
				t.Fatalf("%#02x at %d: letters end at %d", b, at, got)
			}
		}
	}
}
