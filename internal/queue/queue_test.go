package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// wait sets the same longest wait for all classes.
func wait(d time.Duration) (all [classes]time.Duration) {
	for c := range all {
		all[c] = d
	}
	return all
}

func made(s Settings) *Queue {
	if s.Most == 0 {
		s.Most = 1000
	}
	if s.Bytes == 0 {
		s.Bytes = 1 << 30
	}
	q := New(nil, nil)
	q.Configure(s)
	return q
}

var at = Lane{"p", "m", "k"}

// code returns the reason of an error of the queue; "": there is none.
func code(err error) string {
	if e, ok := errors.AsType[*llm.Error](err); ok {
		if e.Reason == "" {
			return e.Code.String()
		}
		return e.Reason
	}
	return ""
}

func TestNobodyIsHeldBackWhereNoLimitIsKnown(t *testing.T) {
	for name, q := range map[string]*Queue{"no queue": nil, "a queue": made(Settings{Waits: wait(time.Minute)})} {
		t.Run(name, func(t *testing.T) {
			n := testing.AllocsPerRun(100, func() {
				if _, full := q.Full(at); full {
					t.Fatal("full")
				}
				p, ok := q.Enter(at, 100)
				if !ok {
					t.Fatal("not let in")
				}
				q.Leave(p)
			})
			if n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// TestTheConfiguredLimitHolds asks as fast as it can: in no minute more than the limit get in, and not much fewer.
func TestTheConfiguredLimitHolds(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 7, 60, 100, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := made(Settings{Limits: map[string]Limits{"p": {Requests: limit}}})
				var in []time.Time
				for begin := time.Now(); time.Since(begin) < 5*time.Minute; {
					if _, ok := q.Enter(at, 0); ok {
						in = append(in, time.Now())
						continue
					}
					until, full := q.Full(at)
					if !full || !until.After(time.Now()) {
						t.Fatalf("not let in, and full %v until %v", full, until)
					}
					time.Sleep(time.Until(until))
				}
				for i := range in {
					n := 1
					for i+n < len(in) && in[i+n].Sub(in[i]) < time.Minute {
						n++
					}
					if n > limit {
						t.Fatalf("%d in a minute, at most %d", n, limit)
					}
				}
				if len(in) < 5*limit*9/10 {
					t.Errorf("%d in five minutes, %d were possible", len(in), 5*limit)
				}
			})
		})
	}
}

func TestTokensAreCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := made(Settings{Limits: map[string]Limits{"p": {Tokens: 60_000}}})
		p, _ := q.Enter(at, 3000) // all that may go at once
		if _, full := q.Full(at); full {
			t.Error("one without tokens has room")
		}
		if _, ok := q.Enter(at, 1000); ok {
			t.Error("more than there is was taken")
		}
		q.Leave(p)
		q.Correct(p, 1000)
		if _, ok := q.Enter(at, 2000); !ok {
			t.Error("what was not used is not there")
		}
		q.Correct(p, 4000)
		if _, ok := q.Enter(at, 1); ok {
			t.Error("what was used beyond is there")
		}
	})
}

// TestParallel has a place given on as soon as it is free.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := made(Settings{Waits: wait(time.Minute), Limits: map[string]Limits{"p": {Parallel: 2}}})
		running, most := 0, 0
		var mu sync.Mutex
		for range 10 {
			go func() {
				p, _, err := q.Wait(t.Context(), Want{Lanes: []At{{Lane: at}}})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				running--
				mu.Unlock()
				q.Leave(p)
			}()
		}
		begin := time.Now()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if most != 2 || running != 0 {
			t.Errorf("%d ran at once, %d still do after %v", most, running, time.Since(begin))
		}
	})
}

// line has requests come at once to a lane that rests, and returns who got in, in order.
func line(t *testing.T, q *Queue, wants ...Want) (in []string, results map[string]string) {
	t.Helper()
	results = map[string]string{}
	var mu sync.Mutex
	for i, w := range wants {
		name := fmt.Sprint(w.Class, " ", w.Team, " ", i)
		if len(w.Lanes) == 0 {
			w.Lanes = []At{{Lane: at}}
		}
		go func() {
			p, _, err := q.Wait(t.Context(), w)
			mu.Lock()
			defer mu.Unlock()
			results[name] = code(err)
			if err == nil {
				in = append(in, name)
				q.Leave(p)
			}
		}()
		synctest.Wait()
	}
	time.Sleep(time.Hour)
	synctest.Wait()
	return in, results
}

