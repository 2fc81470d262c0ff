package tokenizer_test

import (
	"bytes"
	"strings"
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

// lawful are encodings with all ways to split, and whether each normalizes.
var lawful = map[string]bool{
	"o200k_base": false, "cl100k_base": false, "r50k_base": false, "qwen2": true, "qwen3.5": true, "deepseek_v3": false, "tekken": false, "kimi_k2": false,
}

func TestLaws(t *testing.T) {
	for name, normal := range lawful {
		e, source := open(t, name), texts.New(3, false)
		for i := range 500 {
			laws(t, e, normal, []byte(source.Next()), uint64(i))
		}
		for i, s := range broken {
			laws(t, e, normal, []byte(s), uint64(i))
		}
	}
}

var broken = []string{"\xff\xfe\xe4\xbd\xf0\x9f\x98a", "\xed\xa0\x80 \xc0\x80", strings.Repeat("\u0301", 300), "\xe4", "a\xe4\xbd", ""}

// Three encodings, so that instrumented code loads them soon.
func FuzzLaws(f *testing.F) {
	source := texts.New(3, false)
	for range 20 {
		f.Add([]byte(source.Next()), uint64(77))
	}
	for i, s := range broken {
		f.Add([]byte(s), uint64(i))
	}
	names := []string{"cl100k_base", "qwen2", "deepseek_v3"}
	var all []tokenizer.Coder
	for _, name := range names {
		all = append(all, open(f, name))
	}
	f.Fuzz(func(t *testing.T, p []byte, cuts uint64) {
		for i, e := range all {
			laws(t, e, lawful[names[i]], p, cuts)
		}
	})
}

// Every way to cut a text in two, and into bytes.
func TestEveryCutCountsAsTheWhole(t *testing.T) {
	for name := range lawful {
		e, source := open(t, name), texts.New(11, false)
		for range 60 {
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
