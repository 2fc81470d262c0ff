package experiment_test

import (
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/experiment"
)

func TestARampGoesOnOrStops(t *testing.T) {
	r := &experiment.Ramp{Steps: []int{5, 25, 50}, Hold: time.Hour, Exchanges: 100, Floor: 0.9, Worse: 0.02, Slower: 0.2}
	well := experiment.Seen{For: time.Hour, Exchanges: 100, Most: 1}
	with := func(f func(*experiment.Seen)) experiment.Seen { s := well; f(&s); return s }
	at := func(step int) experiment.Phase { return experiment.Phase{State: experiment.Running, Step: step} }
	stopped := experiment.Phase{State: experiment.Stopped}
	for name, c := range map[string]struct {
		now  experiment.Phase
		seen experiment.Seen
		want experiment.Phase
	}{
		"all went well":                  {at(0), well, at(1)},
		"too early":                      {at(0), with(func(s *experiment.Seen) { s.For = time.Minute }), at(0)},
		"too few":                        {at(1), with(func(s *experiment.Seen) { s.Exchanges = 99 }), at(1)},
		"the last step stays":            {at(2), well, at(2)},
		"below the floor, though early":  {at(0), experiment.Seen{For: time.Second, Exchanges: 10, Most: 0.8}, stopped},
		"nothing seen is not below it":   {at(0), experiment.Seen{}, at(0)},
		"worse":                          {at(1), with(func(s *experiment.Seen) { s.Worse = 0.03 }), stopped},
		"worse by no more than allowed":  {at(1), with(func(s *experiment.Seen) { s.Worse = 0.01 }), at(2)},
		"urgently burning, though early": {at(0), experiment.Seen{For: time.Second, Exchanges: 10, Most: 1, Burns: "fast"}, stopped},
		"burning, though early":          {at(0), experiment.Seen{For: time.Second, Exchanges: 10, Most: 1, Spends: "slowly"}, at(0)},
		"burning when the step is over":  {at(0), with(func(s *experiment.Seen) { s.Spends = "slowly" }), stopped},
		"burning at the last step":       {at(2), with(func(s *experiment.Seen) { s.Spends = "slowly" }), stopped},
		"slower":                         {at(1), with(func(s *experiment.Seen) { s.Slower = 0.3 }), stopped},
		"what is stopped stays":          {stopped, well, stopped},
		"what was promoted stays":        {experiment.Phase{State: experiment.Promoted, Arm: "b"}, well, experiment.Phase{State: experiment.Promoted, Arm: "b"}},
	} {
		got, why := r.Next(c.now, c.seen)
		if got != c.want || (why != "") != (got != c.now) {
			t.Errorf("%s: %+v, %q", name, got, why)
		}
	}
	r.Promote = true
	if got, why := r.Next(at(2), well); got != (experiment.Phase{State: experiment.Promoted}) || why == "" {
		t.Errorf("after the last step: %+v, %q", got, why)
	}
}

func TestARampHasTheSharesOfItsStep(t *testing.T) {
	e := &experiment.Experiment{Name: "x", Arms: []experiment.Arm{{Name: "a"}, {Name: "b"}}, Ramp: &experiment.Ramp{Steps: []int{5, 50, 100}}}
	before := 0
	for step, want := range []int{5, 50, 100} {
		n := 0
		for i := range 10_000 {
			n += e.Assign(string(rune('a'+i%26))+time.Duration(i).String(), e.Weights(experiment.Phase{Step: step}))
		}
		if n < (want-2)*100 || n > (want+2)*100 || n < before {
			t.Errorf("step %d: %d of 10000, want %d %%", step, n, want)
		}
		before = n
	}
}
