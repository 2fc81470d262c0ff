package anthropicmessages

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestErrorsAreWrittenByTheirCode(t *testing.T) {
	for code, want := range map[llm.Code]struct {
		status int
		kind   string
	}{
		llm.CodeInvalid:         {400, "invalid_request_error"},
		llm.CodeUnsupported:     {400, "invalid_request_error"},
		llm.CodeUnauthenticated: {401, "authentication_error"},
		llm.CodeForbidden:       {403, "permission_error"},
		llm.CodeNotFound:        {404, "not_found_error"},
		llm.CodeMethod:          {405, "invalid_request_error"},
		llm.CodeMediaType:       {415, "invalid_request_error"},
		llm.CodeTooLarge:        {413, "request_too_large"},
		llm.CodeContextTooLong:  {400, "invalid_request_error"},
		llm.CodeBlocked:         {400, "invalid_request_error"},
		llm.CodeOverQuota:       {402, "billing_error"},
		llm.CodeRateLimited:     {429, "rate_limit_error"},
		llm.CodeOverloaded:      {529, "overloaded_error"},
		llm.CodeTimeout:         {504, "timeout_error"},
		llm.CodeConnect:         {502, "api_error"},
		llm.CodeReset:           {502, "api_error"},
		llm.CodeCredential:      {502, "api_error"},
		llm.CodeUpstream:        {502, "api_error"},
		llm.CodeInternal:        {500, "api_error"},
	} {
		status, body := New().WriteError(&llm.Error{Code: code, Message: "why"}, "req_1")
		if wanted := `{"type":"error","error":{"type":"` + want.kind + `","message":"why"},"request_id":"req_1"}`; status != want.status || string(body) != wanted {
			t.Errorf("%v: got %d %s, want %d %s", code, status, body, want.status, wanted)
		}
		_, body = New().WriteError(&llm.Error{Code: code}, "")
		if m, _ := jsonx.String(jsonx.At(body, "error", "message")); m == "" || jsonx.Get(body, "request_id") != nil {
			t.Errorf("%v without words: %s", code, body)
		}
	}
	status, body := New().WriteError(&llm.Error{Code: llm.CodeTimeout, Status: 408, Param: "x.1", Message: "late"}, "")
	if status != 408 || string(body) != `{"type":"error","error":{"type":"timeout_error","message":"x.1: late"}}` {
		t.Errorf("got %d %s", status, body)
	}
	if _, body = New().WriteError(&llm.Error{Code: llm.CodeInvalid, Param: "x", Message: "x: said already"}, ""); !strings.Contains(string(body), `"x: said already"`) {
		t.Errorf("got %s", body)
	}
}

