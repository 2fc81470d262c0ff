package extproc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/routing"
)

// stream is Envoy's side of a gRPC stream, in memory: the messages it sends, then its end.
type stream struct {
	grpc.ServerStream
	ctx  context.Context
	in   []*extprocv3.ProcessingRequest
	wait bool // stay open after the last message, until the context ends
	out  []*extprocv3.ProcessingResponse
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) Recv() (*extprocv3.ProcessingRequest, error) {
	if len(s.in) == 0 {
		if s.wait {
			<-s.ctx.Done()
			return nil, s.ctx.Err()
		}
		return nil, io.EOF
	}
	m := s.in[0]
	s.in = s.in[1:]
	return m, nil
}

func (s *stream) Send(m *extprocv3.ProcessingResponse) error {
	s.out = append(s.out, m)
	return nil
}

// process runs a filter's stream to its end.
func process(t testing.TB, s *Server, stage string, in ...*extprocv3.ProcessingRequest) ([]*extprocv3.ProcessingResponse, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.NewIncomingContext(t.Context(), metadata.Pairs(StageHeader, stage)))
	defer cancel()
	st := &stream{ctx: ctx, in: in}
	err := s.Process(st)
	return st.out, err
}

// log keeps what the core is told by the access log service.
type log struct {
	attempts []exchange.AttemptSeen
	closed   []exchange.Closed
	planned  int
}

func (*log) Refused(exchange.Refusal)         {}
func (l *log) Planned(exchange.Planned)       { l.planned++ }
func (*log) Lost(_, _ dialect.Name, _ int)    {}
func (l *log) Attempt(a exchange.AttemptSeen) { l.attempts = append(l.attempts, a) }
func (l *log) Closed(c exchange.Closed)       { l.closed = append(l.closed, c) }

// newServer makes a server whose one route tries openai and then anthropic.
func newServer(t testing.TB, seen exchange.Observer) *Server {
	t.Helper()
	ps := map[string]*providers.Provider{}
	for _, name := range []string{"openai", "anthropic"} {
		k, _ := all.Kinds().Kind(name)
		u, err := providers.ParseBase(k.BaseURL)
		if err != nil {
			t.Fatal(err)
		}
		a, err := k.New(providers.Env{Name: name, BaseURL: u}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ps[name] = &providers.Provider{Name: name, Kind: name, Base: u, Adapter: a, Keys: providers.NewKeyring(providers.Key{ID: "k", Secret: secret.New("sk-of-" + name)})}
	}
	route := &routing.Route{
		Name: "r", Models: []string{"*"}, Show: true, Usage: routing.UsagePass, Failover: routing.Failover{FirstToken: true},
		Targets:   []routing.Target{{Provider: "openai", Model: "gpt-5.1"}, {Provider: "anthropic", Model: "claude-sonnet-4-5"}},
		Deadlines: routing.Deadlines{FirstToken: time.Minute, Total: time.Hour},
	}
	core := exchange.New(&exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{route}, nil), Providers: ps, Registry: all.Kinds(), Keys: auth.Open(), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
		Servers: map[dialect.Name]dialect.Server{dialect.OpenAIChat: openaichat.New(), dialect.AnthropicMessages: anthropicmessages.New()},
	}, exchange.Options{Observer: seen})
	return NewServer(core, slog.New(slog.DiscardHandler))
}

func headerMap(pairs ...string) *corev3.HeaderMap {
	m := &corev3.HeaderMap{}
	for i := 0; i < len(pairs); i += 2 {
		m.Headers = append(m.Headers, &corev3.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return m
}

func requestHead(end bool, pairs ...string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{Headers: headerMap(pairs...), EndOfStream: end}}}
}

func requestBody(b string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte(b), EndOfStream: true}}}
}

func answerHead(end bool, pairs ...string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: headerMap(pairs...), EndOfStream: end}}}
}

func answerBody(b string, end bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{Body: []byte(b), EndOfStream: end}}}
}

// attemptHead is the head of attempt n as Envoy sends it: with the ticket, and where it goes.
func attemptHead(ticket string, n int, cluster string, pairs ...string) *extprocv3.ProcessingRequest {
	m := requestHead(false, pairs...)
	field := func(name string, v *structpb.Value) *structpb.Struct {
		return &structpb.Struct{Fields: map[string]*structpb.Value{name: v}}
	}
	m.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{NamespaceTicket: field("ticket", structpb.NewStringValue(ticket))}}
	at := field("xds.cluster_name", structpb.NewStringValue(cluster))
	at.Fields["upstream.request_attempt_count"] = structpb.NewNumberValue(float64(n))
	m.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": at}
	return m
}

const goodBody = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`

func planHead() *extprocv3.ProcessingRequest {
	return requestHead(false, ":method", "POST", ":path", "/v1/chat/completions", "content-type", "application/json", "x-request-id", "request-1")
}

// plan runs the plan stage of a good request and returns its ticket.
func plan(t testing.TB, s *Server) string {
	t.Helper()
	out, err := process(t, s, StagePlan, planHead(), requestBody(goodBody))
	if err != nil || len(out) != 2 {
		t.Fatalf("%d replies, %v", len(out), err)
	}
	return out[1].GetDynamicMetadata().GetFields()[NamespaceTicket].GetStructValue().GetFields()["ticket"].GetStringValue()
}

// kindOf says what a response answers.
func kindOf(r *extprocv3.ProcessingResponse) string {
	switch r.GetResponse().(type) {
	case *extprocv3.ProcessingResponse_RequestHeaders:
		return "request head"
	case *extprocv3.ProcessingResponse_RequestBody:
		return "request body"
	case *extprocv3.ProcessingResponse_ResponseHeaders:
		return "answer head"
	case *extprocv3.ProcessingResponse_ResponseBody:
		return "answer chunk"
	case *extprocv3.ProcessingResponse_ImmediateResponse:
		return "immediate"
	}
	return fmt.Sprintf("%T", r.GetResponse())
}

func kindsOf(rs []*extprocv3.ProcessingResponse) []string {
	var out []string
	for _, r := range rs {
		out = append(out, kindOf(r))
	}
	return out
}
