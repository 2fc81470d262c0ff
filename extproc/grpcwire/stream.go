package grpcwire

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// Stream is one call of a method. Its methods are for its handler: they may be called within the handler's
// own methods and within functions given to Go and Do, and nowhere else.
type Stream struct {
	c    *conn
	id   uint32
	h    Handler
	raw  *bridge    // not nil: bytes go there, not to h
	run  sync.Mutex // held while the handler runs
	over bool       // under run: h is closed
	assembly
	shared
}

// assembly puts messages together. It belongs to the connection's goroutine, or while the stream is busy to the
// stream's own.
type assembly struct {
	header  [messageHeader]byte
	filled  int    // of header
	message []byte // nil: none
	size    int    // that message will have
	kept    bool
	next    func(context.Context) // given to Go
	unread  int                   // bytes handled that the window has not got back
}

// shared is the part of a stream that is under the connection's lock.
type shared struct {
	busy    bool // a goroutine of its own handles it
	cancel  context.CancelFunc
	in      []byte        // came while busy
	ended   bool          // the peer sends no more
	atEnd   bool          // and the handler knows
	isDue   bool          // in the connection's list of those that can go on
	gone    bool          // reset, or the connection is lost
	done    bool          // finished by us
	headed  bool          // the answer's head is out
	allowed int           // bytes that the peer may still send
	window  int           // bytes that we may still send
	pending []byte        // what no window was left for
	last    []byte        // the trailers, behind pending
	roomy   chan struct{} // closed when pending is short again; nil: nobody waits
}

// Message can be sent. AppendTo appends its encoding to dst, but for the end of it, which it may return as
// tail where that is at hand: a body need not be copied twice.
type Message interface {
	AppendTo(dst []byte) (out, tail []byte)
}

// Context ends with the connection.
func (s *Stream) Context() context.Context { return s.c.ctx }

// Send sends a message. It does not wait: what the peer has not made room for is kept.
func (s *Stream) Send(m Message) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.gone || s.done {
		return
	}
	if !s.headed {
		c.out = append(appendFrame(c.out, len(okHead), http2.FrameHeaders, http2.FlagHeadersEndHeaders, s.id), okHead...)
		s.headed = true
	}
	start := len(c.out)
	out, tail := m.AppendTo(append(c.out, make([]byte, frameHeader+messageHeader)...))
	head := out[start+frameHeader:]
	size := len(head) - messageHeader + len(tail)
	binary.BigEndian.PutUint32(head[1:], uint32(size))
	if n := size + messageHeader; len(s.pending) == 0 && n <= c.peerFrame && n <= s.window && n <= c.window { // the usual: one frame
		appendFrame(out[:start], n, http2.FrameData, 0, s.id)
		out = append(out, tail...)
		c.out = out
		s.window -= n
		c.window -= n
		return
	}
	c.out = out[:start]
	c.spill = append(c.spill[:0], head...) // frames go where it lies
	c.write(s, c.spill)
	c.write(s, tail)
}

// Gone reports whether the peer has reset the stream, or its connection is lost: what was sent a moment ago may not have arrived,
// and what is sent now does not.
func (s *Stream) Gone() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.gone
}

// Finish ends the stream with a status. The handler is closed when it returns.
func (s *Stream) Finish(code codes.Code, message string) { s.finish(status(nil, code, message)) }

func (s *Stream) finish(trailers []byte) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.gone || s.done {
		return
	}
	s.done = true
	if !s.headed {
		s.headed = true
		trailers = append(slices.Clone(okHead), trailers...)
	}
	s.last = trailers
	c.conclude(s)
}

// Go has f run on a goroutine of its own once the handler's method, which calls it at most once, has
// returned. Messages that follow wait for f. Its context ends with the stream.
func (s *Stream) Go(f func(context.Context)) { s.next = f }

// Hold returns b, the message that is being handled, or a copy of it, to last until what is given to Go has
// returned.
func (s *Stream) Hold(b []byte) []byte {
	if s.message == nil { // it lies in what is read next
		return slices.Clone(b)
	}
	return b
}

// Keep leaves what Hold returned to the handler for good.
func (s *Stream) Keep() { s.kept = true }

// Do runs f between the handler's calls, on the goroutine that calls it, which must not be one of the
// handler's. After the end of the stream it does nothing.
func (s *Stream) Do(f func()) {
	s.run.Lock()
	if !s.over {
		f()
		s.settle()
	}
	s.run.Unlock()
	s.c.flush()
}

