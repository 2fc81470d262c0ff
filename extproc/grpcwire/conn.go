package grpcwire

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// conn is a connection.
type conn struct {
	reading
	srv  *Server
	nc   net.Conn
	io   *socket         // over nc
	ctx  context.Context //nolint:containedctx // the connection is what it ends with
	end  context.CancelFunc
	work sync.WaitGroup // what was begun for streams

	mu       sync.Mutex
	streams  map[uint32]*Stream // until both sides have ended them
	live     int                // streams whose handler is not closed
	draining bool               // GOAWAY is sent
	sending
}

// reading belongs to the goroutine of the connection.
type reading struct {
	buf   []byte
	r, w  int // of buf: what is read and not used
	hpack *hpack.Decoder
	block decoding
	last  uint32    // the highest stream that the peer opened
	taken int       // bytes that the connection's window has not got back
	due   []*Stream // what waited on them can be handled
	reads atomic.Int64
}

// sending is what goes out, under the connection's lock.
type sending struct {
	out, spare []byte
	spill      []byte    // a message that has to be cut
	writing    bool      // somebody writes what out was
	taking     sync.Cond // of out's being taken to be written
	broken     bool
	window     int // of the connection
	initial    int // window of new streams
	peerFrame  int // largest frame
	blocked    int // streams with something pending
	writes     int64
	seen       struct{ reads, writes int64 } // when the watch came by
	asked      bool                          // for a sign of life
}

const bufferSize = 64 << 10

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, io: newSocket(nc), streams: map[uint32]*Stream{}}
	c.ctx, c.end = context.WithCancel(context.Background())
	c.taking.L = &c.mu
	c.buf = make([]byte, bufferSize)
	c.hpack = hpack.NewDecoder(4096, c.block.field(s.opts.MaxHeader))
	c.hpack.SetMaxStringLength(s.opts.MaxHeader)
	c.window, c.initial, c.peerFrame = leastWindow, leastWindow, leastFrame
	return c
}

// serve reads the connection to its end.
func (c *conn) serve() {
	c.greet()
	err := c.preface()
	for err == nil {
		err = c.frame()
		if e, ok := errors.AsType[streamError](err); ok {
			c.reset(e)
			err = nil
		}
	}
	if e, ok := errors.AsType[connError](err); ok {
		c.mu.Lock()
		c.out = appendGoAway(c.out, c.last, e.code, e.why)
		c.mu.Unlock()
		c.flush()
	}
	_ = c.nc.Close()
	c.lost()
	c.work.Wait()
}

// greet sends our settings.
func (c *conn) greet() {
	var set []byte
	set = appendSetting(set, http2.SettingMaxConcurrentStreams, uint32(c.srv.opts.MaxStreams))
	set = appendSetting(set, http2.SettingInitialWindowSize, streamWindow)
	set = appendSetting(set, http2.SettingMaxFrameSize, largestFrame)
	set = appendSetting(set, http2.SettingMaxHeaderListSize, uint32(c.srv.opts.MaxHeader))
	c.mu.Lock()
	c.out = append(appendFrame(c.out, len(set), http2.FrameSettings, 0, 0), set...)
	c.out = appendWindowUpdate(c.out, 0, connWindow-leastWindow)
	c.mu.Unlock()
}

// lost ends every stream of a connection that is closed.
func (c *conn) lost() {
	c.end()
	c.mu.Lock()
	c.broken = true
	streams := make([]*Stream, 0, len(c.streams))
	for _, s := range c.streams {
		streams = append(streams, s)
	}
	c.mu.Unlock()
	for _, s := range streams {
		c.drop(s)
	}
}

// drop ends a stream that the peer has given up, or we.
func (c *conn) drop(s *Stream) {
	c.mu.Lock()
	s.gone = true
	delete(c.streams, s.id)
	c.unblock(s)
	busy, cancel := s.busy, s.cancel
	c.mu.Unlock()
	if s.raw != nil {
		s.raw.abort()
		return
	}
	if cancel != nil {
		cancel()
	}
	if !busy {
		s.run.Lock()
		s.settle()
		s.run.Unlock()
	}
}

