package fit

import (
	"fmt"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// textMember is the argument that holds the text of a tool that takes free text, where it has to be a function.
const textMember = "input"

// The dialects that have such tools. What another one calls custom is something else.
const (
	chatDialect      = "openai-chat"
	responsesDialect = "openai-responses"
)

// textSchema is the schema of such a function.
const textSchema = `{"type":"object","properties":{"` + textMember + `":{"type":"string","description":"The whole input of the tool, as plain text."}},"required":["` + textMember + `"]}`

// Functions returns the request for a provider that knows functions only: tools that take free text are functions of
// one string, and so are the calls of them in the conversation. A grammar is told in the description, which is a loss,
// because nothing holds the model to it; its path is in the client's dialect. A request without such tools is returned
// itself. An answer to it goes through Unwrap.
func Functions(req *llm.Request) (*llm.Request, []llm.Loss) {
	c := req.Chat()
	if c == nil || req.Extra.Dialect != chatDialect && req.Extra.Dialect != responsesDialect || !slices.ContainsFunc(c.Tools, isFreeText) && !slices.ContainsFunc(c.Turns, callsFreeText) {
		return req, nil
	}
	to, chat := *req, *c
	to.Body = &chat
	chat.Tools = slices.Clone(c.Tools)
	var losses []llm.Loss
	for i := range chat.Tools {
		t := &chat.Tools[i]
		if !isFreeText(*t) {
			continue
		}
		if g := t.Grammar; g != nil {
			at := fmt.Sprintf("tools[%d].format", i)
			if req.Extra.Dialect == chatDialect {
				at = fmt.Sprintf("tools[%d].custom.format", i)
			}
			losses = append(losses, llm.Loss{Path: at, Why: "the provider does not hold a tool's input to a grammar; it is told in the tool's description"})
		}
		t.Description = described(t)
		t.Native, t.Raw, t.Grammar, t.Schema = "", nil, nil, []byte(textSchema)
	}
	chat.Turns = slices.Clone(c.Turns)
	for i := range chat.Turns {
		if t := &chat.Turns[i]; callsFreeText(*t) {
			t.Parts = slices.Clone(t.Parts)
			for j := range t.Parts {
				if p := &t.Parts[j]; isTextCall(p) {
					call := *p.Call
					call.Native = ""
					call.Args = string(append(jsonx.AppendQuote([]byte(`{"`+textMember+`":`), call.Args), '}'))
					p.Call = &call
				}
			}
		}
	}
	return &to, losses
}

func isFreeText(t llm.Tool) bool { return t.Native == llm.FreeText }

func isTextCall(p *llm.Part) bool { return p.Kind == llm.PartCall && p.Call.Native == llm.FreeText }

func callsFreeText(t llm.Turn) bool {
	return slices.ContainsFunc(t.Parts, func(p llm.Part) bool { return isTextCall(&p) })
}

// described is a tool's description with its grammar in words.
func described(t *llm.Tool) string {
	g, s := t.Grammar, t.Description
	if g == nil {
		return s
	}
	if s != "" {
		s += "\n\n"
	}
	what := "grammar (syntax: " + g.Syntax + ")"
	if g.Syntax == "regex" {
		what = "regular expression"
	}
	return s + "The text in \"" + textMember + "\" must match this " + what + ":\n\n" + g.Definition
}
