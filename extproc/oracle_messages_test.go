package extproc

import (
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	logv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	aiv3 "github.com/envoyproxy/go-control-plane/envoy/data/ai/v3"
	priorityv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
)

// oracleRespond builds Envoy's response from a reply.
func oracleRespond(r *exchange.Reply) *extprocv3.ProcessingResponse {
	if r.Answer != nil {
		return oracleImmediate(r.Answer, r.Limits)
	}
	out := &extprocv3.ProcessingResponse{DynamicMetadata: dynamic(r), TypedDynamicMetadata: typed(r)}
	c := &extprocv3.CommonResponse{HeaderMutation: mutation(r), ClearRouteCache: r.Plan != nil}
	if r.Replace {
		c.BodyMutation = &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: r.Body}}
		if len(r.Body) == 0 {
			c.BodyMutation.Mutation = &extprocv3.BodyMutation_ClearBody{ClearBody: true}
		}
	}
	switch r.To {
	case exchange.ToRequestHead:
		out.Response = &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{Response: c}}
	case exchange.ToRequestBody:
		out.Response = &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: c}}
	case exchange.ToAnswerHead:
		out.Response = &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{Response: c}}
	case exchange.ToAnswerChunk:
		out.Response = &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{Response: c}}
	}
	return out
}

func mutation(r *exchange.Reply) *extprocv3.HeaderMutation {
	if len(r.Set) == 0 && len(r.Remove) == 0 && r.Status == 0 {
		return nil
	}
	m := &extprocv3.HeaderMutation{RemoveHeaders: r.Remove, SetHeaders: headers(r.Set)}
	if r.Status != 0 {
		m.SetHeaders = append(m.SetHeaders, header(":status", strconv.Itoa(r.Status)))
	}
	return m
}

func headers(hs []providers.Header) []*corev3.HeaderValueOption {
	out := make([]*corev3.HeaderValueOption, 0, len(hs)+1)
	for _, h := range hs {
		out = append(out, header(h.Name, h.Value))
	}
	return out
}

func header(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// typed makes the metadata that carries the plan, or what is left of it.
func typed(r *exchange.Reply) map[string]*anypb.Any {
	clusters := r.Steps
	if r.Plan != nil {
		clusters = r.Plan.Clusters
	}
	if len(clusters) == 0 {
		return nil
	}
	groups := &priorityv3.PriorityGroupsOverride{}
	for i, c := range clusters {
		name := c
		if r.Order != nil {
			name = strconv.Itoa(r.Order[i])
		}
		groups.PriorityGroups = append(groups.PriorityGroups, &priorityv3.PriorityGroup{Name: name, Clusters: []*priorityv3.ClusterWeight{{ClusterName: c, Weight: wrapperspb.UInt32(1)}}})
	}
	packed, err := anypb.New(groups)
	if err != nil {
		panic(err)
	}
	return map[string]*anypb.Any{NamespacePlan: packed}
}

// dynamic makes the metadata that carries the ticket and what the attempt's last filter needs.
func dynamic(r *exchange.Reply) *structpb.Struct {
	if r.Plan == nil && r.Attempt == nil {
		return nil
	}
	m := map[string]*structpb.Value{}
	if p := r.Plan; p != nil {
		m[NamespaceTicket] = object(map[string]*structpb.Value{
			"ticket":  structpb.NewStringValue(p.Ticket),
			"dialect": structpb.NewStringValue(string(p.Dialect)),
		})
	}
	if a := r.Attempt; a != nil {
		f := map[string]*structpb.Value{"len": structpb.NewStringValue(strconv.Itoa(a.Length))}
		if a.Target != "" {
			f["target"] = structpb.NewStringValue(a.Target)
			f["attempts"] = structpb.NewStringValue(strconv.Itoa(a.Number))
		}
		if a.Losses != "" || a.Number > 1 {
			f["losses"] = structpb.NewStringValue(a.Losses)
		}
		if a.Tokens != "" || a.Number > 1 && a.Target != "" {
			f["tokens"] = structpb.NewStringValue(a.Tokens)
		}
		m[NamespaceAttempt] = object(f)
	}
	oracleLimits(m, r.Limits)
	return &structpb.Struct{Fields: m}
}

func object(f map[string]*structpb.Value) *structpb.Value {
	return structpb.NewStructValue(&structpb.Struct{Fields: f})
}

func oracleLimits(m map[string]*structpb.Value, limits []providers.Header) {
	if len(limits) == 0 {
		return
	}
	f := map[string]*structpb.Value{}
	for _, h := range limits {
		f[h.Name] = structpb.NewStringValue(h.Value)
	}
	m[NamespaceLimits] = object(f)
}

// oracleImmediate builds an answer of our own.
func oracleImmediate(a *exchange.Answer, limits []providers.Header) *extprocv3.ProcessingResponse {
	m := map[string]*structpb.Value{
		NamespaceOwn: object(map[string]*structpb.Value{"body": structpb.NewStringValue("1")}),
	}
	oracleLimits(m, limits)
	return &extprocv3.ProcessingResponse{
		DynamicMetadata: &structpb.Struct{Fields: m},
		Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(a.Status)},
			Headers: &extprocv3.HeaderMutation{SetHeaders: headers(a.Header)},
			Body:    a.Body,
			Details: "signalbox",
		}},
	}
}

// StreamAccessLogs takes log entries until Envoy closes the stream. Nothing is answered.
func (s *oracle) StreamAccessLogs(st accesslogv3.AccessLogService_StreamAccessLogsServer) error {
	name := ""
	for {
		m, err := st.Recv()
		if err != nil {
			return st.SendAndClose(&accesslogv3.StreamAccessLogsResponse{})
		}
		if id := m.GetIdentifier(); id != nil {
			name = id.GetLogName()
		}
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			if name == LogAttempt {
				s.core.AttemptLogged(oracleAttemptEntry(e))
			} else {
				s.core.RequestLogged(oracleOutcome(e))
			}
		}
	}
}

