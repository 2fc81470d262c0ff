package spend

import (
	"math/rand/v2"
	"testing"
	"time"
)

func fill(weeks int, f func(t time.Time, h int) int64) (*Series, time.Time) {
	now := monday.Add(time.Duration(weeks*week) * time.Hour)
	s := NewSeries(monday, now)
	for h := range weeks * week {
		at := monday.Add(time.Duration(h) * time.Hour)
		s.Set(at, f(at, h))
	}
	return s, now
}

func TestAnEvenPastGoesOn(t *testing.T) {
	s, now := fill(4, func(time.Time, int) int64 { return 100 })
	got := s.Forecast(Ask{Now: now.Add(30 * time.Minute), Until: now.Add(10 * time.Hour), Used: 7, Limit: 507})
	if want := (Forecast{P10: 957, P50: 957, P90: 957, Reached: now.Add(5*time.Hour + 30*time.Minute), Earliest: now.Add(5*time.Hour + 30*time.Minute)}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSilenceGoesOn(t *testing.T) {
	for _, s := range []*Series{NewSeries(monday, monday), NewSeries(monday, monday.Add(Reach))} {
		now := monday.Add(Reach)
		if got := s.Forecast(Ask{Now: now, Until: now.Add(week * time.Hour), Limit: 10}); got != (Forecast{Linear: true}) {
			t.Errorf("got %+v", got)
		}
	}
	s, now := fill(4, func(_ time.Time, h int) int64 {
		if h < 5 {
			return 100
		}
		return 0
	})
	if got := s.Forecast(Ask{Now: now, Until: now.Add(day * time.Hour), Used: 3}); got.P50 > 20 || got.P10 != 3 {
		t.Errorf("after a start that was never repeated: %+v", got)
	}
}

func TestANewOwnerHasAWideInterval(t *testing.T) {
	now := monday.Add(6 * time.Hour)
	s := NewSeries(monday, now)
	for h := range 6 {
		s.Set(monday.Add(time.Duration(h)*time.Hour), 10)
	}
	got := s.Forecast(Ask{Now: now, Until: now.Add(100 * time.Hour), Used: 60, Limit: 560})
	if want := (Forecast{P10: 346, P50: 1060, P90: 3560, Linear: true, Reached: now.Add(50 * time.Hour), Earliest: got.Earliest}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !got.Earliest.After(now) || !got.Earliest.Before(got.Reached) {
		t.Errorf("earliest %v", got.Earliest)
	}
}

func TestALimitThatIsReachedIsReachedNow(t *testing.T) {
	s, now := fill(4, func(time.Time, int) int64 { return 100 })
	got := s.Forecast(Ask{Now: now, Until: now.Add(time.Hour), Used: 50, Limit: 50})
	if !got.Reached.Equal(now) || !got.Earliest.Equal(now) {
		t.Errorf("got %+v", got)
	}
	got = s.Forecast(Ask{Now: now, Until: now.Add(time.Hour), Used: 50, Limit: 151})
	if !got.Reached.IsZero() {
		t.Errorf("got %+v", got)
	}
}

func TestTheSameHoursGiveTheSameForecast(t *testing.T) {
	make1 := func() Forecast {
		r := rand.New(rand.NewPCG(3, 3))
		s, now := fill(3, func(time.Time, int) int64 { return r.Int64N(1e9) })
		return s.Forecast(Ask{Now: now, Until: now.Add(200 * time.Hour), Limit: 60e9})
	}
	a, b := make1(), make1()
	if a != b || a.P10 >= a.P50 || a.P50 >= a.P90 {
		t.Errorf("%+v and %+v", a, b)
	}
}

func TestAMovedSeriesKeepsItsHours(t *testing.T) {
	s, now := fill(4, func(_ time.Time, h int) int64 { return int64(h) })
	s.Move(now.Add(3 * time.Hour))
	if got, want := len(s.used), Weeks*week+1; got != want {
		t.Fatalf("%d hours, want %d", got, want)
	}
	if s.used[0] != 2 || s.used[len(s.used)-4] != Weeks*week-1 || s.used[len(s.used)-1] != 0 {
		t.Errorf("ends %d, %d, %d", s.used[0], s.used[len(s.used)-4], s.used[len(s.used)-1])
	}
	s.Set(now.Add(-10*Reach), 5)
	s.Set(now.Add(Reach), 5)
	s.Set(now, -5)
	if s.used[len(s.used)-3] != 0 {
		t.Error("a correction below zero counts")
	}
	if s.Idle() || !NewSeries(monday, now).Idle() {
		t.Error("idle")
	}
}

func TestAnomalies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	usual := func(at time.Time, _ int) int64 { return int64(1e9 * office(at) * noise(r, .3)) }
	noon := Reach + 12*time.Hour
	for _, c := range []struct {
		name string
		past func(time.Time, int) int64
		used float64 // in the hour after four weeks and twelve hours: of a busy Monday
		want bool
	}{
		{"ten times as much", usual, 10e9, true},
		{"three times as much", usual, 3.2e9, true},
		{"as usual", usual, 1.2e9, false},
		{"less than twice the median", usual, 1.5e9, false},
		{"a first time after silence", func(time.Time, int) int64 { return 0 }, 10e9, false}, // there is no past
		{"a burst among bursts", func(_ time.Time, h int) int64 {
			if h%40 == 0 {
				return 20e9
			}
			return 0
		}, 19e9, false},
		{"a burst over bursts", func(_ time.Time, h int) int64 {
			if h%40 == 0 {
				return 20e9
			}
			return 0
		}, 90e9, true},
		{"little", func(time.Time, int) int64 { return 1000 }, 50_000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSeries(monday, monday.Add(noon+time.Hour))
			for h := range int(noon / time.Hour) {
				at := monday.Add(time.Duration(h) * time.Hour)
				s.Set(at, c.past(at, h))
			}
			at := monday.Add(noon)
			s.Set(at, int64(c.used))
			a, got := s.Anomaly(at, 1e6)
			if got != c.want || got && (a.Used != int64(c.used) || !a.Start.Equal(at) || a.Usual*2 > a.Most) {
				t.Errorf("%v, %+v", got, a)
			}
		})
	}
}

func TestFewOrdinaryHoursAreAnomalies(t *testing.T) {
	for i, k := range kinds()[:3] {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		f, n, found := k.make(r), 12*week, 0
		s := NewSeries(monday, monday.Add(time.Duration(n)*time.Hour))
		for h := range n {
			at := monday.Add(time.Duration(h) * time.Hour)
			s.Set(at, int64(1e9*f(at, h)))
		}
		for h := Weeks * week; h < n; h++ {
			if _, yes := s.Anomaly(monday.Add(time.Duration(h)*time.Hour), 0); yes {
				found++
			}
		}
		if part(found, n-Weeks*week) > .006 {
			t.Errorf("%s: %d of %d hours", k.name, found, n-Weeks*week)
		}
	}
}

func TestBurn(t *testing.T) {
	month := 30 * 24 * time.Hour
	for _, c := range []struct {
		hour, six, limit int64
		length           time.Duration
		want             Burn
		severity         Severity
	}{
		{1, 6, 720, month, Burn{100, 100}, None},
		{4, 24, 720, month, Burn{400, 400}, Warn},
		{11, 66, 720, month, Burn{1100, 1100}, Page},
		{11, 6, 720, month, Burn{1100, 100}, None}, // it has just begun
		{0, 66, 720, month, Burn{0, 1100}, None},   // it is over
		{3, 18, 720, month, Burn{300, 300}, None},  // over, not at
		{5, 5, 0, month, Burn{}, None},
		{5, 5, 10, time.Minute, Burn{}, None},
	} {
		got := BurnOf(c.hour, c.six, c.limit, c.length)
		if got != c.want || got.Severity() != c.severity {
			t.Errorf("%+v: got %+v, %v", c, got, got.Severity())
		}
	}
}

// TestALimitIsReachedWithinItsWindow where that ends within an hour, too.
func TestALimitIsReachedWithinItsWindow(t *testing.T) {
	now := time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)
	s := NewSeries(now.Add(-24*time.Hour), now)
	for h := range 24 {
		s.Set(now.Add(time.Duration(h-24)*time.Hour), 3600)
	}
	until := now.Add(90 * time.Minute) // of 5,400 the last is used at its end
	f := s.Forecast(Ask{Now: now, Until: until, Limit: 5399})
	if f.Reached.Before(until.Add(-2*time.Second)) || f.Reached.After(until) {
		t.Errorf("reached at %v, the window ends at %v", f.Reached, until)
	}
}
