package exchange

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/extproc/course"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/kept"
	"github.com/signalbox-ai/signalbox/routing"
)

func header(pairs ...string) Header {
	var h Header
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, providers.Header{Name: pairs[i], Value: pairs[i+1]})
	}
	return h
}

// TestMoves lists every pair of states: what the table does not allow changes nothing.
func TestMoves(t *testing.T) {
	allowed := map[[2]state]bool{
		{stNew, stReading}: true, {stNew, stRefused}: true, {stNew, stPlanned}: true,
		{stReading, stRefused}: true, {stReading, stPlanned}: true, {stPlanned, stClosed}: true,
	}
	for from := stNew; from <= stClosed; from++ {
		for to := stNew; to <= stClosed; to++ {
			x := &Exchange{state: from}
			want := map[bool]state{true: to, false: from}[allowed[[2]state{from, to}]]
			if ok := x.move(to); ok != allowed[[2]state{from, to}] || x.state != want {
				t.Errorf("%d to %d: %v, and is %d", from, to, ok, x.state)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name string
		h    Header
		want time.Duration
	}{
		{"nothing", nil, 0},
		{"seconds", header("retry-after", "7"), 7 * time.Second},
		{"seconds with spaces", header("retry-after", " 7 "), 7 * time.Second},
		{"a fraction", header("retry-after", "1.5"), 1500 * time.Millisecond},
		{"zero", header("retry-after", "0"), 0},
		{"negative", header("retry-after", "-5"), 0},
		{"very many", header("retry-after", "1e9"), health.Longest},
		{"more than a float can say", header("retry-after", "1e999"), 0},
		{"infinite", header("retry-after", "Inf"), health.Longest},
		{"not a number", header("retry-after", "NaN"), 0},
		{"a word", header("retry-after", "soon"), 0},
		{"a date", header("retry-after", now.Add(9*time.Second).Format(http.TimeFormat)), 9 * time.Second},
		{"a date that is past", header("retry-after", now.Add(-time.Hour).Format(http.TimeFormat)), 0},
		{"a date far away", header("retry-after", now.AddDate(9, 0, 0).Format(http.TimeFormat)), health.Longest},
		{"milliseconds go first", header("retry-after", "7", "retry-after-ms", "250"), 250 * time.Millisecond},
		{"milliseconds that are none", header("retry-after", "7", "retry-after-ms", "x"), 7 * time.Second},
		{"very many milliseconds", header("retry-after-ms", "1e300"), health.Longest},
		{"a limit that is used up", header("x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1m2s"), 62 * time.Second},
		{"a limit of tokens", header("x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "6m0s"), 6 * time.Minute},
		{"a limit that is not used up", header("x-ratelimit-remaining-requests", "3", "x-ratelimit-reset-requests", "1m2s"), 0},
		{"a reset in the past", header("x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "-5s"), 0},
		{"a reset that is no duration", header("x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1767323045"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := retryAfter(c.h, now); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "1.5", "-1", "1e9", "NaN", "Inf", "0x1p62", "Fri, 02 Jan 2026 03:04:05 GMT", "1m2s", "9223372036854775807", "1e-400", ""} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(1))
		f.Add(s, uint8(2))
	}
	names := []string{"retry-after", "retry-after-ms", "x-ratelimit-reset-tokens"}
	f.Fuzz(func(t *testing.T, v string, which uint8) {
		h := header(names[int(which)%len(names)], v, "x-ratelimit-remaining-tokens", "0")
		if d := retryAfter(h, time.Unix(1767323045, 0)); d < 0 || d > health.Longest {
			t.Errorf("%s: %q is %v", h[0].Name, v, d)
		}
	})
}

// TestATimeoutOnlyShortens holds for every header and every limit.
func TestATimeoutOnlyShortens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "most"))
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) })).Draw(t, "value")
		d, err := timeout(header(headerTimeout, s), most)
		switch {
		case err != nil && err.Param != headerTimeout:
			t.Fatalf("%q: the error names %q", s, err.Param)
		case err == nil && s != "" && (d <= 0 || most > 0 && d > most):
			t.Fatalf("%q under %v gives %v", s, most, d)
		case s == "" && d != most:
			t.Fatalf("no wish gives %v, want %v", d, most)
		}
	})
}

func TestUsableID(t *testing.T) {
	for id, want := range map[string]bool{
		"": false, "1234567": false, "12345678": true, "0d7ef2c2-3f33-4b41-9d0a-2a1f7d4c9b10": true, "a_b-C_d-0": true,
		"12345678 ": false, "1234\n5678": false, "12345678é": false, "12345678;": false, "1234/5678": false,
		string(make([]byte, 20)): false,
	} {
		if got := usableID(id); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
	if long := "0123456789012345678901234567890123456789012345678901234567890123"; !usableID(long) || usableID(long+"4") {
		t.Error("the bound is not 64")
	}
	if id := newID(); !usableID(id) || id == newID() {
		t.Errorf("an id of ours is %q", id)
	}
}

func TestPassing(t *testing.T) {
	for in, want := range map[string]string{
		"/a": "", "/a?": "", "/a?beta=true": "beta=true", "/a?x=1&key=s&y=2": "x=1&y=2", "/a?API_KEY=s": "", "/a?access_token=s&b": "b",
		"/a?%6bey=s": "", "/a?x=key": "x=key",
	} {
		if got := passing(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestAttemptsThatCannotBeAreNotNoted(t *testing.T) {
	x := &Exchange{course: course.New(make([]ticket.Leg, 1)), news: make(chan struct{})}
	x.note(0, course.Attempted{Status: 500})
	x.note(2, course.Attempted{Status: 500})
	if ok, wait := x.known(1); ok || wait == nil {
		t.Error("attempt 1 is known")
	}
	_, wait := x.known(1)
	x.note(1, course.Attempted{Status: 500})
	select {
	case <-wait:
	default:
		t.Error("nobody is woken")
	}
	x.note(1, course.Attempted{Status: 200, Took: time.Second, Provider: "req"})
	if a := x.course.At[0]; a.Status != 500 || a.Took != time.Second || a.Provider != "req" {
		t.Errorf("what was seen first does not stand: %+v", a)
	}
}

// TestTheBeginningOfAnAnswerIsOneAttempts holds that what an attempt left which did not answer is not counted.
func TestTheBeginningOfAnAnswerIsOneAttempts(t *testing.T) {
	x := &Exchange{snap: &Snapshot{}}
	o := Outcome{Carried: Carried{Kept: kept.Pieces{Head: "data: {}"}}, Tries: 2, Usage: llm.Usage{Input: llm.Tokens(1)}}
	if u, partial := x.stated(o, ticket.Leg{}); u.Known() || partial {
		t.Errorf("got %+v, partial: %v", u, partial)
	}
	if u, partial := x.stated(Outcome{Usage: o.Usage, Partial: true}, ticket.Leg{}); u != o.Usage || !partial {
		t.Errorf("what Envoy read became %+v, partial: %v", u, partial)
	}
}

func TestCopiesWaitBehindAllClients(t *testing.T) {
	r := &routing.Route{Class: queue.Critical}
	for _, c := range []struct {
		of   string
		want queue.Class
	}{{"acme", queue.Critical}, {owner.OwnTraffic, queue.Batch}} {
		x := &Exchange{in: &intake{}}
		x.By.Organization = c.of
		if e := x.rank(r); e != nil || x.in.class != c.want {
			t.Errorf("of %q: %v, %v", c.of, x.in.class, e)
		}
	}
}
