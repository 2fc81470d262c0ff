package tokenizer

import (
	"math"
	"strings"
	"unsafe"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/tokenizer/frame"
	"github.com/signalbox-ai/signalbox/tokenizer/media"
)

// Counter counts for one model: texts, and requests with all that surrounds their texts. It is immutable and shared.
type Counter struct {
	Family   string // the family of models that it counts as, for people
	Encoding string // the name of the vocabulary

	text  Text
	class Class
	rule  frame.Rule
	media media.Rule
	scale float64 // tokens for each of the encoding's
}

// Estimate is how many tokens a prompt has.
type Estimate struct {
	Input int64 // the best guess
	Upper int64 // no provider that counts by these rules bills more
	Error int64 // by how much Input is wrong at most, in nineteen of twenty requests like this
	Class Class

	// Partial is set where the provider keeps or adds a part of the prompt that the request does not hold. All numbers are
	// of the rest.
	Partial bool

	// The parts of Input, for explaining it.
	Text, Tools, Media, Frame int64
}

// Class says how far counts of plain text can be trusted.
func (c *Counter) Class() Class { return c.class }

// Rule is the frame that requests are counted with.
func (c *Counter) Rule() frame.Rule { return c.rule }

// Text returns the tokens of a text alone.
func (c *Counter) Text(p []byte) int {
	n := c.text.Count(p)
	if c.scale != 1 {
		n = int(float64(n)*c.scale + 0.5)
	}
	return n
}

// Stream returns a counter for a text that arrives in parts, such as an answer.
func (c *Counter) Stream() Stream {
	if c.scale != 1 {
		return &scaled{c.text.Stream(), c.scale}
	}
	return c.text.Stream()
}

// scaled is a stream in another model's vocabulary.
type scaled struct {
	Stream
	by float64
}

// Total returns the number of tokens so far.
func (s *scaled) Total() int { return int(float64(s.Stream.Total())*s.by + 0.5) }

// Request returns the tokens of a request's prompt.
func (c *Counter) Request(req *llm.Request) Estimate {
	var bytes int64
	sum := c.rule.Count(req, frame.Env{
		Text: func(t string) int {
			bytes += int64(len(t))
			return c.Text(unsafe.Slice(unsafe.StringData(t), len(t))) //nolint:gosec // only read, and not kept
		},
		Media: c.cost,
	})
	e := Estimate{Input: sum.Total(), Class: c.class, Text: sum.Text, Tools: sum.Tools, Media: sum.Media, Frame: sum.Frame}
	if sum.Loose {
		e.Class = max(e.Class, Reconstructed)
	}
	if e.Partial = partial(req); e.Partial || sum.Media != sum.MediaUpper || sum.MediaUpper == 0 && sum.Unknown {
		e.Class = Estimated
	}
	e.Error = c.errorOf(&e, &sum)
	e.Upper = max(c.most(bytes)+sum.Frame+sum.MediaUpper+margin, e.Input+e.Error)
	return e
}

// Plain is the estimate of a text of n tokens and so many bytes, alone.
func (c *Counter) Plain(n, bytes int64) Estimate {
	e := Estimate{Input: n, Upper: max(n, c.most(bytes)), Class: c.class, Text: n}
	e.Error = c.errorOf(&e, &frame.Sum{})
	return e
}

// most is what a text of so many bytes has at most: a token of a vocabulary is a byte at least, and Claude's tilings
// have up to three marks around a character.
func (c *Counter) most(bytes int64) int64 {
	if strings.HasPrefix(c.Encoding, "claude") {
		return 4*bytes + 1 // an empty text is a mark
	}
	return int64(math.Ceil(float64(bytes) * max(c.scale, 1)))
}

// margin is what a bound adds for constants that a rule may have wrong.
const margin = 64

// errorOf is the bound of the error, by what recorded usage showed of each class.
func (c *Counter) errorOf(e *Estimate, sum *frame.Sum) int64 {
	off := sum.MediaUpper - sum.Media
	switch {
	case c.class == Estimated, e.Partial:
		off += e.Input*30/100 + 8
	case e.Class == Exact:
	case sum.Loose:
		off += e.Input*3/100 + 3
	default:
		off += e.Input/100 + 1
	}
	return off
}

// cost is what a part costs that is no text.
func (c *Counter) cost(p *llm.Part) (best, upper int64) {
	m := p.Media
	if m == nil {
		return 0, 0
	}
	switch p.Kind {
	case llm.PartImage:
		var s media.Size
		if m.Data != "" {
			s = media.Measure(media.Decoded(m.Data))
		}
		return c.media.Image(s, m.Detail == "low")
	case llm.PartAudio:
		return c.media.Audio(media.Seconds(m.Data))
	default:
		return c.media.Document(media.Pages(m.Data))
	}
}
