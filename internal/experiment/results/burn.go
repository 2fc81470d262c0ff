package results

import (
	"fmt"
	"net/http"
	"time"

	"github.com/signalbox-ai/signalbox/internal/experiment/stats"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/slo"
)

// sure is the chance that a bound of what the second arm does is wrong, at one look.
const sure = 0.001

// promised is what the arms did for an objective.
type promised struct {
	slo.Objective
	arms []burning
}

// burning is what one arm did, by the windows of alerts.
type burning struct {
	exchanges [slo.Windows]int64
	units     map[string]*[slo.Windows]used
}

// used is of a unit: exchanges of which some were bad, or tokens that cost nano-USD.
type used struct {
	n int
	y float64
}

// Promise has a tally see, beside all else, how fast each arm burns the error budgets of objectives, as of a time. It is said before
// records are added.
func (t *Tally) Promise(objectives []slo.Objective, now time.Time) {
	t.now = now
	for _, o := range objectives {
		if o.Allow <= 0 { // it has no budget
			continue
		}
		p := promised{Objective: o, arms: make([]burning, len(t.arms))}
		for i := range p.arms {
			p.arms[i].units = map[string]*[slo.Windows]used{}
		}
		t.promised = append(t.promised, p)
	}
}

// burn counts a record for what was promised.
func (t *Tally) burn(arm int, unit string, r *ledger.Record) {
	if len(t.promised) == 0 {
		return
	}
	e, counts := event(r)
	whole := r.Sequence == 0 || r.ToldLate()
	ago := t.now.Sub(r.At.Add(time.Duration(r.Result.Took) * time.Millisecond))
	for i := range t.promised {
		p := &t.promised[i]
		if !p.Scope.Holds(r.Asked.Route, r.Tags) {
			continue
		}
		b := &p.arms[arm]
		if p.Kind == slo.Cost {
			if tokens := tokensOf(r); tokens != 0 || !whole {
				b.add(unit, ago, used{tokens, float64(paid(r))}, whole)
			}
		} else if s, ok := p.Judge(&e); ok && counts && whole {
			b.add(unit, ago, used{1, float64(s.Bad)}, true)
		}
	}
}

func (b *burning) add(unit string, ago time.Duration, u used, whole bool) {
	by := b.units[unit]
	if by == nil {
		by = new([slo.Windows]used)
		b.units[unit] = by
	}
	for w := range by {
		if ago >= slo.WindowLength(w) {
			continue
		}
		by[w].n, by[w].y = by[w].n+u.n, by[w].y+u.y
		if whole {
			b.exchanges[w]++
		}
	}
}

// event is a record as objectives judge exchanges; counts is false where it is none: copies of answers, and what nobody saw the end
// of. Requests that we refuse by our own fault, or as no target could be asked, have failed.
func event(r *ledger.Record) (e slo.Event, counts bool) {
	ms := func(m ledger.Millis) time.Duration { return time.Duration(m) * time.Millisecond }
	e = slo.Event{Route: r.Asked.Route, Tags: r.Tags, Stream: r.Asked.Stream, First: ms(r.Result.First), Total: ms(r.Result.Took)}
	code := r.Result.HTTP
	switch r.Result.Status {
	case ledger.OK:
	case ledger.ClientAbort:
		e.Left = true
	case ledger.UpstreamError: // one below 400 broke in its middle
		e.Failed = slo.Faulty(code) || code < http.StatusBadRequest
		e.Left = !e.Failed
	case ledger.Timeout:
		e.Failed = true
	case ledger.Refused:
		e.Failed = code >= http.StatusInternalServerError
		return e, e.Failed
	default:
		return e, false
	}
	if e.Failed && code >= http.StatusBadRequest {
		e.First = 0 // it is the error's
	}
	return e, true
}

func tokensOf(r *ledger.Record) (n int) {
	for i := range r.Attempts {
		n += int(r.Attempts[i].Units.Prompt() + r.Attempts[i].Units.Answer())
	}
	return n
}

// paid is what a record adds to the cost of its arm. One that comes late stands for an exchange whose arm nobody knew.
func paid(r *ledger.Record) (n ledger.Nano) {
	if !r.ToldLate() {
		return r.Money.Cost
	}
	for i := range r.Attempts {
		n += r.Attempts[i].Bill.Cost
	}
	return n
}

// mean is the share of bad exchanges in a window, or the cost of a token.
func (b *burning) mean(window int) *stats.Mean {
	out := &stats.Mean{}
	for _, by := range b.units {
		out.Add(by[window].n, by[window].y)
	}
	return out
}

// burns says which error budget the second arm burns too fast, by its own exchanges alone; "": none. It goes by the windows of
// alerts of a severity, where the long one shows for sure that the arm burns faster than they allow, and faster than the control
// does: what burns in both is not the arm's doing.
func (t *Tally) burns(severity string) string {
	for i := range t.promised {
		p := &t.promised[i]
		control, own := &p.arms[0], &p.arms[1]
		for _, a := range slo.Alarms() {
			if a.Severity != severity || own.exchanges[a.Long] < slo.Enough {
				continue
			}
			over, others, beside := p.Over(a), 0.0, ""
			if control.exchanges[a.Long] >= slo.Enough {
				others = control.mean(a.Long).Value() / p.Allow
				beside = fmt.Sprintf(", and the control burns it at %.1f times", others)
			}
			long, short := own.mean(a.Long), own.mean(a.Short).Value()/p.Allow
			if p.certain(long) <= max(over, others) || short <= over {
				continue
			}
			return fmt.Sprintf("its own exchanges burn the error budget of %s (%s) at %.1f times the even pace in the last %s, where %.1f is too much%s",
				p.Name, p.Kind, long.Value()/p.Allow, slo.WindowName(a.Long), over, beside)
		}
	}
	return ""
}

// certain is the burn that an arm surely has.
func (p *promised) certain(m *stats.Mean) float64 {
	if p.Kind == slo.Cost {
		return m.Interval(sure).Low / p.Allow
	}
	return m.Share(sure).Low / p.Allow
}
