package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/internal/template/shelf"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// templatesCmd is for the folder of templates that a configuration names, and for those of a store. A service that runs takes
// over what changes.
type templatesCmd struct {
	List     templatesListCmd     `cmd:"" help:"List templates with their versions and labels."`
	Show     templatesShowCmd     `cmd:"" help:"Show a version as it was written."`
	Diff     templatesDiffCmd     `cmd:"" help:"Show what differs between two versions."`
	Create   templatesCreateCmd   `cmd:"" help:"Add a version. The one in use stays in use, unless it is the first."`
	Promote  templatesPromoteCmd  `cmd:"" help:"Let a label mean a version."`
	Rollback templatesRollbackCmd `cmd:"" help:"Move a label to the version before."`
	Delete   templatesDeleteCmd   `cmd:"" help:"Delete a template of the store with its versions."`
}

// prompts are where templates are kept.
type prompts interface {
	// list returns the versions of a template, of all where name is "", in the order of their names and numbers.
	list(name string) ([]listed, error)
	// read returns a version, as NAME@VERSION, and its text.
	read(ref string) (name string, text []byte, err error)
	create(name string, text []byte) (number int, err error)
	// promote lets a label mean the version that NAME@VERSION or NAME@LABEL means.
	promote(ref, label string) (number int, err error)
	rollback(name, label string) (number int, err error)
}

// listed is a version in a list.
type listed struct {
	name               string
	number             int
	labels, variables  []string
	model, description string
}

// templatesAt says where templates are.
type templatesAt struct {
	fromFile
	Server    string `placeholder:"ADDRESS" env:"SIGNALBOX_ADMIN" help:"The admin API whose store has the templates, in place of the configuration's folder: unix:PATH of the local socket, or a URL. Where the configuration has a store and no folder, unix:run/control.sock."`
	TokenFile string `env:"SIGNALBOX_ADMIN_TOKEN_FILE" type:"existingfile" help:"File of the admin token; without it $SIGNALBOX_ADMIN_TOKEN is sent, and nothing to the local socket."`
	CA        string `type:"existingfile" help:"File of the authorities (PEM) that the server's certificate is verified with."`
	Once      string `placeholder:"KEY" help:"An idempotency key for the admin API: the same command with the same key is done once."`
}

func (f *templatesAt) api(server string) *storedPrompts {
	return &storedPrompts{apiFlags{Server: server, TokenFile: f.TokenFile, CA: f.CA, Once: f.Once}}
}

// open returns where the templates are.
func (f *templatesAt) open() (prompts, error) {
	if f.Server != "" {
		return f.api(f.Server), nil
	}
	cfg, err := app.Load(f.path())
	switch {
	case err != nil:
		return nil, err
	case cfg.Templates == "" && cfg.Stores():
		return f.api("unix:run/control.sock"), nil
	case cfg.Templates == "":
		return nil, errors.New("the configuration names no folder of templates; add one, as templates: templates, or name the admin API of a service with --server")
	}
	return filedPrompts{&shelf.Shelf{Folder: cfg.Templates, Set: cfg.Prompts()}, f.path()}, nil
}

// filedPrompts are those of a folder.
type filedPrompts struct {
	*shelf.Shelf
	config string
}

func (p filedPrompts) list(name string) (all []listed, _ error) {
	for _, v := range p.Set.Versions() {
		if name != "" && name != v.Name {
			continue
		}
		names, of := p.Set.Labels(v.Name)
		one := listed{name: v.Name, number: v.Number, model: v.Model, description: v.Description}
		for _, l := range names {
			if of[l] == v.Number {
				one.labels = append(one.labels, l)
			}
		}
		for i := range v.Variables {
			one.variables = append(one.variables, v.Variables[i].Name)
		}
		all = append(all, one)
	}
	return all, nil
}

func (p filedPrompts) read(ref string) (string, []byte, error) {
	v, err := p.Find(ref)
	if err != nil {
		return "", nil, err
	}
	text, err := p.Text(v)
	return v.String(), text, err
}

func (p filedPrompts) create(name string, text []byte) (int, error) {
	return p.Create(name, text, func(path string) error { return app.CheckTemplate(p.config, path) })
}

func (p filedPrompts) promote(ref, label string) (int, error) {
	v, err := p.Find(ref)
	if err != nil {
		return 0, err
	}
	return v.Number, p.Promote(v.Name, v.Number, label)
}

func (p filedPrompts) rollback(name, label string) (int, error) { return p.Back(name, label) }

// storedPrompts are those of a store, behind the admin API.
type storedPrompts struct{ apiFlags }

type templatesAPI = adminv1connect.TemplateServiceClient

func (p *storedPrompts) list(name string) (all []listed, err error) {
	var heads []*v1.Template
	if name != "" {
		one, err := askAPI(&p.apiFlags, adminv1connect.NewTemplateServiceClient, templatesAPI.GetTemplate, &v1.GetRequest{Id: name})
		if err != nil {
			return nil, err
		}
		heads = append(heads, one)
	}
	for page := (&v1.Page{}); name == ""; {
		some, err := askAPI(&p.apiFlags, adminv1connect.NewTemplateServiceClient, templatesAPI.ListTemplates, &v1.ListTemplatesRequest{Page: page})
		if err != nil {
			return nil, err
		}
		heads = append(heads, some.Templates...)
		if page.Token = some.NextToken; page.Token == "" {
			break
		}
	}
	for _, t := range heads {
		if all, err = p.versions(all, t); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// versions appends those of one template.
func (p *storedPrompts) versions(all []listed, t *v1.Template) ([]listed, error) {
	for page := (&v1.Page{}); ; {
		some, err := askAPI(&p.apiFlags, adminv1connect.NewTemplateServiceClient, templatesAPI.ListTemplateVersions, &v1.ListTemplateVersionsRequest{Name: t.Name, Page: page})
		if err != nil {
			return nil, err
		}
		for _, v := range some.Versions {
			one := listed{name: v.Name, number: int(v.Number), model: v.Model, variables: v.Variables, description: v.Description}
			for _, l := range slices.Sorted(maps.Keys(t.Labels)) {
				if t.Labels[l] == v.Number {
					one.labels = append(one.labels, l)
				}
			}
			if t.Hidden {
				one.labels = append(one.labels, "(hidden)")
			}
			all = append(all, one)
		}
		if page.Token = some.NextToken; page.Token == "" {
			return all, nil
		}
	}
}

func (p *storedPrompts) read(ref string) (string, []byte, error) {
	name, version, _ := strings.Cut(ref, "@")
	v, err := askAPI(&p.apiFlags, adminv1connect.NewTemplateServiceClient, templatesAPI.GetTemplateVersion, &v1.GetTemplateVersionRequest{Name: name, Version: version})
	return v.GetName() + "@" + strconv.Itoa(int(v.GetNumber())), []byte(v.GetBody()), err
}

func (p *storedPrompts) create(name string, text []byte) (int, error) {
	v, err := askAPI(&p.apiFlags, adminv1connect.NewTemplateServiceClient, templatesAPI.CreateTemplateVersion, &v1.CreateTemplateVersionRequest{Name: name, Body: string(text)})
	return int(v.GetNumber()), err
}

func (p *storedPrompts) promote(ref, label string) (int, error) {
	name, to, _ := strings.Cut(ref, "@")
	t, err := askAPI(&p.apiFlags, adminv1connect.NewTemplateServiceClient, templatesAPI.PromoteTemplate, &v1.PromoteTemplateRequest{Name: name, To: to, Label: label})
	return int(t.GetLabels()[cmp.Or(label, template.Production)]), err
}

func (p *storedPrompts) rollback(name, label string) (int, error) {
	t, err := askAPI(&p.apiFlags, adminv1connect.NewTemplateServiceClient, templatesAPI.RollbackTemplate, &v1.RollbackTemplateRequest{Name: name, Label: label})
	return int(t.GetLabels()[cmp.Or(label, template.Production)]), err
}

type templatesListCmd struct {
	Name string `arg:"" optional:"" help:"Only this template."`
	templatesAt
}

// Run lists versions.
func (c *templatesListCmd) Run(s streams) error {
	at, err := c.open()
	if err != nil {
		return err
	}
	all, err := at.list(c.Name)
	if err != nil {
		return err
	}
	if c.Name != "" && len(all) == 0 {
		return fmt.Errorf("there is no template %q", c.Name)
	}
	var rows [][]string
	for i := range all {
		v := &all[i]
		rows = append(rows, []string{v.name, strconv.Itoa(v.number), strings.Join(v.labels, ","), v.model, strings.Join(v.variables, ","), v.description})
	}
	columns(s.out, "TEMPLATE VERSION LABELS MODEL VARIABLES DESCRIPTION", rows)
	return nil
}

type templatesShowCmd struct {
	Template string `arg:"" help:"NAME, NAME@VERSION or NAME@LABEL. A name alone is the version in production."`
	templatesAt
}

// Run shows a version.
func (c *templatesShowCmd) Run(s streams) error {
	at, err := c.open()
	if err != nil {
		return err
	}
	_, text, err := at.read(c.Template)
	if err == nil {
		_, err = s.out.Write(text)
	}
	return err
}

type templatesDiffCmd struct {
	From string `arg:"" help:"NAME, NAME@VERSION or NAME@LABEL."`
	To   string `arg:"" help:"The other, in the same form."`
	templatesAt
}

// Run shows what differs.
func (c *templatesDiffCmd) Run(s streams) error {
	at, err := c.open()
	if err != nil {
		return err
	}
	from, before, err := at.read(c.From)
	if err != nil {
		return err
	}
	to, after, err := at.read(c.To)
	if err == nil {
		_, err = io.WriteString(s.out, shelf.Diff(from, to, before, after))
	}
	return err
}

type templatesCreateCmd struct {
	Name string `arg:"" help:"The template's name."`
	File string `arg:"" help:"The file of the version; -: standard input."`
	templatesAt
}

// Run adds a version.
func (c *templatesCreateCmd) Run(s streams) error {
	at, err := c.open()
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
	n, err := at.create(c.Name, text)
	if err == nil {
		_, err = fmt.Fprintf(s.out, "%s@%d\n", c.Name, n)
	}
	return err
}

type templatesPromoteCmd struct {
	Template string `arg:"" help:"NAME@VERSION, or NAME@LABEL for the version that a label means."`
	Label    string `default:"production" help:"The label that is moved. Requests that name a template alone get the version in production."`
	templatesAt
}

// Run moves a label.
func (c *templatesPromoteCmd) Run(s streams) error {
	name, _, which := strings.Cut(c.Template, "@")
	if !which {
		return fmt.Errorf("which version of %s? Write NAME@VERSION", c.Template)
	}
	at, err := c.open()
	if err != nil {
		return err
	}
	n, err := at.promote(c.Template, c.Label)
	return moved(s, name, c.Label, n, err)
}

// moved says what a label means now.
func moved(s streams, name, label string, number int, err error) error {
	if err == nil {
		_, err = fmt.Fprintf(s.out, "%s of %s is version %d\n", label, name, number)
	}
	return err
}

type templatesRollbackCmd struct {
	Name  string `arg:"" help:"The template's name."`
	Label string `default:"production" help:"The label that is moved."`
	templatesAt
}

// Run moves a label back.
func (c *templatesRollbackCmd) Run(s streams) error {
	at, err := c.open()
	if err != nil {
		return err
	}
	n, err := at.rollback(c.Name, c.Label)
	return moved(s, c.Name, c.Label, n, err)
}

type templatesDeleteCmd struct{ removed }

// Run asks the admin API. A template of a folder is deleted with its files.
func (c *templatesDeleteCmd) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTemplateServiceClient, templatesAPI.DeleteTemplate, c.remove(c.Name), done(c.Name))
}
