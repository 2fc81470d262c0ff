package quotatest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Run checks single cases. subject makes a store, or an organization of its own in one.
func Run(t *testing.T, subject func(t testing.TB) Subject) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.do(newBench(t, subject(t))) })
	}
}

var cases = []struct {
	name string
	do   func(b *bench)
}{
	{"a reservation counts until it is settled, and then the truth does", func(b *bench) {
		b.want(b.reserve("a", "fixed 1, day 20"), "ok")
		b.want(b.peek("day"), "used 0, reserved 20")
		b.want(b.settle("a", "fixed 1, day 7"), "P to S")
		b.want(b.peek("day"), "used 7, reserved 0")
	}},
	{"all claims or none: a refusal burns nothing and names the budget, what is left and when there is more", func(b *bench) {
		b.want(b.reserve("a", "fixed 8, day 20, gauge 1"), "ok")
		b.want(b.reserve("b", "day 20, gauge 1, fixed 3"), "fixed: 2 left, 20s")
		b.want(b.peek("day"), "used 0, reserved 20")
		b.want(b.peek("gauge"), "used 0, reserved 1")
		b.want(b.reserve("c", "day 31"), "day: 30 left, 11h59m20s")
		b.want(b.reserve("c", "day 30"), "ok")
		b.want(b.reserve("d", "life 301"), "life: 300 left, 0s")
	}},
	{"reserving again with the same id reserves once, and tells an exchange that is over", func(b *bench) {
		b.want(b.reserve("a", "day 20"), "ok")
		b.want(b.reserve("a", "day 20"), "again P")
		b.want(b.peek("day"), "used 0, reserved 20")
		b.want(b.settle("a", "day 5"), "P to S")
		b.want(b.reserve("a", "day 20"), "again S")
		b.want(b.reserve("b", "day 20"), "ok")
		b.want(b.settle("b", "void"), "P to V")
		b.want(b.reserve("b", "day 20"), "again V")
		b.want(b.peek("day"), "used 5, reserved 0")
	}},
	{"settling again does nothing, whatever is said", func(b *bench) {
		b.want(b.reserve("a", "day 20"), "ok")
		b.want(b.settle("a", "day 5"), "P to S")
		b.want(b.settle("a", "day 9"), "S to S")
		b.want(b.settle("a", "void"), "S to S")
		b.want(b.peek("day"), "used 5, reserved 0")
	}},
	{"a void gives everything back, once", func(b *bench) {
		b.want(b.reserve("a", "day 20, gauge 1"), "ok")
		b.want(b.settle("a", "void"), "P to V")
		b.want(b.settle("a", "day 9, gauge 1"), "V to V")
		b.want(b.peek("day"), "used 0, reserved 0")
		b.want(b.peek("gauge"), "used 0, reserved 0")
	}},
	{"more than was reserved is charged, and noted", func(b *bench) {
		b.want(b.reserve("a", "day 20"), "ok")
		b.want(b.settle("a", "day 70"), "P to S, over")
		b.want(b.peek("day"), "used 70, reserved 0, over 50")
		b.want(b.reserve("b", "day 1"), "day: 0 left, 11h59m20s")
	}},
	{"expiry charges the reservation, and a late truth replaces that", func(b *bench) {
		b.want(b.reserve("a", "month 20, gauge 1"), "ok")
		b.step(hold - time.Millisecond)
		b.want(b.reap(), "")
		b.step(time.Millisecond)
		b.want(b.reap(), "a")
		b.want(b.reap(), "")
		b.want(b.peek("month"), "used 20, reserved 0")
		b.want(b.peek("gauge"), "used 0, reserved 0")
		b.want(b.reserve("a", "month 20, gauge 1"), "again X")
		b.want(b.settle("a", "void"), "X to X")
		b.want(b.settle("a", "month 3, gauge 1"), "X to S")
		b.want(b.settle("a", "month 4, gauge 1"), "S to S")
		b.want(b.peek("month"), "used 3, reserved 0")
	}},
	{"a touch lets open reservations live on, and tells which are not open", func(b *bench) {
		b.want(b.reserve("a", "day 1"), "ok")
		b.want(b.reserve("b", "day 1"), "ok")
		b.want(b.settle("b", "day 1"), "P to S")
		b.step(hold / 2)
		lost, err := b.Store.Touch(context.Background(), b.Organization, []string{"a", "b", "c"}, hold)
		if err != nil || len(lost) != 2 || lost[0] != "b" || lost[1] != "c" {
			b.t.Errorf("got %q, %v", lost, err)
		}
		b.step(hold / 2)
		b.want(b.reap(), "")
		b.step(hold / 2)
		b.want(b.reap(), "a")
	}},
	{"what is overdue is due when it was, though the clock steps back after a lease has ended", func(b *bench) {
		b.want(b.reserve("a", "life 20"), "ok")
		b.step(hold + time.Second)
		b.want(b.reserve("b", "day 1"), "ok")
		b.want(b.settle("b", "void"), "P to V") // where leases are taken, the next step ends that of a
		b.step(-2 * time.Second)
		b.want(b.reap(), "")
		b.step(time.Second - time.Millisecond)
		b.want(b.reap(), "")
		b.step(time.Millisecond)
		b.want(b.reap(), "a")
		b.want(b.peek("life"), "used 20, reserved 0")
	}},
	{"a truth without a reservation is debited once", func(b *bench) {
		b.want(b.settle("a", "day 70, sliding 4"), "N to S")
		b.want(b.settle("a", "day 70, sliding 4"), "S to S")
		b.want(b.peek("day"), "used 70, reserved 0")
		b.want(b.reserve("a", "day 1"), "again S")
		b.claims["b"] = b.list("day 1")
		b.want(b.settle("b", "void"), "N to N")
	}},
	{"what ended is remembered for a while; a truth from before that is left to the ledger", func(b *bench) {
		b.want(b.reserve("a", "life 20"), "ok")
		b.want(b.settle("a", "life 5"), "P to S")
		born := b.now
		b.step(Keep + time.Millisecond)
		b.want(b.reap(), "")
		s := &quota.Settlement{Organization: b.Organization, ID: "a", Born: born, Claims: b.list("life 5")}
		o, err := b.Store.Settle(context.Background(), s)
		if err != nil {
			b.t.Fatal(err)
		}
		b.want(outcome(o), "N to N, old")
		b.want(b.peek("life"), "used 5, reserved 0")
	}},
	{"a fixed window starts anew, with what is reserved", func(b *bench) {
		b.want(b.reserve("a", "fixed 4"), "ok")
		b.want(b.reserve("b", "fixed 6"), "ok")
		b.want(b.settle("b", "fixed 6"), "P to S")
		b.want(b.reserve("c", "fixed 1"), "fixed: 0 left, 20s")
		b.step(20 * time.Second)
		b.want(b.reserve("c", "fixed 7"), "fixed: 6 left, 1m0s")
		b.want(b.reserve("c", "fixed 6"), "ok")
		b.want(b.settle("a", "fixed 9"), "P to S, over")
		b.want(b.peek("fixed"), "used 0, reserved 6, late 9, over 5")
	}},
	{"a sliding window counts what is left of the one before", func(b *bench) {
		b.want(b.reserve("a", "sliding 60"), "ok")
		b.want(b.settle("a", "sliding 60"), "P to S")
		b.step(50 * time.Second) // half of the next minute: 30 of the 60 count
		b.want(b.reserve("b", "sliding 71"), "sliding: 70 left, 30s")
		b.want(b.reserve("b", "sliding 70"), "ok")
		b.want(b.peek("sliding"), "used 0, reserved 70, before 60")
		b.step(60 * time.Second)
		b.want(b.settle("b", "sliding 10"), "P to S")
		b.want(b.reserve("c", "sliding 95"), "ok")
		b.want(b.peek("sliding"), "used 0, reserved 95, before 10")
	}},
	{"a truth goes to the window that the reservation began in", func(b *bench) {
		b.want(b.reserve("a", "sliding 50, fixed 1"), "ok")
		b.step(30 * time.Second)
		b.want(b.reserve("b", "sliding 1, fixed 1"), "ok")
		b.want(b.settle("a", "sliding 40, fixed 1"), "P to S")
		b.want(b.peek("sliding"), "used 0, reserved 1, before 40")
		b.want(b.peek("fixed"), "used 0, reserved 1, late 1")
	}},
	{"a clock that steps back opens no window again", func(b *bench) {
		b.want(b.reserve("a", "fixed 1"), "ok")
		b.step(30 * time.Second)
		b.want(b.reserve("b", "fixed 5"), "ok")
		b.want(b.settle("b", "fixed 5"), "P to S")
		b.step(-45 * time.Second)
		b.want(b.reserve("c", "fixed 5"), "fixed: 4 left, 1m35s")
		b.want(b.reserve("c", "fixed 4"), "ok")
	}},
	{"a gauge counts what is open, and nothing of the past", func(b *bench) {
		for _, id := range []string{"a", "b", "c"} {
			b.want(b.reserve(id, "gauge 1"), "ok")
		}
		b.want(b.reserve("d", "gauge 1"), "gauge: 0 left, 0s")
		b.want(b.settle("a", "gauge 1"), "P to S")
		b.want(b.reserve("d", "gauge 1"), "ok")
		b.want(b.peek("gauge"), "used 0, reserved 3")
	}},
	{"a pace lets a burst through and then one at a time", func(b *bench) {
		b.want(b.reserve("a", "pace 5"), "ok")
		b.want(b.reserve("b", "pace 1"), "pace: 0 left, 1s")
		b.step(time.Second)
		b.want(b.reserve("b", "pace 1"), "ok")
		b.want(b.reserve("c", "pace 2"), "pace: 0 left, 2s")
		b.step(time.Minute)
		b.want(b.reserve("c", "pace 6"), "pace: 5 left, 1ms")
		b.want(b.reserve("c", "pace 5"), "ok")
		b.want(b.settle("c", "pace 5"), "P to S")
	}},
	{"a refusal by another budget burns nothing of a pace", func(b *bench) {
		b.want(b.reserve("a", "pace 5, fixed 11"), "fixed: 10 left, 20s")
		b.want(b.reserve("a", "pace 5, fixed 10"), "ok")
	}},
	{"a shadow budget counts, tells, and refuses nothing", shadow},
	{"force admits whatever the limits, for what was admitted before", func(b *bench) {
		b.want(b.reserve("a", "day 40, pace 5"), "ok")
		b.want(b.ask("b", "day 40, pace 5", true), "ok")
		b.want(b.ask("b", "day 40, pace 5", true), "again P")
		b.want(b.peek("day"), "used 0, reserved 80")
		b.step(time.Second)
		b.want(b.reserve("c", "pace 1"), "ok")
	}},
	{"budgets up to the largest number are exact", func(b *bench) {
		b.want(b.reserve("a", "large 9007199254740990"), "ok")
		b.want(b.reserve("b", "large 2"), "large: 1 left, 0s")
		b.want(b.reserve("b", "large 1"), "ok")
		b.want(b.settle("a", "large 9007199254740989"), "P to S")
		b.want(b.peek("large"), "used 9007199254740989, reserved 1")
		b.want(b.reserve("c", "large 1"), "ok")
		b.want(b.reserve("d", "large 1"), "large: 0 left, 0s")
	}},
	{"calls that are not well-formed do nothing", misuse},
	{"a settlement must name the budgets of the reservation in its order", func(b *bench) {
		b.want(b.reserve("a", "day 1, fixed 1"), "ok")
		for _, used := range []string{"day 1", "fixed 1, day 1", "day 1, fixed 1, gauge 1", "day 1, sliding 1"} {
			b.want(b.settle("a", used), "misuse")
		}
		b.want(b.peek("day"), "used 0, reserved 1")
		b.want(b.settle("a", "day 1, fixed 1"), "P to S")
	}},
	{"a rebuild sets counters, drops what is open and keeps the memory of what ended", rebuild},
	{"the end of a lease tells its exchanges, and what still runs is a reservation of its own", func(b *bench) {
		b.want(b.reserve("l", "month 60, gauge 3"), "ok")
		b.want(b.reserve("other", "month 5"), "ok")
		b.want(b.end("a S 7 1, b V 0 0, c P 20 1, d S 9 1"), "P to S: "+strings.Join([]string{"N", "N", "N", "N"}, " "))
		b.want(b.peek("month"), "used 16, reserved 25")
		b.want(b.peek("gauge"), "used 0, reserved 1")
		b.want(b.end("a S 7 1, c P 20 1"), "S to S")
		b.want(b.settle("a", "month 9, gauge 1"), "S to S")
		b.want(b.settle("b", "month 9, gauge 1"), "V to V")
		b.want(b.settle("c", "month 4, gauge 1"), "P to S")
		b.want(b.peek("month"), "used 20, reserved 5")
		b.want(b.peek("gauge"), "used 0, reserved 0")
		b.want(b.settle("l", "month 9, gauge 1"), "S to S")
	}},
	{"an exchange of a lease that was told otherwise counts once", func(b *bench) {
		b.want(b.reserve("l", "month 60, gauge 1"), "ok")
		b.claims["a"] = b.list("month 7, gauge 1")
		b.want(b.settle("a", "month 7, gauge 1"), "N to S")
		b.want(b.ask("b", "month 5", true), "ok")
		b.want(b.end("a S 7 1, b S 3 1, c S 2 1, c S 2 1"), "P to S: S P N S")
		b.want(b.peek("month"), "used 9, reserved 5")
	}},
	{"a lease that expired is charged whole until its end is told", func(b *bench) {
		b.want(b.reserve("l", "day 40, gauge 2"), "ok")
		b.step(hold)
		b.want(b.reap(), "l")
		b.want(b.peek("day"), "used 40, reserved 0")
		b.want(b.end("a S 7 1, b P 5 1"), "X to S: N N")
		b.want(b.peek("day"), "used 7, reserved 5")
		b.want(b.peek("gauge"), "used 0, reserved 1")
		b.step(hold)
		b.want(b.reap(), "b")
		b.want(b.peek("day"), "used 12, reserved 0")
	}},
	{"a lease that was forgotten counts as what its exchanges used", func(b *bench) {
		b.want(b.end("a S 7 1, b P 5 1"), "N to S: N N")
		b.want(b.peek("month"), "used 7, reserved 5")
		b.want(b.settle("b", "month 1, gauge 1"), "P to S")
		b.want(b.peek("month"), "used 8, reserved 0")
	}},
	{"what expires after a rebuild is charged to the window that it was reserved in", func(b *bench) {
		b.rebuild(quota.Balance{Budget: "sliding", Kind: 'S', Start: b.now.Truncate(time.Minute).UnixMilli(), Used: 10})
		b.want(b.reserve("a", "sliding 20"), "ok")
		b.step(hold)
		b.want(b.reserve("b", "sliding 1"), "ok")
		b.want(b.reap(), "a")
		b.want(b.peek("sliding"), "used 0, reserved 1, before 30")
	}},
}

