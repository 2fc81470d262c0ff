// Package status writes and reads errors in the form of google.rpc.Status, which all of Google's APIs have
// (https://cloud.google.com/apis/design/errors). It says what kind of failure an error is, and decides nothing.
package status

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// statusOf is the status and the word of google.rpc.Code that stand for a code.
func statusOf(c llm.Code) (status int, word string) {
	switch c {
	case llm.CodeInvalid, llm.CodeUnsupported, llm.CodeContextTooLong, llm.CodeBlocked:
		return http.StatusBadRequest, "INVALID_ARGUMENT"
	case llm.CodeUnauthenticated:
		return http.StatusUnauthorized, "UNAUTHENTICATED"
	case llm.CodeForbidden:
		return http.StatusForbidden, "PERMISSION_DENIED"
	case llm.CodeNotFound:
		return http.StatusNotFound, "NOT_FOUND"
	case llm.CodeMethod:
		return http.StatusMethodNotAllowed, "UNIMPLEMENTED"
	case llm.CodeMediaType:
		return http.StatusUnsupportedMediaType, "INVALID_ARGUMENT"
	case llm.CodeTooLarge:
		return http.StatusRequestEntityTooLarge, "INVALID_ARGUMENT"
	case llm.CodeOverQuota, llm.CodeRateLimited:
		return http.StatusTooManyRequests, "RESOURCE_EXHAUSTED"
	case llm.CodeOverloaded:
		return http.StatusServiceUnavailable, "UNAVAILABLE"
	case llm.CodeTimeout:
		return http.StatusGatewayTimeout, "DEADLINE_EXCEEDED"
	case llm.CodeConnect, llm.CodeReset, llm.CodeCredential, llm.CodeUpstream:
		return http.StatusBadGateway, "UNAVAILABLE"
	}
	return http.StatusInternalServerError, "INTERNAL"
}

// Of returns the HTTP status that an error is answered with.
func Of(e *llm.Error) int {
	if e.Status != 0 {
		return e.Status
	}
	status, _ := statusOf(e.Code)
	return status
}

const typeURL = "type.googleapis.com/google.rpc."

// Append appends the body of an error answer. requestID may be empty.
func Append(b []byte, e *llm.Error, requestID string) []byte {
	_, word := statusOf(e.Code)
	message := e.Message
	if message == "" {
		message = strings.ReplaceAll(e.Code.String(), "_", " ")
	}
	shown := message
	if e.Param != "" && !strings.Contains(message, e.Param) {
		shown = e.Param + ": " + message
	}
	b = append(b, `{"error":{`...)
	b = strconv.AppendInt(jsonx.AppendKey(b, "code"), int64(Of(e)), 10)
	b = jsonx.AppendText(b, "message", shown)
	b = jsonx.AppendText(b, "status", word)
	b = append(jsonx.AppendKey(b, "details"), '[')
	if e.Reason != "" {
		b = jsonx.AppendText(append(jsonx.AppendComma(b), '{'), "@type", typeURL+"ErrorInfo")
		b = append(jsonx.AppendText(b, "reason", strings.ToUpper(e.Reason)), '}')
	}
	if e.Param != "" {
		b = jsonx.AppendText(append(jsonx.AppendComma(b), '{'), "@type", typeURL+"BadRequest")
		b = jsonx.AppendText(append(jsonx.AppendKey(b, "fieldViolations"), "[{"...), "field", e.Param)
		b = append(jsonx.AppendText(b, "description", message), "}]}"...)
	}
	if e.After > 0 {
		b = jsonx.AppendText(append(jsonx.AppendComma(b), '{'), "@type", typeURL+"RetryInfo")
		b = append(jsonx.AppendText(b, "retryDelay", strconv.FormatFloat(e.After.Seconds(), 'f', -1, 64)+"s"), '}')
	}
	if requestID != "" {
		b = jsonx.AppendText(append(jsonx.AppendComma(b), '{'), "@type", typeURL+"RequestInfo")
		b = append(jsonx.AppendText(b, "requestId", requestID), '}')
	}
	return append(b, "]}}"...)
}

