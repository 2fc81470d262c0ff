package template

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Request is what of a client's request can name a template.
type Request struct {
	Dialect dialect.Name
	Model   string     // of the path, where the dialect has it there
	Doc     *jsonx.Doc // of the body
	May     []string   // patterns of the templates that its sender may use; none: all
	Count   bool       // it asks for the tokens of its prompt
}

// Use is a version that a request has named, with what the request says of it.
type Use struct {
	*Version
	req       Request
	model     string // the request's own; "": it named the template there
	field     string // the member that names the template; "model" where that is the model
	variables []byte // an object, nil where there is none
	loose     bool   // what is no string may be written as one
	shapes    []byte // of images, by variable; nil: there are none
	chosen    bool   // the request says which version it wants, other than the one in production
}

// Chosen reports whether the request says which version of the template it wants, other than the one in production.
func (u *Use) Chosen() bool { return u.chosen }

// As returns the use of another version of the template, by its number or a label, with all that the request says; nil: there is no
// such version here that its sender may use.
func (s *Set) As(u *Use, version string) *Use {
	v, _ := s.Find(u.Name, version)
	if v == nil || !Allowed(u.req.May, v) {
		return nil
	}
	other := *u
	other.Version, other.shapes = v, nil
	return &other
}

// Members of a request that name templates.
const (
	byBody   = "template"
	byPrompt = "prompt" // of OpenAI's Responses
	byModel  = "model"
)

// stored begins the ids of prompts that OpenAI keeps itself: https://platform.openai.com/docs/api-reference/responses/create
const stored = "pmpt_"

// Read finds the template that a request names, by a member template, by the prompt of OpenAI's Responses, or by its
// model. It returns nil where the request names none. A template that the sender may not use does not exist for it.
func (s *Set) Read(r Request) (*Use, *llm.Error) {
	if r.Doc == nil || !slices.Contains(chats[:], r.Dialect) {
		return nil, nil
	}
	u := &Use{req: r, model: r.Model}
	if raw, ok := r.Doc.Get(byModel); ok && u.model == "" {
		u.model, _ = jsonx.String(raw) // what else it may be, the dialect refuses
	}
	body, inBody := r.Doc.Get(byBody)
	var prompt []byte
	if r.Dialect == dialect.OpenAIResponses {
		prompt, _ = r.Doc.Get(byPrompt)
		if id, _ := jsonx.String(jsonx.Get(prompt, "id")); jsonx.Kind(prompt) != '{' || strings.HasPrefix(id, stored) {
			prompt = nil
		}
	}
	name, version, _ := strings.Cut(u.model, "@")
	_, ofModel := s.Find(name, "")
	ofModel = ofModel && s.visible(name, r.May)
	switch {
	case inBody && prompt != nil:
		return nil, llm.Invalid(byPrompt, "template and prompt cannot both be given")
	case inBody:
		return u, s.byBody(u, body, ofModel)
	case prompt != nil:
		return u, s.byPrompt(u, prompt, ofModel)
	case ofModel:
		u.field, u.model, u.loose = byModel, "", true
		raw, _ := r.Doc.Get(r.Dialect.Metadata())
		if jsonx.Kind(raw) == '{' {
			u.variables = raw
		}
		return u, s.pick(u, name, version, byModel, byModel)
	}
	return nil, nil
}

// visible reports whether a version of a template may be used.
func (s *Set) visible(name string, may []string) bool {
	return slices.ContainsFunc(s.names[name].versions, func(v *Version) bool { return Allowed(may, v) })
}

// byBody reads template: NAME@VERSION, or { name, version, variables }.
func (s *Set) byBody(u *Use, raw []byte, ofModel bool) *llm.Error {
	u.field = byBody
	var name, version string
	switch jsonx.Kind(raw) {
	case '"':
		name, _ = jsonx.String(raw)
		name, version, _ = strings.Cut(name, "@")
		if ofModel {
			return llm.Invalid(byModel, "names a template too; name it once")
		}
		return s.pick(u, name, version, byBody, byBody)
	case '{':
	default:
		return llm.Invalid(byBody, "must be NAME@VERSION, or an object with name, version and variables")
	}
	at := byBody + ".name"
	for key, v := range jsonx.Members(raw) {
		var e *llm.Error
		switch string(key) {
		case "name":
			if name, e = str(v, byBody+".name"); e == nil {
				var in string
				if name, in, _ = strings.Cut(name, "@"); in != "" {
					version = in
				}
			}
		case "version":
			version, e = number(v, byBody+".version")
		case "variables":
			e = u.object(v, byBody+".variables")
		default:
			e = llm.Invalid(byBody+"."+clip(string(key)), "is unknown; possible are name, version and variables")
		}
		if e != nil {
			return e
		}
	}
	if name == "" && ofModel {
		var in string
		name, in, _ = strings.Cut(u.model, "@")
		if version == "" {
			version = in
		}
		u.model, at, ofModel = "", byModel, false
	}
	switch {
	case name == "":
		return llm.Invalid(at, "is missing: the template's name")
	case ofModel:
		return llm.Invalid(byModel, "names a template too; name it once")
	}
	return s.pick(u, name, version, at, byBody+".version")
}

