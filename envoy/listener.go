package envoy

import (
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/signalbox-ai/signalbox/internal/limits"
)

// resourceName names the listener, the route table and the virtual host.
const resourceName = "signalbox"

// neverFull is the limit of buffers that must not reach one. Envoy 1.40.0 dies when the chunks of an answer
// that wait for the service fill the buffer of an upstream filter, whose size is the listener's, or the
// window of its stream: there is nothing that could be told to stop. What bounds memory instead are the
// limit of request bodies, the service's limit of answers, and the overload manager.
const neverFull = 1 << 30

// listener renders the clients' listener. table is nil where the route table comes over xDS.
func listener(s *Spec, table *routev3.RouteConfiguration, sds bool) *listenerv3.Listener {
	host, port, _ := hostPort(s.Listen) // checked
	m := manager(s)
	if table != nil {
		m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: table}
	} else {
		m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: resourceName, ConfigSource: ads()}}
	}
	chain := &listenerv3.FilterChain{Filters: []*listenerv3.Filter{{
		Name:       "envoy.filters.network.http_connection_manager",
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(m)},
	}}}
	if s.TLS.On() {
		chain.TransportSocket = serverTLS(s, sds)
		chain.TransportSocketConnectTimeout = dur(10 * time.Second)
	}
	return &listenerv3.Listener{
		Name:                          resourceName,
		Address:                       socket(host, port),
		FilterChains:                  []*listenerv3.FilterChain{chain},
		PerConnectionBufferLimitBytes: u32(neverFull),
		TrafficDirection:              corev3.TrafficDirection_INBOUND,
	}
}

// ownHeaders is room for what Envoy and the plan add to a request's headers.
const ownHeaders = 32

// manager renders the connection manager, but for its route table.
func manager(s *Spec) *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix:  resourceName,
		CodecType:   hcmv3.HttpConnectionManager_AUTO,
		HttpFilters: downstream(s),
		AccessLog:   []*accesslogv3.AccessLog{grpcLog("request", nil, []string{"x-signalbox-upstream-request-id", "request-id", "x-amzn-requestid"})},

		ServerName:       resourceName,
		LocalReplyConfig: localReplies(),

		GenerateRequestId:            yes(),
		AlwaysSetRequestIdInResponse: true,
		UseRemoteAddress:             yes(),
		XffNumTrustedHops:            uint32(s.TrustedHops),
		InternalAddressConfig:        &hcmv3.HttpConnectionManager_InternalAddressConfig{}, // nobody is internal

		UpgradeConfigs: []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket", Enabled: no()}}, // but for one route

		NormalizePath:                yes(),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED, // a model's ARN has slashes; the plan reads the path once, and only its own goes to providers

		MaxRequestHeadersKb: u32(s.Limits.HeaderKiB),
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			MaxHeadersCount:              u32(s.Limits.Headers + ownHeaders), // the plan refuses more than the limit
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
			IdleTimeout:                  dur(time.Hour), // of a connection without requests
		},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams:        u32(s.Limits.Streams),
			InitialStreamWindowSize:     u32(64 << 10),
			InitialConnectionWindowSize: u32(1 << 20),
		},

		// The timer that would cut long answers stays off: the plan sets each request's own. That of the
		// request ends when it has gone through the filters.
		StreamIdleTimeout:     dur(0),
		RequestTimeout:        dur(s.Deadlines.Request),
		RequestHeadersTimeout: dur(min(s.Deadlines.Request, 30*time.Second)),
		DelayedCloseTimeout:   dur(100 * time.Millisecond), // or clients learn late of a reset in mid-stream
	}
}

// attemptLog logs attempts that did not go well; of the last one that did, the request's entry tells. Such an
// entry has no metadata: x-request-id joins it to its exchange.
func attemptLog() []*accesslogv3.AccessLog {
	l := grpcLog("attempt", []string{"x-request-id"}, append(limits.Logged(), "x-request-id", "request-id", "x-amzn-requestid"))
	status := func(op accesslogv3.ComparisonFilter_Op, v uint32) *accesslogv3.AccessLogFilter {
		return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{StatusCodeFilter: &accesslogv3.StatusCodeFilter{
			Comparison: &accesslogv3.ComparisonFilter{Op: op, Value: &corev3.RuntimeUInt32{DefaultValue: v, RuntimeKey: "signalbox.attempt_log"}},
		}}}
	}
	l.Filter = &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{OrFilter: &accesslogv3.OrFilter{
		Filters: []*accesslogv3.AccessLogFilter{
			status(accesslogv3.ComparisonFilter_GE, 300),
			status(accesslogv3.ComparisonFilter_EQ, 0), // no answer came
			{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{}}},
		},
	}}}
	return []*accesslogv3.AccessLog{l}
}

// logBuffer is how many bytes of log entries each of Envoy's threads keeps for the service. Envoy drops what comes when
// it is full and the service cannot be reached, such as while it is restarted; its default of 16 KiB holds a handful
// of entries, and a drop is an exchange whose usage nobody learns.
const logBuffer = 4 << 20

// logFlush is how often Envoy sends its log entries. They are gathered as objects, which leave the processor's caches
// where many come: with 100 ms a saturated Envoy took a tenth more time. A wakeup that finds nothing costs some 10 µs.
const logFlush = 20 * time.Millisecond

func grpcLog(name string, request, response []string) *accesslogv3.AccessLog {
	return &accesslogv3.AccessLog{
		Name: "envoy.access_loggers.http_grpc",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: packed(&grpclogv3.HttpGrpcAccessLogConfig{
			CommonConfig: &grpclogv3.CommonGrpcAccessLogConfig{
				LogName:             name,
				TransportApiVersion: corev3.ApiVersion_V3,
				GrpcService:         toService(""),
				BufferFlushInterval: dur(logFlush),
				BufferSizeBytes:     u32(logBuffer),
			},
			AdditionalRequestHeadersToLog:  request,
			AdditionalResponseHeadersToLog: response,
		})},
	}
}
