package openaichat

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func TestErrorsAreWrittenWithTheirStatusAndFourKeys(t *testing.T) {
	for _, tc := range []struct {
		e      llm.Error
		status int
		want   string
	}{
		{llm.Error{Code: llm.CodeInvalid, Message: "no", Param: "n"}, 400, `{"error":{"message":"no","type":"invalid_request_error","param":"n","code":null}}`},
		{llm.Error{Code: llm.CodeUnsupported}, 400, `{"error":{"message":"The request asks for what no target can do.","type":"invalid_request_error","param":null,"code":"unsupported_parameter"}}`},
		{llm.Error{Code: llm.CodeUnauthenticated, Message: "no"}, 401, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`},
		{llm.Error{Code: llm.CodeForbidden, Message: "no"}, 403, `{"error":{"message":"no","type":"permission_error","param":null,"code":null}}`},
		{llm.Error{Code: llm.CodeNotFound, Message: "no", Param: "model", Reason: "model_not_found"}, 404, `{"error":{"message":"no","type":"invalid_request_error","param":"model","code":"model_not_found"}}`},
		{llm.Error{Code: llm.CodeMethod, Message: "no"}, 405, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`},
		{llm.Error{Code: llm.CodeMediaType, Message: "no"}, 415, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`},
		{llm.Error{Code: llm.CodeTooLarge, Message: "no"}, 413, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`},
		{llm.Error{Code: llm.CodeContextTooLong, Message: "no"}, 400, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}`},
		{llm.Error{Code: llm.CodeBlocked, Message: "no"}, 400, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"content_filter"}}`},
		{llm.Error{Code: llm.CodeOverQuota, Message: "no"}, 429, `{"error":{"message":"no","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`},
		{llm.Error{Code: llm.CodeRateLimited, Message: "no"}, 429, `{"error":{"message":"no","type":"rate_limit_exceeded","param":null,"code":"rate_limit_exceeded"}}`},
		{llm.Error{Code: llm.CodeOverloaded, Message: "no"}, 503, `{"error":{"message":"no","type":"server_error","param":null,"code":"overloaded"}}`},
		{llm.Error{Code: llm.CodeTimeout, Message: "no"}, 504, `{"error":{"message":"no","type":"timeout","param":null,"code":"timeout"}}`},
		{llm.Error{Code: llm.CodeTimeout, Message: "no", Status: 408}, 408, `{"error":{"message":"no","type":"timeout","param":null,"code":"timeout"}}`},
		{llm.Error{Code: llm.CodeConnect, Message: "no"}, 502, `{"error":{"message":"no","type":"server_error","param":null,"code":"upstream_error"}}`},
		{llm.Error{Code: llm.CodeReset, Message: "no"}, 502, `{"error":{"message":"no","type":"server_error","param":null,"code":"upstream_error"}}`},
		{llm.Error{Code: llm.CodeUpstream, Message: "a\"b"}, 502, `{"error":{"message":"a\"b","type":"server_error","param":null,"code":"upstream_error"}}`},
		{llm.Error{Code: llm.CodeCredential, Message: "our key is bad", Reason: "invalid_api_key"}, 502, `{"error":{"message":"The provider refused the gateway.","type":"server_error","param":null,"code":"upstream_error"}}`},
		{llm.Error{Code: llm.CodeInternal, Message: "no"}, 500, `{"error":{"message":"no","type":"server_error","param":null,"code":"internal_error"}}`},
		{llm.Error{Code: 250}, 500, `{"error":{"message":"The gateway had an error.","type":"server_error","param":null,"code":"internal_error"}}`},
	} {
		status, body := New().WriteError(&tc.e, "req_1")
		if status != tc.status || string(body) != tc.want {
			t.Errorf("%s: %d %s\nwant %d %s", tc.e.Code, status, body, tc.status, tc.want)
		}
	}
}

