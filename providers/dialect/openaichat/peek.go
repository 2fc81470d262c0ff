package openaichat

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// Limits of a request. A provider's own may be lower; these keep the gateway's work bounded.
const (
	maxMessages = 4096
	maxTools    = 512
	maxChoices  = 128
)

// Reasons, as OpenAI spells them in error.code.
const (
	reasonMissing = "missing_required_parameter"
	reasonType    = "invalid_type"
	reasonValue   = "invalid_value"
)

// control names the members that decide identity, price, routing or limits. A provider that ignores case
// would take a variant of one for the real thing.
var control = [...]string{
	"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n",
	"tools", "tool_choice", "functions", "function_call", "response_format", "reasoning_effort",
	"temperature", "top_p", "service_tier", "store", "modalities", "prediction", "web_search_options",
	"logprobs", "top_logprobs", "user", "safety_identifier",
}

// Peek validates the body and the members that steer the gateway. It decodes no content.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	if in.Op == llm.OpModels {
		return &dialect.Head{Model: strings.TrimPrefix(strings.TrimPrefix(in.Path, "/v1/models"), "/"), N: 1}, nil
	}
	doc, err := jsonx.Scan(in.Body)
	if err != nil {
		return nil, syntax(err)
	}
	if v, of, found := doc.CaseVariant(control[:]...); found {
		return nil, bad(v, "unknown_parameter", fmt.Sprintf("Unknown parameter: '%s'. Did you mean '%s'?", v, of))
	}
	p := peek{head: dialect.Head{Doc: doc, N: 1}}
	for i := range doc.Members {
		m := &doc.Members[i]
		if err := p.member(m.Name, doc.Body[m.Start:m.End]); err != nil {
			return nil, err
		}
	}
	switch {
	case p.head.Model == "":
		return nil, bad("model", reasonMissing, "you must provide a model parameter")
	case !p.messages:
		return nil, bad("messages", reasonMissing, "Missing required parameter: 'messages'.")
	case p.options && !p.head.Stream:
		return nil, bad("stream_options", reasonValue,
			"The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	if p.completion > 0 {
		p.head.MaxTokens = p.completion
	}
	return &p.head, nil
}

// peek is what one walk over the top-level members gathers.
type peek struct {
	head       dialect.Head
	completion int64 // max_completion_tokens, which wins over max_tokens
	messages   bool
	options    bool
}

func (p *peek) member(name string, raw []byte) (err error) {
	if jsonx.IsNull(raw) && name != "model" && name != "messages" {
		return nil // null says nothing, as OpenAI reads it
	}
	switch name {
	case "model":
		p.head.Model, err = wantString(name, raw)
		if err == nil && p.head.Model == "" {
			err = bad(name, reasonMissing, "you must provide a model parameter")
		}
	case "stream":
		p.head.Stream, err = wantBool(name, raw)
	case "stream_options":
		p.options = true
		p.head.Usage, err = peekOptions(raw)
	case "max_tokens":
		p.head.MaxTokens, err = wantInt(name, raw, 1, 1<<53-1)
	case "max_completion_tokens":
		p.completion, err = wantInt(name, raw, 1, 1<<53-1)
	case "n":
		var n int64
		n, err = wantInt(name, raw, 1, maxChoices)
		p.head.N = int(n)
	case "messages":
		p.messages = true
		err = peekMessages(raw)
	case "tools", "functions":
		err = peekTools(name, raw)
	case "temperature":
		_, err = wantFloat(name, raw, 0, 2)
	case "top_p":
		_, err = wantFloat(name, raw, 0, 1)
	case "presence_penalty", "frequency_penalty":
		_, err = wantFloat(name, raw, -2, 2)
	case "logprobs":
		_, err = wantBool(name, raw)
	case "top_logprobs":
		_, err = wantInt(name, raw, 0, 20)
	}
	return err
}

func peekOptions(raw []byte) (usage bool, err error) {
	if jsonx.Kind(raw) != '{' {
		return false, wrongType("stream_options", "an object", raw)
	}
	for n, v := range jsonx.Members(raw) {
		if string(n) == "include_usage" {
			if !jsonx.IsNull(v) {
				usage, err = wantBool("stream_options.include_usage", v)
			}
		} else if len(n) < 32 && strings.EqualFold(string(n), "include_usage") {
			err = bad("stream_options."+string(n), "unknown_parameter",
				fmt.Sprintf("Unknown parameter: 'stream_options.%s'. Did you mean 'stream_options.include_usage'?", n))
		}
		if err != nil {
			return false, err
		}
	}
	return usage, nil
}

func peekTools(name string, raw []byte) error {
	if jsonx.Kind(raw) != '[' {
		return wrongType(name, "an array of objects", raw)
	}
	for i, t := range jsonx.Elements(raw) {
		if i >= maxTools {
			return bad(name, "array_above_max_length",
				fmt.Sprintf("Invalid '%s': array too long. Expected an array with maximum length %d.", name, maxTools))
		}
		if jsonx.Kind(t) != '{' {
			return wrongType(fmt.Sprintf("%s[%d]", name, i), "an object", t)
		}
	}
	return nil
}

