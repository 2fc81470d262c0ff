package traffic

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// provider is a server of HTTP/2 that holds every stream behind its first event until it is let go.
type provider struct {
	*httptest.Server
	release chan struct{}
	open    atomic.Int64
	cut     atomic.Int64 // streams that are still to be cut
}

func newProvider(t *testing.T) *provider {
	events := openaiScript().bodies(t)
	p := &provider{release: make(chan struct{})}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk-1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.open.Add(1)
		defer p.open.Add(-1)
		_, _ = w.Write(events[0])
		w.(http.Flusher).Flush() //nolint:forcetypeassert // servers of HTTP/2 flush
		select {
		case <-p.release:
		case <-r.Context().Done():
			return
		}
		if p.cut.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
		for _, e := range events[1:] {
			_, _ = w.Write(e)
		}
	}))
	p.Config.Protocols = new(http.Protocols)
	p.Config.Protocols.SetUnencryptedHTTP2(true)
	p.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: shared}
	p.Start()
	t.Cleanup(p.Close)
	return p
}

func (p *provider) asked() Asked {
	return Asked{Address: p.Listener.Addr().String(), Key: "sk-1", Model: "m", Size: 64, Stream: true}
}

func TestACrowdIsOpenAtTheSameTimeAndEndsWhole(t *testing.T) {
	const n = 2*shared + 30
	p := newProvider(t)
	c, err := Open(t.Context(), p.asked(), n, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.open.Load(); got != n {
		t.Errorf("got %d streams that are open, want %d", got, n)
	}
	if err := c.Wait(50 * time.Millisecond); err == nil {
		t.Error("streams that are held have ended")
	}
	close(p.release)
	if err := c.Wait(time.Minute); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestAStreamOfACrowdThatIsCutIsAFault(t *testing.T) {
	p := newProvider(t)
	p.cut.Store(2)
	c, err := Open(t.Context(), p.asked(), 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	close(p.release)
	if err := c.Wait(time.Minute); err == nil || !strings.HasPrefix(err.Error(), "2 streams were not whole") {
		t.Errorf("got %v, want that 2 streams were not whole", err)
	}
}

func TestACrowdThatIsRefusedIsAFault(t *testing.T) {
	p := newProvider(t)
	a := p.asked()
	a.Key = "other"
	if _, err := Open(t.Context(), a, 10, time.Minute); err == nil || !strings.Contains(err.Error(), "0 of 10 streams began") || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v, want that none began, for 401", err)
	}
}

func TestHeldStreamsGoOnWhenTheyAreLetGo(t *testing.T) {
	for _, drip := range []time.Duration{0, time.Millisecond} {
		u, err := NewUpstream(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		u.Drip(drip)
		l, err := NewLoad(t.Context(), Asked{Address: u.Address(), Model: "m-held", Stream: true}, 3, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ended := make(chan struct{})
		go func() {
			l.Once()
			close(ended)
		}()
		select {
		case <-ended:
			t.Fatalf("drip %s: held streams have ended: %v", drip, l.Fault())
		case <-time.After(50 * time.Millisecond):
		}
		u.LetGo()
		<-ended
		if whole, _ := l.Times(); l.Fault() != nil || len(whole) != 3 {
			t.Errorf("drip %s: got %d whole streams, want 3: %v", drip, len(whole), l.Fault())
		}
	}
}
