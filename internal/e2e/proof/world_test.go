package proof

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/postgres"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/redis"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// teamBudgets are the money of each organization's team, in thousandths of a dollar: some are used up soon, the last
// never. Each organization has a place of its own in the cluster.
var teamBudgets = [...]int64{40, 100, 250, 600, 1200, 50_000}

// keysOf is how many keys a team has. Each has a budget of its own beside the team's.
const keysOf = 2

func organization(i int) string { return fmt.Sprintf("org%d", i) }

func keyName(i, k int) string { return fmt.Sprintf("key%d-%d", i, k) }

// keyBudget is the money of a key in thousandths of a dollar.
func keyBudget(i int) int64 { return teamBudgets[i] * 6 / 10 }

// world is everything that is tested.
type world struct {
	t        *testing.T
	provider *provider
	nodes    []*servers.Redis // of the cluster; masters first
	url      string           // of it
	ledger   string           // URL
	stacks   []*stack.Stack
	slack    int64 // exchanges by which Redis and the ledger may differ

	served, refused, away, broken, sent atomic.Int64
}

const services = 4

// newWorld starts everything. Two services have an Envoy as their child, which dies with them, and two have one that
// lives on.
func newWorld(t *testing.T) *world {
	w := &world{t: t, provider: newProvider(t), nodes: servers.StartRedisCluster(t, 3, 1)}
	w.ledger = servers.StartPostgres(t).Database()
	var at []string
	for _, n := range w.nodes {
		at = append(at, n.Addr)
	}
	w.url = "redis+cluster://" + strings.Join(at, ",")
	for i := range services {
		start := stack.Up
		if i%2 == 1 {
			start = stack.Apart
		}
		w.stacks = append(w.stacks, start(t, w.config()))
	}
	return w
}

func (w *world) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, `
providers:
  - name: a
    kind: mock
    base_url: %s
    billing: { aborted: bills_to_end, on_cut: whole }
    models: [{ name: m, like: gpt-4o, max_output: %d, price: { input: 1, output: 10 } }]
routes: [{ name: chat, match: { models: [m] }, targets: [a/m] }]
tags: { headers: { number: x-number } }
quota: { store: %q, replicas: %d, timeout: 250ms, leases: 5 }
ledger: { store: %q }
`, w.provider.url, longest, w.url, services, w.ledger)
	b.WriteString("organizations:\n")
	for i := range teamBudgets {
		fmt.Fprintf(&b, "  - { name: %s, limits: { rules: [{ unit: tokens, amount: 100000000, window: total, away: deny }] } }\n", organization(i))
	}
	b.WriteString("teams:\n")
	for i, m := range teamBudgets {
		fmt.Fprintf(&b, "  - { name: team%d, organization: %s, budget: { total: %s USD }, limits: { parallel: 1000 } }\n", i, organization(i), dollars(m))
	}
	b.WriteString("keys:\n")
	for i := range teamBudgets {
		for k := range keysOf {
			fmt.Fprintf(&b, "  - { name: %s, team: team%d, hash: %q, budget: { month: %s USD } }\n", keyName(i, k), i, auth.HashKey("sk-"+keyName(i, k)), dollars(keyBudget(i)))
		}
	}
	return b.String()
}

func dollars(thousandths int64) string {
	return fmt.Sprintf("%d.%03d", thousandths/1000, thousandths%1000)
}

// load has clients ask until the context ends.
func (w *world) load(ctx context.Context, clients int) *sync.WaitGroup {
	var wg sync.WaitGroup
	one := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}}
	for c := range clients {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				w.ask(one, c%len(teamBudgets), rand.N(keysOf), fmt.Sprintf("%d.%d", c, n))
			}
		})
	}
	return &wg
}

// ask sends a request to one of the services, and notes what became of it.
func (w *world) ask(c *http.Client, i, k int, number string) {
	name := keyName(i, k)
	bound := ""
	if rand.N(2) == 0 {
		bound = fmt.Sprintf(`,"max_tokens":%d`, 20+rand.N(longest))
	}
	body := fmt.Sprintf(`{"model":"m","stream":%v%s,"messages":[{"role":"user","content":"%s %s %s"}]}`, rand.N(2) == 0, bound, name, number, strings.Repeat("x ", rand.N(40)))
	// Not the load's context: an answer that began is read to its end.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.stacks[rand.N(services)].Base+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return
	}
	req.Header.Set("content-type", "application/json")
	req.Header.Set("authorization", "Bearer sk-"+name)
	req.Header.Set("x-number", name+" "+number)
	w.sent.Add(1)
	res, err := c.Do(req)
	if err != nil {
		w.broken.Add(1)
		time.Sleep(50 * time.Millisecond)
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		w.broken.Add(1)
	case res.StatusCode == http.StatusOK:
		w.served.Add(1)
		return
	case res.StatusCode == http.StatusTooManyRequests && strings.Contains(string(text), "insufficient_quota"):
		w.refused.Add(1)
	case res.StatusCode >= 500:
		w.away.Add(1)
	default:
		w.t.Errorf("%d: %s", res.StatusCode, text)
	}
	time.Sleep(time.Duration(20+rand.N(80)) * time.Millisecond)
}

// budgets returns the budgets of a key and of those that it belongs to.
func (w *world) budgets(i, k int) []*quota.Budget {
	w.t.Helper()
	cfg, err := app.Load(w.stacks[0].Config)
	if err != nil {
		w.t.Fatal(err)
	}
	table, err := cfg.Budgets()
	if err != nil {
		w.t.Fatal(err)
	}
	party := budgets.Party{Organization: organization(i), Team: fmt.Sprintf("team%d", i), Key: keyName(i, k)}
	return table.Find(nil, &party, "m", "chat", []string{"a"})
}

// counters reads what Redis has counted. It changes nothing there.
func (w *world) counters(organization string, of []*quota.Budget) ([]quota.Counter, error) {
	s, err := redis.New(redis.Params{URL: w.url, Source: func(context.Context, string) ([]quota.Balance, error) {
		return nil, quota.ErrUnavailable
	}})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Peek(context.Background(), organization, of)
}

// books reads the ledger: what each budget was charged, and all records.
func (w *world) books() (map[string]int64, []*ledger.Record) {
	w.t.Helper()
	ctx := context.Background()
	s, err := postgres.Open(ctx, postgres.Params{URL: w.ledger})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	var all []*ledger.Record
	charged := map[string]int64{}
	f := book.Filter{From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
	if err := s.Records(ctx, f, func(r *ledger.Record) error {
		all = append(all, r)
		for _, c := range r.Money.Charges {
			charged[r.Organization+"/"+c.Budget] += c.Amount
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return charged, all
}
