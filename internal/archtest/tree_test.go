package archtest

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is the source of a module, parsed.
type tree struct {
	module string
	set    *token.FileSet
	pkgs   []*pkg // by folder
}

// pkg is the files of a folder, tests and those of an external test package included.
type pkg struct {
	dir   string // from the module's root, with slashes; "." is the root
	files []*file
}

type file struct {
	path      string
	name      string // of its package
	test      bool
	generated bool
	lines     int
	syntax    *ast.File
	imports   []imported
}

type imported struct {
	path string
	name string // "" when the file gives none
	pos  token.Pos
}

// violation is a place where a rule is broken.
type violation struct {
	rule  string
	where string // what an exception names: a package, a file, or package.name
	pos   string // file:line
	say   string // what is wrong and what to do
}

func (v violation) String() string { return fmt.Sprintf("%s: %s (%s)", v.pos, v.say, v.rule) }

// at makes a violation with the place of a node.
func (t *tree) at(rule, where string, pos token.Pos, format string, args ...any) violation {
	p := t.set.Position(pos)
	return violation{rule, where, fmt.Sprintf("%s:%d", p.Filename, p.Line), fmt.Sprintf(format, args...)}
}

// find returns the package in a folder.
func (t *tree) find(dir string) *pkg {
	for _, p := range t.pkgs {
		if p.dir == dir {
			return p
		}
	}
	return nil
}

// ours returns the folder of an import path of this module.
func (t *tree) ours(importPath string) (dir string, ok bool) {
	if importPath == t.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.module+"/")
}

// code returns the files that are no tests, without generated ones.
func (p *pkg) code() []*file {
	var out []*file
	for _, f := range p.files {
		if !f.test && !f.generated {
			out = append(out, f)
		}
	}
	return out
}

// bare reports whether the package has nothing but tests and, perhaps, a doc.go.
func (p *pkg) bare() bool {
	for _, f := range p.files {
		if !f.test && len(f.syntax.Decls) > 0 {
			return false
		}
	}
	return true
}

// parse makes a tree of sources by path.
func parse(module string, sources map[string][]byte) (*tree, error) {
	t := &tree{module: module, set: token.NewFileSet()}
	byDir := map[string]*pkg{}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		f, err := t.file(name, sources[name])
		if err != nil {
			return nil, err
		}
		dir := path.Dir(name)
		if byDir[dir] == nil {
			byDir[dir] = &pkg{dir: dir}
			t.pkgs = append(t.pkgs, byDir[dir])
		}
		byDir[dir].files = append(byDir[dir].files, f)
	}
	slices.SortFunc(t.pkgs, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return t, nil
}

func (t *tree) file(name string, src []byte) (*file, error) {
	// Object resolution, deprecated for want of types, is what tells a local variable from a package's.
	syntax, err := parser.ParseFile(t.set, name, src, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parsing the tree: %w", err)
	}
	f := &file{
		path: name, name: syntax.Name.Name, syntax: syntax, lines: bytes.Count(src, []byte("\n")),
		test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(syntax),
	}
	for _, s := range syntax.Imports {
		p, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: import %s: %w", name, s.Path.Value, err)
		}
		i := imported{path: p, pos: s.Pos()}
		if s.Name != nil {
			i.name = s.Name.Name
		}
		f.imports = append(f.imports, i)
	}
	return f, nil
}

// local returns the name by which a file calls a package.
func (i imported) local() string {
	if i.name != "" {
		return i.name
	}
	base := path.Base(i.path)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(i.path))
	}
	return base
}

// calls returns the import path behind a selector such as os.Exit, or "" when x.Sel is of something else.
func (f *file) calls(x *ast.SelectorExpr) string {
	id, ok := x.X.(*ast.Ident)
	if !ok || id.Obj != nil {
		return ""
	}
	for _, i := range f.imports {
		if i.local() == id.Name {
			return i.path
		}
	}
	return ""
}

// root finds the folder of the module that this test belongs to.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod in any folder above")
		}
		dir = up
	}
}

// load reads the module's source. Folders with a go.mod of their own are other modules.
func load(t *testing.T) *tree {
	t.Helper()
	top := root(t)
	sources := map[string][]byte{}
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, name)
		if d.IsDir() {
			return skipDir(name, rel)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(name)
		sources[filepath.ToSlash(rel)] = src
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := parse(module(t, top), sources)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func skipDir(name, rel string) error {
	if rel == "." {
		return nil
	}
	base := filepath.Base(rel)
	if base == "testdata" || base == "node_modules" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// module reads the module's path.
func module(t *testing.T, top string) string {
	t.Helper()
	for line := range goMod(t, top) {
		if rest, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatal("go.mod has no module line")
	return ""
}

// goMod yields the lines of go.mod.
func goMod(t *testing.T, top string) func(yield func(string) bool) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string) bool) {
		for s := bufio.NewScanner(bytes.NewReader(src)); s.Scan(); {
			if !yield(strings.TrimSpace(s.Text())) {
				return
			}
		}
	}
}
