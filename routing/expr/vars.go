package expr

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// Variable is what expressions can speak of.
type Variable struct {
	Name string
	Doc  string
	kind *cel.Type
	of   func(s *scope) ref.Val // nil: not known, which makes the expression fail
}

// Variables returns the variables of expressions, in the order of the manual.
func Variables(of About) []Variable {
	all := requestVariables()
	if of == OfTargets {
		all = append(all, targetVariables()...)
	}
	return all
}

// Type returns the variable's type, as CEL writes it.
func (v *Variable) Type() string { return cel.FormatCELType(v.kind) }

func text(f func(s *scope) string) func(*scope) ref.Val {
	return func(s *scope) ref.Val { return types.String(f(s)) }
}

func count(f func(s *scope) int64) func(*scope) ref.Val {
	return func(s *scope) ref.Val { return types.Int(f(s)) }
}

func number(f func(s *scope) float64) func(*scope) ref.Val {
	return func(s *scope) ref.Val { return types.Double(f(s)) }
}

// seconds is a measured time; what was not measured is not known.
func seconds(f func(k *routing.Candidate) time.Duration) func(*scope) ref.Val {
	return func(s *scope) ref.Val {
		d := f(s.target)
		if d == 0 {
			return nil
		}
		return types.Double(d.Seconds())
	}
}

func list(f func(s *scope) []string) func(*scope) ref.Val {
	return func(s *scope) ref.Val { return types.NewStringList(types.DefaultTypeAdapter, f(s)) }
}

func requestVariables() []Variable {
	names, words := cel.MapType(cel.StringType, cel.StringType), cel.ListType(cel.StringType)
	return []Variable{
		{"request.model", "The model that is asked for, aliases resolved.", cel.StringType, text(func(s *scope) string { return s.request.Model })},
		{"request.asked", "The model as the client named it.", cel.StringType, text(func(s *scope) string { return s.request.Asked })},
		{"request.operation", "The operation: chat, embed and so on, as metrics name them.", cel.StringType, text(func(s *scope) string { return s.request.Op.String() })},
		{"request.dialect", "The client's dialect, as openai-chat.", cel.StringType, text(func(s *scope) string { return s.request.Dialect })},
		{"request.stream", "Whether the answer is asked for as a stream.", cel.BoolType, func(s *scope) ref.Val { return types.Bool(s.request.Stream) }},
		{"request.bytes", "The length of the body.", cel.IntType, count(func(s *scope) int64 { return s.request.Bytes })},
		{"request.tokens", "How long the prompt is, in tokens: counted where its vocabulary is known, guessed from its bytes elsewhere. Counting takes time.", cel.IntType, count(func(s *scope) int64 { return s.tokens() })},
		{"request.max_tokens", "The tokens that the client allows for the answer; 0 where it does not say.", cel.IntType, count(func(s *scope) int64 { return s.request.Output })},
		{"request.needs", "What the request asks of the model: tools, vision, pdf, audio_in, video_in, json_schema, reasoning, web_search.", words, list(func(s *scope) []string { return s.needs().Names() })},
		{"request.tools", "Whether the request has tools.", cel.BoolType, func(s *scope) ref.Val { return types.Bool(s.needs()&ability.Tools != 0) }},
		{"request.images", "Whether the request has images.", cel.BoolType, func(s *scope) ref.Val { return types.Bool(s.needs()&ability.Vision != 0) }},
		{"request.key", "The client's key, by its name or id.", cel.StringType, text(func(s *scope) string { return s.request.Owner.Key })},
		{"request.team", "Whose request it is, and so with the next; the text is empty where there is none.", cel.StringType, text(func(s *scope) string { return s.request.Owner.Team })},
		{"request.project", "The project.", cel.StringType, text(func(s *scope) string { return s.request.Owner.Project })},
		{"request.organization", "The organization.", cel.StringType, text(func(s *scope) string { return s.request.Owner.Organization })},
		{"request.end_user", "The end user.", cel.StringType, text(func(s *scope) string { return s.request.Owner.EndUser })},
		{"request.tags", "The tags by their names. A missing one is the empty text; has(request.tags.feature) tells.", names, func(s *scope) ref.Val { return lookup{s.tag} }},
		{"request.headers", "The headers by their names, in any case. A missing one is the empty text.", names, func(s *scope) ref.Val { return lookup{s.header} }},
		{"request.time", "When the request came.", cel.TimestampType, func(s *scope) ref.Val { return types.Timestamp{Time: s.request.At} }},
	}
}

