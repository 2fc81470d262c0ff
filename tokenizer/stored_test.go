package tokenizer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/texts"
)

// old are the encodings whose references know Unicode 15.0 only.
var old = map[string]bool{"qwen2": true, "qwen3.5": true, "deepseek_v3": true}

// What the references (tiktoken, Hugging Face tokenizers) say of the same texts was written by
// internal/conformance/py/tokens.py --record.
func TestStoredTextsHaveTheTokensOfTheirReference(t *testing.T) {
	files, err := filepath.Glob("testdata/*.digests")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d files of expectations (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".digests")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			e, source := open(t, name), texts.New(1, old[name])
			for n := 0; len(want) > 0; n++ {
				s := source.Next()
				ids := e.Encode(nil, []byte(s))
				digest := texts.AppendDigest(nil, ids)
				if !bytes.HasPrefix(want, digest) {
					t.Fatalf("text %d, %q: got other tokens, %v", n, s, ids)
				}
				if got := e.Count([]byte(s)); got != len(ids) {
					t.Errorf("text %d, %q: counts %d, has %d tokens", n, s, got, len(ids))
				}
				want = want[len(digest):]
				if len(want) == 0 && n != 19_999 {
					t.Errorf("%d texts", n+1)
				}
			}
		})
	}
}
