package grpcwire

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
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
	c.flush()
	n, err := c.nc.Read(c.buf[c.w:])
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

// control handles every frame but data.
func (c *conn) control(f frame, b []byte) error {
	switch f.kind {
	case http2.FrameHeaders:
		return c.headers(f, b)
	case http2.FrameContinuation:
		if c.block.id == 0 {
			return connError{http2.ErrCodeProtocol, "a continuation of nothing"}
		}
		return c.fragment(b, f.flags&http2.FlagContinuationEndHeaders != 0)
	case http2.FrameSettings:
		return c.settings(f, b)
	case http2.FramePing:
		return c.ping(f, b)
	case http2.FrameWindowUpdate:
		return c.windowUpdate(f, b)
	case http2.FrameRSTStream:
		if len(b) != 4 {
			return connError{http2.ErrCodeFrameSize, "RST_STREAM"}
		}
		if f.id == 0 || f.id > c.last {
			return connError{http2.ErrCodeProtocol, "RST_STREAM of a stream that is not open"}
		}
		if s := c.find(f.id); s != nil {
			c.drop(s)
		}
	case http2.FramePriority:
		if f.id == 0 {
			return connError{http2.ErrCodeProtocol, "PRIORITY without a stream"}
		}
		if len(b) != 5 {
			return streamError{f.id, http2.ErrCodeFrameSize}
		}
	case http2.FramePushPromise:
		return connError{http2.ErrCodeProtocol, "a client does not push"}
	}
	return nil // of GOAWAY nothing follows for us, and what is not known is passed over (RFC 9113 §4.1)
}

func (c *conn) find(id uint32) *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id]
}

func (c *conn) settings(f frame, b []byte) error {
	if f.id != 0 {
		return connError{http2.ErrCodeProtocol, "SETTINGS of a stream"}
	}
	if f.flags&http2.FlagSettingsAck != 0 {
		if len(b) != 0 {
			return connError{http2.ErrCodeFrameSize, "SETTINGS"}
		}
		return nil
	}
	if len(b)%6 != 0 {
		return connError{http2.ErrCodeFrameSize, "SETTINGS"}
	}
	if err := c.apply(b); err != nil {
		return err
	}
	c.catchUp()
	return nil
}

// apply takes over the peer's settings.
func (c *conn) apply(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; len(b) > 0; b = b[6:] {
		v := u32(b[2:])
		switch http2.SettingID(b[0])<<8 | http2.SettingID(b[1]) {
		case http2.SettingInitialWindowSize:
			if v > mostWindow {
				return connError{http2.ErrCodeFlowControl, "a window is too large"}
			}
			by := int(v) - c.initial
			c.initial = int(v)
			for _, s := range c.streams {
				if s.window += by; s.window > mostWindow {
					return connError{http2.ErrCodeFlowControl, "a window is too large"}
				}
				c.release(s)
			}
		case http2.SettingMaxFrameSize:
			if v < leastFrame || v > 1<<24-1 {
				return connError{http2.ErrCodeProtocol, "SETTINGS_MAX_FRAME_SIZE"}
			}
			c.peerFrame = int(v)
		}
	}
	c.out = appendFrame(c.out, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
	return nil
}

func (c *conn) ping(f frame, b []byte) error {
	if len(b) != 8 {
		return connError{http2.ErrCodeFrameSize, "PING"}
	}
	if f.id != 0 {
		return connError{http2.ErrCodeProtocol, "PING of a stream"}
	}
	if f.flags&http2.FlagPingAck == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.out = append(appendFrame(c.out, 8, http2.FramePing, http2.FlagPingAck, 0), b...)
	}
	return nil
}

func (c *conn) windowUpdate(f frame, b []byte) error {
	if len(b) != 4 {
		return connError{http2.ErrCodeFrameSize, "WINDOW_UPDATE"}
	}
	n := int(u32(b) &^ (1 << 31))
	if f.id != 0 {
		return c.widen(f.id, n)
	}
	if n == 0 {
		return connError{http2.ErrCodeProtocol, "WINDOW_UPDATE by nothing"}
	}
	c.mu.Lock()
	c.window += n
	bad := c.window > mostWindow
	if c.blocked > 0 {
		for _, s := range c.streams {
			c.release(s)
		}
	}
	c.mu.Unlock()
	if bad {
		return connError{http2.ErrCodeFlowControl, "the window is too large"}
	}
	c.catchUp()
	return nil
}

