package memory

import (
	"hash/maphash"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// past remembers by their ids which reservations were settled or voided. A busy process has millions: they are marks, in which the
// collector has nothing to look for.
type past struct {
	seeds  [2]maphash.Seed
	states map[mark]quota.State
	due    queue[mark]
	most   int // that there were
}

// mark stands for an id. With its 128 bits, two of a million ids have the same once in 10^26 times.
type mark [2]uint64

func newPast() past {
	return past{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, states: map[mark]quota.State{}}
}

func (p *past) mark(id string) mark {
	return mark{maphash.String(p.seeds[0], id), maphash.String(p.seeds[1], id)}
}

// add remembers how a reservation ended until a time, in Unix milliseconds.
func (p *past) add(id string, state quota.State, due int64) {
	m := p.mark(id)
	p.states[m] = state
	p.due.add(due, m)
}

// of returns how a reservation ended, or 0.
func (p *past) of(id string) quota.State {
	if len(p.states) == 0 {
		return 0
	}
	return p.states[p.mark(id)]
}

// forget forgets one that is due, and reports whether there was one.
func (p *past) forget(now int64) bool {
	due, ok := p.due.first()
	if !ok || due > now {
		return false
	}
	delete(p.states, p.due.take())
	if p.most = max(p.most, len(p.states)); len(p.states) == 0 && p.most > many { // a map never gets smaller by itself
		p.states, p.most = map[mark]quota.State{}, 0
	}
	return true
}
