package envoy

import (
	"net/netip"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	familyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Names of clusters. A provider's cluster has the provider's name.
const (
	ClusterService = "signalbox"        // the service
	ClusterClosed  = "signalbox-closed" // a closed port
	dnsSuffix      = ".dns"             // of the cluster behind a provider's
	sessionSuffix  = ".ws"              // of a provider's cluster for WebSockets
)

// provider renders the two clusters of a provider. The one that plans name is an aggregate: while the inner
// one has no host, the attempt goes to a closed port, which is a refused connection and so a retry; an
// empty cluster would end the request.
//
// WebSockets need HTTP/1.1, which a provider that prefers HTTP/2 is only asked for by clusters of their own.
func provider(s *Spec, u *Upstream) []*clusterv3.Cluster {
	cs := pair(s, u, u.Name, u.TLS)
	if u.Sessions {
		cs = append(cs, pair(s, u, u.Name+sessionSuffix, false)...)
	}
	return cs
}

// pair renders a guarded cluster of a provider. auto says that the protocol is found out by ALPN; it is HTTP/1.1
// otherwise.
func pair(s *Spec, u *Upstream, name string, auto bool) []*clusterv3.Cluster {
	inner := name + dnsSuffix
	c := &clusterv3.Cluster{
		Name:                          inner,
		ConnectTimeout:                dur(u.ConnectTimeout),
		PerConnectionBufferLimitBytes: u32(s.stored()), // a later attempt collects the body once more
		CircuitBreakers:               open(),
		LoadAssignment:                endpoints(inner, u.Host, socket(u.Host, uint32(u.Port))),
		UpstreamConnectionOptions:     keepalive(),
	}
	options := &upstreamv3.HttpProtocolOptions{CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: dur(idle(u))}}
	if u.TLS {
		c.TransportSocket = clientTLS(u)
	}
	if auto {
		options.UpstreamProtocolOptions = &upstreamv3.HttpProtocolOptions_AutoConfig{AutoConfig: &upstreamv3.HttpProtocolOptions_AutoHttpConfig{}}
	} else { // without TLS nothing tells whether HTTP/2 is spoken
		options.UpstreamProtocolOptions = &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}},
		}}
	}
	c.TypedExtensionProtocolOptions = protocol(options)
	if _, err := netip.ParseAddr(u.Host); err == nil {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	} else {
		c.ClusterDiscoveryType = resolved()
	}
	return []*clusterv3.Cluster{guarded(s, name, inner), c}
}

// idle is how long a connection without requests is kept. Servers of one's own, which is what is reached without TLS,
// close theirs after 5 s (llama.cpp, uvicorn, Node.js); a request that meets the end of its connection is lost, and with
// one target is a failure. A new connection costs them next to nothing.
func idle(u *Upstream) time.Duration {
	if u.TLS {
		return 5 * time.Minute
	}
	return 4 * time.Second
}

// resolved is a cluster of every address that a name has.
func resolved() *clusterv3.Cluster_ClusterType {
	return &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name: "envoy.clusters.dns",
		TypedConfig: packed(&dnsv3.DnsCluster{
			DnsLookupFamily:       familyv3.DnsLookupFamily_V4_PREFERRED,
			RespectDnsTtl:         true,
			DnsFailureRefreshRate: &dnsv3.DnsCluster_RefreshRate{BaseInterval: dur(500 * time.Millisecond), MaxInterval: dur(5 * time.Second)},
		}),
	}}
}

func guarded(s *Spec, name, inner string) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                          name,
		ConnectTimeout:                dur(time.Second),
		PerConnectionBufferLimitBytes: u32(s.stored()),
		LbPolicy:                      clusterv3.Cluster_CLUSTER_PROVIDED,
		CircuitBreakers:               open(),
		ClusterDiscoveryType: &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
			Name:        "envoy.clusters.aggregate",
			TypedConfig: packed(&aggregatev3.ClusterConfig{Clusters: []string{inner, ClusterClosed}}),
		}},
	}
}

// closed is where connections are refused.
func closed(s *Spec) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                          ClusterClosed,
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:                dur(time.Second),
		PerConnectionBufferLimitBytes: u32(s.stored()),
		CircuitBreakers:               open(),
		LoadAssignment:                endpoints(ClusterClosed, "", socket("127.0.0.1", uint32(s.ClosedPort))),
	}
}

// service is the cluster of the gRPC service: processors, logs and, from the bootstrap, xDS.
func service(s *Spec) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                          ClusterService,
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:                dur(time.Second),
		PerConnectionBufferLimitBytes: u32(neverFull),
		CircuitBreakers:               open(),
		TypedExtensionProtocolOptions: protocol(&upstreamv3.HttpProtocolOptions{
			UpstreamProtocolOptions: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
					InitialStreamWindowSize:     u32(neverFull),
					InitialConnectionWindowSize: u32(neverFull),
				}},
			}},
		}),
		HealthChecks:                        []*corev3.HealthCheck{healthCheck()},
		CommonLbConfig:                      &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{Value: 0}},
		CloseConnectionsOnHostHealthFailure: true,
	}
	if path, ok := strings.CutPrefix(s.Service.Address, unixScheme); ok {
		c.LoadAssignment = endpoints(ClusterService, "", pipe(path))
		return c
	}
	host, port, _ := hostPort(s.Service.Address) // checked
	c.LoadAssignment = endpoints(ClusterService, host, socket(host, port))
	c.UpstreamConnectionOptions = keepalive()
	if _, err := netip.ParseAddr(host); err != nil {
		c.ClusterDiscoveryType = resolved()
	}
	if s.Service.CA != "" {
		c.TransportSocket = serviceTLS(s)
	}
	return c
}

// healthCheck finds a service that hangs within three seconds, and one that is back within a fifth of one.
func healthCheck() *corev3.HealthCheck {
	return &corev3.HealthCheck{
		Timeout:            dur(time.Second),
		Interval:           dur(time.Second),
		NoTrafficInterval:  dur(time.Second),
		UnhealthyInterval:  dur(200 * time.Millisecond),
		UnhealthyThreshold: u32(2),
		HealthyThreshold:   u32(1),
		HealthChecker:      &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{}},
	}
}

// open are circuit breakers that never trip: limits are the service's business, and a breaker of Envoy's
// ends a request where a retry would have helped.
func open() *clusterv3.CircuitBreakers {
	const many = uint32(1_000_000)
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: u32(many), MaxPendingRequests: u32(many), MaxRequests: u32(many), MaxRetries: u32(many),
	}}}
}

func keepalive() *clusterv3.UpstreamConnectionOptions {
	return &clusterv3.UpstreamConnectionOptions{TcpKeepalive: &corev3.TcpKeepalive{
		KeepaliveTime: u32(60), KeepaliveInterval: u32(10), KeepaliveProbes: u32(3),
	}}
}

func endpoints(cluster, hostname string, a *corev3.Address) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: cluster,
		Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
			HostIdentifier:      &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Hostname: hostname, Address: a}},
			LoadBalancingWeight: wrapperspb.UInt32(1),
		}}}},
	}
}

func protocol(o proto.Message) map[string]*anypb.Any {
	return map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(o)}
}
