package mock

import (
	"strconv"
	"strings"
	"time"
)

// Behaviour is a row of the table of what a model's name may ask for.
type Behaviour struct {
	Name    string // "STATUS" stands for any error status
	Args    string // with its leading colon; parts in brackets may be left out
	Example string // a whole model name
	What    string
}

// row is a behaviour and how it changes a script; apply returns what is wrong, or "".
type row struct {
	Behaviour
	apply func(sc *script, name string, args []string) string
}

// Behaviours returns the table, in the order in which to show it.
func Behaviours() []Behaviour {
	list := make([]Behaviour, 0, len(table))
	for i := range table {
		list = append(list, table[i].Behaviour)
	}
	return list
}

// Table returns the behaviours as a Markdown table.
func Table() string {
	var b strings.Builder
	b.WriteString("| name | example | what the model does |\n|---|---|---|\n")
	for _, r := range Behaviours() {
		b.WriteString("| `" + r.Name + r.Args + "` | `" + r.Example + "` | " + strings.ReplaceAll(r.What, "|", `\|`) + " |\n")
	}
	return b.String()
}

// find returns the row of a name, or nil.
func find(name string) *row {
	if code, err := strconv.Atoi(name); err == nil && len(name) == 3 && code >= 400 && code <= 599 {
		name = "STATUS"
	} else if name == "STATUS" {
		return nil
	}
	for i := range table {
		if table[i].Name == name {
			return &table[i]
		}
	}
	return nil
}

const (
	maxTokens = 100_000
	maxCalls  = 64
	maxBig    = 64 << 10 // KiB
	maxBomb   = 1 << 10  // MiB
)

// text makes the apply of a source of text without arguments.
func text(source string) func(*script, string, []string) string {
	return func(sc *script, _ string, args []string) string {
		if err := none(args); err != "" {
			return err
		}
		return sc.setText(source, 0)
	}
}

// fault makes the apply of a fault without arguments.
func fault(sc *script, name string, args []string) string {
	if err := none(args); err != "" {
		return err
	}
	return sc.setFault(name, 0)
}

// faultAt makes the apply of a fault after N chunks.
func faultAt(sc *script, name string, args []string) string {
	n, err := number(args, -1, 0, maxTokens)
	if err != "" {
		return err
	}
	return sc.setFault(name, n)
}

func deny(kind string) func(*script, string, []string) string {
	return func(sc *script, _ string, args []string) string {
		if err := none(args); err != "" {
			return err
		}
		return sc.setDeny(&failure{kind: kind})
	}
}

// wait makes the apply of a pause.
func wait(field func(*script) *time.Duration) func(*script, string, []string) string {
	return func(sc *script, _ string, args []string) (err string) {
		*field(sc), err = span(args)
		return err
	}
}

func status(sc *script, name string, args []string) string {
	code, _ := strconv.Atoi(name)
	f := &failure{status: code}
	if len(args) > 0 {
		if s, err := strconv.Atoi(args[0]); err == nil && s >= 0 && s <= 1<<20 {
			f.after = time.Duration(s) * time.Second
		} else if d, wrong := span(args[:1]); wrong == "" {
			f.after = d
		} else {
			return "needs the seconds to retry after, or a duration"
		}
		f.hasAfter = true
	}
	if len(args) > 1 {
		return "takes one argument"
	}
	return sc.setDeny(f)
}

func failFirst(sc *script, _ string, args []string) string {
	const want = "needs a number and a status, as 2:503"
	if len(args) != 2 {
		return want
	}
	n, err := strconv.Atoi(args[0])
	code, err2 := strconv.Atoi(args[1])
	if err != nil || err2 != nil || n < 1 || n > 1_000_000 || code < 400 || code > 599 {
		return want
	}
	sc.first, sc.firstStatus = uint64(n), code
	return ""
}

func flaky(sc *script, _ string, args []string) string {
	if len(args) == 1 {
		if p, err := strconv.ParseFloat(args[0], 64); err == nil && p >= 0 && p <= 1 {
			sc.flaky = p
			return ""
		}
	}
	return "needs a probability from 0 to 1"
}

func stop(sc *script, _ string, args []string) string {
	if len(args) == 1 {
		switch args[0] {
		case "length", "filter", "sequence", "pause":
			sc.stop = args[0]
			return ""
		}
	}
	return "needs length, filter, sequence or pause"
}

func usage(sc *script, _ string, args []string) string {
	if len(args) != 1 || args[0] != "none" {
		return "needs none"
	}
	sc.noUsage = true
	return ""
}
