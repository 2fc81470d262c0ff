package config

import (
	"strings"
	"testing"
)

// TestHostileFilesAreRefused feeds what would make a recursive parser use up the stack, which ends the
// process, so that the test fails by more than an error.
func TestHostileFilesAreRefused(t *testing.T) {
	const n = 200000
	var deep strings.Builder
	for i := range 700 {
		deep.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, text := range map[string]string{
		"lists":         strings.Repeat("[", n),
		"mappings":      strings.Repeat("{a: ", n),
		"entries":       strings.Repeat("- ", n) + "a",
		"keys":          strings.Repeat("? ", n) + "a",
		"tags":          strings.Repeat("!a ", n) + "a",
		"anchors":       strings.Repeat("&a ", n) + "a",
		"levels":        deep.String(),
		"quotes":        strings.Repeat("\"", n+1),
		"over the size": strings.Repeat("a", maxFile+1),
		"directives":    strings.Repeat("%YAML 1.2\n", n/10),
		"documents":     strings.Repeat("---\na: b\n", n/10),
	} {
		t.Run(name, func(t *testing.T) {
			root, err := parse([]byte(text))
			if err == nil {
				t.Errorf("got %v, want an error", root.shape)
			}
		})
	}
}
