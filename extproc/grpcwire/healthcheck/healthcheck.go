// Package healthcheck answers grpc.health.v1.Health/Check, which each Envoy calls every second of each service: by grpc-go that
// was three quarters of all that an idle service did. What is called more rarely, as Watch, is grpc-go's.
package healthcheck

import (
	"context"

	"google.golang.org/grpc/codes"
	grpchealth "google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
)

// Open serves the method, of what is told to a server of grpc-go's.
func Open(of *grpchealth.Server) grpcwire.Open {
	return func(st *grpcwire.Stream, _ grpcwire.Head) grpcwire.Handler { return &check{st: st, of: of} }
}

type check struct {
	st *grpcwire.Stream
	of *grpchealth.Server
}

// Message implements grpcwire.Handler.
func (c *check) Message(m []byte) {
	var asked healthv1.HealthCheckRequest
	if proto.Unmarshal(m, &asked) != nil {
		c.st.Finish(codes.Internal, "the message cannot be read")
		return
	}
	said, err := c.of.Check(context.Background(), &asked) // it looks into a map
	if err == nil {
		c.st.Send(encoded{said})
	}
	s := status.Convert(err)
	c.st.Finish(s.Code(), s.Message())
}

// End implements grpcwire.Handler.
func (c *check) End() { c.st.Finish(codes.InvalidArgument, "nothing was asked") } // unless it was

// Close implements grpcwire.Handler.
func (*check) Close() {}

// encoded is a message of the protobuf library.
type encoded struct{ proto.Message }

// AppendTo implements grpcwire.Message.
func (e encoded) AppendTo(dst []byte) (out, tail []byte) {
	out, err := proto.MarshalOptions{}.MarshalAppend(dst, e.Message)
	if err != nil {
		return dst, nil // a message of a number alone has none
	}
	return out, nil
}
