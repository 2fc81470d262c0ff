package envoy

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

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
	tellCertificates(s, m)
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

// own renders the listener for what the service sends by itself: like that of clients, on a socket for its user alone. It
// believes nothing of certificates.
func own(s *Spec, table *routev3.RouteConfiguration) *listenerv3.Listener {
	m := manager(s)
	if table != nil {
		m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: table}
	} else {
		m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: resourceName, ConfigSource: ads()}}
	}
	at := pipe(strings.TrimPrefix(s.Service.Own, unixScheme))
	at.GetPipe().Mode = 0o600
	return &listenerv3.Listener{
		Name: resourceName + "-own", Address: at, PerConnectionBufferLimitBytes: u32(neverFull), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "envoy.filters.network.http_connection_manager", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(m)},
		}}}},
	}
}

// listeners are all of them.
func listeners(s *Spec, table *routev3.RouteConfiguration, sds bool) []*listenerv3.Listener {
	all := []*listenerv3.Listener{listener(s, table, sds)}
	if s.Service.Own != "" {
		all = append(all, own(s, table))
	}
	return all
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
		XffNumTrustedHops:            uint32(s.Identity.TrustedHops),
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
// entry has no metadata: x-request-id joins it to its exchange. Where decisions go by rate limits, a share of those that went
// well is logged for what their headers say.
func attemptLog(s *Spec) []*accesslogv3.AccessLog {
	logged := append(limits.Logged(), "x-request-id", "request-id", "x-amzn-requestid")
	if s.Service.Room {
		logged = append(logged, limits.LoggedLimits()...)
	}
	l := grpcLog("attempt", []string{"x-request-id"}, logged)
	status := func(op accesslogv3.ComparisonFilter_Op, v uint32) *accesslogv3.AccessLogFilter {
		return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{StatusCodeFilter: &accesslogv3.StatusCodeFilter{
			Comparison: &accesslogv3.ComparisonFilter{Op: op, Value: &corev3.RuntimeUInt32{DefaultValue: v, RuntimeKey: "signalbox.attempt_log"}},
		}}}
	}
	failed := []*accesslogv3.AccessLogFilter{
		status(accesslogv3.ComparisonFilter_GE, 300),
		status(accesslogv3.ComparisonFilter_EQ, 0), // no answer came
		{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{}}},
	}
	if s.Service.Room {
		failed = append(failed, sample())
	}
	l.Filter = &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{OrFilter: &accesslogv3.OrFilter{Filters: failed}}}
	return []*accesslogv3.AccessLog{l}
}

// sampled is the share of attempts, in percent, of which Envoy tells what their answers say of rate limits.
const sampled = 25

func sample() *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_RuntimeFilter{RuntimeFilter: &accesslogv3.RuntimeFilter{
		RuntimeKey: "signalbox.attempt_sample", PercentSampled: &typev3.FractionalPercent{Numerator: sampled}, UseIndependentRandomness: true,
	}}}
}

// logBuffer has Envoy send each log entry at once, and keep those that it cannot send yet, such as until a service that was
// restarted is connected, however many they are: it makes no difference between room and patience, and drops what comes beyond.
// They are few, as a service that does not answer is disconnected within seconds, and what was sent to it is gone. Entries that
// are gathered cost more: as objects they leave the processor's caches before they are written, the timer that sends them wakes
// two of Envoy's threads whether there are any or not, and what limits hold for a request stays held meanwhile.
const logBuffer = 0

// logFlush is that timer, for entries behind which no other comes.
const logFlush = time.Second

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

// Identity is what Envoy finds out of clients before the plan.
type Identity struct {
	TrustedHops  int      // proxies in front whose x-forwarded-for counts
	Issuers      []Issuer // whose tokens are verified
	Certificates bool     // the client's certificate is told in x-forwarded-client-cert
	Claimed      []string // headers of which only another Envoy may be believed: those of clients are removed
}

// Issuer is an issuer of tokens. Its public keys are at URL, or are Keys (a JWKS).
type Issuer struct {
	Name      string
	Issuer    string
	Audiences []string
	URL       *url.URL
	Keys      string
	CAFile    string // authorities of URL, in place of Spec.CAFile
}

// Metadata of verified tokens: the namespace is the filter's, the members are issuers, and issuers behind TokenFault.
const (
	NamespaceToken = "envoy.filters.http.jwt_authn"
	TokenFault     = "fault:" // begins the member that says why a token is not good for an issuer
)

const (
	jwksTimeout = 5 * time.Second
	jwksKept    = 5 * time.Minute
)

