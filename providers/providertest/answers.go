package providertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// hostile are names of models that must not reach beyond their place in a path.
func hostile() []string {
	return []string{"a b", "\u00fc", "x?y=1", "x#y", "x&y=1", "../../../v9/else", "%2e%2e/%2e%2e", "a%2Fb", "a\r\nx-evil: 1", "x;y", "a\\b", `"`, "a//b"}
}

// locates checks the paths of requests to models of all names.
func locates(t *testing.T, k providers.Kind, d *Door) {
	a := adapter(t, k, "https://up.example/base")
	for _, model := range append(hostile(), "a/b", "a:b", "a@b", strings.Repeat("x", 300)) {
		op, c := at(a, d, model)
		if c == nil {
			continue
		}
		for _, stream := range []bool{false, true} {
			call := providers.Call{Op: op, Dialect: c.Name(), Model: model, Stream: stream}
			path, err := a.Address(call)
			if err != nil {
				if e, ok := errors.AsType[*llm.Error](err); !ok || e.Message == "" || path != "" {
					t.Errorf("%q: %q, %v", model, path, err)
				}
				continue
			}
			checkLocation(t, model, path)
			if again, err := a.Address(call); err != nil || again != path {
				t.Errorf("%q: %q, and %q the second time: %v", model, path, again, err)
			}
			call.Query = "beta=true&x=%2F"
			with, err := a.Address(call)
			if err != nil || strings.Count(with, "?") > 1 || !strings.HasSuffix(with, "beta=true&x=%2F") && with != path {
				t.Errorf("%q: with a query, %q becomes %q: %v", model, path, with, err)
			}
		}
	}
}

// checkLocation checks a path that a model's name may be part of.
func checkLocation(t *testing.T, model, path string) {
	t.Helper()
	bare, query, _ := strings.Cut(path, "?")
	bad := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("#\\\"<>^`{|}", r) }
	if !strings.HasPrefix(path, "/") || strings.ContainsFunc(path, bad) || strings.Contains(query, "?") || strings.Contains(query, "y=1") {
		t.Errorf("%q is addressed as %q", model, path)
	}
	for piece := range strings.SplitSeq(bare, "/") {
		if p := strings.ReplaceAll(strings.ToLower(piece), "%2e", "."); p == "." || p == ".." {
			t.Errorf("%q leads elsewhere: %q", model, path)
		}
	}
}

// leaked stands in bodies of errors where a key would.
const leaked = "sk-abcdEFGH0123abcdEFGH0123abcdEFGH"

// failures are bodies of errors in the forms of all APIs, and what is none.
func failures() []string {
	said := "the service said no to " + leaked
	return []string{
		`{"error":{"message":"` + said + `","type":"invalid_request_error","param":null,"code":null}}`,
		`{"error":{"message":"` + said + `","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}`,
		`{"type":"error","error":{"type":"api_error","message":"` + said + `"},"request_id":"req_1"}`,
		`{"error":{"code":400,"message":"` + said + `","status":"SOMETHING_NEW","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}`,
		`[{"error":{"code":400,"message":"` + said + `","status":"INTERNAL"}}]`,
		`{"message":"` + said + `"}`, `{"Message":"` + said + `"}`, `{"__type":"X","message":"` + said + `"}`,
		`{"id":"1","message":"` + said + `"}`, `{"error":"` + said + `"}`, `{"detail":"` + said + `"}`, `{"detail":[{"loc":["body","messages"],"msg":"` + said + `","type":"missing"}]}`,
		`{"object":"error","message":"` + said + `","code":1}`, `{"errors":[{"message":"` + said + `"}]}`, `{"error":null}`, `{"error":{}}`, `{"error":[]}`, `{"error":{"message":{"deep":1}}}`,
		`<html><body><h1>` + said + `</h1></body></html>`, said, "", "null", "[]", "{", "\x00\xff", strings.Repeat("[", 2000), `"` + said + `"`, strings.Repeat("x", 30_000),
	}
}

// noHeader is the head of an answer that says nothing.
type noHeader struct{}

func (noHeader) Get(string) string { return "" }

// fails checks how errors are read: whatever the body, an error with a code that fits the status and a text without
// what looks like a key, which the door's clients can be told. Vendors that are data differ in quirks of one codec.
func fails(t *testing.T, k providers.Kind, d *Door) {
	if k.Vendor != nil && d.Name != dialect.OpenAIChat {
		return
	}
	a := adapter(t, k, "https://up.example")
	seen := map[dialect.Client]bool{}
	for _, model := range models(k) {
		_, c := at(a, d, model)
		if c == nil || seen[c] {
			continue
		}
		seen[c] = true
		for _, status := range []int{400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504, 529} {
			for _, body := range failures() {
				h := dialect.Header(noHeader{})
				if status%2 == 0 { // as where the error stood within an answer
					h = nil
				}
				e := c.ReadError(status, h, []byte(body))
				if e == nil {
					t.Errorf("%d, %.80q: no error", status, body)
				} else {
					checkFailure(t, fmt.Sprintf("%d, %.80q", status, body), status, e, d)
				}
			}
		}
	}
}

func checkFailure(t *testing.T, what string, status int, e *llm.Error, d *Door) {
	t.Helper()
	shown := e.Message + e.Param + e.Reason
	switch {
	case e.Code == llm.CodeNone || e.Message == "":
		t.Errorf("%s: %+v", what, e)
	case strings.Contains(shown, leaked), len(shown) > 20_000:
		t.Errorf("%s: it would show %.200s", what, shown)
	case status == 401 && e.Code != llm.CodeCredential, status == 429 && !e.Code.Retryable(), status >= 500 && !e.Code.Retryable() && status != 501:
		t.Errorf("%s is read as %s", what, e.Code)
	}
	status, out := d.Server.WriteError(e, "req_1")
	if status < 400 || status > 599 || jsonx.Valid(out) != nil {
		t.Errorf("%s: a client would get %d: %s", what, status, out)
	}
}
