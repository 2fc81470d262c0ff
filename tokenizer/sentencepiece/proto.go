package sentencepiece

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Types of pieces, of sentencepiece_model.proto.
const (
	normal      = 1
	userDefined = 4
	byteType    = 6
)

// field is one field of a message in the protocol buffers' wire format.
type field struct {
	number int
	value  uint64
	data   []byte
}

// fields calls f for every field of a message.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errShort
		}
		b = b[n:]
		out := field{number: int(tag >> 3)} // a field's number
		switch tag & 7 {
		case 0:
			if out.value, n = binary.Uvarint(b); n <= 0 {
				return errShort
			}
		case 1:
			n = 8
		case 2:
			size, m := binary.Uvarint(b)
			if m <= 0 || size > uint64(len(b)-m) {
				return errShort
			}
			out.data, n = b[m:m+int(size)], m+int(size) // not longer than b
		case 5:
			n = 4
			if len(b) >= 4 {
				out.value = uint64(binary.LittleEndian.Uint32(b))
			}
		default:
			return fmt.Errorf("a field of wire type %d", tag&7)
		}
		if n > len(b) {
			return errShort
		}
		b = b[n:]
		if err := f(out); err != nil {
			return err
		}
	}
	return nil
}

// readProto reads a tokenizer.model: pieces are field 1, the trainer's settings field 2 (its type of model is 3),
// the normalizer's field 3 (a table is 2, the space before a text 3, joining spaces 4, writing them as U+2581 5).
func readProto(raw []byte) (*source, error) {
	s := &source{prefix: true}
	joined, escaped, kind := true, true, uint64(1)
	var scores []float32
	table := 0
	err := fields(raw, func(f field) error {
		switch f.number {
		case 1:
			return s.piece(f.data, &scores)
		case 2:
			return fields(f.data, func(f field) error {
				if f.number == 3 {
					kind = f.value
				}
				return nil
			})
		case 3:
			return fields(f.data, func(f field) error {
				switch f.number {
				case 2:
					table = len(f.data)
				case 3:
					s.prefix = f.value != 0
				case 4:
					joined = f.value != 0
				case 5:
					escaped = f.value != 0
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("tokenizer.model: %w", err)
	case len(s.pieces) == 0:
		return nil, errors.New("the file is neither a tokenizer.json nor a tokenizer.model")
	case kind != 2:
		return nil, fmt.Errorf("tokenizer.model: the model's type is %d; 2, which is BPE, can be counted", kind)
	case table > 0 || joined || !escaped:
		return nil, errors.New("tokenizer.model: it normalizes text or joins spaces, which is not known here")
	}
	rankByScore(s.pieces, scores)
	return s, nil
}

// piece reads a piece: its text is field 1, its score 2, its type 3.
func (s *source) piece(b []byte, scores *[]float32) error {
	var text string
	var score float32
	kind := uint64(normal)
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			text = string(f.data)
		case 2:
			score = math.Float32frombits(uint32(f.value)) // 32 bits
		case 3:
			kind = f.value
		}
		return nil
	})
	switch kind {
	case userDefined:
		s.added = append(s.added, text)
		fallthrough
	case normal:
		s.pieces, *scores = append(s.pieces, piece{text: text}), append(*scores, score)
	case byteType:
		s.bytes = true
	}
	return err
}
