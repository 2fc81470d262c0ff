package openaicompletions

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
)

// NewWriter makes a writer of one answer. Text and refusals are the text of a choice; reasoning and calls, for which
// the API has no place, are left out.
func (c *Codec) NewWriter(req *llm.Request, stream bool) dialect.Writer {
	w := &writer{codec: c, stream: stream}
	if req != nil {
		w.model, w.usage = req.Model, req.Usage
	}
	return w
}

// writer writes one answer: chunk by chunk, or as one document at the end.
type writer struct {
	codec     *Codec
	stream    bool
	usage     bool // the client wants usage in its stream
	started   bool
	id, model string
	created   int64
	head      []byte // of every chunk, up to its text
	choices   []outChoice
	total     llm.Usage
	failed    *llm.Error
	closed    bool
}

// outChoice is one answer of several.
type outChoice struct {
	number   int
	finished bool
	said     bool
	stop     llm.Stop
	text     []byte
	runes    int // code points of the text that is out
	logprobs logprobs
}

// logprobs are parallel lists, as the API has them, each joined.
type logprobs struct{ tokens, values, tops, offsets []byte }

// Write appends what the client may see so far.
func (w *writer) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	switch {
	case w.failed != nil || w.closed || ev.Kind == llm.EvPing:
		return dst, nil
	case ev.Kind == llm.EvUsage:
		w.total.Merge(ev.Usage)
		return dst, nil
	case ev.Kind == llm.EvFailed:
		return w.fail(dst, ev.Err), nil
	}
	w.start(ev)
	c := w.choice(ev.Choice)
	if c.finished {
		return dst, nil
	}
	switch ev.Kind {
	case llm.EvDelta:
		if len(ev.Text) > 0 && (ev.Part == llm.PartText || ev.Part == llm.PartRefusal) {
			return w.text(dst, c, ev), nil
		}
	case llm.EvFinished:
		c.finished, c.stop = true, ev.Stop
		c.stop.Details = nil
		if ev.Stop.Reason == llm.StopFault && !c.said {
			return w.fail(dst, broken("The provider says that its output is broken: "+ev.Stop.Native)), nil
		}
		if w.stream {
			dst = append(append(dst, w.head...), `""`...)
			dst = strconv.AppendInt(append(dst, `,"index":`...), int64(c.number), 10)
			dst = append(append(append(dst, `,"logprobs":null,"finish_reason":"`...), c.reason()...), "\"}]}\n\n"...)
		}
	}
	return dst, nil
}

// start settles what every chunk repeats.
func (w *writer) start(ev *llm.Event) {
	if w.started {
		return
	}
	w.started, w.created = true, w.codec.now().Unix()
	if ev.Kind == llm.EvStarted {
		w.id = ev.ID
		if ev.Name != "" {
			w.model = ev.Name
		}
	}
	if w.id == "" {
		w.id = "cmpl-" + w.codec.mint()
	}
	w.head = append(w.envelope([]byte("data: ")), `,"choices":[{"text":`...)
}

// envelope begins a chunk or a document.
func (w *writer) envelope(dst []byte) []byte {
	dst = jsonx.AppendText(append(dst, '{'), "id", w.id)
	dst = append(dst, `,"object":"text_completion","created":`...)
	return jsonx.AppendText(strconv.AppendInt(dst, w.created, 10), "model", w.model)
}

func (w *writer) choice(number int) *outChoice {
	for i := range w.choices {
		if w.choices[i].number == number {
			return &w.choices[i]
		}
	}
	w.choices = append(w.choices, outChoice{number: number})
	return &w.choices[len(w.choices)-1]
}

// text takes a piece of a choice's text.
func (w *writer) text(dst []byte, c *outChoice, ev *llm.Event) []byte {
	c.said = true
	var l logprobs
	if ev.Logprobs != nil {
		to := &c.logprobs
		if w.stream {
			to = &l
		}
		to.add(jsonx.Get(ev.Logprobs, "content"), c.runes)
	}
	c.runes += utf8.RuneCount(ev.Text)
	if !w.stream {
		c.text = append(c.text, ev.Text...)
		return dst
	}
	dst = jsonx.AppendQuote(append(dst, w.head...), ev.Text)
	dst = strconv.AppendInt(append(dst, `,"index":`...), int64(c.number), 10)
	dst = l.append(append(dst, `,"logprobs":`...))
	return append(dst, ",\"finish_reason\":null}]}\n\n"...)
}

