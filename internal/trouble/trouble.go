// Package trouble keeps what must not happen in a service, until somebody has been told: overrun limits, counters that
// drift, unknown prices, and whatever else nobody should have to set a threshold for.
//
//	whoever finds it ─ Note, Rate ─► Log ─ Since ─► internal/alert
//
// It is counted by the hour, for each of what it is about, and forgotten after a day. It judges nothing and tells nobody.
package trouble

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Kind is what happened.
type Kind string

// Kinds. Of Expired and Slow the share of all that happened counts, see Rate.
const (
	Overrun  Kind = "overrun"  // nano-USD were charged beyond what a hard limit had reserved; subject: the budget
	Drift    Kind = "drift"    // a counter is not as the ledger has it; subject: the budget, amount: by how much
	Expired  Kind = "expired"  // of the exchanges that ended: charged whole, because nobody told how they ended
	Unpriced Kind = "unpriced" // a price is unknown; subject: provider/model
	Usage    Kind = "usage"    // a provider's count of a prompt is less than half, or more than twice, of ours; subject: provider/model
	Epoch    Kind = "epoch"    // the store of quotas lost its counters, or failed over
	Degraded Kind = "degraded" // decided without the store of quotas; subject: policy and result
	Slow     Kind = "slow"     // of the syncs of the journal: took longer than it should
	Disk     Kind = "disk"     // the journal's disk fails; subject: why
	Lost     Kind = "lost"     // records of the ledger are lost, or refused by its store
	Armless  Kind = "armless"  // requests were answered without an arm whose version of a template could not be made; subject: the arm, and the version
	Overdue  Kind = "overdue"  // the ledger lacks records of what ended long ago; amount: how many
)

// What is what happened to whom.
type What struct {
	Kind
	Organization string // "": nobody's in particular
	Subject      string // what it is about; "": there is nothing to tell
}

// Seen is what happened in an hour.
type Seen struct {
	What
	Hour   time.Time // its begin
	Count  int64     // how often
	Amount int64     // of all together
	All    int64     // of how many; 0: no share counts
}

// Bounds of what is kept.
const (
	kept = 24 * time.Hour
	most = 4096 // things in all hours; what comes beyond is counted under "other"
)

type key struct {
	What
	hour int64
}

type sum struct{ count, amount, all int64 }

// Log keeps it. It is safe for concurrent use; that of nil keeps nothing.
type Log struct {
	Now func() time.Time // nil: time.Now

	mu     sync.Mutex
	sums   map[key]*sum
	oldest int64
}

func (l *Log) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// Note adds something that happened, with an amount in the unit of its kind.
func (l *Log) Note(w What, amount int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(w)
	s.count++
	s.amount += amount
}

// Stand notes how something stands: the amount is the latest one, and not added up.
func (l *Log) Stand(w What, amount int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(w)
	s.count, s.amount = s.count+1, amount
}

// Rate adds something of which only a share may be bad.
func (l *Log) Rate(k Kind, bad bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(What{Kind: k})
	if s.all++; bad {
		s.count++
	}
}

// Bad makes n that were added by Rate as good, or will be, bad ones.
func (l *Log) Bad(k Kind, n int64) {
	if l == nil || n <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at(What{Kind: k}).count += n
}

// at returns the sums of this hour.
func (l *Log) at(w What) *sum {
	hour := l.now().Unix() / 3600
	if l.sums == nil {
		l.sums = map[key]*sum{}
	}
	if old := hour - int64(kept/time.Hour); l.oldest < old {
		for k := range l.sums {
			if k.hour < old {
				delete(l.sums, k)
			}
		}
		l.oldest = old
	}
	s := l.sums[key{w, hour}]
	if s == nil && len(l.sums) >= most {
		w = What{Kind: w.Kind, Subject: "other"}
		s = l.sums[key{w, hour}]
	}
	if s == nil {
		s = &sum{}
		l.sums[key{w, hour}] = s
	}
	return s
}

// Since returns what happened in the hour of a time and later, in the order of hours, kinds and whom.
func (l *Log) Since(t time.Time) (out []Seen) {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, s := range l.sums {
		if k.hour >= t.Unix()/3600 && s.count > 0 {
			out = append(out, Seen{What: k.What, Hour: time.Unix(k.hour*3600, 0).UTC(), Count: s.count, Amount: s.amount, All: s.all})
		}
	}
	slices.SortFunc(out, func(a, b Seen) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Organization, b.Organization), cmp.Compare(a.Subject, b.Subject))
	})
	return out
}
