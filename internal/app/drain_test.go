package app

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/signalbox-ai/signalbox/extproc"
)

// TestAStopWaitsForRequestsThatAreBeingPlanned, such as one whose body is still on its way, or that waits for room.
func TestAStopWaitsForRequestsThatAreBeingPlanned(t *testing.T) {
	r := newRig(t, good)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, false) }()
	c, err := grpc.NewClient("unix:"+filepath.Join(r.dir, "s.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	st, err := extprocv3.NewExternalProcessorClient(c).Process(metadata.AppendToOutgoingContext(t.Context(), extproc.StageHeader, extproc.StagePlan), grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	tell := func(m *extprocv3.ProcessingRequest) {
		t.Helper()
		if err := st.Send(m); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	head := &corev3.HeaderMap{}
	for _, h := range [][2]string{{":method", "POST"}, {":path", "/v1/chat/completions"}, {"content-type", "application/json"}} {
		head.Headers = append(head.Headers, &corev3.HeaderValue{Key: h[0], RawValue: []byte(h[1])})
	}
	tell(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{Headers: head}}})
	stop()
	eventually(t, "it drains", func() error {
		if !strings.Contains(r.log.String(), "draining") {
			return context.DeadlineExceeded
		}
		return nil
	})
	time.Sleep(200 * time.Millisecond) // in which it looks several times
	tell(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte(`{}`), EndOfStream: true}}})
	if err := <-done; err != nil {
		t.Error(err)
	}
}
