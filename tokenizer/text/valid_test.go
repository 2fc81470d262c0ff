package text

import "testing"

// TestIllFormedCharactersBecomeOneMarkForEachMaximalPart has the examples of Unicode 16, §3.9, tables 3-8 to 3-11.
func TestIllFormedCharactersBecomeOneMarkForEachMaximalPart(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"text":                       {"aé€\U0001F600", "aé€\U0001F600"},
		"U+FFFD itself":              {"\uFFFD", "\uFFFD"},
		"overlong forms":             {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
		"surrogates":                 {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
		"beyond U+10FFFF":            {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB"},
		"cut characters":             {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "\uFFFD\uFFFD\uFFFD\uFFFDA"},
		"a cut one at the end":       {"a\xF0\x9F\x98", "a\uFFFD"},
		"one that text comes behind": {"\xE4\xB8é", "\uFFFDé"},
	} {
		if got := string(AppendValid([]byte("-"), []byte(c.in))); got != "-"+c.want {
			t.Errorf("%s: %+q, want %+q", name, got, c.want)
		}
	}
}