func oracleAttemptEntry(e *logv3.HTTPAccessLogEntry) exchange.AttemptEntry {
	c := e.GetCommonProperties()
	end, why := oracleEnding(c.GetResponseFlags())
	a := exchange.AttemptEntry{
		ID:      e.GetRequest().GetRequestHeaders()["x-request-id"],
		Cluster: c.GetUpstreamCluster(),
		Status:  int(e.GetResponse().GetResponseCode().GetValue()),
		Ending:  end,
		Why:     join(why, c.GetUpstreamTransportFailureReason()),
		Took:    c.GetDuration().AsDuration(),
		First:   c.GetTimeToFirstUpstreamRxByte().AsDuration(),
	}
	if at := c.GetStartTime(); at != nil && at.AsTime().UnixNano() > 0 {
		a.Began = time.Unix(0, at.AsTime().UnixNano())
	}
	a.Header = oracleAnswerHeader(e)
	return a
}

func oracleAnswerHeader(e *logv3.HTTPAccessLogEntry) (h exchange.Header) {
	for n, v := range e.GetResponse().GetResponseHeaders() {
		h = append(h, providers.Header{Name: n, Value: v})
	}
	return h
}

func oracleOutcome(e *logv3.HTTPAccessLogEntry) exchange.Outcome {
	c := e.GetCommonProperties()
	end, why := oracleEnding(c.GetResponseFlags())
	o := exchange.Outcome{
		Ticket: c.GetMetadata().GetFilterMetadata()[NamespaceTicket].GetFields()["ticket"].GetStringValue(),
		Status: int(e.GetResponse().GetResponseCode().GetValue()),
		Ending: end,
		Why:    join(why, e.GetResponse().GetResponseCodeDetails()),
		Took:   c.GetDuration().AsDuration(),
		First:  c.GetTimeToFirstDownstreamTxByte().AsDuration(),
		Sent:   e.GetResponse().GetResponseBodyBytes(),
		Tries:  int(c.GetUpstreamRequestAttemptCount()),
		Header: oracleAnswerHeader(e),
	}
	if at := c.GetStartTime(); at != nil && at.AsTime().UnixNano() > 0 {
		o.Began = time.Unix(0, at.AsTime().UnixNano())
	}
	if sent := c.GetTimeToFirstUpstreamTxByte(); sent != nil && c.GetTimeToFirstUpstreamRxByte() != nil {
		o.Try.Sent = sent.AsDuration()
		o.Try.First = max(c.GetTimeToFirstUpstreamRxByte().AsDuration()-sent.AsDuration(), 0)
		o.Try.Took = max(c.GetTimeToLastUpstreamRxByte().AsDuration()-sent.AsDuration(), o.Try.First)
	}
	if t := c.GetMetadata().GetTypedFilterMetadata()[namespaceUsage]; t != nil {
		var u aiv3.TokenUsage
		if t.UnmarshalTo(&u) == nil {
			o.Model = u.GetModel()
			o.Usage, o.Partial = oracleReadUsage(&u), u.GetExtractionStatus() != aiv3.TokenUsage_COMPLETE
		}
	}
	return o
}

// oracleEnding names what Envoy's flags say.
func oracleEnding(f *logv3.ResponseFlags) (exchange.Ending, string) {
	switch {
	case f == nil:
		return exchange.EndedWell, ""
	case f.GetDownstreamConnectionTermination(), f.GetDownstreamRemoteReset():
		return exchange.EndedByClient, "client gone"
	case f.GetDownstreamProtocolError():
		return exchange.EndedByClient, "client broke the protocol"
	case f.GetUpstreamConnectionFailure():
		return exchange.EndedConnect, "connection failure"
	case f.GetNoHealthyUpstream():
		return exchange.EndedConnect, "no host"
	case f.GetNoClusterFound(), f.GetNoRouteFound():
		return exchange.EndedConnect, "no cluster"
	case f.GetUpstreamOverflow():
		return exchange.EndedConnect, "circuit breaker"
	case f.GetUpstreamRequestTimeout():
		return exchange.EndedTimeout, "no head in time"
	case f.GetStreamIdleTimeout():
		return exchange.EndedTimeout, "idle"
	case f.GetDurationTimeout(), f.GetUpstreamMaxStreamDurationReached():
		return exchange.EndedTimeout, "total deadline"
	case f.GetUpstreamConnectionTermination(), f.GetUpstreamRemoteReset():
		return exchange.EndedReset, "reset by the provider"
	case f.GetUpstreamProtocolError():
		return exchange.EndedReset, "protocol error"
	case f.GetLocalReset():
		return exchange.EndedInternally, "local reset"
	}
	return exchange.EndedWell, ""
}

// oracleReadUsage reads Envoy's extraction.
func oracleReadUsage(u *aiv3.TokenUsage) llm.Usage {
	count := func(v *wrapperspb.UInt64Value) llm.Count {
		if v == nil {
			return llm.Count{}
		}
		return llm.Tokens(int64(min(v.GetValue(), 1<<53)))
	}
	in, out := u.GetInputTokenDetails(), u.GetOutputTokenDetails()
	return llm.Usage{
		Input:      count(u.GetInputTokens()),
		Cached:     count(in.GetCachedTokens()),
		CacheWrite: count(in.GetCacheCreationTokens()),
		Output:     count(u.GetOutputTokens()),
		Reasoning:  count(out.GetReasoningTokens()),
	}
}
