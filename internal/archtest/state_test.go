package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// pure are calls whose results do not change, so that a package-level variable may hold one. Calls of the
// module's own functions are judged by what they return.
var pure = map[string][]string{
	"errors":        {"New", "Join"},
	"fmt":           {"Errorf", "Sprintf", "Sprint"},
	"regexp":        {"MustCompile"},
	"strings":       {"NewReplacer", "Fields", "Split", "Repeat", "ToLower", "Join"},
	"bytes":         {"Repeat"},
	"slices":        {"Sorted", "Collect", "Concat"},
	"maps":          {"Keys"},
	"sync":          {"OnceValue", "OnceValues"}, // a table that is made when it is first read
	"net/netip":     {"MustParseAddr", "MustParsePrefix"},
	"time":          {"Date", "Duration", "Unix"},
	"reflect":       {"TypeFor", "TypeOf"},
	"crypto/sha256": {"Sum256"},
	"net/http":      {"CanonicalHeaderKey", "StatusText"},
}

// synced are packages whose types are there to be changed.
var synced = []string{"sync", "sync/atomic"}

// state checks that no package keeps state of its own: variables at package level may only be read. Tests
// may keep flags.
func state(t *tree) (out []violation) {
	tops := map[string]map[string]bool{}
	for _, p := range t.pkgs {
		tops[p.dir] = map[string]bool{}
		for _, f := range p.code() {
			for _, s := range vars(f.syntax) {
				for i, id := range s.Names {
					if id.Name == "_" {
						continue
					}
					tops[p.dir][id.Name] = true
					if why := t.holdsState(f, s, i); why != "" {
						out = append(out, t.at("state", p.dir+"."+id.Name, id.Pos(), "package-level %s %s: keep it in a value that its owner makes", id.Name, why))
					}
				}
			}
		}
	}
	for _, p := range t.pkgs {
		for _, f := range p.code() {
			out = append(out, t.writes(p, f, tops)...)
		}
	}
	return out
}

// vars returns the package-level variables of a file that embed nothing.
func vars(f *ast.File) (out []*ast.ValueSpec) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			s := s.(*ast.ValueSpec)
			if !embeds(g.Doc) && !embeds(s.Doc) {
				out = append(out, s)
			}
		}
	}
	return out
}

func embeds(c *ast.CommentGroup) bool {
	return c != nil && slices.ContainsFunc(c.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// holdsState says why a variable can be nothing but state, or "".
func (t *tree) holdsState(f *file, s *ast.ValueSpec, i int) string {
	if why := t.changing(f, s.Type); why != "" {
		return why
	}
	if len(s.Values) == 0 {
		if isPool(f, s.Type) {
			return ""
		}
		return "has no value, so something must assign it"
	}
	return t.value(f, s.Values[min(i, len(s.Values)-1)])
}

// changing says why a type is there to be changed, or "".
func (t *tree) changing(f *file, typ ast.Expr) (why string) {
	if typ == nil || isPool(f, typ) {
		return ""
	}
	ast.Inspect(typ, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			return false
		case *ast.ChanType:
			why = "is a channel"
		case *ast.SelectorExpr:
			if slices.Contains(synced, f.calls(n)) {
				why = "is there to be changed"
			}
		}
		return why == ""
	})
	return why
}

func isPool(f *file, typ ast.Expr) bool {
	sel, ok := typ.(*ast.SelectorExpr)
	return ok && f.calls(sel) == "sync" && sel.Sel.Name == "Pool"
}

// value judges what a variable begins with. Function literals are not looked into: they run later.
func (t *tree) value(f *file, e ast.Expr) (why string) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CompositeLit:
			if why == "" {
				why = t.changing(f, n.Type)
			}
		case *ast.CallExpr:
			if why == "" {
				why = t.call(f, n)
			}
		}
		return why == ""
	})
	return why
}

func (t *tree) call(f *file, c *ast.CallExpr) string {
	fun := c.Fun
	switch x := fun.(type) { // an instance of a generic function
	case *ast.IndexExpr:
		fun = x.X
	case *ast.IndexListExpr:
		fun = x.X
	}
	switch x := fun.(type) {
	case *ast.Ident:
		if x.Name == "make" || x.Name == "new" {
			return "is made empty, so something must fill it"
		}
		return t.returns(t.find(pathDir(f.path)), x.Name)
	case *ast.SelectorExpr:
		from := f.calls(x)
		if from == "" || slices.Contains(pure[from], x.Sel.Name) {
			return ""
		}
		if dir, ok := t.ours(from); ok {
			return t.returns(t.find(dir), x.Sel.Name)
		}
		return "begins with " + from + "." + x.Sel.Name + ", whose result may change (if it cannot, add it to pure in internal/archtest/state_test.go)"
	}
	return ""
}

// returns says why what a function of the module returns can be changed, or "".
func (t *tree) returns(p *pkg, name string) string {
	if p == nil {
		return ""
	}
	for _, f := range p.code() {
		for _, d := range f.syntax.Decls {
			d, ok := d.(*ast.FuncDecl)
			if !ok || d.Recv != nil || d.Name.Name != name || d.Type.Results == nil {
				continue
			}
			for _, r := range d.Type.Results.List {
				if _, ok := r.Type.(*ast.StarExpr); ok {
					return "begins with a pointer from " + name
				}
				if why := t.changing(f, r.Type); why != "" {
					return why
				}
			}
		}
	}
	return ""
}

func pathDir(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// writes finds statements that change a package-level variable, of the own or of another package.
func (t *tree) writes(p *pkg, f *file, tops map[string]map[string]bool) (out []violation) {
	target := func(e ast.Expr) {
		if dir, name, ok := t.global(p, f, e, tops); ok {
			out = append(out, t.at("state", dir+"."+name, e.Pos(), "package-level %s is changed here: keep it in a value that its owner makes", name))
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					target(e)
				}
			}
		case *ast.IncDecStmt:
			target(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				target(n.Key)
				target(n.Value)
			}
		case *ast.UnaryExpr:
			if id, ok := n.X.(*ast.Ident); ok && n.Op == token.AND {
				target(id)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, id.Name) {
				target(n.Args[0])
			}
		}
		return true
	})
	return out
}

// global finds the package-level variable at the root of an expression such as x.f[i].
func (t *tree) global(p *pkg, f *file, e ast.Expr, tops map[string]map[string]bool) (dir, name string, ok bool) {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			if dir, ours := t.ours(f.calls(x)); ours && tops[dir][x.Sel.Name] {
				return dir, x.Sel.Name, true
			}
			e = x.X
		case *ast.Ident:
			return p.dir, x.Name, tops[p.dir][x.Name] && packageLevel(f, x)
		default:
			return "", "", false
		}
	}
}

// packageLevel reports whether a name that a package-level variable has is that variable here, and not a
// local one.
func packageLevel(f *file, id *ast.Ident) bool {
	if id.Obj == nil {
		return true // declared in another file
	}
	s, ok := id.Obj.Decl.(*ast.ValueSpec)
	return ok && slices.Contains(vars(f.syntax), s)
}