// widen makes the window of a stream larger, and lets it go on.
func (c *conn) widen(id uint32, n int) error {
	if id > c.last {
		return connError{http2.ErrCodeProtocol, "WINDOW_UPDATE of a stream that is not open"}
	}
	c.mu.Lock()
	s := c.streams[id]
	if s == nil {
		c.mu.Unlock()
		return nil
	}
	s.window += n
	bad := n == 0 || s.window > mostWindow
	if !bad {
		c.release(s)
	}
	c.mu.Unlock()
	switch {
	case n == 0:
		return streamError{id, http2.ErrCodeProtocol}
	case bad:
		return streamError{id, http2.ErrCodeFlowControl}
	}
	c.catchUp()
	return nil
}

// catchUp handles what waited on streams for the peer to make room.
func (c *conn) catchUp() {
	for _, s := range c.due {
		c.mu.Lock()
		rest := s.in
		s.in = nil
		c.mu.Unlock()
		c.advance(s, rest)
	}
	clear(c.due)
	c.due = c.due[:0]
}

// headers begins a header block: of a new stream, or the trailers of one.
func (c *conn) headers(f frame, b []byte) error {
	if f.id%2 == 0 {
		return connError{http2.ErrCodeProtocol, "a stream that is not a client's"}
	}
	b, err := unpadded(f, b)
	if err != nil {
		return err
	}
	if f.flags&http2.FlagHeadersPriority != 0 {
		if len(b) < 5 {
			return connError{http2.ErrCodeFrameSize, "HEADERS"}
		}
		b = b[5:]
	}
	c.block.id, c.block.flags, c.block.size, c.block.raw = f.id, f.flags, 0, 0
	clear(c.block.head)
	c.block.head = c.block.head[:0]
	return c.fragment(b, f.flags&http2.FlagHeadersEndHeaders != 0)
}

// fragment decodes a part of a header block. All is decoded, wanted or not: the state is the connection's.
func (c *conn) fragment(b []byte, end bool) error {
	d := &c.block
	if d.raw += len(b); d.raw > 2*c.srv.opts.MaxHeader {
		return connError{http2.ErrCodeEnhanceYourCalm, "a header block is too large"}
	}
	if _, err := c.hpack.Write(b); err != nil {
		return connError{http2.ErrCodeCompression, err.Error()}
	}
	if !end {
		return nil
	}
	if err := c.hpack.Close(); err != nil {
		return connError{http2.ErrCodeCompression, err.Error()}
	}
	id := d.id
	d.id = 0
	ended := d.flags&http2.FlagHeadersEndStream != 0
	if id <= c.last {
		if s := c.find(id); s != nil {
			if !ended {
				return streamError{id, http2.ErrCodeProtocol}
			}
			c.input(s, nil, true)
		}
		return nil // of a stream that we have ended
	}
	c.last = id
	return c.begin(id, ended)
}

// begin opens a stream.
func (c *conn) begin(id uint32, ended bool) error {
	h, o := c.block.head, &c.srv.opts
	if c.block.size > o.MaxHeader {
		return streamError{id, http2.ErrCodeEnhanceYourCalm}
	}
	if h.check() != "" {
		return streamError{id, http2.ErrCodeProtocol}
	}
	c.mu.Lock()
	if c.live >= o.MaxStreams {
		c.mu.Unlock()
		return streamError{id, http2.ErrCodeRefusedStream}
	}
	s := &Stream{c: c, id: id, shared: shared{allowed: streamWindow, window: c.initial}}
	c.streams[id] = s
	c.live++
	c.mu.Unlock()
	c.handle(s, h, ended)
	return nil
}

// handle gives a stream its handler.
func (c *conn) handle(s *Stream, h Head, ended bool) {
	path := h.Get(":path")
	open, ours := c.srv.methods[path]
	grpc := h.Get(":method") == http.MethodPost && strings.HasPrefix(h.Get("content-type"), "application/grpc")
	switch {
	case ours && grpc:
		s.run.Lock()
		s.h = open(s, h)
		s.settle()
		s.run.Unlock()
	case c.srv.opts.Rest != nil:
		s.raw = newBridge(s, slices.Clone(h))
		c.work.Go(func() { s.raw.serve(c.srv.opts.Rest) })
	default:
		s.h = nobody{}
		s.run.Lock()
		s.Finish(codes.Unimplemented, "there is no method "+path)
		s.settle()
		s.run.Unlock()
	}
	if ended {
		c.input(s, nil, true)
	}
}

// nobody handles what nobody does.
type nobody struct{}

func (nobody) Message([]byte) {}
func (nobody) End()           {}
func (nobody) Close()         {}

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
	c.flush()
	n, err := c.nc.Read(s.message[len(s.message) : len(s.message)+n])
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
