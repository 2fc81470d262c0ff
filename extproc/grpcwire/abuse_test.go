package grpcwire_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
)

// peer is a client that sends what it likes.
type peer struct {
	testing.TB
	net.Conn
	*http2.Framer
	block  bytes.Buffer
	enc    *hpack.Encoder
	server *grpcwire.Server
	writes sync.Mutex // of what is written while it reads
}

// once listens for one connection in memory.
type once struct {
	come chan net.Conn
	done chan struct{}
}

func (o *once) Accept() (net.Conn, error) {
	select {
	case c := <-o.come:
		return c, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}

func (o *once) Close() error {
	select {
	case <-o.done:
	default:
		close(o.done)
	}
	return nil
}

func (*once) Addr() net.Addr { return &net.UnixAddr{Name: "once", Net: "unix"} }

// meet serves one connection, whose other end it returns.
func meet(t testing.TB, o grpcwire.Options) (net.Conn, *grpcwire.Server) {
	t.Helper()
	var closed atomic.Int64
	return meetHandler(t, o, func(s *grpcwire.Stream, h grpcwire.Head) grpcwire.Handler {
		return &script{s, h.Get("x-stage"), &closed}
	})
}

// meetHandler does so with a handler.
func meetHandler(t testing.TB, o grpcwire.Options, open grpcwire.Open) (net.Conn, *grpcwire.Server) {
	t.Helper()
	s := grpcwire.New(map[string]grpcwire.Open{method: open}, o)
	l := &once{come: make(chan net.Conn, 1), done: make(chan struct{})}
	ours, theirs := net.Pipe()
	l.come <- theirs
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		now, cancel := context.WithCancel(context.Background())
		cancel()
		s.Stop(now)
		<-served
	})
	return ours, s
}

func newPeer(t testing.TB, o grpcwire.Options) *peer {
	t.Helper()
	c, s := meet(t, o)
	return peerOn(t, c, s)
}

func newPeerOf(t testing.TB, open grpcwire.Open) *peer {
	t.Helper()
	c, s := meetHandler(t, grpcwire.Options{}, open)
	return peerOn(t, c, s)
}

func peerOn(t testing.TB, c net.Conn, s *grpcwire.Server) *peer {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	p := &peer{TB: t, Conn: c, Framer: http2.NewFramer(c, c), server: s}
	p.enc = hpack.NewEncoder(&p.block)
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.AllowIllegalWrites = true
	return p
}

// hello sends the preface and settings. What the server sends meanwhile is read.
func (p *peer) hello() {
	p.Helper()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = p.Write([]byte(http2.ClientPreface))
		_ = p.WriteSettings()
	}()
	defer func() { <-written }()
	for acked := false; !acked; {
		f, err := p.ReadFrame()
		if err != nil {
			p.Fatal(err)
		}
		if s, ok := f.(*http2.SettingsFrame); ok {
			acked = s.IsAck()
		}
	}
}

func (p *peer) fields(pairs ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = p.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(p.block.Bytes())
}

func (p *peer) call() []byte {
	return p.fields(":method", "POST", ":scheme", "http", ":path", method, "content-type", "application/grpc", "te", "trailers")
}

func (p *peer) open(id uint32) {
	_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.call(), EndHeaders: true})
}

// framed is a gRPC message.
func framed(m string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
}

// end reads until the server ends the connection or a stream, and says how.
func (p *peer) end() string {
	for {
		f, err := p.ReadFrame()
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			return "connection: " + f.ErrCode.String()
		case *http2.RSTStreamFrame:
			return "stream: " + f.ErrCode.String()
		case *http2.MetaHeadersFrame:
			if f.StreamEnded() {
				return "answer"
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
				return "closed"
			}
			return err.Error()
		}
	}
}

