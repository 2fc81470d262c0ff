package app

import (
	"context"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/signalbox-ai/signalbox/envoy"
	"github.com/signalbox-ai/signalbox/extproc"
	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
	"github.com/signalbox-ai/signalbox/extproc/grpcwire/healthcheck"
)

// largest is the most that limits.body and limits.answer can be set to. The limits themselves are kept by
// Envoy and by exchanges, where a reload can change them.
const largest = 1 << 30

// slack is what a message may hold beside a body: headers, metadata, framing.
const slack = 1 << 20

// rpc serves Envoy on one socket: the filters and logs of every request and checks of health below grpc-go, and what is called now
// and then by grpc-go.
type rpc struct {
	*grpcwire.Server
	rest *grpc.Server
}

func newRPC(e *extproc.Server, health *grpchealth.Server, xds *envoy.Server) *rpc {
	g := grpc.NewServer()
	healthv1.RegisterHealthServer(g, health)
	xds.Register(g)
	methods := e.Methods()
	methods[healthv1.Health_Check_FullMethodName] = healthcheck.Open(health)
	return &rpc{grpcwire.New(methods, grpcwire.Options{Rest: g, MaxMessage: largest + slack}), g}
}

// stop ends everything at once: who waits for exchanges has done so before.
func (r *rpc) stop() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	r.Stop(now)
	r.rest.Stop()
}
