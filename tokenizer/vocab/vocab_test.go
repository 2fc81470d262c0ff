package vocab

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func shipped(t testing.TB, name string) *Vocab {
	t.Helper()
	v, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// same reports what two vocabularies differ in.
func same(t *testing.T, got, want *Vocab) {
	t.Helper()
	if got.Len() != want.Len() || got.Name != want.Name || got.Pattern != want.Pattern || got.NFC != want.NFC {
		t.Fatalf("got %s, %s, %t, %d tokens; want %s, %s, %t, %d", got.Name, got.Pattern, got.NFC, got.Len(), want.Name, want.Pattern, want.NFC, want.Len())
	}
	for r := range want.Len() {
		if !bytes.Equal(got.Token(r), want.Token(r)) || got.Split(r) != want.Split(r) || got.ID(r) != want.ID(r) {
			t.Fatalf("token %d: got %q, %d, id %d; want %q, %d, id %d", r, got.Token(r), got.Split(r), got.ID(r), want.Token(r), want.Split(r), want.ID(r))
		}
	}
	for s, id := range want.Special {
		if got.Special[s] != id {
			t.Errorf("special token %q: got %d, want %d", s, got.Special[s], id)
		}
	}
}

func TestWhatIsWrittenCompactReadsBack(t *testing.T) {
	for _, name := range []string{"p50k_base", "deepseek_v3"} {
		v := shipped(t, name)
		file, err := v.Compact([]string{"source: a test"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(file, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, v)
	}
}

func TestIDsHaveTheGapsOfTheirVocabulary(t *testing.T) {
	v := shipped(t, "p50k_base")
	for rank, id := range map[int]int{0: 0, 50255: 50255, 50256: 50257, 50279: 50280} {
		if got := v.ID(rank); got != id {
			t.Errorf("token %d: got id %d, want %d", rank, got, id)
		}
	}
	if got := shipped(t, "tekken").ID(0); got != 1000 {
		t.Errorf("Tekken begins with id %d", got)
	}
	if got := shipped(t, "r50k_base").Len(); got != 50256 {
		t.Errorf("r50k_base has %d tokens", got)
	}
}

// published writes the first tokens of a vocabulary in the forms in which they are published.
func published(v *Vocab) map[string]string {
	letters := map[byte]rune{}
	for r, b := range byteLevel() {
		letters[b] = r
	}
	written := func(token []byte) string {
		var s strings.Builder
		for _, b := range token {
			s.WriteRune(letters[b])
		}
		return string(jsonx.AppendQuote(nil, s.String()))
	}
	var ranks, tekken, ids, merges, pairs []string
	for r := range v.Len() {
		token := v.Token(r)
		code := base64.StdEncoding.EncodeToString(token)
		ranks = append(ranks, fmt.Sprintf("%s %d\n", code, r))
		tekken = append(tekken, fmt.Sprintf(`{"rank":%d,"token_bytes":%q,"token_str":null}`, r, code))
		ids = append(ids, fmt.Sprintf("%s:%d", written(token), r))
		if n := v.Split(r); n > 0 {
			left, right := written(token[:n]), written(token[n:])
			merges = append(merges, left[:len(left)-1]+" "+right[1:])
			pairs = append(pairs, "["+left+","+right+"]")
		}
	}
	model := func(merges []string) string {
		return `{"added_tokens":[{"id":90000,"content":"<|end|>"}],"model":{"type":"BPE","vocab":{` + strings.Join(ids, ",") + `},"merges":[` + strings.Join(merges, ",") + `]}}`
	}
	return map[string]string{
		"tiktoken": strings.Join(ranks, ""), "Tekken": `{"config":{"default_vocab_size":` + fmt.Sprint(v.Len()) + `},"vocab":[` + strings.Join(tekken, ",") + `]}`,
		"tokenizer.json": model(merges), "tokenizer.json of pairs": model(pairs),
	}
}

func TestPublishedFormsReadAsTheSame(t *testing.T) {
	want := shipped(t, "p50k_base").first("v", 5000)
	want.Pattern, want.Special, want.runs = "r50k", nil, nil
	for form, file := range published(want) {
		s := Settings{Name: "v", Pattern: "r50k"}
		w := *want
		if form == "Tekken" { // its special tokens come first, and the vocabulary's size is with them
			file = strings.Replace(file, `"default_vocab_size":5000`, `"default_vocab_size":6000`, 1)
			w.runs = []run{{0, 1000}}
		}
		if strings.HasPrefix(form, "tokenizer") {
			w.Special = map[string]int{"<|end|>": 90000}
		}
		t.Run(form, func(t *testing.T) {
			got, err := Parse([]byte(file), s)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, &w)
		})
	}
}

func TestTokensThatNoTextBecomesAreLeftOut(t *testing.T) {
	want := shipped(t, "p50k_base").first("v", 1000)
	want.Special, want.runs, want.Pattern = map[string]int{"<|end|>": 90000}, nil, "r50k"
	file := published(want)["tokenizer.json"]
	got, err := Parse([]byte(strings.Replace(file, `"vocab":{`, `"vocab":{"🔅":5000,`, 1)), Settings{Name: "v", Pattern: "r50k"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	file = strings.Replace(strings.Replace(file, `"vocab":{`, `"vocab":{"🔅a":5000,`, 1), `"merges":[`, `"merges":["🔅 a",`, 1)
	if _, err := Parse([]byte(file), Settings{Name: "v", Pattern: "r50k"}); err == nil || !strings.Contains(err.Error(), "byte-level alphabet") {
		t.Errorf("got %v", err)
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	v := shipped(t, "p50k_base").first("v", 3000)
	file, err := v.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	head := bytes.Index(file, []byte("\n\n")) + 2
	for _, bad := range [][]byte{nil, []byte(magic), file[:head], file[:len(file)/2], append(bytes.Clone(file[:head]), "not deflated"...)} {
		if _, err := ReadCompact(bad); err == nil {
			t.Errorf("%d bytes are read", len(bad))
		}
	}
	// No damage of the block itself may panic.
	body := v.body()
	for i := 0; i < len(body); i += 101 {
		b := bytes.Clone(body)
		b[i] ^= 0x85
		var w Vocab
		w.Special = map[string]int{}
		w.read(&reader{b: b})
	}
}

func TestNoticeHasTheFilesOfTheFolder(t *testing.T) {
	notice, err := os.ReadFile("files/NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	list, err := files.ReadDir("files")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range list {
		file, err := files.ReadFile("files/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(file)
		if total += len(file); !bytes.Contains(notice, []byte(f.Name()+"  SHA-256 "+hex.EncodeToString(sum[:]))) {
			t.Errorf("NOTICE does not have %s as it is: make gen", f.Name())
		}
	}
	if total > 6<<20 {
		t.Errorf("%d bytes of vocabularies", total)
	}
}
