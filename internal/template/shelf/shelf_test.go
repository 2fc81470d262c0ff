package shelf_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/internal/template/shelf"
)

// open makes a shelf of versions of one template.
func open(t *testing.T, labels template.Labels, texts ...string) *shelf.Shelf {
	t.Helper()
	dir := t.TempDir()
	var sources []template.Source
	for i, text := range texts {
		f := &template.File{Messages: []template.Message{{Role: "user", Content: "hi"}}}
		sources = append(sources, template.Source{Name: "a", Number: i + 1, File: f})
		if err := os.WriteFile(filepath.Join(dir, "a@"+string(rune('1'+i))+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &shelf.Shelf{Folder: dir, Set: template.NewSet(sources, map[string]template.Labels{"a": labels})}
}

func read(t *testing.T, s *shelf.Shelf, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestANewVersionDoesNotBecomeTheOneInUse(t *testing.T) {
	s := open(t, nil, "one\n", "two\n")
	checked := ""
	n, err := s.Create("a", []byte("three\n"), func(path string) error { checked = filepath.Base(path); return nil })
	if n != 3 || err != nil || checked != "a@3.yaml" {
		t.Fatal(n, err, checked)
	}
	if got := read(t, s, "a@3.yaml"); got != "three\n" {
		t.Errorf("the file is %q", got)
	}
	if got := read(t, s, "labels.yaml"); got != "\"a\": { \"production\": 2 }\n" {
		t.Errorf("labels are %q", got)
	}
	if _, err := s.Create("a", []byte("three\n"), func(string) error { return nil }); !errors.Is(err, os.ErrExist) {
		t.Errorf("a version that another has made is written over: %v", err)
	}
}

func TestAFaultyVersionIsNotWritten(t *testing.T) {
	s := open(t, nil, "one\n")
	bad := errors.New("bad")
	if _, err := s.Create("a", []byte("x"), func(string) error { return bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
	if files, _ := os.ReadDir(s.Folder); len(files) != 1 {
		t.Errorf("there are %v", files)
	}
}

func TestTheFirstVersionNeedsNoLabel(t *testing.T) {
	s := open(t, nil)
	if n, err := s.Create("b", []byte("x"), func(string) error { return nil }); n != 1 || err != nil {
		t.Error(n, err)
	}
	if _, err := os.Stat(filepath.Join(s.Folder, "labels.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestLabelsAreMoved(t *testing.T) {
	s := open(t, template.Labels{"production": 3, "canary": 2}, "one\n", "two\n", "three\n")
	if err := s.Promote("a", 1, "canary"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "labels.yaml"); got != "\"a\": { \"canary\": 1, \"production\": 3 }\n" {
		t.Errorf("labels are %q", got)
	}
	s = open(t, template.Labels{"production": 3, "canary": 1}, "one\n", "two\n", "three\n")
	if n, err := s.Back("a", "production"); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got := read(t, s, "labels.yaml"); got != "\"a\": { \"canary\": 1, \"production\": 2 }\n" {
		t.Errorf("labels are %q", got)
	}
	for _, c := range []struct{ err, want string }{
		{text(s.Back("a", "canary")), "canary is at a@1, and there is no earlier version"},
		{text(s.Back("b", "canary")), `there is no template "b"`},
		{text(s.Back("a", "none")), `the template a has no label "none"`},
		{text(0, s.Promote("a", 9, "canary")), "there is no template a@9"},
		{text(0, s.Promote("a", 1, "7")), "a label has lower-case letters"},
		{text(0, s.Promote("a", 1, "Upper")), "a label has lower-case letters"},
	} {
		if !strings.HasPrefix(c.err, c.want) {
			t.Errorf("got %q, want %q", c.err, c.want)
		}
	}
}

func text(_ int, err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestVersionsAreFound(t *testing.T) {
	s := open(t, template.Labels{"canary": 1}, "one\n", "two\n")
	for ref, want := range map[string]string{"a": "a@2", "a@1": "a@1", "a@canary": "a@1", "b": `there is no template "b"`, "a@7": `the template a has no version "7"; there are 1, 2, canary, production`} {
		v, err := s.Find(ref)
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = v.String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", ref, got, want)
		}
	}
}

// TestADifferenceIsWhatPatchNeeds makes the second text of the first, with the difference and patch.
func TestADifferenceIsWhatPatchNeeds(t *testing.T) {
	patch, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("there is no patch here")
	}
	rapid.Check(t, func(r *rapid.T) {
		line := rapid.SampledFrom([]string{"a", "b", "c", "", "  d: e"})
		texts := func(name string) string {
			return strings.Join(rapid.SliceOfN(line, 1, 24).Draw(r, name), "\n") + "x\n"
		}
		a, b := texts("a"), texts("b")
		s := open(t, nil, a, b)
		one, two := s.Set.Versions()[0], s.Set.Versions()[1]
		d, err := s.Diff(one, two)
		if err != nil {
			r.Fatal(err)
		}
		if (d == "") != (a == b) {
			r.Fatalf("the difference of %q and %q is %q", a, b, d)
		}
		if d == "" {
			return
		}
		cmd := exec.Command(patch, "-s", filepath.Join(s.Folder, "a@1.yaml"))
		cmd.Stdin = strings.NewReader(d)
		if out, err := cmd.CombinedOutput(); err != nil {
			r.Fatalf("%v: %s\n%s", err, out, d)
		}
		if got := read(t, s, "a@1.yaml"); got != b {
			r.Fatalf("got %q, want %q by\n%s", got, b, d)
		}
	})
}

func TestADifferenceShowsWhatIsAround(t *testing.T) {
	s := open(t, nil, "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n")
	got, err := s.Diff(s.Set.Versions()[0], s.Set.Versions()[1])
	if want := "--- a@1\n+++ a@2\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"; got != want || err != nil {
		t.Errorf("got %v\n%s", err, got)
	}
}
