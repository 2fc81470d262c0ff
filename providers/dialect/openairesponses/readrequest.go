package openairesponses

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// Entries of include that the gateway keeps by itself.
const (
	includeSeals    = "reasoning.encrypted_content"
	includeLogprobs = "message.output_text.logprobs"
)

// instructions marks, in Part.Name of a system text, that it stood in the member of that name.
const instructions = "instructions"

// ReadRequest decodes the whole request. It checks everything that Peek checks.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	head, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	op := llm.OpChat
	if in.Op == llm.OpCount {
		op = in.Op
	}
	chat := &llm.Chat{MaxTokens: head.MaxTokens}
	req := &llm.Request{Op: op, Model: head.Model, Stream: head.Stream, Usage: true, Body: chat, Extra: llm.Extra{Dialect: name}}
	r := requestReader{req: req, chat: chat}
	// The instructions come first in the conversation, wherever their member stands.
	if raw, found := head.Doc.Get(instructions); found && !jsonx.IsNull(raw) {
		if err := r.instructions(raw); err != nil {
			return nil, err
		}
	}
	for i := range head.Doc.Members {
		m := &head.Doc.Members[i]
		if err := r.member(m.Name, head.Doc.Body[m.Start:m.End]); err != nil {
			return nil, err
		}
	}
	r.endRun()
	if r.safety != nil {
		if chat.Hints.User == "" {
			chat.Hints.User, _ = jsonx.String(r.safety)
		} else {
			r.extra("safety_identifier", r.safety)
		}
	}
	return req, nil
}

// requestReader decodes one request.
type requestReader struct {
	req    *llm.Request
	chat   *llm.Chat
	safety []byte            // safety_identifier
	run    bool              // the last turn is the model's, and what the model said next belongs to it
	seals  []dialect.Carrier // of the run
}

func (r *requestReader) extra(name string, raw []byte) {
	if raw != nil {
		r.req.Extra.Members = append(r.req.Extra.Members, llm.Member{Name: name, Raw: raw})
	}
}

// bound notes that only a provider of this dialect can honor the member.
func (r *requestReader) bound(at string) {
	if r.req.Bound == "" {
		r.req.Bound = at
	}
}

func (r *requestReader) instructions(raw []byte) error {
	if jsonx.Kind(raw) == '[' {
		return r.items(instructions, raw)
	}
	s, err := member.String(instructions, raw)
	if s != "" {
		r.chat.Turns = append(r.chat.Turns, llm.Turn{Role: llm.RoleSystem, Parts: []llm.Part{{Text: s, Name: instructions}}})
	}
	return err
}

func (r *requestReader) member(name string, raw []byte) error {
	switch name {
	case "model", "stream", "max_output_tokens", instructions:
		return nil // read already
	case "input", "tools", "tool_choice", "text", "reasoning":
		if jsonx.Deeper(raw, maxDepth) {
			return member.Bad(name, member.Value, fmt.Sprintf("'%s' is nested deeper than %d levels.", name, maxDepth))
		}
	}
	if jsonx.IsNull(raw) {
		if !known(name) {
			r.extra(name, raw)
		}
		return nil
	}
	for _, read := range [...]func(string, []byte) (bool, error){r.content, r.steering, r.hints} {
		if done, err := read(name, raw); done || err != nil {
			return err
		}
	}
	if stated(name) {
		r.bound(name)
	}
	r.extra(name, raw)
	return nil
}

// known reports whether null stands for the absence of a member.
func known(name string) bool {
	switch name {
	case "prompt_cache_key", "prompt_cache_retention", "stream_options":
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
	case "input":
		if s, ok := jsonx.String(raw); ok {
			r.chat.Turns = append(r.chat.Turns, llm.Turn{Parts: []llm.Part{{Text: s}}})
			return true, nil
		}
		err = r.items(name, raw)
	case "tools":
		for i, t := range jsonx.Elements(raw) {
			if err := r.tool(fmt.Sprintf("tools[%d]", i), t); err != nil {
				return true, err
			}
		}
	case "tool_choice":
		err = r.choice(raw)
	case "parallel_tool_calls":
		r.chat.Parallel, err = member.Ptr(member.Bool(name, raw))
	case "text":
		err = r.text(raw)
	case "reasoning":
		err = r.reasoning(raw)
	default:
		return false, nil
	}
	return true, err
}

// steering reads the members that steer how the answer is made and what comes with it.
func (r *requestReader) steering(name string, raw []byte) (done bool, err error) {
	s := &r.chat.Sampling
	switch name {
	case "temperature":
		s.Temperature, err = member.Ptr(member.Float(name, raw, 0, 2))
	case "top_p":
		s.TopP, err = member.Ptr(member.Float(name, raw, 0, 1))
	case "presence_penalty":
		s.PresencePenalty, err = member.Ptr(member.Float(name, raw, -2, 2))
	case "frequency_penalty":
		s.FrequencyPenalty, err = member.Ptr(member.Float(name, raw, -2, 2))
	case "top_logprobs":
		r.logprobs().Top, err = member.Ptr(member.Int(name, raw, 0, 20))
	case "include":
		err = r.include(raw)
	case "truncation":
		if string(plain(raw)) != "disabled" { // which is the default
			r.extra(name, raw)
		}
	case "background":
		if on, _ := jsonx.Bool(raw); on {
			r.bound(name)
			r.extra(name, raw)
		}
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

// include reads what the answer is to hold beside the usual. Seals of reasoning are in every answer that has them.
func (r *requestReader) include(raw []byte) error {
	if jsonx.Kind(raw) != '[' {
		return member.Wrong("include", "an array of strings", raw)
	}
	rest := []byte{'['}
	for i, v := range jsonx.Elements(raw) {
		s, err := member.String(fmt.Sprintf("include[%d]", i), v)
		if err != nil {
			return err
		}
		switch s {
		case includeSeals:
		case includeLogprobs:
			r.logprobs().On = true
		default:
			rest = append(jsonx.AppendComma(rest), v...)
		}
	}
	if len(rest) > 1 {
		r.extra("include", append(rest, ']'))
	}
	return nil
}

// hints reads the members that steer bookkeeping.
func (r *requestReader) hints(name string, raw []byte) (done bool, err error) {
	h := &r.chat.Hints
	switch name {
	case "user":
		h.User, err = member.String(name, raw)
	case "safety_identifier":
		r.safety = raw
		_, err = member.String(name, raw)
	case "service_tier":
		h.ServiceTier, err = member.String(name, raw)
	case "prompt_cache_key":
		h.CacheKey, err = member.String(name, raw)
	case "prompt_cache_retention":
		h.CacheTTL, err = member.String(name, raw)
	case "store":
		h.Store, err = member.Ptr(member.Bool(name, raw))
	case "metadata":
		if h.Metadata = raw; jsonx.Kind(raw) != '{' {
			err = member.Wrong(name, "an object", raw)
		}
	default:
		return false, nil
	}
	return true, err
}

func (r *requestReader) reasoning(raw []byte) (err error) {
	const at = "reasoning"
	if jsonx.Kind(raw) != '{' {
		return member.Wrong(at, "an object", raw)
	}
	th := new(llm.Thinking)
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "effort":
			if th.Effort, err = member.String(at+".effort", v); th.Effort == llm.EffortNone {
				th.Mode = llm.ThinkOff
			}
		case "summary", "generate_summary":
			th.Display, err = member.Word(at+"."+string(n), v, "auto", "concise", "detailed", "none")
		}
		if err != nil {
			return err
		}
	}
	if *th != (llm.Thinking{}) {
		r.chat.Thinking = th
	}
	r.extra(at, member.Without(raw, "effort", "summary", "generate_summary"))
	return nil
}

func (r *requestReader) text(raw []byte) (err error) {
	const at = "text"
	if jsonx.Kind(raw) != '{' {
		return member.Wrong(at, "an object", raw)
	}
	if v := jsonx.Get(raw, "verbosity"); !jsonx.IsNull(v) {
		if r.chat.Hints.Verbosity, err = member.String(at+".verbosity", v); err != nil {
			return err
		}
	}
	if f := jsonx.Get(raw, "format"); !jsonx.IsNull(f) {
		if r.chat.Output, err = readFormat(f); err != nil {
			return err
		}
	}
	r.extra(at, member.Without(raw, "format", "verbosity"))
	return nil
}

func readFormat(raw []byte) (o llm.Output, err error) {
	const at = "text.format"
	if jsonx.Kind(raw) != '{' {
		return o, member.Wrong(at, "an object", raw)
	}
	kind, err := member.Word(at+".type", jsonx.Get(raw, "type"), "text", "json_object", "json_schema")
	switch {
	case err != nil:
		return o, err
	case kind == "text":
		o.Kind = llm.OutputText
		return o, nil
	case kind == "json_object":
		o.Kind = llm.OutputJSON
		return o, nil
	}
	o.Kind = llm.OutputSchema
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "name":
			o.Name, err = member.String(at+".name", v)
		case "description":
			o.Description, err = member.String(at+".description", v)
		case "strict":
			o.Strict, err = member.Ptr(member.Bool(at+".strict", v))
		case "schema":
			switch o.Schema = v; {
			case jsonx.Kind(v) != '{':
				err = member.Wrong(at+".schema", "an object", v)
			case len(v) > maxSchema:
				err = member.Bad(at+".schema", member.Value, fmt.Sprintf("'%s.schema' is larger than %d bytes.", at, maxSchema))
			}
		}
		if err != nil {
			return o, err
		}
	}
	switch {
	case o.Name == "":
		return o, member.Wanted(at + ".name")
	case o.Schema == nil:
		return o, member.Wanted(at + ".schema")
	}
	return o, nil
}

// tool reads one tool. A built-in one is carried whole; its name is its type unless it has one.
func (r *requestReader) tool(at string, raw []byte) (err error) {
	kind, err := member.String(at+".type", jsonx.Get(raw, "type"))
	if err != nil {
		return err
	}
	if kind == "" {
		return member.Bad(at+".type", member.Value, "Invalid value: '"+at+".type' is empty.")
	}
	if kind != "function" {
		return r.native(at, kind, raw)
	}
	var t llm.Tool
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "type":
		case "name":
			t.Name, err = member.String(at+".name", v)
		case "description":
			t.Description, err = member.String(at+".description", v)
		case "parameters":
			switch t.Schema = v; {
			case jsonx.Kind(v) != '{':
				err = member.Wrong(at+".parameters", "an object", v)
			case len(v) > maxSchema:
				err = member.Bad(at+".parameters", member.Value, fmt.Sprintf("'%s.parameters' is larger than %d bytes.", at, maxSchema))
			}
		case "strict":
			t.Strict, err = member.Ptr(member.Bool(at+".strict", v))
		default:
			t.Extra = append(t.Extra, llm.Member{Name: string(n), Raw: v})
		}
		if err != nil {
			return err
		}
	}
	switch {
	case t.Name == "":
		return member.Wanted(at + ".name")
	case len(t.Name)+len(t.Description) > maxText:
		e := member.Bad(at, member.Value, fmt.Sprintf("The name and description of '%s' are longer than %d bytes.", at, maxText))
		e.Code = llm.CodeTooLarge
		return e
	}
	r.chat.Tools = append(r.chat.Tools, t)
	return nil
}

// native reads a tool that is no function.
func (r *requestReader) native(at, kind string, raw []byte) error {
	t := llm.Tool{Native: kind, Raw: raw}
	t.Description, _ = jsonx.String(jsonx.Get(raw, "description"))
	if t.Name, _ = jsonx.String(jsonx.Get(raw, "name")); t.Name == "" {
		if kind == custom {
			return member.Wanted(at + ".name")
		}
		t.Name = kind
	}
	if definition, ok := jsonx.String(jsonx.At(raw, "format", "definition")); ok && kind == custom {
		t.Grammar = &llm.Grammar{Definition: definition}
		t.Grammar.Syntax, _ = jsonx.String(jsonx.At(raw, "format", "syntax"))
	}
	r.chat.Tools = append(r.chat.Tools, t)
	return nil
}

// choice reads tool_choice. One that names a built-in tool means something to this dialect's providers alone.
func (r *requestReader) choice(raw []byte) error {
	const at = "tool_choice"
	c := &r.chat.Choice
	if jsonx.Kind(raw) == '"' {
		switch string(plain(raw)) {
		case "auto":
			c.Mode = llm.ChoiceAuto
		case "none":
			c.Mode = llm.ChoiceNone
		case "required":
			c.Mode = llm.ChoiceAny
		default:
			return member.Bad(at, member.Value, "Invalid value: 'tool_choice' must be 'none', 'auto', 'required' or an object.")
		}
		return nil
	}
	if jsonx.Kind(raw) != '{' {
		return member.Wrong(at, "a string or an object", raw)
	}
	kind, err := member.String(at+".type", jsonx.Get(raw, "type"))
	switch {
	case err != nil:
		return err
	case kind == "function" || kind == "custom":
		n, ok := jsonx.String(jsonx.Get(raw, "name"))
		if !ok || n == "" {
			return member.Wanted(at + ".name")
		}
		*c = llm.ToolChoice{Mode: llm.ChoiceOne, Names: []string{n}}
		return nil
	case kind == "allowed_tools":
		return r.allowed(at, raw)
	}
	r.bound(at)
	r.extra(at, raw)
	return nil
}

func (r *requestReader) allowed(at string, raw []byte) error {
	mode, err := member.Word(at+".mode", jsonx.Get(raw, "mode"), "auto", "required")
	if err != nil {
		return err
	}
	c := llm.ToolChoice{Mode: llm.ChoiceSomeAuto}
	if mode == "required" {
		c.Mode = llm.ChoiceSomeAny
	}
	for i, t := range jsonx.Elements(jsonx.Get(raw, "tools")) {
		switch kind := string(plain(jsonx.Get(t, "type"))); kind {
		case "function", "custom", "":
			n, ok := jsonx.String(jsonx.Get(t, "name"))
			if !ok {
				return member.Wanted(fmt.Sprintf("%s.tools[%d].name", at, i))
			}
			c.Names = append(c.Names, n)
		default:
			r.bound(at)
			r.extra(at, raw)
			return nil
		}
	}
	if len(c.Names) == 0 {
		return member.Wanted(at + ".tools")
	}
	r.chat.Choice = c
	return nil
}
