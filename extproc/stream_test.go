package extproc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/routing"
)

// link is Envoy's side of a connection to a server, in memory.
type link struct {
	*grpc.ClientConn
	processor extprocv3.ExternalProcessorClient
	logs      accesslogv3.AccessLogServiceClient
}

// pipes listens for connections in memory.
type pipes struct {
	come chan net.Conn
	done chan struct{}
	once sync.Once
}

func newPipes() *pipes { return &pipes{come: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(context.Context, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.come <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// connect connects to the server below grpc-go.
func connect(t testing.TB, s *Server) *link {
	t.Helper()
	w := grpcwire.New(s.Methods(), grpcwire.Options{MaxMessage: 64 << 20})
	return linkTo(t, w.Serve, func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.Stop(ctx)
	})
}

// linkTo connects to any server.
func linkTo(t testing.TB, serve func(net.Listener) error, stop func()) *link {
	t.Helper()
	p := newPipes()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = serve(p)
	}()
	c, err := grpc.NewClient("passthrough:pipe", grpc.WithContextDialer(p.dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		stop()
		<-served
	})
	return &link{c, extprocv3.NewExternalProcessorClient(c), accesslogv3.NewAccessLogServiceClient(c)}
}

// play sends messages on a stream of a stage, and then its end, and returns what is answered.
func (l *link) play(t testing.TB, stage string, in ...*extprocv3.ProcessingRequest) ([]*extprocv3.ProcessingResponse, error) {
	t.Helper()
	ctx := t.Context()
	if stage != "" {
		ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs(StageHeader, stage))
	}
	st, err := l.processor.Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range in {
		if err := st.Send(m); err != nil { // the server has ended it
			break
		}
	}
	_ = st.CloseSend()
	return drain(st)
}

// drain receives to the end of a stream.
func drain(st extprocv3.ExternalProcessor_ProcessClient) ([]*extprocv3.ProcessingResponse, error) {
	var out []*extprocv3.ProcessingResponse
	for {
		m, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
}

// process runs a filter's stream to its end.
func process(t testing.TB, s *Server, stage string, in ...*extprocv3.ProcessingRequest) ([]*extprocv3.ProcessingResponse, error) {
	t.Helper()
	return connect(t, s).play(t, stage, in...)
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
	return NewServer(newCore(t, exchange.Options{Observer: seen, Hear: -1}), slog.New(slog.DiscardHandler))
}

func newCore(t testing.TB, o exchange.Options) *exchange.Core {
	t.Helper()
	ps := map[string]*providers.Provider{}
	for _, name := range []string{"openai", "anthropic", "mock"} {
		k, _ := all.Kinds().Kind(name)
		u, err := providers.ParseBase(cmp.Or(k.BaseURL, "http://127.0.0.1:9/v1"))
		if err != nil {
			t.Fatal(err)
		}
		var params any
		if k.Params != nil {
			params = k.Params()
		}
		a, err := k.New(providers.Env{Name: name, BaseURL: u}, params)
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
	return exchange.New(&exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{route}, nil), Providers: ps, Registry: all.Kinds(), Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
		Servers: map[dialect.Name]dialect.Server{dialect.OpenAIChat: openaichat.New(), dialect.AnthropicMessages: anthropicmessages.New()},
	}, o)
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
