package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/mock"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// TestTheSameTargetIsChargedThoughTheServiceIsKilled has a provider break its first connection and take its time with the
// answer to the second attempt, in the middle of which the service is killed. The client gets the answer, and the ledger has the exchange once,
// with both attempts at the target that made it.
func TestTheSameTargetIsChargedThoughTheServiceIsKilled(t *testing.T) {
	t.Parallel()
	m, answering := mock.New(mock.Options{Name: "a", Seed: 7}), make(chan struct{})
	var asked atomic.Int64
	var begun atomic.Bool
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0) //nolint:forcetypeassert // it is one
			_ = conn.Close()
			return
		}
		whole := httptest.NewRecorder()
		m.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		body := whole.Body.Bytes()
		_, _ = w.Write(body[:len(body)/2]) // its head is what the service waits for
		_ = http.NewResponseController(w).Flush()
		begun.Store(true)
		<-answering
		_, _ = w.Write(body[len(body)/2:])
	}))
	t.Cleanup(h.Close)
	b := newProvider(t, "b")
	s := stack.Apart(t, fmt.Sprintf(`
ledger: { store: "sqlite:run/ledger.db" }
providers:
  - { name: a, kind: mock, base_url: %s, models: [{ name: "tokens:20", like: gpt-4o, max_output: 100, price: { input: 1, output: 10 } }] }
  - { name: b, kind: mock, base_url: %s, models: [{ name: "tokens:20", like: gpt-4o, max_output: 100, price: { input: 100, output: 1000 } }] }
routes:
  - { name: same, match: { models: [same] }, targets: ["a/tokens:20", "b/tokens:20"], answer_headers: true, failover: { on: { reset: same } } }
  - { name: known, match: { models: [known] }, targets: ["b/tokens:20"] }
teams: [{ name: core, budget: { total: 10 USD } }]
keys: [{ name: money, hash: "%s", team: core }]
`, h.URL, b.url, auth.HashKey("sk-money-1")))
	stack.Eventually(t, 10*time.Second, "limits are known", func() error {
		if got := post(t, s.Base+chatPath, chat("known", false), "authorization: Bearer sk-money-1"); got.status != 200 {
			return fmt.Errorf("%d: %s", got.status, got.body)
		}
		return nil
	})
	known, done := len(b.Journal()), make(chan answer, 1)
	go func() { // ends with the answer
		got, err := send(context.Background(), s.Base+chatPath, chat("same", false), "authorization: Bearer sk-money-1")
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	stack.Eventually(t, 20*time.Second, "it answers when it is asked once more", func() error {
		if n := asked.Load(); n != 2 || !begun.Load() {
			return fmt.Errorf("it was asked %d times", n)
		}
		return nil
	})
	time.Sleep(200 * time.Millisecond) // until the head is out, and what was reserved in the journal
	s.Service().Kill()
	s.Serve()
	stack.Eventually(t, 30*time.Second, "the service is back", s.Ready)
	close(answering)
	got := <-done
	got.want(t, 200, "")
	if at := got.header.Get("x-signalbox-target"); at != "a/tokens:20" || len(b.Journal()) != known {
		t.Errorf("it was answered by %q, and the other was asked %d times", at, len(b.Journal())-known)
	}
	var all []*ledger.Record
	stack.Eventually(t, 20*time.Second, "it is in the ledger", func() error {
		all = slices.DeleteFunc(records(t, filepath.Join(s.Dir, "run/ledger.db")), func(r *ledger.Record) bool { return r.Asked.Model != "same" })
		if len(all) == 0 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	if len(all) != 1 || len(all[0].Attempts) != 2 || all[0].Result.Status != ledger.OK {
		t.Fatalf("%d records, the first is %s", len(all), all[0].Encode())
	}
	first, again := &all[0].Attempts[0], &all[0].Attempts[1]
	if first.Provider != "a" || first.Code != "reset" || again.Provider != "a" || again.Code != "" || fmt.Sprint(again.Flags) != "[same]" || again.Bill.Cost <= 0 || all[0].Money.Cost >= 1_000_000 {
		t.Errorf("the ledger has %s", all[0].Encode())
	}
}
