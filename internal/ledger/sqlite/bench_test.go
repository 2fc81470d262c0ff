package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// BenchmarkWrite writes to the disk of the temporary folder.
func BenchmarkWrite(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "l.db"))
	defer s.Close()
	ledgertest.Bench(b, s)
}
