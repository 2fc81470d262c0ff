package exchange_test

import (
	"context"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
)

// TestAKeySeesOnlyTheModelsThatItMayUse asks for the list, for one model and for one that is nearly named alike.
func TestAKeySeesOnlyTheModelsThatItMayUse(t *testing.T) {
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.route([]string{"chat", "gpt-5.1", "gpt-5.2", "secret-1", "->", "gpt/*"})
	r.config.aliases["best"], r.config.aliases["hidden"] = "gpt-5.2", "secret-1"
	r.client([]string{"it", "sk-client-1", "models=gpt-*"})
	r.start()
	get := func(path string) (int, string) {
		x := r.core.Begin()
		reply := x.Head(context.Background(), exchange.Header{{Name: ":method", Value: "GET"}, {Name: ":path", Value: path}, {Name: "x-api-key", Value: "sk-client-1"}}, true)
		if reply.Answer == nil {
			t.Fatalf("%s: no answer", path)
		}
		return reply.Answer.Status, string(reply.Answer.Body)
	}
	if status, body := get("/v1/models"); status != 200 || !strings.Contains(body, "gpt-5.2") || !strings.Contains(body, "best") || strings.Contains(body, "secret") || strings.Contains(body, "hidden") {
		t.Errorf("%d: %s", status, body)
	}
	if status, _ := get("/v1/models/gpt-5.2"); status != 200 {
		t.Errorf("a model that it may use: %d", status)
	}
	for _, path := range []string{"/v1/models/secret-1", "/v1/models/secret-"} {
		if status, body := get(path); status != 404 || strings.Contains(body, "did you mean") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	r.finish()
}
