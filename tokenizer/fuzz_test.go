package tokenizer_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/testkit/texts"
	"github.com/signalbox-ai/signalbox/tokenizer"
	"github.com/signalbox-ai/signalbox/tokenizer/nfc"
)

// laws are what holds of every encoding and every text, however broken.
func laws(t *testing.T, e tokenizer.Coder, normal bool, p []byte, cuts uint64) {
	t.Helper()
	n := e.Count(p)
	if most := 3 * len(p); n > most || utf8.Valid(p) && !normal && n > len(p) { // an ill-formed byte becomes three
		t.Errorf("%q: %d tokens for %d bytes", p, n, len(p))
	}
	ids := e.Encode(nil, p)
	if len(ids) != n {
		t.Errorf("%q: counts %d, has %d tokens", p, n, len(ids))
	}
	back, err := e.Decode(nil, ids)
	if err != nil {
		t.Errorf("%q: %v", p, err)
	}
	if utf8.Valid(p) {
		want := p
		if normal {
			want = nfc.Append(nil, p)
		}
		if !bytes.Equal(back, want) {
			t.Errorf("%q: comes back as %q", p, back)
		}
	}
	s := e.Stream()
	for rest, k := p, cuts; len(rest) > 0; k = k*6364136223846793005 + 1442695040888963407 {
		c := min(int(k>>60), len(rest))
		s.Add(rest[:c])
		rest = rest[c:]
		if k>>56&7 == 0 {
			s.Total() // asking changes nothing
		}
	}
	if got := s.Total(); got != n {
		t.Errorf("%q cut by %d: streamed %d, at once %d", p, cuts, got, n)
	}
}

func FuzzLaws(f *testing.F) {
	source := texts.New(3, false)
	for range 200 {
		f.Add([]byte(source.Next()), uint64(77))
	}
	f.Add([]byte("\xff\xfe\xe4\xbd\xf0\x9f\x98a"), uint64(1))
	f.Add([]byte("\xed\xa0\x80 \xc0\x80"), uint64(5))
	f.Add(bytes.Repeat([]byte("\u0301"), 300), uint64(9))
	var all []tokenizer.Coder
	names := []string{"o200k_base", "cl100k_base", "r50k_base", "qwen2", "qwen3.5", "deepseek_v3", "tekken", "kimi_k2"}
	for _, name := range names {
		all = append(all, open(f, name))
	}
	f.Fuzz(func(t *testing.T, p []byte, cuts uint64) {
		for i, e := range all {
			laws(t, e, names[i] == "qwen2" || names[i] == "qwen3.5", p, cuts)
		}
	})
}

// Every way to cut a text in two, and into bytes.
func TestEveryCutCountsAsTheWhole(t *testing.T) {
	for _, name := range []string{"o200k_base", "cl100k_base", "r50k_base", "qwen2", "qwen3.5", "deepseek_v3", "tekken", "kimi_k2"} {
		e, source := open(t, name), texts.New(11, false)
		for range 150 {
			p := []byte(source.Next())
			want := e.Count(p)
			for i := range p {
				s := e.Stream()
				s.Add(p[:i])
				s.Total()
				s.Add(p[i:])
				if got := s.Total(); got != want {
					t.Errorf("%s: %q cut at %d: got %d, want %d", name, p, i, got, want)
				}
			}
			s := e.Stream()
			for i := range p {
				s.Add(p[i : i+1])
			}
			if got := s.Total(); got != want {
				t.Errorf("%s: %q in bytes: got %d, want %d", name, p, got, want)
			}
		}
	}
}

func TestIllFormedTextCountsAsItsReplacement(t *testing.T) {
	e := open(t, "o200k_base")
	for bad, shown := range map[string]string{
		"\xff": "\uFFFD", "a\xe4\xbdb": "a\uFFFDb", "\xf0\x9f\x98": "\uFFFD", "\xc0\x80": "\uFFFD\uFFFD", "\xed\xa0\x80": "\uFFFD\uFFFD\uFFFD",
		"\xf4\x90\x80\x80": "\uFFFD\uFFFD\uFFFD\uFFFD", "\xe0\x80": "\uFFFD\uFFFD", "x\x80y": "x\uFFFDy", "\xf1\x80\x80a\xe1\x80\xc2": "\uFFFDa\uFFFD\uFFFD",
	} {
		ids := e.Encode(nil, []byte(bad))
		back, err := e.Decode(nil, ids)
		if err != nil || string(back) != shown {
			t.Errorf("%q: got %q (%v), want %q", bad, back, err, shown)
		}
	}
}

func TestSpecialTokensInTextAreText(t *testing.T) {
	e := open(t, "o200k_base")
	if ids := e.Encode(nil, []byte("<|endoftext|>")); len(ids) < 2 {
		t.Errorf("got %v", ids)
	}
	if back, err := e.Decode(nil, []int{199999}); err != nil || string(back) != "<|endoftext|>" {
		t.Errorf("got %q (%v)", back, err)
	}
	if _, err := e.Decode(nil, []int{83, 5_000_000}); err == nil {
		t.Error("an id that is none decodes")
	}
}
