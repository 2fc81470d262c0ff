package window

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Skipf("no time zones here: %v", err)
	}
	return z
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCalendarWindows(t *testing.T) {
	for _, tt := range []struct {
		name, zone string
		kind       Kind
		now        string
		want       [3]string
	}{
		{"a day in UTC", "UTC", Day, "2026-03-01T12:00:00Z", [3]string{"2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"}},
		{"its first millisecond", "UTC", Day, "2026-03-01T00:00:00Z", [3]string{"2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"}},
		{"a day is the zone's", "Asia/Tokyo", Day, "2026-03-01T16:00:00Z", [3]string{"2026-03-01T15:00:00Z", "2026-03-02T15:00:00Z", "2026-03-03T15:00:00Z"}},
		{"a day of 23 hours", "Europe/Berlin", Day, "2026-03-29T10:00:00Z", [3]string{"2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"}},
		{"a day of 25 hours", "Europe/Berlin", Day, "2026-10-25T10:00:00Z", [3]string{"2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"}},
		{"the hour that comes twice", "Europe/Berlin", Day, "2026-10-25T01:30:00Z", [3]string{"2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"}},
		{"a day whose midnight is left out begins at one", "America/Sao_Paulo", Day, "2018-11-04T12:00:00Z", [3]string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", "2018-11-06T02:00:00Z"}},
		{"the day before it", "America/Sao_Paulo", Day, "2018-11-04T02:59:59Z", [3]string{"2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		{"a midnight that comes twice counts once, the first time", "America/Havana", Day, "2025-11-02T12:00:00Z", [3]string{"2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z", "2025-11-04T05:00:00Z"}},
		{"the day that a zone left out is no window", "Pacific/Apia", Day, "2011-12-30T09:59:59Z", [3]string{"2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"}},
		{"a week begins on Monday", "UTC", Week, "2026-03-01T12:00:00Z", [3]string{"2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"}},
		{"a week over a clock change", "America/New_York", Week, "2026-03-08T20:00:00Z", [3]string{"2026-03-02T05:00:00Z", "2026-03-09T04:00:00Z", "2026-03-16T04:00:00Z"}},
		{"a month", "UTC", Month, "2026-02-28T23:59:59Z", [3]string{"2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"}},
		{"on the 31st", "UTC", Month, "2026-01-31T12:00:00Z", [3]string{"2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"}},
		{"a month over a clock change and a year's end", "Europe/Berlin", Month, "2026-11-30T23:30:00Z", [3]string{"2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"}},
		{"before the epoch of Unix time", "UTC", Day, "1969-12-31T12:00:00Z", [3]string{"1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := Window{Kind: tt.kind, Zone: zone(t, tt.zone)}.Bounds(instant(t, tt.now), 0)
			for i, at := range []int64{b.A, b.B, b.C} {
				if got := time.UnixMilli(at).UTC().Format(time.RFC3339); got != tt.want[i] {
					t.Errorf("bound %d: got %s, want %s", i, got, tt.want[i])
				}
			}
		})
	}
}

// In every zone and at every time, a window holds the time and touches its neighbours: no instant is in none or
// in two.
func TestCalendarWindowsCoverTime(t *testing.T) {
	names := []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut", "Antarctica/Troll", "Pacific/Kiritimati"}
	rapid.Check(t, func(rt *rapid.T) {
		w := Window{Kind: rapid.SampledFrom([]Kind{Day, Week, Month}).Draw(rt, "kind"), Zone: zone(t, rapid.SampledFrom(names).Draw(rt, "zone"))}
		now := time.UnixMilli(rapid.Int64Range(0, 2_500_000_000_000).Draw(rt, "now"))
		if rapid.Bool().Draw(rt, "at a change") {
			if _, end := now.In(w.Zone).ZoneBounds(); !end.IsZero() {
				now = end.Add(time.Duration(rapid.Int64Range(-90_000, 90_000).Draw(rt, "beside")) * time.Second)
			}
		}
		b := w.Bounds(now, 0)
		if ms := now.UnixMilli(); b.A > ms || ms >= b.B || b.B >= b.C {
			rt.Fatalf("%v in %v: %v", now.UTC(), w.Zone, b)
		}
		if next := w.Bounds(time.UnixMilli(b.B), 0); next.A != b.B || next.B != b.C {
			rt.Fatalf("%v in %v: %v is followed by %v", now.UTC(), w.Zone, b, next)
		}
		if same := w.Bounds(time.UnixMilli(b.B-1), 0); same != b {
			rt.Fatalf("%v in %v: %v ends as %v", now.UTC(), w.Zone, b, same)
		}
	})
}

func TestOtherBounds(t *testing.T) {
	now := instant(t, "2026-03-01T12:00:00Z")
	for _, tt := range []struct {
		name  string
		in    Window
		limit int64
		want  Bounds
	}{
		{"fixed", Window{Kind: Fixed, Length: time.Minute}, 5, Bounds{A: 60_000}},
		{"sliding", Window{Kind: Sliding, Length: 1500 * time.Millisecond}, 5, Bounds{A: 1500}},
		{"life", Window{Kind: Life}, 5, Bounds{}},
		{"gauge", Window{Kind: Gauge}, 5, Bounds{}},
		{"a pace of 600 a minute", Window{Kind: Pace, Length: time.Minute, Burst: 10}, 600, Bounds{A: 100_000, B: 1_000_000}},
		{"an interval is rounded up", Window{Kind: Pace, Length: time.Second, Burst: 1}, 3, Bounds{A: 333_334, B: 333_334}},
		{"more units than microseconds", Window{Kind: Pace, Length: time.Millisecond, Burst: 1}, 1 << 40, Bounds{A: 1, B: 1}},
		{"a limit of nothing", Window{Kind: Pace, Length: time.Second, Burst: 1}, 0, Bounds{A: 1_000_000, B: 1_000_000}},
		{"a burst over the range", Window{Kind: Pace, Length: time.Minute, Burst: 1 << 60}, 1, Bounds{A: 60_000_000, B: longest.Microseconds()}},
	} {
		if err := tt.in.Check(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := tt.in.Bounds(now, tt.limit); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestWhatIsNoWindow(t *testing.T) {
	for name, w := range map[string]Window{
		"none":                      {},
		"an unknown kind":           {Kind: 99},
		"fixed without a length":    {Kind: Fixed},
		"parts of a millisecond":    {Kind: Sliding, Length: time.Millisecond + 1},
		"too long":                  {Kind: Fixed, Length: longest + time.Millisecond},
		"a day with a length":       {Kind: Day, Length: time.Hour},
		"a pace without a burst":    {Kind: Pace, Length: time.Second},
		"a fixed one with a burst":  {Kind: Fixed, Length: time.Second, Burst: 2},
		"a negative length of pace": {Kind: Pace, Length: -time.Second, Burst: 1},
	} {
		if w.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
	if got := Kind(99).Letter(); got != 0 {
		t.Errorf("got letter %q", got)
	}
}
