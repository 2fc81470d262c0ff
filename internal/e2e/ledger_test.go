package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// records reads a ledger that a service may have open.
func records(t *testing.T, path string) (out []*ledger.Record) {
	t.Helper()
	s, err := sqlite.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	from := book.Filter{From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
	if err := s.Records(context.Background(), from, func(r *ledger.Record) error { out = append(out, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryExchangeIsInTheLedger(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, limitedYAML(a.url)+"ledger: { store: \"sqlite:run/ledger.db\" }\n")
	post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-money-1").want(t, 200, "")
	post(t, s.Base+chatPath, chat("text", true), "authorization: Bearer sk-open-1").want(t, 200, "")
	post(t, s.Base+messagePath, message("claude", true), "x-api-key: sk-open-1").want(t, 200, "")
	post(t, s.Base+chatPath, chat("error", false), "authorization: Bearer sk-open-1").want(t, 502, "")
	post(t, s.Base+chatPath, chat("free", false), "authorization: Bearer sk-money-1").want(t, 429, "")
	post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-wrong").want(t, 401, "")
	var all []*ledger.Record
	stack.Eventually(t, 10*time.Second, "five records", func() error {
		if all = records(t, filepath.Join(s.Dir, "run/ledger.db")); len(all) != 5 {
			return fmt.Errorf("there are %d", len(all))
		}
		return nil
	})
	for _, want := range []struct {
		key, model, status string
		cost               bool
		charges            int
	}{
		{"money", "text", "ok", true, 1}, {"open", "text", "ok", true, 0}, {"open", "claude", "ok", true, 0}, {"open", "error", "upstream_error", false, 0}, {"money", "free", "refused", false, 0},
	} {
		n := 0
		for _, r := range all {
			if r.Who.Key == want.key && r.Asked.Model == want.model && string(r.Result.Status) == want.status && (r.Money.Cost > 0) == want.cost && len(r.Money.Charges) == want.charges {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%+v: %d records fit", want, n)
		}
	}
	if t.Failed() {
		for _, r := range all {
			t.Logf("%s", r.Encode())
		}
	}
}

// TestWhatEndedIsInTheLedgerThoughTheServiceIsKilled kills the service a moment after exchanges ended, mostly before
// their records are in the database. They are there afterwards, once, and the budget is not fresh again.
func TestWhatEndedIsInTheLedgerThoughTheServiceIsKilled(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Apart(t, limitedYAML(a.url)+"ledger: { store: \"sqlite:run/ledger.db\" }\n")
	served, spent := 0, 0
	for round := range 3 {
		for i := range 10 {
			stack.Eventually(t, 10*time.Second, "an answer, once limits are known", func() error {
				got, err := send(context.Background(), s.Base+chatPath, chat("text", false), "authorization: Bearer sk-"+[]string{"money", "open"}[i%2]+"-1")
				if err == nil && got.status != 200 {
					err = fmt.Errorf("%d: %s", got.status, got.body)
				}
				return err
			})
			served++
			if i%2 == 0 {
				spent++
			}
		}
		stack.Eventually(t, 10*time.Second, "all ended", func() error {
			if n := strings.Count(s.Log(), "exchange ended"); n < served-10*round {
				return fmt.Errorf("%d did", n)
			}
			return nil
		})
		time.Sleep(30 * time.Millisecond) // a round of the journal takes 5
		s.Service().Kill()
		s.Serve()
		stack.Eventually(t, 20*time.Second, "the service is back", func() error {
			got, err := send(context.Background(), s.Base+chatPath, chat("text", false))
			if err == nil && got.status != 401 {
				err = fmt.Errorf("%d: %s", got.status, got.body)
			}
			return err
		})
	}
	var all []*ledger.Record
	stack.Eventually(t, 10*time.Second, "all that ended is in the ledger", func() error {
		if all = records(t, filepath.Join(s.Dir, "run/ledger.db")); len(all) < served {
			return fmt.Errorf("%d ended, %d are in it", served, len(all))
		}
		return nil
	})
	money, ok := 0, 0
	for _, r := range all {
		if r.Result.Status == ledger.OK {
			ok++
			if r.Who.Key == "money" {
				money++
			}
		}
	}
	if ok != served || money != spent || served != 30 {
		t.Errorf("%d ended, %d records of answers, %d of %d of the key with a budget", served, ok, money, spent)
	}
}

// TestALimitIsNotFreshAfterARestart stops the service in order, and kills it.
func TestALimitIsNotFreshAfterARestart(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Apart(t, limitedYAML(a.url)+"ledger: { store: \"sqlite:run/ledger.db\" }\n")
	for range 3 {
		post(t, s.Base+chatPath, chat("text", false), "authorization: Bearer sk-requests-1").want(t, 200, "")
	}
	stack.Eventually(t, 10*time.Second, "all ended", func() error {
		if n := strings.Count(s.Log(), "exchange ended"); n < 3 {
			return fmt.Errorf("%d did", n)
		}
		return nil
	})
	time.Sleep(30 * time.Millisecond) // a round of the journal takes 5
	for _, end := range []func(){s.Service().Kill, func() { s.Service().Stop() }} {
		end()
		s.Serve()
		stack.Eventually(t, 20*time.Second, "the service refuses", func() error {
			got, err := send(context.Background(), s.Base+chatPath, chat("text", false), "authorization: Bearer sk-requests-1")
			switch {
			case err == nil && got.status == 200:
				t.Fatal("the limit is fresh")
			case err == nil && got.status != 429:
				err = fmt.Errorf("%d: %s", got.status, got.body)
			}
			return err
		})
	}
}

// TestTheLedgerSaysHowAttemptsFailed: those that the service did not see, of which Envoy tells by another log than of requests. What a
// provider refused costs nothing.
func TestTheLedgerSaysHowAttemptsFailed(t *testing.T) {
	t.Parallel()
	yaml := "ledger: { store: \"sqlite:run/ledger.db\" }\nproviders: [ { name: m, kind: mock, models: [ "
	routes := ""
	for n := range 8 { // a target each, whose breaker stays closed
		yaml += fmt.Sprintf(`{ name: "%d", price: { input: 1000000, output: 1 } }, `, 500+n)
		routes += fmt.Sprintf("  - { name: r%[1]d, match: { models: [ r%[1]d ] }, targets: [ m/%[2]d, m/echo ], failover: { retry_budget: 100 } }\n", n, 500+n)
	}
	s := stack.Up(t, yaml+"{ name: echo, price: { input: 0, output: 0 } } ] } ]\nroutes:\n"+routes)
	const each = 4
	for range each {
		for n := range 8 {
			post(t, s.Base+chatPath, chat(fmt.Sprintf("r%d", n), false)).want(t, 200, "Hello")
		}
	}
	var all []*ledger.Record
	stack.Eventually(t, 10*time.Second, "all records", func() error {
		if all = records(t, filepath.Join(s.Dir, "run/ledger.db")); len(all) != 8*each {
			return fmt.Errorf("there are %d", len(all))
		}
		return nil
	})
	for _, r := range all {
		if len(r.Attempts) != 2 || r.Asked.Path != "direct" || r.Attempts[0].Code == "" || fmt.Sprint(r.Attempts[0].HTTP) != r.Attempts[0].Model || r.Money.Cost != 0 {
			t.Errorf("got %s", r.Encode())
		}
	}
}
