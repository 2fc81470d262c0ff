package openaicompletions

import (
	"fmt"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// ReadRequest decodes the whole request. It checks everything that Peek checks.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	head, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	chat := new(llm.Chat)
	req := &llm.Request{
		Op: llm.OpComplete, Model: head.Model, Stream: head.Stream, Usage: head.Usage, Body: chat, Extra: llm.Extra{Dialect: name},
	}
	r := requestReader{req: req, chat: chat}
	prompted := false
	for i := range head.Doc.Members {
		m := &head.Doc.Members[i]
		raw := head.Doc.Body[m.Start:m.End]
		prompted = prompted || m.Name == "prompt" && !jsonx.IsNull(raw)
		if err := r.member(m.Name, raw); err != nil {
			return nil, err
		}
	}
	if !prompted { // the model goes on from nothing, which a chat cannot
		r.bind("prompt")
	}
	return req, nil
}

// requestReader decodes one request.
type requestReader struct {
	req  *llm.Request
	chat *llm.Chat
}

// bind notes that only a provider of this dialect can honor the member.
func (r *requestReader) bind(name string) {
	if r.req.Bound == "" {
		r.req.Bound = name
	}
}

func (r *requestReader) extra(name string, raw []byte) {
	if raw != nil {
		r.req.Extra.Members = append(r.req.Extra.Members, llm.Member{Name: name, Raw: raw})
	}
}

// alone keeps a member that only a provider of this dialect can honor, unless it says what is so anyway.
func (r *requestReader) alone(name string, raw []byte, idle bool) {
	if idle {
		return
	}
	r.bind(name)
	r.extra(name, raw)
}

func (r *requestReader) member(name string, raw []byte) (err error) {
	if jsonx.IsNull(raw) {
		return nil
	}
	s, h := &r.chat.Sampling, &r.chat.Hints
	var n int64
	switch name {
	case "model", "stream":
	case "prompt":
		r.prompt(raw)
	case "max_tokens":
		if r.chat.MaxTokens, err = member.Int(name, raw, 0, 1<<53-1); r.chat.MaxTokens == 0 {
			r.alone(name, raw, false)
		}
	case "n":
		n, err = member.Int(name, raw, 1, maxChoices)
		r.chat.N = int(n)
	case "best_of":
		n, err = member.Int(name, raw, 1, maxChoices)
		r.alone(name, raw, n == 1)
	case "echo":
		on, _ := jsonx.Bool(raw)
		r.alone(name, raw, !on)
	case "suffix":
		r.alone(name, raw, string(raw) == `""`)
	case "logprobs":
		n, err = member.Int(name, raw, 0, 20)
		r.chat.Logprobs = &llm.Logprobs{On: true, Top: &n}
	case "temperature":
		s.Temperature, err = member.Ptr(member.Float(name, raw, 0, 2))
	case "top_p":
		s.TopP, err = member.Ptr(member.Float(name, raw, 0, 1))
	case "presence_penalty":
		s.PresencePenalty, err = member.Ptr(member.Float(name, raw, -2, 2))
	case "frequency_penalty":
		s.FrequencyPenalty, err = member.Ptr(member.Float(name, raw, -2, 2))
	case "top_k":
		s.TopK, err = member.Ptr(member.Int(name, raw, -1, 1<<31))
	case "seed":
		s.Seed, err = member.Ptr(member.Int(name, raw, -(1<<53 - 1), 1<<53-1))
	case "logit_bias":
		if s.LogitBias = raw; jsonx.Kind(raw) != '{' {
			err = member.Wrong(name, "an object", raw)
		}
	case "stop":
		r.chat.Stop, err = readStop(raw)
	case "user":
		h.User, err = member.String(name, raw)
	case "stream_options":
		r.extra(name, member.Without(raw, "include_usage"))
	default:
		r.extra(name, raw)
	}
	return err
}

