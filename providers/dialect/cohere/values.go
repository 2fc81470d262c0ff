package cohere

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// readUsage reads usage: the tokens that the model saw and made; what Cohere bills for is less, as its own preamble
// is free. Tokens of images are counted beside those of texts.
func readUsage(raw []byte) (u llm.Usage) {
	tokens, billed := jsonx.Get(raw, "tokens"), jsonx.Get(raw, "billed_units")
	if jsonx.Kind(tokens) != '{' {
		tokens, billed = billed, nil
	}
	count := func(obj []byte, name string) llm.Count {
		if f, ok := jsonx.Float(jsonx.Get(obj, name)); ok && f >= 0 && f < maxSafe { // the API's numbers are floats
			return llm.Tokens(int64(f))
		}
		return llm.Count{}
	}
	u.Input, u.Output = count(tokens, "input_tokens"), count(tokens, "output_tokens")
	if n := count(tokens, "image_tokens"); n.Known {
		u.Input = llm.Tokens(u.Input.N + n.N)
	}
	u.Reasoning = count(tokens, "reasoning_tokens")
	u.Cached = count(raw, "cached_tokens")
	if u.Cached.N > u.Input.N {
		u.Cached.N = u.Input.N
	}
	if u.Reasoning.N > u.Output.N {
		u.Reasoning.N = u.Output.N
	}
	u.Queries = count(jsonx.Get(raw, "billed_units"), "search_units")
	if in, out := count(billed, "input_tokens"), count(billed, "output_tokens"); in.Known && out.Known && (in != u.Input || out != u.Output) {
		u.BilledIn, u.BilledOut = in, out
	}
	return u
}

// appendUsage appends usage. Clients need both numbers (ai-sdk refuses an answer without): what is not known is 0. What
// is billed is taken to be what was used, where nothing else is known.
func appendUsage(dst []byte, u *llm.Usage) []byte {
	pair := func(in, out int64) {
		dst = strconv.AppendInt(jsonx.AppendKey(append(dst, '{'), "input_tokens"), in, 10)
		dst = strconv.AppendInt(jsonx.AppendKey(dst, "output_tokens"), out, 10)
	}
	dst = jsonx.AppendKey(append(dst, '{'), "billed_units")
	if u.BilledIn.Known && u.BilledOut.Known {
		pair(u.BilledIn.N, u.BilledOut.N)
	} else {
		pair(u.Input.N, u.Output.N)
	}
	dst = jsonx.AppendKey(append(dst, '}'), "tokens")
	pair(u.Input.N, u.Output.N)
	if u.Reasoning.Known {
		dst = strconv.AppendInt(jsonx.AppendKey(dst, "reasoning_tokens"), u.Reasoning.N, 10)
	}
	dst = append(dst, '}')
	if u.Cached.Known {
		dst = strconv.AppendInt(jsonx.AppendKey(dst, "cached_tokens"), u.Cached.N, 10)
	}
	return append(dst, '}')
}

// cite emits a citation of the answer's text. Offsets on the wire are within one text; ours are within all.
func (r *reader) cite(raw []byte) error {
	if jsonx.Kind(raw) != '{' {
		return nil
	}
	cite := &llm.Citation{Raw: bytes.Clone(raw), From: name}
	cite.Text, _ = jsonx.String(jsonx.Get(raw, "text"))
	if kind := string(member.Plain(jsonx.Get(raw, "type"))); len(r.said.texts) > 0 && (kind == "" || kind == "TEXT_CONTENT") {
		from, found := r.said.texts[len(r.said.texts)-1].from, number(jsonx.Get(raw, "content_index"))
		for _, t := range r.said.texts {
			if found >= 0 && t.index == found {
				from = t.from
			}
		}
		start, ok := jsonx.Int(jsonx.Get(raw, "start"))
		end, ok2 := jsonx.Int(jsonx.Get(raw, "end"))
		if ok && ok2 && 0 <= start && start <= end && end < 1<<31 {
			cite.Start, cite.End = from+int(start), from+int(end)
		}
	}
	for _, s := range jsonx.Elements(jsonx.Get(raw, "sources")) {
		doc := jsonx.Get(s, "document")
		if doc == nil {
			doc = jsonx.Get(s, "tool_output")
		}
		cite.URL, _ = jsonx.String(jsonx.Get(doc, "url"))
		cite.Title, _ = jsonx.String(jsonx.Get(doc, "title"))
		break
	}
	if !r.open.is || r.open.part != llm.PartText {
		if err := r.begin(llm.PartText, -1, "", ""); err != nil {
			return err
		}
	}
	return r.send(llm.Event{Kind: llm.EvDelta, Index: r.open.at, Part: llm.PartText, Cite: cite})
}

