package alert

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// limit is a budget with what it was charged, by the start of the window in Unix seconds, and its counter.
type limit struct {
	*budgets.Listed
	charged map[int64]int64
	counter quota.Counter // zero: not known
}

// atOnce is how many budgets are asked for at once.
const atOnce = 500

// limits reads what budgets were charged in the windows that count.
func (w *Watcher) limits(ctx context.Context, t *budgets.Table, now time.Time) ([]*limit, error) {
	type group struct {
		organization string
		short        bool
	}
	groups := map[group][]*limit{}
	var out []*limit
	for listed := range t.All() {
		switch listed.Budget.Window.Kind {
		case window.Gauge, window.Pace:
			continue
		}
		if listed.Budget.Limit <= 0 {
			continue
		}
		l := &limit{Listed: &listed}
		out = append(out, l)
		g := group{l.Organization, l.Budget.Window.Length > 0 && l.Budget.Window.Length <= time.Hour}
		groups[g] = append(groups[g], l)
	}
	for g, all := range groups {
		since := now.Add(-35 * 24 * time.Hour)
		if g.short { // of which there are many windows
			since = now.Add(-3 * time.Hour)
		}
		for part := range slices.Chunk(all, atOnce) {
			if err := w.charged(ctx, g.organization, part, since); err != nil {
				return nil, err
			}
			w.counted(ctx, g.organization, part)
		}
	}
	return out, nil
}

func (w *Watcher) charged(ctx context.Context, organization string, part []*limit, since time.Time) error {
	ids, by := make([]string, len(part)), make(map[string]*limit, len(part))
	for i, l := range part {
		ids[i], by[l.Budget.ID] = l.Budget.ID, l
	}
	rows, err := w.Ledger.ChargedOf(ctx, organization, ids, since)
	for _, r := range rows {
		l := by[r.Budget]
		if l.charged == nil { // as most have nothing
			l.charged = map[int64]int64{}
		}
		l.charged[r.Window] = r.Amount
	}
	return err
}

// counted asks for the counters of limits with thresholds. Where nobody answers, what was charged counts alone.
func (w *Watcher) counted(ctx context.Context, organization string, part []*limit) {
	part = slices.DeleteFunc(slices.Clone(part), func(l *limit) bool { return len(l.Budget.Alert) == 0 })
	if w.Counters == nil || len(part) == 0 {
		return
	}
	all := make([]*quota.Budget, len(part))
	for i, l := range part {
		all[i] = l.Budget
	}
	counters, err := w.Counters.Peek(ctx, organization, all)
	if err != nil {
		return
	}
	for i, l := range part {
		l.counter = counters[i]
	}
}

// taken returns what was used in the window that begins at a time, and what of it is only reserved by running requests:
// that is the current window's.
func (l *limit) taken(from, now time.Time) (used, open int64) {
	used = l.used(from)
	if current, _ := l.span(now); !l.counter.Known || !current.Equal(from) {
		return used, 0
	}
	if l.counter.Start == from.UnixMilli() { // it knows what is on its way to the ledger
		used = max(used, l.counter.Used)
	}
	open = l.counter.Reserved
	return used + open, open
}

// span returns the window that a time is in; until is zero where it does not end.
func (l *limit) span(at time.Time) (from, until time.Time) {
	begin, end := l.Budget.Window.Span(at)
	if end == 0 {
		return time.Unix(0, 0), time.Time{}
	}
	return time.UnixMilli(begin), time.UnixMilli(end)
}

// used returns what was charged in the window that begins at a time.
func (l *limit) used(from time.Time) int64 { return max(l.charged[from.Unix()], 0) }

// thresholds finds the highest share of each limit that was passed, in the window of now and in those that ended a
// moment ago.
func thresholds(limits []*limit, now time.Time, moment time.Duration) (out []*Alert) {
	for _, l := range limits {
		if len(l.Budget.Alert) == 0 {
			continue
		}
		seen := int64(math.MinInt64)
		for at := now; !at.Before(now.Add(-moment)); {
			from, _ := l.span(at)
			if start := from.Unix(); start != seen {
				seen = start
				if a := l.threshold(from, now); a != nil {
					out = append(out, a)
				}
			}
			at = from.Add(-time.Millisecond)
			if from.Unix() == 0 {
				break
			}
		}
	}
	return out
}

