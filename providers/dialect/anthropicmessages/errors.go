package anthropicmessages

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// The API's types of errors.
const (
	typeInvalid    = "invalid_request_error"
	typeAPI        = "api_error"
	typeOverloaded = "overloaded_error"
	typeTimeout    = "timeout_error"
)

const statusOverloaded = 529 // Anthropic's own

// kindOf is the status and type that stand for a code.
func kindOf(c llm.Code) (status int, kind string) {
	switch c {
	case llm.CodeInvalid, llm.CodeUnsupported, llm.CodeContextTooLong, llm.CodeBlocked:
		return http.StatusBadRequest, typeInvalid
	case llm.CodeUnauthenticated:
		return http.StatusUnauthorized, "authentication_error"
	case llm.CodeForbidden:
		return http.StatusForbidden, "permission_error"
	case llm.CodeNotFound:
		return http.StatusNotFound, "not_found_error"
	case llm.CodeMethod:
		return http.StatusMethodNotAllowed, typeInvalid
	case llm.CodeMediaType:
		return http.StatusUnsupportedMediaType, typeInvalid
	case llm.CodeTooLarge:
		return http.StatusRequestEntityTooLarge, "request_too_large"
	case llm.CodeOverQuota:
		return http.StatusPaymentRequired, "billing_error"
	case llm.CodeRateLimited:
		return http.StatusTooManyRequests, "rate_limit_error"
	case llm.CodeOverloaded:
		return statusOverloaded, typeOverloaded
	case llm.CodeTimeout:
		return http.StatusGatewayTimeout, typeTimeout
	case llm.CodeConnect, llm.CodeReset, llm.CodeCredential, llm.CodeUpstream:
		return http.StatusBadGateway, typeAPI
	}
	return http.StatusInternalServerError, typeAPI
}

// WriteError returns the status and the body of an error answer. The dialect has no member for the member
// at fault: its path leads the message.
func (c *Codec) WriteError(e *llm.Error, requestID string) (status int, body []byte) {
	status, _ = kindOf(e.Code)
	if e.Status != 0 {
		status = e.Status
	}
	return status, appendError(nil, e, requestID)
}

func appendError(b []byte, e *llm.Error, requestID string) []byte {
	_, kind := kindOf(e.Code)
	b = append(b, `{"type":"error","error":{"type":"`...)
	b = append(append(b, kind...), '"')
	b = jsonx.AppendText(b, "message", messageOf(e))
	b = append(b, '}')
	if requestID != "" {
		b = jsonx.AppendText(b, "request_id", requestID)
	}
	return append(b, '}')
}

func messageOf(e *llm.Error) string {
	m := e.Message
	if m == "" {
		m = map[llm.Code]string{
			llm.CodeOverloaded: "Overloaded", llm.CodeInternal: "Internal server error", llm.CodeNotFound: "Not Found",
			llm.CodeUnauthenticated: "invalid x-api-key",
		}[e.Code]
		if m == "" {
			m = strings.ReplaceAll(e.Code.String(), "_", " ")
		}
	}
	if e.Param == "" || strings.HasPrefix(m, e.Param+":") {
		return m
	}
	return e.Param + ": " + m
}

// ReadError reads the body of an error answer, of this dialect's shape or of one of those that proxies and
// compatible vendors send in its place.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	e := readError(body)
	if e.Message == "" {
		e.Message = fmt.Sprintf("the provider answered with status %d", status)
		if s := http.StatusText(status); s != "" {
			e.Message += " (" + s + ")"
		}
	}
	e.Op = name + ".error"
	settle(e, status)
	return e
}

// settle classes an error. What is left in Reason is a code in the sense of OpenAI's dialects.
func settle(e *llm.Error, status int) {
	e.Code = codeOf(status, e)
	_, e.Reason, _ = strings.Cut(e.Reason, " ")
	if e.Code == llm.CodeNotFound && e.Reason == "" && strings.HasPrefix(e.Message, "model") {
		e.Reason = "model_not_found"
	}
}

