package llm

import (
	"strconv"
	"strings"
	"time"
)

// Code classes an error. It is the same word in metrics, logs and error bodies.
type Code uint8

// Codes.
const (
	CodeNone            Code = iota
	CodeInvalid              // the request is wrong
	CodeUnsupported          // the request is right, but no target can do it
	CodeUnauthenticated      // no valid credential
	CodeForbidden            // a valid credential without the right
	CodeNotFound             // unknown path, model or object
	CodeMethod               // known path, wrong method
	CodeMediaType            // content-type or content-encoding that we do not read
	CodeTooLarge             // body, headers or a member over a limit
	CodeContextTooLong       // the prompt does not fit the model's context window
	CodeBlocked              // refused by a guard or a provider's content filter
	CodeOverQuota            // money or quota used up
	CodeRateLimited          // too many requests or tokens for now
	CodeOverloaded           // the provider, or we, have no capacity for now
	CodeTimeout              // a deadline was missed
	CodeConnect              // no connection: refused, DNS, TLS
	CodeReset                // the connection broke before or within the answer
	CodeCredential           // the provider refused the gateway's own credential
	CodeUpstream             // any other fault of the provider
	CodeInternal             // a fault of ours
	codeCount
)

var codes = [codeCount]struct {
	name             string
	retryable, harms bool
}{
	CodeNone:            {"ok", false, false},
	CodeInvalid:         {"invalid", false, false},
	CodeUnsupported:     {"unsupported", false, false},
	CodeUnauthenticated: {"unauthenticated", false, false},
	CodeForbidden:       {"forbidden", false, false},
	CodeNotFound:        {"not_found", false, false},
	CodeMethod:          {"method_not_allowed", false, false},
	CodeMediaType:       {"unsupported_media_type", false, false},
	CodeTooLarge:        {"too_large", false, false},
	CodeContextTooLong:  {"context_too_long", true, false},
	CodeBlocked:         {"blocked", false, false},
	CodeOverQuota:       {"over_quota", true, true},
	CodeRateLimited:     {"rate_limited", true, true},
	CodeOverloaded:      {"overloaded", true, true},
	CodeTimeout:         {"timeout", true, true},
	CodeConnect:         {"connect", true, true},
	CodeReset:           {"reset", true, true},
	CodeCredential:      {"credential", true, true},
	CodeUpstream:        {"upstream", true, true},
	CodeInternal:        {"internal", false, false},
}

// String returns the code's word.
func (c Code) String() string {
	if c < codeCount {
		return codes[c].name
	}
	return "code" + strconv.Itoa(int(c))
}

// Retryable reports whether another target may do better.
func (c Code) Retryable() bool { return c < codeCount && codes[c].retryable }

// Harms reports whether the error counts against the target's health.
func (c Code) Harms() bool { return c < codeCount && codes[c].harms }

// Error is the only error that crosses the gateway's edge. Message and Param are safe to show to a
// client; Cause is for logs.
type Error struct {
	Code    Code
	Op      string // where it arose, as "openai-chat.read"
	Message string
	Param   string        // the member at fault, in the client's dialect
	Reason  string        // finer than Code, as "model_not_found"; the dialect's "code" member where it has one
	After   time.Duration // when to try again; 0: not known
	Status  int           // the HTTP status to answer with; 0: the dialect's usual one for Code
	Cause   error
}

// Error returns the text for logs.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	b.WriteString(e.Code.String())
	if e.Param != "" {
		b.WriteString(" " + e.Param)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Invalid makes the error for a wrong member.
func Invalid(param, message string) *Error {
	return &Error{Code: CodeInvalid, Param: param, Message: message}
}