// recordedErrors are the codes due for recorded errors, by status where no id is listed.
var recordedErrors = map[string]llm.Code{
	"400":              llm.CodeInvalid,
	"401":              llm.CodeCredential,
	"403":              llm.CodeForbidden,
	"404":              llm.CodeNotFound,
	"429":              llm.CodeRateLimited,
	"1b1a62c8659ba106": llm.CodeContextTooLong, // Ollama: prompt too long
	"796777ac95b0d3c0": llm.CodeUnsupported,    // o1-mini refuses developer
	"8e83ad39936b571a": llm.CodeUnsupported,    // and system
}

func TestRecordedErrorsAreClassed(t *testing.T) {
	for _, r := range records(t) {
		if r.Status < 400 {
			continue
		}
		want, listed := recordedErrors[r.ID]
		if !listed {
			want = recordedErrors[string(rune('0'+r.Status/100))+string(rune('0'+r.Status/10%10))+string(rune('0'+r.Status%10))]
		}
		e := New().ReadError(r.Status, nil, []byte(r.Body))
		if e.Code != want || e.Message == "" || want == llm.CodeNone {
			t.Errorf("%s/%s: %d %s\ngot %v, want %s", r.Provider, r.ID, r.Status, r.Body, e, want)
		}
		_, body := New().WriteError(e, "")
		if err := jsonx.Valid(body); err != nil {
			t.Errorf("%s: %v: %s", r.ID, err, body)
		}
	}
}

func TestAnErrorInADocumentOf200Fails(t *testing.T) {
	for body, code := range map[string]llm.Code{
		`{"error":{"message":"x","type":"server_error"}}`:                             llm.CodeUpstream,
		`{"code":"bad","error":"Incorrect API key provided"}`:                         llm.CodeCredential,
		`{"object":"error","message":"no","type":"invalid_request_error","code":400}`: llm.CodeInvalid,
		`{"choices":[{"error":{"code":429,"message":"slow down"},"message":{}}]}`:     llm.CodeRateLimited,
		`{"detail":"Invalid API key"}`:                                                llm.CodeCredential,
		`[{"error":{"code":503,"message":"busy"}}]`:                                   llm.CodeOverloaded,
		`{}`:               llm.CodeUpstream,
		`{"choices":`:      llm.CodeUpstream,
		`<html>502</html>`: llm.CodeUpstream,
		``:                 llm.CodeReset,
		"data: {\"error\":{\"message\":\"x\",\"code\":503}}\n\n": llm.CodeOverloaded,
		`{"choices":[],"id":"x"}`:                                llm.CodeReset,
	} {
		for _, stream := range []bool{false, true} {
			tr := readCut(t, nil, stream, []byte(body), max(1, len(body)))
			if tr.failed == nil || tr.failed.Code != code {
				t.Errorf("%q, stream %v: %s, want %s", body, stream, tr.text(), code)
			}
		}
	}
}

func TestModelsAreListed(t *testing.T) {
	c := New()
	m := dialect.ModelInfo{ID: "a/b", Owner: "o", Created: 5}
	const one = `{"id":"a/b","object":"model","created":5,"owned_by":"o"}`
	if got := string(c.WriteModel(m)); got != one {
		t.Error(got)
	}
	if got := string(c.WriteModels([]dialect.ModelInfo{m, m})); got != `{"object":"list","data":[`+one+`,`+one+`]}` {
		t.Error(got)
	}
	known := dialect.ModelInfo{ID: "a", Owner: "o", Known: true, Context: 200000, MaxOutput: 64000, Can: ability.Tools | ability.Vision, Retires: "2027-01-31"}
	if got := string(c.WriteModel(known)); got != `{"id":"a","object":"model","created":0,"owned_by":"o","context_window":200000,"max_completion_tokens":64000,"abilities":["tools","vision"],"retires":"2027-01-31"}` {
		t.Error(got)
	}
	if got := string(c.WriteModels(nil)); got != `{"object":"list","data":[]}` {
		t.Error(got)
	}
}
