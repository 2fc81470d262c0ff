package experiment_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/experiment"
)

func three() *experiment.Experiment {
	return &experiment.Experiment{Name: "x", Arms: []experiment.Arm{{Name: "a", Weight: 1}, {Name: "b", Weight: 2}, {Name: "c", Weight: 5}}}
}

const units = 80_000

func TestArmsGetTheirShares(t *testing.T) {
	e := three()
	var got [3]int
	for i := range units {
		got[e.Assign(fmt.Sprintf("user-%d", i), nil)]++
	}
	for i, share := range []float64{1. / 8, 2. / 8, 5. / 8} {
		want, sd := share*units, math.Sqrt(units*share*(1-share))
		if math.Abs(float64(got[i])-want) > 4*sd {
			t.Errorf("arm %d has %d of %d units, want %.0f ± %.0f", i, got[i], units, want, 4*sd)
		}
	}
}

func TestAUnitKeepsItsArm(t *testing.T) {
	a, b := three(), three()
	for i := range 1000 {
		unit := fmt.Sprintf("user-%d", i)
		if x, y := a.Assign(unit, nil), b.Assign(unit, nil); x != y {
			t.Fatalf("%s has the arms %d and %d", unit, x, y)
		}
	}
}

// TestUnitsMoveOnlyToTheArmThatGrows: and no more of them than its share grows by.
func TestUnitsMoveOnlyToTheArmThatGrows(t *testing.T) {
	e := three()
	moved := 0
	for i := range units {
		unit := fmt.Sprintf("user-%d", i)
		before, after := e.Assign(unit, []int{1, 2, 5}), e.Assign(unit, []int{1, 4, 5})
		if before != after {
			if moved++; after != 1 {
				t.Fatalf("%s moves from %d to %d, and only 1 has grown", unit, before, after)
			}
		}
	}
	want := (4./10 - 2./8) * units
	if math.Abs(float64(moved)-want) > 4*math.Sqrt(want) {
		t.Errorf("%d units move, want %.0f", moved, want)
	}
}

func TestExperimentsDoNotShareTheirAssignment(t *testing.T) {
	a, b := three(), three()
	b.Name = "y"
	both := 0
	for i := range units {
		unit := fmt.Sprintf("user-%d", i)
		if a.Assign(unit, []int{1, 1, 0}) == 0 && b.Assign(unit, []int{1, 1, 0}) == 0 {
			both++
		}
	}
	if want := units / 4.; math.Abs(float64(both)-want) > 4*math.Sqrt(want) {
		t.Errorf("%d units have the first arm of both, want %.0f", both, want)
	}
}

func TestWithoutWeightsThereIsTheControl(t *testing.T) {
	if got := three().Assign("u", []int{0, 0, 0}); got != 0 {
		t.Errorf("arm %d", got)
	}
}

func TestAssigningAllocatesNothing(t *testing.T) {
	e := three()
	if n := testing.AllocsPerRun(100, func() { e.Assign("a user of some key", nil) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAssign(b *testing.B) {
	e := three()
	b.ReportAllocs()
	for b.Loop() {
		e.Assign("organization/a-user-id-of-usual-length", nil)
	}
}

func TestAShareOfRequestsIsShadowed(t *testing.T) {
	e := three()
	if e.Shadows("any") {
		t.Error("an experiment without shadows has one")
	}
	for _, share := range []float64{0, 0.05, 0.5, 1} {
		e.Shadow = &experiment.Shadow{Share: share}
		again := three()
		again.Shadow = e.Shadow
		n := 0
		for i := range units {
			id := fmt.Sprintf("6b1f0c2e-%d", i)
			if e.Shadows(id) {
				n++
			}
			if i < 1000 && e.Shadows(id) != again.Shadows(id) {
				t.Fatalf("%s is decided in two ways", id)
			}
		}
		want, sd := share*units, math.Sqrt(units*share*(1-share))
		if math.Abs(float64(n)-want) > 4*sd {
			t.Errorf("%d of %d requests have shadows, want %.0f ± %.0f", n, units, want, 4*sd)
		}
	}
}
