package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

const tiny = `{"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},"model":{"type":"BPE","byte_fallback":true,
"vocab":{"▁":0,"a":1,"b":2,"ab":3,"▁ab":4},"merges":["a b","▁ ab"]}}`

func file(content string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(content), nil }
}

func TestALoadedVocabularyCountsForItsModels(t *testing.T) {
	gemma3, err := Load("gemma3", file(tiny))
	if err != nil {
		t.Fatal(err)
	}
	c := NewSet(map[string]Text{"gemma3": gemma3}).For("gemini", "gemini-2.5-flash")
	if got := c.Text([]byte("ab ab")); got != 2 || c.Class() != Reconstructed || c.Encoding != "gemma3" {
		t.Errorf("got %d tokens by %s, %s", got, c.Encoding, c.Class())
	}
}

func TestAVocabularyThatIsAkinStandsIn(t *testing.T) {
	gemma3, err := Load("gemma3", file(tiny))
	if err != nil {
		t.Fatal(err)
	}
	for loaded, want := range map[string]Class{"gemma3": Calibrated, "gemma2": Reconstructed, "llama2": Estimated} {
		c := NewSet(map[string]Text{loaded: gemma3}).For("gemini", "gemini-2.0-flash")
		if c.Class() != want || want != Estimated && c.Encoding != loaded {
			t.Errorf("with %s counts are by %s, %s; want %s", loaded, c.Encoding, c.Class(), want)
		}
	}
}

func TestLoadSaysWhatItCannotLoad(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"gemma9", tiny, `no vocabulary "gemma9" can be loaded; possible are command, gemma2, gemma3, glm4, llama2, llama3, llama4, mistral`},
		{"gemma3", "", "vocabulary gemma3: the file is neither a tokenizer.json nor a tokenizer.model"},
		{"llama3", "x", "vocabulary llama3: "},
	} {
		if _, err := Load(c.name, file(c.file)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestWithoutItsPiecesClaudeIsEstimated(t *testing.T) {
	s := NewSet(nil)
	for encoding, by := range standing {
		i := slices.IndexFunc(families, func(f family) bool { return f.encoding == encoding })
		if i < 0 || by < 1 || by > 2 {
			t.Errorf("%s: no family, or %v tokens for each", encoding, by)
		}
	}
	c := s.For("anthropic", "claude-opus-4-7")
	if _, err := Encoding("claude-4.7"); err == nil {
		t.Skip("this build has the pieces")
	}
	if text := []byte("Hello, how are you?"); c.Class() != Estimated || c.Text(text) < 8 {
		t.Errorf("%d tokens, %s", c.Text(text), c.Class())
	}
}
