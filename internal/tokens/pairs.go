package tokens

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Pair is a request that was sent, with the usage that the provider reported.
type Pair struct {
	Provider   string    `json:"provider"`
	Model      string    `json:"model"`          // as asked
	Served     string    `json:"response_model"` // as answered; "": not said
	Path       string    `json:"path"`
	Input      *int64    `json:"prompt_tokens"`
	Output     *int64    `json:"completion_tokens"`
	Usage      jsonx.Raw `json:"usage"` // as the provider reported it
	Request    jsonx.Raw `json:"request"`
	Completion jsonx.Raw `json:"completion_text"` // the answer's text or its parts
	Finish     string    `json:"finish"`
	Repo       string    `json:"repo"` // where it was recorded
	File       string    `json:"file"`
	Index      int       `json:"index"`
}

// ReadPairs reads a file of JSON lines, gzipped or not, and calls each for every pair.
func ReadPairs(path string, each func(*Pair) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	in := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%s: gzip: %w", path, err)
		}
		in = bufio.NewReaderSize(z, 1<<16)
	}
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if text := bytes.TrimSpace(line); len(text) > 0 {
			var p Pair
			if err := jsonx.Decode(text, &p); err != nil {
				return fmt.Errorf("%s: line %d: %w", path, n, err)
			}
			if err := each(&p); err != nil {
				return fmt.Errorf("%s: line %d: %w", path, n, err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}

// Prompt returns the prompt's tokens with those of the caches, which Anthropic and Bedrock report apart.
func (p *Pair) Prompt() (n int64, known bool) {
	if p.Input == nil {
		return 0, false
	}
	n = *p.Input
	for _, name := range [...]string{"cache_read_input_tokens", "cache_creation_input_tokens", "cacheReadInputTokens", "cacheWriteInputTokens"} {
		if v, ok := jsonx.Int(jsonx.Get(p.Usage, name)); ok {
			n += v
		}
	}
	return n, true
}

// name is the model that answered. What has a colon is a revision of the one asked for.
func (p *Pair) name() string {
	if p.Served != "" && !strings.Contains(p.Served, ":") {
		return p.Served
	}
	return p.Model
}
