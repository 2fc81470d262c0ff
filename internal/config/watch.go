package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
)

// settle is how long changes are waited for to end: an editor's save is several events.
const settle = 100 * time.Millisecond

// Watch calls onChange after the content of path or of one of the extra files (authorities, certificates,
// file: references) has changed, until the context ends; then it returns nil. Calls do not overlap. It
// watches folders, so that a file that is replaced by a rename, or that is a link which is set anew as in a
// Kubernetes volume, is seen too. What is only written to beside the files, such as a database, is no reason to look. extra is asked
// again after each change; nil: there are none.
func Watch(ctx context.Context, path string, onChange func(), extra func() []string) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching %s: %w", path, err)
	}
	defer w.Close()
	watched := watched{path: path, extra: extra}
	files := watched.files()
	for folder := range folders(files) {
		if err := w.Add(folder); err != nil {
			return fmt.Errorf("watching %s: %w", folder, err)
		}
	}
	seen := contents(files)
	events := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		debounce(ctx, events, settle, func() {
			files := watched.files()
			again(w, files)
			if now := contents(files); !maps.Equal(now, seen) {
				seen = now
				onChange()
				again(w, watched.files())
			}
		})
	}()
	defer func() { <-done }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Events:
			if !ok {
				return nil
			}
			if !watched.concerns(e) {
				continue
			}
		case _, ok := <-w.Errors: // an overflow: something has changed
			if !ok {
				return nil
			}
		}
		select {
		case events <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
	}
}

// watched are the files whose content counts.
type watched struct {
	path  string
	extra func() []string
	names atomic.Pointer[map[string]bool] // of the files, and of what links lead to in the end
}

// files asks which they are.
func (w *watched) files() []string {
	files := []string{w.path}
	if w.extra != nil {
		files = append(files, w.extra()...)
	}
	names := map[string]bool{}
	for _, f := range files {
		names[filepath.Base(f)] = true
		if target, err := filepath.EvalSymlinks(f); err == nil {
			names[filepath.Base(target)] = true
		}
	}
	w.names.Store(&names)
	return files
}

// concerns reports whether something may have come of an event. It goes by names, as a folder can have more than one.
func (w *watched) concerns(e fsnotify.Event) bool {
	return e.Op&^(fsnotify.Write|fsnotify.Chmod) != 0 || (*w.names.Load())[filepath.Base(e.Name)]
}

// again watches the folders of files. One may have been made anew; adding one twice does nothing.
func again(w *fsnotify.Watcher, files []string) {
	for folder := range folders(files) {
		_ = w.Add(folder)
	}
}

// debounce calls f once no event has come for the time d. It takes events while it waits, not while f runs.
func debounce(ctx context.Context, events <-chan struct{}, d time.Duration, f func()) {
	quiet := time.NewTimer(d)
	quiet.Stop()
	var first time.Time // of the events that wait
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			if first.IsZero() {
				first = time.Now()
			}
			quiet.Reset(max(0, min(d, longest*d-time.Since(first)))) // a folder that is never quiet is looked at all the same
		case <-quiet.C:
			first = time.Time{}
			f()
		}
	}
}

// longest is how many times the quiet time events may put off what they ask for.
const longest = 10

// folders gives the folders in which something happens when one of the files changes: where its name stands,
// and where a link leads in the end.
func folders(files []string) map[string]bool {
	out := map[string]bool{}
	for _, f := range files {
		out[filepath.Dir(f)] = true
		if target, err := filepath.EvalSymlinks(f); err == nil {
			out[filepath.Dir(target)] = true
		}
	}
	return out
}

// contents gives the sums of files. A file that cannot be read has none.
func contents(files []string) map[string][sha256.Size]byte {
	out := map[string][sha256.Size]byte{}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			out[f] = sha256.Sum256(b)
		}
	}
	return out
}

