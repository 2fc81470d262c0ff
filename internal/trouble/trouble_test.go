package trouble_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/trouble"
)

func TestTroubleIsCountedByTheHourAndForgottenAfterADay(t *testing.T) {
	now := time.Date(2026, 8, 20, 12, 59, 0, 0, time.UTC)
	l := &trouble.Log{Now: func() time.Time { return now }}
	over := trouble.What{Kind: trouble.Overrun, Organization: "acme", Subject: "team_money"}
	l.Note(over, 5)
	l.Note(over, 2)
	l.Stand(trouble.What{Kind: trouble.Drift, Subject: "b"}, 7)
	l.Stand(trouble.What{Kind: trouble.Drift, Subject: "b"}, 3)
	l.Rate(trouble.Expired, false)
	l.Rate(trouble.Slow, false)
	l.Rate(trouble.Slow, true)
	l.Bad(trouble.Expired, 1)
	l.Bad(trouble.Expired, 0)
	first := now
	now = now.Add(time.Hour)
	l.Note(over, 1)
	noon := time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)
	want := []trouble.Seen{
		{What: trouble.What{Kind: trouble.Drift, Subject: "b"}, Hour: noon, Count: 2, Amount: 3},
		{What: trouble.What{Kind: trouble.Expired}, Hour: noon, Count: 1, All: 1},
		{What: over, Hour: noon, Count: 2, Amount: 7},
		{What: trouble.What{Kind: trouble.Slow}, Hour: noon, Count: 1, All: 2},
		{What: over, Hour: noon.Add(time.Hour), Count: 1, Amount: 1},
	}
	if d := cmp.Diff(want, l.Since(first)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if d := cmp.Diff(want[4:], l.Since(now)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	now = now.Add(48 * time.Hour)
	l.Note(over, 1)
	if got := l.Since(first); len(got) != 1 || got[0].Amount != 1 {
		t.Errorf("two days later there is still %v", got)
	}
}

func TestTroubleWithManyNamesIsBounded(t *testing.T) {
	l := &trouble.Log{}
	for i := range 10_000 {
		l.Note(trouble.What{Kind: trouble.Unpriced, Subject: fmt.Sprint("model-", i)}, 0)
	}
	n, all := 0, l.Since(time.Now().Add(-time.Hour))
	for _, s := range all {
		n += int(s.Count)
	}
	if len(all) > 5000 || n != 10_000 {
		t.Errorf("%d kinds of %d", len(all), n)
	}
}

func TestNobodyNeedsALog(t *testing.T) {
	var l *trouble.Log
	l.Note(trouble.What{}, 1)
	l.Stand(trouble.What{}, 1)
	l.Rate(trouble.Slow, true)
	l.Bad(trouble.Expired, 1)
	if got := l.Since(time.Time{}); got != nil {
		t.Errorf("got %v", got)
	}
}
