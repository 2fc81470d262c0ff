package slo

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func noon() time.Time { return time.Date(2026, 8, 3, 12, 0, 30, 0, time.UTC) }

func success(name string, allow float64) Objective {
	return Objective{Name: name, Kind: Success, Allow: allow, Window: 30 * day}
}

func TestWhatCountsForAnObjective(t *testing.T) {
	const within = time.Second
	fast, slow := within/2, 2*within
	for _, c := range []struct {
		what          string
		e             Event
		success, f, t string // good, bad; "": it does not count
	}{
		{"a fast stream", Event{Stream: true, First: fast, Total: fast}, "good", "good", "good"},
		{"a stream that begins late", Event{Stream: true, First: slow, Total: slow}, "good", "bad", "bad"},
		{"a long stream", Event{Stream: true, First: fast, Total: slow}, "good", "good", "bad"},
		{"just in time", Event{Stream: true, First: within, Total: within}, "good", "good", "good"},
		{"a whole answer has no first token", Event{First: slow, Total: fast}, "good", "", "good"},
		{"a failure", Event{Stream: true, Failed: true, Total: fast}, "bad", "", ""},
		{"a failure that took too long too", Event{Stream: true, Failed: true, Total: slow}, "bad", "bad", "bad"},
		{"a stream that broke", Event{Stream: true, Failed: true, First: fast, Total: fast}, "bad", "", ""},
		{"a client that went", Event{Stream: true, Left: true, Total: fast}, "", "", ""},
		{"a client that did not want to wait longer", Event{Stream: true, Left: true, Total: slow}, "", "bad", "bad"},
	} {
		t.Run(c.what, func(t *testing.T) {
			for kind, want := range map[Kind]string{Success: c.success, FirstToken: c.f, Total: c.t, Cost: ""} {
				o := Objective{Kind: kind, Within: within}
				got := ""
				if s, counts := o.Judge(&c.e); counts {
					got = map[int64]string{0: "good", 1: "bad"}[s.Bad]
				}
				if got != want {
					t.Errorf("%s: %q, want %q", kind, got, want)
				}
			}
		})
	}
}

