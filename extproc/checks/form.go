// Package checks looks at answers that a provider takes for good, for what a route would rather have from another target:
// refusals, answers that a filter stopped, and text that is not of the form which the request asks for. It reads the events
// of an answer and says what it found; what follows is up to the exchange.
package checks

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Form is the form in which a request asks for its answer's text: any JSON object, or JSON of a schema. A nil Form is any
// text.
type Form struct {
	steps    steps
	compiled func() (*jsonschema.Schema, error) // nil: any object
}

// FormOf returns the form that a chat asks for; nil: none. It keeps nothing of the chat.
func FormOf(c *llm.Chat) *Form {
	switch c.Output.Kind {
	case llm.OutputJSON:
		return &Form{}
	case llm.OutputSchema:
		schema, f := slices.Clone(c.Output.Schema), &Form{}
		f.compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
			compiled, err := compile(schema)
			if err == nil {
				err = f.steps.count(compiled)
			}
			return compiled, err
		})
		return f
	}
	return nil
}

// Fits returns why a text is not of the form; nil: it is, or its schema is none that can be read, which is for the provider
// to say, or asks for too much.
func (f *Form) Fits(text []byte) error {
	if err := jsonx.Valid(text); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	if f.compiled == nil {
		if jsonx.Kind(text) != '{' {
			return errors.New("it is no JSON object")
		}
		return nil
	}
	schema, err := f.compiled()
	if err != nil {
		return nil
	}
	var v any
	if err := jsonx.Decode(text, &v); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	if enough, err := f.steps.within(schema, text, v); enough {
		return err
	}
	return nil
}

// local is the name that a request's schema goes by.
const local = "signalbox:schema"

var errElsewhere = errors.New("a schema refers to nothing outside itself")

// nowhere loads nothing: what a client writes names no file and no address that is read.
type nowhere struct{}

var _ jsonschema.URLLoader = nowhere{}

func (nowhere) Load(string) (any, error) { return nil, errElsewhere }

func compile(schema []byte) (*jsonschema.Schema, error) {
	var doc any
	if err := jsonx.Decode(schema, &doc); err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nowhere{})
	if err := c.AddResource(local, doc); err != nil {
		return nil, err
	}
	return c.Compile(local)
}
