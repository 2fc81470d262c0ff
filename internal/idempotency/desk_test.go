package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/idempotency/memory"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

func call(tenant, key, body string) idempotency.Call {
	return idempotency.Call{Tenant: []string{"org", tenant}, Key: key, Digest: idempotency.Digest([]byte("POST"), []byte(body))}
}

func answerOf(body string) *idempotency.Answer {
	return &idempotency.Answer{Status: 200, Header: []idempotency.Field{{Name: "content-type", Value: "application/json"}}, Body: []byte(body), Exchange: "x-" + body, At: time.Unix(1000, 0)}
}

// say makes one word of what Begin returned.
func say(f idempotency.Found, err error) string {
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return e.Reason
	}
	switch {
	case err != nil:
		return err.Error()
	case f.Answer != nil:
		return "answer " + string(f.Answer.Body)
	case f.Lease != "":
		return "runs"
	}
	return "nothing"
}

func begin(t testing.TB, d *idempotency.Desk, c idempotency.Call) (idempotency.Found, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	f, err := d.Begin(ctx, c)
	return f, say(f, err)
}

func TestTheFirstRunsAndItsAnswerIsGivenAgain(t *testing.T) {
	d := idempotency.New(idempotency.Params{Store: memory.New(memory.Params{})})
	first, got := begin(t, d, call("a", "k", "body"))
	if got != "runs" {
		t.Fatal(got)
	}
	d.Keep([]string{"org", "a"}, first.Lease, answerOf("hello"))
	f, got := begin(t, d, call("a", "k", "body"))
	if got != "answer hello" {
		t.Fatal(got)
	}
	if diff := cmp.Diff(answerOf("hello"), f.Answer); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		name string
		call idempotency.Call
		want string
	}{
		{"another body", call("a", "k", "other"), "idempotency_key_reused"},
		{"another key", call("a", "k2", "body"), "runs"},
		{"another tenant", call("b", "k", "body"), "runs"},
		{"a tenant whose parts run together as this one's", idempotency.Call{Tenant: []string{"orga", ""}, Key: "k", Digest: call("", "", "body").Digest}, "runs"},
		{"a key that is part of the tenant's name", idempotency.Call{Tenant: []string{"org"}, Key: "ak", Digest: call("", "", "body").Digest}, "runs"},
	} {
		if _, got := begin(t, d, c.call); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAMismatchIsNotRepeatedBySDKs(t *testing.T) {
	d := idempotency.New(idempotency.Params{Store: memory.New(memory.Params{})})
	begin(t, d, call("a", "k", "body")) // it still runs
	_, err := d.Begin(t.Context(), call("a", "k", "other"))
	e, ok := errors.AsType[*llm.Error](err)
	if !ok || e.Code != llm.CodeInvalid || e.Status != 409 || e.Param != "idempotency-key" || strings.Contains(e.Message, "k2") {
		t.Errorf("got %#v", err)
	}
}

func TestWhoeverWaitsGetsTheAnswerOrRunsInItsPlace(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(d *idempotency.Desk, l idempotency.Lease)
		want map[string]int
	}{
		{"an answer", func(d *idempotency.Desk, l idempotency.Lease) { d.Keep([]string{"org", "a"}, l, answerOf("hello")) }, map[string]int{"answer hello": 5}},
		{"none", func(d *idempotency.Desk, l idempotency.Lease) { d.Drop([]string{"org", "a"}, l) }, map[string]int{"runs": 1, "answer second": 4}},
		{"death", func(*idempotency.Desk, idempotency.Lease) {}, map[string]int{"runs": 1, "answer second": 4}}, // nobody renews
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := idempotency.New(idempotency.Params{Store: memory.New(memory.Params{})})
				first, _ := begin(t, d, call("a", "k", "body"))
				var mu sync.Mutex
				got := map[string]int{}
				var wg sync.WaitGroup
				for range 5 {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
						defer cancel()
						f, err := d.Begin(ctx, call("a", "k", "body"))
						mu.Lock()
						got[say(f, err)]++
						mu.Unlock()
						if f.Lease != "" {
							time.Sleep(time.Second)
							d.Keep([]string{"org", "a"}, f.Lease, answerOf("second"))
						}
						if f.Waited < 3*time.Second {
							t.Errorf("waited %s", f.Waited)
						}
					})
				}
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if len(got) > 0 {
					t.Errorf("somebody did not wait: %v", got)
				}
				c.end(d, first.Lease)
				wg.Wait()
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestALeaseLivesAsLongAsItsProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New(memory.Params{})
		ctx, kill := context.WithCancel(t.Context())
		one, two := idempotency.New(idempotency.Params{Store: store}), idempotency.New(idempotency.Params{Store: store})
		var wg sync.WaitGroup
		wg.Go(func() { one.Run(ctx) })
		begin(t, one, call("a", "k", "body"))
		time.Sleep(time.Hour)
		wait, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f, err := two.Begin(wait, call("a", "k", "body"))
		if got := say(f, err); got != "idempotency_timeout" {
			t.Errorf("got %q", got)
		}
		kill()
		wg.Wait()
		dead := time.Now()
		wait, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f, err = two.Begin(wait, call("a", "k", "body"))
		if got := say(f, err); got != "runs" || time.Since(dead) > 15*time.Second {
			t.Errorf("got %q after %s", got, time.Since(dead))
		}
	})
}

