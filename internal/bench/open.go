package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/bench/proc"
	"github.com/signalbox-ai/signalbox/internal/bench/traffic"
)

// openOptions are the flags of streams that stand open.
type openOptions struct {
	streams string        // how many, separated by commas
	hold    time.Duration // how long they are measured
	drip    time.Duration // pause between the chunks of each meanwhile; 0: none
}

const (
	settles   = 15 * time.Second // before processes are measured that have just done something
	spare     = 300              // files that a process has open beside those of streams
	mostEnds  = 2 * time.Minute  // in which as many streams as there are have begun, or ended
	mostTells = 20 * time.Second // in which what has ended is counted
)

// counts returns how many streams are to be opened, in each turn.
func (o openOptions) counts() (out []int, err error) {
	for s := range strings.SplitSeq(o.streams, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("streams: %q is no number above 0", s)
		}
		out = append(out, n)
	}
	return out, nil
}

// open measures direct streams that stand open, each number of them through processes of its own that were just started.
func (l *lab) open(ctx context.Context, w io.Writer, rec *record, o openOptions) error {
	counts, err := o.counts()
	if err != nil {
		return err
	}
	for _, n := range counts {
		if err := proc.Files(traffic.Files(n) + spare); err != nil {
			return fmt.Errorf("%d open streams: %w", n, err)
		}
	}
	l.upstream.Drip(o.drip)
	defer l.upstream.Drip(0)
	table := [][]string{{"", "service's RSS MB", "service, CPU ms in 1 s", "Envoy's RSS MB", "Envoy, CPU ms in 1 s", "others, cores"}}
	for _, n := range counts {
		fmt.Fprintf(os.Stderr, "%d open streams\n", n)
		idle, held, err := l.hold(ctx, n, slices.Max(counts), o)
		if err != nil {
			return fmt.Errorf("%d open streams: %w", n, err)
		}
		for _, s := range []sample{idle, held} {
			if err := rec.add(s); err != nil {
				return err
			}
			title := "none, before " + strconv.Itoa(n)
			if s.Cell == cellOpen {
				title = strconv.Itoa(n)
			}
			table = append(table, []string{title, megabytes(s.RSS[1]), fmt.Sprintf("%.2f", s.Service/1e3), megabytes(s.RSS[0]), fmt.Sprintf("%.2f", s.Envoy/1e3), fmt.Sprintf("%.2f", s.Foreign)})
		}
	}
	chunks := "without chunks meanwhile"
	if o.drip > 0 {
		chunks = fmt.Sprintf("each with a chunk every %s meanwhile", o.drip)
	}
	fmt.Fprintf(w, "\n%s; clients by HTTP/2, no TLS, loopback; %s.\n", time.Now().Format(time.DateOnly), pinning(l.pinned))
	fmt.Fprintf(w, "\nOpen direct streams, %s, for %s; each number through a service and an Envoy of its own, which had %d before; all ended whole and went the direct path:\n\n", chunks, o.hold, slices.Max(counts))
	write(w, table)
	return nil
}

// cellOpen is the cell of streams that stand open, cellIdle that of the same processes before. CPU of their samples is per second.
const (
	cellOpen = "open"
	cellIdle = "idle"
)

// hold starts a service and an Envoy, opens n streams through them, measures both before and meanwhile, and lets the streams end. Before
// that it does so with as many as are opened at most, so that what differs is not what a process needs when it is used first.
func (l *lab) hold(ctx context.Context, n, most int, o openOptions) (idle, held sample, err error) {
	r := &row{name: fmt.Sprintf("open-%d", n), key: l.key, stream: "direct", usage: true, path: "direct"}
	if err := l.signalbox(ctx, r); err != nil {
		return idle, held, err
	}
	defer r.stop()
	if err := l.standing(ctx, r, most, func() {}); err != nil {
		return idle, held, err
	}
	time.Sleep(settles)
	measure := func(cell string) sample {
		s := r.charge(func() { time.Sleep(o.hold) })
		s.Row, s.Cell, s.Count = r.name, cell, n
		s.Envoy, s.Service = s.Envoy/s.Seconds, s.Service/s.Seconds
		return s
	}
	idle = measure(cellIdle)
	idle.Count = 0
	err = l.standing(ctx, r, n, func() {
		time.Sleep(settles)
		held = measure(cellOpen)
	})
	return idle, held, err
}

// standing opens n streams, does something meanwhile, and lets them end.
func (l *lab) standing(ctx context.Context, r *row, n int, meanwhile func()) error {
	before, err := r.metrics(ctx)
	if err != nil {
		return err
	}
	crowd, err := traffic.Open(ctx, r.asked(traffic.Asked{Model: "direct-held", Size: 1 << 10, Stream: true})[0], n, mostEnds)
	if err != nil {
		return err
	}
	meanwhile()
	l.upstream.LetGo()
	err = crowd.Wait(mostEnds)
	if err == nil {
		err = r.told(ctx, before, n)
	}
	crowd.Close()
	return err
}

// told waits until the service has counted what ended, and checks that all exchanges took the row's path.
func (r *row) told(ctx context.Context, before map[string]float64, n int) error {
	var err error
	for end := time.Now().Add(mostTells); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err = r.counted(ctx, before, n); err == nil {
			return r.checkPath(ctx)
		}
	}
	return err
}

// counted compares the service's metrics with what they were before: n exchanges more went the row's path and ended well, no other
// did, and none is open.
func (r *row) counted(ctx context.Context, before map[string]float64, n int) error {
	now, err := r.metrics(ctx)
	if err != nil {
		return err
	}
	more := func(name, label string) float64 { return sum(now, name, label) - sum(before, name, label) }
	went, all, well := more("signalbox_paths_total", `path="`+r.path+`"`), more("signalbox_exchanges_total", ""), more("signalbox_exchanges_total", `outcome="ok"`)
	live := now["signalbox_live_exchanges"]
	if went == float64(n) && all == went && well == went && live == 0 {
		return nil
	}
	return fmt.Errorf("of %d exchanges %v went the %s path, %v ended, %v ended well, and %v are open, by the service's metrics", n, went, r.path, all, well, live)
}

// sum adds up the series of a metric that have a label.
func sum(metrics map[string]float64, name, label string) (n float64) {
	for series, v := range metrics {
		if strings.HasPrefix(series, name+"{") && strings.Contains(series, label) {
			n += v
		}
	}
	return n
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f", float64(n)/(1<<20)) }
