package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/tokens"
)

// tokensCmd counts tokens, and says how right the counts are.
type tokensCmd struct {
	Count    tokensCountCmd    `cmd:"" default:"withargs" help:"Count the tokens of a text, or of a request in any dialect."`
	Accuracy tokensAccuracyCmd `cmd:"" help:"Compare counts with recorded usage and print how many are right."`
}

// vocabFlag names vocabularies that are not shipped.
type vocabFlag struct {
	Vocab map[string]string `placeholder:"NAME=FILE" help:"Count with a vocabulary that is not shipped, such as gemma3=tokenizer.json for Gemini's models; may be given again."`
}

type tokensCountCmd struct {
	vocabFlag
	Model    string `placeholder:"NAME" help:"The model to count for. A request names its own."`
	Provider string `placeholder:"KIND" help:"The kind of provider, where it matters: Vertex counts otherwise than Gemini."`
	As       string `placeholder:"DIALECT" help:"What the input is: text, or the dialect of a request. Without it, a JSON object is taken for a request."`
	JSON     bool   `name:"json" help:"Write a JSON object with all that is known."`
	Batch    bool   `help:"Count many lines: each a JSON object with id, model, and text or request_path and request_json."`
	File     string `arg:"" optional:"" default:"-" help:"The file to count; - is standard input."`
}

// defaultModel is counted for where nothing names another.
const defaultModel = "gpt-5"

// Run counts.
func (c *tokensCountCmd) Run(s streams) error {
	t, err := app.Tokens(c.Vocab)
	if err != nil {
		return err
	}
	in := s.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close() // only read
		in = f
	}
	if c.Batch {
		return t.Batch(in, s.out)
	}
	b, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	r, err := c.count(t, b)
	if err != nil {
		return err
	}
	return c.show(s.out, r)
}

func (c *tokensCountCmd) count(t *tokens.Tool, b []byte) (*tokens.Result, error) {
	object := strings.HasPrefix(strings.TrimSpace(string(b)), "{") && jsonx.Valid(b) == nil
	if c.As == "text" || c.As == "" && !object {
		model := c.Model
		if model == "" {
			model = defaultModel
		}
		return t.Text(c.Provider, model, b), nil
	}
	return t.Request(c.Provider, c.Model, c.As, b)
}

// show writes a count for people, or as JSON.
func (c *tokensCountCmd) show(out io.Writer, r *tokens.Result) error {
	if c.JSON {
		return printJSON(out, r)
	}
	var what strings.Builder
	fmt.Fprintf(&what, "%d tokens of %s (%s", r.Tokens, r.Model, r.Method)
	if r.Error > 0 {
		fmt.Fprintf(&what, ", ± %d", r.Error)
	}
	what.WriteString(")\n")
	if r.Dialect != "" {
		fmt.Fprintf(&what, "  text %d, tools %d, media %d, frame %d; no more than %d\n", r.Text, r.Tools, r.Media, r.Frame, r.Upper)
	}
	_, err := io.WriteString(out, what.String())
	return err
}

type tokensAccuracyCmd struct {
	vocabFlag
	File   string `arg:"" type:"existingfile" help:"Recorded requests with their usage: JSON lines, gzip or not."`
	Misses string `placeholder:"GROUP" help:"List the requests of a group that are counted wrong."`
	Split  bool   `help:"Show apart the half of the recordings that constants were fitted on, and the half that they are checked on."`
	Fit    bool   `help:"Fit the constants of the frames anew, on each half of the recordings, and print them beside those in use."`
	All    bool   `help:"Count those too that are left out because their usage is not that of the request."`
}

// Run prints the report.
func (c *tokensAccuracyCmd) Run(s streams) error {
	t, err := app.Tokens(c.Vocab)
	if err != nil {
		return err
	}
	if c.Fit {
		list, err := t.Constants(c.File)
		if err != nil {
			return err
		}
		return tokens.WriteConstants(s.out, list)
	}
	r, err := t.Accuracy(c.File, c.All)
	if err != nil {
		return err
	}
	if c.Misses == "" {
		return r.Write(s.out, c.Split)
	}
	for _, m := range r.Misses() {
		if m.Group == c.Misses {
			fmt.Fprintf(s.out, "%+d\t%d for %d\t%s\t%s\t%s %d\n", m.Counted-m.Reported, m.Counted, m.Reported, m.Method, m.Model, m.File, m.Index)
		}
	}
	return nil
}
