package book

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Period is the length of a rollup.
type Period byte

// Periods. All begin at whole minutes, hours and days of UTC.
const (
	Minute Period = 'm'
	Hour   Period = 'h'
	Day    Period = 'd'
)

// Length returns the period's length.
func (p Period) Length() time.Duration {
	switch p {
	case Day:
		return 24 * time.Hour
	case Hour:
		return time.Hour
	}
	return time.Minute
}

// Start returns the start of the period that a time is in.
func (p Period) Start(t time.Time) time.Time { return t.UTC().Truncate(p.Length()) }

// Series is what rollups are kept apart by: who used what, where. Model and Provider are those of an attempt; of
// an exchange without one, Model is what was asked for, and other where no route took that: it may be any text.
type Series struct {
	Organization, Team, Project, Key, User string
	Route, Provider, Model, Region         string
	Tags                                   string // canonical JSON object; "" without tags
}

// ID is a number that stands for the series: 63 bits of its SHA-256, so that it is the same in every replica.
func (s *Series) ID() int64 {
	buf := make([]byte, 0, 256)
	for _, v := range [...]string{s.Organization, s.Team, s.Project, s.Key, s.User, s.Route, s.Provider, s.Model, s.Region, s.Tags} {
		buf = binary.AppendUvarint(buf, uint64(len(v)))
		buf = append(buf, v...)
	}
	sum := sha256.Sum256(buf)
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1)
}

// other stands for the models that no route took.
const other = "other"

// Sums are what rollups add up. Tokens are those of all attempts, exchanges count once, at their last one.
type Sums struct {
	Exchanges int64       `json:"exchanges"`
	Failed    int64       `json:"failed"` // exchanges that ended neither ok, cached nor by the client's leaving
	Attempts  int64       `json:"attempts"`
	Input     int64       `json:"input"`  // tokens of prompts, Cached and Written included
	Cached    int64       `json:"cached"` // read from prompt caches
	Written   int64       `json:"written"`
	Output    int64       `json:"output"` // tokens of answers, Reasoning included
	Reasoning int64       `json:"reasoning"`
	Searches  int64       `json:"searches"`
	Cost      ledger.Nano `json:"cost"`
	List      ledger.Nano `json:"list"`
	Saved     ledger.Nano `json:"saved"`
	Unpriced  int64       `json:"unpriced"`  // attempts of which a price is not known
	Estimated int64       `json:"estimated"` // attempts whose units are not the provider's own
	Took      int64       `json:"took_ms"`   // of all exchanges together
}

// Fields returns the sums in their order, for stores.
func (s *Sums) Fields() [15]*int64 {
	return [15]*int64{
		&s.Exchanges, &s.Failed, &s.Attempts, &s.Input, &s.Cached, &s.Written, &s.Output, &s.Reasoning, &s.Searches,
		(*int64)(&s.Cost), (*int64)(&s.List), (*int64)(&s.Saved), &s.Unpriced, &s.Estimated, &s.Took,
	}
}

// Columns are the names of Fields, in stores and in what is exported.
func Columns() [15]string {
	return [15]string{"exchanges", "failed", "attempts", "input", "cached", "written", "output", "reasoning", "searches", "cost", "list", "saved", "unpriced", "estimated", "took_ms"}
}

// Add adds o.
func (s *Sums) Add(o *Sums) {
	to, from := s.Fields(), o.Fields()
	for i := range to {
		*to[i] += *from[i]
	}
}

// Part is what a record adds to one series.
type Part struct {
	Series Series
	Sums   Sums
}

// Parts returns what a record adds to which series.
func Parts(r *ledger.Record) []Part {
	base := Series{
		Organization: r.Organization, Team: r.Who.Team, Project: r.Who.Project, Key: r.Who.Key, User: r.Who.User, Route: r.Asked.Route,
		Model: r.Asked.Model, Tags: ledger.Canonical(r.Tags),
	}
	if r.Result.Status == ledger.Refused && r.Asked.Route == "" && base.Model != "" {
		base.Model = other
	}
	whole := Sums{}
	if r.Sequence == 0 {
		whole.Exchanges, whole.Took = 1, int64(r.Result.Took)
		switch r.Result.Status {
		case ledger.OK, ledger.Cached, ledger.Replayed, ledger.ClientAbort:
		default:
			whole.Failed = 1
		}
	}
	if len(r.Attempts) == 0 {
		whole.Cost, whole.List, whole.Saved = r.Money.Cost, r.Money.List, r.Money.Saved
		return []Part{{base, whole}}
	}
	parts := make([]Part, 0, len(r.Attempts)+1)
	rest := Sums{Cost: r.Money.Cost, List: r.Money.List, Saved: r.Money.Saved} // what no attempt stands for
	for i := range r.Attempts {
		a := &r.Attempts[i]
		s := base
		s.Provider, s.Model, s.Region = a.Provider, a.Model, a.Region
		u := a.Units
		p := Part{s, Sums{
			Input: u.Prompt(), Cached: u.Read(), Written: u.Written(), Output: u.Answer(), Reasoning: u[price.Reasoning],
			Searches: u.Searches(),
			Cost:     a.Bill.Cost, List: a.Bill.List, Saved: a.Bill.Saved,
		}}
		p.Sums.Unpriced = a.Unpriced()
		if r.Sequence == 0 {
			p.Sums.Attempts = 1
			p.Sums.Estimated = count(!a.Exact)
		}
		if i == len(r.Attempts)-1 {
			p.Sums.Add(&whole)
		}
		parts = append(parts, p)
		rest.Cost, rest.List, rest.Saved = rest.Cost-a.Bill.Cost, rest.List-a.Bill.List, rest.Saved-a.Bill.Saved
	}
	if rest != (Sums{}) {
		parts = append(parts, Part{base, rest})
	}
	return parts
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Rollup is the sums of one series in one period.
type Rollup struct {
	Period Period
	Start  int64 // Unix seconds
	ID     int64 // of the series
	Sums   Sums
}

// Identified is a series with its id.
type Identified struct {
	ID int64
	Series
}

// Gather adds up what records bring, in the order in which every store writes it: two writers that lock rows in
// one order cannot block each other. The series are in the order of their ids.
func Gather(records []*ledger.Record) (rollups []Rollup, series []Identified) {
	type at struct {
		period    Period
		start, id int64
	}
	sums, known := map[at]*Sums{}, map[int64]bool{}
	add := func(k at, s *Sums) {
		if sums[k] == nil {
			sums[k] = new(Sums)
		}
		sums[k].Add(s)
	}
	for _, r := range records {
		start := Minute.Start(r.At).Unix()
		for _, p := range Parts(r) {
			if p.Sums == (Sums{}) { // as of what clients say of answers
				continue
			}
			id := p.Series.ID()
			if !known[id] {
				known[id] = true
				series = append(series, Identified{id, p.Series})
			}
			add(at{Minute, start, id}, &p.Sums)
		}
	}
	for k, s := range maps.Clone(sums) { // hours and days are sums of minutes
		for _, period := range [...]Period{Hour, Day} {
			add(at{period, period.Start(time.Unix(k.start, 0)).Unix(), k.id}, s)
		}
	}
	for k, s := range sums {
		rollups = append(rollups, Rollup{k.period, k.start, k.id, *s})
	}
	slices.SortFunc(rollups, func(a, b Rollup) int {
		return cmp.Or(cmp.Compare(a.Period, b.Period), cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(series, func(a, b Identified) int { return cmp.Compare(a.ID, b.ID) })
	return rollups, series
}
