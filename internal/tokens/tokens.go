// Package tokens counts texts and requests for people and scripts: one, or many lines of them, or recorded requests
// with the usage that their providers reported, to see how right the counts are. It counts nothing itself, and asks no
// network.
//
//	text, or a request in any dialect ─► tokenizer ─► Result
//	usage pairs ─► tokenizer ─► Report
package tokens

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// Tool counts.
type Tool struct {
	Set     *tokenizer.Set
	Servers map[dialect.Name]dialect.Server
}

// Result is a count.
type Result struct {
	Model    string `json:"model"`
	Dialect  string `json:"dialect,omitzero"` // of a request; "": it was text
	Tokens   int64  `json:"tokens"`
	Upper    int64  `json:"upper"`
	Error    int64  `json:"error"`
	Method   string `json:"method"`
	Encoding string `json:"encoding"`
	Family   string `json:"family"`
	Text     int64  `json:"text_tokens"`
	Tools    int64  `json:"tool_tokens"`
	Media    int64  `json:"media_tokens"`
	Frame    int64  `json:"frame_tokens"`
}

// Text counts a text alone, as it stands within a request.
func (t *Tool) Text(kind, model string, text []byte) *Result {
	c := t.Set.For(kind, model)
	n := int64(c.Text(text))
	e := c.Plain(n, int64(len(text)))
	return &Result{Model: model, Tokens: n, Upper: e.Upper, Error: e.Error, Method: e.Class.String(), Encoding: c.Encoding, Family: c.Family, Text: n}
}

// Request counts a request. as is its dialect or, where it begins with a slash, the path that it is sent to; "" finds
// out by the request's form. A model other than "" is counted for in place of the request's own.
func (t *Tool) Request(kind, model, as string, body []byte) (*Result, error) {
	path, err := door(as, body)
	if err != nil {
		return nil, err
	}
	req, d, err := t.decode(path, model, body)
	if err != nil {
		return nil, err
	}
	if model == "" {
		model = req.Model
	}
	if kind == "" && strings.Contains(path.as, "/publishers/google/") {
		kind = "vertex"
	}
	c := t.Set.For(kind, model)
	e := c.Request(req)
	return &Result{
		Model: model, Dialect: string(d), Tokens: e.Input, Upper: e.Upper, Error: e.Error, Method: e.Class.String(), Encoding: c.Encoding, Family: c.Family,
		Text: e.Text, Tools: e.Tools, Media: e.Media, Frame: e.Frame,
	}, nil
}

// entry is where a request enters.
type entry struct {
	as   string // as it was said
	path string // of a front door
	told dialect.Name
}

// decode reads a request. Its model stands in for one that the body does not name.
func (t *Tool) decode(at entry, model string, body []byte) (*llm.Request, dialect.Name, error) {
	row, piece, found := dialect.Find("POST", at.path, at.told)
	if !found || row.Op == llm.OpUnknown {
		return nil, "", fmt.Errorf("no dialect has the path %s", at.as)
	}
	doc, err := jsonx.Scan(body)
	if err != nil {
		return nil, "", fmt.Errorf("the request is no JSON object: %w", err)
	}
	if piece == "" && strings.Contains(row.Path, "{model}") {
		piece = model
	}
	if raw, has := doc.Get("model"); piece == "" && model != "" && (!has || jsonx.Kind(raw) != '"') {
		body = jsonx.Splice(nil, body, doc.Set("model", jsonx.AppendQuote(nil, model)))
	}
	s := t.Servers[row.Name]
	if s == nil {
		return nil, "", fmt.Errorf("requests in %s cannot be counted", row.Name)
	}
	req, err := s.ReadRequest(dialect.Inbound{Op: row.Op, Path: at.path, Model: piece, Body: body})
	if err != nil {
		return nil, "", readable(err)
	}
	return req, row.Name, nil
}

// readable is an error as people see it.
func readable(err error) error {
	if e, ok := errors.AsType[*llm.Error](err); ok {
		if e.Param != "" {
			return fmt.Errorf("%s: %s", e.Param, e.Message)
		}
		return errors.New(e.Message)
	}
	return err
}

// paths are the front doors that stand for dialects.
var paths = map[string]string{
	string(dialect.OpenAIChat):        "/v1/chat/completions",
	string(dialect.OpenAIResponses):   "/v1/responses",
	string(dialect.OpenAICompletions): "/v1/completions",
	string(dialect.OpenAIEmbeddings):  "/v1/embeddings",
	string(dialect.AnthropicMessages): "/v1/messages",
	string(dialect.Gemini):            "/v1beta/models/model:generateContent",
	string(dialect.BedrockConverse):   "/model/model/converse",
	string(dialect.Cohere):            "/v2/chat",
	string(dialect.Rerank):            "/v1/rerank",
}

