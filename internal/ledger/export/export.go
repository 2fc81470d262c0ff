// Package export writes records of the ledger to files that other programs read: whole records as JSON lines, and tables
// as CSV, Parquet or JSON lines, a row for each attempt or in the shape of FOCUS, the FinOps Open Cost and Usage
// Specification. It reads no database: records are given to it in their order.
package export

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Sink takes records in the order of ledger.Record.Compare. Close writes what is left, and does not close the
// file.
type Sink interface {
	Add(r *ledger.Record) error
	Close() error
}

// Shapes returns what can be exported: whole records, a row for each attempt, or costs in the shape of FOCUS.
func Shapes() []string { return []string{"records", "attempts", "focus"} }

// Formats returns the forms of files. Whole records are JSON lines only.
func Formats() []string { return []string{"jsonl", "csv", "parquet"} }

// New makes a sink that writes to w.
func New(shape, format string, w io.Writer) (Sink, error) {
	switch {
	case !slices.Contains(Shapes(), shape):
		return nil, fmt.Errorf("unknown shape %q; possible: %s", shape, strings.Join(Shapes(), ", "))
	case !slices.Contains(Formats(), format):
		return nil, fmt.Errorf("unknown format %q; possible: %s", format, strings.Join(Formats(), ", "))
	case shape == "records" && format != "jsonl":
		return nil, fmt.Errorf("whole records have no form as %s: export attempts, or choose jsonl", format)
	case shape == "records":
		return &lines{bufio.NewWriterSize(w, 1<<16)}, nil
	case shape == "attempts":
		t, err := newTable[attemptRow](format, w)
		return &attempts{t}, err
	}
	t, err := newTable[focusRow](format, w)
	return newFocus(t), err
}

// lines writes whole records.
type lines struct{ w *bufio.Writer }

func (l *lines) Add(r *ledger.Record) error {
	_, err := l.w.Write(append(r.Encode(), '\n'))
	return err
}

func (l *lines) Close() error { return l.w.Flush() }
