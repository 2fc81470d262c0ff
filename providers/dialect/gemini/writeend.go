package gemini

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Close writes the end of the answer: how each candidate stopped, what it cites, and all usage.
func (w *writer) Close(dst []byte) ([]byte, error) {
	if w.closed {
		return dst, nil
	}
	switch {
	case w.failed != nil:
	case !w.whole():
		dst = w.fail(dst, &llm.Error{Code: llm.CodeReset, Op: name + ".answer", Message: "the answer ended before it was whole"})
	case w.broken() != "":
		dst = w.fail(dst, &llm.Error{Code: llm.CodeUpstream, Op: name + ".answer", Message: "the provider says that its answer is broken: " + w.broken()})
	}
	w.closed = true
	switch {
	case w.failed != nil && w.stream:
		return dst, nil
	case w.failed != nil:
		return dst, w.failed
	case w.op == llm.OpCount:
		return append(number(append(dst, '{'), "totalTokens", w.usage.Input.N), '}'), nil
	case w.op == llm.OpEmbed:
		return w.vectors(dst), nil
	}
	if w.stream {
		dst = w.frame(dst)
	}
	dst = w.answer(dst)
	if !w.stream {
		return dst, nil
	}
	dst = w.end(dst)
	if w.array {
		dst = append(dst, ']')
	}
	return dst, nil
}

// whole reports whether every candidate has finished.
func (w *writer) whole() bool {
	for i := range w.choices {
		if !w.choices[i].finished {
			return false
		}
	}
	return w.finished && (w.op != llm.OpEmbed || w.result != nil)
}

// broken returns how an answer without content is at fault, "" for one that is not.
func (w *writer) broken() string {
	if w.op != llm.OpChat || len(w.choices) == 0 {
		return ""
	}
	for i := range w.choices {
		if c := &w.choices[i]; c.stop.Reason != llm.StopFault || len(c.blocks) > 0 {
			return ""
		}
	}
	if n := w.choices[0].stop.Native; n != "" {
		return n
	}
	return "OTHER"
}

// answer writes the whole answer, or the last piece of a stream.
func (w *writer) answer(dst []byte) []byte {
	dst = append(dst, '{')
	if reason, message := w.promptBlocked(); reason != "" {
		dst = append(jsonx.AppendKey(dst, "promptFeedback"), '{')
		dst = jsonx.AppendText(dst, "blockReason", reason)
		if message != "" {
			dst = jsonx.AppendText(dst, "blockReasonMessage", message)
		}
		dst = append(dst, '}')
	} else {
		dst = append(dst, `"candidates":[`...)
		for i := range w.choices {
			dst = w.candidate(jsonx.AppendComma(dst), &w.choices[i])
		}
		dst = append(dst, ']')
	}
	if w.usage.Known() || w.usage.Reasoning.Known {
		dst = appendUsage(jsonx.AppendKey(dst, "usageMetadata"), &w.usage)
	}
	dst = jsonx.AppendText(dst, "modelVersion", w.model)
	return append(jsonx.AppendText(dst, "responseId", w.id), '}')
}

// promptBlocked returns why the prompt was refused, in the provider's own words: then there is no candidate.
func (w *writer) promptBlocked() (reason, message string) {
	if len(w.choices) != 1 {
		return "", ""
	}
	c := &w.choices[0]
	category, _ := jsonx.String(jsonx.Get(c.stop.Details, "category"))
	if c.stop.Reason != llm.StopFilter || len(c.blocks) > 0 || category == "" || category != c.stop.Native {
		return "", ""
	}
	message, _ = jsonx.String(jsonx.Get(c.stop.Details, "explanation"))
	return category, message
}

func (w *writer) candidate(dst []byte, c *outChoice) []byte {
	dst = append(dst, `{"content":{"parts":[`...)
	if w.stream {
		dst = append(dst, `{"text":""}`...)
	} else {
		for i := range c.blocks {
			dst = appendPart(dst, &c.blocks[i])
		}
	}
	dst = append(dst, `],"role":"model"},"finishReason":`...)
	dst = jsonx.AppendQuote(dst, c.reason())
	if why, ok := jsonx.String(jsonx.Get(c.stop.Details, "explanation")); ok && why != "" {
		dst = jsonx.AppendText(dst, "finishMessage", why)
	}
	dst = number(dst, "index", int64(c.number))
	if len(c.cites) > 0 {
		dst = c.grounding(jsonx.AppendKey(dst, "groundingMetadata"))
	}
	if len(c.logprobs) > 0 {
		dst = appendLogprobs(dst, c.logprobs)
	}
	return append(dst, '}')
}

// reason is the word for how a candidate stopped: the provider's own where it is one of the dialect's.
func (c *outChoice) reason() string {
	reason := c.stop.Reason
	if reason == llm.StopEnd && c.refused {
		reason = llm.StopFilter
	}
	switch reason {
	case llm.StopLength:
		return "MAX_TOKENS"
	case llm.StopFilter, llm.StopFault:
		for i := range finishes {
			if finishes[i].word == c.stop.Native && finishes[i].reason == reason {
				return c.stop.Native
			}
		}
		if reason == llm.StopFilter {
			return "SAFETY"
		}
		return "OTHER"
	}
	return "STOP"
}

