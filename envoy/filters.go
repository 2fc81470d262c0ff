package envoy

import (
	_ "embed"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	rulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	skipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/matcher/action/v3"
	aiv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ai_protocol_manager/v3"
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/body_size_limit/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/signalbox-ai/signalbox/extproc/headers"
)

// Namespaces of dynamic metadata between the service and Envoy.
const (
	NamespacePlan    = "signalbox.plan"    // typed, a PriorityGroupsOverride: the steps
	NamespaceTicket  = "signalbox.ticket"  // ticket, dialect
	NamespaceAttempt = "signalbox.attempt" // len: of the body that is sent; target, attempts, losses: shown to the client
	NamespaceOwn     = "signalbox.own"     // body "1": an answer of the service, which passes as it is
	NamespaceLimits  = "signalbox.limits"  // how limits stand, such as tokens-limit, -remaining and -reset
)

const attemptCount = "x-envoy-attempt-count"

const edgeFilter = "signalbox.edge"

// downstream are the filters that see a request once.
func downstream(s *Spec) []*hcmv3.HttpFilter {
	fs := append([]*hcmv3.HttpFilter{filter(edgeFilter, edge(s))}, tokens(s)...)
	return append(fs,
		filter("signalbox.limit", &limitv3.BodySizeLimit{MaxRequestBytes: wrapperspb.UInt64(uint64(s.Limits.Body))}),
		filter("signalbox.plan", planFilter(s)),
		filter("envoy.filters.http.router", &routerv3.Router{
			SuppressEnvoyHeaders: true,
			UpstreamLog:          attemptLog(s),
			UpstreamHttpFilters:  upstream(s),
		}),
	)
}

// upstream are the filters that see every attempt.
func upstream(s *Spec) []*hcmv3.HttpFilter {
	return []*hcmv3.HttpFilter{
		filter("signalbox.attempt", attempt(s)),
		filter("signalbox.usage", usage(s)),
		filter("signalbox.clean", clean()),
		filter("envoy.filters.http.upstream_codec", &codecv3.UpstreamCodec{}),
	}
}

// attempt chooses the stage by which the service has a part in an attempt. A first attempt goes as the plan says; every
// later one is worked, unless it is only listened to.
func attempt(s *Spec) proto.Message {
	watch := run(extProc, attemptFilter(s, "watch", extprocv3.ProcessingMode_NONE))
	work := run(extProc, attemptFilter(s, "work", extprocv3.ProcessingMode_BUFFERED))
	listen := run(extProc, attemptFilter(s, "listen", extprocv3.ProcessingMode_NONE))
	first := func(m *onMatch) *onMatch {
		return further(byHeader(attemptCount, map[string]*onMatch{"1": m}, work))
	}
	return one(byHeader(headerWatch, map[string]*onMatch{"0": first(nothing()), "1": first(watch), "3": listen}, work))
}

// Values of x-signalbox-usage, by which the service says who reads an attempt's usage; without it Envoy does.
const (
	usageTail     = "tail"     // the service, from what is kept of the answer
	usageNone     = "none"     // the service, which sees the whole answer
	usageRefusals = "refusals" // of whole chats Envoy, of all else the service; an answer with the status 400 may refuse a key
)

// wholeChats are in the paths at which providers answer a chat in one piece, of those whose dialect Envoy's own filter
// reads and that refuse keys with 400.
func wholeChats() []string { return []string{":generateContent", "/chat/completions", "/responses"} }

//go:embed usage.lua
var usageScript string

//go:embed refusal.lua
var refusalScript string

// usage is the filter by which the token usage of an answer comes into the log entry of its request. Envoy's own
// filter parses all of an answer, which costs most where that comes in many pieces.
func usage(s *Spec) proto.Message {
	own := &aiv3.AiProtocolManager{
		ResponseHandling: &aiv3.ResponseHandling{TokenUsage: &aiv3.TokenUsageExtraction{IncludeUnconfiguredRoutes: true}},
	}
	if s.Usage == UsageEnvoy {
		return own
	}
	byEnvoy := run("envoy.filters.http.ai_protocol_manager", own)
	byService := script(usageScript)
	// What the request's head does not decide is decided anew by the answer's. Our headers have left the request by then,
	// so that there is none to choose by.
	later := further(byAnswer(":status", map[string]*onMatch{"400": script(refusalScript)},
		further(byAnswer("content-type", map[string]*onMatch{"text/event-stream": byService},
			further(forPath(wholeChats(), byEnvoy, byService)))))) // Gemini's streams may come as a JSON document
	paths := make(map[string]*onMatch)
	for _, path := range [...]string{"0", "1", "2", "3"} {
		paths[path] = byEnvoy
	}
	return one(byHeader(headerUsage, map[string]*onMatch{usageTail: byService, usageNone: nothing(), usageRefusals: later},
		further(byHeader(headerWatch, paths, later))))
}

func script(source string) *onMatch {
	return run("envoy.filters.http.lua", &luav3.Lua{DefaultSourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: source}}})
}

