package openairesponses

import (
	"bytes"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// maxInItems bounds how many items one answer may have.
const maxInItems = 4096

// inItem is an item of the answer, as it arrives.
type inItem struct {
	index   int64
	kind    string // "message", "reasoning", "call" or "native"
	parts   []inPart
	open    bool // the block of what is no message
	block   int
	part    llm.PartKind
	fed     bool // it had content
	calls   bool // it waits for a tool's result
	done    bool
	summary bool  // its reasoning comes as a summary, and not as it is
	thought int64 // the piece of it that is at hand
}

// inPart is a part of a message's content.
type inPart struct {
	index int64
	part  llm.PartKind
	block int
	open  bool
	done  bool
	fed   bool
	cites int // how many citations were emitted
	base  int // code points of text before it
}

func (r *reader) find(index int64) *inItem {
	for i := len(r.items) - 1; i >= 0; i-- {
		if r.items[i].index == index {
			return &r.items[i]
		}
	}
	return nil
}

// item returns the item at an index, which may come without having been announced.
func (r *reader) item(index int64, kind string) *inItem {
	if it := r.find(index); it != nil {
		return it
	}
	r.items = append(r.items, inItem{index: index, kind: kind})
	return &r.items[len(r.items)-1]
}

// send emits the event that was set up in r.ev.
func (r *reader) send() error { return r.emit(&r.ev) }

// begin emits the start of a block and returns its number.
func (r *reader) begin(part llm.PartKind) (int, error) {
	n := r.blocks
	r.blocks++
	r.ev = llm.Event{Kind: llm.EvBlockStarted, Index: n, Part: part}
	return n, r.send()
}

func (r *reader) end(block int, part llm.PartKind) error {
	r.ev = llm.Event{Kind: llm.EvBlockEnded, Index: block, Part: part}
	return r.send()
}

// piece emits a piece of a block's text, where there is any.
func (r *reader) piece(block int, part llm.PartKind, raw []byte) (n int, err error) {
	var ok bool
	if r.buf, ok = jsonx.AppendString(r.buf[:0], raw); !ok || len(r.buf) == 0 {
		return 0, nil
	}
	r.ev = llm.Event{Kind: llm.EvDelta, Index: block, Part: part, Text: r.buf}
	return len(r.buf), r.send()
}

// at returns the part of a message with an index, in a block that is open.
func (r *reader) at(it *inItem, index int64, part llm.PartKind) (*inPart, error) {
	for i := range it.parts {
		if p := &it.parts[i]; p.index == index {
			return p, r.opened(p)
		}
	}
	it.parts = append(it.parts, inPart{index: index, part: part})
	p := &it.parts[len(it.parts)-1]
	return p, r.opened(p)
}

func (r *reader) opened(p *inPart) (err error) {
	if !p.open && !p.done {
		p.open, p.base = true, r.chars
		p.block, err = r.begin(p.part)
	}
	return err
}

// words takes a piece of a message.
func (r *reader) words(f *frame, part llm.PartKind) error {
	it := r.item(f.output, "message")
	if it.kind != "message" || it.done || string(f.delta) == `""` {
		return nil
	}
	p, err := r.at(it, f.content, part)
	if err != nil || p.done {
		return err
	}
	var ok bool
	if r.buf, ok = jsonx.AppendString(r.buf[:0], f.delta); !ok {
		return nil
	}
	p.fed = true
	if part == llm.PartText {
		r.chars += utf8.RuneCount(r.buf)
	}
	r.ev = llm.Event{Kind: llm.EvDelta, Index: p.block, Part: part, Text: r.buf}
	if len(f.logprobs) > 2 {
		r.ev.Logprobs = chatLogprobs(f.logprobs)
	}
	return r.send()
}

// wordsDone takes the whole text of a part, of which the pieces may not have come.
func (r *reader) wordsDone(f *frame) error {
	part := llm.PartText
	if string(f.kind) == "response.refusal.done" {
		part = llm.PartRefusal
	}
	return r.partText(r.item(f.output, "message"), f.content, part, f.text)
}

func (r *reader) partText(it *inItem, index int64, part llm.PartKind, text []byte) error {
	if it.kind != "message" || len(text) <= 2 {
		return nil
	}
	p, err := r.at(it, index, part)
	if err != nil || p.fed || p.done {
		return err
	}
	p.fed = true
	n, err := r.piece(p.block, part, text)
	if n > 0 && part == llm.PartText {
		r.chars += utf8.RuneCount(r.buf)
	}
	return err
}

// partDone takes a whole part of a message and ends its block.
func (r *reader) partDone(f *frame) error {
	it := r.find(f.output)
	if it == nil || it.kind != "message" {
		return nil // of reasoning
	}
	return r.wholePart(it, f.content, f.part)
}

func (r *reader) wholePart(it *inItem, index int64, raw []byte) error {
	part, text := llm.PartText, jsonx.Get(raw, "text")
	if string(plain(jsonx.Get(raw, "type"))) == "refusal" {
		part, text = llm.PartRefusal, jsonx.Get(raw, "refusal")
	}
	if err := r.partText(it, index, part, text); err != nil {
		return err
	}
	for i := range it.parts {
		p := &it.parts[i]
		if p.index != index || p.done {
			continue
		}
		for k, c := range jsonx.Elements(jsonx.Get(raw, "annotations")) {
			if k >= p.cites {
				if err := r.cite(p, c); err != nil {
					return err
				}
			}
		}
		return r.shutPart(p)
	}
	return nil
}

func (r *reader) shutPart(p *inPart) error {
	p.done = true
	if !p.open {
		return nil
	}
	p.open = false
	return r.end(p.block, p.part)
}

// cited takes a citation of a part.
func (r *reader) cited(f *frame) error {
	it := r.item(f.output, "message")
	if it.kind != "message" {
		return nil
	}
	p, err := r.at(it, f.content, llm.PartText)
	if err != nil || p.done {
		return err
	}
	return r.cite(p, f.cite)
}

// cite emits a citation. Its range counts from the start of the part; ours counts from that of the whole text.
func (r *reader) cite(p *inPart, raw []byte) error {
	p.cites++
	if jsonx.Kind(raw) != '{' {
		return nil
	}
	c := &llm.Citation{Raw: oneLine(raw), From: name}
	c.URL, _ = jsonx.String(jsonx.Get(raw, "url"))
	if c.Title, _ = jsonx.String(jsonx.Get(raw, "title")); c.Title == "" {
		c.Title, _ = jsonx.String(jsonx.Get(raw, "filename"))
	}
	start, ok := jsonx.Int(jsonx.Get(raw, "start_index"))
	stop, too := jsonx.Int(jsonx.Get(raw, "end_index"))
	if ok && too {
		c.Start, c.End = p.base+int(start), p.base+int(stop)
	}
	r.ev = llm.Event{Kind: llm.EvDelta, Index: p.block, Part: p.part, Cite: c}
	return r.send()
}

// oneLine returns a copy of a JSON value without line ends, which a stream of events cannot carry.
func oneLine(raw []byte) []byte {
	if bytes.ContainsAny(raw, "\r\n") {
		if c, err := jsonx.Compact(raw); err == nil {
			return c
		}
	}
	return bytes.Clone(raw)
}

// added takes the start of an item.
func (r *reader) added(f *frame, data []byte) error {
	if len(r.items) >= maxInItems {
		return r.fail(broken("The provider sent too many items."))
	}
	if r.find(f.output) != nil {
		return nil
	}
	return r.announce(f.output, f.item, data)
}

// announce takes an item's first form. Blocks of messages and reasoning begin with their content.
func (r *reader) announce(index int64, raw, data []byte) (err error) {
	kind := string(plain(jsonx.Get(raw, "type")))
	switch kind {
	case "message", "":
		r.item(index, "message")
		return nil
	case "reasoning":
		r.item(index, kind)
		return nil
	case "function_call", "custom_tool_call":
		it := r.item(index, "call")
		it.open, it.calls, it.part = true, true, llm.PartCall
		it.block, r.blocks = r.blocks, r.blocks+1
		r.ev = llm.Event{Kind: llm.EvBlockStarted, Index: it.block, Part: llm.PartCall}
		r.ev.ID, _ = jsonx.String(jsonx.Get(raw, "call_id"))
		r.ev.Name, _ = jsonx.String(jsonx.Get(raw, "name"))
		if n, renamed := r.names[r.ev.Name]; renamed {
			r.ev.Name = n
		}
		return r.send()
	}
	it := r.item(index, "native")
	it.open, it.part = true, llm.PartNative
	it.block, r.blocks = r.blocks, r.blocks+1
	r.ev = llm.Event{Kind: llm.EvBlockStarted, Index: it.block, Part: llm.PartNative, Name: kind, Raw: data}
	return r.send()
}

// args takes a piece of a call's arguments.
func (r *reader) args(f *frame) error {
	it := r.find(f.output)
	if it == nil || it.kind != "call" || !it.open {
		return nil
	}
	n, err := r.piece(it.block, llm.PartCall, f.delta)
	it.fed = it.fed || n > 0
	return err
}

func (r *reader) argsDone(f *frame) error {
	if it := r.find(f.output); it != nil && it.kind == "call" {
		return r.wholeArgs(it, f.arguments)
	}
	return nil
}

func (r *reader) wholeArgs(it *inItem, raw []byte) error {
	if it.fed || !it.open {
		return nil
	}
	n, err := r.piece(it.block, llm.PartCall, raw)
	it.fed = n > 0
	return err
}

// reasoned takes a piece of reasoning. Where a vendor sends it both as it is and as a summary, what comes first counts.
func (r *reader) reasoned(f *frame) (err error) {
	it := r.item(f.output, "reasoning")
	summary := string(f.kind) == "response.reasoning_summary_text.delta"
	if it.kind != "reasoning" || it.done || len(f.delta) <= 2 || it.fed && it.summary != summary {
		return nil
	}
	if err = r.think(it, ""); err != nil {
		return err
	}
	if it.fed && it.thought != f.content {
		r.ev = llm.Event{Kind: llm.EvDelta, Index: it.block, Part: llm.PartThought, Text: append(r.buf[:0], "\n\n"...)}
		if err = r.send(); err != nil {
			return err
		}
	}
	it.fed, it.summary, it.thought = true, summary, f.content
	_, err = r.piece(it.block, llm.PartThought, f.delta)
	return err
}

// think opens the block of reasoning, with its seal where there is nothing but that.
func (r *reader) think(it *inItem, seal string) error {
	if it.open {
		return nil
	}
	it.open, it.part = true, llm.PartThought
	it.block, r.blocks = r.blocks, r.blocks+1
	r.ev = llm.Event{Kind: llm.EvBlockStarted, Index: it.block, Part: llm.PartThought, Seal: seal}
	return r.send()
}

// itemDone takes an item's last form, and what of it did not come before.
func (r *reader) itemDone(f *frame, data []byte) error {
	if r.find(f.output) == nil {
		if err := r.announce(f.output, f.item, data); err != nil {
			return err
		}
	}
	return r.complete(r.find(f.output), f.item, data)
}

func (r *reader) complete(it *inItem, raw, data []byte) error {
	if it == nil || it.done {
		return nil
	}
	switch it.kind {
	case "message":
		for i, p := range jsonx.Elements(jsonx.Get(raw, "content")) {
			if err := r.wholePart(it, it.place(int64(i)), p); err != nil {
				return err
			}
		}
	case "call":
		args := jsonx.Get(raw, "arguments")
		if args == nil {
			args = jsonx.Get(raw, "input")
		}
		if err := r.wholeArgs(it, args); err != nil {
			return err
		}
	case "reasoning":
		if err := r.wholeThought(it, raw); err != nil {
			return err
		}
	case "native":
		it.done, it.open = true, false
		r.ev = llm.Event{Kind: llm.EvBlockEnded, Index: it.block, Part: llm.PartNative, Raw: data}
		return r.send()
	}
	return r.shut(it)
}

// place is the content_index of the i-th part of a whole item. Some vendors count from elsewhere in their streams.
func (it *inItem) place(i int64) int64 {
	if int(i) < len(it.parts) {
		return it.parts[i].index
	}
	return i
}

func (r *reader) wholeThought(it *inItem, raw []byte) error {
	if !it.fed {
		for _, n := range [...]string{"summary", "content"} {
			text, err := texts(n, jsonx.Get(raw, n))
			if err != nil || text == "" {
				continue
			}
			if err := r.think(it, ""); err != nil {
				return err
			}
			it.fed = true
			r.buf = append(r.buf[:0], text...)
			r.ev = llm.Event{Kind: llm.EvDelta, Index: it.block, Part: llm.PartThought, Text: r.buf}
			if err := r.send(); err != nil {
				return err
			}
			break
		}
	}
	seal, _ := jsonx.String(jsonx.Get(raw, "encrypted_content"))
	if seal == "" {
		return nil
	}
	if seal = dialect.WrapSeal(r.vendor, seal); !it.fed {
		return r.think(it, seal)
	}
	r.ev = llm.Event{Kind: llm.EvDelta, Index: it.block, Part: llm.PartThought, Seal: seal}
	return r.send()
}

// shut ends what is open of an item.
func (r *reader) shut(it *inItem) error {
	if it.done {
		return nil
	}
	it.done = true
	for i := range it.parts {
		if err := r.shutPart(&it.parts[i]); err != nil {
			return err
		}
	}
	if !it.open {
		return nil
	}
	it.open = false
	return r.end(it.block, it.part)
}

// late takes an item of the whole response, unless it was streamed.
func (r *reader) late(index int64, raw []byte) error {
	if r.document {
		if err := r.announce(index, raw, raw); err != nil {
			return err
		}
		return r.complete(r.find(index), raw, raw)
	}
	if it := r.find(index); it != nil {
		return r.complete(it, raw, raw)
	}
	for i := range r.items {
		if r.items[i].index > index {
			return nil // their numbers are not the places in the list
		}
	}
	if err := r.announce(index, raw, raw); err != nil {
		return err
	}
	return r.complete(r.find(index), raw, raw)
}

// native passes on an event of an item that the vocabulary has no word for.
func (r *reader) native(f *frame, data []byte) error {
	it := r.find(f.output)
	if it == nil || it.kind != "native" || !it.open || jsonx.Get(data, "output_index") == nil {
		return nil
	}
	r.ev = llm.Event{Kind: llm.EvDelta, Index: it.block, Part: llm.PartNative, Raw: data}
	return r.send()
}
