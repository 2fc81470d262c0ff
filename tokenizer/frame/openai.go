package frame

import (
	"math"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// OpenAI is the frame of OpenAI's chat models. A prompt opens the answer with three tokens; a message costs three
// and its role. The constants of the messages are known to many; those of tools, calls and schemas were fitted on recorded
// usage, and checked on that of other repositories: see internal/tokens.
type OpenAI struct {
	Base      int64 // added once: −1 on reasoning models
	Message   int64 // added for every message
	Earlier   int64 // added for every earlier answer: the channel that harmony names
	Chat      OpenAIAPI
	Responses OpenAIAPI
}

// OpenAIAPI is what one of OpenAI's two APIs adds.
type OpenAIAPI struct {
	Tools   int64 // once, where there are tools
	Schema  int64 // once, where there is a schema for the answer, and no tools
	Named   bool  // whether the name of that schema is counted once more
	Call    int64 // for every earlier call
	Several int64 // for an earlier answer of several calls
	Forced  int64 // for a choice of one tool, whose name is counted once more
	Apart   bool  // what is shown of tools and schemas is a text of its own, and no end of the system message
}

// Frames of OpenAI's models.
var (
	classicChat      = OpenAIAPI{Tools: -1, Schema: 2, Named: true, Several: 5, Forced: 7}
	classicResponses = OpenAIAPI{Tools: -3, Schema: 1, Call: 1, Several: -6, Forced: 7, Apart: true}
)

// Classic returns the frame of models that do not reason: gpt-3.5 to gpt-4.5.
func Classic() OpenAI { return OpenAI{Chat: classicChat, Responses: classicResponses} }

// Classic0301 returns the frame of gpt-3.5-turbo-0301, which counts a token more for a message.
func Classic0301() OpenAI {
	f := Classic()
	f.Message = 1
	return f
}

// OSeries returns the frame of o1, o3 and o4.
func OSeries() OpenAI {
	f := Classic()
	f.Base = -1
	return f
}

// O1Mini returns the frame of o1-mini and o1-preview.
func O1Mini() OpenAI {
	f := OSeries()
	f.Base = 0
	return f
}

// GPT5 returns the frame of gpt-5 and later.
func GPT5() OpenAI {
	return OpenAI{
		Base: -1, Earlier: 2,
		Chat:      OpenAIAPI{Tools: 84, Schema: 2, Named: true, Call: 4, Several: -15, Apart: true},
		Responses: OpenAIAPI{Tools: 2, Call: 4, Apart: true},
	}
}

// Searching returns the frame of the search previews of gpt-4o, which count fewer tokens than they are sent.
func Searching() OpenAI {
	f := Classic()
	f.Base = -11
	return f
}

var _ Rule = OpenAI{}

// message is what a message costs beside its text: three marks, and its role. See
// https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb.
const message = 4

// asked is a request to OpenAI under way.
type asked struct {
	counting
	f     OpenAI
	api   OpenAIAPI
	most  int64             // messages that an earlier answer is at most
	names map[string]string // of functions, by the id of a call
}

// Count counts a request.
func (f OpenAI) Count(req *llm.Request, env Env) Sum {
	a := asked{counting: counting{Env: env}, f: f, api: f.Chat, most: 1}
	if a.plain(req) {
		return a.Sum
	}
	chat := req.Chat()
	if chat == nil {
		return a.Sum
	}
	if req.Extra.Dialect == "openai-responses" {
		a.api, a.most = f.Responses, math.MaxInt64 // each text of an answer is a message there, and they stand in one turn
	}
	a.Frame += 3 + f.Base
	for i := range chat.Turns {
		a.turn(&chat.Turns[i])
	}
	a.shown(chat)
	return a.Sum
}

func (a *asked) turn(t *llm.Turn) {
	replies, answer := 0, t.Role == llm.RoleAssistant
	calls, messages := int64(0), int64(1)
	if answer && len(t.Parts) > 0 { // an answer without text costs nothing
		messages = 0
	}
	for i := range t.Parts {
		p := &t.Parts[i]
		switch p.Kind {
		case llm.PartCall:
			a.call(p.Call)
			calls++
		case llm.PartReply:
			a.reply(p.Reply)
			replies++
		default:
			a.part(p)
			if answer && p.Kind != llm.PartThought && (p.Kind != llm.PartText || p.Text != "") {
				messages = min(messages+1, a.most)
			}
		}
	}
	if calls > 1 {
		a.Frame += a.api.Several
	}
	if replies < max(len(t.Parts), 1) {
		a.Frame += messages * (message + a.f.Message)
		if answer {
			a.Frame += messages * a.f.Earlier
		}
	}
	if t.Name != "" {
		a.Frame++
		a.Sum.Text += a.text(t.Name)
	}
}

// call counts an earlier call: a message to its function.
func (a *asked) call(c *llm.ToolCall) {
	if a.names == nil {
		a.names = map[string]string{}
	}
	a.names[c.ID] = c.Name
	a.Frame += 7 + a.f.Earlier + a.api.Call
	a.Sum.Text += a.text("functions."+c.Name) + a.text(c.Args)
	a.Loose = true
}

// reply counts a tool's result: a message in the name of its function.
func (a *asked) reply(r *llm.ToolReply) {
	name := r.Name
	if name == "" {
		name = a.names[r.CallID]
	}
	a.Frame += 4
	a.Sum.Text += a.text("functions." + name)
	for i := range r.Parts {
		a.part(&r.Parts[i])
	}
	a.Loose = true
}

func (a *asked) part(p *llm.Part) {
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		a.Sum.Text += a.text(p.Text)
	case llm.PartImage, llm.PartAudio, llm.PartFile:
		a.media(p)
	default:
		a.Loose = true
	}
}

