// Package expr is conditions and scores as expressions of CEL (https://cel.dev): what a route's match.when and the policy
// cel have. It decides nothing itself.
//
//	text ─ Compile ─► Program (typed, bounded) ─ Holds, Score ─► of a request, and of one of its targets
//
// An expression is checked when the configuration is read, against the variables that there are and their types. When it is
// evaluated it reads nothing but these, and takes no longer than a bound.
package expr

import (
	"fmt"
	"math"
	"sync/atomic"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// Bounds of an expression.
const (
	longest = 4096      // characters
	nodes   = 2000      // of its syntax, macros expanded
	deepest = 100       // levels of its syntax
	program = 2000      // instructions of a regular expression
	dearest = 1_000_000 // units of CEL's cost model, about 10 ms
)

// About says what an expression may speak of.
type About uint8

// What expressions speak of.
const (
	OfRequests About = iota // request.*
	OfTargets               // request.* and target.*
)

// Program is an expression that was compiled. It is safe for concurrent use.
type Program struct {
	text   string
	known  map[string]*Variable
	run    cel.Program
	failed atomic.Uint64
}

var _ match.Condition = (*Program)(nil)

// Condition compiles an expression that is true or false. The error is an *Error.
func Condition(text string, of About) (*Program, error) {
	return compile(text, of, cel.BoolType)
}

// Score compiles an expression that is a number. The error is an *Error.
func Score(text string, of About) (*Program, error) {
	return compile(text, of, cel.DoubleType, cel.IntType, cel.UintType)
}

func compile(text string, of About, want ...*cel.Type) (*Program, error) {
	w, err := worldOf(of)
	if err != nil {
		return nil, fmt.Errorf("expr: the environment: %w", err)
	}
	env := w.env
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, fault(text, of, issues)
	}
	if !returns(ast, want) {
		what := "true or false"
		if want[0] != cel.BoolType {
			what = "a number"
		}
		return nil, &Error{Line: 1, Column: 1, Message: fmt.Sprintf("it must be %s, and is of type %s", what, cel.FormatCELType(ast.OutputType()))}
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if e, err := env.EstimateCost(ast, sizes{}); err != nil || e.Max > dearest {
		opts = append(opts, cel.CostLimit(dearest)) // it may take long: it is watched, which itself takes time
	}
	run, err := env.Program(ast, opts...)
	if err != nil {
		return nil, &Error{Line: 1, Column: 1, Message: plain(err.Error())}
	}
	return &Program{text: text, known: w.known, run: run}, nil
}

func returns(ast *cel.Ast, want []*cel.Type) bool {
	for _, w := range want {
		if ast.OutputType().IsExactType(w) {
			return true
		}
	}
	return false
}

// String returns the expression.
func (p *Program) String() string { return p.text }

// Failed returns how often the expression could not be evaluated: it asked for what is not known, divided by zero, or took
// too long.
func (p *Program) Failed() uint64 { return p.failed.Load() }

// Holds reports whether a condition holds for a request. One that fails does not hold.
func (p *Program) Holds(r *match.Request) bool {
	return p.eval(&scope{known: p.known, request: r}) == types.True
}

// HoldsFor reports whether a condition holds for a target of a decision. One that fails does not hold.
func (p *Program) HoldsFor(v *routing.View, k *routing.Candidate) bool {
	return p.eval(p.scope(v, k)) == types.True
}

// ScoreOf returns the number that a target has in a decision. ok is false where that fails.
func (p *Program) ScoreOf(v *routing.View, k *routing.Candidate) (score float64, ok bool) {
	switch n := p.eval(p.scope(v, k)).(type) {
	case types.Double:
		if !math.IsNaN(float64(n)) {
			return float64(n), true
		}
	case types.Int:
		return float64(n), true
	case types.Uint:
		return float64(n), true
	}
	return 0, false
}

func (p *Program) scope(v *routing.View, k *routing.Candidate) *scope {
	return &scope{known: p.known, request: &v.Request, view: v, target: k}
}

// eval returns nil where the expression fails.
func (p *Program) eval(s *scope) ref.Val {
	out, _, err := p.run.Eval(s)
	if err != nil || out == nil || types.IsUnknownOrError(out) {
		p.failed.Add(1)
		return nil
	}
	return out
}
