package main

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"
)

// pace is the pause between the chunks of a stream.
const pace = 2 * time.Millisecond

// upstream is a provider that speaks openai-chat and anthropic-messages. It answers every request with the
// same 1 KB, or with a stream of 200 chunks.
type upstream struct {
	net.Listener
	openai, anthropic script
	mu                sync.Mutex
	release           chan struct{} // closed: held streams go on
}

// script is what is sent in one dialect, ready for the wire.
type script struct {
	whole  []byte
	head   []byte
	frames [][]byte // each an HTTP chunk; the last with the end of the body
	usage  int      // number of the frame that only goes to who asked for it; -1: none
}

func newUpstream(ctx context.Context) (*upstream, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{Listener: l, openai: openaiScript(), anthropic: anthropicScript(), release: make(chan struct{})}
	go u.serve() // ends when the listener is closed
	return u, nil
}

func (u *upstream) addr() string { return u.Addr().String() }

// letGo ends the streams that are held now.
func (u *upstream) letGo() {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.release)
	u.release = make(chan struct{})
}

func (u *upstream) held() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.release
}

func (u *upstream) serve() {
	for {
		c, err := u.Accept()
		if err != nil {
			return
		}
		go u.converse(newPeer(c)) // ends with its connection
	}
}

var (
	wordMessages = []byte("/messages")
	wordStream   = []byte(`"stream":true`)
	wordUsage    = []byte(`"include_usage":true`)
	wordHeld     = []byte(`-held"`)
)

// converse answers the requests of one connection.
func (u *upstream) converse(p *peer) {
	defer p.Close()
	var body []byte
	for {
		body = body[:0]
		if err := p.next(func(b []byte) { body = append(body, b...) }); err != nil {
			return
		}
		s := &u.openai
		if bytes.Contains(p.start, wordMessages) {
			s = &u.anthropic
		}
		var err error
		if bytes.Contains(body, wordStream) {
			err = u.stream(p, s, bytes.Contains(body, wordUsage), bytes.Contains(body, wordHeld))
		} else {
			_, err = p.Write(s.whole)
		}
		if err != nil {
			return
		}
	}
}

// stream sends chunk after chunk in step with the clock. A held stream stops after its first content until it
// is let go, and then sends the rest at once.
func (u *upstream) stream(p *peer, s *script, usage, held bool) error {
	if _, err := p.Write(s.head); err != nil {
		return err
	}
	next := time.Now()
	for i, f := range s.frames {
		if i == s.usage && !usage {
			continue
		}
		switch {
		case held && i == 4:
			<-u.held()
		case !held && i > 0:
			next = next.Add(pace)
			time.Sleep(time.Until(next))
		}
		if _, err := p.Write(f); err != nil {
			return err
		}
	}
	return nil
}