func TestTheOrderIsByClassThenByTurnsThenByDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := made(Settings{Waits: wait(30 * time.Minute), Limits: map[string]Limits{"p": {Requests: 20}}})
		q.Enter(at, 0)
		soon := time.Now().Add(20 * time.Minute)
		got, _ := line(t, q,
			Want{Class: Batch, Team: "a"}, Want{Class: BestEffort, Team: "a"},
			Want{Team: "a"}, Want{Team: "a"}, Want{Team: "a"}, Want{Team: "a", Until: soon}, Want{Team: "b"}, Want{Team: "b"},
			Want{Class: Critical, Team: "c"})
		want := []string{"critical c 8", "normal a 5", "normal b 6", "normal b 7", "normal a 2", "normal a 3", "normal a 4", "best_effort a 1", "batch a 0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhoIsShed(t *testing.T) {
	rests := func(d time.Duration) []At { return []At{{Lane: at, Rests: time.Now().Add(d)}} }
	for _, c := range []struct {
		name  string
		set   Settings
		wants func() []Want
		want  map[string]string
	}{
		{"whose wait would be too long", Settings{Waits: wait(time.Minute)}, func() []Want {
			return []Want{{Lanes: rests(59 * time.Second)}, {Lanes: []At{{Lane: Lane{"p", "n", "k"}, Rests: time.Now().Add(61 * time.Second)}}}}
		}, map[string]string{"normal  0": "", "normal  1": "queue_too_long"}},
		{"whose own deadline is sooner", Settings{Waits: wait(time.Minute)}, func() []Want {
			return []Want{{Lanes: rests(30 * time.Second), Until: time.Now().Add(20 * time.Second)}}
		}, map[string]string{"normal  0": "queue_too_long"}},
		{"a class that does not wait", Settings{Waits: [classes]time.Duration{Normal: time.Minute}}, func() []Want {
			return []Want{{Lanes: rests(time.Second)}, {Lanes: rests(time.Second), Class: Batch}}
		}, map[string]string{"normal  0": "", "batch  1": "queue_too_long"}},
		{"more than may wait, the least important first", Settings{Most: 2, Waits: wait(time.Minute)}, func() []Want {
			return []Want{{Class: Batch, Lanes: rests(time.Second)}, {Lanes: rests(time.Second)}, {Lanes: rests(time.Second)}, {Lanes: rests(time.Second)}, {Class: BestEffort, Lanes: rests(time.Second)}}
		}, map[string]string{"batch  0": "queue_displaced", "normal  1": "", "normal  2": "", "normal  3": "queue_full", "best_effort  4": "queue_full"}},
		{"more bytes than may wait", Settings{Bytes: 100, Waits: wait(time.Minute)}, func() []Want {
			return []Want{{Bytes: 60, Lanes: rests(time.Second)}, {Bytes: 60, Lanes: rests(time.Second)}, {Bytes: 40, Lanes: rests(time.Second)}}
		}, map[string]string{"normal  0": "", "normal  1": "queue_full", "normal  2": ""}},
		{"who waited in vain", Settings{Waits: wait(time.Minute), Limits: map[string]Limits{"p": {Parallel: 1}}}, func() []Want {
			return []Want{{}}
		}, map[string]string{"normal  0": "queue_timeout"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := made(c.set)
				q.Enter(at, 0)
				_, got := line(t, q, c.wants()...)
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				if q.order.n != 0 || q.order.bytes != 0 {
					t.Errorf("%d wait with %d bytes", q.order.n, q.order.bytes)
				}
			})
		})
	}
}

