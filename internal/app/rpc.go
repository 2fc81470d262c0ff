package app

import (
	"time"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

// largest is the most that limits.body and limits.answer can be set to. The limits themselves are kept by
// Envoy and by exchanges, where a reload can change them.
const largest = 1 << 30

// slack is what a message may hold beside a body: headers, metadata, framing.
const slack = 1 << 20

// newRPC makes the gRPC server that Envoy's filters, logs and configuration streams connect to.
func newRPC(health *grpchealth.Server) *grpc.Server {
	const most = largest + slack
	g := grpc.NewServer(
		grpc.MaxRecvMsgSize(most),
		grpc.MaxSendMsgSize(most),
		grpc.MaxConcurrentStreams(1<<20),
		grpc.InitialWindowSize(1<<20), // a body of the usual size needs no window update
		grpc.InitialConnWindowSize(16<<20),
		grpc.WriteBufferSize(64<<10),
		grpc.ReadBufferSize(64<<10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	healthv1.RegisterHealthServer(g, health)
	return g
}
