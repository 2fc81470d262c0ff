package openairesponses

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// maxID is the longest id of a call that the API takes.
const maxID = 64

// minOutput is the least that the API takes as max_output_tokens.
const minOutput = 16

// WriteRequest appends the body for the target. The same request gives the same bytes. Requests of other dialects ask
// the provider to store nothing, because their clients keep the conversation themselves.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	chat := req.Chat()
	if chat == nil {
		return dst, nil, &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "this operation has no body in " + name}
	}
	w := requestWriter{dst: dst, req: req, chat: chat, t: t, vendor: c.vendor, own: req.Extra.Dialect == name, count: req.Op == llm.OpCount}
	if w.t.Model == "" {
		w.t.Model = req.Model
	}
	if !w.own {
		w.ids = fit.IDs(chat, maxID)
	}
	w.dst = append(w.dst, '{')
	w.text("model", w.t.Model)
	for _, step := range [...]func() error{w.input, w.tools, w.choice, w.format, w.limits} {
		if err := step(); err != nil {
			return dst, nil, err
		}
	}
	w.thinking()
	if !w.count { // what follows does not change how many tokens the request has
		w.sampling()
		w.include()
		w.hints()
		if w.req.Stream {
			w.raw("stream", []byte("true"))
		}
	}
	if err := w.extras(); err != nil {
		return dst, nil, err
	}
	return append(w.dst, '}'), w.losses, nil
}

// requestWriter writes one request.
type requestWriter struct {
	dst    []byte
	req    *llm.Request
	chat   *llm.Chat
	t      dialect.Target
	vendor string // whose seals the provider reads
	own    bool   // the request came in this dialect
	count  bool   // its tokens are to be counted, no more
	losses []llm.Loss
	lead   int               // turns that are written as instructions
	ids    map[string]string // of calls that need another id here
}

func (w *requestWriter) key(name string) { w.dst = jsonx.AppendKey(w.dst, name) }

func (w *requestWriter) text(name, value string) { w.dst = jsonx.AppendText(w.dst, name, value) }

func (w *requestWriter) raw(name string, raw []byte) {
	w.dst = append(jsonx.AppendKey(w.dst, name), raw...)
}

func (w *requestWriter) int(name string, n int64) {
	w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, name), n, 10)
}

func (w *requestWriter) bool(name string, b *bool) {
	if b != nil {
		w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, name), *b)
	}
}

func (w *requestWriter) float(name string, f *float64) {
	if f != nil {
		w.dst = jsonx.AppendFloat(jsonx.AppendKey(w.dst, name), *f)
	}
}

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

func (w *requestWriter) refuse(path, message string) error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Message: message, Reason: "unsupported_parameter"}
}

// id returns the id of a call as the wire carries it.
func (w *requestWriter) id(id string) string {
	if c, found := w.ids[id]; found {
		return c
	}
	return id
}

// from reports whether the request came in a dialect.
func (w *requestWriter) from(d dialect.Name) bool { return w.req.Extra.Dialect == string(d) }

// member picks a member's name in the client's dialect, for losses and errors: openai-chat's, or Anthropic's.
func (w *requestWriter) member(chat, anthropic string) string {
	if w.from(dialect.AnthropicMessages) {
		return anthropic
	}
	return chat
}

// rest returns what is left of an object of this dialect beside the members that we have words for.
func (w *requestWriter) rest(name string) []byte {
	if w.own {
		for _, m := range w.req.Extra.Members {
			if m.Name == name {
				return m.Raw
			}
		}
	}
	return nil
}

// object writes an object of some members and what is left of it, unless both are empty.
func (w *requestWriter) object(name string, members []byte) {
	rest := w.rest(name)
	if len(members) == 0 && rest == nil {
		return
	}
	w.key(name)
	w.dst = append(append(w.dst, '{'), members...)
	for n, v := range jsonx.Members(rest) {
		w.raw(string(n), v)
	}
	w.dst = append(w.dst, '}')
}