func TestMisbehavingPeers(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(p *peer)
		want string
	}{
		{"a frame of an even stream", func(p *peer) { p.open(2) }, "connection: PROTOCOL_ERROR"},
		{"data of a stream that was never opened", func(p *peer) { _ = p.WriteData(5, false, []byte("x")) }, "connection: PROTOCOL_ERROR"},
		{"data of no stream", func(p *peer) { _ = p.WriteRawFrame(http2.FrameData, 0, 0, []byte("x")) }, "connection: PROTOCOL_ERROR"},
		{"data behind the end", func(p *peer) {
			p.open(1)
			_ = p.WriteData(1, false, framed("hang"))
			_ = p.WriteData(1, true, nil)
			_ = p.WriteData(1, false, []byte("x"))
		}, "connection: STREAM_CLOSED"},
		{"more padding than payload", func(p *peer) {
			p.open(1)
			_ = p.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{9, 1, 2})
		}, "connection: PROTOCOL_ERROR"},
		{"headers with more padding than payload", func(p *peer) {
			_ = p.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersPadded|http2.FlagHeadersEndHeaders, 1, []byte{9, 1, 2})
		}, "connection: PROTOCOL_ERROR"},
		{"a header block that is interrupted", func(p *peer) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.call()})
			_ = p.WritePing(false, [8]byte{})
		}, "connection: PROTOCOL_ERROR"},
		{"a header block that does not end", func(p *peer) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.call()})
			for range 1000 {
				if p.WriteContinuation(1, false, p.fields("x", strings.Repeat("y", 8000))) != nil {
					return
				}
			}
		}, "connection: ENHANCE_YOUR_CALM"},
		{"a header block that is nonsense", func(p *peer) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true})
		}, "connection: COMPRESSION_ERROR"},
		{"a continuation of nothing", func(p *peer) { _ = p.WriteContinuation(1, true, nil) }, "connection: PROTOCOL_ERROR"},
		{"a header that is too large", func(p *peer) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields("x", strings.Repeat("y", 65000), "z", strings.Repeat("y", 2000)), EndHeaders: true})
		}, "stream: ENHANCE_YOUR_CALM"},
		{"a header without a path", func(p *peer) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields(":method", "POST", ":scheme", "http"), EndHeaders: true})
		}, "stream: PROTOCOL_ERROR"},
		{"a header in upper case", func(p *peer) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: append(p.call(), p.fields("X-Y", "z")...), EndHeaders: true})
		}, "stream: PROTOCOL_ERROR"},
		{"a pseudo-field twice", func(p *peer) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields(":method", "POST", ":method", "POST", ":scheme", "http", ":path", "/"), EndHeaders: true})
		}, "stream: PROTOCOL_ERROR"},
		{"headers twice without an end", func(p *peer) { p.open(1); p.open(1) }, "stream: PROTOCOL_ERROR"},
		{"a frame that is too large", func(p *peer) { _, _ = p.Write([]byte{0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1}) }, "connection: FRAME_SIZE_ERROR"},
		{"settings of a stream", func(p *peer) { _ = p.WriteRawFrame(http2.FrameSettings, 0, 1, nil) }, "connection: PROTOCOL_ERROR"},
		{"half a setting", func(p *peer) { _ = p.WriteRawFrame(http2.FrameSettings, 0, 0, []byte{1, 2, 3}) }, "connection: FRAME_SIZE_ERROR"},
		{"a window that is too large", func(p *peer) { _ = p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}) }, "connection: FLOW_CONTROL_ERROR"},
		{"a frame size that is too small", func(p *peer) { _ = p.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}) }, "connection: PROTOCOL_ERROR"},
		{"a connection's window that overflows", func(p *peer) { _ = p.WriteWindowUpdate(0, 1<<31-1) }, "connection: FLOW_CONTROL_ERROR"},
		{"a connection's window that grows by nothing", func(p *peer) { _ = p.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, []byte{0, 0, 0, 0}) }, "connection: PROTOCOL_ERROR"},
		{"a stream's window that overflows", func(p *peer) { p.open(1); _ = p.WriteWindowUpdate(1, 1<<31-1) }, "stream: FLOW_CONTROL_ERROR"},
		{"a stream's window that grows by nothing", func(p *peer) {
			p.open(1)
			_ = p.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, []byte{0, 0, 0, 0})
		}, "stream: PROTOCOL_ERROR"},
		{"a reset of a stream that was never opened", func(p *peer) { _ = p.WriteRSTStream(7, http2.ErrCodeCancel) }, "connection: PROTOCOL_ERROR"},
		{"a push", func(p *peer) { _ = p.WriteRawFrame(http2.FramePushPromise, 0, 1, make([]byte, 8)) }, "connection: PROTOCOL_ERROR"},
		{"a ping of four bytes", func(p *peer) { _ = p.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 4)) }, "connection: FRAME_SIZE_ERROR"},
		{"more data than the window allows", func(p *peer) {
			p.open(1)
			_ = p.WriteData(1, false, framed("hang"))
			for range 1000 {
				if p.WriteData(1, false, make([]byte, 16<<10)) != nil {
					return
				}
			}
		}, "connection: FLOW_CONTROL_ERROR"},
		{"no gRPC", func(p *peer) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields(":method", "GET", ":scheme", "http", ":path", method), EndHeaders: true, EndStream: true})
		}, "answer"},
		{"a frame of an unknown kind, and then a call", func(p *peer) {
			_ = p.WriteRawFrame(99, 0, 0, []byte("?"))
			p.open(1)
			_ = p.WriteDataPadded(1, true, framed("done"), make([]byte, 100))
		}, "answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPeer(t, grpcwire.Options{})
			p.hello()
			go c.do(p)
			if got := p.end(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsNoHTTP2(t *testing.T) {
	p := newPeer(t, grpcwire.Options{})
	go func() { _, _ = p.Write([]byte("GET / HTTP/1.1\r\nhost: example.com\r\n\r\n")) }()
	if got := p.end(); got != "connection: PROTOCOL_ERROR" {
		t.Errorf("got %q", got)
	}
}

// TestStreamsThatAreResetAtOnce are many, and leave nothing behind.
func TestStreamsThatAreResetAtOnce(t *testing.T) {
	p := newPeer(t, grpcwire.Options{MaxStreams: 50, Rest: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })})
	p.hello()
	before := runtime.NumGoroutine()
	go func() {
		for id := uint32(1); id < 4000; id += 2 {
			block := p.call()
			if id%3 == 0 {
				block = p.fields(":method", "POST", ":scheme", "http", ":path", "/rest")
			}
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true})
			_ = p.WriteData(id, false, framed("hang"))
			if id%5 != 0 || id < 3000 {
				_ = p.WriteRSTStream(id, http2.ErrCodeCancel)
			}
		}
		_ = p.WritePing(false, [8]byte{1})
	}()
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := f.(*http2.PingFrame); ok && f.IsAck() {
			break
		}
	}
	if n := runtime.NumGoroutine() - before; n > 60 {
		t.Errorf("%d goroutines more than before", n)
	}
}

