package alert

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

func TestWhatMustNotHappenIsSaidWithoutAThreshold(t *testing.T) {
	c := open(t, spending("500 USD"))
	id := slices.Collect(c.state.Table.All())[0].Budget.ID
	now := noon().Add(30 * time.Minute)
	log := &trouble.Log{Now: func() time.Time { return now }}
	w := c.watcher()
	w.Trouble = log
	c.look(w, now)
	log.Note(trouble.What{Kind: trouble.Overrun, Organization: "acme", Subject: id}, 1_500_000_000)
	log.Note(trouble.What{Kind: trouble.Overrun, Organization: "acme", Subject: id}, 500_000_000)
	log.Stand(trouble.What{Kind: trouble.Drift, Organization: "acme", Subject: id}, -7)
	log.Stand(trouble.What{Kind: trouble.Drift, Organization: "acme", Subject: id}, -2_000_000_000)
	log.Stand(trouble.What{Kind: trouble.Drift, Organization: "acme", Subject: "gone"}, 3)
	log.Note(trouble.What{Kind: trouble.Unpriced, Subject: "eu/new"}, 1)
	log.Note(trouble.What{Kind: trouble.Epoch, Organization: "acme"}, 1)
	log.Note(trouble.What{Kind: trouble.Degraded, Organization: "acme", Subject: "admitted by local"}, 1)
	log.Note(trouble.What{Kind: trouble.Disk, Subject: "full"}, 1)
	log.Note(trouble.What{Kind: trouble.Lost, Subject: "lost"}, 12)
	log.Stand(trouble.What{Kind: trouble.Overdue}, 4)
	log.Note(trouble.What{Kind: trouble.Armless, Subject: "better/new: support@7"}, 1)
	for range 2 { // which may be learnt from
		log.Note(trouble.What{Kind: trouble.Usage, Subject: "eu/odd"}, 1)
	}
	for range 1000 {
		log.Rate(trouble.Expired, false)
		log.Rate(trouble.Slow, false)
	}
	log.Bad(trouble.Expired, 1) // one in a thousand
	log.Bad(trouble.Slow, 10)   // one in a hundred
	all := []string{
		`fault critical: 12 records of the ledger are lost`,
		`fault critical: 2.00 USD were charged beyond what was reserved of team "core"'s limit of 500.00 USD per month`,
		`fault critical: the journal cannot be written: full`,
		`fault warning: no price is known for eu/new: its use is not in the costs`,
		`fault warning: requests are answered without the arm better/new: support@7`,
		`fault warning: requests were admitted by local while the store of quotas was away`,
		`fault warning: the counter of team "core"'s limit of 500.00 USD per month has 2.00 USD less than the ledger`,
		`fault warning: the counter of the limit gone has 3 more than the ledger`,
		`fault warning: the ledger lacks 4 records of exchanges that ended over five minutes ago`,
		`fault warning: the store of quotas lost its counters, or failed over`,
	}
	c.look(w, now, all...)
	c.look(w, now.Add(time.Minute)) // once
	other := c.watcher()            // a replica that found the same
	other.Trouble = log
	c.look(other, now.Add(time.Minute))

	log.Bad(trouble.Expired, 1)
	log.Bad(trouble.Slow, 1)
	log.Note(trouble.What{Kind: trouble.Usage, Subject: "eu/odd"}, 1)
	c.look(w, now.Add(time.Minute),
		`fault warning: 2 of 1000 exchanges were charged whole, because nobody told how they ended`,
		`fault warning: eu/odd counts prompts far otherwise than we do`,
		`fault warning: the journal's disk is slow: 11 of 1000 syncs took over 100 ms`,
	)

	now = now.Add(time.Hour)
	log.Note(trouble.What{Kind: trouble.Unpriced, Subject: "eu/new"}, 1) // once a day
	log.Note(trouble.What{Kind: trouble.Epoch, Organization: "acme"}, 1) // once an hour
	c.look(w, now, `fault warning: the store of quotas lost its counters, or failed over`)
	now = now.Add(24 * time.Hour)
	log.Note(trouble.What{Kind: trouble.Unpriced, Subject: "eu/new"}, 1)
	c.look(w, now, `fault warning: no price is known for eu/new: its use is not in the costs`)
}

