package gemini

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// madeID begins the ids of calls that a client sent without one: the call's number in the conversation follows.
const madeID = "call_gemini_"

// system reads systemInstruction, a turn or a bare text, as the first turn.
func (r *requestReader) system(raw []byte) error {
	if raw == nil {
		return nil
	}
	const at = "systemInstruction"
	if s, ok := jsonx.String(raw); ok {
		r.chat.Turns = append(r.chat.Turns, llm.Turn{Role: llm.RoleSystem, Parts: []llm.Part{{Text: s}}})
		return nil
	}
	parts, o, err := readContent(at, raw)
	if err != nil {
		return err
	}
	for i := range parts {
		if parts[i].Kind != llm.PartText {
			return bad(item(at+".parts", i), "System instructions are text.")
		}
	}
	if len(parts) > 0 || o.rest() != nil {
		r.chat.Turns = append(r.chat.Turns, llm.Turn{Role: llm.RoleSystem, Parts: parts, Extra: o.rest()})
	}
	return nil
}

func (r *requestReader) contents(raw []byte) error {
	const at = "contents"
	if jsonx.Kind(raw) == '{' { // one turn may stand without its list
		return r.turn(at, raw)
	}
	for i, t := range jsonx.Elements(raw) {
		if err := r.turn(item(at, i), t); err != nil {
			return err
		}
	}
	return nil
}

func (r *requestReader) turn(at string, raw []byte) error {
	parts, o, err := readContent(at, raw)
	if err != nil {
		return err
	}
	t := llm.Turn{Parts: parts, Extra: o.rest()}
	if string(plain(jsonx.Get(raw, "role"))) == "model" { // Peek has checked it
		t.Role = llm.RoleAssistant
	}
	for i := range parts {
		switch k := parts[i].Kind; {
		case k == llm.PartReply && t.Role == llm.RoleAssistant:
			return bad(item(join(at, "parts"), i), "A function response can only stand in a turn of the user.")
		case (k == llm.PartCall || k == llm.PartThought) && t.Role != llm.RoleAssistant:
			return bad(item(join(at, "parts"), i), "A function call or a thought can only stand in a turn of the model.")
		}
	}
	r.chat.Turns = append(r.chat.Turns, t)
	return nil
}

// readContent reads a turn's parts. What else the turn has but its role is left in the object.
func readContent(at string, raw []byte) ([]llm.Part, *object, error) {
	o, err := open(at, raw)
	if err != nil {
		return nil, nil, err
	}
	o.take("role")
	list := o.take("parts")
	at = join(at, "parts")
	if list == nil {
		return nil, o, nil
	}
	if jsonx.Kind(list) == '{' { // one part may stand without its list
		p, err := readPart(at, list)
		return []llm.Part{p}, o, err
	}
	if err := wantArray(at, list); err != nil {
		return nil, nil, err
	}
	var parts []llm.Part
	for i, v := range jsonx.Elements(list) {
		p, err := readPart(item(at, i), v)
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, p)
	}
	return parts, o, nil
}

// data are the members of a part that say what it is.
var data = [...]string{"text", "inlineData", "fileData", "functionCall", "functionResponse"}

func readPart(at string, raw []byte) (p llm.Part, err error) {
	o, err := open(at, raw)
	if err != nil {
		return p, err
	}
	kind, value := "", []byte(nil)
	for _, n := range data {
		if v := o.take(n); v != nil {
			if kind != "" {
				return p, bad(join(at, n), "A part holds one of text, inlineData, fileData, functionCall, functionResponse and the like.")
			}
			kind, value = n, v
		}
	}
	thought := string(o.take("thought")) == "true"
	if s := o.take("thoughtSignature"); s != nil {
		if err := readSeal(&p, join(at, "thoughtSignature"), s); err != nil {
			return p, err
		}
	}
	switch kind {
	case "text":
		if thought {
			p.Kind = llm.PartThought
		}
		p.Text, err = wantString(join(at, kind), value)
	case "inlineData", "fileData":
		err = readMedia(&p, join(at, kind), kind, value)
	case "functionCall":
		err = readCall(&p, join(at, kind), value)
	case "functionResponse":
		err = readReply(&p, join(at, kind), value)
	default:
		return other(p, at, raw, o, thought)
	}
	p.Extra = append(p.Extra, o.members...)
	return p, err
}

