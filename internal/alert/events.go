package alert

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/spend"
)

// keyed is the view of anomalies: what each key spent at each model.
func (w *Watcher) keyed() *view {
	v := w.views["anomalies"]
	if v == nil {
		v = &view{by: []string{"organization", "team", "project", "key", "model"}, unit: quota.Money, hours: map[string]*spend.Series{}}
		w.views["anomalies"] = v
	}
	return v
}

// anomalies finds keys whose last whole hour at a model was out of the ordinary.
func (w *Watcher) anomalies(least int64, now time.Time) (out []*Alert) {
	start := time.Unix(w.loaded, 0).UTC().Add(-time.Hour)
	for g, s := range w.keyed().hours {
		n, found := s.Anomaly(start, least)
		if !found {
			continue
		}
		p := strings.Split(g, "\x00")
		a := &Alert{Party: budgets.Party{Organization: p[0], Team: p[1], Project: p[2], Key: p[3]}}
		a.Message = channel.Message{ID: fmt.Sprintf("anomaly/%s/%d", strings.Join(p[1:], "/"), start.Unix()), At: now, Kind: "anomaly", Severity: "warning"}
		who := fmt.Sprintf("key %q", p[3])
		if p[3] == "" {
			who = "requests without a key"
		}
		a.Title = fmt.Sprintf("%s spent %s at %s in an hour, usual are %s", who, quota.Amount(quota.Money, n.Used), p[4], quota.Amount(quota.Money, n.Usual))
		a.Text = fmt.Sprintf("The hour began at %s. Up to %s would have been ordinary, by the last four weeks.", start.Format("2006-01-02 15:04 UTC"), quota.Amount(quota.Money, n.Most))
		a.Facts = []channel.Fact{{Name: "model", Value: p[4]}, {Name: "hour", Value: start.Format(time.RFC3339)}, {Name: "used", Value: money(n.Used)}, {Name: "usual", Value: money(n.Usual)}, {Name: "ordinary", Value: money(n.Most)}}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *Alert) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// lapse is how long an alert of a key's end, or a change of keys, is tried to be delivered.
const lapse = 24 * time.Hour

func event(k *auth.Key, what, severity string, now time.Time) *Alert {
	a := &Alert{Party: budgets.Party{Organization: k.Organization, Team: k.Team, Project: k.Project, Key: k.Name}}
	a.Message = channel.Message{ID: "key/" + k.ID + "/" + what, At: now, Kind: "key", Severity: severity}
	return a
}

// endings finds keys that end soon, or did within a day.
func endings(s *State, now time.Time) (out []*Alert) {
	for _, k := range slices.Concat(s.Keys, s.Issued) {
		if k.Expires.IsZero() {
			continue
		}
		left := k.Expires.Sub(now)
		at := k.Expires.UTC().Format("2006-01-02 15:04 UTC")
		switch {
		case left <= -lapse || left > time.Duration(s.Settings.Expiry)*24*time.Hour:
		case left <= 0:
			a := event(k, fmt.Sprintf("ended/%d", k.Expires.Unix()), "warning", now)
			a.Title = fmt.Sprintf("key %q has expired", k.Name)
			a.Text = "It ended at " + at + ". Requests with it are refused."
			out = append(out, a)
		default:
			a := event(k, fmt.Sprintf("ends/%d", k.Expires.Unix()), "info", now)
			a.Title = fmt.Sprintf("key %q expires at %s", k.Name, at)
			a.Text = "From then on requests with it are refused."
			out = append(out, a)
		}
	}
	return out
}

// watchKeys notes which keys came, went or changed since it last looked. What there is at the start is nothing new.
func (w *Watcher) watchKeys(s *State, now time.Time) {
	w.pending = slices.DeleteFunc(w.pending, func(a *Alert) bool { return now.Sub(a.At) > lapse })
	keys := make(map[string]*auth.Key, len(s.Keys))
	for _, k := range s.Keys {
		keys[k.Organization+"\x00"+k.ID] = k
	}
	note := func(k *auth.Key, what string) {
		a := event(k, fmt.Sprintf("%s/%s/%s", what, hex.EncodeToString(k.Hash[:4]), now.UTC().Format(time.DateOnly)), "info", now)
		a.Title = fmt.Sprintf("key %q was %s", k.Name, what)
		w.pending = append(w.pending, a)
	}
	if w.keys != nil {
		for id, k := range keys {
			switch old := w.keys[id]; {
			case old == nil:
				note(k, "added")
			case old.Hash != k.Hash:
				note(k, "replaced")
			}
		}
		for id, k := range w.keys {
			if keys[id] == nil {
				note(k, "removed")
			}
		}
	}
	w.keys = keys
}
