package quotatest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Histories drives a store and the model with random calls, and compares every answer and every counter. rapid's
// flags say how many (-rapid.checks) and from which seed.
func Histories(t *testing.T, subject func(t testing.TB) Subject) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{rt: rt, bench: newBench(t, subject(t)), model: newModel(), waits: map[string]string{}}
		h.model.now = h.now
		h.names = slices.Sorted(func(yield func(string) bool) {
			for id := range h.budgets {
				if !yield(id) {
					return
				}
			}
		})
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": h.reserve, "settle": h.settle, "step": h.step, "reap": h.reap, "touch": h.touch, "rebuild": h.rebuild,
		})
	})
}

type history struct {
	rt *rapid.T
	*bench
	model *model
	names []string
	trace []string
	waits map[string]string // of a store that leases: what is to become of settlements, by id
}

// same compares an answer, then the counters.
func (h *history) same(rt *rapid.T, what, got, want string) {
	h.trace = append(h.trace, what+": "+got)
	if got != want {
		rt.Fatalf("%s: got %q, want %q\n%s", what, got, want, strings.Join(h.trace, "\n"))
	}
	if h.leased != nil && len(h.trace)%4 > 0 {
		return // to look at the counters ends all leases
	}
	for id, want := range h.waits {
		if got := outcome(h.leased.outcome(id)); got != want {
			rt.Fatalf("the end of %s: got %q, want %q\n%s", id, got, want, strings.Join(h.trace, "\n"))
		}
	}
	clear(h.waits)
	all := make([]*quota.Budget, len(h.names))
	for i, id := range h.names {
		all[i] = h.budgets[id]
	}
	counters, err := h.Store.Peek(context.Background(), h.Organization, all)
	if err != nil {
		rt.Fatal(err)
	}
	for i, got := range counters {
		if want := h.model.counter(all[i]); got != want {
			rt.Fatalf("%s: budget %s: got %+v, want %+v\n%s", what, all[i].ID, got, want, strings.Join(h.trace, "\n"))
		}
	}
}

func id(rt *rapid.T) string { return rapid.StringMatching("[a-f]").Draw(rt, "id") }

// some draws claims of a few budgets.
func (h *history) some(rt *rapid.T) []quota.Claim {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(h.names), 0, 5, rapid.ID[string]).Draw(rt, "budgets")
	out := make([]quota.Claim, len(names))
	for i, n := range names {
		out[i] = quota.Claim{Budget: h.budgets[n], Amount: amount(rt, n)}
	}
	return out
}

func amount(rt *rapid.T, budget string) int64 {
	if budget == "large" {
		return rapid.SampledFrom([]int64{0, 1, quota.Max / 2, quota.Max - 1, quota.Max}).Draw(rt, "amount")
	}
	return rapid.Int64Range(0, 40).Draw(rt, "amount") / rapid.Int64Range(1, 10).Draw(rt, "divisor")
}

func (h *history) reserve(rt *rapid.T) {
	r := &quota.Request{Organization: h.Organization, ID: id(rt), Claims: h.some(rt), Hold: hold, Force: rapid.IntRange(0, 9).Draw(rt, "force") == 0}
	g, refusal, err := h.Store.Reserve(context.Background(), r)
	got := "ok"
	switch {
	case err != nil:
		got = word(err)
	case refusal != nil:
		got = fmt.Sprintf("%s: %d left, %v", refusal.Budget.ID, refusal.Left, refusal.Wait)
	case g.Again:
		got = "again " + string(rune(g.State))
	}
	want := h.model.reserve(r.ID, r.Claims, r.Force)
	if want == "ok" {
		h.claims[r.ID] = r.Claims
	}
	h.same(rt, fmt.Sprintf("reserve %s %v", r.ID, r.Claims), got, want)
	if got == "ok" && h.leased == nil {
		h.levels(rt, r.Claims, g.Levels)
	}
}