// forget counts a handler that is closed. It is called under the lock.
func (c *conn) forget(*Stream) { c.live-- }

// idle reports whether no stream is open, and all that was sent for those that were is written.
func (c *conn) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live == 0 && len(c.streams) == 0 && (c.broken || !c.writing && len(c.out) == 0)
}

// reset ends a stream for an error of the peer's.
func (c *conn) reset(e streamError) {
	c.mu.Lock()
	c.out = appendReset(c.out, e.id, e.code)
	s := c.streams[e.id]
	c.mu.Unlock()
	if s != nil {
		c.drop(s)
	}
}

// goAway tells the peer to open no more streams.
func (c *conn) goAway() {
	c.mu.Lock()
	if !c.draining {
		c.draining = true
		c.out = appendGoAway(c.out, mostWindow, http2.ErrCodeNo, "")
	}
	c.mu.Unlock()
	c.srv.work.Go(c.flush) // the connection itself may be waiting for its own already
}

// abort closes the connection.
func (c *conn) abort() { _ = c.nc.Close() }

// check is called by the watch.
func (c *conn) check() {
	c.mu.Lock()
	reads := c.reads.Load()
	silent := reads == c.seen.reads
	stuck := c.writing && c.writes == c.seen.writes
	lost := stuck || silent && c.asked
	if silent && !lost {
		c.out = append(appendFrame(c.out, 8, http2.FramePing, 0, 0), "sgnlbox?"...)
	}
	c.asked = silent
	c.seen.reads, c.seen.writes = reads, c.writes
	c.mu.Unlock()
	if lost {
		c.abort()
	} else if silent {
		c.srv.work.Go(c.flush)
	}
}

// grant gives a stream more of its window.
func (c *conn) grant(s *Stream, n int) {
	if n <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.gone || s.done || s.ended {
		return
	}
	s.allowed += n
	c.out = appendWindowUpdate(c.out, s.id, n)
}

// split lets a stream run on a goroutine of its own. It is called on the connection's.
func (c *conn) split(s *Stream, rest []byte) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	s.busy, s.cancel = true, cancel
	c.mu.Unlock()
	rest = slices.Clone(rest)
	c.work.Go(func() { s.carryOn(ctx, cancel, rest) })
}

// resume returns what came while a stream was busy, or nil when it is busy no more.
func (c *conn) resume(s *Stream) []byte {
	c.mu.Lock()
	if len(s.in) > 0 && len(s.pending) <= mostPending {
		rest := s.in
		s.in = nil
		c.mu.Unlock()
		return rest
	}
	if s.ended && !s.atEnd && len(s.in) == 0 {
		s.atEnd = true
		c.mu.Unlock()
		s.end()
		return []byte{}
	}
	s.busy, s.cancel = false, nil
	c.mu.Unlock()
	s.run.Lock()
	s.settle()
	s.run.Unlock()
	return nil
}

// mostPending is how much of what was sent may wait for a peer that makes no room before its messages are no
// longer handled.
const mostPending = 1 << 20

// input takes bytes of a stream, and its end. It is called on the connection's goroutine.
func (c *conn) input(s *Stream, b []byte, end bool) {
	if s.raw != nil {
		c.mu.Lock()
		s.ended = s.ended || end
		c.mu.Unlock()
		s.raw.put(b, end)
		return
	}
	c.mu.Lock()
	s.ended = s.ended || end
	wait := s.busy || len(s.pending) > mostPending || len(s.in) > 0
	if wait {
		s.in = append(s.in, b...)
	}
	c.mu.Unlock()
	if !wait {
		c.advance(s, b)
	}
}

// advance handles bytes of a stream that is not busy.
func (c *conn) advance(s *Stream, b []byte) {
	rest := s.feed(b)
	if s.next == nil {
		c.mu.Lock()
		end := s.ended && !s.atEnd && len(s.in) == 0
		s.atEnd = s.atEnd || end
		c.mu.Unlock()
		if !end {
			return
		}
		s.end()
	}
	if s.next != nil {
		c.split(s, rest)
	}
}

