package nfc

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/signalbox-ai/signalbox/internal/testkit/texts"
)

func TestTextsWithoutLongRunsAreWhatPackageNormMakes(t *testing.T) {
	source, seen := texts.New(7, false), 0
	for range 20_000 {
		s := source.Next()
		want := norm.NFC.String(s)
		if strings.Contains(want, "\u034F") {
			continue // a run too long for package norm
		}
		if s != want {
			seen++
		}
		if got := string(Append(nil, []byte(s))); got != want {
			t.Errorf("%+q: got %+q, want %+q", s, got, want)
		}
		if IsNormal([]byte(s)) && s != want {
			t.Errorf("%+q counts as normal", s)
		}
	}
	if seen < 1000 {
		t.Errorf("only %d texts needed to be changed", seen)
	}
}

// The own algorithm must agree where both can be asked.
func TestComposeIsTheStandardsAlgorithm(t *testing.T) {
	for _, s := range []string{
		"e\u0301", "e\u0323\u0301", "e\u0301\u0323", "\u1100\u1161\u11A8", "\uAC00\u11A8", "\u0915\u093C", "\u0958", "\u212B", "=\u0338", "\u0061\u0300\u0345\u0301", "\u0B47\u0B3E", "\u0301\u0301a",
		"\u03B1\u0313\u0301\u0345", "a\u0328\u0302", "\U0001D15E", "\uFB1D", "\u2126",
	} {
		if got, want := string(compose(nil, []byte(s))), norm.NFC.String(s); got != want {
			t.Errorf("%+q: got %+q, want %+q", s, got, want)
		}
	}
}

func TestLongRunsOfMarksGetNothingBetween(t *testing.T) {
	for _, mark := range []string{"\u0301", "\u0323", "\u06E3"} {
		s := "e" + strings.Repeat(mark, 200)
		got := Append(nil, []byte(s))
		if bytes.Contains(got, []byte("\u034F")) || utf8.RuneCount(got) > 201 || !utf8.Valid(got) {
			t.Errorf("%+q: %+q", mark, got)
		}
	}
	// Marks of two classes are sorted, and the first of each composes.
	s := "a" + strings.Repeat("\u0301\u0323", 50)
	want := "\u1EA1" + strings.Repeat("\u0323", 49) + strings.Repeat("\u0301", 50)
	if got := string(Append(nil, []byte(s))); got != want {
		t.Errorf("got %+q, want %+q", got, want)
	}
	if !slices.Equal(Append([]byte("x"), []byte("y")), []byte("xy")) {
		t.Error("does not append")
	}
}