// add takes log probabilities in openai-chat's form, of a text that begins at an offset.
func (l *logprobs) add(content []byte, offset int) {
	for _, t := range jsonx.Elements(content) {
		token := jsonx.Get(t, "token")
		l.tokens = append(jsonx.AppendComma(l.tokens), token...)
		l.values = append(jsonx.AppendComma(l.values), jsonx.Get(t, "logprob")...)
		l.offsets = strconv.AppendInt(jsonx.AppendComma(l.offsets), int64(offset), 10)
		offset += utf8.RuneCountInString(plain(token))
		l.tops = append(jsonx.AppendComma(l.tops), '{')
		var seen []string // tokens that are no UTF-8 may look alike
		for _, a := range jsonx.Elements(jsonx.Get(t, "top_logprobs")) {
			alternative := plain(jsonx.Get(a, "token"))
			if slices.Contains(seen, alternative) {
				continue
			}
			seen = append(seen, alternative)
			l.tops = append(jsonx.AppendKey(l.tops, alternative), jsonx.Get(a, "logprob")...)
		}
		l.tops = append(l.tops, '}')
	}
}

func (l *logprobs) append(dst []byte) []byte {
	if len(l.tokens) == 0 {
		return append(dst, "null"...)
	}
	dst = append(append(dst, `{"tokens":[`...), l.tokens...)
	dst = append(append(dst, `],"token_logprobs":[`...), l.values...)
	dst = append(append(dst, `],"top_logprobs":[`...), l.tops...)
	return append(append(append(dst, `],"text_offset":[`...), l.offsets...), "]}"...)
}

// reason is the finish_reason of a choice, of the values that every client knows.
func (c *outChoice) reason() string {
	switch c.stop.Reason {
	case llm.StopLength:
		return "length"
	case llm.StopFilter:
		return "content_filter"
	}
	return "stop"
}

// fail ends the answer: a stream gets an error and no more.
func (w *writer) fail(dst []byte, e *llm.Error) []byte {
	if e == nil {
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	w.failed = e
	if !w.stream {
		return dst
	}
	return append(fault.Append(append(dst, "data: "...), e), "\n\n"...)
}

// Close appends the rest: usage and the end of a stream, or the whole document.
func (w *writer) Close(dst []byte) ([]byte, error) {
	if w.closed {
		return dst, nil
	}
	w.closed = true
	cut := len(w.choices) == 0 || slices.ContainsFunc(w.choices, func(c outChoice) bool { return !c.finished })
	if w.failed == nil && cut {
		dst = w.fail(dst, endedEarly())
	}
	switch {
	case w.failed != nil && w.stream:
		return dst, nil
	case w.failed != nil:
		return dst, w.failed
	case !w.stream:
		return w.document(dst), nil
	}
	if w.usage && w.total.Known() {
		dst = append(w.envelope(append(dst, "data: "...)), `,"choices":[],"usage":`...)
		dst = append(usage.Append(dst, &w.total), "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...), nil
}

func (w *writer) document(dst []byte) []byte {
	dst = append(w.envelope(dst), `,"choices":[`...)
	slices.SortFunc(w.choices, func(a, b outChoice) int { return a.number - b.number })
	for i := range w.choices {
		c := &w.choices[i]
		dst = jsonx.AppendQuote(append(jsonx.AppendComma(dst), `{"text":`...), c.text)
		dst = strconv.AppendInt(append(dst, `,"index":`...), int64(c.number), 10)
		dst = c.logprobs.append(append(dst, `,"logprobs":`...))
		dst = append(append(append(dst, `,"finish_reason":"`...), c.reason()...), `"}`...)
	}
	dst = append(dst, ']')
	if w.total.Known() {
		dst = usage.Append(append(dst, `,"usage":`...), &w.total)
	}
	return append(dst, '}')
}
