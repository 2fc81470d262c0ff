package alert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// fault says how a kind of trouble is told. It must not happen at all: nobody sets a threshold for it.
type fault struct {
	severity string
	often    time.Duration                          // after which it is said again
	least    func(s *trouble.Seen) bool             // whether what happened in an hour is worth a word; nil: it is
	say      func(s *trouble.Seen, l *limit) string // the title. l is nil where it is about no limit that is there
	text     string
}

const daily, hourly = 24 * time.Hour, time.Hour

// Shares from which on it is worth a word.
func expiring(s *trouble.Seen) bool { return s.Count*1000 > s.All }
func slowing(s *trouble.Seen) bool  { return s.Count >= 3 && s.Count*100 > s.All }
func oddly(s *trouble.Seen) bool    { return s.Count >= 3 } // the first are what counts are learnt from

// faults are the kinds of trouble.
func faults() map[trouble.Kind]fault {
	return map[trouble.Kind]fault{
		trouble.Overrun: {"critical", daily, nil, func(s *trouble.Seen, l *limit) string {
			return quota.Amount(quota.Money, s.Amount) + " were charged beyond what was reserved of " + naming(s, l)
		}, "A provider billed more than an answer could have had. Which exchanges they are, the ledger tells: their records have the flag overrun."},
		trouble.Drift: {"warning", daily, nil, func(s *trouble.Seen, l *limit) string {
			unit, than := quota.Requests, "more"
			if l != nil {
				unit = l.Budget.Unit
			}
			if s.Amount < 0 {
				than = "less"
			}
			return fmt.Sprintf("the counter of %s has %s %s than the ledger", naming(s, l), quota.Amount(unit, max(s.Amount, -s.Amount)), than)
		}, "Counters and records are compared every minute. What a counter has less is debited; what it has more are records that are missing."},
		trouble.Expired: {"warning", daily, expiring, func(s *trouble.Seen, _ *limit) string {
			return fmt.Sprintf("%d of %d exchanges were charged whole, because nobody told how they ended", s.Count, s.All)
		}, "Reservations expire where Envoy's log entries do not come: look whether every Envoy reaches the access log service, and whether processes crash."},
		trouble.Unpriced: {"warning", daily, nil, func(s *trouble.Seen, _ *limit) string {
			return "no price is known for " + s.Subject + ": its use is not in the costs"
		}, "Give it a price in the configuration, or say that it is free."},
		trouble.Usage: {"warning", daily, oddly, func(s *trouble.Seen, _ *limit) string {
			return s.Subject + " counts prompts far otherwise than we do"
		}, "By the provider's count prompts have less than half, or more than twice, the tokens that they have by ours. The provider's is what is charged."},
		trouble.Epoch: {"warning", hourly, nil, func(*trouble.Seen, *limit) string {
			return "the store of quotas lost its counters, or failed over"
		}, "They have been put back to what the ledger has."},
		trouble.Degraded: {"warning", hourly, nil, func(s *trouble.Seen, _ *limit) string {
			return "requests were " + s.Subject + " while the store of quotas was away"
		}, "What holds then is each limit's away."},
		trouble.Slow: {"warning", daily, slowing, func(s *trouble.Seen, _ *limit) string {
			return fmt.Sprintf("the journal's disk is slow: %d of %d syncs took over 100 ms", s.Count, s.All)
		}, "Requests under hard limits wait for it where quotas are counted in memory."},
		trouble.Disk: {"critical", hourly, nil, func(s *trouble.Seen, _ *limit) string {
			return "the journal cannot be written: " + s.Subject
		}, "Requests under hard limits are refused until it can."},
		trouble.Lost: {"critical", hourly, nil, func(s *trouble.Seen, _ *limit) string {
			return fmt.Sprintf("%d records of the ledger are %s", s.Amount, s.Subject)
		}, "What they are of is in no report, and in no counter that is rebuilt."},
		trouble.Armless: {"warning", daily, nil, func(s *trouble.Seen, _ *limit) string {
			return "requests are answered without the arm " + s.Subject
		}, "The version of the template that the arm has is not there, or cannot be made of what requests say, as where it has a variable that they lack. They get the route as it is, and count for no arm."},
		trouble.Overdue: {"warning", daily, nil, func(s *trouble.Seen, _ *limit) string {
			return fmt.Sprintf("the ledger lacks %d records of exchanges that ended over five minutes ago", s.Amount)
		}, "They are in the journal, and are written once the ledger's database takes them."},
	}
}

// naming names a limit, or its id where it is not there any more.
func naming(s *trouble.Seen, l *limit) string {
	if l == nil {
		return "the limit " + s.Subject
	}
	return l.who() + "'s limit of " + l.what()
}

// faulty finds what must not happen, in what is remembered of the last day.
func faulty(log *trouble.Log, t *budgets.Table, now time.Time) (out []*Alert) {
	seen := log.Since(now.Add(-lapse))
	if len(seen) == 0 {
		return nil
	}
	known := faults()
	limits := map[string]*budgets.Listed{} // by id, those that something is about
	for i := range seen {
		limits[seen[i].Subject] = nil
	}
	for l := range t.All() {
		if _, about := limits[l.Budget.ID]; about {
			limits[l.Budget.ID] = &l
		}
	}
	merged := map[string]*trouble.Seen{}
	for i := range seen {
		s := &seen[i]
		f, ok := known[s.Kind]
		if !ok || f.least != nil && !f.least(s) {
			continue
		}
		id := fmt.Sprintf("fault/%s/%s/%s/%d", s.Kind, s.Organization, s.Subject, s.Hour.Truncate(f.often).Unix())
		if before := merged[id]; before != nil {
			s.Count, s.All = s.Count+before.Count, s.All+before.All
			if s.Kind != trouble.Drift && s.Kind != trouble.Overdue { // which say how it stands
				s.Amount += before.Amount
			}
		}
		merged[id] = s
	}
	for _, id := range slices.Sorted(maps.Keys(merged)) {
		s := merged[id]
		f := known[s.Kind]
		var l *limit
		a := &Alert{Party: budgets.Party{Organization: s.Organization}, Message: channel.Message{ID: id, At: now, Kind: "fault", Severity: f.severity, Text: f.text}}
		if b := limits[s.Subject]; b != nil {
			l, a.Party = &limit{Listed: b}, b.Party
		}
		a.Title = f.say(s, l)
		a.Facts = []channel.Fact{{Name: "fault", Value: string(s.Kind)}, {Name: "times", Value: strconv.FormatInt(s.Count, 10)}, {Name: "since", Value: s.Hour.Truncate(f.often).Format(time.RFC3339)}}
		if s.Subject != "" {
			a.Facts = append(a.Facts, channel.Fact{Name: cmp.Or(map[trouble.Kind]string{trouble.Overrun: "budget", trouble.Drift: "budget", trouble.Unpriced: "model", trouble.Usage: "model"}[s.Kind], "what"), Value: s.Subject})
		}
		switch {
		case s.Kind == trouble.Overrun:
			a.Facts = append(a.Facts, channel.Fact{Name: "amount", Value: money(s.Amount)})
		case s.Kind == trouble.Drift && l != nil:
			a.Facts = append(a.Facts, channel.Fact{Name: "unit", Value: l.Budget.Unit.String()}, channel.Fact{Name: "amount", Value: amount(l.Budget.Unit, s.Amount)})
		}
		out = append(out, a)
	}
	return out
}
