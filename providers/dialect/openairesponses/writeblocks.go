package openairesponses

import (
	"strconv"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// itemID makes the id of the open item.
func (w *writer) itemID(prefix string) string {
	return prefix + w.progress.tail + strconv.FormatInt(w.progress.item, 16)
}

// addItem writes the event that an item begins with.
func (w *writer) addItem(dst, item []byte) []byte {
	if !w.stream {
		return dst
	}
	dst = strconv.AppendInt(w.head(dst, "response.output_item.added", `,"output_index":`), w.progress.item, 10)
	return append(append(append(dst, `,"item":`...), item...), "}\n\n"...)
}

// endItem writes the event that an item ends with, and keeps it for the whole response.
func (w *writer) endItem(dst, item []byte) []byte {
	if w.stream {
		dst = strconv.AppendInt(w.head(dst, "response.output_item.done", `,"output_index":`), w.progress.item, 10)
		dst = append(append(append(dst, `,"item":`...), item...), "}\n\n"...)
	}
	w.progress.item++
	w.output = append(jsonx.AppendComma(w.output), item...)
	return dst
}

// open writes what a block begins with.
func (w *writer) open(dst []byte, b *outBlock) []byte {
	b.state.open = true
	if b.part == llm.PartText || b.part == llm.PartRefusal {
		return w.openText(dst, b)
	}
	dst = w.endMessage(dst)
	switch b.part {
	case llm.PartThought:
		b.item = w.itemID("rs_")
		dst = w.addItem(dst, w.thought(nil, b))
		if w.stream && (len(b.text) > 0 || b.seal == "") {
			dst = w.openSummary(dst, b)
		}
	case llm.PartCall:
		b.item = w.itemID("fc_")
		if b.state.custom {
			b.item = w.itemID("ctc_")
		}
		dst = w.addItem(dst, w.call(nil, b, "in_progress", nil))
	case llm.PartNative:
		b.item, _ = jsonx.String(jsonx.Get(b.native, "id"))
		if b.item == "" || string(jsonx.AppendQuote(nil, b.item)) != `"`+b.item+`"` { // ids are written without escapes
			b.item = w.itemID("item_")
		}
		b.native = withID(b.native, b.item)
		dst = w.addItem(dst, b.native)
	}
	return dst
}

func (w *writer) openText(dst []byte, b *outBlock) []byte {
	m := &w.message
	if !m.open {
		m.open, m.id, m.parts, m.content = true, w.itemID("msg_"), 0, m.content[:0]
		dst = w.addItem(dst, w.whole(nil, "in_progress"))
	}
	b.item = m.id
	if !w.stream {
		return dst
	}
	dst = append(w.content(w.of(dst, "response.content_part.added", b)), `,"part":`...)
	return append(w.textPart(dst, b, nil, false), "}\n\n"...)
}

// content appends the index of the open message's part.
func (w *writer) content(dst []byte) []byte {
	return strconv.AppendInt(append(dst, `,"content_index":`...), w.message.parts, 10)
}

// whole appends the open message.
func (w *writer) whole(dst []byte, status string) []byte {
	dst = append(append(dst, `{"type":"message","id":"`...), w.message.id...)
	dst = append(append(dst, `","status":"`...), status...)
	dst = append(append(dst, `","role":"assistant","content":[`...), w.message.content...)
	return append(dst, "]}"...)
}

// textPart appends a part of a message. all says that its citations and log probabilities belong to it.
func (w *writer) textPart(dst []byte, b *outBlock, text []byte, all bool) []byte {
	if b.part == llm.PartRefusal {
		dst = append(dst, `{"type":"refusal","refusal":`...)
		return append(jsonx.AppendQuote(dst, text), '}')
	}
	dst = jsonx.AppendQuote(append(dst, `{"type":"output_text","text":`...), text)
	dst = append(dst, `,"annotations":[`...)
	if all {
		dst = append(dst, b.cites...)
	}
	dst = append(dst, `],"logprobs":[`...)
	if all {
		dst = append(dst, b.logprobs...)
	}
	return append(dst, "]}"...)
}

// endMessage ends the open message, when something else than text follows or nothing.
func (w *writer) endMessage(dst []byte) []byte {
	if !w.message.open {
		return dst
	}
	w.message.open = false
	return w.endItem(dst, w.whole(nil, w.status()))
}

// thought appends an item of reasoning.
func (w *writer) thought(dst []byte, b *outBlock) []byte {
	dst = append(append(dst, `{"type":"reasoning","id":"`...), b.item...)
	dst = append(dst, `","summary":[`...)
	if b.state.ended && len(b.text) > 0 {
		dst = jsonx.AppendQuote(append(dst, `{"type":"summary_text","text":`...), b.text)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if b.seal != "" {
		dst = jsonx.AppendText(dst, "encrypted_content", dialect.ShownSeal(name, b.seal))
	}
	return append(dst, '}')
}

func (w *writer) openSummary(dst []byte, b *outBlock) []byte {
	b.state.cites = 1 // the summary's part is open
	return append(w.of(dst, "response.reasoning_summary_part.added", b), ",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"\"}}\n\n"...)
}

// call appends an item of a call.
func (w *writer) call(dst []byte, b *outBlock, status string, args []byte) []byte {
	kind, input := "function_call", `,"arguments":`
	if b.state.custom {
		kind, input = "custom_tool_call", `,"input":`
	}
	dst = append(append(append(dst, `{"type":"`...), kind...), `","id":"`...)
	dst = append(append(append(dst, b.item...), `","status":"`...), status...)
	dst = jsonx.AppendText(append(dst, '"'), "call_id", b.id)
	dst = append(jsonx.AppendText(dst, "name", b.name), input...)
	return append(jsonx.AppendQuote(dst, args), '}')
}

// flush writes what of the open block is not out.
func (w *writer) flush(dst []byte, b *outBlock) []byte {
	text := b.text[b.sent:]
	if len(text) > 0 {
		b.sent = len(b.text)
		if w.stream {
			dst = w.piece(dst, b, text)
		}
	}
	if len(b.unsent) > 0 {
		b.logprobs = append(jsonx.AppendComma(b.logprobs), b.unsent...)
		b.unsent = b.unsent[:0]
	}
	for i := range b.waiting {
		c := w.annotation(nil, &b.waiting[i])
		if c == nil {
			continue
		}
		if w.stream {
			dst = w.content(w.of(dst, "response.output_text.annotation.added", b))
			dst = strconv.AppendInt(append(dst, `,"annotation_index":`...), b.state.cites, 10)
			dst = append(append(append(dst, `,"annotation":`...), c...), "}\n\n"...)
		}
		b.state.cites++
		b.cites = append(jsonx.AppendComma(b.cites), c...)
	}
	b.waiting = b.waiting[:0]
	return dst
}

// piece writes a piece of the open block's text.
func (w *writer) piece(dst []byte, b *outBlock, text []byte) []byte {
	switch b.part {
	case llm.PartText:
		dst = append(w.content(w.of(dst, "response.output_text.delta", b)), `,"delta":`...)
		dst = append(jsonx.AppendQuote(dst, text), `,"logprobs":[`...)
		return append(append(dst, b.unsent...), "]}\n\n"...)
	case llm.PartRefusal:
		dst = append(w.content(w.of(dst, "response.refusal.delta", b)), `,"delta":`...)
	case llm.PartThought:
		if b.state.cites == 0 {
			dst = w.openSummary(dst, b)
		}
		dst = append(w.of(dst, "response.reasoning_summary_text.delta", b), `,"summary_index":0,"delta":`...)
	default:
		kind := "response.function_call_arguments.delta"
		if b.state.custom {
			kind = "response.custom_tool_call_input.delta"
		}
		dst = append(w.of(dst, kind, b), `,"delta":`...)
	}
	return append(jsonx.AppendQuote(dst, text), "}\n\n"...)
}

// annotation appends a citation, or nothing for one that names no page. Its range counts from the start of its part.
func (w *writer) annotation(dst []byte, c *llm.Citation) []byte {
	if c.From == name && c.Raw != nil {
		return append(dst, c.Raw...)
	}
	if c.URL == "" {
		return dst
	}
	dst = append(dst, `{"type":"url_citation","start_index":`...)
	dst = strconv.AppendInt(dst, int64(max(c.Start-w.progress.chars, 0)), 10)
	dst = strconv.AppendInt(append(dst, `,"end_index":`...), int64(max(c.End-w.progress.chars, 0)), 10)
	return append(jsonx.AppendText(jsonx.AppendText(dst, "url", c.URL), "title", c.Title), '}')
}

// shut writes what the open block ends with.
func (w *writer) shut(dst []byte, b *outBlock) []byte {
	switch b.part {
	case llm.PartText, llm.PartRefusal:
		dst = w.shutText(dst, b)
	case llm.PartThought:
		if w.stream && b.state.cites > 0 {
			dst = append(w.of(dst, "response.reasoning_summary_text.done", b), `,"summary_index":0,"text":`...)
			dst = append(jsonx.AppendQuote(dst, b.text), "}\n\n"...)
			dst = append(w.of(dst, "response.reasoning_summary_part.done", b), `,"summary_index":0,"part":{"type":"summary_text","text":`...)
			dst = append(jsonx.AppendQuote(dst, b.text), "}}\n\n"...)
		}
		dst = w.endItem(dst, w.thought(nil, b))
	case llm.PartCall:
		dst = w.shutCall(dst, b)
	case llm.PartNative:
		dst = w.endItem(dst, b.native)
	}
	return w.carry(dst, b)
}

func (w *writer) shutText(dst []byte, b *outBlock) []byte {
	w.progress.chars += utf8.RuneCount(b.text)
	if w.stream {
		if b.part == llm.PartText {
			dst = append(w.content(w.of(dst, "response.output_text.done", b)), `,"text":`...)
			dst = append(jsonx.AppendQuote(dst, b.text), `,"logprobs":[`...)
			dst = append(append(dst, b.logprobs...), "]}\n\n"...)
		} else {
			dst = append(w.content(w.of(dst, "response.refusal.done", b)), `,"refusal":`...)
			dst = append(jsonx.AppendQuote(dst, b.text), "}\n\n"...)
		}
		dst = append(w.content(w.of(dst, "response.content_part.done", b)), `,"part":`...)
		dst = append(w.textPart(dst, b, b.text, true), "}\n\n"...)
	}
	w.message.content = w.textPart(jsonx.AppendComma(w.message.content), b, b.text, true)
	w.message.parts++
	return dst
}

func (w *writer) shutCall(dst []byte, b *outBlock) []byte {
	if len(b.text) == 0 && !b.state.custom { // clients parse arguments, and "" is no JSON
		b.text = []byte("{}")
		dst = w.flush(dst, b)
	}
	if w.stream {
		if b.state.custom {
			dst = append(w.of(dst, "response.custom_tool_call_input.done", b), `,"input":`...)
			dst = append(jsonx.AppendQuote(dst, b.text), "}\n\n"...)
		} else {
			dst = jsonx.AppendText(w.of(dst, "response.function_call_arguments.done", b), "name", b.name)
			dst = append(jsonx.AppendQuote(append(dst, `,"arguments":`...), b.text), "}\n\n"...)
		}
	}
	return w.endItem(dst, w.call(nil, b, w.status(), b.text))
}

// carry writes the seal of a call or a text as an item of its own, because those have no place for it.
func (w *writer) carry(dst []byte, b *outBlock) []byte {
	if b.seal == "" || b.part != llm.PartCall && b.part != llm.PartText {
		return dst
	}
	dst = w.endMessage(dst)
	call := ""
	if b.part == llm.PartCall {
		call = b.id
	}
	carrier := dialect.NewCarrier(call, name, b.seal).String()
	item := append([]byte(`{"type":"reasoning","id":"`), w.itemID("rs_")...)
	item = append(jsonx.AppendText(append(item, `","summary":[]`...), "encrypted_content", carrier), '}')
	return w.endItem(w.addItem(dst, item), item)
}

// nativeEvent writes an event of a native item in its place in this stream.
func (w *writer) nativeEvent(dst []byte, b *outBlock, raw []byte) []byte {
	kind := string(plain(jsonx.Get(raw, "type")))
	if kind == "" {
		return dst
	}
	dst = w.of(dst, kind, b)
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type", "sequence_number", "item_id", "output_index":
		default:
			dst = append(jsonx.AppendKey(dst, string(n)), oneLine(v)...)
		}
	}
	return append(dst, "}\n\n"...)
}