func filter(name string, m proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(m)}}
}

func processor(stage string) *extprocv3.ExternalProcessor {
	return &extprocv3.ExternalProcessor{
		GrpcService:      toService(stage),
		FailureModeAllow: false, // failing open would send the client's key and body to a provider
		StatusOnError:    &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
		ForwardRules: &extprocv3.HeaderForwardingRules{
			DisallowedHeaders: &matcherv3.ListStringMatcher{Patterns: []*matcherv3.StringMatcher{exactly(headers.Unseen)}},
		},
		MutationRules: &rulesv3.HeaderMutationRules{AllowAllRouting: yes()},
	}
}

func namespaces(names ...string) *extprocv3.MetadataOptions_MetadataNamespaces {
	return &extprocv3.MetadataOptions_MetadataNamespaces{Untyped: names}
}

func planFilter(s *Spec) *extprocv3.ExternalProcessor {
	p := processor("plan")
	p.ProcessingMode = &extprocv3.ProcessingMode{
		RequestHeaderMode:  extprocv3.ProcessingMode_SEND,
		RequestBodyMode:    extprocv3.ProcessingMode_BUFFERED,
		ResponseHeaderMode: extprocv3.ProcessingMode_SKIP,
		ResponseBodyMode:   extprocv3.ProcessingMode_NONE,
	}
	p.MessageTimeout, p.MaxMessageTimeout = dur(s.Deadlines.Plan), dur(s.Deadlines.Wait)
	p.MutationRules.AllowEnvoy = yes() // the plan sets retries and deadlines
	p.MetadataOptions = &extprocv3.MetadataOptions{
		ReceivingNamespaces: namespaces(NamespaceTicket, NamespaceAttempt, NamespaceOwn, NamespaceLimits),
	}
	p.MetadataOptions.ReceivingNamespaces.Typed = []string{NamespacePlan}
	if len(s.Identity.Issuers) > 0 {
		p.MetadataOptions.ForwardingNamespaces = namespaces(NamespaceToken)
	}
	return p
}

// attemptFilter judges an attempt's answer; with a request body mode it also makes the attempt's request.
func attemptFilter(s *Spec, stage string, body extprocv3.ProcessingMode_BodySendMode) *extprocv3.ExternalProcessor {
	p := processor(stage)
	p.ProcessingMode = &extprocv3.ProcessingMode{
		RequestHeaderMode:  extprocv3.ProcessingMode_SEND,
		RequestBodyMode:    body,
		ResponseHeaderMode: extprocv3.ProcessingMode_SEND,
		ResponseBodyMode:   extprocv3.ProcessingMode_STREAMED,
	}
	p.SendBodyWithoutWaitingForHeaderResponse = true // the answer's head is held until its first event is judged
	p.AllowModeOverride = true
	p.MessageTimeout = dur(s.Deadlines.Attempt)
	p.RequestAttributes = []string{"upstream.request_attempt_count", "xds.cluster_name"}
	p.MetadataOptions = &extprocv3.MetadataOptions{
		ForwardingNamespaces: namespaces(NamespaceTicket),
		ReceivingNamespaces:  namespaces(NamespaceAttempt, NamespaceOwn),
	}
	p.MetadataOptions.ReceivingNamespaces.Typed = []string{NamespacePlan} // what of it is still to come
	return p
}

// edge takes from clients what only Envoy and the service may say, before the plan sees it, and from
// answers what is the provider's account's business or tells where the answer came from. What the service
// reads of an answer's head it reads before that. x-signalbox-route and -timeout-ms are for the plan to
// allow.
func edge(s *Spec) *mutationv3.HeaderMutation {
	m := &mutationv3.Mutations{
		RequestMutations:  []*rulesv3.HeaderMutation{removeLike(beginning("x-envoy-"))},
		ResponseMutations: []*rulesv3.HeaderMutation{},
	}
	for _, n := range [...]string{headerWatch, headerUsage, headerIdle, headerRetry} {
		m.RequestMutations = append(m.RequestMutations, remove(n))
	}
	for _, n := range s.Identity.Claimed {
		m.RequestMutations = append(m.RequestMutations, remove(n))
	}
	for _, p := range [...]string{"x-envoy-", "x-ratelimit-", "ratelimit", "anthropic-ratelimit-", "cf-"} {
		m.ResponseMutations = append(m.ResponseMutations, removeLike(beginning(p)))
	}
	for _, n := range [...]string{
		"set-cookie", "via", "alt-svc", "strict-transport-security", "openai-organization", "openai-project",
		"anthropic-organization-id", headerRetry,
	} {
		m.ResponseMutations = append(m.ResponseMutations, remove(n))
	}
	return &mutationv3.HeaderMutation{Mutations: m}
}

