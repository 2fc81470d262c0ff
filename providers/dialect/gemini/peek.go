package gemini

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Limits of a request. The provider's own may be lower; these keep the gateway's work bounded.
const (
	maxContents = 4096
	maxTools    = 512
	maxBatch    = 2048 // texts in one batchEmbedContents
	maxAnswers  = 8    // candidateCount
	maxDepth    = 64   // of what is decoded; members that are only carried may nest deeper
)

// control names the members that decide identity, price, routing or limits. A provider that ignores case
// would take a variant of one for the real thing.
var control = [...]string{
	"model", "contents", "content", "requests", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config",
	"generationConfig", "generation_config", "safetySettings", "safety_settings", "cachedContent", "cached_content", "labels",
	"serviceTier", "service_tier", "generateContentRequest", "generate_content_request",
}

func bad(param, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeInvalid, Op: name + ".read", Param: param, Message: message}
}

// syntax turns a scanner's error into ours.
func syntax(err error) *llm.Error {
	e := bad("", "Invalid JSON payload received. "+err.Error())
	if s, ok := err.(*jsonx.SyntaxError); ok { //nolint:errorlint // the scanner returns it bare
		e.Param = s.Name
	}
	return e
}

// Peek validates the body and the members that steer the gateway. It decodes no content. The model is the path's;
// a body's own name of it counts only where the path has none.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	h := &dialect.Head{Usage: true, N: 1, Model: strings.TrimPrefix(in.Model, modelPrefix)}
	if in.Op == llm.OpModels {
		if _, id, found := strings.Cut(in.Path, "/models/"); h.Model == "" && found {
			h.Model = id
		}
		return h, nil
	}
	h.Stream = strings.HasSuffix(in.Path, ":streamGenerateContent")
	doc, err := jsonx.Scan(in.Body)
	if err != nil {
		return nil, syntax(err)
	}
	if v, of, found := doc.CaseVariant(control[:]...); found {
		return nil, bad(v, fmt.Sprintf("Unknown name; did you mean %q?", of))
	}
	h.Doc = doc
	p := peeker{h: h, op: in.Op}
	for i := range doc.Members {
		m := &doc.Members[i]
		if err := p.member(m.Name, doc.Body[m.Start:m.End]); err != nil {
			return nil, err
		}
	}
	if h.Model == "" {
		return nil, bad("model", "The model is missing from the path.")
	}
	return h, p.complete()
}

// peeker checks the members of one request.
type peeker struct {
	h    *dialect.Head
	op   llm.Op
	seen [16]string // canonical names of the members that have two spellings
	n    int
	has  struct{ contents, content, requests, inner bool }
}

// twice reports whether a member came in its other spelling before.
func (p *peeker) twice(canonical string) bool {
	if slices.Contains(p.seen[:p.n], canonical) {
		return true
	}
	if p.n < len(p.seen) {
		p.seen[p.n] = canonical
		p.n++
	}
	return false
}

func (p *peeker) member(name string, raw []byte) (err error) {
	at := camel(name)
	switch at {
	case "systemInstruction", "toolConfig", "generationConfig", "safetySettings", "cachedContent", "serviceTier", "generateContentRequest":
		if p.twice(at) {
			return bad(at, "The member stands there in two spellings.")
		}
	}
	if jsonx.IsNull(raw) {
		return nil // null stands for absence
	}
	switch at {
	case "model":
		m, err := wantString(at, raw)
		if err == nil && p.h.Model == "" {
			p.h.Model = strings.TrimPrefix(m, modelPrefix)
		}
		return err
	case "contents":
		p.has.contents = true
		return peekContents(at, raw)
	case "content":
		p.has.content = true
		return wantObject(at, raw)
	case "requests":
		p.has.requests = true
		return peekList(at, raw, maxBatch, true)
	case "tools":
		return peekList(at, raw, maxTools, false)
	case "generationConfig":
		return p.config(at, raw)
	case "cachedContent", "serviceTier":
		_, err = wantString(at, raw)
	case "generateContentRequest":
		if p.op != llm.OpCount {
			return nil
		}
		p.has.inner = true
		return p.inner(at, raw)
	}
	return err
}

// inner checks the request whose tokens are to be counted.
func (p *peeker) inner(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	q := peeker{h: &dialect.Head{Model: p.h.Model, N: 1}, op: llm.OpChat}
	for n, v := range jsonx.Members(raw) {
		if err := q.member(string(n), v); err != nil {
			return within(err, at)
		}
	}
	if p.h.Model == "" {
		p.h.Model = q.h.Model
	}
	if !q.has.contents {
		return bad(at+".contents", "contents is not specified")
	}
	return nil
}

// within puts the place of an object in front of the members that an error within it names.
func within(err error, at string) error {
	if e, ok := err.(*llm.Error); ok { //nolint:errorlint // made by bad, bare
		e.Param = join(at, e.Param)
	}
	return err
}

func (p *peeker) complete() error {
	switch {
	case p.op == llm.OpEmbed && !p.has.content && !p.has.requests:
		return bad("content", "content is not specified")
	case p.op == llm.OpEmbed && p.has.content && p.has.requests:
		return bad("requests", "content and requests cannot stand together")
	case p.op == llm.OpCount && p.has.inner && p.has.contents:
		return bad("contents", "contents and generateContentRequest cannot stand together")
	case p.op == llm.OpEmbed, p.has.contents, p.has.inner:
		return nil
	}
	return bad("contents", "contents is not specified")
}

