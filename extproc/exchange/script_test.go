package exchange_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite what the scripts expect")

// command is one command of a script: its words, the indented lines below it, and the lines that are
// expected of it, which begin with =.
type command struct {
	line   int
	before []string // blank lines and comments above it, as they are
	words  []string
	input  []string
	want   []string
}

// parse reads a script. testdata/README.md describes the language.
func parse(text string) (cmds []*command, after []string) {
	var before []string
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		switch {
		case line == "" || line[0] == '#':
			before = append(before, line)
		case strings.HasPrefix(line, "  ") && len(cmds) > 0:
			c := cmds[len(cmds)-1]
			c.input = append(c.input, line[2:])
		case line[0] == '=' && len(cmds) > 0:
			c := cmds[len(cmds)-1]
			c.want = append(c.want, strings.TrimPrefix(line[1:], " "))
		default:
			cmds = append(cmds, &command{line: i + 1, before: before, words: strings.Fields(line)})
			before = nil
		}
	}
	return cmds, before
}

// format writes a script back, with the lines in got expected of each command.
func format(cmds []*command, got [][]string, after []string) []byte {
	var b bytes.Buffer
	write := func(prefix string, lines []string) {
		for _, l := range lines {
			b.WriteString(strings.TrimRight(prefix+l, " ") + "\n")
		}
	}
	for i, c := range cmds {
		write("", c.before)
		write("", []string{strings.Join(c.words, " ")})
		write("  ", c.input)
		write("= ", got[i])
	}
	write("", after)
	return b.Bytes()
}

// random are ids that are minted anew in every run.
var random = regexp.MustCompile(`\b(chatcmpl-|msg_|toolu_|call_|req_)[A-Z2-7]{24}\b|\b[0-9a-f]{32}\b`)

func masked(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimRight(random.ReplaceAllString(l, "${1}RANDOM"), " ")
	}
	return out
}

// TestScripts runs testdata/*.exchange. Each runs in a bubble of its own, whose clock stands still but for
// the script's advances.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.exchange")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".exchange")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { runScript(t, file, string(text), false) })
		})
	}
}

// TestScriptsOfWhatRests runs them again with every exchange that may resting before each command: nobody can tell.
func TestScriptsOfWhatRests(t *testing.T) {
	files, err := filepath.Glob("testdata/*.exchange")
	if err != nil {
		t.Fatal(err)
	}
	rested := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".exchange"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { rested += runScript(t, file, string(text), true) })
		})
	}
	if rested < 100 && !*update {
		t.Errorf("only %d rested", rested)
	}
}

// runScript runs a script, and returns how many exchanges rested where they are to.
func runScript(t *testing.T, file, text string, rest bool) (rested int) {
	cmds, after := parse(text)
	r := newRig(t)
	got := make([][]string, len(cmds))
	for i, c := range cmds {
		r.at = file + ":" + itoa(c.line)
		r.out = nil
		if rest && r.core != nil {
			rested += r.core.RestAll()
		}
		r.do(c)
		got[i] = masked(r.out)
		if *update {
			continue
		}
		if diff := cmp.Diff(got[i], c.want); len(got[i])+len(c.want) > 0 && diff != "" {
			t.Fatalf("%s: %s (-got +want):\n%s", r.at, strings.Join(c.words, " "), diff)
		}
	}
	r.finish()
	if *update && !rest && !t.Failed() {
		if err := os.WriteFile(file, format(cmds, got, after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return rested
}

// TestScriptsAreFormatted keeps -update from changing more than what is expected.
func TestScriptsAreFormatted(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.exchange")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cmds, after := parse(string(text))
		want := make([][]string, len(cmds))
		for i, c := range cmds {
			want[i] = c.want
		}
		if diff := cmp.Diff(string(format(cmds, want, after)), string(text)); diff != "" {
			t.Errorf("%s is not as -update writes it:\n%s", file, diff)
		}
		if !strings.HasPrefix(string(text), "# ") {
			t.Errorf("%s does not begin by saying what it shows", file)
		}
	}
}
