package queue

import (
	"cmp"
	"slices"
	"time"
)

// waiter is a request that waits.
type waiter struct {
	Want
	lanes []*lane
	began time.Time
	seq   uint64
	in    chan Pass   // gets the pass, once
	out   chan string // gets why it is sent away, once
}

// weight is what a request costs its team in the order of turns.
func (w *waiter) weight() float64 { return 1000 + float64(w.Tokens) }

// team is the requests of a team in a class, by their deadlines.
type team struct {
	name string
	turn float64 // start-time fair queueing: the team whose turn is lowest goes next
	all  []*waiter
}

// order is all that wait. Within a class teams are served by start-time fair queueing (Goyal, Vin and Cheng, 1996): each
// request moves its team's turn on by its weight, and a team that comes anew begins where the others are.
type order struct {
	classes [classes][]*team
	now     [classes]float64 // the turn of who was served last
	n       int
	bytes   int64
	seq     uint64
}

func (o *order) join(w *waiter) {
	o.seq++
	w.seq = o.seq
	c := w.Class
	i := slices.IndexFunc(o.classes[c], func(t *team) bool { return t.name == w.Team })
	if i < 0 {
		i = len(o.classes[c])
		o.classes[c] = append(o.classes[c], &team{name: w.Team, turn: o.now[c]})
	}
	t := o.classes[c][i]
	if len(t.all) == 0 {
		t.turn = max(t.turn, o.now[c])
	}
	at, _ := slices.BinarySearchFunc(t.all, w, func(a, b *waiter) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.seq, b.seq))
	})
	t.all = slices.Insert(t.all, at, w)
	o.n++
	o.bytes += w.Bytes
	for _, l := range w.lanes {
		l.waiting++
	}
}

// remove takes a waiter out, and reports whether it was there.
func (o *order) remove(w *waiter) bool {
	c := w.Class
	for ti, t := range o.classes[c] {
		if t.name != w.Team {
			continue
		}
		i := slices.Index(t.all, w)
		if i < 0 {
			return false
		}
		t.all = slices.Delete(t.all, i, i+1)
		o.n--
		o.bytes -= w.Bytes
		for _, l := range w.lanes {
			l.waiting--
		}
		if len(t.all) == 0 && t.turn <= o.now[c] { // what it is ahead of the others is remembered while they wait
			o.classes[c] = slices.Delete(o.classes[c], ti, ti+1)
		}
		if !slices.ContainsFunc(o.classes[c], func(t *team) bool { return len(t.all) > 0 }) {
			o.classes[c], o.now[c] = nil, 0
		}
		return true
	}
	return false
}

// next returns the first that can go, and where; nil: nobody can. Who waits for one lane does not stand in the way of those
// who wait for another; but what is too narrow for one is not given to others behind it, or it would never get its turn.
func (o *order) next(now time.Time) (*waiter, *lane) {
	var shut closed
	for rank := range int(classes) {
		c := byRank(rank)
		slices.SortStableFunc(o.classes[c], func(a, b *team) int { return cmp.Compare(a.turn, b.turn) })
		for _, t := range o.classes[c] {
			for _, w := range t.all {
				if l := shut.open(w, now); l != nil {
					o.now[c] = max(o.now[c], t.turn)
					t.turn += w.weight()
					return w, l
				}
			}
		}
	}
	return nil, nil
}

// closed are the lanes and pools that somebody found without room.
type closed struct {
	lanes []*lane
	pools []*pool
}

// open returns the first lane that has room for a waiter, and closes those before it.
func (s *closed) open(w *waiter, now time.Time) *lane {
	for _, l := range w.lanes {
		if slices.Contains(s.lanes, l) || l.pool != nil && slices.Contains(s.pools, l.pool) {
			continue
		}
		if !l.opens(w.Tokens, now).After(now) {
			return l
		}
		s.lanes = append(s.lanes, l)
		if l.pool != nil && l.pool.opens(w.Tokens, now).After(now) {
			s.pools = append(s.pools, l.pool)
		}
	}
	return nil
}

func byRank(rank int) Class {
	for c := range classes {
		if c.rank() == rank {
			return c
		}
	}
	return Normal
}

// each calls f for all that wait.
func (o *order) each(f func(*waiter)) {
	for c := range o.classes {
		for _, t := range o.classes[c] {
			for _, w := range t.all {
				f(w)
			}
		}
	}
}

// last returns the least important that waits, the one with the latest deadline of the team that has most, if it is of
// a class behind c; nil: none is.
func (o *order) last(c Class) *waiter {
	for rank := int(classes) - 1; rank > c.rank(); rank-- {
		var most *team
		for _, t := range o.classes[byRank(rank)] {
			if most == nil || len(t.all) > len(most.all) {
				most = t
			}
		}
		if most != nil && len(most.all) > 0 {
			return most.all[len(most.all)-1]
		}
	}
	return nil
}

// alike are deadlines that differ by so little: of these, whoever came first is not to be pushed back by another.
const alike = time.Second

// ahead returns how many go before one that would come now: at the latest, and by its team's turns.
func (o *order) ahead(w *waiter) (all, fair int) {
	shares := func(v *waiter) bool {
		return slices.ContainsFunc(v.lanes, func(l *lane) bool { return slices.Contains(w.lanes, l) || pooled(l, w.lanes) })
	}
	mine, others, teams := 0, 0, 0
	for c := range o.classes {
		if w.Class.Before(Class(c)) {
			continue
		}
		for _, t := range o.classes[c] {
			n := 0
			for _, v := range t.all {
				if shares(v) && (t.name != w.Team || Class(c) != w.Class || !v.Until.After(w.Until.Add(alike))) {
					n++
				}
			}
			all += n
			switch {
			case Class(c) != w.Class:
				fair += n
			case t.name == w.Team:
				mine = n
			case n > 0:
				others += n
				teams++
			}
		}
	}
	return all, fair + mine + min(others, teams*(mine+1))
}

// pooled reports whether a lane draws on the pool of one of others.
func pooled(l *lane, others []*lane) bool {
	return l.pool != nil && slices.ContainsFunc(others, func(o *lane) bool { return o.pool == l.pool })
}
