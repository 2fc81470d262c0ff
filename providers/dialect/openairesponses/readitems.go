package openairesponses

import (
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// ofItem prefixes, in the extra members of a message's first part, those of the message itself.
const ofItem = "item."

// openText marks, in Part.Name of a thought, reasoning that came as content and not as a summary.
const openText = "reasoning_text"

// custom marks a call, and in Part.Name its reply, of a tool that takes free text.
const custom = llm.FreeText

// items reads the conversation. What the model said in a row, as messages, reasoning and calls, is one turn.
func (r *requestReader) items(at string, raw []byte) error {
	for i, v := range jsonx.Elements(raw) {
		if err := r.item(fmt.Sprintf("%s[%d]", at, i), v); err != nil {
			return err
		}
	}
	r.endRun()
	return nil
}

func (r *requestReader) item(at string, raw []byte) error {
	if jsonx.Kind(raw) != '{' {
		return member.Wrong(at, "an object", raw)
	}
	it := peekItem(raw)
	switch kind := string(it.kind); kind {
	case "", "message":
		return r.message(at, raw, string(plain(it.role)))
	case "reasoning":
		return r.thought(at, raw)
	case "function_call", "custom_tool_call":
		return r.call(at, raw, kind)
	case "function_call_output", "custom_tool_call_output":
		return r.output(at, raw, kind)
	default:
		p := llm.Part{Kind: llm.PartNative, Name: kind, Raw: raw}
		switch {
		case kind == "item_reference" || kind == "compaction":
			r.bound(at)
			r.said(p)
		case strings.HasSuffix(kind, "_output"), strings.HasSuffix(kind, "_response"):
			r.endRun()
			r.chat.Turns = append(r.chat.Turns, llm.Turn{Parts: []llm.Part{p}})
		default:
			r.said(p)
		}
	}
	return nil
}

// said adds parts to what the model said in a row.
func (r *requestReader) said(parts ...llm.Part) {
	if !r.run {
		r.run = true
		r.chat.Turns = append(r.chat.Turns, llm.Turn{Role: llm.RoleAssistant})
	}
	t := &r.chat.Turns[len(r.chat.Turns)-1]
	t.Parts = append(t.Parts, parts...)
}

// endRun ends what the model said in a row, and gives the seals that came beside it to what they seal.
func (r *requestReader) endRun() {
	if r.run {
		t := &r.chat.Turns[len(r.chat.Turns)-1]
		for _, s := range r.seals {
			for j := len(t.Parts) - 1; j >= 0; j-- {
				p := &t.Parts[j]
				if p.Kind == llm.PartCall && p.Call.ID == s.Call || p.Kind == llm.PartText && s.Call == "" {
					p.Seal, p.From = s.Seal, s.Vendor
					break
				}
			}
		}
		if len(t.Parts) == 0 && len(r.seals) > 0 { // seals of what the client left out
			r.chat.Turns = r.chat.Turns[:len(r.chat.Turns)-1]
		}
	}
	r.run, r.seals = false, nil
}

func (r *requestReader) message(at string, raw []byte, role string) error {
	t := llm.Turn{}
	switch role {
	case "assistant":
		t.Role = llm.RoleAssistant
	case "system":
		t.Role = llm.RoleSystem
	case "developer":
		t.Role = llm.RoleDeveloper
	}
	content := jsonx.Get(raw, "content")
	if jsonx.IsNull(content) {
		return member.Wanted(at + ".content")
	}
	parts, err := readContent(at+".content", content, t.Role)
	if err != nil {
		return err
	}
	var extra []llm.Member
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type", "role", "content", "id", "status":
		default:
			extra = append(extra, llm.Member{Name: string(n), Raw: v})
		}
	}
	if t.Role == llm.RoleAssistant {
		for i := range extra {
			extra[i].Name = ofItem + extra[i].Name
		}
		if len(parts) == 0 && len(extra) > 0 {
			parts = []llm.Part{{}}
		}
		if len(parts) > 0 {
			parts[0].Extra = append(extra, parts[0].Extra...)
		}
		r.said(parts...)
		return nil
	}
	r.endRun()
	t.Parts, t.Extra = parts, extra
	r.chat.Turns = append(r.chat.Turns, t)
	return nil
}

