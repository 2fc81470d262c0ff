package template_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// support is a template with all that one can have.
func support() *template.File {
	return &template.File{
		Model: "smart",
		Variables: []template.Variable{
			{Name: "customer", Max: 40},
			{Name: "tone", Type: "enum", Values: []string{"friendly", "formal"}, Default: template.JSON(`"friendly"`)},
			{Name: "orders", Type: "list", Required: new(false), Max: 3, Separator: " / "},
			{Name: "facts", Type: "json", Required: new(false)},
			{Name: "age", Type: "number", Min: 1, Max: 150, Required: new(false)},
			{Name: "known", Type: "boolean", Required: new(false)},
		},
		Messages: []template.Message{
			{Role: "system", Content: "You answer for ACME in a {{tone}} tone. Braces: \\{{x}}."},
			{Role: "user", Content: "I am {{customer}}, {{ age }}, known: {{known}}. Orders: {{orders}}. Facts: {{facts}}."},
		},
		Tools: []template.Tool{{Name: "find_order", Description: "Finds an order", Parameters: template.JSON(`{"type":"object","properties":{"id":{"type":"string"}}}`)}},
		Parameters: template.Parameters{
			Temperature: new(0.2), MaxTokens: 300,
		},
	}
}

func set(t testing.TB) *template.Set {
	t.Helper()
	plain := &template.File{Messages: []template.Message{{Role: "system", Content: "Be brief."}}}
	first := support()
	first.Messages[0].Content = "First, {{tone}}."
	for _, f := range []*template.File{support(), plain, first} {
		f.Check(func(path, message string) { t.Fatalf("%s: %s", path, message) })
	}
	s := template.NewSet([]template.Source{
		{Name: "support", Number: 2, File: support()}, {Name: "support", Number: 1, File: first}, {Name: "support", Number: 3, File: support()}, {Name: "brief", Number: 1, File: plain},
	}, map[string]template.Labels{"support": {"production": 2, "canary": 3, "gone": 9}})
	bind(s)
	return s
}

func bind(s *template.Set) { s.Bind(all.Servers()) }

const most = 1 << 20

func render(s *template.Set, d dialect.Name, model, body string, may ...string) (template.Rendered, *template.Use, error) {
	doc, err := jsonx.Scan([]byte(body))
	if err != nil {
		return template.Rendered{}, nil, err
	}
	u, e := s.Read(template.Request{Dialect: d, Model: model, Doc: doc, May: may})
	if e != nil {
		return template.Rendered{}, u, e
	}
	if u == nil {
		return template.Rendered{}, nil, nil
	}
	r, e := u.Render(most)
	if e != nil {
		return r, u, e
	}
	return r, u, nil
}

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txtar")

// TestRender compares what each request of testdata becomes with the golden text of its name.
func TestRender(t *testing.T) {
	s := set(t)
	codectest.Archives(t, *update, 6, func(t *testing.T, a *codectest.Archive) {
		for _, name := range a.Names() {
			if strings.HasSuffix(name, " =") {
				continue
			}
			body, _ := a.File(name)
			got := "no template"
			r, u, err := render(s, dialect.Name(a.Option("dialect")), a.Option("model"), body)
			if err != nil {
				got = err.Error()
			} else if u != nil {
				pretty, err := jsonx.Indent(r.Body)
				if err != nil {
					t.Fatalf("%s: %v\n%s", name, err, r.Body)
				}
				got = fmt.Sprintf("%s by %s, model %s\n%s", u, u.Field(), r.Model, pretty)
			}
			a.Set(name+" =", got)
		}
	})
}

func TestASetIsJoinedWithWhatIsKeptElsewhere(t *testing.T) {
	file := func(text string) *template.File {
		return &template.File{Messages: []template.Message{{Role: "user", Content: text}}}
	}
	files := template.NewSet([]template.Source{{Name: "a", Number: 1, File: file("a file")}}, nil)
	kept := []template.Source{{Name: "a", Number: 2, File: file("hidden")}, {Name: "b", Number: 1, File: file("b one")}, {Name: "b", Number: 2, File: file("b two")}}
	one := files.Join(nil, kept, map[string]template.Labels{"a": {"production": 2}, "b": {"production": 1, "canary": 2}})
	find := func(s *template.Set, name, version string) string {
		v, _ := s.Find(name, version)
		if v == nil {
			return ""
		}
		return v.Messages[0].Content
	}
	for ref, want := range map[string]string{"a@": "a file", "a@2": "", "b@": "b one", "b@canary": "b two"} {
		name, version, _ := strings.Cut(ref, "@")
		if got := find(one, name, version); got != want {
			t.Errorf("%s is %q, want %q", ref, got, want)
		}
	}
	two := files.Join(one, kept, map[string]template.Labels{"b": {"production": 2}})
	if got := find(two, "b", ""); got != "b two" {
		t.Errorf("a label that was moved gives %q", got)
	}
	if one.Versions()[1] != two.Versions()[1] {
		t.Error("a version that has not changed was made again")
	}
	if got := (*template.Set)(nil).Join(two, nil, nil); got != nil {
		t.Errorf("nothing gives %v", got)
	}
	if got := (*template.Set)(nil).Join(nil, kept, nil); got == nil || find(got, "a", "") != "hidden" {
		t.Error("without files the store's count")
	}
}
