package tokenizer

import (
	"runtime"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/heap"
)

func TestVocabulariesStaySmallInMemory(t *testing.T) {
	for _, name := range Encodings() {
		fresh := held
		if strings.HasPrefix(name, "claude-") {
			fresh = tiled
		}
		before := heap.Bytes()
		e, err := fresh(name).read()
		if err != nil {
			t.Fatal(err)
		}
		kept := heap.Bytes() - before
		if t.Logf("%s keeps %.1f MB", name, float64(kept)/1e6); kept > 10_000_000 {
			t.Errorf("%s keeps %d bytes", name, kept)
		}
		runtime.KeepAlive(e)
	}
}
