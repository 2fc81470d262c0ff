package bpe

import (
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

// resident returns the bytes of the tables, which all counts share.
func (e *Encoding) resident() int {
	return 8*len(e.short) + 16*len(e.middle) + 8*len(e.long.slots) + len(e.long.data) + 8*len(e.pairs) + 8*len(e.parts) +
		4*len(e.bytes) + 4*len(e.chars) + 4*len(e.ascii) + 8*len(e.joins.bloom) + 8*len(e.joins.bytes)
}

func TestTablesStaySmall(t *testing.T) {
	for _, name := range vocab.Names() {
		if n := open(t, name).resident(); n > 10_000_000 {
			t.Errorf("%s: %d bytes resident", name, n)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	for _, name := range []string{"o200k_base", "qwen2", "deepseek_v3"} {
		e := open(t, name)
		p := []byte(strings.Repeat("The quick brown fox's 12345 dens, Größe, 国家, привет мир, xyzzyqwv\n\t\treturn nil // ok?\xff", 40) + strings.Repeat("ab", 500) + "e\u0301")
		e.Count(p)
		if n := testing.AllocsPerRun(20, func() { e.Count(p) }); n != 0 {
			t.Errorf("%s: %.1f allocations for a count", name, n)
		}
		s := e.Stream()
		for i := 0; i+4 < len(p); i += 4 {
			s.Add(p[i : i+4])
		}
		i := 0
		if n := testing.AllocsPerRun(300, func() { s.Add(p[i%1000 : i%1000+4]); i += 4 }); n != 0 {
			t.Errorf("%s: %.2f allocations for a part", name, n)
		}
		if n := testing.AllocsPerRun(20, func() { s.Total() }); n != 0 {
			t.Errorf("%s: %.1f allocations for a total", name, n)
		}
	}
}

func TestAVocabularyThatIsNoneIsRefused(t *testing.T) {
	v, err := vocab.Open("r50k_base")
	if err != nil {
		t.Fatal(err)
	}
	v.Pattern = "r51k"
	if _, err := New(v, nil); err == nil || !strings.Contains(err.Error(), "r51k") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		open(b, "o200k_base")
	}
}

// BenchmarkGrowth says how many times longer ten times as much takes: 10 where time is linear.
func BenchmarkGrowth(b *testing.B) {
	e := open(b, "o200k_base")
	for kind, p := range hostile(1 << 20) {
		b.Run(strings.ReplaceAll(kind, " ", "-"), func(b *testing.B) {
			best := func(p []byte) time.Duration {
				least := time.Hour
				for range 5 {
					start := time.Now()
					e.Count(p)
					least = min(least, time.Since(start))
				}
				return least
			}
			for b.Loop() {
				b.ReportMetric(float64(best(p))/float64(best(p[:len(p)/10])), "t(10n)/t(n)")
			}
		})
	}
}