// other reads a part without data of the common kinds: one of Google's own, or one with a signature alone.
func other(p llm.Part, at string, raw []byte, o *object, thought bool) (llm.Part, error) {
	for _, m := range o.members {
		if jsonx.Kind(m.Raw) == '{' && m.Name != "videoMetadata" && m.Name != "partMetadata" && m.Name != "mediaResolution" {
			return llm.Part{Kind: llm.PartNative, Name: m.Name, Raw: raw}, nil
		}
	}
	if p.Seal == "" {
		return p, bad(at, "The part has no data.")
	}
	if thought {
		p.Kind = llm.PartThought
	}
	p.Extra = o.rest()
	return p, nil
}

// readSeal reads a signature. One that another vendor made stands in base64, as clients take it, with its name.
func readSeal(p *llm.Part, at string, raw []byte) error {
	seal, err := wantString(at, raw)
	if err != nil || seal == "" {
		return err
	}
	p.Seal, p.From = seal, name
	if b, ok := decode(seal); ok {
		if vendor, inner, wrapped := dialect.OpenSeal(string(b)); wrapped {
			p.Seal, p.From = inner, vendor
		}
	}
	return nil
}

func readMedia(p *llm.Part, at, kind string, raw []byte) error {
	o, err := open(at, raw)
	if err != nil {
		return err
	}
	m := new(llm.Media)
	p.Media = m
	if v := o.take("mimeType"); v != nil {
		if m.Type, err = wantString(join(at, "mimeType"), v); err != nil {
			return err
		}
	}
	if v := o.take("displayName"); v != nil {
		if m.Name, err = wantString(join(at, "displayName"), v); err != nil {
			return err
		}
	}
	if kind == "inlineData" {
		m.Data, err = wantBase64(join(at, "data"), o.take("data"))
	} else {
		err = readFile(m, join(at, "fileUri"), o.take("fileUri"))
	}
	if err != nil {
		return err
	}
	m.Extra = o.rest()
	switch major, minor, _ := strings.Cut(m.Type, "/"); major {
	case "image":
		p.Kind = llm.PartImage
	case "audio":
		p.Kind = llm.PartAudio
		switch minor, _, _ = strings.Cut(minor, ";"); minor {
		case "wav", "x-wav", "wave":
			m.Format = "wav"
		case "mp3", "mpeg":
			m.Format = "mp3"
		default:
			m.Format = minor
		}
	default:
		p.Kind = llm.PartFile
	}
	return nil
}

// fileHosts are where the provider's own files are: their addresses mean nothing elsewhere.
var fileHosts = [...]string{"https://generativelanguage.googleapis.com/", "https://storage.googleapis.com/", "gs://"}

func readFile(m *llm.Media, at string, raw []byte) error {
	uri, err := wantString(at, raw)
	if err != nil {
		return err
	}
	for _, h := range fileHosts {
		if strings.HasPrefix(uri, h) {
			m.FileID = uri
			return nil
		}
	}
	u, err := url.Parse(uri)
	switch {
	case err == nil && u.Scheme == "" && uri != "":
		m.FileID = uri
		return nil
	case err != nil || u.Host == "" || !strings.EqualFold(u.Scheme, "https"):
		return bad(at, "Only https and gs addresses and uploaded files are supported.")
	case private(u.Hostname()):
		return bad(at, "The address is one of a private network.")
	}
	m.URL = uri
	return nil
}

func private(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap()
	return err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast())
}

func readCall(p *llm.Part, at string, raw []byte) error {
	o, err := open(at, raw)
	if err != nil {
		return err
	}
	c := new(llm.ToolCall)
	p.Kind, p.Call = llm.PartCall, c
	if c.Name, err = wantString(join(at, "name"), o.take("name")); err != nil {
		return err
	}
	if id := o.take("id"); id != nil {
		if c.ID, err = wantString(join(at, "id"), id); err != nil {
			return err
		}
	}
	c.Args = "{}"
	if a := o.take("args"); a != nil {
		if err := wantObject(join(at, "args"), a); err != nil {
			return err
		}
		c.Args = string(a)
	}
	p.Extra = o.rest()
	return nil
}