func (p *peeker) config(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	q := peeker{}
	for n, v := range jsonx.Members(raw) {
		k := camel(string(n))
		switch k {
		case "maxOutputTokens", "candidateCount":
			if q.twice(k) {
				return bad(join(at, k), "The member stands there in two spellings.")
			}
		default:
			continue
		}
		if jsonx.IsNull(v) {
			continue
		}
		i, err := wantInt(join(at, k), v, 1)
		if err != nil {
			return err
		}
		if k == "maxOutputTokens" {
			p.h.MaxTokens = i
			continue
		}
		if i > maxAnswers {
			return bad(join(at, k), fmt.Sprintf("The value must be from 1 to %d.", maxAnswers))
		}
		p.h.N = int(i)
	}
	return nil
}

func peekList(at string, raw []byte, most int, filled bool) error {
	if err := wantArray(at, raw); err != nil {
		return err
	}
	n := 0
	for i, v := range jsonx.Elements(raw) {
		if n++; n > most {
			return bad(at, fmt.Sprintf("The list has more than %d elements.", most))
		}
		if jsonx.Kind(v) != '{' {
			return wantObject(item(at, i), v)
		}
	}
	if n == 0 && filled {
		return bad(at, at+" is not specified")
	}
	return nil
}

// peekContents checks the roles. One turn may stand without its list.
func peekContents(at string, raw []byte) error {
	if jsonx.Kind(raw) == '{' {
		if !speaker(raw) {
			return badRole(at)
		}
		return nil
	}
	if err := peekList(at, raw, maxContents, true); err != nil {
		return err
	}
	for i, t := range jsonx.Elements(raw) {
		if !speaker(t) {
			return badRole(item(at, i))
		}
	}
	return nil
}

// speaker reports whether a turn has a role that there is, or none.
func speaker(turn []byte) bool {
	role := jsonx.Get(turn, "role")
	if jsonx.IsNull(role) {
		return true
	}
	switch string(plain(role)) {
	case "user", "model", "function", "":
		return jsonx.Kind(role) == '"'
	}
	return false
}

func badRole(at string) error { return bad(at+".role", "Please use a valid role: user, model.") }

func wrongType(at, what string) *llm.Error { return bad(at, "Invalid value: "+what+" is expected.") }

func wantString(at string, raw []byte) (string, error) {
	s, ok := jsonx.String(raw)
	if !ok {
		return "", wrongType(at, "a string")
	}
	return s, nil
}

func wantBool(at string, raw []byte) (bool, error) {
	b, ok := jsonx.Bool(raw)
	if !ok {
		return false, wrongType(at, "true or false")
	}
	return b, nil
}

// wantInt reads an integer. The API takes one with a fraction of zero too.
func wantInt(at string, raw []byte, low int64) (int64, error) {
	n, ok := jsonx.Int(raw)
	if !ok {
		f, isNumber := jsonx.Float(raw)
		if !isNumber || f != math.Trunc(f) || math.Abs(f) > 1<<53-1 {
			return 0, wrongType(at, "an integer")
		}
		n = int64(f)
	}
	if n < low {
		return 0, bad(at, "The value must be at least "+strconv.FormatInt(low, 10)+".")
	}
	return n, nil
}

func wantFloat(at string, raw []byte, low, high float64) (*float64, error) {
	f, ok := jsonx.Float(raw)
	switch {
	case !ok:
		return nil, wrongType(at, "a number")
	case f < low || f > high:
		return nil, bad(at, fmt.Sprintf("The value must be from %g to %g.", low, high))
	}
	return &f, nil
}

func wantObject(at string, raw []byte) error {
	if jsonx.Kind(raw) != '{' {
		return wrongType(at, "an object")
	}
	return nil
}

func wantArray(at string, raw []byte) error {
	if jsonx.Kind(raw) != '[' {
		return wrongType(at, "a list")
	}
	return nil
}

// wantBase64 reads bytes, which the API takes in either alphabet and without padding, as standard base64.
func wantBase64(at string, raw []byte) (string, error) {
	s, err := wantString(at, raw)
	if err != nil {
		return "", err
	}
	std, ok := standard(s)
	if !ok || std == "" {
		return "", bad(at, "Base64 decoding failed.")
	}
	return std, nil
}

// standard returns base64 of any alphabet in the standard one, with padding, and whether it is valid.
func standard(s string) (string, bool) {
	if strings.ContainsAny(s, "-_") {
		s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	}
	body := strings.TrimRight(s, "=")
	if len(s)-len(body) > 2 || len(body)%4 == 1 {
		return "", false
	}
	for i := range len(body) {
		c := body[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' {
			return "", false
		}
	}
	for s = body; len(s)%4 != 0; {
		s += "="
	}
	return s, true
}

// decode returns the bytes of base64 in any alphabet.
func decode(s string) ([]byte, bool) {
	std, ok := standard(s)
	if !ok {
		return nil, false
	}
	b, err := base64.StdEncoding.DecodeString(std)
	return b, err == nil
}
