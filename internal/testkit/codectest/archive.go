package codectest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Archive is a text archive in the txtar form: a comment, then files that each follow a line "-- name --". Lines
// "name: value" of the comment are options.
type Archive struct {
	comment string
	names   []string
	files   map[string]string
}

// ParseArchive parses an archive. A line ends in "\n" alone.
func ParseArchive(s string) *Archive {
	a := &Archive{files: map[string]string{}}
	at := ""
	for line := range strings.Lines(s) {
		n, isMark := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-- ")
		n, closes := strings.CutSuffix(n, " --")
		switch {
		case isMark && closes:
			at = n
			a.names = append(a.names, n)
			a.files[n] = ""
		case at == "":
			a.comment += line
		default:
			a.files[at] += line
		}
	}
	return a
}

// File returns a file's text.
func (a *Archive) File(name string) (text string, found bool) {
	text, found = a.files[name]
	return text, found
}

// Names returns the names of the files, in order.
func (a *Archive) Names() []string { return slices.Clone(a.names) }

// Set puts a file into the archive, at the end where it is new. A text ends with its line.
func (a *Archive) Set(name, text string) {
	if text = strings.ReplaceAll(text, "\r\n", "\n"); text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if _, found := a.files[name]; !found {
		a.names = append(a.names, name)
	}
	a.files[name] = text
}

// Option returns the value of a line "name: value" of the comment, or "".
func (a *Archive) Option(name string) string {
	for line := range strings.Lines(a.comment) {
		if v, found := strings.CutPrefix(line, name+": "); found {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// String returns the archive's text.
func (a *Archive) String() string {
	var b strings.Builder
	b.WriteString(a.comment)
	for _, n := range a.names {
		b.WriteString("-- " + n + " --\n" + a.files[n])
	}
	return b.String()
}

// Archives runs f as a subtest over each of testdata/*.txtar, of which there are least or more. What f sets is what is
// expected; update writes it into the file instead.
func Archives(t *testing.T, update bool, least int, f func(*testing.T, *Archive)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) < least {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, want := ParseArchive(string(b)), ParseArchive(string(b))
			f(t, got)
			if update {
				if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want.files, got.files); diff != "" {
				t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
			}
		})
	}
}
