package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
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
		j.Reserved(request("reserved", m, n), []byte("cards"), true),
		j.Reserved(request("refused", m), nil, false), j.Settled("acme", "refused"),
		j.Reserved(request("used", m), nil, false), j.Used(settlement("used", m, n), []byte("bill")),
		j.Reserved(request("settled", m), nil, false), j.Used(settlement("settled", m), []byte("note")), j.Settled("acme", "settled"),
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

// A segment that is cut off anywhere, or broken anywhere, tells of the lines before that place, and no others.
func TestABrokenEndIsPassedOver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		model := map[string]string{} // by id: how far it is
		whole := frame(frame(nil, define(0, money)), define(1, rate))
		states := []map[string]string{{}}
		sizes := []int{len(whole)}
		for range rapid.IntRange(1, 20).Draw(rt, "lines") {
			l := line{kind: rapid.SampledFrom([]kind{lineReserved, lineUsed, lineSettled, lineWritten}).Draw(rt, "kind"), organization: "acme", id: rapid.StringMatching("[a-d]").Draw(rt, "id")}
			l.claims = []quota.Claim{{Budget: rapid.SampledFrom([]*quota.Budget{money, rate}).Draw(rt, "budget"), Amount: 1}}
			whole = frame(whole, l.encode(func(b *quota.Budget) int { return map[*quota.Budget]int{money: 0, rate: 1}[b] }))
			model[l.id] = follow(model[l.id], l.kind)
			states, sizes = append(states, clone(model)), append(sizes, len(whole))
		}
		at := rapid.IntRange(0, len(whole)).Draw(rt, "at")
		switch {
		case at == len(whole):
		case rapid.Bool().Draw(rt, "cut"):
			whole = whole[:at]
		default:
			whole[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		dir, err := os.MkdirTemp(t.TempDir(), "j")
		must(t, err, os.WriteFile(filepath.Join(dir, name(1)), whole, 0o600))
		j, left, err := Open(Params{Dir: dir, Ledger: true})
		must(t, err, j.Close())
		i := 0
		for i+1 < len(sizes) && sizes[i+1] <= at {
			i++
		}
		if d := cmp.Diff(states[i], told(left)); d != "" {
			rt.Fatalf("broken at %d of %d: -want +got\n%s", at, len(whole), d)
		}
	})
}

// follow is how far an exchange is after a line: R reserved, U used, A and L as in the journal; "" once nothing of it
// is needed.
func follow(state string, k kind) string {
	switch {
	case k == lineReserved && state == "":
		return "R"
	case k == lineUsed:
		return "U" + strings.TrimLeft(state, "RU")
	case k == lineSettled && state != "" || k == lineWritten && state != "":
		state = strings.ReplaceAll(state, string(k), "") + string(k)
	}
	if strings.HasPrefix(state, "R") && strings.Contains(state, "A") || strings.HasPrefix(state, "U") && strings.Contains(state, "A") && strings.Contains(state, "L") {
		return ""
	}
	return state
}

func clone(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if v = strings.TrimRight(v, "L"); v != "" && v[0] == 'R' {
			out[k] = "R" // what else is known of it shows later
		} else if m[k] != "" {
			out[k] = m[k]
		}
	}
	return out
}

