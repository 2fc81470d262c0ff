package shadowing_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/headers"
	"github.com/signalbox-ai/signalbox/extproc/shadowing"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestWhatMayBeSentTwice(t *testing.T) {
	for body, want := range map[string]bool{
		`{"model":"m","messages":[]}`:                                          true,
		`{"tools":[{"type":"function","name":"mcp"},{"type":"web_search"}]}`:   true,
		`{"conversation":null,"previous_response_id":null,"background":false}`: true,
		`{"mcp_servers":[]}`:                              true,
		`{"conversation":"conv_1"}`:                       false,
		`{"previous_response_id":"resp_1"}`:               false,
		`{"background":true}`:                             false,
		`{"container":"c"}`:                               false,
		`{"mcp_servers":[{"url":"https://example.com"}]}`: false,
		`{"tools":[{"type":"function"},{"type":"mcp","server_url":"https://a.com"}]}`: false,
		`{"tools":[{"type":"mcp_toolset","mcp_server_name":"a"}]}`:                    false,
	} {
		doc, err := jsonx.Scan([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := shadowing.Repeatable(llm.OpChat, doc); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
	doc, _ := jsonx.Scan([]byte(`{}`))
	for op, want := range map[llm.Op]bool{
		llm.OpChat: true, llm.OpComplete: true, llm.OpEmbed: true, llm.OpRerank: true, llm.OpModerate: true,
		llm.OpImage: false, llm.OpSpeech: false, llm.OpBatches: false, llm.OpCount: false, llm.OpRealtime: false,
	} {
		if got := shadowing.Repeatable(op, doc); got != want {
			t.Errorf("%s: %v", op, got)
		}
	}
	if shadowing.Repeatable(llm.OpChat, nil) {
		t.Error("what is no JSON may be sent twice")
	}
}

func TestACopyHasWhatTheRequestHas(t *testing.T) {
	body := []byte(`{"model":"m"}`)
	r := &shadowing.Request{
		Method: "POST", Path: "/v1/messages?beta=true", Body: body, Exchange: "acme/1", Timeout: time.Minute,
		Header: headers.Header{
			{Name: ":path", Value: "/v1/messages?key=secret"}, {Name: "content-type", Value: "application/json"}, {Name: "anthropic-version", Value: "2023-06-01"}, {Name: "x-tier", Value: "gold"},
			{Name: "authorization", Value: "Bearer secret"}, {Name: "x-api-key", Value: "secret"}, {Name: "cookie", Value: "secret"}, {Name: "x-vendor-key", Value: "secret"},
			{Name: "x-forwarded-client-cert", Value: "By=x"}, {Name: "x-signalbox-own", Value: "forged"}, {Name: "x-signalbox-route", Value: "r"}, {Name: "idempotency-key", Value: "1"},
			{Name: "x-request-id", Value: "1"}, {Name: "traceparent", Value: "00-1"}, {Name: "content-length", Value: "13"},
		},
	}
	all := shadowing.Copies([]string{"x/b", "x/c"}, r, []string{"x-vendor-key"})
	body[0] = '!' // the request's bytes are Envoy's again
	if len(all) != 2 || all[0].Arm != "x/b" || all[1].Arm != "x/c" {
		t.Fatalf("%d copies", len(all))
	}
	for _, c := range all {
		if d := cmp.Diff(http.Header{"Content-Type": {"application/json"}, "Anthropic-Version": {"2023-06-01"}, "X-Tier": {"gold"}}, c.Header); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
		if c.Method != "POST" || c.Path != "/v1/messages?beta=true" || string(c.Body) != `{"model":"m"}` || c.Exchange != "acme/1" || c.Timeout != time.Minute {
			t.Errorf("%+v", c)
		}
	}
	all[0].Header.Set("x", "y")
	if all[1].Header.Get("x") != "" {
		t.Error("copies share a header")
	}
}
