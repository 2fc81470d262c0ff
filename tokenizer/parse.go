package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/tokenizer/bpe"
	"github.com/signalbox-ai/signalbox/tokenizer/sentencepiece"
	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

// given are the vocabularies that are not shipped, for their terms, and how text is split for those of
// byte-level BPE; "" are those of SentencePiece.
var given = map[string]string{
	"llama3": "llama3", "llama4": "o200k", "gemma2": "", "gemma3": "", "llama2": "", "mistral_v1": "",
}

// Parse makes the encoding of a vocabulary that is not shipped, of the file that its vendor publishes: llama3
// and llama4 from tokenizer.model (lines of base64 and rank) or tokenizer.json, gemma2, gemma3, llama2 and
// mistral_v1 from tokenizer.model (SentencePiece) or tokenizer.json. It takes up to seconds.
func Parse(name string, file []byte) (Text, error) {
	pattern, ok := given[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("no vocabulary %q to be read from a file; there are %s", name, strings.Join(slices.Sorted(maps.Keys(given)), ", "))
	case pattern == "":
		m, err := sentencepiece.Parse(file)
		if err != nil {
			return nil, fmt.Errorf("vocabulary %s: %w", name, err)
		}
		return m, nil
	}
	v, err := vocab.Parse(file, vocab.Settings{Name: name, Pattern: pattern})
	if err != nil {
		return nil, err
	}
	return bpe.New(v, func() (*vocab.Vocab, error) { return v, nil })
}
