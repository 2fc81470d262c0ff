package grpcwire

import (
	"golang.org/x/net/http2"
)

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
		s.in, s.isDue = nil, false
		c.mu.Unlock()
		c.advance(s, rest)
	}
	clear(c.due)
	c.due = c.due[:0]
}
