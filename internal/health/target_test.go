package health

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// TestABreakerOpensTriesAndClosesSlowly follows one key of a target through an outage.
func TestABreakerOpensTriesAndClosesSlowly(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	end := func(c llm.Code) {
		h.Begin("k", now)
		h.End(Attempt{Key: "k", Code: c, First: time.Second, Took: 2 * time.Second}, now)
	}
	want := func(share float64) {
		t.Helper()
		if got := h.Signals(now).Share; got < share-0.001 || got > share+0.001 {
			t.Fatalf("a share of %.3f, want %.3f", got, share)
		}
	}
	want(1)
	for range breakRow - 1 {
		end(llm.CodeUpstream)
	}
	want(1)
	end(llm.CodeInvalid) // the client's fault: the row begins anew
	for range breakRow {
		want(1)
		end(llm.CodeUpstream)
	}
	want(0)
	if until, rests := h.Rests("k", 0, now); !rests || until.Sub(now) != openFirst {
		t.Fatalf("rests %v until %v", rests, until)
	}
	now = now.Add(openFirst)
	want(1) // to be tried
	for range probes {
		want(1)
		h.Begin("k", now)
	}
	want(0) // enough are under way
	for range probes {
		h.End(Attempt{Key: "k"}, now)
	}
	want(rampFrom)
	now = now.Add(rampTime / 2)
	want((1 + rampFrom) / 2)
	now = now.Add(rampTime / 2)
	want(1)
}

func TestAFailedTrialOpensForTwiceAsLong(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	fail := func() { h.Begin("k", now); h.End(Attempt{Key: "k", Code: llm.CodeTimeout}, now) }
	for range breakRow {
		fail()
	}
	for want := openFirst; want < 4*openLongest; want *= 2 {
		until, rests := h.Rests("k", 0, now)
		if d := min(want, openLongest); !rests || until.Sub(now) != d {
			t.Fatalf("rests for %v, want %v", until.Sub(now), d)
		}
		now = until
		fail()
	}
}

func TestTrialsOfWhichNothingIsHeardAreNotWaitedForForever(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	for range breakRow {
		h.Begin("k", now)
		h.End(Attempt{Key: "k", Code: llm.CodeTimeout}, now)
	}
	now = now.Add(openFirst)
	for range probes {
		h.Begin("k", now)
	}
	if s := h.Signals(now); s.Share != 0 || s.InFlight != probes {
		t.Fatalf("got %+v", s)
	}
	if until, rests := h.Rests("k", 0, now); !rests || until.Sub(now) != trialTime {
		t.Errorf("rests %v for %v", rests, until.Sub(now))
	}
	if s := h.Signals(now.Add(trialTime)); s.Share != 1 {
		t.Errorf("got %+v", s)
	}
	h.Drop("k", now) // its client left: another may try
	if s := h.Signals(now); s.Share != 1 || s.InFlight != probes-1 {
		t.Errorf("got %+v", s)
	}
}

// TestNoMoreAreLetInThanThereAreTrials has 500 requests ask at once when a breaker is half-open (RELIABILITY §11, 37).
func TestNoMoreAreLetInThanThereAreTrials(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	for range breakRow {
		h.Begin("k", now)
		h.End(Attempt{Key: "k", Code: llm.CodeOverloaded}, now)
	}
	if h.Enter("k", now.Add(openFirst/2)) {
		t.Fatal("an open breaker lets in")
	}
	now = now.Add(openFirst)
	var in atomic.Int64
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			if h.Enter("k", now) {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != probes || h.Signals(now).InFlight != probes {
		t.Errorf("%d are let in, %d in flight", in.Load(), h.Signals(now).InFlight)
	}
}

// TestWhatWasSentBeforeItOpenedSaysNothing lets answers come late: those of attempts from before the outage neither close
// nor open the breaker.
func TestWhatWasSentBeforeItOpenedSaysNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		late llm.Code
	}{{"timeouts", llm.CodeTimeout}, {"answers", llm.CodeNone}} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			h := NewTargets().Of("p", "m")
			for range breakRow {
				h.Begin("k", now)
				h.End(Attempt{Key: "k", Code: llm.CodeReset}, now)
			}
			late := func() { h.End(Attempt{Key: "k", Code: c.late, Took: time.Minute}, now) }
			late()
			now = now.Add(openFirst)
			late()
			h.Begin("k", now)
			for range 2 * probes {
				late()
			}
			if s := stateOf(h, "k"); s != Trying {
				t.Fatalf("it is %v", s)
			}
			if s := h.Signals(now); s.Share != 1 {
				t.Errorf("a share of %v while there is room for trials", s.Share)
			}
		})
	}
}

