package health

import (
	"testing"
	"time"

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
	if until, rests := h.Rests("k", now); !rests || until.Sub(now) != openFirst {
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
		until, rests := h.Rests("k", now)
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
		h.Drop()
	}
	if s := h.Signals(now); s.Share != 0 || s.InFlight != 0 {
		t.Fatalf("got %+v", s)
	}
	if s := h.Signals(now.Add(trialTime)); s.Share != 1 {
		t.Errorf("got %+v", s)
	}
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
	_, good := h.Rests("good", now)
	_, bad := h.Rests("bad", now)
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
			b.end(now, harmed)
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

func TestRetryBudgets(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := NewBudgets()
	if n := b.Left("p", now); n != budgetFloor {
		t.Fatalf("%d at first", n)
	}
	for range 2000 {
		b.Sent("p", now)
	}
	if n := b.Left("p", now); n != 400 {
		t.Fatalf("%d of 2000 requests", n)
	}
	for range 400 {
		b.Retried("p", now)
	}
	if n := b.Left("p", now); n != 0 {
		t.Errorf("%d are left after all were spent", n)
	}
	if n := b.Left("q", now); n != budgetFloor {
		t.Errorf("another provider has %d", n)
	}
	if n := b.Left("p", now.Add(budgetWindow)); n != budgetFloor {
		t.Errorf("%d when the window is over", n)
	}
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
