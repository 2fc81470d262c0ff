package template_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// TestCheck finds what is wrong with files beyond their single fields.
func TestCheck(t *testing.T) {
	says := func(s string) []template.Message { return []template.Message{{Role: "user", Content: s}} }
	for _, c := range []struct {
		name string
		file template.File
		want string // path and the beginning of the message
	}{
		{"a brace without an end", template.File{Messages: says("Hello {{name")}, "messages[0].content: a {{ has no }}"},
		{"an expression", template.File{Messages: says("{{ name | upper }}")}, "messages[0].content: between {{ and }} the name"},
		{"an unknown variable", template.File{Messages: says("{{name}}")}, `messages[0].content: there is no variable "name"`},
		{"a blank message", template.File{Messages: says(" \n")}, "messages[0].content: the message is empty"},
		{"a private character", template.File{Messages: says("\ue000")}, "messages[0].content: the characters U+E000"},
		{"a variable that nothing uses", template.File{Messages: says("hi"), Variables: []template.Variable{{Name: "a"}}}, "variables[0].name: no message has {{a}}"},
		{"a variable twice", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a"}, {Name: "a"}}}, "variables[1].name: the variable"},
		{"a bad name", template.File{Messages: says("hi"), Variables: []template.Variable{{Name: "A b"}}}, "variables[0].name: a variable's name"},
		{"an enum without values", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a", Type: "enum"}}}, "variables[0].values: values are missing"},
		{"values of a string", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a", Values: []string{"x"}}}}, "variables[0].values: values: only an enum"},
		{"a default of another type", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a", Type: "number", Default: template.JSON(`"1"`)}}}, "variables[0].default: default: must be a number"},
		{"a default out of bounds", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a", Max: 2, Default: template.JSON(`"abc"`)}}}, "variables[0].default: default: must have at most 2"},
		{"bounds the wrong way round", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a", Min: 3, Max: 2}}}, "variables[0].max: max: lower"},
		{"bounds of a truth value", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a", Type: "boolean", Max: 2}}}, "variables[0].type: min and max"},
		{"a separator of a string", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a", Separator: ";"}}}, "variables[0].separator: separator: only a list"},
		{"required with a default", template.File{Messages: says("{{a}}"), Variables: []template.Variable{{Name: "a", Required: new(true), Default: template.JSON(`"x"`)}}}, "variables[0].required: required: one"},
		{"a tool twice", template.File{Messages: says("hi"), Tools: []template.Tool{{Name: "a"}, {Name: "a"}}}, "tools[1].name: the tool is already there"},
		{"a schema that is none", template.File{Messages: says("hi"), Tools: []template.Tool{{Name: "a", Parameters: template.JSON(`[]`)}}}, "tools[0].parameters: parameters must be"},
		{"the choice of no tool", template.File{Messages: says("hi"), Parameters: template.Parameters{ToolChoice: "auto"}}, "parameters.tool_choice: tool_choice: there are no tools"},
		{"the choice of an unknown tool", template.File{Messages: says("hi"), Tools: []template.Tool{{Name: "a"}}, Parameters: template.Parameters{ToolChoice: "b"}}, "parameters.tool_choice: tool_choice: must be"},
		{"too hot", template.File{Messages: says("hi"), Parameters: template.Parameters{Temperature: new(2.5)}}, "parameters.temperature: temperature: must be from 0 to 2"},
		{"top_p above one", template.File{Messages: says("hi"), Parameters: template.Parameters{TopP: new(1.5)}}, "parameters.top_p: top_p: must be from 0 to 1"},
		{"a format without its schema", template.File{Messages: says("hi"), Parameters: template.Parameters{Format: template.Format{Type: "schema"}}}, "parameters.response_format.schema: schema must be"},
		{"a schema without its format", template.File{Messages: says("hi"), Parameters: template.Parameters{Format: template.Format{Type: "json", Name: "x"}}}, "parameters.response_format: response_format: name, schema"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			c.file.Check(func(path, message string) { got = append(got, path+": "+message) })
			if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, c.want) }) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestWhoMayUseWhat hides templates and versions that a key's patterns do not name.
func TestWhoMayUseWhat(t *testing.T) {
	s := set(t)
	for _, c := range []struct {
		name, body string
		may        []string
		want       string // "": it is rendered
	}{
		{"no patterns", `{"template":"brief","model":"m"}`, nil, ""},
		{"its name", `{"template":"brief","model":"m"}`, []string{"brief"}, ""},
		{"a pattern of it", `{"template":"brief","model":"m"}`, []string{"b*"}, ""},
		{"another's name", `{"template":"brief","model":"m"}`, []string{"support"}, "invalid template: there is no template"},
		{"a version", `{"model":"support@1","metadata":{"customer":"a"}}`, []string{"support@1"}, ""},
		{"another version", `{"model":"support@2","metadata":{"customer":"a"}}`, []string{"support@1"}, "invalid model: the template support has no version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, u, err := render(s, dialect.OpenAIChat, "", c.body, c.may...)
			switch {
			case c.want == "" && (err != nil || u == nil):
				t.Errorf("got %v, %v", u, err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if _, u, err := render(s, dialect.OpenAIChat, "", `{"model":"support","messages":[]}`, "brief"); u != nil || err != nil {
		t.Errorf("a model that is the name of a template which the key may not use is one: %v, %v", u, err)
	}
}

// TestLabels finds versions by number and label, and falls back to the highest where nothing is labelled.
func TestLabels(t *testing.T) {
	s := set(t)
	for name, want := range map[string]string{"support": "support@2", "support@1": "support@1", "support@canary": "support@3", "support@gone": "", "support@01": "", "brief": "brief@1", "brief@production": "brief@1"} {
		n, version, _ := strings.Cut(name, "@")
		v, known := s.Find(n, version)
		got := ""
		if v != nil {
			got = v.String()
		}
		if got != want || !known {
			t.Errorf("%s: %q, %t, want %q", name, got, known, want)
		}
	}
	labels, of := s.Labels("support")
	if diff := cmp.Diff([]string{"canary", "production"}, labels); diff != "" || of["canary"] != 3 {
		t.Error(diff, of)
	}
}

// TestABodyIsBoundedBeforeItIsMade refuses a variable that a template repeats until the body is too long.
func TestABodyIsBoundedBeforeItIsMade(t *testing.T) {
	f := &template.File{Model: "m", Variables: []template.Variable{{Name: "a"}}, Messages: []template.Message{{Role: "user", Content: strings.Repeat("{{a}}", 100)}}}
	s := template.NewSet([]template.Source{{Name: "loud", Number: 1, File: f}}, nil)
	bind(s)
	body := `{"model":"loud","metadata":{"a":"` + strings.Repeat("x", 20<<10) + `"}}`
	if _, _, err := render(s, dialect.OpenAIChat, "", body); err == nil || !strings.Contains(err.Error(), "over the limit of 1048576 bytes") {
		t.Errorf("got %v", err)
	}
	if _, u, err := render(s, dialect.OpenAIChat, "", `{"model":"loud","metadata":{"a":"x"}}`); u == nil || err != nil {
		t.Errorf("got %v, %v", u, err)
	}
}
