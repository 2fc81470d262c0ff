package grpcwire

import (
	"io"
	"runtime"

	"golang.org/x/net/http2"
)

// fill reads more, when what was read has been used as far as it can be. Before it may wait, what there is to
// be sent is sent.
func (c *conn) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	} else if c.w == len(c.buf) {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	c.give()
	n, err := c.io.Read(c.buf[c.w:])
	c.w += n
	c.reads.Add(1)
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// give sends what there is to be sent, before more is read.
func (c *conn) give() {
	if c.push() {
		c.await()
	}
	c.share()
}

// share lets other goroutines run now and then: a connection that always has something to be read does not wait,
// and so would keep its processor.
func (c *conn) share() {
	const often = 8
	if c.reads.Load()%often == 0 {
		runtime.Gosched()
	}
}

// need reads until n bytes are there, which fit into the buffer.
func (c *conn) need(n int) error {
	for c.w-c.r < n {
		if err := c.fill(); err != nil {
			return err
		}
	}
	return nil
}

// use returns n bytes that are there. They are good until the next fill.
func (c *conn) use(n int) []byte {
	b := c.buf[c.r : c.r+n]
	c.r += n
	return b
}

// preface reads what every client begins with.
func (c *conn) preface() error {
	if err := c.need(len(http2.ClientPreface)); err != nil {
		return err
	}
	if string(c.use(len(http2.ClientPreface))) != http2.ClientPreface {
		return connError{http2.ErrCodeProtocol, "this is a gRPC server: it speaks HTTP/2 alone"}
	}
	return nil
}

// frame reads and handles a frame.
func (c *conn) frame() error {
	if err := c.need(frameHeader); err != nil {
		return err
	}
	f := parseFrame(c.use(frameHeader))
	if c.block.id != 0 && (f.kind != http2.FrameContinuation || f.id != c.block.id) {
		return connError{http2.ErrCodeProtocol, "a header block was not continued"}
	}
	if f.length > largestFrame {
		return connError{http2.ErrCodeFrameSize, "a frame is too large"}
	}
	if f.kind == http2.FrameData {
		return c.data(f)
	}
	if f.length > bufferSize-frameHeader {
		return connError{http2.ErrCodeEnhanceYourCalm, "a frame that is no data is too large"}
	}
	if err := c.need(f.length); err != nil {
		return err
	}
	return c.control(f, c.use(f.length))
}

// data reads a frame of data, as it comes: a large one is not collected.
func (c *conn) data(f frame) error {
	if f.id == 0 || f.id > c.last {
		return connError{http2.ErrCodeProtocol, "data of a stream that is not open"}
	}
	left, pad := f.length, 0
	if f.flags&http2.FlagDataPadded != 0 {
		if err := c.need(1); err != nil {
			return err
		}
		if left == 0 {
			return connError{http2.ErrCodeFrameSize, "DATA"}
		}
		pad = int(c.use(1)[0])
		if left--; pad > left {
			return connError{http2.ErrCodeProtocol, "more padding than payload"}
		}
		left -= pad
	}
	data := left
	s, err := c.account(f)
	if err != nil {
		return err
	}
	end := f.flags&http2.FlagDataEndStream != 0
	if left <= bufferSize/2 { // most messages are whole in it
		if err := c.need(left); err != nil {
			return err
		}
	}
	if err := c.payload(s, left, end); err != nil {
		return err
	}
	if err := c.need(pad); err != nil {
		return err
	}
	c.use(pad)
	if s != nil {
		c.grant(s, f.length-data) // nobody reads padding
	}
	return nil
}

// payload reads the bytes of a frame and hands them on.
func (c *conn) payload(s *Stream, left int, end bool) error {
	for left > 0 {
		if c.r == c.w {
			n, err := c.direct(s, left)
			if err != nil {
				return err
			}
			if n > 0 {
				left -= n
				continue
			}
			if err := c.fill(); err != nil {
				return err
			}
		}
		b := c.use(min(left, c.w-c.r))
		if left -= len(b); s != nil {
			c.input(s, b, end && left == 0)
			end = end && left > 0
		}
	}
	if s != nil && end {
		c.input(s, nil, true)
	}
	return nil
}

// direct reads from the network into a message that is being put together, where that is long. It returns how
// much, or 0 where it is not.
func (c *conn) direct(s *Stream, left int) (int, error) {
	if s == nil || s.raw != nil || left < bufferSize/4 {
		return 0, nil
	}
	c.mu.Lock()
	waits := s.busy || len(s.in) > 0 || s.gone || s.done
	c.mu.Unlock()
	if waits || s.message == nil {
		return 0, nil
	}
	n := min(left, s.size-len(s.message))
	if n < bufferSize/4 {
		return 0, nil
	}
	s.grow(1)
	n = min(n, cap(s.message)-len(s.message))
	c.give()
	n, err := c.io.Read(s.message[len(s.message) : len(s.message)+n])
	c.reads.Add(1)
	if n == 0 {
		return 0, err
	}
	s.message = s.message[:len(s.message)+n]
	s.count(n)
	s.complete()
	if s.next != nil {
		c.split(s, nil)
	}
	return n, nil
}

// account takes a frame of data from the windows, and returns its stream, or nil when that is over.
func (c *conn) account(f frame) (*Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken += f.length; c.taken >= connWindow/4 {
		c.out = appendWindowUpdate(c.out, 0, c.taken)
		c.taken = 0
	}
	s := c.streams[f.id]
	if s == nil {
		return nil, nil
	}
	if s.ended {
		return nil, connError{http2.ErrCodeStreamClosed, "data behind the end of a stream"}
	}
	if s.allowed -= f.length; s.allowed < 0 {
		return nil, connError{http2.ErrCodeFlowControl, "more data than the window allows"}
	}
	return s, nil
}
