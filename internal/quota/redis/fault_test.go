package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// life is a prepaid amount, large enough never to refuse.
var life = &quota.Budget{ID: "life", Unit: quota.Money, Limit: quota.Max, Window: window.Window{Kind: window.Life}}

// small is one of ten units.
var small = &quota.Budget{ID: "small", Unit: quota.Money, Limit: 10, Window: window.Window{Kind: window.Life}}

// book is a ledger: what was settled, by organization and budget.
type book struct {
	mu    sync.Mutex
	used  map[string]int64
	asked int
}

func (b *book) source(_ context.Context, organization string) ([]quota.Balance, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	var out []quota.Balance
	for k, n := range b.used {
		if o, budget, _ := strings.Cut(k, "/"); o == organization {
			out = append(out, quota.Balance{Budget: budget, Kind: 'L', Used: n})
		}
	}
	return out, nil
}

func (b *book) add(organization, budget string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used[organization+"/"+budget] += n
}

// live makes a store as a service has it: Redis's own clock, short times.
func live(t testing.TB, p Params) (*Store, *book) {
	t.Helper()
	b := &book{used: map[string]int64{}}
	p.Source = b.source
	if p.Grace == 0 {
		p.Grace = 50 * time.Millisecond
	}
	if p.Timeout == 0 {
		p.Timeout = time.Second // the machine may be busy
	}
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, b
}

func ask(s *Store, organization, id string, b *quota.Budget, n int64) string {
	g, refusal, err := s.Reserve(context.Background(), &quota.Request{Organization: organization, ID: id, Claims: []quota.Claim{{Budget: b, Amount: n}}, Hold: time.Minute})
	switch {
	case errors.Is(err, quota.ErrUnknown):
		return "unknown"
	case errors.Is(err, quota.ErrUnavailable):
		return "unavailable"
	case err != nil:
		return err.Error()
	case refusal != nil:
		return fmt.Sprintf("%d left", refusal.Left)
	case g.Again:
		return "again " + string(rune(g.State))
	}
	return "ok"
}

func settle(t testing.TB, s *Store, organization, id string, b *quota.Budget, n int64) {
	t.Helper()
	if _, err := s.Settle(context.Background(), &quota.Settlement{Organization: organization, ID: id, Born: time.Now(), Claims: []quota.Claim{{Budget: b, Amount: n}}}); err != nil {
		t.Fatal(err)
	}
}

