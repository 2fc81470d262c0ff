package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
)

// silent is a store that does not answer when it is asked to reserve.
type silent struct{ quota.Store }

func (silent) Reserve(context.Context, *quota.Request) (quota.Grant, *quota.Refusal, error) {
	return quota.Grant{}, nil, quota.ErrUnavailable
}

func TestWhatWasNotAdmittedIsNotReservedAfterACrash(t *testing.T) {
	dir := t.TempDir()
	j, _ := reopen(t, dir)
	store := memory.New(memory.Params{})
	if _, _, err := Wrap(silent{store}, j, true).Reserve(context.Background(), request("away", quota.Claim{Budget: money, Amount: 5})); !errors.Is(err, quota.ErrUnavailable) {
		t.Fatal(err)
	}
	s := Wrap(store, j, true)
	if _, no, err := s.Reserve(context.Background(), request("over", quota.Claim{Budget: money, Amount: 101})); no == nil || err != nil {
		t.Fatal(no, err)
	}
	if _, no, err := s.Reserve(context.Background(), request("running", quota.Claim{Budget: money, Amount: 5})); no != nil || err != nil {
		t.Fatal(no, err)
	}
	crashed := t.TempDir() // what another process would find if this one ended here
	must(t, os.CopyFS(crashed, os.DirFS(dir)))
	if _, left := reopen(t, crashed); left.describe() != "open running money 5" {
		t.Errorf("left: %s", left.describe())
	}
}

// The journal changes nothing of what a store does.
func TestContract(t *testing.T) {
	quotatest.Run(t, func(t testing.TB) quotatest.Subject {
		now := time.Now()
		inner := memory.New(memory.Params{Keep: quotatest.Keep, KeepExpired: quotatest.KeepExpired, Now: func() time.Time { return now }})
		j, _, err := Open(Params{Dir: t.TempDir()})
		must(t, err)
		t.Cleanup(func() { j.Close() })
		return quotatest.Subject{Store: rebuildable{Wrap(inner, j, true), inner}, Organization: "acme", Clock: func(at time.Time) { now = at }}
	})
}

type rebuildable struct {
	*Store
	quota.Rebuilder
}

// A store that ends with the process has, after Resume, what was used and what was running.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	j, _ := reopen(t, dir)
	s := Wrap(memory.New(memory.Params{}), j, true)
	ctx := context.Background()
	m, n := quota.Claim{Budget: money, Amount: 7}, quota.Claim{Budget: rate, Amount: 1}
	for _, id := range []string{"running", "used", "settled"} {
		if _, _, err := s.Reserve(ctx, request(id, m, n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, no, err := s.Reserve(ctx, request("refused", quota.Claim{Budget: money, Amount: 99})); no == nil {
		t.Fatal(err)
	}
	born := func(id string, c quota.Claim) *quota.Settlement {
		in := settlement(id, c, n)
		in.Born = time.Now()
		return in
	}
	must(t, j.Used(born("used", quota.Claim{Budget: money, Amount: 5}), nil))
	if _, err := s.Settle(ctx, born("settled", quota.Claim{Budget: money, Amount: 3})); err != nil {
		t.Fatal(err)
	}
	must(t, j.Written("acme", "settled"), j.Close())

	for range 2 { // a crash while resuming is resumed again
		inner := memory.New(memory.Params{})
		j, left, err := Open(Params{Dir: dir, Ledger: true})
		must(t, err)
		// The ledger's balance: what it has been told of.
		must(t, inner.Rebuild(ctx, "acme", []quota.Balance{{Budget: "money", Kind: 'C', Start: money.Window.Bounds(time.Now(), 0).A, Used: 3}}))
		must(t, Wrap(inner, j, true).Resume(ctx, left))
		c, err := inner.Peek(ctx, "acme", []*quota.Budget{money, rate})
		must(t, err)
		if got := fmt.Sprintf("money %d+%d, rate %d+%d", c[0].Used, c[0].Reserved, c[1].Used, c[1].Reserved); len(left.Unsettled) == 1 && got != "money 8+7, rate 1+1" {
			t.Errorf("got %s", got)
		}
		if len(left.Open) != 1 || left.Open[0].Request.ID != "running" {
			t.Errorf("open: %s", left.describe())
		}
		must(t, j.Close())
	}
}

// What was given back has no record, so that nothing waits for the ledger to have it.
func TestWhatWasGivenBackIsNotKept(t *testing.T) {
	dir := t.TempDir()
	j, _ := reopen(t, dir)
	s := Wrap(memory.New(memory.Params{}), j, true)
	m := quota.Claim{Budget: money, Amount: 7}
	if _, no, err := s.Reserve(context.Background(), request("a", m)); no != nil || err != nil {
		t.Fatal(no, err)
	}
	void := settlement("a", m)
	void.Void = true
	if out, err := s.Settle(context.Background(), void); err != nil || out.To != quota.Voided {
		t.Fatal(out, err)
	}
	if n := j.Waiting(); n != 0 {
		t.Errorf("%d exchanges are kept", n)
	}
	must(t, j.Close())
	if _, left := reopen(t, dir); left.describe() != "" {
		t.Errorf("left: %s", left.describe())
	}
}
