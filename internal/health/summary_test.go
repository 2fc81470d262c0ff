package health

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

func known() Known { return Known{NewTargets(), NewCooldowns()} }

// run lets n attempts of a target end, a second apart, every fails-th of them badly.
func run(k Known, now time.Time, n, fails int, first time.Duration) time.Time {
	h := k.Targets.Of("p", "m")
	for i := range n {
		a := Attempt{Key: "k", First: first, Took: 4 * first}
		if fails > 0 && i%fails == 0 {
			a.Code = llm.CodeReset
		}
		h.Begin("k", now)
		h.End(a, now)
		h.Learn(Used{Prompt: 1000, Cached: 500, Output: 200, Streaming: 2 * time.Second}, now)
		now = now.Add(time.Second)
	}
	return now
}

func summary(t testing.TB, k Known, now time.Time) []byte {
	t.Helper()
	b, err := k.Summary(now)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// about compares signals but for what rounding changes: weights to hundredths, shares of a sketch to a bucket.
var about = cmp.Options{
	cmpopts.EquateApprox(0.02, 0.02),
	cmp.Comparer(func(a, b time.Duration) bool { return math.Abs(float64(a-b)) <= 0.1*float64(max(a, b)) }),
}

func TestARestartKeepsWhatIsKnown(t *testing.T) {
	now := time.Unix(1e9, 0)
	before := known()
	now = run(before, now, 200, 4, 300*time.Millisecond)
	before.Targets.Of("p", "m").Limits(Room{0.5, 0.25, time.Minute}, now)
	before.Rests.Cool(Subject{"p", "k", "m"}, now, 40*time.Second)
	for range breakRow {
		before.Targets.Of("p", "n").End(Attempt{Key: "x", Code: llm.CodeConnect}, now)
	}
	data := summary(t, before, now)
	for _, age := range []time.Duration{0, 3 * time.Second, 30 * time.Second} {
		after, then := known(), now.Add(age)
		if err := after.Restore(data, then); err != nil {
			t.Fatal(err)
		}
		want, got := before.Targets.Of("p", "m").Signals(then), after.Targets.Of("p", "m").Signals(then)
		if diff := cmp.Diff(want, got, about); diff != "" {
			t.Errorf("%v later: %s", age, diff)
		}
		for _, model := range []string{"m", "n"} {
			for _, key := range []string{"k", "x"} {
				u1, r1 := before.Targets.Of("p", model).Rests(key, 0, then)
				u2, r2 := after.Targets.Of("p", model).Rests(key, 0, then)
				if r1 != r2 || r1 && u1.Sub(u2).Abs() > 2*time.Millisecond {
					t.Errorf("%v later: %s %s rests %v until %v, want %v until %v", age, model, key, r2, u2, r1, u1)
				}
			}
		}
		u1, r1 := before.Rests.Cooling(Subject{"p", "k", "m"}, then)
		if u2, r2 := after.Rests.Cooling(Subject{"p", "k", "m"}, then); r1 != r2 || u1.Sub(u2).Abs() > 2*time.Millisecond {
			t.Errorf("%v later: cools %v until %v, want %v until %v", age, r2, u2, r1, u1)
		}
	}
	late := known()
	if err := late.Restore(data, now.Add(2*oldest)); err != nil || len(late.Targets.All(now)) > 0 {
		t.Errorf("what is of the day before yesterday is believed: %v, %v", late.Targets.All(now), err)
	}
}

// TestReplicasCountTogether has two replicas of which one sees a slow target and the other a fast one.
func TestReplicasCountTogether(t *testing.T) {
	start := time.Unix(1e9, 0)
	a, b := known(), known()
	now := run(a, start, 300, 0, time.Second)
	run(b, start, 300, 3, 100*time.Millisecond)
	if err := a.Hear([]Heard{{summary(t, b, now), 0}}, now); err != nil {
		t.Fatal(err)
	}
	own, other, both := b.Targets.Of("p", "m").Signals(now), known(), a.Targets.Of("p", "m").Signals(now)
	if both.Success < 0.8 || both.Success > 0.87 || both.Weight < 1.9*own.Weight {
		t.Errorf("a success of %.2f on %.1f attempts", both.Success, both.Weight)
	}
	if both.First.P95 < 900*time.Millisecond || both.First.P50 > 1100*time.Millisecond || both.First.P50 < 95*time.Millisecond {
		t.Errorf("first bytes %v", both.First)
	}
	if err := other.Hear([]Heard{{summary(t, b, now), 0}}, now); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(own, other.Targets.Of("p", "m").Signals(now), about); diff != "" {
		t.Error(diff)
	}
	if s := string(summary(t, other, now)); strings.Contains(s, `"p"`) {
		t.Errorf("what was heard is told on: %s", s)
	}
	if err := a.Hear(nil, now); err != nil { // the other is gone
		t.Fatal(err)
	}
	if s := a.Targets.Of("p", "m").Signals(now); s.Success < 0.999 {
		t.Errorf("who is gone still counts: %+v", s)
	}
}

// TestAnOpenBreakerIsTakenOver has three replicas tell each other, with delays, of an outage that one saw: all of them open
// until the same time, however often it is told.
func TestAnOpenBreakerIsTakenOver(t *testing.T) {
	now := time.Unix(1e9, 0)
	all := []Known{known(), known(), known()}
	for range breakRow {
		all[0].Targets.Of("p", "m").End(Attempt{Key: "k", Code: llm.CodeConnect}, now)
	}
	all[0].Rests.Cool(Subject{"p", "k", ""}, now, 20*time.Second)
	began := now
	for round := range 8 {
		sums := [][]byte{summary(t, all[0], now), summary(t, all[1], now), summary(t, all[2], now)}
		now = now.Add(500 * time.Millisecond)
		for i, k := range all {
			var heard []Heard
			for j := range all {
				if j != i {
					heard = append(heard, Heard{sums[j], 500 * time.Millisecond})
				}
			}
			if err := k.Hear(heard, now); err != nil {
				t.Fatal(err)
			}
			if until, rests := k.Targets.Of("p", "m").Rests("k", 0, now); !rests || until.Sub(began.Add(openFirst)).Abs() > 20*time.Millisecond {
				t.Fatalf("round %d, replica %d: rests %v for %v from the outage on", round, i, rests, until.Sub(began))
			}
			if until, rests := k.Rests.Cooling(Subject{"p", "k", "m"}, now); !rests || until.Sub(began.Add(20*time.Second)).Abs() > 20*time.Millisecond {
				t.Fatalf("round %d, replica %d: cools %v for %v from the refusal on", round, i, rests, until.Sub(began))
			}
		}
	}
	now = began.Add(openFirst)
	last := all[2].Targets.Of("p", "m")
	for range probes {
		last.Begin("k", now)
		last.End(Attempt{Key: "k"}, now)
	}
	if err := all[2].Hear([]Heard{{summary(t, all[0], began.Add(time.Second)), openFirst - time.Second}}, now); err != nil { // an old one
		t.Fatal(err)
	}
	if s := stateOf(last, "k"); s != Closing {
		t.Errorf("old news open it again: %v", s)
	}
}

// TestNobodyIsBelievedEverything holds for every summary that can be read at all: figures stay possible.
func TestNobodyIsBelievedEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Float64Range(-1e300, 1e300), rapid.Float64Range(-2, 2))
		whole := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-10, 300))
		many := rapid.SliceOfN(whole, 0, 8)
		mean := func(l string) toldMean { return toldMean{number.Draw(t, l), number.Draw(t, l+" weight")} }
		one := told{Version: toldVersion, At: whole.Draw(t, "at"), Targets: []toldTarget{{
			Provider: "p", Model: "m", Success: mean("success"), Output: mean("output"), Cached: mean("cached"),
			First: many.Draw(t, "first"), Total: many.Draw(t, "total"), Each: many.Draw(t, "each"),
			Room: &toldRoom{number.Draw(t, "requests"), number.Draw(t, "tokens"), whole.Draw(t, "reset")},
			Open: []toldOpen{{"k", whole.Draw(t, "id"), int(whole.Draw(t, "times")), whole.Draw(t, "left")}},
		}}, Rests: []toldRest{{"p", "k", "", whole.Draw(t, "rest")}}}
		data, err := jsonx.Encode(&one)
		if err != nil {
			t.Skip("JSON has no such number: another is drawn")
		}
		now := time.Unix(1e9, 0)
		for _, k := range []Known{known(), known()} {
			if rapid.Bool().Draw(t, "restored") {
				err = k.Restore(data, now)
			} else {
				err = k.Hear([]Heard{{data, time.Duration(whole.Draw(t, "age"))}, {data, 0}}, now)
			}
			if err != nil {
				t.Fatal(err)
			}
			s := k.Targets.Of("p", "m").Signals(now)
			ok := s.Success >= 0 && s.Success <= 1 && s.Cached >= 0 && s.Cached <= 1 && s.Output >= 0 && s.Output < 1<<40 && s.Weight >= 0 && !math.IsInf(s.Weight, 0) &&
				s.Share >= 0 && s.Share <= 1 && s.Room.Requests >= -1 && s.Room.Requests <= 1 && s.Room.Tokens >= -1 && s.Room.Tokens <= 1
			if !ok {
				t.Fatalf("got %+v of %s", s, data)
			}
			if until, rests := k.Targets.Of("p", "m").Rests("k", 0, now); rests && until.Sub(now) > openLongest {
				t.Fatalf("rests for %v", until.Sub(now))
			}
			if until, rests := k.Rests.Cooling(Subject{"p", "k", "m"}, now); rests && until.Sub(now) > Longest {
				t.Fatalf("cools for %v", until.Sub(now))
			}
		}
	})
}

