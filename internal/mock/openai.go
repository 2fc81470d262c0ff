package mock

// Shapes of openai-chat. Members that OpenAI always sends are never left out.

type completion struct {
	ID                string    `json:"id"`
	Object            string    `json:"object"`
	Created           int64     `json:"created"`
	Model             string    `json:"model"`
	SystemFingerprint string    `json:"system_fingerprint"`
	Choices           []any     `json:"choices"`
	Usage             *oaiUsage `json:"usage,omitzero"`
}

type oaiChoice struct {
	Index        int        `json:"index"`
	Message      oaiMessage `json:"message"`
	Logprobs     *struct{}  `json:"logprobs"`
	FinishReason string     `json:"finish_reason"`
}

type oaiMessage struct {
	Role        string    `json:"role"`
	Content     *string   `json:"content"`
	Reasoning   string    `json:"reasoning_content,omitzero"`
	Refusal     *string   `json:"refusal"`
	Annotations []string  `json:"annotations"`
	ToolCalls   []oaiCall `json:"tool_calls,omitempty"`
}

type oaiPiece struct {
	Index        int       `json:"index"`
	Delta        oaiDelta  `json:"delta"`
	Logprobs     *struct{} `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

type oaiDelta struct {
	Role      string    `json:"role,omitzero"`
	Content   *string   `json:"content,omitzero"`
	Reasoning string    `json:"reasoning_content,omitzero"`
	Refusal   *string   `json:"refusal,omitzero"`
	ToolCalls []oaiCall `json:"tool_calls,omitempty"`
}

type oaiCall struct {
	Index    *int   `json:"index,omitzero"`
	ID       string `json:"id,omitzero"`
	Type     string `json:"type,omitzero"`
	Function struct {
		Name      string `json:"name,omitzero"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type oaiUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
	PromptDetails    struct {
		CachedTokens int `json:"cached_tokens"`
		AudioTokens  int `json:"audio_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		ReasoningTokens          int `json:"reasoning_tokens"`
		AudioTokens              int `json:"audio_tokens"`
		AcceptedPredictionTokens int `json:"accepted_prediction_tokens"`
		RejectedPredictionTokens int `json:"rejected_prediction_tokens"`
	} `json:"completion_tokens_details"`
}

// openaiStop returns the finish_reason.
func openaiStop(stop string) string {
	switch stop {
	case "length":
		return "length"
	case "calls":
		return "tool_calls"
	case "filter":
		return "content_filter"
	}
	return "stop"
}

func (e *exchange) openaiHead(object string) completion {
	return completion{
		ID: e.name("chatcmpl-"), Object: object, Created: e.s.o.Now().Unix(), Model: e.req.model,
		SystemFingerprint: "fp_mock", Choices: []any{},
	}
}

func (e *exchange) openaiUsage(a *answer) *oaiUsage {
	if e.sc.noUsage {
		return nil
	}
	out := a.out * e.req.choices
	u := &oaiUsage{PromptTokens: a.in, CompletionTokens: out, TotalTokens: a.in + out}
	u.CompletionDetails.ReasoningTokens = a.think * e.req.choices
	return u
}

func openaiCall(c call) oaiCall {
	o := oaiCall{ID: c.id, Type: "function"}
	o.Function.Name, o.Function.Arguments = c.name, c.args
	return o
}

// openaiWhole writes an answer as one document.
func (e *exchange) openaiWhole(a *answer) []byte {
	doc := e.openaiHead("chat.completion")
	doc.Usage = e.openaiUsage(a)
	m := oaiMessage{Role: "assistant", Reasoning: join(a.thoughts)}
	if text := join(a.text); text != "" || len(a.calls) == 0 && a.refused == "" {
		m.Content = &text
	}
	if a.refused != "" {
		m.Refusal = &a.refused
	}
	for _, c := range a.calls {
		m.ToolCalls = append(m.ToolCalls, openaiCall(c))
	}
	for i := range e.req.choices {
		doc.Choices = append(doc.Choices, oaiChoice{Index: i, Message: m, FinishReason: openaiStop(a.stop)})
	}
	return encode(doc)
}

// openaiFrames writes an answer as a stream, choice by choice.
func (e *exchange) openaiFrames(a *answer) frames {
	head := e.openaiHead("chat.completion.chunk")
	return func(yield func(frame) bool) {
		ok := true
		for i := 0; ok && i < e.req.choices; i++ {
			first, last := opening, joint
			if i > 0 {
				first = joint
			}
			if i == e.req.choices-1 {
				last = closing
			}
			send := func(p phase, d oaiDelta, finish *string) {
				if ok {
					doc := head
					doc.Choices = []any{oaiPiece{Index: i, Delta: d, FinishReason: finish}}
					ok = yield(frame{p, event("", encode(doc))})
				}
			}
			send(first, oaiDelta{Role: "assistant", Content: new(string)}, nil)
			e.openaiDeltas(a, func(p phase, d oaiDelta) { send(p, d, nil) })
			finish := openaiStop(a.stop)
			send(last, oaiDelta{}, &finish)
		}
		if usage := e.openaiUsage(a); ok && e.req.usage && usage != nil {
			doc := head
			doc.Usage = usage
			ok = yield(frame{closing, event("", encode(doc))})
		}
		if ok {
			yield(frame{closing, event("", []byte("[DONE]"))})
		}
	}
}

// openaiDeltas sends the deltas of one choice.
func (e *exchange) openaiDeltas(a *answer, send func(phase, oaiDelta)) {
	for _, s := range a.thoughts {
		send(content, oaiDelta{Reasoning: s})
	}
	for _, s := range a.text {
		send(content, oaiDelta{Content: &s})
	}
	for _, s := range words(a.refused) {
		send(content, oaiDelta{Refusal: &s})
	}
	start := func(i int) {
		o := openaiCall(a.calls[i])
		o.Index, o.Function.Arguments = &i, ""
		send(joint, oaiDelta{ToolCalls: []oaiCall{o}})
	}
	more := func(i int, piece string) {
		o := oaiCall{Index: &i}
		o.Function.Arguments = piece
		send(content, oaiDelta{ToolCalls: []oaiCall{o}})
	}
	if !e.sc.mixed {
		for i, c := range a.calls {
			start(i)
			for _, piece := range pieces(c.args) {
				more(i, piece)
			}
		}
		return
	}
	rest := make([][]string, len(a.calls))
	longest := 0
	for i, c := range a.calls {
		start(i)
		rest[i] = pieces(c.args)
		longest = max(longest, len(rest[i]))
	}
	for k := range longest {
		for i := range rest {
			if k < len(rest[i]) {
				more(i, rest[i][k])
			}
		}
	}
}
