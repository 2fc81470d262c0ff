package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Most streams of one connection of a crowd, and most that are about to be opened at once: what is measured is to have
// many, not to open them in a burst.
const (
	shared  = 100
	opening = 64
)

// Crowd are streams that stand open at the same time. They come over connections of HTTP/2, a hundred on each, so that a proxy
// needs one file for each stream, to the provider, and not two.
type Crowd struct {
	conns  []*http.ClientConn
	cancel context.CancelFunc
	all    sync.WaitGroup
	mu     sync.Mutex
	faults []error
	began  atomic.Int64 // streams whose first bytes have come
}

// Files returns how many files a proxy has open for a crowd of n streams, and so does who is load and provider at once.
func Files(n int) int { return n + n/shared + 1 }

// Open opens n streams, and returns when the first bytes of each are there, for which it waits at most the time. The crowd must be
// closed.
func Open(ctx context.Context, a Asked, n int, most time.Duration) (*Crowd, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer time.AfterFunc(most, cancel).Stop()
	c := &Crowd{cancel: cancel}
	t := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	t.Protocols.SetUnencryptedHTTP2(true)
	body := a.body()
	turns := make(chan struct{}, opening)
	for i := range n {
		if i%shared == 0 {
			conn, err := t.NewClientConn(ctx, "http", a.Address)
			if err != nil {
				return nil, errors.Join(err, c.Close())
			}
			c.conns = append(c.conns, conn)
		}
		conn := c.conns[len(c.conns)-1]
		turns <- struct{}{}
		c.all.Go(func() {
			err := c.stream(ctx, conn, a, body, sync.OnceFunc(func() { <-turns }))
			if err != nil {
				c.mu.Lock()
				c.faults = append(c.faults, err)
				c.mu.Unlock()
			}
		})
	}
	for range opening { // all have had their turn
		turns <- struct{}{}
	}
	if have := c.began.Load(); have < int64(n) {
		return nil, fmt.Errorf("%d of %d streams began: %w", have, n, errors.Join(c.fault(), c.Close()))
	}
	return c, nil
}

// stream reads one stream to its end. It calls turn when its first bytes are there, or when none will come.
func (c *Crowd) stream(ctx context.Context, conn *http.ClientConn, a Asked, body string, turn func()) error {
	defer turn()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.Address+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+a.Key)
	res, err := conn.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		return fmt.Errorf("answered %s %s", res.Proto, res.Status)
	}
	var got answer
	buf := make([]byte, 4<<10)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 && got.size == 0 {
			c.began.Add(1)
			turn()
		}
		got.see(buf[:n])
		if errors.Is(err, io.EOF) {
			return got.fault(true)
		}
		if err != nil {
			return fmt.Errorf("behind %d bytes of a stream: %w", got.size, err)
		}
	}
}

// Wait waits until every stream has ended, for at most the time, and returns what was wrong with the first that was not whole.
func (c *Crowd) Wait(most time.Duration) error {
	ended := make(chan struct{})
	go func() { // ends with the last stream, which Close cuts
		c.all.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return c.fault()
	case <-time.After(most):
		return fmt.Errorf("streams are open %s after the provider ended them", most)
	}
}

// Close cuts what is still open.
func (c *Crowd) Close() error {
	c.cancel()
	c.all.Wait()
	var err error
	for _, conn := range c.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// fault returns the first fault, and says how many there were.
func (c *Crowd) fault() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) == 0 {
		return nil
	}
	return fmt.Errorf("%d streams were not whole, the first: %w", len(c.faults), c.faults[0])
}
