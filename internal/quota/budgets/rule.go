package budgets

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// rule is a limit of one owner, ready to be matched.
type rule struct {
	path   string // in the settings
	budget quota.Budget
	owner  []string // level, organization, team, project, key: what the id stands for
	scope
	each []string
}

// scope is what a rule counts.
type scope struct {
	models, routes, providers []string
}

// rules gives the rules of settings, those of short forms included. Texts were checked; what cannot be read gives
// none.
func (s *Settings) rules(level string, in zones) []*rule {
	var out []*rule
	add := func(path string, u quota.Unit, limit int64, w window.Window, m Manner) *rule {
		r := &rule{path: path, budget: quota.Budget{Unit: u, Limit: limit, Window: w, Owner: quota.Owner{Level: level}}}
		m.apply(&r.budget)
		out = append(out, r)
		return r
	}
	for _, f := range s.Limits.short() {
		if f.amount > 0 {
			add("limits."+f.name, f.unit, int64(f.amount), f.window, Manner{})
		}
	}
	b := &s.Budget
	zone, _ := in.load(b.Zone)
	for _, f := range []struct {
		name, money string
		kind        window.Kind
	}{{"day", b.Day, window.Day}, {"week", b.Week, window.Week}, {"month", b.Month, window.Month}, {"total", b.Total, window.Life}} {
		n, _ := ParseMoney(f.money)
		if n <= 0 {
			continue
		}
		w := window.Window{Kind: f.kind}
		if f.kind != window.Life {
			w.Zone = zone
		}
		add("budget."+f.name, quota.Money, n, w, b.Manner)
	}
	for i := range s.Limits.Rules {
		f := &s.Limits.Rules[i]
		if w, ok := f.window(in); ok && f.limit() > 0 {
			r := add(rulePath(i), unit(f.Unit), f.limit(), w, f.Manner)
			r.scope, r.each = scope{f.Models, f.Routes, f.Providers}, slices.Sorted(slices.Values(f.Each))
		}
	}
	return out
}

// rulePath is where a rule stands. The first is that of every budget in a store.
func rulePath(i int) string {
	if i == 0 {
		return "limits.rules[0]"
	}
	return "limits.rules[" + strconv.Itoa(i) + "]"
}

// short is a short form.
type short struct {
	name   string
	unit   quota.Unit
	amount int
	window window.Window
}

// short gives the short forms, also those that the settings do not have. They are an array, as a store has very many owners
// with none of them.
func (l *Limits) short() [16]short {
	slide := func(d time.Duration) window.Window { return window.Window{Kind: window.Sliding, Length: d} }
	day, month := window.Window{Kind: window.Day, Zone: time.UTC}, window.Window{Kind: window.Month, Zone: time.UTC}
	return [...]short{
		{"requests_per_second", quota.Requests, l.RequestsPerSecond, slide(time.Second)},
		{"requests_per_minute", quota.Requests, l.RequestsPerMinute, slide(time.Minute)},
		{"requests_per_hour", quota.Requests, l.RequestsPerHour, slide(time.Hour)},
		{"requests_per_day", quota.Requests, l.RequestsPerDay, day},
		{"requests_per_month", quota.Requests, l.RequestsPerMonth, month},
		{"tokens_per_minute", quota.Tokens, l.TokensPerMinute, slide(time.Minute)},
		{"tokens_per_hour", quota.Tokens, l.TokensPerHour, slide(time.Hour)},
		{"tokens_per_day", quota.Tokens, l.TokensPerDay, day},
		{"tokens_per_month", quota.Tokens, l.TokensPerMonth, month},
		{"input_tokens_per_minute", quota.TokensIn, l.InputPerMinute, slide(time.Minute)},
		{"input_tokens_per_day", quota.TokensIn, l.InputPerDay, day},
		{"input_tokens_per_month", quota.TokensIn, l.InputPerMonth, month},
		{"output_tokens_per_minute", quota.TokensOut, l.OutputPerMinute, slide(time.Minute)},
		{"output_tokens_per_day", quota.TokensOut, l.OutputPerDay, day},
		{"output_tokens_per_month", quota.TokensOut, l.OutputPerMonth, month},
		{"parallel", quota.Parallel, l.Parallel, window.Window{Kind: window.Gauge}},
	}
}

func unit(name string) quota.Unit {
	for u := quota.Requests; u <= quota.Parallel; u++ {
		if u.String() == name {
			return u
		}
	}
	return 0
}

func (r *Rule) limit() int64 {
	if r.Unit == "money" {
		n, _ := ParseMoney(r.Spend)
		return n
	}
	return int64(r.Amount)
}