// until tries until the answer is the one that is wanted, and returns how long that took.
func until(t testing.TB, want string, try func() string) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		got := try()
		if got == want {
			return time.Since(began)
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("got %q, want %q", got, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ready waits until an organization's counters are known.
func ready(t testing.TB, s *Store, organization string) {
	t.Helper()
	n := 0
	until(t, "ok", func() string { n++; return ask(s, organization, fmt.Sprint("ready", n), life, 0) })
}

func TestTheFirstStartIsARebuildFromTheLedger(t *testing.T) {
	r := servers.StartRedis(t)
	s, b := live(t, Params{URL: "redis://" + r.Addr})
	b.add("acme", "small", 7)
	if got := ask(s, "acme", "a", small, 1); got != "unknown" {
		t.Errorf("an empty Redis: got %q", got)
	}
	ready(t, s, "acme")
	if got := ask(s, "acme", "a", small, 4); got != "3 left" {
		t.Errorf("got %q", got)
	}
	if got := ask(s, "acme", "b", small, 3); got != "ok" {
		t.Errorf("got %q", got)
	}
	if err := s.Ready(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestFourReplicasRebuildOnceAndPutBackWhatTheyHaveOpen(t *testing.T) {
	r := servers.StartRedis(t)
	var all []*Store
	var books []*book
	for range 4 {
		s, b := live(t, Params{URL: "redis://" + r.Addr, Grace: 300 * time.Millisecond})
		b.add("acme", "small", 2)
		all, books = append(all, s), append(books, b)
	}
	for i, s := range all {
		ready(t, s, "acme")
		if got := ask(s, "acme", fmt.Sprint("open", i), small, 2); got != "ok" {
			t.Fatalf("got %q", got)
		}
	}
	before := 0
	for _, b := range books {
		before += b.asked
	}
	if _, err := r.Do("FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	// Nobody may take what is free only because Redis forgot.
	var wg sync.WaitGroup
	var admitted atomic.Int64
	for i, s := range all {
		wg.Go(func() {
			for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if ask(s, "acme", fmt.Sprintf("new%d-%d", i, end.UnixNano()), small, 1) == "ok" {
					admitted.Add(1)
				}
				g, refusal, err := s.Reserve(context.Background(), &quota.Request{Organization: "acme", ID: fmt.Sprint("open", i), Claims: []quota.Claim{{Budget: small, Amount: 2}}, Hold: time.Minute, Force: true})
				if refusal != nil || err == nil && g.State != quota.Pending {
					t.Errorf("putting back: got %v, %v", g, refusal)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 0 {
		t.Errorf("%d were admitted over the limit", n)
	}
	c, err := all[0].Peek(context.Background(), "acme", []*quota.Budget{small})
	if err != nil || c[0].Used != 2 || c[0].Reserved != 8 {
		t.Errorf("got %+v, %v", c, err)
	}
	after := 0
	for _, b := range books {
		after += b.asked
	}
	if after-before != 1 {
		t.Errorf("the ledger was asked %d times", after-before)
	}
}

// A Redis that comes back with an older state has the same epoch, and a count of operations that everybody has seen
// pass already.
func TestAStateFromBeforeIsNoticed(t *testing.T) {
	r := servers.StartRedis(t)
	var alarms atomic.Int64
	s, b := live(t, Params{URL: "redis://" + r.Addr, Alarm: func(_, what string) {
		if strings.Contains(what, "lost writes") {
			alarms.Add(1)
		}
	}})
	ready(t, s, "acme")
	if _, err := r.Do("SAVE"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if got := ask(s, "acme", fmt.Sprint("x", i), small, 2); got != "ok" {
			t.Fatal(got)
		}
		settle(t, s, "acme", fmt.Sprint("x", i), small, 2)
		b.add("acme", "small", 2)
	}
	r.Kill()
	r.Start() // with what was saved before
	n := 0
	until(t, "0 left", func() string { n++; return ask(s, "acme", fmt.Sprint("y", n), small, 1) })
	if alarms.Load() != 1 {
		t.Errorf("%d alarms", alarms.Load())
	}
}

func TestARedisThatHangsCostsOneTimeout(t *testing.T) {
	r := servers.StartRedis(t)
	s, _ := live(t, Params{URL: "redis://" + r.Addr, Timeout: 40 * time.Millisecond})
	ready(t, s, "acme")
	r.Pause()
	var longest time.Duration
	for i := range 5 {
		began := time.Now()
		if got := ask(s, "acme", fmt.Sprint("h", i), life, 1); got != "unavailable" {
			t.Errorf("got %q", got)
		}
		longest = max(longest, time.Since(began))
	}
	if longest > 250*time.Millisecond { // 40 ms, and a busy machine
		t.Errorf("a call took %v", longest)
	}
	r.Resume()
	// The answers that were late must not be taken for those of other calls.
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				id := fmt.Sprintf("w%d-%d", w, i)
				if got := ask(s, "acme", id, life, int64(i)); got != "ok" && got != "unavailable" {
					t.Errorf("%s: got %q", id, got)
				}
			}
		})
	}
	wg.Wait()
}

// Tiny time-outs under load: whatever is answered belongs to the call.
func TestAnswersAreOurOwn(t *testing.T) {
	r := servers.StartRedis(t)
	s, _ := live(t, Params{URL: "redis://" + r.Addr, Timeout: time.Millisecond, Connections: 4})
	until(t, "ok", func() string { return ask(s, "acme", fmt.Sprint("r", time.Now().UnixNano()), life, 0) })
	var wg sync.WaitGroup
	var ok atomic.Int64
	for w := range 16 {
		wg.Go(func() {
			for i := range 60 {
				id := fmt.Sprintf("w%d-%d", w, i)
				switch got := ask(s, "acme", id, life, 1); got {
				case "ok":
					ok.Add(1)
				case "unavailable", "unknown":
				default:
					t.Errorf("%s: got %q", id, got)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d of 960 were in time", ok.Load())
}

func TestRedisIsAwayAtTheStart(t *testing.T) {
	r := servers.StartRedis(t)
	r.Kill()
	s, _ := live(t, Params{URL: "redis://" + r.Addr})
	if got := ask(s, "acme", "a", life, 1); got != "unavailable" {
		t.Errorf("got %q", got)
	}
	if err := s.Ready(context.Background()); !errors.Is(err, quota.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	r.Start()
	ready(t, s, "acme")
}

func TestScriptsThatRedisForgotAreSentAgain(t *testing.T) {
	r := servers.StartRedis(t)
	s, _ := live(t, Params{URL: "redis://" + r.Addr})
	ready(t, s, "acme")
	for i := range 20 {
		if _, err := r.Do("SCRIPT", "FLUSH"); err != nil {
			t.Fatal(err)
		}
		if got := ask(s, "acme", fmt.Sprint("a", i), life, 1); got != "ok" {
			t.Errorf("got %q", got)
		}
		settle(t, s, "acme", fmt.Sprint("a", i), life, 1)
	}
}

// account is what docs/quotas.md tells operators to give Signalbox.
const account = "on >hunter2 ~q:* -@all +evalsha +eval +hget +hmget +hset +hdel +hscan +hincrby +zadd +zrem +zscore +zrangebyscore +sadd +srem +smembers +sscan +set +get +del +pexpire +time +ping +info"

func TestTheDocumentedAccountIsEnough(t *testing.T) {
	r := servers.StartRedis(t)
	for name, rules := range map[string]string{"all": account, "noscripts": account + " -evalsha", "nonames": account + " -sscan"} {
		if _, err := r.Do(append([]string{"ACL", "SETUSER", name}, strings.Fields(rules)...)...); err != nil {
			t.Fatal(err)
		}
		password := func(context.Context) (secret.Value, error) { return secret.New("hunter2"), nil }
		s, _ := live(t, Params{URL: "redis://" + name + "@" + r.Addr, Password: password})
		organization := "acme" + name
		ready(t, s, organization)
		if got := ask(s, organization, "a", life, 1); got != "ok" {
			t.Errorf("%s: got %q", name, got)
		}
		settle(t, s, organization, "a", life, 1)
		ctx := context.Background()
		if _, err := s.Touch(ctx, organization, []string{"a"}, time.Minute); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Reap(ctx, organization, 10); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.unseen.Load() != (name == "nonames") {
			t.Errorf("%s: whether it may look through the names of counters is not known", name)
		}
		if err := s.Rebuild(ctx, organization, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Ready(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPasswordThatChangesIsTakenUp(t *testing.T) {
	r := servers.StartRedis(t, "--requirepass", "old")
	var mu sync.Mutex
	now := "old"
	s, _ := live(t, Params{URL: "redis://" + r.Addr, Password: func(context.Context) (secret.Value, error) {
		mu.Lock()
		defer mu.Unlock()
		return secret.New(now), nil
	}})
	ready(t, s, "acme")
	mu.Lock()
	now = "new"
	mu.Unlock()
	r.Kill()
	r.Restart("--requirepass", "new")
	ready(t, s, "acme")
	wrong, _ := live(t, Params{URL: "redis://" + r.Addr, Password: func(context.Context) (secret.Value, error) { return secret.New("canary-secret"), nil }})
	_, _, err := wrong.Reserve(context.Background(), &quota.Request{Organization: "acme", ID: "x", Claims: []quota.Claim{{Budget: life}}, Hold: time.Minute})
	if !errors.Is(err, quota.ErrUnavailable) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

func TestAnEvictingRedisIsNotReady(t *testing.T) {
	r := servers.StartRedis(t, "--maxmemory-policy", "allkeys-lru")
	s, _ := live(t, Params{URL: "redis://" + r.Addr})
	if err := s.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("got %v", err)
	}
}

// What has no room is told as away, and nothing of it is half done.
func TestARedisThatIsFull(t *testing.T) {
	r := servers.StartRedis(t)
	s, _ := live(t, Params{URL: "redis://" + r.Addr})
	ready(t, s, "acme")
	if _, err := r.Do("CONFIG", "SET", "maxmemory", "1"); err != nil {
		t.Fatal(err)
	}
	if got := ask(s, "acme", "a", small, 3); got != "unavailable" {
		t.Errorf("got %q", got)
	}
	if _, err := r.Do("CONFIG", "SET", "maxmemory", "0"); err != nil {
		t.Fatal(err)
	}
	if got := ask(s, "acme", "b", small, 10); got != "ok" {
		t.Errorf("got %q", got)
	}
}

func TestCrowd(t *testing.T) {
	r := servers.StartRedis(t)
	each := 30
	if long() {
		each = 400
	}
	quotatest.Crowd(t, maker(t, "redis://"+r.Addr)(t), 16, each)
}

// Budgets that are past their last window go by themselves, and life stays.
func TestKeysOfShortWindowsExpire(t *testing.T) {
	r := servers.StartRedis(t)
	s, _ := live(t, Params{URL: "redis://" + r.Addr})
	ready(t, s, "acme")
	second := &quota.Budget{ID: "second", Unit: quota.Requests, Limit: 10, Window: window.Window{Kind: window.Sliding, Length: time.Second}}
	if got := ask(s, "acme", "ended", second, 1); got != "ok" {
		t.Fatal(got)
	}
	settle(t, s, "acme", "ended", second, 1)
	var ttl []string
	for _, b := range []string{"second", "life"} {
		out, err := r.Do("TTL", key("acme", "b:"+b))
		if err != nil {
			t.Fatal(err)
		}
		ttl = append(ttl, out)
	}
	if !slices.Contains([]string{"61", "62"}, ttl[0]) || ttl[1] != "-1" {
		t.Errorf("got %v", ttl)
	}
	// An end whose counter is gone still counts once, and leaves nothing reserved.
	if got := ask(s, "acme", "a", second, 1); got != "ok" {
		t.Fatal(got)
	}
	if _, err := r.Do("DEL", key("acme", "b:second")); err != nil {
		t.Fatal(err)
	}
	settle(t, s, "acme", "a", second, 1)
	c, err := s.Peek(context.Background(), "acme", []*quota.Budget{second})
	if err != nil || c[0].Reserved != 0 || c[0].Used != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}

// end settles an exchange; "" where it is settled.
func end(s *Store, organization, id string, n int64) string {
	_, err := s.Settle(context.Background(), &quota.Settlement{Organization: organization, ID: id, Born: time.Now(), Claims: []quota.Claim{{Budget: life, Amount: n}}})
	if err != nil {
		return err.Error()
	}
	return ""
}

// TestAChangeOfTheEpochIsTold: not the first one, which begins the counting.
func TestAChangeOfTheEpochIsTold(t *testing.T) {
	server := servers.StartRedis(t)
	var turned atomic.Int64
	s, _ := live(t, Params{URL: "redis://" + server.Addr, Turned: func(organization string) {
		if organization == "acme" {
			turned.Add(1)
		}
	}})
	ready(t, s, "acme")
	if n := turned.Load(); n != 0 {
		t.Errorf("the first epoch was told of as a change, %d times", n)
	}
	if _, err := server.Do("FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	until(t, "unknown", func() string { return ask(s, "acme", "first", life, 0) })
	ready(t, s, "acme")
	if n := turned.Load(); n != 1 {
		t.Errorf("a lost epoch was told of %d times", n)
	}
}
