package envoy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Server hands Envoy its configuration over one aggregated stream, clusters first. Its methods may be
// called from any goroutine.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	node  string
	cache cachev3.SnapshotCache
	xds   sotw.Server
	acks  *acks

	mu      sync.Mutex
	spec    *Spec // what was set last, filled
	taken   *Spec // what was set last and not refused: what exchanges may be using
	leaving map[string]departure
	timer   *time.Timer
}

// departure is a provider that plans no longer name, whose clusters running exchanges may still need.
type departure struct {
	clusters []*clusterv3.Cluster
	until    time.Time // zero: until Retire
}

// NewServer makes a server for Envoys that call themselves node. They are not answered before the first Set.
func NewServer(node string) *Server {
	s := &Server{
		node:    node,
		cache:   cachev3.NewSnapshotCache(true, cachev3.IDHash{}, nil),
		acks:    newAcks(node),
		leaving: map[string]departure{},
	}
	s.xds = sotw.NewServer(context.Background(), s.cache, s.acks, sotw.WithOrderedADS())
	return s
}

// Register adds the discovery service to g.
func (s *Server) Register(g *grpc.Server) { discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s) }

// StreamAggregatedResources serves one Envoy.
func (s *Server) StreamAggregatedResources(st discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.xds.StreamHandler(st, resource.AnyType)
}

// Set replaces the configuration. It does not wait for Envoy; Acked does. Clusters of providers that spec
// no longer has stay for spec.Deadlines.Linger, or until Retire: a cluster that vanished under an exchange
// would end it without a retry. On an error nothing changes.
func (s *Server) Set(ctx context.Context, spec Spec, version string) error {
	spec, err := spec.filled()
	if err != nil {
		return fmt.Errorf("rendering Envoy's configuration: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.acks.refused() {
		s.taken = s.spec
	}
	leaving := s.departed(&spec, time.Now())
	if err := s.publish(ctx, &spec, leaving, &version); err != nil {
		return err
	}
	s.spec, s.leaving = &spec, leaving
	s.arm(time.Now())
	return nil
}

// departed returns who leaves once spec is in place.
func (s *Server) departed(spec *Spec, now time.Time) map[string]departure {
	leaving := maps.Clone(s.leaving)
	if s.taken != nil {
		for i := range s.taken.Providers {
			p := &s.taken.Providers[i]
			d := departure{clusters: provider(s.taken, p)}
			if spec.Deadlines.Linger > 0 {
				d.until = now.Add(spec.Deadlines.Linger)
			}
			leaving[p.Name] = d
		}
	}
	for i := range spec.Providers {
		delete(leaving, spec.Providers[i].Name)
	}
	return leaving
}

// Retire takes out the clusters of all providers that have left. No plan may name them any more.
func (s *Server) Retire(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.retire(ctx, func(departure) bool { return true })
}

func (s *Server) retire(ctx context.Context, due func(departure) bool) error {
	if s.spec == nil {
		return nil
	}
	stay := maps.Clone(s.leaving)
	maps.DeleteFunc(stay, func(_ string, d departure) bool { return due(d) })
	if len(stay) == len(s.leaving) {
		return nil
	}
	if err := s.publish(ctx, s.spec, stay, nil); err != nil {
		return err
	}
	s.leaving = stay
	return nil
}

// arm sets the timer for the next departure.
func (s *Server) arm(now time.Time) {
	if s.timer != nil {
		s.timer.Stop()
	}
	var next time.Time
	for _, d := range s.leaving {
		if !d.until.IsZero() && (next.IsZero() || d.until.Before(next)) {
			next = d.until
		}
	}
	if next.IsZero() {
		return
	}
	s.timer = time.AfterFunc(next.Sub(now), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		now := time.Now()
		// It fails only when the context ends, and this one does not.
		_ = s.retire(context.Background(), func(d departure) bool { return !d.until.IsZero() && !d.until.After(now) })
		s.arm(now)
	})
}

// Close ends the wait for departures. Streams end with the gRPC server.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}

// Acked waits until every Envoy that is connected, and at least one is, has taken the version that was set
// last. It fails at once when one refused it, or when another version was set.
func (s *Server) Acked(ctx context.Context, version string) error { return s.acks.wait(ctx, version) }

// Connected returns how many Envoys are.
func (s *Server) Connected() int { return s.acks.connected() }

// publish puts resources into the cache. The version of each kind is a digest of its content, so that
// kinds that did not change are not sent, and a restarted service changes nothing. version nil keeps the
// version's name.
func (s *Server) publish(ctx context.Context, spec *Spec, leaving map[string]departure, version *string) error {
	clusters := append([]types.Resource{service(spec), closed(spec)}, resources(jwks(spec))...)
	for i := range spec.Providers {
		clusters = append(clusters, resources(provider(spec, &spec.Providers[i]))...)
	}
	for _, name := range slices.Sorted(maps.Keys(leaving)) {
		clusters = append(clusters, resources(leaving[name].clusters)...)
	}
	snap := &cachev3.Snapshot{}
	want := map[string]string{}
	var errs []error
	put := func(kind types.ResponseType, url string, rs []types.Resource) {
		v, err := digest(rs)
		errs = append(errs, err)
		snap.Resources[kind] = cachev3.NewResources(v, rs)
		if len(rs) > 0 {
			want[url] = v
		}
	}
	put(types.Cluster, resource.ClusterType, clusters)
	put(types.Listener, resource.ListenerType, resources(listeners(spec, nil, true)))
	put(types.Route, resource.RouteType, []types.Resource{routes(spec)})
	put(types.Secret, resource.SecretType, resources(secrets(spec)))
	if err := cmp.Or(errors.Join(errs...), snap.Consistent()); err != nil {
		return fmt.Errorf("rendering Envoy's configuration: %w", err)
	}
	s.acks.expect(want, version)
	if err := s.cache.SetSnapshot(ctx, s.node, snap); err != nil {
		return fmt.Errorf("sending Envoy its configuration: %w", err)
	}
	return nil
}

func resources[T types.Resource](list []T) []types.Resource {
	out := make([]types.Resource, len(list))
	for i, r := range list {
		out[i] = r
	}
	return out
}

func digest(rs []types.Resource) (string, error) {
	h := sha256.New()
	for _, r := range rs {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%d\n", len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
