package health

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// open opens the breaker of key k.
func open(h *Target, now time.Time) {
	for range breakRow {
		h.Begin("k", now)
		h.End(Attempt{Key: "k", Code: llm.CodeConnect}, now)
	}
}

// probe lets a probe of key k end.
func probe(h *Target, code llm.Code, now time.Time) {
	h.Begin("k", now)
	h.End(Attempt{Key: "k", Code: code, First: time.Second, Took: time.Second, Probe: true}, now)
}

func TestTrialsThatAreKeptAreForProbes(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	h.Keep("k", now.Add(time.Hour), now) // never used: nothing is kept
	open(h, now)
	over := now.Add(openFirst)
	h.Keep("k", over.Add(3*time.Second), now)
	for at, want := range map[time.Duration]bool{0: true, openFirst: true, openFirst + 2*time.Second: true, openFirst + 3*time.Second: false} {
		if _, rests := h.Rests("k", 0, now.Add(at)); rests != want {
			t.Errorf("after %v it rests: %v", at, rests)
		}
	}
	if until, _ := h.Rests("k", 0, over); until != over.Add(3*time.Second) {
		t.Errorf("it rests until %v", until)
	}
	if h.Enter("k", over) {
		t.Error("a client's request is let in")
	}
	if s := h.Stand("k", over); s.State != Trying || s.Full {
		t.Errorf("it stands as %+v", s)
	}
	probe(h, llm.CodeNone, over)
	if _, rests := h.Rests("k", 0, over.Add(time.Second)); !rests {
		t.Error("one probe that went well lets clients in")
	}
	h.Keep("k", time.Time{}, over)
	if !h.Enter("k", over) {
		t.Error("what is kept no more lets nobody in")
	}
	h.Drop("k", over)
	h.Keep("k", over.Add(time.Minute), over)
	probe(h, llm.CodeNone, over)
	probe(h, llm.CodeNone, over)
	if s := h.Stand("k", over); s.State != Closing || h.Signals(over).Share != rampFrom {
		t.Errorf("it stands as %+v, with a share of %v", s, h.Signals(over).Share)
	}
	if got := h.Signals(over).First; got.P50 != 0 {
		t.Errorf("how long probes took was learnt: %+v", got)
	}
}

func TestAProbeThatFailsOpensAgain(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := NewTargets().Of("p", "m")
	open(h, now)
	now = now.Add(openFirst)
	probe(h, llm.CodeTimeout, now)
	if s := h.Stand("k", now); s.State != Open || s.Until.Sub(now) != 2*openFirst {
		t.Errorf("it stands as %+v", s)
	}
	_, p := h.Quiet()
	if d := cmp.Diff(Probed{At: now, Key: "k", What: "timeout", Harm: true}, p); d != "" {
		t.Error(d)
	}
}

