package main

import (
	"os"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// record keeps every sample, in a file with a line of JSON for each, and in memory for the report.
type record struct {
	path    string
	file    *os.File
	samples []sample
}

func newRecord(path string) (*record, error) {
	f, err := os.Create(path)
	return &record{path: path, file: f}, err
}

func (r *record) add(s sample) error {
	line, err := jsonx.Encode(s)
	if err != nil {
		return err
	}
	if _, err := r.file.Write(append(line, '\n')); err != nil {
		return err
	}
	s.Took = nil
	r.samples = append(r.samples, s)
	return nil
}

// Close closes the file.
func (r *record) Close() error { return r.file.Close() }

// one returns the sample of a round.
func (r *record) one(row, cell string, round int) (sample, bool) {
	for _, s := range r.samples {
		if s.Row == row && s.Cell == cell && s.Round == round {
			return s, true
		}
	}
	return sample{}, false
}

// value is a figure of a sample.
type value func(sample) float64

// versus is a figure of a sample beside that of another of the same round.
type versus func(of, to sample) float64

// median returns the median over the rounds; ok is false where nothing was measured.
func (r *record) median(row, cell string, v value) (m float64, ok bool) {
	return r.against(row, row, cell, func(s, _ sample) float64 { return v(s) })
}

// against returns the median over the rounds of what two rows of the same round give.
func (r *record) against(row, other, cell string, f versus) (m float64, ok bool) {
	var all []float64
	for _, s := range r.samples {
		if s.Row != row || s.Cell != cell {
			continue
		}
		if o, ok := r.one(other, cell, s.Round); ok {
			all = append(all, f(s, o))
		}
	}
	return middle(all)
}

// middle returns the median of values.
func middle(v []float64) (float64, bool) {
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	if n := len(v) / 2; len(v)%2 == 1 {
		return v[n], true
	}
	n := len(v) / 2
	return (v[n-1] + v[n]) / 2, true
}
