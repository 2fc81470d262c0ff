package tokens_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/internal/tokens"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

func tool() *tokens.Tool {
	return &tokens.Tool{Set: tokenizer.NewSet(nil), Servers: all.Servers()}
}

func TestKeptPairsAreCountedAsTheirProvidersDid(t *testing.T) {
	r, err := tool().Accuracy("testdata/pairs.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if r.Pairs != 72 || r.Skipped != 0 || r.Unread != 0 {
		t.Errorf("%d pairs, %d skipped, %d not read; want 72, 0, 0", r.Pairs, r.Skipped, r.Unread)
	}
	for _, m := range r.Misses() {
		t.Errorf("%s %s %d: %d tokens, reported were %d", m.Group, m.File, m.Index, m.Counted, m.Reported)
	}
}

// floors are shares below which a group must not fall, in percent.
var floors = []struct {
	group string
	exact float64
	near  float64 // within two tokens
	pairs int     // at least
}{
	{"openai plain", 98, 99, 900},
	{"openai plain, previews apart", 99, 99, 900},
	{"openai tools", 65, 90, 650},
	{"openai schema", 60, 75, 150},
	{"claude plain", 96, 97, 250},
	{"claude tools", 20, 40, 330},
}

func TestRecordedUsageIsMetAsOftenAsPromised(t *testing.T) {
	path := recorded.Path(t, "usage-pairs.jsonl.gz")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && os.Getenv(recorded.EnvRequire) != "1" {
		t.Skip("the recorded usage is not present")
	}
	r, err := tool().Accuracy(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range floors {
		exact, n := r.Exact(f.group)
		near, _ := r.Near(f.group)
		if exact < f.exact || near < f.near || n < f.pairs {
			t.Errorf("%s: %.1f %% of %d pairs exact, %.1f %% within two; want %v %% of %d, %v %%", f.group, exact, n, near, f.exact, f.pairs, f.near)
		}
	}
	if most := 50; r.Skipped > most {
		t.Errorf("%d pairs are skipped, at most %d may be", r.Skipped, most)
	}
}