// settle closes the handler of a stream that is over. It is called under run.
func (s *Stream) settle() {
	if s.over {
		return
	}
	s.c.mu.Lock()
	over := s.gone || s.done
	if over {
		s.c.forget(s)
	}
	s.c.mu.Unlock()
	if over {
		s.over = true
		s.h.Close()
	}
}

// feed takes bytes of the stream, cut anywhere. What is left when the handler went to a goroutine of its own
// is returned.
func (s *Stream) feed(b []byte) []byte {
	for len(b) > 0 && s.next == nil {
		if s.message == nil {
			if s.filled == 0 && len(b) >= messageHeader { // the usual: whole messages
				size := binary.BigEndian.Uint32(b[1:])
				if !s.acceptable(b[0], size) {
					return nil
				}
				if n := messageHeader + int(size); len(b) >= n {
					s.deliver(b[messageHeader:n])
					s.count(n)
					b = b[n:]
					continue
				}
			}
			n := copy(s.header[s.filled:], b)
			s.filled += n
			b = b[n:]
			s.count(n)
			if s.filled < messageHeader {
				return nil
			}
			s.filled = 0
			size := binary.BigEndian.Uint32(s.header[1:])
			if !s.acceptable(s.header[0], size) {
				return nil
			}
			s.size = int(size)
			s.message = s.c.srv.room(min(s.size, largestFrame))
			s.expect(s.size)
		}
		n := min(len(b), s.size-len(s.message))
		s.grow(n)
		s.message = append(s.message, b[:n]...)
		b = b[n:]
		s.count(n)
		s.complete()
	}
	return b
}

// grow makes room for n more bytes of the message. What a peer only announces is not laid out at once.
func (s *Stream) grow(n int) {
	have := cap(s.message)
	if have-len(s.message) >= n {
		return
	}
	size := s.size
	if size > 8*have {
		size = max(4*have, len(s.message)+n)
	}
	wider := append(s.c.srv.room(size), s.message...)
	s.c.srv.recycle(s.message)
	s.message = wider
}

// complete hands on a message that is whole.
func (s *Stream) complete() {
	if len(s.message) < s.size {
		return
	}
	s.deliver(s.message)
	if s.next == nil {
		s.free()
	}
}

// free gives up the message that was handled.
func (s *Stream) free() {
	if s.message != nil && !s.kept {
		s.c.srv.recycle(s.message)
	}
	s.message, s.kept = nil, false
}

// acceptable refuses messages that are too large or compressed.
func (s *Stream) acceptable(compressed byte, size uint32) bool {
	switch {
	case compressed != 0:
		s.refuse(codes.Unimplemented, "compressed messages are not accepted")
	case int64(size) > int64(s.c.srv.opts.MaxMessage):
		s.refuse(codes.ResourceExhausted, "the message is larger than this server accepts")
	default:
		return true
	}
	return false
}

func (s *Stream) refuse(code codes.Code, message string) {
	s.run.Lock()
	defer s.run.Unlock()
	s.Finish(code, message)
	s.settle()
}

// deliver calls the handler.
func (s *Stream) deliver(b []byte) {
	s.run.Lock()
	defer s.run.Unlock()
	if s.over {
		return
	}
	s.h.Message(b)
	s.settle()
}

// end tells the handler that no more comes.
func (s *Stream) end() {
	s.run.Lock()
	defer s.run.Unlock()
	if s.over {
		return
	}
	s.h.End()
	s.settle()
}

// count notes bytes that were handled, and gives them back to the window when they are many.
func (s *Stream) count(n int) {
	if s.unread += n; s.unread < streamWindow/2 {
		return
	}
	s.c.grant(s, s.unread)
	s.unread = 0
}

// expect makes room in the window for a message that is larger than it.
func (s *Stream) expect(size int) {
	if size > streamWindow/2 {
		s.c.grant(s, size)
		s.unread -= size
	}
}

// carryOn runs what was given to Go, on a goroutine of its own, and then what came meanwhile.
func (s *Stream) carryOn(ctx context.Context, end context.CancelFunc, rest []byte) {
	defer end()
	for {
		if f := s.next; f != nil {
			s.run.Lock()
			if !s.over {
				f(ctx)
				s.settle()
			}
			s.run.Unlock()
			s.next = nil
			s.free()
			s.c.flush()
		}
		if rest = s.feed(rest); len(rest) > 0 || s.next != nil {
			continue
		}
		if rest = s.c.resume(s); rest == nil {
			s.c.flush()
			return
		}
	}
}