// TestLongTrialsClose has trials that take longer than others wait for them: they count all the same.
func TestLongTrialsClose(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	for range breakRow {
		h.Begin("k", now)
		h.End(Attempt{Key: "k", Code: llm.CodeReset}, now)
	}
	now = now.Add(openFirst)
	for range probes {
		h.Begin("k", now)
	}
	now = now.Add(2 * trialTime)
	h.Begin("k", now) // one more, in place of those
	for range probes {
		h.End(Attempt{Key: "k", Took: 2 * trialTime}, now)
	}
	if s := stateOf(h, "k"); s != Closing {
		t.Errorf("it is %v", s)
	}
}

// TestAKeyThatClosesBesideOneThatIsWell takes its growing share of the lots, and of the target everybody may go.
func TestAKeyThatClosesBesideOneThatIsWell(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	h.Begin("good", now)
	h.End(Attempt{Key: "good"}, now)
	for range breakRow {
		h.Begin("bad", now)
		h.End(Attempt{Key: "bad", Code: llm.CodeCredential}, now)
	}
	now = now.Add(openFirst)
	for range probes {
		h.Begin("bad", now)
	}
	for range probes {
		h.End(Attempt{Key: "bad"}, now)
	}
	last := 1 << 10
	for at := range 11 {
		n := 0
		for lot := range uint64(1 << 10) {
			if _, rests := h.Rests("bad", lot<<54, now.Add(time.Duration(at)*time.Second)); rests {
				n++
			}
		}
		want := 1<<10 - int(1024*(rampFrom+(1-rampFrom)*float64(at)/10))
		if n > last || n < want-1 || n > want+1 {
			t.Errorf("after %d s %d of 1024 stay away, want %d", at, n, want)
		}
		last = n
	}
	if s := h.Signals(now); s.Share != 1 {
		t.Errorf("a share of %v", s.Share)
	}
}

func stateOf(t *Target, key string) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys[key].state
}

// TestChangesAreTold follows the changes of a breaker.
func TestChangesAreTold(t *testing.T) {
	now := time.Unix(1e9, 0)
	table := NewTargets()
	var got []string
	table.Watch(func(c Change) { got = append(got, c.Provider+"/"+c.Model+" "+c.Key+" "+c.To.String()) })
	h := table.Of("p", "m")
	for range breakRow {
		h.Begin("k", now)
		h.End(Attempt{Key: "k", Code: llm.CodeReset}, now)
	}
	now = now.Add(openFirst)
	for range probes {
		h.Begin("k", now)
		h.End(Attempt{Key: "k"}, now)
	}
	now = now.Add(rampTime)
	h.Begin("k", now)
	h.End(Attempt{Key: "k"}, now)
	want := []string{"p/m k open", "p/m k half_open", "p/m k closing", "p/m k closed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAFailureThatIsOldWeighsLess lets half the attempts of a minute fail, and then answer well.
func TestAFailureThatIsOldWeighsLess(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	run := func(n int, fails int) {
		for i := range n {
			code := llm.CodeNone
			if fails > 0 && i%fails == 0 {
				code = llm.CodeReset
			}
			h.Begin("k", now)
			h.End(Attempt{Key: "k", Code: code}, now)
			now = now.Add(time.Second)
		}
	}
	run(600, 3)
	if s := h.Signals(now).Success; s < 0.6 || s > 0.72 {
		t.Fatalf("a success of %.3f, want two thirds", s)
	}
	run(30, 0) // one half-life
	if s := h.Signals(now).Success; s < 0.79 || s > 0.87 {
		t.Fatalf("a success of %.3f after a half-life, want five sixths", s)
	}
	before := h.Signals(now).Weight
	if after := h.Signals(now.Add(halfSuccess)).Weight; after < before*0.45 || after > before*0.55 {
		t.Errorf("a weight of %.2f, and %.2f a half-life later", before, after)
	}
}

// TestHalfOfManyOpens holds for every mix over time: it opens exactly when five in a row harmed, or half of at least
// twenty in the window.
func TestHalfOfManyOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type end struct {
			at     time.Time
			harmed bool
		}
		var b breaker
		var all []end
		now, row := time.Unix(1e9, 0), 0
		for range rapid.IntRange(1, 120).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "s")) * time.Second)
			harmed := rapid.IntRange(0, 2).Draw(t, "harmed") > 0
			all = append(all, end{now, harmed})
			if row++; !harmed {
				row = 0
			}
			b.end(now, now, harmed)
			n, bad := 0, 0
			for _, e := range all {
				if now.Sub(e.at) < breakWindow { // whole seconds: the parts are these
					n++
					if e.harmed {
						bad++
					}
				}
			}
			want := harmed && (row >= breakRow || n >= breakLeast && 2*bad >= n)
			if (b.state == Open) != want {
				t.Fatalf("it is %v after %d in a row, %d of %d", b.state, row, bad, n)
			}
			if want {
				return
			}
		}
	})
}

