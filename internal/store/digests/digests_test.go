package digests_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/store/digests"
)

type secret struct {
	digest auth.Digest
	until  time.Time
}

// TestTableLaw compares a table with a map of lists.
func TestTableLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "ab", "key-1", "key-2", "key-3"}), 0, 40).Draw(t, "ids")
		table, want := digests.New(len(ids)), map[string][]secret{}
		for i, id := range ids {
			s := secret{until: time.Unix(int64(i%3), 0)}
			binary.BigEndian.PutUint32(s.digest[:], uint32(i))
			if i%3 == 0 {
				s.until = time.Time{}
			}
			if err := table.Add([]byte(id), s.digest, s.until); err != nil {
				t.Fatal(err)
			}
			want[id] = append(want[id], s)
		}
		for _, id := range append(ids, "c", "key-4") {
			var got []secret
			for at := table.First(id); at >= 0; at = table.Next(at) {
				d, until := table.At(at)
				got = append(got, secret{d, until})
			}
			if !slices.Equal(got, want[id]) {
				t.Fatalf("%q has %v, want %v", id, got, want[id])
			}
		}
	})
}

// TestATableThatIsFullSaysSo in place of looking for a free place without end.
func TestATableThatIsFullSaysSo(t *testing.T) {
	table := digests.New(1)
	for range 10 {
		if err := table.Add([]byte("a"), auth.Digest{}, time.Time{}); err != nil {
			return
		}
	}
	t.Error("ten secrets found room where one was to be")
}
