package extproc

import (
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	logv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	aiv3 "github.com/envoyproxy/go-control-plane/envoy/data/ai/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/ai/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/kept"
)

// TestEveryFlag names what each of Envoy's flags means. A flag that Envoy adds fails the test until it has a
// line here.
func TestEveryFlag(t *testing.T) {
	type meaning struct {
		ending exchange.Ending
		why    string
	}
	well := meaning{exchange.EndedWell, ""}
	want := map[string]meaning{
		"downstream_connection_termination":    {exchange.EndedByClient, "client gone"},
		"downstream_remote_reset":              {exchange.EndedByClient, "client gone"},
		"downstream_protocol_error":            {exchange.EndedByClient, "client broke the protocol"},
		"upstream_connection_failure":          {exchange.EndedConnect, "connection failure"},
		"no_healthy_upstream":                  {exchange.EndedConnect, "no host"},
		"no_cluster_found":                     {exchange.EndedConnect, "no cluster"},
		"no_route_found":                       {exchange.EndedConnect, "no cluster"},
		"upstream_overflow":                    {exchange.EndedConnect, "circuit breaker"},
		"upstream_request_timeout":             {exchange.EndedTimeout, "no head in time"},
		"stream_idle_timeout":                  {exchange.EndedTimeout, "idle"},
		"duration_timeout":                     {exchange.EndedTimeout, "total deadline"},
		"upstream_max_stream_duration_reached": {exchange.EndedTimeout, "total deadline"},
		"upstream_connection_termination":      {exchange.EndedReset, "reset by the provider"},
		"upstream_remote_reset":                {exchange.EndedReset, "reset by the provider"},
		"upstream_protocol_error":              {exchange.EndedReset, "protocol error"},
		"local_reset":                          {exchange.EndedInternally, "local reset"},

		// These say nothing of how an attempt of ours ended: local answers have their status, and the rest
		// belongs to features that are not configured.
		"failed_local_healthcheck":         well,
		"upstream_retry_limit_exceeded":    well,
		"delay_injected":                   well,
		"fault_injected":                   well,
		"rate_limited":                     well,
		"unauthorized_details":             well,
		"rate_limit_service_error":         well,
		"invalid_envoy_request_headers":    well,
		"response_from_cache_filter":       well,
		"no_filter_config_found":           well,
		"overload_manager":                 well,
		"dns_resolution_failure":           well,
		"unconditional_drop_overload":      well,
		"upstream_retry_budget_exceeded":   well,
		"upstream_request_queue_exhausted": well,
	}
	fields := (&logv3.ResponseFlags{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		flags := &logv3.ResponseFlags{}
		if fd.Kind() == protoreflect.BoolKind {
			flags.ProtoReflect().Set(fd, protoreflect.ValueOfBool(true))
		} else {
			flags.ProtoReflect().Set(fd, flags.ProtoReflect().NewField(fd))
		}
		w, ok := want[string(fd.Name())]
		if !ok {
			t.Errorf("%s: nobody has said what it means", fd.Name())
			continue
		}
		if e, why := ending(marshal(t, flags)); e != w.ending || why != w.why {
			t.Errorf("%s: got %v %q, want %v %q", fd.Name(), e, why, w.ending, w.why)
		}
	}
	if e, why := ending(nil); e != exchange.EndedWell || why != "" {
		t.Errorf("no flags: got %v %q", e, why)
	}
	both := &logv3.ResponseFlags{DownstreamConnectionTermination: true, LocalReset: true, UpstreamConnectionTermination: true}
	if e, _ := ending(marshal(t, both)); e != exchange.EndedByClient {
		t.Errorf("a client that leaves resets the provider too: got %v", e)
	}
}

func TestAttemptEntry(t *testing.T) {
	e := &logv3.HTTPAccessLogEntry{
		CommonProperties: &logv3.AccessLogCommon{
			UpstreamCluster: "openai", Duration: durationpb.New(3 * time.Second), TimeToFirstUpstreamRxByte: durationpb.New(time.Second),
			ResponseFlags: &logv3.ResponseFlags{UpstreamConnectionFailure: true}, UpstreamTransportFailureReason: "TLS_error",
		},
		Request:  &logv3.HTTPRequestProperties{RequestHeaders: map[string]string{"x-request-id": "request-1"}},
		Response: &logv3.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(503), ResponseHeaders: map[string]string{"retry-after": "3"}},
	}
	want := exchange.AttemptEntry{
		ID: "request-1", Cluster: "openai", Status: 503, Ending: exchange.EndedConnect, Why: "connection failure; TLS_error",
		Took: 3 * time.Second, First: time.Second, Header: exchange.Header{{Name: "retry-after", Value: "3"}},
	}
	if diff := cmp.Diff(attemptEntry(marshal(t, e)), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(attemptEntry(nil), exchange.AttemptEntry{}); diff != "" {
		t.Errorf("an empty entry (-got +want):\n%s", diff)
	}
}

func requestEntry(t testing.TB, held string, u *aiv3.TokenUsage) *logv3.HTTPAccessLogEntry {
	t.Helper()
	c := &logv3.AccessLogCommon{
		Duration: durationpb.New(5 * time.Second), TimeToFirstDownstreamTxByte: durationpb.New(2 * time.Second), UpstreamRequestAttemptCount: 2,
		Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{NamespaceTicket: {Fields: map[string]*structpb.Value{"ticket": structpb.NewStringValue(held)}}}},
	}
	if u != nil {
		a, err := anypb.New(u)
		if err != nil {
			t.Fatal(err)
		}
		c.Metadata.TypedFilterMetadata = map[string]*anypb.Any{namespaceUsage: a}
	}
	return &logv3.HTTPAccessLogEntry{CommonProperties: c, Response: &logv3.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(200), ResponseCodeDetails: "via_upstream", ResponseBodyBytes: 99}}
}

