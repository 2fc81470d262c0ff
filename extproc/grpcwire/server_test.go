package grpcwire_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
)

// rawBytes lets grpc-go's client send bytes as they are.
type rawBytes struct{}

func (rawBytes) Name() string { return "raw" }

func (rawBytes) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (rawBytes) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(b)
	return nil
}

// text is a message; tail is sent apart.
type text struct{ head, tail []byte }

func (m *text) AppendTo(dst []byte) ([]byte, []byte) { return append(dst, m.head...), m.tail }

// script is a handler that does what its messages say.
type script struct {
	s      *grpcwire.Stream
	stage  string
	closed *atomic.Int64
}

func (h *script) Message(b []byte) {
	word, rest, _ := strings.Cut(string(b[:min(len(b), 64)]), " ")
	switch word {
	case "stage":
		h.s.Send(&text{head: []byte(h.stage)})
	case "fail":
		h.s.Finish(codes.ResourceExhausted, rest)
	case "done":
		h.s.Send(&text{head: []byte("last")})
		h.s.Finish(codes.OK, "")
	case "slow":
		held := h.s.Hold(b)
		h.s.Go(func(ctx context.Context) {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
			h.s.Send(&text{tail: held})
		})
	case "hang":
		h.s.Go(func(ctx context.Context) { <-ctx.Done() })
	case "later":
		s := h.s
		time.AfterFunc(10*time.Millisecond, func() { s.Do(func() { s.Send(&text{head: []byte("now")}) }) })
	default:
		h.s.Send(&text{head: b[:len(b)/2], tail: b[len(b)/2:]})
	}
}

func (h *script) End()   { h.s.Finish(codes.OK, "") }
func (h *script) Close() { h.closed.Add(1) }

const method = "/test.Test/Talk"

// rig is a server with a client of grpc-go's.
type rig struct {
	*grpc.ClientConn
	server         *grpcwire.Server
	opened, closed atomic.Int64
}

