package tokenizer_test

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/tokenizer"
)

func TestAFileThatIsNoVocabularyIsRefused(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"llama3", "", "llama3"},
		{"llama3", "AA== x\n", "line 1"},
		{"llama3", "AA== 0\n", "byte 0x01"},
		{"llama3", `{"model": {"type": "Unigram"}}`, "BPE"},
		{"gemma3", "no model", "gemma3"},
		{"llama5", "", "llama3"},
	} {
		if _, err := tokenizer.Parse(c.name, []byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %q: got %v, want something of %q", c.name, c.file, err, c.want)
		}
	}
}