// write sends bytes of a stream as far as the peer lets them through. It is called under the lock.
func (c *conn) write(s *Stream, b []byte) {
	if len(s.pending) == 0 {
		b = b[c.frames(s, b):]
		if len(b) == 0 {
			return
		}
		c.blocked++
	}
	s.pending = append(s.pending, b...)
}

// frames sends as much of b as there is room for, and returns how much.
func (c *conn) frames(s *Stream, b []byte) (sent int) {
	for sent < len(b) {
		n := min(len(b)-sent, c.peerFrame, s.window, c.window)
		if n <= 0 {
			break
		}
		c.out = append(appendFrame(c.out, n, http2.FrameData, 0, s.id), b[sent:sent+n]...)
		s.window -= n
		c.window -= n
		sent += n
	}
	return sent
}

// release sends what is pending. It is called under the lock, on the connection's goroutine.
func (c *conn) release(s *Stream) {
	if len(s.pending) == 0 {
		return
	}
	defer func() {
		waits := s.raw == nil && !s.busy && (len(s.in) > 0 || s.ended && !s.atEnd)
		if waits && !s.isDue && len(s.pending) <= mostPending {
			c.due, s.isDue = append(c.due, s), true
		}
	}()
	s.pending = s.pending[c.frames(s, s.pending):]
	if s.roomy != nil && len(s.pending) <= mostPending {
		close(s.roomy)
		s.roomy = nil
	}
	if len(s.pending) == 0 {
		s.pending = nil
		c.blocked--
		if s.done {
			c.conclude(s)
		}
	}
}

// unblock counts out what is pending and will never be sent.
func (c *conn) unblock(s *Stream) {
	if len(s.pending) > 0 {
		s.pending = nil
		c.blocked--
	}
}

// conclude sends the trailers of a stream that is done, once all before them is sent. A peer that has not
// ended its side is told that nobody listens any more (RFC 9113 §8.1).
func (c *conn) conclude(s *Stream) {
	if len(s.pending) > 0 {
		return
	}
	c.fields(s.id, s.last, http2.FlagHeadersEndStream)
	if !s.ended {
		c.out = appendReset(c.out, s.id, http2.ErrCodeNo)
	}
	delete(c.streams, s.id)
}

// fields sends a header block.
func (c *conn) fields(id uint32, block []byte, flags http2.Flags) {
	kind := http2.FrameHeaders
	for {
		n := min(len(block), c.peerFrame)
		if n == len(block) {
			flags |= http2.FlagHeadersEndHeaders
		}
		c.out = append(appendFrame(c.out, n, kind, flags, id), block[:n]...)
		if block = block[n:]; len(block) == 0 {
			return
		}
		kind, flags = http2.FrameContinuation, 0
	}
}

// mostOut is how much may be there to be sent before the connection is no longer read: a peer that takes nothing cannot have
// more and more answers kept for it, such as those to pings.
const mostOut = 1 << 20

// flush writes what there is to be sent. Whoever finds that another is writing leaves it to them.
func (c *conn) flush() { c.push() }

// push does what flush does, and reports whether so much is left to another that more should not be added.
func (c *conn) push() (much bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		return len(c.out) > mostOut
	}
	for c.writing = true; len(c.out) > 0 && !c.broken; c.writes++ {
		b := c.out
		c.out = c.spare[:0]
		c.taking.Broadcast()
		c.mu.Unlock()
		_, err := c.io.Write(b)
		c.mu.Lock()
		if c.spare = b; cap(b) > 4*bufferSize {
			c.spare = nil // it was a large body's
		}
		if err != nil {
			c.broken = true
			_ = c.nc.Close()
		}
	}
	if c.broken {
		c.out = nil
	}
	c.writing = false
	c.taking.Broadcast()
	return false
}

// await waits until who writes has taken what there is to be sent.
func (c *conn) await() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing && len(c.out) > mostOut {
		c.taking.Wait()
	}
}

func u32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