func readReply(p *llm.Part, at string, raw []byte) error {
	o, err := open(at, raw)
	if err != nil {
		return err
	}
	y := new(llm.ToolReply)
	p.Kind, p.Reply = llm.PartReply, y
	if y.Name, err = wantString(join(at, "name"), o.take("name")); err != nil {
		return err
	}
	if id := o.take("id"); id != nil {
		if y.CallID, err = wantString(join(at, "id"), id); err != nil {
			return err
		}
	}
	if v := o.take("response"); v != nil {
		if err := wantObject(join(at, "response"), v); err != nil {
			return err
		}
		if words, failed, said := unwrap(v); said {
			y.Error, y.Plain, y.Parts = failed, true, []llm.Part{{Text: words}}
		}
	}
	for i, v := range jsonx.Elements(o.take("parts")) {
		part, err := readPart(item(join(at, "parts"), i), v)
		if err != nil {
			return err
		}
		if part.Media == nil {
			return bad(item(join(at, "parts"), i), "Parts of a function response are media.")
		}
		y.Parts, y.Plain = append(y.Parts, part), false
	}
	p.Extra = o.rest()
	return nil
}

// unwrap returns what a function's response says: the text of its only member where that is one of the names
// that stand for the whole, else the object itself. said is false for an empty object.
func unwrap(response []byte) (words string, failed, said bool) {
	n := 0
	var only, value []byte
	for k, v := range jsonx.Members(response) {
		n++
		only, value = k, v
	}
	if n == 0 {
		return "", false, false
	}
	if n == 1 {
		switch string(only) {
		case "error":
			failed = true
			fallthrough
		case "result", "output":
			if s, ok := jsonx.String(value); ok {
				return s, failed, true
			}
			return compact(value), failed, true
		}
	}
	return compact(response), false, true
}

func compact(raw []byte) string {
	b, err := jsonx.Compact(raw)
	if err != nil {
		return string(raw)
	}
	return string(b)
}

// pair gives calls without an id one, and every result the id of its call: by the id that the client gave, or by
// the function's name among the calls that have no result yet.
func (r *requestReader) pair() {
	type pending struct{ id, name string }
	var open []pending
	n := 0
	for i := range r.chat.Turns {
		for j := range r.chat.Turns[i].Parts {
			switch p := &r.chat.Turns[i].Parts[j]; p.Kind {
			case llm.PartCall:
				n++
				if p.Call.ID == "" {
					p.Call.ID = fmt.Sprintf("%s%d", madeID, n)
				}
				open = append(open, pending{p.Call.ID, p.Call.Name})
			case llm.PartReply:
				at := -1
				for k, c := range open {
					if p.Reply.CallID != "" && c.id == p.Reply.CallID {
						at = k
						break
					}
					if at < 0 && c.name == p.Reply.Name && (p.Reply.CallID == "" || strings.HasPrefix(c.id, madeID)) {
						at = k
					}
				}
				if at >= 0 {
					p.Reply.CallID = open[at].id
					open = append(open[:at], open[at+1:]...)
				} else if p.Reply.CallID == "" {
					p.Reply.CallID = madeID + p.Reply.Name
				}
			}
		}
	}
}

// wrap makes an object of what a function returned: the object itself where it is read back as such, else one
// with it as its only member.
func wrap(words string, failed, said bool) []byte {
	if !said {
		return []byte("{}")
	}
	object := jsonx.Kind([]byte(words)) == '{' && jsonx.Valid([]byte(words)) == nil
	if object {
		if s, f, _ := unwrap([]byte(words)); s == compact([]byte(words)) && f == failed {
			return []byte(words)
		}
	}
	b := []byte(`{"result":`)
	if failed {
		b = []byte(`{"error":`)
	}
	if object {
		b = append(b, words...)
	} else {
		b = jsonx.AppendQuote(b, words)
	}
	return append(b, '}')
}

// extensions are the media types that the provider takes, by the ends of files' names.
var extensions = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".heic": "image/heic",
	".pdf": "application/pdf", ".txt": "text/plain", ".md": "text/markdown", ".html": "text/html", ".csv": "text/csv", ".json": "application/json",
	".wav": "audio/wav", ".mp3": "audio/mp3", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp4": "video/mp4", ".mov": "video/mov", ".webm": "video/webm",
}

// kindOf is the media type of a part that does not say its own.
func kindOf(p *llm.Part) string {
	m := p.Media
	switch {
	case m.Type != "":
		return m.Type
	case p.Kind == llm.PartAudio && m.Format != "":
		return "audio/" + m.Format
	}
	for _, from := range [...]string{m.Name, m.URL} {
		from, _, _ = strings.Cut(from, "?")
		if t := extensions[strings.ToLower(path.Ext(from))]; t != "" {
			return t
		}
	}
	switch p.Kind {
	case llm.PartImage:
		return "image/jpeg" // the provider looks at the bytes
	case llm.PartAudio:
		return "audio/wav"
	}
	return "application/pdf"
}