// end ends the lease l, with exchanges as "a S 7 1": id, state, amounts.
func (b *bench) end(draws string) string {
	const id = "l"
	b.t.Helper()
	s := &quota.Settlement{Organization: b.Organization, ID: id, Born: b.now, Claims: b.claims[id], Draws: []quota.Draw{}}
	if s.Claims == nil {
		s.Claims = b.list("month 0, gauge 0")
	}
	for one := range strings.SplitSeq(draws, ", ") {
		d := quota.Draw{Hold: hold, Amounts: make([]int64, 2)}
		var state string
		if _, err := fmt.Sscanf(one, "%s %s %d %d", &d.ID, &state, &d.Amounts[0], &d.Amounts[1]); err != nil {
			b.t.Fatal(err)
		}
		d.State = quota.State(state[0])
		b.claims[d.ID] = s.Claims
		s.Draws = append(s.Draws, d)
	}
	o, err := b.Store.Settle(context.Background(), s)
	if err != nil {
		return word(err)
	}
	if len(o.Draws) == 0 {
		return outcome(o)
	}
	states := make([]string, len(o.Draws))
	for i, st := range o.Draws {
		states[i] = string(rune(st))
	}
	return outcome(o) + ": " + strings.Join(states, " ")
}

func shadow(b *bench) {
	var last quota.Grant
	for i, id := range []string{"a", "b", "c"} {
		g, refusal, err := b.Store.Reserve(context.Background(), &quota.Request{Organization: b.Organization, ID: id, Claims: b.list("shadow 3, shadow_pace 1"), Hold: hold})
		if refusal != nil || err != nil {
			b.t.Fatal(refusal, err)
		}
		if l := g.Levels; l[0].Refused != (i > 0) || l[1].Refused != (i > 1) {
			b.t.Errorf("call %d: got %+v", i, l)
		}
		last = g
	}
	if l := last.Levels[0]; l.Used != 9 || l.Left != 0 || l.Reset != 20*time.Second {
		b.t.Errorf("got %+v", l)
	}
	b.want(b.peek("shadow"), "used 0, reserved 9")
}