// A lease may be carried to another process, which ends it there.
func TestAnotherProcessEndsWhatOneBegan(t *testing.T) {
	store := memory.New(memory.Params{})
	one, two := idempotency.New(idempotency.Params{Store: store}), idempotency.New(idempotency.Params{Store: store})
	for i, key := range []string{"k", "with.dots.", strings.Repeat("x", idempotency.MaxKey), `"{}\ `} {
		f, _ := begin(t, one, call("a", key, "body"))
		l := idempotency.Lease(strings.Clone(string(f.Lease)))
		two.Hold([]string{"org", "a"}, l)
		two.Keep([]string{"org", "a"}, l, answerOf("hello"))
		one.Drop([]string{"org", "a"}, f.Lease)
		if _, got := begin(t, one, call("a", key, "body")); got != "answer hello" {
			t.Errorf("%d: got %q", i, got)
		}
	}
	for _, l := range []idempotency.Lease{"", "x", "a.b.c", "..", "a.!!.k"} { // of a damaged ticket
		two.Keep([]string{"org", "a"}, l, answerOf("hello"))
		two.Drop([]string{"org", "a"}, l)
		two.Hold([]string{"org", "a"}, l)
	}
}

// spy is a store that shows what it is given.
type spy struct {
	*memory.Store
	away  atomic.Bool
	given sync.Map // address → answer
}

func (s *spy) Take(ctx context.Context, address string, c idempotency.Claim, lease time.Duration) (idempotency.Entry, error) {
	if s.away.Load() {
		return idempotency.Entry{}, idempotency.ErrUnavailable
	}
	return s.Store.Take(ctx, address, c, lease)
}

func (s *spy) Finish(ctx context.Context, address string, c idempotency.Claim, answer []byte, keep time.Duration) (bool, error) {
	s.given.Store(address, bytes.Clone(answer))
	return s.Store.Finish(ctx, address, c, answer, keep)
}

