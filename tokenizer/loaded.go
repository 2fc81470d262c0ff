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

// loadable are the encodings whose vocabularies are not shipped, because they have terms of their own or are in no package of
// any registry: how text is split for those of byte-level BPE, and "" for those of SentencePiece.
var loadable = map[string]vocab.Settings{
	"gemma2":  {},
	"gemma3":  {},
	"llama2":  {},
	"mistral": {}, // of Mistral 7B and Mixtral
	"llama3":  {Pattern: "llama3"},
	"llama4":  {Pattern: "o200k"},
	"command": {Pattern: "command", NFC: true}, // of Command R, R+ and later, and Aya
	"glm4":    {Pattern: "llama3"},             // of GLM-4 and later
}

// Loadable returns the names of the encodings that Load knows, sorted.
func Loadable() []string { return slices.Sorted(maps.Keys(loadable)) }

// Load makes an encoding of a vocabulary's file, as its vendor or Hugging Face publishes it: a tokenizer.json or a
// tokenizer.model (of SentencePiece, or lines of base64 and rank). It takes up to seconds. read returns the file; where
// tokens are named, and not only counted, it is read again, as nothing is kept that counting does not need.
func Load(name string, read func() ([]byte, error)) (Text, error) {
	set, ok := loadable[name]
	if !ok {
		return nil, fmt.Errorf("no vocabulary %q can be loaded; possible are %s", name, strings.Join(Loadable(), ", "))
	}
	set.Name = name
	if set.Pattern == "" {
		file, err := read()
		if err != nil {
			return nil, err
		}
		m, err := sentencepiece.Parse(file)
		if err != nil {
			return nil, fmt.Errorf("vocabulary %s: %w", name, err)
		}
		return m, nil
	}
	open := func() (*vocab.Vocab, error) {
		file, err := read()
		if err != nil {
			return nil, err
		}
		return vocab.Parse(file, set)
	}
	v, err := open()
	if err != nil {
		return nil, err
	}
	return bpe.New(v, open)
}
