package limits

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// most is the largest count that is read.
const most = 1 << 53

// count reads a whole number, also with a fraction or an exponent, and not below 0.
func count(s string) (int64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil && !math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, false
	}
	return int64(min(max(f, 0), most)), true
}

// clamp keeps a time within its bounds.
func clamp(d time.Duration) time.Duration { return min(max(d, 0), Longest) }

// seconds makes a duration of a number of seconds.
func seconds(f float64) time.Duration {
	return clamp(time.Duration(min(max(f, 0), Longest.Seconds()) * float64(time.Second)))
}

// milliseconds reads a number of milliseconds, 0 for anything else.
func milliseconds(s string) time.Duration {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(f) {
		return 0
	}
	return seconds(f / 1000)
}

// delay reads retry-after: seconds, also with a fraction, or a date (RFC 9110 §10.2.3).
func delay(s string, now time.Time) time.Duration {
	if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil && !math.IsNaN(f) {
		return seconds(f)
	}
	return moment(s, now)
}

// moment reads how long it is until a time, which vendors write as seconds, as a duration ("1m30s", "12ms", "1d2h"), as
// a Unix time in seconds, milliseconds or less, as RFC 3339, or as an HTTP date. It is 0 for anything else, and for
// the past.
func moment(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return number(f, now)
	}
	if d, ok := duration(s); ok {
		return d
	}
	for _, form := range [...]string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(form, s); err == nil {
			return clamp(t.Sub(now))
		}
	}
	if t, err := http.ParseTime(s); err == nil {
		return clamp(t.Sub(now))
	}
	return 0
}

// number reads seconds, or a Unix time, which tells its unit by its size.
func number(f float64, now time.Time) time.Duration {
	switch {
	case math.IsNaN(f) || f <= 0:
		return 0
	case f >= 1e17:
		f /= 1e9
	case f >= 1e14:
		f /= 1e6
	case f >= 1e11:
		f /= 1e3
	case f < 1e9:
		return seconds(f)
	}
	return seconds(f - float64(now.UnixNano())/1e9)
}

// duration reads a duration with units, of which days are one.
func duration(s string) (time.Duration, bool) {
	var whole time.Duration
	if days, rest, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || math.IsNaN(n) {
			return 0, false
		}
		whole = seconds(n * 24 * 60 * 60)
		if s = rest; s == "" {
			return whole, true
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, false
	}
	return clamp(clamp(d) + whole), true
}

// structured reads the one header of the IETF's draft: "default";r=50;t=30, or limit=100, remaining=50, reset=30.
func (r *reader) structured(value string) {
	for part := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == ';' || c == ',' || c == ' ' }) {
		name, v, _ := strings.Cut(part, "=")
		switch name {
		case "r", "remaining":
			r.say(remaining, requests, unsaid, v)
		case "t", "reset":
			r.say(reset, requests, unsaid, v)
		case "limit":
			r.say(limit, requests, unsaid, v)
		}
	}
}