// Of 10,000 pairs of tenants and keys none meets another's address, no store sees a word of tenant, key or answer, and what
// is moved to another's place opens nowhere.
func TestNoTenantMeetsAnother(t *testing.T) {
	s := &spy{Store: memory.New(memory.Params{Most: 1 << 30})}
	d := idempotency.New(idempotency.Params{Store: s, Secret: secret.New("0123456789abcdef")})
	const n = 10_000
	parts := []string{"", "a", "aa", "b", "core", "core\x00a", "a\x00"}
	pick := func() string { return parts[rand.IntN(len(parts))] }
	seen := map[string]int{}
	tenants := make([]idempotency.Call, n)
	for i := range tenants {
		c := idempotency.Call{Tenant: []string{pick(), pick(), pick(), fmt.Sprint(rand.IntN(40))}, Key: pick() + fmt.Sprint(rand.IntN(40)), Digest: idempotency.Digest([]byte("same"))}
		name := fmt.Sprintf("%q %q", c.Tenant, c.Key)
		f, got := begin(t, d, c)
		switch first, repeated := seen[name]; {
		case !repeated && got != "runs":
			t.Fatalf("%s got %q", name, got)
		case repeated && got != fmt.Sprintf("answer secret-%d", first):
			t.Fatalf("%s got %q", name, got)
		case !repeated:
			seen[name] = i
			d.Keep(c.Tenant, f.Lease, answerOf(fmt.Sprintf("secret-%d", i)))
		}
	}
	places := 0
	s.given.Range(func(address, answer any) bool {
		places++
		if strings.Contains(address.(string), "core") || bytes.Contains(answer.([]byte), []byte("secret")) || bytes.Contains(answer.([]byte), []byte("json")) {
			t.Errorf("%s is not sealed", address)
		}
		return true
	})
	if places != len(seen) {
		t.Errorf("%d names have %d places", len(seen), places)
	}
}

func TestWhatIsSealedOpensNowhereElse(t *testing.T) {
	s := &spy{Store: memory.New(memory.Params{})}
	d := idempotency.New(idempotency.Params{Store: s})
	f, _ := begin(t, d, call("a", "k", "body"))
	d.Keep([]string{"org", "a"}, f.Lease, answerOf("hello"))
	var stolen []byte
	s.given.Range(func(_, answer any) bool { stolen = answer.([]byte); return false })

	// Whoever can write into the store gives the answer to another tenant's address.
	thief := &swapped{spy: s, answer: stolen}
	other := idempotency.New(idempotency.Params{Store: thief})
	if _, got := begin(t, other, call("b", "k", "body")); got != "idempotency_unavailable" && got != "idempotency_key_reused" {
		t.Errorf("got %q", got)
	}
	// The same with another secret: what is there is not found.
	rotated := idempotency.New(idempotency.Params{Store: s, Secret: secret.New("another secret of the gateway")})
	if _, got := begin(t, rotated, call("a", "k", "body")); got != "runs" {
		t.Errorf("got %q", got)
	}
}

// swapped answers every take with a stolen answer, under the print that was asked with.
type swapped struct {
	*spy
	answer []byte
}

func (s *swapped) Take(_ context.Context, _ string, c idempotency.Claim, _ time.Duration) (idempotency.Entry, error) {
	return idempotency.Entry{Print: c.Print, Answer: s.answer}, nil
}

func TestAStoreThatIsAwayRefusesInTheClearAndComesBack(t *testing.T) {
	s := &spy{Store: memory.New(memory.Params{})}
	d := idempotency.New(idempotency.Params{Store: s})
	s.away.Store(true)
	_, err := d.Begin(t.Context(), call("a", "k", "body"))
	e, _ := errors.AsType[*llm.Error](err)
	if e == nil || e.Code != llm.CodeOverloaded || e.After == 0 || e.Reason != "idempotency_unavailable" {
		t.Errorf("got %#v", err)
	}
	s.away.Store(false)
	if _, got := begin(t, d, call("a", "k", "body")); got != "runs" {
		t.Error(got)
	}
}

// slow takes what it is asked for, and answers too late.
type slow struct {
	*memory.Store
	on bool
}

func (s *slow) Take(ctx context.Context, address string, c idempotency.Claim, lease time.Duration) (idempotency.Entry, error) {
	e, err := s.Store.Take(ctx, address, c, lease)
	if s.on {
		<-ctx.Done()
		return idempotency.Entry{}, ctx.Err()
	}
	return e, err
}

func TestAPlaceThatWasTakenUnawaresIsFreed(t *testing.T) {
	s := &slow{memory.New(memory.Params{}), true}
	d := idempotency.New(idempotency.Params{Store: s, Timeout: time.Millisecond})
	if _, got := begin(t, d, call("a", "k", "body")); got != "idempotency_unavailable" {
		t.Fatal(got)
	}
	s.on = false
	if _, got := begin(t, d, call("a", "k", "body")); got != "runs" {
		t.Error(got)
	}
}

// What a store that is elsewhere is told, nobody waits for; what waits at the end is still done.
func TestAnswersReachAStoreThatIsElsewhere(t *testing.T) {
	store := memory.New(memory.Params{})
	d := idempotency.New(idempotency.Params{Store: store, Remote: true})
	f, _ := begin(t, d, call("a", "k", "body"))
	d.Keep([]string{"org", "a"}, f.Lease, answerOf("hello"))
	ctx, end := context.WithCancel(t.Context())
	end()
	d.Run(ctx)
	if _, got := begin(t, d, call("a", "k", "body")); got != "answer hello" {
		t.Error(got)
	}
}

func TestKeysAreVisibleASCIIUpTo255Bytes(t *testing.T) {
	for key, want := range map[string]string{
		"a": "", "7f3a-…": "visible", strings.Repeat("x", 255): "", strings.Repeat("x", 256): "longer than 255", "a\tb": "visible", "a\x7f": "visible", `"quoted"`: "", "a b": "",
	} {
		e := idempotency.CheckKey(key)
		if (e == nil) != (want == "") || e != nil && (!strings.Contains(e.Message, want) || e.Param != "idempotency-key" || e.Code != llm.CodeInvalid) {
			t.Errorf("%q: got %v, want %q", key, e, want)
		}
	}
}

func TestAnyAnswerComesBackByteForByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := idempotency.New(idempotency.Params{Store: memory.New(memory.Params{})})
		a := &idempotency.Answer{
			Status: rapid.IntRange(200, 599).Draw(t, "status"), Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
			Exchange: rapid.StringMatching("[a-z0-9-]{8,64}").Draw(t, "exchange"), At: time.Unix(rapid.Int64Range(0, 1<<40).Draw(t, "at"), 0),
		}
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			a.Header = append(a.Header, idempotency.Field{Name: rapid.StringMatching("[a-z-]{1,20}").Draw(t, "name"), Value: rapid.StringMatching("[ -~]{0,40}").Draw(t, "value")})
		}
		c := call("a", "k", "body")
		f, err := d.Begin(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		d.Keep(c.Tenant, f.Lease, a)
		f, err = d.Begin(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Body) == 0 {
			a.Body, f.Answer.Body = nil, nil
		}
		if diff := cmp.Diff(a, f.Answer); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestATapeKeepsNoMoreThanItsLimit(t *testing.T) {
	tape := idempotency.NewTape(8)
	if tape.Answer() != nil {
		t.Error("nothing was recorded")
	}
	tape.Head(200, nil)
	tape.Add([]byte("12345"))
	tape.Add([]byte("678"))
	if a := tape.Answer(); a == nil || string(a.Body) != "12345678" || tape.Over() {
		t.Errorf("got %v", a)
	}
	tape.Add([]byte("9"))
	tape.Add(nil)
	if tape.Answer() != nil || !tape.Over() {
		t.Error("it is over the limit")
	}
	tape.Head(200, nil) // of another attempt
	tape.Add([]byte("1"))
	if a := tape.Answer(); a == nil || string(a.Body) != "1" {
		t.Errorf("got %v", a)
	}
}

func TestOnlyWhatMayBeGivenAgainIsRepeatable(t *testing.T) {
	for status, want := range map[int]bool{200: true, 201: true, 204: true, 400: true, 413: true, 422: true, 301: false, 401: false, 403: false, 404: false, 408: false, 409: false, 429: false, 500: false, 503: false, 529: false} {
		if got := idempotency.Repeatable(status); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
}
