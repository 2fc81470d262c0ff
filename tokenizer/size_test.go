package tokenizer

import (
	"runtime"
	"strings"
	"testing"
)

func TestVocabulariesStaySmallInMemory(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, name := range Encodings() {
		fresh := held
		if strings.HasPrefix(name, "claude-") {
			fresh = tiled
		}
		before := heap()
		e, err := fresh(name).read()
		if err != nil {
			t.Fatal(err)
		}
		kept := heap() - before
		if t.Logf("%s keeps %.1f MB", name, float64(kept)/1e6); kept > 10_000_000 {
			t.Errorf("%s keeps %d bytes", name, kept)
		}
		runtime.KeepAlive(e)
	}
}