func newRig(t testing.TB, o grpcwire.Options, opts ...grpc.DialOption) *rig {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	return dial(t, l, "unix:"+l.Addr().String(), o, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
}

func (r *rig) open(s *grpcwire.Stream, h grpcwire.Head) grpcwire.Handler {
	r.opened.Add(1)
	return &script{s, h.Get("x-stage"), &r.closed}
}

func dial(t testing.TB, l net.Listener, target string, o grpcwire.Options, opts ...grpc.DialOption) *rig {
	t.Helper()
	r := &rig{}
	r.server = grpcwire.New(map[string]grpcwire.Open{method: r.open}, o)
	served := make(chan error)
	go func() { served <- r.server.Serve(l) }()
	var err error
	if len(opts) == 0 {
		opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	if r.ClientConn, err = grpc.NewClient(target, opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.ClientConn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r.server.Stop(ctx)
		if ctx.Err() != nil {
			t.Error("streams are left")
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if o, c := r.opened.Load(), r.closed.Load(); o != c {
			t.Errorf("%d streams were opened, %d closed", o, c)
		}
	})
	return r
}

// talk is one stream.
type talk struct {
	testing.TB
	grpc.ClientStream
}

func (r *rig) talk(ctx context.Context, t testing.TB, opts ...grpc.CallOption) talk {
	t.Helper()
	st, err := r.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, append(opts, grpc.ForceCodec(rawBytes{}), grpc.MaxCallRecvMsgSize(64<<20))...)
	if err != nil {
		t.Fatal(err)
	}
	return talk{t, st}
}

func (k talk) say(s string) {
	k.Helper()
	b := []byte(s)
	if err := k.SendMsg(&b); err != nil && !errors.Is(err, io.EOF) {
		k.Fatal(err)
	}
}

func (k talk) hear(want string) {
	k.Helper()
	var got []byte
	if err := k.RecvMsg(&got); err != nil {
		k.Fatalf("got %v, want a message", err)
	}
	if string(got) != want {
		k.Fatalf("got %d bytes %.80q, want %d bytes %.80q", len(got), got, len(want), want)
	}
}

func (k talk) over(code codes.Code, message string) {
	k.Helper()
	var got []byte
	err := k.RecvMsg(&got)
	if err == nil {
		k.Fatalf("got the message %.80q, want the end", got)
	}
	if code == codes.OK && errors.Is(err, io.EOF) {
		return
	}
	if s := status.Convert(err); s.Code() != code || message != "" && s.Message() != message {
		k.Fatalf("got %v, want %v %q", err, code, message)
	}
}

func TestAStream(t *testing.T) {
	r := newRig(t, grpcwire.Options{MaxMessage: 64 << 20})
	large := strings.Repeat("0123456789abcdef", 5<<20/16)
	for _, c := range []struct {
		name string
		do   func(k talk)
	}{
		{"answers message by message", func(k talk) {
			for i := range 100 {
				m := fmt.Sprintf("message %d", i)
				k.say(m)
				k.hear(m)
			}
			_ = k.CloseSend()
			k.over(codes.OK, "")
		}},
		{"takes and sends empty messages", func(k talk) { k.say(""); k.hear("") }},
		{"ends at once", func(k talk) { _ = k.CloseSend(); k.over(codes.OK, "") }},
		{"knows its header", func(k talk) { k.say("stage"); k.hear("watch") }},
		{"says why it ends", func(k talk) { k.say("fail 100% über\nall"); k.over(codes.ResourceExhausted, "100% über\nall") }},
		{"may be ended by the server", func(k talk) { k.say("done"); k.hear("last"); k.over(codes.OK, "") }},
		{"carries messages of many frames", func(k talk) { k.say(large); k.hear(large); k.say(large[1:]); k.hear(large[1:]) }},
		{"stays in order when a message takes long", func(k talk) {
			k.say("slow one")
			for i := range 50 {
				k.say(fmt.Sprint("quick ", i))
			}
			k.say("slow two")
			k.say(large)
			_ = k.CloseSend()
			k.hear("slow one")
			for i := range 50 {
				k.hear(fmt.Sprint("quick ", i))
			}
			k.hear("slow two")
			k.hear(large)
			k.over(codes.OK, "")
		}},
		{"may send by itself", func(k talk) { k.say("later"); k.hear("now") }},
		{"takes no message after its end", func(k talk) { k.say("done"); k.say("more"); k.hear("last"); k.over(codes.OK, "") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.do(r.talk(metadata.NewOutgoingContext(t.Context(), metadata.Pairs("x-stage", "watch")), t))
		})
	}
}

func TestAStreamThatTakesLongHoldsUpNoOther(t *testing.T) {
	r := newRig(t, grpcwire.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 10 {
		r.talk(ctx, t).say("hang")
	}
	k := r.talk(t.Context(), t)
	k.say("x")
	k.hear("x")
	cancel() // or the handlers hang on
}

func TestManyStreamsAtATime(t *testing.T) {
	r := newRig(t, grpcwire.Options{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for j := range 20 {
				k := r.talk(t.Context(), t)
				m := fmt.Sprint(i, j, strings.Repeat("x", i*j*7))
				k.say(m)
				k.say("done")
				k.hear(m)
				k.hear("last")
				k.over(codes.OK, "")
			}
		})
	}
	wg.Wait()
}

// TestAPeerWithSmallWindows gets large answers all the same, and holds up nobody else.
func TestAPeerWithSmallWindows(t *testing.T) {
	r := newRig(t, grpcwire.Options{MaxMessage: 16 << 20}, grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(64<<10))
	large := strings.Repeat("0123456789abcdef", 3<<20/16)
	lazy := r.talk(t.Context(), t)
	go func() { // it is held up, as it reads nothing
		for range 3 {
			lazy.say(large)
		}
		lazy.say("fail with much unsent")
	}()
	time.Sleep(20 * time.Millisecond)
	other := r.talk(t.Context(), t)
	other.say("stage")
	_ = other.CloseSend()
	for range 3 {
		lazy.hear(large)
	}
	lazy.over(codes.ResourceExhausted, "with much unsent")
}

func TestWhatIsRefused(t *testing.T) {
	r := newRig(t, grpcwire.Options{MaxMessage: 1000, MaxHeader: 8 << 10})
	t.Run("a message that is too large", func(t *testing.T) {
		k := r.talk(t.Context(), t)
		k.say(strings.Repeat("x", 1000))
		k.hear(strings.Repeat("x", 1000))
		k.say(strings.Repeat("x", 1001))
		k.over(codes.ResourceExhausted, "the message is larger than this server accepts")
	})
	t.Run("a compressed message", func(t *testing.T) {
		k := r.talk(t.Context(), t, grpc.UseCompressor(gzip.Name))
		k.say("x")
		k.over(codes.Unimplemented, "compressed messages are not accepted")
	})
	t.Run("a header that is too large", func(t *testing.T) {
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("x", strings.Repeat("x", 8<<10)))
		var b []byte
		if err := r.Invoke(ctx, method, &b, &b, grpc.ForceCodec(rawBytes{})); err == nil {
			t.Error("it passes")
		}
	})
	t.Run("a method that does not exist", func(t *testing.T) {
		var b []byte
		if err := r.Invoke(t.Context(), "/no/such", &b, &b, grpc.ForceCodec(rawBytes{})); status.Code(err) != codes.Unimplemented {
			t.Errorf("got %v", err)
		}
	})
	k := r.talk(t.Context(), t)
	k.say("x") // the connection is as good as before
	k.hear("x")
}

