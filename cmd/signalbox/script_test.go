package main

import (
	"errors"
	goflag "flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// suite runs the tests and removes the program that they built.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	goflag.Parse()
	if err := goflag.Set("test.parallel", "4"); err != nil { // they mostly wait for each other's programs to start and to stop
		panic(err)
	}
	code := s.m.Run()
	if os.Getenv("SIGNALBOX_BINARY") == "" {
		stack.Clean()
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"signalbox": main})
}

func TestTheCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"PORT1", "PORT2", "PORT3"} {
				e.Setenv(name, stack.FreePort(t))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "fill": fill, "field": fieldOf, "lines": lines, "listens": listens, "get": fetch, "leave": leave,
		},
	})
}

// status runs a program that must end with a status: status N PROGRAM ARGS...
func status(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("status %d, want %d", got, want)
	}
}

// fill replaces $VARIABLES in files.
func fill(ts *testscript.TestScript, _ bool, files []string) {
	for _, f := range files {
		text := os.Expand(ts.ReadFile(f), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(text), 0o600))
	}
}

// fieldOf writes what follows a word at the beginning of a line to a file: field WORD FROM TO.
func fieldOf(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if rest, ok := strings.CutPrefix(line, args[0]); ok {
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.TrimSpace(rest)+"\n"), 0o600))
			return
		}
	}
	ts.Fatalf("no line begins with %s", args[0])
}

// lines checks how many lines a file has: lines N FILE.
func lines(ts *testscript.TestScript, _ bool, args []string) {
	if got := strings.Count(ts.ReadFile(args[1]), "\n"); strconv.Itoa(got) != args[0] {
		ts.Fatalf("%d lines, want %s", got, args[0])
	}
}

// listens waits until an address is served.
func listens(ts *testscript.TestScript, _ bool, args []string) {
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var c net.Conn
		if c, err = net.Dial("tcp", args[0]); err == nil {
			_ = c.Close()
			return
		}
	}
	ts.Fatalf("nobody serves: %v", err)
}

// fetch writes the body of a page to standard output, whatever the status.
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	res, err := http.Get(args[0])
	ts.Check(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), string(b))
}

// leave makes a socket that nobody serves.
func leave(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: ts.MkAbs(args[0]), Net: "unix"})
	ts.Check(err)
	l.SetUnlinkOnClose(false)
	ts.Check(l.Close())
}
