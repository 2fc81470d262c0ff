package traffic

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"
)

// Pace is the pause between the chunks of a stream.
const Pace = 2 * time.Millisecond

// Upstream is a provider that speaks openai-chat and anthropic-messages. It answers every request with the
// same 1 KB, or with a stream of 200 chunks.
type Upstream struct {
	net.Listener
	openai, anthropic script
	mu                sync.Mutex
	release           chan struct{} // closed: held streams go on
	drip              time.Duration // pause between chunks of a held stream meanwhile; 0: there are none
}

// script is what is sent in one dialect, ready for the wire.
type script struct {
	whole  []byte
	head   []byte
	frames [][]byte // each an HTTP chunk; the last with the end of the body
	usage  int      // number of the frame that only goes to who asked for it; -1: none
}

// NewUpstream listens on a free port of the loopback interface, and answers until it is closed.
func NewUpstream(ctx context.Context) (*Upstream, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &Upstream{Listener: l, openai: openaiScript(), anthropic: anthropicScript(), release: make(chan struct{})}
	go u.serve() // ends when the listener is closed
	return u, nil
}

// Address returns where it listens, as HOST:PORT.
func (u *Upstream) Address() string { return u.Addr().String() }

// Drip sets how often a held stream that begins from now on sends a chunk before it is let go; 0: never.
func (u *Upstream) Drip(every time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drip = every
}

// LetGo ends the streams that are held now.
func (u *Upstream) LetGo() {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.release)
	u.release = make(chan struct{})
}

// hold waits until held streams are let go, and sends a chunk now and then where that is asked for.
func (u *Upstream) hold(p *peer, chunk []byte) error {
	u.mu.Lock()
	release, drip := u.release, u.drip
	u.mu.Unlock()
	if drip == 0 {
		<-release
		return nil
	}
	for t := time.NewTicker(drip); ; {
		select {
		case <-release:
			t.Stop()
			return nil
		case <-t.C:
			if _, err := p.Write(chunk); err != nil {
				return err
			}
		}
	}
}

func (u *Upstream) serve() {
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
func (u *Upstream) converse(p *peer) {
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
func (u *Upstream) stream(p *peer, s *script, usage, held bool) error {
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
			if err := u.hold(p, s.frames[i-1]); err != nil {
				return err
			}
		case !held && i > 0:
			next = next.Add(Pace)
			time.Sleep(time.Until(next))
		}
		if _, err := p.Write(f); err != nil {
			return err
		}
	}
	return nil
}
