package cohere

import (
	"net/http"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// statusInvalidToken is Cohere's status for a token that is expired or revoked.
const statusInvalidToken = 498

// ReadError reads the body of an answer with an error status: {"id","message"}, or what a proxy puts in its place.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	if status == statusInvalidToken {
		status = http.StatusUnauthorized
	}
	e := fault.Read(status, body)
	e.Op = name + ".upstream"
	return e
}

// statusOf is the status that stands for a code (https://docs.cohere.com/reference/errors).
func statusOf(c llm.Code) int {
	switch c {
	case llm.CodeInvalid, llm.CodeUnsupported, llm.CodeContextTooLong, llm.CodeBlocked:
		return http.StatusBadRequest
	case llm.CodeUnauthenticated:
		return http.StatusUnauthorized
	case llm.CodeOverQuota:
		return http.StatusPaymentRequired
	case llm.CodeForbidden:
		return http.StatusForbidden
	case llm.CodeNotFound:
		return http.StatusNotFound
	case llm.CodeMethod:
		return http.StatusMethodNotAllowed
	case llm.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case llm.CodeMediaType:
		return http.StatusUnsupportedMediaType
	case llm.CodeRateLimited:
		return http.StatusTooManyRequests
	case llm.CodeOverloaded:
		return http.StatusServiceUnavailable
	case llm.CodeTimeout:
		return http.StatusGatewayTimeout
	case llm.CodeConnect, llm.CodeReset, llm.CodeCredential, llm.CodeUpstream:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// WriteError returns the status and the whole body of an error answer. The dialect has no member for the member at
// fault: its path leads the message.
func (c *Codec) WriteError(e *llm.Error, requestID string) (status int, body []byte) {
	if status = e.Status; status == 0 {
		status = statusOf(e.Code)
	}
	body = append(body, '{')
	if requestID != "" {
		body = jsonx.AppendText(body, "id", requestID)
	}
	body = jsonx.AppendText(body, "message", messageOf(e))
	if e.Code == llm.CodeContextTooLong {
		body = jsonx.AppendText(body, "error_type", "TOO_MANY_TOKENS")
	}
	return status, append(body, '}')
}

// messageOf is an error's text. What the provider says of the gateway's credential is not for clients.
func messageOf(e *llm.Error) string {
	m := e.Message
	switch {
	case e.Code == llm.CodeCredential:
		return "the provider refused the gateway"
	case m == "" && e.Code == llm.CodeUnauthenticated:
		m = "invalid api token"
	case m == "":
		m = strings.ReplaceAll(e.Code.String(), "_", " ")
	}
	if e.Param == "" || strings.Contains(m, e.Param) {
		return m
	}
	return e.Param + ": " + m
}

// failure reads an error that stands within an answer, or makes one.
func (c *Codec) failure(data []byte) *llm.Error {
	if jsonx.Get(data, "message") != nil || jsonx.Get(data, "error") != nil || jsonx.Get(data, "detail") != nil {
		return c.ReadError(0, nil, data)
	}
	return broken("The provider's answer is not one of this API.")
}

func broken(message string) *llm.Error {
	return &llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: message}
}

func endedEarly() *llm.Error {
	return &llm.Error{Code: llm.CodeReset, Op: name + ".read", Message: "The provider's answer ended early."}
}
