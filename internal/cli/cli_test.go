package cli_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/cli"
)

var update = flag.Bool("update", false, "write golden files again")

// runner is what a command of these tests must be.
type runner interface{ run() string }

type shared struct {
	Server string `env:"CLI_TEST_SERVER" default:"unix:s" help:"Where it is."`
}

type named struct {
	shared
	Name string `arg:"" help:"Its name."`
}

type makeCmd struct {
	named
	Kind    string            `arg:"" optional:"" enum:"big,small" default:"small" help:"Its kind."`
	Config  string            `short:"c" placeholder:"FILE" type:"existingfile" help:"A file."`
	JSON    bool              `help:"As JSON."`
	AlertAt []int32           `help:"Percentages, as 50,80."`
	Where   []string          `sep:"none" placeholder:"NAME=VALUE" help:"Only these."`
	Vocab   map[string]string `placeholder:"NAME=FILE" help:"Vocabularies; may be given again."`
	Wait    time.Duration     `default:"24h" help:"How long, which is said at such a length that the line must be broken somewhere."`
	Seed    uint64            `help:"The seed."`
	Soft    *bool             `negatable:"" help:"Whether."`
	Zone    *string           `help:"The zone."`
}

func (*makeCmd) run() string { return "make" }

type listCmd struct {
	Team string `required:"" help:"Of this team."`
	Size int    `default:"100" help:"How many."`
}

func (*listCmd) run() string { return "list" }

type endCmd struct{}

func (*endCmd) run() string { return "end" }

type thingsCmd struct {
	Make    makeCmd `cmd:"" default:"withargs" help:"Make one."`
	ListAll listCmd `cmd:"" help:"List them."`
}

type more struct {
	End endCmd `cmd:"" help:"End it."`
}

type root struct {
	Things thingsCmd `cmd:"" help:"Make and list things."`
	List   listCmd   `cmd:"" help:"List all."`
	More   more      `embed:""`
}

var program = cli.Program{Name: "prog", About: "Prog does things."}

