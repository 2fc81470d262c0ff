package ndjson

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// run feeds pieces and returns the lines, with ! behind one that is cut.
func run(p *Parser, pieces ...string) (lines []string, err error) {
	for i, s := range pieces {
		err = p.Feed([]byte(s), i == len(pieces)-1, func(b []byte, partial bool) error {
			line := string(b)
			if partial {
				line += "!"
			}
			lines = append(lines, line)
			return nil
		})
		if err != nil {
			return lines, err
		}
	}
	return lines, nil
}

func TestLinesAreFoundHoweverTheyAreCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"\n", "\r\n", "{}", `{"a":"b"}`, " ", "é", "\n\n"}), 0, 30).Draw(t, "stream"), "")
		var want []string
		lines := strings.Split(in, "\n")
		for i, l := range lines {
			if l = strings.TrimSpace(l); l != "" {
				if i == len(lines)-1 {
					l += "!"
				}
				want = append(want, l)
			}
		}
		for _, size := range []int{1, 2, 3, 7, 64, 1000} {
			var pieces []string
			for s := in; s != ""; {
				n := min(size, len(s))
				pieces, s = append(pieces, s[:n]), s[n:]
			}
			got, err := run(new(Parser), append(pieces, "")...)
			if err != nil || cmp.Diff(want, got) != "" {
				t.Fatalf("cut at %d: got %q, %v, want %q", size, got, err, want)
			}
		}
	})
}

func TestALineHasALimit(t *testing.T) {
	for _, pieces := range [][]string{{"12345\n"}, {"123", "45\n"}, {"12345"}, {"1\n2\n", "12345"}} {
		if _, err := run(&Parser{Max: 4}, append(pieces, "")...); !errors.Is(err, ErrTooLong) {
			t.Errorf("%q: got %v", pieces, err)
		}
	}
	if got, err := run(&Parser{Max: 4}, "1234\n", "12", "34\n"); err != nil || len(got) != 2 {
		t.Errorf("got %q, %v", got, err)
	}
	stop := errors.New("stop")
	if err := new(Parser).Feed([]byte("a\nb\n"), false, func([]byte, bool) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestAWarmParserAllocatesNothing(t *testing.T) {
	var p Parser
	n := 0
	line := func(b []byte, _ bool) error { n += len(b); return nil }
	chunk, half, rest := []byte("{\"a\":1}\n{\"b\":2}\n"), []byte("{\"c\":"), []byte("3}\n")
	feed := func() {
		_ = p.Feed(chunk, false, line)
		_ = p.Feed(half, false, line)
		_ = p.Feed(rest, false, line)
	}
	feed()
	if got := testing.AllocsPerRun(100, feed); got != 0 || n == 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkFeed(b *testing.B) {
	var in []byte
	for i := range 200 {
		in = fmt.Appendf(in, `{"model":"m","created_at":"2026-08-05T08:10:56.372032Z","message":{"role":"assistant","content":"word %d"},"done":false}`+"\n", i)
	}
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		var p Parser
		if err := p.Feed(in, true, func(l []byte, _ bool) error { _ = bytes.IndexByte(l, '}'); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
