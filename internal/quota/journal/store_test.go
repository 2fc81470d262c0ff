package journal

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
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