func TestErrorsAreReadWhateverTheirShape(t *testing.T) {
	own := func(kind, message string) string {
		return `{"type":"error","error":{"type":"` + kind + `","message":"` + message + `"},"request_id":"req_1"}`
	}
	for _, c := range []struct {
		status  int
		body    string
		code    llm.Code
		message string
		reason  string
	}{
		{400, own("invalid_request_error", "max_tokens: Field required"), llm.CodeInvalid, "max_tokens: Field required", ""},
		{400, own("invalid_request_error", "prompt is too long: 201000 tokens > 200000 maximum"), llm.CodeContextTooLong, "prompt is too long: 201000 tokens > 200000 maximum", ""},
		{400, own("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"), llm.CodeContextTooLong, "input length and `max_tokens` exceed context limit: 1 + 2 > 2", ""},
		{400, own("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), llm.CodeOverQuota, "Your credit balance is too low to access the Anthropic API.", ""},
		{400, own("invalid_request_error", "Output blocked by content filtering policy"), llm.CodeBlocked, "Output blocked by content filtering policy", ""},
		{401, own("authentication_error", "invalid x-api-key"), llm.CodeCredential, "invalid x-api-key", ""},
		{403, own("permission_error", "no"), llm.CodeCredential, "no", ""},
		{402, own("billing_error", "pay"), llm.CodeOverQuota, "pay", ""},
		{404, own("not_found_error", "model: x"), llm.CodeNotFound, "model: x", "model_not_found"},
		{413, own("request_too_large", "big"), llm.CodeTooLarge, "big", ""},
		{429, own("rate_limit_error", "slow"), llm.CodeRateLimited, "slow", ""},
		{500, own("api_error", "Internal server error"), llm.CodeUpstream, "Internal server error", ""},
		{504, own("timeout_error", "late"), llm.CodeTimeout, "late", ""},
		{529, own("overloaded_error", "Overloaded"), llm.CodeOverloaded, "Overloaded", ""},
		{400, `{"error":{"message":"This model's maximum context length is 8 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, llm.CodeContextTooLong, "This model's maximum context length is 8 tokens.", "context_length_exceeded"},
		{429, `{"error":{"message":"You exceeded your quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, llm.CodeOverQuota, "You exceeded your quota", "insufficient_quota"},
		{400, `{"error": {"message": "Unreadable token, please pass a valid token."}}`, llm.CodeCredential, "Unreadable token, please pass a valid token.", ""},
		{400, `{"code":"x","error":"bad thing"}`, llm.CodeInvalid, "bad thing", ""},
		{401, `{"detail":"Unauthorized"}`, llm.CodeCredential, "Unauthorized", ""},
		{422, `{"detail":[{"loc":["body","messages",0],"msg":"field required","type":"missing"}]}`, llm.CodeInvalid, "body.messages.0: field required", ""},
		{400, `{"object":"error","message":{"detail":"nested"},"type":"x"}`, llm.CodeInvalid, "nested", ""},
		{400, `{"message":"Input is too long for requested model."}`, llm.CodeContextTooLong, "Input is too long for requested model.", ""},
		{403, `[{"error":{"code":403,"message":"Denied","status":"PERMISSION_DENIED"}}]`, llm.CodeCredential, "Denied", ""},
		{502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", llm.CodeUpstream, "502 Bad Gateway", ""},
		{503, "upstream connect error", llm.CodeOverloaded, "upstream connect error", ""},
		{503, "", llm.CodeOverloaded, "the provider answered with status 503 (Service Unavailable)", ""},
		{500, "{}", llm.CodeUpstream, "the provider answered with status 500 (Internal Server Error)", ""},
		{408, "", llm.CodeTimeout, "the provider answered with status 408 (Request Timeout)", ""},
		{409, `{}`, llm.CodeUpstream, "the provider answered with status 409 (Conflict)", ""},
		{418, `"tea"`, llm.CodeInvalid, "the provider answered with status 418 (I'm a teapot)", ""},
	} {
		e := New().ReadError(c.status, nil, []byte(c.body))
		if e == nil || e.Code != c.code || e.Message != c.message || e.Reason != c.reason {
			t.Errorf("%d %s: got %v %q %q, want %v %q %q", c.status, c.body, e.Code, e.Message, e.Reason, c.code, c.message, c.reason)
		}
	}
}

func TestSecretsDoNotReachTheClient(t *testing.T) {
	for in, want := range map[string]string{
		"Incorrect API key provided: sk-ant-api03-abcdefghijkl.":               "Incorrect API key provided: [key].",
		"bad header Authorization: Bearer abcdef123456, sorry":                 "bad header Authorization: Bearer [key], sorry",
		"x-api-key: secret-thing":                                              "x-api-key: [key]",
		"key=sk-proj-abcdefghijkl":                                             "[key]",
		"token eyJhbGciOiJIUzI1NiJ9.e30.abc is old":                            "token [key] is old",
		"dial tcp 10.1.2.3:443 refused":                                        "dial tcp [host] refused",
		"http://model-7.prod.svc.cluster.local:8080/v1 failed":                 "[host] failed",
		"localhost:8000 is down":                                               "[host] is down",
		"prompt is too long: 9 tokens > 8 maximum":                             "prompt is too long: 9 tokens > 8 maximum",
		"messages.0.content: Input should be a valid list":                     "messages.0.content: Input should be a valid list",
		"see https://docs.example.com/errors.":                                 "see https://docs.example.com/errors.",
		"größer als 5 µs":                                                      "größer als 5 µs",
		"model: claude-sk-1 at version 4.6.0.1 or 2001:db8::1 isn't supported": "model: claude-sk-1 at version 4.6.0.1 or 2001:db8::1 isn't supported",
	} {
		if got := scrub(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
