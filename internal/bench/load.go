package main

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

// load drives one address with one request over a set of connections.
type load struct {
	addr    string
	request []byte
	stream  bool
	clients []*client
}

// client is a connection and what was seen on it.
type client struct {
	*peer
	took, first []time.Duration
	faults      []error
}

// asked is a request that a load repeats.
type asked struct {
	addr, key, model string
	size             int // of the prompt, in bytes
	stream, usage    bool
}

func (a asked) bytes() []byte {
	const passage = "Read the passage below and say in three lines what it leaves open. The rain had not stopped since Sunday. "
	text := strings.Repeat(passage, a.size/len(passage)+1)[:a.size]
	rest := ""
	if a.stream {
		rest = `,"stream":true`
		if a.usage {
			rest += `,"stream_options":{"include_usage":true}`
		}
	}
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"system","content":"You are brief."},{"role":"user","content":%q}],"temperature":0.3,"max_tokens":400%s}`, a.model, text, rest)
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\nauthorization: Bearer %s\r\naccept: */*\r\nuser-agent: bench\r\ncontent-length: %d\r\n\r\n%s", a.addr, a.key, len(body), body)
}

// newLoad connects, and sends warm requests on each connection.
func newLoad(ctx context.Context, a asked, conns, warm int) (*load, error) {
	l := &load{addr: a.addr, request: a.bytes(), stream: a.stream}
	for range conns {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", a.addr)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.clients = append(l.clients, &client{peer: newPeer(c)})
	}
	l.each(func(c *client) {
		for range warm {
			l.do(c)
		}
	})
	if err := l.fault(); err != nil {
		return nil, errors.Join(fmt.Errorf("warming up: %w", err), l.Close())
	}
	for _, c := range l.clients {
		c.took, c.first = nil, nil
	}
	return l, nil
}

// Close closes the connections.
func (l *load) Close() error {
	for _, c := range l.clients {
		c.Close()
	}
	return nil
}

func (l *load) each(f func(*client)) {
	var wg sync.WaitGroup
	for _, c := range l.clients {
		wg.Go(func() { f(c) })
	}
	wg.Wait()
}

// do sends the request once and waits for the whole answer. It reports whether all was well.
func (l *load) do(c *client) bool {
	began := time.Now()
	var first time.Duration
	size, lines := 0, 0
	var tail [8]byte
	_, err := c.Write(l.request)
	if err == nil {
		err = c.next(func(b []byte) {
			if size == 0 {
				first = time.Since(began)
			}
			size += len(b)
			if l.stream {
				lines += bytes.Count(b, []byte{'\n'})
				copy(tail[max(0, len(tail)-len(b)):], b[max(0, len(b)-len(tail)):])
			}
		})
	}
	took := time.Since(began)
	switch {
	case err != nil:
	case !bytes.HasPrefix(c.start, []byte("HTTP/1.1 200")):
		err = fmt.Errorf("answered %q", c.start)
	case c.last:
		err = errors.New("the connection is closed")
	case l.stream && (lines < 2*chunks || !bytes.Contains(tail[:], []byte("DONE]"))):
		err = fmt.Errorf("a stream of %d lines that ends in %q", lines, tail)
	case !l.stream && size < 512:
		err = fmt.Errorf("an answer of %d bytes", size)
	}
	if err != nil {
		c.faults = append(c.faults, err)
		return false
	}
	c.took = append(c.took, took)
	c.first = append(c.first, first)
	return true
}

// saturate keeps every connection busy for the time.
func (l *load) saturate(d time.Duration) {
	end := time.Now().Add(d)
	l.each(func(c *client) {
		for time.Now().Before(end) && l.do(c) {
		}
	})
}

// streams runs n streams, as many at a time as there are connections, which begin so far apart. Started together they
// stay in step, so that what each of them costs is shared; evenly spread over the time that one takes, none waits for another.
func (l *load) streams(n int, apart time.Duration) {
	var left atomic.Int64
	left.Store(int64(n))
	var turn atomic.Int64
	l.each(func(c *client) {
		time.Sleep(time.Duration(turn.Add(1)-1) * apart)
		for left.Add(-1) >= 0 && l.do(c) {
		}
	})
}

// rate sends one request each gap for the time, on any connection that is free.
func (l *load) rate(gap, d time.Duration) {
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

// fault returns the first fault of any connection.
func (l *load) fault() error {
	for _, c := range l.clients {
		if len(c.faults) > 0 {
			return c.faults[0]
		}
	}
	return nil
}
