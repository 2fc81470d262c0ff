package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/bench/traffic"
)

// column is a figure of the table.
type column struct {
	title string
	cell  string
	form  string // how it is printed
	value value
}

func (s sample) cpu() float64    { return s.Envoy + s.Service }
func (s sample) memory() float64 { return float64(s.RSS[0]+s.RSS[1]) / (1 << 20) }

// serviceMemory is the resident memory of the service alone, in MB.
func (s sample) serviceMemory() float64 { return float64(s.RSS[1]) / (1 << 20) }

// columns are those of the table.
var columns = []column{
	{"CPU µs, 1 KB", cell1K, "%.0f", sample.cpu},
	{"CPU µs, 100 KB", cell100K, "%.0f", sample.cpu},
	{"p50 µs, 200/s", cellRate, "%.0f", func(s sample) float64 { return s.P50 }},
	{"p99 µs, 200/s", cellRate, "%.0f", func(s sample) float64 { return s.P99 }},
	{"p50 µs, 1 conn.", cellOne, "%.0f", func(s sample) float64 { return s.P50 }},
	{"p99 µs, 1 conn.", cellOne, "%.0f", func(s sample) float64 { return s.P99 }},
	{"stream, CPU ms", cellStream, "%.2f", func(s sample) float64 { return s.cpu() / 1e3 }},
	{"in step, CPU ms", cellStep, "%.2f", func(s sample) float64 { return s.cpu() / 1e3 }},
	{"stream, first byte µs", cellStream, "%.0f", func(s sample) float64 { return s.First }},
	{"in step, first byte µs", cellStep, "%.0f", func(s sample) float64 { return s.First }},
	{"RSS MB", cellStream, "%.0f", sample.memory},
}

// services are the figures of the service alone, and of what Signalbox adds.
var services = []column{
	{"service µs, 1 KB", cell1K, "%.0f", func(s sample) float64 { return s.Service }},
	{"service µs, 100 KB", cell100K, "%.0f", func(s sample) float64 { return s.Service }},
	{"service µs, 1 MB", cell1M, "%.0f", func(s sample) float64 { return s.Service }},
	{"service µs per stream", cellStream, "%.0f", func(s sample) float64 { return s.Service }},
	{"in step", cellStep, "%.0f", func(s sample) float64 { return s.Service }},
	{"service µs per chunk", cellStream, "%.1f", func(s sample) float64 { return s.Service / traffic.Chunks }},
	{"service's RSS MB", cellStream, "%.0f", sample.serviceMemory},
}

const nothing = "–"

// report prints what was measured: ratios, figures, and the service's part.
func report(w io.Writer, rows []*row, rec *record, o options) {
	foreign, _ := middle(each(rec, func(s sample) float64 { return s.Foreign }))
	fmt.Fprintf(w, "\n%s; HTTP/1.1, no TLS, loopback; %s; others took %.2f cores meanwhile (median).\n", time.Now().Format(time.DateOnly), pinning(o.pinned), foreign)
	fmt.Fprintf(w, "\nRatios to the bare Envoy of the same round, medians:\n\n")
	table(w, rows, columns, func(r *row, c column) string {
		if r.envoy == nil && (strings.Contains(c.title, "CPU") || strings.Contains(c.title, "RSS")) {
			return nothing
		}
		return text("%.2f×")(rec.against(r.name, "bare", c.cell, func(of, to sample) float64 { return c.value(of) / c.value(to) }))
	})
	fmt.Fprintf(w, "\nMedians of the rounds (CPU: Envoy + service, saturated; stream: %d chunks every %s, %d at a time that begin apart, or in step):\n\n", traffic.Chunks, traffic.Pace, atOnce)
	table(w, rows, columns, func(r *row, c column) string { return figure(rec, r, c) })
	fmt.Fprintf(w, "\nOver the bare Envoy of the same round, medians:\n\n")
	table(w, rows[min(1, len(rows)):], columns, func(r *row, c column) string {
		return text("%+" + c.form[1:])(rec.against(r.name, "bare", c.cell, func(of, to sample) float64 { return c.value(of) - c.value(to) }))
	})
	fmt.Fprintf(w, "\nThe service alone:\n\n")
	var ours []*row
	for _, r := range rows {
		if r.service != nil {
			ours = append(ours, r)
		}
	}
	table(w, ours, services, func(r *row, c column) string { return figure(rec, r, c) })
}

// pinning says where what runs.
func pinning(pinned bool) string {
	if !pinned {
		return "nothing pinned"
	}
	return "proxy on core " + coreProxy + ", load and provider on core " + coreLoad
}

// figure prints the median of a column; where Envoy and a service share CPU time, both shares too.
func figure(rec *record, r *row, c column) string {
	if r.envoy == nil && (strings.Contains(c.title, "CPU") || strings.Contains(c.title, "RSS")) {
		return nothing
	}
	s := text(c.form)(rec.median(r.name, c.cell, c.value))
	if s == nothing || r.service == nil || !strings.HasPrefix(c.title, "CPU") {
		return s
	}
	e, _ := rec.median(r.name, c.cell, func(s sample) float64 { return s.Envoy })
	v, _ := rec.median(r.name, c.cell, func(s sample) float64 { return s.Service })
	return fmt.Sprintf("%s = %.0f + %.0f", s, e, v)
}

// text prints a figure in a form, or that there is none.
func text(form string) func(float64, bool) string {
	return func(v float64, ok bool) string {
		if !ok {
			return nothing
		}
		return fmt.Sprintf(form, v)
	}
}

func each(rec *record, v value) []float64 {
	out := make([]float64, len(rec.samples))
	for i, s := range rec.samples {
		out[i] = v(s)
	}
	return out
}

// table writes a Markdown table.
func table(w io.Writer, rows []*row, cols []column, at func(*row, column) string) {
	lines := [][]string{{""}}
	for _, c := range cols {
		lines[0] = append(lines[0], c.title)
	}
	for _, r := range rows {
		line := []string{r.title}
		for _, c := range cols {
			line = append(line, at(r, c))
		}
		lines = append(lines, line)
	}
	write(w, lines)
}

// write aligns a table of which the first line is the head.
func write(w io.Writer, table [][]string) {
	wide := make([]int, len(table[0]))
	for _, line := range table {
		for i, s := range line {
			wide[i] = max(wide[i], len([]rune(s)))
		}
	}
	for n, line := range table {
		for i, s := range line {
			fmt.Fprintf(w, "| %-*s ", wide[i], s)
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for _, n := range wide {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", n+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
}