// levels checks what a reservation says of its budgets against their counters.
func (h *history) levels(rt *rapid.T, claims []quota.Claim, levels []quota.Level) {
	if len(levels) != len(claims) {
		rt.Fatalf("got %d levels of %d budgets", len(levels), len(claims))
	}
	for i, l := range levels {
		b := claims[i].Budget
		if b.Window.Burst > 0 {
			if l.Used+l.Left != b.Window.Burst && l.Left > 0 {
				rt.Fatalf("budget %s: got %+v", b.ID, l)
			}
			continue
		}
		full, wait := h.model.full(b, h.model.counter(b))
		want := quota.Level{Used: min(full, quota.Max), Left: max(0, b.Limit-full), Reset: time.Duration(wait) * time.Millisecond, Refused: l.Refused}
		if l != want {
			rt.Fatalf("budget %s: got %+v, want %+v", b.ID, l, want)
		}
	}
}

func (h *history) settle(rt *rapid.T) {
	s := &quota.Settlement{Organization: h.Organization, ID: id(rt), Born: h.now.Add(-time.Duration(rapid.IntRange(0, 150).Draw(rt, "age")) * time.Second), Void: rapid.IntRange(0, 3).Draw(rt, "void") == 0}
	for _, c := range h.claims[s.ID] {
		s.Claims = append(s.Claims, quota.Claim{Budget: c.Budget, Amount: amount(rt, c.Budget.ID)})
	}
	if rapid.IntRange(0, 19).Draw(rt, "others") == 0 {
		s.Claims = h.some(rt)
	}
	o, err := h.Store.Settle(context.Background(), s)
	got := outcome(o)
	if err != nil {
		got = word(err)
	}
	want := h.model.settle(s.ID, s.Claims, s.Void, s.Born)
	if o.Wait && err == nil && (want == "S to S" || h.waits[s.ID] == "") {
		got = want
		if want != "S to S" {
			h.waits[s.ID] = want
		}
	}
	h.same(rt, fmt.Sprintf("settle %s %v void %v", s.ID, s.Claims, s.Void), got, want)
}

func (h *history) step(rt *rapid.T) {
	d := time.Duration(rapid.OneOf(rapid.Int64Range(0, 2_000), rapid.Int64Range(0, 130_000), rapid.Int64Range(-90_000, 0), rapid.Int64Range(0, 40*86_400_000)).Draw(rt, "ms")) * time.Millisecond
	h.bench.step(d)
	h.model.now = h.now
	h.trace = append(h.trace, fmt.Sprintf("step %v to %v", d, h.now))
}

func (h *history) reap(rt *rapid.T) {
	all, err := h.Store.Reap(context.Background(), h.Organization, 1000)
	if err != nil {
		rt.Fatal(err)
	}
	var ids []string
	for _, l := range all {
		ids = append(ids, l.ID)
	}
	slices.Sort(ids)
	h.same(rt, "reap", fmt.Sprint(ids), fmt.Sprint(h.model.reap()))
}

func (h *history) touch(rt *rapid.T) {
	ids := rapid.SliceOfNDistinct(rapid.StringMatching("[a-f]"), 0, 4, rapid.ID[string]).Draw(rt, "ids")
	lost, err := h.Store.Touch(context.Background(), h.Organization, ids, hold)
	if err != nil {
		rt.Fatal(err)
	}
	h.same(rt, fmt.Sprintf("touch %v", ids), fmt.Sprint(lost), fmt.Sprint(h.model.touch(ids)))
}

// rebuild happens seldom, and puts back some of the counters.
func (h *history) rebuild(rt *rapid.T) {
	if rapid.IntRange(0, 9).Draw(rt, "rebuild") > 0 {
		return
	}
	var balances []quota.Balance
	for _, id := range h.names {
		c, b := h.model.counter(h.budgets[id]), h.budgets[id]
		if b.Window.Burst == 0 && c.Known && rapid.Bool().Draw(rt, "known") {
			balances = append(balances, quota.Balance{Budget: id, Kind: b.Window.Kind.Letter(), Start: c.Start, Used: c.Used, Previous: c.Previous})
		}
	}
	if err := h.Store.(quota.Rebuilder).Rebuild(context.Background(), h.Organization, balances); err != nil {
		rt.Fatal(err)
	}
	h.model.rebuild(balances)
	h.same(rt, fmt.Sprintf("rebuild %v", balances), "", "")
}
