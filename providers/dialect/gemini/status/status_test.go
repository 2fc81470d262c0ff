package status

import (
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestErrorsAreClassedByGooglesWords(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		code   llm.Code
		reason string
		param  string
	}{
		{"a bad key", 400, `{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}`, llm.CodeCredential, "", ""},
		{"no right", 403, `{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}`, llm.CodeCredential, "", ""},
		{"too long", 400, `{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}`, llm.CodeContextTooLong, "context_length_exceeded", ""},
		{"too many for now", 429, `{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"PerMinute","quotaValue":"5"}]}]}}`, llm.CodeRateLimited, "rate_limit_exceeded", ""},
		{"too many for today", 429, `{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}]}}`, llm.CodeOverQuota, "insufficient_quota", ""},
		{"busy", 503, `{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}`, llm.CodeOverloaded, "", ""},
		{"late", 504, `{"error":{"code":504,"message":"late","status":"DEADLINE_EXCEEDED"}}`, llm.CodeTimeout, "", ""},
		{"no such model", 404, `{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}`, llm.CodeNotFound, "model_not_found", ""},
		{"a member", 400, `[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"contents[0].role"}]}]}}]`, llm.CodeInvalid, "", "contents[0].role"},
		{"within a stream", 0, `{"error":{"code":403,"message":"no"}}`, llm.CodeCredential, "", ""},
		{"a fault", 500, `{"error":{"code":500,"message":"oops","status":"INTERNAL"}}`, llm.CodeUpstream, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			message, _ := jsonx.String(jsonx.At([]byte(tt.body), "error", "message"))
			e := &llm.Error{Message: message}
			Settle(e, tt.status, []byte(tt.body))
			if e.Code != tt.code || e.Reason != tt.reason || e.Param != tt.param {
				t.Errorf("got %v %q %q", e.Code, e.Reason, e.Param)
			}
		})
	}
	e := &llm.Error{Message: "Quota exceeded. Please retry in 7.5s."}
	if Settle(e, 429, []byte(`{"error":{"status":"RESOURCE_EXHAUSTED"}}`)); e.After != 7500*time.Millisecond {
		t.Errorf("a wait in words: %v", e.After)
	}
}

func TestEveryCodeIsWritten(t *testing.T) {
	for _, tt := range []struct {
		code   llm.Code
		status int
		word   string
	}{
		{llm.CodeInvalid, 400, "INVALID_ARGUMENT"}, {llm.CodeUnauthenticated, 401, "UNAUTHENTICATED"}, {llm.CodeForbidden, 403, "PERMISSION_DENIED"},
		{llm.CodeNotFound, 404, "NOT_FOUND"}, {llm.CodeMethod, 405, "UNIMPLEMENTED"}, {llm.CodeMediaType, 415, "INVALID_ARGUMENT"}, {llm.CodeTooLarge, 413, "INVALID_ARGUMENT"},
		{llm.CodeOverQuota, 429, "RESOURCE_EXHAUSTED"}, {llm.CodeRateLimited, 429, "RESOURCE_EXHAUSTED"}, {llm.CodeOverloaded, 503, "UNAVAILABLE"},
		{llm.CodeTimeout, 504, "DEADLINE_EXCEEDED"}, {llm.CodeCredential, 502, "UNAVAILABLE"}, {llm.CodeInternal, 500, "INTERNAL"},
	} {
		e := &llm.Error{Code: tt.code, Message: "m", Param: "p", Reason: "why", After: 1500 * time.Millisecond}
		body := Append(nil, e, "req_1")
		if err := jsonx.Valid(body); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		word, _ := jsonx.String(jsonx.At(body, "error", "status"))
		code, _ := jsonx.Int(jsonx.At(body, "error", "code"))
		if Of(e) != tt.status || int(code) != tt.status || word != tt.word {
			t.Errorf("%v: %d %s", tt.code, Of(e), body)
		}
		want := `{"error":{"code":` + string(jsonx.At(body, "error", "code")) + `,"message":"p: m","status":"` + tt.word + `","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"WHY"},` +
			`{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"p","description":"m"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"},` +
			`{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"req_1"}]}}`
		if string(body) != want {
			t.Errorf("got %s, want %s", body, want)
		}
	}
}