// clean is the last to touch an attempt's request. Content-length is missing wherever the service replaced
// the body together with the head.
func clean() *mutationv3.HeaderMutation {
	m := &mutationv3.Mutations{RequestMutations: []*rulesv3.HeaderMutation{
		{Action: &rulesv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: "content-length", Value: "%DYNAMIC_METADATA(" + NamespaceAttempt + ":len)%"},
			AppendAction: corev3.HeaderValueOption_ADD_IF_ABSENT,
		}}},
		removeLike(beginning("x-signalbox-")),
		removeLike(beginning("x-envoy-")),
		removeLike(beginning("x-forwarded-")),
	}}
	// A provider has no say in what only the service may tell Envoy, such as to try the next target.
	m.ResponseMutations = []*rulesv3.HeaderMutation{removeLike(beginning("x-signalbox-"))}
	// Trailers pass neither way: nothing has looked at them.
	all := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: ".*"}}}
	m.RequestTrailersMutations = []*rulesv3.HeaderMutation{removeLike(all)}
	m.ResponseTrailersMutations = []*rulesv3.HeaderMutation{removeLike(all)}
	return &mutationv3.HeaderMutation{Mutations: m}
}

func remove(name string) *rulesv3.HeaderMutation {
	return &rulesv3.HeaderMutation{Action: &rulesv3.HeaderMutation_Remove{Remove: name}}
}

func removeLike(m *matcherv3.StringMatcher) *rulesv3.HeaderMutation {
	return &rulesv3.HeaderMutation{Action: &rulesv3.HeaderMutation_RemoveOnMatch_{
		RemoveOnMatch: &rulesv3.HeaderMutation_RemoveOnMatch{KeyMatcher: m},
	}}
}

const extProc = "envoy.filters.http.ext_proc"

type onMatch = xdsmatcherv3.Matcher_OnMatch

// one is the filter that the request chooses, or none. In Envoy only that one is made; a filter behind a matcher of its
// own is made first, and then skipped.
func one(m *xdsmatcherv3.Matcher) *matchingv3.ExtensionWithMatcher {
	return &matchingv3.ExtensionWithMatcher{
		ExtensionConfig: &corev3.TypedExtensionConfig{Name: "envoy.filters.http.composite", TypedConfig: packed(&compositev3.Composite{})},
		XdsMatcher:      m,
	}
}

// byHeader chooses by the value of a header; other is for values that are not listed, and for none.
func byHeader(name string, is map[string]*onMatch, other *onMatch) *xdsmatcherv3.Matcher {
	return &xdsmatcherv3.Matcher{
		MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: &xdsmatcherv3.Matcher_MatcherTree{
			Input:    input(name, &matcherv3.HttpRequestHeaderMatchInput{HeaderName: name}),
			TreeType: &xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap{ExactMatchMap: &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: is}},
		}},
		OnNoMatch: other,
	}
}

// byAnswer chooses by what the value of an answer's header begins with, once that is there.
func byAnswer(name string, begins map[string]*onMatch, other *onMatch) *xdsmatcherv3.Matcher {
	return &xdsmatcherv3.Matcher{
		MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: &xdsmatcherv3.Matcher_MatcherTree{
			Input:    input(name, &matcherv3.HttpResponseHeaderMatchInput{HeaderName: name}),
			TreeType: &xdsmatcherv3.Matcher_MatcherTree_PrefixMatchMap{PrefixMatchMap: &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: begins}},
		}},
		OnNoMatch: other,
	}
}

func input(name string, m proto.Message) *xdscorev3.TypedExtensionConfig {
	return &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: packed(m)}
}

// forPath chooses by whether the path of a request holds one of some parts.
func forPath(parts []string, yes, no *onMatch) *xdsmatcherv3.Matcher {
	list := &xdsmatcherv3.Matcher_MatcherList{}
	for _, part := range parts {
		list.Matchers = append(list.Matchers, &xdsmatcherv3.Matcher_MatcherList_FieldMatcher{OnMatch: yes, Predicate: &xdsmatcherv3.Matcher_MatcherList_Predicate{
			MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{SinglePredicate: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
				Input: input(":path", &matcherv3.HttpRequestHeaderMatchInput{HeaderName: ":path"}),
				Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{
					ValueMatch: &xdsmatcherv3.StringMatcher{MatchPattern: &xdsmatcherv3.StringMatcher_Contains{Contains: part}},
				},
			}},
		}})
	}
	return &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherList_{MatcherList: list}, OnNoMatch: no}
}

// further goes on choosing.
func further(m *xdsmatcherv3.Matcher) *onMatch {
	return &onMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: m}}
}

// run is the choice of a filter.
func run(name string, m proto.Message) *onMatch {
	return action(name, &compositev3.ExecuteFilterAction{TypedConfig: &corev3.TypedExtensionConfig{Name: name, TypedConfig: packed(m)}})
}

// nothing is the choice of no filter.
func nothing() *onMatch { return action("skip", &skipv3.SkipFilter{}) }

func action(name string, m proto.Message) *onMatch {
	return &onMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{Action: &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: packed(m)}}}
}