// TestRetryAfterHolds has who was shed come again when it was told to: it gets in at once, or waits no longer than it may.
func TestRetryAfterHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := made(Settings{Waits: wait(10 * time.Second), Limits: map[string]Limits{"p": {Requests: 60}}})
		var wg sync.WaitGroup
		shed, again := 0, 0
		var mu sync.Mutex
		for range 64 {
			wg.Go(func() {
				p, _, err := q.Wait(t.Context(), Want{Lanes: []At{{Lane: at}}})
				if e, ok := errors.AsType[*llm.Error](err); ok {
					mu.Lock()
					shed++
					n := shed
					mu.Unlock()
					if e.Code != llm.CodeRateLimited || e.After < time.Second {
						t.Errorf("%v after %v", e, e.After)
					}
					time.Sleep(e.After + time.Duration(n)*time.Second) // one a second comes back
					if _, _, err = q.Wait(t.Context(), Want{Lanes: []At{{Lane: at}}}); err != nil {
						mu.Lock()
						again++
						mu.Unlock()
					}
				}
				q.Leave(p)
			})
		}
		wg.Wait()
		if shed == 0 || again > 0 {
			t.Errorf("%d were shed, %d again when they came back as they were told", shed, again)
		}
	})
}

func TestAClientThatLeavesMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := made(Settings{Most: 1, Waits: wait(time.Minute)})
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			if _, _, err := q.Wait(ctx, Want{Lanes: []At{{at, time.Now().Add(10 * time.Second)}}}); code(err) != "reset" {
				t.Errorf("got %v", err)
			}
		}()
		synctest.Wait()
		leave()
		synctest.Wait()
		if _, waited, err := q.Wait(t.Context(), Want{Lanes: []At{{Lane: at}}}); err != nil || waited != 10*time.Second {
			t.Errorf("waited %v: %v", waited, err)
		}
	})
}

// provider is one that allows so many requests in each window, and says no more than when to come again.
type provider struct {
	limit  int
	window time.Duration
	begun  time.Time
	n      int
}

func (p *provider) ask(now time.Time) (after time.Duration, refused bool) {
	if now.Sub(p.begun) >= p.window {
		p.begun, p.n = now, 0
	}
	if p.n++; p.n > p.limit {
		return p.begun.Add(p.window).Sub(now), true
	}
	return 0, false
}

// TestThePaceIsFound has 400 requests wait while a provider refuses what is too much and says nothing else: all are served
// in time, and few are refused on the way.
func TestThePaceIsFound(t *testing.T) {
	for _, p := range []*provider{{limit: 20, window: time.Second}, {limit: 20, window: 10 * time.Second}, {limit: 100, window: time.Minute}} {
		t.Run(fmt.Sprint(p.limit, " in ", p.window), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := made(Settings{Waits: wait(time.Hour)})
				q.Refused(at, time.Second)
				var mu sync.Mutex
				refused, begin := 0, time.Now()
				p.begun = begin
				var wg sync.WaitGroup
				for range 400 {
					wg.Go(func() {
						for {
							pass, _, err := q.Wait(t.Context(), Want{Lanes: []At{{Lane: at}}})
							if err != nil {
								t.Error(err)
								return
							}
							mu.Lock()
							after, no := p.ask(time.Now())
							if no {
								refused++
								q.Refused(at, after)
							}
							mu.Unlock()
							q.Leave(pass)
							if !no {
								return
							}
						}
					})
				}
				wg.Wait()
				ideal := time.Duration(400/p.limit) * p.window
				t.Logf("%v, at best %v; %d refused", time.Since(begin), ideal, refused)
				if d := time.Since(begin); d > 2*ideal+10*time.Second || refused > 40 {
					t.Errorf("took %v, at best %v; %d were refused", d, ideal, refused)
				}
			})
		})
	}
}

// TestWhatAProviderSaysSetsThePace follows the headers of a provider whose room comes back evenly.
func TestWhatAProviderSaysSetsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := made(Settings{Waits: wait(time.Minute)})
		if q.Told(at, 60, 30, 30*time.Second) {
			t.Error("half of a limit is no limit")
		}
		if !q.Told(at, 60, 2, 58*time.Second) { // one a second
			t.Error("what is nearly used up sets no pace")
		}
		var in []time.Duration
		begin := time.Now()
		for range 6 {
			if _, _, err := q.Wait(t.Context(), Want{Lanes: []At{{Lane: at}}}); err != nil {
				t.Fatal(err)
			}
			in = append(in, time.Since(begin).Round(time.Millisecond))
		}
		if diff := cmp.Diff([]time.Duration{0, 0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}, in); diff != "" {
			t.Error(diff)
		}
		time.Sleep(2 * looseAfter)
		if _, ok := q.Enter(at, 0); !ok || q.tight.Load() != 0 {
			t.Errorf("%v, and the lane is held in mind: %d", ok, q.tight.Load())
		}
	})
}