// appendCitation appends a citation. shift is where its text begins among all.
func appendCitation(dst []byte, c *llm.Citation, shift int) []byte {
	if c.From == name && c.Raw != nil {
		return append(dst, flat(c.Raw)...)
	}
	dst = strconv.AppendInt(append(dst, `{"start":`...), int64(max(0, c.Start-shift)), 10)
	dst = strconv.AppendInt(append(dst, `,"end":`...), int64(max(0, c.End-shift)), 10)
	dst = append(jsonx.AppendText(dst, "text", c.Text), `,"sources":[`...)
	if c.URL != "" {
		dst = append(jsonx.AppendText(append(dst, `{"type":"document"`...), "id", c.URL), `,"document":{`...)
		dst = append(jsonx.AppendText(jsonx.AppendText(jsonx.AppendText(dst, "url", c.URL), "title", c.Title), "text", c.Text), "}}"...)
	}
	return append(dst, `],"type":"TEXT_CONTENT"}`...)
}

// flat returns a JSON value without line ends, which a stream of events cannot carry.
func flat(raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return raw
	}
	if c, err := jsonx.Compact(raw); err == nil {
		return c
	}
	return []byte("null")
}

// readLogprob appends log probabilities in openai-chat's shape; nil where there are none. Tokens that make one piece
// of text are one token there, with the probability of all of them.
func readLogprob(dst, raw []byte) []byte {
	if jsonx.Kind(raw) != '{' {
		return dst
	}
	sum, n := 0.0, 0
	for _, e := range jsonx.Elements(jsonx.Get(raw, "logprobs")) {
		if f, ok := jsonx.Float(e); ok {
			sum += f
			n++
		}
	}
	if n == 0 {
		return dst
	}
	text, _ := jsonx.String(jsonx.Get(raw, "text"))
	whole := dst == nil
	if whole {
		dst = []byte(`{"content":[`)
	}
	dst = jsonx.AppendText(append(jsonx.AppendComma(dst), '{'), "token", text)
	dst = jsonx.AppendFloat(jsonx.AppendKey(dst, "logprob"), sum)
	dst = append(dst, `,"bytes":null,"top_logprobs":[]}`...)
	if whole {
		dst = append(dst, "]}"...)
	}
	return dst
}

// readLogprobs reads the log probabilities of a document.
func readLogprobs(raw []byte) []byte {
	var all []byte
	for _, e := range jsonx.Elements(raw) {
		if all == nil {
			all = []byte(`{"content":[`)
		}
		all = readLogprob(all, e)
	}
	if len(all) == len(`{"content":[`) || all == nil {
		return nil
	}
	return append(all, "]}"...)
}

// appendLogprobs appends the elements of log probabilities in openai-chat's shape in Cohere's.
func appendLogprobs(dst, raw []byte) []byte {
	for _, e := range jsonx.Elements(jsonx.Get(raw, "content")) {
		token, _ := jsonx.String(jsonx.Get(e, "token"))
		f, ok := jsonx.Float(jsonx.Get(e, "logprob"))
		if !ok || !utf8.ValidString(token) {
			continue
		}
		dst = jsonx.AppendText(append(jsonx.AppendComma(dst), '{'), "text", token)
		dst = jsonx.AppendFloat(append(dst, `,"token_ids":[],"logprobs":[`...), f)
		dst = append(dst, "]}"...)
	}
	return dst
}
