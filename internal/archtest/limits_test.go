package archtest

import (
	"go/ast"
	"go/token"
)

// The limits. Files of tests may be longer; nothing else is limited in them.
const (
	maxFileLines     = 500
	maxTestLines     = 800
	maxFuncLines     = 60
	maxMethods       = 5
	maxFields        = 15
	maxPackageFiles  = 12
	maxExportedNames = 40
)

// limits checks sizes.
func limits(t *tree) (out []violation) {
	for _, p := range t.pkgs {
		for _, f := range p.files {
			most := maxFileLines
			if f.test {
				most = maxTestLines
			}
			if f.lines > most && !f.generated {
				out = append(out, t.at("file length", f.path, f.syntax.Package, "%d lines, at most %d: part it by what changes together", f.lines, most))
			}
		}
		code := p.code()
		if len(code) > maxPackageFiles {
			out = append(out, t.at("package files", p.dir, code[0].syntax.Package, "package %s has %d files that are no tests, at most %d: part the package", p.dir, len(code), maxPackageFiles))
		}
		names := 0
		for _, f := range code {
			names += exported(f.syntax)
			out = append(out, t.sizes(p, f)...)
		}
		if names > maxExportedNames && code[0].name != "main" {
			out = append(out, t.at("exported names", p.dir, code[0].syntax.Package, "package %s exports %d names, at most %d: hide what callers do not need", p.dir, names, maxExportedNames))
		}
	}
	return out
}

// exported counts the exported names of a file, methods and fields apart.
func exported(f *ast.File) (n int) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.IsExported() {
				n++
			}
		case *ast.GenDecl:
			for _, id := range declared(d) {
				if id.IsExported() {
					n++
				}
			}
		}
	}
	return n
}

// declared returns the names that a declaration of types, variables or constants declares.
func declared(d *ast.GenDecl) (out []*ast.Ident) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			out = append(out, s.Name)
		case *ast.ValueSpec:
			out = append(out, s.Names...)
		}
	}
	return out
}

// sizes checks functions, interfaces and structs.
func (t *tree) sizes(p *pkg, f *file) (out []violation) {
	for _, d := range f.syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if n := t.span(d); n > maxFuncLines {
				out = append(out, t.at("function length", p.dir+"."+funcName(d), d.Pos(), "func %s has %d lines, at most %d: name its steps", funcName(d), n, maxFuncLines))
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if s, ok := s.(*ast.TypeSpec); ok {
					out = append(out, t.typeSize(p, s)...)
				}
			}
		}
	}
	return out
}

func (t *tree) typeSize(p *pkg, s *ast.TypeSpec) (out []violation) {
	where := p.dir + "." + s.Name.Name
	ast.Inspect(s.Type, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.InterfaceType:
			if m := p.methods(n, 0); m > maxMethods {
				out = append(out, t.at("interface methods", where, n.Pos(), "%s has %d methods, at most %d: ask for less", s.Name.Name, m, maxMethods))
			}
		case *ast.StructType:
			if m := n.Fields.NumFields(); m > maxFields {
				out = append(out, t.at("struct fields", where, n.Pos(), "%s has %d fields, at most %d: group those that one stage owns", s.Name.Name, m, maxFields))
			}
		}
		return true
	})
	return out
}

// methods counts the methods of an interface, with those of interfaces of the same package that it embeds.
func (p *pkg) methods(i *ast.InterfaceType, depth int) (n int) {
	for _, m := range i.Methods.List {
		n += len(m.Names)
		if id, ok := m.Type.(*ast.Ident); ok && len(m.Names) == 0 && depth < 8 {
			if inner, ok := p.typeOf(id.Name).(*ast.InterfaceType); ok {
				n += p.methods(inner, depth+1)
			}
		}
	}
	return n
}

// typeOf returns how a type of the package is declared, or nil.
func (p *pkg) typeOf(name string) ast.Expr {
	for _, f := range p.files {
		for _, d := range f.syntax.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				if s := s.(*ast.TypeSpec); s.Name.Name == name {
					return s.Type
				}
			}
		}
	}
	return nil
}

func (t *tree) span(n ast.Node) int {
	return t.set.Position(n.End()).Line - t.set.Position(n.Pos()).Line + 1
}

// funcName returns Type.Method or the function's name.
func funcName(d *ast.FuncDecl) string {
	if r := receiver(d); r != "" {
		return r + "." + d.Name.Name
	}
	return d.Name.Name
}

// receiver returns the name of a method's type, or "".
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return "?"
		}
	}
}
