package vocab

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// The form of a compact file: lines of text up to an empty one, then a deflated block of
//
//	tokens n; id runs; special tokens        as unsigned varints, texts with their length before them
//	shared [n], rest [n], text               the tokens in the order of their bytes, front-coded
//	split [n]                                of each
//	rank [n]                                 of each, in as many bits as n needs, most significant first
const magic = "signalbox vocabulary 1\n"

// Compact returns the vocabulary in its compact form. The lines, "key: value" without ends of line, say where
// it comes from; they are for readers of the file.
func (v *Vocab) Compact(lines []string) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(magic)
	fmt.Fprintf(&out, "name: %s\npattern: %s\nnfc: %t\n", v.Name, v.Pattern, v.NFC)
	for _, l := range lines {
		fmt.Fprintf(&out, "%s\n", l)
	}
	out.WriteString("\n")
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(v.body()); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func (v *Vocab) body() []byte {
	b := binary.AppendUvarint(nil, uint64(v.Len()))
	b = binary.AppendUvarint(b, uint64(len(v.runs)))
	for _, r := range v.runs {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(r.rank)), uint64(r.id))
	}
	b = binary.AppendUvarint(b, uint64(len(v.Special)))
	for _, s := range slices.Sorted(maps.Keys(v.Special)) {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
		b = binary.AppendUvarint(b, uint64(v.Special[s]))
	}
	sorted := make([]int, v.Len())
	for i := range sorted {
		sorted[i] = i
	}
	slices.SortFunc(sorted, func(x, y int) int { return bytes.Compare(v.Token(x), v.Token(y)) })
	var rest, split, text, last []byte
	for _, r := range sorted {
		t, n := v.Token(r), 0
		for n < min(len(t), len(last)) && t[n] == last[n] {
			n++
		}
		b, rest = binary.AppendUvarint(b, uint64(n)), binary.AppendUvarint(rest, uint64(len(t)-n))
		split = binary.AppendUvarint(split, uint64(v.splits[r]))
		text, last = append(text, t[n:]...), t
	}
	b = append(append(append(b, rest...), text...), split...)
	return packBits(b, sorted, bits.Len(uint(v.Len()-1)))
}

func packBits(b []byte, values []int, width int) []byte {
	acc, have := uint64(0), 0
	for _, x := range values {
		acc, have = acc<<width|uint64(x), have+width
		for ; have >= 8; have -= 8 {
			b = append(b, byte(acc>>(have-8)))
		}
	}
	if have > 0 {
		b = append(b, byte(acc<<(8-have)))
	}
	return b
}

// ReadCompact reads the compact form.
func ReadCompact(file []byte) (*Vocab, error) {
	head, packed, ok := bytes.Cut(file, []byte("\n\n"))
	if !ok || !bytes.HasPrefix(head, []byte(magic)) {
		return nil, errors.New("no compact vocabulary")
	}
	v := &Vocab{Special: map[string]int{}}
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "name":
			v.Name = value
		case "pattern":
			v.Pattern = value
		case "nfc":
			v.NFC, _ = strconv.ParseBool(value)
		}
	}
	b, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, fmt.Errorf("vocabulary %s: %w", v.Name, err)
	}
	r := reader{b: b}
	v.read(&r)
	if r.bad {
		return nil, fmt.Errorf("vocabulary %s: the file is damaged", v.Name)
	}
	return v, nil
}

func (v *Vocab) read(r *reader) {
	n := r.number(1<<18 - 2)
	for range r.number(1 << 10) {
		v.runs = append(v.runs, run{r.number(1 << 30), r.number(1 << 30)})
	}
	for range r.number(1 << 16) {
		s := string(r.take(r.number(1 << 10)))
		v.Special[s] = r.number(1 << 30)
	}
	shared, rest := r.numbers(n), r.numbers(n)
	size, long := 0, 0
	for i := range rest {
		size += int(rest[i])
		long += int(rest[i]) + int(shared[i])
	}
	text, splits := r.take(size), r.numbers(n)
	width := bits.Len(uint(max(n-1, 0)))
	ranks := unpackBits(r.take((n*width+7)/8), n, width)
	if r.bad {
		return
	}
	// First the lengths by rank, then the bytes to where they belong.
	v.ends, v.splits, v.data = make([]uint32, n), make([]uint16, n), make([]byte, long)
	for i, rank := range ranks {
		length := shared[i] + rest[i]
		if rank >= n || length == 0 || splits[i] >= length {
			r.bad = true
			return
		}
		v.ends[rank], v.splits[rank] = uint32(length), splits[i]
	}
	end := uint32(0)
	for i := range v.ends {
		end += v.ends[i]
		v.ends[i] = end
	}
	v.place(r, shared, rest, text, ranks)
}

func (v *Vocab) place(r *reader, shared, rest []uint16, text []byte, ranks []int) {
	var last []byte
	for i, rank := range ranks {
		t := v.Token(rank)
		if int(shared[i]) > len(last) || len(t) != int(shared[i])+int(rest[i]) {
			r.bad = true
			return
		}
		copy(t, last[:shared[i]])
		copy(t[shared[i]:], text[:rest[i]])
		text, last = text[rest[i]:], t
	}
}

func unpackBits(b []byte, n, width int) []int {
	out := make([]int, 0, n)
	acc, have := uint64(0), 0
	for _, x := range b {
		acc, have = acc<<8|uint64(x), have+8
		if have >= width && len(out) < n {
			have -= width
			out = append(out, int(acc>>have&(1<<width-1)))
		}
	}
	return out
}

// reader takes parts off the front of a block, and remembers whether there were too few.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, n = true, 0
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// numbers reads n numbers up to the length of a token.
func (r *reader) numbers(n int) []uint16 {
	out := make([]uint16, n)
	for i := range out {
		out[i] = uint16(r.number(longest))
	}
	return out
}

func (r *reader) number(most uint64) int {
	x, n := binary.Uvarint(r.b)
	if n <= 0 || x > most {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return int(x)
}
