package openaichat

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// maxStop is how many stop sequences the dialect takes.
const maxStop = 4

// WriteRequest appends the body for the target. The same request gives the same bytes.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	return c.write(dst, req, t, new(Quirks))
}

// write writes a body for a server with quirks, as far as those have to be known before it is written.
func (c *Codec) write(dst []byte, req *llm.Request, t dialect.Target, q *Quirks) ([]byte, []llm.Loss, error) {
	chat := req.Chat()
	if chat == nil {
		return dst, nil, &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "this operation has no body in " + name}
	}
	own := req.Extra.Dialect == name
	var lost []llm.Loss
	if c.functions && !own {
		req, lost = fit.Functions(req)
		chat = req.Chat()
	}
	w := requestWriter{dst: dst, req: req, chat: chat, t: t, quirks: q, own: own, losses: lost}
	if w.t.Model == "" {
		w.t.Model = req.Model
	}
	w.dst = append(w.dst, '{')
	w.text("model", w.t.Model)
	for _, step := range [...]func() error{w.messages, w.tools, w.choice, w.output, w.thinking, w.limits} {
		if err := step(); err != nil {
			return dst, nil, err
		}
	}
	w.sampling()
	w.hints()
	w.stream()
	w.extras()
	return append(w.dst, '}'), w.losses, nil
}

// requestWriter writes one request.
type requestWriter struct {
	dst     []byte
	req     *llm.Request
	chat    *llm.Chat
	t       dialect.Target
	quirks  *Quirks
	own     bool // the request came in this dialect
	losses  []llm.Loss
	pending []media // of tool results, for the next user message
	lead    string  // system text for the first user message, where the model takes no system message
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

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

func (w *requestWriter) refuse(path, message string) error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Message: message, Reason: "unsupported_parameter"}
}

// from reports whether the request came in a dialect.
func (w *requestWriter) from(d dialect.Name) bool { return w.req.Extra.Dialect == string(d) }

// member picks a member's name in the client's dialect, for losses and errors.
func (w *requestWriter) member(own, anthropic string) string {
	if w.req.Extra.Dialect == string(dialect.AnthropicMessages) {
		return anthropic
	}
	return own
}

func (w *requestWriter) output() error {
	o := w.chat.Output
	switch o.Kind {
	case llm.OutputText:
		w.raw("response_format", []byte(`{"type":"text"}`))
	case llm.OutputJSON:
		w.raw("response_format", []byte(`{"type":"json_object"}`))
	case llm.OutputSchema:
		w.key("response_format")
		w.dst = append(w.dst, `{"type":"json_schema","json_schema":{`...)
		if o.Name == "" {
			o.Name = defaultFormat
		}
		w.text("name", wireName(o.Name))
		if o.Description != "" {
			w.text("description", o.Description)
		}
		if o.Schema != nil {
			w.raw("schema", o.Schema)
		}
		if o.Strict == nil && !w.own && fit.StrictSchema(o.Schema) {
			strict := true
			o.Strict = &strict
		}
		w.bool("strict", o.Strict)
		w.dst = append(w.dst, "}}"...)
	}
	return nil
}

// reasons reports whether the model will reason on this request.
func (w *requestWriter) reasons() bool {
	f := w.t.Facts
	th := w.chat.Thinking
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

func (w *requestWriter) thinking() error {
	th := w.chat.Thinking
	if th == nil {
		return nil
	}
	if th.Display != "" && !w.own {
		w.lose(member.Display(w.req.Extra.Dialect), "the dialect does not say how reasoning is shown")
	}
	effort := fit.WantedEffort(th, w.t.Facts.ThinkDefault)
	if effort == "" {
		return nil
	}
	if r := &w.quirks.Reasoning; r.Knob != "" && !(w.own && r.Knob == "effort") {
		w.knob(effort, th)
		return nil
	}
	at := member.Thinking(w.req.Extra.Dialect, w.chat.Thinking)
	f := w.t.Facts
	if f.Efforts == nil && (w.own || f.Thinking != catalog.ThinkNone) {
		w.text("reasoning_effort", effort)
		return nil
	}
	if len(f.Efforts) == 0 {
		if effort != llm.EffortNone {
			w.lose(at, "the model is not asked to reason")
		}
		return nil
	}
	if got := fit.NearestEffort(effort, f.Efforts); got != effort {
		w.lose(at, fmt.Sprintf("the model does not take the effort %q; %q is sent", effort, got))
		effort = got
	}
	w.text("reasoning_effort", effort)
	return nil
}

// knob asks a server for reasoning in its own way.
func (w *requestWriter) knob(effort string, th *llm.Thinking) {
	at, r := member.Thinking(w.req.Extra.Dialect, w.chat.Thinking), &w.quirks.Reasoning
	none := w.t.Facts.Efforts != nil && len(w.t.Facts.Efforts) == 0 && w.t.Facts.Thinking == catalog.ThinkNone
	if none || !r.Has(w.t.Model) {
		if effort != llm.EffortNone {
			w.lose(at, "the model is not asked to reason")
		}
		return
	}
	budget := int64(0)
	if th.Mode == llm.ThinkBudget {
		budget = th.Budget
	}
	members, lost := r.Ask(effort, budget)
	for _, m := range members {
		if w.own && w.extra(m.Name) {
			continue // the client says it itself
		}
		w.raw(m.Name, m.Raw)
	}
	if lost != "" {
		w.lose(at, lost)
	}
}

// extra reports whether the client's own body has a member that the vocabulary has no word for.
func (w *requestWriter) extra(name string) bool {
	return slices.ContainsFunc(w.req.Extra.Members, func(m llm.Member) bool { return m.Name == name })
}

func (w *requestWriter) limits() error {
	if n := w.chat.MaxTokens; n > 0 {
		if w.t.Facts.CompletionsMax {
			w.int("max_completion_tokens", n)
		} else {
			w.int("max_tokens", n)
		}
	}
	if n := w.chat.N; n > 0 {
		w.int("n", int64(n))
	}
	stop := w.chat.Stop
	if len(stop) == 0 {
		return nil
	}
	at := w.member("stop", "stop_sequences")
	switch {
	case len(stop) > maxStop && !w.own:
		return w.refuse(at, fmt.Sprintf("This model's provider takes at most %d stop sequences.", maxStop))
	case w.t.Facts.NoPenalties, w.t.Facts.CompletionsMax && (w.t.Facts.NoSampling || w.t.Facts.NoSamplingThink && w.reasons()):
		return w.refuse(at, "This model does not take stop sequences.")
	}
	w.key("stop")
	w.dst = append(w.dst, '[')
	for _, s := range stop {
		w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), s)
	}
	w.dst = append(w.dst, ']')
	return nil
}

