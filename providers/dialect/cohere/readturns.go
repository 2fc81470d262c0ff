package cohere

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// Marks, in llm.Part.Name of a text or file, of where it stood: other dialects take it as any text.
const (
	partPlan      = "tool_plan" // the plan before the calls of a turn
	partDocument  = "document"  // a document of a tool's result; Raw is its part
	partDocuments = "documents" // a document of the request; Raw is its element
)

func itoa(i int) string { return strconv.Itoa(i) }

// readMessage reads one message. Each becomes one turn.
func readMessage(at string, raw []byte) (t llm.Turn, err error) {
	role, err := member.Word(at+".role", jsonx.Get(raw, "role"), "system", "developer", "user", "assistant", "tool")
	if err != nil {
		return t, err
	}
	t.Role = map[string]llm.Role{"system": llm.RoleSystem, "developer": llm.RoleDeveloper, "user": llm.RoleUser, "assistant": llm.RoleAssistant, "tool": llm.RoleUser}[role]
	var m message
	if err := m.read(at, raw, &t); err != nil {
		return t, err
	}
	switch {
	case role == "assistant":
		return t, m.assistant(at, &t)
	case m.content == nil:
		return t, member.Wanted(at + ".content")
	case role == "tool":
		return t, m.reply(at, &t)
	}
	t.Parts, err = readContent(at+".content", m.content, role)
	return t, err
}

// message is a message's members, raw.
type message struct{ content, plan, calls, id []byte }

func (m *message) read(at string, raw []byte, t *llm.Turn) error {
	for k, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(k) {
		case "role":
		case "content":
			m.content = v
		case "tool_plan":
			m.plan = v
		case "tool_calls":
			m.calls = v
		case "tool_call_id":
			m.id = v
		case "citations":
			if jsonx.Kind(v) == '[' {
				for range jsonx.Elements(v) {
					t.Extra = append(t.Extra, llm.Member{Name: string(k), Raw: v})
					break
				}
				continue
			}
			return member.Wrong(at+".citations", "an array", v)
		default:
			t.Extra = append(t.Extra, llm.Member{Name: string(k), Raw: v})
		}
	}
	return nil
}

func (m *message) assistant(at string, t *llm.Turn) (err error) {
	if m.content != nil {
		if t.Parts, err = readContent(at+".content", m.content, "assistant"); err != nil {
			return err
		}
	}
	if m.plan != nil {
		s, err := member.String(at+".tool_plan", m.plan)
		if err != nil {
			return err
		}
		if s != "" {
			t.Parts = append(t.Parts, llm.Part{Kind: llm.PartText, Text: s, Name: partPlan})
		}
	}
	if m.calls != nil && jsonx.Kind(m.calls) != '[' {
		return member.Wrong(at+".tool_calls", "an array", m.calls)
	}
	for i, c := range jsonx.Elements(m.calls) {
		p, err := readCall(at+".tool_calls["+itoa(i)+"]", c)
		if err != nil {
			return err
		}
		t.Parts = append(t.Parts, p)
	}
	return nil
}

func readCall(at string, raw []byte) (p llm.Part, err error) {
	if jsonx.Kind(raw) != '{' {
		return p, member.Wrong(at, "an object", raw)
	}
	p = llm.Part{Kind: llm.PartCall, Call: new(llm.ToolCall)}
	for k, v := range jsonx.Members(raw) {
		switch string(k) {
		case "type":
		case "id":
			p.Call.ID, err = member.String(at+".id", v)
		case "function":
			if p.Call.Name, err = member.String(at+".function.name", jsonx.Get(v, "name")); err != nil {
				return p, err
			}
			switch args := jsonx.Get(v, "arguments"); jsonx.Kind(args) {
			case '"':
				p.Call.Args, _ = jsonx.String(args)
			case 0, 'n':
			default:
				return p, member.Wrong(at+".function.arguments", "a string", args)
			}
			if p.Call.Args == "" {
				p.Call.Args = "{}"
			}
		default:
			p.Extra = append(p.Extra, llm.Member{Name: string(k), Raw: v})
		}
		if err != nil {
			return p, err
		}
	}
	if p.Call.Name == "" {
		return p, member.Wanted(at + ".function.name")
	}
	return p, nil
}

// reply reads a message of role tool.
func (m *message) reply(at string, t *llm.Turn) (err error) {
	if m.id == nil {
		return member.Wanted(at + ".tool_call_id")
	}
	r := &llm.ToolReply{Plain: jsonx.Kind(m.content) == '"'}
	if r.CallID, err = member.String(at+".tool_call_id", m.id); err != nil {
		return err
	}
	r.Parts, err = readContent(at+".content", m.content, "tool")
	t.Parts = []llm.Part{{Kind: llm.PartReply, Reply: r}}
	return err
}

// readContent reads content, which is a string or an array of parts.
func readContent(at string, raw []byte, role string) ([]llm.Part, error) {
	if jsonx.Kind(raw) == '"' {
		s, _ := jsonx.String(raw)
		return []llm.Part{{Kind: llm.PartText, Text: s}}, nil
	}
	if jsonx.Kind(raw) != '[' {
		return nil, member.Wrong(at, "a string or an array", raw)
	}
	parts := []llm.Part{}
	for i, v := range jsonx.Elements(raw) {
		p, err := readPart(at+"["+itoa(i)+"]", v, role)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func readPart(at string, raw []byte, role string) (p llm.Part, err error) {
	if jsonx.Kind(raw) != '{' {
		return p, member.Wrong(at, "an object", raw)
	}
	kind, err := member.String(at+".type", jsonx.Get(raw, "type"))
	if err != nil {
		return p, err
	}
	body := jsonx.Get(raw, kind)
	switch {
	case kind == "text":
		p.Text, err = member.String(at+".text", body)
	case kind == "thinking" && role == "assistant":
		p.Kind = llm.PartThought
		p.Text, err = member.String(at+".thinking", body)
	case kind == "image_url" && role == "user":
		p.Kind = llm.PartImage
		p.Media, err = readImage(at+".image_url", body)
	case kind == "document" && role == "tool":
		if jsonx.Kind(body) != '{' {
			return p, member.Wrong(at+".document", "an object", body)
		}
		d, err := readDocument(at+".document", body)
		if err != nil {
			return p, err
		}
		return llm.Part{Kind: llm.PartText, Text: d.Media.Text, Name: partDocument, Raw: raw, Extra: documentID("document.id", body)}, nil
	case role == "user", role == "tool":
		return llm.Part{Kind: llm.PartNative, Name: kind, Raw: raw}, nil
	default:
		return p, member.Bad(at+".type", member.Value, "Invalid value: '"+at+".type' cannot be '"+kind+"' in a message of this role.")
	}
	for k, v := range jsonx.Members(raw) {
		if n := string(k); n != "type" && n != kind {
			p.Extra = append(p.Extra, llm.Member{Name: n, Raw: v})
		}
	}
	return p, err
}

func readImage(at string, raw []byte) (*llm.Media, error) {
	m := new(llm.Media)
	if jsonx.Kind(raw) == '"' {
		return m, member.URL(at, raw, m)
	}
	if jsonx.Kind(raw) != '{' {
		return nil, member.Wrong(at, "an object", raw)
	}
	for k, v := range jsonx.Members(raw) {
		var err error
		switch {
		case jsonx.IsNull(v):
		case string(k) == "url":
			err = member.URL(at+".url", v, m)
		case string(k) == "detail":
			m.Detail, err = member.String(at+".detail", v)
		default:
			m.Extra = append(m.Extra, llm.Member{Name: string(k), Raw: v})
		}
		if err != nil {
			return nil, err
		}
	}
	if m.URL == "" && m.Data == "" {
		return nil, member.Wanted(at + ".url")
	}
	return m, nil
}

// readDocument reads a document: a string, or an object with data that the model sees. Its text for other dialects is
// the string, the data's only string, or the data as JSON.
func readDocument(at string, raw []byte) (p llm.Part, err error) {
	p = llm.Part{Kind: llm.PartFile, Name: partDocuments, Raw: raw, Media: new(llm.Media)}
	switch jsonx.Kind(raw) {
	case '"':
		p.Media.Text, _ = jsonx.String(raw)
		return p, nil
	case '{':
	default:
		return p, member.Wrong(at, "a string or an object", raw)
	}
	data := jsonx.Get(raw, "data")
	switch jsonx.Kind(data) {
	case 0:
		return p, member.Wanted(at + ".data")
	case '"': // as tools return it
		p.Media.Text, _ = jsonx.String(data)
	case '{':
		p.Media.Text = textOf(data)
		p.Media.Name, _ = jsonx.String(jsonx.Get(data, "title"))
	default:
		return p, member.Wrong(at+".data", "an object", data)
	}
	p.Extra = documentID("id", raw)
	return p, nil
}

// textOf is what of a document's data another dialect gets: its text beside a title, or all of it.
func textOf(data []byte) string {
	text, only := "", true
	for k, v := range jsonx.Members(data) {
		s, ok := jsonx.String(v)
		switch n := string(k); {
		case n == "title" && ok:
		case (n == "text" || n == "content" || n == "snippet" || n == "data") && ok && text == "":
			text = s
		default:
			only = false
		}
	}
	if only && text != "" {
		return text
	}
	b, err := jsonx.Compact(data)
	if err != nil {
		return string(data)
	}
	return string(b)
}

// documentID keeps a document's id, which names it in citations, for the losses of other dialects.
func documentID(as string, raw []byte) []llm.Member {
	if id := jsonx.Get(raw, "id"); !jsonx.IsNull(id) {
		return []llm.Member{{Name: as, Raw: id}}
	}
	return nil
}
