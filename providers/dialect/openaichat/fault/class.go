package fault

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Phrases by which providers say the same thing, in lower case.
var (
	contextPhrases = [...]string{
		"context_length_exceeded", "exceed_context_size", "maximum context length", "max context length",
		"prompt is too long", "prompt too long", "exceeds the context window", "exceeds the available context size",
		"input is too long", "input tokens exceeded", "too many tokens", "input token count", "context window exceeded",
		"exceeds the maximum number of tokens", "context length exceeded", "exceeds the model's context",
		"reduce the length of the messages", "longer than the model's context length",
	}
	keyPhrases = [...]string{
		"invalid_api_key", "api_key_invalid", "invalid api key", "incorrect api key", "api key not valid", "api key is invalid",
		"api key not found", "no api key", "missing api key", "authentication_error", "invalid_authentication",
		"unrecognizedclientexception", "expiredtoken", "invalid token", "invalid x-api-key", "api key expired",
	}
	quotaPhrases = [...]string{
		"insufficient_quota", "exceeded your current quota", "billing_hard_limit", "insufficient balance",
		"credit balance", "insufficient credits", "out of credits", "payment required", "billing_not_active",
		"used all available credits", "spending limit", "monthly included credits", "not enough credits", "account is suspended", "insufficient_user_quota",
	}
	filterPhrases = [...]string{
		"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "content management policy",
		"requires moderation", "content_moderation", "flagged by", "safety system",
	}
	modelPhrases = [...]string{
		"model_not_found", "deploymentnotfound", "model not found", "does not exist or you do not have access",
		"unknown model", "no such model", "is not a valid model", "invalid model name",
	}
	busyPhrases = [...]string{"overloaded", "over capacity", "capacity exceeded", "engine is currently", "no healthy upstream", "temporarily unavailable"}
)

func says(text string, phrases []string) bool {
	for _, p := range phrases {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// class maps a problem to a code, and to a reason where there is one better than the provider's.
func (p *problem) class(status int) (llm.Code, string) {
	words := strings.ToLower(p.code + " " + p.kind + " | " + p.message)
	mine := status < 500 // what is said of the request, and not of the provider's own trouble
	switch {
	case mine && status != 429 && says(words, contextPhrases[:]):
		return llm.CodeContextTooLong, "context_length_exceeded"
	case mine && says(words, filterPhrases[:]):
		return llm.CodeBlocked, "content_filter"
	case status == 401, mine && status != 429 && says(words, keyPhrases[:]):
		return llm.CodeCredential, ""
	case status == 402:
		return llm.CodeOverQuota, "insufficient_quota"
	case status == 429, status == 0 && says(words, quotaPhrases[:]), (status == 0 || status == 413) && strings.Contains(words, "rate_limit"): // Groq's 413 is of tokens a minute
		if p.retry == 0 && says(words, quotaPhrases[:]) {
			return llm.CodeOverQuota, "insufficient_quota"
		}
		return llm.CodeRateLimited, "rate_limit_exceeded"
	case (status == 404 || status == 400 || status == 0) && says(words, modelPhrases[:]):
		return llm.CodeNotFound, "model_not_found"
	case says(words, busyPhrases[:]):
		return llm.CodeOverloaded, "overloaded"
	}
	return byStatus(status, words)
}

func byStatus(status int, words string) (llm.Code, string) {
	switch status {
	case 400, 405, 406, 411, 412, 415, 422, 431:
		if strings.Contains(words, "unsupported_parameter") || strings.Contains(words, "unsupported_value") {
			return llm.CodeUnsupported, ""
		}
		return llm.CodeInvalid, ""
	case 403:
		return llm.CodeForbidden, ""
	case 404, 410:
		return llm.CodeNotFound, ""
	case 451:
		return llm.CodeBlocked, "content_filter"
	case 408, 504:
		return llm.CodeTimeout, "timeout"
	case 413:
		return llm.CodeTooLarge, ""
	case 498, 503, 529:
		return llm.CodeOverloaded, "overloaded"
	case 501:
		return llm.CodeUnsupported, ""
	case 0:
		if strings.Contains(words, "invalid_request") {
			return llm.CodeInvalid, ""
		}
	}
	return llm.CodeUpstream, ""
}
