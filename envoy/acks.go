package envoy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// acks knows what each connected Envoy has taken or refused.
type acks struct {
	node string

	mu      sync.Mutex
	version string
	want    map[string]string // by type: the digest
	streams map[int64]*peer
	changed chan struct{} // closed at every change, and replaced
}

// peer is one Envoy. Its maps go by the type of resource.
type peer struct {
	sent    map[string]string
	taken   map[string]string
	refused map[string]string // the digest
	why     map[string]string // and Envoy's words
}

func newAcks(node string) *acks {
	return &acks{node: node, streams: map[int64]*peer{}, changed: make(chan struct{})}
}

var _ sotw.Callbacks = (*acks)(nil)

// OnStreamOpen implements sotw.Callbacks.
func (a *acks) OnStreamOpen(_ context.Context, id int64, _ string) error {
	a.update(func() {
		a.streams[id] = &peer{sent: map[string]string{}, taken: map[string]string{}, refused: map[string]string{}, why: map[string]string{}}
	})
	return nil
}

// OnStreamClosed implements sotw.Callbacks.
func (a *acks) OnStreamClosed(id int64, _ *corev3.Node) { a.update(func() { delete(a.streams, id) }) }

// OnStreamResponse implements sotw.Callbacks.
func (a *acks) OnStreamResponse(_ context.Context, id int64, _ *discoveryv3.DiscoveryRequest, r *discoveryv3.DiscoveryResponse) {
	a.update(func() {
		if p := a.streams[id]; p != nil {
			p.sent[r.GetTypeUrl()] = r.GetVersionInfo()
		}
	})
}

// OnStreamRequest implements sotw.Callbacks. A request acknowledges or refuses what was sent before.
func (a *acks) OnStreamRequest(id int64, r *discoveryv3.DiscoveryRequest) error {
	if n := r.GetNode(); n != nil && n.GetId() != a.node {
		return status.Errorf(codes.InvalidArgument, "this server configures Envoys with the node id %q, not %q", a.node, n.GetId())
	}
	t := r.GetTypeUrl()
	a.update(func() {
		p := a.streams[id]
		if p == nil {
			return
		}
		if e := r.GetErrorDetail(); e != nil {
			p.refused[t], p.why[t] = p.sent[t], e.GetMessage()
			// Or the cache would send what was refused again and again. The request now waits for another version.
			r.VersionInfo = p.sent[t]
			return
		}
		p.taken[t] = r.GetVersionInfo()
		delete(p.refused, t)
		if len(r.GetResourceNames()) == 0 && named[t] { // it wants none any more: without a version it would be sent all, again and again
			r.VersionInfo = p.sent[t]
		}
	})
	return nil
}

// named are the types that Envoy asks for by name only.
var named = map[string]bool{resource.RouteType: true, resource.SecretType: true}

func (a *acks) update(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *acks) expect(want map[string]string, version *string) {
	a.update(func() {
		a.want = want
		if version != nil {
			a.version = *version
		}
	})
}

func (a *acks) connected() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.streams)
}

// refused reports whether an Envoy refused what is expected of it.
func (a *acks) refused() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.streams {
		for t, v := range a.want {
			if p.refused[t] == v {
				return true
			}
		}
	}
	return false
}

func (a *acks) wait(ctx context.Context, version string) error {
	for {
		done, changed, err := a.state(version)
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for Envoy to take configuration %s: %w", version, ctx.Err())
		}
	}
}

func (a *acks) state(version string) (done bool, changed <-chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if version != a.version {
		return false, nil, fmt.Errorf("configuration %s was replaced by %s", version, a.version)
	}
	done = len(a.streams) > 0
	for _, p := range a.streams {
		for t, v := range a.want {
			if p.refused[t] == v {
				return false, nil, fmt.Errorf("configuration %s: %w", version, errors.New(p.why[t]))
			}
			done = done && p.taken[t] == v
		}
	}
	return done, a.changed, nil
}
