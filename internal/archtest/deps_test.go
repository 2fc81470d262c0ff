package archtest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// record is where every module that the source imports has its line.
const record = "docs/adr/0002-dependencies.md"

var (
	required = regexp.MustCompile(`^(?:require )?([a-z0-9.-]+\.[a-z]+/\S+) v\S+`)
	recorded = regexp.MustCompile(`(?m)^\| ([a-z0-9.-]+\.[a-z]+/\S+) \|`)
)

// moduleOf returns the module among mods that an import path belongs to: the longest that is its beginning.
func moduleOf(importPath string, mods []string) string {
	best := ""
	for _, m := range mods {
		if within(importPath, m) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

func TestEveryDependencyIsRecorded(t *testing.T) {
	top := root(t)
	var mods []string
	for l := range goMod(t, top) {
		if m := required.FindStringSubmatch(l); m != nil {
			mods = append(mods, m[1])
		}
	}
	text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(record)))
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for _, m := range recorded.FindAllStringSubmatch(string(text), -1) {
		lines[m[1]] = true
	}
	for m, at := range imports(load(t), mods) {
		if !lines[m] {
			t.Errorf("%s: module %s has no line in %s: say there why it is needed and what it brings", at, m, record)
		}
	}
	for _, m := range slices.Sorted(maps.Keys(lines)) {
		if !slices.Contains(mods, m) {
			t.Errorf("%s has a line for %s, which go.mod does not require: remove it", record, m)
		}
	}
}

// imports returns the modules that the source imports, each with a file that does.
func imports(tr *tree, mods []string) map[string]string {
	out := map[string]string{}
	for _, p := range tr.pkgs {
		for _, f := range p.files {
			for _, i := range f.imports {
				first, _, _ := strings.Cut(i.path, "/")
				if _, ours := tr.ours(i.path); ours || !strings.Contains(first, ".") {
					continue
				}
				if m := moduleOf(i.path, mods); m != "" {
					out[m] = f.path
				} else {
					out[i.path] = f.path
				}
			}
		}
	}
	return out
}

func TestModulesAreFoundByTheirLongestPath(t *testing.T) {
	mods := []string{"a.io/x", "a.io/x/y"}
	for path, want := range map[string]string{"a.io/x/y/z": "a.io/x/y", "a.io/x/yz": "a.io/x", "a.io/x": "a.io/x", "b.io/x": ""} {
		if got := moduleOf(path, mods); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