func (r *Rule) window(in zones) (window.Window, bool) {
	if r.Unit == "parallel" {
		return window.Window{Kind: window.Gauge}, true
	}
	at, err := parseSpan(r.Window)
	zone, zerr := in.load(r.Zone)
	w := window.Window{Kind: at.kind, Length: at.length}
	switch {
	case err != nil || zerr != nil || unit(r.Unit) == 0:
		return w, false
	case at.kind == window.Life:
	case at.kind != 0:
		w.Zone = zone
	case r.Style == "fixed":
		w.Kind = window.Fixed
	case r.Style == "pace":
		w.Kind, w.Burst = window.Pace, int64(max(1, r.Burst))
	default:
		w.Kind = window.Sliding
	}
	return w, true
}

// apply sets how a budget is enforced.
func (m *Manner) apply(b *quota.Budget) {
	b.Soft, b.Shadow = m.Soft, m.Shadow
	b.Away = map[string]quota.Away{"deny": quota.Deny, "local": quota.Local, "allow": quota.Allow}[m.Away]
	for _, s := range m.AlertAt {
		if n, err := parsePercent(s); err == nil {
			b.Alert = append(b.Alert, n)
		}
	}
	slices.Sort(b.Alert)
	b.Alert = slices.Compact(b.Alert)
}

// matches reports whether a rule counts an exchange.
func (s *scope) matches(model, route string, providers []string) bool {
	return (len(s.models) == 0 || glob.Any(s.models, model)) &&
		(len(s.routes) == 0 || glob.Any(s.routes, route)) &&
		(len(s.providers) == 0 || slices.ContainsFunc(providers, func(p string) bool { return slices.Contains(s.providers, p) }))
}

// identity appends all that makes a rule another one: not its amount, nor how it is enforced, which may change without
// the counter beginning anew.
func (r *rule) identity(b []byte) []byte {
	w := r.budget.Window
	zone := ""
	if w.Zone != nil {
		zone = w.Zone.String()
	}
	b = list(b, r.owner...)
	b = list(b, r.budget.Unit.String(), w.Kind.String(), w.Length.String(), zone)
	for _, of := range [][]string{r.models, r.routes, r.providers} {
		b = list(b, slices.Sorted(slices.Values(of))...)
	}
	return list(b, r.each...)
}

// list appends texts so that no others are written alike.
func list(b []byte, of ...string) []byte {
	b = binary.AppendUvarint(b, uint64(len(of)))
	for _, s := range of {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// sum is a hash of what makes a budget another one.
type sum [15]byte

// letters is how long a sum is in an id, in base 32.
const letters = 24

// sum returns that of a budget of the rule. values are what a rule for each of something stands for.
func (r *rule) sum(values ...string) sum {
	b := r.identity(make([]byte, 0, 512))
	for _, s := range values {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	all := sha256.Sum256(b)
	return sum(all[:len(sum{})])
}

// appendID appends a budget's id: what it is, for people, and its sum.
func appendID(to []byte, b *quota.Budget, s *sum) []byte {
	for _, word := range [...]string{b.Owner.Level, b.Unit.String(), b.Window.Kind.String()} {
		to = append(append(to, word...), '_')
	}
	at := len(to)
	to = base32.StdEncoding.AppendEncode(to, s[:]) // 15 bytes leave nothing to pad
	for i, c := range to[at:] {
		if 'A' <= c && c <= 'Z' {
			to[at+i] = c + 'a' - 'A'
		}
	}
	return to
}

// UnitOf reads the unit of a budget from its id; 0: it is none of this package. So it is known of one whose rule is gone, and of one
// for each of something that this process has not met.
func UnitOf(id string) quota.Unit {
	_, rest, _ := strings.Cut(id, "_") // no level of an owner of rules has one in its name
	for u := quota.Requests; u <= quota.Parallel; u++ {
		if strings.HasPrefix(rest, u.String()+"_") {
			return u
		}
	}
	return 0
}

// hash is the beginning of a sum, which is a hash itself.
func (s *sum) hash() uint64 { return binary.BigEndian.Uint64(s[:]) }

// hashOf returns the hash of the sum in an id; of a text that is none, any.
func hashOf(id string) (hash uint64) {
	if len(id) < letters {
		return 0
	}
	for _, c := range []byte(id[len(id)-letters:][:12]) { // 60 bits, and 4 of the next letter's
		hash = hash<<5 | digit(c)
	}
	return hash<<4 | digit(id[len(id)-letters+12])>>1
}

// digit returns the value of a digit in base 32.
func digit(c byte) uint64 {
	if c >= 'a' {
		return uint64(c-'a') & 31
	}
	return uint64(c-'2'+26) & 31
}
