package journal

import (
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// TestWhatADiskTakesAfterItWasFullIsRead has a disk that is full in the middle of a line, twice: of the segment in use and
// of the one after it. Behind half a line nothing is read.
func TestWhatADiskTakesAfterItWasFullIsRead(t *testing.T) {
	var was syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	signal.Ignore(syscall.SIGXFSZ)
	free := sync.OnceFunc(func() {
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was))
		signal.Reset(syscall.SIGXFSZ)
	})
	defer free()
	dir := t.TempDir()
	alarms := make(chan error, 10)
	j, _, err := Open(Params{Dir: dir, Ledger: true, Alarm: func(err error) { alarms <- err }})
	must(t, err)
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 10, Max: was.Max}))
	m := quota.Claim{Budget: money, Amount: 7}
	if err := j.Used(settlement("long", m), []byte(strings.Repeat("x", 4<<10))); err == nil {
		t.Fatal("a full disk took a line")
	}
	free()
	<-alarms
	if err := <-alarms; err != nil {
		t.Fatalf("got alarm %v", err)
	}
	must(t, j.Used(settlement("after", m), nil), j.Close())
	_, left := reopen(t, dir)
	var got []string
	for _, u := range left.Unsettled {
		got = append(got, u.Settlement.ID)
	}
	if d := cmp.Diff([]string{"long", "after"}, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// TestASegmentAfterAFailedSyncNamesItsBudgets has a disk that fails while nobody waits for it.
func TestASegmentAfterAFailedSyncNamesItsBudgets(t *testing.T) {
	dir := t.TempDir()
	alarms := make(chan error, 10)
	j, _, err := Open(Params{Dir: dir, Delay: time.Millisecond, Lag: 300 * time.Millisecond, Alarm: func(err error) { alarms <- err }})
	must(t, err)
	m := quota.Claim{Budget: money, Amount: 7}
	must(t, j.Noted(settlement("before", m), nil))
	time.Sleep(100 * time.Millisecond) // it is the kernel's
	j.active.file.Close()
	if err := <-alarms; err == nil {
		t.Error("the alarm says that the disk works")
	}
	must(t, j.Used(settlement("after", m), nil), j.Close())
	_, left := reopen(t, dir)
	if d := cmp.Diff("unsettled before money 7 void=false\nunsettled after money 7 void=false\nunwritten before \nunwritten after ", left.describe()); d != "" || left.Broken > 0 {
		t.Errorf("%d segments are broken; -want +got\n%s", left.Broken, d)
	}
}

// Lines that come without a pause do not keep those before them from the disk.
func TestLinesThatAreDueGoToDiskWithThoseThatFollow(t *testing.T) {
	j := &Journal{p: Params{Segment: 1 << 20}, active: &segment{}, due: true, pending: pending{buffer: []byte("x"), round: newRound()}}
	j.wake = sync.NewCond(&j.mu)
	j.round.urgent = true
	if b, _ := j.gather(); !b.sync {
		t.Error("they wait for a moment without lines")
	}
}
