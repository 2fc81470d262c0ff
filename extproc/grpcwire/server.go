package grpcwire

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options of a Server. Zero fields get the defaults that stand beside them.
type Options struct {
	Rest       http.Handler  // serves every path without a method here; nil: they are unimplemented
	MaxMessage int           // bytes; default 4 MiB
	MaxHeader  int           // bytes of a request's header; default 64 KiB
	MaxStreams int           // of a connection, at a time; default 1 Mi
	Idle       time.Duration // without a sign of life a peer is asked for one, and given up after as long; default 1 minute
}

// windows of what peers may send unasked: of a stream, and of a connection. A connection's is given back as
// soon as bytes are read, so that no stream waits for another's; a stream's when its messages are handled.
const (
	streamWindow = 1 << 20
	connWindow   = 16 << 20
	largestFrame = 256 << 10
)

// Handler takes the messages of one stream. Its methods are never called at the same time.
type Handler interface {
	// Message takes one message. Its bytes are good until it returns; Stream.Hold makes them last.
	Message(b []byte)
	// End says that the peer sends no more. The handler finishes the stream, then or later.
	End()
	// Close is the last call, whatever ended the stream. Nothing can be sent any more.
	Close()
}

// Open begins a stream of a method. The head is valid until it returns.
type Open func(*Stream, Head) Handler

// Server serves connections. It is made by New.
type Server struct {
	opts    Options
	methods map[string]Open
	rooms

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	stopping  bool
	watched   bool
	work      sync.WaitGroup // connections, and the watch over them
	stopped   chan struct{}
}

// New makes a server of the methods, which are named by their paths.
func New(methods map[string]Open, o Options) *Server {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.MaxMessage, 4<<20)
	def(&o.MaxHeader, 64<<10)
	def(&o.MaxStreams, 1<<20)
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	return &Server{opts: o, methods: methods, listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}, stopped: make(chan struct{})}
}

// Serve accepts connections until the listener fails or the server is stopped, which is no error. A listener
// of TLS has to agree on h2 by itself.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return l.Close()
	}
	if !s.watched {
		s.watched = true
		s.work.Go(s.watch)
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
	}()
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.begin(nc)
		case s.isStopping():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default: // too many files, say: it passes
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-s.stopped:
				return nil
			}
		}
	}
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// begin serves a connection.
func (s *Server) begin(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.work.Go(func() {
		c.serve()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	})
}

// Stop accepts no more connections and tells peers to open no more streams. It serves those that are open
// until the context ends, closes every connection, and waits for all that the server began.
func (s *Server) Stop(ctx context.Context) {
	s.mu.Lock()
	first := !s.stopping
	s.stopping = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		c.goAway()
	}
	s.mu.Unlock()
	if first {
		close(s.stopped)
	}
	for tick := time.NewTicker(time.Millisecond); ; {
		if ctx.Err() != nil || s.idle() {
			tick.Stop()
			break
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	s.mu.Lock()
	for c := range s.conns {
		c.abort()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// idle reports whether no stream is open, and nothing of those that were is still to be written.
func (s *Server) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if !c.idle() {
			return false
		}
	}
	return true
}

// watch looks after the connections now and then: it asks silent peers whether they are there, and gives up
// those that do not say so, or that take no bytes. One timer for all costs less than deadlines on each.
func (s *Server) watch() {
	t := time.NewTicker(s.opts.Idle)
	defer t.Stop()
	for {
		select {
		case <-s.stopped:
			return
		case <-t.C:
		}
		s.mu.Lock()
		for c := range s.conns {
			c.check()
		}
		s.mu.Unlock()
	}
}