// FuzzFrames sends bytes after the preface: as they are, and as the payloads of frames.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte("\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff"), false)
	f.Add([]byte("\x00\x00\x05\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00"), true)
	var b bytes.Buffer
	p := &peer{Framer: http2.NewFramer(&b, nil)}
	p.enc = hpack.NewEncoder(&p.block)
	p.open(1)
	_ = p.WriteData(1, false, framed("x"))
	_ = p.WriteData(1, false, framed("slow x")[:3])
	_ = p.WriteRSTStream(1, http2.ErrCodeCancel)
	f.Add(b.Bytes(), false)
	f.Add(b.Bytes(), true)
	f.Fuzz(func(t *testing.T, data []byte, opened bool) {
		c, _ := meet(t, grpcwire.Options{MaxMessage: 1 << 16})
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, c)
		}()
		_ = c.SetDeadline(time.Now().Add(2 * time.Second))
		_, _ = c.Write([]byte(http2.ClientPreface))
		if opened {
			p := &peer{Conn: c, Framer: http2.NewFramer(c, c)}
			p.enc = hpack.NewEncoder(&p.block)
			p.open(1)
			p.open(3)
		}
		_, err := c.Write(data)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			t.Error("the server reads no more, and does not close")
		}
		_ = c.Close()
		<-read
	})
}
