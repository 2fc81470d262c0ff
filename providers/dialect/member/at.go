package member

import (
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// At is the path, in a client's dialect, of a turn of its conversation, or of one of the turn's parts; part is below 0
// for the turn itself. It is for losses and errors of codecs that write for another dialect. Where the dialect has no
// such place, or it is not known any more, the path is that of what holds it.
func At(client string, turns []llm.Turn, turn, part int) string {
	switch client {
	case "anthropic-messages", "bedrock-converse":
		return hoisted(turns, turn, part, "system", "", "messages", ".content")
	case "gemini":
		return hoisted(turns, turn, part, "systemInstruction", ".parts", "contents", ".parts")
	case "openai-responses":
		return inItems(turns, turn, part)
	}
	at := item("messages", turn)
	if part < 0 {
		return at
	}
	if part >= len(turns[turn].Parts) { // within a part
		return item(at+".content", part)
	}
	p := &turns[turn].Parts[part]
	switch {
	case client == "cohere":
		documents := 0 // they stand in front of what the message itself has
		for documents < len(turns[turn].Parts) && turns[turn].Parts[documents].Name == "documents" {
			documents++
		}
		if part < documents {
			return item("documents", part)
		}
		part -= documents
	case client == "openai-chat" && p.Kind == llm.PartThought:
		return at + ".reasoning_content"
	case client == "openai-chat" && p.Kind == llm.PartRefusal && turns[turn].Role == llm.RoleAssistant:
		return at + ".refusal"
	}
	return item(at+".content", part)
}

// hoisted is At where the system text that comes first is a member of its own.
func hoisted(turns []llm.Turn, turn, part int, system, systemParts, messages, parts string) string {
	var at string
	switch first := len(turns) > 0 && isSystem(&turns[0]); {
	case first && turn == 0:
		at, parts = system, systemParts
	case first:
		at = item(messages, turn-1)
	default:
		at = item(messages, turn)
	}
	if part < 0 {
		return at
	}
	return item(at+parts, part)
}

// inItems is At where each part of what the model said may be an item of its own.
func inItems(turns []llm.Turn, turn, part int) string {
	n := 0
	for i := range turns[:turn] {
		n += items(&turns[i], len(turns[i].Parts))
	}
	t := &turns[turn]
	switch {
	case items(t, len(t.Parts)) == 0 && isSystem(t):
		return "instructions"
	case part < 0:
		return item("input", n)
	case t.Role != llm.RoleAssistant || part >= len(t.Parts):
		return item(item("input", n)+".content", part)
	}
	n += items(t, part+1) - 1
	first := part // of the message
	for first > 0 && said(&t.Parts[first]) && said(&t.Parts[first-1]) && !beginsItem(&t.Parts[first]) {
		first--
	}
	if !said(&t.Parts[part]) {
		return item("input", n)
	}
	return item(item("input", n)+".content", part-first)
}

// items counts the items that the first parts of a turn came in. Texts in a row are one message.
func items(t *llm.Turn, parts int) (n int) {
	if t.Role != llm.RoleAssistant {
		if isSystem(t) && len(t.Parts) == 1 && t.Parts[0].Name == "instructions" {
			return 0
		}
		return 1
	}
	message := false
	for j := range t.Parts[:parts] {
		p := &t.Parts[j]
		if !said(p) || !message || beginsItem(p) {
			n++
		}
		message = said(p)
	}
	return n
}

func said(p *llm.Part) bool { return p.Kind == llm.PartText || p.Kind == llm.PartRefusal }

// beginsItem reports whether a text carries members of the message that it begins, as openai-responses reads them.
func beginsItem(p *llm.Part) bool {
	for _, m := range p.Extra {
		if strings.HasPrefix(m.Name, "item.") {
			return true
		}
	}
	return false
}

func isSystem(t *llm.Turn) bool { return t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper }

func item(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }
