package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

const drawn = `
store: sqlite:%[4]s/s.db
ledger: { store: "sqlite:run/ledger.db" }
providers:
  - { name: a, kind: mock, base_url: %[1]s/v1 }
  - { name: b, kind: mock, base_url: %[2]s/v1 }
  - { name: c, kind: mock, base_url: %[3]s/v1 }
routes:
  - { name: fine, match: { models: [ smart ], tags: { kind: fine } }, targets: [ c/echo ] }
  - { name: all, match: { models: [ smart, error ] }, targets: [ { target: a/echo, weight: 1 }, { target: b/echo, weight: 1 }, { target: c/echo, weight: 1 } ] }
`

// TestAnExchangeOnARealEnvoyIsExplained: what was drawn for it is drawn again from its id alone, in every case.
func TestAnExchangeOnARealEnvoyIsExplained(t *testing.T) {
	a, b, c := newProvider(t, "a"), newProvider(t, "b"), newProvider(t, "c")
	s := stack.Up(t, fmt.Sprintf(drawn, a.url, b.url, c.url, t.TempDir()))
	_, key := administer(t, s)
	const n = 15
	stack.Eventually(t, 5*time.Second, "the key", func() error {
		if got := post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key); got.status != 200 {
			return fmt.Errorf("status %d", got.status)
		}
		return nil
	})
	for range n {
		post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key).want(t, 200, "Hello")
	}
	var all []*ledger.Record
	stack.Eventually(t, 10*time.Second, "the records", func() error {
		all = all[:0]
		for _, r := range records(t, filepath.Join(s.Dir, "run/ledger.db")) {
			if r.Result.Status == ledger.OK {
				all = append(all, r)
			}
		}
		if len(all) <= n {
			return fmt.Errorf("there are %d", len(all))
		}
		return nil
	})
	h := s.Local()
	api := adminv1connect.NewUsageServiceClient(h, "http://local")
	seen := map[string]int{}
	for _, r := range all {
		got, err := api.ExplainExchange(t.Context(), &v1.ExplainExchangeRequest{Id: r.ID})
		if err != nil {
			t.Fatal(err)
		}
		went := r.Attempts[0].Provider + "/" + r.Attempts[0].Model
		seen[went]++
		if len(got.Plan) != 3 || got.Plan[0] != went || len(got.Differences) != 0 {
			t.Errorf("%s went to %s, and is explained as %v: %v", r.ID, went, got.Plan, got.Differences)
		}
		if got.ConfigThen == "" || got.ConfigThen != got.ConfigNow || got.Route != "all" || !strings.Contains(got.Routes[0].Why, "tags") || len(got.Records) == 0 || len(got.Targets) != 3 {
			t.Errorf("got %v", got)
		}
	}
	if len(seen) < 2 {
		t.Errorf("all went to the same target, which proves nothing: %v", seen)
	}
	request := post(t, s.Base+chatPath, chat("smart", false), "authorization: Bearer "+key).header.Get("x-request-id")
	known := ""
	stack.Eventually(t, 10*time.Second, "an exchange is known by the id that its client got", func() error {
		got, err := api.ExplainExchange(t.Context(), &v1.ExplainExchangeRequest{Id: request})
		if err == nil && (len(got.Records) != 1 || got.Records[0].Asked.RequestId != request) {
			t.Fatalf("%s is explained as %v", request, got)
		}
		if err == nil {
			known = got.Records[0].Id
		}
		return err
	})
	for _, command := range [][]string{{"explain"}, {"usage", "show"}} {
		if out := stack.Output(t, stack.Binary(t), append(command, request, "--server", "unix:"+s.Dir+"/c.sock")...); !strings.Contains(out, known) {
			t.Errorf("%v says %s", command, out)
		}
	}
	post(t, s.Base+chatPath, chat("nobody-takes-this", false), "authorization: Bearer "+key).want(t, 404, "nobody-takes-this")
	stack.Eventually(t, 10*time.Second, "what was refused is explained", func() error {
		for _, r := range records(t, filepath.Join(s.Dir, "run/ledger.db")) {
			if r.Result.Why != "not_found" {
				continue
			}
			got, err := api.ExplainExchange(t.Context(), &v1.ExplainExchangeRequest{Id: r.ID})
			if err != nil {
				return err
			}
			if r.Asked.Model != "nobody-takes-this" || !strings.Contains(got.String(), "no route takes the model nobody-takes-this") || got.ConfigThen != got.ConfigNow || got.ConfigThen == "" {
				t.Errorf("of the model %q: %v", r.Asked.Model, got)
			}
			return nil
		}
		return errors.New("there is no record")
	})
	if _, err := api.ExplainExchange(t.Context(), &v1.ExplainExchangeRequest{Id: "nothing"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("got %v", err)
	}
}
