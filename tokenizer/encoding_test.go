package tokenizer_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/tokenizer"
)

// open returns an encoding, which must be there.
func open(t testing.TB, name string) tokenizer.Coder {
	t.Helper()
	e, err := tokenizer.Encoding(name)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := e.(tokenizer.Coder)
	if !ok {
		t.Fatalf("%s names no tokens", name)
	}
	return c
}

func TestAKnownTextHasItsTokens(t *testing.T) {
	e := open(t, "o200k_base")
	text := "tiktoken is great!\n\n  Don't you think, 亚洲AV?"
	want := []int{83, 8251, 2488, 382, 2212, 0}
	if got := e.Encode(nil, []byte("tiktoken is great!")); !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	ids := e.Encode(nil, []byte(text))
	if n := e.Count([]byte(text)); n != len(ids) {
		t.Errorf("counts %d, has %d tokens", n, len(ids))
	}
	back, err := e.Decode(nil, ids)
	if err != nil || string(back) != text {
		t.Errorf("decodes to %q (%v)", back, err)
	}
}

func TestAnUnknownEncodingNamesThoseThatAre(t *testing.T) {
	if _, err := tokenizer.Encoding("o100k"); err == nil || !strings.Contains(err.Error(), "o200k_base") {
		t.Errorf("got %v", err)
	}
}
