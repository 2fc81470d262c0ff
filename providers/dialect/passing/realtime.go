package passing

import (
	"net/url"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/websocket"
)

// Sessions is the codec of /v1/realtime: a WebSocket whose messages pass as they are, both ways
// (https://platform.openai.com/docs/guides/realtime). The provider's are listened to for their usage.
type Sessions struct{ Codec }

var (
	_ dialect.Server   = (*Sessions)(nil)
	_ dialect.Listener = (*Sessions)(nil)
)

// Realtime is the codec of /v1/realtime.
func Realtime() *Sessions { return &Sessions{Codec{dialect.OpenAIRealtime}} }

// Peek reads the model from the query.
func (c *Sessions) Peek(in dialect.Inbound) (*dialect.Head, error) {
	q, err := url.ParseQuery(in.Query)
	models := q["model"]
	switch {
	case err != nil:
		return nil, bad("model", "", "the query cannot be read")
	case len(models) == 0 || models[0] == "":
		return nil, bad("model", "missing_required_parameter", "you must provide a model parameter in the query")
	case len(models) > 1:
		return nil, bad("model", "", "the query names more than one model")
	}
	return &dialect.Head{Model: models[0], Usage: true, N: 1}, nil
}

// ReadRequest reads what Peek reads.
func (c *Sessions) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	h, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	return &llm.Request{Op: in.Op, Model: h.Model, Usage: true}, nil
}

// Splice has nothing to change: there is no body.
func (c *Sessions) Splice(dst []byte, _ *dialect.Head, _ dialect.Edits) ([]byte, error) {
	return dst, nil
}

// NewListener makes a reader of the bytes behind the upgrade. It emits usage, summed over the responses of the
// session.
func (c *Sessions) NewListener() dialect.Reader { return &listener{} }

type listener struct {
	frames websocket.Parser
	usage  llm.Usage
}

// Feed takes the next bytes of the session. What cannot be read is passed over: the session is the client's.
func (l *listener) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	var err error
	l.frames.Feed(chunk, func(m []byte) {
		if err == nil {
			err = l.message(m, emit)
		}
	})
	if err == nil && eof {
		err = emit(&llm.Event{Kind: llm.EvFinished, Usage: l.usage})
	}
	return err
}

// message takes one event. response.done has the usage of one response, transcription.completed that of one
// transcript; neither is cumulative.
func (l *listener) message(m []byte, emit llm.Emit) error {
	if jsonx.Kind(m) != '{' || jsonx.Valid(m) != nil {
		return nil
	}
	var u []byte
	switch kind, _ := jsonx.String(jsonx.Get(m, "type")); kind {
	case "response.done":
		u = jsonx.At(m, "response", "usage")
	case "conversation.item.input_audio_transcription.completed":
		u = jsonx.Get(m, "usage")
	}
	if jsonx.Kind(u) != '{' {
		return nil
	}
	add := func(c *llm.Count, path ...string) {
		if v, ok := jsonx.Int(jsonx.At(u, path...)); ok && v >= 0 {
			*c = llm.Tokens(c.N + v)
		}
	}
	add(&l.usage.Input, "input_tokens")
	add(&l.usage.Output, "output_tokens")
	add(&l.usage.Cached, "input_token_details", "cached_tokens")
	add(&l.usage.AudioIn, "input_token_details", "audio_tokens")
	add(&l.usage.AudioOut, "output_token_details", "audio_tokens")
	l.details(u)
	return emit(&llm.Event{Kind: llm.EvUsage, Usage: l.usage})
}

// details adds the tokens of images.
func (l *listener) details(u []byte) {
	v, ok := jsonx.Int(jsonx.At(u, "input_token_details", "image_tokens"))
	if !ok || v <= 0 {
		return
	}
	if d := l.usage.Details; d != nil {
		v += d.ImageIn.N
	}
	l.usage.Details = &llm.Details{ImageIn: llm.Tokens(v)}
}