func misuse(b *bench) {
	ctx := context.Background()
	good := func() *quota.Request {
		return &quota.Request{Organization: b.Organization, ID: "a", Claims: b.list("day 1"), Hold: hold}
	}
	for name, spoil := range map[string]func(r *quota.Request){
		"an organization with braces":   func(r *quota.Request) { r.Organization = "a}{b" },
		"an organization without name":  func(r *quota.Request) { r.Organization = "" },
		"an id with a space":            func(r *quota.Request) { r.ID = "a b" },
		"an id with a line break":       func(r *quota.Request) { r.ID = "a\r\nb" },
		"an id without a character":     func(r *quota.Request) { r.ID = "" },
		"a negative amount":             func(r *quota.Request) { r.Claims[0].Amount = -1 },
		"an amount over the range":      func(r *quota.Request) { r.Claims[0].Amount = quota.Max + 1 },
		"two claims of one budget":      func(r *quota.Request) { r.Claims = append(r.Claims, r.Claims[0]) },
		"a claim without a budget":      func(r *quota.Request) { r.Claims[0].Budget = nil },
		"a hold of nothing":             func(r *quota.Request) { r.Hold = 0 },
		"a hold longer than a week":     func(r *quota.Request) { r.Hold = 8 * 24 * time.Hour },
		"more budgets than can be held": func(r *quota.Request) { r.Claims = make([]quota.Claim, 65) },
	} {
		r := good()
		spoil(r)
		if _, _, err := b.Store.Reserve(ctx, r); err == nil || word(err) != "misuse" {
			b.t.Errorf("%s: got %v", name, err)
		}
		if r.Hold != hold {
			continue // a settlement has none
		}
		s := &quota.Settlement{Organization: r.Organization, ID: r.ID, Born: b.now, Claims: r.Claims}
		if _, err := b.Store.Settle(ctx, s); err == nil || word(err) != "misuse" {
			b.t.Errorf("settling %s: got %v", name, err)
		}
	}
	if _, err := b.Store.Touch(ctx, b.Organization, []string{"a"}, 0); err == nil || word(err) != "misuse" {
		b.t.Errorf("touching for no time: got %v", err)
	}
	b.want(b.peek("day"), "used 0, reserved 0")
}