// readError reads what a body says; Reason holds the type until the code is known.
func readError(body []byte) *llm.Error {
	e := new(llm.Error)
	if jsonx.Valid(body) != nil {
		e.Message = scrub(plainText(body))
		return e
	}
	root := body
	for _, v := range jsonx.Elements(body) { // some wrap the object in a list
		root = v
		break
	}
	obj := jsonx.Get(root, "error")
	if jsonx.Kind(obj) != '{' {
		if s, ok := jsonx.String(obj); ok {
			e.Message = s
		}
		obj = root
	}
	if e.Message == "" {
		e.Message = firstText(obj, "message", "detail", "error_description", "title")
	}
	e.Message = scrub(e.Message)
	e.Param = firstText(obj, "param")
	for _, n := range [...]string{"type", "code", "status"} {
		if s := firstText(obj, n); s != "" && s != "error" && s != "None" {
			if e.Reason != "" {
				e.Reason += " "
			}
			e.Reason += s
		}
	}
	return e
}

// firstText returns the first of the named members that says something in words.
func firstText(obj []byte, names ...string) string {
	for _, n := range names {
		v := jsonx.Get(obj, n)
		if s, ok := jsonx.String(v); ok && s != "" {
			return s
		}
		if jsonx.Kind(v) == '{' {
			if s := firstText(v, "message", "msg", "detail"); s != "" {
				return s
			}
		}
		for _, el := range jsonx.Elements(v) {
			if s := firstText(el, "message", "msg"); s != "" {
				var loc []string
				for _, l := range jsonx.Elements(jsonx.Get(el, "loc")) {
					loc = append(loc, strings.Trim(string(l), `"`))
				}
				if len(loc) > 0 {
					s = strings.Join(loc, ".") + ": " + s
				}
				return s
			}
			break
		}
	}
	return ""
}

