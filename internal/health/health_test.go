package health

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCooling(t *testing.T) {
	at := time.Unix(1e9, 0)
	key, other := Subject{"p", "k", "m"}, Subject{"p", "k", "n"}
	whole := Subject{Provider: "p", Key: "k"}
	type rest struct {
		s Subject
		d time.Duration
	}
	for _, c := range []struct {
		name  string
		rests []rest
		ask   Subject
		after time.Duration
		want  time.Duration // from at; 0: does not rest
	}{
		{"nothing rests", nil, key, 0, 0},
		{"a rest lasts as long as it was said to", []rest{{key, 5 * time.Second}}, key, 4 * time.Second, 5 * time.Second},
		{"and no longer", []rest{{key, 5 * time.Second}}, key, 5 * time.Second, 0},
		{"another model of the key is not touched", []rest{{key, 5 * time.Second}}, other, 0, 0},
		{"a key that rests for all models rests for each", []rest{{whole, 5 * time.Second}}, other, 0, 5 * time.Second},
		{"the longer of both counts", []rest{{whole, 5 * time.Second}, {key, 9 * time.Second}}, key, 0, 9 * time.Second},
		{"also when it is the key's", []rest{{whole, 9 * time.Second}, {key, 5 * time.Second}}, key, 0, 9 * time.Second},
		{"a shorter hint does not shorten", []rest{{key, 9 * time.Second}, {key, time.Second}}, key, 0, 9 * time.Second},
		{"a longer one lengthens", []rest{{key, time.Second}, {key, 9 * time.Second}}, key, 0, 9 * time.Second},
		{"no hint is believed beyond the longest", []rest{{key, 1000 * time.Hour}}, key, 0, Longest},
		{"no time at all", []rest{{key, 0}}, key, 0, 0},
		{"time that runs backwards", []rest{{key, -time.Hour}}, key, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := NewCooldowns()
			for _, r := range c.rests {
				table.Cool(r.s, at, r.d)
			}
			until, cooling := table.Cooling(c.ask, at.Add(c.after))
			if cooling != (c.want > 0) || cooling && !until.Equal(at.Add(c.want)) {
				t.Errorf("got %v, %v; want %v", until.Sub(at), cooling, c.want)
			}
		})
	}
}

// TestTheTableForgets fills the table beyond its bound: what has rested enough is dropped, what rests stays.
func TestTheTableForgets(t *testing.T) {
	at := time.Unix(1e9, 0)
	table := NewCooldowns()
	for i := range sweepAt {
		table.Cool(Subject{"p", fmt.Sprint("old", i), ""}, at, time.Second)
	}
	table.Cool(Subject{"p", "long", ""}, at, time.Minute)
	table.Cool(Subject{"p", "new", ""}, at.Add(2*time.Second), time.Second)
	if len(table.until) != 2 {
		t.Errorf("%d subjects are remembered, want 2", len(table.until))
	}
	for _, key := range []string{"long", "new"} {
		if _, cooling := table.Cooling(Subject{"p", key, "m"}, at.Add(2500*time.Millisecond)); !cooling {
			t.Errorf("%s is forgotten", key)
		}
	}
}

// TestCoolLaws holds for every order of hints: a rest never ends earlier than any hint said, within the bound.
func TestCoolLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, at, want := NewCooldowns(), time.Unix(1e9, 0), time.Time{}
		s := Subject{"p", "k", "m"}
		for range rapid.IntRange(0, 10).Draw(t, "hints") {
			at = at.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "wait")) * time.Second)
			d := time.Duration(rapid.IntRange(-5, 1200).Draw(t, "hint")) * time.Second
			table.Cool(s, at, d)
			if end := at.Add(min(d, Longest)); d > 0 && end.After(want) {
				want = end
			}
			until, cooling := table.Cooling(s, at)
			if cooling != want.After(at) || cooling && !until.Equal(want) {
				t.Fatalf("rests until %v, %v; want %v", until, cooling, want)
			}
		}
	})
}

func TestTheTableIsSafeForConcurrentUse(t *testing.T) {
	table, at := NewCooldowns(), time.Unix(1e9, 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 500 {
				s := Subject{"p", fmt.Sprint(i, "-", n), ""}
				table.Cool(s, at, time.Minute)
				if _, cooling := table.Cooling(s, at); !cooling {
					t.Error("a rest is lost")
				}
			}
		})
	}
	wg.Wait()
}