// shown counts what the model is shown of tools and of the answer's schema: text behind the first system text.
func (a *asked) shown(chat *llm.Chat) {
	var w typescript
	tools := w.namespace(chat.Tools)
	if chat.Output.Kind == llm.OutputSchema && chat.Output.Schema != nil {
		w.format(&chat.Output)
	}
	if len(chat.Tools) > tools { // native tools have prompts that nobody knows
		a.Loose = true
	}
	if w.Len() == 0 {
		return
	}
	a.Loose = true
	if tools > 0 && chat.Choice.Mode == llm.ChoiceOne && a.api.Forced != 0 {
		a.Frame += a.api.Forced
		a.Sum.Tools += a.text(strings.Join(chat.Choice.Names, ""))
	}
	if tools > 0 {
		a.Frame += a.api.Tools
	} else {
		a.Frame += a.api.Schema
		if a.api.Named {
			a.Sum.Tools += a.text(chat.Output.Name)
		}
	}
	system := systemText(chat)
	switch {
	case a.api.Apart:
		a.Sum.Tools += a.text(w.String())
	case system == "": // a system message is made for it
		a.Frame += message
		a.Sum.Tools += a.text(w.String())
	default:
		a.Sum.Tools += a.text(system+"\n\n"+w.String()) - a.text(system)
	}
}

// systemText is the first turn of system text.
func systemText(chat *llm.Chat) string {
	for i := range chat.Turns {
		t := &chat.Turns[i]
		if t.Role != llm.RoleSystem && t.Role != llm.RoleDeveloper {
			continue
		}
		if len(t.Parts) == 1 {
			return t.Parts[0].Text
		}
		var b strings.Builder
		for j := range t.Parts {
			b.WriteString(t.Parts[j].Text)
		}
		return b.String()
	}
	return ""
}

// format writes the answer's schema as the harmony documentation shows response formats: compact JSON, without the
// members that only bind the decoder.
func (w *typescript) format(o *llm.Output) {
	if w.Len() > 0 {
		w.WriteString("\n\n")
	}
	w.WriteString("# Response Formats\n\n## " + o.Name + "\n\n")
	if o.Description != "" {
		w.WriteString("// " + o.Description + "\n")
	}
	if jsonx.Kind(o.Schema) == '{' {
		s := slimmer{drop: decoding[:]}
		w.Write(s.schema(nil, o.Schema, true))
	}
}
