package evals

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Check is what an answer must be. One of its members says how; several checks must all hold.
type Check struct {
	Exact    *string   `json:"exact,omitzero"`    // the text, but for spaces around it
	Contains *string   `json:"contains,omitzero"` // a part of it
	Absent   *string   `json:"absent,omitzero"`   // no part of it
	Regex    *string   `json:"regex,omitzero"`    // RE2; it matches some part
	Schema   jsonx.Raw `json:"json_schema,omitzero"`
	Number   *Number   `json:"number,omitzero"`
	Tool     *Tool     `json:"tool,omitzero"`
	Judge    *Judge    `json:"judge,omitzero"`

	regex  *regexp.Regexp
	schema *jsonschema.Schema
	at     string
}

// Number is a check of the last number in an answer.
type Number struct {
	Value     float64 `json:"value"`
	Tolerance float64 `json:"tolerance,omitzero"` // the most that it may be off
}

// Tool is a check of the tool that an answer calls.
type Tool struct {
	Name   string    `json:"name"`
	Schema jsonx.Raw `json:"arguments,omitzero"` // a schema of its arguments

	schema *jsonschema.Schema
}

// Judge is a check by a model, which reads the question, the answer and the rubric.
type Judge struct {
	Rubric string `json:"rubric"`
	Model  string `json:"model,omitzero"` // "": that of the run
}

// Found is what a check found.
type Found struct {
	Check string `json:"check"` // its kind
	Pass  bool   `json:"pass"`
	Why   string `json:"why,omitzero"`  // where it does not pass, or the judge said something
	Void  bool   `json:"void,omitzero"` // it could not be decided: the judge failed, or said neither

	cost int64 // of the judge
}

// readChecks reads a check, or a list of them.
func readChecks(raw []byte, at string) ([]Check, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if jsonx.Kind(raw) == '[' {
		var all []Check
		for i, e := range jsonx.Elements(raw) {
			one, err := readChecks(e, fmt.Sprintf("%s[%d]", at, i))
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	}
	if jsonx.Kind(raw) == '"' { // a text alone is what must be in the answer
		s, _ := jsonx.String(raw)
		return []Check{{Contains: &s, at: at}}, nil
	}
	var c Check
	if err := jsonx.DecodeStrict(raw, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	c.at = at
	if err := c.ready(); err != nil {
		return nil, fmt.Errorf("%s.%w", at, err)
	}
	return []Check{c}, nil
}

// ready compiles a check. Its errors begin with the member at fault.
func (c *Check) ready() (err error) {
	ways := 0
	for _, given := range []bool{c.Exact != nil, c.Contains != nil, c.Absent != nil, c.Regex != nil, len(c.Schema) > 0, c.Number != nil, c.Tool != nil, c.Judge != nil} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return fmt.Errorf("kind: one of exact, contains, absent, regex, json_schema, number, tool and judge is due")
	case c.Regex != nil:
		if c.regex, err = regexp.Compile(*c.Regex); err != nil {
			return fmt.Errorf("regex: %w", err)
		}
	case len(c.Schema) > 0:
		if c.schema, err = compile(c.Schema); err != nil {
			return fmt.Errorf("json_schema: %w", err)
		}
	case c.Number != nil && (c.Number.Tolerance < 0 || math.IsNaN(c.Number.Tolerance)):
		return fmt.Errorf("number.tolerance: must not be below 0")
	case c.Tool != nil && c.Tool.Name == "":
		return fmt.Errorf("tool.name: is missing")
	case c.Tool != nil && len(c.Tool.Schema) > 0:
		if c.Tool.schema, err = compile(c.Tool.Schema); err != nil {
			return fmt.Errorf("tool.arguments: %w", err)
		}
	case c.Judge != nil && c.Judge.Rubric == "":
		return fmt.Errorf("judge.rubric: is missing")
	}
	return nil
}

// compile reads a JSON Schema. It refers to nothing outside itself.
func compile(raw []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nowhere{})
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
}

// nowhere loads no schema.
type nowhere struct{}

// Load refuses.
func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: a schema refers to nothing outside itself", url)
}

// kind names a check.
func (c *Check) kind() string {
	switch {
	case c.Exact != nil:
		return "exact"
	case c.Contains != nil:
		return "contains"
	case c.Absent != nil:
		return "absent"
	case c.Regex != nil:
		return "regex"
	case c.schema != nil:
		return "json_schema"
	case c.Number != nil:
		return "number"
	case c.Tool != nil:
		return "tool"
	}
	return "judge"
}

// numbers finds numbers in a text.
var numbers = regexp.MustCompile(`[-+]?[0-9][0-9,]*(\.[0-9]+)?([eE][-+]?[0-9]+)?`)

// find checks an answer.
func (c *Check) find(ctx context.Context, r *Runner, q *Case, a *Answer) Found {
	f := Found{Check: c.kind()}
	fail := func(format string, args ...any) Found {
		f.Why = fmt.Sprintf(format, args...)
		return f
	}
	text := a.Text
	switch f.Check {
	case "exact":
		if strings.TrimSpace(text) != strings.TrimSpace(*c.Exact) {
			return fail("got %q", clip(text))
		}
	case "contains":
		if !strings.Contains(text, *c.Contains) {
			return fail("got %q", clip(text))
		}
	case "absent":
		if strings.Contains(text, *c.Absent) {
			return fail("got %q", clip(text))
		}
	case "regex":
		if !c.regex.MatchString(text) {
			return fail("got %q", clip(text))
		}
	case "json_schema":
		if why := against(c.schema, text); why != "" {
			return fail("%s", why)
		}
	case "number":
		all := numbers.FindAllString(text, -1)
		if len(all) == 0 {
			return fail("no number in %q", clip(text))
		}
		n, err := strconv.ParseFloat(strings.ReplaceAll(all[len(all)-1], ",", ""), 64)
		if err != nil || math.Abs(n-c.Number.Value) > c.Number.Tolerance {
			return fail("got %s", all[len(all)-1])
		}
	case "tool":
		if why := c.Tool.called(a); why != "" {
			return fail("%s", why)
		}
	case "judge":
		return r.judge(ctx, c.Judge, q, a)
	}
	f.Pass = true
	return f
}

// against says how a text is not what a schema asks for.
func against(s *jsonschema.Schema, text string) string {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return "no JSON: " + clip(text)
	}
	if err := s.Validate(v); err != nil {
		return clip(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return ""
}

// called says how an answer does not call the tool.
func (t *Tool) called(a *Answer) string {
	if len(a.Calls) == 0 {
		return "no tool is called"
	}
	why := ""
	for _, c := range a.Calls {
		if c.Name != t.Name {
			why = "it calls " + c.Name
			continue
		}
		if t.schema == nil {
			return ""
		}
		if why = against(t.schema, c.Arguments); why == "" {
			return ""
		}
	}
	return why
}

// clip shortens a text for a report.
func clip(s string) string {
	const most = 160
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
