package ledgertest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Bench writes batches of 500 records, nearly each of a series of its own, as the busiest gateway has them. One operation
// is one record.
func Bench(b *testing.B, s book.Store) {
	rnd := rand.New(rand.NewPCG(1, 2))
	n := 0
	batch := make([]*ledger.Record, 0, 500)
	for b.Loop() {
		batch = append(batch, Random(rnd, n, Noon().Add(time.Duration(n)*200*time.Microsecond)))
		n++
		if len(batch) == cap(batch) {
			Write(b, s, batch...)
			batch = batch[:0]
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
