package proof

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

func TestMain(m *testing.M) {
	code := m.Run()
	stack.Clean()
	os.Exit(code)
}

// Times of the proof.
const (
	clients   = 64
	killEvery = 3 * time.Second
	settled   = 150 * time.Second // reservations live for a minute; then they are charged, and the ledger has it
)

// duration is how long the load lasts: $SIGNALBOX_PROOF_LOAD, or 45 s.
func duration(t *testing.T) time.Duration {
	text := os.Getenv("SIGNALBOX_PROOF_LOAD")
	if text == "" {
		return 45 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func needsLong(t *testing.T) {
	t.Helper()
	if os.Getenv("SIGNALBOX_QUOTA_LONG") != "1" {
		t.Skip("make test-quota runs it")
	}
}

// TestMoneyAddsUpWhateverIsKilled has 64 clients spend the budgets of six organizations through four services. A
// service is killed every few seconds, and a master of the cluster in the middle. When all is quiet no budget was
// overspent, by the provider's own ledger; nothing stays reserved; and Redis, the ledger and the provider agree.
func TestMoneyAddsUpWhateverIsKilled(t *testing.T) {
	needsLong(t)
	w := newWorld(t)
	total := duration(t)
	kills := 0
	w.spend(total, func(ctx context.Context) { kills = w.chaos(ctx, total*2/5) })
	if kills < services {
		t.Error("this is too little to prove anything")
	}
	t.Logf("%d services were killed", kills)
	w.check()
}

// TestMoneyIsKeptThoughRedisLosesEverything empties the cluster under the same load. A record that is on its way to the
// ledger for longer than a rebuild waits is not counted, which docs/quotas.md says: a few may be.
func TestMoneyIsKeptThoughRedisLosesEverything(t *testing.T) {
	needsLong(t)
	w := newWorld(t)
	w.slack = 3
	w.spend(duration(t)/2, func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-time.After(duration(t) / 5):
		}
		for _, n := range w.nodes {
			_, _ = n.Do("FLUSHALL") // replicas refuse
		}
		<-ctx.Done()
	})
	w.check()
}

// spend has clients spend for a time while something happens, and waits until all is settled.
func (w *world) spend(total time.Duration, happens func(context.Context)) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), total)
	defer cancel()
	wg := w.load(ctx, clients)
	happens(ctx)
	wg.Wait()
	w.allReady()
	w.t.Logf("%s of load: %d requests, %d served, %d over budget, %d refused while something was away, %d broken off",
		total, w.sent.Load(), w.served.Load(), w.refused.Load(), w.away.Load(), w.broken.Load())
	if w.served.Load() < 500 || w.refused.Load() == 0 {
		w.t.Error("this is too little to prove anything")
	}
	begin := time.Now()
	err := w.quiet()
	for ; err != nil && time.Since(begin) < settled; err = w.quiet() {
		time.Sleep(time.Second)
	}
	if err != nil {
		w.t.Errorf("%s after the load: %v", settled, err) // and what else is wrong may say why
		return
	}
	w.t.Logf("all is settled %s after the load", time.Since(begin).Round(time.Second))
}

// chaos kills services until the context ends, and after a time a master. It returns how many services.
func (w *world) chaos(ctx context.Context, master time.Duration) (kills int) {
	begin := time.Now()
	for killed := false; ; kills++ {
		select {
		case <-ctx.Done():
			return kills
		case <-time.After(killEvery):
		}
		if passed := time.Since(begin); !killed && passed > master {
			killed = true
			w.nodes[0].Kill()
			w.t.Logf("a master of Redis is killed after %s", passed.Round(time.Second))
		}
		s := w.stacks[kills%services]
		s.Service().Kill()
		time.Sleep(300 * time.Millisecond)
		s.Serve()
	}
}

// allReady waits until every service is ready.
func (w *world) allReady() {
	w.t.Helper()
	for i, s := range w.stacks {
		stack.Eventually(w.t, 60*time.Second, fmt.Sprintf("service %d is ready", i), s.Ready)
	}
}

// each calls f with every budget, and a name for it.
func (w *world) each(f func(organization, name string, b *quota.Budget)) {
	for i := range teamBudgets {
		for k := range keysOf {
			for _, b := range w.budgets(i, k) {
				if b.Owner.Level == "key" || k == 0 {
					f(organization(i), fmt.Sprintf("%s %s of %s %s", b.Unit, b.ID, b.Owner.Level, b.Owner.Name), b)
				}
			}
		}
	}
}

func drift(a, b int64) int64 { return max(a-b, b-a) }

// largest is more than one exchange takes of a budget.
func largest(b *quota.Budget) int64 {
	if b.Unit == quota.Money {
		return 3_000_000
	}
	return 800
}

