package gemini

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// inChoice is one candidate.
type inChoice struct {
	number    int
	open      bool // a block is open
	part      llm.PartKind
	blocks    int    // that were begun
	calls     bool   // it called tools
	text      []byte // all of it: citations count in its bytes
	grounding []byte // the last groundingMetadata
	cites     []byte // the last citationMetadata
	stopped   bool
	stop      llm.Stop
}

func (r *reader) choice(number int) *inChoice {
	for _, c := range r.state.choices {
		if c.number == number {
			return c
		}
	}
	c := &inChoice{number: number}
	r.state.choices = append(r.state.choices, c)
	return c
}

// candidate reads what a piece says of one candidate.
func (r *reader) candidate(i int, raw []byte) error {
	var content, reason, message, grounding, cites, logprobs []byte
	number := int64(i)
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "index":
			if k, ok := jsonx.Int(v); ok && k >= 0 && k < maxChoices {
				number = k
			}
		case "content":
			content = v
		case "finishReason":
			reason = v
		case "finishMessage":
			message = v
		case "groundingMetadata":
			grounding = v
		case "citationMetadata":
			cites = v
		case "logprobsResult":
			logprobs = v
		}
	}
	if number >= maxChoices {
		return nil
	}
	c := r.choice(int(number))
	for _, p := range jsonx.Elements(jsonx.Get(content, "parts")) {
		if err := r.part(c, p); err != nil || r.state.done {
			return err
		}
	}
	if logprobs != nil {
		if err := r.logprobs(c, logprobs); err != nil {
			return err
		}
	}
	if len(grounding) > 2 {
		c.grounding = append(c.grounding[:0], grounding...)
	}
	if len(cites) > 2 {
		c.cites = append(c.cites[:0], cites...)
	}
	r.stopped(c, reason, message)
	return nil
}

func (r *reader) stopped(c *inChoice, reason, message []byte) {
	word := r.codec.finishReason(reason)
	if word == "" {
		return
	}
	c.stopped = true
	c.stop = llm.Stop{Reason: stopOf(word), Native: word}
	if why, ok := jsonx.String(message); ok && why != "" && (c.stop.Reason == llm.StopFilter || c.stop.Reason == llm.StopFault) {
		c.stop.Details = append(jsonx.AppendText([]byte{'{'}, "explanation", why), '}')
	}
}

// inPart is a part's members, raw.
type inPart struct {
	text, seal, call, inline []byte
	thought                  bool
	other                    []byte // the name of a member that the vocabulary has no word for
}

func (p *inPart) read(raw []byte) {
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "text":
			p.text = v
		case "thought":
			p.thought = string(v) == "true"
		case "thoughtSignature":
			p.seal = v
		case "functionCall":
			p.call = v
		case "inlineData":
			p.inline = v
		case "videoMetadata", "partMetadata", "mediaResolution":
		default:
			if jsonx.Kind(v) == '{' {
				p.other = n
			}
		}
	}
}

func (r *reader) part(c *inChoice, raw []byte) error {
	var p inPart
	p.read(raw)
	switch {
	case p.call != nil:
		return r.call(c, p.call, p.seal)
	case p.inline != nil:
		return r.inline(c, raw, p.inline)
	case p.other != nil:
		return r.native(c, string(p.other), raw)
	}
	kind := llm.PartText
	if p.thought {
		kind = llm.PartThought
	}
	var ok bool
	if r.text, ok = jsonx.AppendString(r.text[:0], p.text); ok && len(r.text) > 0 {
		if err := r.begin(c, kind); err != nil {
			return err
		}
		if kind == llm.PartText {
			c.text = append(c.text, r.text...)
		}
		r.on(llm.EvDelta, c).Text = r.text
		if err := r.send(); err != nil {
			return err
		}
	}
	return r.sealed(c, kind, p.seal)
}

// sealed emits a signature, which ends the block: what follows is another part.
func (r *reader) sealed(c *inChoice, kind llm.PartKind, raw []byte) error {
	seal, _ := jsonx.String(raw)
	if seal == "" {
		return nil
	}
	if err := r.begin(c, kind); err != nil {
		return err
	}
	r.on(llm.EvDelta, c).Seal = dialect.WrapSeal(name, seal)
	if err := r.send(); err != nil {
		return err
	}
	return r.shut(c)
}

