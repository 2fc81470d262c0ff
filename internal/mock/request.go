package mock

import (
	"net/http"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

type dialect uint8

const (
	openai dialect = iota
	anthropic
)

// dialectOf tells the dialect by the path, and of other paths by Anthropic's version header.
func dialectOf(r *http.Request) dialect {
	if strings.Contains(r.URL.Path, "/messages") || r.Header.Get("anthropic-version") != "" && !strings.HasSuffix(r.URL.Path, "/chat/completions") {
		return anthropic
	}
	return openai
}

// request is what the mock reads of a request.
type request struct {
	model    string
	stream   bool
	usage    bool // openai: a usage chunk is asked for
	words    int  // of all texts of the prompt
	last     string
	replied  bool // the last message has a tool's result
	tools    []tool
	tool     string // the one tool that must be called
	noTools  bool
	schema   []byte // of the answer; nil: none
	json     bool   // an object is asked for
	limit    int    // output tokens; 0: none
	choices  int
	sequence string // the first stop sequence
}

type tool struct {
	name   string
	schema []byte
}

// readRequest reads the body of a request for text.
func readRequest(d dialect, body []byte) (*request, error) {
	r, err := readCounted(d, body)
	if err != nil {
		return nil, err
	}
	if raw := jsonx.Get(body, "stream"); !jsonx.IsNull(raw) {
		var ok bool
		if r.stream, ok = jsonx.Bool(raw); !ok {
			return nil, &memberError{"stream", "must be true or false"}
		}
	}
	if d == anthropic {
		return r, r.anthropic(body)
	}
	return r, r.openai(body)
}

// readCounted reads what a request to count tokens has, too.
func readCounted(d dialect, body []byte) (*request, error) {
	if _, err := jsonx.Scan(body); err != nil {
		return nil, &memberError{"body", err.Error()}
	}
	r := &request{choices: 1}
	var ok bool
	if r.model, ok = jsonx.String(jsonx.Get(body, "model")); !ok || r.model == "" {
		return nil, &memberError{"model", "is required and must be a string"}
	}
	messages := jsonx.Get(body, "messages")
	if jsonx.Kind(messages) != '[' {
		return nil, &memberError{"messages", "is required and must be an array"}
	}
	if d == anthropic {
		r.words += len(strings.Fields(texts(jsonx.Get(body, "system"))))
	}
	n := 0
	for i, m := range jsonx.Elements(messages) {
		n++
		if err := r.message(d, i, m); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, &memberError{"messages", "must not be empty"}
	}
	return r, nil
}

var roles = [...]string{openai: " system developer user assistant tool function ", anthropic: " user assistant "}

// message reads one message.
func (r *request) message(d dialect, i int, m []byte) error {
	role, ok := jsonx.String(jsonx.Get(m, "role"))
	if !ok || !strings.Contains(roles[d], " "+role+" ") {
		return &memberError{at("messages", i, "role"), "must be one of" + strings.TrimRight(roles[d], " ")}
	}
	content := jsonx.Get(m, "content")
	text := texts(content)
	r.words += len(strings.Fields(text))
	r.replied = role == "tool" || role == "function"
	for _, part := range jsonx.Elements(content) {
		if kind, _ := jsonx.String(jsonx.Get(part, "type")); kind == "tool_result" {
			r.replied = true
		}
	}
	if role == "user" && text != "" {
		r.last = text
	}
	return nil
}

// openai reads what only openai-chat has.
func (r *request) openai(body []byte) error {
	r.usage, _ = jsonx.Bool(jsonx.At(body, "stream_options", "include_usage"))
	if r.usage && !r.stream {
		return &memberError{"stream_options", "is only allowed when stream is true"}
	}
	for i, t := range jsonx.Elements(jsonx.Get(body, "tools")) {
		if kind, _ := jsonx.String(jsonx.Get(t, "type")); kind != "function" {
			continue
		}
		name, _ := jsonx.String(jsonx.At(t, "function", "name"))
		if name == "" {
			return &memberError{at("tools", i, "function.name"), "is required"}
		}
		r.tools = append(r.tools, tool{name, jsonx.At(t, "function", "parameters")})
	}
	choice := jsonx.Get(body, "tool_choice")
	r.tool, _ = jsonx.String(jsonx.At(choice, "function", "name"))
	word, _ := jsonx.String(choice)
	r.noTools = word == "none"
	switch kind, _ := jsonx.String(jsonx.At(body, "response_format", "type")); kind {
	case "json_schema":
		r.json, r.schema = true, jsonx.At(body, "response_format", "json_schema", "schema")
	case "json_object":
		r.json = true
	}
	if stop := jsonx.Get(body, "stop"); jsonx.Kind(stop) == '"' {
		r.sequence, _ = jsonx.String(stop)
	} else {
		r.sequence = firstString(stop)
	}
	if err := r.readInt(body, "n", 8, &r.choices); err != nil {
		return err
	}
	if err := r.readInt(body, "max_tokens", 1<<31, &r.limit); err != nil {
		return err
	}
	return r.readInt(body, "max_completion_tokens", 1<<31, &r.limit)
}

// anthropic reads what only anthropic-messages has.
func (r *request) anthropic(body []byte) error {
	if err := r.readInt(body, "max_tokens", 1<<31, &r.limit); err != nil {
		return err
	}
	if r.limit == 0 {
		return &memberError{"max_tokens", "is required"}
	}
	for i, t := range jsonx.Elements(jsonx.Get(body, "tools")) {
		if kind, _ := jsonx.String(jsonx.Get(t, "type")); kind != "" && kind != "custom" {
			continue
		}
		name, _ := jsonx.String(jsonx.Get(t, "name"))
		schema := jsonx.Get(t, "input_schema")
		if name == "" || jsonx.Kind(schema) != '{' {
			return &memberError{at("tools", i, "name and input_schema"), "are required"}
		}
		r.tools = append(r.tools, tool{name, schema})
	}
	switch kind, _ := jsonx.String(jsonx.At(body, "tool_choice", "type")); kind {
	case "tool":
		r.tool, _ = jsonx.String(jsonx.At(body, "tool_choice", "name"))
	case "none":
		r.noTools = true
	}
	format := jsonx.At(body, "output_config", "format")
	if format == nil {
		format = jsonx.Get(body, "output_format")
	}
	r.schema = jsonx.Get(format, "schema")
	r.json = r.schema != nil
	r.sequence = firstString(jsonx.Get(body, "stop_sequences"))
	return nil
}

// readInt reads an optional positive integer of at most high into to.
func (r *request) readInt(body []byte, name string, high int64, to *int) error {
	raw := jsonx.Get(body, name)
	if jsonx.IsNull(raw) {
		return nil
	}
	n, ok := jsonx.Int(raw)
	if !ok || n < 1 || n > high {
		return &memberError{name, "must be a whole number from 1"}
	}
	*to = int(n)
	return nil
}

// texts joins the texts of a content: a string, or parts, with those within tool results.
func texts(content []byte) string {
	if s, ok := jsonx.String(content); ok {
		return s
	}
	var list []string
	for _, part := range jsonx.Elements(content) {
		if s, ok := jsonx.String(jsonx.Get(part, "text")); ok {
			list = append(list, s)
		} else if inner := texts(jsonx.Get(part, "content")); inner != "" {
			list = append(list, inner)
		}
	}
	return strings.Join(list, "\n")
}

func firstString(arr []byte) string {
	for _, e := range jsonx.Elements(arr) {
		s, _ := jsonx.String(e)
		return s
	}
	return ""
}