func TestItIsKnownWhenATargetWasLastAsked(t *testing.T) {
	now := time.Unix(1e9, 0)
	var none *Target
	if since, _ := none.Quiet(); !since.IsZero() {
		t.Error("of a target that there is none of, something is known")
	}
	one, two := known(), known()
	h := one.Targets.Of("p", "m")
	if since, p := h.Quiet(); !since.IsZero() || !p.At.IsZero() {
		t.Error("something is known of a target that nobody asked")
	}
	h.Begin("k", now)
	if since, _ := h.Quiet(); since != now {
		t.Errorf("an attempt began at %v", since)
	}
	h.End(Attempt{Key: "k"}, now)
	probe(h, llm.CodeOverloaded, now.Add(time.Second))
	h.Begin("k", now.Add(2*time.Second))
	h.End(Attempt{Key: "k"}, now.Add(2*time.Second))
	later := now.Add(10 * time.Minute) // by then no figure counts any more
	if err := two.Hear([]Heard{{summary(t, one, later), time.Second}}, later.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	since, p := two.Targets.Of("p", "m").Quiet()
	if since != now.Add(2*time.Second) || p != (Probed{At: now.Add(time.Second), Key: "k", What: "overloaded", Harm: true}) {
		t.Errorf("the other hears of %v and %+v", since, p)
	}
	again := known()
	if err := again.Restore(summary(t, one, later), later.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if since, _ := again.Targets.Of("p", "m").Quiet(); since != now.Add(2*time.Second) {
		t.Errorf("the next life knows of %v", since)
	}
}

// TestWhatProbesCloseClosesEverywhere has two replicas, of which one probes.
func TestWhatProbesCloseClosesEverywhere(t *testing.T) {
	now := time.Unix(1e9, 0)
	one, two := known(), known()
	h, o := one.Targets.Of("p", "m"), two.Targets.Of("p", "m")
	open(h, now)
	hear := func() {
		t.Helper()
		if err := two.Hear([]Heard{{summary(t, one, now), 500 * time.Millisecond}}, now.Add(500*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	hear()
	if s := o.Stand("k", now); s.State != Open {
		t.Fatalf("the other stands as %+v", s)
	}
	now = now.Add(openFirst + 100*time.Millisecond)
	for range probes - 1 {
		probe(h, llm.CodeNone, now)
		hear()
		if s := o.Stand("k", now); s.State == Closing {
			t.Fatal("the other closes before trials are over")
		}
		now = now.Add(time.Second)
	}
	probe(h, llm.CodeNone, now)
	var changes []State
	two.Targets.Watch(func(c Change) { changes = append(changes, c.To) })
	hear()
	hear()
	if s := o.Stand("k", now); s.State != Closing || s.Since.Sub(now).Abs() > 2*time.Millisecond || !cmp.Equal(changes, []State{Closing}) {
		t.Errorf("the other stands as %+v after changes to %v", s, changes)
	}

	for range breakRow { // it fails there: what is old says nothing of that
		o.Begin("k", now.Add(time.Second))
		o.End(Attempt{Key: "k", Code: llm.CodeReset}, now.Add(time.Second))
	}
	if s := o.Stand("k", now.Add(time.Second)); s.State != Open {
		t.Fatalf("the other stands as %+v", s)
	}
	now = now.Add(2 * time.Second)
	hear()
	if s := o.Stand("k", now); s.State != Open {
		t.Errorf("trials from before it opened close it: %+v", s)
	}
}

// TestWhatCannotBeIsNotHeard has summaries of probes that no replica writes.
func TestWhatCannotBeIsNotHeard(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, one := range []string{
		`"q":-5`, `"q":99999999999999`, `"x":{"k":"k","a":-1}`, `"x":{"k":"k","c":"` + strings.Repeat("x", 100) + `","a":1}`,
		`"w":[{"k":"k","t":-1,"l":-2}]`, `"w":[{"k":"k","t":1,"l":2}]`, `"w":[{"k":"k","t":99999999999999,"l":1}]`, `"w":[{"k":"k","t":20000,"l":15000}]`, `"w":[{"k":"none","t":2,"l":1}]`,
	} {
		k := known()
		h := k.Targets.Of("p", "m")
		open(h, now.Add(-time.Minute))
		before, _ := h.Quiet()
		if err := k.Hear([]Heard{{[]byte(`{"v":1,"t":[{"p":"p","m":"m",` + one + `}]}`), time.Second}}, now); err != nil {
			t.Fatal(err)
		}
		since, p := h.Quiet()
		if s := h.Stand("k", now); s.State != Trying || !since.Equal(before) || !p.At.IsZero() {
			t.Errorf("%s: it stands as %+v, was asked at %v, and probed %+v", one, s, since, p)
		}
	}
}

// TestTrialsOfClientsAreEachReplicasOwn is what holds without probes. One that was sent before it opened is no trial.
func TestTrialsOfClientsAreEachReplicasOwn(t *testing.T) {
	now := time.Unix(1e9, 0)
	one, two := known(), known()
	open(one.Targets.Of("p", "m"), now)
	open(two.Targets.Of("p", "m"), now)
	now = now.Add(openFirst)
	one.Targets.Of("p", "m").End(Attempt{Key: "k", Took: 2 * openFirst, Probe: true}, now)
	for range probes {
		one.Targets.Of("p", "m").Begin("k", now)
		one.Targets.Of("p", "m").End(Attempt{Key: "k"}, now)
	}
	if err := two.Hear([]Heard{{summary(t, one, now), 0}}, now); err != nil {
		t.Fatal(err)
	}
	if s := two.Targets.Of("p", "m").Stand("k", now); s.State != Trying {
		t.Errorf("the other stands as %+v", s)
	}
}
