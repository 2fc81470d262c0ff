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

// loadable are the encodings whose vocabularies have terms of their own, so that they are not shipped, by the way in
// which their text is split; "": they are of SentencePiece.
var loadable = map[string]string{
	"gemma2":  "",
	"gemma3":  "",
	"llama2":  "",
	"mistral": "", // of Mistral 7B and Mixtral
	"llama3":  "llama3",
	"llama4":  "o200k",
}

// Loadable returns the names of the encodings that Load knows, sorted.
func Loadable() []string { return slices.Sorted(maps.Keys(loadable)) }

// Load makes an encoding of a vocabulary's file, as its vendor or Hugging Face publishes it: a tokenizer.json or a
// tokenizer.model.
func Load(name string, file []byte) (Text, error) {
	pattern, ok := loadable[name]
	if !ok {
		return nil, fmt.Errorf("no vocabulary %q can be loaded; possible are %s", name, strings.Join(Loadable(), ", "))
	}
	if pattern == "" {
		m, err := sentencepiece.Parse(file)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	open := func() (*vocab.Vocab, error) { return vocab.Parse(file, vocab.Settings{Name: name, Pattern: pattern}) }
	v, err := open()
	if err != nil {
		return nil, err
	}
	return bpe.New(v, open)
}