// peekMessages checks the roles, and that every tool's reply has its call before it.
func peekMessages(raw []byte) error {
	if jsonx.Kind(raw) != '[' {
		return wrongType("messages", "an array of objects", raw)
	}
	var ids member.IDs
	n := 0
	for i, m := range jsonx.Elements(raw) {
		if n++; n > maxMessages {
			return bad("messages", "array_above_max_length",
				fmt.Sprintf("Invalid 'messages': array too long. Expected an array with maximum length %d.", maxMessages))
		}
		if jsonx.Kind(m) != '{' {
			return wrongType(fmt.Sprintf("messages[%d]", i), "an object", m)
		}
		if err := peekMessage(&ids, i, m); err != nil {
			return err
		}
	}
	if n == 0 {
		return bad("messages", "empty_array",
			"Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	return nil
}

// peekMessage checks the message at i. ids are those of the calls before it.
func peekMessage(ids *member.IDs, i int, m []byte) error {
	var role, id, calls []byte
	for n, v := range jsonx.Members(m) {
		switch string(n) {
		case "role":
			role = v
		case "tool_call_id":
			id = v
		case "tool_calls":
			calls = v
		}
	}
	if role == nil {
		return bad(fmt.Sprintf("messages[%d].role", i), reasonMissing,
			fmt.Sprintf("Missing required parameter: 'messages[%d].role'.", i))
	}
	switch string(plain(role)) {
	case "system", "developer", "user", "function":
	case "assistant":
		for _, c := range jsonx.Elements(calls) {
			if call := jsonx.Get(c, "id"); jsonx.Kind(call) == '"' {
				ids.Add(call)
			}
		}
	case "tool":
		if jsonx.Kind(id) == '"' && ids.Has(id) {
			return nil
		}
		at := fmt.Sprintf("messages[%d].tool_call_id", i)
		if jsonx.IsNull(id) {
			return bad(at, reasonMissing, "Missing required parameter: '"+at+"'.")
		}
		if jsonx.Kind(id) != '"' {
			return wrongType(at, "a string", id)
		}
		return bad(at, reasonValue, "Invalid parameter: '"+at+"' answers no tool call of an earlier message.")
	default:
		at := fmt.Sprintf("messages[%d].role", i)
		if jsonx.Kind(role) != '"' {
			return wrongType(at, "a string", role)
		}
		return bad(at, reasonValue, "Invalid value: '"+at+
			"' must be one of 'system', 'developer', 'user', 'assistant', 'tool' and 'function'.")
	}
	return nil
}

// plain returns the text of a string value, to be compared with known words; nil for any other value.
func plain(raw []byte) []byte {
	if n := len(raw); n >= 2 && raw[0] == '"' && raw[n-1] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : n-1]
	}
	b, _ := jsonx.AppendString(nil, raw)
	return b
}

// syntax turns a scanner's error into ours.
func syntax(err error) *llm.Error {
	e := &llm.Error{
		Code: llm.CodeInvalid, Op: name + ".read",
		Message: "We could not parse the JSON body of your request: " + err.Error() + ".",
	}
	if s, ok := err.(*jsonx.SyntaxError); ok { //nolint:errorlint // the scanner returns it bare
		e.Param = s.Name
	}
	return e
}

func bad(param, reason, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeInvalid, Op: name + ".read", Param: param, Reason: reason, Message: message}
}

func wrongType(param, want string, got []byte) *llm.Error {
	kinds := map[byte]string{'{': "an object", '[': "an array", '"': "a string", 't': "a boolean", 'f': "a boolean", 'n': "null", '0': "a number"}
	return bad(param, reasonType, fmt.Sprintf("Invalid type for '%s': expected %s, but got %s instead.", param, want, kinds[jsonx.Kind(got)]))
}

func wantString(param string, raw []byte) (string, error) {
	s, ok := jsonx.String(raw)
	if !ok {
		return "", wrongType(param, "a string", raw)
	}
	return s, nil
}

func wantBool(param string, raw []byte) (bool, error) {
	b, ok := jsonx.Bool(raw)
	if !ok {
		return false, wrongType(param, "a boolean", raw)
	}
	return b, nil
}

func wantInt(param string, raw []byte, low, high int64) (int64, error) {
	n, ok := jsonx.Int(raw)
	switch {
	case !ok && jsonx.Kind(raw) == '0':
		return 0, bad(param, reasonType, fmt.Sprintf(
			"Invalid type for '%s': expected an integer without fraction or exponent, of at most 2^53-1.", param))
	case !ok:
		return 0, wrongType(param, "an integer", raw)
	case n < low:
		return 0, bad(param, "integer_below_min_value", fmt.Sprintf(
			"Invalid '%s': integer below minimum value. Expected a value >= %d, but got %d instead.", param, low, n))
	case n > high:
		return 0, bad(param, "integer_above_max_value", fmt.Sprintf(
			"Invalid '%s': integer above maximum value. Expected a value <= %d, but got %d instead.", param, high, n))
	}
	return n, nil
}

func wantFloat(param string, raw []byte, low, high float64) (float64, error) {
	f, ok := jsonx.Float(raw)
	switch {
	case !ok:
		return 0, wrongType(param, "a number", raw)
	case f < low:
		return 0, bad(param, "decimal_below_min_value", fmt.Sprintf(
			"Invalid '%s': decimal below minimum value. Expected a value >= %g, but got %g instead.", param, low, f))
	case f > high:
		return 0, bad(param, "decimal_above_max_value", fmt.Sprintf(
			"Invalid '%s': decimal above maximum value. Expected a value <= %g, but got %g instead.", param, high, f))
	}
	return f, nil
}