func told(l *Left) map[string]string {
	out := map[string]string{}
	for _, r := range l.Open {
		out[r.Request.ID] = "R"
	}
	unwritten := map[string]bool{}
	for _, u := range l.Unwritten {
		unwritten[u.Settlement.ID] = true
	}
	for _, u := range l.Unsettled {
		out[u.Settlement.ID] = "U"
		if !unwritten[u.Settlement.ID] {
			out[u.Settlement.ID] = "UL"
		}
		delete(unwritten, u.Settlement.ID)
	}
	for id := range unwritten {
		out[id] = "UA"
	}
	delete(out, "sync")
	return out
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
	must(t, j.Reserved(request("lost", m), nil, true))
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

// A file that fails is left, and what it was given goes to the next one.
func TestAfterAFailedWriteTheNextSegmentHasIt(t *testing.T) {
	dir := t.TempDir()
	var alarms []error
	j, _, err := Open(Params{Dir: dir, Alarm: func(err error) { alarms = append(alarms, err) }})
	must(t, err)
	m := quota.Claim{Budget: money, Amount: 7}
	must(t, j.Reserved(request("a", m), nil, true))
	j.active.file.Close()
	must(t, j.Used(settlement("a", m), nil), j.Used(settlement("b", m), nil), j.Close())
	_, left := reopen(t, dir)
	want := "unsettled a money 7 void=false\nunsettled b money 7 void=false\nunwritten a \nunwritten b "
	if d := cmp.Diff(want, left.describe()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if len(alarms) != 0 {
		t.Errorf("got alarms %v of a fault that was got over", alarms)
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

// TestMain lets the test's binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_WRITER"); dir != "" {
		writer(dir)
		return
	}
	os.Exit(m.Run())
}

// writer writes lines and says of each when it is on disk, until it is killed.
func writer(dir string) {
	j, _, err := Open(Params{Dir: dir, Segment: 1 << 14})
	if err != nil {
		fmt.Println(err)
		return
	}
	said := make(chan string)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("w%d-%d", w, i)
				if j.Used(settlement(id, quota.Claim{Budget: money, Amount: int64(i)}), []byte("note")) != nil {
					return
				}
				said <- id
				if i%3 == 0 {
					_ = j.Settled("acme", id)
				}
			}
		}()
	}
	for id := range said {
		fmt.Println(id)
	}
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "JOURNAL_WRITER="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err, cmd.Start())
		var said []string
		lines := bufio.NewScanner(out)
		for len(said) < 300 && lines.Scan() {
			said = append(said, lines.Text())
		}
		must(t, cmd.Process.Kill())
		for lines.Scan() {
			said = append(said, lines.Text())
		}
		_ = cmd.Wait()
		if len(said) < 300 {
			t.Fatalf("the writer said %q", said)
		}
		j, left, err := Open(Params{Dir: dir})
		must(t, err)
		have := map[string]int64{}
		for _, u := range left.Unsettled {
			have[u.Settlement.ID] = u.Settlement.Claims[0].Amount
		}
		missing := 0
		for _, id := range said {
			var w, i int64
			if _, err := fmt.Sscanf(id, "w%d-%d", &w, &i); err != nil {
				continue // cut off by the kill
			}
			if n, ok := have[id]; i%3 != 0 && (!ok || n != i) {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("%d of %d acknowledged lines are missing", missing, len(said))
		}
		for id := range have {
			must(t, j.Settled("acme", id))
		}
		must(t, j.Close())
	}
}

func FuzzDecode(f *testing.F) {
	number := func(*quota.Budget) int { return 0 }
	for _, l := range []line{
		{kind: lineReserved, organization: "acme", id: "a", claims: []quota.Claim{{Budget: money, Amount: 7}}, note: []byte("n"), hold: time.Minute},
		{kind: lineUsed, organization: "acme", id: "a", claims: []quota.Claim{{Budget: money, Amount: 7}}, void: true},
		{kind: lineSettled, organization: "acme", id: "a"},
	} {
		f.Add(frame(frame(nil, define(0, money)), l.encode(number)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		budgets := map[uint64]*quota.Budget{}
		for len(b) > 0 {
			body, n, err := next(b)
			if err != nil {
				return
			}
			l, err := decode(body, budgets)
			if err != nil {
				return
			}
			b = b[n:]
			if l == nil {
				continue
			}
			numbers := map[*quota.Budget]int{}
			for k, v := range budgets {
				numbers[v] = int(k)
			}
			again, err := decode(l.encode(func(b *quota.Budget) int { return numbers[b] }), budgets)
			if err != nil || again.id != l.id || len(again.claims) != len(l.claims) || !slices.Equal(again.note, l.note) {
				t.Fatalf("got %+v, %v, want %+v", again, err, l)
			}
		}
	})
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
