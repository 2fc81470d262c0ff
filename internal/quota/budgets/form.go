package budgets

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// Form checks a text of one of the forms of this package: money, percent, span and zone. Its errors do not repeat it.
func Form(form, s string) error {
	var err error
	switch form {
	case "money":
		_, err = ParseMoney(s)
	case "percent":
		_, err = parsePercent(s)
	case "span":
		_, err = parseSpan(s)
	case "zone":
		_, err = loadZone(s)
	}
	return err
}

// Example says what a text of a form is, where a reader could take it for a number; "" for other forms.
func Example(form string) string {
	switch form {
	case "money":
		return "an amount of money, such as 20 USD"
	case "percent":
		return "a share, such as 80%"
	}
	return ""
}

// ParseMoney reads an amount of US dollars, as "20 USD" or "0.5 USD", exactly, into nano-USD.
func ParseMoney(s string) (int64, error) {
	number, currency, ok := strings.Cut(s, " ")
	if !ok || currency != "USD" {
		return 0, errors.New("an amount of money is a number and USD, as 20 USD")
	}
	whole, frac, point := strings.Cut(number, ".")
	if len(frac) > 9 || point && frac == "" || !digits(whole) || frac != "" && !digits(frac) || len(whole) > 10 {
		return 0, errors.New("an amount of money is a number with at most nine decimal places and USD, as 20 USD or 0.5 USD")
	}
	n, err := strconv.ParseInt(whole+frac+strings.Repeat("0", 9-len(frac)), 10, 64)
	if err != nil || n > quota.Max {
		return 0, fmt.Errorf("an amount of money is at most %s", quota.Amount(quota.Money, quota.Max))
	}
	if n == 0 {
		return 0, errors.New("an amount of money is more than 0")
	}
	return n, nil
}

func digits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// parsePercent reads a share as 80% or 99.5%, in permille.
func parsePercent(s string) (int, error) {
	bad := errors.New("a share is a number and %, with at most one decimal place, as 80%")
	number, ok := strings.CutSuffix(s, "%")
	whole, frac, point := strings.Cut(number, ".")
	if !ok || !digits(whole) || point && (len(frac) != 1 || !digits(frac)) || len(whole) > 4 {
		return 0, bad
	}
	if frac == "" {
		frac = "0"
	}
	n, err := strconv.Atoi(whole + frac)
	if err != nil {
		return 0, bad
	}
	if n < 1 || n > 10_000 {
		return 0, errors.New("a share is from 0.1% to 1000%")
	}
	return n, nil
}

// span is a window as a rule says it.
type span struct {
	kind   window.Kind // Day, Week, Month, Life, or 0 for a length
	length time.Duration
}

// longestLength is of a window that is no calendar's: the ledger puts back the window that a month began in and the one
// before, and nothing older.
const longestLength = 31 * 24 * time.Hour

func parseSpan(s string) (span, error) {
	switch s {
	case "second":
		return span{length: time.Second}, nil
	case "minute":
		return span{length: time.Minute}, nil
	case "hour":
		return span{length: time.Hour}, nil
	case "day":
		return span{kind: window.Day}, nil
	case "week":
		return span{kind: window.Week}, nil
	case "month":
		return span{kind: window.Month}, nil
	case "total":
		return span{kind: window.Life}, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || strings.ContainsAny(s, "+-") {
		return span{}, errors.New("a window is second, minute, hour, day, week, month, total, or a length as 10s")
	}
	if err := (window.Window{Kind: window.Sliding, Length: d}).Check(); err != nil {
		return span{}, err
	}
	if d > longestLength {
		return span{}, errors.New("a window with a length of its own is at most 744h long; month and total are longer")
	}
	return span{length: d}, nil
}

// loadZone finds a time zone in the system's database.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	if name == "Local" {
		return nil, errors.New("the time zone must be named: processes must agree on it")
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, errors.New("unknown time zone; write one of the IANA database, as Europe/Berlin")
	}
	return z, nil
}

