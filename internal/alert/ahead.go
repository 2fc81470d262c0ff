package alert

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/spend"
)

// view is one question to the ledger, with what every owner in it used by the hour.
type view struct {
	by    []string
	where []book.Where
	unit  quota.Unit
	hours map[string]*spend.Series // by the values of by
	whole bool                     // four weeks are there
	used  bool                     // by a limit that is there
}

// group joins the values of a group.
func group(values []string) string { return strings.Join(values, "\x00") }

// view returns the question whose answer has what a limit counts, and the limit's group in it. There is none for end
// users, who may be many, and for what the ledger does not tell apart: models as clients name them, and patterns.
func (w *Watcher) view(l *limit) (v *view, of string, ok bool) {
	b := l.Budget
	if b.Window.Kind != window.Day && b.Window.Kind != window.Week && b.Window.Kind != window.Month && b.Window.Kind != window.Life ||
		b.Owner.Level == "end_user" || b.Model != "" || len(l.Models) > 0 || slices.ContainsFunc(l.Routes, glob.Is) {
		return nil, "", false
	}
	v = &view{unit: b.Unit}
	var values []string
	for _, d := range parties(&l.Party) {
		if d.Value != "" {
			v.by, values = append(v.by, d.Name), append(values, d.Value)
		}
	}
	for _, f := range []book.Where{{Dimension: "route", Values: l.Routes}, {Dimension: "provider", Values: l.Providers}} {
		if len(f.Values) > 0 {
			v.where = append(v.where, f)
		}
	}
	key := fmt.Sprint(v.by, v.where, v.unit)
	if have := w.views[key]; have != nil {
		v = have
	} else {
		v.hours = map[string]*spend.Series{}
		w.views[key] = v
	}
	v.used = true
	return v, group(values), true
}

func parties(p *budgets.Party) []channel.Fact {
	return []channel.Fact{{Name: "organization", Value: p.Organization}, {Name: "team", Value: p.Team}, {Name: "project", Value: p.Project}, {Name: "key", Value: p.Key}}
}

// settled is how long after its end an hour is taken for whole.
const settled = 2 * time.Minute

// load reads the hours that are over since it last did. What came late for the hours just before counts too.
func (w *Watcher) load(ctx context.Context, limits []*limit, now time.Time) error {
	for _, v := range w.views {
		v.used = false
	}
	w.keyed().used = true
	for _, l := range limits {
		w.view(l)
	}
	maps.DeleteFunc(w.views, func(_ string, v *view) bool { return !v.used })
	end := now.Add(-settled).Truncate(time.Hour)
	fresh := w.loaded != end.Unix()
	for _, v := range w.views {
		if !fresh && v.whole {
			continue
		}
		if err := w.read(ctx, v, end); err != nil {
			return err
		}
	}
	w.loaded = end.Unix()
	return nil
}

// read brings a view up to an hour. Four weeks are read by the day: a question has a most of rows.
func (w *Watcher) read(ctx context.Context, v *view, end time.Time) error {
	from := end.Add(-spend.Reach - time.Hour)
	if v.whole {
		from = end.Add(-4 * time.Hour)
		if w.loaded != 0 {
			from = time.Unix(w.loaded, 0).Add(-3 * time.Hour)
		}
		from = from.UTC()
	}
	for _, s := range v.hours {
		s.Move(end)
	}
	for from.Before(end) {
		until := from.Add(24 * time.Hour)
		if until.After(end) {
			until = end
		}
		rows, err := Usage(ctx, w.Ledger, v.unit, book.Query{Filter: book.Filter{From: from, Until: until, Where: v.where}, By: v.by, Every: book.Hour})
		if err != nil {
			return err
		}
		for i := range rows {
			g := group(rows[i].Group)
			s := v.hours[g]
			if s == nil {
				s = spend.NewSeries(end.Add(-spend.Reach-time.Hour), end)
				v.hours[g] = s
			}
			s.Set(rows[i].Start, Used(v.unit, &rows[i].Sums))
		}
		from = until
	}
	maps.DeleteFunc(v.hours, func(_ string, s *spend.Series) bool { return s.Idle() })
	v.whole = true
	return nil
}

// ahead finds limits that will be passed, and those that burn too fast.
func (w *Watcher) ahead(ctx context.Context, limits []*limit, now time.Time) (out []*Alert, err error) {
	recent := map[*view][2]map[string]int64{}
	for _, l := range limits {
		v, of, ok := w.view(l)
		if !ok {
			continue
		}
		from, until := l.span(now)
		used := l.used(from)
		if used >= l.Budget.Limit {
			continue // it is passed, of which thresholds speak
		}
		series := v.hours[of]
		if series == nil {
			continue
		}
		f, sure := l.forecast(series, from, until, used, now)
		if sure {
			out = append(out, l.passing(&f, from, until, used, now)...)
		}
		if until.IsZero() {
			continue
		}
		if _, there := recent[v]; !there {
			var two [2]map[string]int64
			for i, d := range []time.Duration{time.Hour, 6 * time.Hour} {
				if two[i], err = w.recent(ctx, v, now.Add(-d), now); err != nil {
					return out, err
				}
			}
			recent[v] = two
		}
		// What the window before had does not burn this one.
		b := spend.BurnOf(min(recent[v][0][of], used), min(recent[v][1][of], used), l.Budget.Limit, until.Sub(from))
		if a := l.burning(b, &f, from, now); a != nil {
			out = append(out, a)
		}
	}
	return out, nil
}