func (l *limit) threshold(from, now time.Time) *Alert {
	b := l.Budget
	used, open := l.taken(from, now)
	share := permille(used, b.Limit)
	passed := 0
	for _, at := range b.Alert {
		if share >= int64(at) {
			passed = at
		}
	}
	if passed == 0 {
		return nil
	}
	name := from
	if b.Window.Length > 0 && b.Window.Length < time.Hour { // nobody wants a message each minute
		name = from.Truncate(time.Hour)
	}
	a := l.alert(fmt.Sprintf("%s/%d/%d", b.ID, name.Unix(), passed), now)
	a.Kind, a.Severity = "threshold", "warning"
	switch {
	case passed >= 1000:
		a.Severity = "critical"
	case passed < 700:
		a.Severity = "info"
	}
	verb := "has used"
	if open > 0 {
		verb = "has used or reserved"
	}
	a.Title = fmt.Sprintf("%s %s %s of its limit of %s", l.who(), verb, percent(share), l.what())
	a.Text = fmt.Sprintf("%s of %s are used%s. The alert is set at %s.", quota.Amount(b.Unit, used), quota.Amount(b.Unit, b.Limit), since(from), percent(int64(passed)))
	if open > 0 {
		a.Text += fmt.Sprintf(" %s of it are reserved by requests that run; what they do not use is given back.", quota.Amount(b.Unit, open))
	}
	if passed >= 1000 && !b.Shadow {
		a.Text += " Requests that it counts are refused."
	}
	a.Facts = append(a.Facts, channel.Fact{Name: "used", Value: amount(b.Unit, used)}, channel.Fact{Name: "reserved", Value: amount(b.Unit, open)}, channel.Fact{Name: "threshold", Value: percent(int64(passed))})
	return a
}

// permille returns used/of in thousandths, rounded down.
func permille(used, of int64) int64 {
	if used > math.MaxInt64/1000 {
		return used / max(1, of/1000)
	}
	return used * 1000 / of
}

func percent(permille int64) string {
	if permille%10 == 0 {
		return strconv.FormatInt(permille/10, 10) + "%"
	}
	return fmt.Sprintf("%d.%d%%", permille/10, permille%10)
}

// alert begins an alert about the limit. Once it is said, it is again if the limit is raised.
func (l *limit) alert(id string, now time.Time) *Alert {
	b := l.Budget
	a := &Alert{Party: l.Party, Height: b.Limit, Message: channel.Message{ID: id, At: now}}
	a.Facts = []channel.Fact{{Name: "budget", Value: b.ID}, {Name: "unit", Value: b.Unit.String()}, {Name: "window", Value: b.Window.Kind.String()}, {Name: "limit", Value: amount(b.Unit, b.Limit)}}
	return a
}

// who names the owner.
func (l *limit) who() string {
	o := l.Budget.Owner
	level := o.Level
	if level == "end_user" {
		level = "end user"
	}
	return level + " " + strconv.Quote(o.Name)
}

// what names the limit.
func (l *limit) what() string {
	b := l.Budget
	s := quota.Amount(b.Unit, b.Limit)
	if b.Unit != quota.Money {
		s += map[quota.Unit]string{quota.Requests: " requests", quota.Tokens: " tokens", quota.TokensIn: " input tokens", quota.TokensOut: " output tokens"}[b.Unit]
	}
	switch b.Window.Kind {
	case window.Life:
		s += " in total"
	case window.Fixed, window.Sliding:
		s += " per " + b.Window.Length.String()
	default:
		s += " per " + b.Window.Kind.String()
	}
	if b.Model != "" {
		s += " (model " + b.Model + ")"
	}
	if b.Target != "" {
		s += " (" + b.Target + ")"
	}
	return s
}

// amount is a number for programs: money in dollars, as the ledger writes it.
func amount(u quota.Unit, n int64) string {
	if u == quota.Money {
		return money(n)
	}
	return strconv.FormatInt(n, 10)
}

// since says since when.
func since(from time.Time) string {
	if from.Unix() == 0 {
		return ""
	}
	return " since " + from.UTC().Format("2006-01-02 15:04 UTC")
}

// Reader adds up, as a ledger does.
type Reader interface {
	Usage(ctx context.Context, q book.Query) ([]book.Row, error)
}

// Usage adds up what limits on a unit count. Of requests these are the ones that went to a provider: what was refused, or answered
// without one, is charged to no limit, and in the ledger it has no provider.
func Usage(ctx context.Context, l Reader, u quota.Unit, q book.Query) ([]book.Row, error) {
	if u != quota.Requests {
		return l.Usage(ctx, q)
	}
	n, at := len(q.By), slices.Index(q.By, "provider")
	if at < 0 {
		at, q.By = n, append(slices.Clone(q.By), "provider")
	}
	rows, err := l.Usage(ctx, q)
	var out []book.Row
	for i := range rows { // those of one group stand together
		r := &rows[i]
		if r.Group[at] == "" {
			continue
		}
		r.Group = r.Group[:n]
		if last := len(out) - 1; last >= 0 && out[last].Start.Equal(r.Start) && slices.Equal(out[last].Group, r.Group) {
			out[last].Sums.Add(&r.Sums)
		} else {
			out = append(out, *r)
		}
	}
	return out, err
}

// Used returns what of the sums of the ledger counts for a unit.
func Used(u quota.Unit, s *book.Sums) int64 {
	switch u {
	case quota.Requests:
		return s.Exchanges
	case quota.TokensIn:
		return s.Input
	case quota.TokensOut:
		return s.Output
	case quota.Tokens:
		return s.Input + s.Output
	}
	return int64(s.Cost)
}
