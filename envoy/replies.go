package envoy

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// failure is what clients are told of a failure that Envoy itself answers. Envoy's own words name sockets
// and addresses: they belong into the log.
type failure struct {
	status    uint32 // 0: any other
	message   string
	openai    string // its type there, and its code
	code      string
	anthropic string // its type there
	bedrock   string // its exception there
	google    string // its status there
}

func failures() []failure {
	const (
		invalid    = "invalid_request_error"
		validation = "ValidationException"
		internal   = "InternalServerException"
	)
	return []failure{
		{400, "The request is malformed.", invalid, "bad_request", invalid, validation, "INVALID_ARGUMENT"},
		{403, "The request is not allowed.", "permission_error", "forbidden", "permission_error", "AccessDeniedException", "PERMISSION_DENIED"},
		{404, "There is nothing at this path.", invalid, "not_found", "not_found_error", "ResourceNotFoundException", "NOT_FOUND"},
		{408, "The request did not arrive in time.", "timeout_error", "request_timeout", "timeout_error", validation, "DEADLINE_EXCEEDED"},
		{413, "The request body is larger than this gateway accepts.", invalid, "request_too_large", "request_too_large", validation, "INVALID_ARGUMENT"},
		{414, "The request's path is too long.", invalid, "uri_too_long", invalid, validation, "INVALID_ARGUMENT"},
		{426, "HTTP/1.1 or HTTP/2 is needed.", invalid, "upgrade_required", invalid, validation, "FAILED_PRECONDITION"},
		{429, "Too many requests.", "rate_limit_error", "rate_limit_exceeded", "rate_limit_error", "ThrottlingException", "RESOURCE_EXHAUSTED"},
		{431, "The request's header is larger than this gateway accepts.", invalid, "header_too_large", invalid, validation, "INVALID_ARGUMENT"},
		{500, "The gateway has failed.", "server_error", "internal_error", "api_error", internal, "INTERNAL"},
		{502, "The model's provider sent an answer that cannot be read.", "server_error", "bad_gateway", "api_error", internal, "UNAVAILABLE"},
		{503, "No model is available just now.", "server_error", "service_unavailable", "overloaded_error", "ServiceUnavailableException", "UNAVAILABLE"},
		{504, "The model's provider did not answer in time.", "server_error", "timeout", "timeout_error", "ModelTimeoutException", "DEADLINE_EXCEEDED"},
		{0, "The gateway cannot answer this request.", "server_error", "gateway_error", "api_error", internal, "INTERNAL"},
	}
}

// shape is how a dialect words a failure: in its body, and in a header where it has one for that.
type shape struct {
	dialect, path string // where the plan found no dialect, the path tells it
	body          func(f *failure) map[string]any
	header        func(f *failure) *corev3.HeaderValueOption
}

func shapes() []shape {
	return []shape{
		{
			dialect: "anthropic-messages", path: "/v1/messages",
			body: func(f *failure) map[string]any {
				return map[string]any{
					"type":       "error",
					"error":      map[string]any{"type": f.anthropic, "message": f.message},
					"request_id": "%REQ(X-REQUEST-ID)%",
				}
			},
		},
		{
			dialect: "gemini", path: "/v1beta/",
			body: func(f *failure) map[string]any {
				code := any("%RESPONSE_CODE%") // which is written as a number
				if f.status != 0 {
					code = float64(f.status)
				}
				return map[string]any{"error": map[string]any{"code": code, "message": f.message, "status": f.google}}
			},
		},
		{
			dialect: "bedrock-converse", path: "/model/",
			body:   func(f *failure) map[string]any { return map[string]any{"message": f.message} },
			header: func(f *failure) *corev3.HeaderValueOption { return add("x-amzn-errortype", f.bedrock) },
		},
	}
}

// localReplies gives Envoy's own failures the client's dialect: the one that the plan found, else the one
// that the path belongs to, else OpenAI's. The first mapper that matches counts; an answer of the service matches
// the first and stays as it is.
func localReplies() *hcmv3.LocalReplyConfig {
	c := &hcmv3.LocalReplyConfig{Mappers: []*hcmv3.ResponseMapper{{Filter: metadataIs(NamespaceOwn, "body", "1", false)}}}
	for _, s := range shapes() {
		known := metadataIs(NamespaceTicket, "dialect", s.dialect, false)
		guessed := and(metadataIs(NamespaceTicket, "dialect", s.dialect, true), pathBegins(s.path))
		for _, f := range failures() {
			m := mapper(and(or(known, guessed), statusIs(f.status)), f, s.body(&f))
			if s.header != nil {
				m.HeadersToAdd = append(m.HeadersToAdd, s.header(&f))
			}
			c.Mappers = append(c.Mappers, m)
		}
	}
	for _, f := range failures() {
		c.Mappers = append(c.Mappers, mapper(statusIs(f.status), f, map[string]any{
			"error": map[string]any{"message": f.message, "type": f.openai, "param": nil, "code": f.code},
		}))
	}
	return c
}

func mapper(when *accesslogv3.AccessLogFilter, f failure, body map[string]any) *hcmv3.ResponseMapper {
	format, err := structpb.NewStruct(body)
	if err != nil {
		panic("envoy: " + err.Error()) // the bodies are constants
	}
	m := &hcmv3.ResponseMapper{
		Filter: when,
		BodyFormatOverride: &corev3.SubstitutionFormatString{
			Format:      &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: format},
			ContentType: "application/json",
		},
	}
	if f.status == 503 {
		m.HeadersToAdd = []*corev3.HeaderValueOption{add("retry-after", "1")}
	}
	return m
}

func metadataIs(namespace, key, value string, absent bool) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_MetadataFilter{MetadataFilter: &accesslogv3.MetadataFilter{
		Matcher: &matcherv3.MetadataMatcher{
			Filter: namespace,
			Path:   []*matcherv3.MetadataMatcher_PathSegment{{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: key}}},
			Value:  &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: exactly(value)}},
		},
		MatchIfKeyNotFound: wrapperspb.Bool(absent),
	}}}
}

func pathBegins(prefix string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_HeaderFilter{HeaderFilter: &accesslogv3.HeaderFilter{
		Header: &routev3.HeaderMatcher{Name: ":path", HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: beginning(prefix)}},
	}}}
}

// statusIs matches a status; 0 matches all.
func statusIs(status uint32) *accesslogv3.AccessLogFilter {
	op := accesslogv3.ComparisonFilter_EQ
	if status == 0 {
		op = accesslogv3.ComparisonFilter_GE
	}
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{StatusCodeFilter: &accesslogv3.StatusCodeFilter{
		Comparison: &accesslogv3.ComparisonFilter{Op: op, Value: &corev3.RuntimeUInt32{DefaultValue: status, RuntimeKey: "signalbox.status"}},
	}}}
}

func and(fs ...*accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_AndFilter{AndFilter: &accesslogv3.AndFilter{Filters: fs}}}
}

func or(fs ...*accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{OrFilter: &accesslogv3.OrFilter{Filters: fs}}}
}
