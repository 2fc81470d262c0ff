//go:build !noclaude

package claude

import (
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
)

// probes are the recorded counts of a file of pieces.
func probes(tb testing.TB, name string, each func(text string, raw int)) {
	tb.Helper()
	f, err := os.Open(recorded.Path(tb, "claude-pieces", name+".json.gz"))
	if err != nil {
		tb.Skip("the pieces' sources are not present")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	var doc struct {
		Tokens map[string]map[string]struct {
			Probe string `json:"probe"`
			Raw   int    `json:"raw"`
		} `json:"tokens"`
	}
	if err := jsonx.Decode(raw, &doc); err != nil {
		tb.Fatal(err)
	}
	for _, group := range doc.Tokens {
		for _, p := range group {
			if p.Probe != "" {
				each(p.Probe, p.Raw)
			}
		}
	}
}

func open(tb testing.TB, name string) *Family {
	tb.Helper()
	f, err := Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func TestEveryRecordedProbeHasItsCount(t *testing.T) {
	for family, file := range map[string]string{"claude-3": "pieces_v3", "claude-4.7": "pieces_v4_7"} {
		f, n, bad := open(t, family), 0, 0
		probes(t, file, func(text string, raw int) {
			n++
			if got := f.Count([]byte(text)) + f.Frame; got != raw {
				if bad++; bad <= 10 {
					t.Errorf("%s: %q: %d tokens, recorded %d", family, text, got, raw)
				}
			}
		})
		t.Logf("%s: %d of %d probes", family, n-bad, n)
	}
}

func TestEveryEdgeCaseHasItsCount(t *testing.T) {
	raw, err := os.ReadFile(recorded.Path(t, "claude-pieces", "cases.jsonl"))
	if err != nil {
		t.Skip("the cases are not present")
	}
	names := map[string]string{"3.0": "claude-3", "4.7": "claude-4.7", "5-opus": "claude-opus-5"}
	for line := range strings.Lines(string(raw)) {
		var c struct {
			Family string `json:"family"`
			Text   string `json:"text"`
			Count  int    `json:"count"`
		}
		if err := jsonx.Decode([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		f := open(t, names[c.Family])
		if got := f.Count([]byte(c.Text)) + f.Frame; got != c.Count {
			t.Errorf("%s: %q: %d tokens, recorded %d", f.Name, c.Text, got, c.Count)
		}
	}
}
