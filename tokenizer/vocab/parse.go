package vocab

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Settings say of a published vocabulary what its file does not.
type Settings struct {
	Name    string
	Pattern string         // a name of package scan
	NFC     bool           // whether text is normalized first
	Most    int            // how many tokens count, from the first; 0 is all
	Special map[string]int // special tokens that the file does not have
}

// Parse reads a vocabulary in one of the forms in which they are published: this package's compact form,
// tiktoken's lines of base64 and rank (also Llama 3's and Kimi's tokenizer.model), Mistral's Tekken JSON, or
// a tokenizer.json of Hugging Face with a byte-level BPE model.
func Parse(file []byte, s Settings) (*Vocab, error) {
	if bytes.HasPrefix(file, []byte(magic)) {
		return ReadCompact(file)
	}
	parse := parseTiktoken
	if trimmed := bytes.TrimLeft(file, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		parse = parseTokenizer
		if jsonx.Get(trimmed, "vocab") != nil {
			parse = parseTekken
		}
	}
	l, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("vocabulary %s: %w", s.Name, err)
	}
	slices.SortFunc(l.entries, func(a, b entry) int { return a.rank - b.rank })
	if s.Most > 0 && len(l.entries) > s.Most {
		l.entries = l.entries[:s.Most]
	}
	tokens, ids := make([][]byte, len(l.entries)), make([]int, len(l.entries))
	for i, e := range l.entries {
		tokens[i], ids[i] = e.token, e.id
	}
	maps.Copy(l.special, s.Special)
	return New(s.Name, s.Pattern, s.NFC, tokens, ids, l.special)
}

// list is what a file says.
type list struct {
	entries []entry
	special map[string]int
}

type entry struct {
	token    []byte
	rank, id int
}

func parseTiktoken(file []byte) (list, error) {
	l := list{special: map[string]int{}}
	for line := range bytes.Lines(file) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		text, number, _ := bytes.Cut(line, []byte(" "))
		token, err := base64.StdEncoding.AppendDecode(nil, text)
		if err != nil {
			return list{}, fmt.Errorf("line %d: %w", len(l.entries)+1, err)
		}
		rank, err := strconv.Atoi(string(number))
		if err != nil {
			return list{}, fmt.Errorf("line %d: %w", len(l.entries)+1, err)
		}
		l.entries = append(l.entries, entry{token, rank, rank})
	}
	return l, nil
}

// tekkenSpecials are the ids before the first token of a Tekken vocabulary where its file does not say.
const tekkenSpecials = 1000

func parseTekken(file []byte) (list, error) {
	var doc struct {
		Config struct {
			Size     int `json:"default_vocab_size"`
			Specials int `json:"default_num_special_tokens"`
		} `json:"config"`
		Vocab []struct {
			Rank  int    `json:"rank"`
			Bytes string `json:"token_bytes"`
		} `json:"vocab"`
		Specials []struct {
			Rank int    `json:"rank"`
			Text string `json:"token_str"`
		} `json:"special_tokens"`
	}
	if err := jsonx.Decode(file, &doc); err != nil {
		return list{}, err
	}
	first := doc.Config.Specials
	if first == 0 {
		first = tekkenSpecials
	}
	l := list{special: map[string]int{}}
	for _, t := range doc.Vocab {
		token, err := base64.StdEncoding.DecodeString(t.Bytes)
		if err != nil {
			return list{}, fmt.Errorf("token %d: %w", t.Rank, err)
		}
		if doc.Config.Size == 0 || t.Rank < doc.Config.Size-first {
			l.entries = append(l.entries, entry{token, t.Rank, t.Rank + first})
		}
	}
	for _, t := range doc.Specials {
		l.special[t.Text] = t.Rank
	}
	return l, nil
}

func parseTokenizer(file []byte) (list, error) {
	var doc struct {
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
		} `json:"added_tokens"`
		Model struct {
			Type   string         `json:"type"`
			Bytes  bool           `json:"byte_fallback"`
			Vocab  map[string]int `json:"vocab"`
			Merges []jsonx.Raw    `json:"merges"`
		} `json:"model"`
	}
	if err := jsonx.Decode(file, &doc); err != nil {
		return list{}, err
	}
	if doc.Model.Type != "BPE" || doc.Model.Bytes {
		return list{}, errors.New("no byte-level BPE model: it needs model.type BPE without byte_fallback")
	}
	l := list{special: map[string]int{}}
	for _, t := range doc.Added {
		l.special[t.Content] = t.ID
		delete(doc.Model.Vocab, t.Content)
	}
	made := make(map[string]int, len(doc.Model.Merges)) // ranks of what merges make
	for i, raw := range doc.Model.Merges {
		text, err := merged(raw)
		if err != nil {
			return list{}, fmt.Errorf("model.merges[%d]: %w", i, err)
		}
		if _, ok := made[text]; !ok {
			made[text] = i
		}
	}
	byteOf := byteLevel()
	for text, id := range doc.Model.Vocab {
		rank, ok := made[text]
		token, written := rawBytes(text, byteOf)
		switch {
		case !written && ok:
			return list{}, fmt.Errorf("model.vocab: %q is not written in the byte-level alphabet", text)
		case !written:
			continue // no text becomes it: Cohere's has emoji that training began with
		}
		switch {
		case len(token) == 1:
			rank = id - 1<<24
		case !ok: // stands only for whole pieces
			rank = id + 1<<24
		}
		l.entries = append(l.entries, entry{token, rank, id})
	}
	return l, nil
}

// merged returns what a merge, "a b" or ["a","b"], makes.
func merged(raw jsonx.Raw) (string, error) {
	if jsonx.Kind(raw) == '[' {
		var parts []string
		err := jsonx.Decode(raw, &parts)
		return strings.Join(parts, ""), err
	}
	text, ok := jsonx.String(raw)
	left, right, both := strings.Cut(text, " ")
	if !ok || !both {
		return "", errors.New("neither \"a b\" nor [\"a\", \"b\"]")
	}
	return left + right, nil
}

// byteLevel returns the bytes by the characters that GPT-2's byte-level alphabet writes them with: printable
// ones of Latin-1 are themselves, the others follow from U+0100.
func byteLevel() map[rune]byte {
	out, next := map[rune]byte{}, rune(0x100)
	for b := range rune(256) {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			out[b] = byte(b)
			continue
		}
		out[next] = byte(b)
		next++
	}
	return out
}

func rawBytes(text string, byteOf map[rune]byte) ([]byte, bool) {
	out := make([]byte, 0, utf8.RuneCountInString(text))
	for _, r := range text {
		b, ok := byteOf[r]
		if !ok {
			return nil, false
		}
		out = append(out, b)
	}
	return out, true
}
