package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

func TestReloadUnderLoadDropsNothing(t *testing.T) {
	a, b := newProvider(t, "a"), newProvider(t, "b")
	first := fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\nroutes:\n  - { name: r, match: { models: [r] }, targets: [\"a/pace:5ms+tokens:20\"], answer_headers: true }\n", a.url)
	second := fmt.Sprintf("providers:\n  - { name: b, kind: mock, base_url: %s }\nroutes:\n  - { name: r, match: { models: [r] }, targets: [\"b/pace:5ms+tokens:20\"], answer_headers: true }\n", b.url)
	moved := fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\nroutes:\n  - { name: r, match: { models: [r] }, targets: [\"a/pace:5ms+tokens:20\"], answer_headers: true }\n", b.url)
	s := stack.Up(t, first)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var served atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				body := []string{asked("r"), chat("r", true), chat("r", false)}[i%3]
				got, err := send(context.Background(), s.Base+chatPath, body)
				if err != nil || got.status != 200 || got.err != nil {
					t.Errorf("dropped: %v, status %d, %v: %s", err, got.status, got.err, got.body)
					return
				}
				served.Add(1)
			}
		})
	}
	target := func(want string) {
		t.Helper()
		stack.Eventually(t, 30*time.Second, "requests go to "+want, func() error {
			got, err := send(context.Background(), s.Base+chatPath, chat("r", false))
			if err != nil {
				return err
			}
			if name := got.header.Get("x-signalbox-target"); !strings.HasPrefix(name, want) {
				return fmt.Errorf("to %s", name)
			}
			return nil
		})
	}
	target("a/")
	s.Rewrite(second)
	target("b/")
	s.Rewrite("providers: [ { name: b, kind: nonsense } ]\n")
	stack.Eventually(t, 30*time.Second, "the bad configuration is refused", func() error {
		if !strings.Contains(s.Log(), "the old one stays") {
			return fmt.Errorf("not seen")
		}
		return nil
	})
	target("b/")
	s.Rewrite(first)
	target("a/")
	before := len(b.Journal())
	s.Rewrite(moved)
	stack.Eventually(t, 30*time.Second, "a provider that moved is asked at its new address", func() error {
		if len(b.Journal()) == before {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	close(stop)
	wg.Wait()
	if served.Load() < 20 {
		t.Errorf("only %d requests were served", served.Load())
	}
	for _, want := range []string{`signalbox_reload_total{result="ok"}`, `signalbox_reload_total{result="refused"} 1`} {
		if !strings.Contains(s.Metrics(), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
