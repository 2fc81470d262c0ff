package member

import (
	"strconv"

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
	at := ""
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

// inItems is At where a turn of the model is several items: behind the first one that may be, they are not counted.
func inItems(turns []llm.Turn, turn, part int) string {
	n := turn
	if len(turns) > 0 && len(turns[0].Parts) == 1 && turns[0].Parts[0].Name == "instructions" {
		if turn == 0 {
			return "instructions"
		}
		n--
	}
	for i := range turns[:turn] {
		if turns[i].Role == llm.RoleAssistant && len(turns[i].Parts) != 1 {
			return "input"
		}
	}
	at := item("input", n)
	switch {
	case part < 0:
		return at
	case turns[turn].Role == llm.RoleAssistant && len(turns[turn].Parts) != 1:
		return "input"
	case part >= len(turns[turn].Parts):
	case turns[turn].Parts[part].Kind > llm.PartRefusal, turns[turn].Parts[part].Kind == llm.PartThought: // an item of its own
		return at
	}
	return item(at+".content", part)
}

func isSystem(t *llm.Turn) bool { return t.Role == llm.RoleSystem || t.Role == llm.RoleDeveloper }

func item(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }
