// Package storetest is what every store of idempotent answers must pass. It tests no store by itself; the stores' own
// tests call Run.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/idempotency"
)

// Most is what a store under test must be bounded to, in bytes of all answers.
const Most = 64 << 10

// long is a lease that does not end in a test, short one that does.
const (
	long  = time.Minute
	short = 60 * time.Millisecond
)

// Run shows that a store keeps the contract. fresh makes one that is empty; shared is another view of the same, as of
// another process, or the same.
func Run(t *testing.T, fresh func(testing.TB) (store, shared idempotency.Store)) {
	for _, c := range []struct {
		name string
		test func(*bench)
	}{
		{"the first has it, others see what runs", (*bench).first},
		{"whoever asks again with the same claim still has it", (*bench).again},
		{"an answer is there for everybody", (*bench).answer},
		{"what is released is free, and only its holder releases", (*bench).release},
		{"a lease ends, unless it is renewed", (*bench).lease},
		{"one whose lease ended does not replace the answer of the next", (*bench).late},
		{"an answer counts though its lease was released", (*bench).released},
		{"an answer is kept for its time", (*bench).expiry},
		{"answers are bounded, the oldest go first", (*bench).bound},
		{"of many at once one has it", (*bench).crowd},
		{"who waits learns of the end", (*bench).wait},
		{"who waits stops with the context", (*bench).patience},
		{"any bytes are an answer", (*bench).bytes},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{T: t}
			b.one, b.two = fresh(t)
			c.test(b)
		})
	}
}

type bench struct {
	*testing.T
	one, two idempotency.Store
}

func claim(holder, digest string) idempotency.Claim {
	return idempotency.Claim{Holder: holder, Print: digest}
}

// take takes an address and says what came of it: taken, runs PRINT, or ended PRINT ANSWER.
func (b *bench) take(s idempotency.Store, address, holder, digest string, lease time.Duration) string {
	b.Helper()
	e, err := s.Take(context.Background(), address, claim(holder, digest), lease)
	switch {
	case err != nil:
		return err.Error()
	case e.Taken:
		return "taken"
	case e.Answer == nil:
		return "runs " + e.Print
	}
	return "ended " + e.Print + " " + string(e.Answer)
}

func (b *bench) want(got, want string) {
	b.Helper()
	if got != want {
		b.Errorf("got %q, want %q", got, want)
	}
}

// finish stores an answer, and says whether it was.
func (b *bench) finish(s idempotency.Store, address, holder, digest, answer string, keep time.Duration) bool {
	b.Helper()
	ok, err := s.Finish(context.Background(), address, claim(holder, digest), []byte(answer), keep)
	if err != nil {
		b.Error(err)
	}
	return ok
}

func (b *bench) free(s idempotency.Store, address, holder string) {
	b.Helper()
	if err := s.Release(context.Background(), address, holder); err != nil {
		b.Error(err)
	}
}

func (b *bench) renew(s idempotency.Store, address, holder string, lease time.Duration) bool {
	b.Helper()
	ok, err := s.Renew(context.Background(), address, holder, lease)
	if err != nil {
		b.Error(err)
	}
	return ok
}

func (b *bench) first() {
	b.want(b.take(b.one, "a", "h1", "p1", long), "taken")
	b.want(b.take(b.two, "a", "h2", "p2", long), "runs p1")
	b.want(b.take(b.two, "b", "h2", "p2", long), "taken")
}

func (b *bench) again() {
	b.want(b.take(b.one, "a", "h1", "p1", long), "taken")
	b.want(b.take(b.two, "a", "h1", "p1", short), "taken")
	b.want(b.take(b.two, "a", "h2", "p2", long), "runs p1")
	time.Sleep(2 * short)
	b.want(b.take(b.two, "a", "h2", "p2", long), "taken")
	b.want(b.take(b.one, "a", "h1", "p1", long), "runs p2")
}

func (b *bench) answer() {
	b.take(b.one, "a", "h1", "p1", long)
	if !b.finish(b.one, "a", "h1", "p1", "the answer", long) {
		b.Error("it was not stored")
	}
	b.want(b.take(b.two, "a", "h2", "p2", long), "ended p1 the answer")
	b.want(b.take(b.one, "a", "h1", "p1", long), "ended p1 the answer")
	b.free(b.one, "a", "h1")
	if b.renew(b.one, "a", "h1", short) {
		b.Error("an answer has a lease")
	}
	if b.finish(b.two, "a", "h2", "p2", "another", long) {
		b.Error("an answer was replaced")
	}
	time.Sleep(2 * short)
	b.want(b.take(b.two, "a", "h2", "p2", long), "ended p1 the answer")
}

func (b *bench) release() {
	b.take(b.one, "a", "h1", "p1", long)
	b.free(b.two, "a", "h2")
	b.want(b.take(b.two, "a", "h2", "p2", long), "runs p1")
	b.free(b.two, "a", "h1")
	b.want(b.take(b.two, "a", "h2", "p2", long), "taken")
	b.free(b.one, "a", "h1")
	b.want(b.take(b.one, "a", "h3", "p3", long), "runs p2")
	b.free(b.one, "nothing", "h1")
}

