package openaichat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// message reads one message. Each becomes one turn.
func (r *requestReader) message(i int, raw []byte) (t llm.Turn, err error) {
	at := "messages[" + strconv.Itoa(i) + "]"
	var m message
	if err = m.read(at, raw); err != nil {
		return t, err
	}
	t.Name, t.Extra = m.name, m.extra
	switch string(plain(m.role)) {
	case "system":
		t.Role = llm.RoleSystem
	case "developer":
		t.Role = llm.RoleDeveloper
	case "assistant":
		t.Role = llm.RoleAssistant
		err = r.assistant(at, &m, &t)
	case "tool", "function":
		t.Name = ""
		err = r.reply(at, &m, &t)
	}
	if t.Role != llm.RoleAssistant && t.Parts == nil && err == nil {
		if jsonx.IsNull(m.content) {
			return t, bad(at+".content", reasonMissing, "Missing required parameter: '"+at+".content'.")
		}
		t.Parts, err = readContent(at+".content", m.content, t.Role)
	}
	if err == nil && !jsonx.IsNull(m.cache) {
		mark := readCache(m.cache)
		if n := len(t.Parts); mark != nil && n > 0 {
			if t.Parts[n-1].Cache == nil {
				t.Parts[n-1].Cache = mark
			}
		} else {
			t.Extra = append(t.Extra, llm.Member{Name: "cache_control", Raw: m.cache})
		}
	}
	return t, err
}

// message is a message's members, raw.
type message struct {
	role, content, cache   []byte
	name                   string
	callID                 []byte
	refusal                []byte
	calls, call            []byte // tool_calls and the deprecated function_call
	reasoning, blocks, sig []byte
	extra                  []llm.Member
}

func (m *message) read(at string, raw []byte) (err error) {
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "role":
			m.role = v
		case "content":
			m.content = v
		case "cache_control":
			m.cache = v
		case "name":
			m.name, err = wantString(at+".name", v)
		case "tool_call_id":
			m.callID = v
		case "refusal":
			m.refusal = v
		case "tool_calls":
			m.calls = v
		case "function_call":
			m.call = v
		case "reasoning_content":
			m.reasoning = v
		case "reasoning":
			if m.reasoning == nil {
				m.reasoning = v
			}
		case "thinking_blocks":
			m.blocks = v
		case "annotations":
			if string(v) == "[]" {
				continue // as clients echo it
			}
			m.extra = append(m.extra, llm.Member{Name: string(n), Raw: v})
		case "extra_content":
			if m.sig = jsonx.At(v, "google", "thought_signature"); jsonx.Kind(m.sig) == '"' {
				continue
			}
			m.sig = nil
			m.extra = append(m.extra, llm.Member{Name: string(n), Raw: v})
		default:
			m.extra = append(m.extra, llm.Member{Name: string(n), Raw: v})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *requestReader) assistant(at string, m *message, t *llm.Turn) (err error) {
	if t.Parts, err = readThoughts(at, m); err != nil {
		return err
	}
	if m.content != nil {
		parts, err := readContent(at+".content", m.content, llm.RoleAssistant)
		if err != nil {
			return err
		}
		t.Parts = append(t.Parts, parts...)
	}
	if m.sig != nil {
		sealText(t, m.sig)
	}
	if m.refusal != nil {
		s, err := wantString(at+".refusal", m.refusal)
		if err != nil {
			return err
		}
		if s != "" {
			t.Parts = append(t.Parts, llm.Part{Kind: llm.PartRefusal, Text: s})
		}
	}
	if m.calls != nil && jsonx.Kind(m.calls) != '[' {
		return wrongType(at+".tool_calls", "an array of objects", m.calls)
	}
	for i, c := range jsonx.Elements(m.calls) {
		p, err := readCall(fmt.Sprintf("%s.tool_calls[%d]", at, i), c)
		if err != nil {
			return err
		}
		t.Parts = append(t.Parts, p)
	}
	if m.call != nil {
		call, err := readFunctionCall(at+".function_call", m.call)
		if err != nil {
			return err
		}
		call.ID = "call_function_" + strconv.Itoa(r.calls)
		r.calls++
		t.Parts = append(t.Parts, llm.Part{Kind: llm.PartCall, Call: call, Name: deprecated})
	}
	return nil
}