// Files lists the files that the configuration names and whose change is a change of the configuration.
func (c *Config) Files() []string {
	var out []string
	add := func(f string) {
		if f != "" {
			out = append(out, f)
		}
	}
	add(c.Listen.TLS.Cert)
	add(c.Listen.TLS.Key)
	add(c.Listen.TLS.ClientCA)
	for _, f := range append(c.Health.Files(), c.Quota.CA, c.Quota.Cert, c.Quota.Key) {
		add(f)
	}
	out = append(out, c.Telemetry.Files()...)
	out = append(out, c.Alerts.Files()...)
	if c.Templates != "" {
		add(c.Templates + "/.") // so that the folder is watched, even while it is empty
		files, _ := templateFiles(c.Templates)
		out = append(out, files...)
	}
	for i := range c.Auth.JWT {
		add(c.Auth.JWT[i].JWKSFile)
		add(c.Auth.JWT[i].CA)
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		add(p.CA)
		for _, r := range append(p.ParamRefs(), p.Refs()...) {
			if f, ok := r.File(); ok {
				add(f)
			}
		}
	}
	return out
}

// Bounds of a folder of templates.
const maxTemplates = 10_000

// templateFiles lists the files of a folder of templates, in order.
func templateFiles(folder string) (files []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if ext == ".yaml" || ext == ".yml" {
			if !strings.HasPrefix(e.Name(), ".") {
				files = append(files, filepath.Join(folder, e.Name()))
			}
		}
	}
	return files, nil
}

// Prompts returns the templates of the folder; nil: there is none.
func (c *Config) Prompts() *template.Set { return c.templates }

// templates reads the folder of templates. What is wrong with its files is returned, with where it stands in them.
func (d *decoder) templates(c *Config) (beside Errors) {
	if c.Templates == "" && !c.Stores() || d.bad["templates"] {
		return nil
	}
	for tag := range c.Tags.Headers {
		if tag == template.Tag {
			d.fail("tags.headers."+tag, "tags: %s says which template an exchange was made of, and comes from no header", tag)
		}
	}
	for i, tag := range c.Tags.Metadata {
		if tag == template.Tag {
			d.fail(fmt.Sprintf("tags.metadata[%d]", i), "tags: %s says which template an exchange was made of, and does not come from metadata", tag)
		}
	}
	if m := &c.Telemetry.Metrics; !slices.Contains(m.Tags, template.Tag) {
		m.Tags = append(m.Tags, template.Tag)
	}
	if c.Templates == "" {
		return nil
	}
	files, err := templateFiles(c.Templates)
	switch {
	case err != nil:
		d.fail("templates", "templates: the folder cannot be read: %v", reason(err))
		return nil
	case len(files) > maxTemplates:
		d.fail("templates", "templates: the folder has more than %d files", maxTemplates)
		return nil
	}
	var sources []template.Source
	labels := ""
	for _, path := range files {
		if filepath.Base(path) == template.LabelsFile {
			labels = path
			continue
		}
		s, errs := d.template(c, path)
		beside = append(beside, errs...)
		sources = append(sources, s)
	}
	if len(beside) > 0 || d.bad["templates"] {
		return beside[:min(len(beside), mostErrors)]
	}
	found, beside := d.labels(labels, sources)
	c.templates = template.NewSet(sources, found)
	return beside
}

// CheckTemplate returns what is wrong with a version that is not in the folder yet, as Errors; nil: nothing. path ends in
// NAME@VERSION.yaml.
func (c *Config) CheckTemplate(path string, kinds *providers.Registry) error {
	d := &decoder{src: newSource(path, nil), kinds: kinds, root: c, nodes: map[string]*node{}, bad: map[string]bool{}}
	_, beside := d.template(c, path)
	if beside = append(beside, d.errs...); len(beside) > 0 {
		return beside
	}
	return nil
}

// ReadTemplate reads a version of a template that is in no file. The error, as Errors, says what is wrong with it.
func (c *Config) ReadTemplate(body string, kinds *providers.Registry) (*template.File, error) {
	d := &decoder{kinds: kinds, root: c}
	f := new(template.File)
	if errs := d.version("body", []byte(body), f, func(*decoder) {}); len(errs) > 0 {
		return nil, errs
	}
	return f, nil
}

// CheckStored returns what is wrong, as Errors, with a version that is to be in the store.
func (c *Config) CheckStored(name, body string, kinds *providers.Registry) error {
	d := &decoder{kinds: kinds, root: c}
	f := new(template.File)
	if errs := d.version("body", []byte(body), f, fits(c, name, f)); len(errs) > 0 {
		return errs
	}
	return nil
}

// version reads what a version says.
func (d *decoder) version(path string, data []byte, into *template.File, fits func(*decoder)) Errors {
	return d.document(path, data, into, func(in *decoder) {
		into.Check(func(at, message string) {
			if !in.within(at) {
				in.fail(at, "%s", message)
			}
		})
		fits(in)
	})
}

