package extproc

import (
	"google.golang.org/grpc/codes"

	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
)

// Names of Envoy's logs.
const (
	LogRequest = "request"
	LogAttempt = "attempt"
)

// logStream takes log entries until Envoy closes the stream, which is answered with nothing.
type logStream struct {
	*Server
	st   *grpcwire.Stream
	name string // said by the first message
}

func (s *Server) logs(st *grpcwire.Stream, _ grpcwire.Head) grpcwire.Handler {
	return &logStream{Server: s, st: st}
}

// Message implements grpcwire.Handler.
func (l *logStream) Message(m []byte) {
	if id := find(m, 1); len(id) > 0 {
		l.name = string(find(id, 2))
	}
	for entries := find(m, 2); len(entries) > 0; {
		f, rest, ok := next(entries)
		if !ok {
			l.st.Finish(codes.Internal, "the message cannot be read")
			return
		}
		switch {
		case f.number != 1:
		case l.name == LogAttempt:
			l.core.AttemptLogged(attemptEntry(f.data))
		default:
			l.core.RequestLogged(outcome(f.data))
		}
		entries = rest
	}
}

// End implements grpcwire.Handler.
func (l *logStream) End() {
	l.st.Send(empty{})
	l.st.Finish(codes.OK, "")
}

// empty is a message without fields, such as StreamAccessLogsResponse.
type empty struct{}

// AppendTo implements grpcwire.Message.
func (empty) AppendTo(dst []byte) (out, tail []byte) { return dst, nil }

// Close implements grpcwire.Handler.
func (*logStream) Close() {}
