package extproc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/providers"
)

// StageHeader is the gRPC metadata by which Envoy's filters say which of them speaks.
const StageHeader = "x-stage"

// Stages.
const (
	StagePlan   = "plan"   // downstream: the request's head and whole body
	StageWatch  = "watch"  // upstream, attempt 1 as the plan made it: the answer is judged
	StageWork   = "work"   // upstream: the request is rewritten, the answer judged or rewritten
	StageListen = "listen" // upstream: the request's head is rewritten, the answer's bytes pass and are listened to
)

// Server serves Envoy.
type Server struct {
	extprocv3.UnimplementedExternalProcessorServer
	accesslogv3.UnimplementedAccessLogServiceServer
	core *exchange.Core
	log  *slog.Logger
}

// NewServer makes a server over core.
func NewServer(core *exchange.Core, log *slog.Logger) *Server { return &Server{core: core, log: log} }

// Register adds the services to g.
func (s *Server) Register(g *grpc.Server) {
	extprocv3.RegisterExternalProcessorServer(g, s)
	accesslogv3.RegisterAccessLogServiceServer(g, s)
}

// Process serves one filter for one request.
func (s *Server) Process(st extprocv3.ExternalProcessor_ProcessServer) error {
	md, _ := metadata.FromIncomingContext(st.Context())
	stage := ""
	if v := md.Get(StageHeader); len(v) > 0 {
		stage = v[0]
	}
	var err error
	switch stage {
	case StagePlan:
		err = s.plan(st)
	case StageWatch, StageWork, StageListen:
		err = s.attempt(st, stage != StageWatch)
	default:
		err = status.Errorf(codes.InvalidArgument, "unknown stage %q in %s", stage, StageHeader)
	}
	if errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled || st.Context().Err() != nil {
		return nil
	}
	return err
}

// plan serves the plan stage: head, body, and no more.
func (s *Server) plan(st extprocv3.ExternalProcessor_ProcessServer) error {
	x := s.core.Begin()
	var at position
	for {
		m, err := st.Recv()
		if err != nil {
			return err
		}
		if !at.advance(m) {
			return unexpected(StagePlan, m)
		}
		var r exchange.Reply
		switch q := m.Request.(type) {
		case *extprocv3.ProcessingRequest_RequestHeaders:
			r = x.Head(st.Context(), headerOf(q.RequestHeaders.GetHeaders()), q.RequestHeaders.GetEndOfStream())
		case *extprocv3.ProcessingRequest_RequestBody:
			r = x.Body(st.Context(), q.RequestBody.GetBody())
		default:
			return unexpected(StagePlan, m)
		}
		if err := st.Send(respond(&r)); err != nil {
			return err
		}
		if r.Done {
			return nil
		}
	}
}

func unexpected(stage string, m *extprocv3.ProcessingRequest) error {
	return status.Errorf(codes.InvalidArgument, "unexpected %T in stage %s", m.Request, stage)
}

// position is how far the messages of a stream have come. Envoy sends them in this order, each once but for
// the answer's chunks; anything else would reach the state machine in a state that knows no answer to it.
type position uint8

const (
	atStart position = iota
	atRequestHead
	atRequestBody
	atAnswerHead
	atAnswerChunk
)

// advance moves on to a message and reports whether it may come now.
func (p *position) advance(m *extprocv3.ProcessingRequest) bool {
	var to position
	switch m.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		to = atRequestHead
	case *extprocv3.ProcessingRequest_RequestBody:
		to = atRequestBody
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		to = atAnswerHead
	case *extprocv3.ProcessingRequest_ResponseBody:
		to = atAnswerChunk
	}
	ok := to > *p && (*p != atStart || to == atRequestHead)
	if to == atAnswerChunk {
		ok = *p >= atAnswerHead
	}
	if ok {
		*p = to
	}
	return ok
}

// received is a message from Envoy, or the end.
type received struct {
	m   *extprocv3.ProcessingRequest
	err error
}