// format writes text: the form of the answer, and how wordy it is to be.
func (w *requestWriter) format() error {
	o := &w.chat.Output
	from := len(w.dst)
	var b []byte
	switch o.Kind {
	case llm.OutputText:
		b = []byte(`"format":{"type":"text"}`)
	case llm.OutputJSON:
		b = []byte(`"format":{"type":"json_object"}`)
	case llm.OutputSchema:
		if o.Schema == nil {
			b = []byte(`"format":{"type":"json_object"}`)
			break
		}
		b = appendSchema([]byte(`"format":{`), o, w.own)
		b = append(b, '}')
	}
	if v := w.chat.Hints.Verbosity; v != "" && !w.count {
		b = jsonx.AppendText(b, "verbosity", v)
	}
	w.dst = w.dst[:from]
	w.object("text", b)
	return nil
}

// defaultFormat is the name of an output format that has none; the API demands one.
const defaultFormat = "output"

// appendSchema appends the members of a format with a schema. asIs says that it is of this dialect.
func appendSchema(b []byte, o *llm.Output, asIs bool) []byte {
	b = jsonx.AppendText(b, "type", "json_schema")
	n := o.Name
	if n == "" {
		n = defaultFormat
	}
	if !asIs {
		n = fit.Name(n, maxName)
	}
	b = jsonx.AppendText(b, "name", n)
	if o.Description != "" {
		b = jsonx.AppendText(b, "description", o.Description)
	}
	b = append(jsonx.AppendKey(b, "schema"), o.Schema...)
	strict := o.Strict
	if strict == nil && !asIs && o.Schema != nil {
		s := fit.StrictSchema(o.Schema)
		strict = &s
	}
	if strict != nil {
		b = strconv.AppendBool(jsonx.AppendKey(b, "strict"), *strict)
	}
	return b
}

func (w *requestWriter) limits() error {
	if n := w.chat.N; n > 1 {
		return w.refuse("n", "This model's provider gives one answer to a request; n must be 1.")
	}
	if len(w.chat.Stop) > 0 {
		return w.refuse(w.member("stop", "stop_sequences"), "This model's provider takes no stop sequences.")
	}
	n := w.chat.MaxTokens
	if n <= 0 || w.count {
		return nil
	}
	if n < minOutput && !w.own {
		w.lose(w.member("max_tokens", "max_tokens"), fmt.Sprintf("the provider takes no limit below %d; %d is sent", minOutput, minOutput))
		n = minOutput
	}
	w.int("max_output_tokens", n)
	return nil
}

// thinking writes reasoning.
func (w *requestWriter) thinking() {
	var b []byte
	if th := w.chat.Thinking; th != nil {
		if effort := w.effort(th); effort != "" {
			b = jsonx.AppendText(b, "effort", effort)
		}
		if s := w.summary(th); s != "" {
			b = jsonx.AppendText(b, "summary", s)
		}
	}
	w.object("reasoning", b)
}

func (w *requestWriter) effort(th *llm.Thinking) string {
	if w.own {
		return th.Effort
	}
	effort, f := fit.WantedEffort(th, w.t.Facts.ThinkDefault), &w.t.Facts
	at := member.Thinking(w.req.Extra.Dialect, w.chat.Thinking)
	switch {
	case effort == "", f.Efforts == nil && f.Thinking != catalog.ThinkNone:
		return effort
	case len(f.Efforts) == 0:
		if effort != llm.EffortNone {
			w.lose(at, "the model is not asked to reason")
		}
		return ""
	}
	got := fit.NearestEffort(effort, f.Efforts)
	if got != effort {
		w.lose(at, fmt.Sprintf("the model does not take the effort %q; %q is sent", effort, got))
	}
	return got
}

// summary is how much of its reasoning the model is to show.
func (w *requestWriter) summary(th *llm.Thinking) string {
	switch {
	case w.own:
		return th.Display
	case w.t.Facts.Thinking == catalog.ThinkNone, th.Mode == llm.ThinkOff, th.Display == "omitted", w.from(dialect.OpenAIChat):
		return "" // a client of openai-chat is not shown any by OpenAI
	case th.Mode == llm.ThinkUnset && th.Display == "":
		return ""
	}
	return "auto"
}

// reasons reports whether the model will reason on this request.
func (w *requestWriter) reasons() bool {
	f, th := w.t.Facts, w.chat.Thinking
	switch {
	case f.ThinkAlways:
		return true
	case th == nil:
		return f.ThinkDefault
	case th.Mode == llm.ThinkOff || th.Effort == llm.EffortNone:
		return false
	}
	return th.Mode != llm.ThinkUnset || th.Effort != "" || f.ThinkDefault
}

