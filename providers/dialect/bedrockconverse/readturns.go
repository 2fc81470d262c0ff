package bedrockconverse

import (
	"encoding/base64"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// Marks of what stands in the vocabulary otherwise than on the wire.
const (
	jsonText     = "json"             // Part.Name of a tool's result that is a JSON value
	citedMember  = "citationsContent" // Part.Extra: the block that the text is from
	sourceMember = "source"           // Media.Extra: the source of a document that is more than our words say

	// hiddenPrefix marks, in events and requests, the signature of a thought whose text the provider kept to itself: it
	// has a seal and no text, like a redacted one, and must go back in another block.
	hiddenPrefix = dialect.HiddenMark
)

// system reads the system prompt as the first turn.
func (r *requestReader) system(at string, raw []byte) error {
	parts, err := readBlocks(at, raw, llm.RoleSystem)
	if len(parts) > 0 {
		r.chat.Turns = append(r.chat.Turns, llm.Turn{Role: llm.RoleSystem, Parts: parts})
	}
	return err
}

func (r *requestReader) messages(at string, raw []byte) error {
	return each(at, raw, maxMessages, func(at string, m []byte) (err error) {
		var t llm.Turn
		for n, v := range jsonx.Members(m) {
			switch k := string(n); k {
			case "role": // Peek has checked it
				switch string(member.Plain(v)) {
				case "assistant":
					t.Role = llm.RoleAssistant
				case "system":
					t.Role = llm.RoleSystem
				}
			case "content":
			default:
				t.Extra = append(t.Extra, llm.Member{Name: k, Raw: v})
			}
		}
		t.Parts, err = readBlocks(at+".content", jsonx.Get(m, "content"), t.Role)
		// System text in front of the conversation is the system prompt, wherever it stands.
		if n := len(r.chat.Turns); t.Role == llm.RoleSystem && n == 1 && r.chat.Turns[0].Role == llm.RoleSystem {
			first := &r.chat.Turns[0]
			first.Parts = append(first.Parts, t.Parts...)
			first.Extra = append(first.Extra, t.Extra...)
			return err
		}
		r.chat.Turns = append(r.chat.Turns, t)
		return err
	})
}

func readBlocks(at string, raw []byte, role llm.Role) (parts []llm.Part, err error) {
	err = each(at, raw, maxBlocks, func(at string, raw []byte) error {
		if err := wantObject(at, raw); err != nil {
			return err
		}
		kind, body := only(raw)
		if kind == "" {
			return bad(at, member.Value, "the block must have exactly one member")
		}
		if n := len(parts); kind == "cachePoint" && n > 0 && parts[n-1].Cache == nil && parts[n-1].Kind != llm.PartNative {
			parts[n-1].Cache = cacheOf(body)
			return nil
		}
		p, err := readBlock(at+"."+kind, kind, raw, body, role)
		parts = append(parts, p)
		return err
	})
	return dialect.Settle(parts), err
}

func readBlock(at, kind string, raw, body []byte, role llm.Role) (p llm.Part, err error) {
	native := llm.Part{Kind: llm.PartNative, Name: kind, Raw: raw}
	if kind == "text" {
		p.Text, err = member.String(at, body)
		return p, err
	}
	if role == llm.RoleSystem {
		return native, nil
	}
	switch kind {
	case "image", "document", "audio", "toolUse", "toolResult", "reasoningContent", citedMember:
		if err := wantObject(at, body); err != nil {
			return p, err
		}
	}
	switch {
	case kind == "image", kind == "audio":
		if done, err := readMedia(at, kind, body, &p); !done || err != nil {
			return native, err
		}
	case kind == "document":
		if done, err := readDocument(at, body, &p); !done || err != nil {
			return native, err
		}
	case kind == "toolUse" && role == llm.RoleAssistant:
		err = readCall(at, body, &p)
	case kind == "toolResult" && role == llm.RoleUser:
		err = readReply(at, body, &p)
	case kind == "reasoningContent" && role == llm.RoleAssistant:
		err = readThought(at, body, &p)
	case kind == citedMember:
		for _, c := range jsonx.Elements(jsonx.Get(body, "content")) {
			s, _ := jsonx.String(jsonx.Get(c, "text"))
			p.Text += s
		}
		p.Extra = []llm.Member{{Name: citedMember, Raw: body}}
	case kind == jsonText && role == roleResult:
		p.Text, p.Name = string(body), jsonText
	default:
		return native, nil
	}
	return p, err
}

// roleResult is the role that blocks within a tool's result are read for: they are neither side's.
const roleResult = llm.RoleDeveloper

// readMedia reads an image or a recording by value. done is false for another source, which only Bedrock reads.
func readMedia(at, kind string, body []byte, p *llm.Part) (done bool, err error) {
	data := jsonx.At(body, "source", "bytes")
	if data == nil {
		return false, nil
	}
	p.Kind = llm.PartImage
	m := new(llm.Media)
	format, err := member.String(at+".format", jsonx.Get(body, "format"))
	if err != nil {
		return true, err
	}
	if kind == "audio" {
		p.Kind, m.Format, m.Type = llm.PartAudio, format, "audio/"+format
	} else {
		m.Type = "image/" + format
	}
	p.Media = m
	m.Data, err = member.Base64(at+".source.bytes", data)
	for n, v := range jsonx.Members(body) {
		if k := string(n); k != "format" && k != "source" {
			p.Extra = append(p.Extra, llm.Member{Name: k, Raw: v})
		}
	}
	return true, err
}

// formats are the kinds of documents, by the API's word and by media type.
var formats = [...]struct{ format, kind string }{
	{"pdf", "application/pdf"},
	{"csv", "text/csv"},
	{"doc", "application/msword"},
	{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{"xls", "application/vnd.ms-excel"},
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{"html", "text/html"},
	{"txt", "text/plain"},
	{"md", "text/markdown"},
}

func readDocument(at string, body []byte, p *llm.Part) (done bool, err error) {
	m := new(llm.Media)
	p.Kind, p.Media = llm.PartFile, m
	src := jsonx.Get(body, "source")
	if err := wantObject(at+".source", src); err != nil {
		return true, err
	}
	switch kind, v := only(src); kind {
	case "bytes":
		m.Data, err = member.Base64(at+".source.bytes", v)
	case "text":
		m.Text, err = member.String(at+".source.text", v)
	case "content":
		m.Extra = []llm.Member{{Name: sourceMember, Raw: src}}
		for i, c := range jsonx.Elements(v) {
			s, _ := jsonx.String(jsonx.Get(c, "text"))
			if i > 0 {
				m.Text += "\n"
			}
			m.Text += s
		}
	default:
		return false, nil
	}
	if err != nil {
		return true, err
	}
	for n, v := range jsonx.Members(body) {
		switch k := string(n); k {
		case "source":
		case "name":
			m.Name, err = member.String(at+".name", v)
		case "format":
			format, _ := jsonx.String(v)
			m.Format = format
			for _, f := range formats {
				if f.format == format {
					m.Type, m.Format = f.kind, ""
				}
			}
		default:
			p.Extra = append(p.Extra, llm.Member{Name: k, Raw: v})
		}
		if err != nil {
			return true, err
		}
	}
	if m.Data == "" && m.Type == "" {
		m.Type = "text/plain"
	}
	return true, nil
}

func readCall(at string, body []byte, p *llm.Part) (err error) {
	c := new(llm.ToolCall)
	p.Kind, p.Call = llm.PartCall, c
	for n, v := range jsonx.Members(body) {
		switch k := string(n); k {
		case "toolUseId":
			c.ID, err = member.String(at+".toolUseId", v)
		case "name":
			c.Name, err = member.String(at+".name", v)
		case "input":
			c.Args = string(v)
		default:
			p.Extra = append(p.Extra, llm.Member{Name: k, Raw: v})
		}
		if err != nil {
			return err
		}
	}
	switch {
	case c.ID == "":
		return member.Wanted(at + ".toolUseId")
	case c.Name == "":
		return member.Wanted(at + ".name")
	case c.Args == "":
		return member.Wanted(at + ".input")
	}
	return nil
}

func readReply(at string, body []byte, p *llm.Part) (err error) {
	r := new(llm.ToolReply)
	p.Kind, p.Reply = llm.PartReply, r
	for n, v := range jsonx.Members(body) {
		switch k := string(n); k {
		case "toolUseId":
			r.CallID, err = member.String(at+".toolUseId", v)
		case "content":
			r.Parts, err = readBlocks(at+".content", v, roleResult)
		case "status":
			var word string
			word, err = member.Word(at+".status", v, "success", "error")
			r.Error = word == "error"
		default:
			p.Extra = append(p.Extra, llm.Member{Name: k, Raw: v})
		}
		if err != nil {
			return err
		}
	}
	if r.CallID == "" {
		return member.Wanted(at + ".toolUseId")
	}
	return nil
}

func readThought(at string, body []byte, p *llm.Part) (err error) {
	p.Kind = llm.PartThought
	if data := jsonx.Get(body, "redactedContent"); data != nil {
		seal, err := member.Base64(at+".redactedContent", data)
		if err != nil {
			return err
		}
		p.Seal, p.From = unredact(seal)
		return nil
	}
	text := jsonx.Get(body, "reasoningText")
	if err := wantObject(at+".reasoningText", text); err != nil {
		return err
	}
	if p.Text, err = member.String(at+".reasoningText.text", jsonx.Get(text, "text")); err != nil {
		return err
	}
	if s := jsonx.Get(text, "signature"); !jsonx.IsNull(s) {
		if p.Seal, err = member.String(at+".reasoningText.signature", s); err != nil {
			return err
		}
	}
	if p.Seal == "" {
		return nil
	}
	vendor, seal, wrapped := dialect.OpenSeal(p.Seal)
	if wrapped {
		p.Seal, p.From = seal, vendor
		return nil
	}
	p.From = name
	if p.Text == "" {
		p.Seal = hiddenPrefix + p.Seal
	}
	return nil
}

// unredact returns the seal that a block of redacted reasoning holds, and whose it is: another vendor's is wrapped.
func unredact(data string) (seal, vendor string) {
	if plain, err := base64.StdEncoding.DecodeString(data); err == nil {
		if vendor, seal, wrapped := dialect.OpenSeal(string(plain)); wrapped {
			return seal, vendor
		}
		if _, ours := dialect.ReadCarrier(string(plain)); ours {
			return string(plain), name
		}
	}
	return strings.TrimSpace(data), name
}
