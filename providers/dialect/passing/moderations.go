package passing

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Moderation is the codec of /v1/moderations (https://platform.openai.com/docs/api-reference/moderations).
type Moderation struct{ Codec }

var (
	_ dialect.Server = (*Moderation)(nil)
	_ dialect.Client = (*Moderation)(nil)
)

// Moderations makes the codec. Mistral has the same API.
func Moderations() *Moderation { return &Moderation{Codec{dialect.OpenAIModerations}} }

// defaultModeration is the model of a request that names none (the API's own default).
const defaultModeration = "omni-moderation-latest"

// maxModerated bounds the inputs of one request; a provider's own limit is lower.
const maxModerated = 1 << 14

// Peek validates the body, and that there is something to moderate: a text, or a list of texts or parts. The model
// may be missing.
func (m *Moderation) Peek(in dialect.Inbound) (*dialect.Head, error) {
	h := &dialect.Head{Usage: true, N: 1}
	if err := peekDoc(h, in.Body); err != nil {
		return nil, err
	}
	if _, given := h.Doc.Get("model"); !given {
		h.Model = defaultModeration
	}
	input, given := h.Doc.Get("input")
	switch {
	case h.Model == "":
		return nil, bad("model", "missing_required_parameter", "you must provide a model parameter")
	case h.Stream:
		return nil, bad("stream", "invalid_value", "Moderations are not streamed: 'stream' must be false.")
	case !given:
		return nil, bad("input", "missing_required_parameter", "Missing required parameter: 'input'.")
	case jsonx.Kind(input) == '"':
		return h, nil
	case jsonx.Kind(input) != '[':
		return nil, bad("input", "invalid_type", "Invalid type for 'input': expected a string or an array.")
	}
	n := 0
	for i, e := range jsonx.Elements(input) {
		if k := jsonx.Kind(e); k != '"' && k != '{' && k != '[' {
			return nil, bad(fmt.Sprintf("input[%d]", i), "invalid_type", fmt.Sprintf("Invalid type for 'input[%d]': expected a string or an object.", i))
		}
		n++
	}
	if n == 0 || n > maxModerated {
		return nil, bad("input", "invalid_value", fmt.Sprintf("'input' must have from 1 to %d elements.", maxModerated))
	}
	return h, nil
}

// ReadRequest reads what Peek reads: there is nothing that another dialect could be given.
func (m *Moderation) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	h, err := m.Peek(in)
	if err != nil {
		return nil, err
	}
	return &llm.Request{Op: llm.OpModerate, Model: h.Model, Usage: true}, nil
}
