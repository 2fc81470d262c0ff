package openaichat

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// maxDepth is the deepest nesting of what is decoded. Members that are only carried may nest deeper.
const maxDepth = 64

// Limits of one tool.
const (
	maxToolText = 64 << 10  // name and description
	maxSchema   = 256 << 10 // a JSON Schema
)

// deprecated marks, in fields that have no other use there, what came in the form of before tools:
// Tool.Raw of a function, Part.Name of a call and of a reply. Their answers use that form too.
const deprecated = "functions"

// Vendors of seals that the dialect carries in extension members.
const (
	sealAnthropic = string(dialect.AnthropicMessages)
	sealGoogle    = "gemini"
)

// ReadRequest decodes the whole request. It checks everything that Peek checks.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	head, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	if in.Op == llm.OpModels {
		return &llm.Request{Op: in.Op, Model: head.Model}, nil
	}
	chat := &llm.Chat{MaxTokens: head.MaxTokens}
	req := &llm.Request{
		Op: llm.OpChat, Model: head.Model, Stream: head.Stream, Usage: head.Usage, Body: chat,
		Extra: llm.Extra{Dialect: name},
	}
	r := requestReader{req: req, chat: chat}
	for i := range head.Doc.Members {
		m := &head.Doc.Members[i]
		if err := r.member(m.Name, head.Doc.Body[m.Start:m.End]); err != nil {
			return nil, err
		}
	}
	return req, r.end()
}

// requestReader decodes one request.
type requestReader struct {
	req     *llm.Request
	chat    *llm.Chat
	calls   int    // deprecated calls seen; they have no ids, so they are numbered
	safety  []byte // safety_identifier
	options []byte // what stream_options has beside include_usage
	tools   bool   // tools were given
	old     bool   // functions were given
}

func (r *requestReader) member(name string, raw []byte) error {
	switch name {
	case "model", "stream", "max_tokens", "max_completion_tokens":
		return nil // Peek has them
	case "messages", "tools", "functions", "tool_choice", "function_call", "response_format", "logit_bias":
		if jsonx.Deeper(raw, maxDepth) {
			return bad(name, reasonValue, fmt.Sprintf("'%s' is nested deeper than %d levels.", name, maxDepth))
		}
	}
	if jsonx.IsNull(raw) {
		if !known(name) {
			r.extra(name, raw)
		}
		return nil
	}
	for _, read := range [...]func(string, []byte) (bool, error){r.content, r.sampling, r.hints} {
		if done, err := read(name, raw); done || err != nil {
			return err
		}
	}
	r.extra(name, raw)
	return nil
}

func (r *requestReader) extra(name string, raw []byte) {
	r.req.Extra.Members = append(r.req.Extra.Members, llm.Member{Name: name, Raw: raw})
}

// known reports whether null stands for the absence of a member.
func known(name string) bool {
	switch name {
	case "seed", "stop", "logit_bias", "parallel_tool_calls", "metadata", "prompt_cache_key",
		"prompt_cache_retention", "verbosity", "presence_penalty", "frequency_penalty", "stream_options", "n", "top_k":
		return true
	}
	for _, c := range control {
		if c == name {
			return true
		}
	}
	return false
}

// content reads the members that decide what the answer says.
func (r *requestReader) content(name string, raw []byte) (done bool, err error) {
	switch name {
	case "messages":
		for i, m := range jsonx.Elements(raw) {
			t, err := r.message(i, m)
			if err != nil {
				return true, err
			}
			r.chat.Turns = append(r.chat.Turns, t)
		}
	case "tools":
		r.tools = true
		for i, t := range jsonx.Elements(raw) {
			if err := r.tool(fmt.Sprintf("tools[%d]", i), t); err != nil {
				return true, err
			}
		}
	case "functions":
		r.old = true
		for i, f := range jsonx.Elements(raw) {
			t := llm.Tool{Raw: []byte(deprecated)}
			if err := r.function(fmt.Sprintf("functions[%d]", i), f, &t); err != nil {
				return true, err
			}
			r.chat.Tools = append(r.chat.Tools, t)
		}
	case "tool_choice", "function_call":
		err = r.choice(name, raw)
	case "parallel_tool_calls":
		r.chat.Parallel, err = boolean(name, raw)
	case "response_format":
		r.chat.Output, err = readOutput(raw)
	case "reasoning_effort":
		var effort string
		if effort, err = wantString(name, raw); err == nil {
			r.chat.Thinking = &llm.Thinking{Effort: effort}
			if effort == llm.EffortNone {
				r.chat.Thinking.Mode = llm.ThinkOff
			}
		}
	default:
		return false, nil
	}
	return true, err
}

// sampling reads the members that steer how tokens are drawn and how many.
func (r *requestReader) sampling(name string, raw []byte) (done bool, err error) {
	s := &r.chat.Sampling
	switch name {
	case "temperature":
		s.Temperature, err = number(name, raw, 0, 2)
	case "top_p":
		s.TopP, err = number(name, raw, 0, 1)
	case "presence_penalty":
		s.PresencePenalty, err = number(name, raw, -2, 2)
	case "frequency_penalty":
		s.FrequencyPenalty, err = number(name, raw, -2, 2)
	case "top_k": // an extension of many compatible servers
		s.TopK, err = integer(name, raw, -1, 1<<31)
	case "seed":
		s.Seed, err = integer(name, raw, -(1<<53 - 1), 1<<53-1)
	case "logit_bias":
		if s.LogitBias = raw; jsonx.Kind(raw) != '{' {
			err = wrongType(name, "an object", raw)
		}
	case "n":
		var n int64
		n, err = wantInt(name, raw, 1, maxChoices)
		r.chat.N = int(n)
	case "stop":
		r.chat.Stop, err = readStop(raw)
	case "logprobs":
		var on bool
		on, err = wantBool(name, raw)
		r.logprobs().On = on
	case "top_logprobs":
		r.logprobs().Top, err = integer(name, raw, 0, 20)
	default:
		return false, nil
	}
	return true, err
}

func (r *requestReader) logprobs() *llm.Logprobs {
	if r.chat.Logprobs == nil {
		r.chat.Logprobs = new(llm.Logprobs)
	}
	return r.chat.Logprobs
}

// hints reads the members that steer bookkeeping.
func (r *requestReader) hints(name string, raw []byte) (done bool, err error) {
	h := &r.chat.Hints
	switch name {
	case "user":
		h.User, err = wantString(name, raw)
	case "safety_identifier":
		r.safety = raw
		_, err = wantString(name, raw)
	case "service_tier":
		h.ServiceTier, err = wantString(name, raw)
	case "prompt_cache_key":
		h.CacheKey, err = wantString(name, raw)
	case "prompt_cache_retention":
		h.CacheTTL, err = wantString(name, raw)
	case "verbosity":
		h.Verbosity, err = wantString(name, raw)
	case "store":
		h.Store, err = boolean(name, raw)
	case "metadata":
		if h.Metadata = raw; jsonx.Kind(raw) != '{' {
			err = wrongType(name, "an object", raw)
		}
	case "stream_options":
		r.options = without(raw, "include_usage")
	default:
		return false, nil
	}
	return true, err
}

// end settles what needs more than one member.
func (r *requestReader) end() error {
	if r.tools && r.old {
		return bad("functions", reasonValue, "'functions' is the deprecated form of 'tools'; only one of them may be given.")
	}
	if r.options != nil {
		r.extra("stream_options", r.options)
	}
	if r.safety != nil {
		if r.chat.Hints.User == "" {
			r.chat.Hints.User, _ = jsonx.String(r.safety)
		} else {
			r.extra("safety_identifier", r.safety)
		}
	}
	return nil
}

func (r *requestReader) tool(at string, raw []byte) error {
	kind := "function"
	if t := jsonx.Get(raw, "type"); !jsonx.IsNull(t) {
		var err error
		if kind, err = wantString(at+".type", t); err != nil {
			return err
		}
	}
	var t llm.Tool
	if kind != "function" {
		t.Native, t.Raw = kind, raw
		def := jsonx.Get(raw, kind)
		t.Name, _ = jsonx.String(jsonx.Get(def, "name"))
		t.Description, _ = jsonx.String(jsonx.Get(def, "description"))
		if kind == llm.FreeText {
			if t.Name == "" {
				return bad(at+".custom.name", reasonMissing, "Missing required parameter: '"+at+".custom.name'.")
			}
			t.Grammar = readGrammar(jsonx.At(def, "format", "grammar"))
		}
		r.chat.Tools = append(r.chat.Tools, t)
		return nil
	}
	def := jsonx.Get(raw, "function")
	if jsonx.Kind(def) != '{' {
		return bad(at+".function", reasonMissing, "Missing required parameter: '"+at+".function'.")
	}
	if err := r.function(at+".function", def, &t); err != nil {
		return err
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type", "function":
		case "cache_control":
			if t.Cache = readCache(v); t.Cache == nil && !jsonx.IsNull(v) {
				t.Extra = append(t.Extra, llm.Member{Name: string(n), Raw: v})
			}
		default:
			t.Extra = append(t.Extra, llm.Member{Name: string(n), Raw: v})
		}
	}
	r.chat.Tools = append(r.chat.Tools, t)
	return nil
}