func TestOutcome(t *testing.T) {
	n := wrapperspb.UInt64
	base := exchange.Outcome{Ticket: "T", Status: 200, Why: "via_upstream", Took: 5 * time.Second, First: 2 * time.Second, Sent: 99, Tries: 2}
	for _, c := range []struct {
		name  string
		usage *aiv3.TokenUsage
		want  func(*exchange.Outcome)
	}{
		{"no usage", nil, func(*exchange.Outcome) {}},
		{"a complete usage", &aiv3.TokenUsage{
			ExtractionStatus: aiv3.TokenUsage_COMPLETE, InputTokens: n(10), OutputTokens: n(4),
			InputTokenDetails:  &aiv3.InputTokenDetails{CachedTokens: n(3), CacheCreationTokens: n(2)},
			OutputTokenDetails: &aiv3.OutputTokenDetails{ReasoningTokens: n(1)},
		}, func(o *exchange.Outcome) {
			o.Usage = llm.Usage{Input: llm.Tokens(10), Output: llm.Tokens(4), Cached: llm.Tokens(3), CacheWrite: llm.Tokens(2), Reasoning: llm.Tokens(1)}
		}},
		{"a partial one", &aiv3.TokenUsage{InputTokens: n(10)}, func(o *exchange.Outcome) { o.Usage, o.Partial = llm.Usage{Input: llm.Tokens(10)}, true }},
		{"reasoning that a provider of chat has in its total only", &aiv3.TokenUsage{
			LlmProtocol: typev3.LLMProtocol_OPENAI_CHAT_COMPLETIONS, ExtractionStatus: aiv3.TokenUsage_COMPLETE, InputTokens: n(10), OutputTokens: n(4), ProviderTotalTokens: n(17),
			OutputTokenDetails: &aiv3.OutputTokenDetails{ReasoningTokens: n(3)},
		}, func(o *exchange.Outcome) {
			o.Usage = llm.Usage{Input: llm.Tokens(10), Output: llm.Tokens(7), Reasoning: llm.Tokens(3)}
		}},
		{"a total that another API's provider has of its own", &aiv3.TokenUsage{
			LlmProtocol: typev3.LLMProtocol_GEMINI_GENERATE_CONTENT, ExtractionStatus: aiv3.TokenUsage_COMPLETE, InputTokens: n(10), OutputTokens: n(4), ProviderTotalTokens: n(17),
		}, func(o *exchange.Outcome) {
			o.Usage = llm.Usage{Input: llm.Tokens(10), Output: llm.Tokens(4)}
		}},
		{"more tokens than there can be", &aiv3.TokenUsage{ExtractionStatus: aiv3.TokenUsage_COMPLETE, InputTokens: n(1 << 63)}, func(o *exchange.Outcome) { o.Usage.Input = llm.Tokens(1 << 53) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := base
			c.want(&want)
			if diff := cmp.Diff(outcome(marshal(t, requestEntry(t, "T", c.usage))), want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(outcome(nil), exchange.Outcome{}); diff != "" {
		t.Errorf("an empty entry (-got +want):\n%s", diff)
	}
	held := requestEntry(t, "T", nil)
	held.CommonProperties.Metadata.FilterMetadata[namespaceKept] = &structpb.Struct{Fields: map[string]*structpb.Value{"head": structpb.NewStringValue("h"), "tail": structpb.NewStringValue("t")}}
	want := base
	want.Kept = kept.Pieces{Head: "h", Tail: "t"}
	if diff := cmp.Diff(outcome(marshal(t, held)), want); diff != "" {
		t.Errorf("what was kept of an answer (-got +want):\n%s", diff)
	}
	foreign := requestEntry(t, "T", nil)
	foreign.CommonProperties.Metadata.TypedFilterMetadata = map[string]*anypb.Any{namespaceUsage: {TypeUrl: "type.googleapis.com/nothing", Value: []byte{1}}}
	if diff := cmp.Diff(outcome(marshal(t, foreign)), base); diff != "" {
		t.Errorf("metadata of another type (-got +want):\n%s", diff)
	}
}

// TestTheLogSaysWhichStepsEnvoyTook puts into a log what a reply gave to Envoy, which copies it.
func TestTheLogSaysWhichStepsEnvoyTook(t *testing.T) {
	svc := exchange.ServiceCluster
	for _, c := range []struct {
		name  string
		reply exchange.Reply
		tries uint32
		want  []int
	}{
		{"others than the plan's", exchange.Reply{To: exchange.ToAnswerHead, Steps: []string{"a", svc, "a", "b", svc}, Order: []int{0, 1, 2, 12, 14}}, 3, []int{0, 1, 2, 12, 14}},
		{"the plan's own", exchange.Reply{To: exchange.ToRequestBody, Plan: &exchange.Routed{Clusters: []string{"a", "b", svc}, Ticket: "T"}}, 2, nil},
		{"a plan of clusters with numbers for names", exchange.Reply{To: exchange.ToRequestBody, Plan: &exchange.Routed{Clusters: []string{"1", "2", svc}, Ticket: "T"}}, 2, nil},
		{"some that go back", exchange.Reply{To: exchange.ToAnswerHead, Steps: []string{"a", "b", svc}, Order: []int{0, 0, 2}}, 2, nil},
		{"more than there can be", exchange.Reply{To: exchange.ToAnswerHead, Steps: []string{"a", svc}, Order: []int{0, ticket.MaxLegs + 1}}, 2, nil},
		{"none behind the first attempt", exchange.Reply{To: exchange.ToAnswerHead, Steps: []string{"a", svc}, Order: []int{0, 3}}, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := new(extprocv3.ProcessingResponse)
			if err := proto.Unmarshal(encode(&c.reply), said); err != nil {
				t.Fatal(err)
			}
			e := requestEntry(t, "T", nil)
			e.CommonProperties.UpstreamRequestAttemptCount = c.tries
			e.CommonProperties.Metadata.TypedFilterMetadata = said.GetTypedDynamicMetadata()
			if diff := cmp.Diff(outcome(marshal(t, e)).Order, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

// TestTheNameOfALogIsSaidOnce plays two logs: only their first message says which they are.
func TestTheNameOfALogIsSaidOnce(t *testing.T) {
	seen := &log{}
	s := newServer(t, seen)
	held := plan(t, s)
	message := func(name string, es ...*logv3.HTTPAccessLogEntry) *accesslogv3.StreamAccessLogsMessage {
		m := &accesslogv3.StreamAccessLogsMessage{LogEntries: &accesslogv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: &accesslogv3.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: es}}}
		if name != "" {
			m.Identifier = &accesslogv3.StreamAccessLogsMessage_Identifier{LogName: name}
		}
		return m
	}
	try := func(cluster string, status uint32) *logv3.HTTPAccessLogEntry {
		return &logv3.HTTPAccessLogEntry{
			CommonProperties: &logv3.AccessLogCommon{UpstreamCluster: cluster}, Request: &logv3.HTTPRequestProperties{RequestHeaders: map[string]string{"x-request-id": "request-1"}},
			Response: &logv3.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(status), ResponseHeaders: map[string]string{}},
		}
	}
	attempts := []*accesslogv3.StreamAccessLogsMessage{message(LogAttempt, try("openai", 503)), message("", try("anthropic", 200), try("signalbox", 200)), {}}
	requests := []*accesslogv3.StreamAccessLogsMessage{message(LogRequest), message("", requestEntry(t, held, nil), requestEntry(t, "", nil), requestEntry(t, "{", nil))}
	l := connect(t, s)
	for _, in := range [][]*accesslogv3.StreamAccessLogsMessage{attempts, requests} {
		l.log(t, in)
	}
	want := []exchange.AttemptSeen{{N: 1, Provider: "openai", Path: ticket.Watched, Code: llm.CodeOverloaded, Status: 503}, {N: 2, Provider: "anthropic", Path: ticket.Worked, Status: 200}}
	for i := range seen.attempts {
		a := &seen.attempts[i]
		if a.Ticket == nil || a.Ticket.ID != "request-1" || a.At == nil || a.At.Name != a.Provider {
			t.Errorf("attempt %d is not told whose it is: %+v", i+1, a)
		}
		a.Ticket, a.At = nil, nil
	}
	if diff := cmp.Diff(seen.attempts, want); diff != "" {
		t.Errorf("attempts (-got +want):\n%s", diff)
	}
	if len(seen.closed) != 1 || seen.closed[0].Last.Provider != "anthropic" {
		t.Errorf("closed: %+v", seen.closed)
	}
}