// on sets up an event of the choice's open block.
func (r *reader) on(kind llm.EventKind, c *inChoice) *llm.Event {
	r.ev = llm.Event{Kind: kind, Choice: c.number, Index: c.blocks - 1, Part: c.part}
	return &r.ev
}

// begin opens a block unless one of its kind is open.
func (r *reader) begin(c *inChoice, kind llm.PartKind) error {
	if c.open && c.part == kind {
		return nil
	}
	if err := r.shut(c); err != nil {
		return err
	}
	c.open, c.part = true, kind
	c.blocks++
	r.on(llm.EvBlockStarted, c)
	return r.send()
}

// shut ends the open block.
func (r *reader) shut(c *inChoice) error {
	if !c.open {
		return nil
	}
	c.open = false
	r.on(llm.EvBlockEnded, c)
	return r.send()
}

// call emits a call, which comes whole.
func (r *reader) call(c *inChoice, raw, seal []byte) error {
	if err := r.shut(c); err != nil {
		return err
	}
	c.open, c.part, c.calls = true, llm.PartCall, true
	c.blocks++
	ev := r.on(llm.EvBlockStarted, c)
	ev.Name, _ = jsonx.String(jsonx.Get(raw, "name"))
	if n, renamed := r.names[ev.Name]; renamed {
		ev.Name = n
	}
	if ev.ID, _ = jsonx.String(jsonx.Get(raw, "id")); ev.ID == "" {
		ev.ID = r.callID()
	}
	ev.Seal, _ = jsonx.String(seal)
	ev.Seal = dialect.WrapSeal(name, ev.Seal)
	if err := r.send(); err != nil {
		return err
	}
	args := jsonx.Get(raw, "args")
	if jsonx.Kind(args) != '{' {
		args = []byte("{}")
	}
	if bytes.ContainsAny(args, "\r\n") {
		if flat, err := jsonx.Compact(args); err == nil {
			args = flat
		}
	}
	r.on(llm.EvDelta, c).Text = args
	if err := r.send(); err != nil {
		return err
	}
	return r.shut(c)
}

// callID makes the id of a call that came without one: always the same for the same call of the same answer.
func (r *reader) callID() string {
	if r.state.id == "" {
		r.state.id = r.codec.mint()
	}
	sum := sha256.Sum256([]byte(r.state.id + " " + strconv.Itoa(r.state.calls)))
	r.state.calls++
	return "call_" + base32.StdEncoding.EncodeToString(sum[:])[:24]
}

// inline emits a picture in openai-chat's shape, which events carry; other media have no word in the vocabulary.
func (r *reader) inline(c *inChoice, part, data []byte) error {
	kind, _ := jsonx.String(jsonx.Get(data, "mimeType"))
	b64, _ := jsonx.String(jsonx.Get(data, "data"))
	std, ok := standard(b64)
	if !ok || len(kind) < 7 || kind[:6] != "image/" {
		return r.native(c, "inlineData", part)
	}
	if err := r.begin(c, llm.PartImage); err != nil {
		return err
	}
	image := []byte(`{"type":"image_url","image_url":{`)
	r.on(llm.EvDelta, c).Raw = append(jsonx.AppendText(image, "url", "data:"+kind+";base64,"+std), "}}"...)
	return r.send()
}

// native emits a part as it is.
func (r *reader) native(c *inChoice, kind string, raw []byte) error {
	if err := r.shut(c); err != nil {
		return err
	}
	c.open, c.part = true, llm.PartNative
	c.blocks++
	ev := r.on(llm.EvBlockStarted, c)
	ev.Name, ev.Raw = kind, raw
	if err := r.send(); err != nil {
		return err
	}
	return r.shut(c)
}