func TestWhatIsNoSummary(t *testing.T) {
	for name, data := range map[string]string{"nothing": "", "no JSON": "{", "another version": `{"v":2}`, "a list": "[]", "names twice": `{"v":1,"v":1}`} {
		k := known()
		if err := k.Restore([]byte(data), time.Unix(1e9, 0)); err == nil {
			t.Errorf("%s is restored", name)
		}
		good := known()
		now := run(good, time.Unix(1e9, 0), 10, 0, time.Second)
		if err := k.Hear([]Heard{{[]byte(data), 0}, {summary(t, good, now), 0}}, now); err == nil {
			t.Errorf("%s is heard", name)
		}
		if len(k.Targets.All(now)) != 1 {
			t.Errorf("%s keeps others from being heard", name)
		}
	}
}

// TestASummaryIsBounded has more targets than are told: those that are tried most are.
func TestASummaryIsBounded(t *testing.T) {
	k, now := known(), time.Unix(1e9, 0)
	for i := range mostTold + 100 {
		h := k.Targets.Of("p", string(rune('a'+i%26))+strings.Repeat("x", i/26))
		for range 1 + i/100 {
			h.End(Attempt{Key: "k", First: time.Duration(i) * time.Millisecond, Took: time.Second}, now)
		}
	}
	data := summary(t, k, now)
	s, err := readTold(data)
	if err != nil || len(s.Targets) != mostTold || len(data) > 256<<10 {
		t.Fatalf("%d targets in %d bytes, %v", len(s.Targets), len(data), err)
	}
	for i := range s.Targets {
		if s.Targets[i].Success.Weight < 2 {
			t.Fatalf("%s is told of, others that are tried more are not", s.Targets[i].Model)
		}
	}
}
