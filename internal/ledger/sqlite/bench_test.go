package sqlite_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// BenchmarkWrite writes batches of 500 records of 25,000 series, as a busy gateway has them, on the disk of the
// temporary folder. One operation is one record.
func BenchmarkWrite(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "l.db"))
	defer s.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	n := 0
	batch := make([]*ledger.Record, 0, 500)
	for b.Loop() {
		batch = append(batch, ledgertest.Random(rnd, n, ledgertest.Noon().Add(time.Duration(n)*200*time.Microsecond)))
		n++
		if len(batch) == cap(batch) {
			ledgertest.Write(b, s, batch...)
			batch = batch[:0]
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
