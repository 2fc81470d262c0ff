package bedrockconverse

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// open adds a block and emits its start.
func (r *reader) open(src int64, part llm.PartKind, id, tool, seal string) (*inBlock, error) {
	if b := r.find(src); b != nil {
		if err := r.end(b); err != nil {
			return nil, err
		}
	}
	r.state.blocks = append(r.state.blocks, inBlock{src: src, part: part, open: true, from: r.state.chars})
	b := &r.state.blocks[len(r.state.blocks)-1]
	e := r.on(llm.EvBlockStarted, b)
	e.ID, e.Name, e.Seal = id, tool, seal
	return b, r.send()
}

// blockStart reads the start of a block. Only calls have one that says something; what the vocabulary has no word
// for, such as what a tool of the service's own returned, is left out.
func (r *reader) blockStart(src int64, start []byte) error {
	use := jsonx.Get(start, "toolUse")
	if use == nil {
		return nil
	}
	_, err := r.call(src, use)
	return err
}

func (r *reader) call(src int64, use []byte) (*inBlock, error) {
	id, _ := jsonx.String(jsonx.Get(use, "toolUseId"))
	tool, _ := jsonx.String(jsonx.Get(use, "name"))
	if tool == r.trick && r.trick != "" {
		r.state.trick = true // its input is the text
		return r.open(src, llm.PartText, "", "", "")
	}
	r.state.calls = true
	if n, renamed := r.names[tool]; renamed {
		tool = n
	}
	return r.open(src, llm.PartCall, id, tool, "")
}

// delta reads a piece of a block. It is walked, not validated: words are decoded, which mends them.
func (r *reader) delta(payload []byte) error {
	if !r.state.started {
		if err := r.start(); err != nil {
			return err
		}
	}
	var src int64
	var delta []byte
	for n, v := range jsonx.Members(payload) {
		switch string(n) {
		case "contentBlockIndex":
			src, _ = jsonx.Int(v)
		case "delta":
			delta = v
		}
	}
	if delta == nil && jsonx.Valid(payload) != nil {
		return r.fail(llm.CodeUpstream, notJSON)
	}
	for n, v := range jsonx.Members(delta) {
		switch string(n) {
		case "text":
			return r.piece(src, llm.PartText, v)
		case "toolUse":
			if b := r.find(src); b != nil && (b.part == llm.PartCall || r.state.trick) {
				return r.words(b, jsonx.Get(v, "input"))
			}
			return nil
		case "reasoningContent":
			return r.reasoning(src, v)
		case "citation":
			b, err := r.block(src, llm.PartText)
			if err == nil && jsonx.Valid(v) == nil {
				b.cites = append(b.cites, slices.Clone(v))
			}
			return err
		}
	}
	return nil
}

// block returns the open block of an index, and opens it where it is not: blocks of text have no start.
func (r *reader) block(src int64, part llm.PartKind) (*inBlock, error) {
	if b := r.find(src); b != nil && b.part == part {
		return b, nil
	}
	return r.open(src, part, "", "", "")
}

func (r *reader) piece(src int64, part llm.PartKind, raw []byte) error {
	b, err := r.block(src, part)
	if err != nil {
		return err
	}
	return r.words(b, raw)
}

// words emits a piece of text.
func (r *reader) words(b *inBlock, raw []byte) error {
	var ok bool
	if r.text, ok = jsonx.AppendString(r.text[:0], raw); !ok || len(r.text) == 0 {
		return nil
	}
	return r.say(b, r.text)
}

func (r *reader) say(b *inBlock, text []byte) error {
	b.fed = true
	if b.part == llm.PartText {
		r.state.chars += utf8.RuneCount(text)
	}
	r.on(llm.EvDelta, b).Text = text
	return r.send()
}

