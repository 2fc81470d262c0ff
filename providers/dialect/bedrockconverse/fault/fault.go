// Package fault reads and writes the errors of Amazon Bedrock: of answers with an error status, of exception frames
// within a stream, and of a front door. It knows names and texts, and nothing of what was asked.
//
// An error has a name, in the header x-amzn-errortype, in the body's __type or in a frame's :exception-type, and a
// message (https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and the errors of Converse).
package fault

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

const op = "bedrock.error"

// Header is where an answer with an error status has its name.
const Header = "x-amzn-errortype"

// names are the errors that are told apart by name, in lower case and without "Exception". What is not here is told by
// its status.
var names = [...]struct {
	name string
	code llm.Code
}{
	{"throttling", llm.CodeRateLimited},
	{"throttled", llm.CodeRateLimited},
	{"toomanyrequests", llm.CodeRateLimited},
	{"requestlimitexceeded", llm.CodeRateLimited},
	{"servicequotaexceeded", llm.CodeOverQuota},
	{"modelnotready", llm.CodeOverloaded}, // status 429, but it is the model that is not there yet
	{"serviceunavailable", llm.CodeOverloaded},
	{"modeltimeout", llm.CodeTimeout},
	{"requesttimeout", llm.CodeTimeout},
	{"modelerror", llm.CodeUpstream},
	{"modelstreamerror", llm.CodeUpstream},
	{"internalserver", llm.CodeUpstream},
	{"internalfailure", llm.CodeUpstream},
	{"conflict", llm.CodeUpstream},
	{"accessdenied", llm.CodeCredential},
	{"optinrequired", llm.CodeCredential},
	{"unrecognizedclient", llm.CodeCredential},
	{"expiredtoken", llm.CodeCredential},
	{"requestexpired", llm.CodeCredential},
	{"invalidsignature", llm.CodeCredential},
	{"signaturedoesnotmatch", llm.CodeCredential},
	{"incompletesignature", llm.CodeCredential},
	{"invalidclienttokenid", llm.CodeCredential},
	{"missingauthenticationtoken", llm.CodeCredential},
	{"notauthorized", llm.CodeCredential},
	{"resourcenotfound", llm.CodeNotFound},
	{"unknownoperation", llm.CodeNotFound},
	{"validation", llm.CodeInvalid},
	{"serialization", llm.CodeInvalid},
}

// phrases tell requests apart that are all called invalid. They are parts of the messages, in lower case.
var phrases = [...]struct {
	part   string
	code   llm.Code
	reason string
}{
	{"input tokens exceeded", llm.CodeContextTooLong, ""},
	{"exceeds maximum length", llm.CodeContextTooLong, ""},
	{"input is too long", llm.CodeContextTooLong, ""},
	{"prompt is too long", llm.CodeContextTooLong, ""},
	{"exceed context limit", llm.CodeContextTooLong, ""},
	{"exceeds the maximum context", llm.CodeContextTooLong, ""},
	{"maximum context length", llm.CodeContextTooLong, ""},
	{"context window", llm.CodeContextTooLong, ""},
	{"too many input tokens", llm.CodeContextTooLong, ""},
	{"too large for model with", llm.CodeContextTooLong, ""},
	{"model identifier is invalid", llm.CodeNotFound, "model_not_found"},
	{"content filtering policy", llm.CodeBlocked, ""},
}

// Read reads the body of an answer with an error status. h is nil where there is no header. It never returns nil.
func Read(status int, h interface{ Get(name string) string }, body []byte) *llm.Error {
	var kind string
	if h != nil {
		kind = h.Get(Header)
	}
	var message string
	if jsonx.Valid(body) == nil {
		obj := body
		if e := jsonx.Get(body, "error"); jsonx.Kind(e) == '{' { // as proxies wrap it
			obj = e
		}
		message = first(obj, "message", "Message", "errorMessage")
		if kind == "" {
			kind = first(obj, "__type", "code", "type")
		}
	} else if text := strings.TrimSpace(string(body)); len(text) < 512 && !strings.HasPrefix(text, "<") {
		message = strings.ToValidUTF8(text, "")
	}
	return class(status, kind, message)
}

// Exception reads an exception of a stream: its name, as a frame's :exception-type or :error-code has it, and the
// frame's payload or the words of its :error-message.
func Exception(kind string, payload []byte) *llm.Error {
	if jsonx.Valid(payload) != nil {
		return class(0, kind, strings.ToValidUTF8(string(payload[:min(len(payload), 512)]), ""))
	}
	message := first(payload, "message", "Message")
	if was := first(payload, "originalMessage"); was != "" && message == "" {
		message = was
	}
	return class(0, kind, message)
}

func first(obj []byte, names ...string) string {
	for _, n := range names {
		if s, ok := jsonx.String(jsonx.Get(obj, n)); ok && s != "" {
			return s
		}
	}
	return ""
}

// class makes the error of a name and a message. A status of 0 is none.
func class(status int, kind, message string) *llm.Error {
	e := &llm.Error{Code: byStatus(status), Op: op, Message: fit.Scrub(message)}
	kind = plain(kind)
	for _, n := range names {
		if n.name == kind {
			e.Code = n.code
			break
		}
	}
	low := strings.ToLower(message)
	switch e.Code {
	case llm.CodeInvalid, llm.CodeUpstream, llm.CodeNotFound:
		if status >= 500 || kind == "internalserver" {
			break
		}
		for _, p := range phrases {
			if strings.Contains(low, p.part) {
				e.Code, e.Reason = p.code, p.reason
				break
			}
		}
	case llm.CodeCredential:
		// The account may not use this one model: others of it may well answer.
		if kind == "accessdenied" && strings.Contains(low, "model") {
			e.Code, e.Reason = llm.CodeUpstream, "model_access_denied"
		}
	}
	if e.Message == "" {
		e.Message = "the provider answered with an error"
		switch {
		case kind != "":
			e.Message += " of the kind " + kind
		case status > 0:
			e.Message = "the provider answered with status " + strconv.Itoa(status)
		}
	}
	return e
}

// plain takes from a name what comes around it: "com.amazon.coral.service#ThrottlingException:http://…" is
// "throttling".
func plain(kind string) string {
	kind, _, _ = strings.Cut(kind, ":")
	if i := strings.LastIndexByte(kind, '#'); i >= 0 {
		kind = kind[i+1:]
	}
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(kind)), "exception")
}

func byStatus(status int) llm.Code {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return llm.CodeCredential
	case http.StatusPaymentRequired:
		return llm.CodeOverQuota
	case http.StatusNotFound:
		return llm.CodeNotFound
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return llm.CodeTimeout
	case http.StatusRequestEntityTooLarge:
		return llm.CodeTooLarge
	case http.StatusTooManyRequests:
		return llm.CodeRateLimited
	case http.StatusServiceUnavailable:
		return llm.CodeOverloaded
	case http.StatusConflict, http.StatusFailedDependency:
		return llm.CodeUpstream
	}
	if status >= 400 && status < 500 {
		return llm.CodeInvalid
	}
	return llm.CodeUpstream
}
