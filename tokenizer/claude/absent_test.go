//go:build !noclaude

package claude

import (
	"errors"
	"testing"
)

func TestABuildWithoutPiecesSaysSo(t *testing.T) {
	if _, err := openVocabulary(nil); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
}

func TestDamagedDataIsAnError(t *testing.T) {
	for _, raw := range [][]byte{[]byte("no line"), []byte("x\n\xff\xff"), dataV3[:len(dataV3)/2], append([]byte("x\n"), dataClasses[60:]...)} {
		if _, err := openVocabulary(raw); !errors.Is(err, errData) {
			t.Errorf("%.20q: got %v", raw, err)
		}
		if _, err := readClasses(raw); !errors.Is(err, errData) {
			t.Errorf("%.20q: got %v", raw, err)
		}
	}
}
