package tokenizer_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/texts"
	"github.com/signalbox-ai/signalbox/tokenizer"
	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

// Ranks in the form of a tokenizer.model count as the vocabulary that is shipped: Llama 4 splits as o200k does.
func TestAFileOfRanksCountsAsItsVocabulary(t *testing.T) {
	v, err := vocab.Open("o200k_base")
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	for r := range v.Len() {
		fmt.Fprintf(&file, "%s %d\n", base64.StdEncoding.EncodeToString(v.Token(r)), r)
	}
	got, err := tokenizer.Load("llama4", func() ([]byte, error) { return []byte(file.String()), nil })
	if err != nil {
		t.Fatal(err)
	}
	want, source := open(t, "o200k_base"), texts.New(21, false)
	for range 500 {
		if s := []byte(source.Next()); got.Count(s) != want.Count(s) {
			t.Errorf("%q: got %d, want %d", s, got.Count(s), want.Count(s))
		}
	}
}

func TestAFileThatIsNoVocabularyIsRefused(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"llama3", "", "llama3"},
		{"llama3", "AA== x\n", "line 1"},
		{"llama3", "AA== 0\n", "byte 0x01"},
		{"llama3", `{"model": {"type": "Unigram"}}`, "BPE"},
		{"gemma3", "no model", "gemma3"},
		{"llama5", "", "llama3"},
	} {
		if _, err := tokenizer.Load(c.name, func() ([]byte, error) { return []byte(c.file), nil }); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %q: got %v, want something of %q", c.name, c.file, err, c.want)
		}
	}
}
