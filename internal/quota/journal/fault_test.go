package journal

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
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
	must(t, j.Noted(settlement("before", m), []byte("1")))
	time.Sleep(100 * time.Millisecond) // it is the kernel's
	j.mu.Lock()
	j.active.file.Close()
	j.mu.Unlock()
	if err := <-alarms; err == nil {
		t.Error("the alarm says that the disk works")
	}
	must(t, j.Used(settlement("after", m), []byte("2")), j.Close())
	_, left := reopen(t, dir)
	if d := cmp.Diff("unsettled before money 7 void=false\nunsettled after money 7 void=false\nunwritten before 1\nunwritten after 2", left.describe()); d != "" || left.Broken > 0 {
		t.Errorf("%d segments are broken; -want +got\n%s", left.Broken, d)
	}
}

// Lines that come without a pause do not keep those before them from the disk.
func TestLinesThatAreDueGoToDiskWithThoseThatFollow(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "segment"))
	must(t, err)
	defer f.Close()
	j := &Journal{p: Params{Segment: 1 << 20, Lag: time.Hour}, active: &segment{file: f}, due: true, pending: pending{buffer: []byte("x"), round: newRound()}}
	j.wake = sync.NewCond(&j.mu)
	if all, sync, _ := j.put(); !sync || len(all.batches) != 1 {
		t.Error("they wait for a moment without lines")
	}
}

// A file that fails is left, and what it was given goes to the next one.
func TestAfterAFailedWriteTheNextSegmentHasIt(t *testing.T) {
	dir := t.TempDir()
	var alarms []error
	j, _, err := Open(Params{Dir: dir, Alarm: func(err error) { alarms = append(alarms, err) }})
	must(t, err)
	m := quota.Claim{Budget: money, Amount: 7}
	must(t, j.Reserved(request("a", m), nil, Synced))
	j.active.file.Close()
	must(t, j.Used(settlement("a", m), []byte("1")), j.Used(settlement("b", m), []byte("2")), j.Close())
	_, left := reopen(t, dir)
	want := "unsettled a money 7 void=false\nunsettled b money 7 void=false\nunwritten a 1\nunwritten b 2"
	if d := cmp.Diff(want, left.describe()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if len(alarms) != 0 {
		t.Errorf("got alarms %v of a fault that was got over", alarms)
	}
}

// Lines that nobody waits for the disk of are given to the kernel by who waits for that; where it does not take them the next
// segment has them all the same.
func TestAfterAFailedWriteOfTheCallerTheNextSegmentHasIt(t *testing.T) {
	dir := t.TempDir()
	j, _, err := Open(Params{Dir: dir, Delay: time.Hour})
	must(t, err)
	m := quota.Claim{Budget: money, Amount: 7}
	must(t, j.Reserved(request("a", m), nil, Written))
	j.active.file.Close()
	must(t, j.Reserved(request("b", m), nil, Written), j.Reserved(request("c", m), nil, Written), j.Close())
	_, left := reopen(t, dir)
	var got []string
	for _, r := range left.Open {
		got = append(got, r.Request.ID)
	}
	if d := cmp.Diff([]string{"a", "b", "c"}, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestWhileTheDiskFailsHardLimitsAdmitNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	alarms := make(chan error, 10)
	j, _, err := Open(Params{Dir: dir, Alarm: func(err error) { alarms <- err }})
	must(t, err)
	defer j.Close()
	s := Wrap(memory.New(memory.Params{}), j, true)
	ctx := context.Background()
	m, n := quota.Claim{Budget: money, Amount: 7}, quota.Claim{Budget: rate, Amount: 1}
	if _, _, err := s.Reserve(ctx, request("before", m)); err != nil {
		t.Fatal(err)
	}
	must(t, os.Rename(dir, dir+".away"))
	j.active.file.Close()
	if _, _, err := s.Reserve(ctx, request("a", m)); !errors.Is(err, quota.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := <-alarms; err == nil {
		t.Error("the alarm says that the disk works")
	}
	began := time.Now()
	if _, _, err := s.Reserve(ctx, request("b", m)); !errors.Is(err, quota.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if g, _, err := s.Reserve(ctx, request("c", n)); err != nil || g.State != quota.Pending {
		t.Errorf("a soft limit: got %v, %v", g, err)
	}
	if o, err := s.Settle(ctx, settlement("before", m)); err != nil || o.To != quota.Settled {
		t.Errorf("settling: got %v, %v", o, err)
	}
	if d := time.Since(began); d > 200*time.Millisecond {
		t.Errorf("calls waited %v for a disk that fails", d)
	}
	must(t, os.Rename(dir+".away", dir))
	if err := <-alarms; err != nil {
		t.Errorf("got alarm %v", err)
	}
	if _, _, err := s.Reserve(ctx, request("d", m)); err != nil {
		t.Errorf("after the disk works again: %v", err)
	}
}
