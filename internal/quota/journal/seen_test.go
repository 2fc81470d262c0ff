package journal

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// heard keeps what a journal tells of its disk.
type heard struct {
	mu     sync.Mutex
	synced int
	faults []string
}

func (h *heard) seen() Seen {
	return Seen{
		Synced: func(time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.synced++ },
		Fault:  func(reason string) { h.mu.Lock(); defer h.mu.Unlock(); h.faults = append(h.faults, reason) },
	}
}

func TestWhatTheDiskDoesIsTold(t *testing.T) {
	var h heard
	j, _, err := Open(Params{Dir: t.TempDir(), Seen: h.seen()})
	must(t, err)
	m := quota.Claim{Budget: money, Amount: 7}
	must(t, j.Reserved(request("a", m), nil, Synced))
	h.mu.Lock()
	if h.synced != 1 || len(h.faults) > 0 {
		t.Errorf("%d syncs and the faults %v after one line that was waited for", h.synced, h.faults)
	}
	h.mu.Unlock()
	j.active.file.Close()
	must(t, j.Used(settlement("a", m), nil), j.Close())
	if !slices.Equal(h.faults, []string{"write"}) || h.synced < 2 {
		t.Errorf("%d syncs, and the faults %v", h.synced, h.faults)
	}
}

func TestRecordsThatTheLedgerLacksAreOverdueInTime(t *testing.T) {
	now := time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)
	j, _, err := Open(Params{Dir: t.TempDir(), Ledger: true, Now: func() time.Time { return now }})
	must(t, err)
	defer j.Close()
	m := quota.Claim{Budget: money, Amount: 7}
	must(t, j.Reserved(request("running", m), nil, Synced)) // has no record yet
	must(t, j.Used(settlement("a", m), []byte("a")), j.Used(settlement("b", m), []byte("b")), j.Used(settlement("without", m), nil))
	must(t, j.Settled("acme", "a"), j.Settled("acme", "b"), j.Settled("acme", "without"))
	if n := j.Overdue(now); n != 0 {
		t.Errorf("%d are overdue at once", n)
	}
	now = now.Add(time.Minute)
	if n := j.Overdue(now.Add(-time.Second)); n != 2 {
		t.Errorf("%d are overdue, want those of a and b", n)
	}
	must(t, j.Written("acme", "a"))
	if n := j.Overdue(now.Add(-time.Second)); n != 1 {
		t.Errorf("%d are overdue, want that of b", n)
	}
}
