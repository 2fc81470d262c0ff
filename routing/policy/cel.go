package policy

import (
	"errors"
	"math"
	"strconv"

	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/expr"
)

// CEL leaves targets out, or orders them, by expressions of CEL over the request and each target: what the other policies
// do not say. The variables are in [Expressions](routing.md#expressions).
//
// An expression that fails for a target, because it asks for what is not known, leaves the target out, or orders it last.
type CEL struct {
	Keep  string `yaml:"keep" form:"expression" short:"true" doc:"What must hold for a target to be left, as target.cost < 0.01 || request.tags.tier == 'gold'."`
	Order string `yaml:"order" form:"expression" doc:"A number by which targets are ordered, the smallest first, as target.cost * 100.0 + target.first_token."`

	keep, order *expr.Program
}

// OptionError is what is wrong with one option of a policy.
type OptionError struct {
	Option string
	Err    error
}

// Error names the option.
func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *OptionError) Unwrap() error { return e.Err }

// Check compiles the expressions.
func (p *CEL) Check() error {
	var err error
	if p.Keep == "" && p.Order == "" {
		return errors.New("there is no expression; say keep or order")
	}
	if p.Keep != "" {
		if p.keep, err = expr.Condition(p.Keep, expr.OfTargets); err != nil {
			return &OptionError{"keep", err}
		}
	}
	if p.Order != "" {
		if p.order, err = expr.Score(p.Order, expr.OfTargets); err != nil {
			return &OptionError{"order", err}
		}
	}
	return nil
}

// Failed returns how often an expression could not be evaluated.
func (p *CEL) Failed() (n uint64) {
	for _, e := range [...]*expr.Program{p.keep, p.order} {
		if e != nil {
			n += e.Failed()
		}
	}
	return n
}

// Apply leaves out and orders.
func (p *CEL) Apply(v *routing.View, c *routing.Candidates) {
	if p.keep != nil {
		c.Keep(func(k *routing.Candidate) bool { return p.keep.HoldsFor(v, k) }, func(*routing.Candidate) string { return "it does not hold that " + p.Keep })
	}
	if p.order == nil {
		return
	}
	c.Sort(func(k *routing.Candidate) int64 {
		n, ok := p.order.ScoreOf(v, k)
		if !ok {
			return math.MaxInt64
		}
		return ordered(n)
	}, func(k *routing.Candidate) string {
		n, ok := p.order.ScoreOf(v, k)
		if !ok {
			return "the expression fails"
		}
		return strconv.FormatFloat(n, 'g', 6, 64)
	})
}

// ordered makes of a number a whole one that is ordered as it is (the order of IEEE 754, §5.10).
func ordered(f float64) int64 {
	n := int64(math.Float64bits(f + 0)) // +0 makes of -0 what it equals
	if n < 0 {
		n ^= math.MaxInt64
	}
	return min(n, math.MaxInt64-1)
}
