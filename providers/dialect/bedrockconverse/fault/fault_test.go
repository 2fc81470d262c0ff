package fault_test

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse/fault"
)

type header string

func (h header) Get(name string) string {
	if name == fault.Header {
		return string(h)
	}
	return ""
}

func TestErrorsAreClassedByNameThenStatus(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		status     int
		body       string
		code       llm.Code
		reason     string
		says       string
	}{
		{"a name with its tail", "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/", 429, `{"message":"Too many tokens, please wait before trying again."}`, llm.CodeRateLimited, "", "Too many tokens"},
		{"a name in the body", "", 400, `{"__type":"com.amazon.coral.service#ServiceQuotaExceededException","message":"over"}`, llm.CodeOverQuota, "", "over"},
		{"a message in capitals", "ExpiredTokenException", 403, `{"Message":"The security token included in the request is expired"}`, llm.CodeCredential, "", "expired"},
		{"no access to one model", "AccessDeniedException", 403, `{"message":"You don't have access to the model with the specified model ID."}`, llm.CodeUpstream, "model_access_denied", "access"},
		{"no right to call a model", "AccessDeniedException", 403, `{"message":"User is not authorized to perform: bedrock:InvokeModel"}`, llm.CodeUpstream, "model_access_denied", ""},
		{"a bad bearer key", "AccessDeniedException", 403, `{"message":"Authentication failed: Please make sure your API Key is valid."}`, llm.CodeCredential, "", "API Key"},
		{"a bad key", "", 403, `{"message":"The security token included in the request is invalid."}`, llm.CodeCredential, "", "security token"},
		{"a prompt that is too long", "ValidationException", 400, `{"message":"The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try again."}`, llm.CodeContextTooLong, "", "Input Tokens"},
		{"Claude's own words for it", "", 400, `{"message":"prompt is too long: 205000 tokens > 200000 maximum"}`, llm.CodeContextTooLong, "", ""},
		{"an unknown model", "ValidationException", 400, `{"message":"The provided model identifier is invalid."}`, llm.CodeNotFound, "model_not_found", ""},
		{"a wrong member", "", 400, `{"message":"This model doesn't support the s3Uri field. Remove s3Uri and try again."}`, llm.CodeInvalid, "", "s3Uri"},
		{"a model that is not ready", "ModelNotReadyException", 429, `{"message":"wait"}`, llm.CodeOverloaded, "", ""},
		{"a model's timeout", "ModelTimeoutException", 408, `{"message":"wait"}`, llm.CodeTimeout, "", ""},
		{"a model's error", "ModelErrorException", 424, `{"message":"oops","originalStatusCode":500}`, llm.CodeUpstream, "", "oops"},
		{"the service's error", "InternalServerException", 500, `{"message":"prompt is too long, says the log"}`, llm.CodeUpstream, "", ""},
		{"a busy service", "ServiceUnavailableException", 503, `{"message":"busy"}`, llm.CodeOverloaded, "", ""},
		{"a page", "", 502, `<html><title>Bad gateway</title></html>`, llm.CodeUpstream, "", "status 502"},
		{"words", "", 413, `too large`, llm.CodeTooLarge, "", "too large"},
		{"nothing", "", 504, ``, llm.CodeTimeout, "", "status 504"},
		{"a key in the words", "", 403, `{"message":"bad key AKIAIOSFODNN7EXAMPLE"}`, llm.CodeCredential, "", "[redacted]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := fault.Read(c.status, header(c.kind), []byte(c.body))
			if e.Code != c.code || e.Reason != c.reason || !strings.Contains(e.Message, c.says) || e.Message == "" {
				t.Errorf("got %v, reason %q", e, e.Reason)
			}
		})
	}
	if e := fault.Read(429, nil, nil); e.Code != llm.CodeRateLimited {
		t.Errorf("without a header: %v", e)
	}
}

func TestExceptionsOfAStream(t *testing.T) {
	for _, c := range []struct {
		kind, payload string
		code          llm.Code
		says          string
	}{
		{"throttlingException", `{"message":"slow down"}`, llm.CodeRateLimited, "slow down"},
		{"modelStreamErrorException", `{"originalMessage":"the model broke","originalStatusCode":500}`, llm.CodeUpstream, "the model broke"},
		{"validationException", `{"message":"Input is too long for requested model."}`, llm.CodeContextTooLong, "too long"},
		{"serviceUnavailableException", `{}`, llm.CodeOverloaded, "serviceunavailable"},
		{"internalServerException", `{"message":"oops"}`, llm.CodeUpstream, "oops"},
		{"modelTimeoutException", ``, llm.CodeTimeout, "modeltimeout"},
		{"InternalError", `plain words`, llm.CodeUpstream, "plain words"},
	} {
		if e := fault.Exception(c.kind, []byte(c.payload)); e.Code != c.code || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s %s: got %v", c.kind, c.payload, e)
		}
	}
}

// TestEveryCodeHasItsFace reads back what is written, as an SDK would.
func TestEveryCodeHasItsFace(t *testing.T) {
	same := map[llm.Code]llm.Code{
		llm.CodeInvalid: llm.CodeInvalid, llm.CodeUnauthenticated: llm.CodeCredential, llm.CodeNotFound: llm.CodeNotFound,
		llm.CodeOverQuota: llm.CodeOverQuota, llm.CodeRateLimited: llm.CodeRateLimited, llm.CodeOverloaded: llm.CodeOverloaded,
		llm.CodeTimeout: llm.CodeTimeout, llm.CodeUpstream: llm.CodeUpstream, llm.CodeInternal: llm.CodeUpstream,
	}
	for c := llm.CodeInvalid; c <= llm.CodeInternal; c++ {
		status, body := fault.Write(&llm.Error{Code: c, Param: "messages", Message: "it is wrong"})
		m, _ := jsonx.String(jsonx.Get(body, "message"))
		if status < 400 || m != "messages: it is wrong" || !strings.HasSuffix(fault.Name(c), "Exception") || !strings.HasSuffix(fault.Member(c), "Exception") {
			t.Errorf("%v: %d %s %s %s", c, status, body, fault.Name(c), fault.Member(c))
		}
		if want, known := same[c]; known {
			if e := fault.Read(status, header(fault.Name(c)), body); e.Code != want {
				t.Errorf("%v is read back as %v", c, e.Code)
			}
		}
	}
	if status, body := fault.Write(&llm.Error{Code: llm.CodeTimeout, Status: 504}); status != 504 || string(body) != `{"message":"timeout"}` {
		t.Errorf("got %d %s", status, body)
	}
}