// door finds the front door that a request is for.
func door(as string, body []byte) (entry, error) {
	if strings.HasPrefix(as, "/") {
		path, told := like(as)
		return entry{as: as, path: path, told: told}, nil
	}
	name := as
	if name == "" {
		if name = recognise(body); name == "" {
			return entry{}, errors.New("the request is of no dialect that is known by its form; say which with --as")
		}
	}
	path, ok := paths[name]
	if !ok {
		return entry{}, fmt.Errorf("unknown dialect %q", name)
	}
	return entry{as: name, path: path}, nil
}

// recognise tells the dialect of a request by its members; "": none.
func recognise(body []byte) string {
	doc, err := jsonx.Scan(body)
	if err != nil {
		return ""
	}
	has := func(name string) bool { _, ok := doc.Get(name); return ok }
	messages, _ := doc.Get("messages")
	switch {
	case has("contents"), has("generateContentRequest"), has("systemInstruction"):
		return string(dialect.Gemini)
	case has("documents") && has("query"):
		return string(dialect.Rerank)
	case has("inferenceConfig"), has("toolConfig"), converses(messages):
		return string(dialect.BedrockConverse)
	case messages != nil && (has("system") || has("stop_sequences") || has("anthropic_version") || speaksAnthropic(doc, messages)):
		return string(dialect.AnthropicMessages)
	case messages != nil:
		return string(dialect.OpenAIChat)
	case has("prompt"):
		return string(dialect.OpenAICompletions)
	case has("input") && (has("encoding_format") || has("dimensions") || named(doc, "embed")):
		return string(dialect.OpenAIEmbeddings)
	case has("input"), has("instructions"):
		return string(dialect.OpenAIResponses)
	}
	return ""
}

// named reports whether a request's model has a word in its name.
func named(doc *jsonx.Doc, word string) bool {
	raw, _ := doc.Get("model")
	name, _ := jsonx.String(raw)
	return strings.Contains(strings.ToLower(name), word)
}

// converses reports whether messages are Bedrock's: their content is a list of parts without a type.
func converses(messages []byte) bool {
	for _, m := range jsonx.Elements(messages) {
		for _, p := range jsonx.Elements(jsonx.Get(m, "content")) {
			return jsonx.Kind(p) == '{' && jsonx.Get(p, "type") == nil
		}
	}
	return false
}

// speaksAnthropic reports whether a request with messages is Anthropic's rather than OpenAI's: it has max_tokens and a
// Claude for its model, or parts that only Anthropic has.
func speaksAnthropic(doc *jsonx.Doc, messages []byte) bool {
	for _, m := range jsonx.Elements(messages) {
		for _, p := range jsonx.Elements(jsonx.Get(m, "content")) {
			switch kind, _ := jsonx.String(jsonx.Get(p, "type")); kind {
			case "tool_use", "tool_result", "image", "document", "thinking":
				return true
			}
		}
	}
	tools, _ := doc.Get("tools")
	for _, t := range jsonx.Elements(tools) {
		return jsonx.Get(t, "input_schema") != nil
	}
	_, limited := doc.Get("max_tokens")
	return limited && named(doc, "claude")
}

// like is the front door that a provider's path is like.
func like(at string) (path string, told dialect.Name) {
	at, _, _ = strings.Cut(at, "#")
	at, _, _ = strings.Cut(at, "?")
	if _, call, ok := strings.Cut(at, "/models/"); ok && strings.Contains(call, ":") && !strings.HasPrefix(at, "/v1/models/") {
		return "/v1beta/models/" + call, dialect.Gemini
	}
	if rest, ok := strings.CutPrefix(at, "/model/"); ok {
		if model, ok := strings.CutSuffix(rest, "/invoke"); ok { // Anthropic's own body is the most usual
			if name, err := url.PathUnescape(model); err == nil && strings.Contains(name, "claude") {
				return "/v1/messages", ""
			}
		}
		return at, dialect.BedrockConverse
	}
	for _, end := range [...]string{"/chat/completions", "/responses/input_tokens", "/responses", "/messages/count_tokens", "/messages", "/completions", "/embeddings"} {
		if strings.HasSuffix(at, end) {
			return "/v1" + end, ""
		}
	}
	return at, ""
}

// Door returns the request path that a body is for: as, where that is a path, the front door of the dialect that it names,
// or of the one that the body is told by. model stands in paths that hold one.
func Door(as, model string, body []byte) (string, error) {
	if strings.HasPrefix(as, "/") {
		return as, nil
	}
	e, err := door(as, body)
	if err != nil {
		return "", err
	}
	if before, after, held := strings.Cut(e.path, "/model:"); held {
		return before + "/" + url.PathEscape(model) + ":" + after, nonempty(model, e.path)
	}
	if rest, held := strings.CutPrefix(e.path, "/model/model/"); held {
		return "/model/" + url.PathEscape(model) + "/" + rest, nonempty(model, e.path)
	}
	return e.path, nil
}

func nonempty(model, path string) error {
	if model == "" {
		return errors.New("requests of this dialect name their model in the path, as " + path + ": say which")
	}
	return nil
}
