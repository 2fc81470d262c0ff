package ledgertest

import (
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// widening asks for times that begin or end within an hour whose minutes are gone: that hour counts whole, and is not missing.
func widening(t *testing.T, s book.Store) {
	const day = 24 * time.Hour
	hour := Noon().Add(-4 * day)
	Write(t, s, Make("before", hour.Add(-10*time.Minute)), Make("early", hour.Add(10*time.Minute)), Make("late", hour.Add(50*time.Minute)), Make("new", Noon()))
	half := hour.Add(30 * time.Minute)
	times := map[string]struct {
		from, until time.Time
		exact, wide int64
	}{
		"begins in it":      {half, hour.Add(day), 1, 2},
		"ends in it":        {hour, half, 1, 2},
		"lies in it":        {hour.Add(5 * time.Minute), half, 1, 2},
		"is within two":     {hour.Add(-5 * time.Minute), half, 1, 3},
		"lies behind it":    {hour.Add(time.Hour), hour.Add(90 * time.Minute), 0, 0},
		"has minutes still": {Noon().Add(-time.Minute), Noon().Add(time.Minute), 1, 1},
		"is behind all":     {Noon().Add(time.Minute), Noon().Add(2 * time.Minute), 0, 0},
	}
	for name, c := range times {
		if n := exchanges(t, s, c.from, c.until, book.Hour); n != c.exact {
			t.Errorf("a time that %s has %d exchanges, want %d", name, n, c.exact)
		}
	}
	if err := s.Prune(t.Context(), book.Retention{Minutes: 2 * day}, Noon().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for name, c := range times {
		for _, every := range []book.Period{0, book.Hour, book.Day} {
			if n := exchanges(t, s, c.from, c.until, every); n != c.wide {
				t.Errorf("a time that %s has %d exchanges by the hour, want %d", name, n, c.wide)
			}
		}
	}
	if n := exchanges(t, s, half, hour.Add(time.Hour), book.Minute); n != 0 {
		t.Errorf("%d exchanges are in minutes that are gone", n)
	}
}
