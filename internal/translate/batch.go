package translate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// maxLine bounds a line of input.
const maxLine = 256 << 20

// Batch translates lines of JSON to lines of JSON, in the same order, on all processors. A line that is no
// record gives a Result with an error; only reading and writing can fail.
func (t *Translator) Batch(ctx context.Context, in io.Reader, out io.Writer) error {
	type job struct {
		n    int
		line []byte
		done chan []byte
	}
	workers := runtime.GOMAXPROCS(0)
	todo, order := make(chan *job), make(chan *job, 4*workers)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for j := range todo {
				j.done <- t.line(ctx, j.n, j.line)
			}
		})
	}
	var readErr error
	wg.Go(func() {
		defer close(order)
		defer close(todo)
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, 64<<10), maxLine)
		for n := 1; lines.Scan(); n++ {
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			j := &job{n, bytes.Clone(lines.Bytes()), make(chan []byte, 1)}
			select {
			case order <- j:
			case <-ctx.Done():
				return
			}
			todo <- j
		}
		readErr = lines.Err()
	})
	w := bufio.NewWriterSize(out, 256<<10)
	var writeErr error
	for j := range order {
		b := <-j.done
		if writeErr == nil {
			if _, writeErr = w.Write(append(b, '\n')); writeErr != nil {
				cancel()
			}
		}
	}
	wg.Wait()
	return errors.Join(readErr, writeErr, w.Flush())
}

// line translates one line.
func (t *Translator) line(ctx context.Context, n int, line []byte) []byte {
	var r Record
	var out *Result
	if err := jsonx.Decode(line, &r); err != nil {
		out = &Result{Error: &Fault{Code: "bad_record", Message: fmt.Sprintf("line %d: %v", n, err)}}
		out.ID, _ = jsonx.String(jsonx.Get(line, "id"))
	} else {
		out = t.Translate(ctx, &r)
	}
	b, err := jsonx.Encode(out)
	if err != nil { // a Result always encodes; what was read as raw JSON was valid
		b, _ = jsonx.Encode(&Result{ID: r.ID, Error: &Fault{Code: "internal", Message: err.Error()}})
	}
	return b
}

// One translates one record, which may stretch over several lines, and returns its result for reading.
func (t *Translator) One(ctx context.Context, record []byte) ([]byte, error) {
	var r Record
	if err := jsonx.Decode(record, &r); err != nil {
		return nil, fmt.Errorf("the record: %w", err)
	}
	return jsonx.EncodeIndent(t.Translate(ctx, &r))
}