// zones are time zones that were found before, by their names: each that is loaded is read from a file, and takes kilobytes.
// nil remembers none.
type zones map[string]*time.Location

func (z zones) load(name string) (*time.Location, error) {
	if zone := z[name]; zone != nil {
		return zone, nil
	}
	zone, err := loadZone(name)
	if err == nil && z != nil {
		z[name] = zone
	}
	return zone, err
}

// Check finds what no single field of settings shows. fail takes the path behind that of the settings.
func (s *Settings) Check(fail func(path, message string)) {
	for i := range s.Limits.Rules {
		at := fmt.Sprintf("limits.rules[%d]", i)
		s.Limits.Rules[i].check(func(field, message string) { fail(at+"."+field, field+": "+message) })
	}
	ids := map[string]string{}
	for _, r := range s.rules("", nil) {
		key := string(r.identity(nil))
		if first, twice := ids[key]; twice {
			fail(r.path, fmt.Sprintf("the same limit as %s: a second one with the same unit, window and scope", first))
			continue
		}
		ids[key] = r.path
	}
}

func (r *Rule) check(fail func(field, message string)) {
	money, parallel := r.Unit == "money", r.Unit == "parallel"
	at, err := parseSpan(r.Window)
	switch {
	case r.Unit == "":
		return // said already
	case money && r.Spend == "" && r.Amount == 0:
		fail("spend", "is missing: how much money?")
	case money && r.Amount != 0:
		fail("amount", "an amount of money is written as spend: 20 USD")
	case !money && r.Spend != "":
		fail("spend", "only a limit of money has it")
	case !money && r.Amount == 0:
		fail("amount", "is missing")
	}
	switch {
	case parallel && r.Window != "":
		fail("window", "what runs at the same time has no window")
	case !parallel && r.Window == "":
		fail("window", "is missing")
	case r.Style != "" && (parallel || err == nil && at.kind != 0):
		fail("style", "only a window with a length has one")
	case r.Burst != 0 && r.Style != "pace":
		fail("burst", "only style: pace has it")
	case r.Style == "pace" && r.Unit != "requests":
		fail("style", "only requests can be paced: of tokens and money what was reserved is given back")
	case r.Zone != "" && err == nil && (at.kind == 0 || at.kind == window.Life):
		fail("zone", "only a day, week or month has one")
	}
	seen := map[string]bool{}
	for i, e := range r.Each {
		if seen[e] {
			fail(fmt.Sprintf("each[%d]", i), "is given twice")
		}
		seen[e] = true
	}
	if slices.Contains(r.Each, "provider") && parallel {
		fail("each", "what runs at the same time is not counted by provider: a request may move from one to another")
	}
}

// Money returns the paths of the limits of money that refuse, as budget.month.
func (s *Settings) Money() (paths []string) {
	for _, r := range s.rules("", nil) {
		if b := &r.budget; b.Unit == quota.Money && !b.Shadow && !b.Soft {
			paths = append(paths, r.path)
		}
	}
	return paths
}

// Check finds what no single field of the section shows. money says whether a limit of money holds for anybody.
func (s *Service) Check(money bool, fail func(field, message string)) {
	tls := strings.HasPrefix(s.Store, "rediss")
	switch {
	case !s.Remote() && s.Replicas > 1 && money:
		fail("store", "memory counts in each process by itself: limits of money hold for several replicas only in Redis")
	case !s.Remote() && s.Password != "":
		fail("password", "memory has none")
	case !tls && (s.CA != "" || s.Cert != "" || s.Key != "" || s.ServerName != ""):
		fail("store", "only rediss:// has certificates")
	case (s.Cert == "") != (s.Key == ""):
		fail("cert", "cert and cert_key belong together")
	}
	if s.Timeout > time.Second || s.Timeout < time.Millisecond {
		fail("timeout", "must be from 1ms to 1s: every request waits for it when Redis hangs")
	}
	if s.Keep < time.Minute {
		fail("keep", "must be at least 1m")
	}
}
