package grpcwire_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
)

// read reads frames until a stream's answer ends, and returns how many bytes of data it had. What came is given back
// to the windows where widen is set.
func (p *peer) read(widen bool) (n int) {
	p.Helper()
	for {
		f, err := p.ReadFrame()
		if err != nil {
			p.Fatalf("after %d bytes: %v", n, err)
		}
		switch f := f.(type) {
		case *http2.DataFrame:
			size := len(f.Data())
			n += size
			if widen && size > 0 {
				id := f.StreamID
				p.meanwhile(func() {
					_ = p.WriteWindowUpdate(0, uint32(size))
					_ = p.WriteWindowUpdate(id, uint32(size))
				})
			}
		case *http2.MetaHeadersFrame:
			if f.StreamEnded() {
				return n
			}
		}
	}
}

// meanwhile writes while the peer reads: what is written in memory is not taken before.
func (p *peer) meanwhile(write func()) {
	go func() {
		p.writes.Lock()
		defer p.writes.Unlock()
		write()
	}()
}

// TestALongAnswerToARequestThatHasEnded waits for the peer's window, as any other does.
func TestALongAnswerToARequestThatHasEnded(t *testing.T) {
	const long = 200_000
	p := newPeer(t, grpcwire.Options{Rest: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, long)) })})
	p.hello()
	p.meanwhile(func() {
		_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields(":method", "GET", ":scheme", "http", ":path", "/rest"), EndHeaders: true, EndStream: true})
	})
	if got := p.read(true); got != long {
		t.Errorf("got %d bytes, want %d", got, long)
	}
}

// TestASettingThatStandsTwiceInAFrame makes room twice for what is pending; what waited on that is handled once.
func TestASettingThatStandsTwiceInAFrame(t *testing.T) {
	var ran atomic.Int64
	p := newPeerOf(t, func(s *grpcwire.Stream, _ grpcwire.Head) grpcwire.Handler { return &twice{s, &ran} })
	p.hello()
	go func() {
		p.open(1)
		_ = p.WriteWindowUpdate(0, 1<<25)
		_ = p.WriteData(1, false, framed("long"))
		_ = p.WriteData(1, false, framed("slow")) // waits, as too much is pending
		_ = p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3 << 19}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 24})
	}()
	if got, want := p.read(false), 2*5+longAnswer+1; got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
	if n := ran.Load(); n != 1 {
		t.Errorf("the message was handled %d times", n)
	}
}

const longAnswer = 2 << 20

// twice answers a message at length, and the next on a goroutine of its own, with which the stream ends.
type twice struct {
	s   *grpcwire.Stream
	ran *atomic.Int64
}

func (h *twice) Message(b []byte) {
	if string(b) == "long" {
		h.s.Send(&text{tail: make([]byte, longAnswer)})
		return
	}
	h.s.Go(func(context.Context) {
		if h.ran.Add(1) == 1 {
			time.Sleep(20 * time.Millisecond)
			return // another would run now
		}
	})
	time.AfterFunc(100*time.Millisecond, func() {
		h.s.Do(func() {
			h.s.Send(&text{tail: []byte("x")})
			h.s.Finish(codes.OK, "")
		})
	})
}

func (*twice) End()   {}
func (*twice) Close() {}

// TestAPeerThatTakesNothing cannot have ever more answers kept for it.
func TestAPeerThatTakesNothing(t *testing.T) {
	p := newPeer(t, grpcwire.Options{})
	p.hello()
	_ = p.SetDeadline(time.Now().Add(time.Second))
	p.open(1)
	_ = p.WriteData(1, false, framed("later")) // its answer is written by another goroutine than the one that reads
	time.Sleep(100 * time.Millisecond)
	for sent := 0; ; sent += 17 {
		if p.WritePing(false, [8]byte{}) != nil {
			return
		}
		if sent > 4<<20 {
			t.Fatal("the server still reads, and keeps an answer to every ping")
		}
	}
}

// TestStopWaitsUntilAnswersAreWritten: a stream that is over has an answer which the peer may not have yet.
func TestStopWaitsUntilAnswersAreWritten(t *testing.T) {
	p := newPeer(t, grpcwire.Options{})
	p.hello()
	p.open(1)
	_ = p.WriteData(1, true, framed("done"))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.server.Stop(t.Context())
	}()
	select {
	case <-stopped:
		t.Error("it stopped before the answer was written")
	case <-time.After(50 * time.Millisecond):
	}
	if got, want := p.read(false), len(framed("last")); got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
	go func() { p.end() }() // reads what else there is
	<-stopped
}
