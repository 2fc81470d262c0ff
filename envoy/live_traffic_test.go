package envoy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox-ai/signalbox/envoy"
)

// two starts Envoy with a provider that refuses and one that answers.
func two(t *testing.T, change func(*envoy.Spec)) (r *rig, bad, good *recorder) {
	t.Helper()
	bad = &recorder{status: 429, header: http.Header{"Retry-After": {"3"}}}
	good = &recorder{status: 200, header: http.Header{
		"X-Request-Id": {"req-of-provider"}, "Request-Id": {"req-2"}, "Set-Cookie": {"a=b"}, "Server": {"nginx"}, "Via": {"1.1 x"},
		"X-Ratelimit-Limit-Tokens": {"9"}, "Anthropic-Ratelimit-Requests-Limit": {"9"}, "Cf-Ray": {"1"}, "Openai-Organization": {"org"},
		"Anthropic-Organization-Id": {"org"}, "Alt-Svc": {"h3"}, "Strict-Transport-Security": {"max-age=1"}, "X-Envoy-Upstream-Service-Time": {"1"}, "X-Kept": {"1"},
	}}
	b, _ := upstream(t, "bad", bad)
	g, _ := upstream(t, "good", good)
	r = start(t, func(s *envoy.Spec) {
		s.Providers = []envoy.Upstream{b, g, {Name: "nohost", Host: "host.invalid", Port: 80}, {Name: "refused", Host: "127.0.0.1", Port: freePort(t)}}
		s.AnswerHeaders = true
		if change != nil {
			change(s)
		}
	})
	return r, bad, good
}

func TestEveryAttemptGoesToItsStep(t *testing.T) {
	t.Parallel()
	r, bad, good := two(t, nil)
	for _, tt := range []struct {
		name     string
		order    string
		attempts []string // that the service sees
		bad      []string // bodies
		good     []string
		tries    string
		target   string
	}{
		{"direct: the first attempt does not visit the service", `{"plan":["good"],"watch":"0","target":"good/m"}`, nil, nil, []string{"/from-plan Bearer key-1 {\"from\":\"plan\"}"}, "1", "good/m"},
		{"watched: the first attempt is judged as the plan made it", `{"plan":["good"],"watch":"1"}`, []string{"watch 1 good t-1"}, nil, []string{"/from-plan Bearer key-1 {\"from\":\"plan\"}"}, "", ""},
		{"worked: the first attempt is rewritten", `{"plan":["good"],"watch":"2"}`, []string{"work 1 good t-1"}, nil, []string{`/attempt-1 Bearer key-1 {"attempt":1,"cluster":"good","stored":15}`}, "1", "good/m"},
		{"a refused request moves on and is rewritten", `{"plan":["bad","good"],"watch":"0"}`, []string{"work 2 good t-1"}, []string{"/from-plan Bearer key-1 {\"from\":\"plan\"}"}, []string{`/attempt-2 Bearer key-2 {"attempt":2,"cluster":"good","stored":15}`}, "2", "good/m"},
		{"no host and a refused connection move on", `{"plan":["nohost","refused","good"],"watch":"0"}`, []string{"work 3 good t-1"}, nil, []string{`/attempt-3 Bearer key-3 {"attempt":3,"cluster":"good","stored":15}`}, "3", "good/m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad.got, good.got = nil, nil
			r.service.take()
			a := r.post("/v1/chat/completions", tt.order)
			if a.status != 200 || a.body != `{"ok":200}` {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			attempts, _ := r.service.take()
			// A connection may be refused before the service hears of the attempt.
			attempts = slices.DeleteFunc(attempts, func(s string) bool { return strings.Contains(s, " refused ") })
			if d := cmp.Diff(sorted(attempts), tt.attempts, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("attempts (-got +want):\n%s", d)
			}
			for _, u := range []struct {
				got  []seen
				want []string
			}{{bad.requests(), tt.bad}, {good.requests(), tt.good}} {
				var got []string
				for _, q := range u.got {
					got = append(got, q.path+" "+q.header.Get("authorization")+" "+q.body)
					if q.length != int64(len(q.body)) {
						t.Errorf("content-length is %d for a body of %d bytes", q.length, len(q.body))
					}
					clean(t, q.header)
				}
				if d := cmp.Diff(got, u.want); d != "" {
					t.Errorf("requests (-got +want):\n%s", d)
				}
			}
			if got := a.header.Get("x-signalbox-attempts"); got != tt.tries {
				t.Errorf("x-signalbox-attempts is %q, want %q", got, tt.tries)
			}
			if got := a.header.Get("x-signalbox-target"); got != tt.target {
				t.Errorf("x-signalbox-target is %q, want %q", got, tt.target)
			}
		})
	}
}

