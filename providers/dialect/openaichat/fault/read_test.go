package fault

import (
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestEveryShapeOfErrorIsRead(t *testing.T) {
	for _, tc := range []struct {
		name    string
		status  int
		body    string
		code    llm.Code
		reason  string
		param   string
		message string // a part of it
	}{
		{"OpenAI", 400, `{"error":{"message":"Bad x","type":"invalid_request_error","param":"x","code":"invalid_value"}}`, llm.CodeInvalid, "invalid_value", "x", "Bad x"},
		{"OpenAI, unsupported", 400, `{"error":{"message":"No","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}`, llm.CodeUnsupported, "unsupported_value", "temperature", "No"},
		{"OpenAI, unknown model", 404, `{"error":{"message":"The model x does not exist","code":"model_not_found"}}`, llm.CodeNotFound, "model_not_found", "", "does not exist"},
		{"unknown model as 400", 400, `{"error":{"message":"nope","code":"model_not_found"}}`, llm.CodeNotFound, "model_not_found", "", ""},
		{"OpenAI, context", 400, `{"error":{"message":"This model's maximum context length is 8192 tokens","code":"context_length_exceeded"}}`, llm.CodeContextTooLong, "context_length_exceeded", "", "8192"},
		{"Anthropic, context", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}`, llm.CodeContextTooLong, "context_length_exceeded", "", "prompt is too long"},
		{"Gemini, context", 400, `[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum","status":"INVALID_ARGUMENT"}}]`, llm.CodeContextTooLong, "context_length_exceeded", "", ""},
		{"llama.cpp, context", 400, `{"error":{"code":400,"message":"too big","type":"exceed_context_size_error"}}`, llm.CodeContextTooLong, "context_length_exceeded", "", ""},
		{"Ollama, context", 400, `{"error":{"message":"prompt too long; exceeded max context length by 4 tokens"}}`, llm.CodeContextTooLong, "context_length_exceeded", "", ""},
		{"Azure, key", 401, `{"error":{"code":"401","message":"Access denied"}}`, llm.CodeCredential, "", "", "Access denied"},
		{"xAI, key", 400, `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xai-abcdefghijkl"}`, llm.CodeCredential, "", "", "Incorrect API key provided: [redacted]"},
		{"Gemini, key", 400, `{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}`, llm.CodeCredential, "", "", "API key not valid"},
		{"Bedrock, key", 403, `{"message":"UnrecognizedClientException: the token is wrong"}`, llm.CodeCredential, "", "", ""},
		{"Azure, prompt filtered", 400, `{"error":{"code":"content_filter","message":"filtered","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, llm.CodeBlocked, "content_filter", "", "filtered"},
		{"Azure, no deployment", 404, `{"error":{"code":"DeploymentNotFound","message":"gone"}}`, llm.CodeNotFound, "model_not_found", "", ""},
		{"rate", 429, `{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}`, llm.CodeRateLimited, "rate_limit_exceeded", "", ""},
		{"quota", 429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota"}}`, llm.CodeOverQuota, "insufficient_quota", "", ""},
		{"Gemini, rate in quota's words", 429, `{"error":{"code":429,"message":"You exceeded your current quota","details":[{"retryDelay":"7s"}]}}`, llm.CodeRateLimited, "rate_limit_exceeded", "", ""},
		{"money", 402, `{"error":{"message":"Insufficient Balance"}}`, llm.CodeOverQuota, "insufficient_quota", "", ""},
		{"Mistral, key", 401, `{"detail":"Invalid API Key"}`, llm.CodeCredential, "", "", "Invalid API Key"},
		{"Mistral, list", 422, `{"detail":[{"loc":["body","messages",0,"content"],"msg":"Field required","type":"missing"}]}`, llm.CodeInvalid, "", "messages[0].content", "Field required"},
		{"Mistral, flat", 400, `{"object":"error","message":{"detail":[{"loc":["body","x"],"msg":"no"}]},"type":"invalid","code":"3051","raw_status_code":400}`, llm.CodeInvalid, "", "x", "no"},
		{"Venice", 404, `{"error":"Specified model not found: x"}`, llm.CodeNotFound, "model_not_found", "", "Specified model"},
		{"OpenRouter, the provider's words", 502, `{"error":{"code":502,"message":"Provider returned error","metadata":{"provider_name":"P","raw":"{\"error\":{\"message\":\"inner\"}}"}}}`, llm.CodeUpstream, "", "", "inner"},
		{"llama.cpp, not supported", 501, `{"error":{"code":501,"message":"This server does not support it","type":"not_supported_error"}}`, llm.CodeUnsupported, "", "", ""},
		{"an error as a frame", 400, "event: error\ndata: {\"error\":{\"message\":\"bad\"}}\n\n", llm.CodeInvalid, "", "", "bad"},
		{"text of a load balancer", 503, "no healthy upstream", llm.CodeOverloaded, "overloaded", "", "no healthy upstream"},
		{"HTML", 502, "<html><title>Bad Gateway</title></html>", llm.CodeUpstream, "", "", "status 502"},
		{"nothing", 500, "", llm.CodeUpstream, "", "", "status 500"},
		{"overloaded as 529", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, llm.CodeOverloaded, "overloaded", "", "Overloaded"},
		{"MiniMax, within a 200", 0, `{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}`, llm.CodeOverQuota, "insufficient_quota", "", "insufficient balance"},
		{"Groq, tokens a minute", 413, `{"error":{"message":"Request too large for model","type":"tokens","code":"rate_limit_exceeded"}}`, llm.CodeRateLimited, "rate_limit_exceeded", "", ""},
		{"Databricks", 400, `{"error_code":"INVALID_PARAMETER_VALUE","message":"bad"}`, llm.CodeInvalid, "INVALID_PARAMETER_VALUE", "", "bad"},
		{"Cloudflare", 401, `{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}`, llm.CodeCredential, "", "", "Authentication error"},
		{"a conflict", 409, `{"error":{"message":"conflict"}}`, llm.CodeUpstream, "", "", "conflict"},
		{"a model that is gone", 410, `{"error":{"message":"retired"}}`, llm.CodeNotFound, "", "", "retired"},
		{"a failed dependency", 424, `{"error":{"message":"model error"}}`, llm.CodeUpstream, "", "", "model error"},
		{"for legal reasons", 451, `{"error":{"message":"no"}}`, llm.CodeBlocked, "content_filter", "", "no"},
		{"a precondition", 412, `{"error":{"message":"no"}}`, llm.CodeInvalid, "", "", "no"},
		{"a deadline", 504, `{"message":"The request timed out"}`, llm.CodeTimeout, "timeout", "", "timed out"},
		{"too large", 413, `{"error":{"message":"Request too large"}}`, llm.CodeTooLarge, "", "", ""},
		{"forbidden", 403, `{"error":{"message":"Forbidden","code":"forbidden"}}`, llm.CodeForbidden, "forbidden", "", ""},
		{"in a stream, by its own status", 0, `{"error":{"message":"bad call","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}`, llm.CodeInvalid, "tool_use_failed", "", "bad call"},
		{"in a stream, of the server", 0, `{"error":{"message":"oops","type":"server_error"}}`, llm.CodeUpstream, "", "", "oops"},
		{"cut JSON", 400, `{"error":{"mess`, llm.CodeInvalid, "", "", `{"error":{"mess`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := Read(tc.status, []byte(tc.body))
			if e.Code != tc.code || e.Reason != tc.reason || e.Param != tc.param || !strings.Contains(e.Message, tc.message) || e.Message == "" {
				t.Errorf("got %s reason %q param %q message %q", e.Code, e.Reason, e.Param, e.Message)
			}
		})
	}
}

func TestAWaitInTheBodyIsRead(t *testing.T) {
	e := Read(429, []byte(`{"error":{"code":429,"message":"x","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7.5s"}]}}`))
	if e.After != 7500*time.Millisecond {
		t.Errorf("wait %v", e.After)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(400, []byte(`{"error":{"message":"x","code":1}}`))
	f.Add(0, []byte("data: {\"error\":\"x\"}\n"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := Read(status, body)
		if e == nil || e.Code == llm.CodeNone || e.Message == "" {
			t.Fatalf("%+v", e)
		}
		if strings.Contains(e.Message, "sk-0123456789abcdef") {
			t.Fatal("a key stays")
		}
	})
}
