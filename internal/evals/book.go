package evals

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Run is a run as a book has it: the first line of its file. The others are outcomes.
type Run struct {
	Name    string    `json:"run"`
	Set     string    `json:"set"`            // hash of the set
	Cases   int       `json:"cases,omitzero"` // of the set; 0: not known
	Targets []string  `json:"targets"`
	Judge   string    `json:"judge,omitzero"`
	Began   time.Time `json:"began"`

	// What a service knows that keeps the run in its store.
	Organization string   `json:"organization,omitzero"`
	Team         string   `json:"team,omitzero"`
	Author       string   `json:"author,omitzero"`         // who began it
	Configs      []string `json:"configurations,omitzero"` // versions of its configuration that the run met, in their order
}

// Bounds of what a store keeps.
const (
	MostText   = 64 << 10 // bytes of an answer's text
	MostBatch  = 100      // outcomes that are added at once
	MostName   = 256      // bytes of a case's or target's name
	MostChecks = 100      // of a case
)

// Book is the results of runs, a file of JSON lines each. A run that was cut short goes on where it was.
type Book struct{ Dir string }

// runName is what a run may be called: it becomes the name of a file.
var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// NameOK reports whether a run may have a name.
func NameOK(name string) bool { return runName.MatchString(name) }

// Hash identifies a set by what it holds.
func Hash(set []Case) string {
	h := sha256.New()
	for i := range set {
		c := &set[i]
		checks, _ := jsonx.Encode(c.Checks) // of texts and numbers, which can be written
		fmt.Fprintf(h, "%q %q %q\n", c.ID, c.Request, checks)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Page is a run that is being written.
type Page struct {
	f    *os.File
	done map[[2]string]bool
	old  []Outcome
}

// Open begins a run, or goes on with the one of its name, which must be of the same set.
func (b Book) Open(run Run) (*Page, error) {
	if !NameOK(run.Name) {
		return nil, fmt.Errorf("name: %q is no name of a run: letters, digits, dots, dashes and underscores, at most 64", run.Name)
	}
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return nil, err
	}
	path := b.path(run.Name)
	old, all, whole, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case old.Set != run.Set:
		return nil, fmt.Errorf("the run %s is of another set; name it otherwise", run.Name)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Page{f: f, done: map[[2]string]bool{}}
	for _, o := range all {
		if o.Error == "" { // what had no answer is asked again
			p.done[[2]string{o.Case, o.Target}] = true
			p.old = append(p.old, o)
		}
	}
	if err = f.Truncate(whole); err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err == nil && whole == 0 {
		err = p.line(run)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

// Done reports whether a case has its outcome.
func (p *Page) Done(id, target string) bool { return p.done[[2]string{id, target}] }

// Add writes an outcome.
func (p *Page) Add(o Outcome) error {
	p.old = append(p.old, o)
	return p.line(o)
}

// All returns the outcomes of the run so far.
func (p *Page) All() []Outcome { return p.old }

// Close ends writing.
func (p *Page) Close() error { return p.f.Close() }

func (p *Page) line(v any) error {
	b, err := jsonx.Encode(v)
	if err != nil {
		return err
	}
	_, err = p.f.Write(append(b, '\n'))
	return err
}

func (b Book) path(name string) string { return filepath.Join(b.Dir, name+".jsonl") }

// Read returns a run and its outcomes, the last of each case and target.
func (b Book) Read(name string) (Run, []Outcome, error) {
	if !NameOK(name) {
		return Run{}, nil, fmt.Errorf("name: %q is no name of a run", name)
	}
	run, all, _, err := read(b.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return Run{}, nil, fmt.Errorf("there is no run %s in %s", name, b.Dir)
	}
	return run, last(all), err
}

// Delete deletes a run.
func (b Book) Delete(name string) error {
	if !NameOK(name) {
		return fmt.Errorf("name: %q is no name of a run", name)
	}
	err := os.Remove(b.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no run %s in %s", name, b.Dir)
	}
	return err
}

// last keeps the last outcome of each case and target.
func last(all []Outcome) []Outcome {
	at := map[[2]string]int{}
	var out []Outcome
	for _, o := range all {
		k := [2]string{o.Case, o.Target}
		if i, ok := at[k]; ok {
			out[i] = o
			continue
		}
		at[k] = len(out)
		out = append(out, o)
	}
	return out
}

// List returns all runs, the newest first.
func (b Book) List() ([]Run, error) {
	files, err := filepath.Glob(filepath.Join(b.Dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, f := range files {
		run, _, _, err := read(f)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b Run) int { return b.Began.Compare(a.Began) })
	return runs, nil
}

// read reads a file of a run. whole is how many bytes of it are whole lines: what a crash left behind is no outcome.
func read(path string) (run Run, all []Outcome, whole int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return run, nil, 0, err
	}
	defer f.Close() // only read
	in := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return run, all, whole, nil
		}
		if err != nil {
			return run, nil, 0, fmt.Errorf("reading %s: %w", path, err)
		}
		if n == 1 {
			err = jsonx.Decode([]byte(line), &run)
			run.Name = strings.TrimSuffix(filepath.Base(path), ".jsonl") // also of a copy
		} else {
			var o Outcome
			if err = jsonx.Decode([]byte(line), &o); err == nil {
				all = append(all, o)
			}
		}
		if err != nil {
			return run, nil, 0, fmt.Errorf("%s:%d: %s", path, n, strings.TrimSpace(err.Error()))
		}
		whole += int64(len(line))
	}
}