// grounding writes citations as what the text rests on. Ranges count in bytes.
func (c *outChoice) grounding(dst []byte) []byte {
	type source struct{ url, title string }
	var sources []source
	index := func(s source) int {
		for i, have := range sources {
			if have == s {
				return i
			}
		}
		sources = append(sources, s)
		return len(sources) - 1
	}
	var supports []byte
	for i := range c.cites {
		cite := &c.cites[i]
		n := index(source{cite.URL, cite.Title})
		from, to := c.bytes(cite.Start), c.bytes(cite.End)
		words := cite.Text
		if to > from {
			words = string(c.text[from:to])
		}
		supports = append(jsonx.AppendComma(supports), `{"segment":{`...)
		if from > 0 {
			supports = number(supports, "startIndex", int64(from))
		}
		supports = number(supports, "endIndex", int64(to))
		supports = jsonx.AppendText(supports, "text", words)
		supports = append(supports, `},"groundingChunkIndices":[`...)
		supports = append(strconv.AppendInt(supports, int64(n), 10), "]}"...)
	}
	dst = append(dst, `{"groundingChunks":[`...)
	for _, s := range sources {
		dst = append(jsonx.AppendComma(dst), `{"web":{`...)
		dst = append(jsonx.AppendText(jsonx.AppendText(dst, "uri", s.url), "title", s.title), "}}"...)
	}
	dst = append(dst, `],"groundingSupports":[`...)
	return append(append(dst, supports...), "]}"...)
}

// bytes turns a place in the text that counts characters into one that counts bytes.
func (c *outChoice) bytes(chars int) int {
	at := 0
	for range chars {
		if at >= len(c.text) {
			break
		}
		_, n := utf8.DecodeRune(c.text[at:])
		at += n
	}
	return at
}

// appendLogprobs appends log probabilities that are in openai-chat's shape, one or more of it on a line each.
func appendLogprobs(dst, shapes []byte) []byte {
	var chosen, tops []byte
	for line := range bytes.Lines(shapes) {
		for _, t := range jsonx.Elements(jsonx.Get(line, "content")) {
			chosen = append(appendProb(append(jsonx.AppendComma(chosen), '{'), t), '}')
			tops = append(jsonx.AppendComma(tops), `{"candidates":[`...)
			for _, o := range jsonx.Elements(jsonx.Get(t, "top_logprobs")) {
				tops = append(appendProb(append(jsonx.AppendComma(tops), '{'), o), '}')
			}
			tops = append(tops, "]}"...)
		}
	}
	dst = append(jsonx.AppendKey(dst, "logprobsResult"), `{"topCandidates":[`...)
	dst = append(append(dst, tops...), `],"chosenCandidates":[`...)
	return append(append(dst, chosen...), "]}"...)
}

func appendProb(dst, of []byte) []byte {
	token, _ := jsonx.String(jsonx.Get(of, "token"))
	dst = jsonx.AppendText(dst, "token", token)
	if p := jsonx.Get(of, "logprob"); jsonx.Kind(p) == '0' {
		dst = raw(dst, "logProbability", p)
	}
	return dst
}

// vectors writes the answer of embedContent or of batchEmbedContents.
func (w *writer) vectors(dst []byte) []byte {
	dst = append(dst, '{')
	if w.single && len(w.result.Vectors) == 1 {
		dst = appendVector(jsonx.AppendKey(dst, "embedding"), w.result.Vectors[0])
	} else {
		dst = append(jsonx.AppendKey(dst, "embeddings"), '[')
		for _, v := range w.result.Vectors {
			dst = appendVector(jsonx.AppendComma(dst), v)
		}
		dst = append(dst, ']')
	}
	if n := w.usage.Input; n.Known {
		dst = append(jsonx.AppendKey(dst, "usageMetadata"), '{')
		dst = number(dst, "promptTokenCount", n.N)
		dst = append(number(dst, "totalTokenCount", n.N), '}')
	}
	return append(dst, '}')
}

// appendUsage writes usage in the API's counting, where thoughts are no part of the candidates.
func appendUsage(dst []byte, u *llm.Usage) []byte {
	thoughts := u.Reasoning.N
	if u.Output.Known {
		thoughts = min(thoughts, u.Output.N) // some gateways count more of them than of the output that they are part of
	}
	dst = append(dst, '{')
	if u.Input.Known {
		dst = number(dst, "promptTokenCount", u.Input.N)
	}
	if u.Output.Known {
		dst = number(dst, "candidatesTokenCount", u.Output.N-thoughts)
	}
	if u.Cached.Known {
		dst = number(dst, "cachedContentTokenCount", u.Cached.N)
	}
	if u.Reasoning.Known {
		dst = number(dst, "thoughtsTokenCount", thoughts)
	}
	dst = number(dst, "totalTokenCount", u.Input.N+max(u.Output.N, thoughts))
	var d llm.Details
	if u.Details != nil {
		d = *u.Details
	}
	dst = modalities(dst, "promptTokensDetails", u.AudioIn, d.ImageIn)
	dst = modalities(dst, "candidatesTokensDetails", u.AudioOut, d.ImageOut)
	return append(dst, '}')
}

// modalities writes the tokens of sounds and images, where there are any.
func modalities(dst []byte, name string, audio, image llm.Count) []byte {
	if !audio.Known && !image.Known {
		return dst
	}
	dst = append(jsonx.AppendKey(dst, name), '[')
	for _, m := range [...]struct {
		name string
		n    llm.Count
	}{{"AUDIO", audio}, {"IMAGE", image}} {
		if m.n.Known {
			dst = append(jsonx.AppendComma(dst), '{')
			dst = append(number(jsonx.AppendText(dst, "modality", m.name), "tokenCount", m.n.N), '}')
		}
	}
	return append(dst, ']')
}
