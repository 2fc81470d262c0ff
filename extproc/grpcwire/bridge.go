package grpcwire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// bridge carries a stream to an http.Handler: what is called seldom, and may take its time.
type bridge struct {
	s      *Stream
	req    *http.Request
	cancel context.CancelFunc

	mu     sync.Mutex
	news   sync.Cond // of what follows
	unread []byte
	ended  bool // the request's body
	gone   bool

	header http.Header // of the answer; the handler's
	wrote  bool
}

var (
	_ http.ResponseWriter = (*bridge)(nil)
	_ http.Flusher        = (*bridge)(nil)
)

var errGone = errors.New("the stream is over")

func newBridge(s *Stream, h Head) *bridge {
	b := &bridge{s: s, header: http.Header{}}
	b.news.L = &b.mu
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(s.c.ctx)
	path := h.Get(":path")
	u, err := url.ParseRequestURI(path)
	if err != nil {
		u = &url.URL{Path: path}
	}
	b.req = (&http.Request{
		Method: h.Get(":method"), URL: u, RequestURI: path, Host: h.Get(":authority"), Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: http.Header{}, Body: bridgeBody{b}, ContentLength: -1, RemoteAddr: s.c.nc.RemoteAddr().String(),
	}).WithContext(ctx)
	for _, f := range h {
		if f.Name[0] != ':' {
			b.req.Header.Add(f.Name, f.Value)
		}
	}
	return b
}

// serve runs the handler, and ends the stream.
func (b *bridge) serve(h http.Handler) {
	defer b.cancel()
	h.ServeHTTP(b, b.req)
	b.WriteHeader(http.StatusOK)
	var trailers []byte
	declared := strings.Split(strings.Join(b.header.Values("Trailer"), ","), ",")
	for name, values := range b.header {
		bare, prefixed := strings.CutPrefix(name, http.TrailerPrefix)
		if !prefixed && !contains(declared, name) {
			continue
		}
		for _, v := range values {
			trailers = literal(trailers, strings.ToLower(bare), v)
		}
	}
	b.s.finish(trailers)
	b.abort()
	c := b.s.c
	c.mu.Lock()
	c.forget(b.s)
	c.mu.Unlock()
	c.flush()
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(strings.TrimSpace(n), name) {
			return true
		}
	}
	return false
}

// put takes bytes of the request's body.
func (b *bridge) put(p []byte, end bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unread = append(b.unread, p...)
	b.ended = b.ended || end
	b.news.Broadcast()
}

// abort ends all waiting.
func (b *bridge) abort() {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = true
	b.news.Broadcast()
}

// bridgeBody is the request's body.
type bridgeBody struct{ *bridge }

// Read waits for bytes.
func (b bridgeBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	for len(b.unread) == 0 && !b.ended && !b.gone {
		b.news.Wait()
	}
	n := copy(p, b.unread)
	if b.unread = b.unread[n:]; len(b.unread) == 0 {
		b.unread = nil
	}
	gone := b.gone
	b.mu.Unlock()
	switch {
	case n > 0:
		b.s.count(n)
		b.s.c.flush()
		return n, nil
	case gone:
		return 0, errGone
	}
	return 0, io.EOF
}

// Close ends the reading.
func (bridgeBody) Close() error { return nil }

// Header returns the answer's header, and after WriteHeader the trailers.
func (b *bridge) Header() http.Header { return b.header }

// WriteHeader sends the head.
func (b *bridge) WriteHeader(status int) {
	if b.wrote {
		return
	}
	b.wrote = true
	block := literal(nil, ":status", strconv.Itoa(status))
	for name, values := range b.header {
		if strings.HasPrefix(name, http.TrailerPrefix) || name == "Trailer" {
			continue
		}
		for _, v := range values {
			block = literal(block, strings.ToLower(name), v)
		}
	}
	s, c := b.s, b.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.gone || s.done {
		return
	}
	s.headed = true
	c.fields(s.id, block, 0)
}

// Write sends a part of the body, once the peer has made room for what went before.
func (b *bridge) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	s, c := b.s, b.s.c
	for {
		c.mu.Lock()
		if s.gone || s.done {
			c.mu.Unlock()
			return 0, errGone
		}
		if len(s.pending) <= mostPending {
			c.write(s, p)
			c.mu.Unlock()
			return len(p), nil
		}
		if s.roomy == nil {
			s.roomy = make(chan struct{})
		}
		roomy := s.roomy
		c.mu.Unlock()
		c.flush()
		select {
		case <-roomy:
		case <-b.req.Context().Done():
			return 0, errGone
		}
	}
}

// Flush sends what was written.
func (b *bridge) Flush() {
	b.WriteHeader(http.StatusOK)
	b.s.c.flush()
}
