package extproc

import (
	"log/slog"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
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
	core *exchange.Core
	log  *slog.Logger
}

// NewServer makes a server over core.
func NewServer(core *exchange.Core, log *slog.Logger) *Server { return &Server{core: core, log: log} }

// Methods returns the methods that it serves, by their paths.
func (s *Server) Methods() map[string]grpcwire.Open {
	return map[string]grpcwire.Open{
		extprocv3.ExternalProcessor_Process_FullMethodName:           s.process,
		accesslogv3.AccessLogService_StreamAccessLogs_FullMethodName: s.logs,
	}
}

// process serves one filter for one request.
func (s *Server) process(st *grpcwire.Stream, h grpcwire.Head) grpcwire.Handler {
	switch stage := h.Get(StageHeader); stage {
	case StagePlan:
		x := s.core.Begin()
		x.CameBy(st.Context().Done())
		x.Enter()
		return &planStream{st: st, x: x}
	case StageWatch, StageWork, StageListen:
		return &attemptStream{Server: s, st: st, work: stage != StageWatch}
	default:
		st.Finish(codes.InvalidArgument, "unknown stage in "+StageHeader)
		return nobody{}
	}
}

// nobody handles a stream that is over.
type nobody struct{}

func (nobody) Message([]byte) {}
func (nobody) End()           {}
func (nobody) Close()         {}

// position is how far the messages of a stream have come. Envoy sends them in this order, each once but for
// the answer's chunks; anything else would reach the state machine in a state that knows no answer to it.
type position struct{ at kind }

// take reads a message that may come now, or ends the stream.
func (p *position) take(st *grpcwire.Stream, m []byte) (request, bool) {
	r, ok := readRequest(m)
	switch {
	case !ok:
		unreadable(st)
	case !p.advance(r.kind):
		ok = false
		unexpected(st, r.kind)
	}
	return r, ok
}

// advance moves on to a message and reports whether it may come now.
func (p *position) advance(to kind) bool {
	ok := to > p.at && to < aboutTrailers && (p.at != aboutNothing || to == aboutRequestHead)
	if to == aboutAnswerChunk {
		ok = p.at >= aboutAnswerHead
	}
	if ok {
		p.at = to
	}
	return ok
}

func unexpected(st *grpcwire.Stream, k kind) {
	st.Finish(codes.InvalidArgument, k.String()+" is not expected now")
}

func unreadable(st *grpcwire.Stream) { st.Finish(codes.Internal, "the message cannot be read") }

// large is the size from which a body is not handled on the connection's goroutine, where others wait.
const large = 64 << 10
