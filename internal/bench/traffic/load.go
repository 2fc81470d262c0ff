// Package traffic is both ends of what goes through a proxy that is measured: clients that ask, and the provider that answers.
// It checks that answers are whole and says how long they took; what they cost is read elsewhere.
package traffic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Load drives one address over a set of connections.
type Load struct {
	stream  bool
	clients []*client
}

// client is a connection and what was seen on it.
type client struct {
	*peer
	request     []byte
	took, first []time.Duration
	faults      []error
}

// Asked is a request that a load repeats.
type Asked struct {
	Address string // HOST:PORT
	Key     string // the client's
	Model   string // one that ends in "-held" is answered by a stream that waits (see [Upstream])
	Size    int    // of the prompt, in bytes
	Stream  bool
	Usage   bool // a stream asks for its usage
}

func (a Asked) body() string {
	const passage = "Read the passage below and say in three lines what it leaves open. The rain had not stopped since Sunday. "
	text := strings.Repeat(passage, a.Size/len(passage)+1)[:a.Size]
	rest := ""
	if a.Stream {
		rest = `,"stream":true`
		if a.Usage {
			rest += `,"stream_options":{"include_usage":true}`
		}
	}
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"system","content":"You are brief."},{"role":"user","content":%q}],"temperature":0.3,"max_tokens":400%s}`, a.Model, text, rest)
}

// bytes returns the request as it goes over a connection of HTTP/1.1.
func (a Asked) bytes() []byte {
	body := a.body()
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\nauthorization: Bearer %s\r\naccept: */*\r\nuser-agent: bench\r\ncontent-length: %d\r\n\r\n%s", a.Address, a.Key, len(body), body)
}

// NewLoad connects, and sends warm requests on each connection.
func NewLoad(ctx context.Context, a Asked, conns, warm int) (*Load, error) {
	return NewLoads(ctx, []Asked{a}, conns, warm)
}

// NewLoads is NewLoad where connections differ: they take the requests in turn, and each repeats its own. All requests have the
// address and the kind of the first.
func NewLoads(ctx context.Context, all []Asked, conns, warm int) (*Load, error) {
	l := &Load{stream: all[0].Stream}
	requests := make([][]byte, len(all))
	for i, a := range all {
		requests[i] = a.bytes()
	}
	for i := range conns {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", all[0].Address)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.clients = append(l.clients, &client{peer: newPeer(c), request: requests[i%len(requests)]})
	}
	l.each(func(c *client) {
		for range warm {
			l.do(c)
		}
	})
	if err := l.Fault(); err != nil {
		return nil, errors.Join(fmt.Errorf("warming up: %w", err), l.Close())
	}
	for _, c := range l.clients {
		c.took, c.first = nil, nil
	}
	return l, nil
}

// Close closes the connections.
func (l *Load) Close() error {
	for _, c := range l.clients {
		c.Close()
	}
	return nil
}

func (l *Load) each(f func(*client)) {
	var wg sync.WaitGroup
	for _, c := range l.clients {
		wg.Go(func() { f(c) })
	}
	wg.Wait()
}

// do sends the request once and waits for the whole answer. It reports whether all was well.
func (l *Load) do(c *client) bool {
	began := time.Now()
	var first time.Duration
	var got answer
	_, err := c.Write(c.request)
	if err == nil {
		err = c.next(func(b []byte) {
			if got.size == 0 {
				first = time.Since(began)
			}
			got.see(b)
		})
	}
	took := time.Since(began)
	switch {
	case err != nil:
	case !bytes.HasPrefix(c.start, []byte("HTTP/1.1 200")):
		err = fmt.Errorf("answered %q", c.start)
	case c.last:
		err = errors.New("the connection is closed")
	default:
		err = got.fault(l.stream)
	}
	if err != nil {
		c.faults = append(c.faults, err)
		return false
	}
	c.took = append(c.took, took)
	c.first = append(c.first, first)
	return true
}

// Times returns how long each request took, and how long the first byte of its body, in the order of the connections.
func (l *Load) Times() (whole, first []time.Duration) {
	for _, c := range l.clients {
		whole = append(whole, c.took...)
		first = append(first, c.first...)
	}
	return whole, first
}

// Once sends one request on each connection at the same time, and waits for the answers.
func (l *Load) Once() { l.each(func(c *client) { l.do(c) }) }

// Saturate keeps every connection busy for the time.
func (l *Load) Saturate(d time.Duration) {
	end := time.Now().Add(d)
	l.each(func(c *client) {
		for time.Now().Before(end) && l.do(c) {
		}
	})
}

// Streams runs n streams, as many at a time as there are connections, which begin so far apart. Started together they
// stay in step, so that what each of them costs is shared; evenly spread over the time that one takes, none waits for another.
func (l *Load) Streams(n int, apart time.Duration) {
	var left atomic.Int64
	left.Store(int64(n))
	var turn atomic.Int64
	l.each(func(c *client) {
		time.Sleep(time.Duration(turn.Add(1)-1) * apart)
		for left.Add(-1) >= 0 && l.do(c) {
		}
	})
}

// Rate sends one request each gap for the time, on any connection that is free.
func (l *Load) Rate(gap, d time.Duration) {
	free := make(chan *client, len(l.clients))
	for _, c := range l.clients {
		free <- c
	}
	var wg sync.WaitGroup
	next := time.Now()
	for end := next.Add(d); next.Before(end); next = next.Add(gap) {
		time.Sleep(time.Until(next))
		c := <-free
		wg.Go(func() {
			if l.do(c) {
				free <- c
			}
		})
	}
	wg.Wait()
}

// Fault returns the first fault of any connection.
func (l *Load) Fault() error {
	for _, c := range l.clients {
		if len(c.faults) > 0 {
			return c.faults[0]
		}
	}
	return nil
}