// TestTheRestIsServed sends what has no method here to a server of grpc-go's.
func TestTheRestIsServed(t *testing.T) {
	checks := health.NewServer()
	g := grpc.NewServer()
	defer g.Stop()
	healthv1.RegisterHealthServer(g, checks)
	r := newRig(t, grpcwire.Options{Rest: g})
	client := healthv1.NewHealthClient(r)
	for range 3 {
		if a, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil || a.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Fatalf("got %v, %v", a, err)
		}
	}
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "no such"}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w, err := client.Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []healthv1.HealthCheckResponse_ServingStatus{healthv1.HealthCheckResponse_SERVING, healthv1.HealthCheckResponse_NOT_SERVING} {
		if a, err := w.Recv(); err != nil || a.GetStatus() != want {
			t.Fatalf("status %d: got %v, %v", i, a, err)
		}
		checks.Shutdown()
	}
	k := r.talk(t.Context(), t) // on the same connection
	k.say("x")
	k.hear("x")
	cancel()
	if _, err := w.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
	var b []byte
	if err := r.Invoke(t.Context(), "/no/such", &b, &b, grpc.ForceCodec(rawBytes{})); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
}

func TestItServesTLS(t *testing.T) {
	files := httptest.NewTLSServer(nil)
	cert := files.TLS.Certificates[0]
	files.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	r := dial(t, l, l.Addr().String(), grpcwire.Options{}, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	k := r.talk(t.Context(), t)
	k.say("x")
	k.hear("x")
}

func TestStop(t *testing.T) {
	r := newRig(t, grpcwire.Options{})
	k := r.talk(t.Context(), t)
	k.say("x")
	k.hear("x")
	stopped := make(chan struct{})
	go func() {
		r.server.Stop(t.Context())
		close(stopped)
	}()
	time.Sleep(20 * time.Millisecond)
	k.say("y") // what is open goes on
	k.hear("y")
	select {
	case <-stopped:
		t.Fatal("it does not wait for the stream")
	default:
	}
	k.say("done")
	k.hear("last")
	k.over(codes.OK, "")
	<-stopped
	if _, err := r.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, method); err == nil {
		t.Error("a new stream is served")
	}
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	r := newRig(t, grpcwire.Options{})
	k := r.talk(t.Context(), t)
	k.say("hang")
	time.Sleep(5 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	r.server.Stop(ctx)
	k.over(codes.Unavailable, "")
}

// TestASilentPeer is asked for a sign of life, and given up when none comes.
func TestASilentPeer(t *testing.T) {
	r := newRig(t, grpcwire.Options{Idle: 30 * time.Millisecond})
	k := r.talk(t.Context(), t)
	k.say("x")
	k.hear("x")
	time.Sleep(150 * time.Millisecond) // grpc-go answers pings
	k.say("y")
	k.hear("y")
}
