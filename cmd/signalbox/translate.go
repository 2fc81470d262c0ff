package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/signalbox-ai/signalbox/internal/app"
)

type translateCmd struct {
	Batch bool `help:"Read many records, one a line, and write one result a line."`
}

// Run translates one record, or a batch of them.
func (c *translateCmd) Run(s streams) error {
	t := app.Translator()
	if c.Batch {
		return t.Batch(context.Background(), s.in, s.out)
	}
	one, err := io.ReadAll(s.in)
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	one = bytes.TrimSpace(one)
	if len(one) == 0 {
		return fmt.Errorf("no record on standard input")
	}
	b, err := t.One(context.Background(), one)
	if err == nil {
		_, err = s.out.Write(append(b, '\n'))
	}
	return err
}
