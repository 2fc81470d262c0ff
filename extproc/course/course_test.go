package course

import (
	"cmp"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// world is what a course depends on, as a test says.
type world struct {
	failover routing.Failover
	spent    map[string]bool
	rests    map[string]time.Duration // by provider
	unsuited map[string]bool          // providers that do not suit
}

func (w *world) Failover() *routing.Failover       { return &w.failover }
func (w *world) Spent(p string) bool               { return w.spent[p] }
func (w *world) Rests(l *ticket.Leg) time.Duration { return w.rests[l.Provider] }
func (w *world) Suits(_, l *ticket.Leg, does failure.Action) bool {
	return does != failure.Other || !w.unsuited[l.Provider]
}

// steps reads a plan: "a" is a target, "a?" the spare step behind it, "a+" the same once more, "." a turn, and "/" the turn
// before the next round.
func steps(plan string) (all []ticket.Leg) {
	round := 0
	for w := range strings.FieldsSeq(plan) {
		l := ticket.Leg{Provider: strings.TrimRight(w, "?+"), Model: "m", Key: "k", Round: round}
		switch {
		case w == "/":
			round++
			l = ticket.Leg{Provider: "us", Turn: true, Round: round}
		case w == ".":
			l = ticket.Leg{Provider: "us", Turn: true, Round: round}
		case strings.HasSuffix(w, "?"):
			l.Spare = true
		case strings.HasSuffix(w, "+"):
			l.Same = true
		}
		all = append(all, l)
	}
	return all
}

// name is how steps names a step.
func name(l *ticket.Leg) string {
	switch {
	case l.Turn:
		return "."
	case l.Spare:
		return l.Provider + "?"
	case l.Same:
		return l.Provider + "+"
	}
	return l.Provider
}

var errs = map[string]*llm.Error{
	"connect":  {Code: llm.CodeConnect},
	"reset":    {Code: llm.CodeReset},
	"timeout":  {Code: llm.CodeTimeout},
	"limited":  {Code: llm.CodeRateLimited},
	"busy":     {Code: llm.CodeOverloaded, Message: "busy"},
	"refused":  {Code: llm.CodeCredential, Message: "bad key sk-1"},
	"form":     {Code: llm.CodeUpstream, Reason: failure.ReasonInvalidOutput},
	"filtered": {Code: llm.CodeBlocked},
	"unclear":  {Code: llm.CodeUpstream},
	"client":   {Code: llm.CodeInvalid},
}

// play goes the way as Envoy does, with a failure for each attempt that is made ("-": nobody says how it failed, "ok": it did
// not), and returns where it came. A failure in brackets is one that only Envoy saw: the service learns of it when it is
// asked at a turn, and Envoy has gone on to whatever came next by then.
func play(c *Course, w *world, failures string) string {
	var went []string
	said := strings.Fields(failures)
	for n := 1; ; n++ {
		i := c.Nth(n)
		if i >= len(c.Steps) {
			return strings.Join(append(went, "end"), " ")
		}
		went = append(went, name(&c.Steps[i]))
		if c.Steps[i].Turn {
			next := -1
			if i+1 < len(c.Steps) && c.Steps[i].Round > c.Steps[i-1].Round {
				if _, soon := c.Pause(i, w, 0, 0); soon && !c.Exhausted(i, w.failover.Attempts) {
					next = c.Worth(i, w)
				}
			} else {
				next = c.Onward(i, w)
			}
			if c.Pass(i+1, next, w.failover.Attempts); next < 0 {
				return strings.Join(append(went, "verdict"), " ")
			}
			continue
		}
		if len(said) == 0 {
			return strings.Join(append(went, "?"), " ")
		}
		how := said[0]
		said = said[1:]
		c.At[i].Under = UnderWay
		seen := !strings.HasPrefix(how, "(")
		switch e := errs[strings.Trim(how, "()")]; {
		case how == "-":
		case how == "ok":
			c.Note(i+1, Attempted{Status: 200})
			return strings.Join(append(went, "ok"), " ")
		case e == nil:
			panic("no such failure: " + how)
		default:
			c.Note(i+1, Attempted{Err: e, Status: map[bool]int{true: 500}[seen]})
			if seen { // the service sees the answer, and says what follows
				next := c.Next(i+1, e, w)
				if c.Pass(i+1, next, w.failover.Attempts); next < 0 {
					return strings.Join(append(went, "verdict"), " ")
				}
			}
		}
	}
}

func TestTheWay(t *testing.T) {
	same := failure.Rules{failure.Connect: failure.Same, failure.Reset: failure.Same}
	repair := failure.Rules{failure.InvalidOutput: failure.Repair}
	rounds := failure.Rounds{N: 2, Base: time.Second, Max: 2 * time.Second}
	for _, c := range []struct {
		name, plan, fails, want string
		w                       world
	}{
		{"targets follow each other, with nothing between", "a b", "(busy) (busy)", "a b end", world{}},
		{"what was seen to fail goes on to the next", "a b", "busy ok", "a b ok", world{}},
		{"a client's own fault goes nowhere", "a b", "client", "a verdict", world{}},
		{"an answer that is filtered stops", "a b", "filtered", "a verdict", world{}},
		{"a target that does not suit is passed over", "a b c", "filtered ok", "a c ok", world{failover: routing.Failover{On: failure.Rules{failure.ContentFiltered: failure.Other}}, unsuited: map[string]bool{"b": true}}},

		{"a connection that failed is tried once more", "a . a+ b . b+", "(connect) ok", "a . a+ ok", world{failover: routing.Failover{On: same}}},
		{"and only once", "a . a+ b . b+", "(connect) (connect) (connect) (connect)", "a . a+ b . b+ end", world{failover: routing.Failover{On: same}}},
		{"another failure goes on to the next target", "a . a+ b . b+", "(busy) (reset) ok", "a . b . b+ ok", world{failover: routing.Failover{On: same}}},
		{"what nobody told of is no reason to try the same again", "a . a+ b . b+", "- ok", "a . b ok", world{failover: routing.Failover{On: same}}},
		{"a failure that the service sees needs no turn", "a . a+ b . b+", "reset ok", "a a+ ok", world{failover: routing.Failover{On: same}}},
		{"what was seen and is no such failure needs none either", "a . a+ b . b+", "busy ok", "a b ok", world{failover: routing.Failover{On: same}}},
		{"the same is not tried again where the budget is spent", "a . a+ b . b+", "(connect) ok", "a . b ok", world{failover: routing.Failover{On: same}, spent: map[string]bool{"a": true}}},
		{"the last target's turn leads to the verdict", "a . a+", "(busy)", "a . verdict", world{failover: routing.Failover{On: same}}},

		{"an answer that is not of the form is repaired", "a a? b b?", "form ok", "a a? ok", world{failover: routing.Failover{On: repair}}},
		{"once for each exchange", "a a? b b?", "form form form", "a a? b verdict", world{failover: routing.Failover{On: repair}}},
		{"another failure is not repaired", "a a? b b?", "busy ok", "a b ok", world{failover: routing.Failover{On: repair}}},
		{"a repair takes the place of the last target where no more attempts are allowed", "a a? b b?", "form form", "a a? verdict", world{failover: routing.Failover{On: repair, Attempts: 2}}},
		{"where no attempt is left there is no repair", "a a?", "form", "a verdict", world{failover: routing.Failover{On: repair, Attempts: 1}}},
		{"nor where the budget is spent", "a a? b b?", "form ok", "a b ok", world{failover: routing.Failover{On: repair}, spent: map[string]bool{"a": true}}},

		{"a further round has what may be over by then", "a b / a b", "(busy) (refused) ok", "a b . a ok", world{failover: routing.Failover{Rounds: rounds}}},
		{"and none that rests", "a b / a b", "(busy) (limited) ok", "a b . b ok", world{failover: routing.Failover{Rounds: rounds}, rests: map[string]time.Duration{"a": time.Second}}},
		{"what nobody told of may do better", "a b / a b", "- (refused) ok", "a b . a ok", world{failover: routing.Failover{Rounds: rounds}}},
		{"none where all rest for longer than the route waits", "a b / a b", "(busy) (busy)", "a b . verdict", world{failover: routing.Failover{Rounds: rounds}, rests: map[string]time.Duration{"a": time.Minute, "b": time.Minute}}},
		{"none where none may be over", "a b / a b", "(refused) (refused)", "a b . verdict", world{failover: routing.Failover{Rounds: rounds}}},
		{"none where no attempt is left", "a b / a b", "(busy) (busy)", "a b . verdict", world{failover: routing.Failover{Rounds: rounds, Attempts: 2}}},
		{"none for what the route stops at", "a / a", "timeout", "a verdict", world{failover: routing.Failover{Rounds: rounds, On: failure.Rules{failure.Timeout: failure.Stop}}}},
		{"the last target of a round comes to the turn by what the service saw", "a b / a b", "busy busy ok", "a b . a ok", world{failover: routing.Failover{Rounds: rounds}}},
		{"what the service saw and time does not help ends it at once", "a / a", "refused", "a verdict", world{failover: routing.Failover{Rounds: rounds}}},
		{"a third round begins with what failed in the second", "a b / a b / a b", "(busy) (busy) (refused) (busy) ok", "a b . a b . b ok", world{failover: routing.Failover{Rounds: rounds}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			way := New(steps(c.plan))
			if got := play(&way, &c.w, c.fails); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestAWayOnlyGoesForward plays any failures on any plan: no step is come to twice, Envoy's attempts are counted as they
// were made, nothing is asked to be repaired twice, and there are no more attempts than Envoy was told of.
func TestAWayOnlyGoesForward(t *testing.T) {
	names := []string{"connect", "reset", "timeout", "limited", "busy", "refused", "form", "filtered", "unclear", "(connect)", "(reset)", "(busy)", "-"}
	rapid.Check(t, func(t *rapid.T) {
		var plan []string
		again, spare := rapid.Bool().Draw(t, "again"), rapid.Bool().Draw(t, "spare")
		targets := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 4).Draw(t, "targets")
		for round := range rapid.IntRange(1, 3).Draw(t, "rounds") {
			if round > 0 {
				plan = append(plan, "/")
			}
			for _, p := range targets {
				plan = append(plan, p)
				if spare && round == 0 {
					plan = append(plan, p+"?")
				}
				if again && round == 0 {
					plan = append(plan, ".", p+"+")
				}
			}
		}
		action := rapid.SampledFrom([]failure.Action{failure.Usual, failure.Next, failure.Stop, failure.Other})
		w := world{
			failover: routing.Failover{Attempts: rapid.IntRange(0, 6).Draw(t, "attempts"), Rounds: failure.Rounds{N: 3, Base: 1, Max: 2}},
			spent:    map[string]bool{"b": rapid.Bool().Draw(t, "spent")},
			rests:    map[string]time.Duration{"c": rapid.SampledFrom([]time.Duration{0, 1, time.Hour}).Draw(t, "rests")},
			unsuited: map[string]bool{"b": rapid.Bool().Draw(t, "unsuited")},
		}
		for i := range w.failover.On {
			w.failover.On[i] = action.Draw(t, "action")
		}
		if spare {
			w.failover.On[failure.InvalidOutput] = failure.Repair
		}
		if again {
			w.failover.On[failure.Connect] = failure.Same
			w.failover.On[failure.Reset] = rapid.SampledFrom([]failure.Action{failure.Same, failure.Next}).Draw(t, "reset")
		}
		way := New(steps(strings.Join(plan, " ")))
		most := way.Most()
		fails := strings.Join(rapid.SliceOfN(rapid.SampledFrom(names), 40, 40).Draw(t, "failures"), " ")
		went := strings.Fields(play(&way, &w, fails))
		if end := went[len(went)-1]; end != "end" && end != "verdict" {
			t.Fatalf("%v ended by %s", plan, end)
		}
		at, repairs := 0, 0
		for _, step := range went[:len(went)-1] { // the names in the order of the plan
			for ; at < len(way.Steps) && name(&way.Steps[at]) != step; at++ {
			}
			if at++; at > len(way.Steps) {
				t.Fatalf("%v went back: %v", plan, went)
			}
			if strings.HasSuffix(step, "?") {
				repairs++
			}
		}
		if repairs > 1 || way.Repaired() != (repairs == 1) {
			t.Fatalf("%d repairs in %v, said to be done: %t", repairs, went, way.Repaired())
		}
		if made := len(went) - 1; made > most {
			t.Fatalf("%d attempts of Envoy, and it was told of %d: %v", made, most, went)
		}
	})
}

// stand is how each step of a course stands: what Envoy comes to, with what is known of it.
func stand(c *Course) string {
	var all []string
	for i := range c.Steps {
		a := &c.At[i]
		if a.Under == Passed {
			continue
		}
		s := name(&c.Steps[i])
		if a.Err != nil {
			s += "=" + cmp.Or(a.Err.Reason, a.Err.Code.String())
		}
		if a.Logged && a.Under != Turn {
			s += "!"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func TestAStepThatAnotherProcessChoseIsFound(t *testing.T) {
	connect, reset := failure.Rules{failure.Connect: failure.Same}, failure.Rules{failure.Reset: failure.Same}
	both := failure.Rules{failure.Connect: failure.Same, failure.Reset: failure.Same}
	for _, c := range []struct {
		name, plan string
		n          int
		cluster    string
		on         failure.Rules
		step       string // "": there is none
		want       string
	}{
		{"the first", "a b", 1, "a", connect, "a", "a b"},
		{"the same once more, behind a turn", "a . a+ b . b+", 3, "a", connect, "a+", "a=connect! . a+ b ."},
		{"after a reset", "a . a+ b . b+", 3, "a", reset, "a+", "a=reset! . a+ b ."},
		{"after one of both", "a . a+ b . b+", 3, "a", both, "a+", "a! . a+ b ."},
		{"the same once more, as the service saw the failure", "a . a+ b . b+", 2, "a", connect, "a+", "a=connect a+ b ."},
		{"the next, behind a turn", "a . a+ b . b+", 3, "b", connect, "b", "a . b ."},
		{"a repair", "a a? b b?", 2, "a", failure.Rules{}, "a?", "a=invalid_output a? b"},
		{"the repair of the last", "a a?", 2, "a", failure.Rules{}, "a?", "a=invalid_output a?"},
		{"one behind those that were passed over", "a b c", 2, "c", failure.Rules{}, "c", "a c"},
		{"none goes back", "a b c", 3, "a", failure.Rules{}, "", "a b c"},
		{"nor is there one behind the last", "a b", 3, "b", failure.Rules{}, "", "a b"},
		{"nor before the first", "a b", 0, "a", failure.Rules{}, "", "a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			way := New(steps(c.plan))
			i := way.Come(c.n, &routing.Failover{On: c.on}, func(p string) bool { return p == c.cluster })
			got := ""
			if i < len(way.Steps) {
				got = name(&way.Steps[i])
			}
			if got != c.step || stand(&way) != c.want {
				t.Errorf("got %q of %s, want %q of %s", got, stand(&way), c.step, c.want)
			}
			if c.step != "" && way.Nth(c.n) != i {
				t.Errorf("attempt %d is step %d afterwards, and was %d", c.n, way.Nth(c.n), i)
			}
			if again := way.Come(c.n, &routing.Failover{On: c.on}, func(p string) bool { return p == c.cluster }); again != i || stand(&way) != c.want {
				t.Errorf("asked again it is step %d of %s", again, stand(&way))
			}
		})
	}
}

func TestTheWayIsWhatTheLogSays(t *testing.T) {
	connect := failure.Rules{failure.Connect: failure.Same}
	for _, c := range []struct {
		name, plan string
		order      []int
		want       string
	}{
		{"the plan's own", "a . a+ b", nil, "a . b"},
		{"the same once more, behind a turn", "a . a+ b", []int{0, 1, 2, 3, 4}, "a=connect! . a+ b"},
		{"the same once more, without one", "a . a+ b", []int{0, 2, 3, 4}, "a=connect a+ b"},
		{"the next", "a . a+ b", []int{0, 1, 3, 4}, "a . b"},
		{"some passed over", "a b c d", []int{0, 3, 4}, "a d"},
		{"none follows", "a . a+ b", []int{0, 1, 4}, "a ."},
		{"a repair in the place of the last", "a a? b", []int{0, 1, 3}, "a=invalid_output a?"},
		{"a further round in part", "a b / a b", []int{0, 1, 2, 4, 5}, "a b . b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			way := New(steps(c.plan))
			way.Follow(c.order, &connect)
			if got := stand(&way); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestAProcessThatAdoptsKnowsTheWayOfTheOther plays any failures, and has another course follow what Envoy was told.
func TestAProcessThatAdoptsKnowsTheWayOfTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := rapid.SampledFrom([]string{"a . a+ b . b+", "a a? b b? c c?", "a b c / a b c", "a a? . a+ b b? . b+ / a b"}).Draw(t, "plan")
		w := world{failover: routing.Failover{Rounds: failure.Rounds{N: 2, Base: 1, Max: 2}, On: failure.Rules{failure.Connect: failure.Same, failure.InvalidOutput: failure.Repair, failure.Overloaded: failure.Other}}, unsuited: map[string]bool{"b": rapid.Bool().Draw(t, "unsuited")}}
		fails := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"connect", "(connect)", "busy", "(busy)", "form", "limited", "-", "ok"}), 20, 20).Draw(t, "failures"), " ")
		one := New(steps(plan))
		play(&one, &w, fails)
		var order []int
		for i := range one.Steps {
			if one.At[i].Under != Passed {
				order = append(order, i)
			}
		}
		order = append(order, len(one.Steps))
		two := New(steps(plan))
		two.Follow(order, &w.failover.On)
		for n := range len(one.Steps) + 2 {
			if one.Nth(n) != two.Nth(n) {
				t.Fatalf("attempt %d was step %d, and is taken for %d: %v", n, one.Nth(n), two.Nth(n), order)
			}
		}
		before := stand(&one)
		one.Follow(order, &w.failover.On) // it knows already
		if after := stand(&one); after != before {
			t.Fatalf("%s became %s", before, after)
		}
	})
}

func TestAPauseIsTheBackOffOrARest(t *testing.T) {
	rounds := failure.Rounds{N: 3, Base: 200 * time.Millisecond, Max: time.Second}
	for _, c := range []struct {
		name          string
		i             int
		rests         map[string]time.Duration
		longest, want time.Duration
		soon          bool
	}{
		{"half the base at least", 2, nil, 0, 100 * time.Millisecond, true},
		{"doubled before a third round", 5, nil, 0, 200 * time.Millisecond, true},
		{"until the first target may be asked again", 2, map[string]time.Duration{"a": 900 * time.Millisecond, "b": 700 * time.Millisecond}, 0, 700 * time.Millisecond, true},
		{"one that does not rest is the first", 2, map[string]time.Duration{"a": 900 * time.Millisecond}, 0, 100 * time.Millisecond, true},
		{"no longer than the route waits", 2, map[string]time.Duration{"a": time.Minute, "b": 2 * time.Second}, 0, 2 * time.Second, false},
		{"nor than a deadline leaves", 2, map[string]time.Duration{"a": 500 * time.Millisecond, "b": 500 * time.Millisecond}, 400 * time.Millisecond, 500 * time.Millisecond, false},
		{"a deadline cuts the back-off", 5, nil, 150 * time.Millisecond, 150 * time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			way := New(steps("a b / a b / a b"))
			got, soon := way.Pause(c.i, &world{failover: routing.Failover{Rounds: rounds}, rests: c.rests}, 0, c.longest)
			if got != c.want || soon != c.soon {
				t.Errorf("got %s, %t, want %s, %t", got, soon, c.want, c.soon)
			}
		})
	}
}

func TestWhatWasSeenStandsAgainstTheLog(t *testing.T) {
	way := New(steps("a b"))
	way.At[0].Under = UnderWay
	if !way.Note(1, Attempted{Status: 200, Err: errs["form"]}) {
		t.Error("nothing was known")
	}
	if n := way.Log("a", true); n != 1 {
		t.Errorf("the entry is of attempt %d", n)
	}
	if way.Note(1, Attempted{Status: 500, Took: time.Second, First: time.Millisecond, Provider: "req"}) {
		t.Error("it was known")
	}
	want := Attempted{Known: true, Logged: true, Status: 200, Err: errs["form"], Took: time.Second, First: time.Millisecond, Provider: "req", Under: UnderWay}
	if diff := gocmp.Diff(way.At[0], want, gocmp.AllowUnexported(want.Pass)); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if way.Note(3, Attempted{}) || way.Note(0, Attempted{}) {
		t.Error("an attempt that is not in the plan was noted")
	}
	if way.Known(2) || !way.Known(1) {
		t.Error("only the first is known")
	}
	for _, c := range []struct {
		provider string
		known    bool
		want     int
	}{{"a", true, 0}, {"guard", false, 2}, {"b", true, 0}} {
		if n := way.Log(c.provider, c.known); n != c.want {
			t.Errorf("an entry of %s is of attempt %d, want %d", c.provider, n, c.want)
		}
	}
}

func TestAttemptsAreCountedAsTheyWereMade(t *testing.T) {
	way := New(steps("a . a+ b b? / b"))
	if got, want := way.Most(), 7; got != want {
		t.Errorf("at most %d attempts, want %d", got, want)
	}
	for n, want := range []int{-1, 0, 1, 3, 5, 6, 7, 7} {
		if got := way.Nth(n); got != want {
			t.Errorf("Envoy's attempt %d is step %d, want %d", n, got, want)
		}
	}
	way.Pass(1, 3, 0) // b follows
	for n, want := range []int{-1, 0, 3, 5} {
		if got := way.Nth(n); got != want {
			t.Errorf("then attempt %d is step %d, want %d", n, got, want)
		}
	}
	if got := way.Number(4); got != 2 {
		t.Errorf("b is attempt %d, want 2", got)
	}
	if !way.Left(4) || way.Left(7) {
		t.Error("b's second round is left, and nothing behind it")
	}
	if got := way.Last(6); got != 4 {
		t.Errorf("the last that may have been made before the round is %d, want 4", got)
	}
	way.At[3].Unmake(nil)
	if got := way.Made(); got != 3 {
		t.Errorf("%d steps may have been tried, want 3", got)
	}
	if got := way.Last(7); got != 1 {
		t.Errorf("the last that may have been made is %d, want 1", got)
	}
}
