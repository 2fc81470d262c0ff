package envoy

import (
	"fmt"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	heapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/fixed_heap/v3"
	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// Bootstrap returns, as YAML, what an Envoy needs to take everything else from the service's xDS server.
func Bootstrap(s Spec) ([]byte, error) {
	s, err := s.filled()
	if err != nil {
		return nil, fmt.Errorf("rendering Envoy's bootstrap: %w", err)
	}
	return text(bootstrap(&s))
}

// Static returns everything as one YAML file for an Envoy without xDS. Such an Envoy needs a restart to
// learn of a change, of certificates too.
func Static(s Spec) ([]byte, error) {
	s, err := s.filled()
	if err != nil {
		return nil, fmt.Errorf("rendering Envoy's configuration: %w", err)
	}
	return text(static(&s))
}

func bootstrap(s *Spec) *bootstrapv3.Bootstrap {
	b := frame(s)
	b.StaticResources = &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{service(s)}}
	b.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{
		LdsConfig: ads(),
		CdsConfig: ads(),
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:                   corev3.ApiConfigSource_GRPC,
			TransportApiVersion:       corev3.ApiVersion_V3,
			GrpcServices:              []*corev3.GrpcService{toServer()},
			SetNodeOnFirstMessageOnly: true,
		},
	}
	return b
}

func static(s *Spec) *bootstrapv3.Bootstrap {
	b := frame(s)
	clusters := append([]*clusterv3.Cluster{service(s), closed(s)}, jwks(s)...)
	for i := range s.Providers {
		clusters = append(clusters, provider(s, &s.Providers[i])...)
	}
	b.StaticResources = &bootstrapv3.Bootstrap_StaticResources{
		Listeners: listeners(s, routes(s), false),
		Clusters:  clusters,
	}
	return b
}

// frame is what both forms have.
func frame(s *Spec) *bootstrapv3.Bootstrap {
	b := &bootstrapv3.Bootstrap{
		Node:               &corev3.Node{Id: s.Node, Cluster: resourceName},
		OverloadManager:    overload(s),
		LayeredRuntime:     runtime(),
		StatsFlushInterval: dur(5 * time.Second),
	}
	if path, ok := strings.CutPrefix(s.Admin, unixScheme); ok {
		a := pipe(path)
		a.GetPipe().Mode = 0o600
		b.Admin = &bootstrapv3.Admin{Address: a}
	} else if s.Admin != "" {
		host, port, _ := hostPort(s.Admin) // checked
		b.Admin = &bootstrapv3.Admin{Address: socket(host, port)}
	}
	return b
}

// runtime turns off the flow control between a filter and its stream to the service, of which Envoy dies in
// an upstream filter (see neverFull). An Envoy with a bootstrap of its own has the large window only.
func runtime() *bootstrapv3.LayeredRuntime {
	layer, err := structpb.NewStruct(map[string]any{"envoy.reloadable_features.grpc_side_stream_flow_control": false})
	if err != nil {
		panic("envoy: " + err.Error()) // it is a constant
	}
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
		Name: resourceName, LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: layer},
	}}}
}

// toServer names the cluster of the service for xDS. While nobody answers there, as a service that starts reads its store first, Envoy
// asks again after two seconds at most: of its own it would wait for up to 30, and come up long after the service.
func toServer() *corev3.GrpcService {
	g := toService("")
	g.GetEnvoyGrpc().RetryPolicy = &corev3.RetryPolicy{RetryBackOff: &corev3.BackoffStrategy{BaseInterval: dur(500 * time.Millisecond), MaxInterval: dur(2 * time.Second)}}
	return g
}

// ads says that a resource comes over the one stream to the service.
func ads() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		InitialFetchTimeout:   dur(0), // wait for the service rather than come up with nothing
	}
}

// overload gives memory back at 95 % of the heap limit and refuses requests at 98 %.
func overload(s *Spec) *overloadv3.OverloadManager {
	const heap, connections = "envoy.resource_monitors.fixed_heap", "envoy.resource_monitors.global_downstream_max_connections"
	at := func(action string, share float64) *overloadv3.OverloadAction {
		return &overloadv3.OverloadAction{Name: action, Triggers: []*overloadv3.Trigger{{
			Name:         heap,
			TriggerOneof: &overloadv3.Trigger_Threshold{Threshold: &overloadv3.ThresholdTrigger{Value: share}},
		}}}
	}
	monitor := func(name string, m proto.Message) *overloadv3.ResourceMonitor {
		return &overloadv3.ResourceMonitor{Name: name, ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: packed(m)}}
	}
	return &overloadv3.OverloadManager{
		RefreshInterval: dur(250 * time.Millisecond),
		ResourceMonitors: []*overloadv3.ResourceMonitor{
			monitor(heap, &heapv3.FixedHeapConfig{MaxHeapSizeBytes: uint64(s.Limits.Heap)}),
			monitor(connections, &connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: int64(s.Limits.Connections)}),
		},
		Actions: []*overloadv3.OverloadAction{
			at("envoy.overload_actions.shrink_heap", 0.95),
			at("envoy.overload_actions.stop_accepting_requests", 0.98),
		},
	}
}

// text renders a message as YAML with the protos' own names, in the protos' order.
func text(m proto.Message) ([]byte, error) {
	j, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	y, err := yaml.JSONToYAML(j)
	if err != nil {
		return nil, fmt.Errorf("writing Envoy's configuration as YAML: %w", err)
	}
	return y, nil
}