// attempt serves an attempt: its request where it is rewritten, and its answer.
func (s *Server) attempt(st extprocv3.ExternalProcessor_ProcessServer, work bool) error {
	ctx := st.Context()
	msgs := make(chan received, 1)
	go func() { // ends with the stream: Recv fails once this method has returned
		for {
			m, err := st.Recv()
			select {
			case msgs <- received{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	h := &attemptStream{Server: s, st: st, work: work}
	defer h.end()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		h.arm(timer)
		var done bool
		var err error
		select {
		case r := <-msgs:
			if r.err != nil {
				return r.err
			}
			done, err = h.message(ctx, r.m)
		case <-timer.C:
			done, err = h.expired()
		case <-ctx.Done():
			return ctx.Err()
		}
		if done || err != nil {
			return err
		}
	}
}

// attemptStream is the state of one attempt's gRPC stream.
type attemptStream struct {
	*Server
	st   extprocv3.ExternalProcessor_ProcessServer
	work bool
	at   position
	a    *exchange.Attempt
}

func (h *attemptStream) end() {
	if h.a != nil {
		h.a.End()
	}
}

func (h *attemptStream) arm(t *time.Timer) {
	d := time.Hour
	if h.a != nil {
		if at, ok := h.a.Deadline(); ok {
			d = max(time.Until(at), 0)
		}
	}
	t.Reset(d)
}

func (h *attemptStream) expired() (bool, error) {
	if h.a == nil {
		return false, nil
	}
	at, ok := h.a.Deadline()
	if !ok || time.Until(at) > 0 {
		return false, nil
	}
	rs, err := h.a.Expire()
	if err != nil {
		return true, status.Error(codes.DeadlineExceeded, err.Error())
	}
	return h.send(rs)
}

func (h *attemptStream) message(ctx context.Context, m *extprocv3.ProcessingRequest) (bool, error) {
	if !h.at.advance(m) {
		return true, unexpected(StageWork, m)
	}
	if h.a == nil {
		return h.begin(ctx, m)
	}
	switch q := m.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestBody:
		return h.send([]exchange.Reply{h.a.Request(ctx, q.RequestBody.GetBody())})
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		hd := headerOf(q.ResponseHeaders.GetHeaders())
		code, _ := strconv.Atoi(hd.Get(":status"))
		return h.send(h.a.AnswerHead(code, hd, q.ResponseHeaders.GetEndOfStream()))
	case *extprocv3.ProcessingRequest_ResponseBody:
		rs, err := h.a.AnswerChunk(q.ResponseBody.GetBody(), q.ResponseBody.GetEndOfStream())
		if err != nil {
			h.log.Warn("attempt broken off", "error", err)
			return true, status.Error(codes.Aborted, "the answer cannot be read")
		}
		return h.send(rs)
	}
	return true, unexpected(StageWork, m)
}

// begin takes the first message, the request's head, with the ticket and where Envoy is about to send it.
func (h *attemptStream) begin(ctx context.Context, m *extprocv3.ProcessingRequest) (bool, error) {
	q, ok := m.Request.(*extprocv3.ProcessingRequest_RequestHeaders)
	if !ok {
		return true, unexpected(StageWork, m)
	}
	at := m.GetAttributes()["envoy.filters.http.ext_proc"].GetFields()
	cluster := at["xds.cluster_name"].GetStringValue()
	n := int(at["upstream.request_attempt_count"].GetNumberValue())
	ticket := m.GetMetadataContext().GetFilterMetadata()[NamespaceTicket].GetFields()["ticket"].GetStringValue()
	hd := headerOf(q.RequestHeaders.GetHeaders())
	if cluster == exchange.ServiceCluster {
		return h.send([]exchange.Reply{{Answer: h.core.Verdict(ctx, ticket, hd), Done: true}})
	}
	a, answer := h.core.Try(ticket, n, cluster, hd)
	if answer != nil {
		return h.send([]exchange.Reply{{Answer: answer, Done: true}})
	}
	h.a = a
	if !h.work {
		return h.send([]exchange.Reply{{To: exchange.ToRequestHead}})
	}
	if q.RequestHeaders.GetEndOfStream() || a.Socket() {
		if !a.Bodyless() {
			return true, errors.New("an attempt without a body")
		}
		return h.send([]exchange.Reply{a.Bare(ctx)})
	}
	return h.send([]exchange.Reply{{To: exchange.ToRequestHead}})
}

func (h *attemptStream) send(rs []exchange.Reply) (done bool, err error) {
	for i := range rs {
		if err := h.st.Send(respond(&rs[i])); err != nil {
			return true, err
		}
		if rs[i].Done {
			return true, nil
		}
	}
	return false, nil
}

// headerOf copies a header map.
func headerOf(m *corev3.HeaderMap) exchange.Header {
	hs := m.GetHeaders()
	out := make(exchange.Header, len(hs))
	for i, h := range hs {
		v := h.GetValue()
		if raw := h.GetRawValue(); len(raw) > 0 {
			v = string(raw)
		}
		out[i] = providers.Header{Name: h.GetKey(), Value: v}
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }
