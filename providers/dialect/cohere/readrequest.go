package cohere

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// maxDepth is the deepest nesting of what is decoded. Members that are only carried may nest deeper.
const maxDepth = 64

// requestReader decodes a chat.
type requestReader struct {
	req       *llm.Request
	chat      *llm.Chat
	strict    []byte // strict_tools
	documents []llm.Part
}

// member reads a top-level member; known is false for one that the vocabulary has no word for.
func (r *requestReader) member(name string, raw []byte) (known bool, err error) {
	switch name {
	case "stream", "max_tokens":
		return true, nil // Peek has them
	case "messages", "documents", "tools", "response_format":
		if jsonx.Deeper(raw, maxDepth) {
			return true, member.Bad(name, member.Value, "'"+name+"' is nested too deep.")
		}
	}
	for _, read := range [...]func(string, []byte) (bool, error){r.content, r.sampling} {
		if known, err := read(name, raw); known || err != nil {
			return known, err
		}
	}
	return false, nil
}

func (r *requestReader) content(name string, raw []byte) (known bool, err error) {
	switch name {
	case "messages", "documents", "tools", "strict_tools", "tool_choice", "response_format", "thinking":
		if jsonx.IsNull(raw) {
			return true, nil
		}
	}
	switch name {
	case "messages":
		err = member.Each(name, raw, maxMessages, func(_ int, at string, raw []byte) error {
			t, err := readMessage(at, raw)
			r.chat.Turns = append(r.chat.Turns, t)
			return err
		})
	case "documents":
		if jsonx.Kind(raw) == '[' && strings.TrimSpace(string(raw[1:len(raw)-1])) == "" {
			return true, nil // as clients send it
		}
		err = member.Each(name, raw, maxDocuments, func(_ int, at string, raw []byte) error {
			p, err := readDocument(at, raw)
			r.documents = append(r.documents, p)
			return err
		})
	case "tools":
		for i, t := range jsonx.Elements(raw) {
			if err = r.tool(i, t); err != nil {
				return true, err
			}
		}
	case "strict_tools":
		r.strict = raw
		_, err = member.Bool(name, raw)
	case "tool_choice":
		var s string
		s, err = member.Word(name, raw, "REQUIRED", "NONE")
		r.chat.Choice.Mode = map[string]llm.ChoiceMode{"REQUIRED": llm.ChoiceAny, "NONE": llm.ChoiceNone}[s]
	case "response_format":
		r.chat.Output, err = readOutput(raw)
	case "thinking":
		r.chat.Thinking, err = readThinking(raw)
	default:
		return false, nil
	}
	return true, err
}

func (r *requestReader) sampling(name string, raw []byte) (known bool, err error) {
	s := &r.chat.Sampling
	switch name {
	case "temperature", "p", "k", "seed", "frequency_penalty", "presence_penalty", "logprobs", "stop_sequences":
		if jsonx.IsNull(raw) {
			return true, nil
		}
	}
	switch name {
	case "temperature":
		s.Temperature, err = member.Ptr(member.Float(name, raw, 0, 5))
	case "p":
		s.TopP, err = member.Ptr(member.Float(name, raw, 0, 1))
	case "k":
		s.TopK, err = member.Ptr(member.Int(name, raw, 0, 1<<31))
	case "seed":
		s.Seed, err = member.Ptr(member.Int(name, raw, 0, maxSafe))
	case "frequency_penalty":
		s.FrequencyPenalty, err = member.Ptr(member.Float(name, raw, -2, 2))
	case "presence_penalty":
		s.PresencePenalty, err = member.Ptr(member.Float(name, raw, -2, 2))
	case "logprobs":
		var on bool
		if on, err = member.Bool(name, raw); err == nil {
			r.chat.Logprobs = &llm.Logprobs{On: on}
		}
	case "stop_sequences":
		if string(raw) == "[]" {
			return true, nil
		}
		err = member.Each(name, raw, 64, func(_ int, at string, raw []byte) error {
			s, err := member.String(at, raw)
			r.chat.Stop = append(r.chat.Stop, s)
			return err
		})
	default:
		return false, nil
	}
	return true, err
}

// end settles what hangs together: strict_tools is of all tools, and documents stand before the last question.
func (r *requestReader) end() error {
	if r.strict != nil {
		strict, _ := jsonx.Bool(r.strict)
		if len(r.chat.Tools) == 0 {
			r.req.Extra.Members = append(r.req.Extra.Members, llm.Member{Name: "strict_tools", Raw: r.strict})
		}
		for i := range r.chat.Tools {
			r.chat.Tools[i].Strict = &strict
		}
	}
	if len(r.documents) == 0 {
		return nil
	}
	for i := len(r.chat.Turns) - 1; i >= 0; i-- {
		if t := &r.chat.Turns[i]; t.Role == llm.RoleUser && (len(t.Parts) == 0 || t.Parts[0].Kind != llm.PartReply) {
			t.Parts = append(r.documents, t.Parts...)
			return nil
		}
	}
	r.chat.Turns = append(r.chat.Turns, llm.Turn{Parts: r.documents})
	return nil
}

func (r *requestReader) tool(i int, raw []byte) (err error) {
	at := "tools[" + itoa(i) + "]"
	if i >= maxTools {
		return member.Bad("tools", member.TooLong, "Invalid 'tools': array too long.")
	}
	if jsonx.Kind(raw) != '{' {
		return member.Wrong(at, "an object", raw)
	}
	var t llm.Tool
	def := jsonx.Get(raw, "function")
	if jsonx.Kind(def) != '{' {
		return member.Wanted(at + ".function")
	}
	for k, v := range jsonx.Members(raw) {
		switch string(k) {
		case "function":
		case "type":
			if _, err := member.Word(at+".type", v, "function"); err != nil {
				return err
			}
		default:
			t.Extra = append(t.Extra, llm.Member{Name: string(k), Raw: v})
		}
	}
	for k, v := range jsonx.Members(def) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(k) {
		case "name":
			t.Name, err = member.String(at+".function.name", v)
		case "description":
			t.Description, err = member.String(at+".function.description", v)
		case "parameters":
			if t.Schema = v; jsonx.Kind(v) != '{' {
				err = member.Wrong(at+".function.parameters", "an object", v)
			}
		default:
			t.Extra = append(t.Extra, llm.Member{Name: inFunction + string(k), Raw: v})
		}
		if err != nil {
			return err
		}
	}
	if t.Name == "" {
		return member.Wanted(at + ".function.name")
	}
	r.chat.Tools = append(r.chat.Tools, t)
	return nil
}

// inFunction prefixes a tool's extra members that stand within its function.
const inFunction = "function."

func readOutput(raw []byte) (o llm.Output, err error) {
	const at = "response_format"
	if jsonx.Kind(raw) != '{' {
		return o, member.Wrong(at, "an object", raw)
	}
	kind, err := member.Word(at+".type", jsonx.Get(raw, "type"), "text", "json_object")
	if err != nil {
		return o, err
	}
	o.Kind = map[string]llm.OutputKind{"text": llm.OutputText, "json_object": llm.OutputJSON}[kind]
	for k, v := range jsonx.Members(raw) {
		switch n := string(k); {
		case n == "type" || jsonx.IsNull(v):
		case n != "json_schema" && n != "schema", kind == "text":
			return o, member.Bad(at+"."+n, member.Unknown, "Unknown parameter: '"+at+"."+n+"'.")
		case jsonx.Kind(v) != '{':
			return o, member.Wrong(at+"."+n, "an object", v)
		default:
			o.Kind, o.Schema = llm.OutputSchema, v
		}
	}
	return o, nil
}

func readThinking(raw []byte) (*llm.Thinking, error) {
	if jsonx.Kind(raw) != '{' {
		return nil, member.Wrong("thinking", "an object", raw)
	}
	kind, err := member.Word("thinking.type", jsonx.Get(raw, "type"), "enabled", "disabled")
	if err != nil {
		return nil, err
	}
	th := &llm.Thinking{Mode: llm.ThinkAdaptive}
	if kind == "disabled" {
		th.Mode = llm.ThinkOff
	}
	for k, v := range jsonx.Members(raw) {
		switch n := string(k); {
		case n == "type" || jsonx.IsNull(v):
		case n != "token_budget":
			return nil, member.Bad("thinking."+n, member.Unknown, "Unknown parameter: 'thinking."+n+"'.")
		default:
			if th.Budget, err = member.Int("thinking.token_budget", v, 1, maxSafe); err != nil {
				return nil, err
			}
			if kind == "enabled" {
				th.Mode = llm.ThinkBudget
			}
		}
	}
	return th, nil
}
