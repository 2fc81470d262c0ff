package quirk

import (
	"bytes"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Error is an error of a server by what its body says, and what it means.
type Error struct {
	Status int    `yaml:"status" json:"status,omitempty" max:"599" zero:"any" doc:"Its status."`
	Says   string `yaml:"says" json:"says" required:"true" doc:"A part of its body, in lower case."`
	Code   string `yaml:"code" json:"code" required:"true" enum:"invalid,unsupported,not_found,too_large,context_too_long,blocked,over_quota,rate_limited,overloaded,timeout,credential,upstream" doc:"What it is."`
}

// MasksKeys reports whether the server refuses a key with the status 400.
func (s *Set) MasksKeys() bool {
	return slices.ContainsFunc(s.Errors, func(e Error) bool { return e.Status == 400 && e.Code == llm.CodeCredential.String() })
}

// reasons are the classes of errors that a server may have, each with the reason that clients look for.
var reasons = [...]struct {
	code   llm.Code
	reason string
}{
	{llm.CodeInvalid, ""},
	{llm.CodeUnsupported, ""},
	{llm.CodeNotFound, "model_not_found"},
	{llm.CodeTooLarge, ""},
	{llm.CodeContextTooLong, "context_length_exceeded"},
	{llm.CodeBlocked, "content_filter"},
	{llm.CodeOverQuota, "insufficient_quota"},
	{llm.CodeRateLimited, "rate_limit_exceeded"},
	{llm.CodeOverloaded, "overloaded"},
	{llm.CodeTimeout, "timeout"},
	{llm.CodeCredential, ""},
	{llm.CodeUpstream, ""},
}

func classes() []string {
	out := make([]string, len(reasons))
	for i, r := range reasons {
		out[i] = r.code.String()
	}
	return out
}

// class returns the number of the error's class.
func (e *Error) class() (int, bool) {
	for i, r := range reasons {
		if r.code.String() == e.Code {
			return i, true
		}
	}
	return 0, false
}

// maxBody is how much of an error's body is looked at.
const maxBody = 8 << 10

// Judge corrects the class of an error that was read from a body; status is 0 where it stood within an answer. The
// first of Errors that fits counts.
func (s *Set) Judge(e *llm.Error, status int, body []byte) {
	if len(s.Errors) == 0 {
		return
	}
	said := bytes.ToLower(body[:min(len(body), maxBody)])
	for i := range s.Errors {
		rule := &s.Errors[i]
		if rule.Status != 0 && rule.Status != status || !bytes.Contains(said, []byte(rule.Says)) {
			continue
		}
		if n, ok := rule.class(); ok {
			e.Code, e.Reason = reasons[n].code, reasons[n].reason
		}
		return
	}
}