// byPrompt reads prompt: { id, version, variables } as OpenAI's Responses have it.
func (s *Set) byPrompt(u *Use, raw []byte, ofModel bool) *llm.Error {
	u.field, u.loose = byPrompt, true
	if ofModel {
		return llm.Invalid(byModel, "names a template too; name it once")
	}
	var name, version string
	for key, v := range jsonx.Members(raw) {
		var e *llm.Error
		switch string(key) {
		case "id":
			name, e = str(v, "prompt.id")
		case "version":
			version, e = number(v, "prompt.version")
		case "variables":
			e = u.object(v, "prompt.variables")
		default:
			e = llm.Invalid("prompt."+clip(string(key)), "is unknown; possible are id, version and variables")
		}
		if e != nil {
			return e
		}
	}
	if name == "" {
		return llm.Invalid("prompt.id", "is missing: the template's name")
	}
	return s.pick(u, name, version, "prompt.id", "prompt.version")
}

// pick finds the version that a request names.
func (s *Set) pick(u *Use, name, version, nameAt, versionAt string) *llm.Error {
	v, known := s.Find(name, version)
	if !known || !s.visible(name, u.req.May) {
		e := llm.Invalid(nameAt, "there is no template "+strconv.Quote(clip(name))+" here, or you may not use it")
		e.Reason = "template_not_found"
		return e
	}
	if v == nil || !Allowed(u.req.May, v) {
		e := llm.Invalid(versionAt, "the template "+name+" has no version "+strconv.Quote(clip(version))+" that you may use; there are "+s.Possible(name, u.req.May))
		e.Reason = "template_version_not_found"
		return e
	}
	u.Version, u.chosen = v, version != "" && version != Production
	return nil
}

// object takes the variables of a request.
func (u *Use) object(raw []byte, at string) *llm.Error {
	switch {
	case jsonx.IsNull(raw):
		return nil
	case jsonx.Kind(raw) != '{':
		return llm.Invalid(at, "must be an object of variables by name, not "+named(raw))
	}
	u.variables = raw
	return nil
}

func str(raw []byte, at string) (string, *llm.Error) {
	s, ok := jsonx.String(raw)
	if !ok {
		return "", llm.Invalid(at, "must be a string, not "+named(raw))
	}
	return s, nil
}

// number reads a version: a number, or its number or label as a string; "" for null.
func number(raw []byte, at string) (string, *llm.Error) {
	if jsonx.IsNull(raw) {
		return "", nil
	}
	if n, ok := jsonx.Int(raw); ok && jsonx.Kind(raw) == '0' {
		return strconv.FormatInt(n, 10), nil
	}
	s, ok := jsonx.String(raw)
	if !ok || s == "" {
		return "", llm.Invalid(at, "must be a version's number or label")
	}
	return s, nil
}

// Field returns the member of the request that names the template.
func (u *Use) Field() string { return u.field }

// values returns the text of every variable, as the inside of a JSON string, and the names of the request's metadata that
// were taken for variables.
func (u *Use) values() (texts [][]byte, taken []string, e *llm.Error) {
	texts = make([][]byte, len(u.Variables))
	metadata := u.field == byModel
	at := u.field + ".variables."
	if metadata {
		at = u.req.Dialect.Metadata() + "."
	}
	given := make([]bool, len(u.Variables))
	for key, raw := range jsonx.Members(u.variables) {
		i, known := u.byName[string(key)]
		if !known {
			if metadata {
				continue
			}
			return nil, nil, llm.Invalid(at+clip(string(key)), "the template "+u.String()+" has no such variable")
		}
		if metadata {
			taken = append(taken, string(key))
		}
		if jsonx.IsNull(raw) {
			continue
		}
		if u.field == byPrompt && jsonx.Kind(raw) == '{' && u.Variables[i].kind() != "json" { // an input of the API, of which a text is one
			var e *llm.Error
			if raw, e = u.input(i, raw, at+string(key)); e != nil {
				return nil, nil, e
			}
		}
		text, wrong := u.Variables[i].text(raw, u.loose)
		if wrong != "" {
			return nil, nil, llm.Invalid(at+string(key), wrong)
		}
		texts[i], given[i] = inner(text), true
		u.shape(i, raw)
	}
	for i := range u.Variables {
		v := &u.Variables[i]
		switch {
		case given[i]:
		case v.due():
			return nil, nil, llm.Invalid(at+v.Name, "is missing: the template "+u.String()+" needs it ("+v.kind()+")")
		case v.Default != nil:
			text, _ := v.text(v.Default, false) // which was checked
			texts[i] = inner(text)
			u.shape(i, v.Default)
		}
	}
	return texts, taken, nil
}

// input returns the value of an input of OpenAI's API that stands for a variable: a text, or an image where the variable is one.
func (u *Use) input(variable int, raw []byte, at string) ([]byte, *llm.Error) {
	kind, _ := jsonx.String(jsonx.Get(raw, "type"))
	image := u.Variables[variable].kind() == imageKind
	switch {
	case image && kind == "input_image" && jsonx.Get(raw, "image_url") != nil:
		return jsonx.Get(raw, "image_url"), nil
	case image:
		return nil, llm.Invalid(at, "must be an image with an image_url: this variable of the template is no text and no file")
	case kind != "input_text":
		return nil, llm.Invalid(at, "must be a text: this variable of the template is no image and no file")
	}
	return jsonx.Get(raw, "text"), nil
}

// shape notes how an image is given by a value that was found good.
func (u *Use) shape(variable int, raw []byte) {
	if u.images == nil || u.Variables[variable].kind() != imageKind {
		return
	}
	if u.shapes == nil {
		u.shapes = bytes.Repeat([]byte{'-'}, len(u.Variables))
	}
	_, u.shapes[variable], _ = image(raw)
}

// inner is what stands between the quotes of a JSON string.
func inner(s string) []byte {
	q := jsonx.AppendQuote(nil, s)
	return q[1 : len(q)-1]
}

// clip shortens what a client sent for a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