func parse(line string) (cli.Call[runner], error) {
	return cli.Parse[runner](program, new(root), strings.Fields(line))
}

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// made is a makeCmd of a name, with what is not given at its defaults.
	made := func(name string, change func(*makeCmd)) runner {
		c := &makeCmd{named: named{shared{"unix:s"}, name}, Kind: "small", Wait: 24 * time.Hour}
		if change != nil {
			change(c)
		}
		return c
	}
	for _, c := range []struct {
		says, line string
		want       runner
	}{
		{"what is not given has its default", "things make a", made("a", nil)},
		{"the command that is meant where none is named takes arguments", "things a big", made("a", func(c *makeCmd) { c.Kind = "big" })},
		{"and flags", "things --json a", made("a", func(c *makeCmd) { c.JSON = true })},
		{"flags stand anywhere", "things make --json a --seed 7 big --server x", made("a", func(c *makeCmd) {
			c.JSON, c.Seed, c.Kind, c.Server = true, 7, "big", "x"
		})},
		{"a value behind =", "things make a --seed=7 --server=a=b", made("a", func(c *makeCmd) { c.Seed, c.Server = 7, "a=b" })},
		{"an empty value", "things make a --server=", made("a", func(c *makeCmd) { c.Server = "" })},
		{"the last of two values", "things make a --seed 1 --seed 2", made("a", func(c *makeCmd) { c.Seed = 2 })},
		{"a letter", "things make a -c " + file, made("a", func(c *makeCmd) { c.Config = file })},
		{"a letter with its value", "things make a -c" + file, made("a", func(c *makeCmd) { c.Config = file })},
		{"a letter with =", "things make a -c=" + file, made("a", func(c *makeCmd) { c.Config = file })},
		{"lists by commas and by turns", "things make a --alert-at 50,80 --alert-at=100", made("a", func(c *makeCmd) { c.AlertAt = []int32{50, 80, 100} })},
		{"a list that is not split", `things make a --where k=a,b --where l=c`, made("a", func(c *makeCmd) { c.Where = []string{"k=a,b", "l=c"} })},
		{"maps", "things make a --vocab a=b --vocab c=d=e,f", made("a", func(c *makeCmd) { c.Vocab = map[string]string{"a": "b", "c": "d=e,f"} })},
		{"a switch that is turned off", "things make a --no-soft", made("a", func(c *makeCmd) { c.Soft = new(bool) })},
		{"a switch with a value", "things make a --soft=true --json=false", made("a", func(c *makeCmd) { on := true; c.Soft = &on })},
		{"a pointer to an empty text", "things make a --zone=", made("a", func(c *makeCmd) { c.Zone = new(string) })},
		{"a duration", "things make a --wait 0s", made("a", func(c *makeCmd) { c.Wait = 0 })},
		{"a dash alone is an argument", "things make -", made("-", nil)},
		{"behind -- all are arguments", "things make -- --json", made("--json", nil)},
		{"a negative number behind =", "list --team t --size=-5", &listCmd{Team: "t", Size: -5}},
		{"names of several words", "things list-all --team t", &listCmd{Team: "t", Size: 100}},
		{"commands of an embedded struct", "end", &endCmd{}},
	} {
		t.Run(c.says, func(t *testing.T) {
			got, err := parse(c.line)
			if err != nil || got.Help != "" {
				t.Fatalf("error %v, help %q", err, got.Help)
			}
			if d := cmp.Diff(got.Command, c.want, cmp.AllowUnexported(makeCmd{}, named{})); d != "" {
				t.Errorf("got - want +\n%s", d)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ says, line, want string }{
		{"no command", "", "expected one of things, list, end"},
		{"a group needs one, and the one that is meant its argument", "things", "missing: <name>"},
		{"an unknown command", "nonsense", "unexpected argument nonsense"},
		{"one that is too long", "ends", `unexpected argument ends, did you mean "end"?`},
		{"one that is too short", "thngs", `unexpected argument thngs, did you mean "things"?`},
		{"one with another letter", "lisd", `unexpected argument lisd, did you mean "list"?`},
		{"half of one", "thi", `unexpected argument thi, did you mean "things"?`},
		{"an argument too many", "end x", "unexpected argument x"},
		{"a flag of another command", "end --json", "unknown flag --json"},
		{"a flag before its command", "--team t list", "unknown flag --team"},
		{"an unknown letter", "end -x", "unknown flag -x"},
		{"several that are missing", "list", "missing: --team=TEAM"},
		{"a value that is missing", "list --team", "--team: a value must follow"},
		{"a flag in place of a value", "list --team --size", "--team: a value must follow, not --size; a value that begins with a dash is written --team=VALUE"},
		{"a switch turned off with a value", "things a --no-soft=true", "--no-soft: takes no value"},
		{"a switch that cannot be turned off", "things a --no-json", "unknown flag --no-json"},
		{"a switch that is neither", "things a --json=maybe", `--json: must be true or false, but is "maybe"`},
		{"no number", "things a --seed x", `--seed: must be a whole number from 0, but is "x"`},
		{"a number too large", "things a --alert-at 3000000000", "--alert-at: 3000000000 is out of range"},
		{"an item that is no number", "things a --alert-at 1,,2", `--alert-at: must be a whole number, but is ""`},
		{"no duration", "things a --wait 5", `--wait: must be a duration as 90s or 24h, but is "5"`},
		{"not one of those allowed", "things a huge", `<kind>: must be one of big, small, but is "huge"`},
		{"no pair", "things a --vocab x", `--vocab: must be NAME=FILE, but is "x"`},
		{"no file", "things a -c /nonexistent/x", "--config: stat /nonexistent/x: no such file or directory"},
		{"a folder", "things a -c /", "--config: / is a folder"},
	} {
		t.Run(c.says, func(t *testing.T) {
			_, err := parse(c.line)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestVariablesAreReadWhereAFlagIsNotGiven(t *testing.T) {
	server := func(line string) string {
		t.Helper()
		got, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		return got.Command.(*makeCmd).Server
	}
	t.Setenv("CLI_TEST_SERVER", "there")
	if got := server("things a"); got != "there" {
		t.Errorf("with the variable: %q", got)
	}
	if got := server("things a --server here"); got != "here" {
		t.Errorf("with the flag: %q", got)
	}
	t.Setenv("CLI_TEST_SERVER", "")
	if got := server("things a"); got != "unix:s" {
		t.Errorf("with an empty variable: %q", got)
	}
}

func TestAVariableThatIsWrongIsNamed(t *testing.T) {
	type cmd struct {
		endCmd
		N int `env:"CLI_TEST_N"`
	}
	type root struct {
		Cmd cmd `cmd:""`
	}
	t.Setenv("CLI_TEST_N", "x")
	_, err := cli.Parse[runner](program, new(root), []string{"cmd"})
	if err == nil || err.Error() != `$CLI_TEST_N: --n: must be a whole number, but is "x"` {
		t.Error(err)
	}
}

func TestListsCanHaveCommas(t *testing.T) {
	type cmd struct {
		endCmd
		Names []string
	}
	type root struct {
		Cmd cmd `cmd:""`
	}
	got, err := cli.Parse[runner](program, new(root), []string{"cmd", "--names", `a\,b,c\d,`})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got.Command.(*cmd).Names, []string{"a,b", `c\d`, ""}); d != "" {
		t.Error(d)
	}
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	for _, line := range []string{"--help", "things --help", "things make -h", "things --json --help", "list x --help", "list --help nonsense", "end -h"} {
		got, err := parse(line)
		if err != nil {
			got.Help = "error: " + err.Error() + "\n"
		} else if got.Command != nil {
			t.Errorf("%s: a command beside help", line)
		}
		out.WriteString("$ prog " + line + "\n" + got.Help + "\n")
	}
	const file = "testdata/help.golden"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(out.String(), string(want)); d != "" {
		t.Errorf("got - want +\n%s", d)
	}
}

func TestWhatNobodyCanParseIsRefusedAtOnce(t *testing.T) {
	type noRunner struct {
		Cmd struct{} `cmd:""`
	}
	type badKind struct {
		Cmd struct {
			endCmd
			F float32
		} `cmd:""`
	}
	type flagBesideCommands struct {
		End  endCmd `cmd:""`
		JSON bool
	}
	type badDefault struct {
		Cmd struct {
			endCmd
			N int `default:"x"`
		} `cmd:""`
	}
	for _, root := range []any{new(noRunner), new(badKind), new(flagBesideCommands), new(badDefault)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T was taken", root)
				}
			}()
			_, _ = cli.Parse[runner](program, root, []string{"cmd"})
		}()
	}
}
