// Package objectives is what the configuration says of service level objectives: goals in the words of who promises them,
// made into the error budgets of internal/slo. It does not know routes: whether those that are named exist, the whole
// configuration says.
package objectives

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/slo"
)

// Goals are what is promised of exchanges, each by itself.
type Goals struct {
	First   time.Duration `yaml:"p95_first_token" zero:"nothing is promised; so with the next" doc:"19 of 20 streams have begun to answer by then, counted from the request."`
	Total   time.Duration `yaml:"p95_total" zero:"nothing is promised" doc:"19 of 20 answers have ended by then, counted from the request."`
	Success string        `yaml:"success" form:"success" zero:"nothing is promised" doc:"Share of exchanges that do not fail by a provider's fault or ours, as 99.5%."`
	Cost    string        `yaml:"cost_per_1k_tokens" form:"money" zero:"nothing is promised" doc:"What a thousand tokens of prompts and answers cost on average, at most, as 0.01 USD. It needs a ledger."`
	Window  string        `yaml:"window" form:"days" zero:"30d" doc:"Over how many days it holds, always the last ones: from 3d to 90d."`
}

// List is promises that stand beside those of routes.
type List struct {
	Name   string            `yaml:"name" form:"name" required:"true" doc:"Its name, in metrics, alerts and signalbox slo."`
	Routes []string          `yaml:"routes" form:"name" max:"1000" zero:"every route" doc:"The routes whose exchanges are meant."`
	Tags   map[string]string `yaml:"tags" doc:"Tags of the exchanges that are meant, and what each must be: a value, a pattern, or several between bars, as chat|search."`
	Goals  `yaml:",inline"`
}

// slow is the share that may be slower than a p95.
const slow = .05

// Objectives returns what is promised under a name.
func (g *Goals) Objectives(name string, scope slo.Scope) (out []slo.Objective) {
	o := slo.Objective{Name: name, Window: g.window(), Scope: scope}
	add := func(kind slo.Kind, within time.Duration, allow float64) {
		o.Kind, o.Within, o.Allow = kind, within, allow
		out = append(out, o)
	}
	if g.First > 0 {
		add(slo.FirstToken, g.First, slow)
	}
	if g.Total > 0 {
		add(slo.Total, g.Total, slow)
	}
	if n, err := share(g.Success); err == nil {
		add(slo.Success, 0, float64(whole-n)/whole)
	}
	if n, err := budgets.ParseMoney(g.Cost); err == nil {
		add(slo.Cost, 0, float64(n)/1000)
	}
	return out
}

// Of returns what is promised.
func (l *List) Of() []slo.Objective {
	s := slo.Scope{Routes: l.Routes}
	for name, values := range l.Tags {
		if s.Tags == nil {
			s.Tags = map[string][]string{}
		}
		s.Tags[strings.ToLower(name)] = strings.Split(values, "|")
	}
	return l.Objectives(l.Name, s)
}

func (g *Goals) window() time.Duration {
	n, err := days(g.Window)
	if err != nil {
		n = 30
	}
	return time.Duration(n) * 24 * time.Hour
}

const (
	successes = `^[0-9]{2}(\.[0-9]{1,3})?%$`
	lengths   = `^[1-9][0-9]?d$`
)

// Pattern returns the regular expression of a form of this package; "": it is of another.
func Pattern(form string) string {
	switch form {
	case "success":
		return successes
	case "days":
		return lengths
	}
	return ""
}

// Form checks a text of a form of this package.
func Form(form, s string) error {
	var err error
	switch form {
	case "success":
		_, err = share(s)
	case "days":
		_, err = days(s)
	}
	return err
}

var written = regexp.MustCompile(successes)

// whole is 100 %, in the smallest part that can be written.
const whole = 100_000

// share reads a share in parts of whole.
func share(s string) (int, error) {
	number, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if !written.MatchString(s) || err != nil || number < 50 {
		return 0, errors.New("a share of successes is from 50% to 99.999%, as 99.5%")
	}
	return int(math.Round(number * whole / 100)), nil
}

func days(s string) (int, error) {
	d, ok := strings.CutSuffix(s, "d")
	n, err := strconv.Atoi(d)
	if !ok || err != nil || d[0] == '+' || n < 3 || n > 90 {
		return 0, errors.New("a window is from 3d to 90d, as 30d")
	}
	return n, nil
}
