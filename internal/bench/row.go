package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/bench/proc"
	"github.com/signalbox-ai/signalbox/internal/bench/traffic"
)

// row is one subject of the table, running.
type row struct {
	name, title    string
	addr, admin    string
	key            string
	keys           []string // in place of key: connections take them in turn
	whole, stream  string   // models to ask for; "": not measured
	usage          bool     // streams ask for usage
	path           string   // that every exchange must take; "": no Signalbox
	setting        setting
	envoy, service *proc.Process
	ready          time.Duration // from the start of the service to the first answer through Envoy
}

// setting is what differs between the configurations of rows. What is "" is as in a normal deployment.
type setting struct {
	reads  string // envoy.usage
	keeps  string // who is limited and what is kept
	routes string // in place of one for each path
}

// sample is what one measurement of one row came to. Times are in microseconds.
type sample struct {
	Row     string    `json:"row"`
	Cell    string    `json:"cell"`
	Round   int       `json:"round"`
	Count   int       `json:"count"`
	Seconds float64   `json:"seconds"`
	Envoy   float64   `json:"envoy_us"`   // CPU per request
	Service float64   `json:"service_us"` // CPU per request
	P50     float64   `json:"p50_us"`
	P99     float64   `json:"p99_us"`
	First   float64   `json:"first_us"` // median time to the first byte of a body
	RSS     [2]int64  `json:"rss"`      // bytes, of Envoy and service
	Foreign float64   `json:"foreign"`  // CPU that others took, in cores
	Took    []float64 `json:"took_us,omitempty"`
}

// cell is one way to measure.
type cell struct {
	name   string
	size   int
	conns  int
	warm   int           // requests on each connection
	grows  time.Duration // under load before the first round
	stream bool
	keep   bool          // whether each latency is kept
	alone  bool          // only where there is a service
	rest   time.Duration // before it, so that others' books are written, and after it, for its own
	drive  func(l *traffic.Load, scale float64)
}

// stretch scales a length of time.
func stretch(d time.Duration, scale float64) time.Duration {
	return time.Duration(float64(d) * scale)
}

func saturating(d time.Duration) func(*traffic.Load, float64) {
	return func(l *traffic.Load, scale float64) { l.Saturate(stretch(d, scale)) }
}

// Names of cells.
const (
	cell1K     = "1 KB"
	cell100K   = "100 KB"
	cell1M     = "1 MB"
	cellRate   = "200/s"
	cellOne    = "one connection"
	cellStream = "stream"
	cellStep   = "streams in step"
)

// booked is more than the time that a record waits for others on its way into the ledger. Where there are a few hundred of
// them, they cost more than a stream.
const booked = 1500 * time.Millisecond

var cells = []cell{
	{name: cell1K, size: 1 << 10, conns: 64, warm: 8, grows: 4 * time.Second, drive: saturating(2 * time.Second)},
	{name: cell100K, size: 100 << 10, conns: 32, warm: 4, drive: saturating(2 * time.Second)},
	{name: cell1M, size: 1 << 20, conns: 8, warm: 4, alone: true, drive: saturating(2 * time.Second)},
	{name: cellRate, size: 1 << 10, conns: 32, warm: 2, keep: true, drive: func(l *traffic.Load, scale float64) { l.Rate(5*time.Millisecond, stretch(2*time.Second, scale)) }},
	{name: cellOne, size: 1 << 10, conns: 1, warm: 50, keep: true, drive: saturating(1500 * time.Millisecond)},
	{name: cellStream, size: 1 << 10, conns: atOnce, warm: 1, keep: true, stream: true, rest: booked, drive: streaming(traffic.Pace * traffic.Chunks / atOnce)},
	{name: cellStep, size: 1 << 10, conns: atOnce, warm: 1, stream: true, rest: booked, drive: streaming(0)},
}

// atOnce is how many streams run at a time.
const atOnce = 8

func streaming(apart time.Duration) func(*traffic.Load, float64) {
	return func(l *traffic.Load, scale float64) { l.Streams(max(atOnce, int(32*scale)), apart) }
}