// end emits the end of a choice: its citations, and how it stopped.
func (r *reader) end(c *inChoice) error {
	for _, cite := range c.citations() {
		if err := r.begin(c, llm.PartText); err != nil {
			return err
		}
		r.on(llm.EvDelta, c).Cite = &cite
		if err := r.send(); err != nil {
			return err
		}
	}
	if err := r.shut(c); err != nil {
		return err
	}
	stop := c.stop
	if stop.Reason == llm.StopEnd && c.calls {
		stop.Reason = llm.StopCalls
	}
	r.ev = llm.Event{Kind: llm.EvFinished, Choice: c.number, Stop: stop}
	return r.send()
}

// queries counts the searches that an answer rests on.
func queries(grounding []byte) (n int64) {
	for range jsonx.Elements(jsonx.Get(grounding, "webSearchQueries")) {
		n++
	}
	return n
}

// citations returns what the choice's text cites.
func (c *inChoice) citations() (all []llm.Citation) {
	type source struct{ url, title string }
	var sources []source
	for _, chunk := range jsonx.Elements(jsonx.Get(c.grounding, "groundingChunks")) {
		var s source
		for _, from := range jsonx.Members(chunk) { // web, retrievedContext or maps
			s.url, _ = jsonx.String(jsonx.Get(from, "uri"))
			s.title, _ = jsonx.String(jsonx.Get(from, "title"))
		}
		sources = append(sources, s)
	}
	for _, support := range jsonx.Elements(jsonx.Get(c.grounding, "groundingSupports")) {
		segment := jsonx.Get(support, "segment")
		words, _ := jsonx.String(jsonx.Get(segment, "text"))
		start, end := c.span(segment, words)
		for _, n := range jsonx.Elements(jsonx.Get(support, "groundingChunkIndices")) {
			if k, ok := jsonx.Int(n); ok && k >= 0 && k < int64(len(sources)) {
				s := sources[k]
				all = append(all, llm.Citation{URL: s.url, Title: s.title, Text: words, Start: start, End: end})
			}
		}
	}
	for _, list := range [...]string{"citations", "citationSources"} {
		for _, raw := range jsonx.Elements(jsonx.Get(c.cites, list)) {
			cite := llm.Citation{}
			cite.URL, _ = jsonx.String(jsonx.Get(raw, "uri"))
			cite.Title, _ = jsonx.String(jsonx.Get(raw, "title"))
			cite.Start, cite.End = c.span(raw, "")
			if cite.URL != "" || cite.Title != "" {
				all = append(all, cite)
			}
		}
	}
	return all
}

// span turns a range of bytes of the text into one of characters. words are what should stand there; they are
// looked for where they do not, as where the range counts from the beginning of a part.
func (c *inChoice) span(segment []byte, words string) (start, end int) {
	from, _ := jsonx.Int(jsonx.Get(segment, "startIndex"))
	to, ok := jsonx.Int(jsonx.Get(segment, "endIndex"))
	size := int64(len(c.text))
	if !ok || from < 0 || to > size || from > to || words != "" && string(c.text[from:to]) != words {
		at := bytes.Index(c.text, []byte(words))
		if words == "" || at < 0 {
			return 0, 0
		}
		from, to = int64(at), int64(at+len(words))
	}
	start = utf8.RuneCount(c.text[:from])
	return start, start + utf8.RuneCount(c.text[from:to])
}

// logprobs emits log probabilities in openai-chat's shape, which events carry.
func (r *reader) logprobs(c *inChoice, raw []byte) error {
	var tops [][]byte
	for _, t := range jsonx.Elements(jsonx.Get(raw, "topCandidates")) {
		tops = append(tops, jsonx.Get(t, "candidates"))
	}
	b := []byte(`{"content":[`)
	for i, chosen := range jsonx.Elements(jsonx.Get(raw, "chosenCandidates")) {
		b = append(tokenProb(append(jsonx.AppendComma(b), '{'), chosen), `,"top_logprobs":[`...)
		if i < len(tops) {
			for _, t := range jsonx.Elements(tops[i]) {
				b = append(tokenProb(append(jsonx.AppendComma(b), '{'), t), '}')
			}
		}
		b = append(b, "]}"...)
	}
	if b[len(b)-1] == '[' {
		return nil
	}
	if err := r.begin(c, llm.PartText); err != nil {
		return err
	}
	b = append(b, "]}"...)
	r.on(llm.EvDelta, c).Logprobs = b
	return r.send()
}

