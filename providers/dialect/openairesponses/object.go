package openairesponses

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// object appends the response object with all its members, as it stands.
func (w *writer) object(dst []byte, status string) []byte {
	dst = jsonx.AppendText(append(dst, '{'), "id", w.id)
	dst = append(dst, `,"object":"response","created_at":`...)
	dst = strconv.AppendInt(dst, w.created, 10)
	dst = append(append(append(dst, `,"status":"`...), status...), `","completed_at":`...)
	if status == "completed" {
		dst = strconv.AppendInt(dst, w.codec.now().Unix(), 10)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"error":`...)
	if status == "failed" {
		kind, reason, message := fault.Words(w.failed)
		if reason == "" {
			reason = kind
		}
		dst = jsonx.AppendText(append(dst, '{'), "code", reason)
		dst = append(jsonx.AppendText(dst, "message", message), '}')
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"incomplete_details":`...)
	if status == "incomplete" {
		dst = append(append(append(dst, `{"reason":"`...), w.cut()...), `"}`...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = jsonx.AppendText(dst, "model", w.model)
	dst = append(append(append(dst, `,"output":[`...), w.output...), `],"usage":`...)
	if status == "in_progress" || status == "failed" && !w.usage.Known() {
		dst = append(dst, "null"...)
	} else {
		dst = appendUsage(dst, &w.usage)
	}
	if w.echo == nil {
		w.echo = appendEcho(nil, w.req)
	}
	return append(append(dst, w.echo...), '}')
}

// cut is why the answer is incomplete.
func (w *writer) cut() string {
	if w.stop.Reason == llm.StopFilter {
		return "content_filter"
	}
	return "max_output_tokens"
}

// appendUsage appends usage. The details must be there; what is not known is 0.
func appendUsage(dst []byte, u *llm.Usage) []byte {
	dst = append(dst, `{"input_tokens":`...)
	dst = strconv.AppendInt(dst, u.Input.N, 10)
	dst = append(dst, `,"input_tokens_details":{"cached_tokens":`...)
	dst = strconv.AppendInt(dst, u.Cached.N, 10)
	if u.CacheWrite.Known {
		dst = strconv.AppendInt(append(dst, `,"cache_write_tokens":`...), u.CacheWrite.N, 10)
	}
	dst = strconv.AppendInt(append(dst, `},"output_tokens":`...), u.Output.N, 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens_details":{"reasoning_tokens":`...), u.Reasoning.N, 10)
	dst = strconv.AppendInt(append(dst, `},"total_tokens":`...), u.Input.N+u.Output.N, 10)
	return append(dst, '}')
}

// echo is what a response repeats of its request.
type echo struct {
	dst   []byte
	extra []llm.Member // of the request
}

func (e *echo) orNull(name, s string) {
	if e.dst = jsonx.AppendKey(e.dst, name); s == "" {
		e.dst = append(e.dst, "null"...)
	} else {
		e.dst = jsonx.AppendQuote(e.dst, s)
	}
}

// or repeats a member that only this dialect knows.
func (e *echo) or(name, fallback string) {
	e.dst = jsonx.AppendKey(e.dst, name)
	for _, m := range e.extra {
		if m.Name == name {
			e.dst = append(e.dst, oneLine(m.Raw)...)
			return
		}
	}
	e.dst = append(e.dst, fallback...)
}

func (e *echo) number(name string, f *float64, fallback string) {
	if e.dst = jsonx.AppendKey(e.dst, name); f != nil {
		e.dst = jsonx.AppendFloat(e.dst, *f)
	} else {
		e.dst = append(e.dst, fallback...)
	}
}

// appendEcho appends what a response repeats of its request, with the API's defaults for what was not said.
func appendEcho(dst []byte, req *llm.Request) []byte {
	chat, e := new(llm.Chat), echo{dst: dst}
	if req != nil && req.Chat() != nil {
		chat = req.Chat()
		if req.Extra.Dialect == name {
			e.extra = req.Extra.Members
		}
	}
	e.dst = append(e.dst, `,"background":false`...)
	e.orNull("instructions", instructed(chat))
	e.dst = strconv.AppendBool(jsonx.AppendKey(e.dst, "parallel_tool_calls"), chat.Parallel == nil || *chat.Parallel)
	e.or("previous_response_id", "null")
	e.orNull("prompt_cache_key", chat.Hints.CacheKey)
	e.or("safety_identifier", "null")
	e.orNull("user", chat.Hints.User)
	e.or("truncation", `"disabled"`)
	e.or("max_tool_calls", "null")
	if e.dst = jsonx.AppendKey(e.dst, "max_output_tokens"); chat.MaxTokens > 0 {
		e.dst = strconv.AppendInt(e.dst, chat.MaxTokens, 10)
	} else {
		e.dst = append(e.dst, "null"...)
	}
	e.number("temperature", chat.Sampling.Temperature, "1")
	e.number("top_p", chat.Sampling.TopP, "1")
	e.number("presence_penalty", chat.Sampling.PresencePenalty, "0")
	e.number("frequency_penalty", chat.Sampling.FrequencyPenalty, "0")
	top := int64(0)
	if l := chat.Logprobs; l != nil && l.Top != nil {
		top = *l.Top
	}
	e.dst = strconv.AppendInt(jsonx.AppendKey(e.dst, "top_logprobs"), top, 10)
	tier := chat.Hints.ServiceTier
	if tier == "" || tier == "auto" {
		tier = "default"
	}
	e.dst = jsonx.AppendText(e.dst, "service_tier", tier)
	e.dst = append(e.dst, `,"store":false,"metadata":`...) // nothing is stored here
	if m := chat.Hints.Metadata; m != nil {
		e.dst = append(e.dst, oneLine(m)...)
	} else {
		e.dst = append(e.dst, "{}"...)
	}
	return echoTools(echoText(echoReasoning(e.dst, chat), chat), chat)
}

// instructed returns the text of the instructions.
func instructed(chat *llm.Chat) string {
	if len(chat.Turns) > 0 && len(chat.Turns[0].Parts) > 0 && chat.Turns[0].Parts[0].Name == instructions {
		return chat.Turns[0].Parts[0].Text
	}
	return ""
}

func echoReasoning(dst []byte, chat *llm.Chat) []byte {
	dst = append(dst, `,"reasoning":`...)
	th := chat.Thinking
	if th == nil {
		return append(dst, "null"...)
	}
	for i, s := range [...]string{th.Effort, th.Display} {
		dst = append(dst, [...]string{`{"effort":`, `,"summary":`}[i]...)
		if s == "" {
			dst = append(dst, "null"...)
		} else {
			dst = jsonx.AppendQuote(dst, s)
		}
	}
	return append(dst, '}')
}

func echoText(dst []byte, chat *llm.Chat) []byte {
	dst = append(dst, `,"text":{"format":{`...)
	switch o := &chat.Output; o.Kind {
	case llm.OutputJSON:
		dst = append(dst, `"type":"json_object"`...)
	case llm.OutputSchema:
		o := *o
		o.Schema = oneLine(o.Schema)
		dst = appendSchema(dst, &o, true)
	default:
		dst = append(dst, `"type":"text"`...)
	}
	dst = append(dst, '}')
	if v := chat.Hints.Verbosity; v != "" {
		dst = jsonx.AppendText(dst, "verbosity", v)
	}
	return append(dst, '}')
}

func echoTools(dst []byte, chat *llm.Chat) []byte {
	dst = append(dst, `,"tools":[`...)
	for i := range chat.Tools {
		t := chat.Tools[i]
		dst = jsonx.AppendComma(dst)
		if t.Native != "" {
			dst = append(dst, oneLine(t.Raw)...)
			continue
		}
		t.Schema = oneLine(t.Schema)
		if t.Schema == nil {
			t.Schema = []byte("null")
		}
		dst = append(appendFunction(dst, &t, t.Name, false), '}')
	}
	dst = append(dst, `],"tool_choice":`...)
	return appendChoice(dst, chat, func(n string) string { return n })
}
