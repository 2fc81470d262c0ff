package tokens

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/tokenizer/frame"
)

// Constant is a constant of a frame, and what the half of the recordings that constants are fitted on says of it.
// Families whose frames are of one kind and have one value for it share it.
type Constant struct {
	Name     string // of the frame and its field
	Value    int64  // that counts are made with
	Families []string
	Fit      int64 // the value that the fitting half alone leads to
	Apart    int64 // the value that the checking half alone leads to; for comparison
	FitPairs int   // requests of the fitting half that it matters for
	Pairs    int   // requests of both
}

// Known reports whether the fitting half says anything of the constant.
func (c *Constant) Known() bool { return c.FitPairs > 0 }

// Constants fits the constants of all frames, each half of a file's recordings for itself. The fit begins with all
// constants zero and knows of their values only which families share one. Counts are linear in the constants: each
// turn, call or tool adds its own. So one constant after another takes the value that the most requests agree on with
// the others as they are, until none moves any more.
func (t *Tool) Constants(path string) ([]Constant, error) {
	f := fitting{at: map[string]int{}}
	var n Tally
	err := t.walk(path, false, &n, func(m *measured) {
		switch shape(m.req) {
		case "plain", "tools", "schema", "thinking":
			if !searched(m.req) {
				f.add(t, m)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	fit, apart := f.solve(Fit), f.solve(Check)
	for i := range f.constants {
		c := &f.constants[i]
		c.Fit, c.Apart = fit[i], apart[i]
		slices.Sort(c.Families)
	}
	slices.SortStableFunc(f.constants, func(a, b Constant) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	return f.constants, nil
}

// fitting is a fit under way.
type fitting struct {
	constants []Constant
	at        map[string]int // of constants, by name and value
	rows      []row
}

// row is a request: what it has without constants, and how often each constant is in it.
type row struct {
	side  Side
	rank  int   // how much there is beside plain text, see plainness
	exact bool  // whether counts of such requests are measured by being exact, or else by being off by few percent
	rest  int64 // reported, less all that is counted without constants
	of    []term
}

type term struct {
	constant int
	times    int64
}

// add takes a request.
func (f *fitting) add(t *Tool, m *measured) {
	c := t.Set.For(m.pair.kind(), m.pair.name())
	switch c.Rule().(type) {
	case frame.OpenAI, frame.Claude, frame.Gemini: // templates are published
	default:
		return
	}
	switch m.pair.maker() {
	case "openai", "claude", "gemini": // others that serve these models may show them more
	default:
		return
	}
	count := func(r frame.Rule) int64 {
		return r.Count(m.req, frame.Env{Text: func(string) int { return 0 }}).Frame
	}
	base := count(c.Rule())
	rank := plainness(m.req)
	r := row{side: m.side, rank: rank, exact: rank < 2 || m.pair.maker() != "claude", rest: m.reported - c.Request(m.req).Input}
	each(c.Rule(), func(path string, value int64, more frame.Rule) {
		times := count(more) - base
		if times == 0 {
			return
		}
		name := reflect.TypeOf(more).Name() + path
		key := fmt.Sprint(name, "=", value)
		i, ok := f.at[key]
		if !ok {
			i = len(f.constants)
			f.at[key] = i
			f.constants = append(f.constants, Constant{Name: name, Value: value})
		}
		k := &f.constants[i]
		if !slices.Contains(k.Families, c.Family) {
			k.Families = append(k.Families, c.Family)
		}
		k.Pairs++
		if m.side == Fit {
			k.FitPairs++
		}
		r.rest += times * value
		r.of = append(r.of, term{i, times})
	})
	f.rows = append(f.rows, r)
}

// each calls do for every integer in a rule, with the rule where it is one more.
func each(r frame.Rule, do func(path string, value int64, more frame.Rule)) {
	more := reflect.New(reflect.TypeOf(r)).Elem()
	more.Set(reflect.ValueOf(r))
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		for i := range v.NumField() {
			name, field := path+"."+v.Type().Field(i).Name, v.Field(i)
			switch field.Kind() {
			case reflect.Struct:
				walk(name, field)
			case reflect.Int64:
				value := field.Int()
				field.SetInt(value + 1)
				do(name, value, more.Interface().(frame.Rule)) //nolint:forcetypeassert // it was made of one
				field.SetInt(value)
			}
		}
	}
	walk("", more)
}

// solve fits the constants on a half of the recordings.
func (f *fitting) solve(side Side) []int64 {
	s := solving{f: f, x: make([]int64, len(f.constants)), in: make([][]int, len(f.constants)), left: make([]int64, len(f.rows))}
	for i := range f.rows {
		r := &f.rows[i]
		s.left[i] = r.rest
		if r.side == side {
			for _, t := range r.of {
				s.in[t.constant] = append(s.in[t.constant], i)
			}
		}
	}
	s.having = slices.Clone(s.in)
	for k := range s.in {
		s.in[k] = f.plainest(s.in[k])
	}
	s.begin()
	const rounds = 20
	for range rounds {
		if !s.single() && !s.pairs() {
			break
		}
	}
	return s.x
}

// plainest returns those of some rows in which there is the least beside plain text, if there are a few of them.
func (f *fitting) plainest(rows []int) []int {
	const few = 3
	for rank := range ranks {
		var of []int
		for _, i := range rows {
			if f.rows[i].rank <= rank {
				of = append(of, i)
			}
		}
		if len(of) >= few {
			return of
		}
	}
	return rows
}

// searched reports whether the model has to search for some tools, which adds to what it is shown.
func searched(req *llm.Request) bool {
	if chat := req.Chat(); chat != nil {
		for i := range chat.Tools {
			for _, m := range chat.Tools[i].Extra {
				if m.Name == "defer_loading" {
					return true
				}
			}
		}
	}
	return false
}

// ranks is how many there are of plainness.
const ranks = 5

// plainness is 0 of plain text, and more of what is counted less surely: schemas and thinking, tools, calls, and several
// calls at once.
func plainness(req *llm.Request) int {
	switch shape(req) {
	case "plain":
		return 0
	case "tools":
	default:
		return 1
	}
	rank := 2
	for i := range req.Chat().Turns {
		calls := 0
		for j := range req.Chat().Turns[i].Parts {
			if req.Chat().Turns[i].Parts[j].Kind == llm.PartCall {
				calls++
			}
		}
		rank = max(rank, min(2+calls, ranks-1))
	}
	return rank
}

// solving is a fit of all constants on some rows.
type solving struct {
	f    *fitting
	x    []int64
	in   [][]int // rows by constant: those that it is fitted on
	left []int64 // what is reported of a row, less its count

	having [][]int // all rows by constant
}

// begin finds first values, of one constant after another: the one next that is the only one unknown in the most rows.
func (s *solving) begin() {
	unknown := map[int]bool{}
	for k := range s.x {
		if len(s.in[k]) > 0 {
			unknown[k] = true
		}
	}
	for len(unknown) > 0 {
		next, rows := -1, []int(nil)
		fewest := math.MaxInt
		for _, k := range slices.Sorted(maps.Keys(unknown)) {
			alone, others := s.alone(k, unknown)
			if others < fewest || others == fewest && len(alone) > len(rows) {
				next, rows, fewest = k, alone, others
			}
		}
		s.move(next, s.step(next, rows))
		delete(unknown, next)
	}
}

// alone are the rows of a constant with the fewest others that are unknown, and how many those are.
func (s *solving) alone(k int, unknown map[int]bool) (rows []int, fewest int) {
	fewest = math.MaxInt
	for _, i := range s.in[k] {
		n := 0
		for _, t := range s.f.rows[i].of {
			if t.constant != k && unknown[t.constant] {
				n++
			}
		}
		if n < fewest {
			rows, fewest = rows[:0], n
		}
		if n == fewest {
			rows = append(rows, i)
		}
	}
	return rows, fewest
}

// single moves each constant to its best value, and reports whether one moved.
func (s *solving) single() (moved bool) {
	for k := range s.x {
		if by := s.step(k, s.in[k]); by != 0 {
			s.move(k, by)
			moved = true
		}
	}
	return moved
}

// pairs moves two constants at once, where neither alone gets better: one by a little, and the other to where it is
// best then.
func (s *solving) pairs() (moved bool) {
	for a := range s.x {
		for b := range s.x {
			if a != b && s.pair(a, b) {
				moved = true
			}
		}
	}
	return moved
}

func (s *solving) pair(a, b int) bool {
	together := false
	for _, i := range s.in[a] {
		together = together || s.f.times(i, b) != 0
	}
	if !together {
		return false
	}
	const little = 3
	for by := int64(-little); by <= little; by++ {
		if by == 0 {
			continue
		}
		before := s.loss(a, b)
		s.move(a, by)
		then := s.step(b, s.in[b])
		s.move(b, then)
		if s.loss(a, b) < before-same {
			return true
		}
		s.move(b, -then)
		s.move(a, -by)
	}
	return false
}

// same is how much two losses differ at most that are alike.
const same = 1e-9

// loss is that of the rows of two constants.
func (s *solving) loss(a, b int) (sum float64) {
	for _, i := range s.in[a] {
		sum += s.cost(i, s.left[i])
	}
	for _, i := range s.in[b] {
		if s.f.times(i, a) == 0 {
			sum += s.cost(i, s.left[i])
		}
	}
	return sum
}

// cost is what it costs to be off in a row: a token for each of the first few, then ever less, so that requests of
// which nothing else is known either do not outweigh the others. Where counts are measured by being exact, one more.
func (s *solving) cost(row int, off int64) float64 {
	if off == 0 {
		return 0
	}
	const few = 4
	d := float64(abs(off))
	if d > few {
		d = few * (1 + math.Log(d/few))
	}
	if s.f.rows[row].exact {
		d++
	}
	return d
}

// move moves a constant.
func (s *solving) move(k int, by int64) {
	s.x[k] += by
	if by != 0 {
		for _, i := range s.having[k] {
			s.left[i] -= by * s.f.times(i, k)
		}
	}
}

// step returns by how much a constant moves: to where rows agree best, and to the smaller one of two that are as good.
func (s *solving) step(k int, rows []int) int64 {
	times := make([]int64, len(rows))
	candidates := map[int64]bool{0: true}
	for j, i := range rows {
		times[j] = s.f.times(i, k)
		candidates[int64(math.Round(float64(s.left[i])/float64(times[j])))] = true
	}
	best, by := math.Inf(1), int64(0)
	for _, c := range slices.Sorted(maps.Keys(candidates)) {
		loss := 0.0
		for j, i := range rows {
			loss += s.cost(i, s.left[i]-c*times[j])
		}
		if loss < best-same || loss < best+same && abs(s.x[k]+c) < abs(s.x[k]+by) {
			best, by = loss, c
		}
	}
	return by
}

// times is how often a constant is in a row.
func (f *fitting) times(row, constant int) int64 {
	for _, t := range f.rows[row].of {
		if t.constant == constant {
			return t.times
		}
	}
	return 0
}

func abs(n int64) int64 { return max(n, -n) }

// WriteConstants writes constants as a table.
func WriteConstants(out io.Writer, list []Constant) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "constant\tvalue\tfitted\trequests\tchecked\trequests\tfamilies")
	for i := range list {
		c := &list[i]
		fit, apart := "-", "-"
		if c.Known() {
			fit = strconv.FormatInt(c.Fit, 10)
		}
		if c.Pairs > c.FitPairs {
			apart = strconv.FormatInt(c.Apart, 10)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\t%d\t%s\n", c.Name, c.Value, fit, c.FitPairs, apart, c.Pairs-c.FitPairs, strings.Join(c.Families, ", "))
	}
	return w.Flush()
}
