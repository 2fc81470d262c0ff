package exchange_test

import (
	"slices"

	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// laws checks what came of it, and names what was played.
func (p *trial) laws() (came []string) {
	on := &p.route.Failover
	if len(p.seen.closed) != 1 || len(p.books.ended) != 1 {
		p.Fatalf("closed %d times, and %d times in the ledger", len(p.seen.closed), len(p.books.ended))
	}
	if last := p.made[len(p.made)-1].provider; p.seen.closed[0].Last.Provider != last {
		p.Fatalf("it ended at %s, and the last that was asked is %s", p.seen.closed[0].Last.Provider, last)
	}
	if on.Attempts > 0 && len(p.made) > on.Attempts {
		p.Fatalf("%d attempts, and the route allows %d", len(p.made), on.Attempts)
	}
	legs, lines := p.legs(), p.books.ended[0].Attempts
	if len(legs) != len(p.made) || len(lines) != len(p.made) {
		p.Fatalf("%d attempts are made, %d are told of, and the ledger has %d", len(p.made), len(legs), len(lines))
	}
	repairs := 0
	for i, m := range p.made {
		l, line := legs[i], lines[i]
		if l.Provider != m.provider || line.Step.Provider.Name != m.provider || p.regions[m.provider] != "eu" {
			p.Fatalf("attempt %d went to %s in %q; told is %s, and the ledger has %s", i+1, m.provider, p.regions[m.provider], l.Provider, line.Step.Provider.Name)
		}
		for flag, is := range map[ledger.Flag]bool{"same": l.Same, "repair": l.Spare, "round": l.Round > 0} {
			if slices.Contains(line.Flags, flag) != is {
				p.Fatalf("the flags of attempt %d are %v, and it is %+v", i+1, line.Flags, l)
			}
			if is {
				came = append(came, string(flag))
			}
		}
		if i > 0 {
			p.follows(i, legs[i-1], l)
			p.worth(i, legs)
		}
		if l.Spare {
			repairs++
		}
		if l.Round >= max(on.Rounds.N, 1) || repairs > 1 {
			p.Fatalf("round %d of %d, %d repairs", l.Round+1, on.Rounds.N, repairs)
		}
	}
	for _, a := range p.seen.attempts {
		if a.Unmade == "retry_budget" {
			came = append(came, "budget")
		}
	}
	if len(p.made) > 1 {
		came = append(came, "next")
	}
	return came
}

// legs are the steps of the attempts that the observer was told of, each behind the one before. The last that went well is told of by the
// entry of its request.
func (p *trial) legs() (out []ticket.Leg) {
	at := 0
	for _, a := range p.seen.attempts {
		if a.Unmade != "" {
			continue
		}
		if a.N <= at {
			p.Fatalf("an attempt is at step %d, after %d", a.N, at)
		}
		at = a.N
		out = append(out, p.ticket.Steps[at-1])
	}
	return out
}

// worth checks that attempt i (from 0), where it is of another round, is at a target that failed in a way that may be over.
func (p *trial) worth(i int, legs []ticket.Leg) {
	if legs[i].Round == 0 {
		return
	}
	for j := i - 1; j >= 0; j-- {
		if legs[j].Target() != legs[i].Target() {
			continue
		}
		if c := p.made[j].class; !c.Passes() || p.route.Failover.On.On(c) == failure.Stop {
			p.Fatalf("%s is asked again in round %d, after %s", legs[i].Target(), legs[i].Round+1, c)
		}
		return
	}
}

// follows checks that attempt i (from 0) may come after the one before it.
func (p *trial) follows(i int, was, is ticket.Leg) {
	failed, does := p.made[i-1].fault, p.route.Failover.On.On(p.made[i-1].class)
	bad := ""
	switch {
	case failed.well:
		bad = "an attempt that went well"
	case does == failure.Stop:
		bad = "a failure that ends it"
	case is.Round > was.Round:
		if !failed.class.Passes() || is.Round != was.Round+1 {
			bad = "a failure that does not pass"
		}
	case is.Same:
		if does != failure.Same || was.Same || is.Target() != was.Target() {
			bad = "a failure that is not for the same target"
		}
	case is.Spare:
		if failed.class != failure.InvalidOutput || does != failure.Repair || is.Target() != was.Target() {
			bad = "an answer that is not to be repaired"
		}
	case does == failure.Other && p.kinds[is.Provider] == p.kinds[was.Provider]:
		bad = "a failure for another vendor"
	}
	if bad != "" {
		p.Fatalf("after %s at %+v, which is %s (rule %d), comes %+v", failed.class, was, bad, does, is)
	}
}