func targetVariables() []Variable {
	words := cel.ListType(cel.StringType)
	return []Variable{
		{"target.provider", "The provider's name.", cel.StringType, text(func(s *scope) string { return s.target.Provider })},
		{"target.model", "The provider's name of the model.", cel.StringType, text(func(s *scope) string { return s.target.Model })},
		{"target.kind", "The kind of the provider.", cel.StringType, text(func(s *scope) string { return s.target.About.Kind })},
		{"target.region", "The region of the provider; empty where none is stated.", cel.StringType, text(func(s *scope) string { return s.target.About.Region })},
		{"target.traits", "The traits of the provider, as NAME or NAME=VALUE.", words, list(func(s *scope) []string { return s.target.About.Traits })},
		{"target.abilities", "What the model is known to be able to do.", words, list(func(s *scope) []string { return s.target.About.Facts.Can.Names() })},
		{"target.context", "The model's context window in tokens; 0 where it is not known.", cel.IntType, count(func(s *scope) int64 { return s.target.About.Facts.Context })},
		{"target.max_output", "The model's longest answer in tokens; 0 where it is not known.", cel.IntType, count(func(s *scope) int64 { return s.target.About.Facts.MaxOutput })},
		{"target.number", "The place of the target among those of the route, from 1.", cel.IntType, count(func(s *scope) int64 { return int64(s.target.N + 1) })},
		{"target.weight", "Its weight.", cel.IntType, count(func(s *scope) int64 { return int64(s.target.Weight) })},
		{"target.priority", "Its priority; 0 where it has none.", cel.IntType, count(func(s *scope) int64 { return int64(s.target.Priority) })},
		{"target.priced", "Whether its price is known.", cel.BoolType, func(s *scope) ref.Val { _, ok := s.view.Cost(s.target); return types.Bool(ok) }},
		{"target.cost", "What the request is expected to cost there, in dollars. Not known where the price is not.", cel.DoubleType, func(s *scope) ref.Val {
			n, ok := s.view.Cost(s.target)
			if !ok {
				return nil
			}
			return types.Double(float64(n) / 1e9)
		}},
		{"target.tokens", "How long the prompt is there, in tokens.", cel.IntType, count(func(s *scope) int64 { return s.view.Tokens(s.target) })},
		{"target.measured", "Whether times of it are known: without, an expression that asks for one fails.", cel.BoolType, func(s *scope) ref.Val {
			return types.Bool(s.target.Signals.First.P50 > 0 && s.target.Signals.Total.P50 > 0)
		}},
		{"target.first_token", "The median time to the first token, in seconds.", cel.DoubleType, seconds(func(k *routing.Candidate) time.Duration { return k.Signals.First.P50 })},
		{"target.first_token_p95", "The time to the first token that one answer in twenty exceeds, in seconds.", cel.DoubleType, seconds(func(k *routing.Candidate) time.Duration { return k.Signals.First.P95 })},
		{"target.total", "The median time to the end, in seconds.", cel.DoubleType, seconds(func(k *routing.Candidate) time.Duration { return k.Signals.Total.P50 })},
		{"target.total_p95", "The time to the end that one answer in twenty exceeds, in seconds.", cel.DoubleType, seconds(func(k *routing.Candidate) time.Duration { return k.Signals.Total.P95 })},
		{"target.success", "The share of attempts that went well of late, from 0 to 1.", cel.DoubleType, number(func(s *scope) float64 { return s.target.Signals.Success })},
		{"target.attempts", "How many attempts of late that rests on, older ones counting less.", cel.DoubleType, number(func(s *scope) float64 { return s.target.Signals.Weight })},
		{"target.in_flight", "The attempts that are under way.", cel.IntType, count(func(s *scope) int64 { return s.target.Signals.InFlight })},
		{"target.healthy", "Whether its breaker lets requests in.", cel.BoolType, func(s *scope) ref.Val { return types.Bool(s.target.Signals.Share > 0) }},
	}
}

