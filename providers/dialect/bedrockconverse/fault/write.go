package fault

import (
	"net/http"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Names of the service's own exceptions, as SDKs know them.
const (
	validation  = "ValidationException"
	internal    = "InternalServerException"
	unavailable = "ServiceUnavailableException"
	throttling  = "ThrottlingException"
)

// face is how a code looks to a client of the service: the status, and the name that SDKs make a typed error of.
func face(c llm.Code) (status int, kind string) {
	switch c {
	case llm.CodeInvalid, llm.CodeUnsupported, llm.CodeContextTooLong, llm.CodeBlocked:
		return http.StatusBadRequest, validation
	case llm.CodeUnauthenticated:
		return http.StatusForbidden, "UnrecognizedClientException"
	case llm.CodeForbidden:
		return http.StatusForbidden, "AccessDeniedException"
	case llm.CodeNotFound:
		return http.StatusNotFound, "ResourceNotFoundException"
	case llm.CodeMethod:
		return http.StatusMethodNotAllowed, "UnknownOperationException"
	case llm.CodeMediaType:
		return http.StatusUnsupportedMediaType, validation
	case llm.CodeTooLarge:
		return http.StatusRequestEntityTooLarge, validation
	case llm.CodeOverQuota:
		return http.StatusBadRequest, "ServiceQuotaExceededException"
	case llm.CodeRateLimited:
		return http.StatusTooManyRequests, throttling
	case llm.CodeOverloaded:
		return http.StatusServiceUnavailable, unavailable
	case llm.CodeTimeout:
		return http.StatusRequestTimeout, "ModelTimeoutException"
	case llm.CodeConnect, llm.CodeReset, llm.CodeCredential, llm.CodeUpstream:
		return http.StatusBadGateway, internal
	}
	return http.StatusInternalServerError, internal
}

// Name returns the exception that stands for a code.
func Name(c llm.Code) string {
	_, kind := face(c)
	return kind
}

// Write returns the status and the whole body of an error answer. Its header x-amzn-errortype has Name.
func Write(e *llm.Error) (status int, body []byte) {
	status, _ = face(e.Code)
	if e.Status != 0 {
		status = e.Status
	}
	return status, Append(nil, e)
}

// Append appends the body of an error. The dialect has no member for the member at fault: its path leads the message.
func Append(dst []byte, e *llm.Error) []byte {
	m := e.Message
	if m == "" {
		m = strings.ReplaceAll(e.Code.String(), "_", " ")
	}
	if e.Param != "" && !strings.HasPrefix(m, e.Param+":") {
		m = e.Param + ": " + m
	}
	return append(jsonx.AppendQuote(append(dst, `{"message":`...), m), '}')
}

// Member returns the exception that stands for a code within a stream, by the name of its member of the stream's
// union: there are only five.
func Member(c llm.Code) string {
	switch _, kind := face(c); kind {
	case validation, "ServiceQuotaExceededException", "ResourceNotFoundException", "AccessDeniedException":
		return "validationException"
	case throttling:
		return "throttlingException"
	case unavailable:
		return "serviceUnavailableException"
	}
	switch c {
	case llm.CodeConnect, llm.CodeReset, llm.CodeUpstream, llm.CodeTimeout, llm.CodeCredential:
		return "modelStreamErrorException"
	}
	return "internalServerException"
}
