package envoy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/signalbox-ai/signalbox/envoy"
	"github.com/signalbox-ai/signalbox/envoy/binary"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// patience bounds how long anything may take on a busy machine.
const patience = 30 * time.Second

// found is the Envoy of this machine, looked for once: it may have to be brought.
var found = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return binary.Find(ctx, binary.Options{})
})

// findEnvoy returns a real Envoy. Without one the test is skipped, unless one is required.
func findEnvoy(t *testing.T) string {
	t.Helper()
	path, err := found()
	if err != nil {
		if os.Getenv("SIGNALBOX_REQUIRE_ENVOY") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs an Envoy:", err)
	}
	return path
}

// rig is a real Envoy, configured over xDS, with a service that does what a request's body says.
type rig struct {
	t       *testing.T
	spec    envoy.Spec
	xds     *envoy.Server
	service *service
	health  *health.Server
	rpc     *grpc.Server
	child   *binary.Process
	logs    *logBuffer
}

func start(t *testing.T, change func(*envoy.Spec)) *rig {
	t.Helper()
	r := run(t, change)
	r.acked("1")
	return r
}

// run starts all that a rig has, and waits for Envoy alone: what it thinks of its configuration is open.
func run(t *testing.T, change func(*envoy.Spec)) *rig {
	t.Helper()
	path := findEnvoy(t)
	dir, err := os.MkdirTemp("", "sbx") // short: a socket's path holds about a hundred bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &rig{t: t, service: newService(), logs: &logBuffer{}}
	r.spec = envoy.Spec{
		Listen:     "127.0.0.1:" + strconv.Itoa(freePort(t)),
		Service:    envoy.Service{Address: "unix:" + filepath.Join(dir, "s.sock")},
		Admin:      "unix:" + filepath.Join(dir, "a.sock"),
		ClosedPort: freePort(t),
	}
	if change != nil {
		change(&r.spec)
	}
	r.xds = envoy.NewServer("signalbox")
	t.Cleanup(r.xds.Close)
	r.serve()
	t.Cleanup(func() { r.rpc.Stop() })
	r.set("1")
	boot, err := envoy.Bootstrap(r.spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.child, err = binary.Start(context.WithoutCancel(ctx), binary.Child{
		Path: path, Bootstrap: boot, Dir: filepath.Join(dir, "envoy"), Admin: r.spec.Admin, Concurrency: 1,
		Log: slog.New(slog.NewTextHandler(r.logs, nil)), Grace: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.child.Stop()
		if t.Failed() {
			t.Log(r.logs.String())
		}
	})
	if err := r.child.Await(ctx); err != nil {
		t.Fatalf("%v\n%s", err, r.logs.String())
	}
	return r
}

// serve starts the gRPC side, as a process would.
func (r *rig) serve() {
	r.t.Helper()
	path := strings.TrimPrefix(r.spec.Service.Address, "unix:")
	_ = os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.rpc = grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	r.health = health.NewServer()
	healthv1.RegisterHealthServer(r.rpc, r.health)
	extprocv3.RegisterExternalProcessorServer(r.rpc, r.service)
	alsv3.RegisterAccessLogServiceServer(r.rpc, r.service)
	r.xds.Register(r.rpc)
	go func() { _ = r.rpc.Serve(l) }() // ends with Stop
}

func (r *rig) set(version string) {
	r.t.Helper()
	if err := r.xds.Set(r.t.Context(), r.spec, version); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) acked(version string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.xds.Acked(ctx, version); err != nil {
		r.t.Fatalf("%v\n%s", err, r.logs.String())
	}
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (r *rig) url(path string) string { return "http://" + r.spec.Listen + path }

func (r *rig) post(path, body string, header ...string) answer {
	r.t.Helper()
	a, err := r.try(path, strings.NewReader(body), header...)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) try(path string, body io.Reader, header ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url(path), body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("content-type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header[header[i]] = append(req.Header[header[i]], header[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

// upstream is a provider.
func upstream(t *testing.T, name string, h http.Handler) (envoy.Upstream, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return at(t, name, s.URL), s
}

func at(t *testing.T, name, base string) envoy.Upstream {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(u.Port())
	return envoy.Upstream{Name: name, Host: u.Hostname(), Port: port, TLS: u.Scheme == "https"}
}

// seen is a request as a provider got it.
type seen struct {
	path, body string
	length     int64
	header     http.Header
}

// recorder answers with a status, and keeps what it got.
type recorder struct {
	status int
	header http.Header

	mu  sync.Mutex
	got []seen
}

func (u *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.got = append(u.got, seen{r.URL.Path, string(b), r.ContentLength, r.Header.Clone()})
	u.mu.Unlock()
	maps.Copy(w.Header(), u.header)
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(max(u.status, 200))
	fmt.Fprintf(w, `{"ok":%d}`, u.status)
}

func (u *recorder) requests() []seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]seen(nil), u.got...)
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := strconv.Atoi(stack.FreePort(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// entry is a log entry of Envoy's with the name of its log.
type entry struct {
	log string
	*accesslogv3.HTTPAccessLogEntry
}
