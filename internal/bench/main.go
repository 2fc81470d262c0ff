// Command bench measures Signalbox from outside, on a real Envoy, and prints a table of ratios to a bare
// Envoy of the same run. It proves nothing about correctness and asserts no time: machines differ and drift.
//
// The proxy under test, Envoy and service together, is pinned to one core; this process, which is both the
// load and the provider, is pinned to another. What is compared takes turns within each round, and what is
// printed are medians over the rounds. Every sample is kept in a file.
//
//	load ──► [ Envoy ◄─► service ] ──► provider
//	core 1        core 0               core 1
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/bench/traffic"
)

// Cores of the proxy under test and of everything else.
const (
	coreProxy = "0"
	coreLoad  = "1"
)

// reserve is the time that is kept for what comes after the rounds.
const reserve = 70 * time.Second

// Parts of a run.
const (
	partRounds = "rounds"
	partOpen   = "open"
	partGrowth = "growth"
)

var parts = []string{partRounds, partOpen, partGrowth}

// options are the flags.
type options struct {
	binary string
	out    string
	rival  string
	rows   string
	cells  string
	rounds int
	scale  float64
	most   time.Duration
	parts  string
	once   bool
	pinned bool
	open   openOptions
	much   much
}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		panic(err) // the one way to a status that is not 0 from here
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.binary, "binary", "bin/signalbox", "the signalbox program")
	f.StringVar(&o.rival, "rival", "", "the external processor of Envoy AI Gateway, to be measured beside")
	f.StringVar(&o.out, "out", "bench/out", "folder for samples and logs")
	f.StringVar(&o.rows, "rows", "", "rows to measure, separated by commas (all)")
	f.StringVar(&o.cells, "cells", "", "cells to measure, separated by commas (all)")
	f.IntVar(&o.rounds, "rounds", 3, "rounds")
	f.Float64Var(&o.scale, "scale", 1, "factor on the length of each measurement")
	f.DurationVar(&o.most, "most", 6*time.Minute, "begin no round that would end later")
	f.BoolVar(&o.once, "once", true, "measure memory with open streams and the cold start too")
	f.StringVar(&o.parts, "parts", partRounds, "what to measure, separated by commas: "+strings.Join(parts, ", "))
	f.StringVar(&o.open.streams, "streams", "100,10000", "open: how many streams stand open, separated by commas")
	f.DurationVar(&o.open.hold, "hold", 10*time.Second, "open: how long processes are measured meanwhile")
	f.DurationVar(&o.open.drip, "drip", 0, "open: pause between the chunks of each stream meanwhile (0: there are none)")
	f.IntVar(&o.much.Keys, "keys", 1_000_000, "growth: keys in the store")
	f.IntVar(&o.much.Budgets, "budgets", 100_000, "growth: budgets in the store")
	f.IntVar(&o.much.routes, "routes", 10_000, "growth: routes in the configuration")
	f.StringVar(&o.much.filled, "filled", "", "growth: folder that keeps the filled store for other runs (none: a temporary one)")
	f.BoolVar(&o.pinned, "pinned", false, "set by the program itself, once it runs on its core")
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	if !o.pinned && runtime.NumCPU() > 1 {
		return again(ctx, args, w)
	}
	return measure(ctx, o, w)
}

// check looks at the flags before anything is started.
func (o options) check() error {
	if o.rounds < 1 || o.scale <= 0 {
		return errors.New("rounds and scale must be above 0")
	}
	for p := range strings.SplitSeq(o.parts, ",") {
		if !slices.Contains(parts, p) {
			return fmt.Errorf("no part is named %q: there are %s", p, strings.Join(parts, ", "))
		}
	}
	if o.has(partOpen) {
		if _, err := o.open.counts(); err != nil {
			return err
		}
	}
	if o.has(partGrowth) {
		return o.much.check()
	}
	return nil
}

// again runs the same program on the core of the load.
func again(ctx context.Context, args []string, w io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "taskset", append([]string{"-c", coreLoad, self, "-pinned"}, args...)...) //nolint:gosec // this program itself, with its own arguments
	c.Stdout, c.Stderr = w, os.Stderr
	return c.Run()
}

func measure(ctx context.Context, o options, w io.Writer) error {
	if err := prepareOut(o.out); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sbb") // short: a socket's path holds about a hundred bytes
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	up, err := traffic.NewUpstream(ctx)
	if err != nil {
		return err
	}
	defer up.Close()
	lab := &lab{binary: o.binary, rivalBinary: o.rival, dir: dir, out: o.out, upstream: up, pinned: o.pinned}
	defer lab.stop()
	if err := lab.prepare(ctx); err != nil {
		return err
	}
	rec, err := newRecord(filepath.Join(o.out, "samples.jsonl"))
	if err != nil {
		return err
	}
	defer rec.Close()
	began := time.Now()
	if o.has(partRounds) {
		if err := lab.compare(ctx, w, o, rec); err != nil {
			return err
		}
		lab.stop()
	}
	if o.has(partOpen) {
		if err := lab.open(ctx, w, rec, o.open); err != nil {
			return err
		}
	}
	if o.has(partGrowth) {
		if err := lab.growth(ctx, w, rec, o); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n%s in all; samples: %s\n", time.Since(began).Round(time.Second), rec.path)
	return rec.Close()
}

// has reports whether a part is asked for.
func (o options) has(part string) bool { return slices.Contains(strings.Split(o.parts, ","), part) }

// compare measures the rows in turn, and what needs no rounds, and prints it.
func (l *lab) compare(ctx context.Context, w io.Writer, o options, rec *record) error {
	rows, err := l.rows(ctx, o.rows)
	if err != nil {
		return err
	}
	rounds, err := turns(ctx, o, rows, cells, rec)
	if err != nil {
		return err
	}
	report(w, rows, rec, o)
	if o.once {
		if err := l.once(ctx, w, rows, rec); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n%d of %d rounds\n", rounds, o.rounds)
	return nil
}

// turns measures every row in each round. It returns how many rounds there was time for: a round begins only
// if one as long as the longest still fits.
func turns(ctx context.Context, o options, rows []*row, cells []cell, rec *record) (int, error) {
	began := time.Now()
	var longest time.Duration
	for round := range o.rounds {
		at := time.Now()
		if round > 0 && at.Sub(began)+longest+reserve > o.most {
			return round, nil
		}
		for _, r := range rows {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, o.rounds, r.name)
			if err := r.measure(ctx, round, o, cells, rec.add); err != nil {
				return round, fmt.Errorf("%s: %w", r.name, err)
			}
		}
		longest = max(longest, time.Since(at))
	}
	return o.rounds, nil
}

// prepareOut makes the folder of results, which keeps itself out of the repository.
func prepareOut(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600)
}
