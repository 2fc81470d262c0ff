package spend

import (
	"slices"
	"time"
)

// Anomaly is an hour that is out of the ordinary.
type Anomaly struct {
	Start time.Time
	Used  int64
	Usual int64 // the median of the hour of the week
	Most  int64 // what would still have been ordinary
}

// ordinary is the share of hours that are no anomaly, whatever they are.
const ordinary = .995

// Anomaly looks at the hour that begins at a time: whether it is above the 99.5th percentile of its hour of the week,
// and above twice the median. An hour of the week has four values at most, too few for that percentile: it is that of
// all hours relative to the median of theirs, and no value that the hour of the week has had is above it. least is what
// an hour has at least that anybody wants to know of. Of less than two weeks nothing is said.
func (s *Series) Anomaly(start time.Time, least int64) (Anomaly, bool) {
	start = start.UTC().Truncate(time.Hour)
	i := hourOf(start) - s.first
	if i < 0 || i >= int64(len(s.used)) {
		return Anomaly{}, false
	}
	a := Anomaly{Start: start, Used: s.used[i]}
	past, _ := s.known(start)
	if a.Used < max(least, 1) || len(past) < 2*week {
		return a, false
	}
	medians, largest := columns(past)
	at := len(past) % week // the column that comes next
	var ratios []float64
	busy := sum(medians) / week
	for j, u := range past {
		ratios = append(ratios, u/(others(past, j)+busy/4+1))
	}
	slices.Sort(ratios)
	most := quantile(ratios, ordinary) * (medians[at] + busy/4 + 1)
	most = max(most, largest[at], 2*medians[at])
	if busy == 0 { // most hours have none: all count alike
		most = max(most, quantile(slices.Sorted(slices.Values(past)), ordinary))
	}
	a.Usual, a.Most = whole(medians[at]), whole(most)
	return a, a.Used > a.Most
}

// columns returns median and largest value by the hour of the week, counted from the first of the past.
func columns(past []float64) (medians, largest []float64) {
	medians, largest = make([]float64, week), make([]float64, week)
	for h := range medians {
		var column []float64
		for i := h; i < len(past); i += week {
			column = append(column, past[i])
			largest[h] = max(largest[h], past[i])
		}
		medians[h] = median(column)
	}
	return medians, largest
}

// others returns the median of an hour of the week without the value at i: one that counts itself is never far off.
func others(past []float64, i int) float64 {
	var column []float64
	for j := i % week; j < len(past); j += week {
		if j != i {
			column = append(column, past[j])
		}
	}
	return median(column)
}

// Severity is how soon somebody should look.
type Severity uint8

// Severities, by rising urgency.
const (
	None Severity = iota
	Info
	Warn
	Page
)

// String returns the severity's word.
func (s Severity) String() string {
	return [...]string{"none", "info", "warning", "critical"}[min(s, Page)]
}

// Burn is how fast a limit is used, in percent of the pace that uses it up exactly at the end of its window.
type Burn struct {
	Hour, Six int64 // over the last hour, and the last six
}

// BurnOf compares what was used in the last hour and the last six with the even pace of a window of a length.
func BurnOf(hour, six, limit int64, length time.Duration) Burn {
	if limit <= 0 || length < time.Hour {
		return Burn{}
	}
	pace := float64(limit) * float64(time.Hour) / float64(length)
	return Burn{Hour: whole(100 * float64(hour) / pace), Six: whole(100 * float64(six) / 6 / pace)}
}

// Severity says how soon somebody should look: both over 10 times the pace is for now, both over 3 times for today. One of them alone is a short burst, or
// one that is over.
func (b Burn) Severity() Severity {
	switch both := min(b.Hour, b.Six); {
	case both > 1000:
		return Page
	case both > 300:
		return Warn
	}
	return None
}
