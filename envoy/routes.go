package envoy

import (
	"strconv"
	"time"

	rulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	priorityv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// realtimePath is where alone a connection may become a WebSocket.
const realtimePath = "/v1/realtime"

// Headers between the service and Envoy.
const (
	headerWatch = "x-signalbox-watch"
	headerUsage = "x-signalbox-usage"
	headerIdle  = "x-signalbox-idle"
	headerRetry = "x-signalbox-retry"
)

// routes renders the one route table. It has a route for each idle timer, since Envoy takes that time from
// a route alone; the plan chooses by a header and has the route chosen again. By the first choice, which is by the
// client's path, the client is told of its limits.
func routes(s *Spec) *routev3.RouteConfiguration {
	rs := make([]*routev3.Route, 0, len(s.Deadlines.Idle)+2)
	session := route(s, "realtime", &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: realtimePath}}, 0)
	session.GetRoute().UpgradeConfigs = []*routev3.RouteAction_UpgradeConfig{{UpgradeType: "websocket", Enabled: yes()}}
	rs = append(rs, toldOpenAI(s, session))
	for _, idle := range s.Deadlines.Idle {
		ms := strconv.FormatInt(idle.Milliseconds(), 10)
		m := &routev3.RouteMatch{
			PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"},
			Headers: []*routev3.HeaderMatcher{{
				Name: headerIdle, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: exactly(ms)},
			}},
		}
		rs = append(rs, route(s, "idle-"+ms+"ms", m, idle))
	}
	rs = append(rs,
		toldAnthropic(s, route(s, "messages", &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: messagesPath}}, 0)),
		toldOpenAI(s, route(s, "default", &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}, 0)))
	return &routev3.RouteConfiguration{
		Name: resourceName,
		VirtualHosts: []*routev3.VirtualHost{{
			Name:                       resourceName,
			Domains:                    []string{"*"},
			Routes:                     rs,
			IncludeRequestAttemptCount: true,
			RequestBodyBufferLimit:     wrapperspb.UInt64(uint64(s.stored())),
			ResponseHeadersToAdd:       answerHeaders(s),
		}},
		ValidateClusters: wrapperspb.Bool(false), // plans name clusters, routes do not
	}
}

// answerHeaders are what the client learns of its answer. The provider's own request id is moved aside, as
// x-request-id is ours. Values that are empty are left out by Envoy.
func answerHeaders(s *Spec) []*corev3.HeaderValueOption {
	hs := []*corev3.HeaderValueOption{
		add("x-signalbox-upstream-request-id", "%RESP(x-request-id)%"),
		add("x-signalbox-losses", "%DYNAMIC_METADATA("+NamespaceAttempt+":losses)%"),
	}
	if s.AnswerHeaders {
		hs = append(hs,
			add("x-signalbox-target", "%DYNAMIC_METADATA("+NamespaceAttempt+":target)%"),
			add("x-signalbox-attempts", "%DYNAMIC_METADATA("+NamespaceAttempt+":attempts)%"), // Envoy's own count has the verdict in it
			add("x-signalbox-tokens", "%DYNAMIC_METADATA("+NamespaceAttempt+":tokens)%"),
			add("x-signalbox-health", "%DYNAMIC_METADATA("+NamespaceTicket+":health)%"),
			add("x-signalbox-waited-ms", "%DYNAMIC_METADATA("+NamespaceTicket+":waited)%"))
	}
	return hs
}

func add(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func route(s *Spec, name string, m *routev3.RouteMatch, idle time.Duration) *routev3.Route {
	return &routev3.Route{
		Name:  name,
		Match: m,
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_InlineClusterSpecifierPlugin{InlineClusterSpecifierPlugin: &routev3.ClusterSpecifierPlugin{
				Extension: &corev3.TypedExtensionConfig{Name: "plan", TypedConfig: packed(specifier())},
			}},
			Timeout:     dur(0), // a model may think for minutes; the plan sets each request's own time
			IdleTimeout: dur(idle),
			RetryPolicy: retryPolicy(s),
		}},
	}
}

// specifier takes step k of the plan for attempt k. Without a plan nothing is reachable.
func specifier() *priorityv3.PriorityGroupClusterSpecifier {
	return &priorityv3.PriorityGroupClusterSpecifier{
		OverrideMetadataNamespace: NamespacePlan,
		PriorityGroups: []*priorityv3.PriorityGroup{{
			Name: "none", Clusters: []*priorityv3.ClusterWeight{{ClusterName: ClusterClosed, Weight: u32(1)}},
		}},
	}
}

func retryPolicy(s *Spec) *routev3.RetryPolicy {
	return &routev3.RetryPolicy{
		RetryOn:              "5xx,reset,connect-failure,refused-stream,retriable-status-codes,retriable-headers",
		RetriableStatusCodes: s.Retry.Statuses,
		RetriableHeaders: []*routev3.HeaderMatcher{{
			Name:                 headerRetry,
			HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: exactly("1")},
		}},
		NumRetries:            u32(s.Retry.Max),
		RefreshClusterOnRetry: true,
		RetryBackOff:          &routev3.RetryPolicy_RetryBackOff{BaseInterval: dur(time.Millisecond), MaxInterval: dur(10 * time.Millisecond)},
	}
}

// messagesPath begins the paths at which clients speak Anthropic's dialects.
const messagesPath = "/v1/messages"

// told adds to a route the headers in which its clients are told of their limits. The first filter adds them to an answer,
// after it has taken out the provider's, by the route that the request had when it came: what the plan sets has no part
// in that. They stand in the routes because a header that an answer does not get costs nearly as much as one that it gets.
func told(s *Spec, r *routev3.Route, header func(unit, what string) string, units ...string) *routev3.Route {
	if !s.Limited {
		return r
	}
	m := &mutationv3.Mutations{}
	for _, unit := range units {
		for _, what := range [...]string{"limit", "remaining", "reset"} {
			m.ResponseMutations = append(m.ResponseMutations, &rulesv3.HeaderMutation{Action: &rulesv3.HeaderMutation_Append{
				Append: add(header(unit, what), "%DYNAMIC_METADATA("+NamespaceLimits+":"+unit+"-"+what+")%"),
			}})
		}
	}
	r.TypedPerFilterConfig = map[string]*anypb.Any{edgeFilter: packed(&mutationv3.HeaderMutationPerRoute{Mutations: m})}
	return r
}

// toldOpenAI are the headers that OpenAI's SDKs read, toldAnthropic those of Anthropic's.
func toldOpenAI(s *Spec, r *routev3.Route) *routev3.Route {
	return told(s, r, func(unit, what string) string { return "x-ratelimit-" + what + "-" + unit }, "requests", "tokens")
}

func toldAnthropic(s *Spec, r *routev3.Route) *routev3.Route {
	return told(s, r, func(unit, what string) string { return "anthropic-ratelimit-" + unit + "-" + what }, "requests", "tokens", "input-tokens", "output-tokens")
}
