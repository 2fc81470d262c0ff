// Package vector reads and writes the vectors of embeddings: arrays of numbers, or base64 of little-endian numbers
// of single precision, as OpenAI's API and its imitators send them. It knows no vendor.
package vector

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Read reads a vector of either form. ok is false for anything else, and for an empty one.
func Read(raw []byte) (v []float32, ok bool) {
	switch jsonx.Kind(raw) {
	case '[':
		n := 1
		for _, b := range raw {
			if b == ',' {
				n++
			}
		}
		v = make([]float32, 0, n)
		for _, e := range jsonx.Elements(raw) {
			f, isNumber := jsonx.Float(e)
			if !isNumber || math.IsInf(float64(float32(f)), 0) {
				return nil, false
			}
			v = append(v, float32(f))
		}
	case '"':
		if n := len(raw); n > 1 {
			v, ok = decode(raw[1 : n-1])
			return v, ok
		}
	}
	return v, len(v) > 0
}

// decode reads base64 of little-endian float32 (IEEE 754). A JSON escape of a slash is borne.
func decode(text []byte) ([]float32, bool) {
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(plain, text)
	if err != nil {
		s, _ := jsonx.String(append(append([]byte{'"'}, text...), '"'))
		if n, err = base64.StdEncoding.Decode(plain, []byte(s)); err != nil {
			return nil, false
		}
	}
	if n == 0 || n%4 != 0 {
		return nil, false
	}
	v := make([]float32, n/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(plain[4*i:]))
	}
	return v, true
}

// Append appends a vector as an array of numbers. ok is false where one of them is not finite, which JSON cannot say.
func Append(dst []byte, v []float32) (_ []byte, ok bool) {
	ok = true
	dst = append(dst, '[')
	for i, f := range v {
		if i > 0 {
			dst = append(dst, ',')
		}
		if f-f != 0 { // an infinity, or not a number
			f, ok = 0, false
		}
		dst = jsonx.AppendFloat32(dst, f)
	}
	return append(dst, ']'), ok
}

// AppendBase64 appends a vector as a string of base64.
func AppendBase64(dst []byte, v []float32) []byte {
	plain := make([]byte, 0, 4*len(v))
	for _, f := range v {
		plain = binary.LittleEndian.AppendUint32(plain, math.Float32bits(f))
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), plain), '"')
}
