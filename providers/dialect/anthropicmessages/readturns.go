package anthropicmessages

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

// sourceMember holds, in Media.Extra, the source of a document that is more than our words say.
const sourceMember = "source"

// hiddenPrefix marks, in events and requests, the signature of a thought whose text the provider kept to
// itself. It has a seal and no text like a redacted thought, and must go back in another block; the mark
// stays with it on the way through a client of another dialect. It is on no wire of this one.
const hiddenPrefix = dialect.HiddenMark

// system reads the system prompt as the first turn.
func (r *requestReader) system(raw []byte) error {
	switch jsonx.Kind(raw) {
	case 'n':
		return nil
	case '"':
		if s, _ := jsonx.String(raw); s != "" {
			r.chat.Turns = append(r.chat.Turns, llm.Turn{Role: llm.RoleSystem, Parts: []llm.Part{{Text: s}}})
		}
		return nil
	case '[':
	default:
		return bad("system", "Input should be a valid string or list")
	}
	if jsonx.Deeper(raw, maxDepth) {
		return bad("system", "Input is nested too deep")
	}
	parts, err := readBlocks("system", raw, llm.RoleSystem)
	if len(parts) > 0 {
		r.chat.Turns = append(r.chat.Turns, llm.Turn{Role: llm.RoleSystem, Parts: parts})
	}
	return err
}

func (r *requestReader) messages(raw []byte) error {
	for i, m := range jsonx.Elements(raw) {
		t, err := readMessage(item("messages", i), m)
		if err != nil {
			return err
		}
		// System text in front of the conversation is the system prompt, wherever it stands.
		if n := len(r.chat.Turns); t.Role == llm.RoleSystem && n == 1 && r.chat.Turns[0].Role == llm.RoleSystem {
			first := &r.chat.Turns[0]
			first.Parts = append(first.Parts, t.Parts...)
			first.Extra = append(first.Extra, t.Extra...)
			continue
		}
		r.chat.Turns = append(r.chat.Turns, t)
	}
	return nil
}

