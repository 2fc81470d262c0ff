package passing

import (
	"bytes"
	"math"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// Limits of what is kept of an answer.
const (
	maxDocument = 1 << 20  // of a whole answer, to look for its usage; a longer one is counted as content and not read
	maxEvent    = 64 << 20 // of one event of a stream, which may hold an image
)

// NewReader makes a reader that judges an answer and reads its usage. What the answer says is of no interest.
func (c *Codec) NewReader(_ *llm.Request, stream bool) dialect.Reader {
	return &reader{stream: stream, events: sse.Parser{Max: maxEvent}}
}

type reader struct {
	stream   bool
	events   sse.Parser
	doc      []byte
	long     bool // the answer is longer than maxDocument
	started  bool
	finished bool
	usage    llm.Usage
}

// Feed takes the next bytes of the answer.
func (r *reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	if r.finished {
		return nil
	}
	if !r.started && len(chunk) > 0 {
		r.started = true
		if err := emit(&llm.Event{Kind: llm.EvStarted}); err != nil {
			return err
		}
	}
	var err error
	if r.stream {
		err = r.events.Feed(chunk, eof, func(e *sse.Event) error { return r.event(e, emit) })
	} else {
		err = r.document(chunk, eof, emit)
	}
	if err != nil || !eof || r.finished {
		return err
	}
	if !r.started {
		return r.fail(&llm.Error{Code: llm.CodeReset, Message: "the provider's answer is empty"}, emit)
	}
	r.finished = true
	return emit(&llm.Event{Kind: llm.EvFinished, Usage: r.usage})
}

// event takes one event of a stream: image_generation.*, transcript.* or speech.audio.*.
func (r *reader) event(e *sse.Event, emit llm.Emit) error {
	switch {
	case r.finished || e.Comment || bytes.Equal(e.Data, []byte("[DONE]")):
		return nil
	case e.Partial:
		return r.fail(&llm.Error{Code: llm.CodeReset, Message: "the provider's stream was cut"}, emit)
	case jsonx.Kind(e.Data) != '{' || jsonx.Valid(e.Data) != nil:
		return r.fail(&llm.Error{Code: llm.CodeUpstream, Message: "the provider's stream holds what is no JSON"}, emit)
	case !jsonx.IsNull(jsonx.Get(e.Data, "error")):
		return r.fail(fault.Read(0, e.Data), emit)
	}
	if err := r.sawUsage(e.Data, emit); err != nil {
		return err
	}
	return emit(&llm.Event{Kind: llm.EvDelta, Part: llm.PartNative, Text: e.Data, Raw: e.Raw})
}

func (r *reader) document(chunk []byte, eof bool, emit llm.Emit) error {
	if len(r.doc)+len(chunk) > maxDocument {
		r.long, r.doc = true, nil
	}
	if !r.long {
		r.doc = append(r.doc, chunk...)
	}
	if doc := bytes.TrimSpace(r.doc); eof && jsonx.Kind(doc) == '{' && jsonx.Valid(doc) == nil {
		if !jsonx.IsNull(jsonx.Get(doc, "error")) {
			return r.fail(fault.Read(0, doc), emit)
		}
		if err := r.sawUsage(doc, emit); err != nil {
			return err
		}
	}
	if len(chunk) == 0 {
		return nil
	}
	return emit(&llm.Event{Kind: llm.EvDelta, Part: llm.PartNative, Text: chunk})
}

// sawUsage reads usage in either spelling: images and transcripts say input_tokens, others prompt_tokens. What was made
// and heard stands beside it.
func (r *reader) sawUsage(doc []byte, emit llm.Emit) error {
	u := jsonx.Get(doc, "usage")
	count := func(path ...string) llm.Count {
		if v, ok := jsonx.Int(jsonx.At(u, path...)); ok && v >= 0 {
			return llm.Tokens(v)
		}
		return llm.Count{}
	}
	was := r.usage
	r.usage.Merge(llm.Usage{
		Input:   count("input_tokens").Max(count("prompt_tokens")),
		Output:  count("output_tokens").Max(count("completion_tokens")),
		Cached:  count("input_tokens_details", "cached_tokens"),
		AudioIn: count("input_token_details", "audio_tokens"),
	})
	d := llm.Details{
		ImageIn: count("input_tokens_details", "image_tokens"), ImageOut: count("output_tokens_details", "image_tokens"),
		Heard: length(jsonx.Get(u, "seconds")).Max(length(jsonx.Get(doc, "duration"))),
	}
	for _, image := range jsonx.Elements(jsonx.Get(doc, "data")) {
		if jsonx.Kind(image) == '{' {
			d.Images = llm.Tokens(d.Images.N + 1)
		}
	}
	if d.Size, _ = jsonx.String(jsonx.Get(doc, "size")); d.Size != "" || d.Images.Known {
		d.Quality, _ = jsonx.String(jsonx.Get(doc, "quality"))
	}
	if d != (llm.Details{}) {
		r.usage.Merge(llm.Usage{Details: &d})
	}
	if !r.usage.Known() || r.usage == was {
		return nil
	}
	return emit(&llm.Event{Kind: llm.EvUsage, Usage: r.usage})
}

// length reads seconds, a part of one as a whole.
func length(raw []byte) llm.Count {
	v, ok := jsonx.Float(raw)
	const most = 1 << 30
	if !ok || v < 0 || v > most {
		return llm.Count{}
	}
	return llm.Tokens(int64(math.Ceil(v)))
}

func (r *reader) fail(e *llm.Error, emit llm.Emit) error {
	r.finished = true
	return emit(&llm.Event{Kind: llm.EvFailed, Err: e})
}
