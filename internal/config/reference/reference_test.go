package reference_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/config/reference"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing/expr"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

var update = flag.Bool("update", false, "write the files in docs")

const docs = "../../../docs/"

func TestGoldenReferenceIsUpToDate(t *testing.T) {
	golden(t, docs+"configuration.md", reference.Markdown(all.Kinds()))
}

func TestGoldenSchemaIsUpToDate(t *testing.T) {
	golden(t, docs+"signalbox.schema.json", string(reference.Schema(all.Kinds())))
}

func TestGoldenPagesOfRoutingAreUpToDate(t *testing.T) {
	golden(t, docs+"routing.md", reference.Routing())
	comments := comments(t, "../../../routing/policy")
	for _, name := range policy.Names() {
		k, _ := policy.Find(name)
		if kind := reflect.TypeOf(k.New()).Elem().Name(); len(comments[kind]) < 60 {
			t.Errorf("the comment of %s is no page of a manual: %q", kind, comments[kind])
		}
	}
	golden(t, docs+"policies.md", reference.Policies(comments))
}

// comments reads the comments of a package's types.
func comments(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	out := map[string]string{}
	for _, f := range files {
		src, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range src.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE && len(g.Specs) == 1 {
				out[g.Specs[0].(*ast.TypeSpec).Name.Name] = g.Doc.Text()
			}
		}
	}
	return out
}

// What docs/routing.md shows can be used as it stands there.
func TestTheExamplesOfRoutingAreValid(t *testing.T) {
	_, rest, _ := strings.Cut(reference.Routing(), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no example")
	}
	c, err := config.Parse("routing.yaml", []byte(example), all.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Table().Match(c.Table().Resolve("smart")); r == nil || r.Name != "night" {
		t.Errorf("smart goes to %+v", r)
	}
	_, rest, _ = strings.Cut(rest, "```cel\n")
	lines, _, _ := strings.Cut(rest, "```")
	n := 0
	for line := range strings.Lines(lines) {
		n++
		if _, err := expr.Condition(line, expr.OfTargets); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if n < 3 {
		t.Errorf("%d expressions", n)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, string(want)); diff != "" {
		t.Errorf("%s is not what go generate ./internal/config writes (-got +want):\n%s", file, diff)
	}
}

func TestTheExampleIsValid(t *testing.T) {
	c, err := config.Parse("example.yaml", []byte(reference.Example()), all.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{"smart": "support", "llama-3": "canary", "claude-x": "claude"} {
		if r := c.Table().Match(c.Table().Resolve(model)); r == nil || r.Name != want {
			t.Errorf("%s goes to %+v, want %s", model, r, want)
		}
	}
	if !strings.Contains(reference.Markdown(all.Kinds()), reference.Example()) {
		t.Error("the reference does not show the example")
	}
}

func TestEveryFieldHasAMeaning(t *testing.T) {
	for line := range strings.Lines(reference.Markdown(all.Kinds())) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") && (len(cells) < 4 || strings.Trim(cells[3], " |\n") == "") {
			t.Errorf("no meaning: %s", line)
		}
	}
}

// TestPatternsTakeTheDefaults walks the schema: every expression compiles and takes its own default.
func TestPatternsTakeTheDefaults(t *testing.T) {
	checked := 0
	var walk func(path string, raw []byte)
	walk = func(path string, raw []byte) {
		switch jsonx.Kind(raw) {
		case '[':
			for i, e := range jsonx.Elements(raw) {
				walk(fmt.Sprint(path, "/", i), e)
			}
		case '{':
			for name, member := range jsonx.Members(raw) {
				walk(path+"/"+string(name), member)
			}
			pattern, _ := jsonx.String(jsonx.Get(raw, "pattern"))
			if pattern == "" {
				return
			}
			re, err := regexp.Compile(pattern)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return
			}
			if d, ok := jsonx.String(jsonx.Get(raw, "default")); ok {
				checked++
				if !re.MatchString(d) {
					t.Errorf("%s: %s does not take its default %s", path, pattern, d)
				}
			}
		}
	}
	walk("", reference.Schema(all.Kinds()))
	if checked < 10 {
		t.Errorf("only %d defaults checked", checked)
	}
}
