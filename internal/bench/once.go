package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/bench/proc"
	"github.com/signalbox-ai/signalbox/internal/bench/traffic"
)

// open is how many streams stand open at once while memory is read.
const open = 1000

// starts is how often the cold start is measured.
const starts = 3

// once measures what needs no rounds: memory, fresh and with many open streams, and the cold start.
func (l *lab) once(ctx context.Context, w io.Writer, rows []*row, rec *record) error {
	fmt.Fprintf(w, "\nMemory, RSS in MB as Envoy + service, of processes that were just started:\n\n")
	table := [][]string{{"", "idle", fmt.Sprintf("%d open streams", open), "open, CPU of the service in 2 s, ms"}}
	for _, r := range rows {
		if r.service == nil || r.stream == "" || r.path == "" {
			continue
		}
		line, err := l.crowd(ctx, r, rec)
		if err != nil {
			return fmt.Errorf("%s, open streams: %w", r.name, err)
		}
		table = append(table, line)
	}
	if len(table) == 1 {
		return nil
	}
	write(w, table)
	var all []float64
	for n := range starts {
		d, err := l.coldStart(ctx, n)
		if err != nil {
			return fmt.Errorf("cold start: %w", err)
		}
		if err := rec.add(sample{Row: "up", Cell: "cold start", Round: n, Count: 1, Seconds: d.Seconds()}); err != nil {
			return err
		}
		all = append(all, d.Seconds()*1e3)
	}
	m, _ := middle(all)
	fmt.Fprintf(w, "\nCold start of \"signalbox up\" to the first answer, on both cores: %.0f ms (median of %.0f)\n", m, all)
	return nil
}

// crowd starts a row afresh, opens many streams, and reads its memory before and meanwhile.
func (l *lab) crowd(ctx context.Context, old *row, rec *record) ([]string, error) {
	r := &row{name: old.name + "-open", title: old.title, key: old.key, stream: old.stream, usage: old.usage, path: "worked", setting: old.setting}
	if r.path = old.path; old.stream != old.whole {
		r.whole = ""
	}
	if err := l.signalbox(ctx, r); err != nil {
		return nil, err
	}
	time.Sleep(2 * time.Second)
	idle := r.charge(func() { time.Sleep(2 * time.Second) })
	lo, err := traffic.NewLoads(ctx, r.asked(traffic.Asked{Model: r.stream + "-held", Size: 1 << 10, Stream: true}), open, 0)
	if err != nil {
		return nil, err
	}
	defer lo.Close()
	ended := make(chan struct{})
	go func() { // ends once the streams are let go
		defer close(ended)
		lo.Once()
	}()
	time.Sleep(4 * time.Second)
	crowded := r.charge(func() { time.Sleep(2 * time.Second) })
	l.upstream.LetGo()
	<-ended
	if err := lo.Fault(); err != nil {
		return nil, err
	}
	idle.Row, idle.Cell, crowded.Row, crowded.Cell = r.name, "idle", r.name, "open"
	for _, s := range []sample{idle, crowded} {
		if err := rec.add(s); err != nil {
			return nil, err
		}
	}
	form := func(s sample) string {
		return fmt.Sprintf("%.0f + %.0f", float64(s.RSS[0])/(1<<20), float64(s.RSS[1])/(1<<20))
	}
	r.stop()
	return []string{r.title, form(idle), form(crowded), fmt.Sprintf("%.1f", crowded.Service/1e3)}, nil
}

// coldStart runs "signalbox up" and returns how long it took to answer.
func (l *lab) coldStart(ctx context.Context, n int) (time.Duration, error) {
	r := &row{name: fmt.Sprintf("up-%d", n), key: l.key, whole: "direct"}
	file, err := l.configure(ctx, r)
	if err != nil {
		return 0, err
	}
	cores := ""
	if l.pinned {
		cores = coreProxy + "," + coreLoad
	}
	env := append(slices.Clone(environment), "ENVOY="+l.envoy)
	began := time.Now()
	p, err := proc.Start(ctx, proc.Params{Cores: cores, Log: filepath.Join(l.out, r.name+".log"), Env: env}, l.binary, "up", "--config", file)
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(filepath.Dir(file))
	defer p.Stop()
	for {
		if err := p.Ended(); err != nil {
			return 0, err
		}
		if err = r.try(ctx); err == nil {
			return time.Since(began), nil
		}
		if ctx.Err() != nil || time.Since(began) > startup {
			return 0, err
		}
		time.Sleep(2 * time.Millisecond)
	}
}
