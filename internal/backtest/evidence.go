package backtest

import (
	"math"
	"sort"

	"github.com/signalbox-ai/signalbox/routing"
)

// near is how many attempts at about the same time one is drawn from. Of fewer, each failure that was luck would be one that comes
// often for a while, and policies that learn would go by it; of more, a target that changes slowly would never change.
const near = 1024

// draw chooses an attempt at a target at about the time of the exchange, of the stretch in which the target was alike; -1: there is
// none at all. far: there is none at about the time.
func (r *replay) draw(target int32) (from int32, of stretch, far bool) {
	if int(target) >= len(r.targets) || len(r.targets[target].attempts) == 0 {
		return -1, of, false
	}
	t := &r.targets[target]
	all := t.attempts
	at, when, far := r.about(target, r.x.at)
	of = t.alike(r.past, r.sees(), when, func(cut int32) float64 { return unit(r.mix(target, int64(cut), 1)) })
	low := max(min(at-near/2, of.high-near), of.low)
	high := min(max(at+near/2, of.low+near), of.high)
	for range tries {
		u := r.next()
		i := low + int(u%uint64(high-low))
		if !r.resamples || unit(routing.Mix(u))*heaviest < r.weight(target, i/t.piece) {
			return all[i], of, far
		}
	}
	return all[low+int(r.next()%uint64(high-low))], of, far
}

// about returns about which of the attempts at a target an exchange is looked for, and its time: those at the time of the exchange.
// Where there are none for a while (far), as the configuration of then did not ask the target, nobody knows what it was like:
// each run that resamples takes it to have been as at some other time, the same one for all exchanges meanwhile.
func (r *replay) about(target int32, when int64) (at int, then int64, far bool) {
	all, pause := r.targets[target].attempts, r.targets[target].pause
	began := func(i int) int64 { return r.attempts[all[i]].began }
	at = sort.Search(len(all), func(i int) bool { return began(i) >= when })
	far = (at == 0 || when-began(at-1) > pause) && (at == len(all) || began(at)-when > pause)
	if !far || !r.resamples {
		return at, when, far
	}
	other := int(r.mix(target, int64(at), 4) % uint64(len(all)))
	return other, began(other), true
}

// mayFail draws whether an attempt fails though none that is known did: of a target that was tried n times without a failure
// nobody knows that it never fails. How often it does is drawn for the run, by Jeffreys' prior: as if half an attempt
// more had failed, and half a one gone well.
func (r *replay) mayFail(target int32, s stretch) bool {
	cos := math.Cos(2 * math.Pi * unit(r.mix(target, int64(s.low), 3)))
	half := -math.Log(positive(r.mix(target, int64(s.low), 2))) * cos * cos
	return unit(r.next()) < half/(half+float64(s.high-s.low)+0.5)
}

// next is a number for the exchange at hand.
func (r *replay) next() uint64 {
	r.draws++
	return routing.Mix(r.view.Seed + r.draws*0xd1342543de82ef95)
}

// mix is a number of the run, for something of a target.
func (r *replay) mix(target int32, n int64, what uint64) uint64 {
	return routing.Mix(r.seed ^ routing.Mix(uint64(target)<<40^uint64(n)^what<<60))
}

// unit is an even number, from 0 to below 1; positive one above 0 until 1.
func unit(u uint64) float64     { return float64(u>>11) / (1 << 53) }
func positive(u uint64) float64 { return (float64(u>>11) + 1) / (1 << 53) }

// Bounds of drawing by weights.
const (
	tries    = 48
	heaviest = 6.0
)

// weight is that of a piece of evidence in this run: exponential, as in the Bayesian bootstrap (Rubin 1981).
func (r *replay) weight(target int32, piece int) float64 {
	return -math.Log(positive(r.mix(target, int64(piece), 0)))
}