// Settle classes an error anew by what its body, a Status alone or in a list, says in Google's own words. With a
// status of 0 the error stood within an answer.
func Settle(e *llm.Error, status int, body []byte) {
	if status == 0 {
		code, _ := jsonx.Int(jsonx.At(body, "error", "code"))
		status = int(code)
	}
	root := body
	for _, v := range jsonx.Elements(body) { // streams wrap the object in a list
		root = v
		break
	}
	details := jsonx.At(root, "error", "details")
	word, _ := jsonx.String(jsonx.At(root, "error", "status"))
	var reasons []string
	for _, d := range jsonx.Elements(details) {
		if s, ok := jsonx.String(jsonx.Get(d, "reason")); ok {
			reasons = append(reasons, s)
		}
		if e.Param == "" {
			e.Param = violated(d)
		}
	}
	low := strings.ToLower(e.Message)
	has := func(r string) bool { return slices.Contains(reasons, r) }
	switch {
	case e.Code == llm.CodeContextTooLong, e.Code == llm.CodeBlocked:
	case has("API_KEY_INVALID"), has("API_KEY_SERVICE_BLOCKED"), has("ACCESS_TOKEN_EXPIRED"), has("CONSUMER_INVALID"),
		status == http.StatusUnauthorized, status == http.StatusForbidden, word == "UNAUTHENTICATED", word == "PERMISSION_DENIED":
		e.Code, e.Reason = llm.CodeCredential, ""
	case strings.Contains(low, "token count") && strings.Contains(low, "exceeds"):
		e.Code, e.Reason = llm.CodeContextTooLong, "context_length_exceeded"
	case word == "RESOURCE_EXHAUSTED":
		e.Code, e.Reason = llm.CodeRateLimited, "rate_limit_exceeded"
		if daily(details, low) {
			e.Code, e.Reason = llm.CodeOverQuota, "insufficient_quota"
		}
	case word == "UNAVAILABLE":
		e.Code = llm.CodeOverloaded
	case word == "DEADLINE_EXCEEDED":
		e.Code = llm.CodeTimeout
	case word == "NOT_FOUND":
		e.Code = llm.CodeNotFound
		if strings.Contains(low, "model") && e.Reason == "" {
			e.Reason = "model_not_found"
		}
	case word == "INVALID_ARGUMENT", word == "FAILED_PRECONDITION", word == "OUT_OF_RANGE":
		e.Code = llm.CodeInvalid
	case word == "INTERNAL", word == "UNKNOWN", word == "ABORTED", word == "CANCELLED":
		e.Code = llm.CodeUpstream
	}
	if e.After == 0 {
		e.After = wait(low)
	}
}

// violated returns the member that a detail of kind BadRequest names.
func violated(detail []byte) string {
	for _, v := range jsonx.Elements(jsonx.Get(detail, "fieldViolations")) {
		if s, ok := jsonx.String(jsonx.Get(v, "field")); ok {
			return s
		}
	}
	return ""
}

// daily reports whether what is used up comes back only on another day, or never.
func daily(details []byte, message string) bool {
	for _, d := range jsonx.Elements(details) {
		for _, v := range jsonx.Elements(jsonx.Get(d, "violations")) {
			id, _ := jsonx.String(jsonx.Get(v, "quotaId"))
			limit, _ := jsonx.String(jsonx.Get(v, "quotaValue"))
			if strings.Contains(id, "PerDay") || limit == "0" {
				return true
			}
		}
	}
	return strings.Contains(message, "limit: 0") || strings.Contains(message, "prepayment credits are depleted")
}

// wait reads how long to wait from a message, "Please retry in 7.5s.", where the details do not say.
func wait(message string) time.Duration {
	_, rest, found := strings.Cut(message, "please retry in ")
	if !found {
		return 0
	}
	s, _, _ := strings.Cut(rest, " ")
	d, err := time.ParseDuration(strings.TrimRight(s, ".,"))
	if err != nil || d < 0 {
		return 0
	}
	return d
}
