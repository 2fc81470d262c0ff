package tokens

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Line is a line of a batch: a text, or a request with the path that it is sent to.
type Line struct {
	ID       string    `json:"id"`
	Model    string    `json:"model"`
	Provider string    `json:"provider"` // a provider's kind, where it matters; "": not said
	Text     *string   `json:"text"`
	Path     string    `json:"request_path"`
	Request  jsonx.Raw `json:"request_json"`
}

// Counted is what became of a line.
type Counted struct {
	ID     string  `json:"id"`
	Tokens *int64  `json:"tokens"` // null where it could not be counted
	Method string  `json:"method"`
	Error  *string `json:"error"` // why it could not; null where it was
}

// Batch counts every line of in and writes a line for each. A line that cannot be counted says why; only reading and
// writing fail.
func (t *Tool) Batch(in io.Reader, out io.Writer) error {
	r, w := bufio.NewReaderSize(in, 1<<16), bufio.NewWriterSize(out, 1<<16)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			b, err := jsonx.Encode(t.line(n, line))
			if err != nil {
				return err
			}
			if _, err := w.Write(append(b, '\n')); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return w.Flush()
		case err != nil:
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

func (t *Tool) line(n int, line []byte) *Counted {
	var l Line
	fail := func(err error) *Counted {
		what := err.Error()
		return &Counted{ID: l.ID, Error: &what}
	}
	if err := jsonx.Decode(line, &l); err != nil {
		return fail(fmt.Errorf("line %d: %w", n, err))
	}
	var r *Result
	switch {
	case l.Text != nil:
		r = t.Text(l.Provider, l.Model, []byte(*l.Text))
	case len(l.Request) == 0 || string(l.Request) == "null":
		return fail(errors.New("there is neither text nor request_json"))
	default:
		var err error
		if r, err = t.Request(l.Provider, l.Model, l.Path, l.Request); err != nil {
			return fail(err)
		}
	}
	return &Counted{ID: l.ID, Tokens: &r.Tokens, Method: r.Method}
}