// plainText returns the words of a body that is no JSON: the title of a page, or the text itself.
func plainText(body []byte) string {
	const most = 512
	s := strings.ToValidUTF8(string(body[:min(len(body), 64<<10)]), "")
	low := strings.ToLower(s)
	if strings.Contains(low, "<html") || strings.HasPrefix(strings.TrimSpace(low), "<!doctype") {
		from := strings.Index(low, "<title>")
		if from < 0 {
			return ""
		}
		s = s[min(from+len("<title>"), len(s)):]
		if to := strings.Index(s, "<"); to >= 0 {
			s = s[:to]
		}
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// phrases tell errors apart that have one status and type. They are parts of the messages, in lower case.
var phrases = [...]struct {
	code llm.Code
	part string
}{
	{llm.CodeContextTooLong, "prompt is too long"},
	{llm.CodeContextTooLong, "exceed context limit"},
	{llm.CodeContextTooLong, "maximum context length"},
	{llm.CodeContextTooLong, "context_length_exceeded"},
	{llm.CodeContextTooLong, "exceeds the context window"},
	{llm.CodeContextTooLong, "exceed_context_size"},
	{llm.CodeContextTooLong, "max context length"},
	{llm.CodeContextTooLong, "too many input tokens"},
	{llm.CodeContextTooLong, "input is too long"},
	{llm.CodeContextTooLong, "too many tokens"},
	{llm.CodeOverQuota, "credit balance is too low"},
	{llm.CodeOverQuota, "insufficient_quota"},
	{llm.CodeOverQuota, "specified api usage limits"},
	{llm.CodeBlocked, "blocked by content filtering policy"},
	{llm.CodeCredential, "invalid x-api-key"},
	{llm.CodeCredential, "invalid bearer token"},
	{llm.CodeCredential, "pass a valid token"},
	{llm.CodeCredential, "api key not valid"},
	{llm.CodeCredential, "api_key_invalid"},
	{llm.CodeCredential, "incorrect api key"},
}

// codeOf classes an error by what its body says, and by its status (0: within a stream).
func codeOf(status int, e *llm.Error) llm.Code {
	kind, _, _ := strings.Cut(e.Reason, " ")
	client := status == 0 || status >= 400 && status < 500
	if client && status != http.StatusTooManyRequests || kind == "insufficient_quota" {
		low := strings.ToLower(e.Message + " " + e.Reason)
		for _, p := range phrases {
			if strings.Contains(low, p.part) {
				return p.code
			}
		}
	}
	switch kind {
	case typeOverloaded:
		return llm.CodeOverloaded
	case "rate_limit_error":
		return llm.CodeRateLimited
	case "billing_error":
		return llm.CodeOverQuota
	case typeTimeout:
		return llm.CodeTimeout
	case "authentication_error", "permission_error":
		return llm.CodeCredential
	}
	if status != 0 {
		return codeOfStatus(status)
	}
	switch kind {
	case typeInvalid:
		return llm.CodeInvalid
	case "not_found_error":
		return llm.CodeNotFound
	case "request_too_large":
		return llm.CodeTooLarge
	}
	return llm.CodeUpstream
}

func codeOfStatus(status int) llm.Code {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
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
	case http.StatusServiceUnavailable, statusOverloaded:
		return llm.CodeOverloaded
	case http.StatusConflict, http.StatusFailedDependency:
		return llm.CodeUpstream
	}
	if status >= 400 && status < 500 {
		return llm.CodeInvalid
	}
	return llm.CodeUpstream
}

// keyHeads begin credentials of vendors.
var keyHeads = [...]string{
	"sk-", "sk_", "pk-", "xai-", "gsk_", "AIza", "AKIA", "ASIA", "ghp_", "gho_", "github_pat_", "hf_", "eyJ", "ya29.",
	"nvapi-", "r8_", "pplx-", "csk-", "sbx-", "sb-",
}

// scrub takes credentials and internal hosts out of a message that a client may see.
func scrub(s string) string {
	var b strings.Builder
	bearer := false
	for len(s) > 0 {
		n := strings.IndexFunc(s, func(r rune) bool { return !wordRune(r) })
		if n < 0 {
			n = len(s)
		}
		word := s[:n]
		bare := strings.TrimRight(word, ".:/")
		switch {
		case bearer && len(bare) >= 6, len(bare) >= 12 && startsKey(bare):
			b.WriteString("[key]" + word[len(bare):])
		case internalHost(bare):
			b.WriteString("[host]" + word[len(bare):])
		default:
			b.WriteString(word)
		}
		if n > 0 {
			low := strings.ToLower(bare)
			bearer = low == "bearer" || low == "basic" || low == "x-api-key"
		}
		s = s[n:]
		if len(s) > 0 {
			_, size := utf8.DecodeRuneInString(s)
			b.WriteString(s[:size])
			s = s[size:]
		}
	}
	return b.String()
}

func wordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.~+/=:%*", r)
}

func startsKey(word string) bool {
	if i := strings.LastIndexAny(word, ":="); i >= 0 && i+1 < len(word) { // as key=sk-...
		if startsKey(word[i+1:]) {
			return true
		}
	}
	for _, h := range keyHeads {
		if strings.HasPrefix(word, h) {
			return true
		}
	}
	return false
}

// internalHost reports whether a word is, or is a URL of, a host that only its own network knows.
func internalHost(word string) bool {
	if _, rest, found := strings.Cut(word, "://"); found {
		word = rest
	}
	host, _, _ := strings.Cut(word, "/")
	host, port, ported := strings.Cut(host, ":")
	for _, end := range [...]string{".internal", ".local", ".svc", ".cluster.local", ".lan", ".intranet"} {
		if strings.HasSuffix(host, end) && len(host) > len(end) {
			return true
		}
	}
	if host == "localhost" && ported && port != "" {
		return true
	}
	return privateIP(host)
}
