package mock

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// failure is an error answer.
type failure struct {
	status   int
	kind     string // "", context, quota, html: more than a status says
	message  string // instead of the usual one
	param    string
	after    time.Duration
	hasAfter bool
}

// usual has what the providers say to a status.
var usual = [...]struct {
	status                 int
	openaiType, openaiCode string
	anthropicType, text    string
}{
	{400, "invalid_request_error", "", "invalid_request_error", "The request is invalid."},
	{401, "invalid_request_error", "invalid_api_key", "authentication_error", "Incorrect API key provided."},
	{402, "insufficient_quota", "insufficient_quota", "billing_error", "Payment is required."},
	{403, "permission_error", "", "permission_error", "Your API key does not have permission to use this resource."},
	{404, "invalid_request_error", "model_not_found", "not_found_error", "The model does not exist or you do not have access to it."},
	{405, "invalid_request_error", "method_not_supported", "invalid_request_error", "Method not allowed."},
	{408, "timeout", "", "timeout_error", "The request timed out."},
	{409, "conflict_error", "", "invalid_request_error", "The request conflicts with another one."},
	{413, "invalid_request_error", "", "request_too_large", "Request exceeds the maximum size."},
	{422, "invalid_request_error", "", "invalid_request_error", "The request cannot be processed."},
	{429, "rate_limit_exceeded", "rate_limit_exceeded", "rate_limit_error", "Rate limit reached. Please try again later."},
	{500, "server_error", "", "api_error", "The server had an error while processing your request."},
	{503, "server_error", "", "overloaded_error", "The engine is currently overloaded, please try again later."},
	{504, "server_error", "", "timeout_error", "The request timed out upstream."},
	{529, "server_error", "overloaded", "overloaded_error", "Overloaded"},
}

// contextSize is the window that context answers name.
const contextSize = 8192

const page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

type openaiError struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

type anthropicError struct {
	Type  string `json:"type"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	RequestID string `json:"request_id"`
}

// body returns the status and the body of f in the words of e's dialect.
func (e *exchange) body(f *failure) (int, []byte) {
	u := usual[0]
	code := f.status
	for _, row := range usual {
		if row.status == code || row.status == 500 && code >= 500 {
			u = row
			if row.status == code {
				break
			}
		}
	}
	text, param := u.text, f.param
	switch f.kind {
	case "context":
		code, param, u.openaiCode = 400, "messages", "context_length_exceeded"
		tokens := strconv.Itoa(contextSize + e.words())
		text = "This model's maximum context length is " + strconv.Itoa(contextSize) + " tokens. However, your messages resulted in " + tokens + " tokens. Please reduce the length of the messages."
		if e.d == anthropic {
			text = "prompt is too long: " + tokens + " tokens > " + strconv.Itoa(contextSize) + " maximum"
		}
	case "quota":
		code, u.openaiType, u.openaiCode = 429, "insufficient_quota", "insufficient_quota"
		text = "You exceeded your current quota, please check your plan and billing details."
		if e.d == anthropic {
			code, text = 400, "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."
		}
	}
	if f.message != "" {
		text = strings.ToValidUTF8(f.message, "\uFFFD")
		if f.status == 404 {
			u.openaiCode = ""
		}
	}
	if e.d == anthropic {
		a := anthropicError{Type: "error", RequestID: e.name("req_")}
		a.Error.Type, a.Error.Message = u.anthropicType, text
		return code, encode(a)
	}
	var o openaiError
	o.Error.Message, o.Error.Type = text, u.openaiType
	if param != "" {
		o.Error.Param = &param
	}
	if u.openaiCode != "" {
		o.Error.Code = &u.openaiCode
	}
	return code, encode(o)
}

// fail answers with f.
func (e *exchange) fail(f *failure) {
	if f.hasAfter {
		// Whole seconds in the old header, rounded up so that nobody comes too early; the exact time in OpenAI's own.
		e.w.Header().Set("retry-after", strconv.FormatInt(int64((f.after+time.Second-1)/time.Second), 10))
		if f.after%time.Second != 0 {
			e.w.Header().Set("retry-after-ms", strconv.FormatInt(f.after.Milliseconds(), 10))
		}
	}
	if f.kind == "html" {
		e.w.Header().Set("content-type", "text/html")
		e.w.WriteHeader(http.StatusBadGateway)
		e.write([]byte(page))
		return
	}
	status, body := e.body(f)
	e.whole(status, body)
}

// invalid answers 400 to a request that cannot be read.
func (e *exchange) invalid(err error) {
	f := &failure{status: http.StatusBadRequest, message: err.Error()}
	if m := new(memberError); errors.As(err, &m) {
		f.param = m.member
	}
	e.fail(f)
}

// streamError is the event of an error within a stream.
func (e *exchange) streamError() []byte {
	_, body := e.body(&failure{status: 529})
	if e.d == anthropic {
		return event("error", body)
	}
	return event("", body)
}
