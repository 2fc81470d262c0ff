// Package shelf is a folder of prompt templates, for who keeps it: it makes versions, moves labels, and shows what differs
// between versions. A service that runs reads the folder again by itself. What stands in its files, internal/config checks.
package shelf

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/safefile"
	"github.com/signalbox-ai/signalbox/internal/template"
)

// Shelf is a folder with the templates that were read from it.
type Shelf struct {
	Folder string
	Set    *template.Set
}

// file is the path of a version.
func (s *Shelf) file(name string, number int) string {
	return filepath.Join(s.Folder, name+"@"+strconv.Itoa(number)+".yaml")
}

// Find returns the version that NAME, NAME@VERSION or NAME@LABEL means.
func (s *Shelf) Find(ref string) (*template.Version, error) {
	name, version, _ := strings.Cut(ref, "@")
	v, known := s.Set.Find(name, version)
	switch {
	case !known:
		return nil, fmt.Errorf("there is no template %q", name)
	case v == nil:
		return nil, fmt.Errorf("the template %s has no version %q; there are %s", name, version, s.Set.Possible(name, nil))
	}
	return v, nil
}

// Text returns the file of a version as it was written.
func (s *Shelf) Text(v *template.Version) ([]byte, error) {
	return os.ReadFile(s.file(v.Name, v.Number))
}

// Diff returns what differs between the files of two versions, line by line; "" where nothing does.
func (s *Shelf) Diff(a, b *template.Version) (string, error) {
	before, err := s.Text(a)
	if err != nil {
		return "", err
	}
	after, err := s.Text(b)
	if err != nil {
		return "", err
	}
	return Diff(a.String(), b.String(), before, after), nil
}

// Next returns the number that the next version of a template has.
func (s *Shelf) Next(name string) int {
	n := 0
	for _, v := range s.Set.Versions() {
		if v.Name == name {
			n = max(n, v.Number)
		}
	}
	return n + 1
}

// Create adds the next version of a template. What requests get does not change by it, unless it is the first: the label
// production stays where it is. check reads the file, under the name that it will have, and returns what is wrong.
func (s *Shelf) Create(name string, text []byte, check func(path string) error) (number int, err error) {
	number = s.Next(name)
	dir, err := os.MkdirTemp("", "signalbox-template")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	draft := filepath.Join(dir, filepath.Base(s.file(name, number)))
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return 0, err
	}
	if err := check(draft); err != nil {
		return 0, err
	}
	if v, known := s.Set.Find(name, ""); known && s.Set.Pinned()[name][template.Production] == 0 {
		if err := s.Promote(name, v.Number, template.Production); err != nil {
			return 0, err
		}
	}
	f, err := os.OpenFile(s.file(name, number), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	_, err = f.Write(text)
	return number, cmp.Or(err, f.Close())
}

// Promote moves a label to a version, and gives it to a template that has not had it.
func (s *Shelf) Promote(name string, number int, label string) error {
	if v, known := s.Set.Find(name, strconv.Itoa(number)); !known || v == nil {
		return fmt.Errorf("there is no template %s@%d", name, number)
	}
	if !template.LabelOK(label) {
		return errors.New("a label has lower-case letters, digits, dot, dash and underscore, and is no number")
	}
	all := s.Set.Pinned()
	if all[name] == nil {
		all[name] = template.Labels{}
	}
	all[name][label] = number
	return s.write(all)
}

// Back moves a label to the version before the one that it means, and returns that.
func (s *Shelf) Back(name, label string) (number int, err error) {
	now, known := s.Set.Find(name, label)
	switch {
	case !known:
		return 0, fmt.Errorf("there is no template %q", name)
	case now == nil:
		return 0, fmt.Errorf("the template %s has no label %q", name, label)
	}
	for _, v := range s.Set.Versions() {
		if v.Name == name && v.Number < now.Number {
			number = max(number, v.Number)
		}
	}
	if number == 0 {
		return 0, fmt.Errorf("%s is at %s, and there is no earlier version", label, now)
	}
	return number, s.Promote(name, number, label)
}

// write writes the file of labels anew, whole or not at all.
func (s *Shelf) write(all map[string]template.Labels) error {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%q: { ", name)
		for i, label := range slices.Sorted(maps.Keys(all[name])) {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q: %d", label, all[name][label])
		}
		b.WriteString(" }\n")
	}
	path := filepath.Join(s.Folder, template.LabelsFile)
	if err := safefile.Write(path, b.Bytes()); err != nil {
		return err
	}
	return os.Chmod(path, 0o644) // the service may run as somebody else
}
