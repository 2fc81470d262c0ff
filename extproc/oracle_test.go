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

// oracle is the server over grpc-go and the generated types. It is slow and plain, and what the server below
// grpc-go answers has to be what it answers.
type oracle struct {
	extprocv3.UnimplementedExternalProcessorServer
	accesslogv3.UnimplementedAccessLogServiceServer
	core *exchange.Core
	log  *slog.Logger
}

func (s *oracle) register(g *grpc.Server) {
	extprocv3.RegisterExternalProcessorServer(g, s)
	accesslogv3.RegisterAccessLogServiceServer(g, s)
}

// Process serves one filter for one request.
func (s *oracle) Process(st extprocv3.ExternalProcessor_ProcessServer) error {
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
func (s *oracle) plan(st extprocv3.ExternalProcessor_ProcessServer) error {
	x := s.core.Begin()
	var at oraclePosition
	for {
		m, err := st.Recv()
		if err != nil {
			return err
		}
		if !at.advance(m) {
			return oracleUnexpected(StagePlan, m)
		}
		var r exchange.Reply
		switch q := m.Request.(type) {
		case *extprocv3.ProcessingRequest_RequestHeaders:
			r = x.Head(st.Context(), oracleHeader(q.RequestHeaders.GetHeaders()), q.RequestHeaders.GetEndOfStream())
		case *extprocv3.ProcessingRequest_RequestBody:
			r = x.Body(st.Context(), q.RequestBody.GetBody())
		default:
			return oracleUnexpected(StagePlan, m)
		}
		if err := st.Send(oracleRespond(&r)); err != nil {
			return err
		}
		if r.Done {
			return nil
		}
	}
}

func oracleUnexpected(stage string, m *extprocv3.ProcessingRequest) error {
	return status.Errorf(codes.InvalidArgument, "unexpected %T in stage %s", m.Request, stage)
}

// oraclePosition is how far the messages of a stream have come. Envoy sends them in this order, each once but for
// the answer's chunks; anything else would reach the state machine in a state that knows no answer to it.
type oraclePosition uint8

const (
	atStart oraclePosition = iota
	atRequestHead
	atRequestBody
	atAnswerHead
	atAnswerChunk
)

// advance moves on to a message and reports whether it may come now.
func (p *oraclePosition) advance(m *extprocv3.ProcessingRequest) bool {
	var to oraclePosition
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
func (s *oracle) attempt(st extprocv3.ExternalProcessor_ProcessServer, work bool) error {
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
	h := &oracleStream{oracle: s, st: st, work: work}
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

// oracleStream is the state of one attempt's gRPC stream.
type oracleStream struct {
	*oracle
	st   extprocv3.ExternalProcessor_ProcessServer
	work bool
	at   oraclePosition
	a    *exchange.Attempt
}

func (h *oracleStream) end() {
	if h.a != nil {
		h.a.End()
	}
}

func (h *oracleStream) arm(t *time.Timer) {
	d := time.Hour
	if h.a != nil {
		if at, ok := h.a.Deadline(); ok {
			d = max(time.Until(at), 0)
		}
	}
	t.Reset(d)
}

func (h *oracleStream) expired() (bool, error) {
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

func (h *oracleStream) message(ctx context.Context, m *extprocv3.ProcessingRequest) (bool, error) {
	if !h.at.advance(m) {
		return true, oracleUnexpected(StageWork, m)
	}
	if h.a == nil {
		return h.begin(ctx, m)
	}
	switch q := m.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestBody:
		return h.send([]exchange.Reply{h.a.Request(ctx, q.RequestBody.GetBody())})
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		hd := oracleHeader(q.ResponseHeaders.GetHeaders())
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
	return true, oracleUnexpected(StageWork, m)
}

// begin takes the first message, the request's head, with the ticket and where Envoy is about to send it.
func (h *oracleStream) begin(ctx context.Context, m *extprocv3.ProcessingRequest) (bool, error) {
	q, ok := m.Request.(*extprocv3.ProcessingRequest_RequestHeaders)
	if !ok {
		return true, oracleUnexpected(StageWork, m)
	}
	at := m.GetAttributes()["envoy.filters.http.ext_proc"].GetFields()
	cluster := at["xds.cluster_name"].GetStringValue()
	n := int(at["upstream.request_attempt_count"].GetNumberValue())
	ticket := m.GetMetadataContext().GetFilterMetadata()[NamespaceTicket].GetFields()["ticket"].GetStringValue()
	hd := oracleHeader(q.RequestHeaders.GetHeaders())
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

func (h *oracleStream) send(rs []exchange.Reply) (done bool, err error) {
	for i := range rs {
		if err := h.st.Send(oracleRespond(&rs[i])); err != nil {
			return true, err
		}
		if rs[i].Done {
			return true, nil
		}
	}
	return false, nil
}

// oracleHeader copies a header map.
func oracleHeader(m *corev3.HeaderMap) exchange.Header {
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
