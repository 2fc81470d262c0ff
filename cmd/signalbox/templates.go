package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/template/shelf"
)

// templatesCmd is for the folder of templates that a configuration names. A service that runs takes over what changes.
type templatesCmd struct {
	List     templatesListCmd     `cmd:"" help:"List templates with their versions and labels."`
	Show     templatesShowCmd     `cmd:"" help:"Show a version as it was written."`
	Diff     templatesDiffCmd     `cmd:"" help:"Show what differs between two versions."`
	Create   templatesCreateCmd   `cmd:"" help:"Add a version. The one in use stays in use, unless it is the first."`
	Promote  templatesPromoteCmd  `cmd:"" help:"Let a label mean a version."`
	Rollback templatesRollbackCmd `cmd:"" help:"Move a label to the version before."`
}

// openShelf reads the templates of a configuration.
func (f *fromFile) openShelf() (*shelf.Shelf, error) {
	cfg, err := app.Load(f.path())
	if err != nil {
		return nil, err
	}
	if cfg.Templates == "" {
		return nil, errors.New("the configuration names no folder of templates; add one, as templates: templates")
	}
	return &shelf.Shelf{Folder: cfg.Templates, Set: cfg.Prompts()}, nil
}

type templatesListCmd struct {
	Name string `arg:"" optional:"" help:"Only this template."`
	fromFile
}

// Run lists versions.
func (c *templatesListCmd) Run(s streams) error {
	sh, err := c.openShelf()
	if err != nil {
		return err
	}
	var rows [][]string
	for _, v := range sh.Set.Versions() {
		if c.Name != "" && c.Name != v.Name {
			continue
		}
		names, of := sh.Set.Labels(v.Name)
		var labels, variables []string
		for _, l := range names {
			if of[l] == v.Number {
				labels = append(labels, l)
			}
		}
		for i := range v.Variables {
			variables = append(variables, v.Variables[i].Name)
		}
		rows = append(rows, []string{v.Name, strconv.Itoa(v.Number), strings.Join(labels, ","), v.Model, strings.Join(variables, ","), v.Description})
	}
	if c.Name != "" && len(rows) == 0 {
		return fmt.Errorf("there is no template %q", c.Name)
	}
	columns(s.out, "TEMPLATE VERSION LABELS MODEL VARIABLES DESCRIPTION", rows)
	return nil
}

type templatesShowCmd struct {
	Template string `arg:"" help:"NAME, NAME@VERSION or NAME@LABEL. A name alone is the version in production."`
	fromFile
}

// Run shows a version.
func (c *templatesShowCmd) Run(s streams) error {
	sh, err := c.openShelf()
	if err != nil {
		return err
	}
	v, err := sh.Find(c.Template)
	if err != nil {
		return err
	}
	text, err := sh.Text(v)
	if err == nil {
		_, err = s.out.Write(text)
	}
	return err
}

type templatesDiffCmd struct {
	From string `arg:"" help:"NAME, NAME@VERSION or NAME@LABEL."`
	To   string `arg:"" help:"The other, in the same form."`
	fromFile
}

// Run shows what differs.
func (c *templatesDiffCmd) Run(s streams) error {
	sh, err := c.openShelf()
	if err != nil {
		return err
	}
	from, err := sh.Find(c.From)
	if err != nil {
		return err
	}
	to, err := sh.Find(c.To)
	if err != nil {
		return err
	}
	d, err := sh.Diff(from, to)
	if err == nil {
		_, err = io.WriteString(s.out, d)
	}
	return err
}

type templatesCreateCmd struct {
	Name string `arg:"" help:"The template's name."`
	File string `arg:"" help:"The file of the version; -: standard input."`
	fromFile
}

// Run adds a version.
func (c *templatesCreateCmd) Run(s streams) error {
	sh, err := c.openShelf()
	if err != nil {
		return err
	}
	var text []byte
	if c.File == "-" {
		text, err = io.ReadAll(s.in)
	} else {
		text, err = os.ReadFile(c.File)
	}
	if err != nil {
		return fmt.Errorf("reading the version: %w", err)
	}
	n, err := sh.Create(c.Name, text, func(path string) error { return app.CheckTemplate(c.path(), path) })
	if err == nil {
		_, err = fmt.Fprintf(s.out, "%s@%d\n", c.Name, n)
	}
	return err
}

type templatesPromoteCmd struct {
	Template string `arg:"" help:"NAME@VERSION, or NAME@LABEL for the version that a label means."`
	Label    string `default:"production" help:"The label that is moved. Requests that name a template alone get the version in production."`
	fromFile
}

// Run moves a label.
func (c *templatesPromoteCmd) Run(s streams) error {
	sh, err := c.openShelf()
	if err != nil {
		return err
	}
	if !strings.Contains(c.Template, "@") {
		return fmt.Errorf("which version of %s? Write NAME@VERSION", c.Template)
	}
	v, err := sh.Find(c.Template)
	if err != nil {
		return err
	}
	if err := sh.Promote(v.Name, v.Number, c.Label); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s of %s is version %d\n", c.Label, v.Name, v.Number)
	return err
}

type templatesRollbackCmd struct {
	Name  string `arg:"" help:"The template's name."`
	Label string `default:"production" help:"The label that is moved."`
	fromFile
}

// Run moves a label back.
func (c *templatesRollbackCmd) Run(s streams) error {
	sh, err := c.openShelf()
	if err != nil {
		return err
	}
	n, err := sh.Back(c.Name, c.Label)
	if err == nil {
		_, err = fmt.Fprintf(s.out, "%s of %s is version %d\n", c.Label, c.Name, n)
	}
	return err
}