// sealText gives a signature of the whole message to its last text.
func sealText(t *llm.Turn, sig []byte) {
	for i := len(t.Parts) - 1; i >= 0; i-- {
		if t.Parts[i].Kind == llm.PartText {
			s, _ := jsonx.String(sig)
			t.Parts[i].Seal, t.Parts[i].From = openGoogle(s)
			return
		}
	}
	t.Extra = append(t.Extra, llm.Member{
		Name: "extra_content", Raw: fmt.Appendf(nil, `{"google":{"thought_signature":%s}}`, sig),
	})
}

// openGoogle returns a signature that stands where Google has its own, and whose it is.
func openGoogle(s string) (seal, vendor string) {
	if vendor, seal, wrapped := dialect.OpenSeal(s); wrapped {
		return seal, vendor
	}
	return s, sealGoogle
}

func readThoughts(at string, m *message) ([]llm.Part, error) {
	if m.blocks == nil {
		if m.reasoning == nil {
			return nil, nil
		}
		s, err := wantString(at+".reasoning_content", m.reasoning)
		if err != nil || s == "" {
			return nil, err
		}
		return []llm.Part{{Kind: llm.PartThought, Text: s}}, nil
	}
	at += ".thinking_blocks"
	if jsonx.Kind(m.blocks) != '[' {
		return nil, wrongType(at, "an array of objects", m.blocks)
	}
	var parts []llm.Part
	for i, b := range jsonx.Elements(m.blocks) {
		p := llm.Part{Kind: llm.PartThought}
		var err error
		switch string(plain(jsonx.Get(b, "type"))) {
		case "thinking":
			if p.Text, err = wantString(fmt.Sprintf("%s[%d].thinking", at, i), jsonx.Get(b, "thinking")); err != nil {
				return nil, err
			}
			p.Seal, _ = jsonx.String(jsonx.Get(b, "signature"))
		case "redacted_thinking":
			if p.Seal, err = wantString(fmt.Sprintf("%s[%d].data", at, i), jsonx.Get(b, "data")); err != nil {
				return nil, err
			}
		default:
			return nil, bad(fmt.Sprintf("%s[%d].type", at, i), reasonValue,
				fmt.Sprintf("Invalid value: '%s[%d].type' must be 'thinking' or 'redacted_thinking'.", at, i))
		}
		if vendor, seal, wrapped := dialect.OpenSeal(p.Seal); wrapped {
			p.Seal, p.From = seal, vendor
		} else if p.Seal != "" {
			p.From = sealAnthropic
		}
		if p.Seal != "" || p.Text != "" {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

func readCall(at string, raw []byte) (p llm.Part, err error) {
	if jsonx.Kind(raw) != '{' {
		return p, wrongType(at, "an object", raw)
	}
	p = llm.Part{Kind: llm.PartCall, Call: new(llm.ToolCall)}
	var function, custom []byte
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "id":
			p.Call.ID, err = wantString(at+".id", v)
		case "type":
		case "function":
			function = v
		case "custom":
			custom = v
		case "cache_control":
			if p.Cache = readCache(v); p.Cache == nil {
				p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
			}
		case "extra_content":
			if s, ok := jsonx.String(jsonx.At(v, "google", "thought_signature")); ok && s != "" {
				p.Seal, p.From = openGoogle(s)
				continue
			}
			p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
		default:
			p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
		}
		if err != nil {
			return p, err
		}
	}
	id := p.Call.ID
	if custom != nil {
		p.Call.Native = llm.FreeText
		if p.Call.Name, err = wantString(at+".custom.name", jsonx.Get(custom, "name")); err == nil {
			p.Call.Args, err = wantString(at+".custom.input", jsonx.Get(custom, "input"))
		}
		return p, err
	}
	if p.Call, err = readFunctionCall(at+".function", function); err != nil {
		return p, err
	}
	p.Call.ID = id
	return p, nil
}

func readFunctionCall(at string, raw []byte) (*llm.ToolCall, error) {
	if jsonx.Kind(raw) != '{' {
		return nil, bad(at, reasonMissing, "Missing required parameter: '"+at+"'.")
	}
	call := new(llm.ToolCall)
	var err error
	if call.Name, err = wantString(at+".name", jsonx.Get(raw, "name")); err != nil {
		return nil, err
	}
	switch args := jsonx.Get(raw, "arguments"); jsonx.Kind(args) {
	case '"':
		call.Args, _ = jsonx.String(args)
	case '{': // as old Mistral clients send them
		call.Args = string(args)
	case 0, 'n':
	default:
		return nil, wrongType(at+".arguments", "a string", args)
	}
	if strings.TrimSpace(call.Args) == "" {
		call.Args = "{}"
	}
	return call, nil
}

// reply reads a message of role tool or function.
func (r *requestReader) reply(at string, m *message, t *llm.Turn) (err error) {
	rep := &llm.ToolReply{Name: m.name, Plain: jsonx.Kind(m.content) == '"'}
	part := llm.Part{Kind: llm.PartReply, Reply: rep}
	if string(plain(m.role)) == "function" {
		part.Name = deprecated
		rep.CallID = r.lastCall(m.name)
		if m.content == nil {
			rep.Plain, rep.Parts = true, []llm.Part{{}} // null is legal here: no result
		}
	} else {
		rep.CallID, _ = jsonx.String(m.callID) // Peek has checked it
		if m.content == nil {
			return bad(at+".content", reasonMissing, "Missing required parameter: '"+at+".content'.")
		}
	}
	if m.content != nil {
		if rep.Parts, err = readContent(at+".content", m.content, llm.RoleUser); err != nil {
			return err
		}
	}
	t.Parts = []llm.Part{part}
	return nil
}

// lastCall finds the id that we gave to the latest deprecated call of a function.
func (r *requestReader) lastCall(function string) string {
	for _, v := range slices.Backward(r.chat.Turns) {
		for _, p := range v.Parts {
			if p.Kind == llm.PartCall && p.Name == deprecated && p.Call.Name == function {
				return p.Call.ID
			}
		}
	}
	return "call_function_" + function
}

// readContent reads content, which is a string or an array of parts.
func readContent(at string, raw []byte, role llm.Role) ([]llm.Part, error) {
	switch jsonx.Kind(raw) {
	case '"':
		s, _ := jsonx.String(raw)
		return []llm.Part{{Kind: llm.PartText, Text: s}}, nil
	case '[':
	default:
		return nil, wrongType(at, "a string or an array of objects", raw)
	}
	parts := []llm.Part{}
	for i, v := range jsonx.Elements(raw) {
		p, err := readPart(at+"["+strconv.Itoa(i)+"]", v, role)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// readPart reads one part of an array of content.
func readPart(at string, raw []byte, role llm.Role) (p llm.Part, err error) {
	if jsonx.Kind(raw) != '{' {
		return p, wrongType(at, "an object", raw)
	}
	kind, err := wantString(at+".type", jsonx.Get(raw, "type"))
	if err != nil {
		return p, err
	}
	body := jsonx.Get(raw, kind)
	switch kind {
	case "text":
		p.Text, err = wantString(at+".text", body)
	case "refusal":
		p.Kind = llm.PartRefusal
		p.Text, err = wantString(at+".refusal", body)
	case "image_url":
		p.Kind = llm.PartImage
		p.Media, err = readImage(at+".image_url", body)
	case "input_audio":
		p.Kind = llm.PartAudio
		p.Media, err = readAudio(at+".input_audio", body)
	case "file":
		p.Kind = llm.PartFile
		p.Media, err = readFile(at+".file", body)
	default:
		return llm.Part{Kind: llm.PartNative, Name: kind, Raw: raw}, nil
	}
	if err != nil {
		return p, err
	}
	if role == llm.RoleSystem || role == llm.RoleDeveloper {
		if p.Kind != llm.PartText {
			return p, bad(at+".type", reasonValue, "Invalid value: '"+at+".type' must be 'text' in a message of this role.")
		}
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type", kind:
		case "cache_control":
			if p.Cache = readCache(v); p.Cache == nil && !jsonx.IsNull(v) {
				p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
			}
		default:
			p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
		}
	}
	return p, nil
}
