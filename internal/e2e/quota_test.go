package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// limitedYAML has clients under limits: one of requests, one of money, one that may be at it once.
func limitedYAML(url string) string {
	return fmt.Sprintf(`
providers:
  - name: a
    kind: mock
    base_url: %s
    models:
      - { name: "tokens:20", like: gpt-4o, max_output: 100, price: { input: 1, output: 10 } }
      - { name: "slow:400ms", like: gpt-4o, max_output: 100, price: { input: 1, output: 10 } }
      - { name: echo, like: gpt-4o }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] }, models: [{ name: "tokens:20", like: claude-sonnet-4-5, max_output: 100, price: { input: 1, output: 10 } }] }
routes:
  - { name: text, match: { models: [text] }, targets: ["a/tokens:20"] }
  - { name: slow, match: { models: [slow] }, targets: ["a/slow:400ms"] }
  - { name: free, match: { models: [free] }, targets: [a/echo] }
  - { name: claude, match: { models: [claude] }, targets: ["claude/tokens:20"] }
  - { name: error, match: { models: [error] }, targets: [a/500] }
teams: [{ name: core, budget: { total: 0.02 USD } }]
keys:
  - { name: requests, hash: "%s", limits: { requests_per_day: 3 } }
  - { name: money, hash: "%s", team: core }
  - { name: parallel, hash: "%s", limits: { parallel: 1 } }
  - { name: open, hash: "%s" }
`, url, auth.HashKey("sk-requests-1"), auth.HashKey("sk-money-1"), auth.HashKey("sk-parallel-1"), auth.HashKey("sk-open-1"))
}

func TestLimitsHold(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, limitedYAML(a.url))

	t.Run("of requests, in the headers that SDKs read", func(t *testing.T) {
		for left := 2; left >= 0; left-- {
			got := post(t, s.Base+chatPath, chat("text", left == 1), "authorization: Bearer sk-requests-1")
			got.want(t, 200, "")
			if l, r := got.header.Get("x-ratelimit-limit-requests"), got.header.Get("x-ratelimit-remaining-requests"); l != "3" || r != fmt.Sprint(left) {
				t.Errorf("limit %q, remaining %q, want %d", l, r, left)
			}
		}
		before := len(a.Journal())
		got := post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-requests-1")
		got.want(t, 429, `"code":"rate_limit_exceeded"`)
		if got.header.Get("retry-after") == "" || got.header.Get("x-ratelimit-remaining-requests") != "0" || !strings.Contains(got.body, "requests limit of key") {
			t.Errorf("%v\n%s", got.header, got.body)
		}
		claude := post(t, s.Base+messagePath, message("claude", false), "x-api-key: sk-requests-1")
		claude.want(t, 429, `"rate_limit_error"`)
		if claude.header.Get("anthropic-ratelimit-requests-remaining") != "0" || claude.header.Get("x-ratelimit-remaining-requests") != "" {
			t.Errorf("%v", claude.header)
		}
		if n := len(a.Journal()); n != before {
			t.Error("a request over the limit reached the provider")
		}
		open := post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-open-1")
		open.want(t, 200, "")
		if h := open.header.Get("x-ratelimit-limit-requests"); h != "" {
			t.Errorf("a client without limits is told %q", h)
		}
	})

	t.Run("of what runs at once", func(t *testing.T) {
		var wg sync.WaitGroup
		codes := make([]int, 4)
		for i := range codes {
			wg.Go(func() {
				got, err := send(context.Background(), s.Base+chatPath, chat("slow", false), "authorization: Bearer sk-parallel-1")
				if err == nil {
					codes[i] = got.status
				}
			})
		}
		wg.Wait()
		served := 0
		for _, c := range codes {
			switch c {
			case 200:
				served++
			case 429:
			default:
				t.Errorf("status %d", c)
			}
		}
		if served == 0 || served == len(codes) {
			t.Errorf("%d of %d were served at once", served, len(codes))
		}
		stack.Eventually(t, 10*time.Second, "the place is free again", func() error {
			got := post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-parallel-1")
			if got.status != 200 {
				return fmt.Errorf("status %d", got.status)
			}
			return nil
		})
	})

	t.Run("of money, whatever comes at once", func(t *testing.T) {
		post(t, s.Base+chatPath, chat("free", false), "authorization: Bearer sk-money-1").want(t, 429, `"code":"unknown_price"`)
		var mu sync.Mutex
		var spent, served, refused int
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 4 {
					got, err := send(context.Background(), s.Base+chatPath, chat("text", false), "authorization: Bearer sk-money-1")
					mu.Lock()
					switch {
					case err != nil:
						t.Error(err)
					case got.status == 200:
						served++
						var body struct {
							Usage struct {
								In  int `json:"prompt_tokens"`
								Out int `json:"completion_tokens"`
							} `json:"usage"`
						}
						if err := jsonx.Decode([]byte(got.body), &body); err != nil {
							t.Error(err)
						}
						spent += body.Usage.In*1000 + body.Usage.Out*10_000
					case got.status == 429 && strings.Contains(got.body, "insufficient_quota"):
						refused++
					default:
						t.Errorf("%d: %s", got.status, got.body)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if spent > 20_000_000 || served == 0 {
			t.Errorf("%d nano-USD of 20,000,000 were spent by %d requests, %d refused", spent, served, refused)
		}
		t.Logf("%d served, %d refused, %d nano-USD", served, refused, spent)
	})
}

// TestReplicasShareLimitsInRedis has two services, each with its Envoy, and a Redis that goes away and comes back.
func TestReplicasShareLimitsInRedis(t *testing.T) {
	r := servers.StartRedis(t)
	a := newProvider(t, "a")
	yaml := limitedYAML(a.url) + "quota: { store: \"redis://" + r.Addr + "\", replicas: 2 }\n"
	one, two := stack.Up(t, yaml), stack.Up(t, yaml)
	const requests, money = "authorization: Bearer sk-requests-1", "authorization: Bearer sk-money-1"
	for i, s := range []*stack.Stack{one, two, one} {
		got := post(t, s.Base+chatPath, chat("text", i == 1), requests)
		got.want(t, 200, "")
		if left := got.header.Get("x-ratelimit-remaining-requests"); left != fmt.Sprint(2-i) {
			t.Errorf("request %d leaves %q", i+1, left)
		}
	}
	post(t, two.Base+chatPath, chat("text", false), requests).want(t, 429, `"code":"rate_limit_exceeded"`)
	post(t, two.Base+chatPath, chat("text", false), money).want(t, 200, "")

	r.Pause()
	defer r.Resume()
	slow := post(t, one.Base+chatPath, chat("text", false), money)
	slow.want(t, 503, `"code":"quota_unavailable"`)
	if slow.header.Get("retry-after") == "" {
		t.Error("no retry-after")
	}
	post(t, one.Base+chatPath, chat("text", false), "authorization: Bearer sk-open-1").want(t, 200, "")
	r.Resume()
	stack.Eventually(t, 10*time.Second, "limits are checked again", func() error {
		if got := post(t, one.Base+chatPath, chat("text", false), money); got.status != 200 {
			return fmt.Errorf("%d: %s", got.status, got.body)
		}
		return nil
	})
	post(t, one.Base+chatPath, chat("text", false), requests).want(t, 429, "")
}
