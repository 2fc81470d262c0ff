package sentencepiece

import (
	"errors"
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// document is what counting needs of a tokenizer.json.
type document struct {
	Added []struct {
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
	Normalizer *normalizer `json:"normalizer"`
	Model      struct {
		Type         string            `json:"type"`
		ByteFallback bool              `json:"byte_fallback"`
		IgnoreMerges bool              `json:"ignore_merges"`
		Vocab        map[string]uint32 `json:"vocab"`
		Merges       []jsonx.Raw       `json:"merges"`
	} `json:"model"`
}

type normalizer struct {
	Type        string       `json:"type"`
	Normalizers []normalizer `json:"normalizers"`
	Prepend     string       `json:"prepend"`
	Content     string       `json:"content"`
	Pattern     struct {
		String string `json:"String"`
	} `json:"pattern"`
}

// readJSON reads a tokenizer.json.
func readJSON(raw []byte) (*source, error) {
	var d document
	if err := jsonx.Decode(raw, &d); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	if d.Model.Type != "BPE" || d.Model.IgnoreMerges {
		return nil, fmt.Errorf("tokenizer.json: model.type is %q (ignore_merges %t); BPE over characters can be counted", d.Model.Type, d.Model.IgnoreMerges)
	}
	s := &source{bytes: d.Model.ByteFallback, pieces: make([]piece, len(d.Model.Vocab)), merges: [][3]uint32{}}
	blanks := false
	if err := d.Normalizer.read(s, &blanks); err != nil {
		return nil, err
	}
	if !blanks {
		return nil, errors.New("tokenizer.json: normalizer does not replace spaces by U+2581, so this is no SentencePiece vocabulary")
	}
	// Numbers of ids that are missing would be pieces without text, so pieces are numbered anew.
	numbers := make(map[string]uint32, len(d.Model.Vocab))
	for text := range d.Model.Vocab {
		n := uint32(len(numbers)) // checked by model
		numbers[text], s.pieces[n] = n, piece{text, never - 1}
	}
	for i, raw := range d.Model.Merges {
		left, right, ok := pair(raw)
		a, okA := numbers[left]
		b, okB := numbers[right]
		c, okC := numbers[left+right]
		if !ok || !okA || !okB || !okC {
			return nil, fmt.Errorf("tokenizer.json: model.merges[%d] names what is no token", i)
		}
		s.merges = append(s.merges, [3]uint32{a, b, c})
		s.pieces[c].rank = min(s.pieces[c].rank, uint32(i)) // checked by model
	}
	for _, a := range d.Added {
		if !a.Special {
			s.added = append(s.added, a.Content)
		}
	}
	return s, nil
}

// pair reads a merge: two strings, or one with a space between.
func pair(raw jsonx.Raw) (left, right string, ok bool) {
	if text, isString := jsonx.String(raw); isString {
		return strings.Cut(text, " ")
	}
	var two []string
	if jsonx.Decode(raw, &two) != nil || len(two) != 2 {
		return "", "", false
	}
	return two[0], two[1], true
}

// read takes over what a normalizer does, if that is what SentencePiece does.
func (n *normalizer) read(s *source, blanks *bool) error {
	switch {
	case n == nil:
		return nil
	case n.Type == "Sequence":
		for i := range n.Normalizers {
			if err := n.Normalizers[i].read(s, blanks); err != nil {
				return err
			}
		}
		return nil
	case n.Type == "Prepend" && n.Prepend == string(blank):
		s.prefix = true
		return nil
	case n.Type == "Replace" && n.Pattern.String == " " && n.Content == string(blank):
		*blanks = true
		return nil
	}
	return fmt.Errorf("tokenizer.json: normalizer %s is not known here", n.Type)
}
