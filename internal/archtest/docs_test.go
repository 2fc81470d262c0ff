package archtest

import (
	"go/ast"
	"regexp"
	"strings"
)

// sentence finds the ends of sentences.
var sentence = regexp.MustCompile(`[.!?](\s|$)`)

// docs checks that packages and exported things say what they are.
func docs(t *tree) (out []violation) {
	for _, p := range t.pkgs {
		out = append(out, t.packageDoc(p)...)
		for _, f := range p.code() {
			for _, d := range f.syntax.Decls {
				out = append(out, t.declDoc(p, d)...)
			}
		}
	}
	return out
}

func (t *tree) packageDoc(p *pkg) []violation {
	var texts []string
	var first *file
	for _, f := range p.files {
		if first == nil || first.test && !f.test {
			first = f
		}
		if f.syntax.Doc != nil && !f.generated && strings.TrimSpace(f.syntax.Doc.Text()) != "" {
			texts = append(texts, f.syntax.Doc.Text())
		}
	}
	if first.generated {
		return nil
	}
	at := first.syntax.Package
	switch {
	case len(texts) == 0:
		return []violation{t.at("package comment", p.dir, at, "package %s has no comment: say what it is for, and what it is not", p.dir)}
	case len(texts) > 1:
		return []violation{t.at("package comment", p.dir, at, "package %s has %d package comments: keep one", p.dir, len(texts))}
	}
	start := "Package " + strings.TrimSuffix(first.name, "_test") + " "
	if first.name == "main" {
		start = "Command "
	}
	if !strings.HasPrefix(texts[0], start) {
		return []violation{t.at("package comment", p.dir, at, "the comment of package %s begins otherwise than with %q", p.dir, start)}
	}
	if n := len(sentence.FindAllString(texts[0], -1)); n < 2 {
		return []violation{t.at("package comment", p.dir, at, "the comment of package %s has %d sentence(s): say what it is for, and what it is not", p.dir, n)}
	}
	return nil
}

func (t *tree) declDoc(p *pkg, d ast.Decl) (out []violation) {
	missing := func(id *ast.Ident, what, name string) {
		out = append(out, t.at("comment", p.dir+"."+name, id.Pos(), "%s %s is exported and has no comment: state its contract", what, name))
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		r := receiver(d)
		if d.Doc == nil && d.Name.IsExported() && (r == "" || ast.IsExported(r)) {
			missing(d.Name, "func", funcName(d))
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
					missing(s.Name, "type", s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, id := range s.Names {
					if id.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
						missing(id, d.Tok.String(), id.Name)
					}
				}
			}
		}
	}
	return out
}