// template reads one version of a template.
func (d *decoder) template(c *Config, path string) (template.Source, Errors) {
	out := template.Source{File: new(template.File)}
	bad := func(message string) (template.Source, Errors) {
		d.fail("templates", "templates: %s: %s", filepath.Base(path), message)
		return out, nil
	}
	base, yaml := strings.CutSuffix(filepath.Base(path), ".yaml")
	name, version, _ := strings.Cut(base, "@")
	n, err := strconv.Atoi(version)
	if !yaml || !named.MatchString(name) || err != nil || n < 1 || strconv.Itoa(n) != version {
		return bad("a template's file is called NAME@VERSION.yaml: a name has lower-case letters, digits, dot, dash and underscore, a version is a whole number from 1 on")
	}
	out.Name, out.Number = name, n
	data, err := readFile(path)
	if err != nil {
		return bad(err.Error())
	}
	return out, d.version(path, data, out.File, fits(c, name, out.File))
}

// fits checks that a template goes with the configuration.
func fits(c *Config, name string, f *template.File) func(*decoder) {
	return func(in *decoder) {
		if _, alias := c.Aliases[name]; alias {
			in.fail("", "the template has the name of an alias, which it would hide")
		}
		if r := f.Route; r != "" && c.lacks(r) && !in.bad["route"] {
			in.fail("route", "route: there is no route %s", in.src.quote(r))
		}
	}
}

// document reads a file beside the configuration by the same rules.
func (d *decoder) document(path string, data []byte, into any, check func(*decoder)) Errors {
	src := newSource(path, data)
	src.names(reflect.TypeOf(into).Elem())
	root, err := parse(data)
	if bad, ok := errors.AsType[*badSyntax](err); ok {
		return Errors{src.faultAt(bad.at, "", bad.message)}.finish(src)
	}
	in := &decoder{src: src, kinds: d.kinds, root: d.root, nodes: map[string]*node{}, bad: map[string]bool{}}
	in.value(root, reflect.ValueOf(into).Elem(), "", "")
	check(in)
	return in.errs.finish(src)
}

// labels reads which version each label of a template means: NAME: { LABEL: VERSION }.
func (d *decoder) labels(path string, sources []template.Source) (map[string]template.Labels, Errors) {
	if path == "" {
		return nil, nil
	}
	data, err := readFile(path)
	if err != nil {
		d.fail("templates", "templates: %s: %v", template.LabelsFile, err)
		return nil, nil
	}
	src := newSource(path, data)
	root, err := parse(data)
	if bad, ok := errors.AsType[*badSyntax](err); ok {
		return nil, Errors{src.faultAt(bad.at, "", bad.message)}.finish(src)
	}
	in := &decoder{src: src, nodes: map[string]*node{}, bad: map[string]bool{}}
	out := map[string]template.Labels{}
	if !in.expect(root, mapping, "") {
		return nil, in.errs.finish(src)
	}
	for _, f := range root.fields {
		name := f.key.value
		src.show(name)
		switch {
		case out[name] != nil:
			in.failAt(f.key, name, "%s is given twice", src.quote(name))
			continue
		case !slices.ContainsFunc(sources, func(s template.Source) bool { return s.Name == name }):
			in.failAt(f.key, name, "there is no template %s", src.quote(name))
			continue
		}
		out[name] = template.Labels{}
		if !in.expect(f.value, mapping, name) {
			continue
		}
		for _, l := range f.value.fields {
			src.show(l.key.value)
			src.show(l.value.value)
			n, err := strconv.Atoi(l.value.value)
			switch at := join(name, l.key.value); {
			case !template.LabelOK(l.key.value):
				in.failAt(l.key, at, "a label has lower-case letters, digits, dot, dash and underscore, and is no number")
			case out[name][l.key.value] != 0:
				in.failAt(l.key, at, "%s is given twice", src.quote(l.key.value))
			case l.value.shape != integer || err != nil || !slices.ContainsFunc(sources, func(s template.Source) bool { return s.Name == name && s.Number == n }):
				in.failAt(l.value, at, "%s must be the number of a version that has a file", src.quote(l.key.value))
			default:
				out[name][l.key.value] = n
			}
		}
	}
	return out, in.errs.finish(src)
}