// readContent reads content, which is a string or an array of parts.
func readContent(at string, raw []byte, role llm.Role) ([]llm.Part, error) {
	if s, ok := jsonx.String(raw); ok {
		return []llm.Part{{Text: s}}, nil
	}
	if jsonx.Kind(raw) != '[' {
		return nil, member.Wrong(at, "a string or an array of objects", raw)
	}
	parts := []llm.Part{}
	for i, v := range jsonx.Elements(raw) {
		p, err := readPart(fmt.Sprintf("%s[%d]", at, i), v)
		if err != nil {
			return nil, err
		}
		if (role == llm.RoleSystem || role == llm.RoleDeveloper) && p.Kind != llm.PartText {
			return nil, member.Bad(fmt.Sprintf("%s[%d].type", at, i), member.Value,
				fmt.Sprintf("Invalid value: '%s[%d].type' must be 'input_text' in a message of this role.", at, i))
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func readPart(at string, raw []byte) (p llm.Part, err error) {
	if jsonx.Kind(raw) != '{' {
		return p, member.Wrong(at, "an object", raw)
	}
	kind, err := member.String(at+".type", jsonx.Get(raw, "type"))
	if err != nil {
		return p, err
	}
	switch kind {
	case "input_text", "output_text", "text":
		p.Text, err = member.String(at+".text", jsonx.Get(raw, "text"))
	case "refusal":
		p.Kind = llm.PartRefusal
		p.Text, err = member.String(at+".refusal", jsonx.Get(raw, "refusal"))
	case "input_image", "input_file":
		return readMedia(at, raw, kind)
	default:
		return llm.Part{Kind: llm.PartNative, Name: kind, Raw: raw}, nil
	}
	if err != nil {
		return p, err
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type", "text", "refusal":
		default:
			if string(v) != "[]" && !jsonx.IsNull(v) { // as clients echo what the answer had none of
				p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
			}
		}
	}
	return p, nil
}

func readMedia(at string, raw []byte, kind string) (p llm.Part, err error) {
	m := new(llm.Media)
	p = llm.Part{Kind: llm.PartImage, Media: m}
	if kind == "input_file" {
		p.Kind = llm.PartFile
	}
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "type":
		case "image_url", "file_url":
			err = member.URL(at+"."+string(n), v, m)
		case "file_data":
			if s := plain(v); strings.Contains(string(s[:min(len(s), 64)]), ":") {
				err = member.URL(at+".file_data", v, m)
			} else {
				m.Data, err = member.Base64(at+".file_data", v)
			}
		case "file_id":
			m.FileID, err = member.String(at+".file_id", v)
		case "filename":
			m.Name, err = member.String(at+".filename", v)
		case "detail":
			m.Detail, err = member.String(at+".detail", v)
		default:
			p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
		}
		if err != nil {
			return p, err
		}
	}
	if m.URL == "" && m.Data == "" && m.FileID == "" {
		return p, member.Wanted(at + map[llm.PartKind]string{llm.PartImage: ".image_url", llm.PartFile: ".file_data"}[p.Kind])
	}
	return p, nil
}

// thought reads reasoning. What we put into its seal for other vendors is theirs again.
func (r *requestReader) thought(at string, raw []byte) (err error) {
	p := llm.Part{Kind: llm.PartThought}
	var summary, content string
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "type", "id", "status":
		case "summary":
			summary, err = texts(at+".summary", v)
		case "content":
			content, err = texts(at+".content", v)
		case "encrypted_content":
			p.Seal, err = member.String(at+".encrypted_content", v)
		default:
			p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
		}
		if err != nil {
			return err
		}
	}
	if c, ours := dialect.ReadCarrier(p.Seal); ours {
		r.said()
		r.seals = append(r.seals, c)
		return nil
	}
	if p.Text = summary; summary == "" && content != "" {
		p.Text, p.Name = content, openText
	}
	if vendor, seal, wrapped := dialect.OpenSeal(p.Seal); wrapped {
		p.Seal, p.From = seal, vendor
	} else if p.Seal != "" {
		p.From = name
	}
	r.said(p)
	return nil
}

// texts joins the texts of an array of parts.
func texts(at string, raw []byte) (string, error) {
	if jsonx.Kind(raw) != '[' {
		return "", member.Wrong(at, "an array of objects", raw)
	}
	var all []string
	for i, v := range jsonx.Elements(raw) {
		s, err := member.String(fmt.Sprintf("%s[%d].text", at, i), jsonx.Get(v, "text"))
		if err != nil {
			return "", err
		}
		if s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, "\n\n"), nil
}

func (r *requestReader) call(at string, raw []byte, kind string) (err error) {
	c := new(llm.ToolCall)
	p := llm.Part{Kind: llm.PartCall, Call: c}
	args := "arguments"
	if kind == "custom_tool_call" {
		c.Native, args = custom, "input"
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type", "id", "status":
		case "call_id":
			c.ID, err = member.String(at+".call_id", v)
		case "name":
			c.Name, err = member.String(at+".name", v)
		case args:
			c.Args, err = member.String(at+"."+args, v)
		default:
			if !jsonx.IsNull(v) {
				p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
			}
		}
		if err != nil {
			return err
		}
	}
	switch {
	case c.ID == "":
		return member.Wanted(at + ".call_id")
	case c.Name == "":
		return member.Wanted(at + ".name")
	case c.Native == "" && strings.TrimSpace(c.Args) == "":
		c.Args = "{}"
	}
	r.said(p)
	return nil
}

// output reads the result of a call. Each is a turn of its own.
func (r *requestReader) output(at string, raw []byte, kind string) (err error) {
	rep := new(llm.ToolReply)
	p := llm.Part{Kind: llm.PartReply, Reply: rep}
	if kind == "custom_tool_call_output" {
		p.Name = custom
	}
	out := jsonx.Get(raw, "output")
	if jsonx.IsNull(out) {
		return member.Wanted(at + ".output")
	}
	rep.CallID, _ = jsonx.String(jsonx.Get(raw, "call_id")) // Peek has checked it
	rep.Plain = jsonx.Kind(out) == '"'
	if rep.Parts, err = readContent(at+".output", out, llm.RoleUser); err != nil {
		return err
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type", "id", "status", "call_id", "output":
		default:
			if !jsonx.IsNull(v) {
				p.Extra = append(p.Extra, llm.Member{Name: string(n), Raw: v})
			}
		}
	}
	r.endRun()
	r.chat.Turns = append(r.chat.Turns, llm.Turn{Parts: []llm.Part{p}})
	return nil
}
