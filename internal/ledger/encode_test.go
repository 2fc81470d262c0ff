package ledger_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// TestALineIsWhatTheLibraryWouldWrite compares by the bytes.
func TestALineIsWhatTheLibraryWouldWrite(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	all := []*ledger.Record{{}, ledgertest.Make("full", ledgertest.Noon(), func(r *ledger.Record) {
		r.Sequence, r.Cause, r.Tags = 3, "late", map[string]string{"b": "\"x\"\n", "a": "é"}
		r.Who = ledger.Who{Team: "t", Project: "p", Key: "k", KeyID: "i", User: "u\u2028"}
		r.Asked.Arm, r.Asked.Request = "smaller/small", "q"
		r.Said.Score, r.Said.Label, r.Said.Comment = 0.25, "tone", "\"x\""
		r.Result = ledger.Result{Status: ledger.OK, HTTP: 200, Took: 1, First: 2, Waited: 3, Trace: "x", Flags: []ledger.Flag{ledger.Late, ledger.Overrun}, Why: "w", Policy: []string{"a: b"}}
		r.Money = ledger.Money{Reserved: 1, Cost: -1, List: math.MaxInt64, Saved: math.MinInt64, Overrun: 1_500_000_000, Charges: []ledger.Charge{{Budget: "b", Window: 7, Unit: "money", Amount: -3}, {}}}
		r.Attempts = append(r.Attempts, ledger.Attempt{}, ledger.Attempt{Number: 2, Target: ledger.Target{Provider: "p", Kind: "k", Model: "m", Region: "r", Service: "flex", Priced: ledger.Priced{Region: "eu", Switches: []string{"fast"}, Search: "low"}},
			Began: 1, Took: 2, First: 3, HTTP: 200, Code: "c", Units: ledger.Units{1, 2, 3}, Bill: ledger.Bill{Cost: 1, List: 2, Saved: 3, Card: "h", Version: "v", Lines: []ledger.Line{{Item: "input", Units: 5, Rate: "0.1", Cost: 9}, {}}},
			Source: ledger.Bytes, Exact: true, Flags: []ledger.Flag{"priced_up"}})
	})}
	for n := range 2000 {
		r := ledgertest.Random(rnd, n, ledgertest.Noon().Add(time.Duration(rnd.Int64N(1e15))))
		r.Normalize()
		all = append(all, r)
	}
	for _, r := range all {
		got := r.Encode()
		want, err := jsonx.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) && len(r.Tags) < 2 { // the library does not order tags
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		back, err := ledger.Decode(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, back, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("-wrote +read\n%s", diff)
		}
	}
}

// TestASealedRecordIsEncodedAsItIs seals records with texts that stores do not take.
func TestASealedRecordIsEncodedAsItIs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	room := []byte("of the one before")
	for n := range 500 {
		r := ledgertest.Random(rnd, n, ledgertest.Noon().Add(time.Duration(rnd.Int64N(1e15))))
		r.Asked.Model += "\x00\xff"
		plain := *r
		plain.Normalize()
		r.Seal(&room)
		want := plain.Encode()
		if !bytes.Equal(want, room) || string(want) != r.Line || !bytes.Equal(want, r.Encode()) {
			t.Fatalf("sealed  %s\nencoded %s\nroom    %s\nwant    %s", r.Line, r.Encode(), room, want)
		}
		r.Normalize()
		r.Seal(&room)
		if r.Line != string(want) {
			t.Fatalf("sealed twice: %s", r.Line)
		}
	}
	r := ledgertest.Make("x", ledgertest.Noon())
	r.Seal(&room)
	if n := testing.AllocsPerRun(100, func() { room = r.AppendTo(room[:0]) }); n > 0 {
		t.Errorf("the encoding that is there takes %v allocations", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	r := ledgertest.Make("x", ledgertest.Noon())
	b.ReportAllocs()
	for b.Loop() {
		r.Encode()
	}
}