func (w *requestWriter) sampling() {
	s := &w.chat.Sampling
	why := ""
	switch f := w.t.Facts; {
	case w.own:
	case f.NoSampling:
		why = "the model does not take it"
	case f.NoSamplingThink && w.reasons():
		why = "the model does not take it while it reasons"
	}
	for _, m := range [...]struct {
		name  string
		value *float64
	}{{"temperature", s.Temperature}, {"top_p", s.TopP}} {
		if m.value != nil && why != "" {
			w.lose(m.name, why)
		} else {
			w.float(m.name, m.value)
		}
	}
	const none = "the dialect has no such member"
	lost := func(name string, there bool) {
		if there {
			w.lose(name, none)
		}
	}
	if w.own { // some vendors take them
		w.float("presence_penalty", s.PresencePenalty)
		w.float("frequency_penalty", s.FrequencyPenalty)
	} else {
		lost("presence_penalty", s.PresencePenalty != nil)
		lost("frequency_penalty", s.FrequencyPenalty != nil)
	}
	lost("top_k", s.TopK != nil)
	lost("seed", s.Seed != nil)
	lost("logit_bias", s.LogitBias != nil)
}

// include asks for what the answer is to hold beside the usual: log probabilities, and the seals without which
// reasoning could not come back, from models that reason.
func (w *requestWriter) include() {
	entries := []byte(nil)
	add := func(s string) { entries = jsonx.AppendQuote(jsonx.AppendComma(entries), s) }
	entries = append(entries, '[')
	if w.own && w.chat.Hints.Store != nil && !*w.chat.Hints.Store || !w.own && w.t.Facts.Thinking != catalog.ThinkNone {
		add(includeSeals)
	}
	if l := w.chat.Logprobs; l != nil {
		switch {
		case w.own || !w.reasons() || !w.t.Facts.NoSamplingThink:
			if l.On {
				add(includeLogprobs)
			}
			if l.Top != nil {
				w.int("top_logprobs", *l.Top)
			}
		default:
			const why = "the model does not give them while it reasons"
			if l.On {
				w.lose("logprobs", why)
			}
			if l.Top != nil {
				w.lose("top_logprobs", why)
			}
		}
	}
	for _, v := range jsonx.Elements(w.rest("include")) {
		entries = append(jsonx.AppendComma(entries), v...)
	}
	if len(entries) > 1 {
		w.raw("include", append(entries, ']'))
	}
}

func (w *requestWriter) hints() {
	h := &w.chat.Hints
	for _, m := range [...]struct{ name, value string }{
		{"user", h.User}, {"prompt_cache_key", h.CacheKey}, {"prompt_cache_retention", h.CacheTTL},
	} {
		if m.value != "" {
			w.text(m.name, m.value)
		}
	}
	switch {
	case h.ServiceTier == "":
	case w.own || w.from(dialect.OpenAIChat) || h.ServiceTier == "auto": // the one tier that means the same everywhere
		w.text("service_tier", h.ServiceTier)
	default:
		w.lose("service_tier", "the tier has no equal at this provider")
	}
	switch {
	case h.Store != nil:
		w.bool("store", h.Store)
	case !w.own:
		w.raw("store", []byte("false"))
	}
	if h.Metadata != nil {
		w.raw("metadata", h.Metadata)
	}
}

// extras writes what this dialect's reader had no word for. Of count requests only what is part of the prompt is.
func (w *requestWriter) extras() error {
	for _, m := range w.req.Extra.Members {
		switch {
		case m.Name == "web_search_options" && !w.own: // written as a tool
		case !w.own && (m.Name == "modalities" || m.Name == "audio") && strings.Contains(string(m.Raw), "audio"):
			return w.refuse(m.Name, "This model's provider does not answer with audio.")
		case !w.own:
			if !jsonx.IsNull(m.Raw) {
				w.lose(m.Name, "the dialect does not know the member")
			}
		case m.Name == "text" || m.Name == "reasoning" || m.Name == "include": // written with their other members
		case w.count && !stated(m.Name) && m.Name != "tool_choice" && m.Name != "truncation":
		default:
			w.raw(m.Name, m.Raw)
		}
	}
	return nil
}
