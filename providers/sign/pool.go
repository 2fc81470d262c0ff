package sign

import (
	"log/slog"
	"net/http"
	"sync"
)

// Pool shares sources among the configurations that a process has one after another: a source lives as long
// as a lease that uses it, so that a reload neither drops a token nor leaves a goroutine behind. Its methods
// are safe for concurrent use.
type Pool struct {
	log    *slog.Logger
	client *http.Client

	mu      sync.Mutex
	open    map[string]*shared
	closed  bool
	closing sync.WaitGroup // sources that a release is closing
}

// shared is a source of any type, with the number of leases that use it.
type shared struct {
	source interface {
		Close()
		Renew()
	}
	uses int
}

// NewPool makes a pool. Without a client its sources use NewClient's.
func NewPool(log *slog.Logger, client *http.Client) *Pool {
	if client == nil {
		client = NewClient()
	}
	return &Pool{log: log, client: client, open: map[string]*shared{}}
}

// Lease begins the use of sources by one configuration.
func (p *Pool) Lease() *Lease { return &Lease{pool: p, keys: map[string]bool{}} }

// Close ends all sources, and returns when their goroutines have ended. Releasing a lease afterwards does
// nothing.
func (p *Pool) Close() {
	p.mu.Lock()
	all := p.open
	p.open, p.closed = map[string]*shared{}, true
	p.mu.Unlock()
	for _, s := range all {
		s.source.Close()
	}
	p.closing.Wait()
}

// Lease is the sources of one configuration. A nil lease shares nothing: its sources fetch when they are
// asked, and leave nothing behind, as for a configuration that is only checked.
type Lease struct {
	pool *Pool
	keys map[string]bool // guarded by pool.mu
}

// Client returns the HTTP client that sources use.
func (l *Lease) Client() *http.Client {
	if l == nil {
		return NewClient()
	}
	return l.pool.client
}

// Release ends the use. Sources that no other lease uses are closed. A second call does nothing.
func (l *Lease) Release() {
	if l == nil {
		return
	}
	p := l.pool
	var last []*shared
	p.mu.Lock()
	for key := range l.keys {
		s := p.open[key]
		if s == nil {
			continue
		}
		if s.uses--; s.uses == 0 {
			delete(p.open, key)
			last = append(last, s)
		}
	}
	l.keys = nil
	p.closing.Add(1)
	p.mu.Unlock()
	defer p.closing.Done()
	for _, s := range last {
		s.source.Close()
	}
}

// Share returns the source of a key, which names the type of the credential and everything that it depends
// on. It makes and starts one where there is none yet; one that is there is asked to renew itself, since
// secrets behind the same references may have changed. It panics when a key has sources of two types, which
// is a programmer's mistake.
func Share[T any](l *Lease, key string, options func() Options[T]) *Source[T] {
	if l == nil {
		return NewSource(options())
	}
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || l.keys == nil {
		return NewSource(options())
	}
	if at := p.open[key]; at != nil {
		s, ok := at.source.(*Source[T])
		if !ok {
			panic("sign: the key " + key + " is used for two types")
		}
		if !l.keys[key] {
			l.keys[key] = true
			at.uses++
			s.Renew()
		}
		return s
	}
	s := NewSource(options())
	p.open[key], l.keys[key] = &shared{source: s, uses: 1}, true
	s.Start(p.log)
	return s
}