func readMessage(at string, raw []byte) (t llm.Turn, err error) {
	for n, v := range jsonx.Members(raw) {
		switch k := string(n); k {
		case "role": // Peek has checked it
			switch string(plain(v)) {
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
	content := jsonx.Get(raw, "content")
	if jsonx.Kind(content) == '"' {
		s, _ := jsonx.String(content)
		t.Parts = []llm.Part{{Text: s}}
		return t, nil
	}
	t.Parts, err = readBlocks(at+".content", content, t.Role)
	return t, err
}

func readBlocks(at string, raw []byte, role llm.Role) ([]llm.Part, error) {
	var parts []llm.Part
	for i, b := range jsonx.Elements(raw) {
		p, err := readBlock(item(at, i), b, role)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return dialect.Settle(parts), nil
}

// block is a content block's members, raw, but for those that every kind may have.
type block struct {
	at      string
	kind    string
	raw     []byte
	part    llm.Part
	members []llm.Member
}

// take returns a member that the block's kind has, and nil where it is absent or null.
func (b *block) take(name string) []byte {
	for i := range b.members {
		if m := &b.members[i]; m.Name == name {
			v := m.Raw
			b.members = append(b.members[:i], b.members[i+1:]...)
			return v
		}
	}
	return nil
}

func readBlock(at string, raw []byte, role llm.Role) (llm.Part, error) {
	b := block{at: at, raw: raw}
	if err := wantObject(at, raw); err != nil {
		return b.part, err
	}
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch k := string(n); k {
		case "type":
			var err error
			if b.kind, err = wantString(at+".type", v); err != nil {
				return b.part, err
			}
			continue
		case "cache_control":
			if b.part.Cache = readCache(v); b.part.Cache != nil {
				continue
			}
		}
		b.members = append(b.members, llm.Member{Name: string(n), Raw: v})
	}
	if b.kind == "" {
		return b.part, bad(at+".type", missing)
	}
	if role == llm.RoleSystem && b.kind != "text" {
		return b.part, bad(at+".type", "Input should be 'text'")
	}
	if err := b.read(role); err != nil {
		return b.part, err
	}
	if b.part.Kind != llm.PartNative && len(b.members) > 0 {
		b.part.Extra = b.members
	}
	return b.part, nil
}

func (b *block) read(role llm.Role) (err error) {
	p := &b.part
	misplaced := func(where string) error {
		return bad(b.at, "`"+b.kind+"` blocks can only be in `"+where+"` messages")
	}
	switch b.kind {
	case "text":
		if p.Text, err = wantString(b.at+".text", b.take("text")); err == nil {
			b.ownCitations()
		}
	case "image":
		p.Kind = llm.PartImage
		p.Media, err = b.image()
	case "document":
		err = b.document()
	case "thinking", "redacted_thinking":
		if role != llm.RoleAssistant {
			return misplaced("assistant")
		}
		err = b.thought()
	case "tool_use":
		if role != llm.RoleAssistant {
			return misplaced("assistant")
		}
		err = b.call()
	case "tool_result":
		if role != llm.RoleUser {
			return misplaced("user")
		}
		err = b.result()
	default:
		*p = llm.Part{Kind: llm.PartNative, Name: b.kind, Raw: b.raw}
	}
	return err
}

// ownCitations takes out the citations that our Writer made for another dialect's (see citation): the
// provider would refuse them.
func (b *block) ownCitations() {
	raw := b.take("citations")
	if raw == nil {
		return
	}
	kept, all := []byte{'['}, true
	for _, c := range jsonx.Elements(raw) {
		if e := jsonx.Get(c, "encrypted_index"); e != nil && len(plain(e)) == 0 {
			all = false
			continue
		}
		kept = append(jsonx.AppendComma(kept), c...)
	}
	switch {
	case all:
		b.members = append(b.members, llm.Member{Name: "citations", Raw: raw})
	case len(kept) > 1:
		b.members = append(b.members, llm.Member{Name: "citations", Raw: append(kept, ']')})
	}
}

func (b *block) thought() (err error) {
	p := &b.part
	p.Kind = llm.PartThought
	if b.kind == "redacted_thinking" {
		if p.Seal, err = wantString(b.at+".data", b.take("data")); err == nil && p.Seal == "" {
			err = bad(b.at+".data", "String should have at least 1 character")
		}
		p.From = name
		if vendor, seal, wrapped := dialect.OpenSeal(p.Seal); wrapped {
			p.Seal, p.From = seal, vendor
		}
		return err
	}
	if p.Text, err = wantString(b.at+".thinking", b.take("thinking")); err != nil {
		return err
	}
	if p.Seal, err = wantString(b.at+".signature", b.take("signature")); err != nil {
		return err
	}
	switch vendor, seal, wrapped := dialect.OpenSeal(p.Seal); {
	case p.Seal == "":
	case wrapped: // another vendor's, as our Writer gave it
		p.Seal, p.From = seal, vendor
		return nil
	case strings.HasPrefix(p.Seal, sealPrefix): // ours: the thought is of a vendor that signs nothing
		p.Seal = ""
	default:
		p.From = name
	}
	if p.Text == "" && p.Seal != "" {
		p.Seal = hiddenPrefix + p.Seal
	}
	return nil
}

func (b *block) call() (err error) {
	c := new(llm.ToolCall)
	b.part.Kind, b.part.Call = llm.PartCall, c
	if c.ID, err = wantString(b.at+".id", b.take("id")); err != nil {
		return err
	}
	if c.Name, err = wantString(b.at+".name", b.take("name")); err != nil {
		return err
	}
	input := b.take("input")
	if err = wantObject(b.at+".input", input); err != nil {
		return err
	}
	c.Args = string(input)
	return nil
}

func (b *block) result() (err error) {
	r := new(llm.ToolReply)
	b.part.Kind, b.part.Reply = llm.PartReply, r
	if r.CallID, err = wantString(b.at+".tool_use_id", b.take("tool_use_id")); err != nil {
		return err
	}
	if e := b.take("is_error"); e != nil {
		if r.Error, err = wantBool(b.at+".is_error", e); err != nil {
			return err
		}
	}
	content := b.take("content")
	switch jsonx.Kind(content) {
	case 0:
	case '"':
		s, _ := jsonx.String(content)
		r.Plain, r.Parts = true, []llm.Part{{Text: s}}
	case '[':
		r.Parts, err = readBlocks(b.at+".content", content, roleResult)
	default:
		err = bad(b.at+".content", "Input should be a valid string or list")
	}
	return err
}

// roleResult is the role that blocks within a tool's result are read for: they are neither side's.
const roleResult = llm.RoleDeveloper

// source reads the members that the kinds of sources share.
func (b *block) source(at string, src []byte, m *llm.Media) (done bool, err error) {
	switch string(plain(jsonx.Get(src, "type"))) {
	case "base64":
		if m.Type, err = wantString(at+".media_type", jsonx.Get(src, "media_type")); err == nil {
			m.Data, err = wantBase64(at+".data", jsonx.Get(src, "data"))
		}
	case "url":
		m.URL, err = wantURL(at+".url", jsonx.Get(src, "url"))
	case "file":
		m.FileID, err = wantString(at+".file_id", jsonx.Get(src, "file_id"))
	default:
		return false, nil
	}
	return true, err
}

func (b *block) image() (*llm.Media, error) {
	src, at := b.take("source"), b.at+".source"
	if err := wantObject(at, src); err != nil {
		return nil, err
	}
	m := new(llm.Media)
	done, err := b.source(at, src, m)
	switch {
	case err != nil:
		return nil, err
	case !done:
		return nil, bad(at+".type", "Input should be 'base64', 'url' or 'file'")
	case m.Data != "":
		m.Type = fit.Sniff(m.Data)
		if !strings.HasPrefix(m.Type, "image/") {
			return nil, bad(at+".data", "The data is not an image of type PNG, JPEG, GIF or WebP")
		}
	}
	return m, nil
}

func (b *block) document() error {
	src, at := b.take("source"), b.at+".source"
	if err := wantObject(at, src); err != nil {
		return err
	}
	m := new(llm.Media)
	b.part.Kind, b.part.Media = llm.PartFile, m
	done, err := b.source(at, src, m)
	if err == nil && !done {
		switch string(plain(jsonx.Get(src, "type"))) {
		case "text":
			m.Type = "text/plain"
			m.Text, err = wantString(at+".data", jsonx.Get(src, "data"))
		case "content":
			if err = b.contents(at, src); err == nil && b.part.Kind == llm.PartNative {
				return nil
			}
		default:
			err = bad(at+".type", "Input should be 'base64', 'text', 'content', 'url' or 'file'")
		}
	}
	if err != nil {
		return err
	}
	if m.Data != "" {
		if kind := fit.Sniff(m.Data); kind != "" {
			m.Type = kind
		}
	}
	if title := b.take("title"); title != nil {
		m.Name, err = wantString(b.at+".title", title)
	}
	return err
}

// contents reads a document that is made of blocks. One of text is a text for others; one with images has
// no equal elsewhere.
func (b *block) contents(at string, src []byte) error {
	m := b.part.Media
	m.Type, m.Extra = "text/plain", []llm.Member{{Name: sourceMember, Raw: src}}
	content := jsonx.Get(src, "content")
	switch jsonx.Kind(content) {
	case '"':
		m.Text, _ = jsonx.String(content)
		return nil
	case '[':
	default:
		return bad(at+".content", "Input should be a valid string or list")
	}
	parts, err := readBlocks(at+".content", content, roleResult)
	if err != nil {
		return err
	}
	for i, p := range parts {
		if p.Kind != llm.PartText {
			b.part = llm.Part{Kind: llm.PartNative, Name: b.kind, Raw: b.raw}
			return nil
		}
		if i > 0 {
			m.Text += "\n"
		}
		m.Text += p.Text
	}
	return nil
}