func TestATargetIsOpenWhileOneOfItsKeysIsNot(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	h.Begin("good", now)
	h.End(Attempt{Key: "good"}, now)
	for range breakRow {
		h.Begin("bad", now)
		h.End(Attempt{Key: "bad", Code: llm.CodeCredential}, now)
	}
	if s := h.Signals(now); s.Share != 1 {
		t.Errorf("a share of %v", s.Share)
	}
	_, good := h.Rests("good", 0, now)
	_, bad := h.Rests("bad", 0, now)
	if good || !bad {
		t.Errorf("good rests %v, bad rests %v", good, bad)
	}
}

func TestWhatIsLearntOfAnswers(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	for i := range 100 {
		h.Begin("k", now)
		h.Learn(Used{Prompt: 1000, Cached: 250, Output: 100, Streaming: time.Second}, now)
		h.End(Attempt{Key: "k", First: 200 * time.Millisecond, Took: 1200 * time.Millisecond}, now)
		now = now.Add(time.Second)
		_ = i
	}
	s := h.Signals(now)
	near := func(what string, got, want float64) {
		if got < want*0.95 || got > want*1.05 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	near("first", s.First.P50.Seconds(), 0.2)
	near("total", s.Total.P95.Seconds(), 1.2)
	near("each", s.PerToken.Seconds(), 0.01)
	near("output", s.Output, 100)
	near("cached", s.Cached, 0.25)
	if s.Success != 1 || s.InFlight != 0 || s.Weight < 20 {
		t.Errorf("got %+v", s)
	}
}

// TestBreakerLaws holds for every run of attempts: what is let in is a share, all of it while closed; an open one
// closes only after trials that went well; it never opens while nothing harms.
func TestBreakerLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b breaker
		now, harms, good := time.Unix(1e9, 0), 0, 0
		for range rapid.IntRange(1, 200).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			before, share := b.at(now), b.share(now)
			if share < 0 || share > 1 || before == Closed && share != 1 || before == Open && share != 0 {
				t.Fatalf("%v lets in %v", before, share)
			}
			if share == 0 {
				continue
			}
			harmed := rapid.Bool().Draw(t, "harmed")
			b.begin(now)
			b.end(now, now, harmed)
			if harmed {
				harms++
				good = 0
			} else {
				good++
			}
			if b.state == Open && harms == 0 {
				t.Fatal("it opened though nothing harmed")
			}
			if before == Trying && b.state == Closing && good < probes {
				t.Fatalf("it closes after %d trials", good)
			}
		}
	})
}

func BenchmarkAttempt(b *testing.B) {
	h, now := NewTargets().Of("p", "m"), time.Unix(1e9, 0)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		h.Begin("k", now)
		h.End(Attempt{Key: "k", First: time.Millisecond, Took: time.Second}, now)
		_ = h.Signals(now)
	}
}
