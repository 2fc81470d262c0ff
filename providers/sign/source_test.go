package sign_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/providers/sign"
)

// issuer hands out numbered tokens.
type issuer struct {
	calls atomic.Int64
	at    atomic.Int64 // when it was last asked, Unix nanoseconds
	life  time.Duration
	takes time.Duration
	fails atomic.Bool
}

func (i *issuer) fetch(ctx context.Context) (int64, time.Time, error) {
	n := i.calls.Add(1)
	i.at.Store(time.Now().UnixNano())
	select {
	case <-time.After(i.takes):
	case <-ctx.Done():
		return 0, time.Time{}, ctx.Err()
	}
	if i.fails.Load() {
		return 0, time.Time{}, errors.New("the issuer is down")
	}
	if i.life == 0 {
		return n, time.Time{}, nil
	}
	return n, time.Now().Add(i.life), nil
}

func (i *issuer) options() sign.Options[int64] {
	return sign.Options[int64]{Name: "test token", Fetch: i.fetch}
}

// gives checks what a source gives, and that it takes no longer than expected.
func gives(t *testing.T, s *sign.Source[int64], want int64, takes time.Duration) {
	t.Helper()
	begun := time.Now()
	got, err := s.Get(t.Context())
	if err != nil || got != want || time.Since(begun) != takes {
		t.Errorf("got %d, %v after %s; want %d after %s", got, err, time.Since(begun), want, takes)
	}
}

func refuses(t *testing.T, s *sign.Source[int64], want string, takes time.Duration) {
	t.Helper()
	begun := time.Now()
	got, err := s.Get(t.Context())
	if err == nil || !strings.Contains(err.Error(), want) || time.Since(begun) != takes {
		t.Errorf("got %d, %v after %s; want an error of %q after %s", got, err, time.Since(begun), want, takes)
	}
}

func TestATokenIsRenewedAheadOfItsEndAndNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour, takes: time.Second}
		s := sign.NewSource(i.options())
		s.Start(nil)
		defer s.Close()
		gives(t, s, 1, time.Second) // only the first of all is waited for
		begun := time.Now()
		for n := int64(2); n < 10; n++ {
			for i.calls.Load() < n {
				time.Sleep(10 * time.Second)
				if _, err := s.Get(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			age := time.Unix(0, i.at.Load()).Sub(begun)
			if age < 42*time.Minute || age > 48*time.Minute {
				t.Errorf("renewed after %s of an hour", age)
			}
			time.Sleep(2 * time.Second)
			gives(t, s, n, 0)
			begun = time.Unix(0, i.at.Load())
		}
	})
}

func TestRenewalVariesSoThatReplicasDoNotAskAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[int64]bool{}
		var all []*issuer
		for range 8 {
			i := &issuer{life: time.Hour}
			s := sign.NewSource(i.options())
			s.Start(nil)
			defer s.Close()
			all = append(all, i)
		}
		time.Sleep(50 * time.Minute)
		for _, i := range all {
			seen[i.at.Load()] = true
		}
		if len(seen) < 7 {
			t.Errorf("8 sources asked at %d times", len(seen))
		}
	})
}

func TestManyWhoWaitCostOneFetch(t *testing.T) {
	for _, started := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			i := &issuer{life: time.Hour, takes: 3 * time.Second}
			s := sign.NewSource(i.options())
			if started {
				s.Start(nil)
			}
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { gives(t, s, 1, 3*time.Second) })
			}
			wg.Wait()
			if n := i.calls.Load(); n != 1 {
				t.Errorf("started %v: %d fetches", started, n)
			}
			s.Close()
		})
	}
}

func TestTheOldTokenServesUntilItEndsWhenRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		i := &issuer{life: time.Hour}
		s := sign.NewSource(i.options())
		s.Start(slog.New(slog.NewTextHandler(&log, nil)))
		defer s.Close()
		gives(t, s, 1, 0)
		i.fails.Store(true)
		time.Sleep(time.Hour - time.Second)
		gives(t, s, 1, 0)
		fetches := i.calls.Load() - 1
		if fetches < 10 || fetches > 40 { // pauses of 1, 2, 4 … 60 seconds over a quarter of an hour
			t.Errorf("%d fetches failed in a quarter of an hour", fetches)
		}
		time.Sleep(time.Second)
		refuses(t, s, "test token: the issuer is down", 0)
		time.Sleep(2 * time.Minute)
		i.fails.Store(false)
		time.Sleep(2 * time.Minute)
		got, err := s.Get(t.Context())
		if err != nil || got < 2 {
			t.Errorf("got %d, %v after the issuer came back", got, err)
		}
		synctest.Wait()
		for _, want := range []string{"the old one serves", "ends_in=", "level=ERROR msg=\"no credential\" source=\"test token\"", "credential renewed"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, log.String())
			}
		}
	})
}

func TestWithoutATokenAnErrorIsAtMostOneFetchAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour, takes: 2 * time.Second}
		i.fails.Store(true)
		s := sign.NewSource(i.options())
		s.Start(nil)
		defer s.Close()
		refuses(t, s, "the issuer is down", 2*time.Second)
		refuses(t, s, "the issuer is down", 0) // just failed
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for range 3 { // within a long pause a request brings the next fetch forward
			before := i.calls.Load()
			time.Sleep(10 * time.Second)
			if i.calls.Load() == before {
				break
			}
		}
		i.fails.Store(false)
		gives(t, s, i.calls.Load()+1, 2*time.Second)
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	for _, started := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			i := &issuer{life: time.Hour, takes: 10 * time.Second}
			s := sign.NewSource(i.options())
			if started {
				s.Start(nil)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begun := time.Now()
			_, err := s.Get(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
				t.Errorf("started %v: got %v after %s", started, err, time.Since(begun))
			}
			s.Close()
		})
	}
}

func TestAFetchThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour, takes: time.Hour}
		s := sign.NewSource(i.options())
		s.Start(nil)
		defer s.Close()
		refuses(t, s, "deadline exceeded", 15*time.Second)
	})
}

func TestATokenThatArrivesDeadBlamesTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: -10 * time.Minute}
		s := sign.NewSource(i.options())
		s.Start(nil)
		defer s.Close()
		refuses(t, s, "test token: the credential ended 10m0s before it arrived; is the clock right?", 0)
	})
}

func TestAnIssuerThatRepeatsATokenIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // as metadata servers do, until shortly before the end
		ends := time.Now().Add(time.Hour)
		var calls atomic.Int64
		s := sign.NewSource(sign.Options[int64]{Name: "test token", Fetch: func(context.Context) (int64, time.Time, error) {
			n := calls.Add(1)
			if time.Until(ends) < 5*time.Minute {
				ends = ends.Add(time.Hour)
			}
			return n, ends, nil
		}})
		s.Start(nil)
		defer s.Close()
		for range 5 * 60 {
			time.Sleep(time.Minute)
			if _, err := s.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := calls.Load(); n > 30 {
			t.Errorf("%d fetches in 5 hours", n)
		}
	})
}

func TestWhatDoesNotEndIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{}
		s := sign.NewSource(i.options())
		s.Start(nil)
		defer s.Close()
		gives(t, s, 1, 0)
		time.Sleep(time.Hour)
		if n := i.calls.Load(); n < 10 || n > 15 {
			t.Errorf("read %d times in an hour", n)
		}
		last := i.calls.Load()
		i.fails.Store(true)
		time.Sleep(24 * time.Hour)
		if got, err := s.Get(t.Context()); err != nil || got != last {
			t.Errorf("got %d, %v; want %d", got, err, last)
		}
	})
}

func TestRenewFetchesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour}
		s := sign.NewSource(i.options())
		s.Renew() // of a source that is not started: nothing to do
		s.Start(nil)
		defer s.Close()
		gives(t, s, 1, 0)
		s.Renew()
		synctest.Wait()
		gives(t, s, 2, 0)
	})
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour, takes: 2 * time.Second}
		s := sign.NewSource(i.options())
		s.Start(nil)
		defer s.Close()
		synctest.Wait()
		s.Renew() // while the first fetch runs, which may have read an old secret
		s.Renew()
		time.Sleep(10 * time.Second)
		gives(t, s, 2, 0)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a goroutine that were left would fail the bubble
		i := &issuer{life: time.Hour, takes: 5 * time.Second}
		s := sign.NewSource(i.options())
		s.Start(nil)
		failed := make(chan error)
		go func() {
			_, err := s.Get(t.Context())
			failed <- err
		}()
		synctest.Wait()
		go s.Close()
		if err := <-failed; !errors.Is(err, sign.ErrClosed) {
			t.Errorf("who waits gets %v", err)
		}
		s.Close()
		if _, err := s.Get(t.Context()); !errors.Is(err, sign.ErrClosed) {
			t.Errorf("got %v", err)
		}
		s.Start(nil)
		if n := i.calls.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour}
		s := sign.NewSource(i.options())
		s.Start(nil)
		gives(t, s, 1, 0)
		s.Close()
		gives(t, s, 1, 0) // a running exchange may still use it
		time.Sleep(time.Hour)
		refuses(t, s, "test token: the credential source is closed", 0)
	})
}

func TestGetDoesNotAllocate(t *testing.T) {
	i := &issuer{life: time.Hour}
	s := sign.NewSource(i.options())
	ctx := t.Context()
	if _, err := s.Get(ctx); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Get(ctx) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGet(b *testing.B) {
	i := &issuer{life: time.Hour}
	s := sign.NewSource(i.options())
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := s.Get(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
