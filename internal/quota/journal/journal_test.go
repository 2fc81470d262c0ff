package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

var (
	money = &quota.Budget{ID: "money", Unit: quota.Money, Limit: 100, Window: window.Window{Kind: window.Month, Zone: time.UTC}}
	rate  = &quota.Budget{ID: "rate", Unit: quota.Requests, Limit: 10, Window: window.Window{Kind: window.Sliding, Length: time.Minute}}
)

func reopen(t testing.TB, dir string) (*Journal, *Left) {
	t.Helper()
	j, left, err := Open(Params{Dir: dir, Ledger: true, Segment: 1 << 12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, left
}

// describe writes what is left by ids.
func (l *Left) describe() string {
	var out []string
	for _, r := range l.Open {
		out = append(out, "open "+r.Request.ID+" "+claims(r.Request.Claims))
	}
	for _, u := range l.Unsettled {
		out = append(out, fmt.Sprintf("unsettled %s %s void=%v", u.Settlement.ID, claims(u.Settlement.Claims), u.Settlement.Void))
	}
	for _, u := range l.Unwritten {
		out = append(out, "unwritten "+u.Settlement.ID+" "+string(u.Note))
	}
	return strings.Join(out, "\n")
}

func claims(all []quota.Claim) string {
	var out []string
	for _, c := range all {
		out = append(out, fmt.Sprintf("%s %d", c.Budget.ID, c.Amount))
	}
	return strings.Join(out, ", ")
}

func request(id string, all ...quota.Claim) *quota.Request {
	return &quota.Request{Organization: "acme", ID: id, Claims: all, Hold: time.Minute}
}

func settlement(id string, all ...quota.Claim) *quota.Settlement {
	return &quota.Settlement{Organization: "acme", ID: id, Born: time.UnixMilli(1_700_000_000_000), Claims: all}
}

func must(t interface {
	Helper()
	Fatal(args ...any)
}, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsLeftAfterACrash(t *testing.T) {
	dir := t.TempDir()
	j, left := reopen(t, dir)
	if got := left.describe(); got != "" {
		t.Errorf("got %q", got)
	}
	m, n := quota.Claim{Budget: money, Amount: 7}, quota.Claim{Budget: rate, Amount: 1}
	must(t,
		j.Reserved(request("reserved", m, n), []byte("cards"), Synced),
		j.Reserved(request("refused", m), nil, Queued), j.Settled("acme", "refused"),
		j.Reserved(request("used", m), nil, Queued), j.Used(settlement("used", m, n), []byte("bill")),
		j.Reserved(request("settled", m), nil, Queued), j.Used(settlement("settled", m), []byte("note")), j.Settled("acme", "settled"),
		j.Used(settlement("written", m), nil), j.Written("acme", "written"),
		j.Used(settlement("done", m), nil), j.Settled("acme", "done"), j.Written("acme", "done"),
		j.Settled("acme", "unknown"), j.Written("acme", "unknown"),
		j.Close(),
	)
	want := strings.Join([]string{
		"open reserved money 7, rate 1",
		"unsettled used money 7, rate 1 void=false",
		"unsettled written money 7 void=false",
		"unwritten used bill",
		"unwritten settled note",
	}, "\n")
	_, left = reopen(t, dir)
	if d := cmp.Diff(want, left.describe()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if r := left.Open[0]; r.Request.Hold != time.Minute || string(r.Note) != "cards" || left.Broken != 0 {
		t.Errorf("got %+v, %d broken", r, left.Broken)
	}
	if d := cmp.Diff(money, left.Open[0].Request.Claims[0].Budget, cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })); d != "" {
		t.Errorf("the budget, -want +got\n%s", d)
	}
	if u := left.Unsettled[0].Settlement; u.Born.UnixMilli() != 1_700_000_000_000 {
		t.Errorf("got born %v", u.Born)
	}
}

func TestTwoProcessesNeverWriteOneJournal(t *testing.T) {
	dir := t.TempDir()
	reopen(t, dir)
	if _, _, err := Open(Params{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

func TestSegmentsGoWhenNothingOfThemIsNeeded(t *testing.T) {
	dir := t.TempDir()
	j, _ := reopen(t, dir)
	m := quota.Claim{Budget: money, Amount: 7}
	must(t, j.Used(settlement("stays", m), []byte(strings.Repeat("x", 100))))
	files := func() int {
		all, _ := filepath.Glob(filepath.Join(dir, "*.journal"))
		return len(all)
	}
	fill := func() {
		for i := range 200 {
			id := fmt.Sprint("x", i)
			must(t, j.Used(settlement(id, m), []byte(strings.Repeat("x", 100))), j.Settled("acme", id), j.Written("acme", id))
		}
	}
	fill()
	if n := files(); n < 5 {
		t.Errorf("%d segments, and the oldest is needed", n)
	}
	must(t, j.Settled("acme", "stays"), j.Written("acme", "stays"))
	fill()
	if n := files(); n > 2 {
		t.Errorf("%d segments are left of which nothing is needed", n)
	}
	must(t, j.Close())
	if _, left := reopen(t, dir); left.describe() != "" {
		t.Errorf("got %q", left.describe())
	}
}

func TestAReservationWithoutAnEndDoesNotHoldASegmentForEver(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	j, _, err := Open(Params{Dir: dir, Segment: 1 << 10, Now: func() time.Time { return now }})
	must(t, err)
	defer j.Close()
	m := quota.Claim{Budget: money, Amount: 7}
	must(t, j.Reserved(request("lost", m), nil, Synced))
	j.mu.Lock()
	now = now.Add(25 * time.Hour)
	j.mu.Unlock()
	for i := range 50 {
		id := fmt.Sprint("x", i)
		must(t, j.Used(settlement(id, m), nil), j.Settled("acme", id))
	}
	must(t, j.Used(settlement("last", m), nil), j.Settled("acme", "last"))
	if all, _ := filepath.Glob(filepath.Join(dir, "*.journal")); len(all) > 3 {
		t.Errorf("%d segments", len(all))
	}
}

func BenchmarkUsed(b *testing.B) {
	j, _, err := Open(Params{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	s := settlement("x", quota.Claim{Budget: money, Amount: 7}, quota.Claim{Budget: rate, Amount: 1})
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := j.Used(s, nil); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkReserved is what it costs to have the kernel take a line before an exchange is sent, while ends go to disk.
func BenchmarkReserved(b *testing.B) {
	j, _, err := Open(Params{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	done := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		s := settlement("x", quota.Claim{Budget: money, Amount: 7})
		for {
			select {
			case <-done:
				return
			default:
				_ = j.Used(s, nil)
			}
		}
	})
	defer busy.Wait()
	defer close(done)
	r := request("y", quota.Claim{Budget: money, Amount: 7}, quota.Claim{Budget: rate, Amount: 1})
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Reserved(r, nil, Written); err != nil {
			b.Fatal(err)
		}
	}
}

// An end that is told twice is one line.
func TestAnEndThatIsKnownIsNotWrittenAgain(t *testing.T) {
	j, _, err := Open(Params{Dir: t.TempDir(), Ledger: true, Delay: time.Hour})
	must(t, err)
	defer j.Close()
	must(t, j.Noted(settlement("a", quota.Claim{Budget: money, Amount: 7}), []byte("1")))
	lines := func() int {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.lines
	}
	for range 3 {
		must(t, j.Settled("acme", "a"))
	}
	if n := lines(); n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
	must(t, j.Written("acme", "a"), j.Written("acme", "a"))
	if n := lines(); n != 3 || j.Waiting() != 0 {
		t.Errorf("%d lines, %d exchanges; want 3, 0", n, j.Waiting())
	}
}