// prompt reads the prompt. One text is a turn by the user; anything else only a completion can go on from.
func (r *requestReader) prompt(raw []byte) {
	one := raw
	if jsonx.Kind(raw) == '[' {
		n := 0
		for _, v := range jsonx.Elements(raw) {
			one = v
			n++
		}
		if n != 1 {
			one = nil
		}
	}
	if s, ok := jsonx.String(one); ok {
		r.chat.Turns = []llm.Turn{{Parts: []llm.Part{{Text: s}}}}
		return
	}
	r.alone("prompt", raw, false)
}

func readStop(raw []byte) ([]string, error) {
	if jsonx.Kind(raw) == '"' {
		s, err := member.String("stop", raw)
		return []string{s}, err
	}
	if jsonx.Kind(raw) != '[' {
		return nil, member.Wrong("stop", "a string or an array of strings", raw)
	}
	var stop []string
	for i, v := range jsonx.Elements(raw) {
		s, err := member.String(fmt.Sprintf("stop[%d]", i), v)
		if err != nil {
			return nil, err
		}
		stop = append(stop, s)
	}
	return stop, nil
}

// WriteRequest appends the body for the target. Only requests of the dialect itself can be written: nothing says how
// a conversation becomes one text.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	chat := req.Chat()
	if chat == nil || req.Extra.Dialect != name {
		return dst, nil, &llm.Error{
			Code: llm.CodeUnsupported, Op: name + ".write", Param: "messages",
			Message: "This model's provider completes a text and takes no conversation.", Reason: "unsupported_parameter",
		}
	}
	model := t.Model
	if model == "" {
		model = req.Model
	}
	b := jsonx.AppendText(append(dst, '{'), "model", model)
	raw := func(n string, v []byte) { b = append(jsonx.AppendKey(b, n), v...) }
	number := func(n string, v int64) { b = strconv.AppendInt(jsonx.AppendKey(b, n), v, 10) }
	if len(chat.Turns) > 0 {
		b = jsonx.AppendText(b, "prompt", chat.Turns[0].Parts[0].Text)
	}
	if chat.MaxTokens > 0 {
		number("max_tokens", chat.MaxTokens)
	}
	if chat.N > 0 {
		number("n", int64(chat.N))
	}
	if l := chat.Logprobs; l != nil && l.Top != nil {
		number("logprobs", *l.Top)
	}
	s := &chat.Sampling
	for _, m := range [...]struct {
		name  string
		value *float64
	}{{"temperature", s.Temperature}, {"top_p", s.TopP}, {"presence_penalty", s.PresencePenalty}, {"frequency_penalty", s.FrequencyPenalty}} {
		if m.value != nil {
			b = jsonx.AppendFloat(jsonx.AppendKey(b, m.name), *m.value)
		}
	}
	if s.TopK != nil {
		number("top_k", *s.TopK)
	}
	if s.Seed != nil {
		number("seed", *s.Seed)
	}
	if s.LogitBias != nil {
		raw("logit_bias", s.LogitBias)
	}
	if len(chat.Stop) > 0 {
		b = append(jsonx.AppendKey(b, "stop"), '[')
		for _, q := range chat.Stop {
			b = jsonx.AppendQuote(jsonx.AppendComma(b), q)
		}
		b = append(b, ']')
	}
	if chat.Hints.User != "" {
		b = jsonx.AppendText(b, "user", chat.Hints.User)
	}
	return append(stream(b, req), '}'), nil, nil
}

// stream appends what asks for a stream with its usage, and the members that the vocabulary has no word for.
func stream(b []byte, req *llm.Request) []byte {
	if req.Stream {
		b = append(b, `,"stream":true,"stream_options":{"include_usage":true`...)
		for _, m := range req.Extra.Members {
			if m.Name == "stream_options" {
				for n, v := range jsonx.Members(m.Raw) {
					b = append(jsonx.AppendKey(b, string(n)), v...)
				}
			}
		}
		b = append(b, '}')
	}
	for _, m := range req.Extra.Members {
		if m.Name != "stream_options" {
			b = append(jsonx.AppendKey(b, m.Name), m.Raw...)
		}
	}
	return b
}
