package anthropicmessages

import (
	"errors"
	"fmt"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/claude"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// decide settles reasoning and the output limit, which hang together.
func (w *requestWriter) decide() error {
	told, err := claude.Decide(&claude.Ask{
		Chat: w.chat, Facts: &w.t.Facts, Own: w.own, Seals: name, Forced: w.trick != "",
		Names: claude.Names{
			Thinking: w.member("thinking", member.Thinking(w.req.Extra.Dialect, w.chat.Thinking)), Effort: w.member("output_config.effort", member.Thinking(w.req.Extra.Dialect, w.chat.Thinking)),
			Max: w.member("max_tokens", "max_completion_tokens"), Format: "response_format",
		},
	})
	if e, ok := errors.AsType[*llm.Error](err); ok {
		e.Param = member.Path(&w.req.Extra, e.Param)
		return e
	} else if err != nil {
		return err
	}
	w.think, w.max = told.Thinking, told.Max
	for _, l := range told.Losses {
		w.lose(l.Path, l.Why)
	}
	return nil
}

// ownSeal reports whether a part is reasoning that this provider signed.
func ownSeal(p *llm.Part) bool {
	return p.Kind == llm.PartThought && p.Seal != "" && p.From == name
}

// fields returns the members of an object that hold what the vocabulary has words for, and whether there
// are such.
func (w *requestWriter) fields(object string) (b []byte, ours bool) {
	switch object {
	case "thinking":
		t := &w.think
		if t.Form == "" {
			return nil, true
		}
		b = jsonx.AppendText(b, "type", t.Form)
		if t.Form == "enabled" {
			b = number(b, "budget_tokens", t.Budget)
		}
		if t.Display != "" {
			b = jsonx.AppendText(b, "display", t.Display)
		}
	case "output_config":
		if w.think.Effort != "" {
			b = jsonx.AppendText(b, "effort", w.think.Effort)
		}
		if schema := w.schema(); schema != nil {
			b = append(append(append(jsonx.AppendKey(b, "format"), `{"type":"json_schema","schema":`...), schema...), '}')
		}
	case "metadata":
		if u := w.chat.Hints.User; u != "" {
			b = jsonx.AppendText(b, "user_id", u)
		}
	default:
		return nil, false
	}
	return b, true
}

// schema returns the schema to hold the answer to, nil where there is none or a tool stands for it.
func (w *requestWriter) schema() []byte {
	o := &w.chat.Output
	switch {
	case o.Kind != llm.OutputSchema || o.Schema == nil || w.trick != "" || !w.t.Facts.JSONSchema && !(w.own && w.unknown()):
		return nil
	case w.own:
		return o.Schema
	}
	return fit.ClosedSchema(o.Schema, o.Description)
}

// needsTrick returns the name of the tool that must stand for the answer's schema, or "".
func (w *requestWriter) needsTrick() string {
	o := &w.chat.Output
	if o.Kind != llm.OutputSchema || o.Schema == nil || w.t.Facts.JSONSchema || w.own && w.unknown() {
		return ""
	}
	switch w.chat.Choice.Mode {
	case llm.ChoiceOne, llm.ChoiceAny, llm.ChoiceSomeAny:
		return "" // the answer will be the call that the client forces, and no text
	}
	return outputTool(w.chat)
}

// outputTool is the name of the tool that stands for the answer's schema: one that no tool of the client
// has. The Reader finds it by the same rule.
func outputTool(c *llm.Chat) string {
	n := "json_output"
	for slices.ContainsFunc(c.Tools, func(t llm.Tool) bool { return wireName(t.Name) == n }) {
		n += "_"
	}
	return n
}

func (w *requestWriter) sampling() {
	s, f := &w.chat.Sampling, &w.t.Facts
	float := func(member string, v *float64, why string) bool {
		switch {
		case v == nil:
			return false
		case f.NoSampling:
			why = "the model does not take it"
		}
		if why != "" {
			w.lose(member, why)
			return false
		}
		w.dst = jsonx.AppendFloat(jsonx.AppendKey(w.dst, member), *v)
		return true
	}
	const reasoning = "the model does not take it while it reasons"
	temperature, why := s.Temperature, ""
	switch {
	case temperature == nil || f.NoSampling:
	case w.think.On() && *temperature != 1:
		why = reasoning
	case *temperature > 1:
		w.lose("temperature", fmt.Sprintf("%g is above the provider's range; 1 is sent", *temperature))
		one := 1.0
		temperature = &one
	}
	sent := float("temperature", temperature, why)
	why = ""
	switch {
	case s.TopP == nil:
	case w.think.On() && *s.TopP < 0.95:
		why = reasoning
	case f.OneSampling && sent:
		why = "the model refuses it beside temperature"
	}
	float("top_p", s.TopP, why)
	switch k := s.TopK; {
	case k == nil:
	case f.NoSampling:
		w.lose("top_k", "the model does not take it")
	case w.think.On():
		w.lose("top_k", reasoning)
	case *k < 0:
		w.lose("top_k", "the provider's smallest is 0")
	default:
		w.dst = number(w.dst, "top_k", *k)
	}
}

func (w *requestWriter) hints() {
	h, s := &w.chat.Hints, &w.chat.Sampling
	switch {
	case h.ServiceTier == "":
	case w.own || h.ServiceTier == "auto": // the one tier that means the same everywhere
		w.dst = jsonx.AppendText(w.dst, "service_tier", h.ServiceTier)
	default:
		w.lose("service_tier", "the tier has no equal at this provider")
	}
	l := w.chat.Logprobs
	for _, m := range [...]struct {
		name string
		said bool
	}{
		{"seed", s.Seed != nil},
		{"presence_penalty", s.PresencePenalty != nil},
		{"frequency_penalty", s.FrequencyPenalty != nil},
		{"logit_bias", s.LogitBias != nil},
		{"logprobs", l != nil && l.On},
		{"top_logprobs", l != nil && l.Top != nil},
		{"verbosity", h.Verbosity != ""},
		{"prompt_cache_key", h.CacheKey != ""},
		{"prompt_cache_retention", h.CacheTTL != ""},
		{"store", h.Store != nil && *h.Store},
		{"metadata", h.Metadata != nil},
	} {
		if m.said {
			w.lose(m.name, "the provider has no equal")
		}
	}
}
