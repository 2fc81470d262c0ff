package grpcwire

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// Head is the header of a request, pseudo-headers included, in the order of the wire. Names are lower case.
type Head []hpack.HeaderField

// Get returns the first value of a name, or "".
func (h Head) Get(name string) string {
	for i := range h {
		if h[i].Name == name {
			return h[i].Value
		}
	}
	return ""
}

// check says what is wrong with a head (RFC 9113 §8.2, §8.3), or "".
func (h Head) check() string {
	fields, seen := false, 0
	for i := range h {
		n := h[i].Name
		if n == "" || !lower(n) {
			return "a field name that is empty or not in lower case"
		}
		if n[0] != ':' {
			fields = true
			if n == "connection" || n == "transfer-encoding" || n == "te" && h[i].Value != "trailers" {
				return "a field of the connection"
			}
			continue
		}
		bit := pseudo(n)
		if fields || bit == 0 || seen&bit != 0 {
			return "a pseudo-field out of place"
		}
		seen |= bit
	}
	if seen&needed != needed {
		return "a pseudo-field is missing"
	}
	return ""
}

// needed are the pseudo-fields that every request has.
const needed = 1 | 2 | 4

func pseudo(name string) int {
	switch name {
	case ":method":
		return 1
	case ":scheme":
		return 2
	case ":path":
		return 4
	case ":authority":
		return 8
	}
	return 0
}

func lower(s string) bool {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// decoding is a header block that is being read.
type decoding struct {
	id    uint32 // of the stream; 0: none
	flags http2.Flags
	head  Head
	size  int // as RFC 9113 §6.5.2 counts it
	raw   int // bytes of all fragments
}

// field takes a decoded field.
func (d *decoding) field(most int) func(hpack.HeaderField) {
	return func(f hpack.HeaderField) {
		if d.size += int(f.Size()); d.size <= most {
			d.head = append(d.head, f)
		}
	}
}

// Answers' heads use neither Huffman codes nor the dynamic table: they are short, and so have no state.
var (
	okHead   = literal(literal(nil, ":status", "200"), "content-type", "application/grpc")
	okStatus = literal(nil, "grpc-status", "0")
)

// literal appends a field that is not indexed.
func literal(dst []byte, name, value string) []byte {
	dst = appendString(append(dst, 0), name)
	return appendString(dst, value)
}

func appendString(dst []byte, s string) []byte {
	const most = 1<<7 - 1
	n := len(s)
	if n < most {
		return append(append(dst, byte(n)), s...)
	}
	dst = append(dst, most)
	for n -= most; n >= 1<<7; n >>= 7 {
		dst = append(dst, byte(n)|1<<7)
	}
	return append(append(dst, byte(n)), s...)
}

// status appends the fields of a gRPC status.
func status(dst []byte, code codes.Code, message string) []byte {
	if code == codes.OK {
		return append(dst, okStatus...)
	}
	dst = literal(dst, "grpc-status", strconv.FormatUint(uint64(code), 10))
	if message != "" {
		dst = literal(dst, "grpc-message", escaped(message))
	}
	return dst
}

// escaped writes a message as grpc-message wants it.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
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
