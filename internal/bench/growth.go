package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/bench/grown"
	"github.com/signalbox-ai/signalbox/internal/bench/traffic"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// much is what a service has in its store and in its configuration.
type much struct {
	grown.Size
	routes int
	filled string // folder in which filled stores are kept, and found; "": they are made in a temporary one
}

// mostRoutes is what there is room for in a configuration, which has at most 1 MiB.
const mostRoutes = 11_000

// small is what a grown service is compared with.
var small = much{grown.Size{Keys: 100, Budgets: 1}, 1, ""}

// pepper is what keys of stores are hashed with.
const pepper = "bench-secret-of-the-keys"

// keptMuch is a store, and teams whose limits are those that the one key has otherwise. Arguments: file of the store, the teams;
// behind them, when it is used, the folder.
const (
	keptMuch = `store: "sqlite:%s"
auth: { secrets: { keys: env:BENCH_KEYS_SECRET } }
teams:
%sledger: { store: "sqlite:%%[1]s/ledger.db", spool: "%%[1]s/spool" }
quota: { journal: "%%[1]s/journal" }
defaults: { failover: { first_token: false } }
`
	keptTeam = `  - { name: %s, limits: { requests_per_minute: 10000000, tokens_per_minute: 1000000000, parallel: 100000 } }
`
	oneOfMany = `  - { name: r%05[1]d, match: { models: [ r%05[1]d-* ] }, targets: [ one/*, two/*, three/* ] }
`
)

// cellModerate is far from saturation: a collection of garbage is then shared by fewer requests.
const cellModerate = "500/s"

// Cells of what has no rounds.
const (
	cellReady = "ready"
	cellAfter = "after"
)

// growthCells are how growth is measured. They are long, as a collection of a large heap comes once in seconds.
var growthCells = []cell{
	{name: cell1K, size: 1 << 10, conns: grown.Users, warm: 8, grows: 4 * time.Second, rest: booked, drive: saturating(4 * time.Second)},
	{name: cellModerate, size: 1 << 10, conns: grown.Users, warm: 2, rest: booked, drive: func(l *traffic.Load, scale float64) { l.Rate(2*time.Millisecond, stretch(20*time.Second, scale)) }},
}

// growthColumns are those of its table. Ratios are printed of all.
var growthColumns = []column{
	{"service's RSS MB, ready", cellReady, "%.0f", sample.serviceMemory},
	{"after", cellAfter, "%.0f", sample.serviceMemory},
	{"ready, s", cellReady, "%.2f", func(s sample) float64 { return s.Seconds }},
	{"its CPU by then, s", cellReady, "%.2f", func(s sample) float64 { return s.Service / 1e6 }},
	{"service µs, 1 KB", cell1K, "%.0f", func(s sample) float64 { return s.Service }},
	{"CPU µs, 1 KB", cell1K, "%.0f", sample.cpu},
	{"service µs, 500/s", cellModerate, "%.0f", func(s sample) float64 { return s.Service }},
	{"CPU µs, 500/s", cellModerate, "%.0f", sample.cpu},
}

func (m much) check() error {
	if m.routes < 1 || m.routes > mostRoutes {
		return fmt.Errorf("there must be from 1 to %d routes", mostRoutes)
	}
	return m.Check()
}

// text names it.
func (m much) text() string {
	return fmt.Sprintf("keys: %d, budgets: %d, routes: %d", m.Keys, m.Budgets, m.routes)
}

// configuration gives the routes, and who is limited and what is kept. The store is in a file.
func (m much) configuration(file string) setting {
	var teams, all strings.Builder
	for _, name := range m.Teams() {
		fmt.Fprintf(&teams, keptTeam, name)
	}
	all.WriteString("routes:\n")
	for i := range m.routes {
		fmt.Fprintf(&all, oneOfMany, i)
	}
	return setting{keeps: fmt.Sprintf(keptMuch, file, teams.String()), routes: all.String()}
}

// growth compares a service that has much with one that has little.
func (l *lab) growth(ctx context.Context, w io.Writer, rec *record, o options) error {
	var rows []*row
	for _, s := range []struct {
		name string
		much
	}{{"base", small}, {"grown", o.much}} {
		r, err := l.holding(ctx, s.name, s.much)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, r)
	}
	if err := still(rows, rec, cellReady); err != nil {
		return err
	}
	rounds, err := turns(ctx, o, rows, growthCells, rec)
	if err != nil {
		return err
	}
	if err := still(rows, rec, cellAfter); err != nil {
		return err
	}
	l.stop()
	fmt.Fprintf(w, "\n%s; HTTP/1.1, no TLS, loopback; %s; others took %s cores meanwhile (median).\n", time.Now().Format(time.DateOnly), pinning(l.pinned), text("%.2f")(rec.median("grown", cell1K, func(s sample) float64 { return s.Foreign })))
	fmt.Fprintf(w, "\nMuch in the store and the configuration, medians of %d of %d rounds (CPU: Envoy + service; 1 KB: saturated):\n\n", rounds, o.rounds)
	ratios := &row{title: "ratio, within a round"}
	table(w, append(rows, ratios), growthColumns, func(r *row, c column) string {
		if r == ratios {
			return text("%.2f×")(rec.against("grown", "base", c.cell, func(of, to sample) float64 { return c.value(of) / c.value(to) }))
		}
		return figure(rec, r, c)
	})
	return nil
}

// holding starts a service with a filled store, and an Envoy.
func (l *lab) holding(ctx context.Context, name string, m much) (*row, error) {
	file := filepath.Join(l.dir, name+".db")
	keys, err := m.fill(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("filling the store: %w", err)
	}
	r := &row{name: name, title: m.text(), keys: keys, whole: fmt.Sprintf("r%05d-direct", m.routes/2), path: "direct", setting: m.configuration(file)}
	return r, l.signalbox(ctx, r)
}

// fill makes a store in a file, or copies one that was kept. It returns the keys to ask with.
func (m much) fill(ctx context.Context, file string) (keys []string, err error) {
	kept := file
	if m.filled != "" {
		if err := os.MkdirAll(m.filled, 0o700); err != nil {
			return nil, err
		}
		kept = filepath.Join(m.filled, fmt.Sprintf("%d-%d.db", m.Keys, m.Budgets))
		if b, err := os.ReadFile(kept + ".keys"); err == nil {
			return strings.Fields(string(b)), duplicate(kept, file)
		}
	}
	for _, of := range []string{"", "-wal", "-shm"} { // of a run that was broken off
		if err := os.Remove(kept + of); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	began := time.Now()
	if keys, err = grown.Fill(ctx, kept, secret.New(pepper), m.Size); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "%s: filled a store in %s\n", m.text(), time.Since(began).Round(time.Second))
	if m.filled == "" {
		return keys, nil
	}
	if err := duplicate(kept, file); err != nil {
		return nil, err
	}
	return keys, os.WriteFile(kept+".keys", []byte(strings.Join(keys, "\n")), 0o600) // last: with it the store is known to be whole
}

// duplicate copies a file.
func duplicate(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// still takes a sample of each row without load. Its CPU is all since the start, and its seconds are those from the start of the service to
// the first answer.
func still(rows []*row, rec *record, cell string) error {
	time.Sleep(settles)
	for _, r := range rows {
		s := r.charge(func() {})
		s.Row, s.Cell, s.Seconds = r.name, cell, r.ready.Seconds()
		s.Envoy, s.Service = micros(r.envoy.CPU()), micros(r.service.CPU())
		if err := rec.add(s); err != nil {
			return err
		}
	}
	return nil
}
