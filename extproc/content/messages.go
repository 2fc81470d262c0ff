package content

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Messages in the form of OpenTelemetry's conventions for generative AI (gen-ai-input-messages.json and its siblings).
type (
	message struct {
		Role   string `json:"role"`
		Name   string `json:"name,omitzero"`
		Parts  []part `json:"parts"`
		Finish string `json:"finish_reason,omitzero"`
	}
	part struct {
		Type      string `json:"type"`
		Content   string `json:"content,omitzero"`
		ID        string `json:"id,omitzero"`
		Name      string `json:"name,omitzero"`
		Arguments any    `json:"arguments,omitzero"`
		Response  string `json:"response,omitzero"`
		Modality  string `json:"modality,omitzero"`
		Media     string `json:"mime_type,omitzero"`
		URI       string `json:"uri,omitzero"`
		FileID    string `json:"file_id,omitzero"`
	}
)

var roles = [...]string{llm.RoleUser: "user", llm.RoleAssistant: "assistant", llm.RoleSystem: "system", llm.RoleDeveloper: "system"}

// Input returns the request's conversation and its system texts as JSON; "" where there is none, or it was too long.
func (s *Said) Input() (messages, system string) {
	if s == nil || s.server == nil {
		return "", ""
	}
	req, err := s.server.ReadRequest(s.in)
	if err != nil {
		return "", ""
	}
	chat, ok := req.Body.(*llm.Chat)
	if !ok {
		return "", ""
	}
	var said []message
	var texts []part
	for i := range chat.Turns {
		t := &chat.Turns[i]
		ps := parts(t.Parts)
		if r := roles[t.Role]; r == "system" {
			texts = append(texts, ps...)
		} else {
			said = append(said, message{Role: role(r, ps), Name: t.Name, Parts: ps})
		}
	}
	return encode(said), encode(texts)
}

// role is tool where a turn has nothing but replies of tools.
func role(r string, ps []part) string {
	for _, p := range ps {
		if p.Type != "tool_call_response" {
			return r
		}
	}
	if len(ps) == 0 {
		return r
	}
	return "tool"
}

func parts(in []llm.Part) []part {
	out := make([]part, 0, len(in))
	for i := range in {
		p := &in[i]
		switch p.Kind {
		case llm.PartText:
			out = append(out, part{Type: "text", Content: p.Text})
		case llm.PartThought:
			out = append(out, part{Type: "reasoning", Content: p.Text})
		case llm.PartCall:
			out = append(out, call(p.Call.ID, p.Call.Name, p.Call.Args))
		case llm.PartReply:
			out = append(out, part{Type: "tool_call_response", ID: p.Reply.CallID, Response: joined(p.Reply.Parts)})
		case llm.PartImage, llm.PartAudio, llm.PartFile:
			out = append(out, media(p))
		default:
			out = append(out, part{Type: p.Kind.String(), Content: p.Text})
		}
	}
	return out
}

func call(id, name, args string) part {
	p := part{Type: "tool_call", ID: id, Name: name}
	var v any
	switch {
	case args == "":
	case jsonx.Decode([]byte(args), &v) == nil:
		p.Arguments = v
	default:
		p.Arguments = args
	}
	return p
}

// media says what a picture, recording or file is; its bytes are left out.
func media(p *llm.Part) part {
	out := part{Type: "omitted", Modality: map[llm.PartKind]string{llm.PartImage: "image", llm.PartAudio: "audio", llm.PartFile: "document"}[p.Kind]}
	if m := p.Media; m != nil {
		out.Media = m.Type
		switch {
		case m.FileID != "":
			out.Type, out.FileID = "file", m.FileID
		case m.URL != "":
			out.Type, out.URI = "uri", m.URL
		}
	}
	return out
}

func joined(ps []llm.Part) string {
	var b strings.Builder
	for i := range ps {
		b.WriteString(ps[i].Text)
	}
	return b.String()
}

var finishes = [...]string{
	llm.StopEnd: "stop", llm.StopLength: "length", llm.StopCalls: "tool_call", llm.StopFilter: "content_filter", llm.StopSequence: "stop", llm.StopPause: "pause", llm.StopFault: "error",
}

// Output returns the answer as JSON, one message for each choice; "": it did not pass here. cut says that it was longer.
func (s *Said) Output() (messages string, cut bool) {
	if s == nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []message
	at := map[int]int{} // choice to its message
	for _, k := range s.order {
		i, ok := at[k[0]]
		if !ok {
			i = len(out)
			at[k[0]] = i
			m := message{Role: "assistant"}
			if r, ok := s.stops[k[0]]; ok {
				m.Finish = finishes[r]
			}
			out = append(out, m)
		}
		b := s.blocks[k]
		out[i].Parts = append(out[i].Parts, b.part())
	}
	return encode(out), s.cut
}

func (b *block) part() part {
	text := strings.ToValidUTF8(b.text.String(), "")
	switch b.kind {
	case llm.PartText:
		return part{Type: "text", Content: text}
	case llm.PartThought:
		return part{Type: "reasoning", Content: text}
	case llm.PartCall:
		return call(b.id, b.name, text)
	case llm.PartImage, llm.PartAudio, llm.PartFile:
		return part{Type: "omitted", Modality: b.kind.String()}
	}
	return part{Type: b.kind.String(), Content: text}
}

func encode[T any](list []T) string {
	if len(list) == 0 {
		return ""
	}
	b, err := jsonx.Encode(list)
	if err != nil {
		return ""
	}
	return string(b)
}