// quiet says what is not settled yet.
func (w *world) quiet() (err error) {
	charged, all := w.books()
	if n := w.missing(all); n > 0 {
		err = fmt.Errorf("%d requests that were billed have no record", n)
	}
	w.each(func(o, name string, b *quota.Budget) {
		c, e := w.counters(o, []*quota.Budget{b})
		switch {
		case e != nil:
			err = errors.Join(err, e)
		case c[0].Reserved != 0:
			err = errors.Join(err, fmt.Errorf("%s: %d are reserved", name, c[0].Reserved))
		case b.Unit != quota.Parallel && drift(c[0].Used, charged[o+"/"+b.ID]) > w.slack*largest(b):
			err = errors.Join(err, fmt.Errorf("%s: Redis counts %d, the ledger has %d", name, c[0].Used, charged[o+"/"+b.ID]))
		}
	})
	return err
}

// missing counts the requests that were billed, and neither have a record nor can be among those that expired.
func (w *world) missing(all []*ledger.Record) int {
	have, expired := map[string]bool{}, 0
	for _, r := range all {
		have[r.Tags["number"]] = have[r.Tags["number"]] || r.Result.Status != ledger.Refused
		if r.Result.Status == ledger.Expired {
			expired++
		}
	}
	w.provider.mu.Lock()
	defer w.provider.mu.Unlock()
	n := -expired
	for text := range w.provider.bills {
		if f := strings.Fields(text); !have[f[0]+" "+f[1]] {
			n++
		}
	}
	return n
}

// check compares the provider's ledger with what was charged, and prints the figures.
func (w *world) check() {
	charged, all := w.books()
	w.each(func(o, name string, b *quota.Budget) {
		if b.Unit == quota.Parallel {
			return
		}
		prefix := "key" + strings.TrimPrefix(o, "org") + "-"
		if b.Owner.Level == "key" {
			prefix = b.Owner.Name + " "
		}
		n, billed := w.provider.of(prefix)
		used := billed.input + billed.output
		if b.Unit == quota.Money {
			used = billed.nano()
		}
		if used > b.Limit || charged[o+"/"+b.ID] < used || charged[o+"/"+b.ID] > b.Limit {
			w.t.Errorf("%s: the limit is %d, the provider billed %d for %d requests, and %d were charged", name, b.Limit, used, n, charged[o+"/"+b.ID])
		}
		w.t.Logf("%s %s: limit %d, billed %d (%d requests), charged %d, overspent %d", b.Owner.Level, b.Owner.Name, b.Limit, used, n, charged[o+"/"+b.ID], max(0, used-b.Limit))
	})
	w.once(all)
}

// once checks that every request that reached the provider has one record, or is one of those that expired.
func (w *world) once(all []*ledger.Record) {
	seen := map[ledger.Key]bool{}
	ids := map[string]map[string]bool{} // of charges, by number of the request
	cost := map[string]int64{}          // by id: with its corrections
	expired, late, exact, more := 0, 0, 0, 0
	for _, r := range all {
		if seen[r.Key] {
			w.t.Errorf("%v is in the ledger twice", r.Key)
		}
		seen[r.Key] = true
		switch {
		case r.Cause == "late":
			late++
		case r.Result.Status == ledger.Expired:
			expired++
		case r.Result.Status == ledger.Refused:
			continue
		}
		cost[r.ID] += int64(r.Money.Cost)
		if number := r.Tags["number"]; number != "" {
			if ids[number] == nil {
				ids[number] = map[string]bool{}
			}
			ids[number][r.ID] = true
		}
	}
	w.provider.mu.Lock()
	defer w.provider.mu.Unlock()
	lost := 0
	for text, b := range w.provider.bills {
		f := strings.Fields(text)
		number := f[0] + " " + f[1]
		var charged int64
		for id := range ids[number] {
			charged += cost[id]
		}
		switch {
		case len(ids[number]) > 1:
			w.t.Errorf("%s was charged %d times", number, len(ids[number]))
		case len(ids[number]) == 0:
			lost++
		case charged == b.nano():
			exact++
		case charged < b.nano():
			w.t.Errorf("%s cost %d, and %d were charged", number, b.nano(), charged)
		default:
			more++
		}
	}
	if lost > expired || w.provider.twice > 0 || w.provider.open > 0 {
		w.t.Errorf("%d requests have no record of their own, %d reservations expired; %d reached the provider twice, %d without a cap", lost, expired, w.provider.twice, w.provider.open)
	}
	w.t.Logf("%d records: %d charged exactly, %d at what was reserved, %d expired (%d of them requests that were billed), %d corrected later", len(all), exact, more, expired, lost, late)
}