func tokenProb(b, of []byte) []byte {
	token, _ := jsonx.String(jsonx.Get(of, "token"))
	b = jsonx.AppendText(b, "token", token)
	p := jsonx.Get(of, "logProbability")
	if jsonx.Kind(p) != '0' {
		p = []byte("0")
	}
	b = append(jsonx.AppendKey(raw(b, "logprob", p), "bytes"), '[')
	for i := range len(token) {
		b = strconv.AppendInt(jsonx.AppendComma(b), int64(token[i]), 10)
	}
	return append(b, ']')
}

// finishes are the API's reasons to finish, and what they mean. Their numbers in the two services' protocol
// buffers stand where a client asked for numbers (google.ai.generativelanguage.v1beta.Candidate.FinishReason,
// google.cloud.aiplatform.v1beta1.Candidate.FinishReason).
var finishes = [...]struct {
	word           string
	reason         llm.StopReason
	number, vertex int64
}{
	{"STOP", llm.StopEnd, 1, 1},
	{"MAX_TOKENS", llm.StopLength, 2, 2},
	{"SAFETY", llm.StopFilter, 3, 3},
	{"RECITATION", llm.StopFilter, 4, 4},
	{"OTHER", llm.StopFault, 5, 5},
	{"LANGUAGE", llm.StopFilter, 6, 0},
	{"BLOCKLIST", llm.StopFilter, 7, 6},
	{"PROHIBITED_CONTENT", llm.StopFilter, 8, 7},
	{"SPII", llm.StopFilter, 9, 8},
	{"MALFORMED_FUNCTION_CALL", llm.StopFault, 10, 9},
	{"MODEL_ARMOR", llm.StopFilter, 0, 10},
	{"IMAGE_SAFETY", llm.StopFilter, 11, 11},
	{"UNEXPECTED_TOOL_CALL", llm.StopFault, 12, 14},
	{"TOO_MANY_TOOL_CALLS", llm.StopFault, 13, 0},
	{"IMAGE_PROHIBITED_CONTENT", llm.StopFilter, 14, 12},
	{"IMAGE_OTHER", llm.StopFault, 15, 16},
	{"NO_IMAGE", llm.StopFault, 16, 15},
	{"IMAGE_RECITATION", llm.StopFilter, 17, 13},
	{"MISSING_THOUGHT_SIGNATURE", llm.StopFault, 18, 0},
	{"MALFORMED_RESPONSE", llm.StopFault, 19, 0},
}

// finishReason returns the word of a finishReason, "" where it says nothing yet.
func (c *Codec) finishReason(raw []byte) string {
	if n, ok := jsonx.Int(raw); ok {
		for _, f := range finishes {
			if n != 0 && (!c.vertex && n == f.number || c.vertex && n == f.vertex) {
				return f.word
			}
		}
		if n == 0 {
			return ""
		}
		return "OTHER"
	}
	if w := plain(raw); len(w) > 0 && string(w) != "FINISH_REASON_UNSPECIFIED" {
		for i := range finishes {
			if finishes[i].word == string(w) {
				return finishes[i].word
			}
		}
		return string(w)
	}
	return ""
}

func stopOf(word string) llm.StopReason {
	for i := range finishes {
		if finishes[i].word == word {
			return finishes[i].reason
		}
	}
	return llm.StopEnd
}

// feedbackReason returns the word of a blockReason, "" where there is none.
func feedbackReason(raw []byte) string {
	if n, ok := jsonx.Int(raw); ok {
		words := [...]string{"", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"}
		if n > 0 && n < int64(len(words)) {
			return words[n]
		}
		return ""
	}
	s := string(plain(raw))
	if s == "BLOCK_REASON_UNSPECIFIED" || s == "BLOCKED_REASON_UNSPECIFIED" {
		return ""
	}
	return s
}