func TestScopes(t *testing.T) {
	s := Scope{Routes: []string{"a", "b"}, Tags: map[string][]string{"feature": {"x", "y*"}}}
	for _, c := range []struct {
		route, feature string
		want           bool
	}{{"a", "x", true}, {"b", "yes", true}, {"c", "x", false}, {"a", "z", false}, {"a", "", false}} {
		if got := s.Holds(c.route, map[string]string{"feature": c.feature}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if s.Holds("a", nil) || !new(Scope).Holds("any", nil) {
		t.Error("without tags")
	}
}

func TestThresholdsAreThoseOfTheWorkbook(t *testing.T) {
	for _, c := range []struct {
		what string
		o    Objective
		want [3]float64
	}{
		{"30 days", success("", .001), [3]float64{14.4, 6, 1}},
		{"a week", Objective{Kind: Success, Allow: .001, Window: 7 * day}, [3]float64{3.36, 1.4, 1}},
		{"a tenth may be slow", Objective{Kind: Total, Allow: .1, Window: 30 * day}, [3]float64{9, 6, 1}},
		{"cost has no share", Objective{Kind: Cost, Allow: 1e6, Window: 30 * day}, [3]float64{14.4, 6, 1}},
	} {
		for i, a := range alarms {
			if got := c.o.Over(a); math.Abs(got-c.want[i]) > 1e-9 {
				t.Errorf("%s: pair %d is alerted of over %v, want %v", c.what, i, got, c.want[i])
			}
		}
	}
}

// feed counts n exchanges in a time, of which every k-th fails.
func feed(t *Tracker, at time.Time, n, k int) {
	for i := range n {
		t.Exchange(&Event{Route: "r", Failed: k > 0 && i%k == 0}, at)
	}
}

func TestAnAlarmNeedsALongAndAShortWindow(t *testing.T) {
	var x Tracker
	x.Set([]Objective{success("r", .01)}, noon())
	now := noon()
	alarm := func() string {
		s := x.Status(now)[0]
		if s.Alarm == nil {
			return ""
		}
		return fmt.Sprint(s.Alarm.Severity, " ", WindowName(s.Alarm.Short), "/", WindowName(s.Alarm.Long))
	}
	check := func(what, want string) {
		t.Helper()
		if got := alarm(); got != want {
			t.Errorf("%s: %q, want %q: %+v", what, got, want, x.Status(now)[0])
		}
	}
	for range 3 * 24 { // three quiet days
		feed(&x, now, 100, 0)
		now = now.Add(time.Hour)
	}
	check("nothing failed", "")
	feed(&x, now, 9, 1)
	check("too few to say", "")
	feed(&x, now, 50, 2)
	check("an outage", "critical 5m/1h")
	now = now.Add(6 * time.Minute)
	check("it is over, and the six hours have it still", "critical 30m/6h")
	now = now.Add(7 * time.Hour)
	feed(&x, now, 1000, 0)
	check("it is over for long", "")
	for range 5 * 60 {
		feed(&x, now, 12, 12) // 8.3 times
		now = now.Add(time.Minute)
	}
	check("a slow burn", "critical 30m/6h")
	now = now.Add(time.Hour)
	feed(&x, now, 1000, 0)
	check("which stopped", "warning 6h/3d")
}

func TestStatusOfACost(t *testing.T) {
	var x Tracker
	x.Set([]Objective{{Name: "r", Kind: Cost, Allow: 10_000, Window: 30 * day}}, noon()) // 0.01 USD for 1000
	for range 20 {
		x.Spent("r", nil, 1000, 5_000_000, noon())
	}
	x.Spent("r", nil, 0, 5, noon()) // without tokens nothing is measured
	s := x.Status(noon())[0]
	if s.N != 20 || s.Attained != 5000 || s.Left != .5 || s.Burn[Hour1] != .5 || s.Alarm != nil {
		t.Errorf("%+v", s)
	}
	for range 20 {
		x.Spent("r", nil, 1000, 500_000_000, noon())
	}
	if s = x.Status(noon())[0]; s.Left >= 0 || s.Alarm == nil || s.Alarm.Severity != "critical" {
		t.Errorf("%+v", s)
	}
}

func TestTargetsBurnByTheShortestWindowThatSaysEnough(t *testing.T) {
	var x Tracker
	now := noon()
	x.Set([]Objective{success("r", .05), {Name: "slow", Kind: Total, Within: time.Second, Allow: .05, Window: 30 * day, Scope: Scope{Tags: map[string][]string{"feature": {"f"}}}}}, now)
	try := func(n int, provider string, failed bool, took time.Duration, tags map[string]string) {
		for range n {
			x.Attempt(&Event{Route: "r", Tags: tags, Target: Target{provider, "m"}, Failed: failed, Total: took}, now)
		}
	}
	burn := func(tags map[string]string, provider string) float64 {
		x.Refresh(now)
		return x.Burn("r", tags, provider, "m")
	}
	try(9, "a", true, 0, nil)
	if got := burn(nil, "a"); got != 0 {
		t.Errorf("nine attempts burn %v", got)
	}
	try(1, "a", true, 0, nil)
	try(10, "b", false, 0, nil)
	if a, b, other := burn(nil, "a"), burn(nil, "b"), burn(nil, "c"); math.Abs(a-20) > 1e-9 || b != 0 || other != 0 {
		t.Errorf("they burn %v, %v, %v", a, b, other)
	}
	f := map[string]string{"feature": "f"}
	try(10, "b", false, 2*time.Second, f)
	if got, plain := burn(f, "b"), burn(nil, "b"); math.Abs(got-20) > 1e-9 || plain != 0 {
		t.Errorf("the feature burns %v, others %v", got, plain)
	}
	now = now.Add(6 * time.Minute)
	if got := burn(nil, "a"); math.Abs(got-20) > 1e-9 {
		t.Errorf("six minutes later: %v", got)
	}
	try(10, "a", false, 0, nil)
	if got := burn(nil, "a"); got != 0 {
		t.Errorf("when it is well again: %v", got)
	}
	now = now.Add(2 * time.Hour)
	x.Refresh(now)
	if n := len((*x.all.Load())[0].targets); n != 0 {
		t.Errorf("%d targets are remembered", n)
	}
}

func TestCountsOutliveReloadsAndRestarts(t *testing.T) {
	now := noon()
	var x Tracker
	slow := Objective{Name: "r", Kind: Total, Within: time.Second, Allow: .05, Window: 30 * day}
	x.Set([]Objective{success("r", .01), slow}, now)
	feed(&x, now.Add(-2*day), 100, 50)
	feed(&x, now, 10, 2)
	before := x.Status(now)
	harder := slow
	harder.Within = time.Millisecond
	longer := success("r", .02)
	longer.Window = 60 * day
	x.Set([]Objective{longer, harder}, now)
	after := x.Status(now)
	if after[0].Sum != before[0].Sum || after[0].Allow != .02 {
		t.Errorf("an easier goal has %+v, before %+v", after[0], before[0])
	}
	if after[1].N != 0 {
		t.Errorf("a bound that changed has %+v", after[1])
	}
	x.Exchange(&Event{Route: "r"}, now)
	var y Tracker
	y.Set([]Objective{longer, harder, success("other", .1)}, now)
	y.Restore(x.Keep(), now)
	if diff := cmp.Diff(x.Status(now), y.Status(now)[:2]); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	if s := y.Status(now)[2]; s.N != 0 {
		t.Errorf("another has %+v", s)
	}
	var z Tracker
	z.Set([]Objective{success("r", .01)}, now)
	z.Restore([]Kept{{Name: "r", Kind: "success", Hours: []Span{{1 << 60, 1, 1, 1}, {-1, 1, 1, 1}, {now.Unix() / 3600, -1, 0, 0}}}}, now)
	if s := z.Status(now)[0]; s.N != 0 {
		t.Errorf("what cannot be was taken: %+v", s)
	}
	if x.Set(nil, now); x.On() || x.Status(now) != nil {
		t.Error("it is still on")
	}
}

func TestDeltaTellsEachCountOnce(t *testing.T) {
	var x Tracker
	x.Set([]Objective{success("r", .1)}, noon())
	feed(&x, noon(), 20, 4)
	want := []Counted{{"r", Success, 5, 2}}
	if diff := cmp.Diff(want, x.Delta()); diff != "" {
		t.Error(diff)
	}
	if d := x.Delta(); d[0].Used != 0 || d[0].Granted != 0 {
		t.Errorf("again: %+v", d)
	}
}

func TestNothingIsCountedNorAllocatedWithoutObjectives(t *testing.T) {
	var x Tracker
	e := &Event{Route: "r", Failed: true}
	if n := testing.AllocsPerRun(100, func() { x.Exchange(e, noon()); x.Attempt(e, noon()); x.Burn("r", nil, "p", "m") }); n != 0 {
		t.Errorf("%v allocations without objectives", n)
	}
	x.Set([]Objective{success("r", .1)}, noon())
	now := noon()
	x.Attempt(e, now)
	x.Refresh(now)
	if n := testing.AllocsPerRun(100, func() { x.Exchange(e, now); x.Attempt(e, now); x.Burn("r", nil, "p", "m") }); n != 0 {
		t.Errorf("%v allocations with an objective", n)
	}
	if (*Tracker)(nil).On() || (*Tracker)(nil).Burn("r", nil, "p", "m") != 0 {
		t.Error("no tracker has objectives")
	}
}

// Whatever comes when, every window has what a list of all that came has.
func TestWindowsAreThoseOfANaiveRecomputation(t *testing.T) {
	type came struct {
		at     time.Time
		failed bool
	}
	rapid.Check(t, func(t *rapid.T) {
		o := success("r", rapid.Float64Range(.001, .5).Draw(t, "allow"))
		o.Window = time.Duration(rapid.IntRange(3, 40).Draw(t, "days")) * day
		var x Tracker
		now := noon()
		x.Set([]Objective{o}, now)
		var all []came
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			now = now.Add(time.Duration(rapid.OneOf(rapid.Int64Range(0, int64(10*time.Minute)), rapid.Int64Range(0, int64(10*day))).Draw(t, "step")))
			late := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "late"))
			c := came{now.Add(-late), rapid.Bool().Draw(t, "failed")}
			all = append(all, c)
			x.Exchange(&Event{Route: "r", Failed: c.failed}, c.at)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				var y Tracker
				y.Set([]Objective{o}, now)
				y.Restore(x.Keep(), now)
				x = Tracker{}
				x.all.Store(y.all.Load())
			}
		}
		naive := func(span, d time.Duration) (s Sum) {
			end := now.UnixNano() / int64(span)
			for _, c := range all {
				if at := c.at.UnixNano() / int64(span); at > end-int64(d/span) && at <= end {
					s.N, s.All = s.N+1, s.All+1
					if c.failed {
						s.Bad++
					}
				}
			}
			return s
		}
		got := x.Status(now)[0]
		if want := naive(time.Hour, o.Window); got.Sum != want {
			t.Fatalf("the window has %+v, want %+v", got.Sum, want)
		}
		var want [Windows]float64
		var sums [Windows]Sum
		for w, s := range spans {
			span := time.Minute
			if w == Days3 {
				span = time.Hour
			}
			if sums[w] = naive(span, s.of); sums[w].All > 0 {
				want[w] = float64(sums[w].Bad) / float64(sums[w].All) / o.Allow
			}
			if math.Abs(got.Burn[w]-want[w]) > 1e-9 {
				t.Fatalf("%s burns %v, want %v", s.name, got.Burn[w], want[w])
			}
		}
		due := slices.IndexFunc(alarms[:], func(a Alarm) bool {
			over := o.Over(a)
			return sums[a.Long].N >= Enough && want[a.Short] > over && want[a.Long] > over
		})
		if (due >= 0) != (got.Alarm != nil) || due >= 0 && got.Alarm.Short != alarms[due].Short {
			t.Fatalf("alarm %+v, want %d", got.Alarm, due)
		}
	})
}