// readGrammar reads the grammar of a tool that takes free text.
func readGrammar(raw []byte) *llm.Grammar {
	definition, ok := jsonx.String(jsonx.Get(raw, "definition"))
	if !ok {
		return nil
	}
	syntax, _ := jsonx.String(jsonx.Get(raw, "syntax"))
	return &llm.Grammar{Syntax: syntax, Definition: definition}
}

// function reads a function's definition. Members of its own that we do not know go to t.Extra with the
// prefix "function.", by which the writer puts them back.
func (r *requestReader) function(at string, raw []byte, t *llm.Tool) (err error) {
	if jsonx.Kind(raw) != '{' {
		return wrongType(at, "an object", raw)
	}
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "name":
			t.Name, err = wantString(at+".name", v)
		case "description":
			t.Description, err = wantString(at+".description", v)
		case "parameters":
			switch t.Schema = v; {
			case jsonx.Kind(v) != '{':
				err = wrongType(at+".parameters", "an object", v)
			case len(v) > maxSchema:
				err = bad(at+".parameters", reasonValue, fmt.Sprintf("'%s.parameters' is larger than %d bytes.", at, maxSchema))
			}
		case "strict":
			t.Strict, err = boolean(at+".strict", v)
		default:
			t.Extra = append(t.Extra, llm.Member{Name: inFunction + string(n), Raw: v})
		}
		if err != nil {
			return err
		}
	}
	if t.Name == "" {
		return bad(at+".name", reasonMissing, "Missing required parameter: '"+at+".name'.")
	}
	if len(t.Name)+len(t.Description) > maxToolText {
		e := bad(at, reasonValue, fmt.Sprintf("The name and description of '%s' are longer than %d bytes.", at, maxToolText))
		e.Code = llm.CodeTooLarge
		return e
	}
	return nil
}

// inFunction prefixes a tool's extra members that stand within its function.
const inFunction = "function."

func (r *requestReader) choice(at string, raw []byte) error {
	c := &r.chat.Choice
	if c.Mode != llm.ChoiceUnset {
		return bad("function_call", reasonValue, "'function_call' is the deprecated form of 'tool_choice'; only one of them may be given.")
	}
	if jsonx.Kind(raw) == '"' {
		switch string(plain(raw)) {
		case "auto":
			c.Mode = llm.ChoiceAuto
		case "none":
			c.Mode = llm.ChoiceNone
		case "required", "any": // any is Mistral's word
			c.Mode = llm.ChoiceAny
		default:
			return bad(at, reasonValue, "Invalid value: '"+at+"' must be 'none', 'auto', 'required' or an object.")
		}
		return nil
	}
	if jsonx.Kind(raw) != '{' {
		return wrongType(at, "a string or an object", raw)
	}
	kind := plain(jsonx.Get(raw, "type"))
	switch {
	case at == "function_call":
		return r.chosen(at+".name", jsonx.Get(raw, "name"))
	case string(kind) == "function" || string(kind) == llm.FreeText:
		return r.chosen(at+"."+string(kind)+".name", jsonx.At(raw, string(kind), "name"))
	case string(kind) != "allowed_tools":
		return bad(at+".type", reasonValue, "Invalid value: '"+at+".type' must be 'function', 'custom' or 'allowed_tools'.")
	}
	allowed := jsonx.Get(raw, "allowed_tools")
	switch string(plain(jsonx.Get(allowed, "mode"))) {
	case "auto":
		c.Mode = llm.ChoiceSomeAuto
	case "required":
		c.Mode = llm.ChoiceSomeAny
	default:
		return bad(at+".allowed_tools.mode", reasonValue, "Invalid value: '"+at+".allowed_tools.mode' must be 'auto' or 'required'.")
	}
	for i, t := range jsonx.Elements(jsonx.Get(allowed, "tools")) {
		k := string(plain(jsonx.Get(t, "type")))
		n, ok := jsonx.String(jsonx.At(t, k, "name"))
		if !ok {
			p := fmt.Sprintf("%s.allowed_tools.tools[%d]", at, i)
			return bad(p, reasonMissing, "Missing the name of the tool in '"+p+"'.")
		}
		c.Names = append(c.Names, n)
	}
	if len(c.Names) == 0 {
		return bad(at+".allowed_tools.tools", reasonMissing, "Missing required parameter: '"+at+".allowed_tools.tools'.")
	}
	return nil
}

func (r *requestReader) chosen(at string, raw []byte) error {
	n, ok := jsonx.String(raw)
	if !ok || n == "" {
		return bad(at, reasonMissing, "Missing required parameter: '"+at+"'.")
	}
	r.chat.Choice = llm.ToolChoice{Mode: llm.ChoiceOne, Names: []string{n}}
	return nil
}