// measure takes the samples of a round.
func (r *row) measure(ctx context.Context, round int, o options, cells []cell, add func(sample) error) error {
	for _, c := range cells {
		if o.cells != "" && !slices.Contains(strings.Split(o.cells, ","), c.name) {
			continue
		}
		model := r.whole
		if c.stream {
			model = r.stream
		}
		if model == "" || c.alone && r.service == nil {
			continue
		}
		a := r.asked(traffic.Asked{Model: model, Size: c.size, Stream: c.stream})
		if round == 0 && c.grows > 0 {
			if err := grow(ctx, a, c.conns, stretch(c.grows, o.scale)); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		l, err := traffic.NewLoads(ctx, a, c.conns, c.warm)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		time.Sleep(c.rest)
		s := r.charge(func() {
			c.drive(l, o.scale)
			time.Sleep(c.rest)
		})
		l.Close()
		if err := l.Fault(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		s.Row, s.Cell, s.Round = r.name, c.name, round
		s.fill(l, c.keep)
		if err := add(s); err != nil {
			return err
		}
	}
	return r.checkPath(ctx)
}

// asked addresses a request to the row, with each of its keys.
func (r *row) asked(a traffic.Asked) []traffic.Asked {
	a.Address, a.Key, a.Usage = r.addr, r.key, r.usage
	if len(r.keys) == 0 {
		return []traffic.Asked{a}
	}
	all := make([]traffic.Asked, len(r.keys))
	for i, key := range r.keys {
		all[i] = a
		all[i].Key = key
	}
	return all
}

// grow puts a subject under load before anything is measured: what a process does once, as growing its heap to its usual
// size, is not of a request.
func grow(ctx context.Context, a []traffic.Asked, conns int, d time.Duration) error {
	l, err := traffic.NewLoads(ctx, a, conns, 1)
	if err != nil {
		return err
	}
	l.Saturate(d)
	l.Close()
	return l.Fault()
}

// charge runs f and says what it cost the row's processes in all, in microseconds.
func (r *row) charge(f func()) sample {
	envoy, service, all, mine, began := r.envoy.CPU(), r.service.CPU(), proc.Busy(), proc.Own(), time.Now()
	f()
	took := time.Since(began)
	envoy, service, all, mine = r.envoy.CPU()-envoy, r.service.CPU()-service, proc.Busy()-all, proc.Own()-mine
	return sample{
		Seconds: took.Seconds(),
		Envoy:   micros(envoy),
		Service: micros(service),
		RSS:     [2]int64{r.envoy.RSS(), r.service.RSS()},
		Foreign: max(0, (all-mine-envoy-service).Seconds()/took.Seconds()),
	}
}

// fill turns totals into what each request came to.
func (s *sample) fill(l *traffic.Load, keep bool) {
	var took, first []float64
	whole, begun := l.Times()
	for i := range whole {
		took = append(took, micros(whole[i]))
		first = append(first, micros(begun[i]))
	}
	if keep {
		s.Took = slices.Clone(took)
	}
	slices.Sort(took)
	slices.Sort(first)
	s.Count = len(took)
	s.Envoy /= float64(s.Count)
	s.Service /= float64(s.Count)
	s.P50, s.P99, s.First = quantile(took, 0.5), quantile(took, 0.99), quantile(first, 0.5)
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// quantile returns a quantile of sorted values; 0 where there are none.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return v[int(q*float64(len(v)-1)+0.5)]
}

// try asks once, and returns what was wrong.
func (r *row) try(ctx context.Context) error {
	model, stream := r.whole, false
	if model == "" {
		model, stream = r.stream, true
	}
	l, err := traffic.NewLoads(ctx, r.asked(traffic.Asked{Model: model, Size: 64, Stream: stream}), 1, 1)
	if err != nil {
		return err
	}
	return l.Close()
}

// checkPath compares the paths that exchanges went, by the service's metrics, with the one they should.
func (r *row) checkPath(ctx context.Context) error {
	if r.path == "" {
		return nil
	}
	all, err := r.metrics(ctx)
	if err != nil {
		return err
	}
	went := 0.0
	for series, n := range all {
		rest, ok := strings.CutPrefix(series, `signalbox_paths_total{path="`)
		if !ok {
			continue
		}
		if name := strings.TrimSuffix(rest, `"}`); name == r.path {
			went = n
		} else if n > 0 {
			return fmt.Errorf("%v exchanges went the %s path, not %s", n, name, r.path)
		}
	}
	if went == 0 {
		return fmt.Errorf("no exchange went the %s path", r.path)
	}
	return nil
}

// metrics returns the service's metrics by their names with labels, as its admin page has them.
func (r *row) metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer res.Body.Close()
	all := map[string]float64{}
	s := bufio.NewScanner(res.Body)
	for s.Scan() {
		if at := strings.LastIndexByte(s.Text(), ' '); at > 0 && s.Text()[0] != '#' {
			if all[s.Text()[:at]], err = strconv.ParseFloat(s.Text()[at+1:], 64); err != nil {
				return nil, fmt.Errorf("reading metrics: %w", err)
			}
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	return all, nil
}

// stop ends the row's processes.
func (r *row) stop() {
	for _, p := range []*proc.Process{r.envoy, r.service} {
		if p != nil {
			p.Stop()
		}
	}
}
