package otlp

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// overGRPC is the transport over gRPC.
type overGRPC struct {
	conn *grpc.ClientConn
}

func newGRPC(o Options, security *tls.Config) (*overGRPC, error) {
	cred := credentials.NewTLS(security)
	if o.Endpoint.Scheme == "http" {
		cred = insecure.NewCredentials()
	}
	host, port := o.Endpoint.Hostname(), o.Endpoint.Port()
	if port == "" {
		port = "4317"
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(cred), grpc.WithUserAgent("signalbox-otlp")}
	if o.Compress {
		opts = append(opts, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	conn, err := grpc.NewClient("dns:///"+net.JoinHostPort(host, port), opts...)
	if err != nil {
		return nil, err
	}
	return &overGRPC{conn: conn}, nil
}

func (t *overGRPC) send(ctx context.Context, s signal, hs []Header, request, reply proto.Message) error {
	pairs := make([]string, 0, 2*len(hs))
	for _, h := range hs {
		pairs = append(pairs, h.Name, h.Value.Reveal())
	}
	err := t.conn.Invoke(metadata.AppendToOutgoingContext(ctx, pairs...), s.method, request, reply)
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	e := &later{err: err}
	for _, d := range st.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			e.after = r.GetRetryDelay().AsDuration()
		}
	}
	switch st.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return e
	case codes.ResourceExhausted:
		if e.after > 0 { // otherwise it will not get better
			return e
		}
	}
	return err
}

func (t *overGRPC) close() { _ = t.conn.Close() }
