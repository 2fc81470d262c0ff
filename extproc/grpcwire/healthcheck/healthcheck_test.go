package healthcheck_test

import (
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpchealth "google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
	"github.com/signalbox-ai/signalbox/extproc/grpcwire/healthcheck"
)

// TestHealthIsTold asks as Envoy does, of a server that has nothing else, so that grpc-go's cannot answer.
func TestHealthIsTold(t *testing.T) {
	health := grpchealth.NewServer()
	s := grpcwire.New(map[string]grpcwire.Open{healthv1.Health_Check_FullMethodName: healthcheck.Open(health)}, grpcwire.Options{})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop(t.Context())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	c, err := grpc.NewClient("unix:"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client := healthv1.NewHealthClient(c)
	told := func(want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for range 2 {
			if a, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil || a.GetStatus() != want {
				t.Errorf("got %v, %v, not %v", a, err, want)
			}
		}
	}
	told(healthv1.HealthCheckResponse_SERVING)
	health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	told(healthv1.HealthCheckResponse_NOT_SERVING)
	health.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	told(healthv1.HealthCheckResponse_SERVING)
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "no such"}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v", err)
	}
	st, err := c.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, healthv1.Health_Check_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := st.RecvMsg(new(emptypb.Empty)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a check that asks nothing: %v", err)
	}
	health.Shutdown()
	told(healthv1.HealthCheckResponse_NOT_SERVING)
}
