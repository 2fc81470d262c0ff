package metering_test

import (
	"slices"
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// TestWhateverMayBeTriedIsReserved: a prompt of 4,000 tokens at 1,000 nano-USD, and an answer of 500 at 10,000. What is cut is billed its
// prompt, and what is not wanted all of it.
func TestWhateverMayBeTriedIsReserved(t *testing.T) {
	const prompt, answer = 4000, 500
	for _, c := range []struct {
		what    string
		steps   int
		tries   metering.Tries
		in, out int64 // tokens
	}{
		{"one step", 1, metering.Tries{}, prompt, answer},
		{"the first of two may be cut", 2, metering.Tries{}, 2 * prompt, answer},
		{"the first of two may not be wanted", 2, metering.Tries{Unwanted: true}, 2 * prompt, 2 * answer},
		{"an answer is repaired, and is part of the prompt then", 1, metering.Tries{Unwanted: true, Repairs: true}, prompt + (prompt + answer + 4096), 2 * answer},
		{"one of two is repaired", 2, metering.Tries{Unwanted: true, Repairs: true}, 2*prompt + (prompt + answer + 4096), 3 * answer},
		{"the same once more", 1, metering.Tries{Again: true}, 2 * prompt, answer},
		{"two rounds", 2, metering.Tries{Rounds: 2}, 4 * prompt, answer},
		{"two rounds, of which the first may be the same once more", 2, metering.Tries{Rounds: 2, Again: true}, 6 * prompt, answer},
		{"what is not wanted is in no further round", 2, metering.Tries{Rounds: 2, Unwanted: true}, 4 * prompt, 2 * answer},
	} {
		for b, want := range map[*quota.Budget]int64{
			{ID: "money", Unit: quota.Money}:                      c.in*1000 + c.out*10_000,
			{ID: "in", Unit: quota.TokensIn, Away: quota.Deny}:    c.in,
			{ID: "out", Unit: quota.TokensOut, Away: quota.Deny}:  c.out,
			{ID: "both", Unit: quota.Tokens, Away: quota.Deny}:    c.in + c.out,
			{ID: "rate", Unit: quota.TokensIn}:                    prompt/3 + 1,
			{ID: "parallel", Unit: quota.Parallel}:                1,
			{ID: "cheap", Unit: quota.Requests, Away: quota.Deny}: 1,
		} {
			b.Limit = 1 << 40
			r := newRig(t, b)
			w := r.want(prompt, answer)
			w.Steps, w.Tries = slices.Repeat(w.Steps, c.steps), c.tries
			if _, err := r.reserve(t, w); err != nil {
				t.Fatal(err)
			}
			if got := r.counter(t, b); got.Reserved != want {
				t.Errorf("%s: %s: %d is reserved, want %d", c.what, b.ID, got.Reserved, want)
			}
		}
	}
}
