package forecast_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/forecast"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// TestEvenUseGoesOn has a team that uses the same every hour, and one that began this month.
func TestEvenUseGoesOn(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2026, 8, 16, 12, 0, 0, 0, time.UTC)
	var all []*ledger.Record
	for h := 1; h <= 5*7*24; h++ {
		at := now.Add(-time.Duration(h) * time.Hour)
		of := func(team string) *ledger.Record {
			return ledgertest.Make(team+at.String(), at, func(r *ledger.Record) { r.Who.Team = team })
		}
		if all = append(all, of("core")); h <= 24 {
			all = append(all, of("new"))
		}
	}
	ledgertest.Write(t, s, all...)
	const hour = 12_500_000
	a := forecast.Ask{By: []string{"team"}, Per: window.Month, Zone: time.UTC, Unit: quota.Money, Now: now, Limit: 500 * hour}
	rows, err := forecast.Of(t.Context(), s, a)
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	core, other := rows[0], rows[1]
	const past, month = 15*24 + 12, 31 * 24
	if !slices.Equal(core.Group, []string{"core"}) || core.Used != past*hour || core.Linear || core.P50 < month*hour*98/100 || core.P50 > month*hour*102/100 || core.P10 > core.P50 || core.P90 < core.P50 {
		t.Errorf("core: %+v", core)
	}
	if want := now.Add((500 - past) * time.Hour); core.Reached.Sub(want).Abs() > 2*time.Hour {
		t.Errorf("reached %v, want %v", core.Reached, want)
	}
	if !slices.Equal(other.Group, []string{"new"}) || other.Used != 24*hour {
		t.Errorf("new: %+v", other)
	}
	a.Unit, a.Where, a.Limit = quota.Requests, []book.Where{{Dimension: "team", Values: []string{"new"}}}, 0
	if rows, err = forecast.Of(t.Context(), s, a); err != nil || len(rows) != 1 || rows[0].Used != 24 || !rows[0].Reached.IsZero() {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestWordsAreRead(t *testing.T) {
	for word, want := range map[string]window.Kind{"day": window.Day, "week": window.Week, "month": window.Month} {
		if got, err := forecast.Per(word); got != want || err != nil {
			t.Errorf("%s: %v, %v", word, got, err)
		}
	}
	for word, want := range map[string]quota.Unit{"money": quota.Money, "requests": quota.Requests, "tokens": quota.Tokens, "input_tokens": quota.TokensIn, "output_tokens": quota.TokensOut} {
		if got, err := forecast.Unit(word); got != want || err != nil {
			t.Errorf("%s: %v, %v", word, got, err)
		}
	}
	_, per := forecast.Per("year")
	_, unit := forecast.Unit("parallel")
	if per == nil || unit == nil {
		t.Error("other words are taken")
	}
}

type broken struct{}

func (broken) Usage(context.Context, book.Query) ([]book.Row, error) { return nil, errors.New("away") }

func TestALedgerThatIsAwayIsAnError(t *testing.T) {
	if rows, err := forecast.Of(t.Context(), broken{}, forecast.Ask{Per: window.Day, Zone: time.UTC, Now: time.Now()}); err == nil {
		t.Errorf("got %v", rows)
	}
}

// bounded is a ledger that gives so many rows at once, as the admin API does and as every store has a most.
type bounded struct {
	groups, most int
}

func (b bounded) Usage(_ context.Context, q book.Query) ([]book.Row, error) {
	from, step := q.From, q.Until.Sub(q.From)
	if q.Every != 0 {
		step = q.Every.Length()
	}
	var rows []book.Row
	for ; from.Before(q.Until); from = from.Add(step) {
		for n := range b.groups {
			if len(rows) == b.most {
				return nil, errors.New("too many rows")
			}
			rows = append(rows, book.Row{Start: from, Group: []string{strconv.Itoa(n), "p"}, Sums: book.Sums{Exchanges: 1}})
		}
	}
	return rows, nil
}

// TestManyGroupsAreReadPieceByPiece: four weeks of a few hundred keys are more hours than a ledger tells at once.
func TestManyGroupsAreReadPieceByPiece(t *testing.T) {
	now := time.Date(2026, 8, 16, 12, 30, 0, 0, time.UTC)
	rows, err := forecast.Of(t.Context(), bounded{groups: 300, most: 10_000}, forecast.Ask{By: []string{"key"}, Per: window.Day, Zone: time.UTC, Unit: quota.Requests, Now: now})
	if err != nil || len(rows) != 300 {
		t.Fatal(len(rows), err)
	}
	for _, r := range rows {
		if r.Linear || r.P50 < 11 || r.P50 > 14 { // one each hour of the last four weeks
			t.Fatalf("got %+v", r)
		}
	}
}
