package extproc

import (
	"strings"

	logv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	aiv3 "github.com/envoyproxy/go-control-plane/envoy/data/ai/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
)

// Names of Envoy's logs.
const (
	LogRequest = "request"
	LogAttempt = "attempt"
)

// namespaceUsage is where Envoy's own filter puts the token usage of an answer.
const namespaceUsage = "envoy.ai.token_usage"

// StreamAccessLogs takes log entries until Envoy closes the stream. Nothing is answered.
func (s *Server) StreamAccessLogs(st accesslogv3.AccessLogService_StreamAccessLogsServer) error {
	name := ""
	for {
		m, err := st.Recv()
		if err != nil {
			return nil //nolint:nilerr // the end of a stream says nothing of an exchange
		}
		if id := m.GetIdentifier(); id != nil {
			name = id.GetLogName()
		}
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			if name == LogAttempt {
				s.core.AttemptLogged(attemptEntry(e))
			} else {
				s.core.RequestLogged(outcome(e))
			}
		}
	}
}

func attemptEntry(e *logv3.HTTPAccessLogEntry) exchange.AttemptEntry {
	c := e.GetCommonProperties()
	end, why := ending(c.GetResponseFlags())
	a := exchange.AttemptEntry{
		ID:      e.GetRequest().GetRequestHeaders()["x-request-id"],
		Cluster: c.GetUpstreamCluster(),
		Status:  int(e.GetResponse().GetResponseCode().GetValue()),
		Ending:  end,
		Why:     join(why, c.GetUpstreamTransportFailureReason()),
		Took:    c.GetDuration().AsDuration(),
		First:   c.GetTimeToFirstUpstreamRxByte().AsDuration(),
	}
	a.Header = answerHeader(e)
	return a
}

func answerHeader(e *logv3.HTTPAccessLogEntry) (h exchange.Header) {
	for n, v := range e.GetResponse().GetResponseHeaders() {
		h = append(h, providers.Header{Name: n, Value: v})
	}
	return h
}

func outcome(e *logv3.HTTPAccessLogEntry) exchange.Outcome {
	c := e.GetCommonProperties()
	end, why := ending(c.GetResponseFlags())
	o := exchange.Outcome{
		Ticket: c.GetMetadata().GetFilterMetadata()[NamespaceTicket].GetFields()["ticket"].GetStringValue(),
		Status: int(e.GetResponse().GetResponseCode().GetValue()),
		Ending: end,
		Why:    join(why, e.GetResponse().GetResponseCodeDetails()),
		Took:   c.GetDuration().AsDuration(),
		First:  c.GetTimeToFirstDownstreamTxByte().AsDuration(),
		Sent:   e.GetResponse().GetResponseBodyBytes(),
		Tries:  int(c.GetUpstreamRequestAttemptCount()),
		Header: answerHeader(e),
	}
	if sent := c.GetTimeToFirstUpstreamTxByte(); sent != nil && c.GetTimeToFirstUpstreamRxByte() != nil {
		o.Try.First = max(c.GetTimeToFirstUpstreamRxByte().AsDuration()-sent.AsDuration(), 0)
		o.Try.Took = max(c.GetTimeToLastUpstreamRxByte().AsDuration()-sent.AsDuration(), o.Try.First)
	}
	if t := c.GetMetadata().GetTypedFilterMetadata()[namespaceUsage]; t != nil {
		var u aiv3.TokenUsage
		if t.UnmarshalTo(&u) == nil {
			o.Usage, o.Partial = readUsage(&u), u.GetExtractionStatus() != aiv3.TokenUsage_COMPLETE
		}
	}
	return o
}

// ending names what Envoy's flags say.
func ending(f *logv3.ResponseFlags) (exchange.Ending, string) {
	switch {
	case f == nil:
		return exchange.EndedWell, ""
	case f.GetDownstreamConnectionTermination():
		return exchange.EndedByClient, "client gone"
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

func join(a, b string) string { return strings.Trim(a+"; "+b, "; ") }

// readUsage reads Envoy's extraction.
func readUsage(u *aiv3.TokenUsage) llm.Usage {
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