// clean fails for headers that providers must not see.
func clean(t *testing.T, h http.Header) {
	t.Helper()
	for n := range h {
		n = strings.ToLower(n)
		if strings.HasPrefix(n, "x-signalbox-") || strings.HasPrefix(n, "x-envoy-") || strings.HasPrefix(n, "x-forwarded-") {
			t.Errorf("the provider sees %s", n)
		}
	}
}

func TestAnswersKeepWhatIsTheClients(t *testing.T) {
	t.Parallel()
	r, _, _ := two(t, nil)
	a := r.post("/v1/chat/completions", `{"plan":["good"],"watch":"0"}`)
	want := map[string]string{
		"X-Request-Id": "exchange-1", "X-Signalbox-Upstream-Request-Id": "req-of-provider", "Request-Id": "req-2", "X-Kept": "1", "Server": "signalbox",
		"Content-Type": "application/json", "Content-Length": "10", "Date": a.header.Get("date"),
	}
	got := map[string]string{}
	for n := range a.header {
		got[n] = strings.Join(a.header[n], ",")
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
}

func TestClientsCannotSpeakForThePlan(t *testing.T) {
	t.Parallel()
	r, _, good := two(t, nil)
	r.post("/v1/chat/completions", `{"plan":["good"],"watch":"0"}`, "x-envoy-max-retries", "50", "x-signalbox-watch", "2", "x-signalbox-idle", "5",
		"x-envoy-retry-on", "5xx", "x-envoy-upstream-rq-timeout-ms", "1", "x-signalbox-route", "r", "cookie", "c=1", "x-forwarded-for", "1.2.3.4")
	r.service.mu.Lock()
	got := r.service.plans[len(r.service.plans)-1]
	r.service.mu.Unlock()
	for n := range got {
		if strings.HasPrefix(n, "x-envoy-") || n == "x-signalbox-watch" || n == "x-signalbox-idle" || n == "cookie" {
			t.Errorf("the plan sees %s: %s", n, got[n])
		}
	}
	if got["x-signalbox-route"] != "r" {
		t.Error("the plan does not see x-signalbox-route")
	}
	for _, q := range good.requests() {
		clean(t, q.header)
	}
}

func TestLogEntriesJoin(t *testing.T) {
	t.Parallel()
	r, _, _ := two(t, nil)
	r.service.take()
	r.post("/v1/chat/completions", `{"plan":["refused","bad","good"],"watch":"0"}`)
	var all []entry
	eventually(t, "log entries", func() error {
		_, es := r.service.take()
		if all = append(all, es...); len(all) < 3 {
			return fmt.Errorf("%d entries", len(all))
		}
		return nil
	})
	var got []string
	for _, e := range all {
		c := e.GetCommonProperties()
		if e.log == "request" {
			h := e.GetResponse().GetResponseHeaders()
			got = append(got, fmt.Sprintf("request %s attempts=%d ids=%s,%s", c.GetMetadata().GetFilterMetadata()[envoy.NamespaceTicket].GetFields()["ticket"].GetStringValue(), c.GetUpstreamRequestAttemptCount(), h["x-signalbox-upstream-request-id"], h["request-id"]))
			continue
		}
		h := e.GetResponse().GetResponseHeaders()
		got = append(got, fmt.Sprintf("attempt %s %s %d after=%s ids=%s,%s", e.GetRequest().GetRequestHeaders()["x-request-id"], c.GetUpstreamCluster(), e.GetResponse().GetResponseCode().GetValue(), h["retry-after"], h["x-request-id"], h["request-id"]))
	}
	want := []string{
		"attempt exchange-1 refused.dns 0 after= ids=,", "attempt exchange-1 bad.dns 429 after=3 ids=,", "request t-1 attempts=3 ids=req-of-provider,req-2",
	}
	if d := cmp.Diff(sorted(got), sorted(want)); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func TestLargeBodiesReachEveryAttempt(t *testing.T) {
	t.Parallel()
	r, _, good := two(t, nil)
	const limit = 20 << 20
	for _, plan := range []string{`["good"]`, `["bad","good"]`, `["nohost","refused","good"]`} {
		for _, watch := range []string{"0", "2"} {
			good.got = nil
			head := fmt.Sprintf(`{"plan":%s,"watch":%q,"pad":"`, plan, watch)
			a := r.post("/v1/chat/completions", head+strings.Repeat("x", limit-len(head)-2)+`"}`)
			got := good.requests()
			if a.status != 200 || len(got) != 1 || len(got[0].body) < limit || got[0].length != int64(len(got[0].body)) {
				t.Errorf("plan %s, watch %s: got %d %s and %d requests", plan, watch, a.status, a.body, len(got))
			}
		}
	}
	over := strings.Repeat("x", limit+1)
	for name, body := range map[string]io.Reader{"with its length": strings.NewReader(over), "in chunks": io.MultiReader(strings.NewReader(over))} {
		if a, err := r.try("/v1/messages", body); err != nil || a.status != 413 || !strings.Contains(a.body, "request_too_large") {
			t.Errorf("a body over the limit %s: got %d %s, %v", name, a.status, a.body, err)
		}
	}
}

func TestLargeAnswersMayVisitTheService(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	p, _ := upstream(t, "large", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		part := strings.Repeat("x", 64<<10)
		for range size / len(part) {
			_, _ = io.WriteString(w, part)
		}
	}))
	r := start(t, func(s *envoy.Spec) { s.Providers = []envoy.Upstream{p} })
	r.service.every = true
	pid := r.child.Pid()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			a, err := r.try("/v1/messages", strings.NewReader(`{"plan":["large"],"watch":"2"}`))
			if err != nil || a.status != 200 || len(a.body) != size {
				t.Errorf("got %d and %d bytes, %v", a.status, len(a.body), err)
			}
		})
	}
	wg.Wait()
	if r.child.Pid() != pid {
		t.Errorf("Envoy died: %v", r.child.Last())
	}
}

func TestAnswersOfTheServicePassAsTheyAre(t *testing.T) {
	t.Parallel()
	r, _, _ := two(t, nil)
	for order, want := range map[string]string{
		`{"own":true}`: `503 {"own":"from the plan"} 7 application/json`,
		`{"plan":["bad","signalbox"],"watch":"0","dialect":"anthropic-messages"}`: `502 {"own":"verdict"} 7 application/json`,
	} {
		a := r.post("/v1/messages", order)
		if got := fmt.Sprintf("%d %s %s %s", a.status, a.body, a.header.Get("retry-after"), a.header.Get("content-type")); got != want {
			t.Errorf("%s: got %s, want %s", order, got, want)
		}
	}
}

func TestFailuresOfEnvoySpeakTheClientsDialect(t *testing.T) {
	t.Parallel()
	r, _, _ := two(t, func(s *envoy.Spec) { s.Limits.Body = 1000 })
	big := strings.Repeat("x", 1001)
	openai := func(message, kind, code string) string {
		return fmt.Sprintf(`{"error":{"code":%q,"message":%q,"param":null,"type":%q}}`, code, message, kind)
	}
	anthropic := func(message, kind, id string) string {
		return fmt.Sprintf(`{"error":{"message":%q,"type":%q},"request_id":%q,"type":"error"}`, message, kind, id)
	}
	const large = "The request body is larger than this gateway accepts."
	const none = "No model is available just now."
	check := func(name string, a answer, status int, want func(id string) string) {
		t.Helper()
		id := a.header.Get("x-request-id")
		if a.status != status || strings.TrimSpace(a.body) != want(id) || id == "" || a.header.Get("content-type") != "application/json" {
			t.Errorf("%s: got %d %q\n%s\nwant %d\n%s", name, a.status, a.header, a.body, status, want(id))
		}
		if after := a.header.Get("retry-after"); (status == 503) != (after == "1") {
			t.Errorf("%s: retry-after is %q", name, after)
		}
	}
	check("413 for OpenAI", r.post("/v1/chat/completions", big), 413, func(string) string { return openai(large, "invalid_request_error", "request_too_large") })
	check("413 for Anthropic", r.post("/v1/messages", big), 413, func(id string) string { return anthropic(large, "request_too_large", id) })
	check("all refused, dialect from the ticket", r.post("/v1/other", `{"plan":["refused"],"dialect":"anthropic-messages","watch":"0"}`), 503, func(id string) string { return anthropic(none, "overloaded_error", id) })
	check("all refused, the ticket wins over the path", r.post("/v1/messages", `{"plan":["refused"],"dialect":"openai-chat","watch":"0"}`), 503, func(string) string { return openai(none, "server_error", "service_unavailable") })
	r.rpc.Stop()
	check("service away, OpenAI", r.post("/v1/chat/completions", "{}"), 503, func(string) string { return openai(none, "server_error", "service_unavailable") })
	check("service away, Anthropic", r.post("/v1/messages", "{}"), 503, func(id string) string { return anthropic(none, "overloaded_error", id) })
	r.serve()
	eventually(t, "the service is back", func() error {
		if a := r.post("/v1/messages", `{"plan":["good"],"watch":"0"}`); a.status != 200 {
			return errors.New(a.body)
		}
		return nil
	})
}