func TestEveryKindOfTroubleIsTold(t *testing.T) {
	known := faults()
	for _, k := range []trouble.Kind{
		trouble.Overrun, trouble.Drift, trouble.Expired, trouble.Unpriced, trouble.Usage, trouble.Epoch, trouble.Degraded, trouble.Slow, trouble.Disk, trouble.Lost, trouble.Overdue, trouble.Armless,
	} {
		if f, ok := known[k]; !ok || f.text == "" || severity(f.severity) < 0 || f.often <= 0 || f.say(&trouble.Seen{What: trouble.What{Kind: k, Subject: "x"}}, nil) == "" {
			t.Errorf("%s is %+v", k, known[k])
		}
		delete(known, k)
	}
	if len(known) > 0 {
		t.Errorf("also known are %v", known)
	}
}

func TestAFaultThatNoRuleFitsGoesToEveryChannel(t *testing.T) {
	c := open(t, spending("500 USD"))
	other := serve(t)
	c.state.Settings.Channels = append(c.state.Settings.Channels, channel.Settings{Name: "other", Webhook: channel.Webhook{URL: other.URL}})
	c.state.Settings.Rules = []Rule{{On: []string{"threshold"}, Channels: []string{"hook"}}}
	w := c.watcher()
	w.Trouble = &trouble.Log{Now: noon}
	w.Trouble.Note(trouble.What{Kind: trouble.Disk, Subject: "full"}, 1)
	want := `fault critical: the journal cannot be written: full`
	c.look(w, noon(), want)
	if got := other.took(); !slices.Equal(got, []string{want}) {
		t.Errorf("the other got %v", got)
	}
	c.state.Settings.Rules = append(c.state.Settings.Rules, Rule{On: []string{"fault"}, Channels: []string{"other"}})
	w.Trouble.Note(trouble.What{Kind: trouble.Disk, Subject: "sync"}, 1)
	c.look(w, noon())
	if got := other.took(); len(got) != 1 {
		t.Errorf("the other got %v", got)
	}
}

// counters are those of limits, all the same.
type counters struct {
	quota.Counter
	err error
}

func (c *counters) Peek(_ context.Context, organization string, of []*quota.Budget) ([]quota.Counter, error) {
	if organization != "acme" {
		return nil, errors.New("another organization's")
	}
	out := make([]quota.Counter, len(of))
	for i := range out {
		out[i] = c.Counter
	}
	return out, c.err
}

func TestThresholdsSeeWhatRunningRequestsReserve(t *testing.T) {
	c := open(t, spending("100 USD", "50%", "80%", "100%"))
	begin := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	w := c.watcher()
	from := &counters{Counter: quota.Counter{Known: true, Start: begin.UnixMilli(), Used: 30e9, Reserved: 19e9}}
	w.Counters = from
	c.spend(noon(), []float64{30})
	c.look(w, noon())
	from.Reserved = 20e9
	c.look(w, noon(), `threshold info: team "core" has used or reserved 50% of its limit of 100.00 USD per month`)
	from.Used = 61e9 // whose records are on their way
	c.look(w, noon(), `threshold warning: team "core" has used or reserved 81% of its limit of 100.00 USD per month`)
	from.err = errors.New("away")
	c.look(c.watcher(), noon())
	from.err = nil
	from.Reserved = 200e9
	next := begin.AddDate(0, 1, 0)
	c.look(w, next.Add(time.Second), // its reservations are the new month's, and the old one's use alone is no news
		`threshold critical: team "core" has used or reserved 200% of its limit of 100.00 USD per month`)
}