func (w *requestWriter) sampling() {
	s := &w.chat.Sampling
	why := ""
	switch f := w.t.Facts; {
	case f.NoSampling:
		why = "the model does not take it"
	case f.NoSamplingThink && w.reasons():
		why = "the model does not take it while it reasons"
	}
	float := func(member string, v *float64) {
		if v == nil {
			return
		}
		if why != "" {
			w.lose(member, why)
			return
		}
		w.dst = jsonx.AppendFloat(jsonx.AppendKey(w.dst, member), *v)
	}
	float("temperature", s.Temperature)
	if w.t.Facts.OneSampling && s.Temperature != nil && s.TopP != nil && why == "" {
		w.lose("top_p", "the model refuses it beside temperature")
	} else {
		float("top_p", s.TopP)
	}
	sampled := why
	if w.t.Facts.NoPenalties {
		why = "the model does not take it"
	}
	float("presence_penalty", s.PresencePenalty)
	float("frequency_penalty", s.FrequencyPenalty)
	why = sampled
	if s.TopK != nil {
		if w.own && why == "" {
			w.int("top_k", *s.TopK)
		} else {
			w.lose("top_k", "the dialect has no top_k")
		}
	}
	if s.Seed != nil {
		w.int("seed", *s.Seed)
	}
	if s.LogitBias != nil {
		if why == "" {
			w.raw("logit_bias", s.LogitBias)
		} else {
			w.lose("logit_bias", why)
		}
	}
	w.logprobs(why)
}

func (w *requestWriter) logprobs(why string) {
	l := w.chat.Logprobs
	switch {
	case l == nil:
	case why != "":
		if l.On {
			w.lose("logprobs", why)
		}
	default:
		w.bool("logprobs", &l.On)
		if l.Top != nil {
			w.int("top_logprobs", *l.Top)
		}
	}
}

func (w *requestWriter) hints() {
	h := &w.chat.Hints
	for _, m := range [...]struct{ name, value string }{
		{"user", h.User}, {"prompt_cache_key", h.CacheKey}, {"prompt_cache_retention", h.CacheTTL}, {"verbosity", h.Verbosity},
	} {
		if m.value != "" {
			w.text(m.name, m.value)
		}
	}
	switch {
	case h.ServiceTier == "":
	case w.own || h.ServiceTier == "auto": // the one tier that means the same everywhere
		w.text("service_tier", h.ServiceTier)
	default:
		w.lose("service_tier", "the tier has no equal at this provider")
	}
	w.bool("store", h.Store)
	if h.Metadata != nil {
		w.raw("metadata", h.Metadata)
	}
}

// stream always asks for usage, which meters need.
func (w *requestWriter) stream() {
	if !w.req.Stream {
		return
	}
	w.raw("stream", []byte("true"))
	w.key("stream_options")
	w.dst = append(w.dst, `{"include_usage":true`...)
	if w.own {
		for _, m := range w.req.Extra.Members {
			if m.Name == "stream_options" {
				for n, v := range jsonx.Members(m.Raw) {
					w.raw(string(n), v)
				}
			}
		}
	}
	w.dst = append(w.dst, '}')
}

func (w *requestWriter) extras() {
	for _, m := range w.req.Extra.Members {
		switch {
		case !w.own:
			w.lose(m.Name, "the dialect does not know the member")
		case m.Name != "stream_options":
			w.raw(m.Name, m.Raw)
		}
	}
}
