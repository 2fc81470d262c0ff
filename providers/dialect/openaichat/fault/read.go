// Package fault reads the errors of OpenAI and of the many servers that imitate it, each in its own way, and writes
// those of every front door of OpenAI's form.
//
// It says what kind of failure an error is, and keeps the provider's words, less what looks like a secret.
// It decides nothing: whether to try again is the business of whoever asked.
package fault

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

// Read reads the body of an answer with an error status, or an error within a stream (status 0). It goes
// by the body and not by what was announced as its type, and never returns nil.
func Read(status int, body []byte) *llm.Error {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("data:")) || bytes.HasPrefix(body, []byte("event:")) {
		if i := bytes.Index(body, []byte("data:")); i >= 0 { // an error as a frame of a stream
			body, _, _ = bytes.Cut(body[i+len("data:"):], []byte("\n"))
			body = bytes.TrimSpace(body)
		}
	}
	var p problem
	switch {
	case len(body) > 0 && (body[0] == '{' || body[0] == '[' || body[0] == '"') && jsonx.Valid(body) == nil:
		p.read(body, 0)
	case len(body) > 0 && body[0] != '<':
		p.message = string(body[:min(len(body), 512)])
	}
	return p.error(status)
}

// problem is what can be found in the body of an error.
type problem struct {
	message, kind, code, param string
	number                     int // a status within the body
	retry                      time.Duration
}

// maxMessage is how much of a provider's text we carry.
const maxMessage = 4 << 10

// read gathers from every shape that is known: the innermost text wins.
func (p *problem) read(raw []byte, depth int) {
	if depth > 4 {
		return
	}
	switch jsonx.Kind(raw) {
	case '"':
		p.say(raw)
		return
	case '[': // Gemini wraps the errors of streams; pydantic lists
		for _, e := range jsonx.Elements(raw) {
			p.read(e, depth+1)
			return
		}
	}
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "error", "errors", "base_resp":
			p.read(v, depth+1)
		case "message", "msg", "status_msg", "error_msg":
			if jsonx.Kind(v) == '"' {
				p.say(v)
			} else {
				p.read(v, depth+1)
			}
		case "detail":
			p.read(v, depth+1)
		case "code", "status_code", "raw_status_code", "status", "error_code":
			p.coded(string(n), v)
		case "type":
			p.kind, _ = jsonx.String(v)
		case "param":
			p.param, _ = jsonx.String(v)
		case "loc":
			p.located(v)
		case "details":
			for _, d := range jsonx.Elements(v) {
				if s, ok := jsonx.String(jsonx.Get(d, "retryDelay")); ok {
					p.retry, _ = time.ParseDuration(s)
				}
				if s, ok := jsonx.String(jsonx.Get(d, "reason")); ok {
					p.code += " " + s
				}
			}
		case "metadata": // OpenRouter: what the provider behind it said
			if s, ok := jsonx.String(jsonx.Get(v, "raw")); ok {
				var inner problem
				if jsonx.Valid([]byte(s)) == nil {
					inner.read([]byte(s), depth+1)
				}
				if s = cmp.Or(inner.message, s); len(s) < maxMessage {
					p.message = s
				}
			}
		}
	}
}

func (p *problem) say(raw []byte) {
	if s, _ := jsonx.String(raw); s != "" && p.message == "" {
		p.message = s
	}
}

func (p *problem) coded(name string, raw []byte) {
	if n, ok := jsonx.Int(raw); ok {
		if n >= 400 && n < 600 {
			p.number = int(n)
		}
		return
	}
	s, _ := jsonx.String(raw)
	if n, err := strconv.Atoi(s); err == nil {
		if n >= 400 && n < 600 {
			p.number = n
		}
		return
	}
	if (name == "code" || name == "error_code") && !strings.Contains(s, " ") { // xAI writes a sentence there
		p.code = strings.TrimSpace(s + " " + p.code)
	} else if p.kind == "" {
		p.kind = s
	}
}

// located reads the path of a member as pydantic names it, ["body","messages",0].
func (p *problem) located(raw []byte) {
	var b strings.Builder
	for i, v := range jsonx.Elements(raw) {
		s, isName := jsonx.String(v)
		switch {
		case i == 0 && s == "body":
		case !isName:
			b.WriteString("[" + string(v) + "]")
		case b.Len() > 0:
			b.WriteString("." + s)
		default:
			b.WriteString(s)
		}
	}
	p.param = b.String()
}

// error classes a problem.
func (p *problem) error(status int) *llm.Error {
	if status < 400 {
		status = p.number
	}
	e := &llm.Error{Op: "openai-chat.upstream", Param: p.param, After: p.retry}
	e.Code, e.Reason = p.class(status)
	if e.Reason == "" {
		e.Reason, _, _ = strings.Cut(p.code, " ")
	}
	if e.Reason == "invalid_request_error" || len(e.Reason) > 64 {
		e.Reason = ""
	}
	switch {
	case p.message != "":
		e.Message = fit.Scrub(p.message[:min(len(p.message), maxMessage)])
	case status != 0:
		e.Message = fmt.Sprintf("The provider answered with status %d.", status)
	default:
		e.Message = "The provider sent an error."
	}
	e.Param = fit.Scrub(e.Param)
	e.Reason = fit.Scrub(e.Reason)
	return e
}