// names are the names of all variables.
func names(of About) []string {
	var out []string
	for _, v := range Variables(of) {
		out = append(out, v.Name)
	}
	return out
}

// world is what expressions are compiled in.
type world struct {
	env   *cel.Env
	known map[string]*Variable
}

// The worlds are made when the first expression is compiled, so that nothing is there of them where a configuration has none.
// All programs share them: an environment has a hundred times the memory of an expression.
var (
	ofRequests = sync.OnceValues(func() (*world, error) { return newWorld(OfRequests) })
	ofTargets  = sync.OnceValues(func() (*world, error) { return newWorld(OfTargets) })
)

func worldOf(of About) (*world, error) {
	if of == OfTargets {
		return ofTargets()
	}
	return ofRequests()
}

func newWorld(of About) (*world, error) {
	opts := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(longest), cel.ExpressionNodeLimit(nodes), cel.ParserRecursionLimit(deepest), cel.ExpressionNestingDepthLimit(deepest), cel.RegexProgramSizeLimit(program),
		cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
	}
	w := &world{known: map[string]*Variable{}}
	for _, v := range Variables(of) {
		opts = append(opts, cel.Variable(v.Name, v.kind))
		w.known[v.Name] = &v
	}
	var err error
	w.env, err = cel.NewEnv(opts...)
	return w, err
}

// sizes says how large variables can be, for the estimate of what an expression costs.
type sizes struct{}

// EstimateSize implements cost.CostEstimator.
func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if len(n.Path()) == 0 {
		return nil
	}
	const text, words = 4096, 64
	switch {
	case n.Type().IsExactType(cel.StringType):
		return &cost.SizeEstimate{Max: text}
	case n.Type().Kind() == types.ListKind:
		return &cost.SizeEstimate{Max: words}
	}
	return nil
}

// EstimateCallCost implements cost.CostEstimator.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// scope is what one evaluation sees: CEL asks it for variables by their names.
type scope struct {
	known   map[string]*Variable
	request *match.Request
	view    *routing.View      // nil: of requests only
	target  *routing.Candidate // nil: likewise
}

// ResolveName implements cel.Activation.
func (s *scope) ResolveName(name string) (any, bool) {
	v := s.known[name]
	if v == nil {
		return nil, false
	}
	val := v.of(s)
	return val, val != nil
}

// Parent implements cel.Activation.
func (*scope) Parent() cel.Activation { return nil }

func (s *scope) tokens() int64 { return s.request.TokensAt("", "", "") }

func (s *scope) needs() ability.Set {
	if s.request.More == nil {
		return 0
	}
	return s.request.More.Needs()
}

func (s *scope) tag(name string) string { return s.request.Tags[name] }

func (s *scope) header(name string) string {
	if s.request.More == nil {
		return ""
	}
	return s.request.More.Header(strings.ToLower(name))
}

// lookup is a mapping that is asked by name only. What is missing is the empty text, and is not there for has and in.
type lookup struct{ of func(name string) string }

var (
	_ traits.Indexer     = lookup{}
	_ traits.Container   = lookup{}
	_ traits.FieldTester = lookup{}
)

// Get implements traits.Indexer.
func (l lookup) Get(name ref.Val) ref.Val {
	n, ok := name.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(name)
	}
	return types.String(l.of(string(n)))
}

// Contains implements traits.Container.
func (l lookup) Contains(name ref.Val) ref.Val {
	n, ok := name.(types.String)
	return types.Bool(ok && l.of(string(n)) != "")
}

// IsSet implements traits.FieldTester.
func (l lookup) IsSet(name ref.Val) ref.Val { return l.Contains(name) }

// ConvertToNative implements ref.Val.
func (l lookup) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("cannot be converted to %v", t)
}

// ConvertToType implements ref.Val.
func (l lookup) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return types.MapType
	}
	return types.NewErr("cannot be converted to %s", t.TypeName())
}

// Equal implements ref.Val.
func (l lookup) Equal(ref.Val) ref.Val { return types.NewErr("cannot be compared as a whole") }

// Type implements ref.Val.
func (l lookup) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (l lookup) Value() any { return l.of }
