package journal

import (
	"context"
	"errors"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
)

// silent is a store that does not answer when it is asked to reserve.
type silent struct{ quota.Store }

func (silent) Reserve(context.Context, *quota.Request) (quota.Grant, *quota.Refusal, error) {
	return quota.Grant{}, nil, quota.Unavailable
}

func TestWhatWasRefusedWhileTheStoreWasAwayIsNotReservedAfterACrash(t *testing.T) {
	dir := t.TempDir()
	j, _ := reopen(t, dir)
	s := Wrap(silent{memory.New(memory.Params{})}, j, true)
	if _, _, err := s.Reserve(context.Background(), request("refused", quota.Claim{Budget: money, Amount: 5})); !errors.Is(err, quota.Unavailable) {
		t.Fatal(err)
	}
	must(t, j.Close())
	if _, left := reopen(t, dir); left.describe() != "" {
		t.Errorf("left: %s", left.describe())
	}
}