func rebuild(b *bench) {
	b.want(b.reserve("a", "month 20, fixed 3"), "ok")
	b.want(b.reserve("b", "month 20, fixed 3"), "ok")
	b.want(b.settle("b", "month 5, fixed 3"), "P to S")
	b.want(b.reserve("x", "month 10, fixed 1"), "ok")
	b.step(hold)
	b.want(b.reap(), "a, x")
	b.want(b.reserve("c", "month 20, gauge 1"), "ok")
	b.rebuild(quota.Balance{Budget: "month", Kind: 'C', Start: b.budgets["month"].Window.Bounds(b.now, 0).A, Used: 190})
	b.want(b.peek("month"), "used 190, reserved 0")
	b.want(b.peek("fixed"), "used 0, reserved 0")
	b.want(b.peek("gauge"), "used 0, reserved 0")
	b.want(b.settle("b", "month 5, fixed 3"), "S to S")
	b.want(b.ask("c", "month 20, gauge 1", true), "ok")
	b.want(b.reserve("d", "month 1"), "month: 0 left, "+b.untilMonth())
	b.want(b.settle("x", "month 4, fixed 1"), "X to S")
	b.want(b.peek("month"), "used 184, reserved 20")
	b.want(b.settle("c", "month 6, gauge 1"), "P to S")
	b.want(b.reserve("d", "month 10"), "ok")
}

// rebuild sets all counters.
func (b *bench) rebuild(balances ...quota.Balance) {
	b.t.Helper()
	r, ok := b.Store.(quota.Rebuilder)
	if !ok {
		b.t.Fatal("the store cannot be rebuilt")
	}
	if err := r.Rebuild(context.Background(), b.Organization, balances); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) untilMonth() string {
	return time.UnixMilli(b.budgets["month"].Window.Bounds(b.now, 0).B).Sub(b.now).String()
}
