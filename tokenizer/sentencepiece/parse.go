package sentencepiece

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// piece is an entry of a vocabulary.
type piece struct {
	text string
	rank uint32 // of merging into it; lower ones come first
}

// source is a vocabulary as it was read.
type source struct {
	pieces []piece
	merges [][3]uint32 // left, right, result, by number of piece; nil: all that make a piece
	added  []string
	prefix bool
	bytes  bool
}

// Parse reads a vocabulary: a tokenizer.json of Hugging Face with a BPE model, or a tokenizer.model of SentencePiece
// of the type BPE. It refuses what it would count wrong: other models, other normalizers.
func Parse(raw []byte) (*Model, error) {
	var s *source
	var err error
	if trimmed := strings.TrimLeft(string(raw[:min(len(raw), 64)]), " \t\r\n"); strings.HasPrefix(trimmed, "{") {
		s, err = readJSON(raw)
	} else {
		s, err = readProto(raw)
	}
	if err != nil {
		return nil, err
	}
	return s.model()
}

// model makes the tables.
func (s *source) model() (*Model, error) {
	if len(s.pieces) == 0 || len(s.pieces) > most {
		return nil, fmt.Errorf("a vocabulary of %d pieces; from 1 to %d can be held", len(s.pieces), most)
	}
	m := &Model{
		chars: make([]uint32, 1<<16), astral: map[rune]uint32{}, ranks: make([]uint32, len(s.pieces)),
		joins: joins{bloom: make([]uint64, 1<<bloomBits/64)}, added: map[string]struct{}{}, runs: map[rune]uint64{},
		prefix: s.prefix, bytes: s.bytes,
	}
	for i, p := range s.pieces {
		m.ranks[i] = p.rank
		if r, n := utf8.DecodeRuneInString(p.text); n == len(p.text) && (r != utf8.RuneError || n > 1) {
			if r <= 0xFFFF {
				m.chars[r] = uint32(i) + 1 // at most 1<<20
			} else {
				m.astral[r] = uint32(i) + 1 // at most 1<<20
			}
		}
	}
	if s.merges == nil {
		s.split()
	}
	m.pairs = newMerges(len(s.merges))
	results := make([]bool, len(s.pieces))
	for _, t := range s.merges {
		m.pairs.add(t[0], t[1], t[2])
		results[t[2]] = true
	}
	for i, p := range s.pieces {
		if results[i] {
			m.join(p.text)
		}
	}
	m.add(s.added)
	return m, nil
}

// join notes which characters stand beside each other in a token.
func (m *Model) join(token string) {
	last := rune(-1)
	for _, r := range token {
		r = plain(r)
		if last >= 0 {
			m.joins.add(last, r)
		}
		last = r
	}
}

// add notes tokens that are found before merging. Those of one character again and again, such as newlines, are kept
// by their lengths.
func (m *Model) add(tokens []string) {
	for _, t := range tokens {
		if t == "" {
			continue
		}
		m.starts[t[0]] = true
		m.join(t)
		r, size := utf8.DecodeRuneInString(t)
		if n := len(t) / size; n <= longestRun && t == strings.Repeat(t[:size], n) {
			m.runs[r] |= 1 << (n - 1)
			m.repeats[t[0]] = true
			continue
		}
		m.added[t] = struct{}{}
		m.most = max(m.most, len(t))
	}
}

// split fills merges with all ways to make a piece of two others.
func (s *source) split() {
	numbers := make(map[string]uint32, len(s.pieces))
	for i, p := range s.pieces {
		numbers[p.text] = uint32(i) // at most 1<<20
	}
	for i, p := range s.pieces {
		for k := range p.text {
			if k == 0 {
				continue
			}
			left, ok := numbers[p.text[:k]]
			right, also := numbers[p.text[k:]]
			if ok && also {
				s.merges = append(s.merges, [3]uint32{left, right, uint32(i)}) // at most 1<<20
			}
		}
	}
}

// rankByScore gives pieces of a higher score a lower rank, and those of the same score the same.
func rankByScore(pieces []piece, scores []float32) {
	order := make([]int, len(pieces))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	rank := uint32(0)
	for k, i := range order {
		if k > 0 && scores[i] != scores[order[k-1]] {
			rank++
		}
		pieces[i].rank = rank
	}
}

var errShort = errors.New("the file ends early")
