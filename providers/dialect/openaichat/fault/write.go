package fault

import (
	"cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// faces is how each class of error looks in the dialect: status, error.type, and error.code where the error
// has no finer reason.
var faces = [...]struct {
	status       int
	kind, reason string
	message      string
}{
	llm.CodeNone:            {500, "server_error", "", "The server had an error."},
	llm.CodeInvalid:         {400, "invalid_request_error", "", "The request is not valid."},
	llm.CodeUnsupported:     {400, "invalid_request_error", "unsupported_parameter", "The request asks for what no target can do."},
	llm.CodeUnauthenticated: {401, "invalid_request_error", "invalid_api_key", "You did not provide a valid API key."},
	llm.CodeForbidden:       {403, "permission_error", "", "You do not have the right to do this."},
	llm.CodeNotFound:        {404, "invalid_request_error", "", "Not found."},
	llm.CodeMethod:          {405, "invalid_request_error", "", "The method is not allowed for this path."},
	llm.CodeMediaType:       {415, "invalid_request_error", "", "The content-type must be application/json."},
	llm.CodeTooLarge:        {413, "invalid_request_error", "", "The request is too large."},
	llm.CodeContextTooLong:  {400, "invalid_request_error", "context_length_exceeded", "The prompt does not fit the model's context window."},
	llm.CodeBlocked:         {400, "invalid_request_error", "content_filter", "The content was refused."},
	llm.CodeOverQuota:       {429, "insufficient_quota", "insufficient_quota", "You exceeded your quota."},
	llm.CodeRateLimited:     {429, "rate_limit_exceeded", "rate_limit_exceeded", "Too many requests."},
	llm.CodeOverloaded:      {503, "server_error", "overloaded", "There is no capacity for now."},
	llm.CodeTimeout:         {504, "timeout", "timeout", "The provider did not answer in time."},
	llm.CodeConnect:         {502, "server_error", "upstream_error", "The provider could not be reached."},
	llm.CodeReset:           {502, "server_error", "upstream_error", "The connection to the provider broke."},
	llm.CodeCredential:      {502, "server_error", "upstream_error", "The provider refused the gateway."},
	llm.CodeUpstream:        {502, "server_error", "upstream_error", "The provider had an error."},
	llm.CodeInternal:        {500, "server_error", "internal_error", "The gateway had an error."},
}

// Write returns the status and the whole body of an error answer.
func Write(e *llm.Error) (status int, body []byte) {
	status = faces[face(e.Code)].status
	if e.Status != 0 {
		status = e.Status
	}
	return status, Append(nil, e)
}

func face(c llm.Code) llm.Code {
	if int(c) < len(faces) {
		return c
	}
	return llm.CodeInternal
}

// Append appends an error's body. All four keys are there.
func Append(dst []byte, e *llm.Error) []byte {
	kind, reason, message := Words(e)
	dst = append(dst, `{"error":{"message":`...)
	dst = jsonx.AppendQuote(dst, message)
	dst = append(dst, `,"type":`...)
	dst = jsonx.AppendQuote(dst, kind)
	dst = orNull(append(dst, `,"param":`...), e.Param)
	dst = orNull(append(dst, `,"code":`...), reason)
	return append(dst, "}}"...)
}

// Words returns an error's type, code and message as OpenAI's APIs spell them. The code may be "".
func Words(e *llm.Error) (kind, reason, message string) {
	f := faces[face(e.Code)]
	if e.Code == llm.CodeCredential { // what the provider says of our key is not for clients
		return f.kind, f.reason, f.message
	}
	return f.kind, cmp.Or(e.Reason, f.reason), cmp.Or(e.Message, f.message)
}

func orNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return jsonx.AppendQuote(dst, s)
}