func (w *Watcher) recent(ctx context.Context, v *view, from, until time.Time) (map[string]int64, error) {
	rows, err := Usage(ctx, w.Ledger, v.unit, book.Query{Filter: book.Filter{From: from, Until: until, Where: v.where}, By: v.by})
	out := make(map[string]int64, len(rows))
	for i := range rows {
		out[group(rows[i].Group)] = Used(v.unit, &rows[i].Sums)
	}
	return out, err
}

// horizon is how far a limit without an end is looked ahead.
const horizon = 7 * 24 * time.Hour

// forecast looks to the end of the window. sure is false where a short past says too little: before a quarter of the
// window is over.
func (l *limit) forecast(s *spend.Series, from, until time.Time, used int64, now time.Time) (f spend.Forecast, sure bool) {
	end := until
	if end.IsZero() {
		end = now.Add(horizon)
	}
	f = s.Forecast(spend.Ask{Now: now, Until: end, Used: used, Limit: l.Budget.Limit})
	if f.Linear && (until.IsZero() || now.Sub(from) < until.Sub(from)/4) {
		return f, false
	}
	return f, true
}

// passing warns where the limit will probably be passed, and hints where it may be.
func (l *limit) passing(f *spend.Forecast, from, until time.Time, used int64, now time.Time) []*Alert {
	b := l.Budget
	at, how, level := f.Reached, "will probably pass", "warning"
	if f.P50 <= b.Limit {
		at, how, level = f.Earliest, "may pass", "info"
	}
	if f.P90 <= b.Limit || at.IsZero() {
		return nil
	}
	a := l.alert(fmt.Sprintf("%s/%d/forecast/%s", b.ID, from.Unix(), level), now)
	a.Kind, a.Severity = "forecast", level
	end := "the end of the window"
	if until.IsZero() {
		end = "a week from now"
	} else {
		end += " (" + until.UTC().Format("2006-01-02 15:04 UTC") + ")"
	}
	when := at.UTC().Format("2006-01-02 15:04 UTC")
	a.Title = fmt.Sprintf("%s %s its limit of %s, at %s", l.who(), how, l.what(), when)
	a.Text = fmt.Sprintf("%s are used%s. By %s it will be %s, and in four of five cases between %s and %s.", quota.Amount(b.Unit, used), since(from), end,
		quota.Amount(b.Unit, f.P50), quota.Amount(b.Unit, f.P10), quota.Amount(b.Unit, f.P90))
	a.Facts = append(a.Facts, channel.Fact{Name: "used", Value: amount(b.Unit, used)}, channel.Fact{Name: "p10", Value: amount(b.Unit, f.P10)}, channel.Fact{Name: "p50", Value: amount(b.Unit, f.P50)},
		channel.Fact{Name: "p90", Value: amount(b.Unit, f.P90)}, channel.Fact{Name: "reached", Value: at.UTC().Format(time.RFC3339)})
	return []*Alert{a}
}

// burning alerts of a limit that is used up far faster than evenly, once a day. What people do at work is uneven by
// itself: where the forecast says that the limit holds all the same, only the worst is worth a word.
func (l *limit) burning(b spend.Burn, f *spend.Forecast, from, now time.Time) *Alert {
	s := b.Severity()
	if s == spend.None || s == spend.Warn && !f.Linear && f.P90 <= l.Budget.Limit {
		return nil
	}
	a := l.alert(fmt.Sprintf("%s/%d/burn/%s/%s", l.Budget.ID, from.Unix(), s, now.UTC().Format(time.DateOnly)), now)
	a.Kind, a.Severity = "burn", s.String()
	a.Title = fmt.Sprintf("%s burns its limit of %s at %s times the even pace", l.who(), l.what(), times(min(b.Hour, b.Six)))
	a.Text = fmt.Sprintf("In the last hour it was %s times the pace that would use it up exactly at its end, in the last six hours %s times.", times(b.Hour), times(b.Six))
	a.Facts = append(a.Facts, channel.Fact{Name: "burn_1h", Value: times(b.Hour)}, channel.Fact{Name: "burn_6h", Value: times(b.Six)})
	return a
}

// times writes percent as a factor.
func times(percent int64) string { return fmt.Sprintf("%d.%d", percent/100, percent%100/10) }

func money(n int64) string { return ledger.Nano(n).String() }
