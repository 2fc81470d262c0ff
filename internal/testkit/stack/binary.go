package stack

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// built is the program, made once for all tests of a package, with the tags of the Makefile.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "signalbox-bin")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "signalbox")
	cmd := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", path, "github.com/signalbox-ai/signalbox/cmd/signalbox")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &buildError{string(out), err}
	}
	return path, nil
})

type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.out }

// Binary returns the path of the signalbox program: $SIGNALBOX_BINARY, or one built from the source.
func Binary(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("SIGNALBOX_BINARY"); p != "" {
		return p
	}
	p, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Clean removes the built program. A package's TestMain calls it last.
func Clean() {
	if os.Getenv("SIGNALBOX_BINARY") != "" {
		return
	}
	if p, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(p))
	}
}

// Output runs a program to its end and returns its standard output.
func Output(t testing.TB, path string, args ...string) string {
	t.Helper()
	return OutputOf(t, "", path, args...)
}

// OutputOf is Output with a text on standard input.
func OutputOf(t testing.TB, input, path string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", path, args, err, errs.String())
	}
	return out.String()
}
