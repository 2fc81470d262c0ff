package archtest

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// never are imports that no layer excuses. Patterns are of folders, a leading ! excepts one; an import is
// meant with everything below it.
var never = []struct {
	in      string // space-separated patterns; ** is every package
	imports string // space-separated import paths
	tests   bool   // whether tests are meant too
	say     string
}{
	{"extproc/exchange", "github.com/envoyproxy google.golang.org/grpc github.com/cncf/xds", true,
		"the exchange knows no Envoy: translate in extproc"},
	{"routing routing/*", "net/http os os/exec github.com/redis/go-redis", false,
		"routing is pure: take what it needs as a value"},
	{"** !internal/jsonx", "encoding/json github.com/go-json-experiment/json github.com/goccy/go-json github.com/json-iterator/go github.com/bytedance/sonic github.com/tidwall/gjson github.com/tidwall/sjson github.com/buger/jsonparser github.com/valyala/fastjson github.com/segmentio/encoding/json", true,
		"only internal/jsonx has a JSON library: two parsers that disagree are a hole"},
	{"** !internal/app !cmd/* !internal/testkit/*", "os/signal", false,
		"only commands and internal/app listen for signals: take a context"},
	{"** !internal/testkit !internal/testkit/* !providers/providertest !internal/quota/quotatest !internal/idempotency/storetest", "testing testing/fstest testing/iotest testing/quick github.com/google/go-cmp pgregory.net/rapid github.com/rogpeppe/go-internal/testscript", false,
		"code that is no test must not link what tests use"},
	{"**", "log io/ioutil math/rand github.com/stretchr/testify github.com/golang/mock go.uber.org/mock github.com/pkg/errors", true,
		"use log/slog, io and os, math/rand/v2, go-cmp, a fake of one's own, errors"},
}

// exits are calls that end the process, for commands and internal/app only.
var exits = map[string][]string{
	"os":      {"Exit"},
	"syscall": {"Exit", "Exec"},
	"log":     {"Fatal", "Fatalf", "Fatalln"},
}

// badNames say nothing about what a package is for.
var badNames = []string{"util", "utils", "common", "helper", "helpers", "type", "types", "manager", "misc", "base", "shared"}

func applies(patterns, dir string) bool {
	in := false
	for p := range strings.FieldsSeq(patterns) {
		if except, ok := strings.CutPrefix(p, "!"); ok {
			if matches(except, dir) {
				return false
			}
			continue
		}
		in = in || p == "**" || matches(p, dir)
	}
	return in
}

func within(importPath, parent string) bool {
	return importPath == parent || strings.HasPrefix(importPath, parent+"/")
}

// forbidden checks the never table, blank and dot imports, init, exits and names of packages.
func forbidden(t *tree) (out []violation) {
	for _, p := range t.pkgs {
		out = append(out, t.name(p)...)
		for _, f := range p.files {
			for _, i := range f.imports {
				out = append(out, t.imports(p, f, i)...)
			}
			out = append(out, t.ends(p, f)...)
		}
	}
	return out
}

func (t *tree) name(p *pkg) []violation {
	f := p.files[0]
	name := strings.TrimSuffix(f.name, "_test")
	switch {
	case slices.Contains(badNames, name):
		return []violation{t.at("names", p.dir, f.syntax.Package, "package %s: name it after what it holds", name)}
	case name != "main" && p.dir != "." && name != path.Base(p.dir):
		return []violation{t.at("names", p.dir, f.syntax.Package, "package %s stands in folder %s: give both the same name", name, path.Base(p.dir))}
	}
	return nil
}

func (t *tree) imports(p *pkg, f *file, i imported) (out []violation) {
	if i.name == "." || i.name == "_" && i.path != "embed" {
		out = append(out, t.at("imports", p.dir, i.pos, "import %s %q: name what is used and register by hand, in a list", i.name, i.path))
	}
	for _, n := range never {
		if f.test && !n.tests || !applies(n.in, p.dir) {
			continue
		}
		for bad := range strings.FieldsSeq(n.imports) {
			if i.path == bad || within(i.path, bad) && strings.Contains(bad, ".") {
				out = append(out, t.at("never", p.dir, i.pos, "%s imports %s: %s", p.dir, i.path, n.say))
			}
		}
	}
	return out
}

// ends finds init functions and, outside commands and internal/app, calls that end the process. A TestMain
// may exit.
func (t *tree) ends(p *pkg, f *file) (out []violation) {
	may := f.test || p.dir == "internal/app" || strings.HasPrefix(p.dir, "cmd/")
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				out = append(out, t.at("init", p.dir, n.Pos(), "func init runs unasked: build what it builds where it is used"))
			}
		case *ast.SelectorExpr:
			if pkg := f.calls(n); !may && slices.Contains(exits[pkg], n.Sel.Name) {
				out = append(out, t.at("exit", p.dir, n.Pos(), "%s.%s outside cmd and internal/app: return an error", pkg, n.Sel.Name))
			}
		}
		return true
	})
	return out
}
