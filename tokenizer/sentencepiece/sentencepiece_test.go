package sentencepiece

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// small is a vocabulary of a few words: merges come in this order.
const small = `{"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},
"added_tokens":[{"content":"<bos>","special":true},{"content":"<td>","special":false},{"content":"\n\n","special":false}],
"model":{"type":"BPE","byte_fallback":true,"vocab":{"<unk>":0,"<0x00>":1,"▁":2,"a":3,"b":4,"c":5,">":6,"/":7,"<":8,"\n":9,"é":10,"😀":11,
"t":12,"d":13,"\n\n":14,"\n\n\n":15,"▁▁":16,"ab":17,"▁a":18,"abc":19,"▁abc":20,">▁":21,">▁<":22,"bé":23,"<td>":24},
"merges":[["\n\n","\n"],["\n","\n"],["▁","▁"],"a b",["▁","a"],["ab","c"],["▁","abc"],[">","▁"],[">▁","<"],["b","é"]]}}`

func parse(tb testing.TB, raw string) *Model {
	tb.Helper()
	m, err := Parse([]byte(raw))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestTokensOfASmallVocabulary(t *testing.T) {
	m := parse(t, small)
	replace := `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	prefixed := parse(t, strings.Replace(small, replace, `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},`+replace+`]}`, 1))
	for _, c := range []struct {
		text        string
		want, first int // without and with a space before the text
	}{
		{"", 0, 0},
		{"a", 1, 1},
		{"abc", 1, 1},
		{" abc abc", 2, 3},
		{"abé", 2, 3},          // "a b" comes first, then é stays alone; "▁" does not reach ab
		{"bé", 1, 2},           // a character of two bytes merges whole
		{"x", 1, 2},            // an unknown character of one byte
		{"aßb", 4, 4},          // an unknown one of two
		{"日本", 6, 7},           // and of three
		{"> <", 1, 2},          // a token with a space inside
		{"a<td>b", 3, 3},       // added tokens come before merging
		{"<td", 3, 4},          //
		{"<bos>", 5, 6},        // special tokens are text
		{"\n\n\n\n\n", 3, 4},   // so do runs, the longest first: two, two, one
		{"  a", 2, 2},          //
		{"😀😀", 2, 3},           //
		{"\xff\xe4\xb8", 6, 7}, // two ill-formed characters are U+FFFD each
	} {
		if got := m.Count([]byte(c.text)); got != c.want {
			t.Errorf("%q: got %d, want %d", c.text, got, c.want)
		}
		if got := prefixed.Count([]byte(c.text)); got != c.first {
			t.Errorf("%q after a space: got %d, want %d", c.text, got, c.first)
		}
	}
}

func TestTheLongestAddedRunComesFirst(t *testing.T) {
	m := parse(t, strings.Replace(small, `{"content":"\n\n",`, `{"content":"`+strings.Repeat(`\n`, 31)+`","special":false},{"content":"▁▁▁","special":false},{"content":"\n\n",`, 1))
	for text, want := range map[string]int{
		strings.Repeat("\n", 62): 2, strings.Repeat("\n", 35): 3, strings.Repeat("\n", 30): 15, "\n\na": 2,
		"▁▁▁▁": 2, "a▁▁▁▁▁▁ab": 4, "   ": 2, // spaces are not those characters before they are replaced
	} {
		if got := m.Count([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
		checkStream(t, m, []byte(text), 1)
	}
}

// plainMerge counts as the rule says it, without cuts, tables or memo.
func plainMerge(ranks map[[2]string]int, known map[string]bool, added []string, text string) int {
	for i := range text {
		for _, a := range added {
			if strings.HasPrefix(text[i:], a) {
				return plainMerge(ranks, known, added, text[:i]) + 1 + plainMerge(ranks, known, added, text[i+len(a):])
			}
		}
	}
	var parts []string
	for _, r := range strings.ReplaceAll(text, " ", "▁") {
		parts = append(parts, string(r))
	}
	for {
		at, best := -1, math.MaxInt
		for i := range max(len(parts), 1) - 1 {
			if r, ok := ranks[[2]string{parts[i], parts[i+1]}]; ok && r < best {
				at, best = i, r
			}
		}
		if at < 0 {
			break
		}
		parts = append(append(append([]string{}, parts[:at]...), parts[at]+parts[at+1]), parts[at+2:]...)
	}
	n := 0
	for _, p := range parts {
		if known[p] {
			n++
		} else {
			n += len(p)
		}
	}
	return n
}

func TestCountIsThatOfPlainMerging(t *testing.T) {
	m := parse(t, small)
	var d document
	if err := jsonx.Decode([]byte(small), &d); err != nil {
		t.Fatal(err)
	}
	ranks, known := map[[2]string]int{}, map[string]bool{}
	for i, raw := range d.Model.Merges {
		a, b, _ := pair(raw)
		ranks[[2]string{a, b}] = i
	}
	for p := range d.Model.Vocab {
		known[p] = true
	}
	r := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "b", "c", " ", ">", "<", "é", "\n", "x", "日", "<td>", "😀", "▁"}
	for range 3000 {
		var b strings.Builder
		for range r.IntN(120) {
			b.WriteString(letters[r.IntN(len(letters))])
		}
		text := b.String()
		if got, want := m.Count([]byte(text)), plainMerge(ranks, known, []string{"<td>", "\n\n"}, text); got != want {
			t.Fatalf("%q: got %d, want %d", text, got, want)
		}
		checkStream(t, m, []byte(text), r.Uint64())
	}
}

// checkStream compares a stream that is cut at random with one count of the whole.
func checkStream(tb testing.TB, m *Model, text []byte, seed uint64) {
	tb.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	s := m.Stream()
	for i := 0; i < len(text); {
		n := min(1+r.IntN(9), len(text)-i)
		s.Add(text[i : i+n])
		i += n
		if got, want := s.Total(), m.Count(text[:i]); r.IntN(8) == 0 && got != want {
			tb.Fatalf("%q: stream %d, whole %d", text[:i], got, want)
		}
	}
	if got, want := s.Total(), m.Count(text); got != want {
		tb.Fatalf("%q: stream %d, whole %d", text, got, want)
	}
}

// message appends a field of bytes to a message in the protocol buffers' wire format.
func message(b []byte, number uint64, data []byte) []byte {
	b = binary.AppendUvarint(b, number<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

func number(b []byte, number, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, number<<3), value)
}

// proto makes a tokenizer.model.
func proto(kind, joined uint64) []byte {
	var b []byte
	add := func(text string, score float32, kind uint64) {
		p := message(nil, 1, []byte(text))
		p = binary.LittleEndian.AppendUint32(binary.AppendUvarint(p, 2<<3|5), math.Float32bits(score))
		b = message(b, 1, number(p, 3, kind))
	}
	add("<unk>", 0, 2)
	add("<s>", 0, 3)
	add("<0x0A>", 0, 6)
	add("[X]", 0, 4)
	add("▁▁", -1e9, 1)
	add("ab", -1, 1)
	add("▁ab", -2, 1)
	for _, c := range []string{"▁", "a", "b", "s"} {
		add(c, -10, 1)
	}
	b = message(b, 2, number(nil, 3, kind))
	return message(b, 3, number(number(number(nil, 3, 1), 4, joined), 5, 1))
}

func TestAModelFileOfSentencePiece(t *testing.T) {
	m, err := Parse(proto(2, 0))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{"": 0, "ab": 1, "  ab": 2, "a[X]b": 4, "\n": 2, "<s>": 4, "   ": 2} {
		if got := m.Count([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestFilesThatWouldBeCountedWrongAreRefused(t *testing.T) {
	for want, raw := range map[string]string{
		"the file is neither a tokenizer.json nor a tokenizer.model":                                           "",
		"tokenizer.model: the file ends early":                                                                 string(proto(2, 0)[:20]),
		"tokenizer.model: the model's type is 1; 2, which is BPE, can be counted":                              string(proto(1, 0)),
		"tokenizer.model: it normalizes text or joins spaces, which is not known here":                         string(proto(2, 1)),
		`tokenizer.json: model.type is "Unigram" (ignore_merges false); BPE over characters can be counted`:    `{"model":{"type":"Unigram"}}`,
		"tokenizer.json: normalizer NFKC is not known here":                                                    `{"normalizer":{"type":"NFKC"},"model":{"type":"BPE"}}`,
		"tokenizer.json: normalizer does not replace spaces by U+2581, so this is no SentencePiece vocabulary": `{"model":{"type":"BPE"}}`,
		"tokenizer.json: model.merges[0] names what is no token":                                               strings.Replace(small, `["\n\n","\n"]`, `["x","y"]`, 1),
		"a vocabulary of 0 pieces; from 1 to 1048574 can be held":                                              `{"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},"model":{"type":"BPE"}}`,
	} {
		if _, err := Parse([]byte(raw)); err == nil || cmp.Diff(err.Error(), want) != "" {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestCountAllocatesNothingOnceWarm(t *testing.T) {
	m := parse(t, small)
	text := []byte(strings.Repeat("abc abé > < \xff日", 500))
	m.Count(text)
	if n := testing.AllocsPerRun(20, func() { m.Count(text) }); n > 0.1 {
		t.Errorf("%.1f allocations", n)
	}
}

func FuzzCount(f *testing.F) {
	m := parse(f, small)
	f.Add([]byte("abc <td>\n\n\n é\xff"), uint64(1))
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		if n := m.Count(text); n < 0 || n > 3*len(text)+1 {
			t.Fatalf("%d tokens for %d bytes", n, len(text))
		}
		checkStream(t, m, text, seed)
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add(proto(2, 0))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		if m, err := Parse(raw); err == nil {
			m.Count([]byte("abc abc\n\n<td>日"))
		}
	})
}

func BenchmarkCount(b *testing.B) {
	m := parse(b, small)
	for name, text := range map[string][]byte{
		"words":      []byte(strings.Repeat("abc abc ab bc ", 20000)),
		"one-letter": []byte(strings.Repeat("a", 1<<18)),
		"newlines":   []byte(strings.Repeat("\n", 1<<18)),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m.Count(text)
			}
		})
	}
}
