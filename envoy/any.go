package envoy

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// packed packs a message, always into the same bytes. Only a string that is not UTF-8 can make it fail,
// which check rules out.
func packed(m proto.Message) *anypb.Any {
	a := new(anypb.Any)
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic("envoy: " + err.Error())
	}
	return a
}

func u32[T int | int64 | uint32](v T) *wrapperspb.UInt32Value { return wrapperspb.UInt32(uint32(v)) }

func yes() *wrapperspb.BoolValue { return wrapperspb.Bool(true) }
func no() *wrapperspb.BoolValue  { return wrapperspb.Bool(false) }

func dur(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

func exactly(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: s}}
}

func beginning(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: s}}
}

func socket(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func pipe(path string) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}
}

func file(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}

// toService names the cluster of the service, and the stage that the stream is for.
func toService(stage string) *corev3.GrpcService {
	g := &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
		ClusterName: ClusterService, SkipEnvoyHeaders: true,
	}}}
	if stage != "" {
		g.InitialMetadata = []*corev3.HeaderValue{{Key: "x-stage", Value: stage}}
	}
	return g
}