// reasoning reads a piece of reasoning, or in a document (reasoningText) the whole of it.
func (r *reader) reasoning(src int64, v []byte) error {
	for n, raw := range jsonx.Members(v) {
		switch string(n) {
		case "text":
			if err := r.piece(src, llm.PartThought, raw); err != nil {
				return err
			}
		case "signature":
			b, err := r.block(src, llm.PartThought)
			if err != nil {
				return err
			}
			if err := r.seal(b, raw); err != nil {
				return err
			}
		case "redactedContent":
			s, _ := jsonx.String(raw)
			if s == "" {
				continue
			}
			if _, err := r.open(src, llm.PartThought, "", "", redactedSeal(s)); err != nil {
				return err
			}
		}
	}
	return nil
}

// redactedSeal is the seal of redacted reasoning, with its vendor's name: this provider's, or the one that a gateway
// like this wrapped.
func redactedSeal(data string) string {
	if seal, vendor := unredact(data); vendor != name {
		return dialect.WrapSeal(vendor, seal)
	}
	return dialect.WrapSeal(name, data)
}

func (r *reader) seal(b *inBlock, raw []byte) error {
	s, _ := jsonx.String(raw)
	if s == "" {
		return nil
	}
	if _, _, named := dialect.OpenSeal(s); !named {
		if !b.fed {
			s = hiddenPrefix + s
		}
		s = dialect.WrapSeal(name, s)
	}
	r.on(llm.EvDelta, b).Seal = s
	return r.send()
}

// whole reads a block of a document. Odd ones are left out.
func (r *reader) whole(src int64, raw []byte) error {
	kind, body := only(raw)
	var err error
	switch kind {
	case "text":
		err = r.piece(src, llm.PartText, body)
	case "toolUse":
		err = r.wholeCall(src, body)
	case "reasoningContent":
		// The text comes before the signature, whatever their order on the wire.
		text := jsonx.Get(body, "reasoningText")
		if v := jsonx.Get(text, "text"); v != nil {
			err = r.piece(src, llm.PartThought, v)
		}
		if s := jsonx.Get(text, "signature"); err == nil && s != nil {
			err = r.reasoning(src, append(append([]byte(`{"signature":`), s...), '}'))
		}
		if d := jsonx.Get(body, "redactedContent"); err == nil && d != nil {
			err = r.reasoning(src, append(append([]byte(`{"redactedContent":`), d...), '}'))
		}
	case citedMember:
		for _, c := range jsonx.Elements(jsonx.Get(body, "content")) {
			if err = r.piece(src, llm.PartText, jsonx.Get(c, "text")); err != nil {
				return err
			}
		}
		if b := r.find(src); b != nil {
			for _, c := range jsonx.Elements(jsonx.Get(body, "citations")) {
				b.cites = append(b.cites, slices.Clone(c))
			}
		}
	}
	if b := r.find(src); err == nil && b != nil {
		err = r.end(b)
	}
	return err
}

func (r *reader) wholeCall(src int64, use []byte) error {
	b, err := r.call(src, use)
	if err != nil {
		return err
	}
	input := jsonx.Get(use, "input")
	if input == nil || string(input) == "{}" && b.part == llm.PartCall {
		return nil // as a stream has it
	}
	return r.say(b, input)
}

// end emits what a block ends with. Citations are for the whole block, so its end must be known.
func (r *reader) end(b *inBlock) error {
	for _, raw := range b.cites {
		c := llm.Citation{Start: b.from, End: r.state.chars, Raw: raw, From: name}
		c.Title, _ = jsonx.String(jsonx.Get(raw, "title"))
		c.URL, _ = jsonx.String(jsonx.At(raw, "location", "web", "url"))
		for _, s := range jsonx.Elements(jsonx.Get(raw, "sourceContent")) {
			text, _ := jsonx.String(jsonx.Get(s, "text"))
			c.Text += text
		}
		r.on(llm.EvDelta, b).Cite = &c
		if err := r.send(); err != nil {
			return err
		}
	}
	b.cites = nil
	r.on(llm.EvBlockEnded, b)
	b.open = false
	return r.send()
}

// redacted returns what a block of redacted reasoning holds for a client of this dialect: bytes, in base64.
func redacted(seal string) string {
	s := dialect.ShownSeal(name, seal)
	if dialect.ForeignSeal(name, s) {
		return base64.StdEncoding.EncodeToString([]byte(s))
	}
	return strings.TrimSpace(s)
}