// upstream is the host of an issuer's keys.
func (i *Issuer) upstream() *Upstream {
	u := &Upstream{Name: ClusterService + "-jwks-" + i.Name, Host: i.URL.Hostname(), TLS: i.URL.Scheme == "https", CAFile: i.CAFile, ConnectTimeout: jwksTimeout}
	u.Port = 80
	if u.TLS {
		u.Port = 443
	}
	if p, err := strconv.Atoi(i.URL.Port()); err == nil {
		u.Port = p
	}
	return u
}

func (i *Issuer) check() error {
	if i.Name == "" || i.Issuer == "" || strings.HasPrefix(i.Name, TokenFault) {
		return errors.New("a name and an issuer are due")
	}
	if (i.URL == nil) == (i.Keys == "") {
		return errors.New("either a URL or keys are due")
	}
	if i.URL != nil && i.URL.Hostname() == "" {
		return fmt.Errorf("%q has no host", i.URL)
	}
	return nil
}

func (d *Identity) check() error {
	var faults []error
	if d.TrustedHops < 0 {
		faults = append(faults, errors.New("TrustedHops: must not be negative"))
	}
	for i := range d.Issuers {
		if err := d.Issuers[i].check(); err != nil {
			faults = append(faults, fmt.Errorf("issuer %q: %w", d.Issuers[i].Name, err))
		}
	}
	return errors.Join(faults...)
}

// jwks are the clusters of issuers' keys.
func jwks(s *Spec) []*clusterv3.Cluster {
	var cs []*clusterv3.Cluster
	for i := range s.Identity.Issuers {
		if n := &s.Identity.Issuers[i]; n.URL != nil {
			u := n.upstream()
			if u.CAFile == "" {
				u.CAFile = s.CAFile
			}
			cs = append(cs, pair(s, u, u.Name, false)[1])
		}
	}
	return cs
}

// tokens are the filters that verify tokens. A request without one, or with one that is not good, goes on: it may have
// a key, and what is wrong is said in the client's dialect.
func tokens(s *Spec) []*hcmv3.HttpFilter {
	if len(s.Identity.Issuers) == 0 {
		return nil
	}
	c := &jwtv3.JwtAuthentication{Providers: map[string]*jwtv3.JwtProvider{}}
	var either []*jwtv3.JwtRequirement
	for i := range s.Identity.Issuers {
		n := &s.Identity.Issuers[i]
		p := &jwtv3.JwtProvider{
			Issuer:                 n.Issuer,
			Audiences:              n.Audiences,
			FromHeaders:            []*jwtv3.JwtHeader{{Name: "authorization", ValuePrefix: "Bearer "}},
			RequireExpiration:      true, // one without an end would let in for ever
			PayloadInMetadata:      n.Name,
			FailedStatusInMetadata: TokenFault + n.Name,
		}
		if n.URL == nil {
			p.JwksSourceSpecifier = &jwtv3.JwtProvider_LocalJwks{LocalJwks: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: n.Keys}}}
		} else {
			p.JwksSourceSpecifier = &jwtv3.JwtProvider_RemoteJwks{RemoteJwks: &jwtv3.RemoteJwks{
				HttpUri: &corev3.HttpUri{
					Uri: n.URL.String(), HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: n.upstream().Name + dnsSuffix}, Timeout: durationpb.New(jwksTimeout),
				},
				CacheDuration: durationpb.New(jwksKept),
				AsyncFetch:    &jwtv3.JwksAsyncFetch{FastListener: true},
			}}
		}
		c.Providers[n.Name] = p
		either = append(either, &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_ProviderName{ProviderName: n.Name}})
	}
	either = append(either, &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_AllowMissingOrFailed{AllowMissingOrFailed: &emptypb.Empty{}}})
	c.Rules = []*jwtv3.RequirementRule{{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		RequirementType: &jwtv3.RequirementRule_Requires{Requires: &jwtv3.JwtRequirement{
			RequiresType: &jwtv3.JwtRequirement_RequiresAny{RequiresAny: &jwtv3.JwtRequirementOrList{Requirements: either}},
		}},
	}}
	return []*hcmv3.HttpFilter{filter(NamespaceToken, c)}
}

// tellCertificates has the connection manager tell of clients' certificates, and never believe what a client says of one.
func tellCertificates(s *Spec, m *hcmv3.HttpConnectionManager) {
	if !s.Identity.Certificates {
		return
	}
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
	m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{Subject: yes(), Uri: true, Dns: true}
}
