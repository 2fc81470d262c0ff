// Package forecast looks ahead from what a ledger has: what each group will have used at the end of the day, week or month that
// runs. How that is reckoned is internal/spend's; it keeps nothing, and warns nobody (internal/alert does).
package forecast

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/spend"
)

// Ask is what is looked ahead to.
type Ask struct {
	Where []book.Where
	By    []string // dimensions: a row for each combination of their values
	Per   window.Kind
	Zone  *time.Location
	Unit  quota.Unit
	Limit int64     // in the unit; 0: none
	Now   time.Time // what was known then counts
}

// Row is the forecast of one group. Amounts are in the unit that was asked for.
type Row struct {
	Group []string
	Used  int64 // since the window began
	spend.Forecast
}

// Per returns the window of a word: day, week or month.
func Per(word string) (window.Kind, error) {
	switch word {
	case "day":
		return window.Day, nil
	case "week":
		return window.Week, nil
	case "month":
		return window.Month, nil
	}
	return 0, fmt.Errorf("%q is neither day nor week nor month", word)
}

// Unit returns the unit of a word: money, requests, tokens, input_tokens or output_tokens.
func Unit(word string) (quota.Unit, error) {
	for u := quota.Requests; u <= quota.Money; u++ {
		if u.String() == word {
			return u, nil
		}
	}
	return 0, fmt.Errorf("%q is none of money, requests, tokens, input_tokens and output_tokens", word)
}

// piece is how much of the past is asked for at once, since an answer has a most of rows; the past is whole pieces.
const piece = 24 * time.Hour

// Of makes a forecast for each group that used anything in the last weeks or in the window, in the order of groups.
func Of(ctx context.Context, store alert.Reader, a Ask) ([]Row, error) {
	b := window.Window{Kind: a.Per, Zone: a.Zone}.Bounds(a.Now, 0)
	from := time.UnixMilli(b.A).UTC()
	ask := spend.Ask{Now: a.Now, Until: time.UnixMilli(b.B).UTC(), Limit: a.Limit}
	end := a.Now.UTC().Truncate(time.Hour)
	series, used, groups := map[string]*spend.Series{}, map[string]int64{}, map[string][]string{}
	for at := end.Add(-spend.Reach); at.Before(end); at = at.Add(piece) {
		hours, err := alert.Usage(ctx, store, a.Unit, book.Query{Filter: book.Filter{From: at, Until: at.Add(piece), Where: a.Where}, By: a.By, Every: book.Hour})
		if err != nil {
			return nil, err
		}
		for i := range hours {
			key := strings.Join(hours[i].Group, "\x00")
			if series[key] == nil {
				series[key] = spend.NewSeries(end.Add(-spend.Reach), end)
			}
			series[key].Set(hours[i].Start, alert.Used(a.Unit, &hours[i].Sums))
			groups[key] = hours[i].Group
		}
	}
	var spent []book.Row
	if from.Before(a.Now) {
		var err error
		if spent, err = alert.Usage(ctx, store, a.Unit, book.Query{Filter: book.Filter{From: from, Until: a.Now, Where: a.Where}, By: a.By}); err != nil {
			return nil, err
		}
	}
	for i := range spent {
		key := strings.Join(spent[i].Group, "\x00")
		used[key], groups[key] = alert.Used(a.Unit, &spent[i].Sums), spent[i].Group
	}
	var out []Row
	for key, group := range groups {
		s := series[key]
		if s == nil {
			s = spend.NewSeries(end, end)
		}
		ask.Used = used[key]
		out = append(out, Row{group, ask.Used, s.Forecast(ask)})
	}
	slices.SortFunc(out, func(a, b Row) int { return slices.Compare(a.Group, b.Group) })
	return out, nil
}
