package queue

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestLaws has requests of all kinds come and go. No more wait than may; an important one never waits while a less
// important one for the same is let in; teams of a class that both wait all the time get alike; who may wait for long
// enough gets in.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 40).Draw(rt, "most")
		o := &order{}
		l := &lane{name: at}
		now := time.Unix(1e9, 0)
		served, weights := map[string]float64{}, 3.0
		all := map[*waiter]bool{}
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "what") {
			case 0, 1:
				if o.n == most {
					continue
				}
				w := &waiter{lanes: []*lane{l}, Want: Want{Class: Class(rapid.IntRange(0, 3).Draw(rt, "class")), Team: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "team"), Bytes: 1,
					Tokens: int64(rapid.IntRange(0, 2000).Draw(rt, "tokens")), Until: now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "s")) * time.Second)}}
				o.join(w)
				all[w] = true
			case 2:
				w, _ := o.next(now)
				if w == nil {
					if len(all) > 0 {
						rt.Fatal("room, and nobody is let in")
					}
					continue
				}
				for v := range all {
					if v.Class.Before(w.Class) {
						rt.Fatalf("%v goes before %v", w.Class, v.Class)
					}
					if v.Class == w.Class && v.Team == w.Team && v.Until.Before(w.Until) {
						rt.Fatal("a later deadline goes first")
					}
				}
				o.remove(w)
				delete(all, w)
			}
			if o.n != len(all) || o.bytes != int64(len(all)) || l.waiting != len(all) {
				rt.Fatalf("%d wait, %d bytes, %d at the lane; want %d", o.n, o.bytes, l.waiting, len(all))
			}
		}
		for w := range all {
			o.remove(w)
		}
		// both always wait: what they get differs by no more than one request of each
		for _, name := range []string{"a", "b", "c"} {
			o.join(&waiter{lanes: []*lane{l}, Want: Want{Team: name, Tokens: int64(rapid.IntRange(0, 5000).Draw(rt, "first"))}})
		}
		for range 100 {
			w, _ := o.next(now)
			o.remove(w)
			served[w.Team] += w.weight()
			o.join(&waiter{lanes: []*lane{l}, Want: Want{Team: w.Team, Tokens: int64(rapid.IntRange(0, 5000).Draw(rt, "next"))}})
		}
		got := []float64{served["a"], served["b"], served["c"]}
		if slices.Max(got)-slices.Min(got) > weights*6000 {
			rt.Fatalf("teams got %v", got)
		}
	})
}

// TestALargeRequestGetsItsTurn has small requests come all the time, which would use up the tokens that it waits for.
func TestALargeRequestGetsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := made(Settings{Waits: wait(5 * time.Minute), Limits: map[string]Limits{"p": {Tokens: 60_000}}})
		q.Enter(at, 3000)
		ctx, stop := context.WithCancel(t.Context())
		for range 20 {
			go func() {
				for ctx.Err() == nil {
					_, _, _ = q.Wait(ctx, Want{Team: "small", Tokens: 100, Lanes: []At{{Lane: at}}})
				}
			}()
		}
		_, waited, err := q.Wait(t.Context(), Want{Team: "large", Tokens: 3000, Lanes: []At{{Lane: at}}})
		stop()
		synctest.Wait()
		if err != nil || waited > 10*time.Second {
			t.Errorf("after %v: %v", waited, err)
		}
	})
}

func TestAnotherLaneIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := made(Settings{Waits: wait(time.Minute)})
		other := Lane{"q", "m", "k"}
		p, waited, err := q.Wait(t.Context(), Want{Lanes: []At{{at, time.Now().Add(9 * time.Second)}, {other, time.Now().Add(3 * time.Second)}}})
		if err != nil || !p.Of(other) || waited != 3*time.Second {
			t.Errorf("%v after %v: %v", p.Of(other), waited, err)
		}
	})
}

func BenchmarkNoLimitIsKnown(b *testing.B) {
	q := made(Settings{Waits: wait(time.Minute)})
	b.ReportAllocs()
	for b.Loop() {
		q.Full(at)
		p, _ := q.Enter(at, 100)
		q.Leave(p)
	}
}

func BenchmarkLimited(b *testing.B) {
	q := made(Settings{Waits: wait(time.Minute), Limits: map[string]Limits{"p": {Parallel: 1 << 30, Requests: 1 << 30}}})
	b.ReportAllocs()
	for b.Loop() {
		q.Full(at)
		p, _ := q.Enter(at, 100)
		q.Leave(p)
	}
}

func BenchmarkThousandWait(b *testing.B) {
	q := made(Settings{Waits: wait(time.Hour), Limits: map[string]Limits{"p": {Requests: 60}}})
	for i := range 1000 {
		q.order.join(&waiter{in: make(chan Pass, 1), Want: Want{Team: fmt.Sprint(i % 10), Until: time.Now().Add(time.Hour)}, lanes: []*lane{q.lane(at, time.Now())}})
	}
	b.ReportAllocs()
	for b.Loop() {
		q.wake()
	}
}