func (b *bench) lease() {
	b.take(b.one, "a", "h1", "p1", short)
	b.take(b.one, "b", "h1", "p1", short)
	if !b.renew(b.one, "b", "h1", long) || b.renew(b.one, "b", "h2", long) {
		b.Error("a lease is its holder's to renew")
	}
	time.Sleep(2 * short)
	b.want(b.take(b.two, "a", "h2", "p2", long), "taken")
	b.want(b.take(b.two, "b", "h2", "p2", long), "runs p1")
	if b.renew(b.one, "a", "h1", long) || b.renew(b.one, "nothing", "h1", long) {
		b.Error("a lease was renewed that another has, or nobody")
	}
}

func (b *bench) late() {
	b.take(b.one, "a", "h1", "p1", short)
	time.Sleep(2 * short)
	b.take(b.two, "a", "h2", "p2", long)
	if b.finish(b.one, "a", "h1", "p1", "late", long) {
		b.Error("it was stored")
	}
	b.want(b.take(b.one, "a", "h3", "p3", long), "runs p2")
	b.finish(b.two, "a", "h2", "p2", "in time", long)
	if b.finish(b.one, "a", "h1", "p1", "late", long) {
		b.Error("it was stored")
	}
	b.want(b.take(b.one, "a", "h3", "p3", long), "ended p2 in time")
}

func (b *bench) released() {
	b.take(b.one, "a", "h1", "p1", long)
	b.free(b.two, "a", "h1")
	if !b.finish(b.one, "a", "h1", "p1", "the answer", long) {
		b.Error("it was not stored")
	}
	b.want(b.take(b.two, "a", "h2", "p2", long), "ended p1 the answer")
}

func (b *bench) expiry() {
	b.take(b.one, "a", "h1", "p1", long)
	b.finish(b.one, "a", "h1", "p1", "the answer", short)
	b.want(b.take(b.two, "a", "h2", "p2", long), "ended p1 the answer")
	time.Sleep(2 * short)
	b.want(b.take(b.two, "a", "h2", "p2", long), "taken")
}

func (b *bench) bound() {
	const n, size = 40, Most / 16
	text := strings.Repeat("x", size)
	for i := range n {
		name := strconv.Itoa(i)
		b.take(b.one, name, "h", "p", long)
		b.finish(b.one, name, "h", "p", text, long+time.Duration(i)*time.Second)
	}
	there := 0
	for i := range n {
		if got := b.take(b.two, strconv.Itoa(i), "h2", "p2", long); strings.HasPrefix(got, "ended") {
			there++
		} else if i == n-1 {
			b.Error("the last is gone")
		} else if there > 0 {
			b.Errorf("%d is gone, and an older one is there", i)
		}
	}
	if there*size > Most || there < 8 {
		b.Errorf("%d answers of %d bytes are there, of %d in all", there, size, Most)
	}
}

func (b *bench) crowd() {
	for round := range 20 {
		var taken atomic.Int32
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				s := b.one
				if i%2 == 1 {
					s = b.two
				}
				e, err := s.Take(context.Background(), "a"+strconv.Itoa(round), claim("h"+strconv.Itoa(i), "p"), long)
				if err != nil {
					b.Error(err)
				}
				if e.Taken {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if n := taken.Load(); n != 1 {
			b.Fatalf("%d have it", n)
		}
	}
}

// until waits as a request does, and returns what is there when it does not run any more.
func (b *bench) until(s idempotency.Store, address string) <-chan string {
	out := make(chan string, 1)
	go func() { // ends with what it waits for, or its context
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for n := 0; ; n++ {
			if err := s.Wait(ctx, address, n); err != nil {
				out <- err.Error()
				return
			}
			if got := b.take(s, address, "waiter", "pw", long); !strings.HasPrefix(got, "runs") {
				out <- got
				return
			}
		}
	}()
	return out
}

func (b *bench) wait() {
	b.take(b.one, "a", "h1", "p1", long)
	b.take(b.one, "b", "h1", "p1", long)
	b.take(b.one, "c", "h1", "p1", short)
	ended, released, lapsed := b.until(b.two, "a"), b.until(b.two, "b"), b.until(b.two, "c")
	time.Sleep(short / 4)
	b.finish(b.one, "a", "h1", "p1", "the answer", long)
	b.free(b.one, "b", "h1")
	b.want(<-ended, "ended p1 the answer")
	b.want(<-released, "taken")
	b.want(<-lapsed, "taken")
}

func (b *bench) patience() {
	b.take(b.one, "a", "h1", "p1", long)
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	for n := 0; ; n++ {
		err := b.two.Wait(ctx, "a", n)
		if err == nil {
			continue // it may return early
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			b.Error(err)
		}
		return
	}
}

func (b *bench) bytes() {
	var all [512]byte
	for i := range all {
		all[i] = byte(i)
	}
	digest := string(all[:16])
	b.take(b.one, "a", "h1", digest, long)
	ok, err := b.one.Finish(context.Background(), "a", claim("h1", digest), all[:], long)
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	e, err := b.two.Take(context.Background(), "a", claim("h2", "p"), long)
	if err != nil || e.Print != digest || !bytes.Equal(e.Answer, all[:]) {
		b.Errorf("got %q %q, %v", e.Print, e.Answer, err)
	}
}
