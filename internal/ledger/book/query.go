// Package book is what every store of the ledger must do (Store), and what it keeps beside the records: their sums by
// minute, hour and day, for each series of who used what where. It has no database; sqlite and postgres do.
package book

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Store keeps records. All methods may be called at once.
type Store interface {
	// Write adds the records that are not there yet, and what they add to the rollups, in one transaction; it
	// returns how many were new. The records are Normalized. An error that Is ErrRejected says that the store
	// works and will never take these records; after any other the same may be tried again.
	Write(ctx context.Context, records []*ledger.Record) (added int, err error)
	// Records calls f for the records that fit, in the order of ledger.Record.Compare, until f returns an error.
	Records(ctx context.Context, q Filter, f func(*ledger.Record) error) error
	// Usage adds up what fits, in the order of start and group.
	Usage(ctx context.Context, q Query) ([]Row, error)
	// Prune removes what is older than a retention allows. It may take long, and goes by small steps.
	Prune(ctx context.Context, keep Retention, now time.Time) error
	Close() error
}

// ErrRejected is a record that the store will never take, such as one with an impossible number.
var ErrRejected = errors.New("the ledger's database refuses the record")

// Retention is how long what is kept. 0: for ever.
type Retention struct {
	Records, Minutes, Hours, Days time.Duration
}

// Filter is which records or rollups are meant.
type Filter struct {
	From, Until time.Time // [From, Until) of the exchanges' admission
	Where       []Where   // all must hold
	// Own takes what the gateway sent by itself, too, such as shadows. Otherwise it is left out, unless Where asks for
	// organizations.
	Own bool
	// Request is the x-request-id of an exchange; "": any. Sums do not go by it.
	Request string
}

// Where is one condition: a dimension has one of the values. "" is a value too: none of that kind.
type Where struct {
	Dimension string
	Values    []string
}

// Query asks for sums.
type Query struct {
	Filter
	By    []string // dimensions: a row for each combination of their values
	Every Period   // a row for each period beside; 0: one for the whole time
	Limit int      // most rows; 0: a million
}

// Row is the sums of one group.
type Row struct {
	Start time.Time // of the period; zero where the query asks for none
	Group []string  // values of Query.By
	Sums  Sums
}

// dimensions are what may be asked by, beside tag:NAME.
var dimensions = []string{"organization", "team", "project", "key", "end_user", "route", "provider", "model", "region"}

// Dimensions returns the names that a query may group and choose by, beside tag:NAME.
func Dimensions() []string { return slices.Clone(dimensions) }

// Tag returns the name of the tag that a dimension is. The template that exchanges are made of is one.
func Tag(dimension string) (name string, ok bool) {
	if dimension == "template" {
		return dimension, true
	}
	return strings.CutPrefix(dimension, "tag:")
}

// Check says what is wrong with a filter.
func (f *Filter) Check() error {
	if f.From.IsZero() || f.Until.IsZero() || !f.From.Before(f.Until) {
		return errors.New("the time is empty: it begins at or after its end")
	}
	for _, w := range f.Where {
		if err := checkDimension(w.Dimension); err != nil {
			return err
		}
		if len(w.Values) == 0 || len(w.Values) > 1000 {
			return fmt.Errorf("%s has %d values; possible are 1 to 1000", w.Dimension, len(w.Values))
		}
	}
	return nil
}

// Check says what is wrong with a query.
func (q *Query) Check() error {
	if err := q.Filter.Check(); err != nil {
		return err
	}
	for i, d := range q.By {
		if err := checkDimension(d); err != nil {
			return err
		}
		if slices.Contains(q.By[:i], d) {
			return fmt.Errorf("%s is named twice", d)
		}
	}
	if q.Every != 0 && !slices.Contains([]Period{Minute, Hour, Day}, q.Every) {
		return errors.New("a period is a minute, an hour or a day")
	}
	if len(q.By) > 16 || q.Limit < 0 {
		return errors.New("at most 16 dimensions, and no limit below 0")
	}
	return nil
}

func checkDimension(d string) error {
	if tag, ok := Tag(d); ok {
		if tag == "" || len(tag) > 256 || strings.ContainsAny(tag, `"\`) || strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r == 0x7f }) || !utf8.ValidString(tag) {
			return fmt.Errorf("%q is no name of a tag", tag)
		}
		return nil
	}
	if !slices.Contains(dimensions, d) {
		return fmt.Errorf("unknown dimension %q; possible: %s, template, tag:NAME", d, strings.Join(dimensions, ", "))
	}
	return nil
}

// Piece is a stretch of time that rollups of one period cover whole.
type Piece struct {
	Period      Period
	From, Until int64 // Unix seconds
}

// Pieces parts the query's time into the longest periods that it may use, so that a month is read by its days.
// A time that is not at a whole minute is widened to one; and unless minutes are asked for, one in an hour whose minutes are no
// longer kept to the hour. minutes is since when there are sums by the minute, in Unix seconds.
func (q *Query) Pieces(minutes int64) []Piece {
	from, until := Minute.Start(q.From), Minute.Start(q.Until.Add(time.Minute-1))
	longest := q.Every
	if longest == 0 {
		longest = Day
	}
	all := pieces(from, until, longest)
	if longest == Minute {
		return all
	}
	const hour = 3600
	for i := range all { // such a piece lies at an end of the time, beside whole hours
		if p := &all[i]; p.Period == Minute && p.From < minutes {
			*p = Piece{Hour, p.From - p.From%hour, p.Until + (hour-p.Until%hour)%hour}
		}
	}
	return all
}

func pieces(from, until time.Time, p Period) []Piece {
	if !from.Before(until) {
		return nil
	}
	if p == Minute {
		return []Piece{{p, from.Unix(), until.Unix()}}
	}
	shorter := Hour
	if p == Hour {
		shorter = Minute
	}
	begin, end := p.Start(from.Add(p.Length()-1)), p.Start(until)
	if !begin.Before(end) {
		return pieces(from, until, shorter)
	}
	out := pieces(from, begin, shorter)
	out = append(out, Piece{p, begin.Unix(), end.Unix()})
	return append(out, pieces(end, until, shorter)...)
}

// PerThousand returns the cost of a thousand tokens, input and output together; ok is false where there are none.
func (s *Sums) PerThousand() (n ledger.Nano, ok bool) { return over(s.Cost, s.Input+s.Output, 1000) }

// PerExchange returns the cost of an exchange; ok is false where there are none.
func (s *Sums) PerExchange() (n ledger.Nano, ok bool) { return over(s.Cost, s.Exchanges, 1) }

// over returns n·times/by, rounded to the nearest.
func over(n ledger.Nano, by, times int64) (ledger.Nano, bool) {
	if by <= 0 {
		return 0, false
	}
	whole, rest := int64(n)/by, int64(n)%by
	half := by / 2
	if rest < 0 {
		half = -half
	}
	return ledger.Nano(whole*times + (rest*times+half)/by), true
}
