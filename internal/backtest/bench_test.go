package backtest

import (
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

var (
	count = flag.Int("exchanges", 50_000, "of the ledger that BenchmarkRun replays")
	seeds = flag.Int("seeds", 0, "how often each scene of the estimates is played; 0: some of them, some times")
	from  = flag.Uint64("from", 1000, "the first seed of the scenes")
)

// BenchmarkRun replays a ledger in a file, read once and replayed as often as is usual. One operation is an exchange: a
// million of them take as many seconds as one takes microseconds.
func BenchmarkRun(b *testing.B) {
	n := *count
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "l.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	all := live(b, n, ways([3]int{60, 10, 30}), 1, 100)
	for len(all) > 0 {
		k := min(500, len(all))
		for _, r := range all[:k] {
			r.Normalize()
		}
		if _, err := s.Write(b.Context(), []*ledger.Record(all[:k])); err != nil {
			b.Fatal(err)
		}
		all = all[k:]
	}
	then := ways([3]int{}, routing.Named{Name: "reliable", Policy: &policy.Reliable{Within: 1}}, routing.Named{Name: "fastest", Policy: &policy.Fastest{By: "auto", Quantile: "p50", Explore: 2}}, routing.Named{Name: "cheapest", Policy: &policy.Cheapest{}})
	q := book.Filter{From: time.Unix(0, 0), Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	for b.Loop() {
		r, err := Run(b.Context(), s, q, Options{Open: then, Seed: 1, Runs: fewRuns})
		if err != nil || r.Exchanges != n {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/exchange")
}
